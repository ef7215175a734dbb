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

/** The smallest n with 2^n >= pages. */
static inline unsigned class_of(unsigned pages)
{
	return 31u - (unsigned)__builtin_clz(2 * pages - 1);
}

static unsigned rounded(unsigned pages)
{
	unsigned class = class_of(pages);

	if (class < CLASSES)
		return 1u << class;
	return pages <= 64 ? 64 : pages;
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

/** Bits at..at + count - 1 of a word. */
static uint64_t bits_of(unsigned at, unsigned count)
{
	return (count == 64 ? ~0ull : (1ull << count) - 1) << at;
}

/** Marks pages as used or free; those that are already do not count. */
static void __mark(
	struct iova_chunk *chunk, unsigned page, unsigned pages, bool used)
{
	unsigned end = page + pages;

	while (page < end) {
		unsigned at = page % 64;
		unsigned count = (unsigned)core_min(64 - at, end - page);
		word64 *word = &chunk->bits[page / 64];
		uint64_t changed = bits_of(at, count) & (used ? ~*word : *word);

		*word ^= changed;
		page += count;
		/* A page may be reserved twice; runs are all free or not. */
		if (changed)
			chunk->free += used ? -count : count;
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
	unsigned length;

	/* A bit stays if as many as `length` from it on are free. */
	for (length = 1; length < pages; length *= 2)
		free &= free >> length;
	free &= aligned[class_of(pages)];
	return free ? (unsigned)__builtin_ctzll(free) : 64;
}

static bool __find_small(
	struct iova_chunk *chunk, unsigned pages, unsigned *out)
{
	unsigned n;

	for (n = 0; n < CHUNK_WORDS; n++) {
		unsigned word = (chunk->hint + n) % CHUNK_WORDS, at;

		if (chunk->bits[word] == ~0ull)
			continue;
		at = __find_in_word(chunk->bits[word], pages);
		if (at == 64)
			continue;
		chunk->hint = word;
		*out = word * 64 + at;
		return true;
	}
	return false;
}

/** Longer runs start at a word. */
static bool __find_large(
	struct iova_chunk *chunk, unsigned pages, unsigned *out)
{
	unsigned words = (pages + 63) / 64, run = 0, n;

	for (n = 0; n < CHUNK_WORDS; n++) {
		run = chunk->bits[n] ? 0 : run + 1;
		if (run < words)
			continue;
		*out = (n + 1 - words) * 64;
		return true;
	}
	return false;
}

/** Page number of a fresh run, 0: none. */
static uint32_t __take(struct iova_space *space, unsigned pages, uint64_t mask)
{
	uint64_t limit = (mask >> PAGE_SHIFT) + 1;
	unsigned chunks =
		(unsigned)core_min(space->chunks, limit >> CHUNK_SHIFT);
	unsigned n, page;

	for (n = 0; n < chunks; n++) {
		unsigned number = (space->hint + n) % chunks;
		struct iova_chunk *chunk = &space->chunk[number];

		if (!__chunk_make(space, chunk))
			return 0;
		if (chunk->free < pages)
			continue;
		if (pages <= 64 ? !__find_small(chunk, pages, &page)
				: !__find_large(chunk, pages, &page))
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

/* ---- magazines; the caller owns the lane ---- */

static inline void count_run(unsigned *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void refill(
	struct iova_space *space, struct magazine *magazine, unsigned pages)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	while (magazine->count < SHIFT_RUNS) {
		uint32_t page = __take(space, pages, ~0ull);

		if (!page)
			break;
		magazine->page[magazine->count++] = page;
	}
	core_unlock(space->iommu, &space->lock, state);
}

static __attribute__((noinline)) void drain(
	struct iova_space *space, struct magazine *magazine, unsigned pages)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	while (magazine->count > ROUNDS - SHIFT_RUNS)
		__give(space, magazine->page[--magazine->count], pages);
	core_unlock(space->iommu, &space->lock, state);
}

/** From the bitmaps. */
static __attribute__((noinline)) uint64_t take_slowly(
	struct iova_space *space, unsigned pages, uint64_t mask)
{
	unsigned long state = core_lock(space->iommu, &space->lock);
	uint32_t page = __take(space, rounded(pages), mask);

	space->taken += !!page;
	core_unlock(space->iommu, &space->lock, state);
	return (uint64_t)page << PAGE_SHIFT;
}

static __attribute__((noinline)) void give_slowly(
	struct iova_space *space, uint64_t iova, unsigned pages)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	__give(space, (uint32_t)(iova >> PAGE_SHIFT), rounded(pages));
	space->given++;
	core_unlock(space->iommu, &space->lock, state);
}

/** The newest run of a magazine; 0 if there is none below mask. */
static inline uint64_t pop(
	struct lane *lane, unsigned class, unsigned pages, uint64_t mask)
{
	struct magazine *magazine = &lane->magazine[class];
	uint64_t iova;

	if (!magazine->count)
		return 0;
	iova = (uint64_t)magazine->page[magazine->count - 1] << PAGE_SHIFT;
	if (iova + ((uint64_t)pages << PAGE_SHIFT) - 1 > mask)
		return 0;
	magazine->count--;
	count_run(&lane->taken);
	return iova;
}

/** Where the lane's magazine had nothing; leaves the lane. */
static __attribute__((noinline)) uint64_t get_anew(struct iova_space *space,
	struct lane *lane, unsigned pages, uint64_t mask)
{
	unsigned class = class_of(pages);
	uint64_t iova = 0;

	if (class < CLASSES && !lane->magazine[class].count) {
		refill(space, &lane->magazine[class], 1u << class);
		iova = pop(lane, class, pages, mask);
	}
	core_lane_leave(lane);
	return iova ? iova : take_slowly(space, pages, mask);
}

uint64_t core_iova_get(struct iova_space *space, unsigned pages, uint64_t mask)
{
	struct lane *lane;
	unsigned class;
	uint64_t iova;

	if (!core_lane_enter(space, &lane))
		return take_slowly(space, pages, mask);
	class = class_of(pages);
	iova = class < CLASSES ? pop(lane, class, pages, mask) : 0;
	if (!iova)
		return get_anew(space, lane, pages, mask);
	core_lane_leave(lane);
	return iova;
}

/** Into the lane's magazine; false if that is full, or there is none for so
 *  many pages. */
static inline bool push(struct lane *lane, uint64_t iova, unsigned pages)
{
	unsigned class = class_of(pages);
	struct magazine *magazine = &lane->magazine[class];

	if (class >= CLASSES || magazine->count == ROUNDS)
		return false;
	magazine->page[magazine->count++] = (uint32_t)(iova >> PAGE_SHIFT);
	count_run(&lane->given);
	return true;
}

static __attribute__((noinline)) void put_anew(struct iova_space *space,
	struct lane *lane, uint64_t iova, unsigned pages)
{
	unsigned class = class_of(pages);

	if (class < CLASSES)
		drain(space, &lane->magazine[class], 1u << class);
	if (!push(lane, iova, pages))
		give_slowly(space, iova, pages);
}

void core_lane_put(struct iova_space *space, struct lane *lane, uint64_t iova,
	unsigned pages)
{
	if (!push(lane, iova, pages))
		put_anew(space, lane, iova, pages);
}

void core_iova_put(struct iova_space *space, uint64_t iova, unsigned pages)
{
	struct lane *lane;

	if (!core_lane_enter(space, &lane)) {
		give_slowly(space, iova, pages);
		return;
	}
	if (!push(lane, iova, pages))
		put_anew(space, lane, iova, pages);
	core_lane_leave(lane);
}

void core_iova_lose(struct iova_space *space)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	space->given++;
	core_unlock(space->iommu, &space->lock, state);
}

unsigned core_iova_live(struct iova_space *space)
{
	unsigned long state = core_lock(space->iommu, &space->lock);
	unsigned live = space->taken - space->given, n;

	for (n = 0; n < space->cpus; n++)
		live += __atomic_load_n(
				&space->lane[n].taken, __ATOMIC_RELAXED) -
			__atomic_load_n(
				&space->lane[n].given, __ATOMIC_RELAXED);
	core_unlock(space->iommu, &space->lock, state);
	return live;
}

/* ---- life ---- */

enum iommu_status core_iova_reserve(
	struct iova_space *space, uint64_t first, uint64_t last)
{
	uint64_t page = first >> PAGE_SHIFT, end = last >> PAGE_SHIFT;
	unsigned long state = core_lock(space->iommu, &space->lock);
	enum iommu_status status = IOMMU_OK;

	for (; page <= end && page >> CHUNK_SHIFT < space->chunks; page++) {
		struct iova_chunk *chunk = &space->chunk[page >> CHUNK_SHIFT];

		if (!__chunk_make(space, chunk)) {
			status = IOMMU_NO_MEMORY;
			break;
		}
		__mark(chunk, (unsigned)page & (CHUNK_PAGES - 1), 1, true);
	}
	core_unlock(space->iommu, &space->lock, state);
	return status;
}

enum iommu_status core_iova_make(
	struct iova_space *space, struct iommu *iommu, uint64_t last)
{
	enum iommu_status status;

	space->iommu = iommu;
	space->cpus = iommu->options.cpus;
	space->chunks = (unsigned)core_min(
		CHUNKS, (last >> (PAGE_SHIFT + CHUNK_SHIFT)) + 1);
	space->chunk = core_pages_for(iommu, CHUNKS * sizeof(*space->chunk),
		&space->chunk_order, &space->chunk_phys);
	space->lane = core_pages_for(iommu, space->cpus * sizeof(*space->lane),
		&space->lanes_order, &space->lanes_phys);
	if (!space->chunk || !space->lane) {
		core_iova_free_all(space);
		return IOMMU_NO_MEMORY;
	}
	/* Address 0 stands for "none", and catches what was never set. */
	status = core_iova_reserve(space, 0, PAGE_SIZE - 1);
	if (status == IOMMU_OK)
		status = core_iova_reserve(
			space, INTERRUPT_WINDOW_FIRST, INTERRUPT_WINDOW_LAST);
	if (status != IOMMU_OK)
		core_iova_free_all(space);
	return status;
}

void core_iova_free_all(struct iova_space *space)
{
	struct iommu *iommu = space->iommu;
	unsigned n;

	for (n = 0; space->chunk && n < CHUNKS; n++)
		core_pages_free(
			iommu, space->chunk[n].bits, space->chunk[n].phys, 0);
	core_pages_free(
		iommu, space->chunk, space->chunk_phys, space->chunk_order);
	core_pages_free(
		iommu, space->lane, space->lanes_phys, space->lanes_order);
	space->chunk = NULL;
	space->lane = NULL;
}
