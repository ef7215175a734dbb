/* SPDX-License-Identifier: MIT */
/* Processes: birth, end, waiting, numbers, groups. */
#include "fs/file.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/exec.h"
#include "proc/exit.h"
#include "proc/fork.h"
#include "proc/group.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"

/* --- birth and end ------------------------------------------------------ */

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

static long open_program(
	int dirfd, const char *path, int flags, struct file **out)
{
	int nofollow = flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;

	if (path[0] || !(flags & AT_EMPTY_PATH))
		return fs_open(dirfd, path, OPEN_PROGRAM | nofollow, 0, out);
	*out = fd_file(dirfd);
	return *out ? 0 : -EBADF;
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
	err = open_program(dirfd, path, flags, &f);
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

/* --- waiting ------------------------------------------------------------ */

#define WNOTHREAD 0x20000000u
#define WALL 0x40000000u
#define WCLONE 0x80000000u

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
	if (arg[3] &&
		copy_usage_to_user(arg[3], result.user_ns, result.system_ns))
		return -EFAULT;
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

/* --- numbers ------------------------------------------------------------ */

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
