/* SPDX-License-Identifier: MIT */
/*
 * What firmware says beside which unit is for whom: tables that cannot be read,
 * reserved memory, sources of interrupts, ports; and that in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <iommu/decode.h>
#include "support/board.h"
#include "support/words.h"

static struct rig rig;
static struct builder table;

static enum iommu_status discover(const char *kind)
{
	board_open(&rig, kind, &table);
	return rig_discover(&rig);
}

/* ---- tables as a whole ---- */

static void tables_that_name_no_unit(void **state)
{
	(void)state;
	board_begin(&table);
	assert_int_equal(discover("plain"), IOMMU_BAD_TABLE);
	assert_string_equal(iommu_reason(rig.iommu),
		"the firmware's DMAR table names no unit");
	rig_close(&rig);
	board_begin(&table);
	table.bytes[0] = 'X';
	assert_int_equal(discover("plain"), IOMMU_BAD_TABLE);
	assert_true(*iommu_reason(rig.iommu));
	words_start();
	iommu_report_warnings(rig.iommu, words_sink, NULL);
	assert_string_equal(words, "");
	rig_close(&rig);
	board_begin(&table);
	table_unit_for_all(&table);
	OK(discover("plain"));
	rig_close(&rig);
	/* The length says less than the header needs. */
	rig_open(&rig, "plain", MODEL_LAZY, 1);
	OK(iommu_create(&rig.hooks, &rig.options, &rig.iommu));
	table_finish(&table);
	table.bytes[4] = 40;
	table.bytes[5] = 0;
	assert_int_equal(iommu_discover(rig.iommu, table.bytes, table.size),
		IOMMU_BAD_TABLE);
	rig_close(&rig);
}

/** A table of more than a page, with more units than anybody has. */
static void tables_may_be_long(void **state)
{
	(void)state;
	board_begin(&table);
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	table_unit_for_all(&table);
	for (unsigned n = 1; n < 70; n++) {
		table_unit_of(&table, 0, n, TABLE_UNIT + 0x10000 * n);
		table_scope(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 12);
		table_close(&table);
	}
	board_run(&rig, "plain", &table);
	assert_int_equal(iommu_unit_count(rig.iommu), 64);
	OK(rig_status_of(&rig, MODEL_BDF(0, 3, 0)));
	rig_close(&rig);
}

/** Pages for the copy, the units, their id maps: each may be missing. What
 *  failed may be tried again. */
static void nth_page_of_discovery_is_missing(void **state)
{
	enum iommu_status status = IOMMU_NO_MEMORY, again;

	(void)state;
	for (unsigned n = 1; status != IOMMU_OK; n++) {
		board_begin(&table);
		table_unit_for_all(&table);
		board_open(&rig, "plain", &table);
		OK(iommu_create(&rig.hooks, &rig.options, &rig.iommu));
		model_fail_alloc(rig.m, n, false);
		status = iommu_discover(rig.iommu, table.bytes, table.size);
		if (status == IOMMU_OK)
			status = iommu_start(rig.iommu);
		assert_true(status == IOMMU_OK || status == IOMMU_NO_MEMORY);
		if (status != IOMMU_OK) {
			model_fail_alloc(rig.m, n % 2, false);
			again = iommu_discover(
				rig.iommu, table.bytes, table.size);
			model_fail_alloc(rig.m, 0, false);
			if (again == IOMMU_NO_MEMORY)
				again = iommu_discover(
					rig.iommu, table.bytes, table.size);
			assert_true(again == IOMMU_OK ||
				again == IOMMU_WRONG_STATE);
			OK(iommu_start(rig.iommu));
		}
		model_fail_alloc(rig.m, 0, false);
		rig_close(&rig);
		assert_true(n < 30);
	}
}

/* ---- reserved memory, interrupts ---- */

static void reserved_memory_is_listed(void **state)
{
	static const uint8_t nobody[] = {9, 0, 1, 0};
	struct iommu_reserved_region region;
	struct iommu_device_info info;

	(void)state;
	board_begin(&table);
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	table_unit_for_all(&table);
	table_reserved(&table, 1, 0x900000, 0x900fff); /* another segment */
	table_endpoint(&table, RIG_DEV);
	table_close(&table);
	table_reserved(&table, 0, 0x800800, 0x802123);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 2, nobody);
	table_endpoint(&table, RIG_DEV);
	table_close(&table);
	board_run(&rig, "plain", &table);
	assert_int_equal(iommu_reserved_count(rig.iommu), 2);
	OK(iommu_reserved_region(rig.iommu, 1, &region));
	assert_int_equal(region.segment, 0);
	assert_int_equal(region.first.v, 0x800000);
	assert_int_equal(region.last.v, 0x802fff);
	assert_int_equal(iommu_reserved_region(rig.iommu, 2, &region),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_reserved_region(rig.iommu, 0, NULL), IOMMU_BAD_ARGUMENT);
	OK(iommu_device_info(rig.iommu, rig_id(MODEL_BDF(0, 3, 0)), &info));
	assert_true(info.reserved_memory);
	OK(iommu_device_info(rig.iommu, rig_id(MODEL_BDF(0, 4, 0)), &info));
	assert_false(info.reserved_memory);
	rig_close(&rig);
}

static void interrupt_sources_are_named(void **state)
{
	static const uint8_t apic[] = {0x1e, 7}, hpet[] = {0x1f, 3, 0x0f, 1};
	struct iommu_irq irq;

	(void)state;
	board_begin(&table);
	table_unit_of(&table, 0, 0, TABLE_UNIT + 0x10000); /* nothing there */
	table_path(&table, DMAR_SCOPE_IOAPIC, 7, 0, 1, apic);
	table_close(&table);
	table_unit_of(&table, DMAR_INCLUDE_ALL, 0, TABLE_UNIT);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 8, 0, 1, apic);
	table_path(&table, DMAR_SCOPE_IOAPIC, 8, 0xf0, 1, apic);
	table_path(&table, DMAR_SCOPE_HPET, 0, 0xf1, 2, hpet);
	table_close(&table);
	board_run(&rig, "plain", &table);
	OK(iommu_irq_alloc_ioapic(rig.iommu, 8, 16, &irq));
	assert_int_equal(irq.source, MODEL_BDF(0xf0, 0x1e, 7));
	OK(iommu_irq_alloc_hpet(rig.iommu, 0, 1, &irq));
	assert_int_equal(irq.source, MODEL_BDF(0xf1, 0x0f, 1));
	assert_int_equal(irq.unit, 1);
	assert_int_equal(
		iommu_irq_alloc_hpet(rig.iommu, 8, 1, &irq), IOMMU_UNCOVERED);
	assert_int_equal(
		iommu_irq_alloc_ioapic(rig.iommu, 0, 1, &irq), IOMMU_UNCOVERED);
	/* Its unit is refused. */
	assert_int_not_equal(
		iommu_irq_alloc_ioapic(rig.iommu, 7, 1, &irq), IOMMU_OK);
	rig_close(&rig);
}

/** Firmware asks not to remap interrupts; the host may insist. */
static void firmware_may_not_want_remapping(void **state)
{
	static const enum iommu_choice choice[] = {
		IOMMU_AUTO, IOMMU_ON, IOMMU_OFF_ALWAYS};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct iommu_unit_info info;

		board_begin(&table);
		table.bytes[37] = 0;
		table_unit_for_all(&table);
		board_open(&rig, "plain", &table);
		rig.options.interrupt_remapping = choice[n];
		rig_start_ok(&rig);
		OK(iommu_unit_info(rig.iommu, 0, &info));
		assert_int_equal(info.interrupt_remapping, n == 1);
		rig_close(&rig);
	}
}

/** x2APIC mode needs entries of 32-bit ids. */
static void remapping_stays_off_without_wide_ids(void **state)
{
	struct iommu_unit_info info;

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		rig_open(&rig, "no-eim", MODEL_LAZY, 1);
		rig.options.x2apic = n ? IOMMU_ON : IOMMU_AUTO;
		rig_start_ok(&rig);
		OK(iommu_unit_info(rig.iommu, 0, &info));
		assert_int_equal(info.interrupt_remapping, !n);
		rig_close(&rig);
	}
}

/* ---- ports of devices with a TLB ---- */

/** Only below ports that firmware names, and with configuration space that can
 *  be written. */
static void ats_needs_a_port_that_has_it(void **state)
{
	static const uint8_t first[] = {1, 0};
	const uint16_t below = MODEL_BDF(1, 0, 0), deep = MODEL_BDF(3, 0, 0),
		       other = MODEL_BDF(4, 0, 0), inside = MODEL_BDF(0, 7, 0);
	const uint16_t device[] = {below, deep, other, inside};

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		struct iommu_domain *domain;
		unsigned at[4];

		board_begin(&table);
		board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 3);
		board_bridge(MODEL_BDF(1, 1, 0), BOARD_UPSTREAM, 3, 3);
		board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 4, 4);
		for (unsigned k = 0; k < 4; k++) {
			board_add(device[k],
				k == 3 ? BOARD_INTEGRATED : BOARD_ENDPOINT);
			at[k] = board_extended(device[k], 0xf, 8);
		}
		table_unit_for_all(&table);
		if (n == 1 || n == 2) {
			table_record(&table, DMAR_ATSR);
			table_put(&table, 2, n == 1 ? DMAR_ALL_PORTS : 0);
			table_put(&table, 2, 0);
			table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, first);
			table_close(&table);
		} else if (n == 3) {
			table_record(&table, DMAR_ATSR);
			table_put(&table, 2, DMAR_ALL_PORTS);
			table_put(&table, 2, 1); /* another segment */
			table_close(&table);
		}
		board_open(&rig, "plain", &table);
		if (n == 4)
			rig.hooks.pci_write = NULL;
		rig.options.ats = IOMMU_ON;
		rig_start_ok(&rig);
		domain = rig_mapped_domain(&rig);
		for (unsigned k = 0; k < 4; k++) {
			bool on = k == 3 || n == 1 || (n == 2 && k < 2);

			OK(iommu_attach(rig.iommu, rig_id(device[k]), domain));
			assert_int_equal(
				board_get(device[k], at[k] + 6, 2) >> 15,
				on && n != 4);
			OK(iommu_detach(rig.iommu, rig_id(device[k])));
			assert_int_equal(
				board_get(device[k], at[k] + 6, 2) >> 15, 0);
		}
		/* The model has none of these devices. */
		assert_int_equal(model_violations_of(rig.m, MODEL_V_ATS),
			model_violation_count(rig.m));
		model_violations_clear(rig.m);
		OK(iommu_domain_destroy(domain));
		rig_close(&rig);
	}
}

/* ---- in words ---- */

static void structures_in_words(void **state)
{
	(void)state;
	table_start(&table);
	table_unit_of(&table, DMAR_INCLUDE_ALL, 2, 0xfed90000);
	table_close(&table);
	table_reserved(&table, 3, 0x7f000000, 0x7fffffff);
	table_scope(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1);
	table_close(&table);
	table_record(&table, DMAR_RHSA);
	table_put(&table, 4, 0);
	table_put(&table, 8, 0xfed90000);
	table_put(&table, 4, 3);
	table_close(&table);
	table_record(&table, DMAR_ANDD);
	table_put(&table, 3, 0);
	table_put(&table, 1, 9);
	table_put(&table, 8, 0x7f014b42532e5full); /* two that do not print */
	table_close(&table);
	for (unsigned flags = 0; flags < 2; flags++) {
		table_record(&table, DMAR_SATC);
		table_put(&table, 2, flags);
		table_put(&table, 2, 4);
		table_close(&table);
	}
	table_record(&table, DMAR_SIDP);
	table_put(&table, 2, 0);
	table_put(&table, 2, 5);
	table_close(&table);
	table_finish(&table);
	words_start();
	OK(iommu_decode_dmar(table.bytes, table.size, words_sink, NULL));
	words_have("reserved 0x7f000000-0x7fffffff, segment 3");
	words_have("unit at 0xfed90000 is near memory node 3");
	words_have("ACPI device 9 is _.SBK??\n");
	words_have("integrated devices with a TLB, segment 4\n");
	words_have("integrated devices with a TLB, segment 4, needed\n");
	words_have("properties of integrated devices, segment 5");
	words_start();
	assert_int_equal(iommu_decode_dmar(table.bytes, 20, words_sink, NULL),
		IOMMU_BAD_TABLE);
	assert_true(*words);
}

/** Two devices with the same fault: one line. */
static void quirk_is_told_of_once(void **state)
{
	unsigned before;

	(void)state;
	board_begin(&table);
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_put(RIG_DEV, 0, 4, 0x49408086);
	board_add(RIG_OTHER, BOARD_INTEGRATED);
	board_put(RIG_OTHER, 0, 4, 0x49408086);
	table_unit_for_all(&table);
	board_run(&rig, "plain", &table);
	before = rig.host.logged[IOMMU_LOG_WARNING];
	OK(rig_status_of(&rig, RIG_DEV));
	OK(rig_status_of(&rig, RIG_OTHER));
	assert_int_equal(rig.host.logged[IOMMU_LOG_WARNING], before + 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_name_no_unit),
		cmocka_unit_test(tables_may_be_long),
		cmocka_unit_test(nth_page_of_discovery_is_missing),
		cmocka_unit_test(reserved_memory_is_listed),
		cmocka_unit_test(interrupt_sources_are_named),
		cmocka_unit_test(firmware_may_not_want_remapping),
		cmocka_unit_test(remapping_stays_off_without_wide_ids),
		cmocka_unit_test(ats_needs_a_port_that_has_it),
		cmocka_unit_test(structures_in_words),
		cmocka_unit_test(quirk_is_told_of_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
