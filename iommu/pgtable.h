/* SPDX-License-Identifier: MIT */
/*
 * Second-stage entries, as the files that edit tables of mapped domains share
 * them.
 */
#ifndef CORE_PGTABLE_H
#define CORE_PGTABLE_H

#include "backend.h"

#define PRESENT ((uint64_t)(IOMMU_READ | IOMMU_WRITE))
#define LARGE (1ull << 7)
#define SNOOP (1ull << 11)
#define IN_MEMORY (1ull << 52)
#define SPLIT (1ull << 53)
#define ADDRESS 0x000ffffffffff000ull

/** Address bits that an index has; a test with small tables says otherwise. */
#ifndef INDEX_BITS
#define INDEX_BITS 9
#endif

enum {
	ENTRIES = 1 << INDEX_BITS,
	/** Table pages kept for splitting: two large pages cut at two levels.
	 */
	RESERVE = 4,
};

/** One map, unmap or join on its way. */
struct edit {
	struct iommu_domain *domain;
	struct pgtable *table;
	struct iommu_batch *batch; /* unmap, join */
	uint64_t phys_delta;       /* map: phys - iova */
	uint64_t leaf_bits;        /* map */
	uint64_t at, last;         /* what is left to be done */
	uint64_t lowest, highest;  /* unmap: what has to be flushed */
	uint64_t removed;          /* unmap: bytes; only if counted those of
				      tables that go as a whole */
	bool counted;              /* unmap */
	unsigned changes;          /* IOMMU_TABLE_CHANGED if tables came,
				      went or were split */
};

/** Begins with what every edit needs, member by member: to clear all of it
 * would take longer. */
static inline void edit_begin(struct edit *edit, struct iommu_domain *domain,
	uint64_t first, uint64_t last)
{
	edit->domain = domain;
	edit->table = &domain->table;
	edit->at = edit->lowest = first;
	edit->last = edit->highest = last;
	edit->removed = 0;
	edit->changes = 0;
}

static inline unsigned shift_of(unsigned level)
{
	return PAGE_SHIFT + INDEX_BITS * (level - 1);
}

/** Bytes that an entry translates. */
static inline uint64_t span_of(unsigned level)
{
	return 1ull << shift_of(level);
}

static inline unsigned index_of(uint64_t iova, unsigned level)
{
	return (unsigned)(iova >> shift_of(level)) & (ENTRIES - 1);
}

/** Whether these are whole pages that a mapped domain's tables translate. */
static inline bool is_range(
	const struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);

	return domain->kind == IOMMU_DOMAIN_MAPPED && size &&
		!((iova | size) & (PAGE_SIZE - 1)) && last >= iova &&
		last <= domain->table.last;
}

static inline bool is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || entry & LARGE;
}

static inline uint64_t load(const word64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static inline void store(word64 *entry, uint64_t value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/** The first present entry from n on and before end; end or more if there is
 *  none. */
static inline unsigned next_present(
	const word64 *table, unsigned n, unsigned end)
{
	for (; n < end; n++) {
		/* Most tables are nearly empty: eight entries in one look. */
		while (!(n % 8) && n < end &&
			!((table[n] | table[n + 1] | table[n + 2] |
				  table[n + 3] | table[n + 4] | table[n + 5] |
				  table[n + 6] | table[n + 7]) &
				PRESENT))
			n += 8;
		if (n < end && table[n] & PRESENT)
			break;
	}
	return n;
}

static inline bool any_present(const word64 *entry, unsigned count)
{
	uint64_t used = 0;

#pragma GCC unroll 8
	for (unsigned n = 0; n < count; n++)
		used |= entry[n];
	return used & PRESENT;
}

/** How many of so many entries are present: mostly all, and alike. */
static inline unsigned count_present(const word64 *entry, unsigned count)
{
	uint64_t all = PRESENT;
	unsigned present = 0;

#pragma GCC unroll 8
	for (unsigned n = 0; n < count; n++)
		all &= entry[n];
	if (all)
		return count;
	for (unsigned n = 0; n < count; n++)
		present += !!(entry[n] & PRESENT);
	return present;
}

/** Leaves of pages that lie side by side. */
static inline void store_leaves(word64 *leaf, uint64_t value, unsigned count)
{
#pragma GCC unroll 8
	for (unsigned n = 0; n < count; n++, value += PAGE_SIZE)
		store(&leaf[n], value);
}

/** Entries that were stored, to the memory that units read. */
static inline void write_back(
	const struct iommu_domain *domain, const word64 *first, unsigned count)
{
	const struct iommu_host *host = &domain->iommu->host;

	if (domain->table.write_back && count)
		host->cache_flush(host->ctx, first, count * sizeof(*first));
}

static inline word64 *table_at(const struct iommu *iommu, uint64_t entry)
{
	return core_virt(iommu, iommu_phys(entry & ADDRESS));
}

/** Gives the page back that an entry leads to. */
static inline void table_free(struct iommu *iommu, uint64_t entry)
{
	core_pages_free(
		iommu, table_at(iommu, entry), iommu_phys(entry & ADDRESS), 0);
}

/** What a mapping came to. */
struct made {
	uint64_t size; /* leaves are made up to here */
	bool tables;   /* tables came or were split */
};

/** Clears leaves of one table, also in memory. Returns how many bytes they
 *  mapped. */
uint64_t core_clear_leaves(
	const struct iommu_domain *domain, word64 *leaf, unsigned count);
/** Maps a sound range below a table. IOMMU_MAPPED: something is mapped there.
 *  If it fails, core_map_undo() is to follow. */
enum iommu_status core_map_below(struct iommu_domain *domain, word64 *table,
	unsigned level, uint64_t iova, uint64_t phys, uint64_t size,
	uint64_t bits, struct made *made);
/** Takes back what a failed mapping of size bytes did; the unit may have seen
 *  it. Tables that it made stay, and are flushed as they would have been with
 *  their leaves. Returns the status, or IOMMU_UNCONFIRMED. */
enum iommu_status core_map_undo(struct iommu_domain *domain, uint64_t iova,
	uint64_t size, struct made made, enum iommu_status status);
/** Unmaps a range below a table; tables may be split and unlinked.
 *  IOMMU_NO_MEMORY: a split found no page. */
enum iommu_status core_unmap_below(struct iommu_batch *batch, word64 *table,
	unsigned level, uint64_t iova, uint64_t last, uint64_t *out_removed);
/** After the flush of an unmap was confirmed: the unit has forgotten the large
 *  pages that were split at the ends of its range. */
void core_settle_splits(
	struct iommu_domain *domain, uint64_t iova, uint64_t size);
/** Takes the leaf table of an address out of the cache. */
void core_leaf_forget(struct pgtable *table, uint64_t iova);
/** Makes sure that large pages which exist can be split later. */
bool core_reserve_fill(struct iommu_domain *domain);
/** Puts the page of an unlinked table, that of iova, into the edit's batch. */
void core_wait_for_flush(struct edit *edit, uint64_t entry, uint64_t iova);
/** A zeroed page for a table, in memory, too, or NULL. */
word64 *core_table_take(
	const struct iommu_domain *domain, iommu_phys_t *out_phys);
/** The table below an entry, made if absent; value is what the entry held, no
 *  large page. NULL: out of memory, or it is a large page now. */
word64 *core_table_below(struct edit *edit, word64 *entry, uint64_t value);
/** Whether an entry leads to a table that units with fewer levels start at. */
bool core_is_pinned(
	const struct edit *edit, unsigned level, uint64_t iova, uint64_t value);

#endif
