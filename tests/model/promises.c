/* SPDX-License-Identifier: MIT */
/*
 * Promises of a driver that no single flush shows: a device of nobody reaches
 * nothing, one that firmware works with never loses its memory, the power goes
 * only from a unit at rest, and locks have one order. Each is broken here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <model/host.h>
#include <string.h>
#include "support/mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define DID 5
#define AT 0x40000ull

static struct mini d;
static uint64_t top;

static void ready(enum model_mode mode)
{
	mini_open(&d, model_create_simple("plain", mode, 1));
	mini_start(&d);
	top = mini_page(&d);
}

static void done(enum model_rule rule, size_t times)
{
	assert_int_equal(model_violations_of(d.m, rule), times);
	model_destroy(d.m);
}

static void device_of_nobody(void **state)
{
	uint64_t value = 1;

	(void)state;
	ready(MODEL_LAZY);
	mini_map(&d, top, AT, model_page_alloc(d.m, 0, 9), SS_R | SS_W);
	model_device_expect(d.m, 0, DEV, MODEL_NOBODY);
	assert_int_equal(
		model_dma_write(d.m, 0, DEV, AT, &value, 8), MODEL_DMA_BLOCKED);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_int_equal(
		model_dma_write(d.m, 0, DEV, AT, &value, 8), MODEL_DMA_OK);
	done(MODEL_V_OPEN, 1);
}

static void memory_that_firmware_uses(void **state)
{
	uint64_t page;

	(void)state;
	ready(MODEL_LAZY);
	page = model_page_alloc(d.m, 0, 9);
	mini_map(&d, top, page, page, SS_R | SS_W);
	/* Never to be refused once it is there. */
	mini_attach(&d, DEV, top, DID, TT_SS);
	model_device_needs(d.m, 0, DEV, page, page + 0xfff);
	model_advance(d.m, 100000);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_store(&d, mini_context(&d, DEV), 0);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	assert_true(model_violations_of(d.m, MODEL_V_NEEDED) > 0);
	model_violations_clear(d.m);
	model_device_needs(d.m, 0, DEV, 0, 0);
	model_advance(d.m, 100000);
	done(MODEL_V_NEEDED, 0);
}

static void memory_at_another_place(void **state)
{
	uint64_t page;

	(void)state;
	ready(MODEL_LAZY);
	page = model_page_alloc(d.m, 0, 9);
	mini_map(&d, top, page, page + 0x1000, SS_R | SS_W);
	mini_attach(&d, DEV, top, DID, TT_SS);
	model_device_needs(d.m, 0, DEV, page, page + 0xfff);
	model_advance(d.m, 100000);
	done(MODEL_V_NEEDED, 1);
}

static void power_goes_from_a_unit_at_work(void **state)
{
	(void)state;
	ready(MODEL_LAZY);
	model_unit_reset(d.m, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_COMMAND), 1);
	/* Now it is off. */
	model_violations_clear(d.m);
	model_unit_reset(d.m, 0);
	done(MODEL_V_COMMAND, 0);
}

/* ---- locks ----------------------------------------------------------------
 */

static struct iommu_host hooks;
static struct model_host host;
static struct iommu_lock *locks;

static void hold(unsigned n)
{
	hooks.lock(hooks.ctx, &locks[n]);
}

static void let_go(unsigned n)
{
	hooks.unlock(hooks.ctx, &locks[n], 0x5a);
}

static void both(unsigned first, unsigned then)
{
	hold(first);
	hold(then);
	let_go(first);
	let_go(then);
}

static void locks_have_one_order(void **state)
{
	iommu_phys_t phys;

	(void)state;
	ready(MODEL_LAZY);
	model_host_init(&host, d.m, &hooks);
	locks = hooks.page_alloc(hooks.ctx, 0, &phys);
	both(0, 1);
	both(1, 2);
	both(0, 1);
	both(0, 2);
	assert_int_equal(model_violation_count(d.m), 0);
	/* By way of another. */
	both(2, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_WAIT), 1);
	/* Other locks at the same place have no past. */
	model_violations_clear(d.m);
	hooks.page_free(hooks.ctx, locks, phys, 0);
	assert_ptr_equal(hooks.page_alloc(hooks.ctx, 0, &phys), locks);
	both(1, 0);
	assert_int_equal(host.locks_held, 0);
	done(MODEL_V_WAIT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_of_nobody),
		cmocka_unit_test(memory_that_firmware_uses),
		cmocka_unit_test(memory_at_another_place),
		cmocka_unit_test(power_goes_from_a_unit_at_work),
		cmocka_unit_test(locks_have_one_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
