/* SPDX-License-Identifier: MIT */
/*
 * Devices that walk tables of the host: start, attach, map, DMA, unmap,
 * detach, power, interrupts and faults on every kind of unit, in every mode.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/kinds.h"
#include "support/life.h"

#define OWNER 9
#define RW (IOMMU_READ | IOMMU_WRITE)

static void map_and_unmap(struct rig *r, struct rig_space *s)
{
	uint64_t a = rig_frame(r, OWNER), b = rig_frame(r, OWNER);

	assert_false(rig_can_write(r, RIG_DEV, 0x100000));
	rig_space_map(s, 0x100000, a, RW);
	rig_space_map(s, 0x101000, b, IOMMU_READ);
	rig_check(r);
	assert_true(rig_can_write(r, RIG_DEV, 0x100ff8));
	assert_true(rig_can_read(r, RIG_DEV, 0x101000));
	assert_false(rig_can_write(r, RIG_DEV, 0x101000));
	rig_space_set(s, 0x101000, b | 0x60 | RW);
	OK(iommu_flush(
		s->domain, IOMMU_RIGHTS_RAISED, iommu_iova(0x101000), 4096));
	assert_true(rig_can_write(r, RIG_DEV, 0x101000));
	rig_space_set(s, 0x101000, b | 0x60 | IOMMU_READ);
	OK(iommu_flush(
		s->domain, IOMMU_RIGHTS_CUT, iommu_iova(0x101000), 4096));
	assert_false(rig_can_write(r, RIG_DEV, 0x101000));
	rig_space_unmap(s, 0x100000);
	rig_space_unmap(s, 0x101000);
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x100000));
	assert_false(rig_can_read(r, RIG_DEV, 0x101000));
	model_page_free(r->m, a, 0);
	model_page_free(r->m, b, 0);
	rig_check(r);
}

/* Ranges of odd places and sizes, to exercise every mask of a flush. */
static void flush_ranges(struct rig *r, struct rig_space *s)
{
	static const struct {
		uint64_t first, pages;
	} range[] = {{0x200000, 1}, {0x203000, 2}, {0x207000, 9}, {0x1ff000, 3},
		{0x3ff000, 40}, {0x7fffff000, 2}};
	uint64_t a = rig_frame(r, OWNER);

	for (size_t i = 0; i < sizeof range / sizeof range[0]; i++) {
		struct iommu_batch batch;
		uint64_t first = range[i].first;
		uint64_t size = range[i].pages * MODEL_PAGE;

		for (uint64_t at = first; at < first + size; at += MODEL_PAGE) {
			rig_space_map(s, at, a, RW);
			assert_true(rig_can_write(r, RIG_DEV, at));
		}
		for (uint64_t at = first; at < first + size; at += MODEL_PAGE)
			rig_space_set(s, at, 0);
		iommu_batch_init(&batch, s->domain);
		iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(first), size);
		OK(iommu_batch_flush(&batch));
		rig_check(r);
	}
	model_page_free(r->m, a, 0);
}

static void many_ranges_in_one_batch(struct rig *r, struct rig_space *s)
{
	uint64_t a = rig_frame(r, OWNER);
	struct iommu_batch batch;

	for (unsigned i = 0; i < 40; i++) {
		rig_space_map(s, 0x1000000 + i * 0x5000ull, a, RW);
		assert_true(
			rig_can_write(r, RIG_DEV, 0x1000000 + i * 0x5000ull));
	}
	iommu_batch_init(&batch, s->domain);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t at = 0x1000000 + (i * 7 % 40) * 0x5000ull;

		rig_space_set(s, at, 0);
		iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(at), 4096);
	}
	OK(iommu_batch_flush(&batch));
	rig_check(r);
	model_page_free(r->m, a, 0);
}

static void table_removed(struct rig *r, struct rig_space *s)
{
	uint64_t a = rig_frame(r, OWNER), table = s->root[3];
	uint64_t *top, *middle, lower;

	rig_space_map(s, 0x40000000, a, RW);
	rig_space_map(s, 0x40001000, a, RW);
	assert_true(rig_can_write(r, RIG_DEV, 0x40000000));
	top = model_ptr(r->m, table + 8);
	middle = model_ptr(r->m, *top & ~0xfffull);
	lower = *middle & ~0xfffull;
	/* The whole lowest table goes at once. */
	*middle = 0;
	model_cache_flush(r->m, *top & ~0xfffull, 8);
	OK(iommu_flush(s->domain, IOMMU_REMOVED | IOMMU_TABLE_CHANGED,
		iommu_iova(0x40000000), 0x200000));
	rig_check(r);
	model_page_free(r->m, lower, 0);
	model_page_free(r->m, a, 0);
	assert_false(rig_can_write(r, RIG_DEV, 0x40001000));
	rig_check(r);
}

static void power(struct rig *r, struct rig_space *s)
{
	uint64_t a = rig_frame(r, OWNER);

	rig_space_map(s, 0x100000, a, RW);
	life_power(r, 0x100000, a);
	rig_space_unmap(s, 0x100000);
	model_page_free(r->m, a, 0);
	rig_check(r);
}

static void one_life(struct rig *r)
{
	struct rig_space s, t;

	rig_start_ok(r);
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x1000));
	rig_space_open(&s, r);
	rig_space_open(&t, r);
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), s.domain));
	assert_int_equal(
		iommu_attach(r->iommu, rig_id(RIG_DEV), s.domain), IOMMU_BUSY);
	rig_check(r);
	map_and_unmap(r, &s);
	flush_ranges(r, &s);
	many_ranges_in_one_batch(r, &s);
	table_removed(r, &s);
	power(r, &s);
	life_interrupts(r);
	iommu_interrupt_all(r->iommu);
	assert_true(rig_take_faults(r) > 0);

	assert_int_equal(iommu_domain_destroy(s.domain), IOMMU_IN_USE);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	rig_check(r);
	assert_false(rig_can_read(r, RIG_DEV, 0x100000));
	/* Into another space, while the first one's tables go. */
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), t.domain));
	rig_space_close(&s);
	rig_check(r);
	map_and_unmap(r, &t);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	rig_space_close(&t);
	iommu_interrupt_all(r->iommu);
	rig_take_faults(r);
	rig_check(r);
}

static struct kinds_test test = {.life = one_life, .seeds = 200};

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
