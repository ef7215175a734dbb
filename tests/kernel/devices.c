/* SPDX-License-Identifier: MIT */
/* What a device reaches through the tables of the process that owns it, and
 * what it does not, at every change that a process can make. */
#include "support/spaces.h"
#include "lib/string.h"

#define A 0x10000000ull
#define B 0x20000000ull

static struct space *with_device(struct device *d)
{
	struct space *s = space_create();

	assert_non_null(s);
	machine_meanwhile = devices_prefetch;
	assert_int_equal(device_attach(d, s), 0);
	return s;
}

static void expect_reach(struct device *d, uint64_t addr, int read, int write)
{
	uint8_t byte = 0;
	int r = device_read(d, addr, &byte);
	int w = device_write(d, addr, byte);

	if (r != read || w != write)
		machine_blame("at %#llx the device is told %d and %d, not %d "
			      "and %d",
			(unsigned long long)addr, r, w, read, write);
}

static void expect_nothing(struct device *d, uint64_t addr)
{
	expect_reach(d, addr, REFUSED, REFUSED);
}

/* ------------------------------------------------------------------ attach */

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

/* ------------------------------------------------ mappings come, go, change */

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

/* ------------------------------------------------------------------- fork */

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

static void exits_in_the_middle(struct device *d)
{
	struct space *s = with_device(d), *child;

	anon(s, A, 40 * K, 0);
	anon(s, B, 700 * K, MAP_SHARED & 0);
	device_prefetch(d);
	child = fork_of(s);
	gone(s);
	expect_nothing(d, A);
	assert_int_equal(cpu_byte(child, A), 0);
	gone(child);
}

static void exit_takes_the_device_away_first(void **state)
{
	(void)state;
	on_every_unit(exits_in_the_middle);
}

/* ------------------------------------------------------------------- files */

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

/* ----------------------------------------------------- what is out of reach */

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

static const struct device_range some_registers = {
	.base = 0xfeb00000,
	.size = 0x10000,
	.writable = true,
	.readonly_start = 0xfeb02000,
	.readonly_end = 0xfeb03000,
};

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

/* -------------------------------------------------------------- huge pages */

static void huge(struct device *d)
{
	struct space *s = space_create();
	uint64_t at, n = 2 * LARGE_PAGE_SIZE;

	at = anon(s, 0, n, MAP_HUGETLB);
	assert_int_equal(at % LARGE_PAGE_SIZE, 0);
	cpu_put(s, at + 5, 5);
	if (!d->huge) {
		assert_int_equal(device_attach(d, s), -ENOTSUP);
		unmap(s, at, n);
		assert_int_equal(device_attach(d, s), 0);
		assert_int_equal(
			space_mmap(s, 0, n, RW, ANON | MAP_HUGETLB, NULL, 0),
			-EINVAL);
		gone(s);
		return;
	}
	machine_meanwhile = devices_prefetch;
	assert_int_equal(device_attach(d, s), 0);
	expect_byte(s, d, at + 5, 5);
	assert_int_equal(device_write(d, at + n - 1, 6), REACHED);
	expect_byte(s, d, at + n - 1, 6);
	protect_pages(s, at, LARGE_PAGE_SIZE, PROT_READ);
	expect_reach(d, at + 5, REACHED, REFUSED);
	protect_pages(s, at, n, 0);
	expect_nothing(d, at + 5);
	protect_pages(s, at, n, RW);
	expect_byte(s, d, at + 5, 5);
	expect_byte(s, d, at + n - 1, 6);
	assert_int_equal(space_munmap(s, at + K, K), -EINVAL);
	unmap(s, at, LARGE_PAGE_SIZE);
	expect_nothing(d, at + 5);
	/* Small pages where the large one was, and back. */
	anon(s, at, LARGE_PAGE_SIZE, 0);
	expect_byte(s, d, at + 5, 0);
	anon(s, at, LARGE_PAGE_SIZE, MAP_HUGETLB);
	assert_int_equal(device_write(d, at + 5, 7), REACHED);
	expect_byte(s, d, at + 5, 7);
	gone(s);
}

static void huge_pages_are_walked_where_the_unit_can(void **state)
{
	(void)state;
	on_every_unit(huge);
}

static void forks_huge(struct device *d)
{
	struct space *s, *child;
	uint64_t frame;

	if (!d->huge)
		return;
	s = with_device(d);
	anon(s, A, LARGE_PAGE_SIZE, MAP_HUGETLB);
	cpu_put(s, A + 9, 9);
	frame = frame_of(s, A);
	child = fork_of(s);
	assert_int_equal(device_write(d, A + 9, 1), REACHED);
	assert_int_equal(frame_of(s, A), frame);
	assert_int_equal(cpu_byte(child, A + 9), 9);
	cpu_put(child, A + 9, 2);
	expect_byte(s, d, A + 9, 1);
	gone(child);
	gone(s);
}

static void fork_copies_huge_pages(void **state)
{
	(void)state;
	on_every_unit(forks_huge);
}

/* A table that a failed or moved mapping left behind is not in the way. */
static void small_then_huge(struct device *d)
{
	struct space *s;

	if (!d->huge)
		return;
	s = with_device(d);
	anon(s, A, K, 0);
	assert_int_equal(
		space_mremap(s, A, K, K, MREMAP_MAYMOVE | MREMAP_FIXED, B), B);
	anon(s, A, LARGE_PAGE_SIZE, MAP_HUGETLB);
	assert_int_equal(device_write(d, A + 7 * K, 7), REACHED);
	expect_byte(s, d, A + 7 * K, 7);
	gone(s);
}

static void huge_pages_come_where_small_ones_were(void **state)
{
	(void)state;
	on_every_unit(small_then_huge);
}

/* ------------------------------------------------------ hardware that fails */

static void flush_fails(struct device *d)
{
	struct space *s = with_device(d);
	uint64_t lost = memory_counts().quarantined;

	anon(s, A, 8 * K, 0);
	anon(s, B, 8 * K, 0);
	device_prefetch(d);
	units_fail = true;
	unmap(s, A, 8 * K);
	units_fail = false;
	/* Eight frames and the table that mapped them. */
	lost = memory_counts().quarantined - lost;
	assert_int_equal(lost, 9);
	assert_int_equal(cpu_write(s, A, 1), -EFAULT);
	/* The unit may still know what it was not seen to forget; so nothing
	 * of this space comes back, although the next flush succeeds. */
	unmap(s, B, 8 * K);
	machine_meanwhile = NULL;
	cpus_leave();
	lost = memory_counts().quarantined;
	space_quarantine(s);
	device_detach(d);
	space_put(s);
	(void)lost;
}

static uint64_t quarantined_by(void (*run)(struct device *d))
{
	uint64_t before = memory_counts().quarantined, after;
	struct device d = {.levels = 4, .caching_mode = true};

	run(&d);
	after = memory_counts().quarantined;
	machine_expect_lost(after - before);
	assert_int_equal(machine_missing(), 0);
	return after - before;
}

static void frames_are_quarantined_if_the_flush_is_not_confirmed(void **state)
{
	(void)state;
	/* 16 frames, their two tables of the lowest level, one of the second,
	 * one of the third, and the device's two top levels. */
	assert_int_equal(quarantined_by(flush_fails), 16 + 2 + 1 + 1 + 2);
}

static void detach_fails(struct device *d)
{
	struct space *s = with_device(d);

	anon(s, A, 3 * K, 0);
	space_quarantine(s);
	gone(s);
}

static void a_device_that_is_not_quiet_keeps_its_memory(void **state)
{
	(void)state;
	assert_int_equal(quarantined_by(detach_fails), 3 + 3 + 2);
}

static void copy_fails(struct device *d)
{
	struct space *s = with_device(d), *child;

	anon(s, A, K, 0);
	protect_pages(s, A, K, PROT_READ);
	child = fork_of(s);
	units_fail = true;
	assert_int_equal(space_mprotect(s, A, K, RW), -EIO);
	units_fail = false;
	gone(child);
	gone(s);
}

static void a_copy_that_is_not_confirmed_keeps_the_old_frame(void **state)
{
	(void)state;
	/* The old frame of the page and, since the unit may still walk the
	 * space, the new one, the tables and the top levels. */
	assert_int_equal(quarantined_by(copy_fails), 2 + 3 + 2);
}

/* ------------------------------------------------------------ copy on write */

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

/* -------------------------------------------------------------- registers go
 */

static void revokes(struct device *d)
{
	struct file *f = file_of_registers(some_registers);
	struct file *other = file_of_registers((struct device_range){
		.base = 0xfec00000, .size = 0x1000, .writable = true});
	struct space *s = with_device(d);
	uint64_t at, kept;

	at = (uint64_t)space_mmap(s, 0, 4 * K, RW, MAP_SHARED, f, 0);
	kept = (uint64_t)space_mmap(s, 0, K, RW, MAP_SHARED, other, 0);
	anon(s, A, K, 0);
	machine_cpu(1);
	cpu_put(s, at, 1);
	machine_cpu(2);
	cpu_put(s, kept, 1);
	machine_cpu(0);
	cpu_put(s, at + 3 * K, 1);
	space_revoke_device(some_registers.base, some_registers.size);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		assert_int_equal(cpu_write(s, at, 1), -ENXIO);
		assert_int_equal(cpu_write(s, at + 3 * K, 1), -ENXIO);
		cpu_put(s, kept, 2);
	}
	/* mprotect does not bring them back. */
	protect_pages(s, at, 4 * K, 0);
	protect_pages(s, at, 4 * K, RW);
	assert_int_equal(cpu_write(s, at, 1), -ENXIO);
	assert_int_equal(device_write(d, A, 1), REACHED);
	unmap(s, at, 4 * K);
	file_put(f);
	file_put(other);
	gone(s);
	assert_int_equal(files_open, 0);
}

static void revoked_registers_are_gone_on_every_cpu(void **state)
{
	(void)state;
	on_every_unit(revokes);
}

static void revokes_without_hearing_units(struct device *d)
{
	struct file *f = file_of_registers(some_registers);
	struct space *s = with_device(d);
	uint64_t at = (uint64_t)space_mmap(s, 0, 4 * K, RW, MAP_SHARED, f, 0);

	cpu_put(s, at, 1);
	units_flushes = 0;
	space_revoke_device(some_registers.base, some_registers.size);
	unmap(s, at, 4 * K);
	assert_int_equal(units_flushes, 0);
	file_put(f);
	gone(s);
}

static void units_hear_nothing_of_what_they_never_see(void **state)
{
	(void)state;
	on_every_unit(revokes_without_hearing_units);
}

/* What may not be written through the file's range is not by mprotect. */
static void registers_that_are_read_only_stay_so(void **state)
{
	struct file *f = file_of_registers((struct device_range){
		.base = 0xfeb00000, .size = 0x1000, .writable = false});
	struct space *s = space_create();
	int64_t at = space_mmap(s, 0, K, PROT_READ, MAP_SHARED, f, 0);

	(void)state;
	assert_true(at > 0);
	assert_int_equal(space_mmap(s, 0, K, RW, MAP_SHARED, f, 0), -EACCES);
	(void)!space_mprotect(s, (uint64_t)at, K, RW);
	assert_int_equal(cpu_write(s, (uint64_t)at, 1), -EACCES);
	file_put(f);
	gone(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attach_makes_all_present),
		TEST(attach_breaks_copy_on_write),
		TEST(devices_come_and_go),
		TEST(a_stack_is_reached_as_far_as_it_was_used),
		TEST(munmap_frees_only_after_flush),
		TEST(munmap_of_a_part_keeps_the_rest),
		TEST(tables_are_freed_only_after_flush),
		TEST(mprotect_cuts_and_raises_at_once),
		TEST(pages_without_access_keep_their_contents),
		TEST(pages_that_become_accessible_are_made),
		TEST(brk_is_populated_and_taken_back),
		TEST(mremap_moves_pages_for_both),
		TEST(discarded_pages_are_fresh_for_both),
		TEST(fork_copies_and_leaves_the_parent_in_place),
		TEST(exit_takes_the_device_away_first),
		TEST(files_are_copied_or_shared_as_asked),
		TEST(shared_memory_stays_shared),
		TEST(nothing_of_the_kernel_is_reached),
		TEST(registers_are_out_of_reach),
		TEST(registers_from_before_are_out_of_reach),
		TEST(the_interrupt_window_is_never_mapped),
		TEST(all_that_is_mapped_is_below_the_units_width),
		TEST(huge_pages_are_walked_where_the_unit_can),
		TEST(fork_copies_huge_pages),
		TEST(huge_pages_come_where_small_ones_were),
		TEST(frames_are_quarantined_if_the_flush_is_not_confirmed),
		TEST(a_device_that_is_not_quiet_keeps_its_memory),
		TEST(a_copy_that_is_not_confirmed_keeps_the_old_frame),
		TEST(a_copy_is_writable_only_when_all_forgot_the_old),
		TEST(revoked_registers_are_gone_on_every_cpu),
		TEST(units_hear_nothing_of_what_they_never_see),
		TEST(registers_that_are_read_only_stay_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
