/* SPDX-License-Identifier: MIT */
/*
 * The allocator of I/O virtual addresses behind the DMA interface. What each
 * mapping needs is here, to be inlined; the rest is in iova.c, which explains.
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
	bool busy;             /* A */
	unsigned live;         /* runs taken here, less those in use no more */
	struct deferred *ring; /* NULL in strict mode */
	struct magazine magazine[CLASSES];
} __attribute__((aligned(PAGE_SIZE)));

struct iova_chunk {
	word64 *bits; /* a set bit is a page in use */
	iommu_phys_t phys;
	unsigned free;
	unsigned hint; /* no word before it has a free page */
};

struct iova_space {
	struct iommu *iommu;
	struct iommu_lock lock;
	struct iova_chunk *chunk; /* lock; CHUNKS of them */
	iommu_phys_t chunk_phys;
	unsigned chunk_order;
	unsigned chunks;   /* C: that lie inside the domain */
	unsigned hint;     /* lock: chunk at which the next search starts */
	unsigned live;     /* lock: as in a lane, for runs without one */
	unsigned cpus;     /* C: 0 until there are lanes */
	struct lane *lane; /* one per CPU */
	iommu_phys_t lanes_phys;
	unsigned lanes_order;
};

/** If it fails core_iova_free_all() follows, too. */
enum iommu_status core_iova_make(
	struct iova_space *space, struct iommu *iommu, uint64_t last);
void core_iova_free_all(struct iova_space *space);
/** Takes pages out of use for good. */
enum iommu_status core_iova_reserve(
	struct iova_space *space, uint64_t first, uint64_t last);
/** Books a run that is never to be handed out again. */
void core_iova_lose(struct iova_space *space);
/** Runs that are in use, while nobody takes or ends one. */
unsigned core_iova_live(struct iova_space *space);

/** core_iova_get() where the CPU's magazine has none. */
uint64_t core_iova_get_slowly(
	struct iova_space *space, unsigned pages, uint64_t mask);
/** core_lane_put() where there is no room, or core_iova_put() without a lane.
 */
void core_iova_put_slowly(struct iova_space *space, struct lane *lane,
	uint32_t page, unsigned pages);

/** The smallest n with 2^n >= pages. */
static inline unsigned class_of(unsigned pages)
{
	return 31u - (unsigned)__builtin_clz(2 * pages - 1);
}

/** The lane of the CPU that runs: of another one if the number is stale. */
static inline struct lane *core_lane_here(const struct iova_space *space)
{
	const struct iommu_host *host = &space->iommu->host;
	unsigned cpu = host->cpu_index ? host->cpu_index(host->ctx) : 0;

	return &space->lane[cpu < space->cpus ? cpu : 0];
}

/** Makes a lane the caller's until it leaves. False: somebody is in it. */
static inline bool core_lane_enter(struct lane *lane)
{
	return !__atomic_exchange_n(&lane->busy, true, __ATOMIC_ACQUIRE);
}

static inline void core_lane_leave(struct lane *lane)
{
	__atomic_store_n(&lane->busy, false, __ATOMIC_RELEASE);
}

/** The newest run of a magazine; 0 if there is none below mask. */
static inline uint64_t magazine_pop(
	struct lane *lane, unsigned class, unsigned pages, uint64_t mask)
{
	struct magazine *magazine = &lane->magazine[class];
	unsigned count = magazine->count;
	uint64_t iova;

	if (!count)
		return 0;
	iova = (uint64_t)magazine->page[count - 1] << PAGE_SHIFT;
	if (iova + ((uint64_t)pages << PAGE_SHIFT) - 1 > mask)
		return 0;
	magazine->count = count - 1;
	lane->live++;
	return iova;
}

/** A run of pages below mask; 0 if there is none. */
static inline uint64_t core_iova_get(
	struct iova_space *space, unsigned pages, uint64_t mask)
{
	struct lane *lane = core_lane_here(space);
	unsigned class = class_of(pages);
	uint64_t iova;

	if (class >= CLASSES || !core_lane_enter(lane))
		return core_iova_get_slowly(space, pages, mask);
	iova = magazine_pop(lane, class, pages, mask);
	core_lane_leave(lane);
	return iova ? iova : core_iova_get_slowly(space, pages, mask);
}

/** Frees a run that is in use no more, from its first page on; the caller owns
 *  the lane. */
static inline void core_lane_put(struct iova_space *space, struct lane *lane,
	uint32_t page, unsigned pages)
{
	unsigned class = class_of(pages);
	struct magazine *magazine = &lane->magazine[class];

	if (class >= CLASSES || magazine->count == ROUNDS) {
		core_iova_put_slowly(space, lane, page, pages);
		return;
	}
	magazine->page[magazine->count++] = page;
}

static inline void core_iova_put(
	struct iova_space *space, uint64_t iova, unsigned pages)
{
	uint32_t page = (uint32_t)(iova >> PAGE_SHIFT);
	struct lane *lane = core_lane_here(space);

	if (!core_lane_enter(lane)) {
		core_iova_put_slowly(space, NULL, page, pages);
		return;
	}
	lane->live--;
	core_lane_put(space, lane, page, pages);
	core_lane_leave(lane);
}

#endif
