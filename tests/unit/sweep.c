/* SPDX-License-Identifier: MIT */
/*
 * Every public function, while something fails at every possible moment: the
 * n-th allocation, the n-th hardware command, the unit or a device from the
 * n-th step on, for each n until the call is untouched. A call that says that
 * nothing changed has changed nothing; one that says it is done has done it;
 * one that says that hardware did not confirm has left no device more than it
 * had or was to get. No rule is broken, no lock kept, and without broken
 * hardware nothing leaks.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/injection.h"
#include "support/scene.h"

static const char *const kinds[] = {
	"plain", "no-qi", "worst-memory", "caching-non-coherent"};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* Beside the usual ones. */
enum {
	DEVICE_GONE_FROM_NTH_STEP = INJECTIONS,
	ALL_INJECTIONS
};

static const char *const injection_names[] = {"n-th allocation",
	"all from the n-th allocation", "n-th wait", "hung from n-th access",
	"gone from n-th access", "device gone from n-th step"};

/* ---- a device that goes away --------------------------------------------- */

static struct {
	struct model *m;
	unsigned steps, at;
	uint64_t (*reg_read)(void *, void *, uint32_t, unsigned);
	void (*reg_write)(void *, void *, uint32_t, unsigned, uint64_t);
	uint32_t (*pci_read)(
		void *, uint16_t, uint8_t, uint8_t, uint16_t, unsigned);
} departure;

static void one_step(void)
{
	if (departure.at && ++departure.steps == departure.at)
		model_device_remove(departure.m, 0, RIG_ATS);
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	one_step();
	return departure.reg_read(ctx, regs, offset, width);
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	one_step();
	departure.reg_write(ctx, regs, offset, width, value);
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	one_step();
	return departure.pci_read(ctx, segment, bus, devfn, offset, width);
}

/* Before the scene is made: the hooks are copied then. */
static void hook_in(struct rig *r)
{
	departure.m = r->m;
	departure.at = departure.steps = 0;
	departure.reg_read = r->hooks.reg_read;
	departure.reg_write = r->hooks.reg_write;
	departure.pci_read = r->hooks.pci_read;
	r->hooks.reg_read = reg_read;
	r->hooks.reg_write = reg_write;
	r->hooks.pci_read = pci_read;
}

/* ---- one call ------------------------------------------------------------ */

static void inject(struct scene *s, unsigned what, unsigned n)
{
	if (what != DEVICE_GONE_FROM_NTH_STEP) {
		injection_begin(s->r.m, s->stage == SCENE_UNIT_COMES, what, n);
		return;
	}
	departure.at = n;
	departure.steps = 0;
}

static uint64_t accesses(struct scene *s)
{
	struct model_counters c;

	model_counters(s->r.m, &c);
	return c.reg_reads + c.reg_writes;
}

/* Ends the injection. True if it was felt. */
static bool heal(struct scene *s, unsigned what, unsigned n, uint64_t before,
	unsigned failures)
{
	bool felt = model_failures(s->r.m) != failures;
	unsigned unit = s->stage == SCENE_UNIT_COMES;

	injection_end(s->r.m);
	if (what == HUNG_FROM_NTH_ACCESS || what == GONE_FROM_NTH_ACCESS)
		felt = accesses(s) - before > n;
	if (what == DEVICE_GONE_FROM_NTH_STEP)
		felt = departure.steps >= n;
	/* Not reached: it must not be later either. */
	if (what == HUNG_FROM_NTH_ACCESS && !felt)
		model_unit_hang(s->r.m, unit, 1u << 30);
	if (what == GONE_FROM_NTH_ACCESS && !felt)
		model_unit_gone(s->r.m, unit, 1u << 30);
	departure.at = 0;
	return felt;
}

static bool unconfirmed(enum iommu_status s)
{
	return s == IOMMU_UNCONFIRMED || s == IOMMU_UNIT_LOST ||
		s == IOMMU_DEVICE_BROKEN;
}

/* Whether the status is one that this failure can have. */
static bool allowed(unsigned what, enum iommu_status s, enum iommu_status usual)
{
	if (s == usual || s == IOMMU_OK)
		return true;
	if (what == DEVICE_GONE_FROM_NTH_STEP)
		return s == IOMMU_NO_DEVICE || unconfirmed(s);
	return injection_explains(what, s);
}

/* What the call does when nothing fails. */
struct usual {
	enum iommu_status status;
	struct scene_reach before, after;
};

static bool same(const struct scene_reach *a, const struct scene_reach *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static bool within(const struct scene_reach *now, const struct usual *u)
{
	for (unsigned d = 0; d < SCENE_DEVICES; d++)
		if (now->of[d] & ~(u->before.of[d] | u->after.of[d]))
			return false;
	return true;
}

static struct {
	const char *kind, *call;
	unsigned what;
	unsigned n;
} current;

static void check(bool good, const char *what, struct scene *s)
{
	if (good)
		return;
	if (model_violation_count(s->r.m))
		model_report(s->r.m, stderr);
	fail_msg("%s, %s, %s, n = %u: %s", current.kind, current.call,
		injection_names[current.what], current.n, what);
}

static void check_reach(struct scene *s, const struct usual *u, unsigned what,
	enum iommu_status got)
{
	struct scene_reach now;

	/* A unit that is gone asks nobody, a device that is gone nothing. */
	if (what == GONE_FROM_NTH_ACCESS || what == DEVICE_GONE_FROM_NTH_STEP ||
		got == IOMMU_OFF)
		return;
	now = scene_look(s);
	if (unconfirmed(got))
		check(within(&now, u), "a device reaches more", s);
	else if (got == u->status)
		check(same(&now, &u->after), "done, but not seen", s);
	else
		check(same(&now, &u->before), "refused, but changed", s);
}

static void end(struct scene *s, const struct scene_call *c, bool broken)
{
	enum iommu_status ended;

	if (c->last) {
		model_destroy(s->r.m);
		return;
	}
	ended = scene_end(s);
	check(!model_violation_count(s->r.m), "a rule is broken at the end", s);
	if (!broken) {
		check(ended == IOMMU_OK, "the instance does not end", s);
		check(!model_host_check_leaks(&s->r.host), "it leaks", s);
	}
	model_destroy(s->r.m);
}

/* True if the failure was felt. */
static bool run(const struct scene_call *c, unsigned what, unsigned n,
	const struct usual *u)
{
	bool broken = what > ALL_FROM_NTH_ALLOCATION, felt;
	enum iommu_status got;
	uint64_t before;
	unsigned failures;
	struct scene s;

	current.what = what;
	current.n = n;
	scene_open(&s, current.kind, c->stage);
	if (c->prepare)
		c->prepare(&s);
	scene_look(&s);
	before = accesses(&s);
	failures = model_failures(s.r.m);
	inject(&s, what, n);
	got = c->call(&s);
	felt = heal(&s, what, n, before, failures);
	if (!allowed(what, got, u->status))
		check(false, iommu_status_text(got), &s);
	check(!model_violation_count(s.r.m), "a rule is broken", &s);
	check(!s.r.host.locks_held, "a lock is kept", &s);
	check(felt || got == u->status, "another status without reason", &s);
	check_reach(&s, u, what, got);
	check(!model_violation_count(s.r.m), "a rule is broken since", &s);
	end(&s, c, broken && felt);
	return felt;
}

static struct usual as_usual(const struct scene_call *c)
{
	struct usual u;
	struct scene s;

	current.what = current.n = 0;
	scene_open(&s, current.kind, c->stage);
	if (c->prepare)
		c->prepare(&s);
	u.before = scene_look(&s);
	u.status = c->call(&s);
	check(!unconfirmed(u.status), "it does not even work", &s);
	u.after = scene_look(&s);
	check(!model_violation_count(s.r.m), "a rule is broken anyway", &s);
	end(&s, c, false);
	return u;
}

static unsigned long felt_in_all[ALL_INJECTIONS];

static void sweep(unsigned what)
{
	for (size_t k = 0; k < KINDS; k++)
		for (const struct scene_call *c = scene_calls; c->name; c++) {
			struct usual u;
			unsigned n = 1;

			current.kind = kinds[k];
			current.call = c->name;
			u = as_usual(c);
			while (n < 2000 && run(c, what, n, &u))
				n++;
			assert_true(n < 2000);
			felt_in_all[what] += n - 1;
		}
	print_message("%s: %lu\n", injection_names[what], felt_in_all[what]);
	assert_true(felt_in_all[what] > 100);
}

static void an_allocation_fails(void **state)
{
	(void)state;
	sweep(NTH_ALLOCATION);
}

static void all_allocations_fail_from_one_on(void **state)
{
	(void)state;
	sweep(ALL_FROM_NTH_ALLOCATION);
}

static void a_wait_does_not_end(void **state)
{
	(void)state;
	sweep(NTH_WAIT);
}

static void the_unit_stops(void **state)
{
	(void)state;
	sweep(HUNG_FROM_NTH_ACCESS);
}

static void the_unit_vanishes(void **state)
{
	(void)state;
	sweep(GONE_FROM_NTH_ACCESS);
}

static void a_device_vanishes(void **state)
{
	(void)state;
	sweep(DEVICE_GONE_FROM_NTH_STEP);
}

/* ---- nothing is left out ------------------------------------------------- */

static bool is_called(const char *name, size_t len)
{
	for (const struct scene_call *c = scene_calls; c->name; c++)
		for (const char *at = c->name; at; at = strchr(at, ',')) {
			at += *at == ',';
			if (strncmp(at, name, len) == 0 &&
				(!at[len] || strchr(", ", at[len])))
				return true;
		}
	return false;
}

/* Comments become blanks. */
static char *text_of(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 17), *at;

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 17) - 1, f) > 0);
	fclose(f);
	while ((at = strstr(text, "/*")))
		while (at[0] != '*' || at[1] != '/' || (at[0] = at[1] = ' ', 0))
			*at++ = ' ';
	return text;
}

/* Functions are declared, not defined inline, and typedefs are none. */
static unsigned look_for_functions(const char *path)
{
	char *text = text_of(path), *at = text, *name, *end;
	unsigned found = 0;

	while ((name = strstr(at, "iommu_"))) {
		end = name;
		while (isalnum((unsigned char)*end) || *end == '_')
			end++;
		at = end;
		if (*end != '(' || (name > text && isalnum(name[-1])))
			continue;
		end = strpbrk(end, ";{");
		for (at = name; at > text && !strchr(";}", at[-1]); at--)
			;
		if (*end == '{' || strstr(at, "typedef") == at ||
			memmem(at, (size_t)(name - at), "typedef", 7) ||
			memmem(at, (size_t)(name - at), "(", 1)) {
			at = end;
			continue;
		}
		at = name + strcspn(name, "(");
		found++;
		if (!is_called(name, (size_t)(at - name)))
			fail_msg("%s: %.*s is in no sweep", path,
				(int)(at - name), name);
	}
	free(text);
	return found;
}

static void every_public_function_is_swept(void **state)
{
	char pattern[500];
	unsigned found = 0;
	glob_t headers;

	(void)state;
	snprintf(pattern, sizeof pattern, "%.*s../../include/iommu/*.h",
		(int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__);
	assert_int_equal(glob(pattern, 0, NULL, &headers), 0);
	for (size_t i = 0; i < headers.gl_pathc; i++)
		found += look_for_functions(headers.gl_pathv[i]);
	globfree(&headers);
	assert_true(found > 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_public_function_is_swept),
		cmocka_unit_test(an_allocation_fails),
		cmocka_unit_test(all_allocations_fail_from_one_on),
		cmocka_unit_test(a_wait_does_not_end),
		cmocka_unit_test(the_unit_stops),
		cmocka_unit_test(the_unit_vanishes),
		cmocka_unit_test(a_device_vanishes),
	};

	scene_hooks = hook_in;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
