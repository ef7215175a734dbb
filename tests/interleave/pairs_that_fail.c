/* SPDX-License-Identifier: MIT */
/*
 * Mistakes that the search has to find, and with how many interruptions: it
 * would be worth nothing if it did not.
 */
#include "weave.h"

/** In the machine's memory, as all that CPUs share. */
struct shared {
	uint64_t value, flag;
	struct iommu_lock first, second;
};

static struct shared *shared(struct scene *s)
{
	return model_ptr(s->r.m, s->frame[0]);
}

static void take_page(struct scene *s)
{
	s->frame[0] = model_page_alloc(s->r.m, 0, OWNER);
	memset(shared(s), 0, sizeof(struct shared));
}

static uint64_t load(uint64_t *at)
{
	weave_access(at, sizeof *at, false);
	return *at;
}

static void store(uint64_t *at, uint64_t value)
{
	weave_access(at, sizeof *at, true);
	*at = value;
}

/* ---- found with one interruption ----------------------------------------- */

static void add_one(struct scene *s)
{
	store(&shared(s)->value, load(&shared(s)->value) + 1);
}

static void both_added(struct scene *s)
{
	WEAVE_CHECK(shared(s)->value == 2);
}

/* ---- with two ------------------------------------------------------------ */

/** Only who comes between two stores, and goes before the second, sees it. */
static void open_and_shut(struct scene *s)
{
	store(&shared(s)->flag, 1);
	store(&shared(s)->flag, 0);
	store(&shared(s)->value, 1);
}

static void look_twice(struct scene *s)
{
	uint64_t open = load(&shared(s)->flag);
	uint64_t done = load(&shared(s)->value);

	WEAVE_CHECK(!(open && done));
}

static void nothing(struct scene *s)
{
	(void)s;
}

/* ---- locks --------------------------------------------------------------- */

static void lock_both(
	struct scene *s, struct iommu_lock *a, struct iommu_lock *b)
{
	const struct iommu_host *host = &s->r.hooks;
	unsigned long outer = host->lock(host->ctx, a);
	unsigned long inner = host->lock(host->ctx, b);

	host->unlock(host->ctx, b, inner);
	host->unlock(host->ctx, a, outer);
}

static void first_then_second(struct scene *s)
{
	lock_both(s, &shared(s)->first, &shared(s)->second);
}

static void second_then_first(struct scene *s)
{
	lock_both(s, &shared(s)->second, &shared(s)->first);
}

static void add_one_locked(struct scene *s)
{
	const struct iommu_host *host = &s->r.hooks;
	unsigned long state = host->lock(host->ctx, &shared(s)->first);

	add_one(s);
	host->unlock(host->ctx, &shared(s)->first, state);
}

/** A lock that nobody gives back. */
static void keep_lock(struct scene *s)
{
	const struct iommu_host *host = &s->r.hooks;

	(void)host->lock(host->ctx, &shared(s)->first);
}

const struct mistake mistakes[] = {
	{{"lost-update", "plain", take_page, {add_one, add_one}, both_added},
		.needs = 1, .says = "value == 2"},
	{{"seen-half", "plain", take_page, {look_twice, open_and_shut},
		 nothing},
		.needs = 2, .says = "open && done"},
	{{"deadlock", "plain", take_page,
		 {first_then_second, second_then_first}, nothing},
		.needs = 1, .says = "wait for each other"},
	{{"lock-kept", "plain", take_page, {keep_lock, keep_lock}, nothing},
		.needs = 0, .says = "keeps a lock"},
	{{"locked", "plain", take_page, {add_one_locked, add_one_locked},
		 both_added},
		.needs = NEVER},
	{.pair = {.name = NULL}},
};
