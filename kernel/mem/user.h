/* SPDX-License-Identifier: MIT */
/* Access to the current process's memory. All check the range, fault pages in
 * (so they may sleep: no spinlock held) and return -EFAULT instead of failing.
 */
#ifndef MEM_USER_H
#define MEM_USER_H

#include "lib/types.h"

/* At boot, when cpu_features is known. */
void user_access_init(void);

/* 0 or -EFAULT; on a fault part of it may have been copied. */
MUST_CHECK int copy_from_user(void *dst, uintptr_t src, size_t n);
MUST_CHECK int copy_to_user(uintptr_t dst, const void *src, size_t n);
MUST_CHECK int zero_user(uintptr_t dst, size_t n);

/* A terminated string of at most size-1 bytes: its length, -EFAULT, or
 * -ENAMETOOLONG. */
MUST_CHECK ssize_t copy_string_from_user(char *dst, uintptr_t src, size_t size);

/* How many of n bytes could be copied (for partial reads and writes). */
size_t copy_from_user_partial(void *dst, uintptr_t src, size_t n);
size_t copy_to_user_partial(uintptr_t dst, const void *src, size_t n);

/* Atomic on an aligned 32-bit word of user memory (futexes). */
MUST_CHECK int user_load32(uintptr_t addr, uint32_t *out);
MUST_CHECK int user_store32(uintptr_t addr, uint32_t value);

/* *out_old = *addr; if it equals expected, store value. */
MUST_CHECK int user_cmpxchg32(
	uintptr_t addr, uint32_t expected, uint32_t value, uint32_t *out_old);

#endif
