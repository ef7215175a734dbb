/* SPDX-License-Identifier: MIT */
/*
 * The same script on QEMU's unit and on the model's in its benign mode, which
 * is given QEMU's capabilities; support/script.h says what is compared.
 *
 * Scripts are tables, or come from a seed (SEED, SCRIPTS in the environment).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "support/script.h"

enum {
	STEPS = 60
};

static char kinds[][64] = {"queue:aw-bits=48,caching-mode=on",
	"queue:aw-bits=39", "registers:aw-bits=48",
	"queue:aw-bits=48,device-iotlb=on,intremap=on"};

static const struct step changes[] = {{WRITE, 0, 0, 0, 0}, {MAP, 1, 0, 0, RW},
	{WRITE, 0, 0, 0, 0}, {ATTACH, 0, 1, 0, 0}, {WRITE, 0, 0, 0, 0},
	{READ, 0, 0, 0, 0}, {WRITE, 0, 1, 0, 0}, {WRITE, 1, 0, 0, 0},
	{ATTACH, 1, 2, 0, 0}, {WRITE, 1, 0, 0, 0}, {MAP, 2, 0, 1, IOMMU_READ},
	{READ, 1, 0, 0, 0}, {UNMAP, 1, 0, 0, 0}, {WRITE, 0, 0, 0, 0},
	{DETACH, 0, 0, 0, 0}, {READ, 0, 0, 0, 0}, {ATTACH, 0, 2, 0, 0},
	{READ, 0, 0, 0, 0}, {DETACH, 1, 0, 0, 0}, {READ, 1, 0, 0, 0},
	{END, 0, 0, 0, 0}};

static const struct step large_pages[] = {{ATTACH, 0, 1, 0, 0},
	{MAP, 1, 3, FRAMES, RW}, {WRITE, 0, 3, 0, 0}, {WRITE, 0, 3, 1, 0},
	{WRITE, 0, 3, 255, 0}, {UNMAP, 1, 4, 0, 0}, {WRITE, 0, 3, 0, 0},
	{WRITE, 0, 4, 0, 0}, {WRITE, 0, 4, 1, 0}, {MAP, 1, 4, 2, RW},
	{WRITE, 0, 4, 0, 0}, {UNMAP, 1, 3, 2, 0}, {WRITE, 0, 3, 0, 0},
	{WRITE, 0, 4, 0, 0}, {WRITE, 0, 3, 255, 0}, {END, 0, 0, 0, 0}};

static const struct step power[] = {{MAP, 1, 13, 0, RW}, {ATTACH, 0, 1, 0, 0},
	{ATTACH, 1, IDENTITY, 0, 0}, {WRITE, 0, 13, 0, 0}, {POWER, 0, 0, 0, 0},
	{ATTACH, 0, 2, 0, 0}, {READ, 0, 0, 0, 0}, {POWER, 1, 0, 0, 0},
	{WRITE, 0, 13, 0, 0}, {READ, 1, 0, 0, 0}, {SUSPEND, 0, 0, 0, 0},
	{WRITE, 0, 13, 0, 0}, {DETACH, 0, 0, 0, 0}, {WRITE, 0, 13, 0, 0},
	{END, 0, 0, 0, 0}};

/* Above the unit's width, above the machine's. */
static const struct step widths[] = {{ATTACH, 0, 1, 0, 0}, {MAP, 1, 14, 0, RW},
	{MAP, 1, 15, 1, RW}, {MAP, 1, 16, 2, RW}, {MAP, 1, 17, 3, RW},
	{WRITE, 0, 14, 0, 0}, {WRITE, 0, 15, 0, 0}, {WRITE, 0, 16, 0, 0},
	{WRITE, 0, 17, 0, 0}, {READ, 0, 14, 0, 0}, {READ, 0, 15, 0, 0},
	{READ, 0, 16, 0, 0}, {READ, 0, 17, 0, 0}, {END, 0, 0, 0, 0}};

/* Both devices see every change, whoever used a page before. */
static const struct step two_of_one_domain[] = {{ATTACH, 0, 3, 0, 0},
	{ATTACH, 1, 3, 0, 0}, {MAP, 3, 1, 0, RW}, {WRITE, 0, 1, 0, 0},
	{WRITE, 1, 1, 0, 0}, {UNMAP, 3, 1, 0, 0}, {WRITE, 0, 1, 0, 0},
	{READ, 1, 1, 0, 0}, {MAP, 3, 1, 1, IOMMU_READ}, {READ, 0, 1, 0, 0},
	{WRITE, 1, 1, 0, 0}, {DETACH, 0, 0, 0, 0}, {READ, 0, 1, 0, 0},
	{READ, 1, 1, 0, 0}, {ATTACH, 0, SHARED, 0, 0}, {READ, 0, 1, 0, 0},
	{DETACH, 1, 0, 0, 0}, {READ, 1, 1, 0, 0}, {END, 0, 0, 0, 0}};

/* The device on the host's own tables: an entry made, changed, cut, removed,
 * large, split, joined. */
static const struct step host_tables[] = {{MAP, SHARED, 0, 0, RW},
	{ATTACH, 0, SHARED, 0, 0}, {WRITE, 0, 0, 0, 0}, {READ, 0, 0, 0, 0},
	{WRITE, 0, 1, 0, 0}, {MAP, SHARED, 1, 1, RW}, {WRITE, 0, 1, 0, 0},
	{MAP, SHARED, 0, 2, RW}, {WRITE, 0, 0, 0, 0}, {READ, 0, 0, 0, 0},
	{MAP, SHARED, 0, 2, IOMMU_READ}, {WRITE, 0, 0, 0, 0},
	{READ, 0, 0, 0, 0}, {MAP, SHARED, 0, 2, RW}, {WRITE, 0, 0, 0, 0},
	{UNMAP, SHARED, 0, 0, 0}, {READ, 0, 0, 0, 0}, {WRITE, 0, 0, 0, 0},
	{MAP, SHARED, 3, FRAMES + 1, RW}, {WRITE, 0, 3, 7, 0},
	{SPLIT, 0, 3, 0, 0}, {WRITE, 0, 3, 7, 0}, {READ, 0, 4, 0, 0},
	{UNMAP, SHARED, 4, 0, 0}, {READ, 0, 4, 0, 0}, {READ, 0, 3, 0, 0},
	{MAP, SHARED, 3, FRAMES, RW}, {READ, 0, 4, 0, 0}, {WRITE, 0, 5, 0, 0},
	{ATTACH, 1, SHARED, 0, 0}, {WRITE, 1, 4, 0, 0},
	{UNMAP, SHARED, 3, 2, 0}, {WRITE, 1, 4, 0, 0}, {READ, 0, 5, 0, 0},
	{SUSPEND, 0, 0, 0, 0}, {WRITE, 0, 1, 0, 0}, {POWER, 0, 0, 0, 0},
	{MAP, SHARED, 2, 3, RW}, {POWER, 1, 0, 0, 0}, {READ, 1, 2, 0, 0},
	{END, 0, 0, 0, 0}};

/* Small pages joined while in use, split again. */
static const struct step joined[] = {{ATTACH, 0, 2, 0, 0},
	{MAP, 2, 6, HALVES + 1, RW}, {WRITE, 0, 6, 0, 0}, {READ, 0, 6, 200, 0},
	{JOIN, 2, 6, 0, 0}, {WRITE, 0, 6, 0, 0}, {READ, 0, 6, 200, 0},
	{READ, 0, 6, 100, 0}, {UNMAP, 2, 6, 1, 0}, {READ, 0, 6, 0, 0},
	{READ, 0, 6, 2, 0}, {WRITE, 0, 6, 200, 0}, {JOIN, 2, 6, 0, 0},
	{READ, 0, 6, 1, 0}, {UNMAP, 2, 6, 2, 0}, {READ, 0, 6, 200, 0},
	{END, 0, 0, 0, 0}};

/* Entries set, moved, cleared and freed; the other device as a forger. */
static const struct step messages[] = {{SEND, 0, 0, 0, 0},
	{IRQ_ALLOC, 0, 0, 2, 0}, {IRQ_ALLOC, 1, 1, 0, 0}, {SEND, 0, 0, 0, 0},
	{IRQ_SET, 0, 0, 1, 0}, {IRQ_SET, 0, 1, 0, 1}, {IRQ_SET, 1, 0, 2, 2},
	{SEND, 0, 0, 0, 0}, {SEND, 0, 0, 1, 0}, {SEND, 0, 0, 2, 0},
	{SEND, 1, 1, 0, 0}, {SEND, 1, 0, 0, 0}, {SEND, 0, 1, 0, 0},
	{SEND, 0, 0, 0, OTHER_ENTRY}, {SEND, 0, 0, 0, NO_ENTRY},
	{SEND, 0, 0, 0, NOT_REMAPPED}, {IRQ_SET, 0, 0, 3, 9},
	{SEND, 0, 0, 0, 0}, {IRQ_SET, 0, 0, 1, 0xc3}, {SEND, 0, 0, 0, 0},
	{IRQ_CLEAR, 0, 1, 0, 0}, {SEND, 0, 0, 1, 0}, {ATTACH, 0, 1, 0, 0},
	{SEND, 0, 0, 0, 0}, {SUSPEND, 0, 0, 0, 0}, {SEND, 0, 0, 0, 0},
	{POWER, 0, 0, 0, 0}, {SEND, 0, 0, 0, 0}, {SEND, 1, 0, 0, 0},
	{POWER, 1, 0, 0, 0}, {SEND, 0, 0, 0, 0}, {IRQ_FREE, 0, 0, 0, 0},
	{SEND, 0, 0, 0, 0}, {IRQ_ALLOC, 1, 2, 0, 0}, {IRQ_SET, 2, 0, 0, 5},
	{SEND, 0, 0, 0, 0}, {SEND, 1, 2, 0, 0}, {END, 0, 0, 0, 0}};

static void tables_of_steps(void **state)
{
	static const struct {
		const struct step *script;
		const char *name;
	} scripts[] = {{changes, "changes"}, {large_pages, "large pages"},
		{power, "power"}, {widths, "widths"},
		{two_of_one_domain, "two of one domain"},
		{host_tables, "host's tables"}, {joined, "joined"},
		{messages, "messages"}};
	struct pair p;
	unsigned n;

	pair_open(&p, *state);
	for (n = 0; n < sizeof(scripts) / sizeof(*scripts); n++)
		run_script(&p, scripts[n].script, scripts[n].name);
	assert_true(p.reached > 40 && p.refused > 20 && p.interrupts > 8);
	pair_close(&p);
}

static unsigned number(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

static unsigned pick(uint64_t *seed, unsigned below)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(*seed >> 33) % below;
}

/** The parameters of a step on the domains; few places, so that steps meet. */
static void pick_domain_step(uint64_t *seed, unsigned first, struct step *s)
{
	s->a = (uint8_t)pick(seed, DEVICES);
	s->b = (uint8_t)((first + pick(seed, 4)) % PLACES);
	s->c = (uint8_t)(pick(seed, 4) ? 0 : pick(seed, 4));
	s->d = (uint8_t)(1 + pick(seed, 3));
	switch (s->action) {
	case ATTACH:
		s->b = (uint8_t)pick(seed, DOMAINS);
		break;
	case MAP:
		s->c = (uint8_t)pick(seed, WHATS);
		s->a = (uint8_t)(1 + pick(seed, DOMAINS - 1));
		break;
	case UNMAP:
	case JOIN:
		s->a = (uint8_t)(1 + pick(seed, DOMAINS - 1));
		break;
	default:
		break;
	}
}

static void pick_interrupt_step(uint64_t *seed, struct step *s)
{
	s->a = (uint8_t)pick(seed, IRQS);
	s->b = (uint8_t)pick(seed, 4);
	s->c = (uint8_t)pick(seed, 4);
	s->d = (uint8_t)pick(seed, 256);
	if (s->action == IRQ_ALLOC || s->action == SEND)
		s->a = (uint8_t)pick(seed, DEVICES);
	if (s->action == SEND && pick(seed, 3))
		s->d = AS_PROGRAMMED;
}

static void make_script(uint64_t seed, struct step *out)
{
	static const uint8_t weight[] = {ATTACH, ATTACH, DETACH, MAP, MAP, MAP,
		MAP, UNMAP, UNMAP, JOIN, SPLIT, READ, READ, READ, WRITE, WRITE,
		WRITE, WRITE, IRQ_ALLOC, IRQ_SET, IRQ_SET, IRQ_CLEAR, IRQ_FREE,
		SEND, SEND, SEND};
	unsigned first = pick(&seed, PLACES), n;

	for (n = 0; n < STEPS; n++) {
		struct step *s = &out[n];

		s->action = weight[pick(&seed, sizeof(weight))];
		if (!pick(&seed, 40))
			s->action = pick(&seed, 2) ? POWER : SUSPEND;
		if (s->action >= IRQ_ALLOC)
			pick_interrupt_step(&seed, s);
		else
			pick_domain_step(&seed, first, s);
	}
	out[STEPS] = (struct step){END, 0, 0, 0, 0};
}

static void random_scripts(void **state)
{
	unsigned seed = number("SEED", 1), count = number("SCRIPTS", 40), n;
	struct step script[STEPS + 1];
	char what[100];
	struct pair p;

	pair_open(&p, *state);
	/* Another stretch of seeds for each kind. */
	if (!getenv("SEED"))
		seed += 1000 * (unsigned)((char(*)[64]) * state - kinds);
	for (n = 0; n < count; n++, seed++) {
		snprintf(what, sizeof(what), "%s, SEED=%u SCRIPTS=1",
			(const char *)*state, seed);
		make_script(seed, script);
		run_script(&p, script, what);
	}
	print_message("%u steps, %u reached, %u faults, %u interrupts\n",
		p.compared, p.reached, p.refused, p.interrupts);
	assert_true(count < 10 ||
		(p.reached > count && p.refused > count &&
			p.interrupts > count));
	pair_close(&p);
}

#define EACH(test)                                                  \
	{#test " (caching)", test, NULL, NULL, kinds[0]},           \
		{#test " (39)", test, NULL, NULL, kinds[1]},        \
		{#test " (registers)", test, NULL, NULL, kinds[2]}, \
	{                                                           \
#test " (remapping)", test, NULL, NULL, kinds[3]    \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(tables_of_steps),
		EACH(random_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
