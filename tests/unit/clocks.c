/* SPDX-License-Identifier: MIT */
/*
 * The host's clock, set ahead or back by a year, standing still or running
 * backwards from any of its readings on, or read by a CPU that is away in
 * between: a unit that works is never given up, and one that does not answer
 * never keeps a CPU for ever.
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
#define YEAR_NS (365ull * 86400 * 1000000000)

enum fancy {
	SET_AHEAD,
	SET_BACK,
	STANDS,
	RUNS_BACK,
	FANCIES
};

static struct {
	struct model *m;
	enum fancy fancy;
	unsigned readings, from; /* 0: never */
	uint64_t then;
} hand;

static uint64_t now_ns(void *ctx)
{
	/* Ten years after the fixed moment; the unit works meanwhile. */
	uint64_t now = model_now(hand.m) + 10 * YEAR_NS;

	(void)ctx;
	if (!hand.from || ++hand.readings < hand.from)
		return now;
	if (hand.readings == hand.from)
		hand.then = now;
	switch (hand.fancy) {
	case SET_AHEAD:
		return now + YEAR_NS;
	case SET_BACK:
		return now - YEAR_NS;
	case STANDS:
		return hand.then;
	default:
		return hand.then - (now - hand.then);
	}
}

static void start(struct rig *r, const char *kind, enum model_mode mode)
{
	rig_open(r, kind, mode, 1);
	hand.m = r->m;
	hand.readings = 0;
	r->hooks.now_ns = now_ns;
	r->options.timeout_ns = 10000000;
	r->options.device_timeout_ns = 20000000;
	r->options.ats = IOMMU_ON;
	rig_start_ok(r);
}

/** Everything that waits. */
static void live(struct rig *r)
{
	struct iommu_domain *domain = rig_mapped_domain(r);
	uint64_t frame = rig_frame(r, 9);
	struct iommu_irq irq;
	bool remapped;

	OK(iommu_attach(r->iommu, rig_id(RIG_ATS), domain));
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), domain));
	OK(iommu_map(domain, iommu_iova(0x10000), iommu_phys(frame), MODEL_PAGE,
		RW));
	assert_true(rig_can_write(r, RIG_DEV, 0x10000));
	OK(iommu_irq_remapped(r->iommu, rig_id(RIG_DEV), &remapped));
	if (remapped) {
		OK(iommu_irq_alloc(r->iommu, rig_id(RIG_DEV), 4, &irq));
		OK(iommu_irq_free(r->iommu, &irq));
	}
	OK(iommu_detach(r->iommu, rig_id(RIG_ATS)));
	OK(iommu_suspend(r->iommu));
	OK(iommu_resume(r->iommu));
	OK(iommu_power(r->iommu, false));
	OK(iommu_power(r->iommu, true));
	OK(iommu_unmap_now(domain, iommu_iova(0x10000), MODEL_PAGE));
	assert_false(rig_can_write(r, RIG_DEV, 0x10000));
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
}

static unsigned run(const char *kind, enum model_mode mode, unsigned from)
{
	struct iommu_stats stats;
	struct rig r;

	hand.from = from;
	start(&r, kind, mode);
	live(&r);
	OK(iommu_unit_stats(r.iommu, 0, &stats));
	assert_int_equal(stats.timeouts, 0);
	rig_close(&r);
	return hand.readings;
}

static void a_unit_that_works_is_not_given_up(void **state)
{
	static const char *const kinds[] = {"plain", "no-qi", "worst-memory"};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		/* As many as there are, and every one of them. */
		unsigned most = run(kinds[k], MODEL_LAZY, ~0u), n, fancy;

		assert_true(most > 50);
		for (fancy = 0; fancy < FANCIES; fancy++)
			for (n = 1; n <= most; n++) {
				hand.fancy = fancy;
				(void)run(kinds[k], MODEL_LAZY, n);
			}
	}
}

/* ---- a unit that does not answer ----------------------------------------- */

/** From now on registers read as they did, and the clock as `fancy` says. The
 *  model is left alone: this is about millions of looks. */
static struct {
	struct iommu_host real;
	bool dead;
	uint32_t gsts;
	unsigned looks;
} stuck;

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	if (!stuck.dead)
		return stuck.real.reg_read(ctx, regs, offset, width);
	return offset == 0x1c ? stuck.gsts : 0;
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (!stuck.dead)
		stuck.real.reg_write(ctx, regs, offset, width, value);
}

static uint64_t dead_clock(void *ctx)
{
	if (!stuck.dead)
		return stuck.real.now_ns(ctx);
	stuck.looks++;
	switch (hand.fancy) {
	case SET_AHEAD:
		return 20 * YEAR_NS + (stuck.looks > 1 ? YEAR_NS : 0) +
			1000ull * stuck.looks;
	case SET_BACK:
		return 20 * YEAR_NS - (stuck.looks > 1 ? YEAR_NS : 0) +
			1000ull * stuck.looks;
	case STANDS:
		return 20 * YEAR_NS;
	default:
		return 20 * YEAR_NS - stuck.looks;
	}
}

static void every_wait_ends(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2 * FANCIES; n++) {
		bool command = n & 1;
		struct iommu_domain *domain;
		uint64_t frame;
		struct rig r;

		rig_open(&r, "plain", MODEL_BENIGN, 1);
		stuck.real = r.hooks;
		stuck.dead = false;
		stuck.looks = 0;
		hand.fancy = n / 2;
		r.hooks.reg_read = reg_read;
		r.hooks.reg_write = reg_write;
		r.hooks.now_ns = dead_clock;
		r.hooks.relax = NULL;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		frame = rig_frame(&r, 9);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
		OK(iommu_map(domain, iommu_iova(0x1000), iommu_phys(frame),
			MODEL_PAGE, RW));
		stuck.gsts = (uint32_t)stuck.real.reg_read(r.hooks.ctx,
			(void *)(uintptr_t)model_unit_base(r.m, 0), 0x1c, 4);
		stuck.dead = true;
		if (command)
			assert_int_equal(
				iommu_power(r.iommu, false), IOMMU_UNIT_LOST);
		else
			assert_int_not_equal(
				iommu_unmap_now(
					domain, iommu_iova(0x1000), MODEL_PAGE),
				IOMMU_OK);
		/* A year gone by is no reason: as many looks as ever. */
		assert_true(stuck.looks >= 256);
		/* The next call knows. */
		stuck.looks = 0;
		assert_int_not_equal(
			iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
		assert_true(stuck.looks < 1000);
		rig_close_anyhow(&r);
	}
}

/* ---- what else asks for the time ------------------------------------------
 */

static unsigned loud_faults(struct rig *r, unsigned faults)
{
	struct iommu_fault f;
	unsigned loud = 0;

	while (faults--) {
		rig_can_write(r, RIG_DEV, 0x5000);
		iommu_interrupt(r->iommu, 0);
		assert_true(iommu_fault_next(r->iommu, &f));
		loud += f.loud;
	}
	return loud;
}

static void a_clock_that_was_set_silences_no_device(void **state)
{
	struct rig r;

	(void)state;
	for (unsigned fancy = SET_AHEAD; fancy <= SET_BACK; fancy++) {
		hand.from = 0;
		hand.fancy = fancy;
		rig_open(&r, "plain", MODEL_LAZY, 1);
		hand.m = r.m;
		r.hooks.now_ns = now_ns;
		r.options.fault_storm = 0;
		rig_start_ok(&r);
		assert_int_equal(loud_faults(&r, 20), 10);
		hand.readings = 0;
		hand.from = 1;
		assert_int_equal(loud_faults(&r, 20), 10);
		rig_close(&r);
	}
}

/* ---- the last look ---- */

enum {
	REG_GCMD = 0x18,
	REG_GSTS = 0x1c,
	REG_CCMD = 0x28,
	REG_IQT = 0x88,
};

enum hidden {
	THE_QUEUE,
	A_COMMAND,
	A_REGISTER_FLUSH,
};

/** A CPU that is away for long whenever it asks for the time; what the unit did
 *  shows after it asked so many times. */
static struct {
	struct iommu_host real;
	enum hidden what;
	bool waiting;
	unsigned asked, until;
	uint64_t now, doorbell;
	void *regs;
} away;

static uint64_t jumping_clock(void *ctx)
{
	away.now += 1000000000;
	if (away.waiting && ++away.asked == away.until) {
		away.waiting = false;
		if (away.what == THE_QUEUE)
			away.real.reg_write(
				ctx, away.regs, REG_IQT, 8, away.doorbell);
	}
	return away.now;
}

static void write_and_hide(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	static const uint32_t start[] = {REG_IQT, REG_GCMD, REG_CCMD};

	if (away.until && offset == start[away.what]) {
		away.waiting = true;
		away.doorbell = value;
		away.regs = regs;
		if (away.what == THE_QUEUE)
			return;
	}
	away.real.reg_write(ctx, regs, offset, width, value);
}

static uint64_t read_hidden(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = away.real.reg_read(ctx, regs, offset, width);

	if (away.waiting && away.what == A_COMMAND && offset == REG_GSTS)
		return value | 1u << 31; /* TES: still on */
	if (away.waiting && away.what == A_REGISTER_FLUSH &&
		offset == REG_CCMD + 4)
		return value | 1u << 31; /* ICC: still at it */
	return value;
}

/** Whether it is done in time if it shows at the n-th look at the clock;
 *  *out_looks: how many there were. */
static bool is_done(enum hidden what, unsigned n, unsigned *out_looks)
{
	enum iommu_status status;
	struct rig r;

	memset(&away, 0, sizeof(away));
	away.what = what;
	rig_open(&r, what == A_REGISTER_FLUSH ? "no-qi" : "plain", MODEL_BENIGN,
		1);
	away.real = r.hooks;
	r.hooks.now_ns = jumping_clock;
	r.hooks.reg_write = write_and_hide;
	r.hooks.reg_read = read_hidden;
	rig_start_ok(&r);
	OK(iommu_attach(
		r.iommu, rig_id(RIG_DEV), iommu_domain_identity(r.iommu)));
	away.until = n;
	status = what == A_COMMAND ? iommu_power(r.iommu, false)
				   : iommu_detach(r.iommu, rig_id(RIG_DEV));
	away.until = 0;
	*out_looks = away.asked;
	rig_close_anyhow(&r);
	return status == IOMMU_OK;
}

/** Between the last look at the clock and the end lies one at the unit. */
static void what_is_done_when_time_is_up_counts(void **state)
{
	(void)state;
	for (enum hidden what = THE_QUEUE; what <= A_REGISTER_FLUSH; what++) {
		unsigned most, looks;

		assert_false(is_done(what, ~0u, &most));
		assert_true(most > 10);
		assert_true(is_done(what, 1, &looks));
		assert_true(is_done(what, most, &looks));
		assert_int_equal(looks, most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_done_when_time_is_up_counts),
		cmocka_unit_test(a_unit_that_works_is_not_given_up),
		cmocka_unit_test(every_wait_ends),
		cmocka_unit_test(a_clock_that_was_set_silences_no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
