/* SPDX-License-Identifier: MIT */
/* Waiting for a word of user memory to change (futex(2)). */
#ifndef PROC_FUTEX_H
#define PROC_FUTEX_H

#include "lib/types.h"

/* Sleep while *addr == value, until woken with a mask that meets `mask`. 0,
 * -EAGAIN (another value), -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL. */
int futex_wait(uintptr_t addr, bool shared, uint32_t value, uint64_t deadline,
	uint32_t mask);

/* Wake up to n. How many, or -errno. */
int futex_wake(uintptr_t addr, bool shared, uint32_t n, uint32_t mask);

/* Wake up to n, let up to n_moved others wait at `to` from now on. `expected`
 * is what *addr must hold (-EAGAIN), NULL: do not look. */
int futex_requeue(uintptr_t addr, uintptr_t to, bool shared, uint32_t n,
	uint32_t n_moved, const uint32_t *expected);

#endif
