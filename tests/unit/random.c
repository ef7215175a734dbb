/* SPDX-License-Identifier: MIT */
/*
 * Random operations on random machines against the abstract state. Settings
 * come from the environment: SEED (first world), WORLDS, STEPS (operations
 * per world). A failure prints its world's seed and the shortest list of
 * operations found that still fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/world.h"

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t next(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t done_in_all;

/* Returns how many words were used before it failed, or count + 1. */
static size_t run(uint64_t seed, const uint64_t *word, size_t count, bool loud)
{
	struct world *w = malloc(sizeof *w);
	bool good = world_open(w, seed);
	size_t i = 0;

	while (good && i < count)
		good = world_step(w, word[i++]);
	if (good)
		good = world_close(w);
	if (!good) {
		if (loud) {
			fprintf(stderr, "%s\n", w->wrong);
			model_report(w->r.m, stderr);
		}
		world_drop(w);
	}
	done_in_all += w->done;
	free(w);
	return good ? count + 1 : i;
}

/* In a process of its own: it may also crash. */
static bool fails(uint64_t seed, const uint64_t *word, size_t count)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		alarm(20);
		_exit(run(seed, word, count, false) <= count);
	}
	if (pid < 0)
		return false;
	waitpid(pid, &status, 0);
	return status != 0;
}

/* Leaves out ever smaller pieces as long as it still fails. */
static size_t shrink(uint64_t seed, uint64_t *word, size_t count)
{
	uint64_t *trial = malloc((count + 1) * sizeof *trial);

	for (size_t piece = count / 2; piece; piece /= 2)
		for (size_t at = 0; at + piece <= count;) {
			memcpy(trial, word, at * sizeof *word);
			memcpy(trial + at, word + at + piece,
				(count - at - piece) * sizeof *word);
			if (!fails(seed, trial, count - piece)) {
				at += piece;
				continue;
			}
			count -= piece;
			memcpy(word, trial, count * sizeof *word);
		}
	free(trial);
	return count;
}

static void report(uint64_t seed, uint64_t *word, size_t count)
{
	print_error("SEED=%llu WORLDS=1 fails after %zu operations\n",
		(unsigned long long)seed, count);
	count = shrink(seed, word, count);
	print_error("the shortest list found has %zu:\n", count);
	for (size_t i = 0; i < count; i++)
		print_error("\t%#018llx %s\n", (unsigned long long)word[i],
			world_operation(word[i]));
	run(seed, word, count, true);
}

static void random_operations_agree_with_the_abstract_state(void **state)
{
	uint64_t first = setting("SEED", 1), worlds = setting("WORLDS", 1000);
	size_t steps = setting("STEPS", 2500);
	uint64_t *word = malloc(steps * sizeof *word);

	(void)state;
	for (uint64_t seed = first; seed < first + worlds; seed++) {
		uint64_t s = seed * 77;
		size_t done;

		for (size_t i = 0; i < steps; i++)
			word[i] = next(&s);
		done = run(seed, word, steps, false);
		if (done <= steps) {
			report(seed, word, done);
			free(word);
			fail();
		}
	}
	free(word);
	print_message("%llu operations in %llu worlds\n",
		(unsigned long long)done_in_all, (unsigned long long)worlds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			random_operations_agree_with_the_abstract_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
