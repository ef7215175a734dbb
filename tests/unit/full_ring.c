/* SPDX-License-Identifier: MIT */
/*
 * Many CPUs at one invalidation queue: more come than the ring holds, and one
 * of them, or a device, leaves the others waiting. Each one's flush is done, or
 * it is told that it was not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "iommu/vtd/unit.h"
#include "support/queued.h"

static struct queued *crowd;
static unsigned depth, deepest, most;
static enum iommu_status (*ask)(void);
static enum iommu_status worst;

static enum iommu_status flush_too(void)
{
	return iommu_flush(
		crowd->domain, IOMMU_RIGHTS_CUT, iommu_iova(QUEUED_AT), 4096);
}

/** While one waits, the next one comes and asks for something too. */
static void next_one(struct model_host *h)
{
	enum iommu_status status;

	(void)h;
	if (deepest == most)
		return;
	deepest = ++depth;
	status = ask();
	if (status != IOMMU_OK)
		worst = status;
	depth--;
}

static void come_together(
	struct queued *q, unsigned count, enum iommu_status (*asks)(void))
{
	crowd = q;
	depth = deepest = 0;
	most = count;
	ask = asks;
	worst = IOMMU_OK;
	q->r.host.on_relax = next_one;
}

/* ---- more than the ring holds ---- */

static void full_ring_is_waited_for(void **state)
{
	static const char *const kinds[] = {"plain", "caching"};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct queued q;

		queued_open(&q, kinds[k], MODEL_LAZY);
		queued_attach_ats(&q, MODEL_ATS_LATE);
		come_together(&q, 200, flush_too);
		OK(queued_unmap(&q));
		q.r.host.on_relax = NULL;
		assert_int_equal(deepest, 200);
		assert_int_equal(worst, IOMMU_OK);
		assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
		queued_close(&q);
	}
}

enum {
	CROWD = 300,
};

static struct iommu_domain *crowded;

/** Each a page of its own. */
static enum iommu_status unmap_too(void)
{
	return iommu_unmap_now(
		crowded, iommu_iova(QUEUED_AT + 4096ull * deepest), 4096);
}

/** More want to say something different than the ring holds: each is heard. */
static void full_ring_is_not_written_on(void **state)
{
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	crowded = rig_mapped_domain(&q.r);
	OK(iommu_attach(q.r.iommu, rig_id(RIG_OTHER), crowded));
	for (unsigned n = 1; n <= CROWD; n++) {
		OK(iommu_map(crowded, iommu_iova(QUEUED_AT + 4096ull * n),
			iommu_phys(q.page), 4096, IOMMU_READ));
		assert_true(
			rig_can_read(&q.r, RIG_OTHER, QUEUED_AT + 4096ull * n));
	}
	queued_attach_ats(&q, MODEL_ATS_LATE);
	come_together(&q, CROWD, unmap_too);
	OK(queued_unmap(&q));
	q.r.host.on_relax = NULL;
	assert_int_equal(deepest, CROWD);
	assert_int_equal(worst, IOMMU_OK);
	for (unsigned n = 1; n <= CROWD; n++)
		assert_false(
			rig_can_read(&q.r, RIG_OTHER, QUEUED_AT + 4096ull * n));
	OK(iommu_detach(q.r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(crowded));
	queued_close(&q);
}

/** Fills the ring as if another CPU were on its way to it all the time, to whom
 *  the doorbell is left. */
static struct ticket fill_ring(struct vtd_unit *unit, unsigned submissions)
{
	const struct vtd_command everything = {.op = VTD_OP_IOTLB_GLOBAL};
	struct ticket ticket;

	unit->queue.coming++;
	for (unsigned n = 0; n < submissions; n++)
		OK(vtd_submit(unit, &everything, 1, &ticket));
	unit->queue.coming--;
	return ticket;
}

/** It finds no room either, so somebody else has to ring. */
static void full_ring_is_rung_for_whoever_comes(void **state)
{
	struct ticket ticket;
	struct vtd_unit *unit;
	uint64_t doorbells;
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	unit = vtd_of(q.r.iommu->unit[0]);
	doorbells = queued_stats(&q).doorbells;
	ticket = fill_ring(unit, VTD_QUEUE_SLOTS);
	assert_true(queued_stats(&q).doorbells > doorbells);
	OK(iommu_flush_all(q.domain, IOMMU_REMOVED));
	OK(vtd_wait(&unit->unit, ticket));
	queued_close(&q);
}

static void full_ring_is_emptied_before_it_goes_off(void **state)
{
	struct queued q;

	(void)state;
	queued_open(&q, "plain", MODEL_LAZY);
	(void)fill_ring(vtd_of(q.r.iommu->unit[0]), VTD_QUEUE_SLOTS / 2 - 1);
	OK(iommu_suspend(q.r.iommu));
	OK(iommu_resume(q.r.iommu));
	assert_true(rig_can_write(&q.r, RIG_DEV, QUEUED_AT));
	queued_close(&q);
}

static void full_ring_of_a_dead_unit_is_given_up(void **state)
{
	enum iommu_status status;
	struct queued q = {0};

	(void)state;
	rig_open(&q.r, "plain", MODEL_LAZY, 1);
	/* Several waits one after the other must end before the model takes
	 * them for one without an end. */
	q.r.options.timeout_ns = q.r.options.device_timeout_ns = 1000000;
	queued_start(&q);
	come_together(&q, 258, flush_too);
	model_unit_hang(q.r.m, 0, 0);
	status = queued_unmap(&q);
	q.r.host.on_relax = NULL;
	assert_int_equal(status, IOMMU_UNIT_LOST);
	assert_int_equal(worst, IOMMU_UNIT_LOST);
	assert_int_equal(deepest, 258);
	assert_int_equal(model_violation_count(q.r.m), 0);
	rig_close_anyhow(&q.r);
}

/* ---- one of them is in trouble ---- */

static unsigned looks;
static enum iommu_status second;

static void second_one(struct model_host *h)
{
	(void)h;
	if (++looks == 1)
		second = flush_too();
}

/** The CPU whose descriptor was refused is away: another one that waits behind
 *  repairs the queue and gets it going. */
static void others_go_on_without_the_one_refused(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct queued q;

		queued_open(&q, "plain", k ? MODEL_RANDOM : MODEL_LAZY);
		crowd = &q;
		looks = 0;
		second = IOMMU_UNCONFIRMED;
		q.spoilt = 1;
		q.r.host.on_relax = second_one;
		OK(queued_unmap(&q));
		q.r.host.on_relax = NULL;
		assert_true(looks > 1);
		assert_int_equal(second, IOMMU_OK);
		assert_int_equal(queued_stats(&q).queue_errors, 1);
		assert_int_equal(queued_stats(&q).timeouts, 0);
		queued_forgive(&q);
		assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
		queued_close(&q);
	}
}

/** A device falls silent while several wait: each one's flush is repeated, and
 *  only the device is blocked. */
static void silence_harms_nobody_else(void **state)
{
	static const char *const kinds[] = {
		"plain", "haswell-ep", "nehalem-5520"};

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		struct iommu_device_info info;
		struct queued q;

		queued_open(
			&q, kinds[k % 3], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		queued_attach_ats(&q, MODEL_ATS_NEVER);
		come_together(&q, 1 + k, flush_too);
		OK(queued_unmap(&q));
		q.r.host.on_relax = NULL;
		assert_int_equal(worst, IOMMU_OK);
		assert_int_equal(deepest, most);
		assert_true(q.cleared > 0);
		assert_int_equal(queued_stats(&q).device_timeouts, q.cleared);
		OK(iommu_device_info(q.r.iommu, rig_id(RIG_ATS), &info));
		assert_int_equal(info.state, IOMMU_DEVICE_QUARANTINED);
		assert_false(rig_can_read(&q.r, RIG_DEV, QUEUED_AT));
		model_ats_behave(q.r.m, 0, RIG_ATS, MODEL_ATS_PROMPT);
		OK(iommu_device_revive(q.r.iommu, rig_id(RIG_ATS)));
		queued_close(&q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_ring_is_waited_for),
		cmocka_unit_test(full_ring_is_not_written_on),
		cmocka_unit_test(full_ring_is_rung_for_whoever_comes),
		cmocka_unit_test(full_ring_is_emptied_before_it_goes_off),
		cmocka_unit_test(full_ring_of_a_dead_unit_is_given_up),
		cmocka_unit_test(others_go_on_without_the_one_refused),
		cmocka_unit_test(silence_harms_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
