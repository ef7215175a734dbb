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
	model_fail_alloc(d.m, 1, true);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
