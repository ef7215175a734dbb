/* SPDX-License-Identifier: MIT */
/*
 * Something fails at every possible moment: the n-th allocation, the n-th
 * hardware command, the unit from its n-th register access on, for each n
 * until the run is untouched. Whatever happens, no rule is broken, the host is
 * told, and what it gets back is free of the hardware.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/injection.h"

#define OWNER 9
#define RW (IOMMU_READ | IOMMU_WRITE)

static const char *const kinds[] = {"plain", "no-qi", "non-coherent", "caching",
	"write-buffer", "worst-memory", "qemu-4.0", "no-psi", "self-flushing"};
#define KINDS (sizeof kinds / sizeof kinds[0])

static bool allowed(enum injection what, enum iommu_status s)
{
	return s == IOMMU_OK || injection_explains(what, s);
}

/* What a test holds while it goes through a life; pages that hardware may
 * still reach stay where they are. */
struct life {
	struct rig *r;
	enum injection what;
	struct rig_space space;
	bool has_space, attached, mapped;
	uint64_t frame;
	struct iommu_irq irq;
	bool has_irq;
};

static bool step(struct life *l, enum iommu_status s)
{
	if (!allowed(l->what, s))
		fail_msg("%s", iommu_status_text(s));
	return s == IOMMU_OK;
}

static bool interrupts(struct life *l)
{
	struct iommu_irq_target target = {.destination = 1, .vector = 0x50};
	bool remapped = false;

	if (!step(l,
		    iommu_irq_remapped(
			    l->r->iommu, rig_id(RIG_DEV), &remapped)))
		return false;
	if (!remapped)
		return true;
	if (!step(l, iommu_irq_alloc(l->r->iommu, rig_id(RIG_DEV), 1, &l->irq)))
		return false;
	l->has_irq = true;
	if (!step(l, iommu_irq_set(l->r->iommu, &l->irq, 0, &target)))
		return false;
	l->has_irq = false;
	return step(l, iommu_irq_free(l->r->iommu, &l->irq));
}

static bool unmap(struct life *l)
{
	enum iommu_status s;

	rig_space_set(&l->space, 0x10000, 0);
	l->mapped = false;
	s = iommu_flush(l->space.domain, IOMMU_REMOVED, iommu_iova(0x10000),
		MODEL_PAGE);
	if (!step(l, s))
		return false;
	model_page_free(l->r->m, l->frame, 0);
	l->frame = 0;
	return true;
}

static bool power(struct life *l)
{
	return step(l, iommu_power(l->r->iommu, false)) &&
		step(l, iommu_power(l->r->iommu, true)) &&
		step(l, iommu_suspend(l->r->iommu)) &&
		step(l, iommu_resume(l->r->iommu));
}

static bool live(struct life *l)
{
	struct rig *r = l->r;
	enum iommu_status s;

	if (!step(l, iommu_attach(r->iommu, rig_id(RIG_DEV), l->space.domain)))
		return false;
	l->attached = true;
	rig_space_set(&l->space, 0x10000, l->frame | RW);
	l->mapped = true;
	s = iommu_flush(l->space.domain, IOMMU_MADE_PRESENT,
		iommu_iova(0x10000), MODEL_PAGE);
	if (!step(l, s))
		return false;
	rig_can_write(r, RIG_DEV, 0x10000);
	rig_can_write(r, RIG_DEV, 0x20000);
	if (!interrupts(l) || !power(l))
		return false;
	/* So that there is something to forget again. */
	rig_can_write(r, RIG_DEV, 0x10000);
	if (!unmap(l))
		return false;
	s = iommu_detach(r->iommu, rig_id(RIG_DEV));
	l->attached = s != IOMMU_OK;
	return step(l, s);
}

/* Undoes what is left, as a host does it after a failure. */
static void clean_up(struct life *l)
{
	struct rig *r = l->r;
	enum iommu_status s;
	bool safe = true;

	if (l->has_irq)
		step(l, iommu_irq_free(r->iommu, &l->irq));
	if (l->attached) {
		s = iommu_detach(r->iommu, rig_id(RIG_DEV));
		assert_true(allowed(l->what, s) || s == IOMMU_NOT_ATTACHED);
		safe = s == IOMMU_OK;
	}
	s = iommu_domain_destroy(l->space.domain);
	assert_int_equal(s, IOMMU_OK);
	if (safe && l->frame && !model_failures(r->m))
		model_page_free(r->m, l->frame, 0);
}

static void no_violation(struct rig *r, enum injection what, unsigned n)
{
	if (!model_violation_count(r->m))
		return;
	print_error("injection %d, n = %u\n", what, n);
	model_report(r->m, stderr);
	fail();
}

/* True if the injection was never reached. */
static bool run(
	const char *kind, enum injection what, bool while_running, unsigned n)
{
	struct life l = {.what = what};
	struct rig r;
	bool good, hit;

	rig_open(&r, kind, MODEL_LAZY, n);
	r.options.timeout_ns = 10000000;
	r.options.device_timeout_ns = 20000000;
	l.r = &r;
	l.frame = rig_frame(&r, OWNER);
	if (!while_running)
		injection_begin(r.m, 0, what, n);
	good = step(&l, rig_start(&r));
	if (good && (while_running || what > NTH_WAIT)) {
		rig_space_open(&l.space, &r);
		rig_space_set(&l.space, 0x10000, 0);
		if (while_running)
			injection_begin(r.m, 0, what, n);
		good = live(&l);
	}
	hit = !good || model_failures(r.m);
	injection_end(r.m);
	no_violation(&r, what, n);
	if (l.space.domain)
		clean_up(&l);
	no_violation(&r, what, n);
	if (r.iommu) {
		enum iommu_status s = iommu_destroy(r.iommu);

		assert_true(s == IOMMU_OK || s == IOMMU_UNCONFIRMED);
		if (s == IOMMU_OK && what <= ALL_FROM_NTH_ALLOCATION)
			model_host_check_leaks(&r.host);
	}
	no_violation(&r, what, n);
	assert_int_equal(r.host.locks_held, 0);
	model_destroy(r.m);
	return !hit;
}

static void every_moment(enum injection what, bool while_running, unsigned most)
{
	for (size_t k = 0; k < KINDS; k++) {
		unsigned n = 1;

		while (n < most && !run(kinds[k], what, while_running, n))
			n++;
		assert_true(n > 1 && n < most);
	}
}

static void nth_allocation_fails(void **state)
{
	(void)state;
	every_moment(NTH_ALLOCATION, false, 200);
	every_moment(NTH_ALLOCATION, true, 200);
	every_moment(ALL_FROM_NTH_ALLOCATION, false, 200);
	every_moment(ALL_FROM_NTH_ALLOCATION, true, 200);
}

static void nth_hardware_wait_fails(void **state)
{
	(void)state;
	every_moment(NTH_WAIT, false, 300);
	every_moment(NTH_WAIT, true, 300);
}

static void unit_hangs_from_any_access_on(void **state)
{
	(void)state;
	every_moment(HUNG_FROM_NTH_ACCESS, false, 3000);
}

static void unit_disappears_at_any_access(void **state)
{
	(void)state;
	every_moment(GONE_FROM_NTH_ACCESS, false, 3000);
}

static struct iommu_host counted;
static unsigned accesses;

static uint64_t count_read(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	accesses++;
	return counted.reg_read(ctx, regs, offset, width);
}

static void count_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	accesses++;
	counted.reg_write(ctx, regs, offset, width, value);
}

/** Switches a unit on that is gone after so many accesses, 0: never. */
static enum iommu_status switch_on(unsigned gone_after)
{
	enum iommu_status status;
	unsigned count;
	struct rig r;

	rig_open(&r, "plain", MODEL_LAZY, 1);
	counted = r.hooks;
	r.hooks.reg_read = count_read;
	r.hooks.reg_write = count_write;
	rig_start_ok(&r);
	OK(iommu_power(r.iommu, false));
	accesses = 0;
	if (gone_after)
		model_unit_gone(r.m, 0, gone_after);
	status = iommu_power(r.iommu, true);
	count = accesses;
	assert_int_equal(iommu_is_on(r.iommu), status == IOMMU_OK);
	rig_close_anyhow(&r);
	accesses = count;
	return status;
}

/** What a unit can have on reads as on when it is gone, too: nobody may take
 *  that for an answer. */
static void unit_disappears_while_it_is_switched_on(void **state)
{
	unsigned n, all;

	(void)state;
	OK(switch_on(0));
	all = accesses;
	assert_true(all > 3);
	/* The last only looks what else has changed. */
	for (n = 1; n < all - 1; n++)
		assert_int_equal(switch_on(n), IOMMU_UNIT_LOST);
}

/* Two units share a domain; one of them stops answering. */
static void one_unit_of_two_fails(void **state)
{
	(void)state;
	for (unsigned broken = 0; broken < 2; broken++) {
		struct rig_space space;
		struct rig r;
		uint64_t frame;

		rig_open_two(&r, "plain", "plain", MODEL_LAZY);
		r.options.timeout_ns = 10000000;
		rig_start_ok(&r);
		frame = rig_frame(&r, OWNER);
		rig_space_open(&space, &r);
		OK(rig_space_attach(&space, RIG_DEV));
		OK(rig_space_attach(&space, RIG_OTHER));
		rig_space_map(&space, 0x1000, frame, RW);
		assert_true(rig_can_write(&r, RIG_DEV, 0x1000));
		assert_true(rig_can_write(&r, RIG_OTHER, 0x1000));
		model_unit_hang(r.m, broken, 0);
		rig_space_set(&space, 0x1000, 0);
		assert_int_not_equal(iommu_flush(space.domain, IOMMU_REMOVED,
					     iommu_iova(0x1000), MODEL_PAGE),
			IOMMU_OK);
		/* The other one did its part. */
		assert_false(rig_can_write(
			&r, broken ? RIG_DEV : RIG_OTHER, 0x1000));
		assert_int_equal(model_violation_count(r.m), 0);
		rig_close_anyhow(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nth_allocation_fails),
		cmocka_unit_test(nth_hardware_wait_fails),
		cmocka_unit_test(unit_hangs_from_any_access_on),
		cmocka_unit_test(unit_disappears_at_any_access),
		cmocka_unit_test(unit_disappears_while_it_is_switched_on),
		cmocka_unit_test(one_unit_of_two_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
