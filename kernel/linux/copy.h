/* SPDX-License-Identifier: MIT */
/* What the wrappers of several calls copy in and out. */
#ifndef LINUX_COPY_H
#define LINUX_COPY_H

#include "lib/types.h"

struct timespec64 {
	int64_t seconds, nanoseconds;
};

struct timeval64 {
	int64_t seconds, microseconds;
};

/* A path in kernel memory, to be freed with kfree(). */
long copy_path(uintptr_t user, char **out);

/* A struct timespec as nanoseconds, clipped to 2^63; -EINVAL if it is none. */
long copy_time_from_user(uint64_t *out, uintptr_t user);
long copy_time_to_user(uintptr_t user, uint64_t ns);

struct timeval64 timeval_of(uint64_t ns);

/* A struct rusage; only times are told. */
long copy_usage_to_user(uintptr_t user, uint64_t user_ns, uint64_t system_ns);

/* Take a signal mask for the time of the call; `size` as user mode gives it.
 * NULL: none. */
long take_call_mask(uintptr_t user, size_t size);

/* The time_ns() at which the wall clock will show this. */
uint64_t deadline_of_wall(uint64_t wall_ns);

#endif
