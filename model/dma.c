/* SPDX-License-Identifier: MIT */
/*
 * What devices do to memory. A request is split at page borders, translated
 * by the unit that covers the device, and carried out on real memory. Posted
 * writes are translated at once and land late: when a flush drains them, when
 * they become too many, or when the same device reads.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

#define POSTS_MAX 4096

static bool in_range(uint64_t a, uint64_t base, uint64_t limit)
{
	return a >= base && a <= (limit | 0x1fffff);
}

/* Protected regions block all DMA on newer units, and untranslated DMA on
 * older ones (VT-d 11.4.8). */
static bool protected_region(struct unit *u, uint64_t pa)
{
	if (!(u->r[R_PMEN] & PMEN_PRS))
		return false;
	if ((u->r[R_GSTS] & G_TE) && !is_major(u, 2))
		return false;
	return ((u->r[R_CAP] & CAP_PLMR) &&
		       in_range(pa, u->r[R_PLMBASE], u->r[R_PLMLIMIT])) ||
		((u->r[R_CAP] & CAP_PHMR) &&
			in_range(pa, u->r[R_PHMBASE], u->r[R_PHMLIMIT]));
}

static void check_owner(struct model *m, struct unit *u, uint16_t segment,
	uint16_t bdf, uint64_t iova, uint64_t pa)
{
	struct function *f = function_at(m, segment, bdf);
	struct page *p = page_of(m, pa);

	if ((pa & PAGE_BASE) == m->secret) {
		blame(m, u, MODEL_V_OPEN, "6.5.3.3",
			"device %04x reached the secret page at iova %#llx",
			bdf, (unsigned long long)iova);
		return;
	}
	if (!f || !f->expect)
		return;
	if (f->expect == MODEL_NOBODY)
		blame(m, u, MODEL_V_OPEN, "3.4",
			"device %04x reached page %#llx at iova %#llx, it is "
			"nobody's",
			bdf, (unsigned long long)pa, (unsigned long long)iova);
	else if (p->owner != f->expect)
		blame(m, u, MODEL_V_OPEN, "6.5.3.3",
			"device %04x reached page %#llx at iova %#llx, owner "
			"%u instead of %u",
			bdf, (unsigned long long)pa, (unsigned long long)iova,
			p->owner, f->expect);
}

static void blocked(struct model *m, struct unit *u, uint16_t sid,
	uint64_t iova, enum access acc, enum path path, const struct xlate *x)
{
	m->n.dma_blocked++;
	m->last_fault = x->fault;
	if (!x->silent)
		fault_record(u, sid, iova & PAGE_BASE,
			acc == ACC_READ || acc == ACC_ZERO, path, x->fault);
}

/* Finds the memory for one piece. */
static enum model_dma_status resolve(struct model *m, struct unit *u,
	uint16_t sid, uint64_t iova, enum access acc, enum path path,
	struct xlate *x)
{
	*x = (struct xlate){.pa = iova};
	m->n.dma++;
	if (u && (u->r[R_GSTS] & G_TE)) {
		translate(u, sid, iova, acc, path, x);
		if (x->fault) {
			blocked(m, u, sid, iova, acc, path, x);
			return MODEL_DMA_BLOCKED;
		}
	}
	if (u && protected_region(u, x->pa)) {
		m->n.dma_blocked++;
		return MODEL_DMA_BLOCKED;
	}
	return ram_has(m, x->pa, 1) ? MODEL_DMA_OK : MODEL_DMA_ABORT;
}

/* ---- posted writes ------------------------------------------------------ */

void posts_land(struct model *m, size_t i)
{
	struct post p = m->post[i];
	struct page *page = page_of(m, p.pa);

	/* Writes of one device land in their order: keep it. */
	m->posts--;
	memmove(&m->post[i], &m->post[i + 1], (m->posts - i) * sizeof *m->post);
	page->post_refs--;
	check_owner(m, &m->unit[p.unit], m->unit[p.unit].segment, p.sid, p.iova,
		p.pa);
	if (!page->owner)
		blame(m, &m->unit[p.unit], MODEL_V_FREE, "6.5.4",
			"a %s in flight met page %#llx after it was given back",
			p.read ? "read" : "write",
			(unsigned long long)(p.pa & PAGE_BASE));
	if (!p.read)
		device_store(m, p.pa, p.data, p.len);
	free(p.data);
}

bool post_drain(struct unit *u, unsigned what, const struct iotlb_flush *f,
	uint16_t sid)
{
	struct model *m = u->m;
	bool landed = false;

	for (size_t i = 0; i < m->posts;) {
		struct post *p = &m->post[i];
		unsigned kind = p->translated ? DRAIN_TRANSLATED
			: p->read             ? DRAIN_READS
					      : DRAIN_WRITES;
		bool hit = p->unit == u->index && (what & kind) &&
			(!sid || p->sid == sid);

		if (hit && f && f->gran != GRAN_GLOBAL)
			hit = p->did == f->did;
		if (hit && f && f->gran == GRAN_NARROW)
			hit = (p->iova ^ f->addr) < f->size;
		if (!hit) {
			i++;
			continue;
		}
		posts_land(m, i);
		landed = true;
	}
	return landed;
}

/* The device's own earlier writes land. */
static void push(struct model *m, uint16_t bdf)
{
	for (size_t i = 0; i < m->posts;)
		if (m->post[i].sid == bdf && !m->post[i].read)
			posts_land(m, i);
		else
			i++;
}

static void post_add(struct model *m, struct unit *u, uint16_t bdf,
	uint64_t iova, const struct xlate *x, const void *buf, size_t len,
	bool translated)
{
	struct post *p;

	if (m->posts >= POSTS_MAX)
		posts_land(m, 0);
	m->post = room_for_one(m->post, m->posts, &m->post_room, sizeof *p);
	p = &m->post[m->posts];
	p->data = buf ? needed(malloc(len)) : NULL;
	if (buf)
		memcpy(p->data, buf, len);
	p->read = !buf;
	p->pa = x->pa;
	p->len = len;
	p->unit = u->index;
	p->did = x->did;
	p->sid = bdf;
	p->iova = iova;
	p->translated = translated;
	page_of(m, x->pa)->post_refs++;
	m->posts++;
	if (m->mode == MODEL_BENIGN)
		posts_land(m, m->posts - 1);
}

size_t model_posted(struct model *m)
{
	return m->posts;
}

/* ---- requests ----------------------------------------------------------- */

struct request {
	struct model *m;
	struct unit *u;
	uint16_t segment, bdf, sid;
	enum access acc;
	enum path path;
	bool post;
};

static enum model_dma_status window_access(
	struct request *r, uint64_t iova, const void *buf, size_t len)
{
	struct model *m = r->m;
	uint32_t data;

	if (r->acc == ACC_WRITE && len == sizeof data && !(iova & 3)) {
		memcpy(&data, buf, sizeof data);
		return interrupt_request(r->u, r->sid, iova, data)
			? MODEL_DMA_OK
			: MODEL_DMA_BLOCKED;
	}
	m->n.dma_blocked++;
	m->last_fault = F_IR_MALFORMED;
	if (is_major(r->u, 5))
		fault_record(r->u, r->sid, iova & PAGE_BASE,
			r->acc != ACC_WRITE, 0, F_IR_MALFORMED);
	return MODEL_DMA_BLOCKED;
}

static enum model_dma_status piece(
	struct request *r, uint64_t iova, uint8_t *buf, size_t len)
{
	struct model *m = r->m;
	enum model_dma_status s;
	struct xlate x;

	if (r->u && in_window(iova) && r->path == UNTRANSLATED)
		return window_access(r, iova, buf, len);
	s = resolve(m, r->u, r->sid, iova, r->acc, r->path, &x);
	if (s != MODEL_DMA_OK) {
		if (s == MODEL_DMA_ABORT && r->acc == ACC_READ && buf)
			memset(buf, 0xff, len);
		return s;
	}
	if (r->acc == ACC_ZERO)
		return s;
	if (r->post && r->u) {
		post_add(m, r->u, r->bdf, iova, &x,
			r->acc == ACC_WRITE ? buf : NULL, len,
			r->path == TRANSLATED);
		return s;
	}
	check_owner(m, r->u, r->segment, r->bdf, iova, x.pa);
	if (r->acc == ACC_WRITE)
		device_store(m, x.pa, buf, len);
	else if (buf)
		memcpy(buf, ram_at(m, x.pa), len);
	return s;
}

static enum model_dma_status request(
	struct request *r, uint64_t iova, void *buf, size_t len)
{
	enum model_dma_status worst = MODEL_DMA_OK;
	struct function *f = function_at(r->m, r->segment, r->bdf);
	uint8_t *at = buf;

	if (f && f->removed)
		return MODEL_DMA_ABORT;
	r->m->idle_polls = 0;
	r->m->last_fault = 0;
	/* Nothing of a device passes its own posted writes. */
	if (!r->post)
		push(r->m, r->bdf);
	while (len) {
		size_t n = MODEL_PAGE - (iova & (MODEL_PAGE - 1));
		enum model_dma_status s;

		n = n < len ? n : len;
		s = piece(r, iova, at, n);
		worst = s > worst ? s : worst;
		iova += n;
		at = at ? at + n : NULL;
		len -= n;
	}
	return worst;
}

static struct request start(struct model *m, uint16_t segment, uint16_t bdf,
	enum access acc, enum path path)
{
	return (struct request){.m = m,
		.u = unit_for(m, segment, bdf),
		.segment = segment,
		.bdf = bdf,
		.sid = requester_of(m, segment, bdf),
		.acc = acc,
		.path = path};
}

static enum model_dma_status carry_out(
	struct request *r, uint64_t iova, void *buf, size_t len)
{
	enum model_dma_status s;

	enter(r->m);
	s = request(r, iova, buf, len);
	leave(r->m);
	return s;
}

enum model_dma_status model_dma_read(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, void *buf, size_t len)
{
	struct request r = start(m, segment, bdf, ACC_READ, UNTRANSLATED);

	return carry_out(&r, iova, buf, len);
}

enum model_dma_status model_dma_write(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, const void *buf, size_t len)
{
	struct request r = start(m, segment, bdf, ACC_WRITE, UNTRANSLATED);

	return carry_out(&r, iova, (void *)(uintptr_t)buf, len);
}

enum model_dma_status model_dma_post(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, const void *buf, size_t len)
{
	struct request r = start(m, segment, bdf, ACC_WRITE, UNTRANSLATED);

	r.post = true;
	return carry_out(&r, iova, (void *)(uintptr_t)buf, len);
}

enum model_dma_status model_dma_read_late(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, size_t len)
{
	struct request r = start(m, segment, bdf, ACC_READ, UNTRANSLATED);

	r.post = true;
	return carry_out(&r, iova, NULL, len);
}

enum model_dma_status model_dma_zero_read(
	struct model *m, uint16_t segment, uint16_t bdf, uint64_t iova)
{
	struct request r = start(m, segment, bdf, ACC_ZERO, UNTRANSLATED);
	uint8_t byte;

	return carry_out(&r, iova, &byte, 1);
}

enum model_dma_status model_dma_atomic(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, uint64_t add, uint64_t *old)
{
	struct request r = start(m, segment, bdf, ACC_ATOMIC, UNTRANSLATED);
	enum model_dma_status s = MODEL_DMA_BLOCKED;
	struct xlate x;
	uint64_t sum;

	if (iova & 7)
		return s;
	enter(m);
	push(m, bdf);
	if (r.u && in_window(iova))
		s = window_access(&r, iova, &add, sizeof add);
	else
		s = resolve(m, r.u, r.sid, iova, ACC_ATOMIC, UNTRANSLATED, &x);
	if (s == MODEL_DMA_OK) {
		check_owner(m, r.u, segment, bdf, iova, x.pa);
		*old = ram_read64(m, x.pa);
		sum = *old + add;
		device_store(m, x.pa, &sum, sizeof sum);
	}
	leave(m);
	return s;
}

enum model_dma_status dma_translated(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t phys, void *buf, size_t len, bool write,
	bool post)
{
	struct request r = start(
		m, segment, bdf, write ? ACC_WRITE : ACC_READ, TRANSLATED);

	r.post = post;
	return request(&r, phys, buf, len);
}

enum model_dma_status model_dma_translated(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t phys, void *buf, size_t len, bool write)
{
	enum model_dma_status s;

	enter(m);
	s = dma_translated(m, segment, bdf, phys, buf, len, write, false);
	leave(m);
	return s;
}

void model_device_needs(struct model *m, uint16_t segment, uint16_t bdf,
	uint64_t first, uint64_t last)
{
	struct function *f = function_at(m, segment, bdf);

	enter(m);
	if (f) {
		f->needs_first = first & PAGE_BASE;
		f->needs_last = last;
		m->needs_turn += !m->needs_turn;
	}
	leave(m);
}

static void try_needed(struct model *m, struct function *f)
{
	struct unit *u = unit_for(m, f->d.segment, f->d.bdf);
	uint64_t pages = (f->needs_last - f->needs_first) / MODEL_PAGE + 1;
	uint64_t iova = f->needs_first + m->needs_turn % pages * MODEL_PAGE;
	uint16_t sid = requester_of(m, f->d.segment, f->d.bdf);
	struct xlate x;

	if (!u || !(u->r[R_GSTS] & G_TE))
		return;
	translate(u, sid, iova, ACC_WRITE, UNTRANSLATED, &x);
	if (x.fault || x.pa != iova)
		blame(m, u, MODEL_V_NEEDED, "8.4",
			"device %04x lost its reserved memory at %#llx for a "
			"moment",
			f->d.bdf, (unsigned long long)iova);
}

void needs_step(struct model *m)
{
	m->needs_turn++;
	for (unsigned i = 0; i < m->functions; i++)
		if (m->function[i].needs_last && !m->function[i].removed)
			try_needed(m, &m->function[i]);
}

void model_device_expect(
	struct model *m, uint16_t segment, uint16_t bdf, unsigned owner)
{
	struct function *f = function_at(m, segment, bdf);

	enter(m);
	if (f)
		f->expect = owner;
	leave(m);
}
