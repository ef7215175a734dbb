/* SPDX-License-Identifier: MIT */
/* Scheduling policies: every thread has the ordinary one, and keeps it. */
#include "lib/errno.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/user.h"
#include "proc/sched.h"
#include "proc/table.h"
#include "proc/thread.h"

enum {
	POLICY_OTHER = 0,
	POLICY_FIFO = 1,
	POLICY_RR = 2,
	POLICY_BATCH = 3,
	POLICY_IDLE = 5,
	POLICY_DEADLINE = 6,
	POLICY_RESET_ON_FORK = 0x40000000,
	/* Of the real-time ones; all others have only 0. */
	PRIORITY_MIN = 1,
	PRIORITY_MAX = 99,
};

static long check_thread(int tid)
{
	bool exists;

	if (tid <= 0)
		return tid ? -EINVAL : 0;
	spin_lock(&process_table_lock);
	exists = __thread_find(tid);
	spin_unlock(&process_table_lock);
	return exists ? 0 : -ESRCH;
}

/* The highest or the least priority of a policy. */
static long priority_of(int policy, int of_real_time)
{
	/* There has never been a 4. */
	if (policy < 0 || policy > POLICY_DEADLINE || policy == 4)
		return -EINVAL;
	return policy == POLICY_FIFO || policy == POLICY_RR ? of_real_time : 0;
}

static long set_policy(int tid, int policy, uintptr_t from)
{
	int priority;
	long result;

	if (!from)
		return -EINVAL;
	if (copy_from_user(&priority, from, sizeof(priority)))
		return -EFAULT;
	result = check_thread(tid);
	if (!result)
		result = priority_of(policy, 0);
	if (result)
		return result;
	if (priority < priority_of(policy, PRIORITY_MIN) ||
		priority > priority_of(policy, PRIORITY_MAX))
		return -EINVAL;
	return policy == POLICY_OTHER ? 0 : -EPERM;
}

SYSCALL(sched_setparam)
{
	return set_policy((int)arg[0], POLICY_OTHER, arg[1]);
}

SYSCALL(sched_setscheduler)
{
	return set_policy(
		(int)arg[0], (int)arg[1] & ~POLICY_RESET_ON_FORK, arg[2]);
}

SYSCALL(sched_getparam)
{
	int priority = 0;
	long result = arg[1] ? check_thread((int)arg[0]) : -EINVAL;

	if (!result && copy_to_user(arg[1], &priority, sizeof(priority)))
		return -EFAULT;
	return result;
}

SYSCALL(sched_getscheduler)
{
	long result = check_thread((int)arg[0]);

	return result ? result : POLICY_OTHER;
}

SYSCALL(sched_get_priority_max)
{
	return priority_of((int)arg[0], PRIORITY_MAX);
}

SYSCALL(sched_get_priority_min)
{
	return priority_of((int)arg[0], PRIORITY_MIN);
}

SYSCALL(sched_rr_get_interval)
{
	long result = check_thread((int)arg[0]);

	return result ? result : copy_time_to_user(arg[1], SLICE_NS);
}
