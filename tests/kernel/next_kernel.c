/* SPDX-License-Identifier: MIT */
/* What a change of kernels asks of the page allocator: long runs of frames,
 * frames at a given address, a list of what is free, and memory that an earlier
 * kernel used, which has frames but is nobody's at first. */
#include "support/machine.h"
#include "boot/boot_info.h"
#include "lib/string.h"
#include "mem/pages.h"

static uint32_t seed = 1;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static uint64_t at(const void *p)
{
	return virt_to_phys(p).v;
}

static void a_run_is_longer_than_any_block(void **state)
{
	uint64_t n = (PAGE_SIZE << MAX_ORDER) / PAGE_SIZE * 3 + 5;
	uint64_t free = memory_counts().free;
	char *run = pages_alloc_run(n, RAM_START, RAM_END);

	(void)state;
	assert_non_null(run);
	assert_int_equal(memory_counts().free, free - n);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(
			page_of(virt_to_phys(run + i * PAGE_SIZE))->refs, 1);
	memset(run, 1, n * PAGE_SIZE);
	pages_free_run(run, n);
	assert_int_equal(memory_counts().free, free);
}

static void a_run_stays_within_its_bounds(void **state)
{
	const uint64_t from = RAM_START + (40ull << 20) + PAGE_SIZE;
	char *run;

	(void)state;
	for (uint64_t n = 1; n < 3000; n = n * 2 + 1) {
		uint64_t limit = from + n * PAGE_SIZE;

		run = pages_alloc_run(n, from, limit);
		assert_int_equal(at(run), from);
		assert_null(pages_alloc_run(1, from, limit));
		pages_free_run(run, n);
		assert_null(pages_alloc_run(n, from, limit - 1));
		assert_null(pages_alloc_run(n, from + 1 * PAGE_SIZE, limit));
	}
	assert_null(pages_alloc_run(1, RAM_END, UINT64_MAX));
	assert_null(pages_alloc_run(RAM_SIZE, RAM_START, RAM_END));
	assert_null(pages_alloc_run(0, RAM_START, RAM_END));
}

static bool is_free(uint64_t frame)
{
	struct boot_range runs[512];
	unsigned count = pages_free_runs(runs, 512);

	for (unsigned i = 0; i < count; i++)
		if (frame >= runs[i].start && frame < runs[i].end)
			return true;
	return false;
}

static void free_runs_hold_what_is_free_and_nothing_else(void **state)
{
	struct boot_range runs[512];
	uint64_t sum = 0;
	unsigned count;
	void *taken[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		taken[i] = pages_alloc(any(5));
	count = pages_free_runs(runs, 512);
	assert_true(count && count < 512);
	for (unsigned i = 0; i < count; i++)
		sum += runs[i].end - runs[i].start;
	assert_int_equal(sum, memory_counts().free * PAGE_SIZE);
	for (unsigned i = 0; i < 64; i++)
		assert_false(is_free(at(taken[i])));
	for (unsigned i = 0; i < 64; i++)
		page_put(page_of(virt_to_phys(taken[i])));
}

static void the_longest_runs_are_named(void **state)
{
	char *all = pages_alloc_run(4096, RAM_START, RAM_END), *rest = NULL;
	const uint64_t lengths[] = {3, 40, 7, 500, 90, 1};
	struct boot_range runs[2];
	static void *other[RAM_SIZE / PAGE_SIZE];
	unsigned n = 0;

	(void)state;
	/* Everything else is taken, and then some of it given back. */
	while ((rest = page_alloc()))
		other[n++] = rest;
	rest = all;
	for (unsigned i = 0; i < 6; i++) {
		pages_free_run(rest, lengths[i]);
		rest += (lengths[i] + 1) * PAGE_SIZE;
	}
	assert_int_equal(pages_free_runs(runs, 2), 2);
	assert_int_equal(
		runs[0].end - runs[0].start + runs[1].end - runs[1].start,
		590 * PAGE_SIZE);
	while (n)
		page_free(other[--n]);
	rest = all;
	for (unsigned i = 0; i < 6; i++) {
		rest += lengths[i] * PAGE_SIZE;
		page_free(rest);
		rest += PAGE_SIZE;
	}
	pages_free_run(rest, 4096 - (uint64_t)(rest - all) / PAGE_SIZE);
}

static void a_claim_takes_all_or_nothing(void **state)
{
	uint64_t free = memory_counts().free, size = 300 * PAGE_SIZE;
	char *run = pages_alloc_run(300, RAM_START, RAM_END);

	(void)state;
	assert_false(pages_claim(at(run), at(run) + PAGE_SIZE));
	pages_free_run(run + PAGE_SIZE, 299);
	assert_false(pages_claim(at(run), at(run) + size));
	assert_int_equal(memory_counts().free, free - 1);
	pages_free_run(run, 1);
	assert_true(pages_claim(at(run), at(run) + size));
	assert_int_equal(memory_counts().free, free - 300);
	/* Again, and a part of it: it is claimed already. */
	assert_true(pages_claim(at(run) + size - PAGE_SIZE, at(run) + size));
	assert_int_equal(memory_counts().free, free - 300);
	assert_null(pages_alloc_run(1, at(run), at(run) + size));
	pages_free_run(run, 300);
	/* What the allocator never had is not in its way. */
	assert_true(pages_claim(RAM_END, RAM_END + size));
	assert_true(pages_claim(0, RAM_START));
	assert_int_equal(memory_counts().free, free);
}

static void random_runs_return_to_the_count(void **state)
{
	uint64_t free = memory_counts().free, n[8];
	void *run[8] = {NULL};

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		unsigned i = any(8);

		if (run[i]) {
			pages_free_run(run[i], n[i]);
			run[i] = NULL;
			continue;
		}
		n[i] = 1 + any(any(8) ? 40 : 3000);
		run[i] = pages_alloc_run(n[i],
			RAM_START + (uint64_t)any(64) * 0x100000, RAM_END);
		for (unsigned j = 0; run[i] && j < 8; j++)
			if (j != i && run[j])
				assert_true(at(run[i]) + n[i] * PAGE_SIZE <=
						at(run[j]) ||
					at(run[j]) + n[j] * PAGE_SIZE <=
						at(run[i]));
	}
	for (unsigned i = 0; i < 8; i++)
		if (run[i])
			pages_free_run(run[i], n[i]);
	assert_int_equal(memory_counts().free, free);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_run_is_longer_than_any_block),
		TEST(a_run_stays_within_its_bounds),
		TEST(free_runs_hold_what_is_free_and_nothing_else),
		TEST(the_longest_runs_are_named),
		TEST(a_claim_takes_all_or_nothing),
		TEST(random_runs_return_to_the_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
