/* SPDX-License-Identifier: MIT */
/*
 * The world and its operations. The abstract state is what struct world says;
 * the machine is right if every DMA and every interrupt ends as that state
 * demands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "world.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/* Places that share and do not share tables of each level. */
static const uint64_t places[WORLD_SLOTS] = {
	0x0,
	0x1000,
	0x2000,
	0x3000,
	0x7000,
	0x8000,
	0x1fe000,
	0x1ff000,
	0x200000,
	0x201000,
	0x3ff000,
	0x400000,
	0x3ffff000,
	0x40000000,
	0x40001000,
	0x401ff000,
	0x40200000,
	0x7ffff000,
	0x80000000,
	0xfedff000,
	0xfef00000,
	0x100000000,
	0x3fffffe000,
	0x3ffffff000,
};

static bool wrong(struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool wrong(struct world *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->wrong, sizeof w->wrong, format, args);
	va_end(args);
	return false;
}

static bool ok(struct world *w, const char *what, enum iommu_status s)
{
	return s == IOMMU_OK || wrong(w, "%s: %s", what, iommu_status_text(s));
}

static bool clean(struct world *w)
{
	const struct model_violation *v = model_violation(w->r.m, 0);

	return !v || wrong(w, "%s: %s", model_rule_name(v->rule), v->text);
}

/* ---- spaces ------------------------------------------------------------- */

static bool space_open(struct world *w, unsigned i)
{
	struct world_space *s = &w->space[i];

	memset(s, 0, sizeof *s);
	s->mapped = w->mapped_spaces >> i & 1;
	s->bits = 64;
	if (s->mapped) {
		s->domain = rig_mapped_domain(&w->r);
		for (unsigned u = 0; u < model_unit_count(w->r.m); u++)
			if (w->unit_bits[u] < s->bits)
				s->bits = w->unit_bits[u];
	} else {
		rig_space_open(&s->host, &w->r);
		s->domain = s->host.domain;
	}
	s->owner = 10 + w->next_owner++ % 180;
	s->open = true;
	return true;
}

static void stamp(struct world *w, struct world_slot *slot)
{
	slot->stamp = ++w->next_stamp << 8 | 0xa5;
	*(uint64_t *)model_ptr(w->r.m, slot->frame) = slot->stamp;
}

static void entry(struct world_space *s, unsigned n)
{
	struct world_slot *slot = &s->slot[n];

	rig_space_set(&s->host, places[n],
		slot->frame ? slot->frame | 0x20 | slot->rights : 0);
}

static bool slot_map(struct world *w, struct world_space *s, unsigned n,
	unsigned rights, struct iommu_batch *batch)
{
	struct world_slot *slot = &s->slot[n];

	slot->frame = model_page_alloc(w->r.m, 0, s->owner);
	if (slot->frame == MODEL_NONE)
		return wrong(w, "out of frames");
	slot->rights = rights;
	stamp(w, slot);
	if (s->mapped) {
		enum iommu_status got =
			iommu_map(s->domain, iommu_iova(places[n]),
				iommu_phys(slot->frame), MODEL_PAGE, rights);

		if (places[n] >> s->bits == 0)
			return ok(w, "map", got);
		model_page_free(w->r.m, slot->frame, 0);
		slot->frame = 0;
		return got == IOMMU_WIDTH ||
			wrong(w, "map: %s", iommu_status_text(got));
	}
	entry(s, n);
	iommu_batch_add(
		batch, IOMMU_MADE_PRESENT, iommu_iova(places[n]), MODEL_PAGE);
	return true;
}

static uint64_t slot_unmap(struct world *w, struct world_space *s, unsigned n,
	struct iommu_batch *batch)
{
	uint64_t frame = s->slot[n].frame, removed = 0;

	s->slot[n].frame = 0;
	if (s->mapped) {
		if (!ok(w, "unmap",
			    iommu_unmap(s->domain, iommu_iova(places[n]),
				    MODEL_PAGE, batch, &removed)) ||
			removed != MODEL_PAGE)
			wrong(w, "%llu bytes unmapped",
				(unsigned long long)removed);
		return frame;
	}
	entry(s, n);
	iommu_batch_add(
		batch, IOMMU_REMOVED, iommu_iova(places[n]), MODEL_PAGE);
	return frame;
}

static void slot_protect(
	struct world_space *s, unsigned n, struct iommu_batch *batch)
{
	struct world_slot *slot = &s->slot[n];
	unsigned change;

	slot->rights ^= IOMMU_WRITE;
	change = slot->rights & IOMMU_WRITE ? IOMMU_RIGHTS_RAISED
					    : IOMMU_RIGHTS_CUT;
	entry(s, n);
	iommu_batch_add(batch, change, iommu_iova(places[n]), MODEL_PAGE);
}

/* One batch of up to eight edits, then the frames that became free. */
static bool edit(struct world *w, uint64_t word)
{
	struct world_space *s = &w->space[word % WORLD_SPACES];
	unsigned count = 1 + (word >> 8) % 8, freed = 0;
	uint64_t frame[8];
	struct iommu_batch batch;

	iommu_batch_init(&batch, s->domain);
	for (unsigned i = 0; i < count; i++) {
		unsigned n = (word >> (12 + 5 * i)) % WORLD_SLOTS;

		w->done++;
		if (!s->slot[n].frame) {
			if (!slot_map(w, s, n,
				    word >> (10 + i) & 1 ? RW : IOMMU_READ,
				    &batch))
				return false;
		} else if (!s->mapped && word >> (20 + i) & 1) {
			slot_protect(s, n, &batch);
		} else {
			frame[freed++] = slot_unmap(w, s, n, &batch);
		}
	}
	if (!ok(w, "flush", iommu_batch_flush(&batch)) || w->wrong[0])
		return false;
	for (unsigned i = 0; i < freed; i++)
		model_page_free(w->r.m, frame[i], 0);
	return true;
}

/* A whole lowest table is unlinked, with all that it maps. */
static bool unlink_table(struct world *w, uint64_t word)
{
	struct world_space *s = &w->space[word % WORLD_SPACES];
	uint64_t base = places[(word >> 8) % WORLD_SLOTS] & ~0x1fffffull;
	uint64_t frame[WORLD_SLOTS], table;
	unsigned freed = 0;

	for (unsigned n = 0; n < WORLD_SLOTS; n++)
		if (places[n] - base < 0x200000 && s->slot[n].frame) {
			frame[freed++] = s->slot[n].frame;
			s->slot[n].frame = 0;
		}
	if (s->mapped && base >> s->bits)
		return true;
	if (s->mapped) {
		if (!ok(w, "unmap",
			    iommu_unmap_now(
				    s->domain, iommu_iova(base), 0x200000)))
			return false;
		while (freed)
			model_page_free(w->r.m, frame[--freed], 0);
		return true;
	}
	table = rig_space_unlink(&s->host, base);
	if (!table)
		return true;
	if (!ok(w, "flush of a table",
		    iommu_flush(s->domain, IOMMU_REMOVED | IOMMU_TABLE_CHANGED,
			    iommu_iova(base), 0x200000)))
		return false;
	model_page_free(w->r.m, table, 0);
	while (freed)
		model_page_free(w->r.m, frame[--freed], 0);
	return true;
}

static bool replace_space(struct world *w, uint64_t word)
{
	unsigned i = word % WORLD_SPACES;
	struct world_space *s = &w->space[i];

	for (unsigned d = 0; d < WORLD_DEVICES; d++)
		if (w->dev[d].space == (int)i)
			return true;
	if (!ok(w, "destroy", iommu_domain_destroy(s->domain)))
		return false;
	if (!s->mapped)
		rig_space_free(&s->host);
	for (unsigned n = 0; n < WORLD_SLOTS; n++)
		if (s->slot[n].frame)
			model_page_free(w->r.m, s->slot[n].frame, 0);
	return space_open(w, i);
}

/* ---- devices ------------------------------------------------------------ */

static bool attach_or_detach(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];
	struct iommu_device_id id = rig_id(d->bdf);

	if (d->space >= 0) {
		if (!ok(w, "detach", iommu_detach(w->r.iommu, id)))
			return false;
		d->space = -1;
		model_device_expect(w->r.m, 0, d->bdf, 0);
		return true;
	}
	if (!w->powered) {
		enum iommu_status s =
			iommu_attach(w->r.iommu, id, w->space[0].domain);

		return s == IOMMU_OFF ||
			wrong(w, "attach while off: %s", iommu_status_text(s));
	}
	d->space = (word >> 8) % WORLD_SPACES;
	model_device_expect(w->r.m, 0, d->bdf, w->space[d->space].owner);
	return ok(w, "attach",
		w->space[d->space].mapped
			? iommu_attach(
				  w->r.iommu, id, w->space[d->space].domain)
			: rig_space_attach(&w->space[d->space].host, d->bdf));
}

static bool ats_enabled(struct world *w, const struct world_device *d)
{
	return d->bdf == RIG_ATS &&
		model_pci_read(w->r.m, 0, 0, (uint8_t)d->bdf, 0x106, 2) &
		0x8000;
}

static bool dma(struct world *w, struct world_device *d, unsigned n, bool write,
	bool post)
{
	struct world_slot none = {0}, *slot = &none;
	enum model_dma_status got;
	uint64_t v = ++w->next_stamp << 8 | 0x5a;
	bool want;

	w->done++;
	if (d->space >= 0)
		slot = &w->space[d->space].slot[n];
	/* The order between devices is theirs to make. */
	for (unsigned i = 0; i < WORLD_DEVICES; i++)
		if (w->dev[i].posted && &w->dev[i] != d) {
			uint64_t x;

			w->dev[i].posted = false;
			model_dma_read(
				w->r.m, 0, w->dev[i].bdf, places[0], &x, 8);
		}
	d->posted |= post;
	want = slot->frame && places[n] >> d->bits == 0 &&
		(slot->rights & (write ? IOMMU_WRITE : IOMMU_READ));
	if (ats_enabled(w, d))
		got = model_ats_dma(w->r.m, 0, d->bdf, places[n], &v, 8, write);
	else if (write)
		got = (post ? model_dma_post : model_dma_write)(
			w->r.m, 0, d->bdf, places[n], &v, 8);
	else
		got = model_dma_read(w->r.m, 0, d->bdf, places[n], &v, 8);
	if ((got == MODEL_DMA_OK) != want)
		return wrong(w, "%s of %04x at %#llx %s",
			write ? "write" : "read", d->bdf,
			(unsigned long long)places[n],
			want ? "was refused" : "got through");
	if (!want)
		return true;
	if (write)
		slot->stamp = v;
	else if (v != slot->stamp)
		return wrong(w, "%04x read %#llx at %#llx instead of %#llx",
			d->bdf, (unsigned long long)v,
			(unsigned long long)places[n],
			(unsigned long long)slot->stamp);
	return true;
}

static bool some_dma(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];

	if (!w->powered)
		return true;
	for (unsigned i = 0; i < 4; i++)
		if (!dma(w, d, (word >> (8 + 5 * i)) % WORLD_SLOTS,
			    word >> (40 + i) & 1, word >> (50 + i) & 1))
			return false;
	return true;
}

/* ---- interrupts --------------------------------------------------------- */

static bool interrupt_edit(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];
	struct iommu_irq_target target = {
		.destination = (word >> 16) % 200, .vector = 0};

	if (!d->remapped)
		return true;
	if (!d->irq_used) {
		d->irq_used = true;
		d->vector = 0;
		return ok(w, "irq alloc",
			iommu_irq_alloc(w->r.iommu, rig_id(d->bdf),
				1u << (word >> 8) % 4, &d->irq));
	}
	if ((word >> 8) % 4 == 0) {
		d->irq_used = false;
		return ok(w, "irq free", iommu_irq_free(w->r.iommu, &d->irq));
	}
	if ((word >> 8) % 4 == 1) {
		d->vector = 0;
		return ok(w, "irq clear",
			iommu_irq_clear(w->r.iommu, &d->irq, 0));
	}
	d->vector = target.vector = (uint8_t)(0x20 + (word >> 32) % 200);
	return ok(w, "irq set", iommu_irq_set(w->r.iommu, &d->irq, 0, &target));
}

static bool interrupt_send(struct world *w, uint64_t word)
{
	struct world_device *d = &w->dev[word % WORLD_DEVICES];
	struct world_device *from = &w->dev[(word >> 8) % WORLD_DEVICES];
	struct iommu_msi_message msg;
	bool want, got;

	if (!d->remapped || !from->remapped || !d->irq_used)
		return true;
	if (!ok(w, "irq message",
		    iommu_irq_message(w->r.iommu, &d->irq, 0, &msg)))
		return false;
	want = d->vector && from == d;
	got = model_msi(w->r.m, 0, from->bdf, msg.address, msg.data);
	if (from->unit != d->unit) {
		/* Another table: only its own entry may answer. */
		return !got ||
			(from->irq_used &&
				w->r.host.last_interrupt.vector ==
					from->vector) ||
			wrong(w, "%04x used an entry of %04x", from->bdf,
				d->bdf);
	}
	if (want != got)
		return wrong(w, "interrupt of %04x sent by %04x %s", d->bdf,
			from->bdf, want ? "was refused" : "got through");
	if (got && w->r.host.last_interrupt.vector != d->vector)
		return wrong(w, "vector %u instead of %u",
			w->r.host.last_interrupt.vector, d->vector);
	return true;
}

/* ---- the rest ----------------------------------------------------------- */

/* Devices with TLBs of their own must go first. */
static bool power_refused(struct world *w, enum iommu_status s)
{
	for (unsigned i = 0; i < WORLD_DEVICES; i++)
		if (w->dev[i].space >= 0 && ats_enabled(w, &w->dev[i]))
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
		model_unit_reset(w->r.m, 0);
		return ok(w, "resume", iommu_resume(w->r.iommu));
	}
	/* Off for the length of one step: nobody is attached untranslated. */
	s = iommu_power(w->r.iommu, false);
	if (power_refused(w, s))
		return true;
	if (!ok(w, "power off", s))
		return false;
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
	for (unsigned i = 0; w->powered && i < WORLD_DEVICES; i++)
		for (unsigned n = 0; n < WORLD_SLOTS; n++)
			if (!dma(w, &w->dev[i], n, false, false))
				return false;
	return checkpoint(w);
}

enum op {
	OP_EDIT,
	OP_DMA,
	OP_ATTACH,
	OP_IRQ_EDIT,
	OP_IRQ_SEND,
	OP_UNLINK,
	OP_REPLACE,
	OP_POWER,
	OP_FAULTS,
	OP_CHECK,
	OP_LOOK,
};

static const char *const names[] = {
	[OP_EDIT] = "edit mappings",
	[OP_DMA] = "DMA",
	[OP_ATTACH] = "attach or detach",
	[OP_IRQ_EDIT] = "change an interrupt",
	[OP_IRQ_SEND] = "send an interrupt",
	[OP_UNLINK] = "unlink a table",
	[OP_REPLACE] = "replace a space",
	[OP_POWER] = "power",
	[OP_FAULTS] = "drain faults",
	[OP_CHECK] = "checkpoint",
	[OP_LOOK] = "look at everything",
};

static enum op op_of(uint64_t word)
{
	unsigned n = word >> 56;

	if (n < 90)
		return OP_EDIT;
	if (n < 180)
		return OP_DMA;
	if (n < 205)
		return OP_ATTACH;
	if (n < 218)
		return OP_IRQ_EDIT;
	if (n < 231)
		return OP_IRQ_SEND;
	if (n < 238)
		return OP_UNLINK;
	if (n < 243)
		return OP_REPLACE;
	if (n < 246)
		return OP_FAULTS;
	if (n < 253)
		return OP_CHECK;
	return n == 253 ? OP_POWER : OP_LOOK;
}

const char *world_operation(uint64_t word)
{
	return names[op_of(word)];
}

static bool perform(struct world *w, uint64_t word)
{
	switch (op_of(word)) {
	case OP_EDIT:
		return edit(w, word);
	case OP_DMA:
		return some_dma(w, word);
	case OP_ATTACH:
		return attach_or_detach(w, word);
	case OP_IRQ_EDIT:
		return interrupt_edit(w, word);
	case OP_IRQ_SEND:
		return interrupt_send(w, word);
	case OP_UNLINK:
		return unlink_table(w, word);
	case OP_REPLACE:
		return replace_space(w, word);
	case OP_POWER:
		return power(w, word);
	case OP_FAULTS:
		return drain_faults(w);
	case OP_CHECK:
		return checkpoint(w);
	case OP_LOOK:
		return world_look(w);
	}
	return true;
}

bool world_step(struct world *w, uint64_t word)
{
	w->done++;
	if (!perform(w, word))
		return false;
	if (w->r.host.locks_held)
		return wrong(w, "a lock is held after a call");
	return clean(w);
}

bool world_open(struct world *w, uint64_t seed)
{
	static const uint16_t bdf[WORLD_DEVICES] = {RIG_DEV, RIG_OTHER, RIG_ATS,
		RIG_BEHIND_PORT, RIG_BEHIND_BRIDGE};
	struct model_personality kind = model_personality_random(seed);
	struct model_personality second = model_personality_random(~seed);
	enum model_mode mode = seed & 1 ? MODEL_RANDOM : MODEL_LAZY;
	struct iommu_unit_info info;
	enum iommu_status s;

	memset(w, 0, sizeof *w);
	rig_open_machine(&w->r,
		seed >> 3 & 1 ? model_create_pair(&kind, &second, mode, 0, seed,
					seed >> 1 & 1)
			      : model_create_usual(
					&kind, mode, 0, seed, seed >> 1 & 1));
	if (seed >> 4 & 1)
		w->r.options.ats = IOMMU_ON;
	/* Every refused request counts as a fault: no storm, please. */
	w->r.options.fault_storm = 0;
	if (seed >> 2 & 1 && kind.version < 0x60)
		w->r.options.interface = IOMMU_INTERFACE_REGISTERS;
	s = rig_start(&w->r);
	if (!ok(w, "start", s))
		return false;
	w->powered = true;
	w->mapped_spaces = seed >> 5 & 7;
	for (unsigned i = 0; i < model_unit_count(w->r.m); i++) {
		if (!ok(w, "unit", iommu_unit_info(w->r.iommu, i, &info)))
			return false;
		w->unit_bits[i] = info.iova_bits;
	}
	for (unsigned i = 0; i < WORLD_SPACES; i++)
		if (!space_open(w, i))
			return false;
	for (unsigned i = 0; i < WORLD_DEVICES; i++) {
		struct world_device *d = &w->dev[i];
		struct iommu_device_info at;

		d->bdf = bdf[i];
		d->space = -1;
		if (!ok(w, "device",
			    iommu_device_info(
				    w->r.iommu, rig_id(d->bdf), &at)) ||
			!ok(w, "remapped",
				iommu_irq_remapped(w->r.iommu, rig_id(d->bdf),
					&d->remapped)))
			return false;
		d->unit = at.unit;
		d->bits = w->unit_bits[at.unit & 1];
	}
	return true;
}

bool world_close(struct world *w)
{
	for (unsigned i = 0; i < WORLD_DEVICES; i++) {
		struct world_device *d = &w->dev[i];

		if (d->space >= 0 &&
			!ok(w, "detach",
				iommu_detach(w->r.iommu, rig_id(d->bdf))))
			return false;
		d->space = -1;
		if (d->irq_used &&
			!ok(w, "irq free", iommu_irq_free(w->r.iommu, &d->irq)))
			return false;
	}
	if (!world_look(w))
		return false;
	for (unsigned i = 0; i < WORLD_SPACES; i++) {
		struct world_space *s = &w->space[i];

		if (!ok(w, "destroy", iommu_domain_destroy(s->domain)))
			return false;
		if (!s->mapped)
			rig_space_free(&s->host);
		for (unsigned n = 0; n < WORLD_SLOTS; n++)
			if (s->slot[n].frame)
				model_page_free(w->r.m, s->slot[n].frame, 0);
	}
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
