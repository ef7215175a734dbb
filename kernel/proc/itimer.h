/* SPDX-License-Identifier: MIT */
/* Timers of processes: alarm(2), setitimer(2), timer_create(2). */
#ifndef PROC_ITIMER_H
#define PROC_ITIMER_H

#include "lib/types.h"

struct process;

/* Nanoseconds; value 0: off. */
struct timer_setting {
	uint64_t value, interval;
};

#define TIMER_REAL (-1) /* alarm and ITIMER_REAL */

/* How a timer tells: signo 0: not at all. tid 0: the process. */
struct timer_notice {
	int signo, tid;
	uint64_t value;
};

/* All act on the running process. timer_create gives the id or -errno. */
int itimer_create(const struct timer_notice *n);
int itimer_delete(int id);
/* `absolute`: value is a time_ns(). The old setting in *old unless NULL. */
int itimer_set(int id, const struct timer_setting *s, bool absolute,
	struct timer_setting *old);
int itimer_get(int id, struct timer_setting *out);
int itimer_overruns(int id);

/* Exec and exit. */
void itimers_free_created(struct process *p);
void itimers_free(struct process *p);

#endif
