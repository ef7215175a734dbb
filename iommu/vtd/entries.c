/* SPDX-License-Identifier: MIT */
/*
 * Root and context entries in memory (VT-d 9.1, 9.3), and the safe ways to
 * change an entry of two qwords.
 *
 * The hardware may read an entry in two halves at any time, so an entry is
 * never rewritten while it is present: body first, present bit last; and back:
 * present bit off, flush, then the body. Where the CPU
 * stores 16 bytes at once it may be replaced as a whole. Both halves share a
 * cache line, so one write-back carries them in that order.
 */
#include "unit.h"

void vtd_write_back(const struct vtd_unit *unit, const void *at, size_t size)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	if (!unit->traits.coherent)
		host->cache_flush(host->ctx, at, size);
}

void *vtd_pages(struct vtd_unit *unit, unsigned order, iommu_phys_t *out_phys)
{
	void *pages = core_pages(unit->unit.iommu, order, out_phys);

	if (pages)
		vtd_write_back(unit, pages, (size_t)PAGE_SIZE << order);
	return pages;
}

void vtd_entry_publish(
	struct vtd_unit *unit, struct vtd_entry *entry, struct vtd_entry value)
{
	__atomic_store_n(&entry->high, value.high, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->low, value.low, __ATOMIC_RELEASE);
	vtd_write_back(unit, entry, sizeof(*entry));
}

void vtd_entry_replace_low(
	struct vtd_unit *unit, struct vtd_entry *entry, uint64_t low)
{
	__atomic_store_n(&entry->low, low, __ATOMIC_RELEASE);
	vtd_write_back(unit, entry, sizeof(*entry));
}

void vtd_entry_retire(struct vtd_unit *unit, struct vtd_entry *entry)
{
	/* What silences a device (9.3: evaluated in absent entries, too) ends
	 * here, so that the flush to come carries it through write buffers. */
	vtd_entry_replace_low(
		unit, entry, entry->low & ~(uint64_t)(VTD_CTX_P | VTD_CTX_FPD));
}

void vtd_entry_erase(struct vtd_entry *entry)
{
	__atomic_store_n(&entry->low, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->high, 0, __ATOMIC_RELAXED);
}

/* ---- the root and context tables ---- */

enum iommu_status vtd_tables_make(struct vtd_unit *unit)
{
	if (!unit->root)
		unit->root = vtd_pages(unit, 0, &unit->root_phys);
	return unit->root ? IOMMU_OK : IOMMU_NO_MEMORY;
}

static iommu_phys_t context_phys(const struct vtd_unit *unit, unsigned bus)
{
	return iommu_phys(unit->root[bus].low & VTD_ADDRESS_MASK);
}

void vtd_tables_free(struct vtd_unit *unit)
{
	struct iommu *iommu = unit->unit.iommu;

	for (unsigned bus = 0; unit->root && bus < BUSES; bus++)
		core_pages_free(
			iommu, unit->context[bus], context_phys(unit, bus), 0);
	core_pages_free(iommu, unit->root, unit->root_phys, 0);
}

enum iommu_status vtd_root_point(struct vtd_unit *unit)
{
	enum iommu_status status = IOMMU_OK;

	if (unit->traits.write_buffer)
		status = vtd_gcmd(unit, VTD_WBF, true);
	if (status != IOMMU_OK)
		return status;
	vtd_write64(unit, VTD_RTADDR, unit->root_phys.v);
	return vtd_gcmd(unit, VTD_SRTP, true);
}

enum iommu_status vtd_root_flush(struct vtd_unit *unit)
{
	struct vtd_plan plan;

	vtd_plan_root_pointer(&unit->traits, &plan);
	return vtd_run(unit, &plan);
}

/** Links a context table into the root table, unless another CPU did. */
static NOINLINE enum iommu_status link_context(
	struct vtd_unit *unit, unsigned bus)
{
	struct iommu *iommu = unit->unit.iommu;
	unsigned long state;
	iommu_phys_t phys;
	void *page = vtd_pages(unit, 0, &phys);
	bool mine;

	if (!page)
		return IOMMU_NO_MEMORY;
	state = core_lock(iommu, &unit->table_lock);
	mine = !(unit->root[bus].low & VTD_ROOT_P);
	if (mine)
		vtd_entry_publish(unit, &unit->root[bus],
			(struct vtd_entry){.low = phys.v | VTD_ROOT_P});
	core_unlock(iommu, &unit->table_lock, state);
	if (!mine)
		core_pages_free(iommu, page, phys, 0);
	return IOMMU_OK;
}

enum iommu_status vtd_need_context(
	struct vtd_unit *unit, unsigned bus, struct vtd_plan *plan)
{
	enum iommu_status status;

	if (__atomic_load_n(&unit->context[bus], __ATOMIC_ACQUIRE))
		return IOMMU_OK;
	status = link_context(unit, bus);
	if (status != IOMMU_OK)
		return status;
	if (plan) {
		vtd_plan_root_entry(&unit->traits, plan);
		status = vtd_run(unit, plan);
	}
	__atomic_store_n(&unit->context[bus],
		core_virt(unit->unit.iommu, context_phys(unit, bus)),
		__ATOMIC_RELEASE);
	return status;
}

struct vtd_entry *vtd_context_slot(const struct vtd_unit *unit, uint16_t rid)
{
	struct vtd_entry *table =
		__atomic_load_n(&unit->context[rid >> 8], __ATOMIC_ACQUIRE);

	return table ? &table[rid & 0xff] : NULL;
}

static struct vtd_entry compose(
	const struct unit *unit, const struct entry *entry)
{
	unsigned type = entry->ats ? VTD_TT_TABLES_ATS : VTD_TT_TABLES;
	unsigned levels = entry->levels;

	if (entry->kind == IOMMU_DOMAIN_IDENTITY) {
		/* 9.3: AW must be the largest supported for pass-through. */
		type = VTD_TT_PASS;
		levels = core_deepest(unit->levels);
	}
	return (struct vtd_entry){
		.low = VTD_CTX_P | VTD_CTX_TT(type) | entry->root.v,
		.high = VTD_CTX_DID(entry->did) | (levels - 2)};
}

enum iommu_status vtd_attach(struct unit *neutral, const struct entry *entry)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_entry *slot;
	struct vtd_plan plan;
	enum iommu_status status =
		vtd_need_context(unit, entry->rid >> 8, &plan);

	if (status != IOMMU_OK)
		return status;
	slot = vtd_context_slot(unit, entry->rid);
	vtd_entry_publish(unit, slot, compose(neutral, entry));
	vtd_plan_context_made(&unit->traits, entry->rid, entry->did, &plan);
	status = vtd_run(unit, &plan);
	if (status != IOMMU_OK)
		vtd_entry_retire(unit, slot);
	return status;
}

/** Replaces a present entry in one store (9.3). */
static void replace(
	struct vtd_unit *unit, struct vtd_entry *entry, struct vtd_entry value)
{
#if defined(__x86_64__) && defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16)
	__extension__ typedef unsigned __int128 __attribute__((may_alias)) wide;
	wide *at = (wide *)(void *)entry;
	wide new = (wide)value.high << 64 | value.low;
	wide old = (wide)entry->high << 64 | entry->low;

	while (!__sync_bool_compare_and_swap(at, old, new))
		old = *at;
#else
	(void)value;
#endif
	vtd_write_back(unit, entry, sizeof(*entry));
}

enum iommu_status vtd_redirect(
	struct unit *neutral, const struct entry *entry, uint16_t old_did)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_entry *slot = vtd_context_slot(unit, entry->rid);
	enum iommu_status status;
	struct vtd_plan plan;

	replace(unit, slot, compose(neutral, entry));
	vtd_plan_context_removed(&unit->traits, entry->rid, old_did, &plan);
	status = vtd_run(unit, &plan);
	if (status != IOMMU_OK)
		vtd_entry_retire(unit, slot);
	return status;
}

enum iommu_status vtd_entry_forget(struct vtd_unit *unit, uint16_t rid,
	uint16_t did, const struct device *dev)
{
	bool asked = dev && !__atomic_load_n(&dev->mute, __ATOMIC_ACQUIRE);
	enum iommu_status status;
	struct vtd_plan plan;

	vtd_plan_context_removed(&unit->traits, rid, did, &plan);
	if (asked)
		vtd_plan_device_tlb(dev->id.requester, NULL, &plan);
	status = vtd_run(unit, &plan);
	if (status == IOMMU_OK && asked && dev->tlb_twice) {
		plan.count = 0;
		vtd_plan_device_tlb(dev->id.requester, NULL, &plan);
		status = vtd_run(unit, &plan);
	}
	if (status == IOMMU_OK)
		vtd_entry_erase(vtd_context_slot(unit, rid));
	return status;
}

enum iommu_status vtd_detach(struct unit *neutral, const struct entry *entry,
	const struct device *dev)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_entry *slot = vtd_context_slot(unit, entry->rid);

	if (!slot)
		return IOMMU_OK;
	vtd_entry_retire(unit, slot);
	return vtd_entry_forget(
		unit, entry->rid, entry->did, entry->ats ? dev : NULL);
}

enum iommu_status vtd_hush(struct unit *neutral, uint16_t rid)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_entry *slot;
	unsigned long state;
	struct vtd_plan plan;
	enum iommu_status status = vtd_need_context(unit, rid >> 8, &plan);
	bool absent;

	if (status != IOMMU_OK)
		return status;
	slot = vtd_context_slot(unit, rid);
	state = core_lock(neutral->iommu, &unit->table_lock);
	absent = !(slot->low & VTD_CTX_P);
	/* 9.3: evaluated in absent entries, too. */
	if (absent)
		vtd_entry_replace_low(unit, slot, VTD_CTX_FPD);
	core_unlock(neutral->iommu, &unit->table_lock, state);
	if (!absent)
		return IOMMU_OK;
	vtd_plan_context_made(&unit->traits, rid, IDENTITY_DID, &plan);
	return vtd_run(unit, &plan);
}

struct vtd_entry vtd_look(const struct vtd_entry *entry)
{
	struct vtd_entry seen;

	seen.low = __atomic_load_n(&entry->low, __ATOMIC_ACQUIRE);
	seen.high = __atomic_load_n(&entry->high, __ATOMIC_RELAXED);
	return seen;
}

bool vtd_inspect(const struct unit *neutral, uint16_t rid, struct entry *out,
	struct iommu_walk *walk)
{
	const struct vtd_unit *unit = vtd_of(neutral);
	const struct vtd_entry *slot;
	struct vtd_entry of_bus, entry;
	unsigned bus = rid >> 8;

	*walk = (struct iommu_walk){0};
	if (!unit->root)
		return false;
	of_bus = vtd_look(&unit->root[bus]);
	core_walk_note(
		walk, 7, unit->root_phys.v + bus * 16, of_bus.low, of_bus.high);
	slot = vtd_context_slot(unit, rid);
	if (!slot)
		return false;
	entry = vtd_look(slot);
	core_walk_note(walk, 6,
		(of_bus.low & VTD_ADDRESS_MASK) + (rid & 0xff) * 16u, entry.low,
		entry.high);
	if (!(entry.low & VTD_CTX_P))
		return false;
	*out = (struct entry){.rid = rid,
		.did = VTD_CTX_DID_OF(entry.high),
		.kind = VTD_CTX_TT_OF(entry.low) == VTD_TT_PASS
			? IOMMU_DOMAIN_IDENTITY
			: IOMMU_DOMAIN_SHARED,
		.root = iommu_phys(entry.low & VTD_ADDRESS_MASK),
		.levels = VTD_CTX_AW_OF(entry.high) + 2};
	return true;
}
