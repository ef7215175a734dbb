/* SPDX-License-Identifier: MIT */
/* Limits, what was used, and the scheduler. */
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/user.h"
#include "proc/sched.h"
#include "proc/table.h"
#include "proc/thread.h"

/* The process that `pid` means (0: the running one), counted. */
static struct process *target(int pid)
{
	struct process *p = process_current();

	if (pid && pid != p->pid)
		return process_find(pid);
	process_get(p);
	return p;
}

static long limit(int pid, unsigned resource, uintptr_t new, uintptr_t old)
{
	uint64_t wanted[2], was[2];
	struct process *p;

	if (resource >= ARRAY_SIZE(p->rlimits))
		return -EINVAL;
	if (new &&copy_from_user(wanted, new, sizeof(wanted)))
		return -EFAULT;
	if (new &&wanted[0] > wanted[1])
		return -EINVAL;
	p = target(pid);
	if (!p)
		return -ESRCH;
	spin_lock(&p->lock);
	memcpy(was, p->rlimits[resource], sizeof(was));
	if (new)
		memcpy(p->rlimits[resource], wanted, sizeof(wanted));
	spin_unlock(&p->lock);
	process_put(p);
	if (old && copy_to_user(old, was, sizeof(was)))
		return -EFAULT;
	return 0;
}

SYSCALL(prlimit64)
{
	return limit((int)arg[0], (unsigned)arg[1], arg[2], arg[3]);
}

SYSCALL(getrlimit)
{
	return arg[1] ? limit(0, (unsigned)arg[0], 0, arg[1]) : -EFAULT;
}

SYSCALL(setrlimit)
{
	return arg[1] ? limit(0, (unsigned)arg[0], arg[1], 0) : -EFAULT;
}

#define RUSAGE_SELF 0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD 1

SYSCALL(getrusage)
{
	struct thread *t = thread_current();
	struct process *p = t->process;
	uint64_t user_ns, system_ns;

	switch ((int)arg[0]) {
	case RUSAGE_SELF:
		process_times(p, &user_ns, &system_ns);
		break;
	case RUSAGE_CHILDREN:
		user_ns = p->child_user_ns;
		system_ns = p->child_system_ns;
		break;
	case RUSAGE_THREAD:
		account_now();
		user_ns = t->user_ns;
		system_ns = t->system_ns;
		break;
	default:
		return -EINVAL;
	}
	return copy_usage_to_user(arg[1], user_ns, system_ns);
}

SYSCALL(sched_yield)
{
	(void)arg;
	sched_yield();
	return 0;
}

static uint32_t all_cpus(void)
{
	return cpu_count >= 32 ? UINT32_MAX : (1u << cpu_count) - 1;
}

static long affinity(int tid, const uint32_t *new)
{
	struct thread *t = thread_current();
	long result = -ESRCH;

	spin_lock(&process_table_lock);
	if (tid)
		t = __thread_find(tid);
	if (t) {
		if (new &&t != thread_current())
			sched_set_affinity(t, *new);
		result = t->affinity & all_cpus();
	}
	spin_unlock(&process_table_lock);
	/* This thread may have to move, which takes a moment without locks. */
	if (new &&t == thread_current())
		sched_set_affinity(t, *new);
	return result;
}

SYSCALL(sched_getaffinity)
{
	long mask = affinity((int)arg[0], NULL);
	uint64_t out = mask;

	if (mask < 0)
		return mask;
	if (arg[1] < sizeof(out) || arg[1] % sizeof(out))
		return -EINVAL;
	if (copy_to_user(arg[2], &out, sizeof(out)))
		return -EFAULT;
	return sizeof(out);
}

SYSCALL(sched_setaffinity)
{
	uint32_t mask = 0;
	long result;

	if (copy_from_user(&mask, arg[2], MIN(arg[1], sizeof(mask))))
		return -EFAULT;
	mask &= all_cpus();
	if (!mask)
		return -EINVAL;
	result = affinity((int)arg[0], &mask);
	return result < 0 ? result : 0;
}

SYSCALL(getcpu)
{
	uint32_t cpu = this_cpu()->id, node = 0;

	if (arg[0] && copy_to_user(arg[0], &cpu, sizeof(cpu)))
		return -EFAULT;
	if (arg[1] && copy_to_user(arg[1], &node, sizeof(node)))
		return -EFAULT;
	return 0;
}

#define PRIO_PROCESS 0

/* Niceness is kept and told; the scheduler treats all alike. */
SYSCALL(getpriority)
{
	struct process *p;
	long nice;

	if (arg[0] > 2)
		return -EINVAL;
	p = target(arg[0] == PRIO_PROCESS ? (int)arg[1] : 0);
	if (!p)
		return -ESRCH;
	nice = p->nice;
	process_put(p);
	return 20 - nice;
}

SYSCALL(setpriority)
{
	int nice = (int)arg[2];
	struct process *p;

	if (arg[0] > 2)
		return -EINVAL;
	p = target(arg[0] == PRIO_PROCESS ? (int)arg[1] : 0);
	if (!p)
		return -ESRCH;
	p->nice = MAX(-20, MIN(19, nice));
	process_put(p);
	return 0;
}
