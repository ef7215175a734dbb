/* SPDX-License-Identifier: MIT */
/*
 * Memory that is given away before the unit has forgotten it, and writes of a
 * device that are still under way then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

#define FAR MODEL_BDF(1, 0, 0)

static void frame_freed_before_flush(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	model_page_free(d.m, frame, 0);
	flush_domain();
	expect_at_checkpoint(MODEL_V_FREE);
}

static void frame_in_a_large_page_freed_before_flush(void **state)
{
	uint64_t slot, run;

	(void)state;
	ready("plain");
	run = model_page_alloc(d.m, 9, OWNER);
	slot = mini_slot(&d, top, mini_levels(&d), 0x40000000, 2);
	mini_store(&d, slot, run | SS_PS | 3);
	assert_true(can_write(DEV, 0x40001000));
	mini_store(&d, slot, 0);
	model_page_free(d.m, run + 0x5000, 0);
	flush_domain();
	expect_at_checkpoint(MODEL_V_FREE);
}

static void table_freed_before_flush(void **state)
{
	uint64_t slot, table;

	(void)state;
	ready("plain");
	slot = mini_slot(&d, top, mini_levels(&d), 0x10000, 2);
	table = *(uint64_t *)model_ptr(d.m, slot) & ~0xfffull;
	mini_store(&d, slot, 0);
	model_page_free(d.m, table, 0);
	flush_domain();
	expect_at_checkpoint(MODEL_V_FREE);
}

static void what_is_remembered_again_is_held_again(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		ready("plain");
		flush_domain();
		assert_true(can_write(DEV, 0x10000));
		model_page_free(d.m,
			n ? mini_slot(&d, top, 4, 0x10000, 1) & ~0xfffull
			  : frame,
			0);
		expect(MODEL_V_FREE);
	}
}

/* Of every level, whichever was remembered first. */
static void table_of_any_level_freed_before_flush(void **state)
{
	(void)state;
	for (unsigned level = 1; level < 4; level++) {
		uint64_t slot;

		ready("plain");
		slot = mini_slot(&d, top, 4, 0x10000, level + 1);
		model_page_free(
			d.m, *(uint64_t *)model_ptr(d.m, slot) & ~0xfffull, 0);
		assert_true(said("a cached table pointer"));
		expect(MODEL_V_FREE);
	}
}

static void top_table_freed_while_a_context_leads_to_it(void **state)
{
	uint64_t table;

	(void)state;
	ready("plain");
	take_context(DEV);
	model_page_free(d.m, top, 0);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	flush_domain();
	expect_at_checkpoint(MODEL_V_FREE);
	/* Not of the first device alone. */
	ready("plain");
	table = mini_page(&d);
	mini_attach(&d, OTHER, table, DID + 1, TT_SS);
	assert_false(can_write(OTHER, 0x10000));
	model_page_free(d.m, table, 0);
	expect(MODEL_V_FREE);
}

static void says(size_t violation, const char *what)
{
	assert_non_null(strstr(model_violation(d.m, violation)->text, what));
}

static void hardware_tables_freed_while_in_use(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	model_page_free(d.m, d.root, 0);
	model_page_free(d.m, d.irt, 0);
	model_page_free(d.m, d.ring, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FREE), 3);
	says(0, "its root table");
	says(1, "its interrupt table");
	says(2, "its invalidation queue");
	mini_close(&d, false);
}

/* What lies beside them is free. */
static void hardware_tables_end_somewhere(void **state)
{
	uint64_t pages;

	(void)state;
	cold("plain");
	pages = model_page_alloc(d.m, 3, MODEL_OWNER_DRIVER);
	/* Two pages of queue from the second on, two of entries from the fifth
	 * on. */
	mini_write64(&d, IQT, 0);
	mini_write64(&d, IQA, (pages + 0x2000) | 1);
	mini_command(&d, G_QIE, true);
	mini_write64(&d, IRTA, (pages + 0x5000) | 8);
	mini_command(&d, G_IRTP, true);
	mini_command(&d, G_IRE, true);
	model_violations_clear(d.m);
	for (unsigned n = 0; n < 8; n++) {
		bool used = n == 2 || n == 3 || n == 5 || n == 6;

		model_page_free(d.m, pages + n * 0x1000, 0);
		assert_int_equal(model_violation_count(d.m), used);
		model_violations_clear(d.m);
	}
	mini_close(&d, false);
}

/* A gone unit reaches nothing; one that is off has no tables. */
static void tables_of_a_unit_that_is_off(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	model_unit_gone(d.m, 0, 0);
	model_page_free(d.m, d.root, 0);
	model_page_free(d.m, d.irt, 0);
	model_page_free(d.m, d.ring, 0);
	model_page_free(d.m, frame, 0);
	mini_close(&d, true);
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_IRE, false);
	mini_translation(&d, false);
	mini_command(&d, G_QIE, false);
	model_page_free(d.m, d.root, 0);
	model_page_free(d.m, d.irt, 0);
	model_page_free(d.m, d.ring, 0);
	mini_close(&d, true);
}

/* The first and the last page of it, and the ones beside. */
static void borders_of_a_cached_large_page(void **state)
{
	uint64_t run;

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		static const int at[] = {-1, 0, 511, 512};

		ready("plain");
		run = model_page_alloc(d.m, 11, OWNER) + 0x200000;
		mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 2),
			run | SS_PS | 3);
		assert_true(can_write(DEV, 0x40000000));
		model_page_free(d.m, run + (uint64_t)at[n] * 0x1000, 0);
		assert_int_equal(model_violation_count(d.m), n == 1 || n == 2);
		mini_close(&d, false);
	}
}

static void status_word_freed_before_its_wait(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, 1ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	mini_read32(&d, GSTS);
	model_page_free(d.m, d.status, 0);
	says(0, "the status word of a pending wait");
	expect_at_checkpoint(MODEL_V_FREE);
}

static void posted_write_lands_late(void **state)
{
	uint64_t v = 0x55;

	(void)state;
	ready("plain");
	assert_int_equal(
		model_dma_post(d.m, 0, DEV, 0x10000, &v, 8), MODEL_DMA_OK);
	assert_int_not_equal(*(uint64_t *)model_ptr(d.m, frame), 0x55);
	set_leaf(0x10000, 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x10000, 0, false);
	assert_int_equal(*(uint64_t *)model_ptr(d.m, frame), 0x55);
	model_page_free(d.m, frame, 0);
	mini_close(&d, true);
}

static void posted_write_not_drained(void **state)
{
	uint64_t v = 0x55;

	(void)state;
	ready("plain");
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	set_leaf(0x10000, 0);
	/* A flush without DR and DW. */
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
	mini_wait(&d);
	model_page_free(d.m, frame, 0);
	expect_at_checkpoint(MODEL_V_FREE);
}

static void reading_pushes_posted_writes(void **state)
{
	uint64_t v = 0x55, w = 0;

	(void)state;
	ready("plain");
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	model_dma_read(d.m, 0, DEV, 0x10000, &w, 8);
	assert_int_equal(w, 0x55);
	assert_int_equal(model_posted(d.m), 0);
	mini_close(&d, true);
}

static void context_table_freed_while_a_root_leads_to_it(void **state)
{
	uint64_t table;

	(void)state;
	/* On bus 0, and on bus 1. */
	for (uint64_t bus = 0; bus < 2; bus++) {
		ready("plain");
		mini_attach(&d, FAR, top, DID, TT_SS);
		assert_true(can_write(FAR, 0x10000));
		table = mini_context(&d, bus ? FAR : DEV) & ~0xfffull;
		mini_store(&d, d.root + bus * 16, 0);
		model_page_free(d.m, table, 0);
		says(0, "a cached root entry");
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		expect(MODEL_V_FREE);
	}
	/* Forgotten, or with translation off, it is as good as any. */
	ready("plain");
	table = mini_context(&d, DEV) & ~0xfffull;
	mini_store(&d, d.root, 0);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	model_page_free(d.m, table, 0);
	mini_close(&d, true);
	ready("plain");
	mini_translation(&d, false);
	model_page_free(d.m, mini_context(&d, DEV) & ~0xfffull, 0);
	mini_close(&d, true);
}

/* ---- several units ------------------------------------------------------- */

enum first_unit {
	IDLE,
	WITH_THE_SAME_TABLES,
	WITH_ITS_OWN,
};

/* The second unit of two at work, for OTHER; the first for DEV if it is not
 * idle. */
static void two_units(enum first_unit first)
{
	const struct model_personality *plain = model_personality_find("plain");
	uint64_t own;

	mini_open(&d, model_create_pair(plain, plain, MODEL_LAZY, 0, 1, false));
	d.base = model_unit_base(d.m, 1);
	attached();
	mini_attach(&d, OTHER, top, DID, TT_SS);
	assert_true(can_write(OTHER, 0x10000));
	if (first == IDLE)
		return;
	if (first == WITH_ITS_OWN) {
		own = mini_page(&d);
		mini_map(&d, own, 0x10000, mini_page(&d), 3);
		mini_attach(&d, DEV, own, DID + 1, TT_SS);
	}
	d.base = model_unit_base(d.m, 0);
	d.ring = mini_page(&d);
	d.tail = 0;
	mini_start(&d);
	assert_true(can_write(DEV, 0x10000));
}

static void every_unit_answers_for_what_it_has(void **state)
{
	uint64_t at;

	(void)state;
	for (unsigned n = 0; n < 12; n++) {
		bool both = n / 4 == WITH_THE_SAME_TABLES;

		two_units((enum first_unit)(n / 4));
		/* The page, the tables above it, the first of them. */
		at = mini_slot(&d, top, 4, 0x10000, n % 4 + 1);
		at = n % 4 < 3 ? *(uint64_t *)model_ptr(d.m, at) & ~0xfffull
			       : top;
		model_page_free(d.m, at, 0);
		assert_int_equal(model_violation_count(d.m), 1 + both);
		assert_int_equal(model_violation(d.m, 0)->unit, !both);
		if (both)
			assert_int_equal(model_violation(d.m, 1)->unit, 1);
		expect(MODEL_V_FREE);
	}
}

static void unit_that_is_gone_holds_nothing(void **state)
{
	(void)state;
	two_units(IDLE);
	model_unit_gone(d.m, 1, 0);
	mini_read32(&d, GSTS);
	model_page_free(d.m, frame, 0);
	model_page_free(d.m, top, 0);
	mini_close(&d, true);
}

static void status_word_freed_with_its_wait_in_the_ring(void **state)
{
	uint64_t other;

	(void)state;
	ready("plain");
	other = mini_page(&d);
	mini_queue(&d, 1ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_queue(&d, 1ull << 32 | BIT(5) | DESC_WAIT, other);
	mini_ring(&d);
	model_page_free(d.m, other, 0);
	expect_at_checkpoint(MODEL_V_FREE);
}

static void read_answered_late(void **state)
{
	(void)state;
	ready("plain");
	assert_int_equal(
		model_dma_read_late(d.m, 0, DEV, 0x10000, 8), MODEL_DMA_OK);
	assert_int_equal(model_dma_read_late(d.m, 0, DEV, 0x20000, 8),
		MODEL_DMA_BLOCKED);
	set_leaf(0x10000, 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x10000, 0, false);
	assert_int_equal(model_posted(d.m), 0);
	model_page_free(d.m, frame, 0);
	mini_close(&d, true);
}

static void read_not_drained(void **state)
{
	(void)state;
	ready("plain");
	model_dma_read_late(d.m, 0, DEV, 0x10000, 8);
	set_leaf(0x10000, 0);
	/* Writes only. */
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | BIT(6) | DID << 16, 0);
	mini_wait(&d);
	model_page_free(d.m, frame, 0);
	expect_at_checkpoint(MODEL_V_FREE);
}

static void write_in_flight_lands_in_a_freed_page(void **state)
{
	uint64_t v = 0x55;

	(void)state;
	ready("plain");
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	set_leaf(0x10000, 0);
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | BIT(7) | DID << 16, 0);
	mini_wait(&d);
	model_page_free(d.m, frame, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FREE), 1);
	/* The device's next read pushes it. */
	model_dma_read(d.m, 0, DEV, 0x20000, &v, 8);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FREE), 2);
	expect(MODEL_V_FREE);
}

static void flush_drains_its_own_domain_and_pages(void **state)
{
	uint64_t v = 0x55;

	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, top, DID + 1, TT_SS);
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	model_dma_post(d.m, 0, OTHER, 0x10000, &v, 8);
	model_dma_post(d.m, 0, DEV, 0x10ff8, &v, 8);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0xf000, 0, false);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x11000, 0, false);
	assert_int_equal(model_posted(d.m), 3);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x10000, 0, false);
	assert_int_equal(model_posted(d.m), 1);
	flush_domain();
	assert_int_equal(model_posted(d.m), 1);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(model_posted(d.m), 0);
	mini_close(&d, true);
}

static void unit_that_cannot_drain_is_not_asked_to(void **state)
{
	static const char *const kinds[] = {"no-drain", "self-flushing"};
	uint64_t v = 0x55;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		ready(kinds[i]);
		model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
		model_dma_read_late(d.m, 0, DEV, 0x10000, 8);
		mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
		mini_wait(&d);
		assert_int_equal(model_posted(d.m), 0);
		mini_close(&d, true);
	}
}

static void more_writes_than_fit_push_the_first(void **state)
{
	uint64_t v = 0;

	(void)state;
	ready("plain");
	for (v = 1; v <= 4096; v++)
		model_dma_post(d.m, 0, DEV, 0x10000 + v % 512 * 8, &v, 8);
	assert_int_equal(model_posted(d.m), 4096);
	assert_int_not_equal(*(uint64_t *)model_ptr(d.m, frame + 8), 1);
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	assert_int_equal(model_posted(d.m), 4096);
	assert_int_equal(*(uint64_t *)model_ptr(d.m, frame + 8), 1);
	/* They land in their order: the last one stays. */
	flush_domain();
	assert_int_equal(*(uint64_t *)model_ptr(d.m, frame), 4097);
	for (unsigned i = 1; i < 512; i++)
		assert_int_equal(
			*(uint64_t *)model_ptr(d.m, frame + i * 8), 3584 + i);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frame_freed_before_flush),
		T(frame_in_a_large_page_freed_before_flush),
		T(table_freed_before_flush),
		T(what_is_remembered_again_is_held_again),
		T(table_of_any_level_freed_before_flush),
		T(top_table_freed_while_a_context_leads_to_it),
		T(hardware_tables_freed_while_in_use),
		T(hardware_tables_end_somewhere),
		T(tables_of_a_unit_that_is_off),
		T(borders_of_a_cached_large_page),
		T(status_word_freed_before_its_wait),
		T(posted_write_lands_late),
		T(posted_write_not_drained),
		T(reading_pushes_posted_writes),
		T(context_table_freed_while_a_root_leads_to_it),
		T(every_unit_answers_for_what_it_has),
		T(unit_that_is_gone_holds_nothing),
		T(status_word_freed_with_its_wait_in_the_ring),
		T(read_answered_late),
		T(read_not_drained),
		T(write_in_flight_lands_in_a_freed_page),
		T(flush_drains_its_own_domain_and_pages),
		T(unit_that_cannot_drain_is_not_asked_to),
		T(more_writes_than_fit_push_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
