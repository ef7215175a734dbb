/* SPDX-License-Identifier: MIT */
/*
 * What a mapping gives: the rights asked for and no other, at the addresses
 * asked for, however far up they are, and never over what is there already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/rig.h"

#define AT 0x40000000ull
#define LARGE 0x200000ull

static struct rig r;
static struct iommu_domain *domain;

static void open_rig(uint64_t ram_base)
{
	static const struct model_function_desc functions[] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1},
		{.bdf = RIG_DEV, .kind = MODEL_INTEGRATED, .unit = -1},
	};
	struct model_unit_desc unit = {
		.kind = model_personality_find("plain"), .include_all = true};
	struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.ram_base = ram_base,
		.units = &unit,
		.unit_count = 1,
		.functions = functions,
		.function_count = 2};

	rig_open_machine(&r, model_create(&desc));
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
}

static void close_rig(void)
{
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static enum iommu_status map(
	uint64_t iova, uint64_t phys, uint64_t size, unsigned rights)
{
	return iommu_map(
		domain, iommu_iova(iova), iommu_phys(phys), size, rights);
}

static void unmap(uint64_t iova, uint64_t size)
{
	OK(iommu_unmap_now(domain, iommu_iova(iova), size));
}

static void are_those_asked_for(void **state)
{
	uint64_t frame;

	(void)state;
	open_rig(0);
	frame = rig_frame(&r, 9);
	/* The first call makes the tables, the others find them. */
	for (unsigned n = 0; n < 6; n++) {
		static const unsigned order[] = {
			IOMMU_WRITE, IOMMU_READ, IOMMU_READ | IOMMU_WRITE};
		unsigned rights = order[n % 3];

		OK(map(AT, frame, 4096, rights));
		assert_int_equal(
			rig_can_read(&r, RIG_DEV, AT), !!(rights & IOMMU_READ));
		assert_int_equal(rig_can_write(&r, RIG_DEV, AT),
			!!(rights & IOMMU_WRITE));
		unmap(AT, 4096);
	}
	model_page_free(r.m, frame, 0);
	close_rig();
}

static void nothing_is_mapped_twice(void **state)
{
	iommu_phys_t phys;

	(void)state;
	open_rig(0);
	OK(map(AT + 0x3000, 0x7000, 0x1000, 1));
	/* In one table, over several, and as a large page. */
	assert_int_equal(map(AT, 0x10000, 0x8000, 3), IOMMU_MAPPED);
	assert_int_equal(map(AT - LARGE, LARGE, 2 * LARGE, 3), IOMMU_MAPPED);
	assert_int_equal(map(AT, LARGE, LARGE, 3), IOMMU_MAPPED);
	OK(iommu_iova_to_phys(domain, iommu_iova(AT + 0x3abc), &phys));
	assert_int_equal(phys.v, 0x7abc);
	assert_int_equal(iommu_iova_to_phys(domain, iommu_iova(AT), &phys),
		IOMMU_NOT_MAPPED);
	unmap(AT, LARGE);
	close_rig();
}

/** Tables, queue and pages all lie above 4 GiB. */
static void reach_far_memory(void **state)
{
	uint64_t frame;

	(void)state;
	open_rig(9ull << 32);
	frame = rig_frame(&r, 9);
	assert_true(frame >> 32);
	model_device_expect(r.m, 0, RIG_DEV, 9);
	OK(map(AT, frame, 4096, 3));
	assert_true(rig_can_write(&r, RIG_DEV, AT));
	unmap(AT, 4096);
	assert_false(rig_can_write(&r, RIG_DEV, AT));
	model_page_free(r.m, frame, 0);
	close_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_those_asked_for),
		cmocka_unit_test(nothing_is_mapped_twice),
		cmocka_unit_test(reach_far_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
