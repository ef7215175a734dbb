/* SPDX-License-Identifier: MIT */
/*
 * Chipsets and graphics whose units cannot be used, or not like others: known
 * by what stands in configuration space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/board.h"
#include "support/table.h"

#define BASE 0xfed90000ull

static struct rig rig;
static struct builder table;

static void (*plain_write)(void *, void *, uint32_t, unsigned, uint64_t);
/** Commands that left translation off. */
static unsigned off;

static void write_and_look(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	plain_write(ctx, regs, offset, width, value);
	off += offset == 0x18 && !(value >> 31 & 1);
}

static bool is_said;

static void listen(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	is_said |= level == IOMMU_LOG_WARNING &&
		strstr(line, "is not used: its graphics device has no shadow");
}

static enum iommu_status discover(void)
{
	table_finish(&table);
	rig_open(&rig, "plain", MODEL_LAZY, 1);
	board_install(&rig);
	plain_write = rig.hooks.reg_write;
	rig.hooks.reg_write = write_and_look;
	rig.hooks.log = listen;
	is_said = false;
	OK(iommu_create(&rig.hooks, &rig.options, &rig.iommu));
	return iommu_discover(rig.iommu, table.bytes, table.size);
}

/** The unit of a graphics device without a shadow table is not used. */
static void graphics_without_shadow_stay_out(void **state)
{
	static const uint8_t video[] = {2, 0}, disk[] = {3, 0};

	(void)state;
	for (unsigned n = 0; n < 7; n++) {
		struct iommu_unit_info info;

		board_start();
		board_add(0, BOARD_PCI);
		board_put(0, 0, 4, n == 1 ? 0x12348086 : 0x00408086);
		if (n == 2)
			board_put(0, 0x52, 2, 0x800); /* it has one */
		board_add(MODEL_BDF(0, 2, 0), BOARD_INTEGRATED)[0xb] = 3;
		board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED)[0xb] = 1;
		table_start(&table);
		table_unit_of(&table, n == 3 ? DMAR_INCLUDE_ALL : 0, 0, BASE);
		if (n != 4)
			table_path(&table,
				n == 5 ? DMAR_SCOPE_BRIDGE
				       : DMAR_SCOPE_ENDPOINT,
				0, 0, 1, video);
		if (n == 6)
			table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, disk);
		table_close(&table);
		assert_int_equal(discover(), n ? IOMMU_OK : IOMMU_NO_UNIT);
		OK(iommu_unit_info(rig.iommu, 0, &info));
		assert_int_equal(
			info.state, n ? IOMMU_UNIT_OFF : IOMMU_UNIT_REFUSED);
		if (!n)
			assert_string_equal(info.reason,
				"its graphics device has no shadow table");
		/* That is said, not only answered. */
		assert_int_equal(is_said, !n);
		rig_close(&rig);
	}
}

/** A unit for one function of bus 0, behind a host bridge. */
static void unit_for_one(
	uint32_t bridge, uint16_t rid, uint32_t id, uint8_t class)
{
	const uint8_t path[] = {(uint8_t)(rid >> 3), 0};

	board_start();
	board_add(0, BOARD_PCI);
	board_put(0, 0, 4, bridge);
	board_add(rid, BOARD_INTEGRATED)[0xb] = class;
	board_put(rid, 0, 4, id);
	table_start(&table);
	table_unit_of(&table, 0, 0, BASE);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, path);
	table_close(&table);
}

/** Why the only unit stays out, "" if it does not. */
static const char *reason_after_discovery(void)
{
	static char reason[100];
	struct iommu_unit_info info;
	enum iommu_status status = discover();

	OK(iommu_unit_info(rig.iommu, 0, &info));
	assert_int_equal(status, *info.reason ? IOMMU_NO_UNIT : IOMMU_OK);
	snprintf(reason, sizeof(reason), "%s", info.reason);
	rig_close(&rig);
	return reason;
}

static void graphics_that_fails_translated_stays_out(void **state)
{
	static const struct {
		uint32_t bridge, graphics;
		bool fails;
	} row[] = {{0x2e108086, 0x2e128086, true},
		{0x00448086, 0x00468086, true}, {0x16048086, 0x16168086, true},
		{0x16048086, 0x163e8086, true}, {0x16048086, 0x16108086, false},
		{0x16048086, 0x16161002, false},
		{0x19048086, 0x19168086, false}};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		unit_for_one(
			row[n].bridge, MODEL_BDF(0, 2, 0), row[n].graphics, 3);
		/* It has a shadow table. */
		board_put(0, 0x52, 2, 0x800);
		assert_string_equal(reason_after_discovery(),
			row[n].fails
				? "its graphics device does not work translated"
				: "");
	}
}

static void sound_without_a_tlb_stays_out(void **state)
{
	static const struct {
		uint32_t sound, control;
		bool out;
	} row[] = {{0x3a3e8086, 0x0, true}, {0x3a3e8086, 0x2, true},
		{0x3a3e8086, 0x10, false}, {0x3a3e8086, 0x4, false},
		{0x3a3e8086, 0x1, false}, {0x3a3e8086, ~0u, false},
		{0x3a3f8086, 0x0, false}};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		unit_for_one(
			0x34068086, MODEL_BDF(0, 0x1b, 0), row[n].sound, 4);
		board_add(MODEL_BDF(0, 0x14, 0), BOARD_INTEGRATED);
		board_put(MODEL_BDF(0, 0x14, 0), 0, 4, 0x342e8086);
		board_put(MODEL_BDF(0, 0x14, 0), 0x188, 4, row[n].control);
		assert_string_equal(reason_after_discovery(),
			row[n].out
				? "firmware gave it no TLB for its sound device"
				: "");
	}
}

static bool translates(void)
{
	return model_read32(rig.m, BASE + 0x1c) >> 31;
}

/** Switching translation off would hang the machine. */
static void graphics_that_hangs_stays_translated(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		unit_for_one(0x9a148086, MODEL_BDF(0, 2, 0),
			n == 1 ? 0x59168086 : 0x9a498086, n == 2 ? 2 : 3);
		OK(discover());
		OK(iommu_start(rig.iommu));
		assert_true(translates());
		off = 0;
		assert_int_equal(iommu_power(rig.iommu, false),
			n ? IOMMU_OK : IOMMU_FORBIDDEN);
		assert_int_equal(translates(), !n);
		OK(iommu_power(rig.iommu, true));
		assert_int_equal(off > 0, n > 0);
		OK(iommu_suspend(rig.iommu));
		assert_int_equal(translates(), !n);
		OK(iommu_resume(rig.iommu));
		assert_true(translates());
		rig_check(&rig);
		/* What it may walk is not given back. */
		assert_int_equal(iommu_destroy(rig.iommu),
			n ? IOMMU_OK : IOMMU_UNCONFIRMED);
		assert_int_equal(off > 0, n > 0);
		assert_int_equal(
			model_pages_in_use(rig.m, MODEL_OWNER_DRIVER) > 0, !n);
		assert_int_equal(model_violation_count(rig.m), 0);
		model_destroy(rig.m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(graphics_without_shadow_stay_out),
		cmocka_unit_test(graphics_that_fails_translated_stays_out),
		cmocka_unit_test(sound_without_a_tlb_stays_out),
		cmocka_unit_test(graphics_that_hangs_stays_translated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
