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
	struct iommu_device_info info;
	struct iommu_domain *dom;
	struct iommu_fault f;
	char line[160];
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	dom = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), dom));
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
	OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
	assert_int_equal(info.faults, 1);
	assert_int_equal(info.last_fault.reason, 5);
	assert_true(info.last_fault.write);
	assert_true(info.last_fault.address == 0x12345000);
	assert_true(info.last_fault.time_ns == f.time_ns);
	OK(iommu_device_info(r.iommu, rig_id(RIG_OTHER), &info));
	assert_int_equal(info.last_fault.reason, 0);
	rig_can_read(&r, RIG_OTHER, 0x1000);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_false(f.write);
	assert_int_equal(f.reason, 2);
	assert_null(f.domain);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(dom));
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
			struct iommu_stats stats;

			rig_can_write(&r, RIG_DEV, i << 12);
			iommu_interrupt(r.iommu, 0);
			assert_true(iommu_fault_next(r.iommu, &f));
			assert_true(f.address.v == i << 12);
			assert_false(iommu_fault_next(r.iommu, &f));
			assert_int_equal(f.lost, 0);
			OK(iommu_unit_stats(r.iommu, 0, &stats));
			assert_int_equal(stats.faults, i);
		}
		rig_close(&r);
	}
}

static void faults_go_on_after_an_overflow(void **state)
{
	struct iommu_fault f;
	struct rig r;

	(void)state;
	rig_open(&r, "one-record", MODEL_LAZY, 1);
	r.options.fault_storm = 0;
	rig_start_ok(&r);
	for (uint64_t i = 1; i <= 10; i++)
		rig_can_write(&r, RIG_DEV, i << 12);
	iommu_interrupt(r.iommu, 0);
	rig_take_faults(&r);
	rig_can_write(&r, RIG_DEV, 0x99000);
	iommu_interrupt(r.iommu, 0);
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_true(f.address.v == 0x99000);
	rig_close(&r);
}

/** A fault of a device at a time of the test's; whether it is worth a line. */
static uint64_t clock_ns;

static uint64_t stopped_clock(void *ctx)
{
	(void)ctx;
	return clock_ns += 1000;
}

static unsigned loud_of(struct rig *r, uint16_t bdf, unsigned faults)
{
	struct iommu_fault f;
	unsigned loud = 0;

	while (faults--) {
		rig_can_write(r, bdf, 0x5000);
		iommu_interrupt(r->iommu, 0);
		assert_true(iommu_fault_next(r->iommu, &f));
		loud += f.loud;
	}
	return loud;
}

static void chatter_becomes_quiet(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	r.options.fault_storm = 0;
	clock_ns = 5000000000ull;
	r.hooks.now_ns = stopped_clock;
	rig_start_ok(&r);
	assert_int_equal(loud_of(&r, RIG_DEV, 200), 10);
	/* Another device has a voice of its own. */
	assert_int_equal(loud_of(&r, RIG_OTHER, 1), 1);
	clock_ns += 3500000000ull;
	assert_int_equal(loud_of(&r, RIG_DEV, 200), 3);
	clock_ns += 60000000000ull;
	assert_int_equal(loud_of(&r, RIG_DEV, 200), 10);
	rig_close(&r);
}

static void storm_ends_with_the_device_blocked(void **state)
{
	struct iommu_device_info info;
	struct iommu_domain *dom;
	unsigned seen = 0;
	uint64_t frame;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.fault_storm = 100;
	rig_start_ok(&r);
	dom = rig_mapped_domain(&r);
	frame = rig_frame(&r, 9);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), dom));
	OK(iommu_map(dom, iommu_iova(0x1000), iommu_phys(frame), 4096,
		IOMMU_READ | IOMMU_WRITE));
	assert_true(rig_can_write(&r, RIG_DEV, 0x1000));
	for (unsigned i = 0; i < 5000; i++) {
		rig_can_write(&r, RIG_DEV, 0x100000 + (i << 12));
		if (i % 4 == 3) {
			iommu_interrupt(r.iommu, 0);
			seen += rig_take_faults(&r);
		}
	}
	assert_true(seen >= 100);
	OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
	assert_string_equal(r.host.last_line,
		"device 0000:00:03.0 is blocked: too many faults");
	/* Not even what was mapped. */
	assert_false(rig_can_write(&r, RIG_DEV, 0x1000));
	rig_check(&r);
	rig_close_anyhow(&r);
}

/** After a storm the device's faults are no longer recorded, whatever the unit
 *  remembers of its entry. */
static void silenced_device_is_not_heard(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "non-coherent",
		"caching-non-coherent", "write-buffer", "worst-memory",
		"no-qi"};

	(void)state;
	for (unsigned k = 0; k < 14; k++) {
		const uint16_t bdf = k & 1 ? RIG_DEV : RIG_BEHIND_PORT;
		struct iommu_device_info info;
		struct iommu_fault f;
		struct rig r;
		unsigned seen;

		rig_open(
			&r, kinds[k / 2], k & 1 ? MODEL_LAZY : MODEL_RANDOM, 1);
		r.options.fault_storm = 20;
		rig_start_ok(&r);
		for (unsigned n = 0; n < 100; n++) {
			rig_can_write(&r, bdf, 0x100000 + (n << 12));
			iommu_interrupt(r.iommu, 0);
			rig_take_faults(&r);
		}
		OK(iommu_device_info(r.iommu, rig_id(bdf), &info));
		assert_int_equal(info.faults, 20);
		/* Others are heard as before. */
		seen = 0;
		rig_can_read(&r, RIG_OTHER, 0x1000);
		iommu_interrupt(r.iommu, 0);
		while (iommu_fault_next(r.iommu, &f))
			seen += f.device.requester == RIG_OTHER;
		assert_int_equal(seen, 1);
		rig_check(&r);
		/* Until it is taken back into grace. */
		OK(iommu_device_revive(r.iommu, rig_id(bdf)));
		rig_can_read(&r, bdf, 0x1000);
		assert_true(iommu_interrupt(r.iommu, 0));
		assert_true(iommu_fault_next(r.iommu, &f));
		assert_int_equal(f.device.requester, bdf);
		rig_close(&r);
	}
}

/** Who cannot tell which unit sent an interrupt asks all. */
static void every_unit_is_asked(void **state)
{
	static const uint16_t behind[] = {RIG_DEV, RIG_OTHER};

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct iommu_fault f;
		struct rig r;

		rig_open_two(&r, "plain", "plain", MODEL_LAZY);
		rig_start_ok(&r);
		rig_can_read(&r, behind[n], 0x1000);
		assert_true(iommu_interrupt_all(r.iommu));
		assert_true(iommu_fault_next(r.iommu, &f));
		assert_int_equal(f.device.requester, behind[n]);
		rig_close(&r);
	}
}

static void interrupt_of_no_unit_is_nothing(void **state)
{
	struct iommu_fault f;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	assert_false(iommu_interrupt(r.iommu, 0));
	assert_false(iommu_interrupt(r.iommu, 1));
	assert_false(iommu_interrupt_all(r.iommu));
	rig_can_read(&r, RIG_DEV, 0x1000);
	assert_true(iommu_interrupt_all(r.iommu));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_false(iommu_fault_next(r.iommu, &f));
	rig_close(&r);
	/* A refused unit has no registers to look at. */
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.host.forbid_map = true;
	assert_int_equal(rig_start(&r), IOMMU_NO_UNIT);
	assert_false(iommu_interrupt(r.iommu, 0));
	assert_false(iommu_interrupt_all(r.iommu));
	rig_close(&r);
	/* Nor has one that is gone anything to say. */
	rig_run(&r, "plain", MODEL_LAZY, 1);
	rig_can_read(&r, RIG_DEV, 0x1000);
	model_unit_gone(r.m, 0, 0);
	assert_false(iommu_interrupt(r.iommu, 0));
	rig_close_anyhow(&r);
}

/** The library's own ring is full: the newest are counted, not kept. */
static void full_ring_counts_what_it_loses(void **state)
{
	struct iommu_fault f;
	unsigned kept = 0;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.fault_storm = 0;
	rig_start_ok(&r);
	for (uint64_t n = 1; n <= 300; n++) {
		rig_can_write(&r, RIG_DEV, n << 12);
		assert_true(iommu_interrupt(r.iommu, 0));
	}
	while (iommu_fault_next(r.iommu, &f)) {
		assert_int_equal(f.address.v, (++kept) << 12);
		assert_int_equal(f.lost, 0);
	}
	assert_int_equal(kept, 256);
	rig_can_write(&r, RIG_DEV, 0x999000);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.address.v, 0x999000);
	assert_int_equal(f.lost, 44);
	rig_close(&r);
}

static void interrupts_that_are_refused_are_faults(void **state)
{
	struct iommu_irq_target target = {.vector = 0x50, .destination = 1};
	struct iommu_msi_message message;
	struct iommu_fault f;
	struct iommu_irq irq;
	char line[160];
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 4, &irq));
	OK(iommu_irq_set(r.iommu, &irq, 3, &target));
	OK(iommu_irq_message(r.iommu, &irq, 3, &message));
	assert_false(
		model_msi(r.m, 0, RIG_OTHER, message.address, message.data));
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.kind, IOMMU_FAULT_INTERRUPT);
	assert_int_equal(f.index, irq.first + 3);
	assert_int_equal(f.device.requester, RIG_OTHER);
	assert_int_equal(f.reason, 0x26);
	assert_true(iommu_fault_format(&f, line, sizeof(line)) > 0);
	assert_string_equal(line,
		"00:04.0 interrupt 3: the interrupt entry belongs to another "
		"device (38)");
	assert_int_equal(iommu_fault_format(&f, line, 0), 0);
	assert_int_equal(iommu_fault_format(&f, line, 5), 4);
	assert_string_equal(line, "00:0");
	OK(iommu_irq_free(r.iommu, &irq));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_says_what_happened),
		cmocka_unit_test(every_fault_comes_once),
		cmocka_unit_test(faults_go_on_after_an_overflow),
		cmocka_unit_test(chatter_becomes_quiet),
		cmocka_unit_test(storm_ends_with_the_device_blocked),
		cmocka_unit_test(silenced_device_is_not_heard),
		cmocka_unit_test(every_unit_is_asked),
		cmocka_unit_test(interrupt_of_no_unit_is_nothing),
		cmocka_unit_test(full_ring_counts_what_it_loses),
		cmocka_unit_test(interrupts_that_are_refused_are_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
