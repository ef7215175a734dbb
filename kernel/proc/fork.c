/* SPDX-License-Identifier: MIT */
/*
 * New processes and threads, and the first process.
 *
 * A child is complete before anybody can find it: it enters the table, and its
 * thread the process, in one step that cannot fail.
 */
#include "cpu/trap.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/exec.h"
#include "proc/exit.h"
#include "proc/fork.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define KNOWN_FLAGS                                                           \
	(CSIGNAL | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |        \
		CLONE_VFORK | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |   \
		CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED | \
		CLONE_CHILD_SETTID)

static int check_flags(uint64_t flags)
{
	if (flags & ~KNOWN_FLAGS || (flags & CSIGNAL) > SIGNAL_COUNT)
		return -EINVAL;
	if (flags & CLONE_SIGHAND && !(flags & CLONE_VM))
		return -EINVAL;
	if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	/* A thread that its maker waits for would wait for itself. */
	if (flags & CLONE_THREAD && flags & CLONE_VFORK)
		return -EINVAL;
	return 0;
}

/* --- what the child is made of ----------------------------------------- */

static void discard(struct process *child)
{
	if (child->space)
		space_put(child->space);
	if (child->files)
		fdtable_put(child->files);
	if (child->fs)
		fs_context_put(child->fs);
	program_put(child->program);
	child->space = NULL;
	process_put(child);
}

static int share_space(
	struct process *parent, struct process *child, uint64_t flags)
{
	if (!(flags & CLONE_VM))
		return space_fork(parent->space, &child->space);
	space_get(parent->space);
	child->space = parent->space;
	return 0;
}

static int share_rest(
	struct process *parent, struct process *child, uint64_t flags)
{
	if (flags & CLONE_FILES) {
		fdtable_get(parent->files);
		child->files = parent->files;
	} else {
		child->files = fdtable_copy(parent->files);
	}
	if (flags & CLONE_FS) {
		fs_context_get(parent->fs);
		child->fs = parent->fs;
	} else {
		child->fs = fs_context_copy(parent->fs);
	}
	if (flags & CLONE_SIGHAND) {
		handlers_get(parent->handlers);
		child->handlers = parent->handlers;
	} else {
		child->handlers = handlers_copy(parent->handlers);
	}
	return child->files && child->fs && child->handlers ? 0 : -ENOMEM;
}

/* The running process keeps what is shared alive, so no lock is needed. */
static int create_child(uint64_t flags, struct process **out)
{
	struct process *parent = process_current();
	struct process *child = process_create(parent);
	int err;

	if (!child)
		return -ENOMEM;
	child->exit_signal = flags & CSIGNAL;
	child->program = parent->program;
	if (child->program) {
		inode_get(child->program);
		__atomic_add_fetch(
			&child->program->programs, 1, __ATOMIC_RELAXED);
	}
	err = share_rest(parent, child, flags);
	if (!err)
		err = share_space(parent, child, flags);
	if (err) {
		discard(child);
		return err;
	}
	*out = child;
	return 0;
}

/* A thread that goes on where the running one entered the kernel. */
static struct thread *create_thread(
	struct process *process, const struct clone_args *a)
{
	struct thread *me = thread_current();
	struct thread *t = thread_create(process, thread_enter_user, NULL);
	struct trap_frame *f;

	if (!t)
		return NULL;
	f = thread_user_frame(t);
	*f = *thread_user_frame(me);
	f->rax = 0;
	if (a->stack)
		f->rsp = a->stack;
	fpu_save_current(t->fpu);
	t->fs_base = a->flags & CLONE_SETTLS ? a->tls : me->fs_base;
	t->gs_base = me->gs_base;
	t->blocked = me->restore_mask ? me->saved_mask : me->blocked;
	t->affinity = me->affinity;
	t->space = process->space;
	if (!(a->flags & CLONE_VM))
		t->altstack = me->altstack;
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_tid = a->child_tid;
	return t;
}

/* --- entering the table ------------------------------------------------ */

static int __add_thread(struct process *p, struct thread *t, int tid)
{
	struct thread *me = thread_current();
	int err = 0;

	spin_lock(&p->lock);
	if (p == me->process && (p->exiting || p->exec_thread || me->killed)) {
		err = -EAGAIN;
	} else {
		t->tid = tid;
		__thread_hash(t);
		list_push_back(&p->threads, &t->siblings);
		p->nthreads++;
	}
	spin_unlock(&p->lock);
	return err;
}

static int enter_thread(struct thread *t)
{
	int tid, err;

	spin_lock(&process_table_lock);
	tid = __pid_alloc();
	err = tid < 0 ? tid : __add_thread(t->process, t, tid);
	if (tid > 0 && err)
		__pid_put(tid);
	spin_unlock(&process_table_lock);
	return err ? err : tid;
}

static int enter_process(
	struct process *child, struct thread *t, const struct clone_args *a)
{
	struct process *parent = process_current();
	int pid;

	spin_lock(&process_table_lock);
	pid = __pid_alloc();
	if (pid > 0) {
		child->pid = pid;
		child->parent = parent;
		child->tty = parent->tty;
		if (a->flags & CLONE_VFORK)
			child->vfork_parent = parent;
		__process_set_group(child, parent->pgid, parent->sid);
		__process_insert(child);
		(void)__add_thread(child, t, pid);
	}
	spin_unlock(&process_table_lock);
	return pid;
}

/* In the child, before user mode: only here is its memory at hand. */
static void child_entry(void *child_tid)
{
	struct thread *t = thread_current();
	uint32_t tid = t->tid;

	/* A bad pointer is the program's loss. */
	int err = copy_to_user((uintptr_t)child_tid, &tid, sizeof(tid));

	(void)err;
	thread_enter_user(NULL);
}

/* The parent sleeps until the child has another memory or none. */
static void wait_for_vfork(struct process *child)
{
	struct process *parent = process_current();
	int err = 0;

	spin_lock(&process_table_lock);
	while (child->vfork_parent && !err)
		err = wait_on(&parent->vfork_event, &process_table_lock,
			WAIT_FOREVER, WAIT_KILLABLE);
	child->vfork_parent = NULL;
	spin_unlock(&process_table_lock);
}

static int tell_tid(const struct clone_args *a, int tid)
{
	uint32_t v = tid;

	/* Too late to fail; a bad pointer is the program's loss. */
	if (a->flags & CLONE_PARENT_SETTID)
		return copy_to_user(a->parent_tid, &v, sizeof(v));
	return 0;
}

static int clone_thread(const struct clone_args *a)
{
	struct thread *t = create_thread(process_current(), a);
	int tid;

	if (!t)
		return -EAGAIN;
	if (a->flags & CLONE_CHILD_SETTID) {
		t->entry = child_entry;
		t->entry_arg = (void *)a->child_tid;
	}
	tid = enter_thread(t);
	if (tid < 0) {
		thread_free(t);
		return tid;
	}
	(void)tell_tid(a, tid);
	sched_start(t);
	return tid;
}

static int clone_process(const struct clone_args *a)
{
	struct process *child = NULL;
	struct thread *t;
	int pid = create_child(a->flags, &child);

	if (pid < 0)
		return pid;
	t = create_thread(child, a);
	if (!t) {
		discard(child);
		return -EAGAIN;
	}
	if (a->flags & CLONE_CHILD_SETTID) {
		t->entry = child_entry;
		t->entry_arg = (void *)a->child_tid;
	}
	pid = enter_process(child, t, a);
	if (pid < 0) {
		thread_free(t);
		discard(child);
		return pid;
	}
	process_get(child);
	(void)tell_tid(a, pid);
	sched_start(t);
	if (a->flags & CLONE_VFORK)
		wait_for_vfork(child);
	process_put(child);
	return pid;
}

int process_clone(const struct clone_args *a)
{
	int err = check_flags(a->flags);

	if (!err && a->flags & CLONE_SETTLS && a->tls >= USER_END)
		err = -EPERM;
	if (err)
		return err;
	return a->flags & CLONE_THREAD ? clone_thread(a) : clone_process(a);
}

/* --- the first process ------------------------------------------------- */

static void open_console(void)
{
	struct file *f;

	if (fs_open_kernel("#cons/console", O_RDWR | O_NOCTTY, &f))
		return;
	for (int fd = 0; fd < 3; fd++) {
		file_get(f);
		(void)fd_install(f, fd, false);
	}
	file_put(f);
}

static int exec_init(const char *path)
{
	const char *argv[] = {path, NULL};
	const char *envp[] = {"HOME=/", "TERM=linux", NULL};
	struct exec_args *args;
	struct file *f;
	int err = fs_open_kernel(path, O_RDONLY, &f);

	if (err)
		return err;
	err = exec_args_from_kernel(argv, envp, &args);
	if (!err) {
		err = process_exec(f, path, args);
		exec_args_free(args);
	}
	file_put(f);
	return err;
}

static void first_thread(void *unused)
{
	int err;

	(void)unused;
	open_console();
	err = exec_init("/init");
	if (err)
		panic("/init cannot be run (error %d): is there an initial "
		      "file system?",
			-err);
	thread_enter_user(NULL);
}

void proc_start_init(void)
{
	struct process *p = process_create(NULL);
	struct thread *t;

	if (!p)
		panic("no memory for the first process");
	p->files = fdtable_create();
	p->fs = fs_context_create();
	p->handlers = handlers_create();
	t = thread_create(p, first_thread, NULL);
	if (!p->files || !p->fs || !p->handlers || !t)
		panic("no memory for the first process");
	strlcpy(p->name, "init", sizeof(p->name));
	spin_lock(&process_table_lock);
	p->pid = __pid_alloc();
	__process_set_group(p, p->pid, p->pid);
	__process_insert(p);
	spin_lock(&p->lock);
	t->tid = p->pid;
	__thread_hash(t);
	list_push_back(&p->threads, &t->siblings);
	p->nthreads = 1;
	spin_unlock(&p->lock);
	spin_unlock(&process_table_lock);
	sched_start(t);
}
