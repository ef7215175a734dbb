/* SPDX-License-Identifier: MIT */
/*
 * What a unit remembers of entries that are special in some way: odd addresses,
 * entries that lead nowhere or are the first of their kind, domain zero, and
 * which flushes count as needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

#define FAR MODEL_BDF(1, 0, 0)

static bool can_read_byte(uint16_t dev, uint64_t iova)
{
	uint8_t v;

	return model_dma_read(d.m, 0, dev, iova, &v, 1) == MODEL_DMA_OK;
}

static void odd_addresses_find_what_is_remembered(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	for (unsigned bit = 0; bit < 12; bit++)
		assert_true(can_read_byte(DEV, 0x10000 + (1u << bit)));
	expect_at_checkpoint(MODEL_V_STALE);
}

/* Also if the first address was odd. */
static void odd_addresses_are_remembered(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 12; bit++) {
		ready("plain");
		set_leaf(0x11000, frame | 3);
		assert_true(can_read_byte(DEV, 0x11000 + (1u << bit)));
		set_leaf(0x11000, 0);
		assert_true(can_read_byte(DEV, 0x11000));
		expect_at_checkpoint(MODEL_V_STALE);
	}
}

/* The place of one that was forgotten is given to a new one, and no other. */
static void some_are_forgotten_and_the_others_kept(void **state)
{
	enum {
		N = 2048
	};

	(void)state;
	ready("plain");
	for (uint64_t n = 0; n < 2 * N; n++)
		set_leaf(n << 12, frame | 3);
	for (uint64_t n = 0; n < N; n++)
		assert_true(can_write(DEV, n << 12));
	for (uint64_t n = 0; n < N; n += 2)
		mini_flush_iotlb(&d, GRAN_NARROW, DID, n << 12, 0, true);
	for (uint64_t n = N; n < 2 * N; n++)
		assert_true(can_write(DEV, n << 12));
	for (uint64_t n = 0; n < 2 * N; n++)
		set_leaf(n << 12, 0);
	for (uint64_t n = 0; n < 2 * N; n++)
		assert_int_equal(can_write(DEV, n << 12), n >= N || n % 2);
	mini_close(&d, false);
}

/* What a table covers and what a flush names are blocks side by side. */
static void tables_beside_a_block_are_kept(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x11000, frame | 3);
	mini_store(&d, mini_slot(&d, top, 4, 0x10000, 2), 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x200000, 0, false);
	assert_true(can_write(DEV, 0x11000));
	set_leaf(0x400000, frame | 3);
	set_leaf(0x401000, frame | 3);
	assert_true(can_write(DEV, 0x400000));
	mini_store(&d, mini_slot(&d, top, 4, 0x400000, 2), 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 10, false);
	assert_true(can_write(DEV, 0x401000));
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 11, false);
	assert_false(can_write(DEV, 0x401000));
	mini_close(&d, true);
}

/* The page at address zero is a table like any other. */
static void table_at_the_beginning_of_memory(void **state)
{
	(void)state;
	cold("plain");
	top = d.root;
	assert_int_equal(top, 0);
	d.root = mini_page(&d);
	mini_start(&d);
	frame = model_page_alloc(d.m, 0, OWNER);
	mini_map(&d, top, 0x10000, frame, 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	mini_attach(&d, OTHER, 0, DID, TT_PASS);
	assert_true(can_write(OTHER, frame));
	assert_int_equal(model_violations_of(d.m, MODEL_V_UNSUPPORTED), 1);
	assert_true(said("stands for two tables"));
	mini_close(&d, false);
}

/* Nobody asks a forgiving unit what an id stands for. */
static void forgiving_unit_has_two_tables_for_an_id(void **state)
{
	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_BENIGN, 1));
	attached();
	assert_true(can_write(DEV, 0x10000));
	mini_attach(&d, OTHER, mini_page(&d), DID, TT_SS);
	assert_false(can_write(OTHER, 0x20000));
	mini_close(&d, true);
}

/* Put back, a machine knows which table an id stands for, of the first id too.
 */
static void domain_zero_is_in_use_again(void **state)
{
	struct model_snapshot *s;

	(void)state;
	cold("plain");
	mapped();
	mini_attach(&d, DEV, top, 0, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	s = model_snapshot(d.m);
	assert_non_null(s);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	model_restore(d.m, s);
	mini_attach(&d, OTHER, mini_page(&d), 0, TT_SS);
	assert_false(can_write(OTHER, 0x20000));
	assert_true(said("stands for two tables"));
	model_snapshot_free(s);
	mini_close(&d, false);
}

/* A table has one width as long as a context says so that is remembered. */
static void forgotten_table_may_have_another_width(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		bool flushed = n;

		ready("plain");
		take_context(DEV);
		if (flushed) {
			mini_flush_context(&d, GRAN_NARROW, DID, DEV);
			flush_domain();
		}
		mini_store(&d, mini_context(&d, OTHER) + 8, DID << 8 | 1);
		mini_store(&d, mini_context(&d, OTHER), top | ENTRY_P);
		assert_int_equal(can_write(OTHER, 0x10000), !flushed);
		assert_int_equal(model_violation_count(d.m), !flushed);
		mini_close(&d, flushed);
	}
}

static void every_bus_is_counted(void **state)
{
	(void)state;
	cold("plain");
	mapped();
	for (unsigned bus = 0; bus < 256; bus += 3) {
		uint16_t dev = (uint16_t)(bus << 8);

		mini_attach(&d, dev, top, DID, TT_SS);
		assert_true(can_write(dev, 0x10000));
		/* Three pointers to tables, and the page. */
		assert_int_equal(model_cached(d.m, 0), 4 + 2 * (bus / 3 + 1));
	}
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_int_equal(model_cached(d.m, 0), 4);
	assert_true(can_write(3 << 8, 0x10000));
	mini_close(&d, true);
}

/* The smallest entry there is: page 0, to be read. */
static void entry_of_one_bit_is_an_entry(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x11000, 1);
	assert_true(can_read_byte(DEV, 0x11000));
	set_leaf(0x11000, 0);
	expect_at_checkpoint(MODEL_V_STALE);
}

/* Contexts that are not used as tables do not hold the page that they name. */
static void only_what_leads_to_a_table_holds_it(void **state)
{
	uint64_t page;

	(void)state;
	ready("caching");
	page = mini_page(&d);
	mini_store(&d, mini_context(&d, OTHER), page);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_false(can_write(OTHER, 0x10000));
	model_page_free(d.m, page, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	page = mini_page(&d);
	mini_attach(&d, OTHER, page, DID + 1, TT_PASS);
	assert_true(can_write(OTHER, frame));
	model_page_free(d.m, page, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_close(&d, true);
}

static void table_outside_of_memory(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, 1ull << 40, DID + 1, TT_SS);
	assert_false(can_write(OTHER, 0x10000));
	assert_int_equal(model_last_fault(d.m), F_CTX_INVALID);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_close(&d, true);
}

/* A gigabyte that the top table itself leads to: there is no table below. */
static void gigabyte_of_a_top_table(void **state)
{
	uint64_t page;

	(void)state;
	cold("39-bit");
	mini_start(&d);
	top = mini_page(&d);
	page = model_page_alloc(d.m, 0, OWNER);
	mini_store(&d, top, SS_PS | 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x1008));
	model_page_free(d.m, page, 0);
	expect(MODEL_V_FREE);
}

static void context_read_again_finds_its_pages(void **state)
{
	(void)state;
	ready("plain");
	/* By several entries of the top table. */
	for (uint64_t at = 1; at < 200; at *= 3) {
		mini_map(&d, top, at << 39, frame, 3);
		assert_true(can_write(DEV, at << 39));
	}
	mini_flush_context(&d, GRAN_DOMAIN, DID, 0);
	assert_true(can_write(DEV, 0x10000));
	mini_close(&d, true);
}

static void domain_zero_owes_its_flush_too(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, mini_page(&d), 0, TT_SS);
	assert_false(can_write(OTHER, 0x10000));
	take_context(OTHER);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(model_checkpoint(d.m), 0);
	expect(MODEL_V_STALE);
}

/* ---- the order of flushes ------------------------------------------------ */

static void change_context_of(uint16_t dev, uint16_t did)
{
	take_context(dev);
	mini_flush_context(&d, GRAN_NARROW, did, dev);
}

static void flush_before_the_change_is_none(void **state)
{
	(void)state;
	ready("plain");
	flush_domain();
	change_context_of(DEV, DID);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void early_for_one_domain_is_not_for_another(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, mini_page(&d), DID + 1, TT_SS);
	assert_false(can_write(OTHER, 0x10000));
	take_context(OTHER);
	/* Of the two only the other one's context is old. */
	flush_domain();
	mini_flush_context(&d, GRAN_NARROW, DID + 1, OTHER);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID + 1, 0, 0, false);
	change_context_of(DEV, DID);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void too_early_on_any_bus(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, FAR, top, DID, TT_SS);
	assert_true(can_write(FAR, 0x10000));
	take_context(FAR);
	flush_domain();
	mini_flush_context(&d, GRAN_NARROW, DID, FAR);
	expect_at_checkpoint(MODEL_V_ORDER);
}

/* What was early once and then done right is right. */
static void every_change_owes_a_flush_of_its_own(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	flush_domain();
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	flush_domain();
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	change_context_of(DEV, DID);
	expect_at_checkpoint(MODEL_V_STALE);
}

/* ---- which flushes were needed ------------------------------------------- */

static bool was_needed(uint64_t *so_far)
{
	uint64_t before = *so_far;

	*so_far = superfluous();
	return *so_far == before;
}

static void flushes_that_found_something(void **state)
{
	uint64_t n = 0, table;

	(void)state;
	cold("plain");
	mini_queue_on(&d);
	mini_set_root(&d);
	was_needed(&n);
	mini_flush_context(&d, GRAN_DOMAIN, DID, 0);
	assert_false(was_needed(&n));
	/* Owed since the root was set. */
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_true(was_needed(&n));
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_false(was_needed(&n));
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_true(was_needed(&n));
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_false(was_needed(&n));
	mini_write64(&d, IRTA, d.irt | 7);
	mini_command(&d, G_IRTP, true);
	mini_flush_irte(&d, false, 3);
	assert_false(was_needed(&n));
	mini_flush_irte(&d, true, 0);
	assert_true(was_needed(&n));
	mini_flush_irte(&d, true, 0);
	assert_false(was_needed(&n));
	mini_close(&d, true);
	/* A changed root entry, context, and what is owed after it. */
	ready("plain");
	was_needed(&n);
	table = mini_page(&d);
	mini_store(&d, d.root, table | 1);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_true(was_needed(&n));
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	assert_false(was_needed(&n));
	assert_true(can_write(DEV, 0x10000));
	change_context_of(DEV, DID);
	assert_true(was_needed(&n));
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID + 1, 0, 0, false);
	assert_false(was_needed(&n));
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_true(was_needed(&n));
	mini_close(&d, true);
}

/* ---- odd units ------------------------------------------------------------
 */

/* Some emulators flush all contexts where one domain's are named. */
static void unit_that_widens_a_flush_by_domain(void **state)
{
	(void)state;
	ready("qemu-7.2");
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID + 1, OTHER);
	assert_true(can_write(DEV, 0x10000));
	mini_flush_context(&d, GRAN_DOMAIN, DID + 1, 0);
	assert_false(can_write(DEV, 0x10000));
	flush_domain();
	mini_close(&d, true);
}

/* A flush of any kind empties the write buffers (VT-d 6.8). */
static void every_flush_empties_write_buffers(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		ready("write-buffer");
		assert_false(can_write(DEV, 0x11000));
		set_leaf(0x11000, frame | 3);
		assert_false(can_write(DEV, 0x11000));
		if (kind == 0)
			mini_flush_context(&d, GRAN_DOMAIN, 99, 0);
		else if (kind == 1)
			mini_flush_iotlb(&d, GRAN_DOMAIN, 99, 0, 0, false);
		else
			mini_flush_irte(&d, false, 0);
		assert_true(can_write(DEV, 0x11000));
		mini_close(&d, true);
	}
}

/* From version 2 on every IOTLB flush drains, asked or not (VT-d 6.5.4). */
static void versions_that_always_drain(void **state)
{
	(void)state;
	for (unsigned version = 0x1f; version <= 0x20; version++) {
		struct model_personality kind =
			*model_personality_find("plain");
		uint64_t v = 1;

		kind.version = version;
		ready_on(&kind);
		model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
		model_dma_read_late(d.m, 0, DEV, 0x10000, 8);
		mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
		mini_wait(&d);
		assert_int_equal(model_posted(d.m), version < 0x20 ? 2 : 0);
		mini_close(&d, true);
	}
}

/* ---- remembered failures --------------------------------------------------
 */

/* The failure of a last-level entry is a leaf, that of an upper one is not:
 * it goes with any page below it, but not with a hint that only leaves changed
 * (VT-d 6.1, 6.5.2.3). */
static void failures_of_each_level(void **state)
{
	static const struct {
		uint64_t iova;
		unsigned level_bits;
	} at[] = {{0x11000, 12}, {0x211000, 21}, {0x40201000, 30}};

	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		uint64_t iova = at[n / 2].iova;
		bool hint = n % 2;

		ready("caching");
		assert_false(can_write(DEV, iova));
		mini_map(&d, top, iova, frame, 3);
		assert_false(can_write(DEV, iova));
		/* Beside all that the entry would have led to. */
		mini_flush_iotlb(&d, GRAN_NARROW, DID,
			iova ^ 1ull << at[n / 2].level_bits, 0, false);
		assert_false(can_write(DEV, iova));
		mini_flush_iotlb(&d, GRAN_NARROW, DID, iova, 0, hint);
		assert_int_equal(can_write(DEV, iova), n < 2 || !hint);
		mini_close(&d, false);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(odd_addresses_find_what_is_remembered),
		T(odd_addresses_are_remembered),
		T(some_are_forgotten_and_the_others_kept),
		T(tables_beside_a_block_are_kept),
		T(table_at_the_beginning_of_memory),
		T(forgiving_unit_has_two_tables_for_an_id),
		T(domain_zero_is_in_use_again),
		T(forgotten_table_may_have_another_width),
		T(every_bus_is_counted),
		T(entry_of_one_bit_is_an_entry),
		T(only_what_leads_to_a_table_holds_it),
		T(table_outside_of_memory),
		T(gigabyte_of_a_top_table),
		T(context_read_again_finds_its_pages),
		T(domain_zero_owes_its_flush_too),
		T(flush_before_the_change_is_none),
		T(early_for_one_domain_is_not_for_another),
		T(too_early_on_any_bus),
		T(every_change_owes_a_flush_of_its_own),
		T(flushes_that_found_something),
		T(unit_that_widens_a_flush_by_domain),
		T(every_flush_empties_write_buffers),
		T(versions_that_always_drain),
		T(failures_of_each_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
