/* SPDX-License-Identifier: MIT */
/*
 * I/O virtual addresses: bitmaps in chunks of 128 MiB, and per-CPU magazines in
 * front of them.
 *
 * Runs of up to 32 pages are rounded up to a power of two and travel through
 * the magazines of the CPU's lane: a get or put there is a handful of
 * instructions without a lock. A CPU that finds its lane busy (an interrupt in
 * between, or a stale CPU number) goes to the bitmap instead of waiting. A
 * magazine is filled and emptied by a few runs at a time.
 */
#include "iova.h"

static unsigned rounded(unsigned pages)
{
	return pages <= 64 ? 1u << class_of(pages) : pages;
}

/* ---- bitmaps; the lock is held ---- */

static bool __chunk_make(struct iova_space *space, struct iova_chunk *chunk)
{
	if (chunk->bits)
		return true;
	chunk->bits = core_pages(space->iommu, 0, &chunk->phys);
	chunk->free = CHUNK_PAGES;
	return chunk->bits != NULL;
}

/** Marks pages as used or free; those that are already do not count. Within a
 *  word they are all the one or all the other. */
static void __mark(
	struct iova_chunk *chunk, unsigned page, unsigned pages, bool used)
{
	unsigned count;

	for (; pages; page += count, pages -= count) {
		word64 *word = &chunk->bits[page / 64];
		unsigned at = page % 64;
		uint64_t bits;

		count = pages < 64 - at ? pages : 64 - at;
		bits = ~0ull >> (64 - count) << at;
		if (!(*word & bits) == used) {
			*word ^= bits;
			chunk->free += used ? -count : count;
		}
	}
}

/** A run of at most 64 pages, a power of two, aligned to its size, inside one
 *  word. Returns the page in the word or 64. */
static inline unsigned __find_in_word(uint64_t used, unsigned pages)
{
	static const uint64_t aligned[] = {~0ull, 0x5555555555555555,
		0x1111111111111111, 0x0101010101010101, 0x0001000100010001,
		0x0000000100000001, 1};
	uint64_t free = ~used;

	/* A bit stays if as many as `length` from it on are free. */
	for (unsigned length = 1; length < pages; length *= 2)
		free &= free >> length;
	free &= aligned[class_of(pages)];
	return free ? (unsigned)__builtin_ctzll(free) : 64;
}

/** Runs of more than 64 pages start at a word. */
static bool __find(struct iova_chunk *chunk, unsigned pages, unsigned *out)
{
	unsigned words = (pages + 63) / 64, empty = 0, n, at;

	while (chunk->hint < CHUNK_WORDS && chunk->bits[chunk->hint] == ~0ull)
		chunk->hint++;
	for (n = chunk->hint; n < CHUNK_WORDS; n++) {
		uint64_t used = chunk->bits[n];

		empty = used ? 0 : empty + 1;
		if (words == 1)
			at = __find_in_word(used, pages);
		else
			at = empty < words ? 64 : 0;
		if (at < 64) {
			*out = (n + 1 - words) * 64 + at;
			return true;
		}
	}
	return false;
}

/** Page number of a fresh run, 0: none. */
static uint32_t __take(struct iova_space *space, unsigned pages, uint64_t mask)
{
	uint64_t limit = (mask >> PAGE_SHIFT) + 1;
	unsigned chunks =
		(unsigned)core_min(space->chunks, limit >> CHUNK_SHIFT);
	unsigned page;

	for (unsigned n = 0; n < chunks; n++) {
		unsigned number = (space->hint + n) % chunks;
		struct iova_chunk *chunk = &space->chunk[number];

		if (!__chunk_make(space, chunk))
			return 0;
		if (chunk->free < pages || !__find(chunk, pages, &page))
			continue;
		__mark(chunk, page, pages, true);
		space->hint = number;
		return number << CHUNK_SHIFT | page;
	}
	return 0;
}

static void __give(struct iova_space *space, uint32_t page, unsigned pages)
{
	unsigned number = page >> CHUNK_SHIFT;
	struct iova_chunk *chunk = &space->chunk[number];

	page &= CHUNK_PAGES - 1;
	__mark(chunk, page, pages, false);
	/* Low addresses again and again need fewer tables. */
	chunk->hint = (unsigned)core_min(chunk->hint, page / 64);
	space->hint = (unsigned)core_min(space->hint, number);
}

/* ---- runs ---- */

/** Fills the magazine of an owned lane. */
static void refill(struct iova_space *space, struct lane *lane, unsigned class)
{
	struct magazine *magazine = &lane->magazine[class];
	unsigned long state = core_lock(space->iommu, &space->lock);

	while (magazine->count < SHIFT_RUNS) {
		uint32_t page = __take(space, 1u << class, ~0ull);

		if (!page)
			break;
		magazine->page[magazine->count++] = page;
	}
	core_unlock(space->iommu, &space->lock, state);
}

uint64_t core_iova_get_slowly(
	struct iova_space *space, unsigned pages, uint64_t mask)
{
	unsigned class = class_of(pages);
	struct lane *lane = core_lane_here(space);
	uint64_t iova = 0;
	unsigned long state;

	if (class < CLASSES && core_lane_enter(lane)) {
		if (!lane->magazine[class].count)
			refill(space, lane, class);
		iova = magazine_pop(lane, class, pages, mask);
		core_lane_leave(lane);
	}
	if (iova)
		return iova;
	state = core_lock(space->iommu, &space->lock);
	iova = (uint64_t)__take(space, rounded(pages), mask) << PAGE_SHIFT;
	space->live += !!iova;
	core_unlock(space->iommu, &space->lock, state);
	return iova;
}

void core_iova_put_slowly(struct iova_space *space, struct lane *lane,
	uint32_t page, unsigned pages)
{
	unsigned class = class_of(pages);
	unsigned long state = core_lock(space->iommu, &space->lock);

	__give(space, page, rounded(pages));
	space->live -= !lane;
	if (lane && class < CLASSES) {
		struct magazine *full = &lane->magazine[class];

		while (full->count > ROUNDS - SHIFT_RUNS)
			__give(space, full->page[--full->count], 1u << class);
	}
	core_unlock(space->iommu, &space->lock, state);
}

void core_iova_lose(struct iova_space *space)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	space->live--;
	core_unlock(space->iommu, &space->lock, state);
}

unsigned core_iova_live(struct iova_space *space)
{
	unsigned live = space->live;

	for (unsigned n = 0; n < space->cpus; n++)
		live += space->lane[n].live;
	return live;
}

/* ---- life ---- */

enum iommu_status core_iova_reserve(
	struct iova_space *space, uint64_t first, uint64_t last)
{
	uint64_t page = first >> PAGE_SHIFT, end = last >> PAGE_SHIFT;
	unsigned long state = core_lock(space->iommu, &space->lock);
	bool made = true;

	for (; made && page <= end && page >> CHUNK_SHIFT < space->chunks;
		page++) {
		struct iova_chunk *chunk = &space->chunk[page >> CHUNK_SHIFT];

		made = __chunk_make(space, chunk);
		if (made)
			__mark(chunk, page % CHUNK_PAGES, 1, true);
	}
	core_unlock(space->iommu, &space->lock, state);
	return made ? IOMMU_OK : IOMMU_NO_MEMORY;
}

enum iommu_status core_iova_make(
	struct iova_space *space, struct iommu *iommu, uint64_t last)
{
	unsigned cpus = iommu->options.cpus;
	enum iommu_status status;

	space->iommu = iommu;
	space->chunks = (unsigned)core_min(
		CHUNKS, (last >> (PAGE_SHIFT + CHUNK_SHIFT)) + 1);
	space->chunk = core_pages_for(iommu, CHUNKS * sizeof(*space->chunk),
		&space->chunk_order, &space->chunk_phys);
	space->lane = core_pages_for(iommu, cpus * sizeof(*space->lane),
		&space->lanes_order, &space->lanes_phys);
	if (!space->chunk || !space->lane)
		return IOMMU_NO_MEMORY;
	space->cpus = cpus;
	/* Address 0 stands for "none", and catches what was never set. */
	status = core_iova_reserve(space, 0, PAGE_SIZE - 1);
	return status == IOMMU_OK
		? core_iova_reserve(
			  space, INTERRUPT_WINDOW_FIRST, INTERRUPT_WINDOW_LAST)
		: status;
}

void core_iova_free_all(struct iova_space *space)
{
	struct iommu *iommu = space->iommu;
	struct iova_chunk *chunk = space->chunk;

	for (unsigned n = 0; chunk && n < CHUNKS; n++)
		core_pages_free(iommu, chunk[n].bits, chunk[n].phys, 0);
	core_pages_free(iommu, chunk, space->chunk_phys, space->chunk_order);
	core_pages_free(
		iommu, space->lane, space->lanes_phys, space->lanes_order);
}
