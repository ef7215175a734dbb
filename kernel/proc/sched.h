/* SPDX-License-Identifier: MIT */
/* The scheduler, as boot and the interrupt entry see it (see also cpu/trap.h).
 */
#ifndef PROC_SCHED_H
#define PROC_SCHED_H

#include "cpu/time.h"
#include "lib/types.h"

/* How long a thread runs where others wait. */
#define SLICE_NS (8 * NS_PER_MS)

void sched_init(void); /* boot CPU, after heap_init(), before other CPUs */

/* This CPU starts to run threads; interrupts are off when called. */
void sched_start_cpu(void) NORETURN;

void sched_yield(void);

/* Let others run if it is their turn: in long loops without a sleep. */
void sched_breathe(void);

/* Threads ready or running now. */
unsigned sched_runnable(void);

/* The load averages over 1, 5 and 15 minutes, in 1/65536. */
#define LOAD_SHIFT 16
void sched_load(uint32_t out[3]);
void load_init(void); /* boot */

/* What a CPU did since boot; the stretch in progress is not included. */
struct cpu_times {
	uint64_t user_ns, system_ns, idle_ns;
};
struct cpu_times sched_cpu_times(unsigned cpu);

#endif
