/* SPDX-License-Identifier: MIT */
/*
 * Tables as the unit sees them and as they are: which lines are brought over,
 * and where the search for differences begins and ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

#define FAR MODEL_BDF(1, 0, 0)
#define LINE 64

/* A store that stays in the processor's cache. */
static void keep_back(uint64_t pa, uint64_t v)
{
	*(uint64_t *)model_ptr(d.m, pa) = v;
}

static uint64_t slot_of(uint64_t iova)
{
	return mini_slot(&d, top, mini_levels(&d), iova, 1);
}

static void is_found(unsigned lines)
{
	assert_int_equal(model_checkpoint(d.m), lines);
	assert_int_equal(model_violation_count(d.m), lines);
}

static void one_device(void)
{
	ready("non-coherent");
	is_found(0);
}

/* ---- lines ----------------------------------------------------------------
 */

static void one_line_is_written_back_at_a_time(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		ready(n & 1 ? "worst-memory" : "non-coherent");
		keep_back(slot_of(0x11000), frame | 3);
		keep_back(slot_of(0x18000), frame | 3);
		model_cache_flush(d.m, slot_of(0x10000), n & 2 ? LINE : 8);
		mini_write_buffer(&d);
		assert_true(can_write(DEV, 0x11000));
		assert_false(can_write(DEV, 0x18000));
		mini_close(&d, true);
	}
}

static void a_line_is_evicted_as_a_whole(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 32; seed++) {
		by_chance("non-coherent", seed);
		attached();
		keep_back(slot_of(0x12000), frame | 3);
		keep_back(slot_of(0x13000), frame | 3);
		for (unsigned n = 0; n < 1000 && !can_write(DEV, 0x13000);)
			n++;
		assert_true(can_write(DEV, 0x12000));
		mini_close(&d, true);
	}
}

static void what_is_not_memory_is_not_written_back(void **state)
{
	struct model_counters a, b;

	(void)state;
	one_device();
	model_counters(d.m, &a);
	model_cache_flush(d.m, 1ull << 40, LINE);
	model_cache_flush(d.m, (64ull << 20) - LINE, 3 * LINE);
	model_counters(d.m, &b);
	assert_int_equal(b.line_flushes - a.line_flushes, 1);
	mini_close(&d, true);
}

/* ---- differences -----------------------------------------------------------
 */

static void bits_without_a_meaning_may_be_old(void **state)
{
	(void)state;
	one_device();
	keep_back(slot_of(0x10000), frame | 3 | BIT(9) | BIT(62));
	is_found(0);
	mini_close(&d, true);
}

static void a_table_of_two_devices_is_told_of_once(void **state)
{
	(void)state;
	one_device();
	mini_attach(&d, OTHER, top, DID, TT_SS);
	keep_back(slot_of(0x20000), frame | 3);
	is_found(1);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

static void a_table_below_an_old_one_is_looked_at_too(void **state)
{
	(void)state;
	one_device();
	keep_back(mini_slot(&d, top, 4, 0x40000000, 3), SS_PS | 3);
	keep_back(slot_of(0x20000), frame | 3);
	is_found(2);
	mini_close(&d, false);
}

static void tables_of_the_first_function_of_a_bus(void **state)
{
	(void)state;
	cold("non-coherent");
	mapped();
	mini_attach(&d, FAR, top, DID, TT_SS);
	is_found(0);
	keep_back(slot_of(0x20000), frame | 3);
	is_found(1);
	mini_close(&d, false);
}

/* ---- what is no table -------------------------------------------------------
 */

static void pages_that_are_mapped_are_none(void **state)
{
	(void)state;
	one_device();
	memset(model_ptr(d.m, frame), 0x11, MODEL_PAGE);
	is_found(0);
	mini_close(&d, true);
}

static void pages_that_nobody_has_are_none(void **state)
{
	uint64_t table;

	(void)state;
	one_device();
	table = mini_page(&d);
	mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 2), table | 3);
	model_page_free(d.m, table, 0);
	keep_back(table, frame | 3);
	is_found(0);
	/* Nor is what is no memory. */
	mini_store(&d, mini_slot(&d, top, 4, 0x40200000, 2), 1ull << 40 | 3);
	is_found(0);
	mini_close(&d, true);
}

static void contexts_that_lead_to_none(void **state)
{
	uint64_t page;

	(void)state;
	one_device();
	page = mini_page(&d);
	mini_attach(&d, OTHER, page, DID + 1, TT_PASS);
	keep_back(page, frame | 3);
	is_found(0);
	mini_store(&d, mini_context(&d, OTHER), page);
	is_found(0);
	mini_store(&d, mini_context(&d, OTHER), page | 1);
	is_found(1);
	mini_close(&d, false);
}

/* A page for a table, and one behind it, which is full of these words. */
static uint64_t page_and_more(uint64_t low, uint64_t high)
{
	uint64_t pa = model_page_alloc(d.m, 1, MODEL_OWNER_DRIVER);
	uint64_t *behind = model_ptr(d.m, pa + MODEL_PAGE);

	memset(model_ptr(d.m, pa), 0, MODEL_PAGE);
	for (unsigned i = 0; i < 512; i += 2) {
		behind[i] = low;
		behind[i + 1] = high;
	}
	model_cache_flush(d.m, pa, 2 * MODEL_PAGE);
	return pa;
}

static void what_lies_behind_a_table_is_none_of_it(void **state)
{
	uint64_t other;

	(void)state;
	cold("non-coherent");
	other = mini_page(&d);
	d.root = page_and_more(other | ENTRY_P, 0);
	mini_store(&d, d.root,
		page_and_more(other | ENTRY_P, DID << 8 | 2) | ENTRY_P);
	mini_start(&d);
	frame = model_page_alloc(d.m, 0, OWNER);
	top = page_and_more(other | 3, other | 3);
	mini_map(&d, top, 0x10000, frame, 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	for (unsigned i = 0; i < 512; i++)
		keep_back(other + i * 8, frame | 3);
	is_found(0);
	mini_close(&d, true);
}

/* ---- when there are none
 * ----------------------------------------------------- */

static void without_translation_there_are_none(void **state)
{
	(void)state;
	one_device();
	mini_start_interrupts(&d);
	keep_back(slot_of(0x20000), frame | 3);
	is_found(1);
	model_violations_clear(d.m);
	mini_translation(&d, false);
	is_found(0);
	mini_close(&d, true);
}

/* While everything is refused, and with a root table that is not memory. */
static void without_a_root_table_there_are_none(void **state)
{
	struct model_personality kind = *model_personality_find("abort-dma");
	uint64_t root[] = {3ull << 10, 1ull << 41};

	(void)state;
	kind.ecap &= ~ECAP_C;
	for (unsigned n = 0; n < 2; n++) {
		ready_on(&kind);
		root[0] |= d.root;
		mini_write64(&d, RTADDR, root[n]);
		mini_command(&d, G_RTP, true);
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		keep_back(slot_of(0x20000), frame | 3);
		assert_int_equal(model_checkpoint(d.m), 0);
		mini_close(&d, false);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_line_is_written_back_at_a_time),
		T(a_line_is_evicted_as_a_whole),
		T(what_is_not_memory_is_not_written_back),
		T(bits_without_a_meaning_may_be_old),
		T(a_table_of_two_devices_is_told_of_once),
		T(a_table_below_an_old_one_is_looked_at_too),
		T(tables_of_the_first_function_of_a_bus),
		T(pages_that_are_mapped_are_none),
		T(pages_that_nobody_has_are_none),
		T(contexts_that_lead_to_none),
		T(what_lies_behind_a_table_is_none_of_it),
		T(without_translation_there_are_none),
		T(without_a_root_table_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
