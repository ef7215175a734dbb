/* SPDX-License-Identifier: MIT */
/*
 * One-shot kernel timers, a queue per CPU.
 *
 * A queue's lock is not held while a timer fires, so that `fire` may take any
 * spinlock; `running` tells ktimer_cancel() what to wait for.
 */
#include "proc/timer.h"
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "lib/lock.h"

struct timer_queue {
	struct spinlock lock;
	struct list timers; /* by deadline */
	struct ktimer *running;
};

static struct timer_queue queues[MAX_CPUS];

void sched_timer_changed(uint64_t deadline); /* sched.c */

void ktimer_cpu_init(void)
{
	struct timer_queue *q = &queues[this_cpu()->id];

	spin_init(&q->lock);
	list_init(&q->timers);
}

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *))
{
	list_init(&t->link);
	t->deadline = UINT64_MAX;
	t->fire = fire;
	t->cpu = -1;
}

void ktimer_set(struct ktimer *t, uint64_t deadline_ns)
{
	struct timer_queue *q;
	struct list *at;

	interrupts_off();
	q = &queues[this_cpu()->id];
	spin_lock(&q->lock);
	t->deadline = deadline_ns;
	__atomic_store_n(&t->cpu, (int)this_cpu()->id, __ATOMIC_RELEASE);
	/* From the back: most deadlines are later than those waiting. */
	for (at = q->timers.prev; at != &q->timers; at = at->prev)
		if (list_entry(at, struct ktimer, link)->deadline <=
			deadline_ns)
			break;
	list_insert_after(at, &t->link);
	spin_unlock(&q->lock);
	sched_timer_changed(deadline_ns);
	interrupts_restore();
}

/* One try; false: the timer fires right now, or moved to another CPU. */
static bool try_cancel(struct ktimer *t)
{
	int cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
	bool done;

	if (cpu < 0)
		return true;
	spin_lock(&queues[cpu].lock);
	done = t->cpu == cpu && queues[cpu].running != t;
	if (done)
		list_remove(&t->link);
	spin_unlock(&queues[cpu].lock);
	return done;
}

void ktimer_cancel(struct ktimer *t)
{
	while (!try_cancel(t))
		cpu_relax();
}

void ktimer_run(uint64_t now)
{
	struct timer_queue *q = &queues[this_cpu()->id];
	struct ktimer *t;

	spin_lock(&q->lock);
	while (!list_empty(&q->timers)) {
		t = list_first(&q->timers, struct ktimer, link);
		if (t->deadline > now)
			break;
		list_remove(&t->link);
		q->running = t;
		spin_unlock(&q->lock);
		t->fire(t);
		spin_lock(&q->lock);
		q->running = NULL;
	}
	spin_unlock(&q->lock);
}

uint64_t ktimer_next(void)
{
	struct timer_queue *q = &queues[this_cpu()->id];
	uint64_t next = UINT64_MAX;

	spin_lock(&q->lock);
	if (!list_empty(&q->timers))
		next = list_first(&q->timers, struct ktimer, link)->deadline;
	spin_unlock(&q->lock);
	return next;
}
