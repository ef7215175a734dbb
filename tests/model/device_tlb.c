/* SPDX-License-Identifier: MIT */
/*
 * Device TLBs: translations that a device keeps, requests that it sends
 * translated, and devices that do not answer a flush.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

/* AT of a request that asks for a translation. */
#define TRANSLATION_REQUEST 1

static void ready_with_device_tlb(void)
{
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
}

static void device_tlb_flush_rules(void **state)
{
	(void)state;
	ready("plain");
	mini_flush_device(&d, ATS, 0, false);
	assert_int_equal(model_violations_of(d.m, MODEL_V_ATS), 1);
	expect_at_checkpoint(MODEL_V_ATS);
	ready_with_device_tlb();
	mini_translation(&d, false);
	mini_flush_device(&d, ATS, 0, false);
	expect_at_checkpoint(MODEL_V_ATS);
}

static void translated_requests_need_permission(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	assert_int_equal(model_dma_translated(d.m, 0, DEV, frame, &v, 8, true),
		MODEL_DMA_BLOCKED);
	assert_int_equal(model_last_fault(d.m), F_TT_BLOCKS);
	mini_attach(&d, ATS, top, DID, TT_ATS);
	assert_int_equal(model_dma_translated(d.m, 0, ATS, frame, &v, 8, true),
		MODEL_DMA_OK);
	mini_close(&d, true);
}

static void silent_device_times_out(void **state)
{
	(void)state;
	ready_with_device_tlb();
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	assert_int_equal(bits(mini_read64(&d, IQERCD), 47, 32), ATS);
	/* Cleared, the queue goes on with what is new. */
	mini_write32(&d, FSTS, FSTS_ITE);
	assert_true(mini_wait(&d));
	mini_close(&d, true);
}

static void late_device_delays_the_wait(void **state)
{
	uint64_t start;

	(void)state;
	ready_with_device_tlb();
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_LATE);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	start = model_now(d.m);
	assert_true(mini_wait(&d));
	assert_true(model_now(d.m) - start >= 900000);
	mini_close(&d, true);
}

static void removed_device_times_out(void **state)
{
	(void)state;
	ready_with_device_tlb();
	model_device_remove(d.m, 0, ATS);
	assert_int_equal(
		model_pci_read(d.m, 0, 0, (uint8_t)ATS, 0, 4), 0xffffffff);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	mini_close(&d, true);
}

static void device_tlb_without_flush(void **state)
{
	uint64_t v = 0;

	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	flush_domain();
	assert_int_equal(
		model_ats_dma(d.m, 0, ATS, 0x10000, &v, 8, true), MODEL_DMA_OK);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void device_tlb_flush_sizes(void **state)
{
	(void)state;
	ready_with_device_tlb();
	for (uint64_t iova = 0x10000; iova < 0x14000; iova += 0x1000) {
		set_leaf(iova, frame | 3);
		assert_true(model_ats_request(d.m, 0, ATS, iova, true));
	}
	for (uint64_t iova = 0x10000; iova < 0x14000; iova += 0x1000)
		set_leaf(iova, 0);
	flush_domain();
	/* S with the lowest zero at bit 12: two pages. */
	mini_flush_device(&d, ATS, 0x10000, true);
	assert_int_equal(model_checkpoint(d.m), 2);
	model_violations_clear(d.m);
	/* Lowest zero at bit 13: four pages. */
	mini_flush_device(&d, ATS, 0x11000, true);
	expect_nothing();
}

static void device_tlb_flush_of_everything(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	flush_domain();
	mini_flush_device(&d, ATS, 0x7ffffffffffff000, true);
	expect_nothing();
}

static void device_tlb_before_iotlb(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	mini_flush_device(&d, ATS, 0x10000, false);
	flush_domain();
	expect_at_checkpoint(MODEL_V_ORDER);
}

static void page_freed_before_the_device_forgets_it(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	flush_domain();
	model_page_free(d.m, frame, 0);
	only(MODEL_V_FREE);
	model_violations_clear(d.m);
	mini_flush_device(&d, ATS, 0x10000, false);
	frame = model_page_alloc(d.m, 0, OWNER);
	model_page_free(d.m, frame, 0);
	mini_close(&d, true);
}

/* Another CPU flushes its own page while the first has not come to its own. */
static void other_pages_of_the_device_in_between(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	mini_flush_device(&d, ATS, 0x40000, false);
	/* It may even be asked to forget this one. */
	mini_flush_device(&d, ATS, 0x10000, false);
	flush_domain();
	mini_flush_device(&d, ATS, 0x10000, false);
	expect_nothing();
}

static void device_tlb_left_on(void **state)
{
	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	take_context(ATS);
	mini_flush_context(&d, GRAN_NARROW, DID, ATS);
	flush_domain();
	mini_flush_device(&d, ATS, 0x7ffffffffffff000, true);
	assert_int_equal(model_checkpoint(d.m), 1);
	only(MODEL_V_ATS);
	model_violations_clear(d.m);
	model_pci_write(d.m, 0, 0, (uint8_t)ATS, 0x106, 2, 0);
	expect_nothing();
}

/* Also that of the only function there is. */
static void device_tlb_of_the_first_function_left_on(void **state)
{
	static const struct model_function_desc f = {
		.bdf = ATS, .kind = MODEL_INTEGRATED, .unit = -1, .ats = true};

	(void)state;
	with_functions("plain", 0, &f, 1);
	mapped();
	assert_int_equal(model_checkpoint(d.m), 0);
	ats_on(ATS);
	assert_int_equal(model_checkpoint(d.m), 1);
	expect(MODEL_V_ATS);
}

static void device_tlb_on_before_its_entry(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_SS);
	assert_true(can_write(ATS, 0x10000));
	ats_on(ATS);
	expect(MODEL_V_ATS);
	ready("no-ats");
	ats_on(ATS);
	expect(MODEL_V_ATS);
}

/* Every size that can be said: what is inside goes, the neighbour stays. */
static void device_tlb_flushes_of_all_sizes(void **state)
{
	(void)state;
	for (unsigned order = 1; order < 36; order++) {
		uint64_t size = 0x1000ull << order, v = 0;

		ready_with_device_tlb();
		set_leaf(0, frame | 3);
		set_leaf(size - 0x1000, frame | 3);
		set_leaf(size, frame | 3);
		assert_true(model_ats_request(d.m, 0, ATS, 0, true));
		assert_true(
			model_ats_request(d.m, 0, ATS, size - 0x1000, true));
		assert_true(model_ats_request(d.m, 0, ATS, size, true));
		set_leaf(0, 0);
		set_leaf(size - 0x1000, 0);
		flush_domain();
		mini_flush_device(&d, ATS, size / 2 - 0x1000, true);
		assert_int_equal(model_checkpoint(d.m), 0);
		/* It is kept: the tables say nothing of it any more. */
		set_leaf(size, 0);
		flush_domain();
		assert_int_equal(model_ats_dma(d.m, 0, ATS, size, &v, 8, true),
			MODEL_DMA_OK);
		mini_close(&d, true);
	}
}

static void translated_writes_wait_for_the_device_tlb(void **state)
{
	uint64_t v = 0x66;

	(void)state;
	ready_with_device_tlb();
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	assert_int_equal(
		model_ats_post(d.m, 0, ATS, 0x10000, &v, 8), MODEL_DMA_OK);
	set_leaf(0x10000, 0);
	/* That of the IOTLB drains only what it translates itself. */
	flush_domain();
	assert_int_equal(model_posted(d.m), 1);
	mini_flush_device(&d, ATS, 0x10000, false);
	assert_int_equal(model_posted(d.m), 0);
	assert_int_equal(*(uint64_t *)model_ptr(d.m, frame), 0x66);
	mini_close(&d, true);
}

static void forgiving_unit_takes_any_order(void **state)
{
	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_BENIGN, 1));
	mapped();
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	mini_flush_device(&d, ATS, 0x10000, false);
	flush_domain();
	expect_nothing();
}

static void requests_for_a_translation(void **state)
{
	uint64_t v = 0, run;

	(void)state;
	ready_with_device_tlb();
	set_leaf(0x20000, frame | SS_R);
	/* With the right asked for, and from one that may ask. */
	assert_false(model_ats_request(d.m, 0, ATS, 0x20000, true));
	assert_int_equal(model_last_fault(d.m), F_WRITE);
	assert_true(model_ats_request(d.m, 0, ATS, 0x20000, false));
	assert_int_equal(model_ats_dma(d.m, 0, ATS, 0x20000, &v, 8, false),
		MODEL_DMA_OK);
	assert_int_equal(model_ats_dma(d.m, 0, ATS, 0x20000, &v, 8, true),
		MODEL_DMA_BLOCKED);
	assert_false(model_ats_request(d.m, 0, DEV, 0x10000, true));
	assert_false(model_ats_request(d.m, 0, ATS, 0xfee00000, true));
	assert_false(model_ats_request(d.m, 0, 0x5555, 0x10000, true));
	/* Over the end of one page into the next. */
	set_leaf(0x11000, frame | 3);
	v = 0x1122334455667788;
	assert_int_equal(
		model_ats_dma(d.m, 0, ATS, 0x10ffc, &v, 8, true), MODEL_DMA_OK);
	assert_int_equal(*(uint32_t *)((char *)model_ptr(d.m, frame) + 0xffc),
		0x55667788);
	assert_int_equal(*(uint32_t *)model_ptr(d.m, frame), 0x11223344);
	/* Anywhere in a large one. */
	run = model_page_alloc(d.m, 9, OWNER);
	mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 2), run | SS_PS | 3);
	assert_true(model_ats_request(d.m, 0, ATS, 0x40005000, true));
	assert_int_equal(model_ats_dma(d.m, 0, ATS, 0x40106008, &v, 8, true),
		MODEL_DMA_OK);
	assert_true(*(uint64_t *)model_ptr(d.m, run + 0x106008) == v);
	mini_translation(&d, false);
	assert_false(model_ats_request(d.m, 0, ATS, 0x10000, true));
	mini_close(&d, true);
}

static void refused_translations_are_recorded(void **state)
{
	unsigned fro;

	(void)state;
	ready_with_device_tlb();
	fro = CAP_FRO(d.cap);
	set_leaf(0x20000, frame | SS_R);
	assert_false(model_ats_request(d.m, 0, ATS, 0x20008, true));
	assert_int_equal(mini_read64(&d, fro), 0x20000);
	assert_int_equal(mini_read64(&d, fro + 8),
		BIT(63) | (uint64_t)TRANSLATION_REQUEST << 60 |
			(uint64_t)F_WRITE << 32 | ATS);
	mini_close(&d, true);
}

/* A context entry may say that its faults are not recorded. */
static void refused_translation_that_is_not_recorded(void **state)
{
	uint64_t at;

	(void)state;
	ready_with_device_tlb();
	at = mini_context(&d, ATS);
	mini_store(&d, at, *(uint64_t *)model_ptr(d.m, at) | ENTRY_FPD);
	assert_false(model_ats_request(d.m, 0, ATS, 0x20000, true));
	assert_int_equal(model_last_fault(d.m), F_WRITE);
	assert_false(mini_read32(&d, FSTS) & FSTS_PPF);
	mini_close(&d, true);
}

static void large_pages_come_back_too(void **state)
{
	(void)state;
	for (unsigned level = 2; level <= 3; level++) {
		uint64_t slot;

		ready_with_device_tlb();
		slot = mini_slot(&d, top, mini_levels(&d), 0x80000000, level);
		mini_store(&d, slot, SS_PS | 3);
		assert_true(model_ats_request(d.m, 0, ATS, 0x80000000, true));
		mini_store(&d, slot, 0);
		mini_flush_device(&d, ATS, 0x7ffffffffffff000, true);
		flush_domain();
		expect_at_checkpoint(MODEL_V_ORDER);
	}
}

static void page_freed_before_the_only_function_forgets_it(void **state)
{
	static const struct model_function_desc f = {
		.bdf = ATS, .kind = MODEL_INTEGRATED, .unit = -1, .ats = true};

	(void)state;
	with_functions("plain", 0, &f, 1);
	mapped();
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	flush_domain();
	model_page_free(d.m, frame, 0);
	expect(MODEL_V_FREE);
}

static void device_that_lets_go_late(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		const struct model_function_desc f = {.bdf = ATS,
			.kind = MODEL_INTEGRATED,
			.unit = -1,
			.ats = true,
			.vendor = n == 1 ? 0x1234 : 0x8086,
			.device = n == 2 ? 0x4944 : 0x4943};

		uint64_t v = 1;

		with_functions("sapphire-rapids", 0, &f, 1);
		mapped();
		mini_attach(&d, ATS, top, DID, TT_ATS);
		ats_on(ATS);
		assert_int_equal(model_ats_post(d.m, 0, ATS, 0x10000, &v, 8),
			MODEL_DMA_OK);
		mini_flush_device(&d, ATS, 0x10000, false);
		assert_int_equal(model_posted(d.m), n ? 0 : 1);
		mini_flush_device(&d, ATS, 0x10000, false);
		assert_int_equal(model_posted(d.m), 0);
		mini_close(&d, true);
	}
}

/* Also what it had more than once. */
static void device_tlb_switched_off_is_empty(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready_with_device_tlb();
	set_leaf(0x11000, frame | 3);
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	assert_true(model_ats_request(d.m, 0, ATS, 0x11000, true));
	model_pci_write(d.m, 0, 0, ATS & 255, 0x106, 2, 0);
	set_leaf(0x10000, 0);
	set_leaf(0x11000, 0);
	flush_domain();
	assert_int_equal(model_checkpoint(d.m), 0);
	/* Other bits of the control word do not switch it on. */
	model_pci_write(d.m, 0, 0, ATS & 255, 0x106, 2, 0x7fff);
	assert_false(model_ats_request(d.m, 0, ATS, 0x10000, false));
	assert_int_equal(model_last_fault(d.m), 0);
	ats_on(ATS);
	for (uint64_t iova = 0x10000; iova < 0x12000; iova += 0x1000)
		assert_int_equal(model_ats_dma(d.m, 0, ATS, iova, &v, 8, false),
			MODEL_DMA_BLOCKED);
	mini_close(&d, true);
}

/* A request over three pages ends at the one that is refused. */
static void request_ends_where_it_is_refused(void **state)
{
	uint8_t out[3 * 4096] = {0};

	(void)state;
	ready_with_device_tlb();
	set_leaf(0x11000, 1ull << 40 | 3);
	set_leaf(0x12000, frame | 3);
	assert_int_equal(
		model_ats_dma(d.m, 0, ATS, 0x10000, out, sizeof out, false),
		MODEL_DMA_ABORT);
	set_leaf(0x14000, frame | 3);
	assert_int_equal(
		model_ats_dma(d.m, 0, ATS, 0x12000, out, sizeof out, false),
		MODEL_DMA_BLOCKED);
	mini_close(&d, true);
}

/* The second page of the second device, and the page behind it. */
static void any_device_may_hold_a_page(void **state)
{
	uint64_t pages;

	(void)state;
	ready_with_device_tlb();
	pages = model_page_alloc(d.m, 2, OWNER);
	set_leaf(0x11000, (pages + 0x1000) | 3);
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	assert_true(model_ats_request(d.m, 0, ATS, 0x11000, true));
	set_leaf(0x11000, 0);
	flush_domain();
	model_page_free(d.m, pages, 0);
	model_page_free(d.m, pages + 0x2000, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	model_page_free(d.m, pages + 0x1000, 0);
	expect(MODEL_V_FREE);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(device_tlb_flush_rules),
		T(translated_requests_need_permission),
		T(silent_device_times_out),
		T(late_device_delays_the_wait),
		T(removed_device_times_out),
		T(device_tlb_without_flush),
		T(device_tlb_flush_sizes),
		T(device_tlb_flush_of_everything),
		T(device_tlb_before_iotlb),
		T(page_freed_before_the_device_forgets_it),
		T(other_pages_of_the_device_in_between),
		T(device_tlb_left_on),
		T(device_tlb_of_the_first_function_left_on),
		T(device_tlb_on_before_its_entry),
		T(device_tlb_flushes_of_all_sizes),
		T(translated_writes_wait_for_the_device_tlb),
		T(forgiving_unit_takes_any_order),
		T(requests_for_a_translation),
		T(refused_translations_are_recorded),
		T(device_that_lets_go_late),
		T(device_tlb_switched_off_is_empty),
		T(request_ends_where_it_is_refused),
		T(any_device_may_hold_a_page),
		T(refused_translation_that_is_not_recorded),
		T(large_pages_come_back_too),
		T(page_freed_before_the_only_function_forgets_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
