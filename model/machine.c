/* SPDX-License-Identifier: MIT */
/*
 * The machine: creation, chance, time, and which unit a request meets. Time
 * is virtual; it moves when the driver looks at something, so a run depends
 * on nothing but its seed and the driver.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/* Polls in a row that bring nothing before time starts to run faster. */
#define PATIENCE 256
#define TICK_NS 100

uint64_t rnd(struct model *m)
{
	/* xorshift128+ */
	uint64_t a = m->rng[0], b = m->rng[1];

	m->rng[0] = b;
	a ^= a << 23;
	m->rng[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
	return m->rng[1] + b;
}

bool chance(struct model *m, unsigned n)
{
	return m->mode == MODEL_RANDOM && rnd(m) % n == 0;
}

uint64_t due_after(struct unit *u)
{
	struct model *m = u->m;

	if (m->fail_wait && --m->fail_wait == 0) {
		m->failures++;
		return MODEL_NONE;
	}
	if (m->mode == MODEL_BENIGN)
		return m->now;
	if (m->mode == MODEL_LAZY)
		return m->now + 1000;
	return m->now + rnd(m) % 5000;
}

static bool unit_waits(const struct unit *u)
{
	return command_pending(u) || u->wait_due || u->devtlb_due ||
		u->queue_due;
}

/*
 * A driver that still polls after ten virtual minutes has no deadline. It is
 * told so, and the unit lets it go on.
 */
static void blame_endless_wait(struct unit *u)
{
	uint64_t *const due[] = {&u->gcmd_due, &u->cc_due, &u->iotlb_due,
		&u->pmen_due, &u->wait_due, &u->queue_due};

	if (!u->hung_since)
		u->hung_since = u->m->now;
	if (u->m->now - u->hung_since < 600000000000ull || u->blamed_wait)
		return;
	u->blamed_wait = true;
	blame(u->m, u, MODEL_V_WAIT, "11.4.4.1",
		"the driver polls without a deadline");
	u->hung = false;
	for (size_t i = 0; i < sizeof due / sizeof due[0]; i++)
		if (*due[i])
			*due[i] = u->m->now;
}

static void run_units(struct model *m)
{
	for (unsigned i = 0; i < m->units; i++) {
		struct unit *u = &m->unit[i];

		if (!unit_waits(u)) {
			u->hung_since = 0;
			u->blamed_wait = false;
			continue;
		}
		if (!u->hung && !u->gone) {
			command_step(u);
			queue_step(u);
		}
		if (unit_waits(u))
			blame_endless_wait(u);
	}
}

void tick(struct model *m, uint64_t ns)
{
	m->now += ns;
	run_units(m);
	if (m->needs_turn)
		needs_step(m);
}

/* How far time moves for one look: ever faster while nothing happens. */
uint64_t poll_step(struct model *m, uint64_t ns)
{
	unsigned shift;

	if (++m->idle_polls <= PATIENCE)
		return ns;
	shift = (m->idle_polls - PATIENCE) / 16;
	return ns << (shift > 17 ? 17 : shift);
}

uint64_t model_now(struct model *m)
{
	uint64_t now;

	enter(m);
	tick(m, poll_step(m, TICK_NS));
	now = m->now;
	leave(m);
	return now;
}

void model_advance(struct model *m, uint64_t ns)
{
	enter(m);
	/* In steps: what becomes due may start something else. */
	for (unsigned i = 0; i < 16; i++)
		tick(m, i < 15 ? ns / 16 : ns - ns / 16 * 15);
	leave(m);
}

struct unit *unit_for(struct model *m, uint16_t segment, uint16_t sid)
{
	struct function *f = function_at(m, segment, sid);

	if (f && f->d.unit >= 0 && (unsigned)f->d.unit < m->units)
		return &m->unit[f->d.unit];
	for (unsigned i = 0; i < m->units; i++)
		if (m->unit[i].include_all && m->unit[i].segment == segment)
			return &m->unit[i];
	return NULL;
}

void model_on_interrupt(struct model *m, model_interrupt_fn *fn, void *ctx)
{
	enter(m);
	m->on_interrupt = fn;
	m->interrupt_ctx = ctx;
	leave(m);
}

void deliver(struct model *m, const struct model_interrupt *irq)
{
	m->n.interrupts++;
	m->idle_polls = 0;
	if (m->on_interrupt)
		m->on_interrupt(m->interrupt_ctx, m, irq);
}

uint64_t model_unit_base(struct model *m, unsigned unit)
{
	return unit < m->units ? m->unit[unit].base : MODEL_NONE;
}

uint64_t model_unit_size(struct model *m, unsigned unit)
{
	return unit < m->units ? m->unit[unit].size : 0;
}

unsigned model_unit_count(struct model *m)
{
	return m->units;
}

void model_counters(struct model *m, struct model_counters *out)
{
	enter(m);
	*out = m->n;
	leave(m);
}

unsigned model_last_fault(struct model *m)
{
	return m->last_fault;
}

/* ---- creation ----------------------------------------------------------- */

static uint64_t register_set_size(uint64_t cap, uint64_t ecap)
{
	uint64_t fro = CAP_FRO(cap) + 16ull * CAP_NFR(cap);
	uint64_t iro = ECAP_IRO(ecap) + 16ull;
	uint64_t size = MODEL_PAGE;

	while (size < fro || size < iro)
		size *= 2;
	return size;
}

/*
 * An earlier owner left tables, caches and enables behind: a root table with
 * every bus, all functions in domain 7 with a page that leads to the secret.
 */
static void leave_on(struct unit *u)
{
	struct model *m = u->m;
	bool remap = u->r[R_ECAP] & ECAP_IR;

	u->r[R_GSTS] = G_TE | G_RTP;
	if (u->r[R_ECAP] & ECAP_QI) {
		u->r[R_GSTS] |= G_QIE;
		u->r[R_IQA] = m->secret - MODEL_PAGE;
		u->last_was_wait = true;
	}
	if (remap) {
		u->r[R_GSTS] |= G_IRE | G_IRTP;
		if (!(u->quirks & MODEL_QUIRK_CFI_IGNORED))
			u->r[R_GSTS] |= G_CFI;
		u->irt = m->secret;
		u->irt_set = true;
		u->irt_entries = 256;
		u->r[R_IRTA] = m->secret | 7;
	}
	u->root_set = true;
	u->root = m->secret;
	u->r[R_RTADDR] = m->secret;
	for (unsigned bus = 0; bus < 256; bus++)
		u->croot[bus] = (struct croot){.lo = m->secret | ENTRY_P,
			.pa = m->secret,
			.valid = true};
	for (unsigned i = 0; i < m->functions; i++) {
		struct cctx c = {.lo = m->secret | ENTRY_P,
			.hi = 7ull << 8 | 1,
			.pa = m->secret,
			.tag = 7,
			.valid = true};
		uint16_t sid = m->function[i].d.bdf;

		if (unit_for(m, m->function[i].d.segment, sid) == u)
			context_fill(u, sid, &c);
	}
	for (unsigned did = 0; did < 16; did++) {
		struct centry e = {.iova = 0x1000,
			.pa = m->secret,
			.did = (uint16_t)did,
			.kind = KIND_LEAF,
			.level = 1,
			.perm = PERM_R | PERM_W,
			.steps = 1};

		e.path[0].pa = m->secret;
		cache_add(u, &e);
	}
	if (u->cirte)
		for (unsigned i = 0; i < 64; i++)
			u->cirte[i] = (struct cirte){.lo = ENTRY_P | i << 16,
				.pa = m->secret,
				.valid = true};
	u->cirte_live = u->cirte_end = u->cirte ? 64 : 0;
	if (u->r[R_CAP] & CAP_PLMR) {
		u->r[R_PLMLIMIT] = 0x01e00000;
		u->r[R_PMEN] |= PMEN_EPM | PMEN_PRS;
	}
	/* A fault that nobody looked at. */
	u->frcd[0][0] = 0x5000;
	u->frcd[0][1] = BIT(63) | (uint64_t)F_WRITE << 32 | MODEL_BDF(0, 3, 0);
	u->r[R_FSTS] = FSTS_PPF;
	u->next_frcd = 1;
}

static bool unit_init(
	struct model *m, unsigned i, const struct model_unit_desc *d)
{
	struct unit *u = &m->unit[i];
	const char *wrong = model_personality_check(d->kind);

	if (wrong)
		return false;
	u->m = m;
	u->index = i;
	u->base = d->base ? d->base : 0xfed90000ull + 0x10000ull * i;
	u->segment = d->segment;
	u->include_all = d->include_all;
	u->quirks = d->kind->quirks;
	snprintf(u->name, sizeof u->name, "%s", d->kind->name);
	u->r[R_VER] = d->kind->version;
	u->r[R_CAP] = d->kind->cap;
	u->r[R_ECAP] = d->kind->ecap;
	u->size = register_set_size(d->kind->cap, d->kind->ecap);
	u->haw_mask = MASK(m->haw - 1, 0);
	u->hang_after = u->gone_after = -1;
	cache_init(u);
	view_init(u);
	unit_registers_reset(u);
	return true;
}

struct model *model_create(const struct model_desc *d)
{
	struct model *m = needed(calloc(1, sizeof *m));
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&m->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	m->mode = d->mode;
	m->flags = d->flags;
	m->seed = d->seed;
	m->rng[0] = d->seed ^ 0x9e3779b97f4a7c15ull;
	m->rng[1] = d->seed * 0xbf58476d1ce4e5b9ull + 1;
	for (int i = 0; i < 8; i++)
		rnd(m);
	m->now = 1000000;
	m->haw = d->haw;
	for (unsigned i = 0; !d->haw && i < d->unit_count; i++) {
		uint8_t haw = d->units[i].kind->haw;

		haw = haw ? haw : 46;
		m->haw = !m->haw || haw < m->haw ? haw : m->haw;
	}
	m->haw = m->haw ? m->haw : 46;
	m->units = d->unit_count;
	m->unit = array_of(d->unit_count, sizeof *m->unit);
	topology_init(m, d);
	if (!memory_init(m, d))
		goto fail;
	for (unsigned i = 0; i < d->unit_count; i++)
		if (!unit_init(m, i, &d->units[i]))
			goto fail;
	for (unsigned i = 0; i < d->unit_count; i++)
		if (d->units[i].left_on)
			leave_on(&m->unit[i]);
	if ((m->flags & MODEL_WATCH) && !watch_init(m))
		goto fail;
	return m;
fail:
	model_destroy(m);
	errno = EINVAL;
	return NULL;
}

void model_destroy(struct model *m)
{
	if (!m)
		return;
	if (m->flags & MODEL_WATCH)
		watch_exit(m);
	for (unsigned i = 0; i < m->units; i++)
		cache_exit(&m->unit[i]);
	for (size_t i = 0; i < m->posts; i++)
		free(m->post[i].data);
	free(m->post);
	snapshot_exit(m);
	topology_exit(m);
	memory_exit(m);
	judge_exit(m);
	free(m->unit);
	/* Fails while somebody is inside. */
	if (pthread_mutex_destroy(&m->lock))
		abort();
	free(m);
}

/* ---- what breaks -------------------------------------------------------- */

void model_unit_hang(struct model *m, unsigned unit, unsigned after)
{
	enter(m);
	if (unit < m->units) {
		m->unit[unit].hung = !after;
		m->unit[unit].hang_after = after ? (int)after : -1;
	}
	leave(m);
}

void model_unit_gone(struct model *m, unsigned unit, unsigned after)
{
	enter(m);
	if (unit < m->units) {
		m->unit[unit].gone = !after;
		m->unit[unit].gone_after = after ? (int)after : -1;
	}
	leave(m);
}

void model_fail_wait(struct model *m, unsigned n)
{
	enter(m);
	m->fail_wait = (int)n;
	leave(m);
}

unsigned model_failures(struct model *m)
{
	return m->failures;
}

void model_unit_error(struct model *m, unsigned unit, uint32_t fsts_bits)
{
	enter(m);
	if (unit < m->units)
		fault_status(&m->unit[unit], fsts_bits);
	leave(m);
}

/* What is on or in flight when the power goes was not put to rest. */
static void check_rest(struct unit *u)
{
	uint64_t on = u->r[R_GSTS] & (G_TE | G_IRE | G_QIE);

	if (on)
		blame(u->m, u, MODEL_V_COMMAND, "11.4.4.2",
			"power is lost while %s is on",
			on & G_TE            ? "translation"
				: on & G_IRE ? "interrupt remapping"
					     : "the queue");
	else if (u->gcmd_due || u->cc_due || u->iotlb_due)
		blame(u->m, u, MODEL_V_COMMAND, "11.4.4.2",
			"power is lost while a command is in flight");
}

void model_unit_reset(struct model *m, unsigned unit)
{
	enter(m);
	if (unit < m->units) {
		if (m->mode != MODEL_BENIGN)
			check_rest(&m->unit[unit]);
		cache_clear(&m->unit[unit]);
		unit_registers_reset(&m->unit[unit]);
	}
	leave(m);
}
