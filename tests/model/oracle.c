/* SPDX-License-Identifier: MIT */
/*
 * Random flushes against a plain reading of the specification: which of many
 * entries are gone after it, and which are not. Lazy units, so that there is
 * one right answer. SEED=n plays others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "support/attached.h"

static uint64_t seed;

static unsigned any(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

static void begin(void)
{
	const char *text = getenv("SEED");

	seed = text ? strtoull(text, NULL, 0) : 1;
	print_message("SEED=%llu\n", (unsigned long long)seed);
}

/* ---- translations ---------------------------------------------------------
 */

enum {
	DOMAINS = 3,
	PLACES = 14,
	ROUNDS = 250,
};

/* Ids that differ far up, too. */
static const uint16_t dids[DOMAINS] = {5, 5 + 256, 6};
static const uint16_t devs[DOMAINS] = {DEV, OTHER, MODEL_BDF(0, 1, 0)};
static uint64_t tops[DOMAINS];

/* Around the borders of tables and of large pages. */
static const struct {
	uint64_t iova;
	unsigned level;
} places[PLACES] = {{0x0, 1}, {0x1000, 1}, {0x2000, 1}, {0x3000, 1},
	{0x7000, 1}, {0x8000, 1}, {0x1ff000, 1}, {0x200000, 1}, {0x400000, 2},
	{0x600000, 2}, {0x800000, 2}, {0x40000000, 3}, {0x80000000, 3},
	{0x7fffff000, 1}};

static void put_page(unsigned dom, unsigned n, bool present)
{
	uint64_t slot =
		mini_slot(&d, tops[dom], 4, places[n].iova, places[n].level);
	uint64_t large = places[n].level > 1 ? SS_PS : 0;

	/* Large ones lead to the first bytes of memory. */
	mini_store(
		&d, slot, present ? (large ? large : frame) | SS_R | SS_W : 0);
}

static bool reaches(unsigned dom, unsigned n)
{
	uint64_t v;

	return model_dma_read(d.m, 0, devs[dom], places[n].iova, &v, 8) ==
		MODEL_DMA_OK;
}

static uint64_t size_of(unsigned level)
{
	return 1ull << (12 + 9 * (level - 1));
}

static bool is_hit(unsigned dom, unsigned n, unsigned gran, uint16_t did,
	uint64_t addr, unsigned am)
{
	uint64_t first = addr >> (12 + am) << (12 + am);
	uint64_t last = first + (0x1000ull << am) - 1;
	uint64_t begin = places[n].iova;

	if (gran == GRAN_GLOBAL)
		return true;
	if (dids[dom] != did)
		return false;
	return gran == GRAN_DOMAIN ||
		(begin >= first &&
			begin + size_of(places[n].level) - 1 <= last);
}

static void flushes_on(const char *kind)
{
	cold(kind);
	mini_start(&d);
	frame = model_page_alloc(d.m, 0, OWNER);
	for (unsigned dom = 0; dom < DOMAINS; dom++) {
		tops[dom] = mini_page(&d);
		mini_attach(&d, devs[dom], tops[dom], dids[dom], TT_SS);
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned gran = 1 + any(8), am = any(19);
		uint16_t did = dids[any(DOMAINS)];
		uint64_t addr = places[any(PLACES)].iova + any(4) * 0x1000;

		gran = gran > GRAN_NARROW ? GRAN_NARROW : gran;
		am = any(3) ? am % 5 : am;
		for (unsigned i = 0; i < DOMAINS * PLACES; i++) {
			put_page(i / PLACES, i % PLACES, true);
			assert_true(reaches(i / PLACES, i % PLACES));
		}
		for (unsigned i = 0; i < DOMAINS * PLACES; i++)
			put_page(i / PLACES, i % PLACES, false);
		mini_flush_iotlb(&d, gran, did, addr, am, any(2));
		for (unsigned i = 0; i < DOMAINS * PLACES; i++)
			assert_int_equal(reaches(i / PLACES, i % PLACES),
				!is_hit(i / PLACES, i % PLACES, gran, did, addr,
					am));
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	}
	mini_close(&d, true);
}

static void translations_that_a_flush_leaves(void **state)
{
	(void)state;
	begin();
	flushes_on("plain");
	flushes_on("no-qi");
}

/* ---- context entries -------------------------------------------------------
 */

static void contexts_that_a_flush_leaves(void **state)
{
	static const uint16_t sids[] = {0x0010, 0x0011, 0x0012, 0x0014, 0x0015,
		0x0017, 0x0018, 0x0110, 0x0111, 0x0314};
	static const uint16_t masks[] = {0, 4, 6, 7};
	enum {
		N = sizeof sids / sizeof sids[0]
	};

	(void)state;
	begin();
	ready("plain");
	/* Of the domain that one of them was in nothing is left. */
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned gran = 1 + any(6), fm = any(4);
		uint16_t did = (uint16_t)(DID + any(2)), sid = sids[any(N)];
		uint16_t dids[N];
		uint64_t v;

		gran = gran > GRAN_NARROW ? GRAN_NARROW : gran;
		for (unsigned i = 0; i < N; i++) {
			dids[i] = (uint16_t)(DID + any(2));
			mini_attach(&d, sids[i], top, dids[i], TT_SS);
			assert_int_equal(
				model_dma_read(d.m, 0, sids[i], 0x10000, &v, 8),
				MODEL_DMA_OK);
		}
		for (unsigned i = 0; i < N; i++)
			mini_store(&d, mini_context(&d, sids[i]), 0);
		mini_queue(&d,
			DESC_CC | gran << 4 | (uint64_t)did << 16 |
				(uint64_t)sid << 32 | (uint64_t)fm << 48,
			0);
		mini_wait(&d);
		for (unsigned i = 0; i < N; i++) {
			bool hit = gran == GRAN_GLOBAL ||
				(did == dids[i] &&
					(gran == GRAN_DOMAIN ||
						!((sid ^ sids[i]) &
							~masks[fm])));

			assert_int_equal(
				model_dma_read(d.m, 0, sids[i], 0x10000, &v,
					8) != MODEL_DMA_OK,
				hit);
		}
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	}
	expect_nothing();
}

/* ---- interrupt entries -----------------------------------------------------
 */

static void interrupt_entries_that_a_flush_leaves(void **state)
{
	enum {
		N = 64
	};

	(void)state;
	begin();
	ready("plain");
	mini_start_interrupts(&d);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned first = any(N), mask = any(5), global = !any(10);
		uint64_t from = 1ull << 18 | DEV;

		for (unsigned i = 0; i < N; i++) {
			mini_store(&d, d.irt + i * 16 + 8, from);
			mini_store(&d, d.irt + i * 16, 0x550001);
			assert_true(model_msi(d.m, 0, DEV,
				0xfee00000ull | i << 5 | BIT(4), 0));
		}
		for (unsigned i = 0; i < N; i++)
			mini_store(&d, d.irt + i * 16, 0);
		mini_queue(&d,
			DESC_IEC | (global ? 0 : BIT(4)) |
				(uint64_t)mask << 27 | (uint64_t)first << 32,
			0);
		mini_wait(&d);
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(
				model_msi(d.m, 0, DEV,
					0xfee00000ull | i << 5 | BIT(4), 0),
				!global && i >> mask != first >> mask);
		mini_flush_irte(&d, true, 0);
	}
	expect_nothing();
}

/* ---- memory -----------------------------------------------------------------
 */

static void pages_are_whose_they_are(void **state)
{
	enum {
		PAGES = 64
	};
	static const struct model_function_desc f = {
		.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1};

	(void)state;
	begin();
	for (unsigned mode = MODEL_LAZY; mode <= MODEL_RANDOM; mode++) {
		struct model_unit_desc unit = {
			.kind = model_personality_find("plain"),
			.include_all = true};
		struct model_desc desc = {.mode = (enum model_mode)mode,
			.ram_base = 0x3000000,
			.ram_size = PAGES * 4096,
			.units = &unit,
			.unit_count = 1,
			.functions = &f,
			.function_count = 1};
		struct model *m = model_create(&desc);
		unsigned order[PAGES] = {0}, owner[PAGES] = {0}, taken = 0;
		bool all = false;

		assert_non_null(m);
		for (unsigned n = 0; n < 4000; n++) {
			unsigned want = any(4), i = any(PAGES), count, fits = 0;
			uint64_t pa;

			/* By turns memory fills and empties. */
			if (owner[i] && order[i] < 8 &&
				any(8) < 2 + n / 500 % 2 * 5) {
				model_page_free(m, desc.ram_base + i * 4096ull,
					order[i]);
				count = 1u << order[i];
				taken -= count;
				while (count)
					owner[i + --count] = 0;
				continue;
			}
			want = any(3) ? 0 : want;
			count = 1u << want;
			/* The last two are the model's own. */
			for (i = 0; i + count <= PAGES - 2; i += count) {
				unsigned k = 0;

				while (k < count && !owner[i + k])
					k++;
				fits += k == count;
			}
			pa = model_page_alloc(m, want, 2 + n % 100);
			assert_int_equal(pa != MODEL_NONE, fits > 0);
			all |= taken == PAGES - 2;
			if (!fits)
				continue;
			assert_false(pa & (count * 4096 - 1));
			i = (unsigned)((pa - desc.ram_base) / 4096);
			for (unsigned k = 0; k < count; k++) {
				assert_false(owner[i + k]);
				owner[i + k] = 2 + n % 100;
				order[i + k] = k ? 9 : want;
			}
			taken += count;
			assert_int_equal(model_pages_in_use(m, 0), taken);
		}
		assert_true(all);
		for (unsigned o = 1; o < 102; o++) {
			size_t n = 0;

			for (unsigned i = 0; i < PAGES; i++)
				n += owner[i] == o;
			assert_int_equal(model_pages_in_use(m, o), n);
		}
		assert_int_equal(model_violation_count(m), 0);
		assert_null(model_ptr(m, desc.ram_base - 1));
		assert_null(model_ptr(m, desc.ram_base + desc.ram_size));
		assert_non_null(
			model_ptr(m, desc.ram_base + desc.ram_size - 1));
		assert_ptr_equal((char *)model_direct_map(m) + desc.ram_base,
			model_ptr(m, desc.ram_base));
		model_destroy(m);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(translations_that_a_flush_leaves),
		T(contexts_that_a_flush_leaves),
		T(interrupt_entries_that_a_flush_leaves),
		T(pages_are_whose_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
