/* SPDX-License-Identifier: MIT */
/*
 * Signals: dispositions, sending, masks, taking. What happens to a signal that
 * a thread has taken is in deliver.c.
 *
 * A signal that would end its receiver by default does so when it is sent: all
 * threads are marked killed, and none of them sees the signal itself.
 */
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

/* Raised by the program's own doing: first to be delivered. */
#define SIGNALS_SYNCHRONOUS                                              \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | \
		SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))

/* --- dispositions ------------------------------------------------------ */

struct signal_handlers *handlers_create(void)
{
	struct signal_handlers *h = kzalloc(sizeof(*h));

	if (h)
		h->refs = 1;
	return h;
}

struct signal_handlers *handlers_copy(struct signal_handlers *h)
{
	struct signal_handlers *copy = handlers_create();

	if (!copy)
		return NULL;
	spin_lock(&h->lock);
	memcpy(copy->actions, h->actions, sizeof(h->actions));
	spin_unlock(&h->lock);
	return copy;
}

void handlers_get(struct signal_handlers *h)
{
	__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
}

void handlers_put(struct signal_handlers *h)
{
	if (h && !__atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL))
		kfree(h);
}

void handlers_reset(struct signal_handlers *h)
{
	spin_lock(&h->lock);
	for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
		uint64_t handler = h->actions[i].handler;

		memset(&h->actions[i], 0, sizeof(h->actions[i]));
		if (handler == SIG_IGN)
			h->actions[i].handler = SIG_IGN;
	}
	spin_unlock(&h->lock);
}

struct signal_action handlers_action(struct signal_handlers *h, int signo)
{
	struct signal_action a;

	spin_lock(&h->lock);
	a = h->actions[signo - 1];
	spin_unlock(&h->lock);
	return a;
}

static void set_default(struct signal_handlers *h, int signo)
{
	spin_lock(&h->lock);
	h->actions[signo - 1].handler = SIG_DFL;
	spin_unlock(&h->lock);
}

/* --- pending ----------------------------------------------------------- */

static void pending_add(
	struct signal_pending *s, int signo, const struct signal_info *info)
{
	if (s->set & SIGNAL_BIT(signo))
		return;
	s->set |= SIGNAL_BIT(signo);
	if (info)
		s->info[signo - 1] = *info;
	else
		s->info[signo - 1] = (struct signal_info){.code = SI_KERNEL};
	s->info[signo - 1].signo = signo;
}

/* From all threads of p and p itself; p->lock held. */
static void __pending_clear(struct process *p, uint64_t set)
{
	struct thread *t;

	p->pending.set &= ~set;
	list_for_each (t, &p->threads, siblings)
		t->pending.set &= ~set;
}

static int pending_pop(
	struct signal_pending *s, uint64_t want, struct signal_info *out)
{
	uint64_t set = s->set & want;
	int signo;

	if (!set)
		return 0;
	if (set & SIGNALS_SYNCHRONOUS)
		set &= SIGNALS_SYNCHRONOUS;
	signo = __builtin_ctzll(set) + 1;
	s->set &= ~SIGNAL_BIT(signo);
	*out = s->info[signo - 1];
	return signo;
}

int signal_take(uint64_t want, struct signal_info *out)
{
	struct thread *t = thread_current();
	struct process *p = t->process;
	int signo;

	spin_lock(&p->lock);
	signo = pending_pop(&t->pending, want, out);
	if (!signo)
		signo = pending_pop(&p->pending, want, out);
	if (signo && SIGNAL_BIT(signo) & SIGNALS_STOP)
		p->stop_pending = true;
	spin_unlock(&p->lock);
	return signo;
}

bool signal_waiting(void)
{
	struct thread *t = thread_current();
	struct process *p = t->process;
	uint64_t set;

	if (!p)
		return false;
	set = __atomic_load_n(&t->pending.set, __ATOMIC_ACQUIRE) |
		__atomic_load_n(&p->pending.set, __ATOMIC_ACQUIRE);
	return set & (~t->blocked | t->sigwait) ||
		__atomic_load_n(&t->killed, __ATOMIC_ACQUIRE) ||
		__atomic_load_n(&p->stopped, __ATOMIC_ACQUIRE);
}

/* --- sending ----------------------------------------------------------- */

void __process_kill(struct process *p, int status, struct thread *except)
{
	struct thread *t;

	if (!p->exiting) {
		p->exiting = true;
		p->exit_status = status;
	}
	__process_set_stopped(p, false);
	wake_all(&p->stop_event);
	list_for_each (t, &p->threads, siblings) {
		if (t == except)
			continue;
		t->killed = true;
		sched_interrupt(t, true);
	}
}

static bool takes(const struct thread *t, int signo)
{
	return !((t->blocked | t->sigwait) & SIGNAL_BIT(signo));
}

/* A thread that would act on the signal now; NULL: all block it. */
static struct thread *__receiver(struct process *p, struct thread *t, int signo)
{
	struct thread *other;

	if (t)
		return takes(t, signo) ? t : NULL;
	list_for_each (other, &p->threads, siblings)
		if (takes(other, signo))
			return other;
	return NULL;
}

static bool ignored(
	const struct process *p, const struct signal_action *a, int signo)
{
	if (a->handler != SIG_DFL)
		return a->handler == SIG_IGN;
	/* The first process only gets what it has a handler for. */
	return p->pid == 1 || SIGNAL_BIT(signo) & SIGNALS_IGNORED;
}

/* The default action of a fatal signal, which needs no thread to take it; but
 * what is stopped dies when it is continued, except of SIGKILL. */
static bool kills_now(
	const struct process *p, const struct signal_action *a, int signo)
{
	return a->handler == SIG_DFL && !(SIGNAL_BIT(signo) & SIGNALS_STOP) &&
		(signo == SIGKILL || !p->stopped);
}

static void __wake_waiters(struct process *p, struct thread *t, int signo)
{
	struct thread *other;

	if (t) {
		sched_interrupt(t, false);
		return;
	}
	list_for_each (other, &p->threads, siblings)
		if (!(other->blocked & SIGNAL_BIT(signo)) ||
			other->sigwait & SIGNAL_BIT(signo))
			sched_interrupt(other, false);
}

/* Job control acts at once, whatever becomes of the signal. True: the process
 * was continued. */
static bool __job_control(struct process *p, int signo)
{
	bool continued;

	if (SIGNAL_BIT(signo) & SIGNALS_STOP)
		__pending_clear(p, SIGNAL_BIT(SIGCONT));
	if (signo != SIGCONT)
		return false;
	__pending_clear(p, SIGNALS_STOP);
	p->stop_pending = false;
	continued = p->stopped;
	__process_set_stopped(p, false);
	wake_all(&p->stop_event);
	return continued;
}

void __signal_send(struct process *p, struct thread *t, int signo,
	const struct signal_info *info)
{
	struct signal_action action;
	struct thread *receiver;
	bool continued = false;

	spin_lock(&p->lock);
	if (list_empty(&p->threads) || p->exiting)
		goto out;
	action = handlers_action(p->handlers, signo);
	receiver = __receiver(p, t, signo);
	if (p->pid == 1 && SIGNAL_BIT(signo) & SIGNALS_UNBLOCKABLE)
		goto out;
	continued = __job_control(p, signo);
	if (receiver && ignored(p, &action, signo))
		goto out;
	if (receiver && kills_now(p, &action, signo)) {
		__process_kill(p, signo, NULL);
		goto out;
	}
	pending_add(t ? &t->pending : &p->pending, signo, info);
	__wake_waiters(p, t, signo);
out:
	spin_unlock(&p->lock);
	if (continued)
		__tell_parent(p, CLD_CONTINUED, SIGCONT);
}

int signal_process(struct process *p, int signo, const struct signal_info *info)
{
	if (signo < 1 || signo > SIGNAL_COUNT)
		return -EINVAL;
	spin_lock(&process_table_lock);
	__signal_send(p, NULL, signo, info);
	spin_unlock(&process_table_lock);
	return 0;
}

int signal_group(int pgid, int signo)
{
	struct process *p;
	int err = -ESRCH;

	if (signo < 1 || signo > SIGNAL_COUNT)
		return -EINVAL;
	spin_lock(&process_table_lock);
	list_for_each (p, &process_table, table)
		if (p->pgid == pgid && !p->zombie) {
			__signal_send(p, NULL, signo, NULL);
			err = 0;
		}
	spin_unlock(&process_table_lock);
	return err;
}

/* --- the running thread ------------------------------------------------ */

static const char *fault_name(int signo)
{
	switch (signo) {
	case SIGSEGV:
		return "segmentation fault";
	case SIGBUS:
		return "bus error";
	case SIGILL:
		return "illegal instruction";
	case SIGFPE:
		return "arithmetic error";
	default:
		return "trap";
	}
}

static void report_fault(struct thread *t, int signo, uint64_t addr)
{
	struct trap_frame *f = t->frame;

	if (f)
		kprintf("%s[%d]: %s at 0x%llx ip 0x%llx sp 0x%llx\n",
			t->process->name, t->process->pid, fault_name(signo),
			(unsigned long long)addr, (unsigned long long)f->rip,
			(unsigned long long)f->rsp);
}

void signal_fault(int signo, int code, uint64_t addr)
{
	struct thread *t = thread_current();
	struct process *p = t->process;
	struct signal_info info = {.signo = signo, .code = code, .addr = addr};
	struct signal_action a;
	bool fatal;

	spin_lock(&p->lock);
	a = handlers_action(p->handlers, signo);
	fatal = a.handler <= SIG_IGN || t->blocked & SIGNAL_BIT(signo);
	if (fatal) {
		set_default(p->handlers, signo);
		t->blocked &= ~SIGNAL_BIT(signo);
		fatal = !p->exiting;
		__process_kill(p, signo, NULL);
	} else {
		pending_add(&t->pending, signo, &info);
	}
	spin_unlock(&p->lock);
	if (fatal)
		report_fault(t, signo, addr);
}

bool signal_ignored_or_blocked(int signo)
{
	struct thread *t = thread_current();

	return t->blocked & SIGNAL_BIT(signo) ||
		handlers_action(t->process->handlers, signo).handler == SIG_IGN;
}

void signal_set_mask(uint64_t mask)
{
	struct thread *t = thread_current();

	spin_lock(&t->process->lock);
	t->blocked = mask & ~SIGNALS_UNBLOCKABLE;
	spin_unlock(&t->process->lock);
}

void signal_mask_for_call(uint64_t mask)
{
	struct thread *t = thread_current();

	if (!t->restore_mask) {
		t->saved_mask = t->blocked;
		t->restore_mask = true;
	}
	signal_set_mask(mask);
}
