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
	PRIORITY_MAX = 99,
};

static long check_thread(int tid)
{
	bool exists = !tid;

	if (tid < 0)
		return -EINVAL;
	spin_lock(&process_table_lock);
	exists = exists || __thread_find(tid);
	spin_unlock(&process_table_lock);
	return exists ? 0 : -ESRCH;
}

/* The least and the highest priority of a policy. */
static long priorities(int policy, int *least, int *highest)
{
	bool real_time = policy == POLICY_FIFO || policy == POLICY_RR;

	if (policy < 0 || policy > POLICY_DEADLINE || policy == 4)
		return -EINVAL;
	*least = real_time ? 1 : 0;
	*highest = real_time ? PRIORITY_MAX : 0;
	return 0;
}

static long set_policy(int tid, int policy, uintptr_t from)
{
	int priority, least, highest;
	long result;

	if (!from)
		return -EINVAL;
	if (copy_from_user(&priority, from, sizeof(priority)))
		return -EFAULT;
	result = check_thread(tid);
	if (!result)
		result = priorities(policy, &least, &highest);
	if (result)
		return result;
	if (priority < least || priority > highest)
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
	int least, highest;
	long result = priorities((int)arg[0], &least, &highest);

	return result ? result : highest;
}

SYSCALL(sched_get_priority_min)
{
	int least, highest;
	long result = priorities((int)arg[0], &least, &highest);

	return result ? result : least;
}

SYSCALL(sched_rr_get_interval)
{
	long result = check_thread((int)arg[0]);

	return result ? result : copy_time_to_user(arg[1], SLICE_NS);
}
