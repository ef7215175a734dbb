/* SPDX-License-Identifier: MIT */
/*
 * Table entries: what may not stand in one, and, with every store of the
 * driver watched, in which steps one may change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static void domain_ids(void **state)
{
	struct model_personality kind = *model_personality_find("plain");

	(void)state;
	ready("16-domains");
	mini_attach(&d, OTHER, top, 16, TT_SS);
	can_write(OTHER, 0);
	expect(MODEL_V_UNSUPPORTED);
	kind.cap = (kind.cap & ~7ull) | 2;
	for (uint16_t did = 255; did <= 256; did++) {
		ready_on(&kind);
		mini_attach(&d, OTHER, top, did, TT_SS);
		can_write(OTHER, 0);
		assert_int_equal(model_violation_count(d.m), did == 256);
		mini_close(&d, false);
	}
	ready("caching");
	mini_attach(&d, OTHER, top, 0, TT_SS);
	can_write(OTHER, 0);
	expect(MODEL_V_UNSUPPORTED);
	ready("plain");
	can_write(DEV, 0x20000);
	mini_attach(&d, OTHER, mini_page(&d), DID, TT_SS);
	can_write(OTHER, 0x20000);
	/* Two tables under one id; the first one's pointers are cached. */
	assert_int_equal(model_violations_of(d.m, MODEL_V_UNSUPPORTED), 1);
	mini_close(&d, false);
}

static void reserved_bits_in_entries(void **state)
{
	(void)state;
	ready("no-snoop-control");
	mini_map(&d, top, 0x20000, frame, 3 | SS_SNP);
	assert_false(can_write(DEV, 0x20000));
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	mini_map(&d, top, 0x21000, 1ull << 47, 3);
	assert_false(can_write(DEV, 0x21000));
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	mini_store(&d, d.root + 16 * 9, mini_page(&d) | 3);
	model_dma_read(d.m, 0, MODEL_BDF(9, 0, 0), 0, &top, 8);
	assert_int_equal(model_last_fault(d.m), F_ROOT_RSVD);
	expect(MODEL_V_RESERVED);
}

static void mapping_of_forbidden_places(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x20000, 0xfee01000, 3);
	can_write(DEV, 0x20000);
	only(MODEL_V_ADDRESS);
	model_violations_clear(d.m);
	mini_map(&d, top, 0x21000, d.base, 3);
	can_write(DEV, 0x21000);
	expect(MODEL_V_ADDRESS);
}

static void walk_through_a_freed_table(void **state)
{
	uint64_t slot, table;

	(void)state;
	ready("plain");
	slot = mini_slot(&d, top, 4, 0x40000000, 2);
	table = mini_page(&d);
	model_page_free(d.m, table, 0);
	mini_store(&d, slot, table | 3);
	/* The freed page looks like a table that leads to the secret. */
	assert_true(can_write(DEV, 0x40000000));
	assert_true(model_violations_of(d.m, MODEL_V_WALK) > 0);
	assert_true(model_violations_of(d.m, MODEL_V_OPEN) > 0);
	mini_close(&d, false);
}

static void walk_from_freed_roots(void **state)
{
	uint64_t page, root;

	(void)state;
	cold("plain");
	root = d.root;
	d.root = page = mini_page(&d);
	model_page_free(d.m, page, 0);
	mini_start(&d);
	can_write(DEV, 0x10000);
	assert_true(said("nobody has, as root table"));
	d.root = root;
	mini_close(&d, false);

	cold("plain");
	page = mini_page(&d);
	model_page_free(d.m, page, 0);
	mini_store(&d, d.root + (DEV >> 8) * 16u, page | 1);
	mini_start(&d);
	can_write(DEV, 0x10000);
	assert_true(said("nobody has, as context table"));
	mini_close(&d, false);
}

static void device_reaches_a_foreign_page(void **state)
{
	(void)state;
	ready("plain");
	model_device_expect(d.m, 0, DEV, 9);
	assert_true(can_write(DEV, 0x10000));
	assert_int_equal(model_violation_count(d.m), 0);
	mini_map(&d, top, 0x20000, model_page_alloc(d.m, 0, 10), 3);
	assert_true(can_write(DEV, 0x20000));
	expect(MODEL_V_OPEN);
}

static void count_reach(void *ctx, const struct model_reach *r)
{
	uint64_t *sum = ctx;

	*sum += r->size;
	if (r->iova == 0x10000)
		assert_int_equal(r->phys, frame);
}

static void enumeration_shows_what_memory_says(void **state)
{
	uint64_t sum = 0;

	(void)state;
	ready("plain");
	mini_store(
		&d, mini_slot(&d, top, 4, 0x40000000, 2), 0x400000 | SS_PS | 3);
	assert_true(model_enumerate(d.m, 0, DEV, count_reach, &sum));
	assert_int_equal(sum, 0x201000);
	sum = 0;
	assert_true(model_enumerate(d.m, 0, OTHER, count_reach, &sum));
	assert_int_equal(sum, 0);
	mini_close(&d, true);
}

/* ---- watching stores ---------------------------------------------------- */

static void torn_context_entry(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_context(&d, DEV);
	/* High half first, while the entry is present. */
	mini_store(&d, slot + 8, 6ull << 8 | 2);
	only(MODEL_V_CHANGE);
	mini_close(&d, false);
}

static void whole_context_entry_at_once(void **state)
{
	__uint128_t *slot, is;

	(void)state;
	watched("plain", 0);
	slot = model_ptr(d.m, mini_context(&d, DEV));
	is = *slot;
	/* One 16-byte store. */
	typedef long long v2 __attribute__((vector_size(16)));
	*(volatile v2 *)slot = (v2){(long long)(mini_page(&d) | 1), 6 << 8 | 2};
	assert_true(is != *slot);
	mini_close(&d, true);
}

static void clear_first_then_rewrite(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_context(&d, DEV);
	mini_store(&d, slot, 0);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	flush_domain();
	mini_store(&d, slot + 8, 6ull << 8 | 2);
	mini_store(&d, slot, mini_page(&d) | 1);
	expect_nothing();
}

static void page_size_changed_in_one_step(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_slot(&d, top, mini_levels(&d), 0x10000, 2);
	mini_store(&d, slot, 0x400000 | SS_PS | 3);
	expect(MODEL_V_CHANGE);
}

static void eager_unit_sees_everything_that_was_present(void **state)
{
	(void)state;
	watched("plain", MODEL_EAGER);
	/* Mapped and unmapped without a flush, and without any DMA. */
	mini_map(&d, top, 0x20000, frame, 3);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x20000, 1), 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	only(MODEL_V_STALE);
	mini_close(&d, false);
}

static void eager_unit_walks_into_new_tables(void **state)
{
	uint64_t table, upper;

	(void)state;
	watched("plain", MODEL_EAGER);
	/* A table is published, then filled. */
	upper = mini_slot(&d, top, mini_levels(&d), 0x40000000, 2);
	table = mini_page(&d);
	mini_store(&d, upper, table | 3);
	mini_store(&d, table, frame | 3);
	mini_store(&d, table, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

static void prefetch_shows_missing_flushes_without_dma(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x20000, frame, 3);
	model_prefetch(d.m);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x20000, 1), 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

/* The second unit of a pair, with tables of its own. */
static void open_second(struct mini *e)
{
	*e = d;
	e->base = model_unit_base(d.m, 1);
	e->queue = false;
	e->tail = e->sequence = 0;
	e->root = mini_page(e);
	e->ring = mini_page(e);
	e->status = mini_page(e);
	mini_start(e);
}

static void one_table_with_two_depths(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");
	uint64_t slot, v;
	struct mini e;

	(void)state;
	mini_open(&d, model_create_pair(kind, kind, MODEL_LAZY, 0, 1, false));
	mini_start(&d);
	open_second(&e);
	top = mini_page(&d);
	mini_map(&d, top, 0x10000, model_page_alloc(d.m, 0, OWNER), 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	/* Under another id, for another unit, with as many levels: fine. */
	mini_attach(&e, OTHER, top, DID + 1, TT_SS);
	assert_true(can_write(OTHER, 0x10000));
	assert_int_equal(model_violation_count(d.m), 0);
	slot = mini_context(&e, OTHER);
	mini_store(&e, slot, 0);
	mini_flush_context(&e, GRAN_NARROW, DID + 1, OTHER);
	mini_flush_iotlb(&e, GRAN_DOMAIN, DID + 1, 0, 0, false);
	/* With one fewer it is a table of something else. */
	mini_store(&e, slot + 8, (DID + 1) << 8 | (mini_levels(&e) - 3));
	mini_store(&e, slot, top | 1);
	model_dma_read(d.m, 0, OTHER, 0x10000, &v, 8);
	expect(MODEL_V_UNSUPPORTED);
}

static void widths_and_types_that_are_not_offered(void **state)
{
	static const struct {
		const char *kind;
		unsigned type, width;
	} bad[] = {
		{"plain", 3, 2},
		{"no-ats", TT_ATS, 2},
		{"no-pt", TT_PASS, 2},
		{"plain", TT_SS, 0},
		{"plain", TT_SS, 3},
		{"39-bit", TT_SS, 2},
		{"48-bit", TT_SS, 1},
		{"plain", TT_PASS, 1},
		{NULL, TT_SS, 0},
		{NULL, TT_SS, 4},
	};
	struct model_personality odd = *model_personality_find("plain");
	uint64_t slot, v;

	(void)state;
	/* Two bits that are reserved. */
	odd.cap |= 17ull << 8;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (bad[i].kind)
			ready(bad[i].kind);
		else
			ready_on(&odd);
		slot = mini_context(&d, OTHER);
		mini_store(&d, slot + 8, (DID + 1) << 8 | bad[i].width);
		mini_store(&d, slot, mini_page(&d) | bad[i].type << 2 | 1);
		assert_int_equal(model_dma_read(d.m, 0, OTHER, 0, &v, 8),
			MODEL_DMA_BLOCKED);
		assert_int_equal(model_last_fault(d.m), F_CTX_INVALID);
		expect(MODEL_V_UNSUPPORTED);
	}
}

static void page_sizes_that_are_not_offered(void **state)
{
	(void)state;
	ready("small-pages");
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x40000000, 2),
		0x400000 | SS_PS | 3);
	assert_false(can_write(DEV, 0x40000000));
	assert_int_equal(model_last_fault(d.m), F_SS_RSVD);
	expect(MODEL_V_RESERVED);
	ready("no-gigabyte");
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x40000000, 2),
		0x400000 | SS_PS | 3);
	assert_true(can_write(DEV, 0x40000000));
	assert_int_equal(model_violation_count(d.m), 0);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x80000000, 3),
		SS_PS | 3);
	assert_false(can_write(DEV, 0x80000000));
	expect(MODEL_V_RESERVED);
}

/* 512 small pages that say the same as a large one may take its place. */
static void page_split_and_joined(void **state)
{
	static const struct {
		unsigned entry;
		uint64_t flip;
		bool wrong;
	} cases[] = {{0, 0, false}, {0, SS_W, true}, {511, 0x1000, true},
		{255, SS_SNP, true}, {3, SS_R | SS_W, true},
		{511, BIT(52), false}};
	uint64_t slot, table, *word;

	(void)state;
	for (unsigned n = 0; n < 6; n++)
		for (int join = 0; join < 2; join++) {
			watched("plain", 0);
			slot = mini_slot(&d, top, 4, 0x40000000, 2);
			table = mini_page(&d);
			word = model_ptr(d.m, table);
			for (unsigned i = 0; i < 512; i++)
				word[i] = (0x600000 + i * 0x1000) | 3;
			word[cases[n].entry] ^= cases[n].flip;
			mini_store(&d, slot,
				join ? table | 3 : 0x600000 | SS_PS | 3);
			can_write(DEV, 0x40000000);
			mini_store(&d, slot,
				join ? 0x600000 | SS_PS | 3 : table | 3);
			assert_int_equal(
				model_violations_of(d.m, MODEL_V_CHANGE),
				cases[n].wrong);
			mini_close(&d, false);
		}
}

static void gigabyte_split_and_joined(void **state)
{
	uint64_t slot, table, *word;

	(void)state;
	for (int small = 0; small < 2; small++) {
		watched("plain", 0);
		slot = mini_slot(&d, top, 4, 0x40000000, 3);
		table = mini_page(&d);
		word = model_ptr(d.m, table);
		for (uint64_t i = 0; i < 512; i++)
			word[i] = 0x40000000 | i << 21 | SS_PS | 3;
		/* A table that only looks like a page of that place. */
		word[7] ^= small ? SS_PS : 0;
		mini_store(&d, slot, 0x40000000 | SS_PS | 3);
		can_write(DEV, 0x40000000);
		mini_store(&d, slot, table | 3);
		assert_int_equal(
			model_violations_of(d.m, MODEL_V_CHANGE), small);
		mini_close(&d, false);
	}
}

/* Every step that a wide entry may take while it is present. */
static void halves_of_wide_entries(void **state)
{
	uint64_t slot;

	(void)state;
	for (unsigned b = 0; b < 64; b++) {
		bool software = b >= 3 && b <= 6;

		watched("plain", 0);
		slot = mini_context(&d, DEV);
		mini_store(&d, slot + 8,
			*(uint64_t *)model_ptr(d.m, slot + 8) ^ BIT(b));
		assert_int_equal(
			model_violations_of(d.m, MODEL_V_CHANGE), !software);
		mini_close(&d, false);
	}
	/* One store to the low half is one change. */
	watched("plain", 0);
	slot = mini_context(&d, DEV);
	mini_store(&d, slot, mini_page(&d) | 1);
	mini_store(&d, slot, 0);
	mini_store(&d, slot + 8, 77 << 8 | 2);
	mini_store(&d, slot, top | 1);
	assert_int_equal(model_violation_count(d.m), 0);
	/* A root entry has no bits of software's. */
	mini_store(&d, d.root + 8, BIT(4));
	expect(MODEL_V_CHANGE);
}

static void pages_beside_the_registers(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x20000, d.base - 0x1000, 3);
	mini_map(&d, top, 0x21000, d.base + 0x1000, 3);
	can_write(DEV, 0x20000);
	can_write(DEV, 0x21000);
	mini_map(&d, top, 0x22000, 0xfedff000, 3);
	mini_map(&d, top, 0x23000, 0xfef00000, 3);
	can_write(DEV, 0x22000);
	can_write(DEV, 0x23000);
	assert_int_equal(model_violation_count(d.m), 0);
	/* A large page around the window, and one that begins in it. */
	mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 2),
		0xfee00000 | SS_PS | 3);
	assert_false(can_write(DEV, 0x40100000));
	mini_store(&d, mini_slot(&d, top, 4, 0x80000000, 3),
		0xc0000000 | SS_PS | 3);
	assert_false(can_write(DEV, 0x80000000));
	assert_int_equal(model_last_fault(d.m), F_OUT_INTERRUPT);
	expect(MODEL_V_ADDRESS);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(domain_ids),
		T(reserved_bits_in_entries),
		T(mapping_of_forbidden_places),
		T(walk_through_a_freed_table),
		T(walk_from_freed_roots),
		T(device_reaches_a_foreign_page),
		T(enumeration_shows_what_memory_says),
		T(torn_context_entry),
		T(whole_context_entry_at_once),
		T(clear_first_then_rewrite),
		T(page_size_changed_in_one_step),
		T(eager_unit_sees_everything_that_was_present),
		T(eager_unit_walks_into_new_tables),
		T(prefetch_shows_missing_flushes_without_dma),
		T(one_table_with_two_depths),
		T(widths_and_types_that_are_not_offered),
		T(page_sizes_that_are_not_offered),
		T(page_split_and_joined),
		T(gigabyte_split_and_joined),
		T(halves_of_wide_entries),
		T(pages_beside_the_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
