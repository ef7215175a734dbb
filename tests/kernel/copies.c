/* SPDX-License-Identifier: MIT */
/*
 * Pages that several have: after a fork, of files, of shared memory. A device
 * can neither wait for a copy nor be told that its page lies elsewhere now.
 */
#include "support/spaces.h"

#define A 0x10000000ull
#define B 0x20000000ull

static void copies_break(struct device *d)
{
	struct space *s = space_create(), *child;

	anon(s, A, 4 * K, 0);
	cpu_put(s, A, 1);
	cpu_put(s, A + K, 1);
	child = fork_of(s);
	assert_int_equal(device_attach(d, s), 0);
	assert_int_equal(device_write(d, A, 9), REACHED);
	expect_byte(s, d, A, 9);
	assert_int_equal(cpu_byte(child, A), 1);
	cpu_put(child, A + K, 7);
	expect_byte(s, d, A + K, 1);
	gone(child);
	expect_byte(s, d, A, 9);
	gone(s);
}

static void attach_breaks_copy_on_write(void **state)
{
	(void)state;
	on_every_unit(copies_break);
}

static void forks(struct device *d)
{
	struct space *s = with_device(d), *child;
	uint64_t frames[4];

	anon(s, A, 4 * K, 0);
	for (unsigned i = 0; i < 4; i++) {
		cpu_put(s, A + i * K, (uint8_t)(i + 1));
		frames[i] = frame_of(s, A + i * K);
	}
	protect_pages(s, A + 3 * K, K, PROT_READ);
	device_prefetch(d);
	units_what = 0;
	child = fork_of(s);
	/* Nothing of the parent's changed. */
	assert_int_equal(units_what, 0);
	assert_false(space_is_shared(child));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(frame_of(s, A + i * K), frames[i]);
		assert_int_equal(
			device_write(d, A + i * K, (uint8_t)(0x80 + i)),
			REACHED);
		assert_int_equal(cpu_byte(child, A + i * K), i + 1);
	}
	cpu_put(child, A, 0x55);
	cpu_put(s, A + K, 0x66);
	expect_byte(s, d, A, 0x80);
	expect_byte(s, d, A + K, 0x66);
	assert_int_equal(cpu_byte(child, A + K), 2);
	assert_int_equal(cpu_byte(child, A + 3 * K), 4);
	/* A page that was read-only at the fork becomes the parent's own. */
	protect_pages(s, A + 3 * K, K, RW);
	assert_int_equal(device_write(d, A + 3 * K, 0x77), REACHED);
	expect_byte(s, d, A + 3 * K, 0x77);
	assert_int_equal(cpu_byte(child, A + 3 * K), 4);
	gone(child);
	expect_byte(s, d, A, 0x80);
	gone(s);
}

static void fork_copies_and_leaves_the_parent_in_place(void **state)
{
	(void)state;
	on_every_unit(forks);
}

static void maps_files(struct device *d)
{
	struct file *f = file_of_pages(4, 0x10, O_RDWR);
	struct space *s = with_device(d);

	map_file(s, A, 4 * K, RW, MAP_PRIVATE, f, 0);
	map_file(s, B, 6 * K, RW, MAP_SHARED, f, 0);
	file_put(f);
	for (unsigned i = 0; i < 4; i++)
		expect_byte(s, d, A + i * K, (uint8_t)(0x10 + i));
	assert_int_equal(device_write(d, B + K, 0x99), REACHED);
	assert_int_equal(file_page(f, 1)[0], 0x99);
	assert_int_equal(cpu_byte(s, A + K), 0x11);
	assert_int_equal(device_write(d, A + 2 * K, 0x77), REACHED);
	assert_int_equal(file_page(f, 2)[0], 0x12);
	/* Beyond its end there is nothing, for neither. */
	expect_nothing(d, B + 4 * K);
	assert_int_equal(cpu_write(s, B + 4 * K, 1), -ENXIO);
	/* Read-only, then writable: a copy, at the latest now. */
	map_file(s, A, 2 * K, PROT_READ, MAP_PRIVATE, f, 2 * K);
	expect_byte(s, d, A, 0x12);
	expect_reach(d, A, REACHED, REFUSED);
	protect_pages(s, A, 2 * K, RW);
	assert_int_equal(device_write(d, A, 0x33), REACHED);
	expect_byte(s, d, A, 0x33);
	assert_int_equal(file_page(f, 2)[0], 0x12);
	gone(s);
	assert_int_equal(files_open, 0);
}

static void files_are_copied_or_shared_as_asked(void **state)
{
	(void)state;
	on_every_unit(maps_files);
}

static void shares_memory(struct device *d)
{
	struct space *s = with_device(d), *child;

	assert_int_equal(
		space_mmap(s, A, 4 * K, RW,
			MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A);
	child = fork_of(s);
	assert_int_equal(device_write(d, A + K, 5), REACHED);
	assert_int_equal(cpu_byte(child, A + K), 5);
	cpu_put(child, A + 2 * K, 6);
	expect_byte(s, d, A + 2 * K, 6);
	unmap(s, A, 4 * K);
	expect_nothing(d, A + K);
	assert_int_equal(cpu_byte(child, A + K), 5);
	gone(child);
	gone(s);
}

static void shared_memory_stays_shared(void **state)
{
	(void)state;
	on_every_unit(shares_memory);
}

static struct space *copying;
static uint64_t shared_frame;

/* While one may still read the old frame, nobody writes the new one. */
static void not_yet_writable(void)
{
	struct leaf l;

	assert_true(tables_next(&copying->tables, A, A + 1, &l));
	assert_true(pte_present(*l.entry));
	if (flush_pending && l.entry->v & PTE_WRITE &&
		pte_phys(*l.entry).v != shared_frame)
		machine_blame("a copy is writable before all have forgotten");
}

static void copies_in_order(struct device *d)
{
	struct space *s = space_create(), *child;

	anon(s, A, K, 0);
	cpu_put(s, A, 1);
	child = fork_of(s);
	machine_cpu(1);
	assert_int_equal(cpu_byte(s, A), 1);
	machine_cpu(2);
	assert_int_equal(cpu_byte(s, A), 1);
	machine_cpu(0);
	copying = s;
	shared_frame = frame_of(s, A);
	machine_meanwhile = not_yet_writable;
	assert_int_equal(device_attach(d, s), 0);
	machine_meanwhile = NULL;
	assert_int_not_equal(frame_of(s, A), shared_frame);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		cpu_put(s, A, (uint8_t)(i + 2));
		expect_byte(s, d, A, (uint8_t)(i + 2));
	}
	assert_int_equal(cpu_byte(child, A), 1);
	gone(child);
	gone(s);
}

static void a_copy_is_writable_only_when_all_forgot_the_old(void **state)
{
	(void)state;
	on_every_unit(copies_in_order);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attach_breaks_copy_on_write),
		TEST(fork_copies_and_leaves_the_parent_in_place),
		TEST(files_are_copied_or_shared_as_asked),
		TEST(shared_memory_stays_shared),
		TEST(a_copy_is_writable_only_when_all_forgot_the_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
