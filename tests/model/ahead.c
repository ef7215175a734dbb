/* SPDX-License-Identifier: MIT */
/*
 * How far a unit walks ahead: below each entry that is stored, by the contexts
 * of the domain alone, and nowhere that it remembers something of already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static uint64_t slot(uint64_t iova, unsigned level)
{
	return mini_slot(&d, top, mini_levels(&d), iova, level);
}

static size_t cached(void)
{
	return model_cached(d.m, 0);
}

/* A domain of its own for a device, whose table has one page at 0x30000. */
static uint64_t another(uint16_t dev, uint16_t did)
{
	uint64_t table = mini_page(&d);

	mini_map(&d, table, 0x30000, frame, 3);
	mini_attach(&d, dev, table, did, TT_SS);
	return table;
}

static void forget_everything(void)
{
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(cached(), 0);
}

/* The large page that is remembered comes first, not the table in its place. */
static void what_is_remembered_is_not_walked_again(void **state)
{
	uint64_t table;
	size_t before;

	(void)state;
	for (unsigned eager = 0; eager < 2; eager++) {
		watched("plain", eager ? MODEL_EAGER : 0);
		table = mini_page(&d);
		mini_store(&d, table, frame | 3);
		mini_store(&d, slot(0x40000000, 2), 0x400000 | SS_PS | 3);
		assert_true(can_write(DEV, 0x40000000));
		before = cached();
		mini_store(&d, slot(0x40000000, 2), table | 3);
		assert_int_equal(cached(), before);
		model_prefetch(d.m);
		assert_int_equal(cached(), before);
		mini_close(&d, false);
	}
}

static void links_that_lead_nowhere_are_walked_no_further(void **state)
{
	uint64_t freed;

	(void)state;
	ready("plain");
	freed = mini_page(&d);
	model_page_free(d.m, freed, 0);
	mini_store(&d, slot(0x200000, 2), 1ull << 40 | 3);
	mini_store(&d, slot(0x400000, 2), freed | 3);
	model_prefetch(d.m);
	assert_int_equal(model_violation_count(d.m), 0);
	/* A page that no unit may remember takes no part either. */
	set_leaf(0x11000, frame | BIT(50) | 3);
	model_prefetch(d.m);
	only(MODEL_V_RESERVED);
	assert_true(said("entry of iova 0x11000"));
	mini_close(&d, false);
}

static void new_root_entry_is_walked_at_once(void **state)
{
	static const uint16_t buses[] = {1, 17, 255};
	uint64_t contexts, table;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		size_t before;

		watched("plain", MODEL_EAGER);
		table = mini_page(&d);
		mini_map(&d, table, 0x30000, frame, 3);
		contexts = mini_page(&d);
		mini_store(&d, contexts + 0x18, (DID + 1) << 8 | 2);
		mini_store(&d, contexts + 0x10, table | 1);
		mini_store(&d, contexts + 0xff8, (DID + 1) << 8 | 2);
		mini_store(&d, contexts + 0xff0, table | 1);
		before = cached();
		mini_store(&d, d.root + buses[n] * 16, contexts | 1);
		/* The root, two contexts, three tables and the page. */
		assert_int_equal(cached(), before + 7);
		mini_store(&d, d.root + buses[n] * 16, 0);
		expect_at_checkpoint(MODEL_V_STALE);
	}
}

/* ---- by which context -----------------------------------------------------
 */

/* A device of any bus: also while only the unit has its entry still, or only
 * memory has it. */
static void any_context_of_the_domain_will_do(void **state)
{
	static const uint16_t devs[] = {0, MODEL_BDF(1, 0, 3), 0xffff};
	uint64_t table;
	size_t before;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		watched("plain", MODEL_EAGER);
		table = another(devs[n], DID + 1);
		assert_true(can_write(devs[n], 0x30000));
		take_context(devs[n]);
		before = cached();
		mini_map(&d, table, 0x31000, frame, 3);
		assert_int_equal(cached(), before + 1);
		mini_close(&d, false);

		watched("plain", MODEL_EAGER);
		table = another(devs[n], DID + 1);
		assert_true(can_write(devs[n], 0x30000));
		forget_everything();
		mini_map(&d, table, 0x31000, frame, 3);
		/* Root, context, three tables, the page. */
		assert_int_equal(cached(), 6);
		expect_nothing();
	}
}

/* Those that come before it are neither read nor taken for it. */
static void contexts_of_other_domains_are_left_alone(void **state)
{
	static const uint16_t before = MODEL_BDF(0, 1, 0);
	size_t kept;

	(void)state;
	for (unsigned pass = 0; pass < 2; pass++) {
		watched("plain", MODEL_EAGER);
		if (pass)
			mini_attach(&d, before, 0, DID, TT_PASS);
		else
			another(before, DID + 1);
		forget_everything();
		set_leaf(0x11000, frame | 3);
		/* The context of the one that passes through is read, too. */
		assert_int_equal(cached(), 6 + pass);
		assert_true(can_write(before, pass ? frame : 0x30000));
		kept = cached();
		set_leaf(0x12000, frame | 3);
		assert_int_equal(cached(), kept + 1);
		assert_true(can_write(DEV, 0x12000));
		mini_close(&d, !pass);
	}
}

/* Although another device, by another table, could come to that place. */
static void no_other_domain_stands_in_for_one_without_devices(void **state)
{
	size_t before;

	(void)state;
	watched("plain", MODEL_EAGER);
	another(OTHER, DID + 1);
	assert_true(can_write(OTHER, 0x30000));
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	flush_domain();
	before = cached();
	set_leaf(0x11000, frame | 3);
	assert_int_equal(cached(), before);
	expect_nothing();
}

/* The way to a table that was taken out of the middle ends there, whatever the
 * table above it has further on. */
static void way_ends_where_a_table_is_missing(void **state)
{
	uint64_t below;
	size_t before;

	(void)state;
	watched("plain", MODEL_EAGER);
	set_leaf(0x200000, frame | 3);
	set_leaf(0x40000000, frame | 3);
	assert_true(can_write(DEV, 0x200000));
	below = slot(0x201000, 1);
	mini_store(&d, slot(0, 3), 0);
	flush_domain();
	before = cached();
	mini_store(&d, below, frame | 3);
	/* The pointer to the table of the third level alone. */
	assert_int_equal(cached(), before + 1);
	expect_nothing();
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_remembered_is_not_walked_again),
		T(links_that_lead_nowhere_are_walked_no_further),
		T(new_root_entry_is_walked_at_once),
		T(any_context_of_the_domain_will_do),
		T(contexts_of_other_domains_are_left_alone),
		T(no_other_domain_stands_in_for_one_without_devices),
		T(way_ends_where_a_table_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
