/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue of an earlier owner, switched off.
 *
 * That takes an empty queue whose last descriptor was a wait (VT-d 6.5.2.1). If
 * the memory behind the last slot shows anything else, the owner was stopped
 * half-way or never used its queue; and a unit that met a descriptor that it
 * refused may take that for the last one. Then a wait is put into the old
 * queue, until the unit has carried it out: what was there comes back. It is
 * the only store to memory that just a register names, and the hardware would
 * read that memory in any case; but the register may lie, or somebody else may
 * have the memory by now.
 */
#include "unit.h"

static bool is_busy(const struct vtd_unit *unit)
{
	return VTD_IQ_INDEX(vtd_read64(unit, VTD_IQH)) !=
		VTD_IQ_INDEX(vtd_read64(unit, VTD_IQT));
}

/** Whether the wait that was put in is still to come. */
static bool awaits_wait(const struct vtd_unit *unit)
{
	return __atomic_load_n(unit->queue.done, __ATOMIC_ACQUIRE) != 1;
}

/** Polls until something is over. False: it does not end. */
static bool ends(
	struct vtd_unit *unit, bool (*goes_on)(const struct vtd_unit *unit))
{
	struct vtd_deadline deadline = {
		.limit_ns = unit->unit.iommu->options.timeout_ns};

	while (goes_on(unit))
		if (vtd_deadline_turn(unit, &deadline, true))
			return false;
	return true;
}

/** Whether the wait itself uses the memory at an address. */
static bool is_in_use(const struct vtd_unit *unit, uint64_t at)
{
	const struct iommu *iommu = unit->unit.iommu;

	return at - iommu->phys.v < sizeof(*iommu) ||
		at - unit->phys.v < sizeof(*unit) ||
		at - unit->queue.done_phys.v < PAGE_SIZE;
}

/** The slot at a byte offset of the old queue; NULL if it is not memory. */
static struct vtd_entry *slot_at(const struct vtd_unit *unit, uint64_t offset)
{
	uint64_t queue = vtd_read64(unit, VTD_IQA) & ~0xfffull;
	uint64_t at = queue + offset;
	struct vtd_entry *page;

	/* Nobody has a queue at address 0, or this instance's. */
	if (!queue || queue == unit->queue.phys.v || is_in_use(unit, at))
		return NULL;
	page = vtd_found_page(unit, at & ~(uint64_t)(PAGE_SIZE - 1));
	return page ? page + at % PAGE_SIZE / sizeof(*page) : NULL;
}

static void end_with_wait(struct vtd_unit *unit, bool unsure)
{
	uint64_t queue = vtd_read64(unit, VTD_IQA);
	uint64_t size = (uint64_t)PAGE_SIZE << VTD_IQA_QS(queue);
	size_t width = queue & VTD_IQA_DW ? 32 : 16;
	uint64_t head = (uint64_t)VTD_IQ_INDEX(vtd_read64(unit, VTD_IQH)) << 4 &
		~(width - 1);
	struct vtd_entry *last = slot_at(unit, (head + size - width) % size);
	struct vtd_entry *next = slot_at(unit, head % size);
	struct vtd_entry wait[2] = {vtd_wait_descriptor(&unit->queue, 1)};
	struct vtd_entry kept[2];
	bool arrived;

	if (!last || !next || !unit->queue.done ||
		(VTD_DESC_TYPE(last->low) == VTD_DESC_WAIT && !unsure))
		return;
	*unit->queue.done = 0;
	memcpy(kept, next, width);
	memcpy(next, wait, width);
	vtd_write64(unit, VTD_IQT, (head + width) % size);
	arrived = ends(unit, awaits_wait);
	memcpy(next, kept, width);
	if (!arrived)
		core_log(unit->unit.iommu, IOMMU_LOG_WARNING,
			"unit at 0x%jx: the queue found does not move",
			(uintmax_t)unit->unit.base.v);
}

enum iommu_status vtd_queue_quiesce(struct vtd_unit *unit)
{
	bool unsure;

	if (!(vtd_read32(unit, VTD_GSTS) & VTD_QIE))
		return IOMMU_OK;
	unsure = is_busy(unit);
	/* A queue that stands on an error fetches again when the error is
	 * cleared; nothing of it is wanted any more. */
	if (vtd_read32(unit, VTD_FSTS) & (VTD_FSTS_IQE | VTD_FSTS_ITE)) {
		unsure = true;
		vtd_write64(unit, VTD_IQT, vtd_read64(unit, VTD_IQH));
		vtd_write32(unit, VTD_FSTS, VTD_FSTS_QUEUE);
	}
	(void)ends(unit, is_busy); /* or what there is stays */
	end_with_wait(unit, unsure);
	return vtd_gcmd(unit, VTD_QIE, false);
}
