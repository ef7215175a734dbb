/* SPDX-License-Identifier: MIT */
/*
 * A machine as it was.
 *
 * Small state goes through a tape: one function walks over all of it, either
 * recording or playing, so that the two cannot differ. Arrays only ever grow,
 * so what was recorded has room when it is played; where they lie and how much
 * room they have is left as it is. Memory as CPUs and as each unit see it, and
 * configuration spaces, are kept in blocks that snapshots share: m->kept says
 * which block each piece had last, and only what differs is copied, in either
 * direction. Compared it must be: a driver stores as it likes.
 */
#include <stddef.h>
#include <string.h>
#include "internal.h"

/* 4 KiB, of a page or of a configuration space. */
struct block {
	unsigned refs; /* snapshots, and m->kept */
	uint8_t data[MODEL_PAGE];
};

struct model_snapshot {
	uint8_t *tape;
	uint32_t *known; /* pages, known_count of them */
	size_t known_count;
	struct block **block; /* in the order of each_block() */
	size_t blocks;
};

/* ---- the tape ----------------------------------------------------------- */

struct tape {
	uint8_t *data;
	size_t at, room;
	bool plays;
	bool failed; /* recording: out of memory */
};

static void go(struct tape *t, void *what, size_t size)
{
	if (t->plays && size)
		memcpy(what, t->data + t->at, size);
	t->at += size;
	if (t->plays || t->failed || !size)
		return;
	if (t->at > t->room) {
		uint8_t *data = realloc(t->data, t->at * 2);

		t->failed = !data;
		if (!data)
			return;
		t->data = data;
		t->room = t->at * 2;
	}
	memcpy(t->data + t->at - size, what, size);
}

/* An array of which only so many were ever used: others are zero. */
static void go_used(
	struct tape *t, void *array, size_t size, size_t used, size_t used_now)
{
	go(t, array, size * used);
	if (used_now > used)
		memset((uint8_t *)array + size * used, 0,
			size * (used_now - used));
}

static void go_page(struct tape *t, struct model *m, struct page *p)
{
	bool watched = p->watched;
	uint8_t *copy = p->copy;

	go(t, p, sizeof *p);
	p->copy = copy;
	if (p->watched)
		go(t, p->copy, MODEL_PAGE);
	if (p->watched != watched)
		watch_again(m, p);
}

static void go_posts(struct tape *t, struct model *m)
{
	go(t, m->post, m->posts * sizeof *m->post);
	for (size_t i = 0; i < m->posts; i++) {
		struct post *p = &m->post[i];

		if (p->read)
			continue;
		if (t->plays && !(p->data = malloc(p->len)))
			abort(); /* half a machine is none */
		go(t, p->data, p->len);
	}
}

static void go_function(struct tape *t, struct function *f)
{
	struct dtlb_entry *dtlb = f->dtlb;
	size_t room = f->dtlb_room;

	go(t, f, offsetof(struct function, config));
	f->dtlb = dtlb;
	f->dtlb_room = room;
	go(t, f->dtlb, f->dtlb_count * sizeof *f->dtlb);
}

static void go_contexts(struct tape *t, struct unit *u)
{
	static const struct cctx none[256];

	for (unsigned bus = 0; bus < 256; bus++) {
		bool there = u->cctx[bus];

		go(t, &there, sizeof there);
		if (there)
			go(t, u->cctx[bus], sizeof none);
		else if (u->cctx[bus])
			memcpy(u->cctx[bus], none, sizeof none);
	}
}

static void go_caches(struct tape *t, struct unit *u, const struct unit *now)
{
	go(t, u->tlb.entry, u->tlb.count * sizeof *u->tlb.entry);
	go(t, u->tlb.bucket, BUCKETS * sizeof *u->tlb.bucket);
	go_used(t, u->did_use, sizeof *u->did_use, u->did_end, now->did_end);
	if (u->cirte)
		go_used(t, u->cirte, sizeof *u->cirte, u->cirte_end,
			now->cirte_end);
	go_contexts(t, u);
}

static void go_unit(struct tape *t, struct unit *u, struct unit *now)
{
	*now = *u;
	go(t, u, sizeof *u);
	memcpy(u->cctx, now->cctx, sizeof u->cctx);
	u->tlb.entry = now->tlb.entry;
	u->tlb.room = now->tlb.room;
	u->fetched = now->fetched;
	u->fetched_room = now->fetched_room;
	u->snapshot = now->snapshot;
	u->lines = now->lines;
	u->line_room = now->line_room;
	go_caches(t, u, now);
	go(t, u->fetched, u->fetched_count * sizeof *u->fetched);
	go(t, u->snapshot, queue_bytes(u));
	go(t, u->lines, u->line_count * sizeof *u->lines);
}

static void posts_free(struct model *m)
{
	for (size_t i = 0; i < m->posts; i++)
		free(m->post[i].data);
}

static void go_machine(struct tape *t, struct model *m)
{
	static const size_t first = offsetof(struct model, mode);
	struct post *post = m->post;
	struct offence *offence = m->offence;
	size_t post_room = m->post_room, offence_room = m->offence_room;
	struct unit now;

	if (t->plays)
		posts_free(m);
	go(t, (uint8_t *)m + first, sizeof *m - first);
	m->post = post;
	m->post_room = post_room;
	m->offence = offence;
	m->offence_room = offence_room;
	go(t, m->known, m->known_count * sizeof *m->known);
	for (size_t i = 0; i < m->known_count; i++)
		go_page(t, m, &m->page[m->known[i]]);
	go(t, m->free_stack, m->free_count * sizeof *m->free_stack);
	go(t, m->offence, m->offences * sizeof *m->offence);
	go_posts(t, m);
	for (unsigned i = 0; i < m->functions; i++)
		go_function(t, &m->function[i]);
	for (unsigned i = 0; i < m->units; i++)
		go_unit(t, &m->unit[i], &now);
}

/* ---- blocks ------------------------------------------------------------- */

typedef bool block_fn(struct block **kept, void *at, struct block **block);

/* All pieces of memory of known pages: as it is, as units see it; then
 * configuration spaces. False as soon as fn says so. */
static bool each_block(struct model *m, struct block **block, block_fn *fn)
{
	struct block **kept = m->kept;

	for (size_t i = 0; i < m->known_count; i++)
		if (!fn(&kept[m->known[i]],
			    m->alias + ((size_t)m->known[i] << SHIFT), block++))
			return false;
	for (unsigned n = 0; n < m->units; n++) {
		uint8_t *view = m->unit[n].view;

		kept += m->pages;
		for (size_t i = 0; view && i < m->known_count; i++)
			if (!fn(&kept[m->known[i]],
				    view + ((size_t)m->known[i] << SHIFT),
				    block++))
				return false;
	}
	kept += m->pages;
	for (unsigned n = 0; n < m->functions; n++)
		if (!fn(&kept[n], m->function[n].config, block++))
			return false;
	return true;
}

static size_t pieces(const struct model *m)
{
	return (m->units + 1) * m->pages + m->functions;
}

static void block_put(struct block *b)
{
	if (b && !--b->refs)
		free(b);
}

static void block_swap(struct block **kept, struct block *b)
{
	if (*kept == b)
		return;
	b->refs++;
	block_put(*kept);
	*kept = b;
}

static bool block_take(struct block **kept, void *at, struct block **block)
{
	struct block *b = *kept;

	if (!b || memcmp(b->data, at, MODEL_PAGE)) {
		b = malloc(sizeof *b);
		if (!b)
			return false;
		b->refs = 0;
		memcpy(b->data, at, MODEL_PAGE);
		block_swap(kept, b);
	}
	b->refs++;
	*block = b;
	return true;
}

static bool block_back(struct block **kept, void *at, struct block **block)
{
	if (memcmp((*block)->data, at, MODEL_PAGE))
		memcpy(at, (*block)->data, MODEL_PAGE);
	block_swap(kept, *block);
	return true;
}

/* A page that nobody knew then: it was as new. */
static void page_renew(struct model *m, uint32_t i)
{
	struct page *p = &m->page[i];
	uint8_t *copy = p->copy;

	if (p->watched) {
		p->watched = false;
		watch_again(m, p);
	}
	memset(p, 0, sizeof *p);
	p->copy = copy;
	memset(m->alias + ((size_t)i << SHIFT), 0, MODEL_PAGE);
	for (unsigned n = 0; n < m->units; n++)
		if (m->unit[n].view)
			memset(m->unit[n].view + ((size_t)i << SHIFT), 0,
				MODEL_PAGE);
}

static void renew_pages(struct model *m, const struct model_snapshot *s)
{
	enum {
		THEN = 2
	};

	for (size_t i = 0; i < s->known_count; i++)
		m->page[s->known[i]].known = THEN;
	for (size_t i = 0; i < m->known_count; i++)
		if (m->page[m->known[i]].known != THEN)
			page_renew(m, m->known[i]);
}

/* ---- the calls ---------------------------------------------------------- */

static bool snapshot_fill(struct model_snapshot *s, struct model *m)
{
	struct tape t = {0};

	if (!m->kept)
		m->kept = calloc(pieces(m), sizeof *m->kept);
	s->known_count = m->known_count;
	s->known = malloc(m->known_count * sizeof *s->known);
	s->blocks = m->known_count * (m->units + 1) + m->functions;
	s->block = calloc(s->blocks, sizeof *s->block);
	if (!m->kept || !s->known || !s->block)
		return false;
	memcpy(s->known, m->known, m->known_count * sizeof *s->known);
	go_machine(&t, m);
	s->tape = t.data;
	return !t.failed && each_block(m, s->block, block_take);
}

struct model_snapshot *model_snapshot(struct model *m)
{
	struct model_snapshot *s = calloc(1, sizeof *s);

	enter(m);
	if (s && !snapshot_fill(s, m)) {
		model_snapshot_free(s);
		s = NULL;
	}
	leave(m);
	return s;
}

void model_restore(struct model *m, const struct model_snapshot *s)
{
	struct tape t = {.data = s->tape, .plays = true};

	enter(m);
	renew_pages(m, s);
	go_machine(&t, m);
	each_block(m, s->block, block_back);
	leave(m);
}

void model_snapshot_free(struct model_snapshot *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->block && i < s->blocks; i++)
		block_put(s->block[i]);
	free(s->block);
	free(s->known);
	free(s->tape);
	free(s);
}

void snapshot_exit(struct model *m)
{
	for (size_t i = 0; m->kept && i < pieces(m); i++)
		block_put(m->kept[i]);
	free(m->kept);
}
