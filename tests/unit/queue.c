/* SPDX-License-Identifier: MIT */
/*
 * What happens to descriptors in the invalidation queue (VT-d 6.5.2.10): one
 * arrives spoilt, a completion comes that nobody asked for, the ring goes
 * round. What was asked for is done in the end, or the caller is told that it
 * was not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "iommu/vtd/unit.h"
#include "support/queued.h"
#include "support/words.h"

enum {
	REG_FSTS = 0x34,
	REG_IQERCD = 0xb0,
	FSTS_ICE = 1 << 5,
};

static void spoilt_descriptor_is_repeated(void **state)
{
	static const char *const kinds[] = {
		"plain", "caching", "nehalem-5520", "qemu-7.2"};

	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		struct queued q;

		queued_open(
			&q, kinds[k / 4], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		q.waits = k & 2;
		q.spoilt = 1;
		OK(queued_unmap(&q));
		assert_int_equal(q.spoilt, 0);
		queued_forgive(&q);
		assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
		assert_int_equal(queued_stats(&q).queue_errors, 1);
		assert_non_null(
			strstr(q.r.host.last_line, "refused descriptor"));
		words_start();
		iommu_report_queue(q.r.iommu, words_sink, NULL);
		words_have(" last refused: ");
		/* The queue goes on as before. */
		OK(queued_map(&q));
		assert_true(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
		OK(queued_unmap(&q));
		assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
		assert_int_equal(queued_stats(&q).queue_errors, 1);
		queued_close(&q);
	}
}

/** Whatever is sent is spoilt: the caller is told, in bounded time. */
static void always_spoilt_ends_unconfirmed(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		enum iommu_status status;
		struct queued q;

		queued_open(&q, "plain", MODEL_LAZY);
		q.waits = k;
		q.spoilt = 1000;
		status = queued_unmap(&q);
		assert_true(status == IOMMU_UNCONFIRMED ||
			status == IOMMU_UNIT_LOST);
		assert_true(q.spoilt > 900);
		rig_close_anyhow(&q.r);
	}
}

static void fewer_than_the_repeats_is_done(void **state)
{
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	q.spoilt = 3;
	OK(queued_unmap(&q));
	assert_int_equal(queued_stats(&q).queue_errors, 3);
	queued_forgive(&q);
	assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
	queued_close(&q);
}

/** Whoever looks late learns of a loss all the same, however many came since.
 */
static void old_loss_is_not_forgotten(void **state)
{
	const struct vtd_command everything = {.op = VTD_OP_IOTLB_GLOBAL};
	struct ticket ticket;
	struct vtd_unit *unit;
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	unit = vtd_of(q.r.iommu->unit[0]);
	q.spoilt = 1;
	OK(vtd_submit(unit, &everything, 1, &ticket));
	for (unsigned n = 0; n < 20; n++) {
		OK(iommu_flush_all(q.domain, IOMMU_REMOVED));
		q.spoilt = 1;
	}
	q.spoilt = 0;
	assert_int_equal(queued_stats(&q).queue_errors, 20);
	assert_int_equal(vtd_wait(&unit->unit, ticket), IOMMU_UNCONFIRMED);
	queued_forgive(&q);
	queued_close(&q);
}

/** Two units are flushed together, one refuses: its part is repeated. */
static void refusal_of_one_unit_of_two_is_repeated(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct queued q = {0};

		rig_open_two(&q.r, "plain", "plain",
			k & 1 ? MODEL_RANDOM : MODEL_LAZY);
		queued_start(&q);
		OK(iommu_attach(q.r.iommu, rig_id(RIG_OTHER), q.domain));
		assert_true(rig_can_write(&q.r, RIG_OTHER, QUEUED_AT));
		q.waits = k & 2;
		q.spoilt = 1;
		OK(queued_unmap(&q));
		assert_int_equal(q.spoilt, 0);
		queued_forgive(&q);
		assert_int_equal(queued_stats(&q).queue_errors, 1);
		assert_false(rig_can_write(&q.r, RIG_DEV, QUEUED_AT));
		assert_false(rig_can_write(&q.r, RIG_OTHER, QUEUED_AT));
		OK(iommu_detach(q.r.iommu, rig_id(RIG_OTHER)));
		queued_close(&q);
	}
}

/* ---- what the unit reports besides ---- */

static unsigned errors_left;

static void completion_error(struct model_host *h)
{
	if (errors_left) {
		errors_left--;
		model_unit_error(h->m, 0, FSTS_ICE);
	}
}

static uint64_t (*plain_read)(
	void *ctx, void *regs, uint32_t offset, unsigned width);

/** The unit names the device that it heard from. */
static uint64_t read_with_id(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = plain_read(ctx, regs, offset, width);

	return offset == REG_IQERCD ? value | 0x1234ull << 48 : value;
}

static void unasked_completion_is_noted(void **state)
{
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	queued_attach_ats(&q, MODEL_ATS_LATE);
	plain_read = q.r.iommu->host.reg_read;
	q.r.iommu->host.reg_read = read_with_id;
	errors_left = 1;
	q.r.host.on_relax = completion_error;
	OK(queued_unmap(&q));
	q.r.host.on_relax = NULL;
	assert_int_equal(errors_left, 0);
	assert_non_null(strstr(
		q.r.host.last_line, "unexpected completion from device 1234"));
	assert_int_equal(
		model_read32(q.r.m, model_unit_base(q.r.m, 0) + REG_FSTS) &
			FSTS_ICE,
		0);
	assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
	queued_close(&q);
}

/** An entry that was taken out without confirmation may still be used: giving
 *  it back asks again. */
static void interrupt_is_flushed_until_that_is_confirmed(void **state)
{
	const struct iommu_irq_target target = {.vector = 0x51};
	struct iommu_irq irq;
	enum iommu_status status;
	struct queued q;
	uint64_t before;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	OK(iommu_irq_alloc(q.r.iommu, rig_id(RIG_DEV), 1, &irq));
	OK(iommu_irq_set(q.r.iommu, &irq, 0, &target));
	q.spoilt = 1000;
	status = iommu_irq_clear(q.r.iommu, &irq, 0);
	assert_int_equal(status, IOMMU_UNCONFIRMED);
	q.spoilt = 0;
	before = queued_stats(&q).interrupt_flushes;
	OK(iommu_irq_free(q.r.iommu, &irq));
	assert_true(queued_stats(&q).interrupt_flushes > before);
	queued_forgive(&q);
	queued_close(&q);
}

static void long_waits_are_in_the_histogram(void **state)
{
	struct iommu_stats stats;
	unsigned slot = 0;
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	queued_attach_ats(&q, MODEL_ATS_LATE);
	OK(queued_unmap(&q));
	stats = queued_stats(&q);
	/* 900 us: below 1024 us, not below 512 us. */
	for (unsigned n = 0; n < IOMMU_LATENCY_SLOTS; n++)
		if (stats.latency[n])
			slot = n;
	assert_int_equal(slot, 10);
	assert_int_equal(stats.latency[slot], 1);
	queued_close(&q);
}

/* ---- many laps ---- */

/** Positions outgrow 32 bits' worth of laps only in years, a lap is soon. */
static void queue_runs_in_laps(void **state)
{
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	for (unsigned n = 0; n < 3000; n++) {
		OK(queued_unmap(&q));
		OK(queued_map(&q));
	}
	OK(queued_unmap(&q));
	assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
	OK(iommu_suspend(q.r.iommu));
	model_unit_reset(q.r.m, 0);
	OK(iommu_resume(q.r.iommu));
	for (unsigned n = 0; n < 600; n++)
		OK(iommu_flush_all(q.domain, IOMMU_REMOVED));
	queued_close(&q);
}

/** All of the address space is forgotten, at whatever end it was cached. */
static void flush_all_reaches_everything(void **state)
{
	static const char *const kinds[] = {"plain", "no-qi", "no-psi"};
	static const uint64_t far[] = {
		0, QUEUED_AT, 1ull << 30, 0xfffffffff000};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct iommu_batch batch;
		struct queued q;

		queued_open(&q, kinds[k], MODEL_LAZY);
		iommu_batch_init(&batch, q.domain);
		for (unsigned n = 0; n < 4; n++) {
			if (far[n] != QUEUED_AT)
				OK(iommu_map(q.domain, iommu_iova(far[n]),
					iommu_phys(q.page), 4096, IOMMU_READ));
			assert_true(rig_can_read(&q.r, RIG_DEV, far[n]));
		}
		for (unsigned n = 0; n < 4; n++)
			OK(iommu_unmap(q.domain, iommu_iova(far[n]), 4096,
				&batch, NULL));
		OK(iommu_flush_all(q.domain, IOMMU_REMOVED));
		for (unsigned n = 0; n < 4; n++)
			assert_false(rig_can_read(&q.r, RIG_DEV, far[n]));
		OK(iommu_batch_flush(&batch));
		queued_close(&q);
	}
}

/* ---- what the unit is asked for ---- */

static unsigned iotlb_seen;
static bool drains_reads, drains_writes;

static void look_at_drains(uint64_t low)
{
	enum {
		TYPE_IOTLB = 2,
		DRAIN_WRITES = 1 << 6,
		DRAIN_READS = 1 << 7,
	};

	if ((low & 15) != TYPE_IOTLB)
		return;
	iotlb_seen++;
	assert_int_equal(!!(low & DRAIN_READS), drains_reads);
	assert_int_equal(!!(low & DRAIN_WRITES), drains_writes);
}

/** Requests under way are drained where the unit can (CAP.DRD, CAP.DWD), and
 *  nothing is asked for that it has not. */
static void drains_are_asked_for_where_there_are(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct model_personality kind =
			*model_personality_find("plain");
		struct queued q = {.look = look_at_drains};

		drains_writes = k & 1;
		drains_reads = k & 2;
		kind.cap &= ~(3ull << 54);
		kind.cap |= (uint64_t)k << 54;
		rig_open_machine(&q.r,
			model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		iotlb_seen = 0;
		queued_start(&q);
		OK(queued_unmap(&q));
		queued_close(&q);
		assert_true(iotlb_seen >= 3);
	}
}

/* ---- one of several ids ---- */

/** A device's last id is confirmed, another one is not: the device is not
 *  free. */
static void one_unconfirmed_id_is_enough(void **state)
{
	bool unconfirmed = false;

	(void)state;
	for (unsigned times = 3; times < 12; times++) {
		struct iommu_device_info info;
		enum iommu_status status;
		struct queued q;

		queued_open(&q, "plain", MODEL_LAZY);
		OK(iommu_attach(
			q.r.iommu, rig_id(RIG_BEHIND_BRIDGE), q.domain));
		q.spoilt = times;
		status = iommu_detach(q.r.iommu, rig_id(RIG_BEHIND_BRIDGE));
		OK(iommu_device_info(
			q.r.iommu, rig_id(RIG_BEHIND_BRIDGE), &info));
		if (times < 4) {
			assert_int_equal(status, IOMMU_OK);
			assert_int_equal(info.state, IOMMU_DEVICE_BLOCKED);
		} else {
			/* Of two, the first; then both. */
			assert_int_equal(status, IOMMU_UNCONFIRMED);
			assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
			unconfirmed = true;
		}
		rig_close_anyhow(&q.r);
	}
	assert_true(unconfirmed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spoilt_descriptor_is_repeated),
		cmocka_unit_test(always_spoilt_ends_unconfirmed),
		cmocka_unit_test(fewer_than_the_repeats_is_done),
		cmocka_unit_test(old_loss_is_not_forgotten),
		cmocka_unit_test(refusal_of_one_unit_of_two_is_repeated),
		cmocka_unit_test(unasked_completion_is_noted),
		cmocka_unit_test(interrupt_is_flushed_until_that_is_confirmed),
		cmocka_unit_test(long_waits_are_in_the_histogram),
		cmocka_unit_test(queue_runs_in_laps),
		cmocka_unit_test(flush_all_reaches_everything),
		cmocka_unit_test(drains_are_asked_for_where_there_are),
		cmocka_unit_test(one_unconfirmed_id_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
