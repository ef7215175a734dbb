/* SPDX-License-Identifier: MIT */
/*
 * One-shot kernel timers. Each CPU has a queue of its own, ordered by deadline;
 * a timer fires on the CPU that set it, in the timer interrupt.
 */
#ifndef PROC_TIMER_H
#define PROC_TIMER_H

#include "lib/types.h"
#include "lib/list.h"

struct ktimer {
	struct list link;
	uint64_t deadline;
	void (*fire)(struct ktimer *t); /* interrupts off; may set it again */
	int cpu;                        /* whose queue it is or was in */
};

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *));

/* Start a timer that is not running. Any context. */
void ktimer_set(struct ktimer *t, uint64_t deadline_ns);

/* Stop it; returns when `fire` is not running on any CPU. The caller holds no
 * lock that `fire` takes, and sees to it that nobody sets the timer meanwhile
 * other than `fire` itself. */
void ktimer_cancel(struct ktimer *t);

/* For sched.c: fire what is due on this CPU; the next deadline. Interrupts
 * off. */
void ktimer_run(uint64_t now);
uint64_t ktimer_next(void);
void ktimer_cpu_init(void);

#endif
