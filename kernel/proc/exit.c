/* SPDX-License-Identifier: MIT */
/*
 * The end of threads and processes, and how parents hear of it.
 *
 * A thread leaves its process first; the last one takes the process apart in
 * this order: timers, address space (devices go with it), files, terminal; then
 * children find a new parent and the process becomes a zombie. So whoever has
 * waited for a process can rely on its resources being free.
 */
#include "cpu/cpu.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/tty.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/exec.h"
#include "proc/exit.h"
#include "proc/futex.h"
#include "proc/handlers.h"
#include "proc/itimer.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

enum {
	EVENT_STOPPED = 1,
	EVENT_CONTINUED = 2
};

/* --- telling parents --------------------------------------------------- */

static struct signal_info child_info(struct process *p, int code, int status)
{
	return (struct signal_info){.signo = SIGCHLD,
		.code = code,
		.pid = p->pid,
		.status = status};
}

void __tell_parent(struct process *p, int code, int status)
{
	struct process *parent = p->parent;
	struct signal_info info = child_info(p, code, status);
	struct signal_action a;

	if (!parent)
		return;
	p->wait_events = code == CLD_STOPPED ? EVENT_STOPPED : EVENT_CONTINUED;
	a = handlers_action(parent->handlers, SIGCHLD);
	if (!(a.flags & SA_NOCLDSTOP))
		__signal_send(parent, NULL, SIGCHLD, &info);
	wake_all(&parent->child_event);
}

void __vfork_release(struct process *child)
{
	if (!child->vfork_parent)
		return;
	wake_all(&child->vfork_parent->vfork_event);
	child->vfork_parent = NULL;
}

static int exit_code_of(int status, int *out_value)
{
	*out_value = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
	return status & 0x7f ? CLD_KILLED : CLD_EXITED;
}

/* A zombie is shown to its parent, or goes at once if nobody will ask. */
static void __announce(struct process *p)
{
	struct process *parent = p->parent;
	struct signal_action a = handlers_action(parent->handlers, SIGCHLD);
	bool unwanted = p->exit_signal == SIGCHLD &&
		(a.handler == SIG_IGN || a.flags & SA_NOCLDWAIT);
	struct signal_info info;
	int value, code = exit_code_of(p->exit_status, &value);

	info = child_info(p, code, value);
	if (p->exit_signal)
		__signal_send(parent, NULL, p->exit_signal, &info);
	/* To the front: who waits for any child finds it at once. */
	list_remove(&p->sibling);
	list_push_front(&parent->children, &p->sibling);
	wake_all(&parent->child_event);
	if (unwanted)
		__process_remove(p);
}

/* --- the end ----------------------------------------------------------- */

static void __continue_group(int pgid)
{
	struct process *p;
	bool stopped = false;

	list_for_each (p, &process_table, table)
		stopped |= p->pgid == pgid && p->stopped;
	if (!stopped)
		return;
	list_for_each (p, &process_table, table) {
		if (p->pgid != pgid)
			continue;
		__signal_send(p, NULL, SIGHUP, NULL);
		__signal_send(p, NULL, SIGCONT, NULL);
	}
}

/* Stopped groups that lose with `p` the last one who could continue them. */
static void __orphan_groups(struct process *p)
{
	struct process *child;

	if (!stopped_processes) /* nearly always */
		return;
	if (__has_job_control(p) && __group_orphaned(p->pgid, p))
		__continue_group(p->pgid);
	list_for_each (child, &p->children, sibling)
		if (__has_job_control(child) &&
			__group_orphaned(child->pgid, p))
			__continue_group(child->pgid);
}

static void __give_children_away(struct process *p)
{
	struct process *init = __process_find(1), *child, *next;

	list_for_each_safe (child, next, &p->children, sibling) {
		list_remove(&child->sibling);
		list_push_back(&init->children, &child->sibling);
		child->parent = init;
		child->exit_signal = SIGCHLD;
		if (child->zombie)
			__announce(child);
	}
}

static void become_zombie(struct process *p)
{
	spin_lock(&process_table_lock);
	__vfork_release(p);
	__orphan_groups(p);
	__give_children_away(p);
	p->tty = NULL;
	p->zombie = true;
	__announce(p);
	spin_unlock(&process_table_lock);
}

static void end_of_the_first(int status)
{
	kprintf("The first process has ended (%s %d). Powering off.\n",
		status & 0x7f ? "signal" : "exit status",
		status & 0x7f ? status & 0x7f : status >> 8);
	machine_power_off();
}

/* The last thread of p is leaving; nobody else runs in it any more. */
static void dismantle(struct process *p)
{
	struct space *space;
	struct fdtable *files;
	struct fs_context *fs;
	struct inode *program;
	struct tty *tty;

	if (p->pid == 1)
		end_of_the_first(p->exit_status);
	itimers_free(p);
	spin_lock(&p->lock);
	space = p->space;
	files = p->files;
	fs = p->fs;
	program = p->program;
	p->space = NULL;
	p->program = NULL;
	p->files = NULL;
	p->fs = NULL;
	spin_unlock(&p->lock);
	space_put(space);
	fdtable_put(files);
	fs_context_put(fs);
	program_put(program);

	spin_lock(&process_table_lock);
	tty = p->sid == p->pid ? p->tty : NULL;
	spin_unlock(&process_table_lock);
	if (tty)
		tty_session_gone(tty, p->sid);
	become_zombie(p);
}

void __thread_detach(struct thread *t)
{
	list_remove(&t->siblings);
	list_remove(&t->hash);
	if (t->tid != t->process->pid)
		__pid_put(t->tid);
	t->process->nthreads--;
	wake_all(&t->process->thread_event);
}

void thread_exit(void)
{
	struct thread *t = thread_current();
	struct process *p = t->process;
	bool last;

	if (t->clear_tid && !user_store32(t->clear_tid, 0))
		futex_wake(t->clear_tid, true, 1, UINT32_MAX);
	/* From here on the thread does not need the space, which another one
	 * may be the last to leave. */
	interrupts_off();
	t->space = NULL;
	space_switch(NULL);
	interrupts_restore();

	spin_lock(&process_table_lock);
	spin_lock(&p->lock);
	__thread_detach(t);
	last = !p->nthreads;
	if (last)
		p->exiting = true;
	spin_unlock(&p->lock);
	spin_unlock(&process_table_lock);
	if (last)
		dismantle(p);
	sched_thread_exit();
}

void process_exit(int status)
{
	struct thread *t = thread_current();

	spin_lock(&t->process->lock);
	__process_kill(t->process, status, t);
	spin_unlock(&t->process->lock);
	thread_exit();
}

/* --- waiting ----------------------------------------------------------- */

static bool matches(const struct process *child, const struct wait_request *r)
{
	return r->who == WAIT_ANY || child->pgid == r->id;
}

static void __reap(struct process *p, struct process *child, bool keep,
	struct wait_result *out)
{
	process_times(child, &out->user_ns, &out->system_ns);
	out->status = child->exit_status;
	out->code = exit_code_of(child->exit_status, &out->value);
	if (keep)
		return;
	p->child_user_ns += out->user_ns + child->child_user_ns;
	p->child_system_ns += out->system_ns + child->child_system_ns;
	__process_remove(child);
}

/* Is there something about this child that was asked for? */
static bool __look_at(struct process *p, struct process *child,
	const struct wait_request *r, struct wait_result *out)
{
	bool keep = r->options & WNOWAIT;

	out->pid = child->pid;
	if (child->zombie) {
		if (!(r->options & WEXITED))
			return false;
		__reap(p, child, keep, out);
		return true;
	}
	if (child->wait_events == EVENT_STOPPED && r->options & WUNTRACED) {
		out->code = CLD_STOPPED;
		out->value = child->stop_signo;
		out->status = child->stop_signo << 8 | 0x7f;
	} else if (child->wait_events == EVENT_CONTINUED &&
		r->options & WCONTINUED) {
		out->code = CLD_CONTINUED;
		out->value = SIGCONT;
		out->status = 0xffff;
	} else {
		return false;
	}
	if (!keep)
		child->wait_events = 0;
	return true;
}

/* 1: found, 0: none yet, -ECHILD. */
static int __search(struct process *p, const struct wait_request *r,
	struct wait_result *out)
{
	struct process *child;
	int result = -ECHILD;

	if (r->who == WAIT_PID) {
		child = __process_find(r->id);
		if (!child || child->parent != p)
			return -ECHILD;
		return __look_at(p, child, r, out);
	}
	list_for_each (child, &p->children, sibling) {
		if (!matches(child, r))
			continue;
		if (__look_at(p, child, r, out))
			return 1;
		result = 0;
	}
	return result;
}

int process_wait(const struct wait_request *r, struct wait_result *out)
{
	struct process *p = process_current();
	int err = 0, found;

	*out = (struct wait_result){0};
	spin_lock(&process_table_lock);
	for (;;) {
		found = __search(p, r, out);
		if (found)
			break;
		out->pid = 0;
		if (r->options & WNOHANG || err)
			break;
		err = wait_on(&p->child_event, &process_table_lock,
			WAIT_FOREVER, WAIT_INTERRUPTIBLE);
	}
	spin_unlock(&process_table_lock);
	if (found < 0)
		return found;
	return found ? 0 : err;
}
