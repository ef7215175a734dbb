/* SPDX-License-Identifier: MIT */
/*
 * The same script on QEMU's unit and on the model's in its benign mode, which
 * is given QEMU's capabilities: after each step the library's answers, what the
 * devices reached and the faults must be the same. A difference is a mistake of
 * one of the two, or is in CAVEATS.md and named in differs().
 *
 * Scripts are tables, or come from a seed (SEED, SCRIPTS in the environment).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <model/host.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define PAGE 4096ull
#define LARGE 0x200000ull
#define NOWHERE (-1)

enum {
	FRAMES = 6,
	BLOCKS = 2,
	DOMAINS = 4,
	DEVICES = 2,
	STEPS = 60
};

/* ---- scripts ---- */

enum action {
	END,
	ATTACH,  /* device, domain */
	DETACH,  /* device */
	MAP,     /* domain, place, what, rights */
	UNMAP,   /* domain, place, 1: a page, 2: two, 3: 2 MiB */
	POWER,   /* 0 or 1 */
	SUSPEND, /* and resume */
	READ,    /* device, place, page above it */
	WRITE,
	ACTIONS
};

struct step {
	uint8_t action, a, b, c, d;
};

static const char *const name[ACTIONS] = {"end", "attach", "detach", "map",
	"unmap", "power", "suspend", "read", "write"};

/** Domain 0 is the identity, the others are mapped. */
enum {
	IDENTITY
};

/* Neighbours, tables' ends, widths' ends, what nobody may map. */
static const uint64_t places[] = {0x1000, 0x2000, 0x1ff000, 0x200000, 0x201000,
	0x3ff000, 0x400000, 0x3ffff000, 0x40000000, 0x40200000, 0xfedff000,
	0xfef00000, 0xfff00000, 0x100000000, 0x7ffffff000, 0x8000000000,
	0xfffffffff000, 0x1000000000000};

#define PLACES (sizeof(places) / sizeof(*places))

/* ---- one of the two ---- */

struct side {
	const char *name;
	struct iommu *iommu;
	struct iommu_domain *domain[DOMAINS];
	uint64_t frame[FRAMES], block[BLOCKS];
	struct rig *qemu; /* one of these */
	struct model *model;
	struct model_host host;
	struct iommu_host hooks;
};

/** What can be seen of a step. */
struct outcome {
	enum iommu_status status;
	int reached; /* frame, FRAMES + block, or NOWHERE */
	unsigned faults;
	uint8_t reason;
	bool write;
	uint16_t device;
	uint64_t address;
};

static uint64_t *word_at(const struct side *s, uint64_t phys)
{
	return s->model ? model_ptr(s->model, phys)
			: qemu_at(&s->qemu->q, phys);
}

static uint64_t new_pages(const struct side *s, unsigned order)
{
	return s->model ? model_page_alloc(s->model, order, 9)
			: qemu_pages(&s->qemu->q, order);
}

/** Eight zeros by the device. */
static void write_by(struct side *s, unsigned dev, uint64_t iova)
{
	uint64_t zero = 0;

	if (s->model)
		(void)model_dma_write(
			s->model, 0, MODEL_BDF(0, 3 + dev, 0), iova, &zero, 8);
	else
		edu_dma(&s->qemu->q, s->qemu->bar[dev], true, iova, 0, 8);
}

/** Into a part of edu's buffer that is never written from. */
static void read_by(struct side *s, unsigned dev, uint64_t iova)
{
	uint64_t word;

	if (s->model)
		(void)model_dma_read(
			s->model, 0, MODEL_BDF(0, 3 + dev, 0), iova, &word, 8);
	else
		edu_dma(&s->qemu->q, s->qemu->bar[dev], false, iova, 64, 8);
}

/* ---- steps ---- */

/** Whether what the device says is a physical address. */
static bool untranslated(const struct side *s, unsigned dev)
{
	struct iommu_device_info info;

	if (!iommu_is_on(s->iommu))
		return true;
	return iommu_device_info(s->iommu, iommu_device_id(0, 0, 3 + dev, 0),
		       &info) == IOMMU_OK &&
		info.domain == s->domain[IDENTITY];
}

/** Memory lies elsewhere on the two sides. */
static uint64_t where(const struct side *s, const struct step *step)
{
	if (untranslated(s, step->a))
		return s->frame[step->b % FRAMES];
	return places[step->b % PLACES] + step->c * PAGE;
}

/** Marks every page that may be reached at this offset, lets the device write,
 *  and looks which mark is gone. */
static int find_reached(struct side *s, const struct step *step)
{
	uint64_t iova = where(s, step), inside = iova % LARGE;
	int found = NOWHERE, n;

	for (n = 0; n < FRAMES; n++)
		*word_at(s, s->frame[n] + 8) = ~0ull;
	for (n = 0; n < BLOCKS; n++)
		*word_at(s, s->block[n] + inside + 8) = ~0ull;
	write_by(s, step->a, iova + 8);
	for (n = 0; n < FRAMES; n++)
		if (!*word_at(s, s->frame[n] + 8))
			found = n;
	for (n = 0; n < BLOCKS; n++)
		if (!*word_at(s, s->block[n] + inside + 8))
			found = FRAMES + n;
	return found;
}

static enum iommu_status map(struct side *s, const struct step *step)
{
	unsigned what = step->c % (FRAMES + BLOCKS);
	bool large = what >= FRAMES;
	uint64_t phys = large ? s->block[what - FRAMES] : s->frame[what];
	uint64_t iova = places[step->b % PLACES];

	/* A page of a block, where a block does not fit. */
	if (large && iova % LARGE) {
		phys += iova % LARGE;
		large = false;
	}
	return iommu_map(s->domain[step->a], iommu_iova(iova), iommu_phys(phys),
		large ? LARGE : PAGE, step->d);
}

static enum iommu_status act(
	struct side *s, const struct step *step, struct outcome *out)
{
	struct iommu_device_id id = iommu_device_id(0, 0, 3 + step->a, 0);
	static const uint64_t size[] = {PAGE, 2 * PAGE, LARGE};
	enum iommu_status status;

	switch (step->action) {
	case ATTACH:
		return iommu_attach(s->iommu, id, s->domain[step->b]);
	case DETACH:
		return iommu_detach(s->iommu, id);
	case MAP:
		return map(s, step);
	case UNMAP:
		return iommu_unmap_now(s->domain[step->a],
			iommu_iova(places[step->b % PLACES]),
			size[step->c % 3]);
	case POWER:
		return iommu_power(s->iommu, step->a);
	case SUSPEND:
		status = iommu_suspend(s->iommu);
		return status == IOMMU_OK ? iommu_resume(s->iommu) : status;
	case READ:
		read_by(s, step->a, where(s, step));
		return IOMMU_OK;
	default:
		out->reached = find_reached(s, step);
		return IOMMU_OK;
	}
}

static struct outcome run_step(struct side *s, const struct step *step)
{
	struct outcome out = {.reached = NOWHERE};
	struct iommu_fault fault;

	out.status = act(s, step, &out);
	iommu_interrupt_all(s->iommu);
	while (iommu_fault_next(s->iommu, &fault)) {
		if (out.faults++)
			continue;
		out.reason = fault.reason;
		out.write = fault.write;
		out.device = fault.device.requester;
		out.address = fault.address.v;
	}
	return out;
}

/* ---- both ---- */

struct pair {
	struct rig rig;
	struct side side[2]; /* QEMU, the model */
	struct iommu_options options;
	struct model_personality kind;
	unsigned compared, refused, reached;
};

static const char *show(char *out, size_t size, const struct outcome *o)
{
	snprintf(out, size,
		"%s, reached %d, %u faults (reason %u, %s, device %04x, "
		"address 0x%llx)",
		iommu_status_text(o->status), o->reached, o->faults, o->reason,
		o->write ? "write" : "read", o->device,
		(unsigned long long)o->address);
	return out;
}

/**
 * QEMU refuses without a record what its IOTLB knows with other rights only
 * (CAVEATS.md): reasons 5 and 6 are missing there now and then.
 */
static bool quietly_refused(
	const struct outcome *qemu, const struct outcome *model)
{
	return !qemu->faults && model->faults == 1 &&
		(model->reason == 5 || model->reason == 6);
}

/** Whether the outcomes differ in a way that CAVEATS.md does not explain. */
static bool differs(const struct outcome *qemu, const struct outcome *model)
{
	if (qemu->status != model->status || qemu->reached != model->reached)
		return true;
	if (quietly_refused(qemu, model))
		return false;
	return qemu->faults != model->faults || qemu->reason != model->reason ||
		qemu->write != model->write || qemu->device != model->device ||
		qemu->address != model->address;
}

static void compare(
	struct pair *p, const struct step *script, unsigned n, const char *what)
{
	struct outcome q = run_step(&p->side[0], &script[n]);
	struct outcome m = run_step(&p->side[1], &script[n]);
	char text[2][200];
	unsigned i;

	p->compared++;
	p->refused += q.faults;
	p->reached += q.reached != NOWHERE;
	if (!differs(&q, &m))
		return;
	for (i = 0; i <= n; i++)
		print_error("%2u: %s %u %u %u %u\n", i, name[script[i].action],
			script[i].a, script[i].b, script[i].c, script[i].d);
	fail_msg("%s\nQEMU:  %s\nmodel: %s", what,
		show(text[0], sizeof(text[0]), &q),
		show(text[1], sizeof(text[1]), &m));
}

static void open_side(
	struct pair *p, struct side *s, const void *dmar, size_t size)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	unsigned n;

	assert_int_equal(
		iommu_create(&s->hooks, &p->options, &s->iommu), IOMMU_OK);
	assert_int_equal(iommu_discover(s->iommu, dmar, size), IOMMU_OK);
	assert_int_equal(iommu_start(s->iommu), IOMMU_OK);
	s->domain[IDENTITY] = iommu_domain_identity(s->iommu);
	for (n = 1; n < DOMAINS; n++)
		assert_int_equal(
			iommu_domain_create(s->iommu, &config, &s->domain[n]),
			IOMMU_OK);
}

static void close_side(struct side *s)
{
	enum iommu_status status;
	unsigned n;

	status = iommu_power(s->iommu, true);
	assert_int_equal(status, IOMMU_OK);
	for (n = 0; n < DEVICES; n++) {
		status =
			iommu_detach(s->iommu, iommu_device_id(0, 0, 3 + n, 0));
		assert_true(status == IOMMU_OK || status == IOMMU_NOT_ATTACHED);
	}
	for (n = 1; n < DOMAINS; n++)
		assert_int_equal(iommu_domain_destroy(s->domain[n]), IOMMU_OK);
	assert_int_equal(iommu_destroy(s->iommu), IOMMU_OK);
}

static void run_script(
	struct pair *p, const struct step *script, const char *what)
{
	uint32_t first_free = p->rig.q.next_page;
	static uint8_t dmar[2][4096];
	unsigned n;

	open_side(p, &p->side[0], dmar[0],
		qemu_dmar(&p->rig.q, dmar[0], sizeof(dmar[0])));
	open_side(p, &p->side[1], dmar[1],
		model_dmar(p->side[1].model, dmar[1], sizeof(dmar[1])));
	for (n = 0; script[n].action != END; n++)
		compare(p, script, n, what);
	close_side(&p->side[0]);
	close_side(&p->side[1]);
	if (model_violation_count(p->side[1].model))
		model_report(p->side[1].model, stderr);
	assert_int_equal(model_violation_count(p->side[1].model), 0);
	/* Everything was given back; pages are not reused by themselves. */
	p->rig.q.next_page = first_free;
}

static void take_memory(struct side *s)
{
	unsigned n;

	for (n = 0; n < FRAMES; n++)
		s->frame[n] = new_pages(s, 0);
	for (n = 0; n < BLOCKS; n++)
		s->block[n] = new_pages(s, 9);
}

/** QEMU as told, and a model of the same kind of unit. */
static void open_pair(struct pair *p, const char *unit)
{
	struct side *q = &p->side[0], *m = &p->side[1];
	uint8_t dmar[4096];

	memset(p, 0, sizeof(*p));
	iommu_options_default(&p->options);
	if (strstr(unit, "registers"))
		p->options.interface = IOMMU_INTERFACE_REGISTERS;
	p->options.fault_storm = 0;
	rig_start(&p->rig, strchr(unit, ':') + 1, NULL);
	assert_true(qemu_dmar(&p->rig.q, dmar, sizeof(dmar)) > 48);
	p->kind = (struct model_personality){.name = "qemu here",
		.version = (uint32_t)qemu_read(&p->rig.q, QEMU_UNIT, 4),
		.cap = qemu_read(&p->rig.q, QEMU_UNIT + 8, 8),
		.ecap = qemu_read(&p->rig.q, QEMU_UNIT + 16, 8),
		.quirks = model_personality_find("qemu-7.2")->quirks,
		.haw = (uint8_t)(dmar[36] + 1)};
	assert_int_equal(iommu_destroy(p->rig.iommu), IOMMU_OK);
	*q = (struct side){.name = "QEMU", .qemu = &p->rig};
	q->hooks = p->rig.host;
	*m = (struct side){.name = "model",
		.model = model_create_usual(
			&p->kind, MODEL_BENIGN, 0, 1, false)};
	assert_non_null(m->model);
	model_host_init(&m->host, m->model, &m->hooks);
	take_memory(q);
	take_memory(m);
}

static void close_pair(struct pair *p)
{
	model_destroy(p->side[1].model);
	qemu_stop(&p->rig.q);
}

/* ---- tests ---- */

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
	{ATTACH, 0, 2, 0, 0}, {POWER, 1, 0, 0, 0}, {WRITE, 0, 13, 0, 0},
	{SUSPEND, 0, 0, 0, 0}, {WRITE, 0, 13, 0, 0}, {DETACH, 0, 0, 0, 0},
	{WRITE, 0, 13, 0, 0}, {END, 0, 0, 0, 0}};

/* Above the unit's width, above the machine's. */
static const struct step widths[] = {{ATTACH, 0, 1, 0, 0}, {MAP, 1, 14, 0, RW},
	{MAP, 1, 15, 1, RW}, {MAP, 1, 16, 2, RW}, {MAP, 1, 17, 3, RW},
	{WRITE, 0, 14, 0, 0}, {WRITE, 0, 15, 0, 0}, {WRITE, 0, 16, 0, 0},
	{WRITE, 0, 17, 0, 0}, {END, 0, 0, 0, 0}};

static void tables_of_steps(void **state)
{
	static const struct step *const scripts[] = {
		changes, large_pages, power, widths};
	struct pair p;
	unsigned n;

	open_pair(&p, *state);
	for (n = 0; n < 4; n++)
		run_script(&p, scripts[n], *state);
	assert_true(p.reached > 10 && p.refused > 10);
	close_pair(&p);
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

static void make_script(uint64_t seed, struct step *out)
{
	static const uint8_t weight[] = {ATTACH, ATTACH, DETACH, MAP, MAP, MAP,
		UNMAP, UNMAP, READ, READ, WRITE, WRITE, WRITE, WRITE, WRITE};
	unsigned first = pick(&seed, PLACES), n;

	for (n = 0; n < STEPS; n++) {
		struct step *s = &out[n];

		s->action = weight[pick(&seed, sizeof(weight))];
		if (!pick(&seed, 40))
			s->action = pick(&seed, 2) ? POWER : SUSPEND;
		s->a = (uint8_t)pick(&seed, 2);
		/* Few places, so that steps meet. */
		s->b = (uint8_t)((first + pick(&seed, 4)) % PLACES);
		s->c = (uint8_t)(pick(&seed, 4) ? 0 : pick(&seed, 4));
		s->d = (uint8_t)(1 + pick(&seed, 3));
		if (s->action == ATTACH)
			s->b = (uint8_t)pick(&seed, DOMAINS);
		if (s->action == MAP || s->action == UNMAP)
			s->a = (uint8_t)(1 + pick(&seed, DOMAINS - 1));
		if (s->action == MAP)
			s->c = (uint8_t)pick(&seed, FRAMES + BLOCKS);
	}
	out[STEPS] = (struct step){END, 0, 0, 0, 0};
}

static void random_scripts(void **state)
{
	unsigned seed = number("SEED", 1), count = number("SCRIPTS", 40), n;
	struct step script[STEPS + 1];
	char what[100];
	struct pair p;

	open_pair(&p, *state);
	/* Another stretch of seeds for each kind. */
	if (!getenv("SEED"))
		seed += 1000 * (unsigned)((char(*)[64]) * state - kinds);
	for (n = 0; n < count; n++, seed++) {
		snprintf(what, sizeof(what), "%s, SEED=%u SCRIPTS=1",
			(const char *)*state, seed);
		make_script(seed, script);
		run_script(&p, script, what);
	}
	print_message("%u steps, %u reached, %u faults\n", p.compared,
		p.reached, p.refused);
	assert_true(count < 10 || (p.reached > count && p.refused > count));
	close_pair(&p);
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
