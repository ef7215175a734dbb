/* SPDX-License-Identifier: MIT */
/*
 * Who may be in which domain: identity, blocked, groups behind a bridge,
 * domain ids that come round again, ids a small unit does not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "iommu/backend.h"
#include "support/kinds.h"
#include "support/refuse.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static void identity_reaches_all_of_memory(void **state)
{
	(void)state;
	for (const struct model_personality *p = kinds_next(NULL); p;
		p = kinds_next(p)) {
		enum iommu_status s;
		uint64_t frame;
		struct rig r;

		rig_run(&r, p->name, MODEL_LAZY, 1);
		frame = rig_frame(&r, 9);
		assert_non_null(iommu_domain_identity(r.iommu));
		s = iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu));
		if (s != IOMMU_UNSUPPORTED) {
			assert_int_equal(s, IOMMU_OK);
			assert_true(rig_can_write(&r, RIG_DEV, frame));
			assert_false(rig_can_write(&r, RIG_OTHER, frame));
			rig_check(&r);
			OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		}
		assert_false(rig_can_write(&r, RIG_DEV, frame));
		rig_close(&r);
	}
}

static void bridge_is_one_group(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "no-qi"};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		const uint16_t a = MODEL_BDF(2, 0, 0), b = MODEL_BDF(2, 1, 0);
		struct iommu_domain *one, *two;
		uint64_t frame;
		struct rig r;

		rig_run(&r, kinds[k], MODEL_LAZY, 1);
		frame = rig_frame(&r, 9);
		one = rig_mapped_domain(&r);
		two = rig_mapped_domain(&r);
		OK(iommu_map(
			one, iommu_iova(0x1000), iommu_phys(frame), 4096, RW));
		OK(iommu_attach(r.iommu, rig_id(b), one));
		assert_true(rig_can_write(&r, b, 0x1000));
		assert_int_equal(iommu_attach(r.iommu, rig_id(a), two),
			IOMMU_GROUP_BUSY);
		OK(iommu_attach(r.iommu, rig_id(a), one));
		OK(iommu_detach(r.iommu, rig_id(b)));
		rig_check(&r);
		/* The id is the bridge's: the other one still uses it. */
		assert_true(rig_can_write(&r, a, 0x1000));
		/* Nor does it go when the first is blocked and revived. */
		OK(core_device_quarantine(
			core_device_known(r.iommu, rig_id(b))));
		OK(iommu_device_revive(r.iommu, rig_id(b)));
		assert_true(rig_can_write(&r, a, 0x1000));
		OK(iommu_detach(r.iommu, rig_id(a)));
		assert_false(rig_can_write(&r, a, 0x1000));
		assert_false(rig_can_write(&r, b, 0x1000));
		rig_check(&r);
		OK(iommu_attach(r.iommu, rig_id(a), two));
		assert_false(rig_can_write(&r, a, 0x1000));
		OK(iommu_detach(r.iommu, rig_id(a)));
		OK(iommu_unmap_now(one, iommu_iova(0x1000), 4096));
		OK(iommu_domain_destroy(one));
		OK(iommu_domain_destroy(two));
		rig_close(&r);
	}
}

/* Far more domains than ids, one after the other, each with a translation
 * that would be wrong for the next. */
static void domain_ids_come_round(void **state)
{
	static const char *const kinds[] = {
		"16-domains", "desktop-rwbf", "bhyve-like"};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct rig r;

		rig_run(&r, kinds[k], MODEL_LAZY, 1);
		for (unsigned i = 0; i < 700; i++) {
			struct iommu_domain *dom = rig_mapped_domain(&r);
			uint64_t frame = rig_frame(&r, 10 + i % 100);

			model_device_expect(r.m, 0, RIG_DEV, 10 + i % 100);
			OK(iommu_attach(r.iommu, rig_id(RIG_DEV), dom));
			OK(iommu_map(dom, iommu_iova(0x1000), iommu_phys(frame),
				4096, RW));
			assert_true(rig_can_write(&r, RIG_DEV, 0x1000));
			OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
			OK(iommu_unmap_now(dom, iommu_iova(0x1000), 4096));
			OK(iommu_domain_destroy(dom));
			model_page_free(r.m, frame, 0);
		}
		rig_close(&r);
	}
}

static void ids_run_out_with_a_status(void **state)
{
	static const uint16_t bdf[] = {RIG_DEV, RIG_OTHER, RIG_ATS,
		RIG_BEHIND_PORT, MODEL_BDF(0, 1, 0), MODEL_BDF(2, 0, 0)};
	struct iommu_domain *dom[6];
	struct rig r;

	(void)state;
	rig_run(&r, "16-domains", MODEL_LAZY, 1);
	for (unsigned i = 0; i < 6; i++) {
		dom[i] = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(bdf[i]), dom[i]));
	}
	rig_check(&r);
	for (unsigned i = 0; i < 6; i++) {
		OK(iommu_detach(r.iommu, rig_id(bdf[i])));
		OK(iommu_domain_destroy(dom[i]));
	}
	rig_close(&r);
}

/* ---- a queue that refuses everything while it is told to ---- */

static unsigned did_of(struct rig *r, uint16_t bdf)
{
	struct iommu_device_info info;

	OK(iommu_device_info(r->iommu, rig_id(bdf), &info));
	return info.did;
}

/* Its context entry may still be cached, and would lead the next owner of the
 * id to its tables, and it to theirs. */
static void id_of_an_unconfirmed_leaver_is_never_used_again(void **state)
{
	struct iommu_domain *dom, *next;
	unsigned did;
	struct rig r;
	size_t pages;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	refuse_prepare(&r);
	rig_start_ok(&r);
	dom = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), dom));
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), dom));
	did = did_of(&r, RIG_OTHER);
	refuse(true);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_UNCONFIRMED);
	refuse(false);
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	next = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), next));
	assert_int_not_equal(did_of(&r, RIG_OTHER), did);
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(next));
	/* Nor are its tables given back. */
	pages = model_pages_in_use(r.m, 0);
	OK(iommu_domain_destroy(dom));
	assert_int_equal(model_pages_in_use(r.m, 0), pages);
	rig_close_anyhow(&r);
}

/** An id that was lost with one leaver is lost once: whoever comes back to the
 *  domain gets another, and gives it back. */
static void domain_that_lost_an_id_goes_on(void **state)
{
	struct iommu_domain *dom;
	struct rig r;

	(void)state;
	rig_open(&r, "16-domains", MODEL_BENIGN, 1);
	refuse_prepare(&r);
	rig_start_ok(&r);
	dom = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), dom));
	refuse(true);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_UNCONFIRMED);
	refuse(false);
	for (unsigned n = 0; n < 40; n++) {
		OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), dom));
		OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	}
	OK(iommu_domain_destroy(dom));
	rig_close_anyhow(&r);
}

/** Nothing is flushed on a unit that no device of the domain is behind. */
static void units_are_left_with_the_last_device(void **state)
{
	struct iommu_domain *dom;
	struct iommu_stats stats;
	struct rig r;
	uint64_t waits;

	(void)state;
	rig_open_two(&r, "plain", "caching", MODEL_LAZY);
	rig_start_ok(&r);
	dom = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), dom));
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), dom));
	assert_true(iommu_domain_duties(dom) & IOMMU_DUTY_FLUSH_PRESENT);
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	assert_false(iommu_domain_duties(dom) & IOMMU_DUTY_FLUSH_PRESENT);
	OK(iommu_unit_stats(r.iommu, 1, &stats));
	waits = stats.waits;
	OK(iommu_flush_all(dom, IOMMU_REMOVED));
	OK(iommu_unit_stats(r.iommu, 1, &stats));
	assert_int_equal(stats.waits, waits);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(dom));
	rig_close(&r);
}

/** However many come and go, or are not made: memory does not become less. */
static void domains_leave_their_memory(void **state)
{
	struct iommu_domain_config wide = {
		.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = 60};
	struct iommu_domain *dom;
	size_t pages;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_domain_destroy(rig_mapped_domain(&r)));
	pages = model_pages_in_use(r.m, 0);
	for (unsigned n = 0; n < 50; n++) {
		OK(iommu_domain_destroy(rig_mapped_domain(&r)));
		assert_int_equal(
			iommu_domain_create(r.iommu, &wide, &dom), IOMMU_WIDTH);
	}
	assert_int_equal(model_pages_in_use(r.m, 0), pages);
	rig_close(&r);
}

/** Every bit of a root counts. */
static void odd_roots_are_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	for (unsigned bit = 0; bit < 13; bit++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_SHARED,
			.roots.levels4 = iommu_phys(0x100000 | 1u << bit)};
		struct iommu_domain *dom;

		assert_int_equal(iommu_domain_create(r.iommu, &config, &dom),
			bit < 12 ? IOMMU_BAD_ARGUMENT : IOMMU_OK);
		if (bit == 12)
			OK(iommu_domain_destroy(dom));
	}
	rig_close(&r);
}

static void refusals(void **state)
{
	struct iommu_domain *dom;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	dom = rig_mapped_domain(&r);
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(MODEL_BDF(0, 0x1c, 0)), dom),
		IOMMU_BRIDGE);
	assert_int_equal(iommu_attach(r.iommu, rig_id(MODEL_BDF(9, 9, 1)), dom),
		IOMMU_NO_DEVICE);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	assert_int_equal(iommu_map(dom, iommu_iova(0xfee00000),
				 iommu_phys(0x100000), 4096, RW),
		IOMMU_RESERVED_RANGE);
	assert_int_equal(iommu_map(dom, iommu_iova(0x1001),
				 iommu_phys(0x100000), 4096, RW),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_map(dom, iommu_iova(1ull << 48),
				 iommu_phys(0x100000), 4096, RW),
		IOMMU_WIDTH);
	OK(iommu_domain_destroy(dom));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_reaches_all_of_memory),
		cmocka_unit_test(bridge_is_one_group),
		cmocka_unit_test(domain_ids_come_round),
		cmocka_unit_test(ids_run_out_with_a_status),
		cmocka_unit_test(
			id_of_an_unconfirmed_leaver_is_never_used_again),
		cmocka_unit_test(domain_that_lost_an_id_goes_on),
		cmocka_unit_test(units_are_left_with_the_last_device),
		cmocka_unit_test(domains_leave_their_memory),
		cmocka_unit_test(odd_roots_are_refused),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
