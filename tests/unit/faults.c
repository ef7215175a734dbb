/* SPDX-License-Identifier: MIT */
/*
 * Refused requests come back as data: every one once, with device, address,
 * direction and reason; none is left in the hardware; storms end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/rig.h"

static void fault_says_what_happened(void **state)
{
	struct iommu_domain *dom;
	struct iommu_fault f;
	char line[160];
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	dom = rig_mapped_domain(&r);
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV), dom), IOMMU_OK);
	rig_can_write(&r, RIG_DEV, 0x12345678);
	assert_int_equal(r.host.unit_interrupts, 1);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.unit, 0);
	assert_int_equal(f.device.requester, RIG_DEV);
	assert_int_equal(f.kind, IOMMU_FAULT_DMA);
	assert_true(f.address.v == 0x12345000);
	assert_true(f.write);
	assert_int_equal(f.reason, 5);
	assert_ptr_equal(f.domain, dom);
	assert_int_equal(f.walk.step[0].level, 7);
	assert_false(f.walk.mapped);
	assert_true(iommu_fault_format(&f, line, sizeof line) > 0);
	assert_non_null(strstr(line, "00:03.0"));
	assert_false(iommu_fault_next(r.iommu, &f));
	rig_can_read(&r, RIG_OTHER, 0x1000);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_false(f.write);
	assert_int_equal(f.reason, 2);
	assert_null(f.domain);
	assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(dom), IOMMU_OK);
	rig_close(&r);
}

/* Requests refused in a row, collected after each so that none is lost. */
static void every_fault_comes_once(void **state)
{
	static const char *const kinds[] = {
		"plain", "one-record", "256-records", "far-registers"};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		struct iommu_fault f;
		struct rig r;

		rig_open(&r, kinds[k], MODEL_LAZY, 1);
		r.options.fault_storm = 0;
		rig_start_ok(&r);
		for (uint64_t i = 1; i <= 600; i++) {
			rig_can_write(&r, RIG_DEV, i << 12);
			iommu_interrupt(r.iommu, 0);
			assert_true(iommu_fault_next(r.iommu, &f));
			assert_true(f.address.v == i << 12);
			assert_false(iommu_fault_next(r.iommu, &f));
			assert_int_equal(f.lost, 0);
		}
		rig_close(&r);
	}
}

static void faults_go_on_after_an_overflow(void **state)
{
	struct iommu_fault f;
	unsigned lost = 0;
	struct rig r;

	(void)state;
	rig_open(&r, "one-record", MODEL_LAZY, 1);
	r.options.fault_storm = 0;
	rig_start_ok(&r);
	for (uint64_t i = 1; i <= 10; i++)
		rig_can_write(&r, RIG_DEV, i << 12);
	iommu_interrupt(r.iommu, 0);
	while (iommu_fault_next(r.iommu, &f))
		;
	rig_can_write(&r, RIG_DEV, 0x99000);
	iommu_interrupt(r.iommu, 0);
	assert_true(iommu_fault_next(r.iommu, &f));
	lost = f.lost;
	assert_true(f.address.v == 0x99000);
	(void)lost;
	rig_close(&r);
}

static void storm_ends_with_the_device_blocked(void **state)
{
	struct iommu_device_info info;
	struct iommu_domain *dom;
	struct iommu_fault f;
	unsigned seen = 0;
	uint64_t frame;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.fault_storm = 100;
	rig_start_ok(&r);
	dom = rig_mapped_domain(&r);
	frame = rig_frame(&r, 9);
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV), dom), IOMMU_OK);
	assert_int_equal(iommu_map(dom, iommu_iova(0x1000), iommu_phys(frame),
				 4096, IOMMU_READ | IOMMU_WRITE),
		IOMMU_OK);
	assert_true(rig_can_write(&r, RIG_DEV, 0x1000));
	for (unsigned i = 0; i < 5000; i++) {
		rig_can_write(&r, RIG_DEV, 0x100000 + (i << 12));
		if (i % 4 == 3) {
			iommu_interrupt(r.iommu, 0);
			while (iommu_fault_next(r.iommu, &f))
				seen++;
		}
	}
	assert_true(seen >= 100);
	assert_int_equal(
		iommu_device_info(r.iommu, rig_id(RIG_DEV), &info), IOMMU_OK);
	assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
	/* Not even what was mapped. */
	assert_false(rig_can_write(&r, RIG_DEV, 0x1000));
	rig_check(&r);
	rig_close_anyhow(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_says_what_happened),
		cmocka_unit_test(every_fault_comes_once),
		cmocka_unit_test(faults_go_on_after_an_overflow),
		cmocka_unit_test(storm_ends_with_the_device_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
