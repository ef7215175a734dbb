/* SPDX-License-Identifier: MIT */
/*
 * What a unit remembers: root, context and interrupt entries, translations,
 * pointers to tables, and failures under caching mode. Nothing is forgotten
 * but by a flush that names it exactly; hardware may forget more, a driver
 * must not count on it.
 *
 * Translations of one domain are chained, so that a flush by domain costs
 * what the domain holds.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/* The part of the address space that an entry speaks for. */
static uint64_t entry_span(const struct centry *e)
{
	/* A pointer to a table of level n covers what the table covers. */
	return e->kind == KIND_TABLE ? span_of(e->level + 1u)
				     : span_of(e->level);
}

static uint32_t *bucket_of(struct cache *c, unsigned kind, unsigned level,
	uint16_t did, uint64_t iova)
{
	uint64_t key = iova ^ ((uint64_t)did << 48 | kind << 4 | level);

	return &c->bucket[key * 0x9e3779b97f4a7c15ull >> 52];
}

void cache_init(struct unit *u)
{
	struct cache *c = &u->tlb;

	c->bucket = needed(malloc(BUCKETS * sizeof *c->bucket));
	u->did_use = needed(calloc(65536, sizeof *u->did_use));
	memset(c->bucket, 0xff, BUCKETS * sizeof *c->bucket);
	memset(c->dom, 0xff, sizeof c->dom);
	c->free = NIL;
	u->snapshot = needed(calloc(1, RING_BYTES_MOST));
	/* Also of a unit without: a driver may switch it on. */
	u->cirte = needed(calloc(65536, sizeof *u->cirte));
}

void cache_exit(struct unit *u)
{
	free(u->tlb.entry);
	free(u->tlb.bucket);
	free(u->did_use);
	free(u->cirte);
	for (unsigned i = 0; i < 256; i++)
		free(u->cctx[i]);
	free(u->fetched);
	free(u->snapshot);
}

static uint32_t cache_slot(struct cache *c)
{
	uint32_t i = c->free;

	if (i != NIL) {
		c->free = c->entry[i].hash_next;
		return i;
	}
	c->entry = room_for_one(c->entry, c->count, &c->room, sizeof *c->entry);
	return c->count++;
}

static void count_refs(struct unit *u, const struct centry *e, int by)
{
	struct page *p = page_of(u->m, e->pa);

	if (e->kind == KIND_LEAF && e->level > 1)
		u->tlb.large += (uint32_t)by;
	else if (p && e->kind == KIND_LEAF)
		p->leaf_refs += (uint32_t)by;
	else if (p && e->kind == KIND_TABLE)
		p->table_refs += (uint32_t)by;
}

struct centry *cache_find(struct unit *u, unsigned kind, unsigned level,
	uint16_t did, uint64_t iova)
{
	struct cache *c = &u->tlb;
	uint32_t i;

	iova &= ~(
		(kind == KIND_TABLE ? span_of(level + 1) : span_of(level)) - 1);
	i = *bucket_of(c, kind, level, did, iova);
	for (; i != NIL; i = c->entry[i].hash_next) {
		struct centry *e = &c->entry[i];

		if (e->iova == iova && e->did == did && e->kind == kind &&
			e->level == level)
			return e;
	}
	return NULL;
}

void cache_add(struct unit *u, const struct centry *from)
{
	struct cache *c = &u->tlb;
	struct centry *e;
	uint32_t i, *bucket, *domain = &c->dom[from->did & 255];

	if (u->m->mode == MODEL_BENIGN && from->kind != KIND_LEAF)
		return;
	if (cache_find(u, from->kind, from->level, from->did, from->iova))
		return;
	i = cache_slot(c);
	e = &c->entry[i];
	*e = *from;
	e->iova &= ~(entry_span(e) - 1);
	e->used = true;
	bucket = bucket_of(c, e->kind, e->level, e->did, e->iova);
	e->hash_next = *bucket;
	*bucket = i;
	e->dom_prev = NIL;
	e->dom_next = *domain;
	if (*domain != NIL)
		c->entry[*domain].dom_prev = i;
	*domain = i;
	c->live++;
	count_refs(u, e, 1);
}

static void cache_remove(struct unit *u, struct centry *e)
{
	struct cache *c = &u->tlb;
	uint32_t i = (uint32_t)(e - c->entry);
	uint32_t *link = bucket_of(c, e->kind, e->level, e->did, e->iova);

	while (*link != i)
		link = &c->entry[*link].hash_next;
	*link = e->hash_next;
	if (e->dom_prev != NIL)
		c->entry[e->dom_prev].dom_next = e->dom_next;
	else
		c->dom[e->did & 255] = e->dom_next;
	if (e->dom_next != NIL)
		c->entry[e->dom_next].dom_prev = e->dom_prev;
	count_refs(u, e, -1);
	e->used = false;
	e->hash_next = c->free;
	c->free = i;
	c->live--;
}

struct centry *cache_from(struct unit *u, uint32_t *i)
{
	for (; *i < u->tlb.count; ++*i)
		if (u->tlb.entry[*i].used)
			return &u->tlb.entry[*i];
	return NULL;
}

/* ---- context and root entries ------------------------------------------- */

struct croot *root_from(struct unit *u, unsigned *bus)
{
	for (; *bus < 256; ++*bus)
		if (u->croot[*bus].valid)
			return &u->croot[*bus];
	return NULL;
}

struct cctx *context_slot(struct unit *u, uint16_t sid)
{
	struct cctx **bus = &u->cctx[sid >> 8];

	if (!*bus)
		*bus = needed(calloc(256, sizeof **bus));
	return &(*bus)[sid & 255];
}

struct cctx *context_from(struct unit *u, unsigned *sid)
{
	for (; *sid < 65536; ++*sid) {
		struct cctx *bus = u->cctx[*sid >> 8];

		if (!bus)
			*sid |= 255;
		else if (bus[*sid & 255].valid)
			return &bus[*sid & 255];
	}
	return NULL;
}

/* MODEL_NONE if a context leads to none. */
static uint64_t top_table(const struct unit *u, const struct cctx *c)
{
	if (c->fault || CE_TT(c->lo) == TT_PASS)
		return MODEL_NONE;
	return c->lo & u->haw_mask & PAGE_BASE;
}

static void context_refs(struct unit *u, const struct cctx *c, int by)
{
	struct page *p = page_of(u->m, top_table(u, c));

	if (!p)
		return;
	/* Of whatever unit: the same words mean something else at another
	 * level (VT-d 9.3). */
	if (p->top_refs && p->top_aw != CE_AW(c->hi))
		blame(u->m, u, MODEL_V_UNSUPPORTED, "9.3",
			"a table is used with %u and with %u levels",
			levels_of(p->top_aw), levels_of(CE_AW(c->hi)));
	p->table_refs += (uint32_t)by;
	p->top_refs += (uint32_t)by;
	p->top_aw = (uint8_t)CE_AW(c->hi);
}

/* A domain id must stand for one table of one depth (VT-d 9.3). */
static void check_domain_id(struct unit *u, uint16_t sid, const struct cctx *c)
{
	struct did_use *use = &u->did_use[c->tag];
	uint64_t root = top_table(u, c);
	uint32_t i;

	if (use->contexts && use->root != root)
		blame(u->m, u, MODEL_V_UNSUPPORTED, "9.3",
			"domain id %u of %04x stands for two tables, %#llx "
			"and %#llx",
			c->tag, sid, (unsigned long long)use->root,
			(unsigned long long)root);
	use->root = root;
	for (i = u->tlb.dom[c->tag & 255]; i != NIL;
		i = u->tlb.entry[i].dom_next) {
		struct centry *e = &u->tlb.entry[i];
		uint64_t top = e->path[0].pa & PAGE_BASE;

		if (e->did == c->tag && top != root) {
			blame(u->m, u, MODEL_V_STALE, "6.5.3.3",
				"domain id %u used again, iova %#llx of its "
				"earlier table is still cached",
				c->tag, (unsigned long long)e->iova);
			break;
		}
	}
}

void context_fill(struct unit *u, uint16_t sid, const struct cctx *c)
{
	struct cctx *slot = context_slot(u, sid);

	if (!c->fault && u->m->mode != MODEL_BENIGN)
		check_domain_id(u, sid, c);
	*slot = *c;
	slot->valid = true;
	if (!c->fault)
		u->did_use[c->tag].contexts++;
	if (u->did_end <= c->tag)
		u->did_end = c->tag + 1u;
	context_refs(u, slot, 1);
}

void context_drop(struct unit *u, struct cctx *c)
{
	context_refs(u, c, -1);
	if (!c->fault)
		u->did_use[c->tag].contexts--;
	c->valid = 0;
}

/*
 * What came by way of a context that says something else now has to go after
 * it: as long as the context was remembered, it brought more of the same. When
 * is up to the driver, whose other CPUs may flush the domain in between; at
 * rest it must have been done (VT-d 6.5.3.3).
 */
static void owe_iotlb(struct unit *u, const struct cctx *c)
{
	struct did_use *use = &u->did_use[c->tag];

	if (c->fault || use->owes_iotlb || u->m->mode == MODEL_BENIGN)
		return;
	use->owes_iotlb = true;
	u->owing++;
}

static void pay_iotlb(struct unit *u, struct did_use *use)
{
	u->owing -= use->owes_iotlb;
	use->owes_iotlb = use->early = false;
}

/* ---- stale or not ------------------------------------------------------- */

/* What is remembered was read, so it has a place in memory. */

/* Bits of a second-stage entry that hardware looks at. */
uint64_t ss_meaning(uint64_t raw)
{
	if (!(raw & (SS_R | SS_W)))
		return 0;
	return raw & (SS_R | SS_W | SS_PS | SS_SNP | MASK(51, 12));
}

bool centry_is_stale(struct unit *u, const struct centry *e)
{
	for (unsigned i = 0; i < e->steps; i++)
		if (ss_meaning(ram_read64(u->m, e->path[i].pa)) !=
			ss_meaning(e->path[i].raw))
			return true;
	return false;
}

/* Two entries that are both not present say the same. */
static bool differ(uint64_t lo, uint64_t old, uint64_t meaning)
{
	return ((lo | old) & ENTRY_P) && ((lo ^ old) & meaning);
}

bool context_is_stale(struct unit *u, const struct cctx *c)
{
	uint64_t lo = ram_read64(u->m, c->pa);
	uint64_t hi = ram_read64(u->m, c->pa + 8);

	/* Bits 70:67 belong to software. */
	return differ(lo, c->lo, ~0ull) ||
		((lo & ENTRY_P) && ((hi ^ c->hi) & ~MASK(6, 3)));
}

bool root_is_stale(struct unit *u, const struct croot *c)
{
	return differ(ram_read64(u->m, c->pa), c->lo, ~0ull);
}

bool cirte_is_stale(struct unit *u, const struct cirte *c)
{
	uint64_t lo = ram_read64(u->m, c->pa);
	uint64_t hi = ram_read64(u->m, c->pa + 8);

	return differ(lo, c->lo, ~MASK(11, 8)) ||
		((lo & ENTRY_P) && hi != c->hi);
}

/* ---- flushes ------------------------------------------------------------ */

static bool flush_roots(struct unit *u)
{
	bool needed = u->owe_cc;
	struct croot *c;

	u->owe_cc = false;
	for (unsigned bus = 0; (c = root_from(u, &bus)); bus++) {
		needed |= root_is_stale(u, c);
		c->valid = 0;
	}
	return needed;
}

void flush_context(struct unit *u, const struct context_flush *f)
{
	static const uint16_t function_mask[] = {0, 4, 6, 7};
	uint16_t mask = function_mask[f->fm & 3];
	unsigned gran = f->gran;
	bool needed = false;
	struct cctx *c;

	view_drain(u);
	u->m->n.flushes++;
	if (gran == GRAN_DOMAIN && (u->quirks & MODEL_QUIRK_CC_WIDENS))
		gran = GRAN_GLOBAL;
	if (gran == GRAN_GLOBAL)
		needed = flush_roots(u);
	for (unsigned sid = 0; (c = context_from(u, &sid)); sid++) {
		if (gran != GRAN_GLOBAL && c->tag != f->did &&
			u->m->mode != MODEL_BENIGN)
			continue;
		if (gran == GRAN_NARROW && ((sid ^ f->sid) & ~mask))
			continue;
		if (context_is_stale(u, c)) {
			needed = true;
			owe_iotlb(u, c);
		}
		context_drop(u, c);
	}
	u->m->n.superfluous += !needed;
}

/* Whether a page-selective flush makes the unit forget an entry. Both begin at
 * a multiple of their size, whatever the address of the flush says. */
static bool page_flush_hits(const struct centry *e, const struct iotlb_flush *f)
{
	uint64_t span = entry_span(e), apart = e->iova ^ f->addr;

	/* What comes from an upper entry goes with any page below it, unless
	 * the driver says that only leaves changed. */
	if (e->kind == KIND_TABLE || (e->kind == KIND_NEGATIVE && e->level > 1))
		return !f->ih && (apart < span || apart < f->size);
	/* Part of a large page is not enough (VT-d 6.5.2.3). */
	return apart < f->size && span <= f->size;
}

/* After a flush of a domain the unit may walk again, with what it remembers of
 * the context: an old entry there brings the old translations back. */
static void note_early(struct unit *u, uint16_t did)
{
	struct cctx *c;

	for (unsigned sid = 0; (c = context_from(u, &sid)); sid++)
		if (c->tag == did && context_is_stale(u, c))
			u->did_use[did].early = true;
}

static unsigned drained(const struct unit *u, const struct iotlb_flush *f)
{
	bool always = is_major(u, 2);

	/* A unit that cannot drain on request does it always or never; a
	 * driver could not tell, so it is not blamed (VT-d 6.5.4). */
	return (always || !(u->r[R_CAP] & CAP_DWD) || f->dw ? DRAIN_WRITES
							    : 0u) |
		(always || !(u->r[R_CAP] & CAP_DRD) || f->dr ? DRAIN_READS
							     : 0u);
}

/* Of one chain of domains. Returns whether anything was old. */
static bool flush_chain(
	struct unit *u, unsigned chain, const struct iotlb_flush *f)
{
	struct cache *c = &u->tlb;
	bool needed = false;
	uint32_t next;

	for (uint32_t i = c->dom[chain]; i != NIL; i = next) {
		struct centry *e = &c->entry[i];

		next = e->dom_next;
		if (f->gran != GRAN_GLOBAL && e->did != f->did)
			continue;
		if (f->gran == GRAN_NARROW && !page_flush_hits(e, f))
			continue;
		needed |= centry_is_stale(u, e);
		cache_remove(u, e);
	}
	return needed;
}

void flush_iotlb(struct unit *u, const struct iotlb_flush *f)
{
	bool needed = false;

	view_drain(u);
	u->m->n.flushes++;
	if (f->gran == GRAN_DOMAIN) {
		needed = u->did_use[f->did].owes_iotlb;
		pay_iotlb(u, &u->did_use[f->did]);
		note_early(u, f->did);
	}
	if (f->gran != GRAN_GLOBAL)
		needed |= flush_chain(u, f->did & 255, f);
	else
		for (unsigned chain = 0; chain < 256; chain++)
			needed |= flush_chain(u, chain, f);
	if (post_drain(u, drained(u, f), f, 0))
		needed = true;
	if (f->gran == GRAN_GLOBAL) {
		needed |= u->owe_iotlb || u->owing;
		for (unsigned i = 0; u->owing; i++)
			pay_iotlb(u, &u->did_use[i]);
		/* Before the contexts are forgotten it does not count. */
		u->iotlb_early = u->owe_cc;
		u->owe_iotlb &= u->owe_cc;
	}
	u->m->n.superfluous += !needed;
}

static void forget_irtes(
	struct unit *u, unsigned first, unsigned end, bool needed)
{
	view_drain(u);
	u->m->n.flushes++;
	for (unsigned i = first; i < end && i < u->cirte_end; i++) {
		if (!u->cirte[i].valid)
			continue;
		needed |= cirte_is_stale(u, &u->cirte[i]);
		u->cirte[i].valid = 0;
		u->cirte_live--;
	}
	u->m->n.superfluous += !needed;
}

void flush_irtes(struct unit *u, unsigned index, unsigned im)
{
	unsigned first = index >> im << im;

	forget_irtes(u, first, first + (1u << im), false);
}

void flush_all_irtes(struct unit *u)
{
	forget_irtes(u, 0, u->cirte_end, u->owe_iec);
	u->owe_iec = false;
}

void flush_all_dma(struct unit *u)
{
	struct model_counters kept = u->m->n;

	flush_context(u, &(struct context_flush){.gran = GRAN_GLOBAL});
	flush_iotlb(u,
		&(struct iotlb_flush){
			.gran = GRAN_GLOBAL, .dr = true, .dw = true});
	u->m->n = kept;
}

void cache_clear(struct unit *u)
{
	struct model_counters kept = u->m->n;

	flush_all_dma(u);
	flush_all_irtes(u);
	u->m->n = kept;
}

/* ---- who can still reach a page ----------------------------------------- */

/* A page counts for all units together who refers to it: the searches say of
 * one unit whether it is among them. */

static bool leaf_leads_to(struct unit *u, uint64_t pa)
{
	struct centry *e;

	for (uint32_t i = 0; (e = cache_from(u, &i)); i++)
		if (e->kind == KIND_LEAF && pa - e->pa < span_of(e->level))
			return true;
	return false;
}

static bool table_leads_to(struct unit *u, uint64_t pa)
{
	struct centry *e;
	struct cctx *c;

	for (uint32_t i = 0; (e = cache_from(u, &i)); i++)
		if (e->kind == KIND_TABLE && e->pa == pa)
			return true;
	for (unsigned sid = 0; (c = context_from(u, &sid)); sid++)
		if (top_table(u, c) == pa)
			return true;
	return false;
}

/* While translation is off nothing is walked, and what is remembered has to be
 * flushed before it can be on again. */
static bool root_leads_to(struct unit *u, uint64_t pa)
{
	struct croot *c;

	for (unsigned bus = 0; (c = root_from(u, &bus)); bus++)
		if (!c->fault && (c->lo & u->haw_mask & PAGE_BASE) == pa)
			return u->r[R_GSTS] & G_TE;
	return false;
}

bool cache_reaches(struct unit *u, uint64_t pa, const char **how)
{
	struct page *p = page_of(u->m, pa);

	if (u->gone)
		return false;
	if ((p->leaf_refs || u->tlb.large) && leaf_leads_to(u, pa))
		*how = "a cached translation";
	else if (p->table_refs && table_leads_to(u, pa))
		*how = "a cached table pointer";
	else if (root_leads_to(u, pa))
		*how = "a cached root entry";
	else if (u->root_set && (u->r[R_GSTS] & G_TE) && !u->ttm &&
		u->root == pa)
		*how = "its root table";
	else if ((u->r[R_GSTS] & G_IRE) && u->irt_set && pa >= u->irt &&
		pa - u->irt < u->irt_entries * 16ull)
		*how = "its interrupt table";
	else if ((u->r[R_GSTS] & G_QIE) && pa >= queue_base(u) &&
		pa - queue_base(u) < queue_bytes(u))
		*how = "its invalidation queue";
	else if (queue_stores_to(u, pa))
		*how = "the status word of a pending wait";
	else
		return false;
	return true;
}

size_t model_cached(struct model *m, unsigned unit)
{
	struct unit *u;
	size_t n;

	if (unit >= m->units)
		return 0;
	enter(m);
	u = &m->unit[unit];
	n = u->tlb.live + u->cirte_live;
	for (unsigned bus = 0; root_from(u, &bus); bus++)
		n++;
	for (unsigned sid = 0; context_from(u, &sid); sid++)
		n++;
	leave(m);
	return n;
}
