/* SPDX-License-Identifier: MIT */
/*
 * What the judge asks at rest, and of whom: the first of every kind is looked
 * at like the others, a unit that is gone or hangs answers for nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

#define FAR MODEL_BDF(1, 0, 0)

/* 00:00.0, with a device TLB. */
#define FIRST 0

static void first_function(unsigned type)
{
	const struct model_function_desc f = {.bdf = FIRST,
		.kind = MODEL_INTEGRATED,
		.unit = -1,
		.ats = true};

	with_functions("plain", 0, &f, 1);
	mapped();
	mini_attach(&d, FIRST, top, DID, type);
	assert_true(can_write(FIRST, 0x10000));
	assert_int_equal(model_checkpoint(d.m), 0);
}

/* ---- the first of every kind ----------------------------------------------
 */

static void context_of_the_first_function(void **state)
{
	(void)state;
	first_function(TT_SS);
	take_context(FIRST);
	assert_int_equal(model_checkpoint(d.m), 1);
	assert_true(said("context entry of 00:00.0 "));
	expect(MODEL_V_STALE);
	/* Flushed, it is forgotten. */
	first_function(TT_SS);
	take_context(FIRST);
	mini_flush_context(&d, GRAN_NARROW, DID, FIRST);
	flush_domain();
	assert_false(can_write(FIRST, 0x10000));
	expect_nothing();
	/* The pages before the context: they came back. */
	first_function(TT_SS);
	take_context(FIRST);
	flush_domain();
	mini_flush_context(&d, GRAN_NARROW, DID, FIRST);
	expect_at_checkpoint(MODEL_V_ORDER);
	/* It alone holds the table. */
	first_function(TT_SS);
	take_context(FIRST);
	model_page_free(d.m, top, 0);
	assert_true(said("a cached table pointer"));
	expect(MODEL_V_FREE);
}

static void device_tlb_of_the_first_function(void **state)
{
	(void)state;
	first_function(TT_ATS);
	ats_on(FIRST);
	assert_true(model_ats_request(d.m, 0, FIRST, 0x10000, true));
	set_leaf(0x10000, 0);
	flush_domain();
	assert_int_equal(model_checkpoint(d.m), 1);
	expect(MODEL_V_STALE);
}

static void first_entry_that_is_cached(void **state)
{
	(void)state;
	cold("39-bit");
	mini_start(&d);
	top = mini_page(&d);
	/* A gigabyte: there is nothing before it. */
	mini_store(&d, top, SS_PS | 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x1008));
	mini_store(&d, top, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	expect(MODEL_V_STALE);
}

static void context_of_another_bus_is_named(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, FAR, top, DID, TT_SS);
	assert_true(can_write(FAR, 0x10000));
	take_context(FAR);
	assert_int_equal(model_checkpoint(d.m), 1);
	assert_true(said("context entry of 01:00.0 "));
	expect(MODEL_V_STALE);
}

/* ---- device TLBs ------------------------------------------------------------
 */

/* Whatever else is in its context entry, and if there is none. */
static void device_tlb_left_on(void **state)
{
	static const unsigned types[] = {TT_SS, TT_PASS, TT_ATS};

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		ready("plain");
		if (n < 3)
			mini_attach(&d, ATS, top, DID, types[n]);
		ats_on(ATS);
		assert_int_equal(model_checkpoint(d.m), n != 2);
		assert_int_equal(model_violations_of(d.m, MODEL_V_ATS), n != 2);
		mini_close(&d, n == 2);
	}
}

/* ---- units that do not answer
 * ------------------------------------------------ */

static void everything_pending(void)
{
	ready("plain");
	/* A flush without a wait, and a command. */
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
	mini_ring(&d);
	model_advance(d.m, 1000000);
	mini_write64(&d, RTADDR, d.root);
	mini_write32(&d, GCMD, (uint32_t)(G_TE | G_QIE | G_RTP));
}

static void unit_that_does_not_answer_has_nothing_pending(void **state)
{
	(void)state;
	everything_pending();
	assert_int_equal(model_checkpoint(d.m), 2);
	mini_close(&d, false);
	for (unsigned n = 0; n < 2; n++) {
		everything_pending();
		model_violations_clear(d.m);
		if (n)
			model_unit_gone(d.m, 0, 0);
		else
			model_unit_hang(d.m, 0, 0);
		mini_read32(&d, GSTS);
		assert_int_equal(model_checkpoint(d.m), 0);
		mini_close(&d, true);
	}
}

static void unit_that_is_gone_has_nothing_old(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	take_context(DEV);
	model_unit_gone(d.m, 0, 0);
	mini_read32(&d, GSTS);
	expect_nothing();
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(context_of_the_first_function),
		T(device_tlb_of_the_first_function),
		T(first_entry_that_is_cached),
		T(context_of_another_bus_is_named),
		T(device_tlb_left_on),
		T(unit_that_does_not_answer_has_nothing_pending),
		T(unit_that_is_gone_has_nothing_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
