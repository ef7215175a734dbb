/* SPDX-License-Identifier: MIT */
/*
 * A device with a TLB of its own far down the tree: it is asked by its whole
 * id, and if it does not answer it is named, once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x200000ull

enum {
	PORT = MODEL_BDF(0, 7, 0),
	SILENT = MODEL_BDF(5, 0x13, 5),
	OTHER = MODEL_BDF(0, 3, 0),
	REG_IQT = 0x88,
	REG_IQA = 0x90,
};

static struct rig rig;
static unsigned named, lines;

static void listen(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	lines++;
	if (!strcmp(line, "device 05:13.5 does not answer invalidations")) {
		assert_int_equal(level, IOMMU_LOG_ERROR);
		named++;
	}
}

static void open_machine(const struct model_personality *kind)
{
	const struct model_function_desc function[] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1},
		{.bdf = OTHER, .kind = MODEL_INTEGRATED, .unit = -1},
		{.bdf = PORT,
			.kind = MODEL_ROOT_PORT,
			.secondary = 5,
			.subordinate = 5,
			.unit = -1,
			.acs = true},
		{.bdf = SILENT,
			.kind = MODEL_ENDPOINT,
			.unit = -1,
			.ats = true},
	};
	const struct model_unit_desc unit = {.kind = kind, .include_all = true};
	const struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.units = &unit,
		.unit_count = 1,
		.functions = function,
		.function_count = sizeof(function) / sizeof(*function)};

	rig_open_machine(&rig, model_create(&desc));
	rig.options.ats = IOMMU_ON;
	rig.hooks.log = listen;
	rig_start_ok(&rig);
}

static void map_and_unmap(struct iommu_domain *domain, uint64_t iova)
{
	OK(iommu_map(domain, iommu_iova(iova), iommu_phys(0x100000), 4096, RW));
	assert_true(rig_can_write(&rig, OTHER, iova));
	OK(iommu_unmap_now(domain, iommu_iova(iova), 4096));
	assert_false(rig_can_write(&rig, OTHER, iova));
}

static void is_named_once(void **state)
{
	static const struct {
		const char *kind;
		/** Whether the unit says who it was. */
		bool tells;
	} row[] = {{"plain", true}, {"nehalem-5520", false}};

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct iommu_device_info info;
		struct iommu_domain *domain;
		struct iommu_stats stats;

		open_machine(model_personality_find(row[n].kind));
		domain = rig_mapped_domain(&rig);
		OK(iommu_attach(rig.iommu, rig_id(OTHER), domain));
		OK(iommu_attach(rig.iommu, rig_id(SILENT), domain));
		model_ats_behave(rig.m, 0, SILENT, MODEL_ATS_NEVER);
		named = 0;
		map_and_unmap(domain, AT);
		assert_int_equal(named, 1);
		OK(iommu_device_info(rig.iommu, rig_id(SILENT), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		OK(iommu_unit_stats(rig.iommu, 0, &stats));
		if (row[n].tells)
			assert_int_equal(stats.device_timeouts, 1);
		/* Nobody asks it again, or says more about it. */
		lines = 0;
		for (unsigned i = 1; i < 200; i++)
			map_and_unmap(domain, AT + i * 4096);
		assert_int_equal(lines, 0);
		model_violations_clear(rig.m);
		/* A unit that stops later is found out as before. */
		OK(iommu_map(domain, iommu_iova(AT), iommu_phys(0x100000), 4096,
			RW));
		model_unit_hang(rig.m, 0, 0);
		lines = 0;
		assert_int_equal(iommu_unmap_now(domain, iommu_iova(AT), 4096),
			IOMMU_UNIT_LOST);
		assert_int_equal(lines, 1);
		/* That is said once. */
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(iommu_flush_all(domain, IOMMU_REMOVED),
				IOMMU_UNIT_LOST);
		assert_int_equal(lines, 1);
		rig_close_anyhow(&rig);
	}
}

/** The low half of the last descriptor before the last wait. */
static void last_descriptor(uint64_t out[2])
{
	uint64_t base = model_unit_base(rig.m, 0);
	uint64_t ring = model_read64(rig.m, base + REG_IQA) & ~0xfffull;
	uint64_t tail = model_read64(rig.m, base + REG_IQT);

	memcpy(out, model_ptr(rig.m, ring + (tail + 8192 - 32) % 8192), 16);
}

/** Units that hold back a device that is flushed know it by its physical
 *  function's id, in two pieces (VT-d 6.5.2.5). */
static void descriptor_has_its_id(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct model_personality kind =
			*model_personality_find("plain");
		struct iommu_domain *domain;
		uint64_t d[2];

		kind.ecap |= (uint64_t)n << 41; /* DIT */
		open_machine(&kind);
		domain = rig_mapped_domain(&rig);
		OK(iommu_attach(rig.iommu, rig_id(SILENT), domain));
		OK(iommu_flush(domain, IOMMU_REMOVED, iommu_iova(AT), 0x4000));
		last_descriptor(d);
		assert_int_equal(d[0] & 0xfff, 3);
		assert_int_equal(d[0] >> 32 & 0xffff, SILENT);
		assert_int_equal(d[0] >> 12 & 0xf, n ? SILENT & 0xf : 0);
		assert_int_equal(d[0] >> 52, n ? SILENT >> 4 : 0);
		/* Four pages: the lowest 0 of the address says so. */
		assert_int_equal(d[1], AT | 0x1000 | 1);
		OK(iommu_detach(rig.iommu, rig_id(SILENT)));
		/* All there is. */
		last_descriptor(d);
		assert_int_equal(d[0] & 0xfff, 3);
		assert_true(d[1] == 0x7ffffffffffff001);
		OK(iommu_domain_destroy(domain));
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptor_has_its_id),
		cmocka_unit_test(is_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
