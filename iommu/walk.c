/* SPDX-License-Identifier: MIT */
/*
 * Walks: a device's tables read as the hardware would read them now, whoever
 * owns the tables. Every pointer met may be garbage: the host's phys_to_virt
 * decides what can be read.
 */
#include "pgtable.h"

void core_walk_note(struct iommu_walk *walk, unsigned level, uint64_t at,
	uint64_t low, uint64_t high)
{
	walk->step[walk->steps].level = level;
	walk->step[walk->steps].at = iommu_phys(at);
	walk->step[walk->steps].low = low;
	walk->step[walk->steps].high = high;
	walk->steps++;
}

void core_walk_tables(const struct iommu *iommu, iommu_phys_t table,
	unsigned levels, iommu_iova_t iova, struct iommu_walk *walk)
{
	const struct iommu_host *host = &iommu->host;
	uint64_t rights = PRESENT, value;
	const word64 *page;

	if (iova.v >> shift_of(levels + 1))
		return;
	for (unsigned level = levels;; level--) {
		uint64_t mask = span_of(level) - 1;
		unsigned n = index_of(iova.v, level);

		page = host->phys_to_virt(host->ctx, table);
		if (!page)
			return;
		value = load(&page[n]);
		core_walk_note(
			walk, level, table.v + n * sizeof(value), value, 0);
		rights &= value;
		if (!(value & PRESENT))
			return;
		table = iommu_phys(value & ADDRESS);
		if (level > 3 || !is_leaf(value, level))
			continue;
		walk->mapped = true;
		walk->page_size = mask + 1;
		walk->phys = iommu_phys((table.v & ~mask) | (iova.v & mask));
		walk->rights = (unsigned)rights;
		return;
	}
}

void core_walk(const struct unit *unit, uint16_t rid, iommu_iova_t iova,
	struct iommu_walk *walk)
{
	struct entry entry;

	if (!unit->ops->inspect(unit, rid, &entry, walk))
		return;
	if (entry.kind == IOMMU_DOMAIN_IDENTITY) {
		walk->mapped = true;
		walk->phys = iommu_phys(iova.v);
		walk->page_size = PAGE_SIZE;
		walk->rights = IOMMU_READ | IOMMU_WRITE;
		return;
	}
	core_walk_tables(unit->iommu, entry.root, entry.levels, iova, walk);
}
