/* SPDX-License-Identifier: MIT */
/* The page allocator and the heap: alignment, contents, counts, and that all
 * that was taken can be given back in any order. Frames and pieces that are
 * free are poisoned, so that a use after free ends the program. */
#include "support/machine.h"
#include "lib/string.h"

static uint32_t seed = 1;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void blocks_are_aligned_zeroed_and_apart(void **state)
{
	void *blocks[MAX_ORDER + 1];

	(void)state;
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		size_t size = PAGE_SIZE << order;
		const char *p = blocks[order] = pages_alloc(order);

		assert_non_null(p);
		assert_int_equal(virt_to_phys(p).v % size, 0);
		assert_true(!p[0] && !memcmp(p, p + 1, size - 1));
		memset(blocks[order], (int)order + 1, size);
	}
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		const char *p = blocks[order];

		assert_int_equal(p[0], order + 1);
		assert_true(!memcmp(p, p + 1, (PAGE_SIZE << order) - 1));
		pages_free(blocks[order], order);
	}
}

static void no_block_is_larger_than_the_largest(void **state)
{
	(void)state;
	assert_null(pages_alloc(MAX_ORDER + 1));
	assert_null(pages_alloc(64));
	assert_null(kmalloc((1 << 20) + 1));
	assert_null(kmalloc(SIZE_MAX));
}

static void all_memory_can_be_taken_and_comes_back_whole(void **state)
{
	uint64_t free = memory_counts().free, largest = 0, n = 0;
	void **chain = NULL, **p;

	(void)state;
	while ((p = pages_alloc(MAX_ORDER))) {
		*p = chain;
		chain = p;
		largest++;
	}
	while ((p = chain)) {
		chain = *p;
		pages_free(p, MAX_ORDER);
	}
	while ((p = page_alloc_dirty())) {
		*p = chain;
		chain = p;
		n++;
	}
	assert_int_equal(n, free);
	assert_int_equal(memory_counts().free, 0);
	assert_null(kmalloc(4096));
	while ((p = chain)) {
		chain = *p;
		page_free(p);
	}
	/* Joined again, as large as before. */
	while ((p = pages_alloc(MAX_ORDER))) {
		*p = chain;
		chain = p;
		largest--;
	}
	assert_int_equal(largest, 0);
	while ((p = chain)) {
		chain = *p;
		pages_free(p, MAX_ORDER);
	}
}

static void frames_are_named_by_their_address(void **state)
{
	void *p = page_alloc();
	struct page *page = page_of(virt_to_phys(p));

	(void)state;
	assert_non_null(page);
	assert_ptr_equal(page_virt(page), p);
	assert_null(page_of(phys(0)));
	assert_null(page_of(phys(RAM_START - 1)));
	assert_null(page_of(phys(RAM_END)));
	assert_null(page_of(phys(UINT64_MAX)));
	page_free(p);
}

static void the_last_user_frees(void **state)
{
	uint64_t free = memory_counts().free;
	struct page *p = page_of(virt_to_phys(pages_alloc(3)));

	(void)state;
	page_get(p);
	page_put(p);
	assert_int_equal(memory_counts().free, free - 8);
	page_put(p);
	assert_int_equal(memory_counts().free, free);
}

static void quarantined_frames_never_come_back(void **state)
{
	uint64_t n = memory_counts().free, taken = 0;
	struct page *bad = page_of(virt_to_phys(pages_alloc(2)));
	void **chain = NULL, **p;

	(void)state;
	bad->flags |= PAGE_QUARANTINED;
	page_put(bad);
	machine_expect_lost(4);
	assert_int_equal(memory_counts().quarantined, 4);
	while ((p = page_alloc())) {
		phys_t at = virt_to_phys(p);

		assert_false(at.v >= page_phys(bad).v &&
			at.v < page_phys(bad).v + 4 * PAGE_SIZE);
		*p = chain;
		chain = p;
		taken++;
	}
	assert_int_equal(taken, n - 4);
	while ((p = chain)) {
		chain = *p;
		page_free(p);
	}
}

static void freeing_what_is_free_is_noticed(void **state)
{
	void *p = pages_alloc(1);

	(void)state;
	assert_true(machine_panics(pages_free(p, 0)));
	pages_free(p, 1);
	assert_true(machine_panics(pages_free(p, 1)));
}

static void freeing_half_of_a_free_block_is_noticed(void **state)
{
	void **chain = NULL, **p;
	char *volatile pair;

	(void)state;
	/* With everything taken the buddies of one pair are certainly ours. */
	while ((p = page_alloc())) {
		*p = chain;
		chain = p;
	}
	pair = phys_to_virt(phys(RAM_START + RAM_SIZE / 2));
	while ((p = chain)) {
		chain = *p;
		if ((char *)p != pair && (char *)p != pair + PAGE_SIZE)
			page_free(p);
	}
	page_free(pair);
	page_free(pair + PAGE_SIZE);
	assert_true(machine_panics(page_free(pair + PAGE_SIZE)));
}

static void random_blocks_return_to_the_count(void **state)
{
	struct {
		char *p;
		unsigned order;
		char mark;
	} held[64] = {0};

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = any(ARRAY_SIZE(held));

		if (held[i].p) {
			size_t size = PAGE_SIZE << held[i].order;

			assert_int_equal(held[i].p[0], held[i].mark);
			assert_int_equal(held[i].p[size - 1], held[i].mark);
			pages_free(held[i].p, held[i].order);
			held[i].p = NULL;
			continue;
		}
		held[i].order = any(any(8) ? 3 : 9);
		held[i].mark = (char)step;
		held[i].p = pages_alloc(held[i].order);
		if (!held[i].p)
			continue;
		held[i].p[0] = held[i].mark;
		held[i].p[(PAGE_SIZE << held[i].order) - 1] = held[i].mark;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i].p)
			pages_free(held[i].p, held[i].order);
}

static void pieces_of_every_size_are_aligned_and_whole(void **state)
{
	(void)state;
	kfree(NULL);
	for (size_t n = 0; n <= 5000; n++) {
		char *p = kzalloc(n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 1, n);
		kfree(p);
	}
	for (size_t n = 8192; n <= 1 << 20; n *= 2) {
		char *p = kmalloc(n - 1);

		assert_non_null(p);
		memset(p, 1, n - 1);
		kfree(p);
	}
}

static void random_pieces_keep_their_contents(void **state)
{
	static struct {
		char *p;
		size_t n;
		char mark;
	} held[512];

	(void)state;
	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = any(ARRAY_SIZE(held));

		if (held[i].p) {
			for (size_t at = 0; at < held[i].n; at += 1 + at / 2)
				assert_int_equal(held[i].p[at], held[i].mark);
			kfree(held[i].p);
			held[i].p = NULL;
			continue;
		}
		held[i].n = 1 + any(any(10) ? 300 : 20000);
		held[i].mark = (char)step;
		held[i].p = kmalloc(held[i].n);
		assert_non_null(held[i].p);
		memset(held[i].p, held[i].mark, held[i].n);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++) {
		kfree(held[i].p);
		held[i].p = NULL;
	}
}

static void a_full_heap_refuses_and_recovers(void **state)
{
	void **chain = NULL, **p;

	(void)state;
	while ((p = kmalloc(100))) {
		*p = chain;
		chain = p;
	}
	assert_int_equal(memory_counts().free, 0);
	while ((p = chain)) {
		chain = *p;
		kfree(p);
	}
}

static void freeing_what_is_not_of_the_heap_is_noticed(void **state)
{
	char *p = page_alloc();

	(void)state;
	assert_true(machine_panics(kfree(p + 64)));
	page_free(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, machine_start, machine_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_are_aligned_zeroed_and_apart),
		TEST(no_block_is_larger_than_the_largest),
		TEST(all_memory_can_be_taken_and_comes_back_whole),
		TEST(frames_are_named_by_their_address),
		TEST(the_last_user_frees),
		TEST(quarantined_frames_never_come_back),
		TEST(freeing_what_is_free_is_noticed),
		TEST(freeing_half_of_a_free_block_is_noticed),
		TEST(random_blocks_return_to_the_count),
		TEST(pieces_of_every_size_are_aligned_and_whole),
		TEST(random_pieces_keep_their_contents),
		TEST(a_full_heap_refuses_and_recovers),
		TEST(freeing_what_is_not_of_the_heap_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
