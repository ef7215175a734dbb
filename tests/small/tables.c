/* SPDX-License-Identifier: MIT */
/*
 * All there is, in small: the library's own code for tables, compiled for
 * tables of two entries, taken through every sequence of map, unmap and join.
 *
 * States are trees; from each state that is met every call is made, with every
 * allocation failing, alone and with all after it, and with the cache of leaf
 * tables empty and filled. After each call its status, every translation, the
 * sizes of pages, what was flushed and which pages are held must be right; the
 * state reached is gone on from if it is new. The run ends when there is none
 * left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"

enum {
	KEY = 48,
};

/* ---- states -------------------------------------------------------------- */

/* A tree, top first: 0 nothing, 1 to 3 a page with these rights, 4 a table
 * whose entries follow; then the pages in reserve. */
struct state {
	uint8_t key[KEY];
};

static unsigned write_key(const word64 *table, unsigned level, uint8_t *key)
{
	unsigned at = 0;

	for (unsigned i = 0; i < FAN; i++) {
		uint64_t entry = table[i];

		if (!(entry & PRESENT)) {
			CHECK(!entry);
			key[at++] = 0;
		} else if (is_leaf(entry, level)) {
			key[at++] = entry & PRESENT;
		} else {
			CHECK(entry & IN_MEMORY);
			key[at++] = 4;
			at += write_key(table_of(entry), level - 1, key + at);
		}
	}
	return at;
}

static struct state state_now(void)
{
	struct state s = {{0}};
	unsigned at = write_key(domain.table.root, domain.table.levels, s.key);

	CHECK(at < KEY - 1);
	s.key[KEY - 1] = (uint8_t)domain.table.reserve_count;
	return s;
}

static unsigned read_key(
	word64 *table, unsigned level, uint64_t iova, const uint8_t *key)
{
	uint64_t span = 1ull << shift_of(level);
	unsigned at = 0;

	for (unsigned i = 0; i < FAN; i++, iova += span) {
		unsigned what = key[at++];

		if (what == 4) {
			table[i] = new_table() | PRESENT | IN_MEMORY;
			at += read_key(
				table_of(table[i]), level - 1, iova, key + at);
		} else {
			table[i] = !what ? 0
					 : (iova + world.delta) | what |
					domain.table.leaf_bits |
					(level > 1 ? LARGE : 0);
		}
	}
	return at;
}

static void state_set(const struct state *s)
{
	struct pgtable *table = &domain.table;

	host_empty();
	memset(table->leaf_cache, 0, sizeof table->leaf_cache);
	table->phys = iommu_phys(new_table());
	table->root = table_of(table->phys.v);
	read_key(table->root, table->levels, 0, s->key);
	for (table->reserve_count = 0; table->reserve_count < s->key[KEY - 1];)
		table->reserve[table->reserve_count++] =
			iommu_phys(new_table());
	memcpy(host.old, host.taken, sizeof host.taken);
	for (unsigned i = 0; i < table->reserve_count; i++)
		host.old[table->reserve[i].v / PAGE_SIZE] = false;
	tell_nothing_yet();
}

/* The states met, in the order of meeting, and where to find them. */
static struct state *states;
static size_t state_count, state_room;
static uint32_t *bucket;
static size_t buckets;

static uint64_t hash(const struct state *s)
{
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < KEY; i += 8) {
		uint64_t word;

		memcpy(&word, s->key + i, 8);
		h = (h ^ word) * 0xbf58476d1ce4e5b9ull;
		h ^= h >> 29;
	}
	return h;
}

static void state_enter(const struct state *s)
{
	size_t at = hash(s) & (buckets - 1);

	for (; bucket[at]; at = (at + 1) & (buckets - 1))
		if (!memcmp(&states[bucket[at] - 1], s, sizeof *s))
			return;
	if (state_count == state_room) {
		state_room = state_room ? state_room * 2 : 1024;
		states = realloc(states, state_room * sizeof *states);
		assert_non_null(states);
	}
	states[state_count++] = *s;
	bucket[at] = (uint32_t)state_count;
	assert_true(state_count < buckets / 2);
}

/* ---- what a state means ---------------------------------------------------
 */

struct meaning {
	uint64_t page[MOST_PAGES]; /* physical address and rights; 0: none */
	uint8_t level[MOST_PAGES]; /* of the leaf */
	unsigned nodes;
};

static void look(const word64 *table, unsigned level, unsigned first,
	struct meaning *out)
{
	unsigned span = 1u << (INDEX_BITS * (level - 1));

	out->nodes++;
	for (unsigned i = 0; i < FAN; i++, first += span) {
		uint64_t entry = table[i];

		if (entry & PRESENT && !is_leaf(entry, level)) {
			look(table_of(entry), level - 1, first, out);
			continue;
		}
		for (unsigned k = 0; k < span && first + k < world.pages; k++) {
			out->level[first + k] = (uint8_t)level;
			out->page[first + k] = entry & PRESENT
				? ((entry & ADDRESS) +
					  (uint64_t)k * PAGE_SIZE) |
					(entry & PRESENT)
				: 0;
		}
	}
}

static struct meaning meaning_now(void)
{
	struct meaning m = {{0}, {0}, 0};

	look(domain.table.root, domain.table.levels, 0, &m);
	return m;
}

/* ---- calls --------------------------------------------------------------- */

enum what {
	MAP,
	UNMAP,
	JOIN,
};

struct call {
	enum what what;
	unsigned first, count, rights;
};

static uint64_t value_of(const struct call *c, unsigned page)
{
	return ((uint64_t)page * PAGE_SIZE + world.delta) | c->rights;
}

static enum iommu_status perform(const struct call *c, uint64_t *out_removed)
{
	iommu_iova_t iova = iommu_iova((uint64_t)c->first * PAGE_SIZE);
	uint64_t size = (uint64_t)c->count * PAGE_SIZE;
	enum iommu_status status, flush;
	struct iommu_batch batch;

	if (c->what == MAP)
		return iommu_map(&domain, iova,
			iommu_phys(iova.v + world.delta), size, c->rights);
	iommu_batch_init(&batch, &domain);
	status = c->what == UNMAP
		? iommu_unmap(&domain, iova, size, &batch, out_removed)
		: iommu_join(&domain, iova, size, &batch);
	flush = iommu_batch_flush(&batch);
	CHECK(flush == IOMMU_OK && !batch.pages && !batch.count);
	return status;
}

static bool in_call(const struct call *c, unsigned page)
{
	return page >= c->first && page - c->first < c->count;
}

static void check_map(const struct call *c, enum iommu_status status,
	const struct meaning *was, const struct meaning *is, bool starved)
{
	bool used = false;

	for (unsigned i = 0; i < world.pages; i++)
		used |= in_call(c, i) && was->page[i];
	/* Whichever is met first. */
	if (used)
		CHECK(status == IOMMU_MAPPED ||
			(starved && status == IOMMU_NO_MEMORY));
	else if (starved)
		CHECK(status == IOMMU_OK || status == IOMMU_NO_MEMORY);
	else
		CHECK(status == IOMMU_OK);
	for (unsigned i = 0; i < world.pages; i++)
		CHECK(is->page[i] ==
			(in_call(c, i) && status == IOMMU_OK ? value_of(c, i)
							     : was->page[i]));
	/* New entries are told of where that is wanted. */
	if (status == IOMMU_OK && world.present)
		CHECK(was_told(c->first, c->count, IOMMU_MADE_PRESENT));
}

/* Where nothing was, and memory enough, pages are as large as they can be. */
static void check_sizes(const struct call *c, const struct meaning *was,
	const struct meaning *is)
{
	for (unsigned level = 3; world.large && level >= 2; level--) {
		unsigned span = 1u << (INDEX_BITS * (level - 1));

		if (world.delta & (((uint64_t)span * PAGE_SIZE) - 1))
			continue;
		for (unsigned i = 0; i < world.pages; i += span) {
			bool whole = in_call(c, i) && in_call(c, i + span - 1);

			if (whole && !was->page[i] && was->level[i] >= level)
				CHECK(is->level[i] >= level);
		}
	}
}

static void check_unmap(const struct call *c, enum iommu_status status,
	const struct meaning *was, const struct meaning *is, uint64_t removed)
{
	uint64_t gone = 0;

	CHECK(status == IOMMU_OK || status == IOMMU_NO_MEMORY);
	for (unsigned i = 0; i < world.pages; i++) {
		bool kept = is->page[i] == was->page[i];

		CHECK(kept || (in_call(c, i) && !is->page[i]));
		if (status == IOMMU_OK && in_call(c, i))
			CHECK(!is->page[i]);
		gone += kept ? 0 : PAGE_SIZE;
	}
	CHECK(removed == gone);
	/* Only a page cut in two takes memory, which was laid by. */
	CHECK(!host.allocations);
	if (status == IOMMU_NO_MEMORY)
		CHECK(!domain.table.reserve_count);
}

static void check_join(const struct call *c, enum iommu_status status,
	const struct meaning *was, const struct meaning *is)
{
	CHECK(status == IOMMU_OK);
	for (unsigned i = 0; i < world.pages; i++) {
		CHECK(is->page[i] == was->page[i]);
		CHECK(in_call(c, i) || is->level[i] == was->level[i]);
		CHECK(is->level[i] >= was->level[i] || !was->page[i]);
	}
}

/* Whatever a unit may have cached of the old state, it was told to forget. */
static void check_flushes(const struct meaning *was, const struct meaning *is)
{
	for (unsigned i = 0; i < world.pages; i++) {
		unsigned level = was->level[i] > is->level[i] ? was->level[i]
							      : is->level[i];
		unsigned span = 1u << (INDEX_BITS * (level - 1));

		if (was->page[i] && was->page[i] != is->page[i])
			CHECK(was_told(
				i, 1, IOMMU_REMOVED | IOMMU_TABLE_CHANGED));
		/* A table came or went where something was. */
		if (was->level[i] != is->level[i] &&
			(was->page[i] || was->level[i] < is->level[i]))
			CHECK(was_told(
				i & ~(span - 1), span, IOMMU_TABLE_CHANGED));
	}
}

/* Calls that change nothing, on every page: they fill the cache of leaf tables,
 * or use what is in it. */
static void touch_all(const struct meaning *m)
{
	for (unsigned i = 0; i < world.pages; i++) {
		struct call c = {m->page[i] ? MAP : UNMAP, i, 1, 3};
		uint64_t removed = 0;
		enum iommu_status status = perform(&c, &removed);

		CHECK(status == (m->page[i] ? IOMMU_MAPPED : IOMMU_OK));
		CHECK(!removed);
	}
}

/* The table at which a shallow unit starts stays where it is. */
static uint64_t shallow_root(void)
{
	return shallow.levels != unit.levels ? domain.table.root[0] : 0;
}

static unsigned long long calls;

/* One call from one state. Returns how often it allocated. */
static unsigned one(const struct state *from, const struct call *c,
	const struct meaning *was, bool warm, unsigned fail, bool on)
{
	enum iommu_status status;
	struct meaning is;
	struct state to;
	unsigned made;
	uint64_t removed = 0, root;

	state_set(from);
	root = shallow_root();
	if (warm)
		touch_all(was);
	host.allocations = 0;
	tell_nothing_yet();
	host.fail_at = fail;
	host.fail_on = on;
	status = perform(c, &removed);
	host.fail_at = 0;
	made = host.allocations;
	calls++;
	is = meaning_now();
	to = state_now();
	if (c->what == MAP)
		check_map(
			c, status, was, &is, fail && host.allocations >= fail);
	if (c->what == MAP && status == IOMMU_OK && !fail)
		check_sizes(c, was, &is);
	if (c->what == UNMAP)
		check_unmap(c, status, was, &is, removed);
	if (c->what == JOIN)
		check_join(c, status, was, &is);
	check_flushes(was, &is);
	CHECK(host.in_use == is.nodes + domain.table.reserve_count);
	CHECK(shallow_root() == root);
	if (warm)
		touch_all(&is);
	if (host.wrong) {
		print_error("call %d of pages %u+%u, rights %u, allocation %u "
			    "fails%s, %s cache, status %d, from",
			c->what, c->first, c->count, c->rights, fail,
			on ? " and all after it" : "",
			warm ? "filled" : "empty", status);
		for (unsigned i = 0; i < KEY; i++)
			print_error(" %u", from->key[i]);
		fail_msg("%s", host.wrong);
	}
	state_enter(&to);
	return made;
}

static void with_failures(const struct state *from, const struct call *c,
	const struct meaning *was)
{
	for (unsigned warm = 0; warm < 2; warm++) {
		unsigned most = one(from, c, was, warm, 0, false);

		for (unsigned n = 1; n <= most; n++)
			for (unsigned on = 0; on < 2; on++)
				one(from, c, was, warm, n, on);
	}
}

static void all_calls(const struct state *from)
{
	static const unsigned rights[] = {3, 1, 2};
	struct meaning was;

	state_set(from);
	was = meaning_now();
	for (unsigned first = 0; first < world.pages; first++)
		for (unsigned n = 1; first + n <= world.pages; n++) {
			struct call c = {UNMAP, first, n, 0};

			with_failures(from, &c, &was);
			c.what = JOIN;
			with_failures(from, &c, &was);
			c.what = MAP;
			for (unsigned k = 0; k < world.rights; k++) {
				c.rights = rights[k];
				with_failures(from, &c, &was);
			}
		}
	/* And the end. */
	state_set(from);
	host.flushed = true;
	core_table_free(&domain);
	assert_int_equal(host.in_use, 0);
}

static void explore(const char *name, unsigned levels, unsigned lowest,
	unsigned rights, bool large, uint64_t delta, bool present)
{
	struct state start;

	world.levels = levels;
	world.rights = rights;
	world.large = large;
	world.delta = delta;
	world.present = present;
	host.wrong = NULL;
	calls = state_count = 0;
	buckets = 1u << 23;
	bucket = calloc(buckets, sizeof *bucket);
	assert_non_null(bucket);
	domain_make(lowest);
	start = state_now();
	state_enter(&start);
	for (size_t i = 0; i < state_count; i++) {
		struct state from = states[i];

		all_calls(&from);
	}
	print_message("%s: %zu states, %llu calls\n", name, state_count, calls);
	assert_true(state_count > 100);
	free(bucket);
	free(states);
	states = NULL;
	state_room = 0;
}

/* ---- tests --------------------------------------------------------------- */

#define ALIGNED (1ull << 20)

static void three_levels_with_large_pages(void **state)
{
	(void)state;
	explore("large pages", 3, 3, 1, true, ALIGNED, false);
}

static void three_levels_of_small_pages(void **state)
{
	(void)state;
	explore("two rights, small pages", 3, 3, 2, false, ALIGNED, true);
}

static void memory_that_is_not_aligned(void **state)
{
	(void)state;
	explore("off by a page", 3, 3, 1, true, ALIGNED + PAGE_SIZE, false);
}

static void a_unit_that_begins_one_level_down(void **state)
{
	(void)state;
	explore("a shallow unit", 4, 3, 1, true, ALIGNED, true);
}

static void two_kinds_of_large_pages(void **state)
{
	(void)state;
	explore("two rights, large pages", 3, 3, 2, true, ALIGNED, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_levels_with_large_pages),
		cmocka_unit_test(three_levels_of_small_pages),
		cmocka_unit_test(memory_that_is_not_aligned),
		cmocka_unit_test(a_unit_that_begins_one_level_down),
	};
	/* Takes a minute: for make soak. */
	const struct CMUnitTest longer[] = {
		cmocka_unit_test(two_kinds_of_large_pages),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (!failed && getenv("LONG"))
		failed = cmocka_run_group_tests(longer, NULL, NULL);
	return failed;
}
