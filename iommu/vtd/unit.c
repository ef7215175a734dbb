/* SPDX-License-Identifier: MIT */
/*
 * A unit's life: enabled (VT-d 10, 11.4.4), off and on, suspend and resume, the
 * end.
 */
#include "unit.h"

/** Protected memory regions only end when translation protects (11.4.16). */
static enum iommu_status open_protected_memory(struct vtd_unit *unit)
{
	uint64_t cap = unit->unit.cap;
	bool exists = VTD_CAP_PLMR(cap) || VTD_CAP_PHMR(cap);
	uint32_t value = exists ? vtd_read32(unit, VTD_PMEN) : 0;

	if (!(value & VTD_PMEN_EPM))
		return IOMMU_OK;
	vtd_write32(unit, VTD_PMEN, value & ~(uint32_t)VTD_PMEN_EPM);
	return vtd_poll32(unit, VTD_PMEN, VTD_PMEN_PRS, 0)
		? IOMMU_OK
		: vtd_lost(unit, "protected memory does not open");
}

/** Everything up to translation itself. */
static enum iommu_status set_up(struct vtd_unit *unit, bool first)
{
	enum iommu_status status;

	vtd_fault_stop(unit);
	status = vtd_take_over(unit, first);
	if (status == IOMMU_OK && unit->unit.levels)
		status = vtd_root_point(unit);
	/* The queue starts in the mode that its descriptors are made for. */
	if (status == IOMMU_OK && unit->unit.queued)
		status = vtd_queue_on(unit);
	if (status == IOMMU_OK && unit->unit.levels)
		status = vtd_root_flush(unit);
	/* If nothing had to be flushed, the queue has not run a wait yet; the
	 * next owner can only switch off one that has. */
	if (status == IOMMU_OK && unit->unit.queued &&
		(unit->traits.root_flushes || !unit->unit.levels))
		status = vtd_queue_end_with_wait(unit);
	if (status != IOMMU_OK)
		return status;
	vtd_fault_start(unit);
	return unit->irt.entry ? vtd_irt_on(unit) : IOMMU_OK;
}

static enum iommu_status translation_on(struct vtd_unit *unit)
{
	enum iommu_status status = vtd_gcmd(unit, VTD_TE, true);

	return status == IOMMU_OK ? open_protected_memory(unit) : status;
}

static void set_state(struct vtd_unit *unit, enum iommu_unit_state state)
{
	uint8_t before = (uint8_t)unit_state(&unit->unit);

	/* A unit that was lost meanwhile stays lost. */
	if (before != IOMMU_UNIT_FAILED)
		__atomic_compare_exchange_n(&unit->unit.state, &before,
			(uint8_t)state, false, __ATOMIC_ACQ_REL,
			__ATOMIC_RELAXED);
}

static enum iommu_status prepare(struct unit *neutral)
{
	struct vtd_unit *unit = vtd_of(neutral);
	enum iommu_status status = vtd_tables_make(unit);

	if (status == IOMMU_OK && neutral->queued)
		status = vtd_queue_make(unit);
	if (status == IOMMU_OK && vtd_irt_wanted(unit))
		status = vtd_irt_make(unit);
	if (status == IOMMU_OK)
		status = set_up(unit, true);
	if (status != IOMMU_OK && status != IOMMU_NO_MEMORY)
		vtd_lost(unit, iommu_status_text(status));
	return status;
}

static enum iommu_status translate(struct unit *neutral, bool on)
{
	struct vtd_unit *unit = vtd_of(neutral);
	enum iommu_status status;

	if (!neutral->levels)
		return IOMMU_OK;
	if (on) {
		/* TE needs the root pointer set anew (11.4.4). */
		status = vtd_root_point(unit);
		if (status == IOMMU_OK)
			status = vtd_root_flush(unit);
		if (status == IOMMU_OK)
			status = translation_on(unit);
	} else {
		status = vtd_gcmd(unit, VTD_TE, false);
		/* The next record is the first again (7.2.1): what waits
		 * further on would not be found behind it. */
		vtd_interrupt(neutral);
	}
	if (status == IOMMU_OK)
		set_state(unit, on ? IOMMU_UNIT_ON : IOMMU_UNIT_OFF);
	return status;
}

enum iommu_status vtd_off(struct vtd_unit *unit, uint64_t what)
{
	uint64_t on = vtd_read32(unit, VTD_GSTS) & what;
	enum iommu_status status = IOMMU_OK;

	vtd_fault_stop(unit);
	if (on & VTD_TE && !unit->unit.stays_on)
		status = vtd_gcmd(unit, VTD_TE, false);
	if (status == IOMMU_OK && on & VTD_IRE)
		status = vtd_gcmd(unit, VTD_IRE, false);
	if (status == IOMMU_OK && on & VTD_QIE && unit->unit.queued)
		status = vtd_queue_off(unit);
	return status;
}

static enum iommu_status suspend(struct unit *neutral)
{
	struct vtd_unit *unit = vtd_of(neutral);
	enum iommu_unit_state before = unit_state(neutral);
	enum iommu_status status;

	/* From here on flushes are refused; those on their way are not. */
	set_state(unit, IOMMU_UNIT_SUSPENDED);
	status = vtd_off(unit, VTD_SWITCHES);
	if (status != IOMMU_OK)
		set_state(unit, before);
	return status;
}

static enum iommu_status resume(struct unit *neutral)
{
	struct vtd_unit *unit = vtd_of(neutral);
	bool on = iommu_is_on(neutral->iommu) && neutral->levels;
	enum iommu_status status;

	set_state(unit, IOMMU_UNIT_OFF);
	status = set_up(unit, false);
	if (status == IOMMU_OK && on)
		status = translation_on(unit);
	if (status != IOMMU_OK)
		vtd_lost(unit, iommu_status_text(status));
	else if (on)
		set_state(unit, IOMMU_UNIT_ON);
	return status;
}

static enum iommu_status end(struct unit *neutral)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct iommu *iommu = neutral->iommu;
	enum iommu_status status = IOMMU_OK;

	if (unit->root && !unit->needs_no_memory)
		status = unit_state(neutral) == IOMMU_UNIT_FAILED
			? IOMMU_UNCONFIRMED
			: vtd_off(unit, VTD_SWITCHES);
	if (status == IOMMU_OK && neutral->stays_on &&
		vtd_read32(unit, VTD_GSTS) & VTD_TE)
		status = IOMMU_UNCONFIRMED;
	if (status == IOMMU_OK) {
		vtd_irt_free(unit);
		vtd_queue_free(unit);
		vtd_tables_free(unit);
	}
	if (unit->regs)
		iommu->host.regs_unmap(
			iommu->host.ctx, unit->regs, unit->regs_size);
	core_pages_free(iommu, neutral->dids.taken, neutral->dids.phys,
		neutral->dids.order);
	core_pages_free(iommu, unit->inherited_ids, unit->inherited_ids_phys,
		neutral->dids.order);
	core_pages_free(iommu, unit, unit->phys, VTD_UNIT_ORDER);
	return status;
}

/* ---- flushing a domain ---- */

/** Runs all but the last part of a flush for devices with a TLB; *plan is the
 *  last part. */
static NOINLINE enum iommu_status plan_tlbs(struct vtd_unit *unit,
	const struct iommu_batch *batch, bool again, struct vtd_plan *plan)
{
	enum iommu_status status = IOMMU_OK;
	uint16_t rid[VTD_PLAN_MAX];
	unsigned skip = 0, count, room;

	while (status == IOMMU_OK) {
		room = VTD_PLAN_MAX - plan->count;
		count = core_tlb_rids(
			batch->domain, &unit->unit, again, skip, rid, room);
		for (unsigned n = 0; n < count; n++)
			vtd_plan_device_tlb(rid[n], batch, plan);
		if (count < room)
			break;
		status = vtd_run(unit, plan);
		plan->count = 0;
		skip += count;
	}
	return status;
}

static enum iommu_status make_plan(struct vtd_unit *unit,
	const struct iommu_batch *batch, struct vtd_plan *plan)
{
	uint16_t did = did_on(batch->domain, &unit->unit);
	enum iommu_status status;
	uint16_t rid;

	vtd_plan_tables(&unit->traits, did, batch, plan);
	/* Device TLBs must not be asked while translation is off (6.5.2.5). */
	if (!__atomic_load_n(&batch->domain->tlb_devices, __ATOMIC_ACQUIRE) ||
		unit_state(&unit->unit) != IOMMU_UNIT_ON)
		return IOMMU_OK;
	status = plan_tlbs(unit, batch, false, plan);
	/* A quirk: the second flush starts when the first has ended. */
	if (status != IOMMU_OK ||
		!core_tlb_rids(batch->domain, &unit->unit, true, 0, &rid, 1))
		return status;
	status = vtd_run(unit, plan);
	plan->count = 0;
	return status == IOMMU_OK ? plan_tlbs(unit, batch, true, plan) : status;
}

static enum iommu_status flush_now(
	struct unit *neutral, const struct iommu_batch *batch)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_plan plan;
	enum iommu_status status = make_plan(unit, batch, &plan);

	return status == IOMMU_OK ? vtd_run(unit, &plan) : status;
}

static enum iommu_status flush(struct unit *neutral,
	const struct iommu_batch *batch, struct ticket *out)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_plan plan;
	enum iommu_status status = make_plan(unit, batch, &plan);

	return status == IOMMU_OK
		? vtd_submit(unit, plan.command, plan.count, out)
		: status;
}

/* ---- a host's entries ---- */

static enum iommu_status check_format(const struct unit *neutral,
	const struct iommu_entry_format *format, const char **why)
{
	uint64_t any = format->leaf_bits | format->large_leaf_bits |
		format->table_bits;

	if (format->absent_bits & (VTD_SS_R | VTD_SS_W))
		*why = "absent entries may look present (bits 0 and 1)";
	else if (!neutral->snoop_control && any & VTD_SS_SNP)
		*why = "bit 11 is reserved in this unit";
	else if (any & VTD_BIT(62))
		*why = "bit 62 is reserved";
	else if (format->large_2m && !(neutral->page_sizes & VTD_BIT(21)))
		*why = "this unit has no 2 MiB pages";
	else if (format->large_1g && !(neutral->page_sizes & VTD_BIT(30)))
		*why = "this unit has no 1 GiB pages";
	else if (format->large_leaf_bits & 0x1ff000)
		*why = "bits 12 to 20 of large pages are reserved";
	else if (format->table_bits & VTD_SS_PS)
		*why = "bit 7 means a large page";
	else if (format->phys_bits <= neutral->phys_bits)
		return IOMMU_OK;
	else {
		*why = "addresses are wider than the unit's";
		return IOMMU_WIDTH;
	}
	return IOMMU_FORMAT;
}

const struct unit_ops vtd_ops = {
	.prepare = prepare,
	.translate = translate,
	.suspend = suspend,
	.resume = resume,
	.end = end,
	.attach = vtd_attach,
	.redirect = vtd_redirect,
	.detach = vtd_detach,
	.next_inherited = vtd_next_inherited,
	.disinherit = vtd_disinherit,
	.end_inheritance = vtd_end_inheritance,
	.hand_over = vtd_hand_over,
	.hush = vtd_hush,
	.flush_now = flush_now,
	.flush_block = vtd_flush_block,
	.flush = flush,
	.flush_ready = vtd_flush_ready,
	.flush_wait = vtd_wait,
	.interrupt = vtd_interrupt,
	.fault_decode = vtd_fault_decode,
	.inspect = vtd_inspect,
	.irq_alloc = vtd_irq_alloc,
	.irq_set = vtd_irq_set,
	.irq_free = vtd_irq_free,
	.info = vtd_info,
	.report_queue = vtd_queue_report,
	.report_interrupts = vtd_irt_report,
	.check_format = check_format,
};
