/* SPDX-License-Identifier: MIT */
/*
 * Wait queues, mutexes, and waiting for several things.
 *
 * A sleeper lies on the stack of its thread. Whoever wakes it does so under the
 * queue's lock, and the thread takes that lock once more before it goes on, so
 * the sleeper is there as long as anybody looks at it.
 */
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "mem/mem.h"
#include "proc/thread.h"
#include "proc/timer.h"
#include "proc/wait.h"

struct sleeper {
	struct list link;
	struct thread *thread;
	bool woken;
};

struct wait_timer {
	struct ktimer timer;
	struct thread *thread;
};

void waitq_init(struct waitq *q)
{
	spin_init(&q->lock);
	list_init(&q->sleepers);
}

static void wait_timer_fire(struct ktimer *t)
{
	sched_wake(container_of(t, struct wait_timer, timer)->thread);
}

static bool interrupted(struct thread *t, unsigned how)
{
	if (how == WAIT_KILLABLE)
		return __atomic_load_n(&t->killed, __ATOMIC_ACQUIRE);
	return how == WAIT_INTERRUPTIBLE && signal_waiting();
}

/* Enqueued already; returns when there may be a reason to. */
static void sleep_guarded(const struct sleeper *s, struct spinlock *guard,
	struct wait_timer *timer, uint64_t deadline, unsigned how, void *caller)
{
	struct thread *t = s->thread;
	bool go_on;

	interrupts_off();
	/* Whoever makes a reason from here on finds the thread asleep. Who made
	 * one before the guard was taken may have come so late with waking that
	 * he has met it here, awake, and taken it from the queue: nobody would
	 * find it there again. */
	sched_prepare_sleep(t, how);
	spin_unlock(guard);
	go_on = __atomic_load_n(&s->woken, __ATOMIC_ACQUIRE) ||
		interrupted(t, how);
	if (!go_on && deadline != WAIT_FOREVER) {
		go_on = time_ns() >= deadline;
		if (!go_on)
			ktimer_set(&timer->timer, deadline);
	}
	if (go_on) {
		sched_cancel_sleep(t);
	} else {
		if (this_cpu()->off_depth != 1)
			panic("a thread sleeps with a spinlock held, from %p",
				caller);
		schedule();
	}
	interrupts_restore();
}

int wait_on(struct waitq *q, struct spinlock *guard, uint64_t deadline,
	unsigned how)
{
	struct thread *t = thread_current();
	struct sleeper s = {.thread = t};
	struct wait_timer timer = {.thread = t};

	ktimer_init(&timer.timer, wait_timer_fire);
	spin_lock(&q->lock);
	list_push_back(&q->sleepers, &s.link);
	spin_unlock(&q->lock);

	sleep_guarded(
		&s, guard, &timer, deadline, how, __builtin_return_address(0));

	ktimer_cancel(&timer.timer);
	spin_lock(&q->lock);
	list_remove(&s.link);
	spin_unlock(&q->lock);
	spin_lock(guard);
	if (s.woken)
		return 0;
	if (interrupted(t, how))
		return -ERESTARTSYS;
	if (deadline != WAIT_FOREVER && time_ns() >= deadline)
		return -ETIMEDOUT;
	return 0;
}

static void __wake_first(struct waitq *q)
{
	struct sleeper *s = list_first(&q->sleepers, struct sleeper, link);

	list_remove(&s->link);
	__atomic_store_n(&s->woken, true, __ATOMIC_RELEASE);
	sched_wake(s->thread);
}

void wake_one(struct waitq *q)
{
	spin_lock(&q->lock);
	if (!list_empty(&q->sleepers))
		__wake_first(q);
	spin_unlock(&q->lock);
}

void wake_all(struct waitq *q)
{
	spin_lock(&q->lock);
	while (!list_empty(&q->sleepers))
		__wake_first(q);
	spin_unlock(&q->lock);
}

int sleep_until(uint64_t deadline, unsigned how)
{
	struct spinlock guard = SPINLOCK_INIT;
	struct waitq q;
	int err;

	waitq_init(&q);
	spin_lock(&guard);
	do
		err = wait_on(&q, &guard, deadline, how);
	while (!err);
	spin_unlock(&guard);
	return err == -ETIMEDOUT ? 0 : err;
}

uint64_t syscall_deadline(uint64_t ns)
{
	struct thread *t = thread_current();
	uint64_t now = time_ns();

	if (t->restarted && t->deadline_valid)
		return t->call_deadline;
	t->call_deadline = ns > UINT64_MAX - now ? WAIT_FOREVER : now + ns;
	t->deadline_valid = true;
	return t->call_deadline;
}

/* --- mutexes ----------------------------------------------------------- */

void mutex_init(struct mutex *m)
{
	spin_init(&m->lock);
	m->owner = NULL;
	waitq_init(&m->waiters);
}

/* Before the scheduler starts there is only one who could own one. */
static struct thread *self(void)
{
	struct thread *t = thread_current();

	return t ? t : (struct thread *)1;
}

void mutex_lock(struct mutex *m)
{
	struct thread *me = self();

	spin_lock(&m->lock);
	if (m->owner == me)
		panic("mutex %p taken twice from %p", (void *)m,
			__builtin_return_address(0));
	while (m->owner)
		wait_on(&m->waiters, &m->lock, WAIT_FOREVER,
			WAIT_UNINTERRUPTIBLE);
	m->owner = me;
	spin_unlock(&m->lock);
}

bool mutex_try(struct mutex *m)
{
	bool mine;

	spin_lock(&m->lock);
	mine = !m->owner;
	if (mine)
		m->owner = self();
	spin_unlock(&m->lock);
	return mine;
}

void mutex_unlock(struct mutex *m)
{
	spin_lock(&m->lock);
	if (m->owner != self())
		panic("mutex %p released by a stranger, from %p", (void *)m,
			__builtin_return_address(0));
	m->owner = NULL;
	if (!list_empty(&m->waiters.sleepers))
		wake_one(&m->waiters);
	spin_unlock(&m->lock);
}

bool mutex_held(const struct mutex *m)
{
	return m->owner == self();
}

/* --- pollers ----------------------------------------------------------- */

/* Guards the entries of all sources and pollers, and poller.woken. */
static struct spinlock poll_lock = SPINLOCK_INIT;

void poll_source_init(struct poll_source *s)
{
	list_init(&s->entries);
}

/* A poll entry is in two lists: its source's, and its poller's. */
struct poll_link {
	struct poll_entry entry; /* in source->entries */
	struct list mine;        /* in poller->entries */
};

void poll_register(struct poller *p, struct poll_source *s)
{
	struct poll_link *l;

	if (!p || p->failed)
		return;
	l = kmalloc(sizeof(*l));
	if (!l) {
		p->failed = true;
		return;
	}
	l->entry.poller = p;
	l->entry.source = s;
	spin_lock(&poll_lock);
	list_push_back(&s->entries, &l->entry.link);
	list_push_back(&p->entries, &l->mine);
	spin_unlock(&poll_lock);
	/* The caller looks at the state next; poll_wake() looks at the list
	 * after the state has changed. One of them sees the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void __poller_wake(struct poller *p)
{
	p->woken = true;
	wake_all(&p->queue);
}

void poll_wake(struct poll_source *s)
{
	struct poll_entry *e, *above;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (list_empty(&s->entries))
		return;
	spin_lock(&poll_lock);
	list_for_each (e, &s->entries, link) {
		__poller_wake(e->poller);
		if (e->poller->above)
			list_for_each (above, &e->poller->above->entries, link)
				__poller_wake(above->poller);
	}
	spin_unlock(&poll_lock);
}

void poll_source_gone(struct poll_source *s)
{
	spin_lock(&poll_lock);
	while (!list_empty(&s->entries))
		list_remove(s->entries.next);
	spin_unlock(&poll_lock);
}

void poller_init(struct poller *p)
{
	waitq_init(&p->queue);
	p->woken = p->failed = false;
	p->above = NULL;
	list_init(&p->entries);
}

int poller_wait(struct poller *p, uint64_t deadline)
{
	int err = 0;

	spin_lock(&poll_lock);
	while (!p->woken && !err)
		err = wait_on(
			&p->queue, &poll_lock, deadline, WAIT_INTERRUPTIBLE);
	if (p->woken)
		err = 0;
	p->woken = false;
	spin_unlock(&poll_lock);
	return err;
}

bool poller_woken(struct poller *p)
{
	bool woken;

	spin_lock(&poll_lock);
	woken = p->woken;
	p->woken = false;
	spin_unlock(&poll_lock);
	return woken;
}

void poller_done(struct poller *p)
{
	for (;;) {
		struct poll_link *l = NULL;

		spin_lock(&poll_lock);
		if (!list_empty(&p->entries)) {
			l = list_first(&p->entries, struct poll_link, mine);
			list_remove(&l->mine);
			list_remove(&l->entry.link);
		}
		spin_unlock(&poll_lock);
		if (!l)
			return;
		kfree(l);
	}
}
