/* SPDX-License-Identifier: MIT */
/*
 * The ACPI DMAR table that tells a driver about the machine (VT-d 8).
 */
#include <string.h>
#include "internal.h"

struct out {
	uint8_t *p;
	size_t len, size;
};

static void put(struct out *o, const void *data, size_t len)
{
	if (o->p && o->len + len <= o->size)
		memcpy(o->p + o->len, data, len);
	o->len += len;
}

static void put_le(struct out *o, uint64_t v, unsigned width)
{
	uint8_t b[8];

	for (unsigned i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	put(o, b, width);
}

static void patch16(struct out *o, size_t at, size_t v)
{
	if (o->p && at + 2 <= o->size) {
		o->p[at] = (uint8_t)v;
		o->p[at + 1] = (uint8_t)(v >> 8);
	}
}

/* One device scope entry: the way from the root bus down to the function. */
static void put_scope(struct model *m, struct out *o, unsigned type,
	unsigned id, uint16_t segment, uint16_t bdf)
{
	uint8_t path[2 * 16];
	unsigned n = 0;
	uint16_t at = bdf;

	while (n < 16) {
		struct function *f;

		memmove(path + 2, path, 2 * n);
		path[0] = (uint8_t)(at >> 3 & 31);
		path[1] = (uint8_t)(at & 7);
		n++;
		f = type <= 2 ? bridge_above(m, segment, at >> 8) : NULL;
		if (!f)
			break;
		at = f->d.bdf;
	}
	put_le(o, type, 1);
	put_le(o, 6 + 2 * n, 1);
	put_le(o, 0, 2);
	put_le(o, id, 1);
	put_le(o, at >> 8, 1);
	put(o, path, 2 * n);
}

static void put_drhd(struct model *m, struct out *o, struct unit *u)
{
	size_t start = o->len;
	unsigned pages = 0;

	while ((uint64_t)MODEL_PAGE << pages < u->size)
		pages++;
	put_le(o, 0, 2);
	put_le(o, 0, 2);
	put_le(o, u->include_all, 1);
	put_le(o, pages, 1);
	put_le(o, u->segment, 2);
	put_le(o, u->base, 8);
	for (unsigned i = 0; !u->include_all && i < m->functions; i++) {
		struct model_function_desc *d = &m->function[i].d;
		struct function *up = bridge_above(m, d->segment, d->bdf >> 8);

		if (d->unit != (int)u->index)
			continue;
		/* A bridge's entry covers what is below it. */
		if (up && up->d.unit == (int)u->index)
			continue;
		put_scope(m, o, is_bridge(d->kind) ? 2 : 1, 0, d->segment,
			d->bdf);
	}
	for (unsigned i = 0; i < m->ioapics; i++)
		if (m->ioapic[i].unit == (int)u->index)
			put_scope(m, o, 3, m->ioapic[i].id, u->segment,
				m->ioapic[i].bdf);
	patch16(o, start + 2, o->len - start);
}

static void put_rmrr(struct model *m, struct out *o, unsigned i)
{
	size_t start = o->len;

	put_le(o, 1, 2);
	put_le(o, 0, 2);
	put_le(o, 0, 2);
	put_le(o, m->rmrr[i].segment, 2);
	put_le(o, m->rmrr[i].base, 8);
	put_le(o, m->rmrr[i].limit, 8);
	put_scope(m, o, 1, 0, m->rmrr[i].segment, m->rmrr[i].bdf);
	patch16(o, start + 2, o->len - start);
}

size_t model_dmar(struct model *m, void *buf, size_t size)
{
	struct out o = {.p = buf, .size = size};
	bool remap = false, ats = false;
	uint8_t sum = 0;

	enter(m);
	for (unsigned i = 0; i < m->units; i++) {
		remap |= m->unit[i].r[R_ECAP] & ECAP_IR;
		ats |= m->unit[i].r[R_ECAP] & ECAP_DT;
	}
	put(&o, "DMAR", 4);
	put_le(&o, 0, 4);
	put_le(&o, 1, 1);
	put_le(&o, 0, 1);
	put(&o, "MODEL ", 6);
	put(&o, "VTDMODEL", 8);
	put_le(&o, 1, 4);
	put(&o, "MODL", 4);
	put_le(&o, 1, 4);
	put_le(&o, m->haw - 1u, 1);
	put_le(&o, remap, 1);
	put_le(&o, 0, 8);
	put_le(&o, 0, 2);
	for (unsigned i = 0; i < m->units; i++)
		if (!m->unit[i].include_all)
			put_drhd(m, &o, &m->unit[i]);
	for (unsigned i = 0; i < m->units; i++)
		if (m->unit[i].include_all)
			put_drhd(m, &o, &m->unit[i]);
	for (unsigned i = 0; i < m->rmrrs; i++)
		put_rmrr(m, &o, i);
	if (ats) {
		put_le(&o, 2, 2);
		put_le(&o, 8, 2);
		put_le(&o, 1, 1); /* all ports */
		put_le(&o, 0, 1);
		put_le(&o, 0, 2);
	}
	leave(m);
	if (!buf || o.len > size)
		return o.len;
	for (unsigned i = 0; i < 4; i++)
		o.p[4 + i] = (uint8_t)(o.len >> (8 * i));
	for (size_t i = 0; i < o.len; i++)
		sum = (uint8_t)(sum + o.p[i]);
	o.p[9] = (uint8_t)-sum;
	return o.len;
}
