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

#define OWNER 9

static void drain_faults(struct rig *r, unsigned *count)
{
	struct iommu_fault f;

	*count = 0;
	iommu_interrupt_all(r->iommu);
	while (iommu_fault_next(r->iommu, &f)) {
		char line[200];

		++*count;
		iommu_fault_format(&f, line, sizeof line);
		assert_non_null(f.text);
	}
}

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
	OK(iommu_power(r->iommu, false));
	assert_false(iommu_is_on(r->iommu));
	assert_true(rig_can_write(r, RIG_OTHER, a));
	OK(iommu_power(r->iommu, true));
	assert_false(rig_can_write(r, RIG_OTHER, a));
	assert_true(rig_can_write(r, RIG_DEV, 0x100000));
	OK(iommu_suspend(r->iommu));
	model_unit_reset(r->m, 0);
	OK(iommu_resume(r->iommu));
	assert_true(rig_can_write(r, RIG_DEV, 0x100000));
	assert_false(rig_can_write(r, RIG_OTHER, a));
	OK(iommu_unmap_now(dom, iommu_iova(0x100000), 4096));
	model_page_free(r->m, a, 0);
	rig_check(r);
}

static void interrupts(struct rig *r)
{
	struct iommu_irq_target target = {.destination = 3, .vector = 0x61};
	struct iommu_msi_message msg;
	struct iommu_irq irq;
	bool remapped = false;

	OK(iommu_irq_remapped(r->iommu, rig_id(RIG_DEV), &remapped));
	if (!remapped)
		return;
	OK(iommu_irq_alloc(r->iommu, rig_id(RIG_DEV), 2, &irq));
	OK(iommu_irq_set(r->iommu, &irq, 1, &target));
	OK(iommu_irq_message(r->iommu, &irq, 1, &msg));
	assert_true(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	assert_int_equal(r->host.last_interrupt.vector, 0x61);
	assert_int_equal(r->host.last_interrupt.destination, 3);
	assert_false(model_msi(r->m, 0, RIG_OTHER, msg.address, msg.data));
	target.vector = 0x62;
	OK(iommu_irq_set(r->iommu, &irq, 1, &target));
	assert_true(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	assert_int_equal(r->host.last_interrupt.vector, 0x62);
	OK(iommu_irq_free(r->iommu, &irq));
	assert_false(model_msi(r->m, 0, RIG_DEV, msg.address, msg.data));
	rig_check(r);
}

static void one_life(struct rig *r)
{
	struct iommu_domain *dom;
	unsigned faults;

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
	interrupts(r);
	drain_faults(r, &faults);
	assert_true(faults > 0);
	assert_int_equal(iommu_domain_destroy(dom), IOMMU_IN_USE);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x100000));
	OK(iommu_domain_destroy(dom));
	drain_faults(r, &faults);
	rig_check(r);
}

static void every_kind_in_every_mode(void **state)
{
	(void)state;
	kinds_in_every_mode(one_life);
}

static void registers_instead_of_the_queue(void **state)
{
	(void)state;
	kinds_with_registers(one_life);
}

static void random_kinds(void **state)
{
	(void)state;
	kinds_at_random(one_life, 300);
}

static void taken_over_from_an_earlier_owner(void **state)
{
	(void)state;
	kinds_left_on(one_life);
}

static void every_store_watched(void **state)
{
	(void)state;
	kinds_watched(one_life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_in_every_mode),
		cmocka_unit_test(registers_instead_of_the_queue),
		cmocka_unit_test(random_kinds),
		cmocka_unit_test(taken_over_from_an_earlier_owner),
		cmocka_unit_test(every_store_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
