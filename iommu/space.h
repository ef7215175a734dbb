/* SPDX-License-Identifier: MIT */
/*
 * A DMA space, as its files share it.
 */
#ifndef CORE_SPACE_H
#define CORE_SPACE_H

#include <iommu/dma.h>
#include "iova.h"

enum {
	DEFER_MAX = 256,
	COPY_BUCKETS = 64,
};

/** A run of addresses that waits for a flush. */
struct deferred_run {
	uint64_t iova;
	uint32_t pages;
};

/** One CPU's deferred unmaps. Whoever sets busy owns them. */
struct deferred {
	bool busy; /* A */
	unsigned count;
	uint64_t since_ns;
	struct iommu_batch batch;
	struct deferred_run run[DEFER_MAX];
};

/** A buffer that goes through pages of its own. */
struct copy {
	struct copy *next;
	uint64_t iova; /* of the page */
	iommu_phys_t original;
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
	iommu_phys_t phys; /* of this struct */
	unsigned order;
	unsigned mapped; /* A: buffers mapped */
	struct iova_space space;
	struct deferred *deferred; /* one per CPU */
	iommu_phys_t deferred_phys;
	unsigned deferred_order;
	struct iommu_lock copy_lock;
	struct copy *copies[COPY_BUCKETS]; /* copy_lock */
	unsigned copy_count;               /* A */
	struct pool copy_pool;
};

/* ---- bounce.c ---- */

/** Gives a buffer pages of its own and fills them if data goes out. NULL: out
 *  of memory. The copy is not found before core_copy_enter(). */
struct copy *core_copy_make(struct iommu_dma *dma, iommu_phys_t original,
	size_t size, unsigned direction);
void core_copy_enter(struct iommu_dma *dma, struct copy *copy, uint64_t iova);
/** Takes the copy of a buffer out, NULL if it has none. */
struct copy *core_copy_leave(struct iommu_dma *dma, uint64_t iova);
/** Gives it back; the unit must have forgotten it. */
void core_copy_free(struct iommu_dma *dma, struct copy *copy);
/** Carries data; from_device or to the device's pages. */
void core_copy_carry(const struct iommu_dma *dma, const struct copy *copy,
	size_t offset, size_t size, bool from_device);

#endif
