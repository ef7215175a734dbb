/* SPDX-License-Identifier: MIT */
/*
 * Invalidation through the registers, for units without a queue (VT-d 6.5.1).
 * One command at a time, under R; a context command ends before an IOTLB
 * command starts.
 */
#include "unit.h"

/** Polls a 64-bit register until its busy bit is clear. */
static bool command_ends(
	struct vtd_unit *unit, uint32_t offset, uint64_t busy, uint64_t *out)
{
	struct vtd_deadline deadline;
	bool late = false;

	vtd_deadline_start(&deadline, unit->unit.iommu->options.timeout_ns);
	for (;;) {
		*out = vtd_read64(unit, offset);
		if (!(*out & busy))
			return true;
		if (late)
			return false;
		late = vtd_deadline_turn(unit, &deadline, false);
	}
}

/** Returns the granularity carried out, 0: refused, -1: no end. */
static int context_command(
	struct vtd_unit *unit, unsigned granularity, uint16_t sid, uint16_t did)
{
	uint64_t value = VTD_CCMD_ICC | VTD_CCMD_CIRG(granularity) |
		VTD_CCMD_SID(sid) | VTD_CCMD_DID(did);

	vtd_write64(unit, VTD_CCMD, value);
	if (!command_ends(unit, VTD_CCMD, VTD_CCMD_ICC, &value))
		return -1;
	return (int)VTD_CCMD_CAIG(value);
}

static int iotlb_command(
	struct vtd_unit *unit, unsigned granularity, uint16_t did)
{
	uint32_t offset = unit->iotlb_offset + 8;
	/* Bits 31:0 are to be preserved (VT-d 11.4.6.1). */
	uint64_t value = vtd_read64(unit, offset) & UINT32_MAX;

	value |= VTD_IOTLB_IVT | VTD_IOTLB_IIRG(granularity) |
		VTD_IOTLB_DID(did);
	if (unit->traits.drain_reads)
		value |= VTD_IOTLB_DR;
	if (unit->traits.drain_writes)
		value |= VTD_IOTLB_DW;
	vtd_write64(unit, offset, value);
	if (!command_ends(unit, offset, VTD_IOTLB_IVT, &value))
		return -1;
	return (int)VTD_IOTLB_IAIG(value);
}

static int page_command(
	struct vtd_unit *unit, const struct vtd_command *command)
{
	vtd_write64(unit, unit->iotlb_offset,
		command->address | (command->leaf_only ? VTD_IVA_IH : 0) |
			command->mask);
	return iotlb_command(unit, VTD_PAGE, command->did);
}

/** A context command; on refusal everything, which no unit may refuse. */
static int context_or_more(
	struct vtd_unit *unit, unsigned granularity, uint16_t sid, uint16_t did)
{
	int done = context_command(unit, granularity, sid, did);

	return done ? done : context_command(unit, VTD_GLOBAL, 0, 0);
}

static int iotlb_or_more(
	struct vtd_unit *unit, unsigned granularity, uint16_t did)
{
	int done = iotlb_command(unit, granularity, did);

	return done ? done : iotlb_command(unit, VTD_GLOBAL, 0);
}

static int pages_or_more(
	struct vtd_unit *unit, const struct vtd_command *command)
{
	int done = page_command(unit, command);

	return done ? done : iotlb_or_more(unit, VTD_DOMAIN, command->did);
}

static int run_locked(struct vtd_unit *unit, const struct vtd_command *command)
{
	struct iommu_stats *stats = &unit->unit.stats;

	switch (command->op) {
	case VTD_OP_CONTEXT_GLOBAL:
		unit_count(&stats->context_flushes, 1);
		return context_or_more(unit, VTD_GLOBAL, 0, 0);
	case VTD_OP_CONTEXT_DEVICE:
		unit_count(&stats->context_flushes, 1);
		return context_or_more(
			unit, VTD_DEVICE, command->sid, command->did);
	case VTD_OP_IOTLB_GLOBAL:
		unit_count(&stats->global_flushes, 1);
		return iotlb_or_more(unit, VTD_GLOBAL, 0);
	case VTD_OP_IOTLB_DOMAIN:
		unit_count(&stats->domain_flushes, 1);
		return iotlb_or_more(unit, VTD_DOMAIN, command->did);
	case VTD_OP_IOTLB_PAGES:
		unit_count(&stats->page_flushes, 1);
		return pages_or_more(unit, command);
	}
	/* Device TLBs and interrupt entries cannot be flushed this way;
	 * neither is switched on without the queue. */
	return 0;
}

static enum iommu_status run_one(
	struct vtd_unit *unit, const struct vtd_command *command)
{
	struct iommu *iommu = unit->unit.iommu;
	unsigned long state;
	int done;

	if (command->op == VTD_OP_WRITE_BUFFER)
		return vtd_gcmd(unit, VTD_WBF, true);
	state = core_lock(iommu, &unit->reg_lock);
	done = run_locked(unit, command);
	core_unlock(iommu, &unit->reg_lock, state);
	if (done > 0)
		return IOMMU_OK;
	vtd_lost(unit,
		done ? "an invalidation command does not end"
		     : "an invalidation command is refused");
	return IOMMU_UNIT_LOST;
}

/** A unit with a queue flushes its write buffer here: the counter is the
 *  queue's. */
static void count_wait(struct vtd_unit *unit)
{
	const struct iommu *iommu = unit->unit.iommu;
	unsigned long state = core_lock(iommu, &unit->queue.lock);

	unit_count_locked(&unit->unit.stats.waits, 1);
	core_unlock(iommu, &unit->queue.lock, state);
}

enum iommu_status vtd_registers_run(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count)
{
	enum iommu_status status = IOMMU_OK;

	for (; count && status == IOMMU_OK; count--)
		status = run_one(unit, command++);
	count_wait(unit);
	return status;
}
