/* SPDX-License-Identifier: MIT */
/*
 * Flushes that are all there, but in the wrong order or never waited for, and
 * those that nobody needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static void iotlb_before_context(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	flush_domain();
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	expect_at_checkpoint(MODEL_V_ORDER);
}

static void iotlb_before_context_in_one_batch(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_queue(&d,
		DESC_IOTLB | GRAN_DOMAIN << 4 | BIT(6) | BIT(7) | DID << 16, 0);
	mini_queue(&d,
		DESC_CC | GRAN_NARROW << 4 | (uint64_t)DID << 16 |
			(uint64_t)DEV << 32,
		0);
	mini_wait(&d);
	expect_at_checkpoint(MODEL_V_ORDER);
}

static void global_iotlb_before_global_context(void **state)
{
	(void)state;
	cold("plain");
	mini_queue_on(&d);
	mini_set_root(&d);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_translation(&d, true);
	expect_at_checkpoint(MODEL_V_ORDER);
}

static void flush_without_a_wait(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	mini_queue(&d,
		DESC_IOTLB | GRAN_DOMAIN << 4 | BIT(6) | BIT(7) | DID << 16, 0);
	mini_ring(&d);
	model_advance(d.m, 1000000);
	/* The head moved; nothing else happened. */
	assert_int_equal(mini_read64(&d, IQH), mini_read64(&d, IQT));
	assert_true(can_write(DEV, 0x10000));
	/* The page, and that nothing awaits its flush. */
	assert_int_equal(model_checkpoint(d.m), 2);
	assert_int_equal(model_violations_of(d.m, MODEL_V_ORDER), 1);
	mini_close(&d, false);
}

static void superfluous_flushes_are_counted(void **state)
{
	uint64_t before;

	(void)state;
	ready("plain");
	before = superfluous();
	flush_domain();
	assert_int_equal(superfluous() - before, 1);
	assert_true(can_write(DEV, 0x10000));
	set_leaf(0x10000, 0);
	flush_domain();
	assert_int_equal(superfluous() - before, 1);
	mini_close(&d, true);
}

/* Between the change of an entry and its flush another CPU, with another device
 * of the domain, may flush what it likes. */
static void another_cpu_flushes_in_between(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	flush_domain();
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	flush_domain();
	expect_nothing();
}

static void two_cpus_in_one_batch(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
	mini_queue(&d,
		DESC_CC | GRAN_NARROW << 4 | (uint64_t)DID << 16 |
			(uint64_t)DEV << 32,
		0);
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
	mini_wait(&d);
	expect_nothing();
}

static void context_flush_owes_one_of_its_domain(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	/* Neither some of its pages nor another domain will do. */
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 9, false);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID + 1, 0, 0, false);
	assert_int_equal(model_checkpoint(d.m), 1);
	only(MODEL_V_STALE);
	model_violations_clear(d.m);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	expect_nothing();
}

static void entry_that_says_the_same_owes_nothing(void **state)
{
	(void)state;
	ready("plain");
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	expect_nothing();
}

static void queued_flush_comes_at_any_time(void **state)
{
	unsigned early = 0;

	(void)state;
	for (unsigned seed = 0; seed < 32; seed++) {
		by_chance("plain", seed);
		attached();
		assert_true(can_write(DEV, 0x10000));
		set_leaf(0x10000, 0);
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
		mini_ring(&d);
		model_advance(d.m, 100000);
		early += !can_write(DEV, 0x10000);
		assert_true(mini_wait(&d));
		assert_false(can_write(DEV, 0x10000));
		mini_close(&d, true);
	}
	assert_in_range(early, 4, 28);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(iotlb_before_context),
		T(iotlb_before_context_in_one_batch),
		T(global_iotlb_before_global_context),
		T(flush_without_a_wait),
		T(superfluous_flushes_are_counted),
		T(another_cpu_flushes_in_between),
		T(two_cpus_in_one_batch),
		T(context_flush_owes_one_of_its_domain),
		T(entry_that_says_the_same_owes_nothing),
		T(queued_flush_comes_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
