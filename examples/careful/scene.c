/* SPDX-License-Identifier: MIT */
/*
 * Something for the careful driver to do: devices that come and go, pages that
 * are mapped and unmapped under them, interrupts, power, and one device that
 * means harm; by chance, but the same for the same seed.
 */
#include <model/devices.h>
#include <stdlib.h>
#include "driver.h"
#include "scene.h"

#define UNIT_VECTOR 0x40
#define NOBODY 2u
#define HIGH 0x180000000ull
#define PAGES 16u
#define WINDOW 0x7fb000ull /* across two last tables */

/* One device that works in a domain of its own. */
struct worker {
	struct careful_device dev;
	/** Whose requests the unit sees when it works. */
	uint16_t bdf;
	struct careful_domain domain;
	bool attached;
	unsigned owner;
	/** Of the pages of its window: where they are, 0: nowhere. */
	uint64_t phys[PAGES];
	unsigned rights[PAGES];
	int irq;
	uint8_t vector;
};

enum {
	WORKERS = 6,
	STEPS = 300,
};

struct scene {
	struct model *m;
	struct careful_unit unit;
	struct worker workers[WORKERS];
	struct model_attacker attacker;
	bool translates;
	bool event;
	unsigned arrived;
	uint8_t vector;
	uint64_t chance;
	const char *failed;
};

/* The device behind the bridge has its neighbour's id. */
static const uint16_t bdfs[WORKERS] = {MODEL_BDF(0, 1, 0), MODEL_BDF(0, 2, 0),
	MODEL_BDF(0, 3, 0), MODEL_BDF(0, 4, 0), MODEL_BDF(1, 0, 0),
	MODEL_BDF(2, 1, 0)};
static const uint16_t ids[WORKERS] = {MODEL_BDF(0, 1, 0), MODEL_BDF(0, 2, 0),
	MODEL_BDF(0, 3, 0), MODEL_BDF(0, 4, 0), MODEL_BDF(1, 0, 0),
	MODEL_BDF(2, 0, 0)};

static unsigned chance(struct scene *s, unsigned n)
{
	s->chance = s->chance * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(s->chance >> 33) % n;
}

static void must(struct scene *s, bool ok, const char *what)
{
	if (!ok && !s->failed)
		s->failed = what;
}
#define MUST(s, x) must(s, x, #x)

static void on_interrupt(
	void *ctx, struct model *m, const struct model_interrupt *irq)
{
	struct scene *s = ctx;

	(void)m;
	if (irq->from_unit) {
		s->event = true;
		return;
	}
	s->arrived++;
	s->vector = irq->vector;
}

/* Whatever was refused, it was one of those who work here. */
static void read_faults(struct scene *s)
{
	struct careful_fault faults[8];
	unsigned n;

	s->event = false;
	do {
		n = careful_faults(&s->unit, faults, 8);
		for (unsigned i = 0; i < n; i++)
			MUST(s, faults[i].source >> 8 <= 2 && faults[i].reason);
	} while (n == 8);
}

static uint64_t at(unsigned page)
{
	return WINDOW + page * 0x1000ull;
}

static bool access_page(
	struct scene *s, struct worker *w, unsigned page, bool write)
{
	uint64_t word = 1, iova = at(page) + chance(s, 511) * 8;
	enum model_dma_status st;

	if (w->dev.caches)
		st = model_ats_dma(s->m, 0, w->bdf, iova, &word, 8, write);
	else if (write)
		st = model_dma_write(s->m, 0, w->bdf, iova, &word, 8);
	else
		st = model_dma_read(s->m, 0, w->bdf, iova, &word, 8);
	return st == MODEL_DMA_OK;
}

/* What is in flight when the driver does its next thing. */
static void leave_in_flight(struct scene *s, struct worker *w, unsigned page)
{
	uint64_t word = 2;

	if (w->dev.caches)
		model_ats_post(s->m, 0, w->bdf, at(page), &word, 8);
	else if (chance(s, 2))
		model_dma_post(s->m, 0, w->bdf, at(page), &word, 8);
	else
		model_dma_read_late(s->m, 0, w->bdf, at(page), 8);
}

static void use(struct scene *s, struct worker *w, unsigned page)
{
	unsigned write = chance(s, 2);
	unsigned want = write ? CAREFUL_WRITE : CAREFUL_READ;
	bool may = w->attached && w->rights[page] & want;

	MUST(s, access_page(s, w, page, write) == may);
	if (may && write && !chance(s, 4))
		leave_in_flight(s, w, page);
	if (s->event)
		read_faults(s);
}

static void work(struct scene *s, struct worker *w)
{
	for (unsigned i = 0; i < 6; i++)
		use(s, w, chance(s, PAGES));
}

static unsigned find_run(
	struct scene *s, struct worker *w, bool mapped, unsigned *out_first)
{
	unsigned first = chance(s, PAGES), most = 1 + chance(s, 8), n = 0;

	while (n < most && first + n < PAGES && !w->phys[first + n] == !mapped)
		n++;
	*out_first = first;
	return n;
}

static void do_map(struct scene *s, struct worker *w)
{
	unsigned first, n = find_run(s, w, false, &first);
	unsigned order = n >= 4 ? 2 : n >= 2 ? 1 : 0, rights = 1 + chance(s, 3);
	uint64_t phys;

	if (!n)
		return;
	n = 1u << order;
	phys = model_page_alloc(s->m, order, w->owner);
	MUST(s, !careful_map(&w->domain, at(first), phys, n, rights));
	for (unsigned i = 0; i < n; i++) {
		w->phys[first + i] = phys + i * MODEL_PAGE;
		w->rights[first + i] = rights;
	}
}

static void do_protect(struct scene *s, struct worker *w)
{
	unsigned first, n = find_run(s, w, true, &first);
	unsigned rights = 1 + chance(s, 3);

	if (!n)
		return;
	MUST(s, !careful_protect(&w->domain, at(first), n, rights));
	for (unsigned i = first; i < first + n; i++)
		w->rights[i] = rights;
}

static void unmap_run(
	struct scene *s, struct worker *w, unsigned first, unsigned n)
{
	MUST(s, !careful_unmap(&w->domain, at(first), n));
	for (unsigned i = first; i < first + n; i++) {
		model_page_free(s->m, w->phys[i], 0);
		w->phys[i] = 0;
		w->rights[i] = 0;
	}
}

static void do_unmap(struct scene *s, struct worker *w)
{
	unsigned first, n = find_run(s, w, true, &first);

	if (!n)
		return;
	/* Up to the last moment. */
	for (unsigned i = 0; i < n; i++)
		use(s, w, first + i);
	if (w->attached && w->rights[first] == (CAREFUL_READ | CAREFUL_WRITE))
		leave_in_flight(s, w, first);
	unmap_run(s, w, first, n);
}

static void come(struct scene *s, struct worker *w)
{
	MUST(s, !careful_attach(&w->domain, &w->dev));
	w->attached = true;
}

static void go(struct scene *s, struct worker *w)
{
	MUST(s, !careful_detach(&w->dev));
	w->attached = false;
	w->dev.caches = false;
}

static void settle(struct scene *s, struct worker *w)
{
	MUST(s, !careful_domain(&s->unit, &w->domain));
	come(s, w);
}

static void leave(struct scene *s, struct worker *w)
{
	if (w->attached)
		go(s, w);
	for (unsigned i = 0; i < PAGES; i++) {
		if (w->phys[i])
			unmap_run(s, w, i, 1);
	}
	careful_domain_end(&w->domain);
}

static bool send(struct scene *s, struct worker *w, int irq)
{
	return model_msi(s->m, 0, w->bdf, careful_irq_address(irq), 0);
}

static void do_irq(struct scene *s, struct worker *w)
{
	uint8_t vector = (uint8_t)(0x50 + chance(s, 100));
	int old = w->irq;

	if (!s->unit.remaps)
		return;
	if (old < 0) {
		w->irq = careful_irq(&s->unit, w->dev.bdf, vector, 1);
		MUST(s, w->irq >= 0);
	} else if (chance(s, 2)) {
		MUST(s, !careful_irq_move(&s->unit, old, vector, 2));
	} else {
		MUST(s, !careful_irq_free(&s->unit, old));
		w->irq = -1;
		MUST(s, !send(s, w, old));
		return;
	}
	MUST(s, send(s, w, w->irq) && s->vector == vector);
}

static void do_power(struct scene *s)
{
	MUST(s, !careful_off(&s->unit));
	if (chance(s, 2))
		model_unit_reset(s->m, 0);
	MUST(s, !careful_on(&s->unit));
}

static void step(struct scene *s)
{
	unsigned n = chance(s, WORKERS * 2);
	/* The one with a device TLB has most to do. */
	struct worker *w = &s->workers[n < WORKERS ? n : 1];

	switch (chance(s, 16)) {
	case 0:
	case 1:
	case 2:
		do_map(s, w);
		break;
	case 3:
		do_protect(s, w);
		break;
	case 4:
	case 5:
		do_unmap(s, w);
		break;
	case 6:
		w->attached ? go(s, w) : come(s, w);
		break;
	case 7:
		leave(s, w);
		settle(s, w);
		break;
	case 8:
		do_irq(s, w);
		break;
	case 9:
		do_irq(s, w);
		do_power(s);
		break;
	case 10:
		model_attacker_act(&s->attacker, at(chance(s, PAGES)));
		read_faults(s);
		break;
	default:
		work(s, w);
	}
	model_checkpoint(s->m);
}

static void begin(struct scene *s)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = &s->workers[i];

		w->bdf = bdfs[i];
		w->dev.bdf = ids[i];
		w->owner = 10 + i;
		w->irq = -1;
		if (!s->translates)
			continue;
		model_device_expect(s->m, 0, w->bdf, w->owner);
		settle(s, w);
	}
	model_attacker_init(
		&s->attacker, s->m, 0, MODEL_BDF(2, 0, 0), s->chance);
}

static void end(struct scene *s)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = &s->workers[i];

		if (s->translates)
			leave(s, w);
		if (w->irq >= 0)
			MUST(s, !careful_irq_free(&s->unit, w->irq));
	}
	careful_stop(&s->unit);
	MUST(s, model_pages_in_use(s->m, MODEL_OWNER_DRIVER) == 0);
}

static bool good(struct scene *s)
{
	return !s->failed && !model_violation_count(s->m);
}

/* The usual machine, but that no address of memory fits into 32 bits. */
static struct model *with_high_memory(const struct model_personality *kind,
	enum model_mode mode, unsigned flags, uint64_t seed)
{
	struct model_unit_desc unit = {.kind = kind, .include_all = true};
	struct model_desc desc = {.seed = seed,
		.mode = mode,
		.flags = flags,
		.ram_base = HIGH,
		.units = &unit,
		.unit_count = 1};

	desc.functions = model_usual_functions(&desc.function_count);
	return model_create(&desc);
}

int play(const struct model_personality *kind, enum model_mode mode, bool queue,
	bool left_on, uint64_t seed)
{
	struct scene s = {.chance = seed * 64 + mode * 8 + left_on * 2 + queue};
	unsigned flags = mode == MODEL_LAZY ? MODEL_WATCH | MODEL_EAGER : 0;
	int bad;

	machine = s.m = left_on
		? model_create_usual(kind, mode, flags, seed, true)
		: with_high_memory(kind, mode, flags, seed);
	if (!machine)
		abort();
	/* The driver knows address 0 as "no page"; it is the first. */
	model_page_alloc(s.m, 0, NOBODY);
	model_on_interrupt(s.m, on_interrupt, &s);
	s.unit.event_address = 0xfee00000;
	s.unit.event_data = UNIT_VECTOR;
	s.unit.buffers = kind->quirks & MODEL_QUIRK_HIDDEN_RWBF;
	s.translates = kind->cap >> 8 & 0x1f;
	MUST(&s, !careful_start(&s.unit, model_unit_base(s.m, 0), queue));
	if (!s.failed)
		begin(&s);
	/* After the first violation a device may have been anywhere, in the
	 * driver's tables, too. */
	for (unsigned i = 0; i < STEPS && good(&s); i++) {
		if (s.translates)
			step(&s);
		else
			do_irq(&s, &s.workers[chance(&s, WORKERS)]);
	}
	if (good(&s))
		end(&s);
	else
		model_checkpoint(s.m);
	bad = !good(&s);
	if (bad)
		printf("%s mode %d %s %s seed %llu: %s\n", kind->name, mode,
			queue ? "queue" : "registers", left_on ? "left on" : "",
			(unsigned long long)seed,
			s.failed ? s.failed : "works");
	if (bad)
		model_report(s.m, stdout);
	model_destroy(s.m);
	return bad;
}

/* ---- what breaks ---- */

static void start_on(struct scene *s, const struct model_personality *kind)
{
	machine = s->m = with_high_memory(kind, MODEL_LAZY, MODEL_WATCH, 1);
	if (!machine)
		abort();
	s->translates = true;
}

/* The unit stops at some access, the n-th for each n until it gets by. */
static bool stops(const struct model_personality *kind, unsigned n)
{
	struct scene s = {0};
	bool started, clean;

	start_on(&s, kind);
	model_unit_hang(s.m, 0, n);
	started = !careful_start(&s.unit, model_unit_base(s.m, 0), true);
	clean = !model_violation_count(s.m);
	if (!clean)
		model_report(s.m, stdout);
	model_destroy(s.m);
	return clean && !started;
}

/* A device does not answer: what it may still know is not given back. */
static bool silent(const struct model_personality *kind)
{
	struct scene s = {0};
	struct worker *w = &s.workers[1];
	uint64_t phys;

	start_on(&s, kind);
	MUST(&s, !careful_start(&s.unit, model_unit_base(s.m, 0), true));
	w->bdf = w->dev.bdf = bdfs[1];
	settle(&s, w);
	phys = model_page_alloc(s.m, 0, 9);
	MUST(&s, !careful_map(&w->domain, at(0), phys, 1, CAREFUL_READ));
	w->rights[0] = CAREFUL_READ;
	MUST(&s, access_page(&s, w, 0, false));
	model_ats_behave(s.m, 0, w->bdf, MODEL_ATS_NEVER);
	MUST(&s, careful_unmap(&w->domain, at(0), 1));
	/* The others go on. */
	w = &s.workers[2];
	w->bdf = w->dev.bdf = bdfs[2];
	settle(&s, w);
	MUST(&s, !careful_map(&w->domain, at(0), phys, 1, CAREFUL_READ));
	MUST(&s, !careful_unmap(&w->domain, at(0), 1));
	MUST(&s, !model_violation_count(s.m));
	if (s.failed)
		printf("%s\n", s.failed);
	model_report(s.m, stdout);
	model_destroy(s.m);
	return !s.failed;
}

int play_broken(const struct model_personality *kind)
{
	unsigned n = 1;

	while (n < 1000 && stops(kind, n))
		n++;
	return n < 20 || n == 1000 || !silent(kind);
}
