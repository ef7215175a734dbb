/* SPDX-License-Identifier: MIT */
/*
 * Fault records and the message that tells of them, register by register: what
 * is read whole, what is cleared and what is left, and in which order the
 * message is set up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "iommu/vtd/unit.h"
#include "support/rig.h"

enum {
	REG_FSTS = 0x34,
	REG_FECTL = 0x38,
	REG_FEDATA = 0x3c,
	REG_FEADDR = 0x40,
	REG_FEUADDR = 0x44,
	FSTS_IQE = 1 << 4,
};
#define FECTL_IM 0x80000000u

/** What the test does between the library and the unit. */
static struct {
	struct rig *r;
	struct iommu_host real;
	/** Each record that is read is followed by a new one. */
	bool refill;
	unsigned records_read;
	/** Registers of the message written so far, a bit each. */
	unsigned written;
	unsigned unmasked;
} line;

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = line.real.reg_read(ctx, regs, offset, width);

	if (line.refill && offset >= 0x100 && width == 4) {
		/* A handler without an end would come here for ever. */
		assert_true(++line.records_read < 10000);
		rig_can_write(line.r, RIG_DEV, 0x5000);
		rig_can_write(line.r, RIG_OTHER, 0x5000);
	}
	return value;
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (offset >= REG_FEDATA && offset <= REG_FEUADDR)
		line.written |= 1u << (offset - REG_FEDATA) / 4;
	if (offset == REG_FECTL && !(value & FECTL_IM)) {
		/* All of it is there before the first message can go. */
		assert_int_equal(line.written, 7);
		line.unmasked++;
	}
	line.real.reg_write(ctx, regs, offset, width, value);
}

static void open_rig(struct rig *r, const char *kind)
{
	memset(&line, 0, sizeof(line));
	rig_open(r, kind, MODEL_LAZY, 1);
	r->options.fault_storm = 0;
	line.r = r;
	line.real = r->hooks;
	r->hooks.reg_read = reg_read;
	r->hooks.reg_write = reg_write;
}

static void address_is_reported_whole(void **state)
{
	const uint64_t wide = 0x7f3456789000ull;
	struct iommu_fault f;
	struct rig r;

	(void)state;
	open_rig(&r, "plain");
	rig_start_ok(&r);
	rig_can_read(&r, RIG_DEV, wide + 0x18);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_true(f.address.v == wide);
	assert_false(f.write);
	rig_close(&r);
}

static void every_reason_has_words(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 256; n++) {
		assert_non_null(iommu_fault_text((uint8_t)n));
		assert_true(*iommu_fault_text((uint8_t)n));
	}
}

static void device_may_be_gone_by_then(void **state)
{
	struct iommu_fault f;
	struct rig r;

	(void)state;
	open_rig(&r, "plain");
	rig_start_ok(&r);
	rig_can_write(&r, RIG_DEV, 0x5000);
	assert_true(iommu_interrupt(r.iommu, 0));
	model_device_remove(r.m, 0, RIG_DEV);
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.device.requester, RIG_DEV);
	assert_null(f.domain);
	rig_close(&r);
}

/** One lap over the records, however fast new ones come. */
static void handler_has_an_end(void **state)
{
	struct rig r;

	(void)state;
	open_rig(&r, "plain");
	rig_start_ok(&r);
	rig_can_write(&r, RIG_DEV, 0x5000);
	line.refill = true;
	assert_true(iommu_interrupt(r.iommu, 0));
	line.refill = false;
	assert_true(line.records_read <= 8);
	while (iommu_interrupt(r.iommu, 0))
		;
	rig_take_faults(&r);
	rig_close(&r);
}

/** The queue's errors belong to whoever repairs the queue. */
static void errors_of_the_queue_are_left(void **state)
{
	uint64_t base;
	struct rig r;

	(void)state;
	open_rig(&r, "plain");
	rig_start_ok(&r);
	base = model_unit_base(r.m, 0);
	rig_can_write(&r, RIG_DEV, 0x5000);
	model_unit_error(r.m, 0, FSTS_IQE);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(model_read32(r.m, base + REG_FSTS) & FSTS_IQE);
	model_write32(r.m, base + REG_FSTS, FSTS_IQE);
	rig_close_anyhow(&r);
}

static void records_of_an_earlier_owner_are_dropped(void **state)
{
	struct iommu_fault f;
	struct rig r;

	(void)state;
	memset(&line, 0, sizeof(line));
	rig_open_machine(&r,
		model_create_usual(model_personality_find("plain"), MODEL_LAZY,
			0, 1, true));
	for (uint64_t n = 1; n < 20; n++)
		rig_can_write(&r, n & 1 ? RIG_OTHER : RIG_BEHIND_PORT, n << 40);
	rig_can_write(&r, RIG_DEV, 1ull << 40);
	rig_start_ok(&r);
	for (uint32_t n = 0; n < 8; n++) {
		uint64_t cap = model_read64(r.m, model_unit_base(r.m, 0) + 8);
		uint64_t at = model_unit_base(r.m, 0) +
			(cap >> 24 & 0x3ff) * 16 + n * 16 + 12;

		if (n <= (cap >> 40 & 0xff))
			assert_int_equal(model_read32(r.m, at) >> 31, 0);
	}
	iommu_interrupt(r.iommu, 0);
	assert_false(iommu_fault_next(r.iommu, &f));
	/* And none of them is in the way of new ones. */
	rig_can_write(&r, RIG_DEV, 0x5000);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.device.requester, RIG_DEV);
	rig_close_anyhow(&r);
}

static bool far_message(void *ctx, unsigned unit, struct iommu_msi_message *out)
{
	(void)ctx;
	(void)unit;
	out->address = 0x1200fee0f000ull;
	out->data = 0x4021;
	return true;
}

static void message_is_written_before_it_can_go(void **state)
{
	uint64_t base;
	struct rig r;

	(void)state;
	open_rig(&r, "plain");
	r.hooks.unit_msi = far_message;
	rig_start_ok(&r);
	base = model_unit_base(r.m, 0);
	assert_int_equal(line.unmasked, 1);
	assert_int_equal(model_read32(r.m, base + REG_FEDATA), 0x4021);
	assert_int_equal(model_read32(r.m, base + REG_FEADDR), 0xfee0f000);
	assert_int_equal(model_read32(r.m, base + REG_FEUADDR), 0x1200);
	rig_close(&r);
}

/** With translation, and no remapping, off the unit starts at its first record
 *  again. */
static void records_are_found_after_a_pause(void **state)
{
	struct model_personality kind = *model_personality_find("no-ir");
	struct iommu_fault f;
	struct rig r;
	unsigned n;

	(void)state;
	kind.cap |= 3ull << 40; /* four records */
	rig_open_machine(
		&r, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
	rig_start_ok(&r);
	for (n = 0; n < 2; n++) {
		rig_can_write(&r, RIG_DEV, 0x5000);
		assert_true(iommu_interrupt(r.iommu, 0));
		assert_true(iommu_fault_next(r.iommu, &f));
	}
	rig_can_write(&r, RIG_DEV, 0x6000);
	OK(iommu_power(r.iommu, false));
	OK(iommu_power(r.iommu, true));
	rig_can_write(&r, RIG_DEV, 0x7000);
	iommu_interrupt(r.iommu, 0);
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.address.v, 0x6000);
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.address.v, 0x7000);
	assert_false(model_read32(r.m, model_unit_base(r.m, 0) + REG_FSTS));
	rig_close(&r);
}

/** Those that came since the last message, all at once and in their order,
 *  wherever in the records they begin. */
static void records_are_read_in_order(void **state)
{
	static const uint16_t dev[] = {RIG_DEV, RIG_OTHER, RIG_BEHIND_PORT};
	struct model_personality kind = *model_personality_find("plain");
	struct iommu_fault f;
	struct rig r;

	(void)state;
	kind.cap =
		(kind.cap & ~(0xffull << 40)) | 3ull << 40; /* four records */
	rig_open_machine(
		&r, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
	r.options.fault_storm = 0;
	rig_start_ok(&r);
	for (unsigned lap = 0; lap < 5; lap++) {
		for (unsigned n = 0; n < 3; n++)
			rig_can_write(&r, dev[n], 0x5000);
		assert_true(iommu_interrupt(r.iommu, 0));
		for (unsigned n = 0; n < 3; n++) {
			assert_true(iommu_fault_next(r.iommu, &f));
			assert_int_equal(f.device.requester, dev[n]);
		}
		assert_false(iommu_fault_next(r.iommu, &f));
		assert_false(iommu_interrupt(r.iommu, 0));
	}
	rig_close(&r);
}

static bool no_vector(void *ctx, unsigned unit, struct iommu_msi_message *out)
{
	(void)ctx;
	(void)unit;
	(void)out;
	return false;
}

/** Without a vector the host asks now and then, and misses nothing. */
static void without_a_vector_faults_are_polled(void **state)
{
	struct iommu_fault f;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.hooks.unit_msi = no_vector;
	rig_start_ok(&r);
	rig_can_write(&r, RIG_DEV, 0x5000);
	assert_int_equal(r.host.unit_interrupts, 0);
	assert_true(iommu_interrupt_all(r.iommu));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.address.v, 0x5000);
	rig_close(&r);
}

/** A device of a bus that has no table yet storms when there is no memory for
 *  one: blocked it is in any case, and the line says what is missing. */
static void storm_without_memory_is_blocked(void **state)
{
	struct iommu_device_info info;
	struct iommu_fault f;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.fault_storm = 5;
	rig_start_ok(&r);
	/* Known already. */
	OK(iommu_device_info(r.iommu, rig_id(RIG_BEHIND_PORT), &info));
	model_fail_alloc(r.m, 1, true);
	for (unsigned n = 0; n < 8; n++) {
		rig_can_write(&r, RIG_BEHIND_PORT, 0x5000);
		iommu_interrupt_all(r.iommu);
		while (iommu_fault_next(r.iommu, &f))
			assert_int_equal(f.device.requester, RIG_BEHIND_PORT);
	}
	/* Nobody knows yet how many there are of this one. */
	rig_can_write(&r, MODEL_BDF(0, 1, 0), 0x5000);
	assert_true(iommu_interrupt_all(r.iommu));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_true(f.loud);
	model_fail_alloc(r.m, 0, false);
	assert_non_null(strstr(r.host.last_line, "(not confirmed)"));
	OK(iommu_device_info(r.iommu, rig_id(RIG_BEHIND_PORT), &info));
	assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
	rig_close(&r);
}

/** More than there are records for: that some are missing is told with the next
 *  that comes, and counted once. */
static void lost_faults_are_told_of(void **state)
{
	static const uint16_t dev[] = {
		RIG_DEV, RIG_OTHER, RIG_BEHIND_PORT, MODEL_BDF(0, 1, 0)};
	struct model_personality kind = *model_personality_find("plain");
	struct iommu_stats stats;
	struct iommu_fault f;
	struct rig r;

	(void)state;
	kind.cap = (kind.cap & ~(0xffull << 40)) | 1ull << 40; /* two records */
	rig_open_machine(
		&r, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
	r.options.fault_storm = 0;
	rig_start_ok(&r);
	for (unsigned n = 0; n < 4; n++)
		rig_can_write(&r, dev[n], 0x5000);
	assert_true(iommu_interrupt(r.iommu, 0));
	for (unsigned n = 0; n < 2; n++) {
		assert_true(iommu_fault_next(r.iommu, &f));
		assert_int_equal(f.device.requester, dev[n]);
		assert_int_equal(f.lost, 0);
	}
	assert_false(iommu_fault_next(r.iommu, &f));
	OK(iommu_unit_stats(r.iommu, 0, &stats));
	assert_int_equal(stats.faults, 2);
	assert_int_equal(stats.faults_lost, 1);
	rig_can_write(&r, RIG_DEV, 0x9000);
	assert_true(iommu_interrupt(r.iommu, 0));
	assert_true(iommu_fault_next(r.iommu, &f));
	assert_int_equal(f.address.v, 0x9000);
	assert_int_equal(f.lost, 1);
	rig_close(&r);
}

/** The entries that a fault's walk met are those in memory (VT-d 9.1, 9.3). */
static void walks_show_what_memory_holds(void **state)
{
	static const uint16_t dev[] = {
		RIG_DEV, RIG_OTHER, RIG_BEHIND_PORT, MODEL_BDF(2, 0, 0)};
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.fault_storm = 0;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	for (unsigned n = 0; n < 4; n++) {
		uint64_t root =
			model_read64(r.m, model_unit_base(r.m, 0) + 0x20);
		struct iommu_fault f;

		OK(iommu_attach(r.iommu, rig_id(dev[n]), domain));
		rig_can_write(&r, dev[n], 0x5000);
		assert_true(iommu_interrupt(r.iommu, 0));
		assert_true(iommu_fault_next(r.iommu, &f));
		assert_int_equal(f.walk.steps, 3);
		assert_false(f.walk.mapped);
		for (unsigned k = 0; k < 3; k++) {
			uint64_t *entry = model_ptr(r.m, f.walk.step[k].at.v);

			assert_true(f.walk.step[k].low == entry[0]);
			assert_true(
				f.walk.step[k].high == (k < 2 ? entry[1] : 0));
		}
		assert_int_equal(f.walk.step[0].level, 7);
		assert_int_equal(f.walk.step[1].level, 6);
		assert_int_equal(f.walk.step[2].level, 4);
		root &= ~0xfffull;
		assert_true(f.walk.step[0].at.v == root + (dev[n] >> 8) * 16);
		assert_true(f.walk.step[1].at.v ==
			(f.walk.step[0].low & ~0xfffull) +
				(dev[n] & 0xff) * 16);
		assert_true(f.walk.step[2].at.v ==
			(f.walk.step[1].low & ~0xfffull));
		OK(iommu_detach(r.iommu, rig_id(dev[n])));
	}
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** Each field of a record, with all its bits (VT-d 11.4.14). */
static void fields_are_told_apart(void **state)
{
	const struct unit unit = {.segment = 0x1234};

	(void)state;
	for (unsigned reason = 0; reason < 256; reason++)
		for (unsigned type = 0; type < 4; type++) {
			struct raw_fault raw = {.low = 0xfedcba9876543fffull,
				.high = 1ull << 63 |
					(uint64_t)(type >> 1) << 62 |
					(uint64_t)reason << 32 |
					(uint64_t)(type & 1) << 28 | 0xabcd,
				.unit = 3,
				.lost = 5,
				.time_ns = 77};
			struct iommu_fault f;
			/* VT-d 7.1.3, table 26. */
			bool irq = reason >= 0x20 && reason <= 0x2b;

			vtd_fault_decode(&unit, &raw, &f);
			assert_int_equal(f.kind,
				irq ? IOMMU_FAULT_INTERRUPT : IOMMU_FAULT_DMA);
			assert_int_equal(f.reason, reason);
			assert_ptr_equal(
				f.text, iommu_fault_text((uint8_t)reason));
			assert_int_equal(f.device.segment, 0x1234);
			assert_int_equal(f.device.requester, 0xabcd);
			assert_int_equal(f.unit, 3);
			assert_int_equal(f.lost, 5);
			assert_int_equal(f.time_ns, 77);
			assert_int_equal(f.index, irq ? 0xfedc : 0);
			assert_true(f.address.v ==
				(irq ? 0 : 0xfedcba9876543000ull));
			assert_int_equal(
				f.write, !irq && (type == 0 || type == 3));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_is_reported_whole),
		cmocka_unit_test(every_reason_has_words),
		cmocka_unit_test(device_may_be_gone_by_then),
		cmocka_unit_test(handler_has_an_end),
		cmocka_unit_test(errors_of_the_queue_are_left),
		cmocka_unit_test(records_of_an_earlier_owner_are_dropped),
		cmocka_unit_test(message_is_written_before_it_can_go),
		cmocka_unit_test(records_are_found_after_a_pause),
		cmocka_unit_test(records_are_read_in_order),
		cmocka_unit_test(lost_faults_are_told_of),
		cmocka_unit_test(walks_show_what_memory_holds),
		cmocka_unit_test(fields_are_told_apart),
		cmocka_unit_test(without_a_vector_faults_are_polled),
		cmocka_unit_test(storm_without_memory_is_blocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
