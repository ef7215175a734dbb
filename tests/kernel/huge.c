/* SPDX-License-Identifier: MIT */
/* Pages of 2 MiB, for units that walk them and units that do not. */
#include "support/spaces.h"

#define A 0x10000000ull
#define B 0x20000000ull

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(huge_pages_are_walked_where_the_unit_can),
		TEST(fork_copies_huge_pages),
		TEST(huge_pages_come_where_small_ones_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
