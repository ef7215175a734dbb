/* SPDX-License-Identifier: MIT */
/*
 * Hosts that call in the wrong order, out of a hook of another call, or while
 * the units are off: they get a status, and nothing has changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <iommu/dma.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/* ---- the order of calls ---- */

/** Which calls an instance refuses, by how far its life has got. */
static void expect_too_early(struct rig *r, bool discovered)
{
	struct iommu_device_info info;

	if (!discovered) {
		rig_answers(iommu_start(r->iommu), IOMMU_WRONG_STATE);
		rig_answers(iommu_device_info(r->iommu, rig_id(RIG_DEV), &info),
			IOMMU_NO_UNIT);
		rig_answers(
			iommu_detach(r->iommu, rig_id(RIG_DEV)), IOMMU_NO_UNIT);
	}
	rig_answers(iommu_power(r->iommu, true), IOMMU_WRONG_STATE);
	rig_answers(iommu_power(r->iommu, false), IOMMU_WRONG_STATE);
	rig_answers(iommu_suspend(r->iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_resume(r->iommu), IOMMU_WRONG_STATE);
	assert_false(iommu_is_on(r->iommu));
	assert_null(iommu_domain_identity(r->iommu));
}

static void life_has_an_order(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	assert_int_equal(iommu_unit_count(r.iommu), 0);
	expect_too_early(&r, false);
	OK(iommu_discover(r.iommu, r.dmar, r.dmar_size));
	assert_int_equal(iommu_unit_count(r.iommu), 1);
	expect_too_early(&r, true);
	rig_answers(iommu_discover(r.iommu, r.dmar, r.dmar_size),
		IOMMU_WRONG_STATE);
	OK(iommu_start(r.iommu));
	assert_string_equal(iommu_reason(r.iommu), "");
	rig_answers(iommu_start(r.iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_resume(r.iommu), IOMMU_WRONG_STATE);
	OK(iommu_power(r.iommu, true));
	assert_true(iommu_is_on(r.iommu));
	OK(iommu_suspend(r.iommu));
	rig_answers(iommu_suspend(r.iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_power(r.iommu, true), IOMMU_WRONG_STATE);
	rig_answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			    iommu_domain_identity(r.iommu)),
		IOMMU_OFF);
	rig_answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OFF);
	OK(iommu_resume(r.iommu));
	OK(iommu_power(r.iommu, false));
	OK(iommu_power(r.iommu, false));
	rig_answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			    iommu_domain_identity(r.iommu)),
		IOMMU_OFF);
	rig_close(&r);
}

static void instance_waits_for_its_users(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	domain = rig_mapped_domain(&r);
	rig_answers(iommu_destroy(r.iommu), IOMMU_IN_USE);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	rig_answers(iommu_destroy(r.iommu), IOMMU_IN_USE);
	rig_answers(iommu_domain_destroy(domain), IOMMU_IN_USE);
	rig_answers(iommu_domain_destroy(iommu_domain_identity(r.iommu)),
		IOMMU_IN_USE);
	OK(iommu_domain_destroy(NULL));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_attach(
		r.iommu, rig_id(RIG_DEV), iommu_domain_identity(r.iommu)));
	OK(iommu_domain_destroy(domain));
	rig_answers(iommu_destroy(r.iommu), IOMMU_IN_USE);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	rig_close(&r);
}

static void units_are_counted(void **state)
{
	struct iommu_entry_format format = {.leaf_bits = 3, .phys_bits = 36};
	struct iommu_reserved_region region;
	struct iommu_unit_info info;
	const char *why = NULL;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_int_equal(info.registers.v, model_unit_base(r.m, 0));
	assert_int_equal(info.state, IOMMU_UNIT_ON);
	assert_string_equal(info.reason, "");
	rig_answers(iommu_unit_info(r.iommu, 1, &info), IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_unit_info(r.iommu, 0, NULL), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_reserved_count(r.iommu), 0);
	rig_answers(
		iommu_reserved_region(r.iommu, 0, &region), IOMMU_BAD_ARGUMENT);
	OK(iommu_shared_check(r.iommu, 0, &format, NULL));
	rig_answers(iommu_shared_check(r.iommu, 1, &format, &why),
		IOMMU_BAD_ARGUMENT);
	rig_answers(
		iommu_shared_check(r.iommu, 0, NULL, &why), IOMMU_BAD_ARGUMENT);
	rig_close(&r);
}

/* ---- a call of the instance's life out of a hook of another ---- */

static struct rig *nested;
static unsigned refusals;
static uint64_t (*plain_now)(void *ctx);

static uint64_t now_calls_back(void *ctx)
{
	struct iommu *iommu = nested->iommu;

	if (!iommu)
		return plain_now(ctx);
	rig_answers(iommu_discover(iommu, nested->dmar, nested->dmar_size),
		IOMMU_WRONG_STATE);
	rig_answers(iommu_start(iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_power(iommu, true), IOMMU_WRONG_STATE);
	rig_answers(iommu_suspend(iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_resume(iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_units_add(iommu, nested->dmar, 1), IOMMU_WRONG_STATE);
	rig_answers(iommu_inherited_end(iommu), IOMMU_WRONG_STATE);
	rig_answers(iommu_hand_over(iommu, IOMMU_HAND_OVER_KEPT),
		IOMMU_WRONG_STATE);
	rig_answers(iommu_destroy(iommu), IOMMU_WRONG_STATE);
	refusals++;
	return plain_now(ctx);
}

static void refused_so_far(void)
{
	assert_true(refusals > 0);
	refusals = 0;
}

static void life_does_not_nest(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	plain_now = r.hooks.now_ns;
	r.hooks.now_ns = now_calls_back;
	nested = &r;
	refusals = 0;
	rig_start_ok(&r);
	refused_so_far();
	OK(iommu_suspend(r.iommu));
	refused_so_far();
	OK(iommu_resume(r.iommu));
	refused_so_far();
	OK(iommu_power(r.iommu, false));
	refused_so_far();
	OK(iommu_power(r.iommu, true));
	rig_close(&r);
	refused_so_far();
}

/* ---- while there is nobody to flush ---- */

/** A page that was mapped before, one that is mapped and unmapped meanwhile. */
enum {
	BEFORE = 0x5000,
	MEANWHILE = 0x6000,
};

static void use_while_suspended(struct rig *r, struct iommu_domain *domain)
{
	bool tell = iommu_domain_duties(domain) & IOMMU_DUTY_FLUSH_PRESENT;
	enum iommu_status made = tell ? IOMMU_UNCONFIRMED : IOMMU_OK;
	struct iommu_unit_info info;
	struct iommu_batch batch;
	uint64_t removed;

	OK(iommu_unit_info(r->iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_SUSPENDED);
	rig_answers(iommu_map(domain, iommu_iova(MEANWHILE),
			    iommu_phys(0x200000), 4096, RW),
		made);
	rig_answers(iommu_unmap_now(domain, iommu_iova(MEANWHILE), 4096),
		IOMMU_UNCONFIRMED);
	rig_answers(iommu_map(domain, iommu_iova(MEANWHILE),
			    iommu_phys(0x300000), 4096, RW),
		made);
	iommu_batch_init(&batch, domain);
	OK(iommu_unmap(domain, iommu_iova(BEFORE), 4096, &batch, &removed));
	assert_int_equal(removed, 4096);
	rig_answers(iommu_batch_flush(&batch), IOMMU_UNCONFIRMED);
	rig_answers(iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNCONFIRMED);
	rig_answers(
		iommu_attach(r->iommu, rig_id(RIG_OTHER), domain), IOMMU_OFF);
	rig_answers(iommu_detach(r->iommu, rig_id(RIG_DEV)), IOMMU_OFF);
	assert_false(iommu_interrupt_all(r->iommu));
}

static void suspended_units_answer(void **state)
{
	static const char *const kind[] = {"plain", "caching", "plain"};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct iommu_domain *domain;
		struct rig r;

		rig_open(&r, kind[n], MODEL_LAZY, 1);
		if (n == 2)
			r.options.interface = IOMMU_INTERFACE_REGISTERS;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		OK(iommu_map(domain, iommu_iova(BEFORE), iommu_phys(0x100000),
			4096, RW));
		assert_true(rig_can_write(&r, RIG_DEV, BEFORE));
		OK(iommu_suspend(r.iommu));
		model_unit_reset(r.m, 0);
		use_while_suspended(&r, domain);
		OK(iommu_resume(r.iommu));
		/* Nobody is worse off for that, the unit included. */
		assert_false(rig_can_write(&r, RIG_DEV, BEFORE));
		assert_true(rig_can_write(&r, RIG_DEV, MEANWHILE));
		OK(iommu_unmap_now(domain, iommu_iova(MEANWHILE), 4096));
		assert_false(rig_can_write(&r, RIG_DEV, MEANWHILE));
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

static void suspended_units_keep_what_was_off(void **state)
{
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_power(r.iommu, false));
	OK(iommu_suspend(r.iommu));
	model_unit_reset(r.m, 0);
	OK(iommu_resume(r.iommu));
	assert_false(iommu_is_on(r.iommu));
	OK(iommu_power(r.iommu, true));
	assert_false(rig_can_write(&r, RIG_DEV, BEFORE));
	/* A unit that is asleep can be ended, too. */
	OK(iommu_suspend(r.iommu));
	rig_close(&r);
}

static void units_that_are_off_are_flushed(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	OK(iommu_map(
		domain, iommu_iova(BEFORE), iommu_phys(0x100000), 4096, RW));
	OK(iommu_power(r.iommu, false));
	OK(iommu_unmap_now(domain, iommu_iova(BEFORE), 4096));
	OK(iommu_map(
		domain, iommu_iova(MEANWHILE), iommu_phys(0x200000), 4096, RW));
	OK(iommu_flush_all(domain, IOMMU_REMOVED));
	OK(iommu_power(r.iommu, true));
	assert_false(rig_can_write(&r, RIG_DEV, BEFORE));
	assert_true(rig_can_write(&r, RIG_DEV, MEANWHILE));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_has_an_order),
		cmocka_unit_test(instance_waits_for_its_users),
		cmocka_unit_test(units_are_counted),
		cmocka_unit_test(life_does_not_nest),
		cmocka_unit_test(suspended_units_answer),
		cmocka_unit_test(suspended_units_keep_what_was_off),
		cmocka_unit_test(units_that_are_off_are_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
