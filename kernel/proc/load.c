/* SPDX-License-Identifier: MIT */
/*
 * The load average: how many threads were ready or running, as three averages
 * that forget exponentially, in 1, 5 and 15 minutes. A timer looks every five
 * seconds.
 */
#include "cpu/time.h"
#include "proc/sched.h"
#include "proc/timer.h"

#define PERIOD_NS (5 * NS_PER_S)

/* exp(-5 s / 1, 5, 15 min) in 1/65536. */
static const uint32_t keep[3] = {60296, 64453, 65173};
static uint32_t averages[3]; /* in 1/65536; written by the timer alone */
static struct ktimer timer;

static void look(struct ktimer *t)
{
	uint64_t now = (uint64_t)sched_runnable() << LOAD_SHIFT;

	for (int i = 0; i < 3; i++)
		averages[i] = (averages[i] * (uint64_t)keep[i] +
				      now * ((1u << LOAD_SHIFT) - keep[i])) >>
			LOAD_SHIFT;
	ktimer_set(t, t->deadline + PERIOD_NS);
}

void load_init(void)
{
	ktimer_init(&timer, look);
	ktimer_set(&timer, time_ns() + PERIOD_NS);
}

void sched_load(uint32_t out[3])
{
	for (int i = 0; i < 3; i++)
		out[i] = averages[i];
}
