/* SPDX-License-Identifier: MIT */
/*
 * What a device reaches through the tables of the process that owns it from the
 * moment it is attached, and what it never does.
 */
#include "support/spaces.h"

#define A 0x10000000ull

static void sees_what_was_there(struct device *d)
{
	struct space *s = space_create();

	anon(s, A, 8 * K, 0);
	cpu_put(s, A, 1);
	cpu_put(s, A + 3 * K, 2);
	assert_int_equal(device_attach(d, s), 0);
	expect_byte(s, d, A, 1);
	expect_byte(s, d, A + 3 * K, 2);
	/* Never touched by the CPU, and the device cannot fault. */
	assert_int_equal(device_write(d, A + 5 * K, 3), REACHED);
	expect_byte(s, d, A + 5 * K, 3);
	expect_nothing(d, A - K);
	expect_nothing(d, A + 8 * K);
	gone(s);
}

static void attach_makes_all_present(void **state)
{
	(void)state;
	on_every_unit(sees_what_was_there);
}

static void attaches_again(struct device *d)
{
	struct device second = *d;
	struct space *s = with_device(d);

	anon(s, A, 2 * K, 0);
	assert_int_equal(device_attach(&second, s), 0);
	assert_int_equal(device_write(&second, A, 5), REACHED);
	device_detach(d);
	expect_nothing(d, A);
	expect_byte(s, &second, A, 5);
	unmap(s, A, K);
	expect_nothing(&second, A);
	device_detach(&second);
	expect_nothing(&second, A + K);
	cpu_put(s, A + K, 6);
	assert_int_equal(device_attach(d, s), 0);
	expect_byte(s, d, A + K, 6);
	expect_nothing(d, A);
	gone(s);
}

static void devices_come_and_go(void **state)
{
	(void)state;
	on_every_unit(attaches_again);
}

static void touches_stack(struct device *d)
{
	struct space *s = space_create();
	uint64_t before, top = A + 1024 * K;

	anon(s, A, 1024 * K, MAP_GROWSDOWN);
	cpu_put(s, top - K, 1);
	before = memory_counts().free;
	assert_int_equal(device_attach(d, s), 0);
	/* The device's own top levels and the first third-level table. */
	assert_true(before - memory_counts().free <= 3);
	expect_byte(s, d, top - K, 1);
	expect_nothing(d, top - 2 * K);
	cpu_put(s, top - 2 * K, 2);
	expect_byte(s, d, top - 2 * K, 2);
	gone(s);
}

static void a_stack_is_reached_as_far_as_it_was_used(void **state)
{
	(void)state;
	on_every_unit(touches_stack);
}

static void kernel_half(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A + 5 * K, K, 0);
	for (unsigned bit = 12; bit < 64; bit++) {
		expect_nothing(d, 1ull << bit);
		expect_nothing(d, ~0ull << bit);
	}
	/* The pattern the other half is found at below 2^48. */
	for (uint64_t slot = 128; slot < 512; slot++)
		expect_nothing(d, slot << 39);
	expect_nothing(d, DIRECT_BASE & 0xffffffffffff);
	gone(s);
}

static void nothing_of_the_kernel_is_reached(void **state)
{
	(void)state;
	on_every_unit(kernel_half);
}

static void maps_registers(struct device *d)
{
	struct file *f = file_of_registers(some_registers);
	struct space *s = with_device(d);
	int64_t at = space_mmap(s, 0, 4 * K, RW, MAP_SHARED, f, K);

	assert_true(at >= (int64_t)REGISTERS_START);
	assert_true(at < (int64_t)REGISTERS_END);
	cpu_put(s, (uint64_t)at, 1);
	assert_int_equal(frame_of(s, (uint64_t)at), 0xfeb01000);
	/* The interrupt table can be read and never written. */
	assert_int_equal(cpu_byte(s, (uint64_t)at + K), 0);
	assert_int_equal(cpu_write(s, (uint64_t)at + K, 1), -EACCES);
	protect_pages(s, (uint64_t)at, 4 * K, PROT_READ);
	protect_pages(s, (uint64_t)at, 4 * K, RW);
	cpu_put(s, (uint64_t)at, 1);
	assert_int_equal(cpu_write(s, (uint64_t)at + K, 1), -EACCES);
	/* At the next top-level slot too, and below where a device sees. */
	device_prefetch(d);
	for (unsigned i = 0; i < 4; i++)
		expect_nothing(d, (uint64_t)at + i * K);
	assert_int_equal(
		space_mmap(s, A, K, RW, MAP_SHARED | MAP_FIXED, f, 0), -ENOMEM);
	assert_int_equal(space_mmap(s, REGISTERS_START, K, RW, ANON | MAP_FIXED,
				 NULL, 0),
		-ENOMEM);
	file_put(f);
	gone(s);
	assert_int_equal(files_open, 0);
}

static void registers_are_out_of_reach(void **state)
{
	(void)state;
	on_every_unit(maps_registers);
}

static void had_registers(struct device *d)
{
	struct file *f = file_of_registers(some_registers);
	struct space *s = space_create();
	uint64_t at = (uint64_t)space_mmap(s, 0, 2 * K, RW, MAP_SHARED, f, 0);

	cpu_put(s, at, 1);
	assert_int_equal(device_attach(d, s), 0);
	device_prefetch(d);
	expect_nothing(d, at);
	cpu_put(s, at + K, 1);
	expect_nothing(d, at + K);
	file_put(f);
	gone(s);
}

static void registers_from_before_are_out_of_reach(void **state)
{
	(void)state;
	on_every_unit(had_registers);
}

static void window_stays_free(struct device *d)
{
	struct space *s = with_device(d);
	uint64_t low = INTERRUPT_WINDOW_START, high = INTERRUPT_WINDOW_END;
	int64_t at;

	for (uint64_t a = low; a < high; a += 0x40000)
		assert_int_equal(
			space_mmap(s, a, K, RW, ANON | MAP_FIXED, NULL, 0),
			-ENOMEM);
	assert_int_equal(
		space_mmap(s, low - K, 2 * K, RW, ANON | MAP_FIXED, NULL, 0),
		-ENOMEM);
	assert_int_equal(
		space_mmap(s, high - K, 2 * K, RW, ANON | MAP_FIXED, NULL, 0),
		-ENOMEM);
	/* A hint is not an order. */
	at = space_mmap(s, low, K, RW, ANON, NULL, 0);
	assert_true(at > 0 && ((uint64_t)at >= high || (uint64_t)at < low));
	/* Neighbours are allowed, and do not grow into it. */
	anon(s, low - 2 * K, 2 * K, 0);
	anon(s, high, K, 0);
	assert_int_equal(
		space_mremap(s, low - 2 * K, 2 * K, 3 * K, 0, 0), -ENOMEM);
	at = space_mremap(s, low - 2 * K, 2 * K, 3 * K, MREMAP_MAYMOVE, 0);
	assert_true(
		at > 0 && !((uint64_t)at + 3 * K > low && (uint64_t)at < high));
	assert_int_equal(
		space_mremap(s, high, K, K, MREMAP_MAYMOVE | MREMAP_FIXED, low),
		-EINVAL);
	space_set_brk(s, low - 4 * K);
	assert_int_equal(space_brk(s, low), low);
	assert_int_equal(space_brk(s, low + 1), low);
	assert_int_equal(space_brk(s, high + K), low);
	for (uint64_t a = low; a < high; a += 0x40000) {
		assert_int_equal(frame_of(s, a), 0);
		assert_int_equal(device_write(d, a, 1), INTERRUPT);
	}
	gone(s);
}

static void the_interrupt_window_is_never_mapped(void **state)
{
	(void)state;
	on_every_unit(window_stays_free);
}

static void stays_below_the_width(struct device *d)
{
	struct space *s = with_device(d);
	int64_t at = space_mmap(s, 0, K, RW, ANON, NULL, 0);

	assert_true(at > 0);
	assert_true((uint64_t)at < user_top);
	assert_int_equal(device_write(d, (uint64_t)at, 1), REACHED);
	assert_int_equal(
		space_mmap(s, user_top, K, RW, ANON | MAP_FIXED, NULL, 0),
		-ENOMEM);
	at = space_mmap(s, user_top - K, K, RW, ANON | MAP_FIXED, NULL, 0);
	assert_int_equal(at, user_top - K);
	assert_int_equal(device_write(d, (uint64_t)at, 1), REACHED);
	gone(s);
}

static void all_that_is_mapped_is_below_the_units_width(void **state)
{
	(void)state;
	on_every_unit(stays_below_the_width);
}

/* A table in which nothing needs a look is passed over: one page that is not
 * there, or may not be written by now, is one too many for that. */
static void full_tables(struct device *d)
{
	struct space *s = space_create(), *child;
	uint64_t at = anon(s, 64 * LARGE_PAGE_SIZE, 2 * LARGE_PAGE_SIZE, 0);
	unsigned pages = LARGE_PAGE_SIZE / K;

	for (unsigned i = 0; i < pages; i++)
		cpu_put(s, at + i * K, (uint8_t)(i / 2));
	assert_int_equal(tables_skip_full(&s->tables, at, at + pages * K),
		at + pages * K);
	assert_int_equal(
		tables_skip_full(&s->tables, at, at + pages * K - 1), at);
	assert_int_equal(space_madvise(s, at + 7 * K, K, MADV_DONTNEED), 0);
	assert_int_equal(device_attach(d, s), 0);
	expect_reach(d, at + 7 * K, REACHED, REACHED);
	for (unsigned i = 0; i < pages; i++)
		expect_byte(s, d, at + i * K, i == 7 ? 0 : (uint8_t)(i / 2));
	device_detach(d);
	child = fork_of(s);
	assert_int_equal(device_attach(d, s), 0);
	for (unsigned i = 0; i < 2 * pages; i += pages / 2 + 1)
		assert_int_equal(device_write(d, at + i * K, 0xee), REACHED);
	assert_int_equal(cpu_byte(child, at), 0);
	protect_pages(s, at, K, PROT_READ);
	expect_reach(d, at, REACHED, REFUSED);
	gone(child);
	gone(s);
}

static void full_tables_are_passed_over(void **state)
{
	(void)state;
	on_every_unit(full_tables);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attach_makes_all_present),
		TEST(devices_come_and_go),
		TEST(a_stack_is_reached_as_far_as_it_was_used),
		TEST(nothing_of_the_kernel_is_reached),
		TEST(registers_are_out_of_reach),
		TEST(registers_from_before_are_out_of_reach),
		TEST(the_interrupt_window_is_never_mapped),
		TEST(all_that_is_mapped_is_below_the_units_width),
		TEST(full_tables_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
