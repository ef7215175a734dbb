/* SPDX-License-Identifier: MIT */
/*
 * Map and unmap.
 *
 * Nearly every call concerns pages whose leaves lie in one table that was used
 * a moment ago. Such calls go the short way: the table comes from the domain's
 * cache of leaf tables, entries are stored, and nothing is written that another
 * CPU looks at. All others, those with mistakes in their arguments included, go
 * the long way, first to a walk down to the leaf table, then to pgtable.c.
 */
#include <iommu/dma.h>
#include "pgtable.h"

/** Addresses that one leaf table translates. */
#define SPAN ((uint64_t)ENTRIES << PAGE_SHIFT)

/* ---- the cache of leaf tables ---- */

/*
 * A word of the cache says which table translates a span of addresses: bits 63
 * to 37 are bits 47 to 21 of the address, bits 36 to 0 the table's page number;
 * 0 is an empty word. Being one word, it is read and replaced without a lock.
 * What does not fit into it is not cached, nor are tables whose address only
 * the host knows. The links to a cached table are in memory: far_leaves()
 * looked.
 *
 * A table is entered only by a call for a range inside of it, and leaves, in
 * core_leaf_forget(), when an unmap or join that covers all of it unlinks it;
 * two such calls never run at the same time.
 */
enum {
	CACHED_PAGE_BITS = 37,
	CACHED_IOVA_BITS = 48,
};
#define CACHED_PAGES (1ull << CACHED_PAGE_BITS)

static inline word64 *cache_slot(struct pgtable *table, uint64_t iova)
{
	return &table->leaf_cache[iova / SPAN % LEAF_CACHE];
}

static inline uint64_t cache_tag(uint64_t iova)
{
	return iova / SPAN << CACHED_PAGE_BITS;
}

static void cache_enter(
	struct pgtable *table, uint64_t iova, uint64_t page_number)
{
	if (table->direct && !(iova >> CACHED_IOVA_BITS) &&
		page_number < CACHED_PAGES)
		store(cache_slot(table, iova), cache_tag(iova) | page_number);
}

void core_leaf_forget(struct pgtable *table, uint64_t page)
{
	unsigned n;

	for (n = 0; n < LEAF_CACHE; n++)
		if ((load(&table->leaf_cache[n]) & (CACHED_PAGES - 1)) ==
			page >> PAGE_SHIFT)
			store(&table->leaf_cache[n], 0);
}

/** Whether [iova, iova + size) lies in one leaf table. */
static inline bool is_one_span(uint64_t iova, uint64_t size)
{
	return size - 1 < SPAN - (iova & (SPAN - 1));
}

/** The leaves of a range if it lies in one table and that is cached. NULL: go
 *  the long way; also whenever the range or phys is not a sound one. */
static inline word64 *near_leaves(struct iommu_domain *domain, uint64_t iova,
	uint64_t size, uint64_t phys)
{
	struct pgtable *table = &domain->table;
	uint64_t page = load(cache_slot(table, iova)) ^ cache_tag(iova);

	/* 0: empty; too large: another span's. */
	if (page - 1 >= CACHED_PAGES - 1 || !is_one_span(iova, size) ||
		(iova | size | phys) & (PAGE_SIZE - 1) || iova > table->last)
		return NULL;
	return (word64 *)(void *)(table->direct + (page << PAGE_SHIFT) +
		(iova >> PAGE_SHIFT & (ENTRIES - 1)) * sizeof(word64));
}

/** The leaves of a sound range if it lies in one table and all the links to
 *  that are in memory. */
static word64 *far_leaves(
	struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	word64 *table = domain->table.root;
	unsigned shift = domain->table.top_shift;
	uint64_t entry = 0;

	/* The short way does not look for the interrupt window. */
	if (!is_one_span(iova, size) ||
		iova / SPAN == INTERRUPT_WINDOW_FIRST / SPAN)
		return NULL;
	for (; shift > PAGE_SHIFT; shift -= INDEX_BITS) {
		entry = load(&table[iova >> shift & (ENTRIES - 1)]);
		if ((entry & (PRESENT | LARGE | IN_MEMORY)) !=
			(PRESENT | IN_MEMORY))
			return NULL;
		table = table_at(domain->iommu, entry);
	}
	cache_enter(&domain->table, iova, (entry & ADDRESS) >> PAGE_SHIFT);
	return table + (iova >> PAGE_SHIFT & (ENTRIES - 1));
}

static void leaves_to_memory(
	const struct iommu_domain *domain, const word64 *leaf, unsigned count)
{
	const struct iommu_host *host = &domain->iommu->host;

	if (domain->table.write_back && count)
		host->cache_flush(host->ctx, leaf, count * sizeof(*leaf));
}

/* ---- map ---- */

static inline bool touches_window(uint64_t first, uint64_t last)
{
	return first <= INTERRUPT_WINDOW_LAST && last >= INTERRUPT_WINDOW_FIRST;
}

/** Stores leaves of one table. */
static inline enum iommu_status map_leaves(
	word64 *leaf, uint64_t value, unsigned count)
{
	uint64_t used = load(leaf);
	unsigned n;

	for (n = 1; n < count; n++)
		used |= load(&leaf[n]);
	if (used & PRESENT)
		return IOMMU_MAPPED;
	store(leaf, value);
	if (count > 1)
		store_leaves(leaf + 1, value + PAGE_SIZE, count - 1);
	return IOMMU_OK;
}

/** Everything that can be wrong with a range; then maps it. */
static __attribute__((noinline)) enum iommu_status map_slowly(
	struct iommu_domain *domain, uint64_t iova, uint64_t phys,
	uint64_t size, unsigned rights)
{
	uint64_t last = iova + (size - 1), phys_last = phys + (size - 1);
	uint64_t bits = rights | domain->table.leaf_bits;
	unsigned count = (unsigned)(size >> PAGE_SHIFT);
	enum iommu_status status;
	word64 *leaf;

	if (domain->kind != IOMMU_DOMAIN_MAPPED || !size ||
		(iova | phys | size) & (PAGE_SIZE - 1) || !rights ||
		rights & ~(unsigned)PRESENT)
		return IOMMU_BAD_ARGUMENT;
	if (last < iova || last > domain->table.last || phys_last < phys ||
		phys_last > domain->table.phys_last)
		return IOMMU_WIDTH;
	if (touches_window(iova, last) || touches_window(phys, phys_last))
		return IOMMU_RESERVED_RANGE;
	leaf = far_leaves(domain, iova, size);
	if (!leaf)
		return core_map_range(domain, iova, phys, last, bits);
	status = map_leaves(leaf, phys | bits, count);
	if (status == IOMMU_OK)
		leaves_to_memory(domain, leaf, count);
	return status;
}

/** Whether memory may lie near a border that forbids to map it: that is left to
 *  map_slowly(). */
static inline bool is_far(const struct pgtable *table, uint64_t phys)
{
	return phys >= table->near_phys || touches_window(phys, phys + SPAN);
}

/** The leaves of a range that can be mapped on the short way, or NULL. */
static inline word64 *near_leaves_to_map(struct iommu_domain *domain,
	uint64_t iova, uint64_t phys, uint64_t size, unsigned rights)
{
	if (is_far(&domain->table, phys) || rights - 1 >= PRESENT)
		return NULL;
	return near_leaves(domain, iova, size, phys);
}

enum iommu_status core_map_pieces(struct iommu_domain *domain,
	const struct iommu_dma_piece *pieces, unsigned count, unsigned rights,
	uint64_t *iova)
{
	const struct pgtable *table = &domain->table;
	enum iommu_status status = IOMMU_OK;
	word64 *leaf = NULL, *run = NULL; /* [run, leaf) is not in memory yet */
	uint64_t left = 0; /* bytes from *iova on that `leaf` and on map */
	unsigned n;

	for (n = 0; n < count && status == IOMMU_OK; n++) {
		uint64_t phys = pieces[n].phys.v & ~(uint64_t)(PAGE_SIZE - 1);
		uint64_t size = ((pieces[n].phys.v + pieces[n].size - 1) |
					(PAGE_SIZE - 1)) -
			phys + 1;

		if (size > left) {
			leaves_to_memory(domain, run, (unsigned)(leaf - run));
			leaf = near_leaves(domain, *iova, PAGE_SIZE, 0);
			run = leaf;
			left = leaf ? SPAN - (*iova & (SPAN - 1)) : 0;
		}
		if (size > left || is_far(table, phys)) {
			status = map_slowly(domain, *iova, phys, size, rights);
			left = 0;
		} else {
			status = map_leaves(leaf,
				phys | rights | table->leaf_bits,
				(unsigned)(size >> PAGE_SHIFT));
			leaf += size >> PAGE_SHIFT;
			left -= size;
		}
		if (status == IOMMU_OK)
			*iova += size;
	}
	leaves_to_memory(domain, run, (unsigned)(leaf - run));
	return status;
}

static inline unsigned load_duties(const struct iommu_domain *domain)
{
	return __atomic_load_n(&domain->duties, __ATOMIC_ACQUIRE);
}

enum iommu_status core_tell_present(
	struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	if (!(load_duties(domain) & IOMMU_DUTY_FLUSH_PRESENT))
		return IOMMU_OK;
	return iommu_flush(domain, IOMMU_MADE_PRESENT, iommu_iova(iova), size);
}

static __attribute__((noinline)) enum iommu_status map_and_tell(
	struct iommu_domain *domain, uint64_t iova, uint64_t phys,
	uint64_t size, unsigned rights)
{
	enum iommu_status status = map_slowly(domain, iova, phys, size, rights);

	return status == IOMMU_OK ? core_tell_present(domain, iova, size)
				  : status;
}

enum iommu_status iommu_map(struct iommu_domain *domain, iommu_iova_t iova,
	iommu_phys_t phys, uint64_t size, unsigned rights)
{
	word64 *leaf = near_leaves_to_map(domain, iova.v, phys.v, size, rights);
	enum iommu_status status;

	if (!leaf)
		return map_and_tell(domain, iova.v, phys.v, size, rights);
	status = map_leaves(leaf, phys.v | rights | domain->table.leaf_bits,
		(unsigned)(size >> PAGE_SHIFT));
	if (status != IOMMU_OK)
		return status;
	leaves_to_memory(domain, leaf, (unsigned)(size >> PAGE_SHIFT));
	return core_tell_present(domain, iova.v, size);
}

/* ---- unmap ---- */

/** Clears leaves of one table, which stays. Returns the bytes they mapped. */
static inline uint64_t clear_leaves(word64 *leaf, uint64_t size)
{
	uint64_t removed = 0;

	for (; size; size -= PAGE_SIZE, leaf++) {
		if (!(load(leaf) & PRESENT))
			continue;
		store(leaf, 0);
		removed += PAGE_SIZE;
	}
	return removed;
}

/** The same, and what was cleared is on its way to memory. */
static inline uint64_t clear_in_memory(
	const struct iommu_domain *domain, word64 *leaf, uint64_t size)
{
	uint64_t removed = clear_leaves(leaf, size);

	if (removed)
		leaves_to_memory(domain, leaf, (unsigned)(size >> PAGE_SHIFT));
	return removed;
}

/** Whether a range may be cleared on the short way. A whole table goes the long
 *  way: it is unlinked rather than cleared. */
static inline word64 *near_leaves_to_clear(
	struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	return size < SPAN ? near_leaves(domain, iova, size, 0) : NULL;
}

static __attribute__((noinline)) enum iommu_status unmap_slowly(
	struct iommu_domain *domain, uint64_t iova, uint64_t size,
	struct iommu_batch *batch, uint64_t *out_removed)
{
	uint64_t last = iova + (size - 1), removed = 0;
	enum iommu_status status = IOMMU_OK;
	word64 *leaf = NULL;

	if (domain->kind != IOMMU_DOMAIN_MAPPED || batch->domain != domain ||
		!size || (iova | size) & (PAGE_SIZE - 1) || last < iova ||
		last > domain->table.last)
		return IOMMU_BAD_ARGUMENT;
	if (size < SPAN)
		leaf = far_leaves(domain, iova, size);
	if (leaf) {
		removed = clear_in_memory(domain, leaf, size);
		if (removed)
			iommu_batch_add(
				batch, IOMMU_REMOVED, iommu_iova(iova), size);
	} else if (!core_unmap_range(domain, iova, last, batch, &removed)) {
		status = IOMMU_NO_MEMORY;
	}
	if (out_removed)
		*out_removed = removed;
	return status;
}

enum iommu_status iommu_unmap(struct iommu_domain *domain, iommu_iova_t iova,
	uint64_t size, struct iommu_batch *batch, uint64_t *out_removed)
{
	word64 *leaf = near_leaves_to_clear(domain, iova.v, size);
	uint64_t removed;

	if (!leaf || batch->domain != domain)
		return unmap_slowly(domain, iova.v, size, batch, out_removed);
	removed = clear_in_memory(domain, leaf, size);
	if (out_removed)
		*out_removed = removed;
	if (removed)
		iommu_batch_add(batch, IOMMU_REMOVED, iova, size);
	return IOMMU_OK;
}

bool core_clear_near(struct iommu_domain *domain, uint64_t iova, uint64_t size,
	uint64_t *out_removed)
{
	word64 *leaf = near_leaves_to_clear(domain, iova, size);

	if (leaf)
		*out_removed = clear_in_memory(domain, leaf, size);
	return leaf;
}

static __attribute__((noinline)) enum iommu_status unmap_now_slowly(
	struct iommu_domain *domain, uint64_t iova, uint64_t size,
	uint64_t *out_removed)
{
	struct iommu_batch batch;
	enum iommu_status status, flushed;

	iommu_batch_init(&batch, domain);
	status = unmap_slowly(domain, iova, size, &batch, out_removed);
	flushed = iommu_batch_flush(&batch);
	return flushed == IOMMU_OK ? status : flushed;
}

enum iommu_status core_unmap_now(struct iommu_domain *domain, uint64_t iova,
	uint64_t size, uint64_t *out_removed)
{
	word64 *leaf = near_leaves_to_clear(domain, iova, size);

	if (!leaf)
		return unmap_now_slowly(domain, iova, size, out_removed);
	*out_removed = clear_in_memory(domain, leaf, size);
	if (!*out_removed)
		return IOMMU_OK;
	if (size == PAGE_SIZE)
		return core_flush_leaf(domain, iova);
	return iommu_flush(domain, IOMMU_REMOVED, iommu_iova(iova), size);
}

enum iommu_status iommu_unmap_now(
	struct iommu_domain *domain, iommu_iova_t iova, uint64_t size)
{
	uint64_t removed;

	return core_unmap_now(domain, iova.v, size, &removed);
}
