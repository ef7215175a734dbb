/* SPDX-License-Identifier: MIT */
/* The DMA interface: a buffer mapped and taken back, alone and in lists. */
#include <iommu/dma.h>
#include "bench/bench.h"
#include "mem/mem.h"

#define PIECES 256
#define PAIRS 4096
#define LISTS 64

struct list_of_pieces {
	struct iommu_dma_piece piece[PIECES];
	struct iommu_dma_range range[PIECES];
};

static enum iommu_status prepare(struct bench *b, bool deferred)
{
	struct iommu_dma_config config = {.deferred = deferred};
	enum iommu_status st = bench_attached(b);

	return st == IOMMU_OK ? iommu_dma_create(b->domain, &config, &b->dma)
			      : st;
}

static enum iommu_status strict(struct bench *b)
{
	return prepare(b, false);
}

static enum iommu_status deferred(struct bench *b)
{
	return prepare(b, true);
}

static enum iommu_status finish(struct bench *b)
{
	enum iommu_status st = iommu_dma_destroy(b->dma), end;

	b->dma = NULL;
	end = bench_detached(b);
	return st == IOMMU_OK ? end : st;
}

static enum iommu_status pairs(struct bench *b)
{
	unsigned count = bench_times(b, PAIRS);
	enum iommu_status st = IOMMU_OK;
	iommu_iova_t at;

	bench_start(b);
	for (unsigned i = 0; i < count && st == IOMMU_OK; i++) {
		st = iommu_dma_map(b->dma, iommu_phys(b->phys), PAGE_SIZE,
			UINT64_MAX, IOMMU_BOTH_WAYS, &at);
		if (st == IOMMU_OK)
			st = iommu_dma_unmap(
				b->dma, at, PAGE_SIZE, IOMMU_BOTH_WAYS);
	}
	bench_stop(b, 0, count);
	return st;
}

/* No two pages of the list adjoin. */
static enum iommu_status strict_list(struct bench *b)
{
	struct list_of_pieces *list = kzalloc(sizeof(*list));

	b->own = list;
	if (!list)
		return IOMMU_NO_MEMORY;
	for (unsigned i = 0; i < PIECES; i++)
		list->piece[i] = (struct iommu_dma_piece){
			iommu_phys(b->phys + 2 * i * PAGE_SIZE), PAGE_SIZE};
	return strict(b);
}

static enum iommu_status finish_list(struct bench *b)
{
	kfree(b->own);
	b->own = NULL;
	return finish(b);
}

static enum iommu_status lists(struct bench *b)
{
	struct list_of_pieces *list = b->own;
	enum iommu_status st = IOMMU_OK;
	unsigned times = bench_times(b, LISTS), count;

	for (unsigned i = 0; i < times && st == IOMMU_OK; i++) {
		bench_start(b);
		st = iommu_dma_map_list(b->dma, list->piece, PIECES, UINT64_MAX,
			IOMMU_FROM_DEVICE, list->range, &count);
		bench_stop(b, 0, 1);
		if (st != IOMMU_OK)
			break;
		bench_start(b);
		st = iommu_dma_unmap_list(
			b->dma, list->range, count, IOMMU_FROM_DEVICE);
		bench_stop(b, 1, 1);
	}
	return st;
}

const struct bench_case bench_dma[] = {
	{{"dma-pair-strict"}, true, strict, pairs, finish},
	{{"dma-pair-deferred"}, true, deferred, pairs, finish},
	{{"dma-map-list-256", "dma-unmap-list-256"}, false, strict_list, lists,
		finish_list},
	{.round = NULL},
};
