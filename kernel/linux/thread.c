/* SPDX-License-Identifier: MIT */
/* What belongs to one thread: its registers and name, and futexes. */
#include "lib/errno.h"
#include "lib/string.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/futex.h"
#include "proc/thread.h"
#include "proc/wait.h"
/* --- registers and name
 * ------------------------------------------------------- */

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

SYSCALL(arch_prctl)
{
	struct thread *t = thread_current();

	switch ((int)arg[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (arg[1] >= USER_END)
			return -EPERM;
		if ((int)arg[0] == ARCH_SET_FS)
			thread_set_bases(t, arg[1], t->gs_base);
		else
			thread_set_bases(t, t->fs_base, arg[1]);
		return 0;
	case ARCH_GET_FS:
		return copy_to_user(arg[1], &t->fs_base, sizeof(uint64_t));
	case ARCH_GET_GS:
		return copy_to_user(arg[1], &t->gs_base, sizeof(uint64_t));
	default:
		return -EINVAL;
	}
}

#define PR_GET_DUMPABLE 3
#define PR_SET_DUMPABLE 4
#define PR_SET_NAME 15
#define PR_GET_NAME 16
#define PR_SET_NO_NEW_PRIVS 38
#define PR_GET_NO_NEW_PRIVS 39

SYSCALL(prctl)
{
	struct process *p = process_current();
	char name[PROCESS_NAME_SIZE] = {0};
	ssize_t n;

	switch ((int)arg[0]) {
	case PR_SET_NAME:
		n = copy_string_from_user(name, arg[1], sizeof(name));
		if (n < 0 && n != -ENAMETOOLONG)
			return n;
		name[sizeof(name) - 1] = 0;
		if (thread_current()->tid != p->pid)
			return 0; /* only processes have names */
		spin_lock(&p->lock);
		memcpy(p->name, name, sizeof(name));
		spin_unlock(&p->lock);
		return 0;
	case PR_GET_NAME:
		spin_lock(&p->lock);
		memcpy(name, p->name, sizeof(name));
		spin_unlock(&p->lock);
		return copy_to_user(arg[1], name, sizeof(name));
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE:
	case PR_SET_NO_NEW_PRIVS:
	case PR_GET_NO_NEW_PRIVS:
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- futex -------------------------------------------------------------- */

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE 128
#define FUTEX_CLOCK_REALTIME 256

/* The deadline of a wait; WAIT_FOREVER without a time-out. */
static long futex_deadline(const unsigned long *arg, int op, uint64_t *out)
{
	uint64_t ns;
	long err;

	*out = WAIT_FOREVER;
	if (!arg[3])
		return 0;
	err = copy_time_from_user(&ns, arg[3]);
	if (err)
		return err;
	if ((op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)) == FUTEX_WAIT)
		*out = syscall_deadline(ns);
	else
		*out = op & FUTEX_CLOCK_REALTIME ? deadline_of_wall(ns) : ns;
	return 0;
}

SYSCALL(futex)
{
	int op = (int)arg[1];
	bool shared = !(op & FUTEX_PRIVATE);
	uint32_t value = (uint32_t)arg[2], expected = (uint32_t)arg[5];
	uint64_t deadline;
	long err;

	switch (op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME)) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		err = futex_deadline(arg, op, &deadline);
		if (err)
			return err;
		return futex_wait(arg[0], shared, value, deadline,
			(op & 15) == FUTEX_WAIT ? UINT32_MAX : expected);
	case FUTEX_WAKE:
		return futex_wake(arg[0], shared, value, UINT32_MAX);
	case FUTEX_WAKE_BITSET:
		return futex_wake(arg[0], shared, value, expected);
	case FUTEX_REQUEUE:
		return futex_requeue(
			arg[0], arg[4], shared, value, (uint32_t)arg[3], NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(arg[0], arg[4], shared, value,
			(uint32_t)arg[3], &expected);
	default:
		return -ENOSYS;
	}
}
