/* SPDX-License-Identifier: MIT */
/*
 * A random world as a whole: its machine, its operations, its end. The
 * abstract state is what struct world says; the machine is right if every DMA
 * and every interrupt ends as that state demands.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "world_parts.h"

bool wrong(struct world *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->wrong, sizeof w->wrong, format, args);
	va_end(args);
	return false;
}

bool ok(struct world *w, const char *what, enum iommu_status s)
{
	return s == IOMMU_OK || wrong(w, "%s: %s", what, iommu_status_text(s));
}

static bool clean(struct world *w)
{
	const struct model_violation *v = model_violation(w->r.m, 0);

	return !v || wrong(w, "%s: %s", model_rule_name(v->rule), v->text);
}

uint64_t world_mix(uint64_t word)
{
	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ull;
	word = (word ^ word >> 27) * 0x94d049bb133111ebull;
	return word ^ word >> 31;
}

/* ---- no memory ---------------------------------------------------------- */

void world_starve(struct world *w, uint64_t r)
{
	if (r % 16 == 0)
		model_fail_alloc(
			w->r.m, 1 + (unsigned)(r >> 4) % 4, r >> 8 & 1);
}

bool world_fed(
	struct world *w, const char *what, enum iommu_status s, bool *out_done)
{
	unsigned failures = model_failures(w->r.m);
	bool failed = failures != w->failures;

	model_fail_alloc(w->r.m, 0, false);
	w->failures = failures;
	*out_done = s == IOMMU_OK;
	return (failed && s == IOMMU_NO_MEMORY) || ok(w, what, s);
}

/* ---- units -------------------------------------------------------------- */

/* Devices with TLBs of their own must go first. */
static bool power_refused(struct world *w, enum iommu_status s)
{
	for (unsigned i = 0; i < WORLD_DEVICES; i++)
		if (w->dev[i].space != WORLD_BLOCKED &&
			ats_enabled(w, &w->dev[i]))
			return s == IOMMU_IN_USE;
	return false;
}

static bool power(struct world *w, uint64_t word)
{
	enum iommu_status s;

	if (word % 3 == 0) {
		s = iommu_suspend(w->r.iommu);
		if (power_refused(w, s))
			return true;
		if (!ok(w, "suspend", s))
			return false;
		for (unsigned u = 0; u < model_unit_count(w->r.m); u++)
			model_unit_reset(w->r.m, u);
		return ok(w, "resume", iommu_resume(w->r.iommu));
	}
	s = iommu_power(w->r.iommu, false);
	if (power_refused(w, s))
		return true;
	if (!ok(w, "power off", s))
		return false;
	for (unsigned i = 0; i < WORLD_DEVICES; i++) {
		struct world_device *d = &w->dev[i];

		if (d->space != WORLD_BLOCKED)
			continue;
		s = iommu_attach(
			w->r.iommu, rig_id(d->bdf), w->space[0].domain);
		if (s != IOMMU_OFF)
			return wrong(w, "attach while off: %s",
				iommu_status_text(s));
		break;
	}
	return ok(w, "power on", iommu_power(w->r.iommu, true));
}

static bool drain_faults(struct world *w)
{
	struct iommu_fault f;
	unsigned n = 0;

	iommu_interrupt_all(w->r.iommu);
	while (iommu_fault_next(w->r.iommu, &f))
		if (++n > 100000)
			return wrong(w, "faults without end");
	return true;
}

static bool checkpoint(struct world *w)
{
	model_checkpoint(w->r.m);
	return clean(w);
}

bool world_look(struct world *w)
{
	for (unsigned i = 0; i < WORLD_DEVICES; i++) {
		if (!check_device(w, &w->dev[i]))
			return false;
		for (unsigned n = 0; n < WORLD_SLOTS + 8; n++)
			if (!dma(w, &w->dev[i], n, false, false))
				return false;
	}
	return checkpoint(w);
}

/* ---- operations --------------------------------------------------------- */

static bool check(struct world *w, uint64_t word)
{
	(void)word;
	return checkpoint(w);
}

static bool look(struct world *w, uint64_t word)
{
	(void)word;
	return world_look(w);
}

static bool faults(struct world *w, uint64_t word)
{
	(void)word;
	return drain_faults(w);
}

/* Out of 256. */
static const struct operation {
	const char *name;
	bool (*perform)(struct world *w, uint64_t word);
	unsigned weight;
} operations[] = {
	{"edit mappings", edit, 84},
	{"DMA", some_dma, 86},
	{"attach or detach", attach_or_detach, 25},
	{"change an interrupt", interrupt_edit, 13},
	{"send an interrupt", interrupt_send, 13},
	{"edit a block", edit_block, 10},
	{"unlink a table", unlink_table, 5},
	{"fork", fork_space, 3},
	{"die", die, 3},
	{"remove a device", remove_device, 2},
	{"drain faults", faults, 3},
	{"checkpoint", check, 6},
	{"power", power, 1},
	{"look at everything", look, 2},
};

static const struct operation *operation_of(uint64_t word)
{
	const struct operation *o = operations;
	unsigned n = word >> 56;

	for (; n >= o->weight; o++)
		n -= o->weight;
	return o;
}

const char *world_operation(uint64_t word)
{
	return operation_of(word)->name;
}

bool world_step(struct world *w, uint64_t word)
{
	w->done++;
	if (!operation_of(word)->perform(w, word))
		return false;
	if (w->r.host.locks_held)
		return wrong(w, "a lock is held after a call");
	return clean(w);
}

/* ---- beginning and end -------------------------------------------------- */

/* Legal, and wide enough for most places. */
static bool kind_fits(const struct model_personality *kind)
{
	return !model_personality_check(kind) && rig_kind_usable(kind) &&
		(kind->cap >> 16 & 63) >= 35;
}

/* A made-up kind, or a known one, perhaps with one bit of its capabilities
 * turned over. */
static struct model_personality choose_kind(uint64_t seed)
{
	struct model_personality kind = model_personality_random(seed), flipped;
	uint64_t r = world_mix(seed + 1);
	unsigned count = 0, n;

	if (r % 4)
		return kind;
	while (model_personalities[count].name)
		count++;
	n = (unsigned)(r >> 8) % count;
	/* Hidden write buffers go with a chipset that is not in the machine. */
	if (!rig_kind_usable(&model_personalities[n]) ||
		model_personalities[n].quirks & MODEL_QUIRK_HIDDEN_RWBF)
		return kind;
	kind = flipped = model_personalities[n];
	if (r >> 32 & 1)
		flipped.cap ^= 1ull << (r >> 33) % 64;
	else
		flipped.ecap ^= 1ull << (r >> 33) % 64;
	return r >> 40 & 1 && kind_fits(&flipped) ? flipped : kind;
}

static bool open_machine(struct world *w, uint64_t seed)
{
	struct model_personality kind = choose_kind(seed);
	struct model_personality second = choose_kind(~seed);
	enum model_mode mode = seed & 1 ? MODEL_RANDOM : MODEL_LAZY;
	bool left_on = seed >> 1 & 1;

	rig_open_machine(&w->r,
		seed >> 3 & 1
			? model_create_pair(
				  &kind, &second, mode, 0, seed, left_on)
			: model_create_usual(&kind, mode, 0, seed, left_on));
	if (seed >> 4 & 1)
		w->r.options.ats = IOMMU_ON;
	if (seed >> 5 & 1)
		w->r.options.spare_tables = 4;
	/* Every refused request counts as a fault: no storm, please. */
	w->r.options.fault_storm = 0;
	if (seed >> 2 & 1 && kind.version < 0x60)
		w->r.options.interface = IOMMU_INTERFACE_REGISTERS;
	return ok(w, "start", rig_start(&w->r));
}

static bool open_units(struct world *w)
{
	struct iommu_unit_info info;

	w->large_pages = true;
	for (unsigned i = 0; i < model_unit_count(w->r.m); i++) {
		if (!ok(w, "unit", iommu_unit_info(w->r.iommu, i, &info)))
			return false;
		w->unit_bits[i] = info.iova_bits;
		w->large_pages &= info.cap >> 34 & 1;
	}
	return true;
}

static bool open_device(struct world *w, struct world_device *d, uint16_t bdf)
{
	struct iommu_device_info at;
	struct iommu_unit_info unit;

	d->bdf = bdf;
	d->space = WORLD_BLOCKED;
	model_device_expect(w->r.m, 0, bdf, MODEL_NOBODY);
	if (!ok(w, "device", iommu_device_info(w->r.iommu, rig_id(bdf), &at)) ||
		!ok(w, "remapped",
			iommu_irq_remapped(
				w->r.iommu, rig_id(bdf), &d->remapped)) ||
		!ok(w, "unit", iommu_unit_info(w->r.iommu, at.unit, &unit)))
		return false;
	d->unit = at.unit;
	d->passes = unit.ecap >> 6 & 1;
	d->bits = w->unit_bits[at.unit & 1];
	return true;
}

bool world_open(struct world *w, uint64_t seed)
{
	static const uint16_t bdf[WORLD_DEVICES] = {RIG_DEV, RIG_OTHER, RIG_ATS,
		RIG_BEHIND_PORT, RIG_BEHIND_BRIDGE};

	memset(w, 0, sizeof *w);
	w->mapped_spaces = seed >> 5 & 7;
	w->blocks = world_mix(seed) % 16 == 0;
	if (!open_machine(w, seed) || !open_units(w))
		return false;
	for (unsigned i = 0; i < WORLD_SPACES; i++)
		if (!space_open(w, i))
			return false;
	for (unsigned i = 0; i < WORLD_DEVICES; i++)
		if (!open_device(w, &w->dev[i], bdf[i]))
			return false;
	return true;
}

bool world_close(struct world *w)
{
	for (unsigned i = 0; i < WORLD_DEVICES; i++) {
		struct world_device *d = &w->dev[i];

		if (d->space != WORLD_BLOCKED && !detach(w, d))
			return false;
		if (d->irq_used &&
			!ok(w, "irq free", iommu_irq_free(w->r.iommu, &d->irq)))
			return false;
	}
	if (!world_look(w))
		return false;
	for (unsigned i = 0; i < WORLD_SPACES; i++)
		if (!space_end(w, i))
			return false;
	if (!ok(w, "destroy", iommu_destroy(w->r.iommu)))
		return false;
	w->r.iommu = NULL;
	model_host_check_leaks(&w->r.host);
	if (model_pages_in_use(w->r.m, 0))
		return wrong(
			w, "%zu pages are left", model_pages_in_use(w->r.m, 0));
	if (!clean(w))
		return false;
	model_destroy(w->r.m);
	return true;
}

void world_drop(struct world *w)
{
	/* The library's state may be anything: leave it alone. */
	model_destroy(w->r.m);
}
