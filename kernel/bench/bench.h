/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks inside the kernel: what one operation of the I/O MMU library costs
 * in time, doorbells and descriptors. They are linked only into the image of
 * `make bench` and run when "#bench/run" is read.
 *
 * A case is prepared once, then measured in rounds, of which the first only
 * warms up. A round does its operations between bench_start() and bench_stop(),
 * for one or two rows of the table; interrupts are off between the two. On
 * two CPUs each has a struct bench of its own, with its own device and domain.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "lib/types.h"
#include "host/host.h"

#define BENCH_ROWS 2
#define BENCH_ROUNDS 63

struct iommu_dma;
struct text;

/* What lay between start and stop, summed up over a round. */
struct bench_meter {
	uint64_t ticks, operations, doorbells, descriptors;
};

struct bench {
	unsigned cpu;
	struct iommu_device_id device;
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	void *own;           /* of the case */
	unsigned scale;      /* see bench_times() */
	uint64_t iova, phys; /* free to be mapped; there is no memory at phys */
	uint64_t began;
	struct iommu_stats before;
	struct bench_meter meter[BENCH_ROWS];
	unsigned meetings; /* run.c */
};

struct bench_case {
	const char *row[BENCH_ROWS]; /* by meter; a case may have only one */
	bool two_cpus;               /* measured on two CPUs at once as well */
	enum iommu_status (*prepare)(struct bench *b); /* may be NULL */
	enum iommu_status (*round)(struct bench *b);
	enum iommu_status (*finish)(struct bench *b); /* also after a failed
							 prepare; may be NULL */
};

/* Groups, each ended by a case without a round. */
extern const struct bench_case bench_map[];
extern const struct bench_case bench_dma[];
extern const struct bench_case bench_iova[];
extern const struct bench_case bench_device[];

/* What lies between the two is for meter number `row`. CPUs that measure the
 * same case start together. */
void bench_start(struct bench *b);
void bench_stop(struct bench *b, unsigned row, unsigned operations);

/* How many operations a round is to have that has `most` where instructions are
 * counted. By the clock it has fewer, and there are more rounds: a host takes
 * the CPU away every few milliseconds, and some rounds are to escape that. */
static inline unsigned bench_times(const struct bench *b, unsigned most)
{
	return most / b->scale;
}

/* A mapped domain with the device in it, and the end of both. */
enum iommu_status bench_attached(struct bench *b);
enum iommu_status bench_detached(struct bench *b);

/* What start and stop themselves cost; before anything is measured. Returns the
 * ticks of a loop of `*out_instructions` instructions: the same number where
 * the counter counts instructions. */
uint64_t bench_calibrate(uint64_t *out_instructions);

/* Wait until all CPUs that measure are here. */
void bench_meet(struct bench *b);

void bench_init(void);

/* Every case, a line for each row (see run.c). */
void bench_run(struct text *t);

#endif
