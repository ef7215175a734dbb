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
 * cached is right either way until the flush that follows. Until then the link
 * carries a mark (bit 53): the unit may still hold the page in one piece, so
 * whoever else unmaps a part of it flushes all of it, too. A flush of the
 * host's own batch does not take the mark away, the next unmap that waits does:
 * too much is flushed until then, never too little. Joining is the same
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

/** Keeps a page, or gives it back if there are enough. */
static void reserve_put(struct iommu_domain *domain, iommu_phys_t phys)
{
	struct iommu *iommu = domain->iommu;
	unsigned long state = core_lock(iommu, &iommu->pool_lock);
	struct pgtable *table = &domain->table;
	bool room = table->reserve_count < RESERVE;

	if (room)
		table->reserve[table->reserve_count++] = phys;
	core_unlock(iommu, &iommu->pool_lock, state);
	if (!room)
		table_free(iommu, phys.v);
}

/** Makes sure that large pages which exist can be split later. */
bool core_reserve_fill(struct iommu_domain *domain)
{
	unsigned *count = &domain->table.reserve_count;
	iommu_phys_t phys;

	while (__atomic_load_n(count, __ATOMIC_RELAXED) < RESERVE) {
		if (!core_pages(domain->iommu, 0, &phys))
			return false;
		reserve_put(domain, phys);
	}
	return true;
}

/* ---- tables that wait in a batch ---- */

/* The first words of a page that waits hold its own address and the next one's.
 * The hardware may still walk it: addresses of pages read as absent entries. */
void core_wait_for_flush(struct edit *edit, uint64_t entry, uint64_t iova)
{
	word64 *page = table_at(edit->domain->iommu, entry);

	store(&page[0], entry & ADDRESS);
	store(&page[1], (uintptr_t)edit->batch->pages);
	edit->batch->pages = page;
	edit->changes = IOMMU_TABLE_CHANGED;
	core_leaf_forget(edit->table, iova);
}

void core_table_release(struct iommu_batch *batch, bool confirmed)
{
	struct iommu *iommu = batch->domain->iommu;
	const word64 *page = batch->pages, *next;

	for (; page; page = next) {
		next = (const word64 *)(uintptr_t)page[1];
		if (confirmed)
			table_free(iommu, page[0]);
		else
			core_pages_withhold(iommu, 0);
	}
}

/* ---- going down ---- */

/** The table behind a link, about which the hardware's memory is told first:
 *  the CPU that stored it may not have got so far. */
static word64 *follow(const struct edit *edit, word64 *entry, uint64_t link)
{
	if (!(link & IN_MEMORY)) {
		write_back(edit->domain, entry, 1);
		__atomic_fetch_or(entry, IN_MEMORY, __ATOMIC_RELEASE);
	}
	return table_at(edit->domain->iommu, link);
}

/** Notes for which addresses there is a table more; mostly as before. */
static void note_linked(const struct edit *edit)
{
	struct iommu *iommu = edit->domain->iommu;
	word64 *linked = edit->table->linked;
	unsigned long state;

	if (edit->lowest >= load(&linked[0]) &&
		edit->highest <= load(&linked[1]))
		return;
	state = core_lock(iommu, &iommu->pool_lock);
	store(&linked[0], core_min(linked[0], edit->lowest));
	store(&linked[1], core_max(linked[1], edit->highest));
	core_unlock(iommu, &iommu->pool_lock, state);
}

/** Has an entry lead to a table, unless another CPU was faster. Returns the
 *  table that it leads to, NULL if that is a large page. */
static word64 *link_table(
	struct edit *edit, word64 *entry, uint64_t value, iommu_phys_t phys)
{
	uint64_t link = phys.v | PRESENT | (value & LARGE ? SPLIT : 0);
	word64 *table;

	if (__atomic_compare_exchange_n(entry, &value, link, false,
		    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		table = follow(edit, entry, link);
		note_linked(edit);
		edit->changes = IOMMU_TABLE_CHANGED;
		return table;
	}
	reserve_put(edit->domain, phys);
	return value & LARGE ? NULL : follow(edit, entry, value);
}

word64 *core_table_below(struct edit *edit, word64 *entry, uint64_t value)
{
	iommu_phys_t phys;

	if (value & PRESENT)
		return follow(edit, entry, value);
	return core_table_take(edit->domain, &phys)
		? link_table(edit, entry, value, phys)
		: NULL;
}

/** The unit may hold the large page at edit->at in one piece: flush all. */
static void flush_whole(struct edit *edit, unsigned level)
{
	uint64_t mask = span_of(level) - 1;

	edit->lowest = core_min(edit->lowest, edit->at & ~mask);
	edit->highest = core_max(edit->highest, edit->at | mask);
	edit->changes = IOMMU_TABLE_CHANGED;
}

static void settle_splits_at(struct iommu_domain *domain, uint64_t iova)
{
	word64 *table = domain->table.root;

	for (unsigned level = domain->table.levels; level > 1; level--) {
		word64 *entry = &table[index_of(iova, level)];
		uint64_t value = load(entry);

		if (!(value & PRESENT) || value & LARGE)
			break;
		if (value & SPLIT)
			__atomic_fetch_and(entry, ~SPLIT, __ATOMIC_RELEASE);
		table = table_at(domain->iommu, value);
	}
}

void core_settle_splits(
	struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	settle_splits_at(domain, iova);
	settle_splits_at(domain, iova + (size - 1));
}

/**
 * Replaces the large page at edit->at by a table that says the same. Another
 * CPU that unmaps another part of the page may be faster.
 */
static word64 *split(
	struct edit *edit, word64 *entry, uint64_t value, unsigned level)
{
	uint64_t step = span_of(level - 1);
	uint64_t leaf = level == 2 ? value & ~LARGE : value;
	iommu_phys_t phys;
	word64 *table = reserve_take(edit->domain, &phys);

	if (!table)
		return NULL;
	for (unsigned n = 0; n < ENTRIES; n++)
		table[n] = leaf + n * step;
	write_back(edit->domain, table, ENTRIES);
	flush_whole(edit, level);
	return link_table(edit, entry, value, phys);
}

/* ---- map ---- */

/** How many pages are left in the leaf table of what comes next. */
static unsigned pages_left(const struct edit *edit)
{
	return (unsigned)core_min(ENTRIES - index_of(edit->at, 1),
		((edit->last - edit->at) >> PAGE_SHIFT) + 1);
}

static bool fits_large(const struct edit *edit, unsigned level)
{
	uint64_t size = span_of(level);

	return level <= 3 && edit->table->page_sizes & size &&
		!((edit->at | edit->phys_delta) & (size - 1)) &&
		edit->last - edit->at >= size - 1;
}

/** Maps on: one large page, or what one table of leaves maps of the rest. */
static enum iommu_status map_next(
	struct edit *edit, word64 *table, unsigned level)
{
	uint64_t leaf = (edit->at + edit->phys_delta) | edit->leaf_bits;
	uint64_t value = PRESENT;
	unsigned count = pages_left(edit);

	for (; level > 1; level--) {
		word64 *entry = &table[index_of(edit->at, level)];

		value = load(entry);
		if (value & LARGE)
			return IOMMU_MAPPED;
		if (!value && fits_large(edit, level) &&
			core_reserve_fill(edit->domain)) {
			__atomic_store_n(
				&edit->table->large, true, __ATOMIC_RELAXED);
			store(entry, leaf | LARGE);
			write_back(edit->domain, entry, 1);
			edit->at += span_of(level);
			return IOMMU_OK;
		}
		table = core_table_below(edit, entry, value);
		if (!table)
			return IOMMU_NO_MEMORY;
	}
	table += index_of(edit->at, 1);
	/* A table that comes now is empty where nobody else maps. */
	if (value & PRESENT && any_present(table, count))
		return IOMMU_MAPPED;
	store_leaves(table, leaf, count);
	write_back(edit->domain, table, count);
	edit->at += (uint64_t)count << PAGE_SHIFT;
	return IOMMU_OK;
}

enum iommu_status core_map_below(struct iommu_domain *domain, word64 *table,
	unsigned level, uint64_t iova, uint64_t phys, uint64_t size,
	uint64_t bits, struct made *made)
{
	enum iommu_status status;
	struct edit edit;

	edit_begin(&edit, domain, iova, iova + (size - 1));
	edit.phys_delta = phys - iova;
	edit.leaf_bits = bits;
	do
		status = map_next(&edit, table, level);
	while (status == IOMMU_OK && edit.at <= edit.last);
	*made = (struct made){edit.at - iova, edit.changes};
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
				iova + n * span_of(level));
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

uint64_t core_clear_leaves(
	const struct iommu_domain *domain, word64 *leaf, unsigned count)
{
	unsigned present = count_present(leaf, count), n;

#pragma GCC unroll 8
	for (n = 0; n < count; n++)
		store(&leaf[n], 0);
	if (present)
		write_back(domain, leaf, count);
	return (uint64_t)present << PAGE_SHIFT;
}

/** Clears entries of a table from edit->at on, up to the first of which only a
 *  part goes: returns that, or NULL at the end of the table or range. */
static word64 *unmap_entries(struct edit *edit, word64 *table, unsigned level)
{
	uint64_t size = span_of(level);
	unsigned n = index_of(edit->at, level), low = ENTRIES, high = 0;

	for (; n < ENTRIES && edit->at <= edit->last; n++) {
		uint64_t value = load(&table[n]);

		if (value & PRESENT) {
			if (edit->at & (size - 1) ||
				edit->last - edit->at < size - 1 ||
				core_is_pinned(edit, level, edit->at, value))
				break;
			store(&table[n], 0);
			if (is_leaf(value, level))
				edit->removed += size;
			else
				collect(edit, value, level - 1, edit->at);
			low = low < n ? low : n;
			high = n;
		}
		edit->at = (edit->at | (size - 1)) + 1;
	}
	if (low <= high)
		write_back(edit->domain, &table[low], high - low + 1);
	return n < ENTRIES && edit->at <= edit->last ? &table[n] : NULL;
}

/** Unmaps on, up to the end of a table. */
static enum iommu_status unmap_next(
	struct edit *edit, word64 *table, unsigned level)
{
	unsigned count;

	for (; level > 1; level--) {
		word64 *entry = unmap_entries(edit, table, level);
		uint64_t value;

		if (!entry)
			return IOMMU_OK;
		value = load(entry);
		if (value & SPLIT)
			flush_whole(edit, level);
		table = is_leaf(value, level) ? split(edit, entry, value, level)
					      : follow(edit, entry, value);
		if (!table)
			return IOMMU_NO_MEMORY;
	}
	count = pages_left(edit);
	edit->removed += core_clear_leaves(
		edit->domain, &table[index_of(edit->at, 1)], count);
	edit->at += (uint64_t)count << PAGE_SHIFT;
	return IOMMU_OK;
}

enum iommu_status core_unmap_below(struct iommu_batch *batch, word64 *table,
	unsigned level, uint64_t iova, uint64_t last, uint64_t *out_removed)
{
	enum iommu_status status = IOMMU_OK;
	struct edit edit;

	edit_begin(&edit, batch->domain, iova, last);
	edit.batch = batch;
	edit.counted = out_removed;
	while (status == IOMMU_OK && edit.at <= edit.last)
		status = unmap_next(&edit, table, level);
	if (edit.removed || edit.changes)
		iommu_batch_add(batch, IOMMU_REMOVED | edit.changes,
			iommu_iova(edit.lowest),
			edit.highest - edit.lowest + 1);
	if (out_removed)
		*out_removed = edit.removed;
	return status;
}
