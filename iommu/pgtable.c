/* SPDX-License-Identifier: MIT */
/*
 * Second-stage page tables of mapped domains (VT-d 9.8): ranges of any kind are
 * entered and removed.
 *
 * There is no lock. A call only touches leaves of its own range, and ranges of
 * calls that run at the same time must not overlap; what they share are the
 * entries above, which only ever change from absent to a table, by
 * compare-exchange. A table is unlinked only by an unmap that covers all that
 * it translates, so nobody else can be inside; its page waits in the batch
 * until the hardware has forgotten it.
 *
 * A large page is split in place: the table that replaces it says the same, so
 * there is no moment at which a device misses its page, and what the unit has
 * cached is right either way until the flush that follows. Joining is the same
 * backwards.
 *
 * On units that read memory without snooping every store is followed by a
 * write-back before anything can depend on it. A CPU that finds a table which
 * another one has just linked cannot know whether that link is in memory yet: a
 * software bit (52) tells.
 */
#include "pgtable.h"

/* ---- the reserve for splitting ---- */

static void *reserve_take(struct iommu_domain *domain, iommu_phys_t *out_phys)
{
	struct iommu *iommu = domain->iommu;
	unsigned long state = core_lock(iommu, &iommu->pool_lock);
	struct pgtable *table = &domain->table;
	void *page = NULL;

	if (table->reserve_count) {
		*out_phys = table->reserve[--table->reserve_count];
		page = core_virt(iommu, *out_phys);
	}
	core_unlock(iommu, &iommu->pool_lock, state);
	return page;
}

/** True if the page was kept. */
static bool reserve_put(struct iommu_domain *domain, iommu_phys_t phys)
{
	struct iommu *iommu = domain->iommu;
	unsigned long state = core_lock(iommu, &iommu->pool_lock);
	struct pgtable *table = &domain->table;
	bool room = table->reserve_count < RESERVE;

	if (room)
		table->reserve[table->reserve_count++] = phys;
	core_unlock(iommu, &iommu->pool_lock, state);
	return room;
}

/** Makes sure that large pages which exist can be split later. */
bool core_reserve_fill(struct iommu_domain *domain)
{
	struct iommu *iommu = domain->iommu;
	iommu_phys_t phys;

	while (__atomic_load_n(&domain->table.reserve_count, __ATOMIC_RELAXED) <
		RESERVE) {
		void *page = core_pages(iommu, 0, &phys);

		if (!page)
			return false;
		if (!reserve_put(domain, phys)) {
			core_pages_free(iommu, page, phys, 0);
			return true;
		}
	}
	return true;
}

/* ---- tables that wait in a batch ---- */

/**
 * What the first words of a waiting table page hold. The hardware may still
 * walk it: both words are page-aligned, so they read as absent entries.
 */
struct waiting {
	uint64_t next_phys;
	uint64_t own_phys;
};

void core_wait_for_flush(struct edit *edit, uint64_t entry, uint64_t iova)
{
	struct waiting *page = (void *)table_at(edit->domain->iommu, entry);

	page->next_phys = edit->batch->pages
		? ((struct waiting *)edit->batch->pages)->own_phys
		: 0;
	page->own_phys = entry & ADDRESS;
	edit->batch->pages = page;
	core_leaf_forget(edit->table, iova);
}

void core_table_release(struct iommu_batch *batch, bool confirmed)
{
	struct iommu *iommu = batch->domain->iommu;
	struct waiting *page = batch->pages;

	while (page) {
		uint64_t next = page->next_phys, own = page->own_phys;

		if (confirmed)
			core_pages_free(iommu, page, iommu_phys(own), 0);
		else
			core_pages_withhold(iommu, 0);
		page = next ? core_virt(iommu, iommu_phys(next)) : NULL;
	}
}

/* ---- going down ---- */

/** Tells the hardware's memory about a link, if that is needed. */
static void settle_link(const struct edit *edit, word64 *entry, uint64_t value)
{
	if (value & IN_MEMORY)
		return;
	write_back(edit, entry, 1);
	__atomic_fetch_or(entry, IN_MEMORY, __ATOMIC_RELEASE);
}

/** Notes for which addresses there is a table more; mostly as before. */
static void note_linked(const struct edit *edit)
{
	struct iommu *iommu = edit->domain->iommu;
	word64 *linked = edit->table->linked;
	unsigned long state;

	if (edit->first >= load(&linked[0]) && edit->last <= load(&linked[1]))
		return;
	state = core_lock(iommu, &iommu->pool_lock);
	store(&linked[0], core_min(linked[0], edit->first));
	store(&linked[1], core_max(linked[1], edit->last));
	core_unlock(iommu, &iommu->pool_lock, state);
}

/** The table below an entry; made if absent. NULL: out of memory, or the entry
 *  is a large page. */
word64 *core_table_below(struct edit *edit, word64 *entry)
{
	struct iommu *iommu = edit->domain->iommu;
	uint64_t value = load(entry);
	iommu_phys_t phys;
	word64 *table;

	if (!(value & PRESENT)) {
		table = core_pages(iommu, 0, &phys);
		if (!table)
			return NULL;
		write_back(edit, table, ENTRIES);
		if (__atomic_compare_exchange_n(entry, &value, phys.v | PRESENT,
			    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			settle_link(edit, entry, 0);
			note_linked(edit);
			edit->relinked = true;
			return table;
		}
		core_pages_free(iommu, table, phys, 0);
	}
	if (value & LARGE)
		return NULL;
	settle_link(edit, entry, value);
	return table_at(iommu, value);
}

/**
 * Replaces the large page around iova by a table that says the same. Another
 * CPU that unmaps another part of the page may be faster. Not inlined: that
 * would double the stack of the recursion.
 */
static __attribute__((noinline)) word64 *split(struct edit *edit, word64 *entry,
	uint64_t value, unsigned level, uint64_t iova)
{
	uint64_t step = 1ull << shift_of(level - 1);
	uint64_t mask = (1ull << shift_of(level)) - 1;
	uint64_t leaf = level == 2 ? value & ~LARGE : value;
	iommu_phys_t phys;
	word64 *table = reserve_take(edit->domain, &phys);
	unsigned n;

	if (!table)
		return NULL;
	for (n = 0; n < ENTRIES; n++)
		table[n] = leaf + n * step;
	write_back(edit, table, ENTRIES);
	/* The unit may hold the page in one piece: flush all of it. */
	edit->first = core_min(edit->first, iova & ~mask);
	edit->last = core_max(edit->last, iova | mask);
	edit->relinked = true;
	if (__atomic_compare_exchange_n(entry, &value, phys.v | PRESENT, false,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		settle_link(edit, entry, 0);
		note_linked(edit);
		return table;
	}
	if (!reserve_put(edit->domain, phys))
		core_pages_free(edit->domain->iommu, table, phys, 0);
	settle_link(edit, entry, value);
	return table_at(edit->domain->iommu, value);
}

/* ---- map ---- */

/** Whether anything in [iova, last] is mapped below a table. */
static bool range_is_used(const struct edit *edit, const word64 *table,
	unsigned level, uint64_t iova, uint64_t last)
{
	uint64_t mask = (1ull << shift_of(level)) - 1;

	if (level == 1)
		return any_present(&table[index_of(iova, 1)],
			(unsigned)((last - iova) >> PAGE_SHIFT) + 1);
	for (;;) {
		uint64_t entry = load(&table[index_of(iova, level)]);
		uint64_t end = core_min(iova | mask, last);

		if (entry & PRESENT) {
			if (entry & LARGE)
				return true;
			if (range_is_used(edit,
				    table_at(edit->domain->iommu, entry),
				    level - 1, iova, end))
				return true;
		}
		if (end == last)
			return false;
		iova = end + 1;
	}
}

static bool fits_large(
	const struct edit *edit, unsigned level, uint64_t iova, uint64_t last)
{
	uint64_t size = 1ull << shift_of(level);

	return level <= 3 && edit->table->page_sizes & size &&
		!((iova | edit->phys_delta) & (size - 1)) &&
		last - iova >= size - 1;
}

static void map_leaves(
	struct edit *edit, word64 *first, uint64_t iova, uint64_t last)
{
	unsigned count = (unsigned)((last - iova) >> PAGE_SHIFT) + 1;

	store_leaves(first, (iova + edit->phys_delta) | edit->leaf_bits, count);
	write_back(edit, first, count);
	edit->done = last + 1;
}

/** Maps on from edit->done: one large page, or what one table of leaves maps of
 *  the rest; from the given table down. */
static enum iommu_status map_next(
	struct edit *edit, word64 *table, unsigned level)
{
	uint64_t iova = edit->done, end;
	word64 *entry;

	for (; level > 1; level--) {
		end = core_min(
			iova | ((1ull << shift_of(level)) - 1), edit->last);
		entry = &table[index_of(iova, level)];
		if (fits_large(edit, level, iova, end) && !load(entry) &&
			core_reserve_fill(edit->domain)) {
			store(entry,
				(iova + edit->phys_delta) | edit->leaf_bits |
					LARGE);
			write_back(edit, entry, 1);
			edit->done = end + 1;
			return IOMMU_OK;
		}
		table = core_table_below(edit, entry);
		if (!table)
			return IOMMU_NO_MEMORY;
	}
	end = core_min(iova | ((1ull << shift_of(2)) - 1), edit->last);
	map_leaves(edit, &table[index_of(iova, 1)], iova, end);
	return IOMMU_OK;
}

enum iommu_status core_map_range(struct iommu_domain *domain, word64 *table,
	unsigned level, uint64_t iova, uint64_t last, uint64_t phys,
	uint64_t leaf_bits, struct made *made)
{
	struct edit edit = {
		.domain = domain,
		.table = &domain->table,
		.phys_delta = phys - iova,
		.leaf_bits = leaf_bits,
		.done = iova,
		.first = iova,
		.last = last,
	};
	enum iommu_status status = IOMMU_MAPPED;

	if (!range_is_used(&edit, table, level, iova, last))
		do
			status = map_next(&edit, table, level);
		while (status == IOMMU_OK && edit.done <= last);
	*made = (struct made){edit.done - iova, edit.relinked};
	return status;
}

enum iommu_status core_map_undo(struct iommu_domain *domain, uint64_t iova,
	uint64_t size, struct made made, enum iommu_status status)
{
	if (made.size &&
		core_unmap_now(domain, iova, made.size, NULL) != IOMMU_OK)
		return IOMMU_UNCONFIRMED;
	if (made.tables && core_tell_present(domain, iova, size) != IOMMU_OK)
		return IOMMU_UNCONFIRMED;
	return status;
}

/* ---- unmap ---- */

/** Puts a table and all below it into the batch; counts what it mapped if that
 *  is asked for: leaves need not be looked at otherwise. */
static void collect(
	struct edit *edit, uint64_t link, unsigned level, uint64_t iova)
{
	const word64 *table = table_at(edit->domain->iommu, link);
	unsigned n = ENTRIES, leaves = 0;

	if (level > 1)
		n = next_present(table, 0, ENTRIES);
	else if (edit->counted)
		leaves = count_present(table, ENTRIES);
	for (; n < ENTRIES; n = next_present(table, n + 1, ENTRIES))
		if (is_leaf(table[n], level))
			leaves++;
		else
			collect(edit, table[n], level - 1,
				iova + ((uint64_t)n << shift_of(level)));
	edit->removed += (uint64_t)leaves << shift_of(level);
	core_wait_for_flush(edit, link, iova);
}

/** Whether an entry leads to a table that units with fewer levels start at. */
bool core_is_pinned(
	const struct edit *edit, unsigned level, uint64_t iova, uint64_t value)
{
	return !iova && !is_leaf(value, level) &&
		level > edit->table->lowest_root;
}

/** Clears a present entry that goes as a whole. */
static void unmap_entry(struct edit *edit, word64 *entry, uint64_t value,
	unsigned level, uint64_t iova)
{
	store(entry, 0);
	if (is_leaf(value, level)) {
		edit->removed += 1ull << shift_of(level);
	} else {
		collect(edit, value, level - 1, iova);
		edit->relinked = true;
	}
}

/** Unmaps on from *iova: what one table maps of the rest, up to the first entry
 *  of which only a part goes; from the given table down. False: a split found
 *  no page. */
static bool unmap_next(struct edit *edit, word64 *table, unsigned level,
	uint64_t *iova, uint64_t last)
{
	for (;; level--) {
		uint64_t size = 1ull << shift_of(level), value = 0;
		unsigned first = index_of(*iova, level), n = first;
		unsigned low = ENTRIES, high = 0;

		for (; n < ENTRIES && *iova <= last; n++) {
			bool whole = !(*iova & (size - 1)) &&
				last - *iova >= size - 1;

			value = load(&table[n]);
			if (value & PRESENT) {
				if (!whole ||
					core_is_pinned(
						edit, level, *iova, value))
					break;
				unmap_entry(
					edit, &table[n], value, level, *iova);
				low = low < n ? low : n;
				high = n;
			}
			*iova = (*iova | (size - 1)) + 1;
		}
		if (low <= high)
			write_back(edit, &table[low], high - low + 1);
		if (n == ENTRIES || *iova > last)
			return true;
		table = is_leaf(value, level)
			? split(edit, &table[n], value, level, *iova)
			: table_at(edit->domain->iommu, value);
		if (!table)
			return false;
	}
}

bool core_unmap_below(struct edit *edit, word64 *table, unsigned level,
	uint64_t iova, uint64_t last)
{
	while (iova <= last)
		if (!unmap_next(edit, table, level, &iova, last))
			return false;
	return true;
}
