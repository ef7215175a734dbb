/* SPDX-License-Identifier: MIT */
/*
 * Mappings come, go, move and change their rights, and a device that walks the
 * same tables sees each change at once.
 */
#include "support/spaces.h"

#define A 0x10000000ull
#define B 0x20000000ull

static void maps_and_unmaps(struct device *d)
{
	struct space *s = with_device(d);

	for (unsigned n = 1; n <= 600; n += 1 + n / 2) {
		expect_nothing(d, A);
		anon(s, A, n * K, 0);
		assert_int_equal(device_write(d, A, 1), REACHED);
		assert_int_equal(device_write(d, A + (n - 1) * K, 1), REACHED);
		cpu_put(s, A, 2);
		expect_byte(s, d, A, 2);
		unmap(s, A, n * K);
		expect_nothing(d, A);
		expect_nothing(d, A + (n - 1) * K);
		assert_int_equal(cpu_write(s, A, 1), -EFAULT);
	}
	gone(s);
}

/* The machine checks each frame that is freed, tables too. */
static void munmap_frees_only_after_flush(void **state)
{
	(void)state;
	on_every_unit(maps_and_unmaps);
}

static void frees_middle(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 8 * K, 0);
	cpu_put(s, A + 2 * K, 2);
	cpu_put(s, A + 5 * K, 5);
	unmap(s, A + 3 * K, 2 * K);
	expect_byte(s, d, A + 2 * K, 2);
	expect_nothing(d, A + 3 * K);
	expect_nothing(d, A + 4 * K);
	expect_byte(s, d, A + 5 * K, 5);
	/* Mapped over: the old contents are gone for both. */
	anon(s, A + 2 * K, 4 * K, 0);
	for (unsigned i = 2; i < 6; i++)
		expect_byte(s, d, A + i * K, 0);
	gone(s);
}

static void munmap_of_a_part_keeps_the_rest(void **state)
{
	(void)state;
	on_every_unit(frees_middle);
}

/* 2 MiB and more of 4 KiB pages, so that whole tables go. */
static void frees_tables(struct device *d)
{
	struct space *s = with_device(d);
	uint64_t len = 3 * LARGE_PAGE_SIZE;

	anon(s, A + LARGE_PAGE_SIZE - K, K, 0);
	anon(s, A + LARGE_PAGE_SIZE, len, 0);
	device_prefetch(d);
	units_what = 0;
	unmap(s, A + LARGE_PAGE_SIZE, len);
	assert_true(units_what & CHANGE_TABLES);
	expect_nothing(d, A + LARGE_PAGE_SIZE);
	assert_int_equal(device_write(d, A + LARGE_PAGE_SIZE - K, 1), REACHED);
	anon(s, A + LARGE_PAGE_SIZE, K, 0);
	assert_int_equal(device_write(d, A + LARGE_PAGE_SIZE, 1), REACHED);
	gone(s);
}

static void tables_are_freed_only_after_flush(void **state)
{
	(void)state;
	on_every_unit(frees_tables);
}

/* A CPU that looks ahead finds a page absent, and keeps the way to it. */
static void frees_a_table_without_pages(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 4 * K, 0);
	cpu_put(s, A, 1);
	protect_pages(s, A, 4 * K, 0);
	cpu_speculate(s, A);
	units_what = 0;
	unmap(s, A, 4 * K);
	assert_int_equal(units_what, CHANGE_TABLES);
	expect_nothing(d, A);
	assert_int_equal(cpu_write(s, A, 1), -EFAULT);
	gone(s);
}

static void table_without_pages_is_freed_after_flush(void **state)
{
	(void)state;
	on_every_unit(frees_a_table_without_pages);
}

/* CPU 1 is left in a space, with this thread to run. */
static void run_on_second(struct space *s, void *thread, void *idle)
{
	machine_cpu(1);
	cpu_put(s, B, 1);
	this_cpu()->thread = thread;
	this_cpu()->idle = idle;
	machine_cpu(0);
	cpu_put(s, A, 1);
	unmap(s, A, K);
	machine_cpu(1);
	this_cpu()->thread = this_cpu()->idle = NULL;
}

static void leaves_when_idle(struct device *d)
{
	struct space *s = with_device(d);
	static char one, other;

	anon(s, B, K, 0);
	anon(s, A, K, 0);
	run_on_second(s, &one, &other);
	assert_ptr_equal(this_cpu()->space, s);
	anon(s, A, K, 0);
	run_on_second(s, &one, &one);
	assert_null(this_cpu()->space);
	machine_cpu(0);
	gone(s);
}

static void idle_cpu_is_asked_once(void **state)
{
	(void)state;
	on_every_unit(leaves_when_idle);
}

static void cuts_and_raises(struct device *d)
{
	struct space *s = with_device(d);
	uint64_t frame;

	anon(s, A, 4 * K, 0);
	cpu_put(s, A + K, 4);
	expect_byte(s, d, A + K, 4);
	frame = frame_of(s, A + K);
	protect_pages(s, A + K, K, PROT_READ);
	expect_reach(d, A + K, REACHED, REFUSED);
	expect_reach(d, A, REACHED, REACHED);
	expect_reach(d, A + 2 * K, REACHED, REACHED);
	assert_int_equal(cpu_write(s, A + K, 1), -EACCES);
	protect_pages(s, A + K, K, RW);
	assert_int_equal(device_write(d, A + K, 5), REACHED);
	expect_byte(s, d, A + K, 5);
	assert_int_equal(frame_of(s, A + K), frame);
	gone(s);
}

static void mprotect_cuts_and_raises_at_once(void **state)
{
	(void)state;
	on_every_unit(cuts_and_raises);
}

static void holds(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 4 * K, 0);
	for (unsigned i = 0; i < 4; i++)
		cpu_put(s, A + i * K, (uint8_t)(i + 1));
	protect_pages(s, A + K, 2 * K, 0);
	expect_nothing(d, A + K);
	expect_nothing(d, A + 2 * K);
	assert_int_equal(cpu_write(s, A + K, 1), -EACCES);
	/* One of them comes back by itself, one goes for ever. */
	protect_pages(s, A + K, K, PROT_READ);
	expect_byte(s, d, A + K, 2);
	expect_reach(d, A + K, REACHED, REFUSED);
	unmap(s, A + 2 * K, K);
	protect_pages(s, A + K, K, RW);
	expect_byte(s, d, A + K, 2);
	assert_int_equal(device_write(d, A + K, 8), REACHED);
	expect_byte(s, d, A + K, 8);
	expect_nothing(d, A + 2 * K);
	gone(s);
}

static void pages_without_access_keep_their_contents(void **state)
{
	(void)state;
	on_every_unit(holds);
}

static void never_accessible(struct device *d)
{
	struct space *s = with_device(d);
	uint64_t before = memory_counts().free;

	assert_int_equal(
		space_mmap(s, A, 64 * K, 0, ANON | MAP_FIXED, NULL, 0), A);
	expect_nothing(d, A);
	/* Reserved, not populated. */
	assert_true(before - memory_counts().free <= 2);
	protect_pages(s, A + 8 * K, 8 * K, RW);
	for (unsigned i = 8; i < 16; i++)
		assert_int_equal(device_write(d, A + i * K, 1), REACHED);
	expect_nothing(d, A + 16 * K);
	gone(s);
}

static void pages_that_become_accessible_are_made(void **state)
{
	(void)state;
	on_every_unit(never_accessible);
}

static void grows(struct device *d)
{
	struct space *s = space_create();

	space_set_brk(s, A + 100);
	assert_int_equal(space_brk(s, 0), A + K);
	assert_int_equal(space_brk(s, A + 3 * K), A + 3 * K);
	machine_meanwhile = devices_prefetch;
	assert_int_equal(device_attach(d, s), 0);
	assert_int_equal(device_write(d, A + 2 * K, 1), REACHED);
	assert_int_equal(space_brk(s, A + 6 * K + 5), A + 6 * K + 5);
	for (unsigned i = 1; i < 7; i++)
		assert_int_equal(device_write(d, A + i * K, 2), REACHED);
	assert_int_equal(space_brk(s, A + 2 * K + 7), A + 2 * K + 7);
	expect_byte(s, d, A + 2 * K, 2);
	for (unsigned i = 3; i < 7; i++)
		expect_nothing(d, A + i * K);
	assert_int_equal(space_brk(s, A + 4 * K), A + 4 * K);
	expect_byte(s, d, A + 3 * K, 0);
	gone(s);
}

static void brk_is_populated_and_taken_back(void **state)
{
	(void)state;
	on_every_unit(grows);
}

static void moves(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 4 * K, 0);
	for (unsigned i = 0; i < 4; i++)
		cpu_put(s, A + i * K, (uint8_t)(i + 1));
	device_prefetch(d);
	/* Larger, in place. */
	assert_int_equal(space_mremap(s, A, 4 * K, 6 * K, 0, 0), A);
	expect_byte(s, d, A + 5 * K, 0);
	/* Elsewhere, and larger. */
	assert_int_equal(space_mremap(s, A, 6 * K, 9 * K,
				 MREMAP_MAYMOVE | MREMAP_FIXED, B),
		B);
	for (unsigned i = 0; i < 6; i++)
		expect_nothing(d, A + i * K);
	for (unsigned i = 0; i < 9; i++)
		expect_byte(s, d, B + i * K, (uint8_t)(i < 4 ? i + 1 : 0));
	/* Smaller. */
	assert_int_equal(space_mremap(s, B, 9 * K, 2 * K, 0, 0), B);
	expect_byte(s, d, B + K, 2);
	expect_nothing(d, B + 2 * K);
	/* Only its middle, on top of something else. */
	anon(s, A, 4 * K, 0);
	cpu_put(s, A + 3 * K, 44);
	assert_int_equal(space_mremap(s, A + 3 * K, K, K,
				 MREMAP_MAYMOVE | MREMAP_FIXED, B + K),
		B + K);
	expect_byte(s, d, B, 1);
	expect_byte(s, d, B + K, 44);
	expect_nothing(d, A + 3 * K);
	gone(s);
}

static void mremap_moves_pages_for_both(void **state)
{
	(void)state;
	on_every_unit(moves);
}

static void discards(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 4 * K, 0);
	for (unsigned i = 0; i < 4; i++)
		cpu_put(s, A + i * K, 7);
	device_prefetch(d);
	assert_int_equal(space_madvise(s, A + K, 2 * K, MADV_DONTNEED), 0);
	expect_byte(s, d, A, 7);
	expect_byte(s, d, A + K, 0);
	assert_int_equal(device_write(d, A + 2 * K, 3), REACHED);
	expect_byte(s, d, A + 2 * K, 3);
	expect_byte(s, d, A + 3 * K, 7);
	gone(s);
}

static void discarded_pages_are_fresh_for_both(void **state)
{
	(void)state;
	on_every_unit(discards);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(munmap_frees_only_after_flush),
		TEST(munmap_of_a_part_keeps_the_rest),
		TEST(tables_are_freed_only_after_flush),
		cmocka_unit_test(table_without_pages_is_freed_after_flush),
		cmocka_unit_test(idle_cpu_is_asked_once),
		TEST(mprotect_cuts_and_raises_at_once),
		TEST(pages_without_access_keep_their_contents),
		TEST(pages_that_become_accessible_are_made),
		TEST(brk_is_populated_and_taken_back),
		TEST(mremap_moves_pages_for_both),
		TEST(discarded_pages_are_fresh_for_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
