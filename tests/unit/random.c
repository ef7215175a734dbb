/* SPDX-License-Identifier: MIT */
/*
 * Random operations on random machines against the abstract state. Settings
 * come from the environment: SEED (first world), WORLDS, STEPS (operations
 * per world), OPERATIONS and SOAK_SECONDS (after which it ends; then there are
 * worlds without end). A failure prints its world's seed and the shortest list
 * of operations found that still fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "support/world.h"

/* What a test run does with the sanitizers on; the Makefile has other numbers
 * for the program without them. */
#ifndef RANDOM_WORLDS
#define RANDOM_WORLDS 240
#endif
#ifndef RANDOM_STEPS
#define RANDOM_STEPS 1000
#endif

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t next(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* One life of a world. */
struct life {
	uint64_t seed;
	bool sabotaged;
	/* What came of it. */
	uint64_t done;
	struct model_counters counters;
	char wrong[200];
};

/* Returns how many words were used before it failed, or count + 1. */
static size_t run(struct life *l, const uint64_t *word, size_t count, bool loud)
{
	struct world *w = malloc(sizeof *w);
	bool good = world_open(w, l->seed);
	size_t i = 0;

	w->sabotaged = l->sabotaged;
	while (good && i < count)
		good = world_step(w, word[i++]);
	model_counters(w->r.m, &l->counters);
	if (good)
		good = world_close(w);
	if (!good) {
		if (loud) {
			fprintf(stderr, "%s\n", w->wrong);
			model_report(w->r.m, stderr);
		}
		world_drop(w);
	}
	l->done = w->done;
	memcpy(l->wrong, w->wrong, sizeof l->wrong);
	free(w);
	return good ? count + 1 : i;
}

/* ---- the shortest list that fails ---------------------------------------- */

/* In a process of its own: it may also crash. */
static bool fails(const struct life *l, const uint64_t *word, size_t count)
{
	struct life again = *l;
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		alarm(20);
		_exit(run(&again, word, count, false) <= count);
	}
	if (pid < 0)
		return false;
	waitpid(pid, &status, 0);
	return status != 0;
}

/* Leaves out what can be left out, in pieces of one size. */
static size_t shrink_by(
	const struct life *l, uint64_t *word, size_t count, size_t piece)
{
	uint64_t *trial = malloc((count + 1) * sizeof *trial);

	for (size_t at = 0; at + piece <= count;) {
		memcpy(trial, word, at * sizeof *word);
		memcpy(trial + at, word + at + piece,
			(count - at - piece) * sizeof *word);
		if (!fails(l, trial, count - piece)) {
			at += piece;
			continue;
		}
		count -= piece;
		memcpy(word, trial, count * sizeof *word);
	}
	free(trial);
	return count;
}

static size_t shrink(const struct life *l, uint64_t *word, size_t count)
{
	size_t before;

	for (size_t piece = count / 2; piece > 1; piece /= 2)
		count = shrink_by(l, word, count, piece);
	do {
		before = count;
		count = shrink_by(l, word, count, 1);
	} while (count < before);
	return count;
}

static void report(struct life *l, uint64_t *word, size_t count, size_t steps)
{
	print_error("SEED=%llu WORLDS=1 STEPS=%zu fails after %zu operations\n",
		(unsigned long long)l->seed, steps, count);
	count = shrink(l, word, count);
	print_error("the shortest list found has %zu:\n", count);
	for (size_t i = 0; i < count; i++)
		print_error("\t%#018llx %s\n", (unsigned long long)word[i],
			world_operation(word[i]));
	run(l, word, count, true);
}

/* ---- tests --------------------------------------------------------------- */

static uint64_t *words(uint64_t seed, size_t steps)
{
	uint64_t *word = malloc(steps * sizeof *word), s = seed * 77;

	for (size_t i = 0; i < steps; i++)
		word[i] = next(&s);
	return word;
}

/* Returns its operations; fails the test if it was not right. */
static uint64_t one_world(uint64_t seed, size_t steps)
{
	struct life l = {.seed = seed};
	uint64_t *word = words(seed, steps);
	size_t used = run(&l, word, steps, false);

	if (used <= steps)
		report(&l, word, used, steps);
	free(word);
	if (used <= steps)
		fail();
	return l.done;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void random_operations_agree_with_the_abstract_state(void **state)
{
	uint64_t most = setting("OPERATIONS", 0),
		 limit = setting("SOAK_SECONDS", 0);
	uint64_t worlds = setting("WORLDS", most || limit ? 0 : RANDOM_WORLDS);
	uint64_t seed = setting("SEED", 1), done = 0, n = 0;
	size_t steps = setting("STEPS", RANDOM_STEPS);
	double start = seconds(), told = start;

	(void)state;
	print_message(
		"from SEED=%llu STEPS=%zu\n", (unsigned long long)seed, steps);
	for (; !worlds || n < worlds; n++) {
		double now = seconds();

		if ((most && done >= most) ||
			(limit && now - start >= (double)limit))
			break;
		if (now - told >= 60) {
			told = now;
			print_message("%llu operations in %llu worlds\n",
				(unsigned long long)done,
				(unsigned long long)n);
		}
		done += one_world(seed + n, steps);
	}
	print_message("%llu operations in %llu worlds, %.0f a second\n",
		(unsigned long long)done, (unsigned long long)n,
		(double)done / (seconds() - start));
}

static void a_seed_replays_bit_for_bit(void **state)
{
	(void)state;
	for (uint64_t seed = 1000; seed < 1016; seed++) {
		uint64_t *word = words(seed, 200);
		struct life a = {.seed = seed}, b = {.seed = seed};

		assert_int_equal(run(&a, word, 200, false), 201);
		assert_int_equal(run(&b, word, 200, false), 201);
		assert_int_equal(a.done, b.done);
		assert_memory_equal(
			&a.counters, &b.counters, sizeof a.counters);
		free(word);
	}
}

/* The host leaves a flush out: that is found, at the same place each time, and
 * shown with few operations. */
static void a_failure_shrinks_to_twenty_operations(void **state)
{
	unsigned found = 0;

	(void)state;
	for (uint64_t seed = 2000; seed < 2030 && found < 5; seed++) {
		struct life l = {.seed = seed, .sabotaged = true}, again = l;
		uint64_t *word = words(seed, 500);
		size_t used = run(&l, word, 500, false), count;

		if (used <= 500) {
			found++;
			assert_int_equal(run(&again, word, 500, false), used);
			assert_string_equal(l.wrong, again.wrong);
			count = shrink(&l, word, used);
			assert_true(count >= 1 && count <= 20);
			assert_true(fails(&l, word, count));
		}
		free(word);
	}
	assert_int_equal(found, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			random_operations_agree_with_the_abstract_state),
		cmocka_unit_test(a_seed_replays_bit_for_bit),
		cmocka_unit_test(a_failure_shrinks_to_twenty_operations),
	};

	/* The large and mostly empty arrays of a machine come from the system,
	 * which knows that they are zero. */
	mallopt(M_MMAP_THRESHOLD, 65536);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
