/* SPDX-License-Identifier: MIT */
/* Spin locks of the kernel on one CPU, where nobody ever waits for one:
 * included behind one kernel source, by its test. */
#ifndef SUPPORT_SPIN_LOCKS_H
#define SUPPORT_SPIN_LOCKS_H

void spin_lock(struct spinlock *l)
{
	assert_false(l->held);
	l->held = 1;
}

void spin_unlock(struct spinlock *l)
{
	assert_true(l->held);
	l->held = 0;
}

#endif
