/* SPDX-License-Identifier: MIT */
/*
 * Invalidation through the registers, for units without a queue (VT-d 6.5.1).
 * One command at a time, under R; a context command ends before an IOTLB
 * command starts.
 */
#include "unit.h"

/** Starts a command, whose busy bit is the highest, and awaits its end. Returns
 *  the granularity carried out, which the register says from bit done_at on; 0:
 *  refused, -1: no end. */
static int carry_out(struct vtd_unit *unit, uint32_t offset, uint64_t value,
	unsigned done_at)
{
	const uint64_t busy = VTD_CCMD_ICC; /* VTD_IOTLB_IVT, too */

	vtd_write64(unit, offset, value | busy);
	if (!vtd_poll32(unit, offset + 4, (uint32_t)(busy >> 32), 0))
		return -1;
	value = vtd_read64(unit, offset);
	return value & busy ? -1 : (int)(value >> done_at & 3);
}

static int context_command(struct vtd_unit *unit, unsigned granularity,
	const struct vtd_command *c)
{
	uint64_t value = VTD_CCMD_CIRG(granularity) | VTD_CCMD_SID(c->sid) |
		VTD_CCMD_DID(c->did);

	return carry_out(unit, VTD_CCMD, value, VTD_CCMD_CAIG_AT);
}

static int iotlb_command(struct vtd_unit *unit, unsigned granularity,
	const struct vtd_command *c)
{
	uint32_t address = VTD_ECAP_IRO(unit->unit.ecap), offset = address + 8;
	/* Bits 31:0 are to be preserved (VT-d 11.4.6.1). */
	uint64_t value = vtd_read64(unit, offset) & UINT32_MAX;

	if (granularity == VTD_PAGE)
		vtd_write64(unit, address,
			c->address | (c->leaf_only ? VTD_IVA_IH : 0) | c->mask);
	value |= VTD_IOTLB_IIRG(granularity) | VTD_IOTLB_DID(c->did);
	if (unit->traits.drain_reads)
		value |= VTD_IOTLB_DR;
	if (unit->traits.drain_writes)
		value |= VTD_IOTLB_DW;
	return carry_out(unit, offset, value, VTD_IOTLB_IAIG_AT);
}

/** What is refused is asked for again on a larger scale, up to everything,
 *  which no unit may refuse. Device TLBs and interrupt entries cannot be
 *  flushed this way; neither is switched on without the queue. */
static NOINLINE int run_one(struct vtd_unit *unit, const struct vtd_command *c)
{
	unsigned type = VTD_DESC_TYPE(vtd_descriptor[c->op]);
	unsigned granularity = VTD_DESC_G_OF(vtd_descriptor[c->op]);
	unsigned long state = core_lock(unit->unit.iommu, &unit->reg_lock);
	int done = 0;

	vtd_count(&unit->unit.stats, c->op);
	unit_count_locked(&unit->unit.stats.waits, 1);
	for (; granularity && !done; granularity--)
		done = type == VTD_DESC_CONTEXT
			? context_command(unit, granularity, c)
			: iotlb_command(unit, granularity, c);
	core_unlock(unit->unit.iommu, &unit->reg_lock, state);
	return done;
}

enum iommu_status vtd_registers_run(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count)
{
	if (command->op == VTD_OP_WRITE_BUFFER) /* which stands alone */
		return vtd_gcmd(unit, VTD_WBF, true);
	for (; count; count--, command++) {
		int done = run_one(unit, command);

		if (done <= 0)
			return vtd_lost(unit,
				done ? "an invalidation command does not end"
				     : "an invalidation command is refused");
	}
	return IOMMU_OK;
}
