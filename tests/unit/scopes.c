/* SPDX-License-Identifier: MIT */
/*
 * Which unit translates for a device: scopes that name it, the unit for all
 * others, segments, virtual functions, and devices that no unit is for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/board.h"
#include "support/words.h"

static struct rig rig;
static struct builder table;

/* ---- what scopes name ---- */

static void scopes_name_devices(void **state)
{
	static const uint8_t straight[] = {3, 0};
	static const uint8_t below[] = {1, 0, 0, 2};
	static const uint8_t nowhere[] = {9, 0, 5, 0};
	static const uint8_t bridge[] = {2, 0};

	(void)state;
	board_begin(&table);
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
	table_unit_of(&table, 0, 0, TABLE_UNIT);
	table_endpoint(&table, RIG_DEV);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 2, below);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 2, nowhere);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, bridge);
	table_path(&table, DMAR_SCOPE_IOAPIC, 5, 0xf0, 1, straight);
	table_close(&table);
	board_run(&rig, "plain", &table);
	OK(rig_status_of(&rig, MODEL_BDF(0, 3, 0)));
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0, 4, 0)), IOMMU_UNCOVERED);
	OK(rig_status_of(&rig, MODEL_BDF(0x20, 0, 2)));
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0x20, 0, 0)), IOMMU_UNCOVERED);
	/* All below a bridge that is named. */
	OK(rig_status_of(&rig, MODEL_BDF(0x30, 0, 0)));
	OK(rig_status_of(&rig, MODEL_BDF(0x32, 0, 0)));
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0x33, 0, 0)), IOMMU_UNCOVERED);
	rig_close(&rig);
}

/** Five bits of a hop are the device, three the function; what else is set
 * there leads nowhere else. */
static void paths_have_few_bits(void **state)
{
	static const uint8_t path[] = {0xfe, 0xff};

	(void)state;
	board_begin(&table);
	board_add(MODEL_BDF(0, 30, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 30, 7), BOARD_INTEGRATED);
	board_multi(MODEL_BDF(0, 30, 0));
	table_unit_of(&table, 0, 0, TABLE_UNIT);
	table_path(&table, DMAR_SCOPE_ENDPOINT, 0, 0, 1, path);
	table_close(&table);
	board_run(&rig, "plain", &table);
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0, 30, 0)), IOMMU_UNCOVERED);
	OK(rig_status_of(&rig, MODEL_BDF(0, 30, 7)));
	rig_close(&rig);
}

/** The function that is named counts, and is warned of. */
static void scopes_contradict_what_they_name(void **state)
{
	static const uint8_t port[] = {1, 0}, disk[] = {3, 0}, ntb[] = {4, 0},
			     nothing[] = {9, 0}, right[] = {2, 0};

	(void)state;
	board_begin(&table);
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 0x20, 0x20);
	board_add(MODEL_BDF(0x20, 0, 0), BOARD_ENDPOINT);
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 0x21, 0x21);
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	board_put(MODEL_BDF(0, 4, 0), 0xa, 2, 0x0680);
	table_unit_of(&table, 0, 0, TABLE_UNIT);
	table_endpoint(&table, MODEL_BDF(0, 1, 0));
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, disk);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, ntb);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, nothing);
	table_path(&table, DMAR_SCOPE_BRIDGE, 0, 0, 1, right);
	table_path(&table, DMAR_SCOPE_IOAPIC, 1, 0, 1, port);
	table_close(&table);
	board_run(&rig, "plain", &table);
	OK(rig_status_of(&rig, MODEL_BDF(0, 3, 0)));
	OK(rig_status_of(&rig, MODEL_BDF(0, 4, 0)));
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0x20, 0, 0)), IOMMU_UNCOVERED);
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
	struct iommu_device_info info;

	(void)state;
	board_begin(&table);
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	board_add(MODEL_BDF(0, 4, 0), BOARD_INTEGRATED);
	/* A segment of its own, the one for the rest, a second one for the
	 * rest, one that names a device. There is nothing at the others. */
	table_unit_of(&table, DMAR_INCLUDE_ALL, 1, TABLE_UNIT + 0x30000);
	table_close(&table);
	table_unit_for_all(&table);
	table_unit_of(&table, DMAR_INCLUDE_ALL, 0, TABLE_UNIT + 0x10000);
	table_close(&table);
	table_unit_of(&table, 0, 0, TABLE_UNIT + 0x20000);
	table_endpoint(&table, RIG_DEV);
	table_close(&table);
	/* Named twice: once is enough. */
	table_unit_for_all(&table);
	board_run(&rig, "plain", &table);
	assert_int_equal(iommu_unit_count(rig.iommu), 4);
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0, 3, 0)), IOMMU_UNCOVERED);
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
	board_open_machine(&rig, m, &table);
	board = rig.hooks;
	rig.hooks.pci_read = read_any_segment;
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
	board_begin(&table);
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
	board_begin(&table);
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
	board_begin(&table);
	/* A base address register where bridges have their buses. */
	board_add(MODEL_BDF(0, 3, 0), BOARD_ENDPOINT)[0x19] = 5;
	board_bridge(MODEL_BDF(0, 4, 0), BOARD_ROOT_PORT, 5, 5);
	board_add(MODEL_BDF(5, 1, 0), BOARD_ENDPOINT);
	start_two(0, 2, path);
	assert_int_equal(unit_of(0, MODEL_BDF(5, 1, 0)), 1);
	rig_close(&rig);
}

/* ---- devices of no unit ---- */

/** A bridge and a device that nothing translates for: known, and left alone. */
static void what_no_unit_covers_is_left_alone(void **state)
{
	const uint16_t port = MODEL_BDF(0, 4, 0), below = MODEL_BDF(5, 0, 0);
	struct iommu_device_info info;
	struct iommu_irq irq;

	(void)state;
	board_begin(&table);
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_bridge(port, BOARD_ROOT_PORT, 5, 5);
	board_add(below, BOARD_ENDPOINT);
	table_unit_of(&table, 0, 0, TABLE_UNIT);
	table_endpoint(&table, RIG_DEV);
	table_close(&table);
	board_run(&rig, "plain", &table);
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
	(void)state;
	board_begin(&table);
	board_add(RIG_DEV, BOARD_INTEGRATED);
	board_add(RIG_OTHER, BOARD_INTEGRATED);
	for (unsigned n = 0; n < 65; n++) {
		table_unit_of(&table, 0, 0, TABLE_UNIT + 0x10000ull * n);
		if (!n)
			table_endpoint(&table, RIG_DEV);
		if (n == 64)
			table_endpoint(&table, RIG_OTHER);
		table_close(&table);
	}
	board_run(&rig, "plain", &table);
	OK(rig_status_of(&rig, RIG_DEV));
	assert_int_equal(rig_status_of(&rig, RIG_OTHER), IOMMU_UNCOVERED);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes_name_devices),
		cmocka_unit_test(paths_have_few_bits),
		cmocka_unit_test(scopes_contradict_what_they_name),
		cmocka_unit_test(unit_for_the_rest_may_stand_first),
		cmocka_unit_test(
			virtual_function_has_the_unit_of_its_physical_one),
		cmocka_unit_test(segments_are_told_apart),
		cmocka_unit_test(scope_through_an_endpoint_names_nothing),
		cmocka_unit_test(what_no_unit_covers_is_left_alone),
		cmocka_unit_test(device_of_a_unit_too_many_is_uncovered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
