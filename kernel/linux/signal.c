/* SPDX-License-Identifier: MIT */
/* Signals: dispositions, masks, sending, waiting for them. */
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define SIGSET_SIZE 8

/* --- dispositions and masks -------------------------------------------- */

/* An action that ignores: what is pending of it is forgotten. */
static void __forget_ignored(struct process *p, int signo, uint64_t handler)
{
	struct thread *t;

	if (handler != SIG_IGN &&
		(handler != SIG_DFL || !(SIGNAL_BIT(signo) & SIGNALS_IGNORED)))
		return;
	p->pending.set &= ~SIGNAL_BIT(signo);
	list_for_each (t, &p->threads, siblings)
		t->pending.set &= ~SIGNAL_BIT(signo);
}

SYSCALL(rt_sigaction)
{
	struct process *p = process_current();
	struct signal_action new, old;
	int signo = (int)arg[0];

	if (arg[3] != SIGSET_SIZE || signo < 1 || signo > SIGNAL_COUNT)
		return -EINVAL;
	if (arg[1]) {
		if (SIGNAL_BIT(signo) & SIGNALS_UNBLOCKABLE)
			return -EINVAL;
		if (copy_from_user(&new, arg[1], sizeof(new)))
			return -EFAULT;
		new.mask &= ~SIGNALS_UNBLOCKABLE;
	}
	spin_lock(&p->lock);
	spin_lock(&p->handlers->lock);
	old = p->handlers->actions[signo - 1];
	if (arg[1]) {
		p->handlers->actions[signo - 1] = new;
		__forget_ignored(p, signo, new.handler);
	}
	spin_unlock(&p->handlers->lock);
	spin_unlock(&p->lock);
	if (arg[2] && copy_to_user(arg[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

SYSCALL(rt_sigprocmask)
{
	struct thread *t = thread_current();
	uint64_t set, old = t->blocked;

	if (arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (arg[1]) {
		if (copy_from_user(&set, arg[1], sizeof(set)))
			return -EFAULT;
		switch ((int)arg[0]) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_mask(set);
	}
	if (arg[2] && copy_to_user(arg[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

SYSCALL(rt_sigpending)
{
	struct thread *t = thread_current();
	uint64_t set = (t->pending.set | t->process->pending.set) & t->blocked;

	if (arg[1] > SIGSET_SIZE)
		return -EINVAL;
	return copy_to_user(arg[0], &set, arg[1]);
}

#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM (1u << 31)

SYSCALL(sigaltstack)
{
	struct thread *t = thread_current();
	struct altstack new, old = t->altstack;
	uint64_t sp = t->frame->rsp;
	bool inside = !(old.flags & SS_AUTODISARM) && sp > old.base &&
		sp - old.base <= old.size;

	old.flags |= inside ? SS_ONSTACK : old.size ? 0 : SS_DISABLE;
	if (arg[0]) {
		if (copy_from_user(&new, arg[0], sizeof(new)))
			return -EFAULT;
		if (inside)
			return -EPERM;
		if (new.flags & ~(SS_AUTODISARM | SS_DISABLE | SS_ONSTACK))
			return -EINVAL;
		if (new.flags & SS_DISABLE)
			memset(&new, 0, sizeof(new));
		else if (new.size < 2048)
			return -ENOMEM;
		else if (new.base > USER_END || new.size > USER_END - new.base)
			return -EFAULT;
		new.flags &= SS_AUTODISARM;
		t->altstack = new;
	}
	if (arg[1] && copy_to_user(arg[1], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

SYSCALL(rt_sigreturn)
{
	struct thread *t = thread_current();

	(void)arg;
	if (!signal_frame_pop(t->frame))
		signal_fault(SIGSEGV, SI_KERNEL, t->frame->rsp);
	return (long)t->frame->rax;
}

/* --- sending ----------------------------------------------------------- */

static struct signal_info from_user(int signo, int code)
{
	return (struct signal_info){
		.signo = signo, .code = code, .pid = process_current()->pid};
}

static bool wanted(const struct process *p, int pid)
{
	if (pid > 0)
		return p->pid == pid;
	if (pid == 0)
		return p->pgid == process_current()->pgid;
	if (pid == -1) /* all but the first and the caller */
		return p->pid != 1 && p != process_current();
	return p->pgid == -pid;
}

SYSCALL(kill)
{
	int pid = (int)arg[0], signo = (int)arg[1];
	struct signal_info info = from_user(signo, SI_USER);
	struct process *p;
	long result = -ESRCH;

	if (signo < 0 || signo > SIGNAL_COUNT)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	spin_lock(&process_table_lock);
	list_for_each (p, &process_table, table) {
		if (!wanted(p, pid))
			continue;
		result = 0;
		if (signo)
			__signal_send(p, NULL, signo, &info);
	}
	spin_unlock(&process_table_lock);
	return result;
}

static long send_to_thread(
	int tgid, int tid, int signo, const struct signal_info *info)
{
	struct thread *t;
	long result = -ESRCH;

	if (tid <= 0 || signo < 0 || signo > SIGNAL_COUNT)
		return -EINVAL;
	spin_lock(&process_table_lock);
	t = __thread_find(tid);
	if (t && (!tgid || t->process->pid == tgid)) {
		result = 0;
		if (signo)
			__signal_send(t->process, t, signo, info);
	}
	spin_unlock(&process_table_lock);
	return result;
}

SYSCALL(tkill)
{
	struct signal_info info = from_user((int)arg[1], SI_TKILL);

	return send_to_thread(0, (int)arg[0], (int)arg[1], &info);
}

SYSCALL(tgkill)
{
	struct signal_info info = from_user((int)arg[2], SI_TKILL);

	if ((int)arg[0] <= 0)
		return -EINVAL;
	return send_to_thread((int)arg[0], (int)arg[1], (int)arg[2], &info);
}

SYSCALL(rt_sigqueueinfo)
{
	int signo = (int)arg[1];
	struct signal_info info = {.signo = signo};
	uint8_t raw[128];
	struct process *p;
	int err;

	if (copy_from_user(raw, arg[2], sizeof(raw)))
		return -EFAULT;
	memcpy(&info.code, raw + 8, 4);
	memcpy(&info.pid, raw + 16, 4);
	memcpy(&info.value, raw + 24, 8);
	if (info.code >= 0 && (int)arg[0] != process_current()->pid)
		return -EPERM; /* a lie about who sent it */
	if (signo < 0 || signo > SIGNAL_COUNT)
		return -EINVAL;
	p = process_find((int)arg[0]);
	if (!p)
		return -ESRCH;
	err = signo ? signal_process(p, signo, &info) : 0;
	process_put(p);
	return err;
}

/* --- waiting ----------------------------------------------------------- */

SYSCALL(pause)
{
	(void)arg;
	return sleep_until(WAIT_FOREVER, WAIT_INTERRUPTIBLE);
}

SYSCALL(rt_sigsuspend)
{
	uint64_t mask;

	if (arg[1] != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(&mask, arg[0], sizeof(mask)))
		return -EFAULT;
	signal_mask_for_call(mask);
	return sleep_until(WAIT_FOREVER, WAIT_INTERRUPTIBLE);
}

static void set_sigwait(struct thread *t, uint64_t set)
{
	spin_lock(&t->process->lock);
	t->sigwait = set;
	spin_unlock(&t->process->lock);
}

SYSCALL(rt_sigtimedwait)
{
	struct thread *t = thread_current();
	uint64_t set, ns, deadline = WAIT_FOREVER;
	struct signal_info info;
	uint8_t raw[128];
	long err;
	int signo;

	if (arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, arg[0], sizeof(set)))
		return -EFAULT;
	set &= ~SIGNALS_UNBLOCKABLE;
	if (arg[2]) {
		err = copy_time_from_user(&ns, arg[2]);
		if (err)
			return err;
		deadline = syscall_deadline(ns);
	}
	set_sigwait(t, set);
	signo = signal_take(set, &info);
	err = 0;
	if (!signo) {
		err = sleep_until(deadline, WAIT_INTERRUPTIBLE);
		signo = signal_take(set, &info);
	}
	set_sigwait(t, 0);
	if (!signo)
		return err ? err : -EAGAIN;
	signal_info_encode(&info, raw);
	if (arg[1] && copy_to_user(arg[1], raw, sizeof(raw)))
		return -EFAULT;
	return signo;
}
