/* SPDX-License-Identifier: MIT */
/*
 * The flush planner: any capabilities, any changes, any ranges that a batch can
 * hold. Plans stay within their array, shifts within their width.
 *
 * Assumption: ranges are in order and of pages, as iommu_batch_add() makes
 * them.
 *
 * eva: -eva-precision 3 -eva-slevel 400 -eva-auto-loop-unroll 70
 */
#include "prove.h"
#include "iommu/vtd/flush.c"

static struct iommu_batch any_batch(void)
{
	struct iommu_batch batch;
	unsigned n;

	HOSTILE(batch);
	batch.domain = NULL;
	batch.pages = NULL;
	batch.count = (unsigned)Frama_C_interval(0, IOMMU_BATCH_RANGES);
	//@ loop unroll IOMMU_BATCH_RANGES;
	for (n = 0; n < IOMMU_BATCH_RANGES; n++)
		if (batch.range[n].last < batch.range[n].first)
			batch.range[n].last = batch.range[n].first;
	return batch;
}

void harness(void)
{
	struct vtd_traits traits;
	struct iommu_batch batch;
	struct vtd_plan plan;
	uint16_t a, b;
	uint64_t high;

	HOSTILE(traits);
	traits.caching_mode = Frama_C_interval(0, 1);
	traits.write_buffer = Frama_C_interval(0, 1);
	traits.page_selective = Frama_C_interval(0, 1);
	traits.root_flushes = Frama_C_interval(0, 1);
	traits.interrupt_root_flushes = Frama_C_interval(0, 1);
	traits.max_mask = (uint8_t)Frama_C_interval(0, 63); /* CAP.MAMV */
	HOSTILE(a);
	HOSTILE(b);
	vtd_plan_root_pointer(&traits, &plan);
	//@ assert plan.count <= VTD_PLAN_MAX;
	vtd_plan_root_entry(&traits, &plan);
	vtd_plan_context_made(&traits, a, b, &plan);
	vtd_plan_context_removed(&traits, a, b, &plan);
	vtd_plan_device_tlb(a, NULL, &plan);
	vtd_plan_interrupt_pointer(&traits, &plan);
	vtd_plan_interrupt(&traits, a, (unsigned)Frama_C_interval(0, 31),
		Frama_C_interval(0, 1), &plan);
	batch = any_batch();
	vtd_plan_tables(&traits, a, &batch, &plan);
	//@ assert plan.count <= VTD_PLAN_PAGES;
	if (plan.count == VTD_PLAN_MAX)
		plan.count = 0; /* it was carried out: plan_tlbs() */
	vtd_plan_device_tlb(b, &batch, &plan);
	//@ assert plan.count <= VTD_PLAN_MAX;
	vtd_plan_block(
		&traits, batch.range[0].first, batch.range[0].last, &high);
}
