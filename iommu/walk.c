/* SPDX-License-Identifier: MIT */
/*
 * Walks: a device's tables read as the hardware would read them now, whoever
 * owns the tables. Every pointer met may be garbage: the host's phys_to_virt
 * decides what can be read.
 */
#include "backend.h"

enum {
	READ = 1,
	WRITE = 2,
	LARGE = 1 << 7,
};

#define TABLE_ADDRESS 0x000ffffffffff000ull

static bool read_entry(const struct iommu *iommu, uint64_t at, uint64_t *out)
{
	const char *page;

	page = iommu->host.phys_to_virt(
		iommu->host.ctx, iommu_phys(at & ~(uint64_t)(PAGE_SIZE - 1)));
	if (!page)
		return false;
	*out = __atomic_load_n(
		(const word64 *)(const void *)(page + (at & (PAGE_SIZE - 1))),
		__ATOMIC_ACQUIRE);
	return true;
}

static void note(
	struct iommu_walk *walk, unsigned level, uint64_t at, uint64_t value)
{
	walk->step[walk->steps].level = level;
	walk->step[walk->steps].at = iommu_phys(at);
	walk->step[walk->steps].low = value;
	walk->step[walk->steps].high = 0;
	walk->steps++;
}

void core_walk_tables(const struct iommu *iommu, iommu_phys_t root,
	unsigned levels, iommu_iova_t iova, struct iommu_walk *walk)
{
	uint64_t table = root.v, value;
	unsigned rights = READ | WRITE;
	unsigned level;

	if (iova.v >> (12 + 9 * levels))
		return;
	for (level = levels;; level--) {
		unsigned shift = 12 + 9 * (level - 1);
		uint64_t at = table + (iova.v >> shift & 511) * 8;

		if (!read_entry(iommu, at, &value))
			return;
		note(walk, level, at, value);
		rights &= (unsigned)value;
		if (!(value & (READ | WRITE)))
			return;
		if (level == 1 || (level <= 3 && value & LARGE)) {
			uint64_t mask = (1ull << shift) - 1;

			walk->mapped = true;
			walk->page_size = mask + 1;
			walk->phys =
				iommu_phys((value & TABLE_ADDRESS & ~mask) |
					(iova.v & mask));
			walk->rights = rights & (READ | WRITE);
			return;
		}
		table = value & TABLE_ADDRESS;
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
