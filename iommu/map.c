/* SPDX-License-Identifier: MIT */
/*
 * Map and unmap.
 *
 * Nearly every call concerns pages whose leaves lie in one table that was used
 * a moment ago. Such calls go the short way: the table comes from the domain's
 * cache of leaf tables, entries are stored, and nothing is written that another
 * CPU looks at. All others, those with mistakes in their arguments included, go
 * the long way, down to the lowest table that concerns them, and mostly on to
 * pgtable.c.
 */
#include <iommu/dma.h>
#include "pgtable.h"

/** Addresses that one leaf table translates. */
#define SPAN ((uint64_t)ENTRIES << PAGE_SHIFT)

/* ---- the cache of leaf tables ---- */

/*
 * A word of the cache says which table translates a span of addresses: bits 27
 * to 0 are the span's number plus one, the others the table's page number; 0 is
 * an empty word. Being one word, it is read and replaced without a lock. What
 * does not fit into it is not cached, nor are tables whose address only the
 * host knows. The links to a cached table are in memory, and none of them waits
 * for the flush of a split: walk_down() looked.
 *
 * A table is entered only by a call for a range inside of it, and leaves, in
 * core_leaf_forget(), when an unmap or join that covers all of it unlinks it;
 * two such calls never run at the same time.
 */
#define TAG_BITS 28
#define TAG_MASK ((1ull << TAG_BITS) - 1)
/** The last address of which a word tells all bits. */
#define CACHED_LAST ((1ull << 48) - 1)
/** Bits that are clear in the address of a page that may be cached. */
#define NOT_CACHED (~CACHED_LAST | (PAGE_SIZE - 1))

static inline word64 *cache_slot(struct pgtable *table, uint64_t iova)
{
	return table->leaf_cache + iova / SPAN % LEAF_CACHE;
}

static inline uint64_t cache_tag(uint64_t iova)
{
	return iova / SPAN + 1;
}

/** Not the interrupt window's: the short way does not look for that. */
static void cache_enter(
	struct pgtable *table, uint64_t iova, const word64 *leaves)
{
	uint64_t page =
		(uint64_t)((const char *)leaves - table->direct) >> PAGE_SHIFT;

	if (table->direct && iova <= CACHED_LAST && page <= ~0ull >> TAG_BITS &&
		iova / SPAN != INTERRUPT_WINDOW_FIRST / SPAN)
		store(cache_slot(table, iova),
			page << TAG_BITS | cache_tag(iova));
}

void core_leaf_forget(struct pgtable *table, uint64_t iova)
{
	word64 *slot = cache_slot(table, iova);

	if (!((load(slot) ^ cache_tag(iova)) & TAG_MASK))
		store(slot, 0);
}

/** The leaf of a page if its table is cached. NULL: go the long way; also if
 * the page is not a sound one. */
static inline word64 *near_leaf(struct pgtable *table, uint64_t iova)
{
	uint64_t word = load(cache_slot(table, iova)) ^ cache_tag(iova);

	if (iova & NOT_CACHED || word & TAG_MASK)
		return NULL;
	return (word64 *)(void *)(table->direct +
		       (word >> (TAG_BITS - PAGE_SHIFT))) +
		index_of(iova, 1);
}

static NOINLINE word64 *walk_down(struct iommu_domain *domain, uint64_t iova,
	uint64_t limit, unsigned *out_level)
{
	struct pgtable *table = &domain->table;
	unsigned level = table->levels, shift = table->top_shift;
	word64 *at = table->root;

	for (; level > 1; level--, shift -= INDEX_BITS) {
		uint64_t entry = load(&at[iova >> shift & (ENTRIES - 1)]);

		if (limit >> shift ||
			(entry & (PRESENT | LARGE | IN_MEMORY | SPLIT)) !=
				(PRESENT | IN_MEMORY))
			break;
		at = table_at(domain->iommu, entry);
	}
	if (level == 1)
		cache_enter(table, iova, at);
	*out_level = level;
	return at;
}

/**
 * The lowest table that has all entries of a sound range: none below it has, or
 * the range is all that the one below translates. Only ways that are in memory
 * already are gone.
 */
static inline word64 *find_table(struct iommu_domain *domain, uint64_t iova,
	uint64_t last, unsigned *out_level)
{
	word64 *leaf = near_leaf(&domain->table, iova);
	/* One more if that may be all of an entry. */
	uint64_t limit = (iova ^ last) + ((iova ^ last) == last - iova);

	if (limit >= SPAN || !leaf)
		return walk_down(domain, iova, limit, out_level);
	*out_level = 1;
	return leaf - index_of(iova, 1);
}

/** near_leaf() where the table may not be cached. Also in the window. */
static NOINLINE word64 *far_leaf(struct iommu_domain *domain, uint64_t iova)
{
	unsigned level;
	word64 *table;

	if (iova % PAGE_SIZE || iova > domain->table.last)
		return NULL;
	table = walk_down(domain, iova, PAGE_SIZE, &level);
	return level == 1 ? &table[index_of(iova, 1)] : NULL;
}

/* ---- map ---- */

static inline bool touches_window(uint64_t first, uint64_t last)
{
	return first <= INTERRUPT_WINDOW_LAST && last >= INTERRUPT_WINDOW_FIRST;
}

/** Everything that can be wrong with a range. */
static enum iommu_status check_map(const struct iommu_domain *domain,
	uint64_t iova, uint64_t phys, uint64_t size, unsigned rights)
{
	uint64_t last = iova + (size - 1), phys_last = phys + (size - 1);

	if (domain->kind != IOMMU_DOMAIN_MAPPED || !size ||
		(iova | phys | size) % PAGE_SIZE || !rights ||
		rights & ~(unsigned)PRESENT)
		return IOMMU_BAD_ARGUMENT;
	if (last < iova || last > domain->table.last || phys_last < phys ||
		phys_last > domain->table.phys_last)
		return IOMMU_WIDTH;
	if (touches_window(iova, last) || touches_window(phys, phys_last))
		return IOMMU_RESERVED_RANGE;
	return IOMMU_OK;
}

/** Maps all or nothing; the units are not told. */
static NOINLINE enum iommu_status map_whole(struct iommu_domain *domain,
	uint64_t iova, uint64_t phys, uint64_t size, unsigned rights)
{
	enum iommu_status status = check_map(domain, iova, phys, size, rights);
	uint64_t bits = rights | domain->table.leaf_bits;
	unsigned count = (unsigned)(size >> PAGE_SHIFT), level;
	struct made made;
	word64 *table;

	if (status != IOMMU_OK)
		return status;
	table = find_table(domain, iova, iova + (size - 1), &level);
	if (level > 1) {
		status = core_map_below(
			domain, table, level, iova, phys, size, bits, &made);
		return status == IOMMU_OK
			? status
			: core_map_undo(domain, iova, size, made, status);
	}
	table += index_of(iova, 1);
	if (any_present(table, count))
		return IOMMU_MAPPED;
	store_leaves(table, phys | bits, count);
	write_back(domain, table, count);
	return IOMMU_OK;
}

unsigned core_map_pages(struct iommu_domain *domain, uint64_t iova,
	const struct iommu_dma_piece *page, unsigned count, unsigned rights)
{
	uint64_t bits = rights | domain->table.leaf_bits;
	word64 *leaf = near_leaf(&domain->table, iova);
	unsigned n;

	if (!leaf)
		return 0;
	count = (unsigned)core_min(count, ENTRIES - index_of(iova, 1));
	if (any_present(leaf, count))
		return 0;
#pragma GCC unroll 8
	for (n = 0; n < count; n++) {
		uint64_t phys = page[n].phys.v;

		if (touches_window(phys, phys))
			break;
		store(&leaf[n], phys | bits);
	}
	write_back(domain, leaf, n);
	return n;
}

enum iommu_status core_tell_present(
	struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	unsigned duties = __atomic_load_n(&domain->duties, __ATOMIC_ACQUIRE);

	if (!(duties & IOMMU_DUTY_FLUSH_PRESENT))
		return IOMMU_OK;
	return iommu_flush(domain, IOMMU_MADE_PRESENT, iommu_iova(iova), size);
}

/** Maps a page on the short way and returns its leaf, which is to go to memory.
 *  NULL: that is not possible, and nothing was done. */
static inline word64 *map_near(struct pgtable *table, uint64_t iova,
	uint64_t phys, uint64_t size, unsigned rights)
{
	word64 *leaf = NULL;

	if (size == PAGE_SIZE && !(phys % PAGE_SIZE) &&
		phys <= table->phys_last && !touches_window(phys, phys) &&
		rights - 1 < PRESENT)
		leaf = near_leaf(table, iova);
	if (!leaf || load(leaf) & PRESENT)
		return NULL;
	store(leaf, phys | rights | table->leaf_bits);
	return leaf;
}

extern inline enum iommu_status core_map(struct iommu_domain *domain,
	uint64_t iova, uint64_t phys, uint64_t size, unsigned rights)
{
	word64 *leaf = map_near(&domain->table, iova, phys, size, rights);

	if (!leaf)
		return map_whole(domain, iova, phys, size, rights);
	write_back(domain, leaf, 1);
	return IOMMU_OK;
}

enum iommu_status iommu_map(struct iommu_domain *domain, iommu_iova_t iova,
	iommu_phys_t phys, uint64_t size, unsigned rights)
{
	enum iommu_status status =
		core_map(domain, iova.v, phys.v, size, rights);

	if (status != IOMMU_OK)
		return status;
	return core_tell_present(domain, iova.v, size);
}

/* ---- unmap ---- */

extern inline bool core_clear_near(struct iommu_domain *domain, uint64_t iova)
{
	word64 *leaf = near_leaf(&domain->table, iova);

	if (!leaf)
		leaf = far_leaf(domain, iova);
	if (!leaf || !(load(leaf) & PRESENT))
		return false;
	store(leaf, 0);
	write_back(domain, leaf, 1);
	return true;
}

/** Everything that can be wrong with a range; then unmaps it. */
static NOINLINE enum iommu_status unmap_any(struct iommu_domain *domain,
	uint64_t iova, uint64_t size, struct iommu_batch *batch,
	uint64_t *out_removed)
{
	uint64_t last = iova + (size - 1), removed;
	unsigned level;
	word64 *table;

	if (batch->domain != domain || !is_range(domain, iova, size))
		return IOMMU_BAD_ARGUMENT;
	table = find_table(domain, iova, last, &level);
	if (level > 1)
		return core_unmap_below(
			batch, table, level, iova, last, out_removed);
	removed = core_clear_leaves(domain, &table[index_of(iova, 1)],
		(unsigned)(size >> PAGE_SHIFT));
	if (removed)
		iommu_batch_add(batch, IOMMU_REMOVED, iommu_iova(iova), size);
	if (out_removed)
		*out_removed = removed;
	return IOMMU_OK;
}

enum iommu_status iommu_unmap(struct iommu_domain *domain, iommu_iova_t iova,
	uint64_t size, struct iommu_batch *batch, uint64_t *out_removed)
{
	if (size != PAGE_SIZE || batch->domain != domain ||
		!core_clear_near(domain, iova.v))
		return unmap_any(domain, iova.v, size, batch, out_removed);
	if (out_removed)
		*out_removed = PAGE_SIZE;
	iommu_batch_add(batch, IOMMU_REMOVED, iova, PAGE_SIZE);
	return IOMMU_OK;
}

static NOINLINE enum iommu_status unmap_any_now(struct iommu_domain *domain,
	uint64_t iova, uint64_t size, uint64_t *out_removed)
{
	struct iommu_batch batch;
	enum iommu_status status, flushed;
	bool relinked;

	iommu_batch_init(&batch, domain);
	status = unmap_any(domain, iova, size, &batch, out_removed);
	relinked = batch.changes & IOMMU_TABLE_CHANGED;
	flushed = core_batch_flush(&batch);
	if (relinked && flushed == IOMMU_OK && status == IOMMU_OK)
		core_settle_splits(domain, iova, size);
	return flushed == IOMMU_OK ? status : flushed;
}

/** By itself, so that less stack is in use below. */
static NOINLINE enum iommu_status unmap_slowly(struct iommu_domain *domain,
	uint64_t iova, uint64_t size, uint64_t *out_removed)
{
	return core_block_silent(
		domain, unmap_any_now(domain, iova, size, out_removed));
}

enum iommu_status core_unmap_now(struct iommu_domain *domain, uint64_t iova,
	uint64_t size, uint64_t *out_removed)
{
	if (size != PAGE_SIZE || !core_clear_near(domain, iova))
		return unmap_slowly(domain, iova, size, out_removed);
	if (out_removed)
		*out_removed = PAGE_SIZE;
	return core_flush_leaf(domain, iova);
}

enum iommu_status iommu_unmap_now(
	struct iommu_domain *domain, iommu_iova_t iova, uint64_t size)
{
	return core_unmap_now(domain, iova.v, size, NULL);
}
