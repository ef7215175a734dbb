/* SPDX-License-Identifier: MIT */
/*
 * Where walks lead: pieces of large pages, tables that are not memory, walking
 * ahead on units that are off, what a device can reach by the tables, and each
 * table that has to be written back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "support/attached.h"

static uint64_t slot(uint64_t iova, unsigned level)
{
	return mini_slot(&d, top, mini_levels(&d), iova, level);
}

/* ---- pieces of large pages ------------------------------------------------
 */

/* Whether the place is remembered, and that it leads where it should. */
static bool leads(uint64_t iova, uint64_t pa)
{
	uint64_t v = 0;

	if (model_dma_read(d.m, 0, DEV, iova, &v, 8) != MODEL_DMA_OK)
		return false;
	assert_true(v == *(uint64_t *)model_ptr(d.m, pa));
	return true;
}

/* By chance a piece of any size, as long as it is aligned and leads to the same
 * bytes (VT-d 6.2.5). */
static void pieces_lead_to_the_same_bytes(void **state)
{
	/* In the piece of 4 KiB, of 2 MiB, and beside both. */
	static const uint64_t at[] = {0x405ff8, 0x406000, 0x600000};
	unsigned kept[2][3] = {{0}};

	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++)
		for (unsigned level = 2; level <= 3; level++) {
			uint64_t base = level == 3 ? 0x80000000 : 0x80400000;
			unsigned n;

			by_chance("plain", seed);
			mini_start(&d);
			top = mini_page(&d);
			mini_attach(&d, DEV, top, DID, TT_SS);
			for (n = 0; n < 3; n++)
				*(uint64_t *)model_ptr(d.m, at[n]) = n + 100;
			mini_store(&d, slot(base, level),
				(level == 3 ? 0 : 0x400000) | SS_PS | 3);
			assert_true(leads(0x80000000 + at[0], at[0]));
			mini_store(&d, slot(base, level), 0);
			for (n = 0; n < 3; n++)
				if (!leads(0x80000000 + at[n], at[n]))
					break;
			/* The smallest is there; larger ones hold it. */
			assert_in_range(n, 1, level);
			kept[level - 2][n - 1]++;
			mini_close(&d, false);
		}
	assert_true(kept[0][0] && kept[0][1]);
	assert_true(kept[1][0] && kept[1][1] && kept[1][2]);
}

/* By chance or not: only of a large page there are pieces. */
static void small_pages_are_kept_whole(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		by_chance("plain", seed);
		attached();
		assert_true(can_write(DEV, 0x10000));
		set_leaf(0x10000, 0);
		assert_true(can_write(DEV, 0x10000));
		mini_close(&d, false);
	}
}

static void registers_of_every_unit_are_no_memory(void **state)
{
	static const struct model_function_desc f = {
		.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1};
	static const char *const text[] = {"unit 0", "unit 1"};

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		with_two_segments(&f, 1);
		attached();
		set_leaf(0x20000, model_unit_base(d.m, n) | 3);
		can_write(DEV, 0x20000);
		only(MODEL_V_ADDRESS);
		assert_int_equal(model_violation_count(d.m), 1);
		assert_true(said(text[n]));
		mini_close(&d, false);
	}
}

/* ---- tables that are not memory -------------------------------------------
 */

static unsigned fault_of(uint16_t dev, uint64_t iova)
{
	assert_false(can_write(dev, iova));
	return model_last_fault(d.m);
}

static void tables_outside_of_memory(void **state)
{
	static const uint64_t nowhere = 1ull << 40;

	(void)state;
	ready("plain");
	mini_store(&d, d.root + 16, nowhere | 1);
	assert_int_equal(fault_of(MODEL_BDF(1, 0, 0), 0), F_CTX_ACCESS);
	mini_store(&d, slot(0x80000000, 2), nowhere | 3);
	assert_int_equal(fault_of(DEV, 0x80000000), F_SS_ACCESS);
	mini_attach(&d, OTHER, nowhere, DID + 1, TT_SS);
	assert_int_equal(fault_of(OTHER, 0), F_CTX_INVALID);
	assert_true(can_write(DEV, 0x10000));
	assert_int_equal(model_last_fault(d.m), 0);
	/* Twice the same: what was read last is not in the way. */
	assert_int_equal(fault_of(MODEL_BDF(1, 0, 0), 0), F_CTX_ACCESS);
	d.root = nowhere;
	mini_set_root(&d);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(fault_of(DEV, 0), F_ROOT_ACCESS);
	mini_close(&d, true);
}

/* Rights that the tables above do not give are not what is missing then. */
static void reserved_bits_are_seen_before_rights(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x200000, frame | BIT(50) | 3);
	mini_store(&d, slot(0x200000, 2),
		*(uint64_t *)model_ptr(d.m, slot(0x200000, 2)) & ~2ull);
	assert_int_equal(fault_of(DEV, 0x200000), F_SS_RSVD);
	expect(MODEL_V_RESERVED);
}

/* Also that there is no table of the fourth level. */
static void missing_entry_of_the_highest_table_is_kept(void **state)
{
	struct model_personality kind = *model_personality_find("57-bit");

	(void)state;
	kind.cap |= CAP_CM;
	ready_on(&kind);
	assert_int_equal(mini_levels(&d), 5);
	assert_false(can_write(DEV, 1ull << 50));
	set_leaf(1ull << 50, frame | 3);
	assert_false(can_write(DEV, 1ull << 50));
	flush_domain();
	assert_true(can_write(DEV, 1ull << 50));
	mini_close(&d, true);
}

static void walk_of_nobodys_page_is_named(void **state)
{
	char text[60];
	uint64_t freed;

	(void)state;
	ready("plain");
	freed = mini_page(&d);
	model_page_free(d.m, freed, 0);
	mini_store(&d, slot(0x200000, 2), freed | 3);
	can_write(DEV, 0x205000);
	snprintf(text, sizeof text, "reads page %#llx,",
		(unsigned long long)freed);
	assert_true(said(text));
	mini_close(&d, false);
}

/* Nothing is remembered of such a page. */
static void interrupt_window_is_refused_each_time(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x20000, WINDOW | 3);
	for (unsigned n = 0; n < 2; n++)
		assert_int_equal(fault_of(DEV, 0x20000), F_OUT_INTERRUPT);
	expect(MODEL_V_ADDRESS);
}

static void failures_are_recorded_with_their_page(void **state)
{
	uint64_t fro;

	(void)state;
	ready("plain");
	fro = CAP_FRO(d.cap);
	/* No root entry: nothing says that it should not be recorded. */
	assert_int_equal(fault_of(MODEL_BDF(7, 0, 0), 0x21ff8), F_ROOT_NP);
	assert_int_equal(mini_read64(&d, fro), 0x21000);
	assert_int_equal(mini_read64(&d, fro + 8),
		BIT(63) | (uint64_t)F_ROOT_NP << 32 | MODEL_BDF(7, 0, 0));
	mini_close(&d, true);
}

/* ---- walking ahead --------------------------------------------------------
 */

static void nothing_is_walked_ahead_without_a_table(void **state)
{
	size_t before;

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		ready("abort-dma");
		mini_map(&d, top, 0x20000, frame, 3);
		if (n == 1)
			mini_translation(&d, false);
		if (n == 2) {
			mini_write64(&d, RTADDR, d.root | 3ull << 10);
			mini_command(&d, G_RTP, true);
		}
		if (n == 3)
			model_unit_gone(d.m, 0, 0);
		if (n == 4)
			model_unit_hang(d.m, 0, 0);
		before = model_cached(d.m, 0);
		model_prefetch(d.m);
		assert_int_equal(model_cached(d.m, 0) > before, !n);
		mini_close(&d, false);
	}
}

/* Of every bus and function, with a table of its own or none. */
static void all_contexts_are_walked_ahead(void **state)
{
	static const uint16_t devs[] = {0, 0x00ff, 0x0100, 0xff00, 0xffff};

	(void)state;
	ready("plain");
	for (unsigned n = 0; n < 5; n++)
		mini_attach(&d, devs[n], top, DID, TT_SS);
	model_prefetch(d.m);
	/* Roots 0, 1 and 255, six contexts, the page and three tables. */
	assert_int_equal(model_cached(d.m, 0), 3 + 6 + 4);
	for (unsigned n = 0; n < 5; n++) {
		mini_store(&d, mini_context(&d, devs[n]), 0);
		assert_true(can_write(devs[n], 0x10000));
	}
	mini_close(&d, true);
}

/* ---- what memory says -----------------------------------------------------
 */

static struct model_reach reached[16];
static unsigned reaches;

static void keep(void *ctx, const struct model_reach *r)
{
	(void)ctx;
	assert_true(reaches < 16);
	reached[reaches++] = *r;
}

static void is(
	unsigned n, uint64_t iova, uint64_t phys, uint64_t size, unsigned perm)
{
	assert_true(reached[n].iova == iova);
	assert_true(reached[n].phys == phys);
	assert_true(reached[n].size == size);
	assert_int_equal(reached[n].read, perm & 1);
	assert_int_equal(reached[n].write, perm >> 1);
}

static void tables_say_what_can_be_reached(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x1ff000, frame | 1);
	mini_store(&d, slot(0x400000, 2), 0x600000 | SS_PS | 3);
	mini_store(&d, slot(0x40000000, 3), 0x80000000 | SS_PS | 2);
	/* Rights of a table above count; PS of the topmost does not. */
	mini_store(&d, slot(0x8000000000, 1), frame | 3);
	mini_store(&d, slot(0x8000000000, 4),
		(*(uint64_t *)model_ptr(d.m, slot(0x8000000000, 4)) & ~2ull) |
			SS_PS);
	reaches = 0;
	assert_true(model_enumerate(d.m, 0, DEV, keep, NULL));
	assert_int_equal(reaches, 5);
	is(0, 0x10000, frame, 0x1000, 3);
	is(1, 0x1ff000, frame, 0x1000, 1);
	is(2, 0x400000, 0x600000, 0x200000, 3);
	is(3, 0x40000000, 0x80000000, 0x40000000, 2);
	is(4, 0x8000000000, frame, 0x1000, 1);
	/* The same for a device of another bus, and nothing for one that has
	 * no table. */
	mini_attach(&d, MODEL_BDF(1, 0, 0), top, DID, TT_SS);
	assert_true(model_enumerate(d.m, 0, MODEL_BDF(1, 0, 0), keep, NULL));
	assert_int_equal(reaches, 10);
	reaches = 0;
	assert_true(model_enumerate(d.m, 0, OTHER, keep, NULL));
	assert_int_equal(reaches, 0);
	mini_close(&d, true);
}

static void entries_that_are_not_there_lead_nowhere(void **state)
{
	uint64_t contexts, at;

	(void)state;
	ready("plain");
	reaches = 0;
	contexts = mini_context(&d, DEV) & ~0xfffull;
	/* Both have all but the bit that says so. */
	mini_store(&d, d.root + 16, contexts);
	assert_true(model_enumerate(d.m, 0, DEV | 1 << 8, keep, NULL));
	at = mini_context(&d, OTHER);
	mini_store(&d, at + 8, (DID + 1) << 8 | 2);
	mini_store(&d, at, top);
	assert_true(model_enumerate(d.m, 0, OTHER, keep, NULL));
	/* And what is no memory. */
	mini_store(&d, d.root + 32, 1ull << 40 | 1);
	assert_true(model_enumerate(d.m, 0, DEV | 2 << 8, keep, NULL));
	d.root = 1ull << 40;
	mini_set_root(&d);
	assert_true(model_enumerate(d.m, 0, DEV, keep, NULL));
	assert_int_equal(reaches, 0);
	mini_close(&d, false);
}

/* ---- written back ---------------------------------------------------------
 */

/* One store after the other that stays in the processor's cache. */
static void found_alone(uint64_t pa)
{
	uint64_t *word = model_ptr(d.m, pa), was = *word;

	*word = was ^ (1ull << 40 | 3);
	assert_int_equal(model_checkpoint(d.m), 1);
	*word = was;
	assert_int_equal(model_checkpoint(d.m), 0);
}

static void every_table_has_to_be_written_back(void **state)
{
	static const uint64_t places[] = {0x0, 0x1ff000, 0x3fe00000,
		0x7fc0000000, 0x7fffe00000, 0x7ffffff000};
	uint64_t at;

	(void)state;
	ready("non-coherent");
	mini_start_interrupts(&d);
	for (unsigned n = 0; n < 6; n++)
		set_leaf(places[n] + (n ? 0 : 0x2000), frame | 3);
	at = mini_context(&d, 0xffff);
	mini_store(&d, at + 8, (uint64_t)(DID + 1) << 8 | 2);
	mini_store(&d, at, mini_page(&d) | 1);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(model_checkpoint(d.m), 0);
	/* At both ends and in the middle of each. */
	for (unsigned n = 0; n < 6; n++)
		for (unsigned level = 1; level <= 3; level++) {
			uint64_t table = slot(places[n], level) & ~0xfffull;

			for (unsigned i = 0; i < 512; i += 73)
				if (!(*(uint64_t *)model_ptr(
					      d.m, table + i * 8) &
					    3))
					found_alone(table + i * 8);
		}
	for (unsigned i = 3; i < 256; i += 63)
		found_alone(d.root + i * 16);
	for (unsigned i = 1; i < 255; i += 11)
		if (i != (DEV & 255)) {
			found_alone(
				(mini_context(&d, DEV) & ~0xfffull) + i * 16);
			found_alone((at & ~0xfffull) + i * 16);
		}
	for (unsigned i = 0; i < 256; i += 51)
		found_alone(d.irt + i * 16);
	/* Upper halves count where there is an entry. */
	assert_int_equal(model_checkpoint(d.m), 0);
	*(uint64_t *)model_ptr(d.m, at + 8) ^= 1ull << 10;
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pieces_lead_to_the_same_bytes),
		T(tables_outside_of_memory),
		T(failures_are_recorded_with_their_page),
		T(nothing_is_walked_ahead_without_a_table),
		T(all_contexts_are_walked_ahead),
		T(tables_say_what_can_be_reached),
		T(every_table_has_to_be_written_back),
		T(small_pages_are_kept_whole),
		T(registers_of_every_unit_are_no_memory),
		T(reserved_bits_are_seen_before_rights),
		T(missing_entry_of_the_highest_table_is_kept),
		T(walk_of_nobodys_page_is_named),
		T(entries_that_are_not_there_lead_nowhere),
		T(interrupt_window_is_refused_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
