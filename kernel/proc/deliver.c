/* SPDX-License-Identifier: MIT */
/*
 * The way out to user mode, where a thread ends, stops, gives way, and starts
 * the handlers of its signals; and exceptions of programs, which become
 * signals.
 */
#include "cpu/cpu.h"
#include "cpu/trap.h"
#include "lib/errno.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "proc/exit.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define SYSCALL_INSTRUCTION_SIZE 2

/* Codes of SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP. */
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRALN 1
#define BUS_ADRERR 2
#define FPE_INTDIV 1
#define FPE_FLTINV 7
#define ILL_ILLOPN 2
#define TRAP_BRKPT 1
#define TRAP_TRACE 2

/* --- stopping ---------------------------------------------------------- */

/* The default action of a stop signal just taken. SIGCONT, or death, may have
 * come since: then stop_pending is gone. */
static void stop_process(struct process *p, int signo)
{
	struct thread *t;
	bool stopped;

	if (signo != SIGSTOP && process_group_orphaned(p->pgid))
		return;
	spin_lock(&process_table_lock);
	spin_lock(&p->lock);
	stopped = p->stop_pending && !p->exiting && !p->stopped;
	p->stop_pending = false;
	if (stopped) {
		__process_set_stopped(p, true);
		p->stop_signo = signo;
		list_for_each (t, &p->threads, siblings)
			sched_interrupt(t, false);
	}
	spin_unlock(&p->lock);
	if (stopped)
		__tell_parent(p, CLD_STOPPED, signo);
	spin_unlock(&process_table_lock);
}

static void stay_stopped(struct thread *t)
{
	struct process *p = t->process;

	spin_lock(&p->lock);
	while (p->stopped && !t->killed)
		wait_on(&p->stop_event, &p->lock, WAIT_FOREVER, WAIT_KILLABLE);
	spin_unlock(&p->lock);
}

/* --- signals ----------------------------------------------------------- */

/* Make the interrupted call happen again when the thread goes on. */
static void rewind_call(struct thread *t, struct trap_frame *f)
{
	f->rax = f->error; /* its number, see cpu/trap.h */
	f->rip -= SYSCALL_INSTRUCTION_SIZE;
	t->restartable = false;
}

static void enter_handler(struct thread *t, struct trap_frame *f, int signo,
	const struct signal_info *info, const struct signal_action *a)
{
	uint64_t mask = t->restore_mask ? t->saved_mask : t->blocked;

	if (t->restartable) {
		if (a->flags & SA_RESTART && !t->never_after_handler)
			rewind_call(t, f);
		else
			f->rax = -EINTR;
		t->restartable = false;
	}
	if (!signal_frame_push(f, signo, info, a, mask)) {
		/* No stack to run it on: nothing can save this program. */
		t->blocked |= SIGNAL_BIT(SIGSEGV);
		signal_fault(SIGSEGV, SI_KERNEL, f->rsp);
		return;
	}
	t->restore_mask = false;
	mask = t->blocked | a->mask;
	if (!(a->flags & SA_NODEFER))
		mask |= SIGNAL_BIT(signo);
	signal_set_mask(mask);
	if (a->flags & SA_RESETHAND) {
		spin_lock(&t->process->handlers->lock);
		t->process->handlers->actions[signo - 1].handler = SIG_DFL;
		spin_unlock(&t->process->handlers->lock);
	}
}

/* True: a handler will run. */
static bool handle_signal(struct thread *t, struct trap_frame *f, int signo,
	const struct signal_info *info)
{
	struct process *p = t->process;
	struct signal_action a = handlers_action(p->handlers, signo);

	if (a.handler == SIG_IGN)
		return false;
	if (a.handler != SIG_DFL) {
		enter_handler(t, f, signo, info, &a);
		return true;
	}
	if (SIGNAL_BIT(signo) & SIGNALS_STOP) {
		if (p->pid != 1)
			stop_process(p, signo);
	} else if (!(SIGNAL_BIT(signo) & SIGNALS_IGNORED) && p->pid != 1) {
		/* It was blocked when it was sent. */
		spin_lock(&p->lock);
		__process_kill(p, signo, NULL);
		spin_unlock(&p->lock);
	}
	return false;
}

/* Nothing is left that a handler runs for. */
static void settle_call(struct thread *t, struct trap_frame *f)
{
	if (t->restartable) {
		rewind_call(t, f);
		t->restart_next = true;
	}
	if (t->restore_mask) {
		t->restore_mask = false;
		signal_set_mask(t->saved_mask);
	}
}

static bool has_work(const struct thread *t)
{
	return signal_waiting() || t->restartable || t->restore_mask;
}

static void work(struct thread *t, struct trap_frame *f)
{
	struct signal_info info;
	int signo;

	if (t->killed)
		thread_exit();
	if (t->process->stopped) {
		stay_stopped(t);
		return;
	}
	signo = signal_take(~t->blocked, &info);
	if (signo)
		handle_signal(t, f, signo, &info);
	else if (!t->killed && !t->process->stopped)
		settle_call(t, f);
}

void proc_return_to_user(struct trap_frame *f)
{
	struct thread *t = thread_current();

	t->frame = f;
	for (;;) {
		while (has_work(t))
			work(t, f);
		__asm__ volatile("cli" ::: "memory");
		if (!this_cpu()->need_resched && !has_work(t))
			break;
		__asm__ volatile("sti" ::: "memory");
		if (this_cpu()->need_resched)
			schedule();
	}
	time_leave_kernel(t);
}

/* --- exceptions -------------------------------------------------------- */

static void page_fault(struct thread *t, struct trap_frame *f, uint64_t addr)
{
	int err;

	/* Asked again, for the reason; and by now it may be well. */
	do
		err = space_fault(t->space, addr, f->error);
	while (err == -ENOMEM && oom_relieve());
	switch (err) {
	case 0:
		break;
	case -EACCES:
		signal_fault(SIGSEGV, SEGV_ACCERR, addr);
		break;
	case -ENOMEM:
		if (t->killed)
			break; /* its own end makes the room */
			       /* fall through */
	case -ENXIO:
		signal_fault(SIGBUS, BUS_ADRERR, addr);
		break;
	default:
		signal_fault(SIGSEGV, SEGV_MAPERR, addr);
	}
}

void proc_user_exception(struct trap_frame *f, uint64_t addr)
{
	static const struct {
		uint8_t signo, code;
	} signals[32] = {
		[0] = {SIGFPE, FPE_INTDIV},
		[1] = {SIGTRAP, TRAP_TRACE},
		[3] = {SIGTRAP, TRAP_BRKPT},
		[6] = {SIGILL, ILL_ILLOPN},
		[7] = {SIGILL, ILL_ILLOPN},
		[11] = {SIGBUS, BUS_ADRERR},
		[12] = {SIGBUS, BUS_ADRERR},
		[16] = {SIGFPE, FPE_FLTINV},
		[17] = {SIGBUS, BUS_ADRALN},
		[19] = {SIGFPE, FPE_FLTINV},
	};
	struct thread *t = thread_current();

	time_enter_kernel(t);
	t->frame = f;
	if (f->vector == 14)
		page_fault(t, f, addr);
	else if (f->vector < 32 && signals[f->vector].signo)
		signal_fault(signals[f->vector].signo, signals[f->vector].code,
			f->rip);
	else /* general protection and what else only a kernel can explain */
		signal_fault(SIGSEGV, SI_KERNEL, 0);
}
