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
	/** Magazines hold runs of 1, 2, 4 … 32 pages; as many as come back
	 *  together when a deferred flush has ended. */
	CLASSES = 6,
	ROUNDS = 127,
	/** Runs that move between a magazine and the bitmaps at a time. */
	SHIFT_RUNS = 8,
};

/** A stack of free runs of one size. */
struct magazine {
	unsigned count;
	uint32_t page[ROUNDS];
};

/** What is one CPU's own. Whoever sets busy owns it; nobody waits for it. */
struct lane {
	bool busy; /* A */
	/** Runs ever taken and given back here. */
	unsigned taken, given;
	struct magazine magazine[CLASSES];
} __attribute__((aligned(PAGE_SIZE)));

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
	unsigned chunks;       /* C: that lie inside the domain */
	unsigned hint;         /* lock: chunk at which the next search starts */
	unsigned taken, given; /* lock: as in a lane, for runs without one */
	unsigned cpus;         /* C */
	struct lane *lane;     /* one per CPU */
	iommu_phys_t lanes_phys;
	unsigned lanes_order;
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
/** The same where the caller owns the lane. */
void core_lane_put(struct iova_space *space, struct lane *lane, uint64_t iova,
	unsigned pages);
/** Books a run that is never to be handed out again. */
void core_iova_lose(struct iova_space *space);
/** Runs that are in use. */
unsigned core_iova_live(struct iova_space *space);

/** Makes this CPU's lane the caller's until it leaves. False: somebody is in
 *  it. */
static inline bool core_lane_enter(
	const struct iova_space *space, struct lane **out)
{
	const struct iommu_host *host = &space->iommu->host;
	unsigned cpu = host->cpu_index ? host->cpu_index(host->ctx) : 0;
	struct lane *lane = &space->lane[cpu < space->cpus ? cpu : 0];

	*out = lane;
	return !__atomic_exchange_n(&lane->busy, true, __ATOMIC_ACQUIRE);
}

static inline void core_lane_leave(struct lane *lane)
{
	__atomic_store_n(&lane->busy, false, __ATOMIC_RELEASE);
}

#endif
