/* SPDX-License-Identifier: MIT */
/*
 * Memory that firmware reserved for a device: blocked, kept or handed on, as
 * the host chose. Also groups and aliases, which need a machine of their own
 * too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/dma.h>
#include <iommu/stage.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define REGION 0x800000ull

enum {
	LEGACY = MODEL_BDF(0, 5, 0), /* has reserved memory */
	PLAIN = MODEL_BDF(0, 6, 0),
	TWIN0 = MODEL_BDF(0, 7, 0), /* functions without access control */
	TWIN1 = MODEL_BDF(0, 7, 1),
	PORT = MODEL_BDF(0, 8, 0), /* without access control */
	BELOW0 = MODEL_BDF(1, 0, 0),
	BRIDGE = MODEL_BDF(0, 9, 0),
	OLD0 = MODEL_BDF(2, 1, 0), /* behind the bridge */
	OLD1 = MODEL_BDF(2, 2, 0),
};

static void open_machine_of(
	struct rig *r, enum model_mode mode, const char *kind, unsigned flags)
{
	static const struct model_function_desc functions[] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1},
		{.bdf = LEGACY, .kind = MODEL_INTEGRATED, .unit = -1},
		{.bdf = PLAIN, .kind = MODEL_INTEGRATED, .unit = -1},
		{.bdf = TWIN0,
			.kind = MODEL_INTEGRATED,
			.unit = -1,
			.multifunction = true},
		{.bdf = TWIN1,
			.kind = MODEL_INTEGRATED,
			.unit = -1,
			.multifunction = true},
		{.bdf = PORT,
			.kind = MODEL_ROOT_PORT,
			.secondary = 1,
			.subordinate = 1,
			.unit = -1},
		{.bdf = BELOW0, .kind = MODEL_ENDPOINT, .unit = -1},
		{.bdf = BRIDGE,
			.kind = MODEL_PCIE_TO_PCI,
			.secondary = 2,
			.subordinate = 2,
			.unit = -1},
		{.bdf = OLD0, .kind = MODEL_CONVENTIONAL, .unit = -1},
		{.bdf = OLD1, .kind = MODEL_CONVENTIONAL, .unit = -1},
	};
	static const struct model_rmrr_desc region = {
		.base = REGION, .limit = REGION + 0x1fff, .bdf = LEGACY};
	struct model_unit_desc unit = {
		.kind = model_personality_find(kind), .include_all = true};
	struct model_desc desc = {.seed = 1,
		.mode = mode,
		.flags = flags,
		.units = &unit,
		.unit_count = 1,
		.functions = functions,
		.function_count = sizeof(functions) / sizeof(*functions),
		.rmrrs = &region,
		.rmrr_count = 1};

	rig_open_machine(r, model_create(&desc));
}

static void open_machine(struct rig *r, enum model_mode mode)
{
	open_machine_of(r, mode, "plain", 0);
}

static void blocked_by_default(void **state)
{
	struct iommu_device_info info;
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_machine(&r, MODEL_LAZY);
	rig_start_ok(&r);
	assert_false(rig_can_read(&r, LEGACY, REGION));
	OK(iommu_device_info(r.iommu, rig_id(LEGACY), &info));
	assert_true(info.reserved_memory);
	domain = rig_mapped_domain(&r);
	assert_int_equal(iommu_attach(r.iommu, rig_id(LEGACY), domain),
		IOMMU_RESERVED_MEMORY);
	OK(iommu_attach(
		r.iommu, rig_id(LEGACY), iommu_domain_identity(r.iommu)));
	OK(iommu_detach(r.iommu, rig_id(LEGACY)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static void kept_between_owners(void **state)
{
	struct iommu_device_info info;
	struct iommu_domain *domain;
	struct iommu_dma_config config = {0};
	struct iommu_dma *dma;
	struct rig r;

	(void)state;
	for (int mode = MODEL_LAZY; mode <= MODEL_RANDOM; mode++) {
		open_machine(&r, (enum model_mode)mode);
		r.options.keep_reserved_memory = true;
		r.options.allow_reserved_memory = true;
		/* Not even for a moment without its memory. */
		model_device_needs(r.m, 0, LEGACY, REGION, REGION + 0x1fff);
		rig_start_ok(&r);
		rig_check(&r);
		model_device_needs(r.m, 0, LEGACY, 0, 0);
		assert_true(rig_can_write(&r, LEGACY, REGION + 0x1ff8));
		assert_false(rig_can_read(&r, LEGACY, REGION + 0x2000));
		assert_false(rig_can_read(&r, PLAIN, REGION));
		OK(iommu_device_info(r.iommu, rig_id(LEGACY), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_BLOCKED);
		assert_int_equal(iommu_detach(r.iommu, rig_id(LEGACY)),
			IOMMU_NOT_ATTACHED);

		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(LEGACY), domain));
		assert_true(rig_can_write(&r, LEGACY, REGION));
		OK(iommu_dma_create(domain, &config, &dma));
		OK(iommu_dma_destroy(dma));
		OK(iommu_detach(r.iommu, rig_id(LEGACY)));
		assert_true(rig_can_write(&r, LEGACY, REGION));
		OK(iommu_domain_destroy(domain));
		OK(iommu_power(r.iommu, false));
		OK(iommu_power(r.iommu, true));
		assert_true(rig_can_write(&r, LEGACY, REGION));
		rig_close(&r);
	}
}

/** Without a moment in which the device does not reach its memory. */
static void handed_on_without_a_gap(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 12; n++) {
		struct iommu_device_info info;
		struct iommu_domain *domain;
		struct rig r;

		open_machine_of(&r, (enum model_mode)(n % 2),
			n % 4 < 2 ? "plain" : "caching-non-coherent",
			n / 4 ? MODEL_WATCH : 0);
		r.options.keep_reserved_memory = true;
		r.options.allow_reserved_memory = true;
		r.options.trace = n % 2;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(0x100000),
			4096, RW));
		if (n % 3)
			OK(iommu_attach(r.iommu, rig_id(PLAIN), domain));
		model_device_needs(r.m, 0, LEGACY, REGION, REGION + 0x1fff);
		OK(iommu_attach(r.iommu, rig_id(LEGACY), domain));
		/* One request, no detach and attach. */
		if (r.options.trace)
			assert_non_null(
				strstr(r.host.last_line, " redirect, "));
		assert_true(rig_can_write(&r, LEGACY, 0x5000));
		OK(iommu_device_info(r.iommu, rig_id(LEGACY), &info));
		assert_ptr_equal(info.domain, domain);
		assert_int_equal(info.state, IOMMU_DEVICE_ATTACHED);
		assert_int_equal(iommu_attach(r.iommu, rig_id(LEGACY), domain),
			IOMMU_BUSY);
		OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
		assert_false(rig_can_write(&r, LEGACY, 0x5000));
		OK(iommu_map(domain, iommu_iova(0x6000), iommu_phys(0x100000),
			4096, RW));
		assert_true(rig_can_write(&r, LEGACY, 0x6000));
		assert_int_equal(iommu_domain_destroy(domain), IOMMU_IN_USE);
		assert_int_equal(iommu_destroy(r.iommu), IOMMU_IN_USE);
		OK(iommu_detach(r.iommu, rig_id(LEGACY)));
		assert_int_equal(iommu_detach(r.iommu, rig_id(LEGACY)),
			IOMMU_NOT_ATTACHED);
		assert_false(rig_can_write(&r, LEGACY, 0x6000));
		if (n % 3) {
			assert_true(rig_can_write(&r, PLAIN, 0x6000));
			OK(iommu_detach(r.iommu, rig_id(PLAIN)));
		}
		OK(iommu_attach(r.iommu, rig_id(LEGACY),
			iommu_domain_identity(r.iommu)));
		assert_true(rig_can_write(&r, LEGACY, 0x100000));
		OK(iommu_detach(r.iommu, rig_id(LEGACY)));
		assert_false(rig_can_write(&r, LEGACY, 0x100000));
		OK(iommu_domain_destroy(domain));
		rig_check(&r);
		model_device_needs(r.m, 0, LEGACY, 0, 0);
		rig_close(&r);
	}
}

/** A unit that only remaps interrupts keeps nothing, and hides nothing. */
static void not_kept_where_nothing_translates(void **state)
{
	struct iommu_device_info info;
	struct rig r;

	(void)state;
	open_machine_of(&r, MODEL_LAZY, "interrupts-only", 0);
	r.options.keep_reserved_memory = true;
	assert_int_equal(rig_start(&r), IOMMU_NO_UNIT);
	OK(iommu_device_info(r.iommu, rig_id(LEGACY), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_BLOCKED);
	assert_int_equal(r.host.logged[IOMMU_LOG_WARNING], 1);
	rig_close(&r);
}

/** The unit does not confirm: nobody has the device. */
static void lost_on_the_way(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct iommu_device_info info;
		struct iommu_domain *domain;
		struct rig r;

		open_machine(&r, MODEL_LAZY);
		r.options.keep_reserved_memory = true;
		r.options.allow_reserved_memory = true;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(0x100000),
			4096, RW));
		if (n) {
			OK(iommu_attach(r.iommu, rig_id(LEGACY), domain));
			assert_true(rig_can_write(&r, LEGACY, 0x5000));
		}
		model_fail_wait(r.m, 1);
		assert_int_equal(n
				? iommu_detach(r.iommu, rig_id(LEGACY))
				: iommu_attach(r.iommu, rig_id(LEGACY), domain),
			IOMMU_UNIT_LOST);
		OK(iommu_device_info(r.iommu, rig_id(LEGACY), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		assert_null(info.domain);
		/* What the unit remembers it may still reach, no more. */
		assert_int_equal(rig_can_write(&r, LEGACY, 0x5000), n);
		assert_int_equal(iommu_domain_devices(domain), 0);
		OK(iommu_domain_destroy(domain));
		assert_int_equal(iommu_destroy(r.iommu), IOMMU_UNCONFIRMED);
		assert_int_equal(model_violation_count(r.m), 0);
		model_destroy(r.m);
	}
}

/** A domain that maps nothing is not gone from in one step. */
static void kept_after_a_blocked_domain(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_BLOCKED};
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_machine(&r, MODEL_LAZY);
	r.options.keep_reserved_memory = true;
	rig_start_ok(&r);
	OK(iommu_domain_create(r.iommu, &config, &domain));
	OK(iommu_attach(r.iommu, rig_id(LEGACY), domain));
	assert_false(rig_can_write(&r, LEGACY, REGION));
	OK(iommu_detach(r.iommu, rig_id(LEGACY)));
	assert_true(rig_can_write(&r, LEGACY, REGION));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** By its whole name, and why. */
static void blocked_memory_is_told_of(void **state)
{
	bool told = false;

	(void)state;
	for (unsigned n = 1; !told; n++) {
		enum iommu_status status;
		struct rig r;

		assert_true(n < 60);
		open_machine(&r, MODEL_LAZY);
		r.options.keep_reserved_memory = true;
		model_fail_alloc(r.m, n, true);
		status = rig_start(&r);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_OK &&
			strstr(r.host.last_line, "reserved memory")) {
			assert_string_equal(r.host.last_line,
				"reserved memory of 0000:00:05.0 is "
				"blocked: "
				"out of memory");
			assert_false(rig_can_read(&r, LEGACY, REGION));
			told = true;
		}
		if (r.iommu)
			rig_close_anyhow(&r);
		else
			model_destroy(r.m);
	}
}

/** The way to the tables that stand for identity is not open without memory:
 *  the caller is told, and the device keeps what it had. */
static void nth_page_of_a_parked_device_is_missing(void **state)
{
	bool hit = true;

	(void)state;
	for (unsigned n = 1; hit; n++) {
		enum iommu_status status;
		struct rig r;

		open_machine_of(&r, MODEL_LAZY, "no-pt", 0);
		r.options.keep_reserved_memory = true;
		rig_start_ok(&r);
		assert_true(rig_can_write(&r, LEGACY, REGION));
		model_fail_alloc(r.m, n, true);
		status = iommu_attach(r.iommu, rig_id(LEGACY),
			iommu_domain_identity(r.iommu));
		hit = model_failures(r.m);
		model_fail_alloc(r.m, 0, false);
		assert_true(rig_can_write(&r, LEGACY, REGION));
		assert_int_equal(rig_can_write(&r, LEGACY, 0x100000),
			status == IOMMU_OK);
		if (status == IOMMU_OK)
			OK(iommu_detach(r.iommu, rig_id(LEGACY)));
		else
			assert_int_equal(status, IOMMU_NO_MEMORY);
		rig_close(&r);
		assert_true(n < 2000);
		n += n > 8 ? 40 : 0;
	}
}

/** It cannot go in one step, and the unit stops on the way. */
static void lost_between_two_steps(void **state)
{
	bool lost = true;

	(void)state;
	for (unsigned n = 0; lost; n++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_BLOCKED};
		struct iommu_unit_info info;
		struct iommu_domain *blocked;
		enum iommu_status status;
		struct rig r;

		open_machine(&r, MODEL_LAZY);
		r.options.keep_reserved_memory = true;
		r.options.timeout_ns = 1000000;
		r.options.device_timeout_ns = 1000000;
		rig_start_ok(&r);
		OK(iommu_domain_create(r.iommu, &config, &blocked));
		model_unit_hang(r.m, 0, n);
		status = iommu_attach(r.iommu, rig_id(LEGACY), blocked);
		OK(iommu_unit_info(r.iommu, 0, &info));
		lost = info.state == IOMMU_UNIT_FAILED;
		assert_int_equal(status, lost ? IOMMU_UNIT_LOST : IOMMU_OK);
		rig_close_anyhow(&r);
		assert_true(n < 100);
	}
}

/** Nor does the next owner's device reach it, if it is to be blocked. */
static void blocked_hand_over_ends_parking(void **state)
{
	struct rig r;

	(void)state;
	open_machine(&r, MODEL_LAZY);
	r.options.keep_reserved_memory = true;
	rig_start_ok(&r);
	assert_true(rig_can_write(&r, LEGACY, REGION));
	OK(iommu_hand_over(r.iommu, IOMMU_HAND_OVER_BLOCKED));
	assert_false(rig_can_write(&r, LEGACY, REGION));
	rig_close_anyhow(&r);
}

/** What is mapped there already has to be the region, from end to end. */
static void region_is_itself_or_refused(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct iommu_domain *domain;
		enum iommu_status status;
		struct rig r;

		open_machine(&r, MODEL_LAZY);
		r.options.allow_reserved_memory = true;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		for (unsigned k = 0; k < 2; k++) {
			uint64_t at = REGION + k * 0x1000;

			OK(iommu_map(domain, iommu_iova(at),
				iommu_phys(n >> k & 1 ? at : 0x100000), 4096,
				RW));
		}
		status = iommu_attach(r.iommu, rig_id(LEGACY), domain);
		assert_int_equal(
			status, n == 3 ? IOMMU_OK : IOMMU_RESERVED_RANGE);
		if (status == IOMMU_OK)
			OK(iommu_detach(r.iommu, rig_id(LEGACY)));
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

static void kept_but_not_handed_on(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_machine(&r, MODEL_LAZY);
	r.options.keep_reserved_memory = true;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	assert_int_equal(iommu_attach(r.iommu, rig_id(LEGACY), domain),
		IOMMU_RESERVED_MEMORY);
	assert_true(rig_can_write(&r, LEGACY, REGION));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** Not even to a device that has none: it may share the domain with one
 * that has. */
static void reserved_addresses_are_not_given_out(void **state)
{
	static iommu_iova_t iova[4096];
	struct iommu_dma_config config = {0};
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	unsigned count = 0;
	struct rig r;

	(void)state;
	open_machine(&r, MODEL_LAZY);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_dma_create(domain, &config, &dma));
	/* All there is below 16 MiB, but for what lies ready for one
	 * CPU. */
	while (count < 4096 &&
		iommu_dma_map(dma, iommu_phys(0x100000), 4096, 0xffffff,
			IOMMU_BOTH_WAYS, &iova[count]) == IOMMU_OK) {
		assert_false(iova[count].v >= REGION &&
			iova[count].v < REGION + 0x2000);
		count++;
	}
	assert_in_range(count, 4000, 4096 - 3);
	while (count--)
		OK(iommu_dma_unmap(dma, iova[count], 4096, IOMMU_BOTH_WAYS));
	OK(iommu_dma_destroy(dma));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static void expect_group(
	struct rig *r, uint16_t of, unsigned count, uint16_t other)
{
	struct iommu_device_id id[8];
	unsigned n = 0;

	OK(iommu_device_group(r->iommu, rig_id(of), id, 8, &n));
	assert_int_equal(n, count);
	assert_int_equal(id[0].requester, of);
	if (count > 1)
		assert_int_equal(id[1].requester, other);
}

static void groups_are_found(void **state)
{
	struct rig r;

	(void)state;
	open_machine(&r, MODEL_BENIGN);
	rig_start_ok(&r);
	expect_group(&r, PLAIN, 1, 0);
	expect_group(&r, TWIN0, 2, TWIN1);
	expect_group(&r, TWIN1, 2, TWIN0);
	expect_group(&r, BELOW0, 1, 0);
	expect_group(&r, OLD1, 2, OLD0);
	assert_int_equal(iommu_attach(r.iommu, rig_id(BRIDGE),
				 iommu_domain_identity(r.iommu)),
		IOMMU_BRIDGE);
	rig_close(&r);
}

/** A group has one domain; the last member closes what they share. */
static void group_has_one_domain(uint16_t first, uint16_t second)
{
	struct iommu_domain *domain, *other;
	struct rig r;

	open_machine(&r, MODEL_LAZY);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	other = rig_mapped_domain(&r);
	OK(iommu_map(
		domain, iommu_iova(0x5000), iommu_phys(0x100000), 4096, RW));
	OK(iommu_attach(r.iommu, rig_id(first), domain));
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(second), other), IOMMU_GROUP_BUSY);
	OK(iommu_attach(r.iommu, rig_id(second), domain));
	assert_true(rig_can_write(&r, first, 0x5000));
	assert_true(rig_can_write(&r, second, 0x5000));
	OK(iommu_detach(r.iommu, rig_id(first)));
	assert_true(rig_can_write(&r, second, 0x5000));
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(first), other), IOMMU_GROUP_BUSY);
	OK(iommu_detach(r.iommu, rig_id(second)));
	assert_false(rig_can_write(&r, first, 0x5000));
	assert_false(rig_can_write(&r, second, 0x5000));
	OK(iommu_attach(r.iommu, rig_id(first), other));
	OK(iommu_detach(r.iommu, rig_id(first)));
	OK(iommu_domain_destroy(domain));
	OK(iommu_domain_destroy(other));
	rig_close(&r);
}

static void groups_have_one_domain(void **state)
{
	(void)state;
	group_has_one_domain(TWIN0, TWIN1);
	group_has_one_domain(OLD0, OLD1);
	group_has_one_domain(OLD1, OLD0);
}

/** However memory runs out while a DMA space is made: it is not made,
 * and the next try works and stays clear of what is reserved. */
static void nth_page_of_a_space_is_missing(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		struct iommu_dma_config config = {0};
		struct iommu_domain *domain;
		enum iommu_status status;
		struct iommu_dma *dma;
		struct rig r;
		bool hit;

		open_machine(&r, MODEL_LAZY);
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_dma_create(domain, &config, &dma);
		hit = model_failures(r.m);
		model_fail_alloc(r.m, 0, false);
		assert_int_equal(status, hit ? IOMMU_NO_MEMORY : IOMMU_OK);
		if (hit)
			OK(iommu_dma_create(domain, &config, &dma));
		for (unsigned k = 0; k < 4096; k++) {
			iommu_iova_t iova;

			OK(iommu_dma_map(dma, iommu_phys(0x100000), 4096, ~0ull,
				IOMMU_TO_DEVICE, &iova));
			assert_true(iova.v >> 13 != REGION >> 13);
		}
		rig_close_anyhow(&r);
		if (!hit)
			break;
		assert_true(n < 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocked_by_default),
		cmocka_unit_test(kept_between_owners),
		cmocka_unit_test(handed_on_without_a_gap),
		cmocka_unit_test(lost_on_the_way),
		cmocka_unit_test(not_kept_where_nothing_translates),
		cmocka_unit_test(kept_after_a_blocked_domain),
		cmocka_unit_test(blocked_memory_is_told_of),
		cmocka_unit_test(nth_page_of_a_parked_device_is_missing),
		cmocka_unit_test(lost_between_two_steps),
		cmocka_unit_test(blocked_hand_over_ends_parking),
		cmocka_unit_test(region_is_itself_or_refused),
		cmocka_unit_test(kept_but_not_handed_on),
		cmocka_unit_test(reserved_addresses_are_not_given_out),
		cmocka_unit_test(groups_are_found),
		cmocka_unit_test(groups_have_one_domain),
		cmocka_unit_test(nth_page_of_a_space_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
