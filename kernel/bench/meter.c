/* SPDX-License-Identifier: MIT */
/*
 * The measuring itself. The clock is the time-stamp counter. In QEMU under
 * `-icount shift=0` virtual time passes by one nanosecond for each instruction
 * executed, and the counter has that unit, so that a difference of two readings
 * is the number of instructions between them, exact and the same in every run.
 */
#include "bench/bench.h"
#include "cpu/io.h"
#include "lib/lock.h"

#define LOOP_TURNS 100000

static uint64_t overhead; /* of a start and stop with nothing in between */

static void read_stats(struct iommu_stats *out)
{
	struct iommu_stats one;

	*out = (struct iommu_stats){0};
	for (unsigned i = 0; i < iommu_unit_count(host_iommu); i++) {
		if (iommu_unit_stats(host_iommu, i, &one) != IOMMU_OK)
			continue;
		out->doorbells += one.doorbells;
		out->descriptors += one.descriptors;
	}
}

static void start(struct bench *b)
{
	read_stats(&b->before);
	interrupts_off();
	b->began = read_tsc();
}

static void stop(struct bench *b, struct bench_meter *m, unsigned operations)
{
	uint64_t ticks = read_tsc() - b->began;
	struct iommu_stats after;

	interrupts_restore();
	read_stats(&after);
	m->ticks += ticks - MIN(ticks, overhead);
	m->operations += operations;
	m->doorbells += after.doorbells - b->before.doorbells;
	m->descriptors += after.descriptors - b->before.descriptors;
}

void bench_start(struct bench *b)
{
	bench_meet(b);
	start(b);
}

void bench_stop(struct bench *b, unsigned row, unsigned operations)
{
	stop(b, &b->meter[row], operations);
}

/* A register of its own and two instructions a turn. */
static void known_loop(uint32_t turns)
{
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(turns)::"cc");
}

static uint64_t least_of(struct bench *b, uint32_t turns)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 16; i++) {
		struct bench_meter m = {0};

		start(b);
		known_loop(turns);
		stop(b, &m, 1);
		least = MIN(least, m.ticks);
	}
	return least;
}

/* The overhead is that of one turn, less its two instructions: a CPU on which
 * the counter counts something else is hardly faster without them. */
uint64_t bench_calibrate(uint64_t *out_instructions)
{
	struct bench b = {0};

	overhead = 0;
	overhead = least_of(&b, 1);
	overhead -= MIN(overhead, 2);
	*out_instructions = 2 * LOOP_TURNS;
	return least_of(&b, LOOP_TURNS);
}
