/* SPDX-License-Identifier: MIT */
/*
 * Second-stage page tables of mapped domains (VT-d 9.8), and map and unmap.
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

void core_wait_for_flush(struct edit *edit, uint64_t entry)
{
	struct waiting *page = (void *)table_at(edit->domain->iommu, entry);

	page->next_phys = edit->batch->pages
		? ((struct waiting *)edit->batch->pages)->own_phys
		: 0;
	page->own_phys = entry & ADDRESS;
	edit->batch->pages = page;
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
	batch->pages = NULL;
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

	for (;;) {
		uint64_t entry = load(&table[index_of(iova, level)]);
		uint64_t end = core_min(iova | mask, last);

		if (entry & PRESENT) {
			if (is_leaf(entry, level))
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

static enum iommu_status map_leaves(
	struct edit *edit, word64 *first, uint64_t iova, uint64_t last)
{
	word64 *entry = first;
	uint64_t value = (iova + edit->phys_delta) | edit->leaf_bits;

	for (; iova <= last; iova += PAGE_SIZE, value += PAGE_SIZE)
		store(entry++, value);
	write_back(edit, first, (unsigned)(entry - first));
	edit->done = last + 1;
	return IOMMU_OK;
}

static enum iommu_status map_below(struct edit *edit, word64 *table,
	unsigned level, uint64_t iova, uint64_t last);

static enum iommu_status map_entry(struct edit *edit, word64 *entry,
	unsigned level, uint64_t iova, uint64_t last)
{
	word64 *below;

	if (fits_large(edit, level, iova, last) && !load(entry) &&
		core_reserve_fill(edit->domain)) {
		store(entry,
			(iova + edit->phys_delta) | edit->leaf_bits | LARGE);
		write_back(edit, entry, 1);
		edit->done = last + 1;
		return IOMMU_OK;
	}
	below = core_table_below(edit, entry);
	if (!below)
		return IOMMU_NO_MEMORY;
	return map_below(edit, below, level - 1, iova, last);
}

/** The recursion is as deep as the tables. */
static enum iommu_status map_below(struct edit *edit, word64 *table,
	unsigned level, uint64_t iova, uint64_t last)
{
	uint64_t mask = (1ull << shift_of(level)) - 1;
	enum iommu_status status = IOMMU_OK;

	if (level == 1)
		return map_leaves(edit, &table[index_of(iova, 1)], iova, last);
	while (status == IOMMU_OK) {
		uint64_t end = core_min(iova | mask, last);

		status = map_entry(
			edit, &table[index_of(iova, level)], level, iova, end);
		if (end == last)
			break;
		iova = end + 1;
	}
	return status;
}

static bool touches_window(uint64_t first, uint64_t last)
{
	return first <= INTERRUPT_WINDOW_LAST && last >= INTERRUPT_WINDOW_FIRST;
}

/** Everything that can be wrong with a range. */
static enum iommu_status check_map(const struct iommu_domain *domain,
	uint64_t iova, uint64_t phys, uint64_t size, unsigned rights)
{
	uint64_t last = iova + (size - 1), phys_last = phys + (size - 1);

	if (domain->kind != IOMMU_DOMAIN_MAPPED || !size ||
		(iova | phys | size) & (PAGE_SIZE - 1) || !rights ||
		rights & ~(unsigned)PRESENT)
		return IOMMU_BAD_ARGUMENT;
	if (last < iova || last > domain->table.last || phys_last < phys ||
		phys_last > domain->table.phys_last)
		return IOMMU_WIDTH;
	if (touches_window(iova, last) || touches_window(phys, phys_last))
		return IOMMU_RESERVED_RANGE;
	return IOMMU_OK;
}

/** Takes back what a failed map did. The unit may have seen it. */
static enum iommu_status undo(
	struct edit *edit, uint64_t iova, enum iommu_status status)
{
	if (edit->done > iova &&
		iommu_unmap_now(edit->domain, iommu_iova(iova),
			edit->done - iova) != IOMMU_OK)
		return IOMMU_UNCONFIRMED;
	return status;
}

/** Follows the tables down to the leaf's own, as long as they exist: the way of
 *  nearly every call, so it is kept short. */
static word64 *leaf_of(const struct iommu_domain *domain, uint64_t iova)
{
	const struct iommu *iommu = domain->iommu;
	char *base = iommu->host.direct_map;
	word64 *table = domain->table.root;
	unsigned shift = domain->table.top_shift;

	for (; shift > PAGE_SHIFT; shift -= 9) {
		uint64_t entry = load(&table[iova >> shift & (ENTRIES - 1)]);

		if ((entry & (PRESENT | LARGE | IN_MEMORY)) !=
			(PRESENT | IN_MEMORY))
			return NULL;
		table = base ? (word64 *)(void *)(base +
				       (uintptr_t)(entry & ADDRESS))
			     : table_at(iommu, entry);
	}
	return &table[iova >> PAGE_SHIFT & (ENTRIES - 1)];
}

/** The leaves of a range that lies in one table, or NULL. */
static word64 *leaves_of(
	const struct iommu_domain *domain, uint64_t iova, uint64_t last)
{
	if ((iova ^ last) >> (PAGE_SHIFT + 9))
		return NULL;
	return leaf_of(domain, iova);
}

enum iommu_status core_tell_present(
	struct iommu_domain *domain, uint64_t iova, uint64_t size)
{
	if (!(iommu_domain_duties(domain) & IOMMU_DUTY_FLUSH_PRESENT))
		return IOMMU_OK;
	return iommu_flush(domain, IOMMU_MADE_PRESENT, iommu_iova(iova), size);
}

static void leaves_to_memory(
	const struct iommu_domain *domain, const word64 *leaf, unsigned count)
{
	const struct iommu_host *host = &domain->iommu->host;

	if (domain->table.write_back)
		host->cache_flush(host->ctx, leaf, count * sizeof(*leaf));
}

/** Maps a range whose leaves are in one table that exists. */
static enum iommu_status map_run(const struct iommu_domain *domain,
	word64 *leaf, uint64_t value, unsigned count)
{
	unsigned n;

	for (n = 0; n < count; n++)
		if (load(&leaf[n]) & PRESENT)
			return IOMMU_MAPPED;
	for (n = 0; n < count; n++, value += PAGE_SIZE)
		store(&leaf[n], value);
	leaves_to_memory(domain, leaf, count);
	return IOMMU_OK;
}

/** The general case, apart so that the usual one stays light. */
static __attribute__((noinline)) enum iommu_status map_range(
	struct iommu_domain *domain, uint64_t iova, uint64_t phys,
	uint64_t last, uint64_t leaf_bits)
{
	struct pgtable *table = &domain->table;
	struct edit edit = {
		.domain = domain,
		.table = table,
		.phys_delta = phys - iova,
		.leaf_bits = leaf_bits,
		.done = iova,
	};
	enum iommu_status status;

	if (range_is_used(&edit, table->root, table->levels, iova, last))
		return IOMMU_MAPPED;
	status = map_below(&edit, table->root, table->levels, iova, last);
	return status == IOMMU_OK ? status : undo(&edit, iova, status);
}

enum iommu_status core_map_quietly(struct iommu_domain *domain, uint64_t iova,
	uint64_t phys, uint64_t size, unsigned rights)
{
	enum iommu_status status = check_map(domain, iova, phys, size, rights);
	uint64_t last = iova + (size - 1), leaf_bits;
	word64 *leaf;

	if (status != IOMMU_OK)
		return status;
	leaf_bits = rights | domain->table.leaf_bits;
	leaf = leaves_of(domain, iova, last);
	if (leaf)
		return map_run(domain, leaf, phys | leaf_bits,
			(unsigned)(size >> PAGE_SHIFT));
	return map_range(domain, iova, phys, last, leaf_bits);
}

enum iommu_status iommu_map(struct iommu_domain *domain, iommu_iova_t iova,
	iommu_phys_t phys, uint64_t size, unsigned rights)
{
	enum iommu_status status =
		core_map_quietly(domain, iova.v, phys.v, size, rights);

	return status == IOMMU_OK ? core_tell_present(domain, iova.v, size)
				  : status;
}

/* ---- unmap ---- */

/** Puts a table and all below it into the batch; counts what it mapped. */
static void collect(struct edit *edit, uint64_t link, unsigned level)
{
	const word64 *table = table_at(edit->domain->iommu, link);
	unsigned n;

	for (n = 0; n < ENTRIES; n++) {
		uint64_t entry = table[n];

		if (!(entry & PRESENT))
			continue;
		if (is_leaf(entry, level))
			edit->removed += 1ull << shift_of(level);
		else
			collect(edit, entry, level - 1);
	}
	core_wait_for_flush(edit, link);
}

static bool unmap_below(struct edit *edit, word64 *table, unsigned level,
	uint64_t iova, uint64_t last);

/** Whether an entry leads to a table that units with fewer levels start at. */
bool core_is_pinned(
	const struct edit *edit, unsigned level, uint64_t iova, uint64_t value)
{
	return !iova && !is_leaf(value, level) &&
		level > edit->table->lowest_root;
}

/** Clears what [iova, last] covers of one entry. *out_changed: the entry
 *  itself. False: a split found no page. */
static bool unmap_entry(struct edit *edit, word64 *entry, unsigned level,
	uint64_t iova, uint64_t last, bool *out_changed)
{
	uint64_t size = 1ull << shift_of(level);
	bool whole = !(iova & (size - 1)) && last - iova == size - 1;
	uint64_t value = load(entry);
	word64 *below;

	if (!(value & PRESENT))
		return true;
	if (whole && !core_is_pinned(edit, level, iova, value)) {
		store(entry, 0);
		*out_changed = true;
		if (is_leaf(value, level)) {
			edit->removed += size;
		} else {
			collect(edit, value, level - 1);
			edit->relinked = true;
		}
		return true;
	}
	below = is_leaf(value, level) ? split(edit, entry, value, level, iova)
				      : table_at(edit->domain->iommu, value);
	return below && unmap_below(edit, below, level - 1, iova, last);
}

static bool unmap_below(struct edit *edit, word64 *table, unsigned level,
	uint64_t iova, uint64_t last)
{
	uint64_t mask = (1ull << shift_of(level)) - 1;
	unsigned first = index_of(iova, level), n = first;
	unsigned low = ENTRIES, high = 0;
	bool fine = true;

	for (;; n++) {
		uint64_t end = core_min(iova | mask, last);
		bool changed = false;

		fine = unmap_entry(edit, &table[n], level, iova, end, &changed);
		if (changed) {
			low = low < n ? low : n;
			high = n;
		}
		if (!fine || end == last)
			break;
		iova = end + 1;
	}
	if (low <= high)
		write_back(edit, &table[low], high - low + 1);
	return fine;
}

/** Clears leaves of one table, which stays. Returns the bytes they mapped. */
static uint64_t clear_run(
	const struct iommu_domain *domain, word64 *leaf, unsigned count)
{
	uint64_t removed = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		if (!(load(&leaf[n]) & PRESENT))
			continue;
		store(&leaf[n], 0);
		removed += PAGE_SIZE;
	}
	if (removed)
		leaves_to_memory(domain, leaf, count);
	return removed;
}

/** The general case: tables may be split and unlinked. False: a split found no
 *  page. */
static __attribute__((noinline)) bool unmap_range(struct iommu_domain *domain,
	uint64_t iova, uint64_t last, struct iommu_batch *batch,
	uint64_t *out_removed)
{
	struct pgtable *table = &domain->table;
	struct edit edit = {.domain = domain,
		.table = table,
		.batch = batch,
		.first = iova,
		.last = last};
	bool fine = unmap_below(&edit, table->root, table->levels, iova, last);

	if (edit.removed || edit.relinked)
		iommu_batch_add(batch,
			IOMMU_REMOVED |
				(edit.relinked ? IOMMU_TABLE_CHANGED : 0u),
			iommu_iova(edit.first), edit.last - edit.first + 1);
	*out_removed = edit.removed;
	return fine;
}

enum iommu_status iommu_unmap(struct iommu_domain *domain, iommu_iova_t iova,
	uint64_t size, struct iommu_batch *batch, uint64_t *out_removed)
{
	uint64_t last = iova.v + (size - 1), removed;
	word64 *leaf = NULL;
	bool fine = true;

	if (domain->kind != IOMMU_DOMAIN_MAPPED || batch->domain != domain ||
		!size || (iova.v | size) & (PAGE_SIZE - 1) || last < iova.v ||
		last > domain->table.last)
		return IOMMU_BAD_ARGUMENT;
	/* A whole table is unlinked rather than cleared. */
	if (size < (uint64_t)PAGE_SIZE * ENTRIES)
		leaf = leaves_of(domain, iova.v, last);
	if (leaf) {
		removed =
			clear_run(domain, leaf, (unsigned)(size >> PAGE_SHIFT));
		if (removed)
			iommu_batch_add(batch, IOMMU_REMOVED, iova, size);
	} else {
		fine = unmap_range(domain, iova.v, last, batch, &removed);
	}
	if (out_removed)
		*out_removed = removed;
	return fine ? IOMMU_OK : IOMMU_NO_MEMORY;
}

enum iommu_status iommu_unmap_now(
	struct iommu_domain *domain, iommu_iova_t iova, uint64_t size)
{
	struct iommu_batch batch;
	enum iommu_status status, flushed;

	iommu_batch_init(&batch, domain);
	status = iommu_unmap(domain, iova, size, &batch, NULL);
	flushed = iommu_batch_flush(&batch);
	return flushed == IOMMU_OK ? status : flushed;
}
