/* SPDX-License-Identifier: MIT */
/*
 * What firmware says about units, devices and interrupts, and units that are
 * not fit for use: who translates for whom, who is refused and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/decode.h>
#include "support/board.h"
#include "support/table.h"
#include "support/words.h"

#define BASE 0xfed90000ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static struct rig rig;
static struct builder table;

static void unit_for_all(void)
{
	table_unit_of(&table, DMAR_INCLUDE_ALL, 0, BASE);
	table_close(&table);
}

/** A machine of one unit whose firmware says what `table` says. */
static void prepare(const char *kind)
{
	table_finish(&table);
	rig_open(&rig, kind, MODEL_LAZY, 1);
	board_install(&rig);
}

static enum iommu_status read_table(void)
{
	OK(iommu_create(&rig.hooks, &rig.options, &rig.iommu));
	return iommu_discover(rig.iommu, table.bytes, table.size);
}

static enum iommu_status discover(const char *kind)
{
	prepare(kind);
	return read_table();
}

static void start(const char *kind)
{
	OK(discover(kind));
	OK(iommu_start(rig.iommu));
}

static void begin(void)
{
	board_start();
	board_add(0, BOARD_PCI);
	table_start(&table);
}

static enum iommu_status state_of(uint16_t bdf)
{
	struct iommu_device_info info;

	return iommu_device_info(rig.iommu, rig_id(bdf), &info);
}

/* ---- who translates ---- */

static void scopes_name_devices(void **state)
{
	static const uint8_t straight[] = {3, 0};
	static const uint8_t below[] = {1, 0, 0, 2};
	static const uint8_t nowhere[] = {9, 0, 5, 0};
	static const uint8_t bridge[] = {2, 0};

	(void)state;
	begin();
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 0x20, 0x20);
	board_add(MODEL_BDF(0x20, 0, 0), BOARD_ENDPOINT);
	board_add(MODEL_BDF(0x20, 0, 2), BOARD_ENDPOINT);
	board_multi(MODEL_BDF(0x20, 0, 0));
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 0x30, 0x32);
	board_add(MODEL_BDF(0x30, 0, 0), BOARD_ENDPOINT);
	board_bridge(MODEL_BDF(0x30, 1, 0), BOARD_PCI, 0x32, 0x32);
	board_add(MODEL_BDF(0x32, 0, 0), BOARD_PCI);
	board_bridge(MODEL_BDF(0, 5, 0), BOARD_ROOT_PORT, 0x33, 0x33);
	board_add(MODEL_BDF(0x33, 0, 0), BOARD_ENDPOINT);
	table_unit_of(&table, 0, 0, BASE);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, straight);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 2, below);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 2, nowhere);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, bridge);
	table_path(&table, DMAR_SCOPE_IOAPIC, 5, 0xf0, 1, straight);
	table_close(&table);
	start("plain");
	OK(state_of(MODEL_BDF(0, 3, 0)));
	assert_int_equal(state_of(MODEL_BDF(0, 4, 0)), IOMMU_UNCOVERED);
	OK(state_of(MODEL_BDF(0x20, 0, 2)));
	assert_int_equal(state_of(MODEL_BDF(0x20, 0, 0)), IOMMU_UNCOVERED);
	/* All below a bridge that is named. */
	OK(state_of(MODEL_BDF(0x30, 0, 0)));
	OK(state_of(MODEL_BDF(0x32, 0, 0)));
	assert_int_equal(state_of(MODEL_BDF(0x33, 0, 0)), IOMMU_UNCOVERED);
	rig_close(&rig);
}

/** Five bits of a hop are the device, three the function; what else is set
 * there leads nowhere else. */
static void paths_have_few_bits(void **state)
{
	static const uint8_t path[] = {0xfe, 0xff};

	(void)state;
	begin();
	board_add(MODEL_BDF(0, 30, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 30, 7), BOARD_INTEGRATED);
	board_multi(MODEL_BDF(0, 30, 0));
	table_unit_of(&table, 0, 0, BASE);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, path);
	table_close(&table);
	start("plain");
	assert_int_equal(state_of(MODEL_BDF(0, 30, 0)), IOMMU_UNCOVERED);
	OK(state_of(MODEL_BDF(0, 30, 7)));
	rig_close(&rig);
}

/** The function that is named counts, and is warned of. */
static void scopes_contradict_what_they_name(void **state)
{
	static const uint8_t port[] = {1, 0}, disk[] = {3, 0}, ntb[] = {4, 0},
			     nothing[] = {9, 0}, right[] = {2, 0};

	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 0x20, 0x20);
	board_add(MODEL_BDF(0x20, 0, 0), BOARD_ENDPOINT);
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 0x21, 0x21);
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	board_put(MODEL_BDF(0, 4, 0), 0xa, 2, 0x0680);
	table_unit_of(&table, 0, 0, BASE);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, port);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, disk);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, ntb);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, nothing);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, right);
	table_path(&table, DMAR_SCOPE_IOAPIC, 1, 0, 1, port);
	table_close(&table);
	start("plain");
	OK(state_of(MODEL_BDF(0, 3, 0)));
	OK(state_of(MODEL_BDF(0, 4, 0)));
	assert_int_equal(state_of(MODEL_BDF(0x20, 0, 0)), IOMMU_UNCOVERED);
	words_start();
	iommu_report_warnings(rig.iommu, words_sink, NULL);
	words_have("offset 64: a scope that calls a bridge an endpoint\n");
	words_have("offset 72: a scope that calls an endpoint a bridge\n");
	assert_int_equal(words_count("a scope that calls"), 2);
	/* Discovery put each of them into the log. */
	assert_int_equal(rig.host.logged[IOMMU_LOG_WARNING], words_count("\n"));
	rig_close(&rig);
}

static void unit_for_the_rest_may_stand_first(void **state)
{
	static const uint8_t one[] = {3, 0};
	struct iommu_device_info info;

	(void)state;
	begin();
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	/* A segment of its own, the one for the rest, a second one for the
	 * rest, one that names a device. There is nothing at the others. */
	table_unit_of(&table, DMAR_INCLUDE_ALL, 1, BASE + 0x30000);
	table_close(&table);
	unit_for_all();
	table_unit_of(&table, DMAR_INCLUDE_ALL, 0, BASE + 0x10000);
	table_close(&table);
	table_unit_of(&table, 0, 0, BASE + 0x20000);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, one);
	table_close(&table);
	/* Named twice: once is enough. */
	unit_for_all();
	start("plain");
	assert_int_equal(iommu_unit_count(rig.iommu), 4);
	assert_int_equal(state_of(MODEL_BDF(0, 3, 0)), IOMMU_UNCOVERED);
	OK(iommu_device_info(rig.iommu, rig_id(MODEL_BDF(0, 4, 0)), &info));
	assert_int_equal(info.unit, 1);
	words_start();
	iommu_report_info(rig.iommu, words_sink, NULL);
	words_have(" state: there is nothing at its register address\n");
	words_start();
	iommu_report_warnings(rig.iommu, words_sink, NULL);
	assert_true(words_count("offset ") >= 2);
	rig_close(&rig);
}

static void tables_that_name_no_unit(void **state)
{
	(void)state;
	begin();
	assert_int_equal(discover("plain"), IOMMU_BAD_TABLE);
	assert_string_equal(iommu_reason(rig.iommu),
		"the firmware's DMAR table names no unit");
	rig_close(&rig);
	begin();
	table.bytes[0] = 'X';
	assert_int_equal(discover("plain"), IOMMU_BAD_TABLE);
	assert_true(*iommu_reason(rig.iommu));
	words_start();
	iommu_report_warnings(rig.iommu, words_sink, NULL);
	assert_string_equal(words, "");
	rig_close(&rig);
	begin();
	unit_for_all();
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
	begin();
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	unit_for_all();
	for (unsigned n = 1; n < 70; n++) {
		table_unit_of(&table, 0, n, BASE + 0x10000 * n);
		table_scope(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 12);
		table_close(&table);
	}
	start("plain");
	assert_int_equal(iommu_unit_count(rig.iommu), 64);
	OK(state_of(MODEL_BDF(0, 3, 0)));
	rig_close(&rig);
}

/** Pages for the copy, the units, their id maps: each may be missing. What
 *  failed may be tried again. */
static void nth_page_of_discovery_is_missing(void **state)
{
	enum iommu_status status = IOMMU_NO_MEMORY, again;

	(void)state;
	for (unsigned n = 1; status != IOMMU_OK; n++) {
		begin();
		unit_for_all();
		prepare("plain");
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

/* ---- units that are refused ---- */

/** A unit that says something else about itself. */
static struct {
	uint64_t cap_set, cap_clear, ecap_set, ecap_clear;
	uint32_t version;
	unsigned maps, fail_map;
	uint64_t window;
	struct iommu_host real;
} lie;

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = lie.real.reg_read(ctx, regs, offset, width);

	if (offset == 0 && lie.version)
		return lie.version;
	if (offset == 8 && width == 8)
		return (value | lie.cap_set) & ~lie.cap_clear;
	if (offset == 16 && width == 8)
		return (value | lie.ecap_set) & ~lie.ecap_clear;
	return value;
}

static void *regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	lie.window = size;
	if (++lie.maps == lie.fail_map)
		return NULL;
	return lie.real.regs_map(ctx, base, size);
}

static void refused(const char *kind, const char *why)
{
	struct iommu_unit_info info;

	begin();
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	unit_for_all();
	prepare(kind);
	lie.real = rig.hooks;
	lie.maps = 0;
	rig.hooks.reg_read = reg_read;
	rig.hooks.regs_map = regs_map;
	if (!strcmp(kind, "non-coherent"))
		rig.hooks.cache_flush = NULL;
	OK(iommu_create(&rig.hooks, &rig.options, &rig.iommu));
	assert_int_equal(iommu_discover(rig.iommu, table.bytes, table.size),
		why ? IOMMU_NO_UNIT : IOMMU_OK);
	OK(iommu_unit_info(rig.iommu, 0, &info));
	if (why) {
		assert_int_equal(info.state, IOMMU_UNIT_REFUSED);
		assert_string_equal(info.reason, why);
		assert_int_equal(state_of(MODEL_BDF(0, 3, 0)), IOMMU_UNCOVERED);
		assert_int_equal(iommu_start(rig.iommu), IOMMU_NO_UNIT);
	}
	words_start();
	iommu_report_info(rig.iommu, words_sink, NULL);
	/* As many registers as the unit says it has, in whole pages. */
	if (!why) {
		uint64_t iotlb = (info.ecap >> 8 & 0x3ff) * 16 + 16;
		uint64_t faults = (info.cap >> 24 & 0x3ff) * 16 +
			((info.cap >> 40 & 0xff) + 1) * 16;
		uint64_t most = iotlb > faults ? iotlb : faults;

		assert_int_equal(lie.window, (most + 4095) & ~4095ull);
	}
	rig_close(&rig);
	memset(&lie, 0, sizeof(lie));
}

static void unfit_units_are_refused(void **state)
{
	(void)state;
	refused("plain", NULL);
	refused("far-registers", NULL);
	refused("256-records", NULL);
	lie.ecap_clear = 8; /* not even interrupts */
	refused("first-stage-only",
		"it has no table depth that this driver knows");
	refused("non-coherent",
		"it reads memory without snooping, and the host cannot write "
		"caches back");
	lie.fail_map = 1;
	refused("plain", "its registers cannot be mapped");
	lie.fail_map = 2; /* the larger window of a unit that needs one */
	refused("far-registers", "its registers cannot be mapped");
	lie.cap_clear = lie.ecap_clear = ~0ull;
	refused("plain", "there is nothing at its register address");
	lie.cap_set = lie.ecap_set = ~0ull;
	refused("plain", "there is nothing at its register address");
	lie.cap_set = 7;
	refused("plain", "its number of domains is impossible");
	lie.cap_clear = 0x1f00;
	lie.ecap_clear = 8;
	refused("plain", "it has no table depth that this driver knows");
	lie.version = 0x60;
	lie.ecap_clear = 2;
	refused("plain", "it has no invalidation queue");
}

/** From version 6 on there are no registers for it, whatever the host wants. */
static void new_units_have_no_register_interface(void **state)
{
	struct iommu_unit_info info;

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		begin();
		unit_for_all();
		prepare("plain");
		lie.real = rig.hooks;
		lie.version = n ? 0x60 : 0x50;
		rig.hooks.reg_read = reg_read;
		rig.options.interface = IOMMU_INTERFACE_REGISTERS;
		OK(read_table());
		OK(iommu_unit_info(rig.iommu, 0, &info));
		assert_int_equal(info.queued, n);
		rig_close(&rig);
		memset(&lie, 0, sizeof(lie));
	}
}

/* ---- reserved memory, ports, interrupts ---- */

static void reserved_memory_is_listed(void **state)
{
	static const uint8_t one[] = {3, 0}, nobody[] = {9, 0, 1, 0};
	struct iommu_reserved_region region;
	struct iommu_device_info info;

	(void)state;
	begin();
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	unit_for_all();
	table_reserved(&table, 1, 0x900000, 0x900fff); /* another segment */
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, one);
	table_close(&table);
	table_reserved(&table, 0, 0x800800, 0x802123);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 2, nobody);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, one);
	table_close(&table);
	start("plain");
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
	begin();
	table_unit_of(&table, 0, 0, BASE + 0x10000); /* nothing there */
	table_path(&table, DMAR_SCOPE_IOAPIC, 7, 0, 1, apic);
	table_close(&table);
	table_unit_of(&table, DMAR_INCLUDE_ALL, 0, BASE);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 8, 0, 1, apic);
	table_path(&table, DMAR_SCOPE_IOAPIC, 8, 0xf0, 1, apic);
	table_path(&table, DMAR_SCOPE_HPET, 0, 0xf1, 2, hpet);
	table_close(&table);
	start("plain");
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

		begin();
		table.bytes[37] = 0;
		unit_for_all();
		prepare("plain");
		rig.options.interrupt_remapping = choice[n];
		OK(read_table());
		OK(iommu_start(rig.iommu));
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

/* ---- device TLBs ---- */

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

		begin();
		board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 3);
		board_bridge(MODEL_BDF(1, 1, 0), BOARD_UPSTREAM, 3, 3);
		board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 4, 4);
		for (unsigned k = 0; k < 4; k++) {
			board_add(device[k],
				k == 3 ? BOARD_INTEGRATED : BOARD_ENDPOINT);
			at[k] = board_extended(device[k], 0xf, 8);
		}
		unit_for_all();
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
		prepare("plain");
		if (n == 4)
			rig.hooks.pci_write = NULL;
		rig.options.ats = IOMMU_ON;
		OK(read_table());
		OK(iommu_start(rig.iommu));
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

/* ---- which of two units ---- */

/** The unit, by its place in the table, that translates for a device. */
static unsigned unit_of(unsigned segment, uint16_t bdf)
{
	struct iommu_device_id id = {
		.segment = (uint16_t)segment, .requester = bdf};
	struct iommu_device_info info;

	OK(iommu_device_info(rig.iommu, id, &info));
	return info.unit;
}

static struct iommu_host board;

/** The board has the same functions in each segment. */
static uint32_t read_any_segment(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	(void)segment;
	return board.pci_read(ctx, 0, bus, devfn, offset, width);
}

/** Two units in the table; path names what the first one translates for. */
static void start_two(unsigned segment, unsigned hops, const uint8_t *path)
{
	const struct model_personality *plain = model_personality_find("plain");
	struct model *m =
		model_create_pair(plain, plain, MODEL_LAZY, 0, 1, false);

	table_unit_of(&table, 0, segment, model_unit_base(m, 0));
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, hops, path);
	table_close(&table);
	table_unit_of(&table, DMAR_INCLUDE_ALL, 0, model_unit_base(m, 1));
	table_close(&table);
	table_finish(&table);
	rig_open_machine(&rig, m);
	board_install(&rig);
	board = rig.hooks;
	rig.hooks.pci_read = read_any_segment;
	memcpy(rig.dmar, table.bytes, table.size);
	rig.dmar_size = table.size;
	rig_start_ok(&rig);
}

/** No scope names a virtual function: its physical function's unit counts
 *  (8.3.1). */
static void virtual_function_has_the_unit_of_its_physical_one(void **state)
{
	const uint16_t pf = MODEL_BDF(0, 3, 0);
	static const uint8_t path[] = {3, 0};
	unsigned at;

	(void)state;
	begin();
	board_add(pf, BOARD_ENDPOINT);
	board_extended(pf, 1, 64);
	at = board_extended(pf, 0x10, 64);
	board_put(pf, at + 0x10, 2, 2);
	board_put(pf, at + 0x14, 2, 16);
	board_put(pf, at + 0x16, 2, 1);
	board_add(MODEL_BDF(0, 4, 0), BOARD_ENDPOINT);
	start_two(0, 1, path);
	assert_int_equal(unit_of(0, pf), 0);
	assert_int_equal(unit_of(0, pf + 16), 0);
	assert_int_equal(unit_of(0, pf + 17), 0);
	assert_int_equal(unit_of(0, MODEL_BDF(0, 4, 0)), 1);
	rig_close(&rig);
}

/** The same bus, device and function in two segments are two devices. */
static void segments_are_told_apart(void **state)
{
	static const uint8_t path[] = {3, 0};

	(void)state;
	begin();
	board_add(MODEL_BDF(0, 3, 0), BOARD_ENDPOINT);
	start_two(1, 1, path);
	assert_int_equal(unit_of(0, MODEL_BDF(0, 3, 0)), 1);
	assert_int_equal(unit_of(1, MODEL_BDF(0, 3, 0)), 0);
	rig_close(&rig);
}

/** A path that leads through what is no bridge leads nowhere. */
static void scope_through_an_endpoint_names_nothing(void **state)
{
	static const uint8_t path[] = {3, 0, 1, 0};

	(void)state;
	begin();
	/* A base address register where bridges have their buses. */
	board_add(MODEL_BDF(0, 3, 0), BOARD_ENDPOINT)[0x19] = 5;
	board_bridge(MODEL_BDF(0, 4, 0), BOARD_ROOT_PORT, 5, 5);
	board_add(MODEL_BDF(5, 1, 0), BOARD_ENDPOINT);
	start_two(0, 2, path);
	assert_int_equal(unit_of(0, MODEL_BDF(5, 1, 0)), 1);
	rig_close(&rig);
}

/** Bit 4 of the depths is reserved (11.4.2): nothing follows from it. */
static void reserved_depth_is_not_believed(void **state)
{
	struct model_personality kind = *model_personality_find("plain");
	struct iommu_domain *domain;

	(void)state;
	kind.cap |= 1ull << 12;
	rig_open_machine(
		&rig, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
	rig_start_ok(&rig);
	OK(iommu_attach(
		rig.iommu, rig_id(RIG_DEV), iommu_domain_identity(rig.iommu)));
	assert_true(rig_can_write(&rig, RIG_DEV, 0x100000));
	domain = rig_mapped_domain(&rig);
	OK(iommu_attach(rig.iommu, rig_id(RIG_OTHER), domain));
	OK(iommu_detach(rig.iommu, rig_id(RIG_DEV)));
	OK(iommu_detach(rig.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(domain));
	rig_close(&rig);
}

/** A bridge and a device that nothing translates for: known, and left alone. */
static void what_no_unit_covers_is_left_alone(void **state)
{
	const uint16_t port = MODEL_BDF(0, 4, 0), below = MODEL_BDF(5, 0, 0);
	static const uint8_t path[] = {3, 0};
	struct iommu_device_info info;
	struct iommu_irq irq;

	(void)state;
	begin();
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_bridge(port, BOARD_ROOT_PORT, 5, 5);
	board_add(below, BOARD_ENDPOINT);
	table_unit_of(&table, 0, 0, BASE);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, path);
	table_close(&table);
	start("plain");
	/* Met by its detach. */
	assert_int_equal(
		iommu_detach(rig.iommu, rig_id(port)), IOMMU_NOT_ATTACHED);
	assert_int_equal(
		iommu_detach(rig.iommu, rig_id(below)), IOMMU_NOT_ATTACHED);
	assert_int_equal(
		iommu_detach(rig.iommu, rig_id(below)), IOMMU_NOT_ATTACHED);
	assert_int_equal(iommu_device_info(rig.iommu, rig_id(port), &info),
		IOMMU_BRIDGE);
	assert_int_equal(info.unit, 0);
	assert_int_equal(iommu_irq_alloc(rig.iommu, rig_id(port), 1, &irq),
		IOMMU_BRIDGE);
	assert_int_equal(iommu_irq_alloc(rig.iommu, rig_id(below), 1, &irq),
		IOMMU_UNCOVERED);
	assert_int_equal(iommu_device_revive(rig.iommu, rig_id(below)),
		IOMMU_WRONG_STATE);
	OK(iommu_device_removed(rig.iommu, rig_id(below)));
	rig_close(&rig);
}

/** More units than fit: what only the last one covers is not protected, and
 *  that is said. */
static void device_of_a_unit_too_many_is_uncovered(void **state)
{
	static const uint8_t three[] = {3, 0}, four[] = {4, 0};

	(void)state;
	begin();
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_add(RIG_OTHER, BOARD_INTEGRATED);
	for (unsigned n = 0; n < 65; n++) {
		table_unit_of(&table, 0, 0, BASE + 0x10000ull * n);
		if (!n)
			table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, three);
		if (n == 64)
			table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, four);
		table_close(&table);
	}
	start("plain");
	OK(state_of(RIG_DEV));
	assert_int_equal(state_of(RIG_OTHER), IOMMU_UNCOVERED);
	rig_close(&rig);
}

/** Two devices with the same fault: one line. */
static void quirk_is_told_of_once(void **state)
{
	unsigned before;

	(void)state;
	begin();
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_put(RIG_DEV, 0, 4, 0x49408086);
	board_add(RIG_OTHER, BOARD_INTEGRATED);
	board_put(RIG_OTHER, 0, 4, 0x49408086);
	unit_for_all();
	start("plain");
	before = rig.host.logged[IOMMU_LOG_WARNING];
	OK(state_of(RIG_DEV));
	OK(state_of(RIG_OTHER));
	assert_int_equal(rig.host.logged[IOMMU_LOG_WARNING], before + 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes_name_devices),
		cmocka_unit_test(paths_have_few_bits),
		cmocka_unit_test(scopes_contradict_what_they_name),
		cmocka_unit_test(unit_for_the_rest_may_stand_first),
		cmocka_unit_test(tables_that_name_no_unit),
		cmocka_unit_test(tables_may_be_long),
		cmocka_unit_test(nth_page_of_discovery_is_missing),
		cmocka_unit_test(unfit_units_are_refused),
		cmocka_unit_test(new_units_have_no_register_interface),
		cmocka_unit_test(reserved_memory_is_listed),
		cmocka_unit_test(interrupt_sources_are_named),
		cmocka_unit_test(firmware_may_not_want_remapping),
		cmocka_unit_test(remapping_stays_off_without_wide_ids),
		cmocka_unit_test(ats_needs_a_port_that_has_it),
		cmocka_unit_test(structures_in_words),
		cmocka_unit_test(
			virtual_function_has_the_unit_of_its_physical_one),
		cmocka_unit_test(segments_are_told_apart),
		cmocka_unit_test(scope_through_an_endpoint_names_nothing),
		cmocka_unit_test(reserved_depth_is_not_believed),
		cmocka_unit_test(what_no_unit_covers_is_left_alone),
		cmocka_unit_test(device_of_a_unit_too_many_is_uncovered),
		cmocka_unit_test(quirk_is_told_of_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
