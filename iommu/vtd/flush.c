/* SPDX-License-Identifier: MIT */
/*
 * What to flush after which change (VT-d 6.5.3 and 6.8). Callers say what
 * changed; only the functions here know what that means for a unit.
 *
 *	change		  plain		caching mode	write buffer
 *	root pointer	  CC, IOTLB global; nothing if setting it flushes
 *	root entry made	  -		CC, IOTLB global	WB
 *	context made	  -		CC device (id 0),	WB
 *					IOTLB domain
 *	context removed	  CC device, IOTLB domain; caching mode: id 0 too
 *	leaf made	  -		IOTLB pages		WB
 *	leaf removed, rights cut or raised: IOTLB pages, or domain
 *	table changed	  the same with the hint clear
 *	interrupt pointer IEC global; nothing if setting it flushes
 *	interrupt made	  -		IEC index		WB
 *	interrupt changed IEC index
 *
 * Queued and register-based invalidations flush the write buffer by
 * themselves (6.8), so WB stands alone.
 */
#include "flush.h"

static struct vtd_command *add(struct vtd_plan *plan, enum vtd_op op)
{
	struct vtd_command *command = &plan->command[plan->count++];

	*command = (struct vtd_command){.op = (uint8_t)op};
	return command;
}

static void add_everything(struct vtd_plan *plan)
{
	add(plan, VTD_OP_CONTEXT_GLOBAL);
	add(plan, VTD_OP_IOTLB_GLOBAL);
}

void vtd_plan_root_pointer(
	const struct vtd_traits *traits, struct vtd_plan *plan)
{
	plan->count = 0;
	if (!traits->root_flushes)
		add_everything(plan);
}

/** Begins the plan for what was absent: whether a unit may have cached that. If
 *  not, the plan is complete. */
static bool absence_is_cached(
	const struct vtd_traits *traits, struct vtd_plan *plan)
{
	plan->count = 0;
	if (!traits->caching_mode && traits->write_buffer)
		add(plan, VTD_OP_WRITE_BUFFER);
	return traits->caching_mode;
}

void vtd_plan_root_entry(const struct vtd_traits *traits, struct vtd_plan *plan)
{
	if (absence_is_cached(traits, plan))
		add_everything(plan);
}

static void add_context(struct vtd_plan *plan, uint16_t sid, uint16_t did)
{
	struct vtd_command *command = add(plan, VTD_OP_CONTEXT_DEVICE);

	command->sid = sid;
	command->did = did;
}

static void add_domain(struct vtd_plan *plan, uint16_t did)
{
	add(plan, VTD_OP_IOTLB_DOMAIN)->did = did;
}

void vtd_plan_context_made(const struct vtd_traits *traits, uint16_t sid,
	uint16_t did, struct vtd_plan *plan)
{
	if (!absence_is_cached(traits, plan))
		return;
	/* What was not present is cached under id 0 (6.1). */
	add_context(plan, sid, 0);
	add_domain(plan, did);
}

void vtd_plan_context_removed(const struct vtd_traits *traits, uint16_t sid,
	uint16_t did, struct vtd_plan *plan)
{
	plan->count = 0;
	add_context(plan, sid, did);
	if (traits->caching_mode)
		add_context(plan, sid, 0);
	add_domain(plan, did);
}

static inline bool add_pages(struct vtd_plan *plan, uint16_t did, uint64_t page,
	unsigned mask, bool leaf_only)
{
	if (plan->count >= VTD_PLAN_PAGES)
		return false;
	plan->command[plan->count++] =
		(struct vtd_command){.op = VTD_OP_IOTLB_PAGES,
			.mask = (uint8_t)mask,
			.leaf_only = leaf_only,
			.did = did,
			.address = page << PAGE_SHIFT};
	return true;
}

/** Whether first..last holds a whole large page that no block can cover: a unit
 *  keeps a large page of which only a part is flushed (VT-d 6.5.2.3). */
static bool large_page_escapes(
	const struct vtd_traits *traits, uint64_t first, uint64_t last)
{
	for (unsigned bits = 9; bits <= 18; bits += 9) {
		uint64_t size = 1ull << bits;
		uint64_t start = (first + size - 1) & ~(size - 1);

		if (traits->max_mask < bits && start <= last &&
			last - start >= size - 1)
			return true;
	}
	return false;
}

/** Covers pages first..last with aligned blocks, rather one than several. */
static NOINLINE bool cover(const struct vtd_traits *traits,
	struct vtd_plan *plan, uint16_t did, uint64_t first, uint64_t last,
	bool leaf_only)
{
	unsigned mask = vtd_block_mask(traits, first, last);

	if (mask < VTD_MASK_NONE)
		return add_pages(
			plan, did, first >> mask << mask, mask, leaf_only);
	if (large_page_escapes(traits, first, last))
		return false;
	for (; first <= last; first += 1ull << mask) {
		mask = first ? (unsigned)__builtin_ctzll(first) : 63;
		if (mask > traits->max_mask)
			mask = traits->max_mask;
		while (mask && (1ull << mask) - 1 > last - first)
			mask--;
		if (!add_pages(plan, did, first, mask, leaf_only))
			return false;
	}
	return true;
}

/** Covers range n of a batch, if a unit has to forget something because of its
 *  changes. False: the whole domain has to go. */
static inline bool plan_range(const struct vtd_traits *traits, uint16_t did,
	const struct iommu_batch *batch, unsigned n, struct vtd_plan *plan)
{
	uint64_t first = batch->range[n].first >> PAGE_SHIFT;
	uint64_t last = batch->range[n].last >> PAGE_SHIFT;
	unsigned changes = batch->range_changes[n];
	/* Tables may have come with new leaves. */
	bool leaf_only =
		!(changes & (IOMMU_TABLE_CHANGED | IOMMU_MADE_PRESENT));

	if (changes == IOMMU_MADE_PRESENT && !traits->caching_mode)
		return true;
	if (!traits->page_selective)
		return false;
	return first == last ? add_pages(plan, did, first, 0, leaf_only)
			     : cover(traits, plan, did, first, last, leaf_only);
}

void vtd_plan_tables(const struct vtd_traits *traits, uint16_t did,
	const struct iommu_batch *batch, struct vtd_plan *plan)
{
	plan->count = 0;
	if (batch->changes == IOMMU_MADE_PRESENT)
		(void)absence_is_cached(traits, plan);
	for (unsigned n = 0; n < batch->count; n++) {
		if (plan_range(traits, did, batch, n, plan))
			continue;
		plan->count = 0;
		add_domain(plan, did);
		return;
	}
}

void vtd_plan_device_tlb(
	uint16_t sid, const struct iommu_batch *batch, struct vtd_plan *plan)
{
	uint64_t first = ~0ull, last = 0;
	struct vtd_command *command;
	unsigned mask;

	if (batch && !(batch->changes & ~(unsigned)IOMMU_MADE_PRESENT))
		return;
	for (unsigned n = 0; batch && n < batch->count; n++) {
		first = core_min(first, batch->range[n].first >> PAGE_SHIFT);
		last = core_max(last, batch->range[n].last >> PAGE_SHIFT);
	}
	command = add(plan, VTD_OP_DEVICE_TLB);
	command->sid = sid;
	command->mask = VTD_MASK_ALL;
	mask = vtd_cover_mask(first, last);
	if (mask < 40) {
		command->mask = (uint8_t)mask;
		command->address = first >> mask << mask << PAGE_SHIFT;
	}
}

void vtd_plan_interrupt_pointer(
	const struct vtd_traits *traits, struct vtd_plan *plan)
{
	plan->count = 0;
	if (!traits->interrupt_root_flushes)
		add(plan, VTD_OP_INTERRUPT_GLOBAL);
}

void vtd_plan_interrupt(const struct vtd_traits *traits, uint16_t index,
	unsigned mask, bool were_present, struct vtd_plan *plan)
{
	struct vtd_command *command;

	if (!were_present && !absence_is_cached(traits, plan))
		return;
	plan->count = 0;
	if (mask > traits->max_interrupt_mask) {
		add(plan, VTD_OP_INTERRUPT_GLOBAL);
		return;
	}
	command = add(plan, VTD_OP_INTERRUPT_INDEX);
	command->sid = index;
	command->mask = (uint8_t)mask;
}
