/* SPDX-License-Identifier: MIT */
/*
 * Every page that the library takes has another beside it, full of ones: no
 * call writes there, writes that back, or takes what it finds there for an
 * entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/scene.h"

enum {
	MOST = 4096,
};

/** The pages taken, each with a guard of the same size. */
static struct {
	char *page, *guard;
	size_t size;
} taken[MOST];
static unsigned count;
static struct iommu_host plain;
/** Whether guards lie in front of the pages, not behind. */
static bool in_front;
static const char *current;

static void check(bool good, const char *what)
{
	if (!good)
		fail_msg("%s: %s", current, what);
}

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	char *page = plain.page_alloc(ctx, order + 1, out_phys), *guard;
	size_t size = (size_t)MODEL_PAGE << order;

	if (!page)
		return NULL;
	guard = in_front ? page : page + size;
	page += in_front ? size : 0;
	out_phys->v += in_front ? size : 0;
	memset(guard, 0xff, size);
	assert_true(count < MOST);
	taken[count].page = page;
	taken[count].guard = guard;
	taken[count++].size = size;
	return page;
}

static bool is_untouched(unsigned n)
{
	for (size_t at = 0; at < taken[n].size; at++)
		if (taken[n].guard[at] != '\xff')
			return false;
	return true;
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	size_t size = (size_t)MODEL_PAGE << order;
	unsigned n = count;

	while (n && taken[n - 1].page != page)
		n--;
	check(n, "gives back what was not taken");
	n--;
	check(taken[n].size == size, "gives back more or less than was taken");
	check(is_untouched(n), "writes beside a page");
	taken[n] = taken[--count];
	if (in_front) {
		page = (char *)page - size;
		phys.v -= size;
	}
	plain.page_free(ctx, page, phys, order + 1);
}

static void cache_flush(void *ctx, const void *virt, size_t size)
{
	const char *first = virt;

	for (unsigned n = 0; n < count; n++)
		check(first + size <= taken[n].guard ||
				first >= taken[n].guard + taken[n].size,
			"writes back beside a page");
	plain.cache_flush(ctx, virt, size);
}

/** Registers are given back as they were taken. */
static struct {
	void *regs;
	uint64_t size;
} mapped[8];

static void *regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	unsigned n = 0;

	while (mapped[n].regs)
		n++;
	assert_true(n < 8);
	mapped[n].regs = plain.regs_map(ctx, base, size);
	mapped[n].size = size;
	return mapped[n].regs;
}

static void regs_unmap(void *ctx, void *regs, uint64_t size)
{
	unsigned n = 0;

	while (n < 8 && mapped[n].regs != regs)
		n++;
	check(n < 8 && mapped[n].size == size,
		"gives back other registers than it took");
	mapped[n].regs = NULL;
	plain.regs_unmap(ctx, regs, size);
}

static void guard(struct rig *r)
{
	memset(mapped, 0, sizeof(mapped));
	plain = r->hooks;
	r->hooks.regs_map = regs_map;
	r->hooks.regs_unmap = regs_unmap;
	r->hooks.page_alloc = page_alloc;
	r->hooks.page_free = page_free;
	r->hooks.cache_flush = cache_flush;
}

static void play(const char *kind, const struct scene_call *c)
{
	enum iommu_status status;
	struct scene s;

	current = c->name;
	count = 0;
	scene_open(&s, kind, c->stage);
	if (c->prepare)
		c->prepare(&s);
	status = c->call(&s);
	check(status != IOMMU_UNCONFIRMED && status != IOMMU_UNIT_LOST,
		"does not work");
	scene_look(&s);
	for (unsigned n = 0; n < count; n++)
		check(is_untouched(n), "writes beside a page");
	if (!c->last)
		check(scene_end(&s) == IOMMU_OK, "does not end");
	check(!model_violation_count(s.r.m), "breaks a rule");
	model_destroy(s.r.m);
}

static void pages_end_where_they_end(void **state)
{
	static const char *const kinds[] = {"plain", "non-coherent"};

	(void)state;
	scene_hooks = guard;
	for (unsigned k = 0; k < 4; k++) {
		in_front = k & 1;
		for (const struct scene_call *c = scene_calls; c->name; c++)
			play(kinds[k / 2], c);
	}
	scene_hooks = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_end_where_they_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
