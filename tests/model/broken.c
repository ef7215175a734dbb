/* SPDX-License-Identifier: MIT */
/*
 * Broken hardware, memory that runs out, protected regions; and that a seed
 * makes every run the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static void dead_unit_reads_all_ones(void **state)
{
	(void)state;
	ready("plain");
	model_unit_gone(d.m, 0, 2);
	assert_int_not_equal(mini_read32(&d, VER), 0xffffffff);
	mini_read32(&d, VER);
	assert_int_equal(mini_read32(&d, VER), 0xffffffff);
	assert_int_equal(mini_read64(&d, CAP), ~0ull);
	mini_close(&d, true);
}

static void hung_unit_is_noticed_by_a_deadline(void **state)
{
	(void)state;
	ready("plain");
	model_unit_hang(d.m, 0, 0);
	assert_false(mini_wait(&d));
	mini_close(&d, true);
}

static void endless_polling_is_blamed(void **state)
{
	(void)state;
	ready("no-qi");
	model_unit_hang(d.m, 0, 0);
	mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
	/* No deadline at all: the model ends it. */
	while (mini_read64(&d, CCMD) >> 63)
		;
	expect(MODEL_V_WAIT);
}

static void nth_wait_fails_once(void **state)
{
	(void)state;
	ready("plain");
	model_fail_wait(d.m, 2);
	assert_true(mini_wait(&d));
	assert_false(mini_wait(&d));
	mini_close(&d, true);
}

static void nth_allocation_fails(void **state)
{
	(void)state;
	cold("plain");
	model_fail_alloc(d.m, 2, false);
	assert_int_not_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_not_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_failures(d.m), 1);
	model_fail_alloc(d.m, 1, true);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_failures(d.m), 3);
	mini_close(&d, true);
}

static void protected_regions_block_before_translation(void **state)
{
	uint64_t v = 0;

	(void)state;
	cold("protected-regions");
	frame = model_page_alloc(d.m, 0, 9);
	mini_write32(&d, PLMBASE, 0);
	mini_write32(&d, PLMLIMIT, 0xffe00000);
	assert_true(can_write(DEV, frame));
	mini_write32(&d, PMEN, mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, PMEN) & PMEN_PRS);
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, frame, &v, 8), MODEL_DMA_BLOCKED);
	mini_close(&d, true);
}

static void seed_decides_everything(void **state)
{
	struct model_counters a, b;
	uint64_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		mini_open(&d, model_create_simple("plain", MODEL_RANDOM, 42));
		mini_start(&d);
		for (int n = 0; n < 50; n++)
			mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		model_counters(d.m, i ? &b : &a);
		t[i] = model_now(d.m);
		mini_close(&d, true);
	}
	assert_int_equal(t[0], t[1]);
	assert_memory_equal(&a, &b, sizeof a);
}

static void reach_of_protected_regions(void **state)
{
	static const struct {
		uint64_t at;
		bool low, high;
	} places[] = {{0, false, false}, {0x1ffff8, false, false},
		{0x200000, true, false}, {0x5ffff8, true, false},
		{0x600000, false, false}, {0x7ffff8, false, false},
		{0x800000, false, true}, {0x9ffff8, false, true},
		{0xa00000, false, false}};
	struct model_personality kind =
		*model_personality_find("protected-regions");
	uint64_t v;

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		bool on = n & 1, later = n & 2;

		kind.version = later ? 0x20 : 0x10;
		mini_open(
			&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		mini_attach(&d, DEV, 0, DID, TT_PASS);
		if (on)
			mini_start(&d);
		mini_write32(&d, PLMBASE, 0x200000);
		mini_write32(&d, PLMLIMIT, 0x400000);
		mini_write64(&d, PHMBASE, 0x800000);
		mini_write64(&d, PHMLIMIT, 0x800000);
		assert_int_equal(model_dma_read(d.m, 0, DEV, 0x200000, &v, 8),
			MODEL_DMA_OK);
		mini_write32(
			&d, PMEN, mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
		model_advance(d.m, 10000);
		/* Old units trust their own translation. */
		for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
			assert_int_equal(
				model_dma_read(d.m, 0, DEV, places[i].at, &v,
					8) == MODEL_DMA_BLOCKED,
				(places[i].low || places[i].high) &&
					(!on || later));
		mini_write32(&d, PLMBASE, 0);
		only(MODEL_V_COMMAND);
		model_violations_clear(d.m);
		mini_write32(
			&d, PMEN, mini_read32(&d, PMEN) & ~(uint32_t)PMEN_EPM);
		model_advance(d.m, 10000);
		assert_int_equal(model_dma_read(d.m, 0, DEV, 0x200000, &v, 8),
			MODEL_DMA_OK);
		mini_close(&d, true);
	}
}

static void nth_access_is_the_last(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 4; n++) {
		cold("plain");
		model_unit_gone(d.m, 0, n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(mini_read32(&d, VER), 0x10);
		assert_int_equal(mini_read32(&d, VER), ~0u);
		mini_write32(&d, FEDATA, 1);
		mini_close(&d, true);
		cold("plain");
		model_unit_hang(d.m, 0, n);
		for (unsigned i = 0; i + 1 < n; i++)
			mini_read32(&d, VER);
		mini_write64(&d, RTADDR, d.root);
		mini_write32(&d, GCMD, (uint32_t)G_RTP);
		model_advance(d.m, 1000000);
		assert_false(mini_read32(&d, GSTS) & (uint32_t)G_RTP);
		mini_close(&d, true);
	}
	/* Units that are not there. */
	model_create_simple("none", MODEL_LAZY, 1);
	cold("plain");
	model_unit_gone(d.m, 1, 0);
	model_unit_hang(d.m, 1, 0);
	model_unit_error(d.m, 1, FSTS_IQE);
	model_unit_reset(d.m, 1);
	assert_int_equal(mini_read32(&d, VER), 0x10);
	mini_close(&d, true);
}

static void what_is_left_on_is_counted(void **state)
{
	(void)state;
	mini_open(&d,
		model_create_usual(model_personality_find("plain"), MODEL_LAZY,
			0, 1, true));
	/* Roots, a context each, a page in each of 16 domains, interrupts. */
	assert_int_equal(model_cached(d.m, 0), 256 + 10 + 16 + 64);
	for (unsigned i = 0; i < 64; i++)
		assert_true(model_msi(d.m, 0, DEV, 0xfee00010ull | i << 5, 0));
	assert_false(model_msi(d.m, 0, DEV, 0xfee00010ull | 300 << 5, 0));
	assert_null(model_ptr(d.m, 64 << 20));
	assert_non_null(model_ptr(d.m, (64 << 20) - 1));
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dead_unit_reads_all_ones),
		T(hung_unit_is_noticed_by_a_deadline),
		T(endless_polling_is_blamed),
		T(nth_wait_fails_once),
		T(nth_allocation_fails),
		T(protected_regions_block_before_translation),
		T(seed_decides_everything),
		T(reach_of_protected_regions),
		T(nth_access_is_the_last),
		T(what_is_left_on_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
