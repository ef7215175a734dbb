/* SPDX-License-Identifier: MIT */
/*
 * A DMA space, as its files share it.
 */
#ifndef CORE_SPACE_H
#define CORE_SPACE_H

#include <iommu/dma.h>
#include "backend.h"
#include "iova.h"

enum {
	DEFER_MAX = 256,
	/** Room for those of a flush under way and those that wait for the
	 *  next. */
	DEFER_RING = 2 * DEFER_MAX,
	COPY_BUCKETS = 64,
};

/** A run of addresses that was unmapped and is not free again. */
struct deferred_run {
	void *cookie;
	uint32_t page;
	uint16_t pages; /* 0: lost, never free again */
	bool tell;      /* the host waits for the cookie */
};

/**
 * One CPU's deferred unmaps, owned with its lane. Positions in the ring only
 * grow: head <= confirmed <= asked <= tail.
 */
struct deferred {
	unsigned head;      /* oldest run */
	unsigned confirmed; /* runs before it were flushed */
	unsigned asked;     /* runs before it are in the flush under way */
	unsigned tail;
	bool overdue;      /* A: somebody else found the lane busy */
	uint64_t since_ns; /* when the run at `asked` came */
	struct flush flush;
	struct iommu_batch batch; /* of the runs from asked on */
	iommu_phys_t phys;        /* of this struct */
	struct deferred_run run[DEFER_RING];
};

enum {
	RING_ORDER = 2,
};
_Static_assert(sizeof(struct deferred) <= PAGE_SIZE << RING_ORDER, "its pages");

/** A buffer that goes through pages of its own. */
struct copy {
	struct copy *next;
	uint64_t iova; /* of the page */
	iommu_phys_t original;
	size_t before; /* on the first page */
	size_t size;
	void *pages;
	iommu_phys_t pages_phys;
	unsigned order;
	unsigned direction;
};

struct iommu_dma {
	struct iommu *iommu;
	struct iommu_domain *domain;
	struct iommu_dma_config config;
	bool plain;              /* C: neither identity nor copies */
	unsigned defer_soon;     /* C: unmaps that have a flush asked for */
	iommu_phys_t phys;       /* of this struct */
	struct iova_space space; /* empty in an identity domain, but counts */
	struct iommu_lock copy_lock;
	struct copy *copies[COPY_BUCKETS]; /* copy_lock */
	unsigned copy_count;               /* A */
	struct pool copy_pool;
};

static inline unsigned pages_of(uint64_t at, size_t size)
{
	return (unsigned)(((at & (PAGE_SIZE - 1)) + size + PAGE_SIZE - 1) >>
		PAGE_SHIFT);
}

static inline uint64_t page_of(uint64_t at)
{
	return at & ~(uint64_t)(PAGE_SIZE - 1);
}

static inline bool is_identity(const struct iommu_dma *dma)
{
	return dma->domain->kind == IOMMU_DOMAIN_IDENTITY;
}

/** Addresses taken for a buffer of so many pages. */
static inline unsigned reach(const struct iommu_dma *dma, unsigned pages)
{
	return pages + dma->config.guard;
}

enum {
	LARGEST_REQUEST = CHUNK_PAGES / 2 * PAGE_SIZE,
};

static inline bool is_request(
	uint64_t at, size_t size, enum iommu_direction direction)
{
	return size - 1 < LARGEST_REQUEST && at + size > at &&
		(unsigned)direction - 1 < IOMMU_BOTH_WAYS;
}

/** Whether the hardware may still reach what a call with this status left. */
static inline bool is_unsettled(enum iommu_status status)
{
	return status == IOMMU_UNCONFIRMED || status == IOMMU_UNIT_LOST;
}

/* ---- dma.c ---- */

/** Gives the addresses of so many pages back after a call that ended so: what a
 * device may still reach keeps its address for good. Returns the status. */
enum iommu_status core_dma_give(struct iommu_dma *dma, uint64_t page,
	unsigned pages, enum iommu_status status);

/** Takes addresses and maps the pages of a buffer at them. */
enum iommu_status core_dma_map_pages(struct iommu_dma *dma, uint64_t phys,
	size_t size, uint64_t mask, unsigned rights, iommu_iova_t *out);
/** Unmaps so many pages and frees their addresses after the flush, now or
 *  later. tell: the host is told of the cookie then. */
enum iommu_status core_dma_unmap(struct iommu_dma *dma, uint64_t page,
	unsigned pages, bool tell, void *cookie);
enum iommu_status core_dma_unmap_now(struct iommu_dma *dma, uint64_t page,
	unsigned pages, bool tell, void *cookie);

/* ---- deferred.c ---- */

/** Makes the rings; core_defer_end() follows if it fails, too. */
enum iommu_status core_defer_make(struct iommu_dma *dma);
void core_defer_end(struct iommu_dma *dma);
/** core_dma_unmap() in deferred mode. */
enum iommu_status core_defer(struct iommu_dma *dma, uint64_t page,
	unsigned pages, bool tell, void *cookie);

/* ---- bounce.c ---- */

/** core_dma_map_pages() of a copy of the buffer. */
enum iommu_status core_copy_map(struct iommu_dma *dma, uint64_t phys,
	size_t size, uint64_t mask, unsigned direction, iommu_iova_t *out);
/** Unmaps the copy of the buffer at a page and carries home what the device
 *  wrote. False: it has none. */
bool core_copy_unmap(
	struct iommu_dma *dma, uint64_t page, enum iommu_status *out_status);

#endif
