/* SPDX-License-Identifier: MIT */
/*
 * How time passes, to the nanosecond, and what becomes of commands that are
 * never done: how long a driver may poll, and that it is told of each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/aborts.h"
#include "support/attached.h"

static uint64_t one_look(void)
{
	uint64_t was = model_now(d.m);

	return model_now(d.m) - was;
}

/* Each look takes 100 ns, and itself moves the clock. */
static void accesses_take_their_time(void **state)
{
	static const enum model_mode modes[] = {
		MODEL_LAZY, MODEL_RANDOM, MODEL_BENIGN};
	uint64_t was;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		mini_open(&d, model_create_simple("plain", modes[i], 1));
		was = model_now(d.m);
		mini_read32(&d, GSTS);
		assert_int_equal(model_now(d.m) - was, 100 + 200);
		was = model_now(d.m);
		mini_write32(&d, FEDATA, 0);
		assert_int_equal(model_now(d.m) - was, 100 + 50);
		mini_close(&d, true);
	}
	/* Two machines begin at the same time, and not at none. */
	cold("plain");
	was = model_now(d.m);
	mini_close(&d, true);
	cold("plain");
	assert_int_equal(model_now(d.m), was);
	assert_true(was >= 1000000);
	mini_close(&d, true);
}

static void by_write(void)
{
	mini_write32(&d, FEDATA, 0);
}

static void by_request(void)
{
	uint64_t v;

	model_dma_read(d.m, 0, DEV, 0x10000, &v, 8);
}

static void by_interrupt(void)
{
	assert_true(model_msi(d.m, 0, DEV, 0xfee00000, 0x41));
}

static void by_error(void)
{
	model_unit_error(d.m, 0, FSTS_ICE);
}

/* 256 looks that bring nothing, 16 more, and from there on twice as much after
 * every 16. */
static void time_runs_faster_by_steps(void **state)
{
	static void (*const happens[])(void) = {
		by_write, by_request, by_interrupt, by_error};

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		uint64_t was;

		ready("plain");
		for (unsigned i = 0; i < 300; i++)
			model_now(d.m);
		happens[n]();
		was = model_now(d.m);
		for (unsigned i = 2; i < 256 + 16 + 18 * 16; i++) {
			uint64_t now = model_now(d.m);
			unsigned shift = i < 256 + 16 ? 0 : (i - 256) / 16;

			assert_int_equal(
				now - was, 100ull << (shift < 17 ? shift : 17));
			was = now;
		}
		assert_int_equal(one_look(), 100 << 17);
		mini_close(&d, true);
	}
}

/* ---- commands that are never done ------------------------------------------
 */

static struct model_personality all_commands(void)
{
	struct model_personality kind =
		*model_personality_find("protected-regions");

	kind.ecap &= ~(ECAP_IR | ECAP_EIM | ECAP_DT);
	return kind;
}

enum {
	GLOBAL,
	CONTEXT,
	IOTLB,
	REGIONS,
	WAIT,
	COMMANDS
};

static unsigned place(unsigned command)
{
	return command == GLOBAL     ? GSTS
		: command == CONTEXT ? CCMD + 4
		: command == IOTLB   ? ECAP_IRO(d.ecap) + 12
		: command == REGIONS ? PMEN
				     : IQH;
}

/* Begins it; what is read at its place changes when it is done. */
static uint32_t begin(unsigned command)
{
	unsigned iotlb = ECAP_IRO(d.ecap) + 8;

	switch (command) {
	case GLOBAL:
		mini_write32(&d, GCMD, (uint32_t)G_RTP);
		break;
	case CONTEXT:
		mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
		break;
	case IOTLB:
		mini_write64(&d, iotlb,
			(mini_read64(&d, iotlb) & MASK(31, 0)) | IOTLB_IVT |
				1ull << 60);
		break;
	case REGIONS:
		mini_write32(
			&d, PMEN, mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
		break;
	default:
		mini_queue(&d, 7ull << 32 | BIT(5) | DESC_WAIT, d.status);
		mini_ring(&d);
	}
	return mini_read32(&d, place(command));
}

static bool is_done(unsigned command, uint32_t before)
{
	if (command == WAIT)
		return *(uint32_t *)model_ptr(d.m, d.status) == 7;
	return mini_read32(&d, place(command)) != before;
}

static void open_for(unsigned command)
{
	struct model_personality kind = all_commands();

	if (command != WAIT)
		kind.ecap &= ~ECAP_QI;
	mini_open(&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
	if (command == WAIT)
		mini_queue_on(&d);
}

/* Whether the unit forgot it or stopped: after ten minutes the driver is told,
 * and it is done. */
static void every_command_ends_after_ten_minutes(void **state)
{
	(void)state;
	for (unsigned command = 0; command < COMMANDS; command++)
		for (unsigned hung = 0; hung < 2; hung++) {
			uint32_t before;

			open_for(command);
			if (hung)
				model_unit_hang(d.m, 0, 0);
			else
				model_fail_wait(d.m, 1);
			before = begin(command);
			assert_int_equal(model_failures(d.m), !hung);
			/* A minute at a time. */
			for (unsigned n = 0; n < 9; n++)
				model_advance(d.m, 60000000000ull);
			assert_false(is_done(command, before));
			assert_int_equal(model_violation_count(d.m), 0);
			for (unsigned n = 0; n < 2; n++)
				model_advance(d.m, 60000000000ull);
			assert_true(is_done(command, before));
			assert_int_equal(model_violation(d.m, 0)->count, 1);
			expect(MODEL_V_WAIT);
		}
}

static void every_endless_wait_is_told(void **state)
{
	(void)state;
	open_for(CONTEXT);
	for (unsigned n = 1; n < 4; n++) {
		uint32_t before;

		model_fail_wait(d.m, 1);
		before = begin(CONTEXT);
		model_advance(d.m, 500000000000ull);
		assert_false(is_done(CONTEXT, before));
		for (unsigned i = 0; i < 4; i++)
			model_advance(d.m, 100000000000ull);
		assert_true(is_done(CONTEXT, before));
		assert_int_equal(model_violation(d.m, 0)->count, n);
		/* Time without a command counts for none. */
		model_advance(d.m, 500000000000ull);
	}
	expect(MODEL_V_WAIT);
}

/* A command that fails is one; those before and after are done. */
static void only_the_nth_command_fails(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth < 4; nth++) {
		open_for(CONTEXT);
		model_fail_wait(d.m, nth);
		for (unsigned n = 1; n < 4; n++) {
			uint32_t before = begin(CONTEXT);

			model_advance(d.m, 100000);
			assert_int_equal(is_done(CONTEXT, before), n != nth);
			assert_int_equal(model_failures(d.m), n >= nth);
			if (n == nth)
				break;
		}
		mini_close(&d, true);
	}
}

/* ---- the end ---------------------------------------------------------------
 */

static void destroy(void *ctx, struct model *m, const struct model_interrupt *i)
{
	(void)ctx;
	(void)i;
	model_destroy(m);
}

static void interrupt(void)
{
	model_msi(d.m, 0, DEV, 0xfee00000, 0x41);
}

/* Under somebody's feet it does not go away in silence. */
static void destroyed_by_a_callback(void **state)
{
	(void)state;
	cold("plain");
	model_on_interrupt(d.m, destroy, NULL);
	aborts(interrupt, "");
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(accesses_take_their_time),
		T(time_runs_faster_by_steps),
		T(every_command_ends_after_ten_minutes),
		T(every_endless_wait_is_told),
		T(only_the_nth_command_fails),
		T(destroyed_by_a_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
