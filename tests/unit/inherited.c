/* SPDX-License-Identifier: MIT */
/*
 * What an earlier system left, when something goes wrong while it is taken over
 * or ended: no memory, a silent device, a unit that stops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x200000ull

struct play {
	struct rig first, next;
	struct model *m;
	uint64_t page;
};

/** The first system gives one device everything, others a page, and hands
 *  over. */
static void leave(struct play *p, const char *kind, enum model_mode mode)
{
	struct iommu_domain *domain;

	memset(p, 0, sizeof(*p));
	p->m = model_create_simple(kind, mode, 1);
	rig_open_machine(&p->first, p->m);
	p->first.options.ats = IOMMU_ON;
	rig_start_ok(&p->first);
	p->page = rig_frame(&p->first, 9);
	domain = rig_mapped_domain(&p->first);
	assert_int_equal(iommu_map(domain, iommu_iova(AT), iommu_phys(p->page),
				 4096, RW),
		IOMMU_OK);
	assert_int_equal(iommu_attach(p->first.iommu, rig_id(RIG_DEV),
				 iommu_domain_identity(p->first.iommu)),
		IOMMU_OK);
	assert_int_equal(
		iommu_attach(p->first.iommu, rig_id(RIG_OTHER), domain),
		IOMMU_OK);
	assert_int_equal(iommu_attach(p->first.iommu, rig_id(RIG_ATS), domain),
		IOMMU_OK);
	assert_true(rig_can_write(&p->first, RIG_DEV, p->page));
	assert_true(rig_can_write(&p->first, RIG_OTHER, AT));
	assert_int_equal(iommu_hand_over(p->first.iommu, IOMMU_HAND_OVER_KEPT),
		IOMMU_OK);
	rig_open_machine(&p->next, p->m);
	p->next.options.take_over = IOMMU_TAKE_OVER_KEPT;
	p->next.options.ats = IOMMU_ON;
	p->next.options.timeout_ns = 1000000;
	p->next.options.device_timeout_ns = 100000000;
}

/** The identity domain of the first has the id of the second's. */
static void ids_of_both_are_kept_apart(void **state)
{
	static const char *const kinds[] = {
		"plain", "caching", "non-coherent", "write-buffer"};

	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		struct play p;

		leave(&p, kinds[k / 2], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		rig_start_ok(&p.next);
		assert_true(rig_can_write(&p.next, RIG_DEV, p.page));
		assert_true(rig_can_write(&p.next, RIG_OTHER, AT));
		assert_false(rig_can_write(&p.next, RIG_BEHIND_PORT, AT));
		/* The second's identity is not the first's. */
		assert_int_equal(
			iommu_attach(p.next.iommu, rig_id(RIG_BEHIND_PORT),
				iommu_domain_identity(p.next.iommu)),
			IOMMU_OK);
		assert_true(rig_can_write(&p.next, RIG_BEHIND_PORT, p.page));
		assert_int_equal(iommu_inherited_end(p.next.iommu), IOMMU_OK);
		assert_int_equal(iommu_inherited_count(p.next.iommu), 0);
		assert_false(rig_can_write(&p.next, RIG_DEV, p.page));
		assert_false(rig_can_write(&p.next, RIG_OTHER, AT));
		assert_true(rig_can_write(&p.next, RIG_BEHIND_PORT, p.page));
		assert_int_equal(
			iommu_detach(p.next.iommu, rig_id(RIG_BEHIND_PORT)),
			IOMMU_OK);
		assert_int_equal(iommu_destroy(p.next.iommu), IOMMU_OK);
		assert_int_equal(model_violation_count(p.m), 0);
		model_destroy(p.m);
	}
}

static void all_is_kept(struct play *p)
{
	assert_true(rig_can_write(&p->next, RIG_DEV, p->page));
	assert_true(rig_can_write(&p->next, RIG_OTHER, AT));
	assert_false(rig_can_write(&p->next, RIG_BEHIND_PORT, AT));
}

/** Whatever page is missing: not started, and what was left goes on; with
 *  memory again, it is taken over after all. */
static void nth_page_is_missing(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "no-pt"};

	(void)state;
	for (unsigned k = 0, n = 1; k < 3; n++) {
		enum iommu_status status;
		struct play p;
		bool hit;

		leave(&p, kinds[k], MODEL_LAZY);
		model_fail_alloc(p.m, n, false);
		status = rig_start(&p.next);
		hit = model_failures(p.m);
		model_fail_alloc(p.m, 0, false);
		if (status != IOMMU_OK) {
			assert_int_equal(status, IOMMU_NO_MEMORY);
			all_is_kept(&p);
		}
		if (status != IOMMU_OK && p.next.iommu) {
			status = iommu_start(p.next.iommu);
			if (status == IOMMU_WRONG_STATE)
				status = IOMMU_NO_MEMORY; /* not discovered */
			else
				assert_int_equal(status, IOMMU_OK);
		}
		if (status == IOMMU_OK) {
			all_is_kept(&p);
			model_fail_alloc(p.m, 1, true);
			status = iommu_inherited_end(p.next.iommu);
			model_fail_alloc(p.m, 0, false);
			assert_true(status == IOMMU_OK ||
				status == IOMMU_NO_MEMORY);
			assert_int_equal(
				iommu_inherited_end(p.next.iommu), IOMMU_OK);
			assert_false(rig_can_write(&p.next, RIG_DEV, p.page));
		}
		assert_int_equal(model_violation_count(p.m), 0);
		if (p.next.iommu)
			assert_int_equal(iommu_destroy(p.next.iommu), IOMMU_OK);
		model_destroy(p.m);
		if (!hit) {
			n = 0;
			k++;
		}
		assert_true(n < 60);
	}
}

/** A device that keeps its translations to itself stays blocked. */
static void silent_device_is_kept_back(void **state)
{
	static const char *const kinds[] = {"plain", "haswell-ep"};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct iommu_device_info info;
		enum iommu_status status;
		struct play p;

		leave(&p, kinds[k], MODEL_LAZY);
		rig_start_ok(&p.next);
		assert_true(model_ats_request(p.m, 0, RIG_ATS, AT, true));
		model_ats_behave(p.m, 0, RIG_ATS, MODEL_ATS_NEVER);
		status = iommu_inherited_end(p.next.iommu);
		assert_true(status == IOMMU_OK || status == IOMMU_UNCONFIRMED ||
			status == IOMMU_DEVICE_BROKEN);
		assert_false(rig_can_write(&p.next, RIG_OTHER, AT));
		assert_int_equal(
			iommu_device_info(p.next.iommu, rig_id(RIG_ATS), &info),
			IOMMU_OK);
		assert_int_not_equal(info.state, IOMMU_DEVICE_ATTACHED);
		assert_int_not_equal(info.state, IOMMU_DEVICE_INHERITED);
		rig_close_anyhow(&p.next);
	}
}

static void unit_stops_at_any_access(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 60; n++) {
		enum iommu_status status;
		struct play p;

		leave(&p, "plain", MODEL_LAZY);
		rig_start_ok(&p.next);
		assert_true(rig_can_write(&p.next, RIG_DEV, p.page));
		if (n & 1)
			model_unit_hang(p.m, 0, n / 2);
		else
			model_unit_gone(p.m, 0, n / 2);
		status = iommu_inherited_end(p.next.iommu);
		assert_true(status == IOMMU_OK || status == IOMMU_UNIT_LOST ||
			status == IOMMU_UNCONFIRMED ||
			status == IOMMU_WRONG_STATE);
		if (status == IOMMU_OK && !(n & 1))
			assert_int_equal(
				iommu_inherited_count(p.next.iommu), 0);
		assert_int_equal(p.next.host.locks_held, 0);
		rig_close_anyhow(&p.next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_of_both_are_kept_apart),
		cmocka_unit_test(nth_page_is_missing),
		cmocka_unit_test(silent_device_is_kept_back),
		cmocka_unit_test(unit_stops_at_any_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
