/* SPDX-License-Identifier: MIT */
/*
 * Devices parked on the memory that firmware reserved for them: one region of
 * two devices, where they go from there, and regions that cannot be had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/dma.h>
#include "support/board.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static void open_reserved(struct rig *r, uint64_t base, bool allow)
{
	struct builder table;

	board_begin(&table);
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_add(RIG_OTHER, BOARD_INTEGRATED);
	table_unit_for_all(&table);
	table_reserved(&table, 0, base, base + 0x1fff);
	table_endpoint(&table, RIG_DEV);
	table_endpoint(&table, RIG_OTHER);
	table_close(&table);
	board_open(r, "plain", &table);
	r->options.keep_reserved_memory = true;
	r->options.allow_reserved_memory = allow;
}

static void reserved_memory_of_two_is_mapped_once(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_reserved(&r, 0x800000, true);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain));
	assert_true(rig_can_write(&r, RIG_DEV, 0x800000));
	assert_true(rig_can_write(&r, RIG_OTHER, 0x801ff8));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(domain));
	/* The host mapped something else there: refused, and still kept. */
	domain = rig_mapped_domain(&r);
	OK(iommu_map(
		domain, iommu_iova(0x801000), iommu_phys(0x100000), 4096, RW));
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV), domain),
		IOMMU_RESERVED_RANGE);
	assert_true(rig_can_write(&r, RIG_DEV, 0x800000));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static void not_to_be_visited(void *arg, unsigned unit,
	struct iommu_device_id id, struct iommu_domain *domain)
{
	(void)arg;
	(void)domain;
	fail_msg("unit %u, %04x", unit, id.requester);
}

/** Of two regions each is for its own device. */
static void reserved_memory_is_for_whom_it_names(void **state)
{
	struct builder table;
	struct rig r;

	(void)state;
	board_begin(&table);
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_add(RIG_OTHER, BOARD_INTEGRATED);
	table_unit_for_all(&table);
	table_reserved(&table, 0, 0x800000, 0x800fff);
	table_endpoint(&table, RIG_DEV);
	table_close(&table);
	table_reserved(&table, 0, 0x900000, 0x900fff);
	table_endpoint(&table, RIG_OTHER);
	table_close(&table);
	board_open(&r, "plain", &table);
	r.options.keep_reserved_memory = true;
	rig_start_ok(&r);
	assert_true(rig_can_write(&r, RIG_DEV, 0x800000));
	assert_false(rig_can_write(&r, RIG_DEV, 0x900000));
	assert_false(rig_can_write(&r, RIG_OTHER, 0x800000));
	assert_true(rig_can_write(&r, RIG_OTHER, 0x900000));
	/* Both are the library's affair. */
	iommu_visit_attached(r.iommu, not_to_be_visited, NULL);
	rig_close(&r);
}

/** Parked devices and domains of other kinds. */
static void parked_devices_move_to_any_domain(void **state)
{
	(void)state;
	for (unsigned allow = 0; allow < 2; allow++) {
		struct rig_space space;
		struct rig r;

		open_reserved(&r, 0x800000, allow);
		rig_start_ok(&r);
		rig_space_open(&space, &r);
		assert_int_equal(
			iommu_attach(r.iommu, rig_id(RIG_DEV), space.domain),
			allow ? IOMMU_OK : IOMMU_RESERVED_MEMORY);
		assert_int_equal(rig_can_write(&r, RIG_DEV, 0x800000), !allow);
		assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)),
			allow ? IOMMU_OK : IOMMU_NOT_ATTACHED);
		assert_true(rig_can_write(&r, RIG_DEV, 0x800000));
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu)));
		assert_true(rig_can_write(&r, RIG_DEV, 0x100000));
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		assert_false(rig_can_write(&r, RIG_DEV, 0x100000));
		OK(iommu_device_removed(r.iommu, rig_id(RIG_DEV)));
		rig_space_close(&space);
		rig_close(&r);
	}
}

/** What cannot be attached elsewhere goes back to its reserved memory. */
static void parked_devices_come_back_from_a_refusal(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_SHARED};
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_reserved(&r, 0x800000, true);
	rig_start_ok(&r);
	config.roots.levels3 = config.roots.levels4 = config.roots.levels5 =
		iommu_phys(1ull << 52);
	OK(iommu_domain_create(r.iommu, &config, &domain));
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_WIDTH);
	assert_true(rig_can_write(&r, RIG_DEV, 0x800000));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** A region that cannot be mapped: the device stays blocked, with a line. */
static void unmappable_reserved_memory_is_told(void **state)
{
	struct iommu_device_info info;
	struct rig r;

	(void)state;
	open_reserved(&r, 0xfee00000, true); /* the interrupt window */
	rig_start_ok(&r);
	assert_true(r.host.logged[IOMMU_LOG_WARNING] >= 1);
	assert_non_null(strstr(r.host.last_line, "reserved memory of"));
	OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_BLOCKED);
	assert_false(rig_can_write(&r, RIG_DEV, 0x800000));
	rig_close(&r);
}

static void nth_page_for_reserved_memory_is_missing(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		enum iommu_status status;
		struct iommu_domain *domain;
		bool hit;
		struct rig r;

		open_reserved(&r, 0x800000, true);
		model_fail_alloc(r.m, n, false);
		status = rig_start(&r);
		assert_true(status == IOMMU_OK || status == IOMMU_NO_MEMORY);
		if (status == IOMMU_OK) {
			domain = NULL;
			status = iommu_domain_create(r.iommu,
				&(struct iommu_domain_config){
					.kind = IOMMU_DOMAIN_MAPPED},
				&domain);
			if (status == IOMMU_OK)
				status = iommu_attach(
					r.iommu, rig_id(RIG_DEV), domain);
			assert_true(status == IOMMU_OK ||
				status == IOMMU_NO_MEMORY);
			if (status == IOMMU_OK)
				status = iommu_detach(r.iommu, rig_id(RIG_DEV));
			assert_true(status == IOMMU_OK ||
				status == IOMMU_NO_MEMORY);
			OK(iommu_domain_destroy(domain));
		}
		hit = model_failures(r.m);
		model_fail_alloc(r.m, 0, false);
		if (r.iommu)
			rig_close(&r);
		else
			model_destroy(r.m);
		if (!hit)
			break;
		assert_true(n < 60);
	}
}

static void nth_page_of_a_space_is_missing(void **state)
{
	struct iommu_dma_config config = {0};
	bool hit = true;

	(void)state;
	for (unsigned n = 1; hit; n++) {
		struct iommu_domain *domain;
		enum iommu_status status;
		struct iommu_dma *dma;
		struct rig r;

		/* Far from the addresses that are looked at first. */
		open_reserved(&r, 0x40000000, false);
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_dma_create(domain, &config, &dma);
		hit = model_failures(r.m);
		model_fail_alloc(r.m, 0, false);
		assert_int_equal(status, hit ? IOMMU_NO_MEMORY : IOMMU_OK);
		if (!hit)
			OK(iommu_dma_destroy(dma));
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
		assert_true(n < 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserved_memory_of_two_is_mapped_once),
		cmocka_unit_test(reserved_memory_is_for_whom_it_names),
		cmocka_unit_test(parked_devices_move_to_any_domain),
		cmocka_unit_test(parked_devices_come_back_from_a_refusal),
		cmocka_unit_test(unmappable_reserved_memory_is_told),
		cmocka_unit_test(nth_page_for_reserved_memory_is_missing),
		cmocka_unit_test(nth_page_of_a_space_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
