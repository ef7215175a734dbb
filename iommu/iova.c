/* SPDX-License-Identifier: MIT */
/*
 * I/O virtual addresses: bitmaps in chunks of 128 MiB, and per-CPU magazines in
 * front of them.
 *
 * Runs of up to 32 pages are rounded up to a power of two and travel through
 * the magazines of the CPU: a get or put there is a handful of instructions
 * without a lock. A CPU that finds its magazines busy (an interrupt in between,
 * or a stale CPU number) goes to the bitmap instead of waiting. A magazine is
 * filled or emptied half at a time.
 */
#include "iova.h"

static unsigned class_of(unsigned pages)
{
	return pages <= 1 ? 0 : 32u - (unsigned)__builtin_clz(pages - 1);
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

static bool __is_used(const struct iova_chunk *chunk, unsigned page)
{
	return chunk->bits[page / 64] >> page % 64 & 1;
}

static void __mark(
	struct iova_chunk *chunk, unsigned page, unsigned pages, bool used)
{
	unsigned n;

	for (n = page; n < page + pages; n++) {
		if (__is_used(chunk, n) == used)
			continue;
		chunk->bits[n / 64] ^= 1ull << n % 64;
		chunk->free += used ? -1u : 1u;
	}
}

/** A run of at most 64 pages, a power of two, aligned to its size, inside one
 *  word. Returns the page in the word or 64. */
static unsigned __find_in_word(uint64_t used, unsigned pages)
{
	uint64_t mask = pages == 64 ? ~0ull : (1ull << pages) - 1;
	unsigned at;

	for (at = 0; at < 64; at += pages)
		if (!(used >> at & mask))
			return at;
	return 64;
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
	__mark(&space->chunk[page >> CHUNK_SHIFT], page & (CHUNK_PAGES - 1),
		pages, false);
}

/* ---- magazines ---- */

/** The CPU's cache, ours until released; NULL if somebody is in it. */
static struct iova_cache *cache_enter(struct iova_space *space)
{
	const struct iommu_host *host = &space->iommu->host;
	unsigned cpu = host->cpu_index ? host->cpu_index(host->ctx) : 0;
	struct iova_cache *cache = &space->cache[cpu < space->cpus ? cpu : 0];

	return __atomic_exchange_n(&cache->busy, true, __ATOMIC_ACQUIRE)
		? NULL
		: cache;
}

static void cache_leave(struct iova_cache *cache)
{
	__atomic_store_n(&cache->busy, false, __ATOMIC_RELEASE);
}

static void refill(
	struct iova_space *space, struct magazine *magazine, unsigned pages)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	while (magazine->count < ROUNDS / 2) {
		uint32_t page = __take(space, pages, ~0ull);

		if (!page)
			break;
		magazine->page[magazine->count++] = page;
	}
	core_unlock(space->iommu, &space->lock, state);
}

static void drain(struct iova_space *space, struct magazine *magazine,
	unsigned pages, unsigned keep)
{
	unsigned long state = core_lock(space->iommu, &space->lock);

	while (magazine->count > keep)
		__give(space, magazine->page[--magazine->count], pages);
	core_unlock(space->iommu, &space->lock, state);
}

static uint32_t take_slowly(
	struct iova_space *space, unsigned pages, uint64_t mask)
{
	unsigned long state = core_lock(space->iommu, &space->lock);
	uint32_t page = __take(space, pages, mask);

	core_unlock(space->iommu, &space->lock, state);
	return page;
}

uint64_t core_iova_get(struct iova_space *space, unsigned pages, uint64_t mask)
{
	unsigned class = class_of(pages);
	struct iova_cache *cache = NULL;
	uint64_t iova = 0;

	if (class < CLASSES)
		cache = cache_enter(space);
	if (cache) {
		struct magazine *magazine = &cache->magazine[class];

		if (!magazine->count)
			refill(space, magazine, 1u << class);
		if (magazine->count) {
			iova = (uint64_t)magazine->page[magazine->count - 1]
				<< PAGE_SHIFT;
			if (iova + ((uint64_t)pages << PAGE_SHIFT) - 1 > mask)
				iova = 0;
			else
				magazine->count--;
		}
		cache_leave(cache);
	}
	if (!iova)
		iova = (uint64_t)take_slowly(space, rounded(pages), mask)
			<< PAGE_SHIFT;
	return iova;
}

void core_iova_put(struct iova_space *space, uint64_t iova, unsigned pages)
{
	uint32_t page = (uint32_t)(iova >> PAGE_SHIFT);
	unsigned class = class_of(pages);
	struct iova_cache *cache = NULL;
	unsigned long state;

	if (class < CLASSES)
		cache = cache_enter(space);
	if (cache) {
		struct magazine *magazine = &cache->magazine[class];

		if (magazine->count == ROUNDS)
			drain(space, magazine, 1u << class, ROUNDS / 2);
		magazine->page[magazine->count++] = page;
		cache_leave(cache);
		return;
	}
	state = core_lock(space->iommu, &space->lock);
	__give(space, page, rounded(pages));
	core_unlock(space->iommu, &space->lock, state);
}

/* ---- life ---- */

static void *order_for(struct iommu *iommu, size_t size, unsigned *out_order,
	iommu_phys_t *out_phys)
{
	unsigned order = 0;

	while (((size_t)PAGE_SIZE << order) < size)
		order++;
	*out_order = order;
	return core_pages(iommu, order, out_phys);
}

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
	space->chunk = order_for(iommu, CHUNKS * sizeof(*space->chunk),
		&space->chunk_order, &space->chunk_phys);
	space->cache = order_for(iommu, space->cpus * sizeof(*space->cache),
		&space->cache_order, &space->cache_phys);
	if (!space->chunk || !space->cache) {
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
		iommu, space->cache, space->cache_phys, space->cache_order);
	space->chunk = NULL;
	space->cache = NULL;
}
