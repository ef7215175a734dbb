/* SPDX-License-Identifier: MIT */
/*
 * Kinds of units made by chance: each field takes all the values that it may,
 * and no others. And what a device that means harm tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <model/devices.h>
#include <string.h>
#include "support/attached.h"

enum {
	KINDS = 30000,
	MOST = 1024,
};

/* How often each value came up. */
static unsigned seen[MOST];

typedef unsigned field_fn(const struct model_personality *p);

/* All of the values from first to last, in these steps, and no others. */
static void takes_all(field_fn *field, unsigned first, unsigned last)
{
	memset(seen, 0, sizeof seen);
	for (uint64_t seed = 0; seed < KINDS; seed++) {
		struct model_personality p = model_personality_random(seed);
		unsigned v = field(&p);

		assert_in_range(v, first, last);
		seen[v]++;
	}
	for (unsigned v = first; v <= last; v++)
		assert_true(seen[v]);
}

static unsigned version(const struct model_personality *p)
{
	assert_int_equal(p->version & 15, 0);
	return p->version >> 4;
}

static unsigned ids(const struct model_personality *p)
{
	return CAP_ND(p->cap);
}

static unsigned records(const struct model_personality *p)
{
	return CAP_NFR(p->cap);
}

static unsigned records_at(const struct model_personality *p)
{
	return CAP_FRO(p->cap) / 16;
}

static unsigned flushes_at(const struct model_personality *p)
{
	return ECAP_IRO(p->ecap) / 16;
}

static unsigned haw(const struct model_personality *p)
{
	return p->haw;
}

static unsigned largest_mask(const struct model_personality *p)
{
	if (!(p->cap & CAP_PSI))
		assert_int_equal(CAP_MAMV(p->cap), 0);
	return CAP_MAMV(p->cap);
}

static unsigned largest_entry_mask(const struct model_personality *p)
{
	return p->ecap & ECAP_IR ? ECAP_MHMV(p->ecap) : 0;
}

static void every_value_of_every_field(void **state)
{
	(void)state;
	takes_all(version, 1, 6);
	takes_all(ids, 0, 6);
	takes_all(haw, 36, 52);
	takes_all(largest_mask, 0, 18);
	takes_all(largest_entry_mask, 0, 15);
	takes_all(records, 1, 256);
	takes_all(records_at, 0x20, 0x3df);
	takes_all(flushes_at, 0x10, 0x3df);
}

/* Widths of tables, of addresses in them, and of memory go together. */
static void widths_go_together(void **state)
{
	static const uint8_t tops[] = {
		[2] = 39, [4] = 48, [6] = 48, [8] = 57, [12] = 57, [14] = 57};
	unsigned widths[16] = {0}, sizes[4] = {0}, equal[16] = {0},
		 most[16] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < KINDS; seed++) {
		struct model_personality p = model_personality_random(seed);
		unsigned sagaw = CAP_SAGAW(p.cap), mgaw = CAP_MGAW(p.cap);

		assert_in_range(sagaw, 2, 14);
		assert_int_not_equal(tops[sagaw], 0);
		assert_in_range(mgaw, p.haw, tops[sagaw]);
		assert_true(p.haw <= tops[sagaw]);
		widths[sagaw]++;
		sizes[CAP_SSLPS(p.cap)]++;
		equal[sagaw] += mgaw == p.haw;
		most[sagaw] += mgaw == tops[sagaw];
	}
	for (unsigned n = 2; n <= 14; n++) {
		assert_int_equal(!widths[n], !tops[n]);
		assert_true(!tops[n] ||
			(equal[n] && equal[n] < widths[n] && most[n] &&
				most[n] < widths[n]));
	}
	assert_true(sizes[0] && sizes[1] && !sizes[2] && sizes[3]);
}

/* Each comes with and without the other, unless one needs the other. */
static void bits_are_independent(void **state)
{
	static const uint64_t caps[] = {CAP_ZLR, CAP_PSI, CAP_DWD, CAP_DRD,
		CAP_PLMR, CAP_PHMR, CAP_CM, CAP_RWBF, CAP_ESRTPS, CAP_ESIRTPS};
	static const uint64_t ecaps[] = {
		ECAP_C, ECAP_PT, ECAP_SC, ECAP_QI, ECAP_DT, ECAP_IR, ECAP_EIM};
	static const uint32_t quirks[] = {MODEL_QUIRK_QIE_STICKS,
		MODEL_QUIRK_CC_WIDENS, MODEL_QUIRK_NO_IQERCD};
	enum {
		N = 20
	};
	unsigned with[N] = {0}, pairs[N][N] = {{0}};
	uint64_t known_cap = 0, known_ecap = 0;

	(void)state;
	for (unsigned n = 0; n < 10; n++)
		known_cap |= caps[n];
	for (unsigned n = 0; n < 7; n++)
		known_ecap |= ecaps[n];
	for (uint64_t seed = 0; seed < KINDS; seed++) {
		struct model_personality p = model_personality_random(seed);
		bool has[N];

		for (unsigned n = 0; n < N; n++)
			has[n] = n < 10  ? p.cap & caps[n]
				: n < 17 ? (p.ecap & ecaps[n - 10]) != 0
					 : (p.quirks & quirks[n - 17]) != 0;
		for (unsigned n = 0; n < N; n++)
			for (unsigned k = 0; k < N && has[n]; k++)
				pairs[n][k] += has[k];
		for (unsigned n = 0; n < N; n++)
			with[n] += has[n];
		/* Fields have values of their own; other bits are not set. */
		assert_int_equal(p.cap & ~known_cap &
				~(MASK(2, 0) | MASK(12, 8) | MASK(21, 16) |
					MASK(33, 24) | MASK(35, 34) |
					MASK(47, 40) | MASK(53, 48)),
			0);
		assert_int_equal(
			p.ecap & ~known_ecap & ~(MASK(17, 8) | MASK(23, 20)),
			0);
		assert_int_equal(
			p.quirks & ~(quirks[0] | quirks[1] | quirks[2]), 0);
		assert_true(version(&p) < 6 || (p.ecap & ECAP_QI));
	}
	for (unsigned n = 0; n < N; n++) {
		assert_in_range(with[n], KINDS / 20, KINDS * 19 / 20);
		for (unsigned k = 0; k < N; k++)
			if ((n == 6 && k == 7) || (n == 7 && k == 6))
				assert_int_equal(pairs[n][k], 0);
			else
				assert_true(pairs[n][k]);
	}
}

/* ---- harm -----------------------------------------------------------------
 */

static unsigned arrived[2];

static void count(void *ctx, struct model *m, const struct model_interrupt *irq)
{
	(void)ctx;
	(void)m;
	arrived[irq->remapped]++;
}

/* On a unit that is off all that is memory is reached, and on one that is on
 * what is mapped. */
static void attacker_tries_everything(void **state)
{
	struct model_attacker a, b;

	(void)state;
	for (unsigned on = 0; on < 2; on++) {
		if (on)
			ready("plain");
		else
			cold("plain");
		model_on_interrupt(d.m, count, NULL);
		arrived[0] = 0;
		model_attacker_init(&a, d.m, 0, DEV, 7);
		for (unsigned n = 0; n < 4000; n++)
			model_attacker_act(&a, 0x10000);
		assert_int_equal(a.tried, 4000);
		assert_int_equal(a.through + a.refused + a.interrupts, 4000);
		assert_in_range(a.interrupts, 200, 800);
		assert_int_equal(arrived[0], a.interrupts);
		assert_in_range(a.through, on ? 20 : 1000, on ? 700 : 3000);
		mini_close(&d, false);
	}
	/* The same seed does the same, and is never 0. */
	cold("plain");
	model_attacker_init(&a, d.m, 0, DEV, 8);
	model_attacker_init(&b, d.m, 0, DEV, 9);
	assert_int_equal(a.seed, b.seed);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_value_of_every_field),
		T(widths_go_together),
		T(bits_are_independent),
		T(attacker_tries_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
