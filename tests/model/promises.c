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
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include "support/lent.h"
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

/** The hooks of a machine that is on, and a page of locks. */
static void lend_ready(void)
{
	ready(MODEL_LAZY);
	lend(d.m, 0);
}

static bool was_let_in;

static void *wait_for_it(void *nothing)
{
	hold(0);
	__atomic_store_n(&was_let_in, true, __ATOMIC_SEQ_CST);
	let_go(0);
	return nothing;
}

static void lock_lets_in_one_at_a_time(void **state)
{
	pthread_t other;

	(void)state;
	lend_ready();
	hold(0);
	assert_int_equal(pthread_create(&other, NULL, wait_for_it, NULL), 0);
	for (unsigned n = 0; n < 2000; n++) {
		sched_yield();
		assert_false(__atomic_load_n(&was_let_in, __ATOMIC_SEQ_CST));
	}
	let_go(0);
	assert_int_equal(pthread_join(other, NULL), 0);
	assert_true(was_let_in);
	done(MODEL_V_WAIT, 0);
}

static void most_pages_at_once(void **state)
{
	iommu_phys_t phys;
	void *pages;

	(void)state;
	lend_ready();
	pages = hooks.page_alloc(hooks.ctx, 8, &phys);
	hooks.page_free(hooks.ctx, pages, phys, 8);
	assert_int_equal(model_violation_count(d.m), 0);
	hooks.page_alloc(hooks.ctx, 9, &phys);
	done(MODEL_V_ADDRESS, 1);
}

static void locks_have_one_order(void **state)
{
	(void)state;
	lend_ready();
	both(0, 1);
	both(1, 2);
	both(0, 1);
	both(0, 2);
	/* What was held before is held no more. */
	both(3, 2);
	both(3, 1);
	both(3, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	/* By way of another. */
	both(2, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_WAIT), 1);
	/* Other locks at the same place have no past. */
	model_violations_clear(d.m);
	hooks.page_free(hooks.ctx, locks, place, 0);
	assert_ptr_equal(hooks.page_alloc(hooks.ctx, 0, &place), locks);
	both(1, 0);
	assert_int_equal(host.locks_held, 0);
	done(MODEL_V_WAIT, 0);
}

/** A host restores with each lock the state of interrupts before it. */
static void locks_are_given_back_in_reverse(void **state)
{
	(void)state;
	lend_ready();
	both(0, 1);
	assert_int_equal(model_violation_count(d.m), 0);
	hold(0);
	hold(1);
	let_go(0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_WAIT), 1);
	let_go(1);
	assert_int_equal(host.locks_held, 0);
	done(MODEL_V_WAIT, 1);
}

static void lock_is_not_held_over_a_wait(void **state)
{
	(void)state;
	lend_ready();
	hooks.relax(hooks.ctx, 500);
	assert_int_equal(host.longest_wait, 500);
	hooks.relax(hooks.ctx, 400);
	assert_int_equal(host.longest_wait, 500);
	assert_int_equal(model_violation_count(d.m), 0);
	hold(0);
	hooks.relax(hooks.ctx, 0);
	let_go(0);
	assert_int_equal(host.relaxed, 3);
	done(MODEL_V_WAIT, 1);
}

static void no_memory_where_it_is_forbidden(void **state)
{
	iommu_phys_t phys;

	(void)state;
	lend_ready();
	hooks.page_alloc(hooks.ctx, 0, &phys);
	assert_int_equal(model_violation_count(d.m), 0);
	host.forbid_alloc = true;
	hooks.page_alloc(hooks.ctx, 0, &phys);
	done(MODEL_V_WAIT, 1);
}

static void lock_given_back_that_was_not_taken(void **state)
{
	(void)state;
	lend_ready();
	hold(0);
	hold(1);
	assert_int_equal(host.locks_held, 2);
	hooks.unlock(hooks.ctx, &locks[1], 0x5b);
	assert_int_equal(model_violations_of(d.m, MODEL_V_WAIT), 1);
	let_go(0);
	assert_int_equal(model_violation_count(d.m), 1);
	hold(0);
	let_go(0);
	locks[0].opaque[0] = 0;
	hold(1);
	hooks.unlock(hooks.ctx, &locks[0], 0x5a);
	assert_int_equal(model_violation(d.m, 0)->count, 2);
	done(MODEL_V_WAIT, 1);
}

static void what_is_left_is_told(void **state)
{
	iommu_phys_t phys;
	void *page;
	size_t own;

	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_LAZY, 1));
	own = model_pages_in_use(d.m, MODEL_OWNER_DRIVER);
	assert_int_equal(own, 4);
	for (uint64_t page = 0; page < 4; page++)
		model_page_free(d.m, page << 12, 0);
	model_host_init(&host, d.m, &hooks);
	assert_int_equal(model_host_check_leaks(&host), 0);
	page = hooks.page_alloc(hooks.ctx, 1, &phys);
	assert_int_equal(model_host_check_leaks(&host), 1);
	assert_non_null(hooks.regs_map(hooks.ctx, iommu_phys(d.base), 4096));
	assert_int_equal(model_host_check_leaks(&host), 2);
	locks = page;
	hold(0);
	assert_int_equal(model_host_check_leaks(&host), 3);
	let_go(0);
	hooks.regs_unmap(hooks.ctx, NULL, 4096);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FREE), 2);
	assert_int_equal(model_violations_of(d.m, MODEL_V_WAIT), 1);
	/* With another pointer, and then right. */
	hooks.page_free(hooks.ctx, (char *)page + 4096, phys, 1);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FREE), 3);
	assert_int_equal(model_host_check_leaks(&host), 0);
	model_destroy(d.m);
}

static void registers_are_mapped_by_the_page(void **state)
{
	(void)state;
	lend_ready();
	hooks.regs_map(hooks.ctx, iommu_phys(d.base), 0);
	hooks.regs_map(hooks.ctx, iommu_phys(d.base), 100);
	hooks.regs_map(hooks.ctx, iommu_phys(d.base + 8), 4096);
	assert_int_equal(model_violations_of(d.m, MODEL_V_ACCESS), 3);
	host.forbid_map = true;
	assert_null(hooks.regs_map(hooks.ctx, iommu_phys(d.base), 4096));
	assert_int_equal(host.maps, 3);
	done(MODEL_V_ACCESS, 3);
}

static void command_in_flight_at_rest(void **state)
{
	(void)state;
	ready(MODEL_LAZY);
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_write64(&d, RTADDR, d.root);
	mini_write32(&d, GCMD, (uint32_t)(G_TE | G_QIE | G_RTP));
	assert_int_equal(model_checkpoint(d.m), 1);
	done(MODEL_V_COMMAND, 1);
}

/* ---- what the host's hooks do ----------------------------------------------
 */

static void hooks_reach_the_machine(void **state)
{
	iommu_phys_t phys;
	struct iommu_msi_message msi;
	uint8_t *page;
	void *regs;

	(void)state;
	mini_open(&d, model_create_simple("non-coherent", MODEL_LAZY, 1));
	model_host_init(&host, d.m, &hooks);
	page = hooks.page_alloc(hooks.ctx, 1, &phys);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(page[i], 0);
	assert_ptr_equal(hooks.phys_to_virt(hooks.ctx, phys), page);
	assert_ptr_equal((char *)hooks.direct_map + phys.v, page);
	regs = hooks.regs_map(hooks.ctx, iommu_phys(d.base), 4096);
	hooks.reg_write(hooks.ctx, regs, RTADDR, 8, 0x123400000);
	assert_int_equal(mini_read64(&d, RTADDR), 0x123400000);
	assert_int_equal(
		hooks.reg_read(hooks.ctx, regs, RTADDR, 8), 0x123400000);
	assert_int_equal(hooks.reg_read(hooks.ctx, regs, RTADDR + 4, 4), 1);
	hooks.reg_write(hooks.ctx, regs, FEDATA, 4, 0x77);
	assert_int_equal(mini_read32(&d, FEDATA), 0x77);
	hooks.pci_write(hooks.ctx, 0, 0, DEV, 0x10, 4, 0x5555);
	assert_int_equal(hooks.pci_read(hooks.ctx, 0, 0, DEV, 0x10, 4), 0x5555);
	/* Lines are written back where they are. */
	mini_start(&d);
	top = mini_page(&d);
	mini_attach(&d, DEV, top, DID, TT_SS);
	d.coherent = true;
	mini_map(&d, top, AT, model_page_alloc(d.m, 0, 9), 3);
	for (unsigned level = 1; level <= 4; level++) {
		uint64_t at = mini_slot(&d, top, 4, AT, level);

		hooks.cache_flush(hooks.ctx, model_ptr(d.m, at), 8);
	}
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, AT, &msi, 4), MODEL_DMA_OK);
	assert_true(hooks.unit_msi(hooks.ctx, 3, &msi));
	assert_int_equal(msi.address, 0xfee00000);
	assert_int_equal(msi.data, MODEL_HOST_VECTOR + 3);
	assert_true(hooks.now_ns(hooks.ctx) < hooks.now_ns(hooks.ctx));
	hooks.log(hooks.ctx, IOMMU_LOG_ERROR, "some line");
	assert_int_equal(host.logged[IOMMU_LOG_ERROR], 1);
	assert_string_equal(host.last_line, "some line");
	model_destroy(d.m);
}

static void interrupts_are_sorted(void **state)
{
	(void)state;
	lend_ready();
	assert_true(model_msi(d.m, 0, DEV, 0xfee00000, 0x31));
	assert_int_equal(host.device_interrupts, 1);
	assert_int_equal(host.last_interrupt.data, 0x31);
	assert_int_equal(host.unit_interrupts, 0);
	mini_write32(&d, FEADDR, 0xfee00000);
	mini_write32(&d, FEDATA, MODEL_HOST_VECTOR);
	mini_write32(&d, FECTL, mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(host.unit_interrupts, 1);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_read32(&d, FSTS);
	mini_write32(&d, FSTS, FSTS_ICE);
	mini_write32(&d, FEDATA, MODEL_HOST_VECTOR + 1);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(host.device_interrupts, 1);
	done(MODEL_V_INTERRUPT, 1);
}

/* ---- what the judge says
 * ----------------------------------------------------- */

static void report_says_what_where_and_how_often(void **state)
{
	char text[8192];
	FILE *file;
	size_t len;

	(void)state;
	assert_string_equal(model_rule_name(MODEL_V_WALK), "walk");
	assert_string_equal(model_rule_name(MODEL_V_NEEDED), "needed");
	assert_string_equal(model_rule_name((enum model_rule)0), "?");
	assert_string_equal(model_rule_name(MODEL_RULES), "?");
	for (int wrong = 0; wrong < 2; wrong++) {
		mini_open(
			&d, model_create_simple("plain", MODEL_RANDOM, 0xabc));
		for (unsigned i = 0; wrong && i < 2; i++)
			mini_read32(&d, GCMD);
		for (unsigned i = 0; wrong && i < 30; i++)
			model_write32(d.m, d.base + 0xf00 + 4 * i, 0);
		assert_int_equal(model_violation_count(d.m), wrong ? 31 : 0);
		assert_int_equal(model_violations_of(d.m, MODEL_V_ACCESS),
			wrong ? 31 : 0);
		assert_null(model_violation(d.m, wrong ? 31 : 0));
		if (wrong)
			assert_int_equal(model_violation(d.m, 0)->count, 2);
		file = tmpfile();
		model_report(d.m, file);
		rewind(file);
		len = fread(text, 1, sizeof text - 1, file);
		text[len] = 0;
		fclose(file);
		assert_int_equal(len > 0, wrong);
		if (wrong) {
			assert_non_null(strstr(text,
				"unit 0: access: read of the write-only GCMD "
				"at "
				"offset 0x18 (VT-d 11.2), 2 times\n"));
			assert_non_null(
				strstr(text, "offset 0xf74 (VT-d 11.2)\n"));
			assert_non_null(strstr(
				text, "unit 0 is plain: version 0x10, CAP 0x"));
			assert_non_null(strstr(text, "mode 1, seed 0xabc\n"));
			/* Somewhere in this file the driver was. */
			assert_non_null(strstr(text, "\n\t"));
		}
		model_violations_clear(d.m);
		assert_int_equal(model_violation_count(d.m), 0);
		model_destroy(d.m);
	}
}

/* One page after the other is tried, not only the first. */
static void every_page_that_firmware_uses(void **state)
{
	uint64_t pages;

	(void)state;
	ready(MODEL_LAZY);
	pages = model_page_alloc(d.m, 2, 9);
	for (uint64_t n = 0; n < 4; n++)
		mini_map(&d, top, pages + (n << 12), pages + (n << 12), 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	model_device_needs(d.m, 0, DEV, pages, pages + 0x3fff);
	model_advance(d.m, 100000);
	assert_int_equal(model_violation_count(d.m), 0);
	for (uint64_t n = 0; n < 4; n++) {
		uint64_t slot = mini_slot(&d, top, 4, pages + (n << 12), 1);

		mini_store(&d, slot, 0);
		mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
		model_advance(d.m, 100000);
		assert_int_equal(
			model_violations_of(d.m, MODEL_V_NEEDED), n + 1);
	}
	model_destroy(d.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_of_nobody),
		cmocka_unit_test(memory_that_firmware_uses),
		cmocka_unit_test(memory_at_another_place),
		cmocka_unit_test(power_goes_from_a_unit_at_work),
		cmocka_unit_test(lock_lets_in_one_at_a_time),
		cmocka_unit_test(locks_have_one_order),
		cmocka_unit_test(locks_are_given_back_in_reverse),
		cmocka_unit_test(most_pages_at_once),
		cmocka_unit_test(lock_is_not_held_over_a_wait),
		cmocka_unit_test(no_memory_where_it_is_forbidden),
		cmocka_unit_test(lock_given_back_that_was_not_taken),
		cmocka_unit_test(what_is_left_is_told),
		cmocka_unit_test(registers_are_mapped_by_the_page),
		cmocka_unit_test(command_in_flight_at_rest),
		cmocka_unit_test(hooks_reach_the_machine),
		cmocka_unit_test(interrupts_are_sorted),
		cmocka_unit_test(report_says_what_where_and_how_often),
		cmocka_unit_test(every_page_that_firmware_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
