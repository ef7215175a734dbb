/* SPDX-License-Identifier: MIT */
/* Spaces as CPUs see them: where mappings go, what fork shares, what calls
 * refuse, and what is told about a space. */
#include "support/spaces.h"
#include "lib/string.h"
#include "lib/text.h"

#define A 0x10000000ull
#define B 0x20000000ull

/* -------------------------------------------------------------------- places
 */

static int64_t anywhere(struct space *s, uint64_t len, int flags)
{
	return space_mmap(s, 0, len, 0, ANON | flags, NULL, 0);
}

static bool inside(int64_t at, uint64_t len, uint64_t low, uint64_t high)
{
	return at > 0 && (uint64_t)at >= low && (uint64_t)at + len <= high;
}

/* With all above the interrupt window taken, large mappings go below it. */
static void gaps_end_at_the_interrupt_window(void **state)
{
	struct space *s = space_create();
	uint64_t low = INTERRUPT_WINDOW_START, high = INTERRUPT_WINDOW_END;
	uint64_t rest = high + 3 * LARGE_PAGE_SIZE / 2;

	(void)state;
	assert_int_equal(space_mmap(s, rest, user_top - rest, 0,
				 ANON | MAP_FIXED, NULL, 0),
		-ENOMEM);
	user_top = REGISTERS_START;
	assert_int_equal(space_mmap(s, rest, user_top - rest, 0,
				 ANON | MAP_FIXED, NULL, 0),
		rest);
	assert_true(inside(anywhere(s, K, 0), K, high, rest));
	/* Fits above, but not at a multiple of its page size. */
	assert_true(inside(anywhere(s, LARGE_PAGE_SIZE, MAP_HUGETLB),
		LARGE_PAGE_SIZE, LOWEST_ADDRESS, low));
	assert_true(inside(
		anywhere(s, 1ull << 30, 0), 1ull << 30, LOWEST_ADDRESS, low));
	assert_int_equal(anywhere(s, 4ull << 30, 0), -ENOMEM);
	gone(s);
}

static void gaps_end_at_the_window_of_registers(void **state)
{
	struct space *s = space_create();
	uint64_t most = 0x200000000000ull - 64 * LARGE_PAGE_SIZE;
	int64_t above = anywhere(s, most, 0);
	int64_t below = anywhere(s, most, 0);

	(void)state;
	assert_true(inside(above, most, REGISTERS_END, user_top));
	assert_true(inside(below, most, LOWEST_ADDRESS, REGISTERS_START));
	assert_true(inside(anywhere(s, 1ull << 40, 0), 1ull << 40,
		LOWEST_ADDRESS, REGISTERS_START));
	assert_int_equal(anywhere(s, 0x300000000000ull, 0), -ENOMEM);
	gone(s);
}

static void low_mappings_are_below_two_gigabytes(void **state)
{
	struct space *s = space_create();
	int64_t at;

	(void)state;
	anon(s, 0x7ffff000, K, 0);
	at = anywhere(s, 64 * K, MAP_32BIT);
	assert_true(inside(at, 64 * K, LOWEST_ADDRESS, 0x7ffff000));
	gone(s);
}

/* Gaps between many regions, against a plain search. */
static void gaps_are_the_highest_that_fit(void **state)
{
	struct space *s = space_create();
	uint32_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		seed = seed * 1664525 + 1013904223;
		anon(s, A + (seed >> 8) % 512 * K, K * (1 + (seed >> 24) % 3),
			0);
	}
	for (uint64_t n = 1; n < 20; n++) {
		uint64_t high = A + 512 * K, want = 0;
		uint64_t got = region_gap(s, n * K, K, A, high);

		for (uint64_t at = A; at + n * K <= high; at += K)
			if (!region_any(s, at, at + n * K))
				want = at;
		assert_int_equal(got, want);
	}
	gone(s);
}

/* ---------------------------------------------------------------------- fork
 */

static void fork_cuts_what_cpus_have_cached(void **state)
{
	struct space *s = space_create(), *child;

	(void)state;
	anon(s, A, 2 * K, 0);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		cpu_put(s, A, (uint8_t)i);
	}
	child = fork_of(s);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		cpu_put(s, A, 0x77);
	}
	assert_int_equal(cpu_byte(child, A), TEST_CPUS - 1);
	gone(child);
	gone(s);
}

static void fork_of_a_fork_keeps_all_apart(void **state)
{
	struct space *s[4] = {space_create()};

	(void)state;
	anon(s[0], A, K, 0);
	cpu_put(s[0], A, 1);
	for (unsigned i = 1; i < 4; i++)
		s[i] = fork_of(s[i - 1]);
	for (unsigned i = 0; i < 4; i++)
		cpu_put(s[i], A, (uint8_t)(0x10 + i));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(cpu_byte(s[i], A), 0x10 + i);
	for (unsigned i = 0; i < 4; i++)
		gone(s[i]);
}

/* The last one left writes without a copy. */
static void a_page_that_is_no_longer_shared_is_not_copied(void **state)
{
	struct space *s = space_create();
	uint64_t frame;

	(void)state;
	anon(s, A, K, 0);
	cpu_put(s, A, 1);
	frame = frame_of(s, A);
	gone(fork_of(s));
	cpu_put(s, A, 2);
	assert_int_equal(frame_of(s, A), frame);
	gone(s);
}

static void children_do_not_inherit_registers(void **state)
{
	struct file *f = file_of_registers((struct device_range){
		.base = 0xfeb00000, .size = 0x4000, .writable = true});
	struct space *s = space_create(), *child;
	uint64_t at = (uint64_t)space_mmap(s, 0, 4 * K, RW, MAP_SHARED, f, 0);

	(void)state;
	file_put(f);
	cpu_put(s, at, 1);
	child = fork_of(s);
	assert_int_equal(cpu_write(child, at, 1), -EFAULT);
	gone(s);
	assert_int_equal(files_open, 0);
	gone(child);
}

/* -------------------------------------------------------------- what is
 * refused */

/* The memory type of a mapped register: PCD and PWT, the PAT's entry. */
static uint64_t type_of_registers(bool combining)
{
	struct file *f =
		file_of_registers((struct device_range){.base = 0xe0000000,
			.size = 4 * K,
			.writable = true,
			.write_combining = combining});
	struct space *s = space_create();
	int64_t at = space_mmap(s, 0, K, RW, MAP_SHARED, f, 0);
	struct leaf l;
	uint64_t type;

	assert_true(at > 0);
	cpu_put(s, (uint64_t)at, 1);
	assert_true(
		tables_next(&s->tables, (uint64_t)at, (uint64_t)at + K, &l));
	type = l.entry->v & (PTE_CACHE_DISABLE | PTE_WRITE_THROUGH);
	file_put(f);
	gone(s);
	return type;
}

static void registers_are_uncached_or_combine(void **state)
{
	(void)state;
	assert_int_equal(type_of_registers(false),
		PTE_CACHE_DISABLE | PTE_WRITE_THROUGH);
	assert_int_equal(type_of_registers(true), PTE_WRITE_THROUGH);
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
	struct space *s = space_create();
	struct file *f = file_of_pages(1, 0, O_RDONLY);

	(void)state;
	assert_int_equal(space_mmap(s, 0, 0, RW, ANON, NULL, 0), -EINVAL);
	assert_int_equal(space_mmap(s, 0, ~0ull, RW, ANON, NULL, 0), -ENOMEM);
	assert_int_equal(
		space_mmap(s, 0, 1ull << 47, RW, ANON, NULL, 0), -ENOMEM);
	assert_int_equal(space_mmap(s, A + 1, K, RW, ANON | MAP_FIXED, NULL, 0),
		-EINVAL);
	assert_int_equal(
		space_mmap(s, 0, K, RW, ANON | MAP_FIXED, NULL, 0), -EPERM);
	assert_int_equal(
		space_mmap(s, ~0ull - K + 1, K, RW, ANON | MAP_FIXED, NULL, 0),
		-ENOMEM);
	assert_int_equal(space_mmap(s, 0, K, RW, MAP_PRIVATE, NULL, 0), -EBADF);
	assert_int_equal(space_mmap(s, 0, K, RW, 0, f, 0), -EINVAL);
	assert_int_equal(space_mmap(s, 0, K, RW, MAP_SHARED, f, 0), -EACCES);
	assert_int_equal(space_mmap(s, 0, K, RW, MAP_PRIVATE, f, 7), -EINVAL);
	assert_int_equal(space_mmap(s, 0, K, RW, MAP_PRIVATE, f, ~0ull - K + 1),
		-EINVAL);
	assert_int_equal(space_munmap(s, 1, K), -EINVAL);
	assert_int_equal(space_munmap(s, A, 0), -EINVAL);
	assert_int_equal(space_munmap(s, ~0ull - K + 1, 2 * K), -EINVAL);
	assert_int_equal(space_mprotect(s, A, K, RW), -ENOMEM);
	assert_int_equal(space_mprotect(s, A, K, 64), -EINVAL);
	assert_int_equal(
		space_mremap(s, A, K, 2 * K, MREMAP_MAYMOVE, 0), -EFAULT);
	assert_int_equal(space_mremap(s, A, 0, K, MREMAP_MAYMOVE, 0), -EINVAL);
	assert_int_equal(space_mremap(s, A, K, K, MREMAP_FIXED, B), -EINVAL);
	assert_int_equal(space_madvise(s, A, K, MADV_DONTNEED), -ENOMEM);
	/* Read-only through the file, and so through mprotect. */
	map_file(s, A, K, PROT_READ, MAP_SHARED, f, 0);
	assert_int_equal(space_mprotect(s, A, K, RW), -EACCES);
	assert_int_equal(cpu_write(s, A, 1), -EACCES);
	file_put(f);
	gone(s);
}

static void nothing_but_user_memory_faults_in(void **state)
{
	struct space *s = space_create();

	(void)state;
	anon(s, A, K, 0);
	assert_int_equal(space_fault(s, DIRECT_BASE | 1ull << 63, 0), -EFAULT);
	assert_int_equal(space_fault(s, USER_END, 2), -EFAULT);
	assert_int_equal(space_fault(s, ~0ull, 2), -EFAULT);
	assert_int_equal(space_fault(NULL, A, 0), -EFAULT);
	/* A reserved bit in an entry: not to be retried for ever. */
	assert_int_equal(space_fault(s, A, 8), -EFAULT);
	assert_int_equal(cpu_fetch(s, A), -EACCES);
	protect_pages(s, A, K, PROT_READ | PROT_EXEC);
	assert_int_equal(cpu_fetch(s, A), 0);
	gone(s);
}

static void shared_memory_ends_somewhere(void **state)
{
	struct space *s = space_create();
	int64_t at = space_mmap(
		s, 0, 5ull << 30, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);

	(void)state;
	assert_true(at > 0);
	cpu_put(s, (uint64_t)at + (4ull << 30) - 1, 1);
	assert_int_equal(cpu_write(s, (uint64_t)at + (4ull << 30), 1), -ENXIO);
	gone(s);
}

/* ------------------------------------------------------------- what is told */

static void memory_is_read_where_it_is_and_not_beyond(void **state)
{
	struct space *s = space_create();
	uint8_t buf[3 * K];

	(void)state;
	anon(s, A, 2 * K, 0);
	cpu_put(s, A + K - 1, 1);
	cpu_put(s, A + K, 2);
	assert_int_equal(space_read(s, A + K - 1, buf, 2), 2);
	assert_true(buf[0] == 1 && buf[1] == 2);
	assert_int_equal(space_read(s, A + K, buf, sizeof(buf)), K);
	assert_int_equal(space_read(s, A - 1, buf, 2), 0);
	anon(s, B, LARGE_PAGE_SIZE, MAP_HUGETLB);
	cpu_put(s, B + 5 * K + 9, 7);
	assert_int_equal(space_read(s, B + 5 * K + 9, buf, 1), 1);
	assert_int_equal(buf[0], 7);
	/* The kernel's half is nobody's to read. */
	for (unsigned bit = 47; bit < 64; bit++)
		assert_int_equal(space_read(s, ~0ull << bit, buf, 1), 0);
	assert_int_equal(space_read(s, 1ull << 47, buf, 1), 0);
	gone(s);
}

static void resident_pages_are_told(void **state)
{
	struct space *s = space_create();
	uint8_t vec[4] = {9, 9, 9, 9};

	(void)state;
	anon(s, A, 4 * K, 0);
	cpu_put(s, A + K, 1);
	assert_int_equal(space_mincore(s, A, 4 * K, vec), 0);
	assert_true(!vec[0] && vec[1] == 1 && !vec[2] && !vec[3]);
	anon(s, B, LARGE_PAGE_SIZE, MAP_HUGETLB);
	assert_int_equal(space_mincore(s, B + K, K, vec), 0);
	assert_int_equal(vec[0], 0);
	cpu_put(s, B, 1);
	assert_int_equal(space_mincore(s, B + K, K, vec), 0);
	assert_int_equal(vec[0], 1);
	assert_int_equal(space_mincore(s, A + 3 * K, 2 * K, vec), -ENOMEM);
	assert_int_equal(
		space_mincore(s, 0xffff800000000000ull, K, vec), -ENOMEM);
	assert_int_equal(space_mincore(s, ~0ull - K + 1, 2 * K, vec), -ENOMEM);
	assert_int_equal(space_resident(s), 1 + 512);
	assert_int_equal(space_size(s), 4 * K + LARGE_PAGE_SIZE);
	gone(s);
}

static void maps_has_a_line_for_each_region(void **state)
{
	struct space *s = space_create();
	struct text t = {0};

	(void)state;
	anon(s, A, 2 * K, 0);
	anon(s, A + 2 * K, K, 0);
	space_set_brk(s, B);
	assert_int_equal(space_brk(s, B + K), B + K);
	anon(s, B + 16 * K, K, MAP_GROWSDOWN);
	protect_pages(s, B + 16 * K, K, PROT_READ | PROT_EXEC);
	space_maps(s, &t);
	assert_string_equal(t.data,
		"10000000-10003000 rw-p 00000000 00:00 0 \n"
		"20000000-20001000 rw-p 00000000 00:00 0 [heap]\n"
		"20010000-20011000 r-xp 00000000 00:00 0 [stack]\n");
	text_free(&t);
	gone(s);
}

/* A CPU that sleeps in the tables of a space that goes is made to leave. */
static void the_last_put_makes_every_cpu_leave(void **state)
{
	struct space *s = space_create();

	(void)state;
	anon(s, A, K, 0);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		cpu_put(s, A, 1);
	}
	machine_cpu(0);
	space_put(s);
	for (unsigned i = 0; i < TEST_CPUS; i++)
		assert_null(cpus[i]->space);
}

static struct space *left;

static void unmap_meanwhile(void)
{
	machine_cpu(0);
	assert_int_equal(space_munmap(left, A, K), 0);
}

/* Between "I take other tables" and their loading lies an instruction, during
 * which the old ones can be walked. */
static void a_cpu_that_leaves_a_space_is_still_asked(void **state)
{
	struct space *s = left = space_create();

	(void)state;
	anon(s, A, K, 0);
	machine_cpu(1);
	cpu_put(s, A, 1);
	walker_switching = unmap_meanwhile;
	space_switch(NULL);
	assert_null(walker_switching);
	machine_cpu(0);
	gone(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gaps_end_at_the_interrupt_window),
		TEST(gaps_end_at_the_window_of_registers),
		TEST(low_mappings_are_below_two_gigabytes),
		TEST(gaps_are_the_highest_that_fit),
		TEST(fork_cuts_what_cpus_have_cached),
		TEST(fork_of_a_fork_keeps_all_apart),
		TEST(a_page_that_is_no_longer_shared_is_not_copied),
		TEST(children_do_not_inherit_registers),
		TEST(registers_are_uncached_or_combine),
		TEST(ranges_that_make_no_sense_are_refused),
		TEST(nothing_but_user_memory_faults_in),
		TEST(shared_memory_ends_somewhere),
		TEST(memory_is_read_where_it_is_and_not_beyond),
		TEST(resident_pages_are_told),
		TEST(maps_has_a_line_for_each_region),
		TEST(the_last_put_makes_every_cpu_leave),
		TEST(a_cpu_that_leaves_a_space_is_still_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
