/* SPDX-License-Identifier: MIT */
/* The allocator of I/O virtual addresses by itself. It is not part of the
 * library's interface; a benchmark may look behind it. */
#include "bench/bench.h"
#include "iommu/iova.h"
#include "mem/mem.h"

#define PAIRS 4096
#define LAST ((1ull << 39) - 1)

/* One page taken and given back: the magazines. */
static enum iommu_status hot(struct bench *b)
{
	struct iova_space *space = b->own;
	unsigned count = bench_times(b, PAIRS);
	uint64_t at = 1;

	bench_start(b);
	for (unsigned i = 0; i < count && at; i++) {
		at = core_iova_get(space, 1, UINT64_MAX);
		core_iova_put(space, at, 1);
	}
	bench_stop(b, 0, count);
	return at ? IOMMU_OK : IOMMU_WIDTH;
}

static enum iommu_status prepare(struct bench *b)
{
	b->own = kzalloc(sizeof(struct iova_space));
	return b->own ? core_iova_make(b->own, host_iommu, LAST)
		      : IOMMU_NO_MEMORY;
}

static enum iommu_status finish(struct bench *b)
{
	struct iova_space *space = b->own;

	if (space && space->iommu)
		core_iova_free_all(space);
	kfree(space);
	b->own = NULL;
	return IOMMU_OK;
}

const struct bench_case bench_iova[] = {
	{{"iova-pair"}, true, prepare, hot, finish},
	{.round = NULL},
};
