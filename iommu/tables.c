/* SPDX-License-Identifier: MIT */
/*
 * Tables of mapped domains as a whole: chosen, made and given back; small pages
 * joined to large ones; where an address leads.
 */
#include "pgtable.h"

/* ---- a domain's table as a whole ---- */

/** The levels that a unit walks for an address space of this width: as few as
 *  suffice, else as many as it has. 0: it cannot. */
static unsigned levels_for(const struct unit *unit, unsigned bits)
{
	unsigned least = (bits - PAGE_SHIFT + INDEX_BITS - 1) / INDEX_BITS;
	unsigned usable = unit->levels >> least << least;

	return bits <= unit->iova_bits ? (unsigned)__builtin_ctz(usable) : 0;
}

/** What all usable units have in common. Returns how many there are. */
static unsigned common_ground(const struct iommu *iommu, struct pgtable *table)
{
	unsigned phys_bits = 52, count = 0;

	table->bits = 57;
	table->page_sizes = ~0ull;
	table->leaf_bits = SNOOP;
	for (unsigned n = 0; n < iommu->units; n++) {
		const struct unit *unit = iommu->unit[n];

		if (!unit_translates(unit))
			continue;
		count++;
		table->bits = (unsigned)core_min(table->bits, unit->iova_bits);
		phys_bits = (unsigned)core_min(phys_bits, unit->phys_bits);
		table->page_sizes &= unit->page_sizes;
		if (!unit->snoop_control)
			table->leaf_bits = 0;
		table->write_back |= !!(unit->duties & IOMMU_DUTY_WRITE_BACK);
	}
	table->phys_last = (1ull << phys_bits) - 1;
	return count;
}

/** Chooses the depth for a width that all units have: the deepest that any
 *  needs. */
static void choose_levels(const struct iommu *iommu, struct pgtable *table)
{
	unsigned depths = 0;

	for (unsigned n = 0; n < iommu->units; n++)
		if (unit_translates(iommu->unit[n]))
			depths |= 1u << levels_for(iommu->unit[n], table->bits);
	table->levels = core_deepest(depths);
	table->lowest_root = (unsigned)__builtin_ctz(depths);
}

/* ---- spare tables ---- */

/** In the address of a spare table: its zeros are in memory, as units that do
 *  not snoop read it. */
#define WRITTEN 1ull

word64 *core_table_take(
	const struct iommu_domain *domain, iommu_phys_t *out_phys)
{
	struct iommu *iommu = domain->iommu;
	uint64_t spare = 0;
	unsigned long state;
	word64 *table;

	if (__atomic_load_n(&iommu->spares, __ATOMIC_RELAXED)) {
		state = core_lock(iommu, &iommu->pool_lock);
		if (iommu->spares)
			spare = iommu->spare[--iommu->spares];
		core_unlock(iommu, &iommu->pool_lock, state);
	}
	*out_phys = iommu_phys(spare & ADDRESS);
	table = spare ? core_virt(iommu, *out_phys)
		      : core_pages(iommu, 0, out_phys);
	if (table && !(spare & WRITTEN))
		write_back(domain, table, ENTRIES);
	return table;
}

/** Keeps a table that is zeroed, unless there are enough. */
static bool table_keep(const struct iommu_domain *domain, uint64_t phys)
{
	struct iommu *iommu = domain->iommu;
	unsigned long state = core_lock(iommu, &iommu->pool_lock);
	bool room = iommu->spares < iommu->options.spare_tables;

	if (room)
		iommu->spare[iommu->spares++] =
			phys | (domain->table.write_back ? WRITTEN : 0);
	core_unlock(iommu, &iommu->pool_lock, state);
	return room;
}

void core_spare_tables_end(struct iommu *iommu)
{
	while (iommu->spares)
		table_free(iommu, iommu->spare[--iommu->spares]);
}

/** A table and what is below for the addresses first to last. One that only
 *  led to tables, which are all there, is zeroed again. */
static void free_below(struct iommu_domain *domain, uint64_t link,
	unsigned level, uint64_t first, uint64_t last)
{
	struct iommu *iommu = domain->iommu;
	word64 *table = table_at(iommu, link);
	unsigned low = index_of(first, level), n = low;
	unsigned high = level > 1 ? index_of(last, level) + 1 : 0;

	while ((n = next_present(table, n, high)) < high) {
		if (!is_leaf(table[n], level))
			free_below(domain, table[n], level - 1,
				n == low ? first : 0,
				n + 1 == high ? last : ~0ull);
		table[n++] = 0;
	}
	if (level > 1 && !domain->table.large && iommu->options.spare_tables) {
		if (low < high)
			write_back(domain, &table[low], high - low);
		if (table_keep(domain, link & ADDRESS))
			return;
	}
	core_pages_free(iommu, table, iommu_phys(link & ADDRESS), 0);
}

void core_table_free(struct iommu_domain *domain)
{
	struct iommu *iommu = domain->iommu;
	struct pgtable *table = &domain->table;

	while (table->reserve_count)
		table_free(iommu, table->reserve[--table->reserve_count].v);
	if (table->root)
		free_below(domain, table->phys.v, table->levels,
			table->linked[0], table->linked[1]);
}

enum iommu_status core_table_make(
	struct iommu_domain *domain, unsigned iova_bits)
{
	struct iommu *iommu = domain->iommu;
	struct pgtable *table = &domain->table;
	struct edit edit;
	word64 *at;

	if (!common_ground(iommu, table))
		return IOMMU_NO_UNIT;
	if (domain->no_snoop_control)
		table->leaf_bits = 0;
	if (!iova_bits)
		iova_bits = table->bits;
	if (iova_bits < shift_of(2) || iova_bits > table->bits)
		return IOMMU_WIDTH;
	table->bits = iova_bits;
	choose_levels(iommu, table);
	table->last = (1ull << iova_bits) - 1;
	table->linked[0] = table->last;
	table->top_shift = shift_of(table->levels);
	table->direct = iommu->host.direct_map;
	table->root = core_table_take(domain, &table->phys);
	/* The tables at which units with fewer levels start. */
	edit_begin(&edit, domain, 0, 0);
	at = table->root;
	for (unsigned level = table->levels; at && level > table->lowest_root;
		level--)
		at = core_table_below(&edit, at, 0);
	if (at)
		return IOMMU_OK;
	core_table_free(domain);
	return IOMMU_NO_MEMORY;
}

/** Whether a unit that came later can walk a table. */
static bool suits(const struct pgtable *table, const struct unit *unit)
{
	return !(table->page_sizes & ~unit->page_sizes) &&
		(!table->leaf_bits || unit->snoop_control) &&
		(table->write_back ||
			!(unit->duties & IOMMU_DUTY_WRITE_BACK)) &&
		table->phys_last >> unit->phys_bits == 0;
}

enum iommu_status core_table_entry(
	const struct pgtable *table, const struct unit *unit, struct entry *out)
{
	unsigned levels = levels_for(unit, table->bits);
	uint64_t link = table->phys.v;

	if (!levels || levels > table->levels || !suits(table, unit))
		return IOMMU_WIDTH;
	for (unsigned level = table->levels; level > levels; level--)
		link = load(table_at(unit->iommu, link)) & ADDRESS;
	out->kind = IOMMU_DOMAIN_MAPPED;
	out->root = iommu_phys(link);
	out->levels = levels;
	return IOMMU_OK;
}

/**
 * Identity for units without pass-through: tables that map everything to
 * itself, with large pages. Made when the first device needs them; a second CPU
 * that made them too gives its own back.
 */
enum iommu_status core_identity_make(struct iommu *iommu)
{
	/* Pass-through does not force snooping either. */
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_MAPPED, .no_snoop_control = true};
	struct iommu_domain *domain, *none = NULL;
	enum iommu_status status;
	uint64_t above = INTERRUPT_WINDOW_LAST + 1ull, last;

	if (__atomic_load_n(&iommu->identity_tables, __ATOMIC_ACQUIRE))
		return IOMMU_OK;
	status = iommu_domain_create(iommu, &config, &domain);
	if (status != IOMMU_OK)
		return status;
	last = core_min(domain->table.last, domain->table.phys_last);
	/* The lowest 512 GiB, to keep the tables within 2 MiB. */
	if (!(domain->table.page_sizes & 1ull << 30))
		last = core_min(last, (1ull << 39) - 1);
	if (!(domain->table.page_sizes & 1ull << 21))
		status = IOMMU_UNSUPPORTED;
	if (status == IOMMU_OK)
		status =
			core_map(domain, 0, 0, INTERRUPT_WINDOW_FIRST, PRESENT);
	if (status == IOMMU_OK && last >= above)
		status = core_map(
			domain, above, above, last - above + 1, PRESENT);
	if (status == IOMMU_OK &&
		__atomic_compare_exchange_n(&iommu->identity_tables, &none,
			domain, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return IOMMU_OK;
	status = core_worse(status, iommu_domain_destroy(domain));
	return none ? IOMMU_OK : status;
}

/* ---- join ---- */

/** Whether a table says what one large page could say. */
static bool is_uniform(const struct edit *edit, const word64 *table,
	unsigned level, uint64_t *out_leaf)
{
	uint64_t step = span_of(level);
	uint64_t first = load(&table[0]);

	/* Absent is all zeros, after which nothing could follow. */
	if (!is_leaf(first, level) || first & (step * ENTRIES - step) ||
		!(edit->table->page_sizes & (step * ENTRIES)))
		return false;
	for (unsigned n = 1; n < ENTRIES; n++)
		if (load(&table[n]) != first + n * step)
			return false;
	*out_leaf = first | LARGE;
	return true;
}

/** Joins what lies wholly inside [iova, last], small pages first. */
static void join_below(struct edit *edit, word64 *table, unsigned level,
	uint64_t iova, uint64_t last)
{
	uint64_t mask = span_of(level) - 1;

	for (;;) {
		word64 *entry = &table[index_of(iova, level)];
		uint64_t end = core_min(iova | mask, last);
		uint64_t value = load(entry), leaf;
		word64 *below;

		if (value & PRESENT && !is_leaf(value, level)) {
			below = table_at(edit->domain->iommu, value);
			if (level > 2)
				join_below(edit, below, level - 1, iova, end);
			if (!(iova & mask) && end == (iova | mask) &&
				!core_is_pinned(edit, level, iova, value) &&
				is_uniform(edit, below, level - 1, &leaf) &&
				core_reserve_fill(edit->domain)) {
				store(entry, leaf);
				write_back(edit->domain, entry, 1);
				core_wait_for_flush(edit, value, iova);
			}
		}
		if (end == last)
			return;
		iova = end + 1;
	}
}

enum iommu_status iommu_join(struct iommu_domain *domain, iommu_iova_t iova,
	uint64_t size, struct iommu_batch *batch)
{
	uint64_t last = iova.v + (size - 1);
	struct edit edit;

	if (batch->domain != domain || !is_range(domain, iova.v, size))
		return IOMMU_BAD_ARGUMENT;
	edit_begin(&edit, domain, iova.v, last);
	edit.batch = batch;
	join_below(
		&edit, domain->table.root, domain->table.levels, iova.v, last);
	iommu_batch_add(batch, edit.changes, iova, size);
	return IOMMU_OK;
}

/* ---- questions ---- */

unsigned core_shared_root(const struct iommu_domain *domain, unsigned usable,
	iommu_phys_t *out_root)
{
	const struct iommu_shared_roots *roots = &domain->roots;
	const iommu_phys_t root[] = {
		roots->levels3, roots->levels4, roots->levels5};

	for (unsigned levels = 5; levels >= 3; levels--)
		if (usable >> levels & 1 && root[levels - 3].v) {
			*out_root = root[levels - 3];
			return levels;
		}
	return 0;
}

enum iommu_status iommu_iova_to_phys(const struct iommu_domain *domain,
	iommu_iova_t iova, iommu_phys_t *out_phys)
{
	unsigned levels = domain->table.levels;
	iommu_phys_t root = domain->table.phys;
	struct iommu_walk walk = {0};

	if (!out_phys || domain->kind == IOMMU_DOMAIN_BLOCKED)
		return IOMMU_BAD_ARGUMENT;
	if (domain->kind == IOMMU_DOMAIN_IDENTITY) {
		*out_phys = iommu_phys(iova.v);
		return IOMMU_OK;
	}
	if (domain->kind == IOMMU_DOMAIN_SHARED)
		levels = core_shared_root(domain, ~0u, &root);
	core_walk_tables(domain->iommu, root, levels, iova, &walk);
	if (!walk.mapped)
		return IOMMU_NOT_MAPPED;
	*out_phys = walk.phys;
	return IOMMU_OK;
}
