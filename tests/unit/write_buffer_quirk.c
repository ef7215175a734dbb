/* SPDX-License-Identifier: MIT */
/*
 * Mobile 4 chipsets need write-buffer flushes although CAP.RWBF says no: the
 * library knows them by their host bridge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/rig.h"

static void open_machine(struct rig *r)
{
	static const struct model_function_desc functions[] = {
		{.bdf = MODEL_BDF(0, 0, 0),
			.kind = MODEL_CONVENTIONAL,
			.unit = -1,
			.vendor = 0x8086,
			.device = 0x2a40,
			.class_code = 0x060000},
		{.bdf = RIG_DEV, .kind = MODEL_INTEGRATED, .unit = -1},
	};
	struct model_unit_desc unit = {
		.kind = model_personality_find("mobile-4"),
		.include_all = true};
	struct model_desc d = {.units = &unit,
		.unit_count = 1,
		.functions = functions,
		.function_count = 2};

	rig_open_machine(r, model_create(&d));
}

static bool device_sees_new_mapping(struct rig *r)
{
	struct iommu_domain *dom;
	uint64_t frame;

	rig_start_ok(r);
	frame = rig_frame(r, 9);
	dom = rig_mapped_domain(r);
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), dom));
	OK(iommu_map(dom, iommu_iova(0x1000), iommu_phys(frame), 4096,
		IOMMU_READ | IOMMU_WRITE));
	return rig_can_write(r, RIG_DEV, 0x1000);
}

static void known_by_its_host_bridge(void **state)
{
	struct rig r;

	(void)state;
	open_machine(&r);
	assert_true(device_sees_new_mapping(&r));
	rig_check(&r);
	rig_close_anyhow(&r);
}

static void without_the_quirk_it_fails(void **state)
{
	struct rig r;

	(void)state;
	open_machine(&r);
	r.options.quirks_off = IOMMU_QUIRK_RWBF;
	assert_false(device_sees_new_mapping(&r));
	rig_close_anyhow(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_by_its_host_bridge),
		cmocka_unit_test(without_the_quirk_it_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
