/* SPDX-License-Identifier: MIT */
/*
 * A unit that firmware or an earlier system left on, and leaving one on for the
 * next.
 *
 * The host chooses what becomes of the translations found. Blocked: the unit
 * gets a root table without entries. Kept: the entries found are copied, each
 * marked as inherited in a bit that the hardware ignores (9.3, bits 70:67), and
 * the unit gets the copy; the tables behind the entries stay where they are.
 * Each entry goes when the host attaches or detaches its device, all of them
 * with vtd_end_inheritance(). Either way the root pointer is swapped while
 * translation is on (6.6): there is no moment without protection, unless the
 * unit runs in another table mode and cannot change it (11.4.5).
 *
 * What was found is not trusted: pointers are followed through phys_to_virt
 * only, and an entry that this unit could not use is left out.
 */
#include "unit.h"

/** In the high half of a context entry. */
#define INHERITED VTD_BIT(3)
/** In the low half of an interrupt entry: available to software (9.9). */
#define IRTE_INHERITED VTD_BIT(8)
/** Reserved bits of a context entry (9.3), apart from the pointer's. */
#define CTX_RESERVED_LOW 0xff0ull
#define CTX_RESERVED_HIGH (~0xffffffull | VTD_BIT(7))

static bool keeps(const struct vtd_unit *unit)
{
	return unit->unit.iommu->options.take_over == IOMMU_TAKE_OVER_KEPT;
}

void *vtd_found_page(const struct vtd_unit *unit, uint64_t at)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	if (!at || at >> unit->unit.phys_bits)
		return NULL;
	return host->phys_to_virt(host->ctx, iommu_phys(at));
}

/* ---- root and context entries ---- */

/** Whether this unit can go on using an entry. */
static bool is_sound(const struct unit *unit, const struct vtd_entry *e)
{
	unsigned type = VTD_CTX_TT_OF(e->low);

	if (e->low & CTX_RESERVED_LOW || e->high & CTX_RESERVED_HIGH ||
		VTD_CTX_DID_OF(e->high) >= unit->dids.count ||
		!(unit->levels >> (VTD_CTX_AW_OF(e->high) + 2) & 1))
		return false;
	if (type == VTD_TT_PASS)
		return unit->pass_through;
	return type <= VTD_TT_TABLES_ATS &&
		(type == VTD_TT_TABLES || unit->device_tlb) &&
		!((e->low & ~0xfffull) >> unit->phys_bits);
}

/** Finds the next entry that can be used, from *rid on. */
static bool find_entry(const struct vtd_unit *unit, uint64_t root,
	unsigned *rid, struct vtd_entry *out)
{
	const struct vtd_entry *bus_entry = vtd_found_page(unit, root), *table;

	for (; bus_entry && *rid < BUSES * DEVFNS; ++*rid) {
		uint64_t of_bus = bus_entry[*rid >> 8].low;

		table = of_bus & VTD_ROOT_P
			? vtd_found_page(unit, of_bus & VTD_ADDRESS_MASK)
			: NULL;
		if (!table) {
			*rid |= 0xff;
			continue;
		}
		*out = table[*rid & 0xff];
		if (out->low & VTD_CTX_P && is_sound(&unit->unit, out))
			return true;
	}
	return false;
}

static void reserve_id(struct vtd_unit *unit, uint16_t did)
{
	unit->unit.dids.taken[did / 64] |= VTD_BIT(did % 64);
	unit->inherited_ids[did / 64] |= VTD_BIT(did % 64);
}

/** Takes others for the ids that this library uses itself, 0, never, and 1:
 *  they are not given back at the end. */
static enum iommu_status move_ids(struct vtd_unit *unit, uint16_t moved[2])
{
	struct iommu *iommu = unit->unit.iommu;
	unsigned long state = core_lock(iommu, &iommu->lock);
	bool found = true;

	for (unsigned n = 0; n <= IDENTITY_DID && found; n++) {
		if (!(unit->inherited_ids[0] & VTD_BIT(n)))
			continue;
		unit->inherited_ids[0] &= ~VTD_BIT(n);
		found = __did_take(&unit->unit.dids, &moved[n]);
		if (found)
			reserve_id(unit, moved[n]);
	}
	core_unlock(iommu, &iommu->lock, state);
	return found ? IOMMU_OK : IOMMU_NO_DOMAIN_ID;
}

static enum iommu_status copy_entry(struct vtd_unit *unit, unsigned rid,
	struct vtd_entry entry, const uint16_t moved[2])
{
	enum iommu_status status = vtd_need_context(unit, rid >> 8, NULL);
	uint16_t did = VTD_CTX_DID_OF(entry.high);

	if (status != IOMMU_OK)
		return status;
	if (did <= IDENTITY_DID)
		did = moved[did];
	entry.high = VTD_CTX_AW_OF(entry.high) | VTD_CTX_DID(did) | INHERITED;
	vtd_entry_publish(unit, vtd_context_slot(unit, (uint16_t)rid), entry);
	unit->unit.inherited++;
	return IOMMU_OK;
}

static enum iommu_status copy_tables(struct vtd_unit *unit, uint64_t root)
{
	struct iommu *iommu = unit->unit.iommu;
	uint16_t moved[IDENTITY_DID + 1];
	enum iommu_status status;
	struct vtd_entry entry;

	if (!unit->inherited_ids)
		unit->inherited_ids = core_pages(iommu, unit->unit.dids.order,
			&unit->inherited_ids_phys);
	if (!unit->inherited_ids)
		return IOMMU_NO_MEMORY;
	unit->unit.inherited = 0;
	/* Nobody else uses the maps of ids yet. */
	for (unsigned rid = 0; find_entry(unit, root, &rid, &entry); rid++)
		reserve_id(unit, VTD_CTX_DID_OF(entry.high));
	status = move_ids(unit, moved);
	for (unsigned rid = 0;
		status == IOMMU_OK && find_entry(unit, root, &rid, &entry);
		rid++)
		status = copy_entry(unit, rid, entry, moved);
	core_log(iommu, IOMMU_LOG_INFO,
		"unit at 0x%jx: %u entries of an earlier owner are kept",
		(uintmax_t)unit->unit.base.v, unit->unit.inherited);
	return status;
}

/* ---- interrupt entries ---- */

unsigned vtd_irt_found(const struct vtd_unit *unit)
{
	if (!keeps(unit) || !(vtd_read32(unit, VTD_GSTS) & VTD_IRE))
		return 0;
	return 2u << (vtd_read64(unit, VTD_IRTA) & 0xf);
}

/** Copies the interrupt entries found. False: they cannot be gone on with. */
static bool copy_interrupts(struct vtd_unit *unit)
{
	uint64_t found = vtd_read64(unit, VTD_IRTA);
	uint64_t table = found & ~0xfffull;
	struct vtd_irt *irt = &unit->irt;

	/* EIME must not change while remapping is on (11.4.31). */
	if (!irt->entry || !!(found & VTD_IRTA_EIME) != irt->x2apic)
		return false;
	if (table == irt->phys.v)
		return true;
	for (unsigned n = 0; n < 2u << (found & 0xf) && n < irt->count; n++) {
		const struct vtd_entry *page = vtd_found_page(
			unit, table + (uint64_t)n / 256 * PAGE_SIZE);
		struct vtd_entry entry;

		if (!page)
			return false;
		entry = page[n % 256];
		entry.low |= IRTE_INHERITED;
		if (entry.low & VTD_IRTE_P)
			vtd_entry_publish(unit, &irt->entry[n], entry);
	}
	return true;
}

/** Forgets the interrupt entries that were kept. */
static enum iommu_status end_interrupts(struct vtd_unit *unit)
{
	struct vtd_entry *entry = unit->irt.entry;
	enum iommu_status status;
	struct vtd_plan plan;
	unsigned long state;
	bool any = false;

	for (unsigned n = 0; entry && n < unit->irt.count; n++)
		if (entry[n].low & IRTE_INHERITED) {
			vtd_entry_replace_low(unit, &entry[n], IRTE_INHERITED);
			any = true;
		}
	if (!any)
		return IOMMU_OK;
	/* A mask beyond every unit's largest: all entries. */
	vtd_plan_interrupt(&unit->traits, 0, 16, true, &plan);
	status = vtd_run(unit, &plan);
	if (status != IOMMU_OK)
		return status;
	state = core_lock(unit->unit.iommu, &unit->table_lock);
	for (unsigned n = 0; n < unit->irt.count; n++)
		if (entry[n].low == IRTE_INHERITED)
			vtd_entry_erase(&entry[n]);
	core_unlock(unit->unit.iommu, &unit->table_lock, state);
	return IOMMU_OK;
}

/* ---- taking over ---- */

/** What to do about translation that is on. */
static enum iommu_status adopt_translation(struct vtd_unit *unit)
{
	uint64_t root = vtd_read64(unit, VTD_RTADDR);
	bool legacy = VTD_RTADDR_TTM(root) == VTD_TTM_LEGACY;

	core_log(unit->unit.iommu, IOMMU_LOG_INFO,
		"unit at 0x%jx: taken over while it is on",
		(uintmax_t)unit->unit.base.v);
	if (legacy && keeps(unit) && (root & ~0xfffull) != unit->root_phys.v)
		return copy_tables(unit, root & ~0xfffull);
	if (legacy || VTD_CAP_ESRTPS(unit->unit.cap))
		return IOMMU_OK;
	core_log(unit->unit.iommu, IOMMU_LOG_WARNING,
		"unit at 0x%jx is off for a moment: it was left in another "
		"mode and cannot change that while on",
		(uintmax_t)unit->unit.base.v);
	return vtd_gcmd(unit, VTD_TE, false);
}

enum iommu_status vtd_take_over(struct vtd_unit *unit, bool first)
{
	enum iommu_status status = IOMMU_OK;
	uint32_t found = vtd_read32(unit, VTD_GSTS);

	if (found & VTD_TE && first)
		status = adopt_translation(unit);
	else if (found & VTD_TE && !unit->unit.stays_on)
		status = vtd_gcmd(unit, VTD_TE, false);
	if (status == IOMMU_OK && found & VTD_IRE &&
		!(first && keeps(unit) && copy_interrupts(unit)))
		status = vtd_gcmd(unit, VTD_IRE, false);
	if (status == IOMMU_OK && found & VTD_CFI)
		status = vtd_gcmd(unit, VTD_CFI, false);
	return status == IOMMU_OK ? vtd_queue_quiesce(unit) : status;
}

/* ---- what was inherited ends ---- */

static bool is_inherited(const struct vtd_entry *slot)
{
	return slot && slot->low & VTD_CTX_P && slot->high & INHERITED;
}

bool vtd_next_inherited(
	const struct unit *neutral, unsigned from, uint16_t *out_rid)
{
	for (unsigned rid = from; rid < BUSES * DEVFNS; rid++) {
		const struct vtd_entry *slot =
			vtd_context_slot(vtd_of(neutral), (uint16_t)rid);

		*out_rid = (uint16_t)rid;
		if (is_inherited(slot))
			return true;
		if (!slot)
			rid |= 0xff;
	}
	return false;
}

enum iommu_status vtd_disinherit(struct unit *neutral, uint16_t rid,
	const struct device *dev, bool *out_ats)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_entry *slot = vtd_context_slot(unit, rid);
	unsigned long state = core_lock(neutral->iommu, &unit->table_lock);
	bool mine = is_inherited(slot);

	*out_ats = mine && VTD_CTX_TT_OF(slot->low) == VTD_TT_TABLES_ATS;
	if (mine)
		vtd_entry_retire(unit, slot);
	core_unlock(neutral->iommu, &unit->table_lock, state);
	if (!mine)
		return IOMMU_OK;
	__atomic_fetch_sub(&neutral->inherited, 1, __ATOMIC_RELEASE);
	/* Device TLBs are not asked while translation is off (6.5.2.5). */
	if (!*out_ats || unit_state(neutral) != IOMMU_UNIT_ON)
		dev = NULL;
	return vtd_entry_forget(unit, rid, VTD_CTX_DID_OF(slot->high), dev);
}

enum iommu_status vtd_end_inheritance(struct unit *neutral)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct iommu *iommu = neutral->iommu;
	unsigned long state = core_lock(iommu, &iommu->lock);
	word64 *ids = unit->inherited_ids;

	for (unsigned n = 0; ids && n < (neutral->dids.count + 63) / 64; n++) {
		neutral->dids.taken[n] &= ~ids[n];
		ids[n] = 0;
	}
	core_unlock(iommu, &iommu->lock, state);
	return end_interrupts(unit);
}

/* ---- handing over ---- */

/**
 * Translation stays on; the queue goes off, so that the next owner finds no
 * memory that it would have to keep valid for it. The mode can only change
 * while translation is on where setting the root pointer flushes (11.4.5).
 */
enum iommu_status vtd_hand_over(struct unit *neutral, bool blocked)
{
	struct vtd_unit *unit = vtd_of(neutral);
	enum iommu_status status =
		vtd_off(unit, VTD_QIE | (blocked ? VTD_IRE : 0));

	if (status == IOMMU_OK && blocked && VTD_ECAP_ADMS(neutral->ecap) &&
		VTD_CAP_ESRTPS(neutral->cap)) {
		/* Refuses everything without a table in memory. */
		vtd_write64(unit, VTD_RTADDR, VTD_RTADDR_MODE(VTD_TTM_ABORT));
		status = vtd_gcmd(unit, VTD_SRTP, true);
		unit->needs_no_memory = status == IOMMU_OK;
	}
	if (status != IOMMU_OK)
		return status;
	/* For this instance the unit is as good as lost: nothing is flushed,
	 * and no memory that it may read is given back. */
	neutral->reason = "handed over";
	__atomic_store_n(&neutral->state, IOMMU_UNIT_FAILED, __ATOMIC_RELEASE);
	return IOMMU_OK;
}
