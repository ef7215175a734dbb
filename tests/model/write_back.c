/* SPDX-License-Identifier: MIT */
/*
 * What the unit does not see yet: lines in a CPU's cache where it reads past
 * them, and stores in a write buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

static void entry_not_written_back(void **state)
{
	(void)state;
	ready("non-coherent");
	d.coherent = true;
	set_leaf(0x20000, frame | 3);
	assert_false(can_write(DEV, 0x20000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void removal_not_written_back(void **state)
{
	(void)state;
	ready("non-coherent");
	d.coherent = true;
	set_leaf(0x10000, 0);
	flush_domain();
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void new_table_not_written_back(void **state)
{
	uint64_t table, slot;

	(void)state;
	ready("non-coherent");
	slot = mini_slot(&d, top, 4, 0x40000000, 2);
	table = model_page_alloc(d.m, 0, MODEL_OWNER_DRIVER);
	memset(model_ptr(d.m, table), 0, MODEL_PAGE);
	mini_store(&d, slot, table | 3);
	/* The zeroes of the table are not in memory yet. */
	assert_true(can_write(DEV, 0x40000000));
	assert_true(model_violations_of(d.m, MODEL_V_OPEN) > 0);
	model_checkpoint(d.m);
	assert_true(model_violations_of(d.m, MODEL_V_STALE) > 0);
	mini_close(&d, false);
}

/* Wherever it stands in its line, and whichever half of it. */
static void wide_entries_not_written_back(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		bool present = n & 1, high = n & 2;
		uint64_t slot;

		ready("non-coherent");
		mini_start_interrupts(&d);
		slot = n & 8 ? d.irt + 0x7f0 - (n & 4) * 16
			     : mini_context(&d, OTHER) + (n & 4) * 8;
		mini_store(&d, slot + 8, 0);
		mini_store(&d, slot, present && (n & 8) ? ENTRY_P : 0);
		if (present && !(n & 8)) {
			mini_store(&d, slot + 8, DID << 8 | 2);
			mini_store(&d, slot, top | 1);
		}
		assert_int_equal(model_checkpoint(d.m), 0);
		d.coherent = true;
		/* A bit that changes nothing else. */
		mini_store(&d, slot + high * 8,
			*(uint64_t *)model_ptr(d.m, slot + high * 8) ^
				(high ? BIT(3) : ENTRY_FPD));
		assert_int_equal(model_checkpoint(d.m), present);
		mini_close(&d, false);
	}
}

static void lines_are_written_back_by_chance(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (unsigned seed = 0; seed < 64; seed++) {
		by_chance("non-coherent", seed);
		attached();
		assert_true(can_write(DEV, 0x10000));
		d.coherent = true;
		set_leaf(0x20000, frame | 3);
		seen += can_write(DEV, 0x20000);
		mini_close(&d, false);
	}
	assert_in_range(seen, 1, 32);
}

/* What a device works on may be in the CPU's cache: the unit walks over it
 * nowhere. */
static void data_of_a_large_page_is_no_table(void **state)
{
	uint64_t run;

	(void)state;
	ready("non-coherent");
	run = model_page_alloc(d.m, 9, OWNER);
	memset(model_ptr(d.m, run), 0x11, MODEL_PAGE);
	mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 2), run | 0x83);
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

static void write_buffer_not_flushed(void **state)
{
	(void)state;
	ready("write-buffer");
	set_leaf(0x20000, frame | 3);
	assert_false(can_write(DEV, 0x20000));
	model_checkpoint(d.m);
	assert_true(said("in a write buffer"));
	expect(MODEL_V_STALE);
}

/* Of the two things that are missing, the driver is told the first. */
static void neither_written_back_nor_the_buffer_flushed(void **state)
{
	uint64_t slot;

	(void)state;
	ready("worst-memory");
	slot = mini_slot(&d, top, mini_levels(&d), 0x20000, 1);
	mini_write_buffer(&d);
	*(uint64_t *)model_ptr(d.m, slot) = frame | 3;
	model_checkpoint(d.m);
	assert_true(said("not written back"));
	only(MODEL_V_STALE);
	mini_store(&d, slot, frame | 3);
	model_checkpoint(d.m);
	assert_true(said("in a write buffer"));
	/* Written back as it was, not as it is. */
	model_violations_clear(d.m);
	*(uint64_t *)model_ptr(d.m, slot) = frame | 1;
	model_checkpoint(d.m);
	assert_true(said("not written back"));
	mini_close(&d, false);
}

static void write_buffer_flushed(void **state)
{
	(void)state;
	ready("worst-memory");
	set_leaf(0x20000, frame | 3);
	mini_write_buffer(&d);
	assert_true(can_write(DEV, 0x20000));
	mini_close(&d, true);
}

static void hidden_write_buffer(void **state)
{
	(void)state;
	cold("mobile-4");
	attached();
	/* CAP.RWBF says that nothing is needed. */
	assert_false(can_write(DEV, 0x10000));
	model_checkpoint(d.m);
	assert_true(said("in a write buffer"));
	expect(MODEL_V_STALE);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(entry_not_written_back),
		T(removal_not_written_back),
		T(new_table_not_written_back),
		T(wide_entries_not_written_back),
		T(lines_are_written_back_by_chance),
		T(data_of_a_large_page_is_no_table),
		T(write_buffer_not_flushed),
		T(neither_written_back_nor_the_buffer_flushed),
		T(write_buffer_flushed),
		T(hidden_write_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
