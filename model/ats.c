/* SPDX-License-Identifier: MIT */
/*
 * Device TLBs (VT-d 4.1, 4.2, 6.5.2.5): a device asks for a translation,
 * keeps it for ever, and sends requests marked as translated.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

void model_ats_behave(struct model *m, uint16_t segment, uint16_t bdf,
	enum model_ats_answer answer)
{
	struct function *f = function_at(m, segment, bdf);

	enter(m);
	if (f)
		f->answer = answer;
	leave(m);
}

void dtlb_clear(struct function *f)
{
	f->dtlb_count = 0;
}

bool dtlb_entry_is_stale(struct unit *u, const struct dtlb_entry *e)
{
	struct centry as = {.steps = e->steps};

	memcpy(as.path, e->path, sizeof as.path);
	return centry_is_stale(u, &as);
}

static struct dtlb_entry *dtlb_find(struct function *f, uint64_t iova)
{
	for (unsigned i = 0; i < f->dtlb_count; i++)
		if (iova - f->dtlb[i].iova < f->dtlb[i].size)
			return &f->dtlb[i];
	return NULL;
}

/* The function's ATS capability says enabled. */
bool dtlb_is_on(const struct function *f)
{
	return f->d.ats && f->config[0x107] & 0x80;
}

static bool ats_ask(struct model *m, struct unit *u, struct function *f,
	uint16_t sid, uint64_t iova, bool write)
{
	struct dtlb_entry *e;
	struct xlate x;

	if (!dtlb_is_on(f) || in_window(iova) || !(u->r[R_GSTS] & G_TE))
		return false;
	translate(u, sid, iova, write ? ACC_WRITE : ACC_READ, TRANSLATION, &x);
	if (x.fault) {
		m->last_fault = x.fault;
		if (!x.silent)
			fault_record(u, sid, iova & PAGE_BASE, !write,
				TRANSLATION, x.fault);
		return false;
	}
	f->dtlb =
		room_for_one(f->dtlb, f->dtlb_count, &f->dtlb_room, sizeof *e);
	e = &f->dtlb[f->dtlb_count++];
	memset(e, 0, sizeof *e);
	e->iova = x.page_iova;
	e->pa = x.page_pa;
	e->size = x.page_size;
	e->perm = x.perm;
	e->did = x.did;
	e->steps = x.steps;
	memcpy(e->path, x.path, sizeof e->path);
	return true;
}

bool model_ats_request(struct model *m, uint16_t segment, uint16_t bdf,
	uint64_t iova, bool write)
{
	struct function *f = function_at(m, segment, bdf);
	struct unit *u = unit_for(m, segment, bdf);
	bool ok = false;

	enter(m);
	if (f && u && !f->removed)
		ok = ats_ask(
			m, u, f, requester_of(m, segment, bdf), iova, write);
	leave(m);
	return ok;
}

static enum model_dma_status ats_dma(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, void *buf, size_t len, bool write,
	bool post)
{
	struct function *f = function_at(m, segment, bdf);
	struct unit *u = unit_for(m, segment, bdf);
	enum model_dma_status s = MODEL_DMA_BLOCKED;
	uint16_t sid = requester_of(m, segment, bdf);
	uint8_t want = write ? PERM_W : PERM_R, *at = buf;

	enter(m);
	while (f && u && len) {
		struct dtlb_entry *e = dtlb_find(f, iova);
		size_t n = MODEL_PAGE - (iova & 0xfff);

		n = n < len ? n : len;
		s = MODEL_DMA_BLOCKED;
		if (!e && ats_ask(m, u, f, sid, iova, write))
			e = dtlb_find(f, iova);
		if (!e || (e->perm & want) != want)
			break;
		s = dma_translated(m, segment, bdf, e->pa + (iova - e->iova),
			at, n, write, post);
		if (s != MODEL_DMA_OK)
			break;
		iova += n;
		at += n;
		len -= n;
	}
	leave(m);
	return s;
}

enum model_dma_status model_ats_dma(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, void *buf, size_t len, bool write)
{
	return ats_dma(m, segment, bdf, iova, buf, len, write, false);
}

enum model_dma_status model_ats_post(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, const void *buf, size_t len)
{
	return ats_dma(
		m, segment, bdf, iova, (void *)(uintptr_t)buf, len, true, true);
}

/* ---- flushes ------------------------------------------------------------ */

/* The size is coded by the lowest zero bit above the page offset; 0: all. */
static uint64_t flush_size(uint64_t addr, bool s)
{
	uint64_t zeros = ~addr & PAGE_BASE;

	return s ? 2 * (zeros & -zeros) : MODEL_PAGE;
}

/* The IOTLB must forget first, or the device asks and gets it again. */
static bool comes_back(struct unit *u, const struct dtlb_entry *e)
{
	bool back = false;

	for (unsigned level = 1; level <= 3; level++) {
		struct centry *c =
			cache_find(u, KIND_LEAF, level, e->did, e->iova);

		back |= c && centry_is_stale(u, c);
	}
	return back && u->m->mode != MODEL_BENIGN;
}

/* Whether a device may still use the page: one that asked for it. */
bool dtlb_reaches(struct model *m, uint64_t pa)
{
	for (unsigned i = 0; i < m->functions; i++) {
		struct function *f = &m->function[i];

		for (unsigned k = 0; k < f->dtlb_count; k++) {
			struct dtlb_entry *e = &f->dtlb[k];

			if (pa - e->pa < e->size)
				return true;
		}
	}
	return false;
}

/* An erratum of these devices; the others behind the unit are sound. */
static bool lets_go_late(const struct unit *u, const struct function *f)
{
	return (u->quirks & MODEL_QUIRK_EXTRA_DEVTLB) &&
		f->d.vendor == 0x8086 && (f->d.device & 0xfffc) == 0x4940;
}

uint64_t dtlb_flush(struct unit *u, uint16_t sid, uint64_t addr, bool s)
{
	struct function *f = function_at(u->m, u->segment, sid);
	uint64_t size = flush_size(addr, s), base = addr & -size;
	size_t kept = 0;

	if (!f || f->removed || f->answer == MODEL_ATS_NEVER)
		return MODEL_NONE;
	if (!dtlb_is_on(f)) {
		blame(u->m, u, MODEL_V_ATS, "6.5.2.5",
			"device-TLB flush for %04x, whose device TLB is off",
			sid);
		return MODEL_NONE;
	}
	for (unsigned i = 0; i < f->dtlb_count; i++) {
		struct dtlb_entry e = f->dtlb[i];

		if (!size || e.iova - base < size) {
			e.refetched = comes_back(u, &e);
			if (!e.refetched)
				continue;
		}
		f->dtlb[kept++] = e;
	}
	f->dtlb_count = kept;
	if (lets_go_late(u, f))
		f->one_flush_more = !f->one_flush_more;
	if (!f->one_flush_more)
		post_drain(u, DRAIN_TRANSLATED, NULL, sid);
	return f->answer == MODEL_ATS_LATE ? u->m->now + 900000 : u->m->now;
}
