/* SPDX-License-Identifier: MIT */
/* Processes: birth, end, waiting, numbers, groups, limits. */
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/exec.h"
#include "proc/exit.h"
#include "proc/fork.h"
#include "proc/futex.h"
#include "proc/group.h"
#include "proc/handlers.h"
#include "proc/sched.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

/* --- birth and end ----------------------------------------------------- */

SYSCALL(fork)
{
	struct clone_args a = {.flags = SIGCHLD};

	(void)arg;
	return process_clone(&a);
}

SYSCALL(vfork)
{
	struct clone_args a = {.flags = CLONE_VM | CLONE_VFORK | SIGCHLD};

	(void)arg;
	return process_clone(&a);
}

SYSCALL(clone)
{
	struct clone_args a = {
		.flags = arg[0],
		.stack = arg[1],
		.parent_tid = arg[2],
		.child_tid = arg[3],
		.tls = arg[4],
	};

	return process_clone(&a);
}

static long exec_at(int dirfd, uintptr_t user_path, uintptr_t argv,
	uintptr_t envp, int flags)
{
	struct exec_args *args = NULL;
	struct file *f = NULL;
	char *path;
	long err = copy_path(user_path, &path);

	if (err)
		return err;
	if (!path[0] && flags & AT_EMPTY_PATH)
		f = fd_file(dirfd);
	else
		err = fs_open(dirfd, path,
			O_RDONLY |
				(flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0),
			0, &f);
	if (!err && !f)
		err = -EBADF;
	if (!err)
		err = exec_args_from_user(argv, envp, &args);
	if (!err)
		err = process_exec(f,
			path[0]           ? path
				: f->path ? f->path
					  : "",
			args);
	exec_args_free(args);
	if (f)
		file_put(f);
	kfree(path);
	return err;
}

SYSCALL(execve)
{
	return exec_at(AT_FDCWD, arg[0], arg[1], arg[2], 0);
}

SYSCALL(execveat)
{
	if (arg[4] & ~(unsigned long)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_at((int)arg[0], arg[1], arg[2], arg[3], (int)arg[4]);
}

SYSCALL(exit)
{
	struct thread *t = thread_current();
	struct process *p = t->process;

	spin_lock(&p->lock);
	/* The first thread's status counts, unless all are ended together. */
	if (t->tid == p->pid && !p->exiting)
		p->exit_status = (arg[0] & 0xff) << 8;
	spin_unlock(&p->lock);
	thread_exit();
}

SYSCALL(exit_group)
{
	process_exit((arg[0] & 0xff) << 8);
}

/* --- waiting ----------------------------------------------------------- */

#define WNOTHREAD 0x20000000u
#define WALL 0x40000000u
#define WCLONE 0x80000000u

static void put_usage(struct usage *u, uint64_t user_ns, uint64_t system_ns)
{
	memset(u, 0, sizeof(*u));
	u->user = timeval_of(user_ns);
	u->system = timeval_of(system_ns);
}

SYSCALL(wait4)
{
	int pid = (int)arg[0];
	unsigned options = (unsigned)arg[2];
	struct wait_request r = {
		.who = WAIT_ANY,
		.options = WEXITED |
			(options & (WNOHANG | WUNTRACED | WCONTINUED)),
	};
	struct wait_result result;
	int err;

	if (options &
		~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid > 0) {
		r.who = WAIT_PID;
		r.id = pid;
	} else if (pid != -1) {
		r.who = WAIT_GROUP;
		r.id = pid ? -pid : process_current()->pgid;
	}
	err = process_wait(&r, &result);
	if (err || !result.pid)
		return err;
	if (arg[1]) {
		uint32_t status = result.status;

		if (copy_to_user(arg[1], &status, sizeof(status)))
			return -EFAULT;
	}
	if (arg[3]) {
		struct usage u;

		put_usage(&u, result.user_ns, result.system_ns);
		if (copy_to_user(arg[3], &u, sizeof(u)))
			return -EFAULT;
	}
	return result.pid;
}

SYSCALL(waitid)
{
	static const int kinds[] = {WAIT_ANY, WAIT_PID, WAIT_GROUP};
	unsigned options = (unsigned)arg[3];
	struct wait_request r;
	struct wait_result result;
	struct signal_info info = {0};
	uint8_t raw[128] = {0};
	int err;

	if (options & ~(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT) ||
		!(options & (WUNTRACED | WEXITED | WCONTINUED)) ||
		arg[0] >= ARRAY_SIZE(kinds))
		return -EINVAL;
	r.who = kinds[arg[0]];
	r.id = (int)arg[1];
	r.options = options;
	if (r.who == WAIT_GROUP && !r.id)
		r.id = process_current()->pgid;
	err = process_wait(&r, &result);
	if (err)
		return err;
	if (result.pid) {
		info.signo = SIGCHLD;
		info.code = result.code;
		info.pid = result.pid;
		info.status = result.value;
		signal_info_encode(&info, raw);
	}
	if (arg[2] && copy_to_user(arg[2], raw, sizeof(raw)))
		return -EFAULT;
	return 0;
}

/* --- numbers ----------------------------------------------------------- */

SYSCALL(getpid)
{
	(void)arg;
	return process_current()->pid;
}

SYSCALL(gettid)
{
	(void)arg;
	return thread_current()->tid;
}

SYSCALL(getppid)
{
	struct process *p = process_current();
	int pid;

	(void)arg;
	spin_lock(&process_table_lock);
	pid = p->parent ? p->parent->pid : 0;
	spin_unlock(&process_table_lock);
	return pid;
}

SYSCALL(set_tid_address)
{
	struct thread *t = thread_current();

	t->clear_tid = arg[0];
	return t->tid;
}

SYSCALL(getpgrp)
{
	(void)arg;
	return process_current()->pgid;
}

SYSCALL(getpgid)
{
	return process_group((int)arg[0]);
}

SYSCALL(getsid)
{
	return process_session((int)arg[0]);
}

SYSCALL(setpgid)
{
	return process_set_group((int)arg[0], (int)arg[1]);
}

SYSCALL(setsid)
{
	(void)arg;
	return process_new_session();
}

/* --- who one is: root, and only root ----------------------------------- */

static long only_root(unsigned long id)
{
	return (uint32_t)id == 0 || (uint32_t)id == UINT32_MAX ? 0 : -EPERM;
}

static long put_three_zeros(const unsigned long *arg)
{
	uint32_t zero = 0;

	for (int i = 0; i < 3; i++)
		if (copy_to_user(arg[i], &zero, sizeof(zero)))
			return -EFAULT;
	return 0;
}

static long only_three_roots(const unsigned long *arg, int n)
{
	for (int i = 0; i < n; i++)
		if (only_root(arg[i]))
			return -EPERM;
	return 0;
}

#define ZERO_CALL(name)    \
	SYSCALL(name)      \
	{                  \
		(void)arg; \
		return 0;  \
	}

ZERO_CALL(getuid)
ZERO_CALL(geteuid)
ZERO_CALL(getgid)
ZERO_CALL(getegid)
ZERO_CALL(setfsuid)
ZERO_CALL(setfsgid)
ZERO_CALL(getgroups)

SYSCALL(setuid)
{
	return only_root(arg[0]);
}

SYSCALL(setgid)
{
	return only_root(arg[0]);
}

SYSCALL(setreuid)
{
	return only_three_roots(arg, 2);
}

SYSCALL(setregid)
{
	return only_three_roots(arg, 2);
}

SYSCALL(setresuid)
{
	return only_three_roots(arg, 3);
}

SYSCALL(setresgid)
{
	return only_three_roots(arg, 3);
}

SYSCALL(getresuid)
{
	return put_three_zeros(arg);
}

SYSCALL(getresgid)
{
	return put_three_zeros(arg);
}

SYSCALL(setgroups)
{
	uint32_t group;

	if (arg[0] > 1)
		return -EPERM;
	if (arg[0] && copy_from_user(&group, arg[1], sizeof(group)))
		return -EFAULT;
	return arg[0] ? only_root(group) : 0;
}

/* --- limits and scheduling --------------------------------------------- */

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
	struct usage u;

	switch ((int)arg[0]) {
	case RUSAGE_SELF:
		process_times(p, &user_ns, &system_ns);
		break;
	case RUSAGE_CHILDREN:
		user_ns = p->child_user_ns;
		system_ns = p->child_system_ns;
		break;
	case RUSAGE_THREAD:
		user_ns = t->user_ns;
		system_ns = t->system_ns;
		break;
	default:
		return -EINVAL;
	}
	put_usage(&u, user_ns, system_ns);
	return copy_to_user(arg[1], &u, sizeof(u));
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

/* --- thread state ------------------------------------------------------ */

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

/* --- futex ------------------------------------------------------------- */

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
