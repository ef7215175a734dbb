/* SPDX-License-Identifier: MIT */
/* The scheduler's queue: the thread that has run least leaves first, equals in
 * the order in which they came, and none leaves for a CPU it may not use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "kernel/proc/ready.c"

#define MANY 4096

static struct thread threads[MANY];
static struct ready_queue queue;

static int reset(void **state)
{
	(void)state;
	memset(threads, 0, sizeof(threads));
	memset(&queue, 0, sizeof(queue));
	for (int i = 0; i < MANY; i++)
		threads[i].affinity = UINT32_MAX;
	return 0;
}

static void add(int i, uint64_t vruntime)
{
	threads[i].vruntime = vruntime;
	ready_add(&queue, &threads[i]);
}

static void empty_queue_gives_nothing(void **state)
{
	(void)state;
	assert_null(ready_take(&queue, 0));
	add(0, 5);
	assert_ptr_equal(ready_take(&queue, 0), &threads[0]);
	assert_null(ready_take(&queue, 0));
	assert_int_equal(queue.count, 0);
}

static void equals_leave_in_order_of_arrival(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++)
		add(i, 7);
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(ready_take(&queue, 3), &threads[i]);
}

static void threads_for_other_cpus_stay(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		threads[i].affinity = 1u << i;
		add(i, (uint64_t)i);
	}
	assert_ptr_equal(ready_take(&queue, 5), &threads[5]);
	assert_null(ready_take(&queue, 5));
	assert_int_equal(queue.count, 7);
	for (uint32_t i = 0; i < 5; i++)
		assert_ptr_equal(ready_take(&queue, i), &threads[i]);
	assert_ptr_equal(ready_take(&queue, 6), &threads[6]);
	assert_ptr_equal(ready_take(&queue, 7), &threads[7]);
	assert_int_equal(queue.count, 0);
}

/* The answer by looking at all threads. */
static struct thread *expected(const bool *in, uint32_t cpu)
{
	struct thread *best = NULL;

	for (int i = 0; i < MANY; i++) {
		struct thread *t = &threads[i];

		if (!in[i] || !(t->affinity & 1u << cpu))
			continue;
		if (!best || t->vruntime < best->vruntime ||
			(t->vruntime == best->vruntime &&
				t->arrival < best->arrival))
			best = t;
	}
	return best;
}

static void random_use_matches_a_plain_search(void **state)
{
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED"))
				       : (unsigned)time(NULL);
	static bool in[MANY];
	unsigned count = 0;

	(void)state;
	print_message("SEED=%u\n", seed);
	srand(seed);
	memset(in, 0, sizeof(in));
	for (int step = 0; step < 20000; step++) {
		int i = rand() % MANY;
		uint32_t cpu = (uint32_t)rand() % 4;

		if (rand() % 5 < 3 && !in[i]) {
			threads[i].affinity = (uint32_t)rand() % 15 + 1;
			add(i, (uint64_t)rand() % 50);
			in[i] = true;
			count++;
		} else {
			struct thread *t = expected(in, cpu);

			assert_ptr_equal(ready_take(&queue, cpu), t);
			if (t) {
				in[t - threads] = false;
				count--;
			}
		}
		assert_int_equal(queue.count, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_queue_gives_nothing, reset),
		cmocka_unit_test_setup(equals_leave_in_order_of_arrival, reset),
		cmocka_unit_test_setup(threads_for_other_cpus_stay, reset),
		cmocka_unit_test_setup(
			random_use_matches_a_plain_search, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
