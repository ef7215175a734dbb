/* SPDX-License-Identifier: MIT */
/*
 * The allocator of I/O virtual addresses behind the DMA interface.
 */
#ifndef CORE_IOVA_H
#define CORE_IOVA_H

#include "internal.h"

enum {
	/** A chunk is what one bitmap page describes: 2^15 pages, 128 MiB. */
	CHUNK_SHIFT = 15,
	CHUNK_PAGES = 1 << CHUNK_SHIFT,
	CHUNK_WORDS = CHUNK_PAGES / 64,
	/** 512 GiB in all, so that every unit can use them. */
	CHUNKS = 4096,
	/** Magazines hold runs of 1, 2, 4 … 32 pages. */
	CLASSES = 6,
	ROUNDS = 32,
};

/** A stack of free runs of one size. */
struct magazine {
	unsigned count;
	uint32_t page[ROUNDS];
};

/** One CPU's magazines. Whoever sets busy owns them; nobody waits for it. */
struct iova_cache {
	bool busy; /* A */
	struct magazine magazine[CLASSES];
};

struct iova_chunk {
	word64 *bits; /* a set bit is a page in use */
	iommu_phys_t phys;
	unsigned free;
	unsigned hint; /* word at which the next search starts */
};

struct iova_space {
	struct iommu *iommu;
	struct iommu_lock lock;
	struct iova_chunk *chunk; /* lock; CHUNKS of them */
	iommu_phys_t chunk_phys;
	unsigned chunk_order;
	unsigned chunks; /* C: that lie inside the domain */
	unsigned hint;   /* lock: chunk at which the next search starts */
	unsigned cpus;   /* C */
	struct iova_cache *cache; /* one per CPU */
	iommu_phys_t cache_phys;
	unsigned cache_order;
};

enum iommu_status core_iova_make(
	struct iova_space *space, struct iommu *iommu, uint64_t last);
void core_iova_free_all(struct iova_space *space);
/** Takes pages out of use for good. */
enum iommu_status core_iova_reserve(
	struct iova_space *space, uint64_t first, uint64_t last);
/** A run of pages below mask; 0 if there is none. Takes the space's lock only
 *  when the CPU's magazine is empty. */
uint64_t core_iova_get(struct iova_space *space, unsigned pages, uint64_t mask);
void core_iova_put(struct iova_space *space, uint64_t iova, unsigned pages);

#endif
