/* SPDX-License-Identifier: MIT */
/*
 * Units that are not fit for use: who is refused, for what reason, and what a
 * unit says of itself that is not believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/board.h"
#include "support/words.h"

static struct rig rig;
static struct builder table;

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

	board_begin(&table);
	board_add(MODEL_BDF(0, 3, 0), BOARD_INTEGRATED);
	table_unit_for_all(&table);
	board_open(&rig, kind, &table);
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
		assert_int_equal(rig_status_of(&rig, MODEL_BDF(0, 3, 0)),
			IOMMU_UNCOVERED);
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
		board_begin(&table);
		table_unit_for_all(&table);
		board_open(&rig, "plain", &table);
		lie.real = rig.hooks;
		lie.version = n ? 0x60 : 0x50;
		rig.hooks.reg_read = reg_read;
		rig.options.interface = IOMMU_INTERFACE_REGISTERS;
		OK(rig_discover(&rig));
		OK(iommu_unit_info(rig.iommu, 0, &info));
		assert_int_equal(info.queued, n);
		rig_close(&rig);
		memset(&lie, 0, sizeof(lie));
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unfit_units_are_refused),
		cmocka_unit_test(new_units_have_no_register_interface),
		cmocka_unit_test(reserved_depth_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
