/* SPDX-License-Identifier: MIT */
/*
 * Every schedule of every pair, up to so many interruptions.
 *
 *   BOUND   interruptions (default 2); less where a pair says so
 *   PAIRS   names of pairs (default: all)
 *   REPLAY  NAME/KIND/FIRST:AT,AT...: this one schedule, as a failure prints it
 *
 * A schedule is a list of points. It is run from the snapshot on; that shows
 * the points behind its last one, and each of those makes a schedule with one
 * interruption more: so every schedule is run once. If a run shows that more
 * memory is shared than was known, points have other numbers, and all begins
 * again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "weave.h"

static const struct pair *const groups[] = {pairs_of_maps, pairs_of_devices,
	pairs_of_dma, pairs_of_interrupts, pairs_of_units};

static struct {
	const struct pair *pair;
	char kind[40];
	struct schedule schedule;
	unsigned long runs;
	bool restart, failed, expected;
	char line[200]; /* of the schedule that failed */
} search;

/* ---- one schedule in a line ---------------------------------------------- */

static size_t schedule_name(char *out, size_t size)
{
	const struct schedule *s = &search.schedule;
	int n = snprintf(out, size, "%s/%s/%u:", search.pair->name, search.kind,
		s->first);

	for (unsigned i = 0; i < s->count; i++)
		n += snprintf(
			out + n, size - (size_t)n, i ? ",%u" : "%u", s->at[i]);
	return (size_t)n;
}

static void schedule_read(const char *list)
{
	struct schedule *s = &search.schedule;

	s->count = 0;
	s->first = (unsigned)strtoul(list, (char **)&list, 10);
	while (s->count < BOUND_MOST && list[0] && list[1])
		s->at[s->count++] =
			(unsigned)strtoul(list + 1, (char **)&list, 10);
}

static void on_crash(int sig)
{
	char name[200];
	size_t n = schedule_name(name, sizeof name - 1);

	name[n++] = '\n';
	if (write(2, "crashed: REPLAY=", 16) != 16 ||
		write(2, name, n) != (ssize_t)n)
		_exit(3);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* ---- all of them --------------------------------------------------------- */

static bool run(const unsigned **points, unsigned *count)
{
	*count = weave_run(&search.schedule, points);
	search.runs++;
	search.restart |= weave_learned();
	if (!weave_wrong())
		return true;
	schedule_name(search.line, sizeof search.line);
	if (model_violation_count(scene.r.m) && !search.expected)
		model_report(scene.r.m, stderr);
	if (!search.expected)
		print_error("%s\n  REPLAY=%s\n", weave_wrong(), search.line);
	search.failed = true;
	return false;
}

/* False: something is wrong, or all begins again. */
static bool explore(unsigned bound)
{
	struct schedule *s = &search.schedule;
	unsigned count, n, *kept;
	const unsigned *points;
	bool fine = true;

	if (!run(&points, &count) || search.restart)
		return false;
	if (s->count == bound)
		return true;
	kept = malloc((count + 1) * sizeof *kept);
	if (!kept)
		abort();
	memcpy(kept, points, count * sizeof *kept);
	for (n = 0; n < count && fine; n++) {
		s->at[s->count++] = kept[n];
		fine = explore(bound);
		s->count--;
	}
	free(kept);
	return fine;
}

static bool explore_both(unsigned bound)
{
	for (unsigned first = 0; first < 2; first++) {
		search.schedule = (struct schedule){.first = first};
		if (!explore(bound))
			return false;
	}
	return true;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void explore_all(unsigned bound)
{
	double start = seconds();

	do {
		search.restart = false;
		search.runs = 0;
	} while (!explore_both(bound) && !search.failed);
	print_message("%s on %s, %u interruptions: %lu schedules, %.2f s\n",
		search.pair->name, search.kind, bound, search.runs,
		seconds() - start);
}

static void search_kind(const struct pair *pair, const char *kind,
	unsigned bound, const char *replay)
{
	const unsigned *points;
	unsigned count;

	search.pair = pair;
	search.failed = false;
	snprintf(search.kind, sizeof search.kind, "%s", kind);
	scene_open(&scene, kind);
	if (pair->before)
		pair->before(&scene);
	if (weave_wrong())
		fail_msg("%s", weave_wrong());
	weave_keep(pair);
	if (replay) {
		schedule_read(replay);
		(void)run(&points, &count);
	} else {
		explore_all(bound);
	}
	weave_drop();
	/* With the library in its memory. */
	model_destroy(scene.r.m);
}

/* ---- what is asked for --------------------------------------------------- */

static unsigned bound(void)
{
	const char *s = getenv("BOUND");
	unsigned n = s ? (unsigned)atoi(s) : 2;

	return n < BOUND_MOST ? n : BOUND_MOST;
}

/* NAME/KIND/...: whether it is that pair, and what follows. */
static const char *behind(const char *text, const char *name)
{
	size_t n = strlen(name);

	return text && !strncmp(text, name, n) && text[n] == '/' ? text + n + 1
								 : NULL;
}

static void every_order_is_right(void **state)
{
	const struct pair *pair = *state;
	const char *replay = getenv("REPLAY"), *at = pair->kinds;
	unsigned most = bound();
	char kind[40];

	search.expected = false;
	if (replay) {
		const char *rest = behind(replay, pair->name);

		if (!rest)
			return;
		snprintf(kind, sizeof kind, "%.*s", (int)strcspn(rest, "/"),
			rest);
		search_kind(pair, kind, 0, rest + strlen(kind) + 1);
		assert_false(search.failed);
		return;
	}
	while (*at) {
		size_t less = strspn(at, "-"), n = strcspn(at += less, " ");

		snprintf(kind, sizeof kind, "%.*s", (int)n, at);
		search_kind(pair, kind, most > less ? most - less : 0, NULL);
		assert_false(search.failed);
		at += n + strspn(at + n, " ");
	}
}

/* What is wrong on purpose is found with so many interruptions as it takes, and
 * no fewer, and the schedule that shows it does so again. */
static void mistakes_are_found(void **state)
{
	char line[200];

	(void)state;
	if (getenv("REPLAY"))
		return;
	search.expected = true;
	for (const struct mistake *m = mistakes; m->pair.name; m++)
		for (unsigned most = 0; most <= 2; most++) {
			search_kind(&m->pair, "plain", most, NULL);
			assert_int_equal(search.failed, most >= m->needs);
			if (!search.failed)
				continue;
			assert_non_null(strstr(weave_wrong(), m->says));
			strcpy(line, search.line);
			search_kind(
				&m->pair, "plain", 0, strrchr(line, '/') + 1);
			assert_true(search.failed);
			assert_non_null(strstr(weave_wrong(), m->says));
		}
}

int main(void)
{
	enum {
		MOST = 64
	};
	static struct CMUnitTest tests[MOST] = {
		cmocka_unit_test(mistakes_are_found)};
	const char *wanted = getenv("PAIRS");
	size_t count = 1;

	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	for (unsigned g = 0; g < sizeof groups / sizeof *groups; g++)
		for (const struct pair *p = groups[g]; p->name && count < MOST;
			p++)
			if (!wanted || strstr(wanted, p->name))
				tests[count++] = (struct CMUnitTest){
					.name = p->name,
					.test_func = every_order_is_right,
					.initial_state = (void *)(uintptr_t)p};
	return _cmocka_run_group_tests(
		"every order of two CPUs", tests, count, NULL, NULL);
}
