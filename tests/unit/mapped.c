/* SPDX-License-Identifier: MIT */
/*
 * Mapped domains on every kind of unit, in every mode: start, attach, map,
 * large pages and holes in them, DMA, unmap, power, detach.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/kinds.h"
#include "support/life.h"

#define OWNER 9

static void map_and_unmap(struct rig *r, struct iommu_domain *dom)
{
	uint64_t a = rig_frame(r, OWNER), b = rig_frame(r, OWNER);
	iommu_phys_t phys;

	assert_false(rig_can_write(r, RIG_DEV, 0x100000));
	OK(iommu_map(dom, iommu_iova(0x100000), iommu_phys(a), 4096,
		IOMMU_READ | IOMMU_WRITE));
	OK(iommu_map(
		dom, iommu_iova(0x101000), iommu_phys(b), 4096, IOMMU_READ));
	rig_check(r);
	assert_true(rig_can_write(r, RIG_DEV, 0x100ff8));
	assert_true(rig_can_read(r, RIG_DEV, 0x101000));
	assert_false(rig_can_write(r, RIG_DEV, 0x101000));
	OK(iommu_iova_to_phys(dom, iommu_iova(0x101234), &phys));
	assert_true(phys.v == b + 0x234);
	assert_int_equal(iommu_map(dom, iommu_iova(0x101000), iommu_phys(a),
				 4096, IOMMU_READ),
		IOMMU_MAPPED);
	OK(iommu_unmap_now(dom, iommu_iova(0x100000), 0x2000));
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x100000));
	assert_false(rig_can_read(r, RIG_DEV, 0x101000));
	model_page_free(r->m, a, 0);
	model_page_free(r->m, b, 0);
	rig_check(r);
}

static void large_ranges(struct rig *r, struct iommu_domain *dom)
{
	uint64_t run = model_page_alloc(r->m, 10, OWNER);

	assert_true(run != MODEL_NONE);
	OK(iommu_map(dom, iommu_iova(0x40000000), iommu_phys(run), 0x400000,
		IOMMU_READ | IOMMU_WRITE));
	assert_true(rig_can_write(r, RIG_DEV, 0x40000000));
	assert_true(rig_can_write(r, RIG_DEV, 0x403ffff8 - 0x2000));
	/* A hole in the middle of what may be a large page. */
	OK(iommu_unmap_now(dom, iommu_iova(0x40100000), 0x1000));
	rig_check(r);
	assert_false(rig_can_write(r, RIG_DEV, 0x40100000));
	assert_true(rig_can_write(r, RIG_DEV, 0x40101000));
	assert_true(rig_can_write(r, RIG_DEV, 0x400ff000));
	OK(iommu_unmap_now(dom, iommu_iova(0x40000000), 0x400000));
	rig_check(r);
	assert_false(rig_can_write(r, RIG_DEV, 0x40101000));
	model_page_free(r->m, run, 10);
	rig_check(r);
}

static void power(struct rig *r, struct iommu_domain *dom)
{
	uint64_t a = rig_frame(r, OWNER);

	OK(iommu_map(dom, iommu_iova(0x100000), iommu_phys(a), 4096,
		IOMMU_READ | IOMMU_WRITE));
	life_power(r, 0x100000, a);
	OK(iommu_unmap_now(dom, iommu_iova(0x100000), 4096));
	model_page_free(r->m, a, 0);
	rig_check(r);
}

static void one_life(struct rig *r)
{
	struct iommu_domain *dom;

	rig_start_ok(r);
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x1000));
	dom = rig_mapped_domain(r);
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), dom));
	assert_int_equal(
		iommu_attach(r->iommu, rig_id(RIG_DEV), dom), IOMMU_BUSY);
	rig_check(r);
	map_and_unmap(r, dom);
	large_ranges(r, dom);
	power(r, dom);
	life_interrupts(r);
	iommu_interrupt_all(r->iommu);
	assert_true(rig_take_faults(r) > 0);
	assert_int_equal(iommu_domain_destroy(dom), IOMMU_IN_USE);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x100000));
	OK(iommu_domain_destroy(dom));
	iommu_interrupt_all(r->iommu);
	rig_take_faults(r);
	rig_check(r);
}

static struct kinds_test test = {.life = one_life, .seeds = 300};

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(every_kind_in_every_mode, &test),
		cmocka_unit_test_prestate(
			registers_instead_of_the_queue, &test),
		cmocka_unit_test_prestate(random_kinds, &test),
		cmocka_unit_test_prestate(
			taken_over_from_an_earlier_owner, &test),
		cmocka_unit_test_prestate(every_store_watched, &test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
