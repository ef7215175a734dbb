/* SPDX-License-Identifier: MIT */
/*
 * Pages of memory: which are given next, what lies in them, which may be given
 * back, and what a unit finds in those that nobody has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

/* What mini_open() takes. */
#define TAKEN 4

/* So many pages, from that address on. */
static void small(uint64_t base, uint64_t pages)
{
	struct model_unit_desc unit = {
		.kind = model_personality_find("plain"), .include_all = true};
	struct model_desc desc = {.ram_base = base,
		.ram_size = pages * MODEL_PAGE,
		.units = &unit,
		.unit_count = 1};

	mini_open(&d, model_create(&desc));
}

static uint64_t take(unsigned order)
{
	return model_page_alloc(d.m, order, OWNER);
}

static void give(uint64_t pa, unsigned order)
{
	model_page_free(d.m, pa, order);
}

static void what_was_given_back_last_is_given_first(void **state)
{
	uint64_t page[4], run;

	(void)state;
	cold("plain");
	for (unsigned n = 0; n < 4; n++)
		page[n] = take(0);
	for (unsigned n = 0; n < 4; n++)
		give(page[n], 0);
	/* Several pages at once are new ones. */
	run = take(1);
	assert_true(run > page[3]);
	for (unsigned n = 4; n--;)
		assert_int_equal(take(0), page[n]);
	assert_true(take(0) > run);
	mini_close(&d, true);
}

static void pages_skipped_for_their_alignment_are_given_later(void **state)
{
	uint64_t run;

	(void)state;
	cold("plain");
	assert_int_equal(take(0), TAKEN * MODEL_PAGE);
	run = take(2);
	assert_int_equal(run, 8 * MODEL_PAGE);
	for (uint64_t n = 7; n > TAKEN; n--) {
		uint64_t page = take(0), *word = model_ptr(d.m, page);

		assert_int_equal(page, n * MODEL_PAGE);
		assert_int_not_equal(*word, 0);
	}
	assert_int_equal(take(0), run + 4 * MODEL_PAGE);
	mini_close(&d, true);
}

static void new_pages_are_given_as_long_as_there_are(void **state)
{
	uint64_t pages[64], last = 0;

	(void)state;
	/* The last two are nobody's, so the last pair begins at 60. */
	small(0, 64);
	for (unsigned n = TAKEN; n < 60; n++)
		pages[n] = last = take(0);
	assert_int_equal(last, 59 * MODEL_PAGE);
	give(pages[20], 1);
	assert_int_equal(take(1), 60 * MODEL_PAGE);
	/* From now on what others had. */
	assert_int_equal(take(1), pages[20]);
	assert_true(take(0) == MODEL_NONE);
	mini_close(&d, true);
}

/* A page that lies behind those that are given as one stays the next. */
static void pages_beside_a_run_keep_their_turn(void **state)
{
	uint64_t pages[64];

	(void)state;
	small(0, 64);
	for (unsigned n = TAKEN; n < 62; n++)
		pages[n] = take(0);
	give(pages[9], 0);
	give(pages[20], 1);
	give(pages[22], 0);
	assert_int_equal(take(1), pages[20]);
	assert_int_equal(take(0), pages[22]);
	assert_int_equal(take(0), pages[9]);
	mini_close(&d, true);
}

static void runs_begin_at_a_multiple_of_their_size(void **state)
{
	(void)state;
	for (uint64_t base = 0; base < 16; base += 3) {
		small(base * MODEL_PAGE, 64);
		for (unsigned order = 0; order < 5; order++)
			assert_int_equal(
				take(order) & ((MODEL_PAGE << order) - 1), 0);
		mini_close(&d, true);
	}
}

static void more_than_can_be_counted_is_not_given(void **state)
{
	(void)state;
	cold("plain");
	for (unsigned order = 30; order < 70; order++)
		assert_true(take(order) == MODEL_NONE);
	assert_int_equal(model_pages_in_use(d.m, OWNER), 0);
	mini_close(&d, true);
}

static void what_nobody_has_is_not_given_back(void **state)
{
	static const uint64_t odd[] = {64ull << 20, 1ull << 40, MODEL_NONE};
	uint64_t page, next;

	(void)state;
	cold("plain");
	for (unsigned n = 0; n < 3; n++) {
		give(odd[n], 0);
		only(MODEL_V_FREE);
		assert_int_equal(model_violation_count(d.m), n + 1);
	}
	model_violations_clear(d.m);
	page = take(0);
	/* Wherever in the page. */
	for (unsigned bit = 0; bit < 12; bit++) {
		give(page + (1u << bit), 0);
		assert_int_equal(model_violation_count(d.m), bit + 1);
		assert_int_equal(model_pages_in_use(d.m, OWNER), 1);
	}
	model_violations_clear(d.m);
	give(page, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	give(page, 0);
	only(MODEL_V_FREE);
	assert_int_equal(model_pages_in_use(d.m, 0), TAKEN);
	next = take(0);
	assert_int_equal(next, page);
	assert_int_not_equal(take(0), page);
	mini_close(&d, false);
}

/* Words that work as an entry of any level lead to a page that nobody has, and
 * which is full of them up to its last word. What waits in a write buffer does
 * not cover them again. */
static void freed_page_leads_every_unit_to_the_secret(void **state)
{
	static const char *const kinds[] = {
		"plain", "non-coherent", "write-buffer", "worst-memory"};

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		const struct model_personality *kind =
			model_personality_find(kinds[n / 2]);
		uint16_t dev = n % 2 ? OTHER : DEV;
		uint64_t table;

		mini_open(&d,
			model_create_pair(kind, kind, MODEL_LAZY, 0, 1, false));
		d.base = model_unit_base(d.m, n % 2);
		attached();
		mini_attach(&d, dev, top, DID, TT_SS);
		model_device_expect(d.m, 0, dev, OWNER);
		assert_true(can_write(dev, 0x10000));
		table = mini_page(&d);
		mini_write_buffer(&d);
		give(table, 0);
		mini_write_buffer(&d);
		mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 3), table | 3);
		mini_write_buffer(&d);
		assert_int_equal(model_violation_count(d.m), 0);
		assert_true(can_write(dev, 0x403ff000));
		assert_int_equal(model_violations_of(d.m, MODEL_V_OPEN), 1);
		mini_close(&d, false);
	}
}

/* What only a processor knows, and what nobody should know, is in a snapshot.
 */
static void pages_that_nobody_was_given_are_kept(void **state)
{
	uint64_t trap, *own, *secret;
	struct model_snapshot *s;

	(void)state;
	ready("plain");
	own = model_ptr(d.m, 32ull << 20);
	*own = 5;
	trap = model_page_alloc(d.m, 0, OWNER);
	trap = *(uint64_t *)model_ptr(d.m, trap);
	s = model_snapshot(d.m);
	assert_non_null(s);
	*own = 6;
	set_leaf(0x11000, trap);
	assert_true(can_write(DEV, 0x11000));
	secret = model_ptr(d.m, trap & ~0xfffull);
	assert_int_not_equal(*secret, trap);
	model_restore(d.m, s);
	assert_int_equal(*own, 5);
	assert_int_equal(*secret, trap);
	model_snapshot_free(s);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_given_back_last_is_given_first),
		T(pages_skipped_for_their_alignment_are_given_later),
		T(new_pages_are_given_as_long_as_there_are),
		T(pages_beside_a_run_keep_their_turn),
		T(runs_begin_at_a_multiple_of_their_size),
		T(more_than_can_be_counted_is_not_given),
		T(what_nobody_has_is_not_given_back),
		T(freed_page_leads_every_unit_to_the_secret),
		T(pages_that_nobody_was_given_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
