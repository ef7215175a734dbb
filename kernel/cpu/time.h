/* SPDX-License-Identifier: MIT */
/* Time: monotonic nanoseconds since boot, the wall clock, one-shot timers. */
#ifndef CPU_TIME_H
#define CPU_TIME_H

#include "lib/types.h"

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

uint64_t time_ns(void);      /* since boot, same on all CPUs, any context */
uint64_t time_wall_ns(void); /* since 1970 */
void time_set_wall_ns(uint64_t ns);

/* Spin; for hardware waits of microseconds. */
void delay_us(unsigned us);

/* Ask for sched_timer() on this CPU at `deadline` (or at once if past);
 * replaces the earlier request. UINT64_MAX: none. Interrupts off. */
void clock_next(uint64_t deadline_ns);

#endif
