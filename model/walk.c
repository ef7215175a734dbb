/* SPDX-License-Identifier: MIT */
/*
 * Legacy-mode translation: root entry, context entry, second-stage tables
 * (VT-d 3.4, 3.7, 9.1, 9.3, 9.8). What is remembered is preferred over what
 * memory says; what is read is remembered.
 */
#include <string.h>
#include "internal.h"

unsigned levels_of(unsigned aw)
{
	return aw + 2;
}

static void set_fault(struct xlate *x, unsigned reason)
{
	x->fault = (uint8_t)reason;
}

static bool remembers_failures(const struct unit *u)
{
	return (u->r[R_CAP] & CAP_CM) && u->m->mode != MODEL_BENIGN;
}

static void walk_owned(struct unit *u, uint64_t pa, const char *what)
{
	struct page *p = page_of(u->m, pa);

	if (p && !p->owner)
		blame(u->m, u, MODEL_V_WALK, "6.5.3.3",
			"a walk reads page %#llx, which nobody has, as %s",
			(unsigned long long)(pa & PAGE_BASE), what);
}

/* ---- root and context entries ------------------------------------------- */

static unsigned root_check(struct unit *u, uint64_t lo, uint64_t hi)
{
	if (!(lo & ENTRY_P))
		return F_ROOT_NP;
	if ((lo & MASK(11, 1)) || hi || (lo & ~u->haw_mask)) {
		blame(u->m, u, MODEL_V_RESERVED, "9.1",
			"reserved bits in root entry %#llx %#llx",
			(unsigned long long)hi, (unsigned long long)lo);
		return F_ROOT_RSVD;
	}
	return 0;
}

/* From now on the unit may read any entry of the table. */
static void note_contexts(struct unit *u, unsigned bus, uint64_t root)
{
	table_page(u, root & PAGE_BASE,
		&(struct page){.role = ROLE_CONTEXT, .iova = bus});
}

static struct croot *root_entry(struct unit *u, unsigned bus)
{
	struct croot *c = &u->croot[bus];
	uint64_t e[2];

	if (c->valid) {
		u->m->n.cache_hits++;
		return c;
	}
	c->pa = u->root + bus * 16;
	walk_owned(u, c->pa, "root table");
	if (!view_read128(u, c->pa, e)) {
		c->fault = F_ROOT_ACCESS;
		return c;
	}
	c->lo = e[0];
	c->hi = e[1];
	c->fault = (uint8_t)root_check(u, c->lo, c->hi);
	if (!c->fault)
		note_contexts(u, bus, c->lo);
	if (u->m->mode != MODEL_BENIGN && (!c->fault || remembers_failures(u)))
		c->valid = true;
	return c;
}

static void check_did(struct unit *u, uint16_t sid, uint16_t did)
{
	unsigned width = 4 + 2 * CAP_ND(u->r[R_CAP]);

	if (did >> width)
		blame(u->m, u, MODEL_V_UNSUPPORTED, "9.3",
			"%04x: domain id %u is wider than %u bits", sid, did,
			width);
	if (!did && (u->r[R_CAP] & CAP_CM))
		blame(u->m, u, MODEL_V_UNSUPPORTED, "6.1",
			"%04x: domain id 0 under caching mode", sid);
}

static bool aw_supported(struct unit *u, unsigned aw, bool pass)
{
	/* The outer bits are reserved: software cannot go by them. */
	unsigned sagaw = CAP_SAGAW(u->r[R_CAP]) & 0xe;

	return (sagaw & 1u << aw) && (!pass || !(sagaw >> (aw + 1)));
}

static unsigned context_check(
	struct unit *u, uint16_t sid, uint64_t lo, uint64_t hi)
{
	unsigned tt = CE_TT(lo);
	uint64_t ecap = u->r[R_ECAP];
	bool bad;

	if (!(lo & ENTRY_P))
		return F_CTX_NP;
	bad = (lo & MASK(11, 4)) || (hi & BIT(7)) || (hi & MASK(63, 24)) ||
		(tt != TT_PASS && (lo & ~u->haw_mask));
	if (bad) {
		blame(u->m, u, MODEL_V_RESERVED, "9.3",
			"reserved bits in context entry of %04x, %#llx %#llx",
			sid, (unsigned long long)hi, (unsigned long long)lo);
		return F_CTX_RSVD;
	}
	if (tt == 3 || (tt == TT_ATS && !(ecap & ECAP_DT)) ||
		(tt == TT_PASS && !(ecap & ECAP_PT)) ||
		!aw_supported(u, CE_AW(hi), tt == TT_PASS)) {
		blame(u->m, u, MODEL_V_UNSUPPORTED, "9.3",
			"context entry of %04x: type %u, width %u are not "
			"offered",
			sid, tt, CE_AW(hi));
		return F_CTX_INVALID;
	}
	check_did(u, sid, CE_DID(hi));
	return 0;
}

/* Fills *out; the slot in the cache only if the unit would keep it. */
static void context_entry(struct unit *u, uint16_t sid, struct cctx *out)
{
	struct cctx *slot = context_slot(u, sid);
	struct croot *root;
	uint64_t e[2];

	if (slot->valid) {
		u->m->n.cache_hits++;
		*out = *slot;
		return;
	}
	u->m->n.walks++;
	root = root_entry(u, sid >> 8);
	*out = (struct cctx){.fault = root->fault,
		.pa = (root->lo & PAGE_BASE) + (sid & 255) * 16u};
	if (out->fault)
		return;
	walk_owned(u, out->pa, "context table");
	if (!view_read128(u, out->pa, e)) {
		out->fault = F_CTX_ACCESS;
		return;
	}
	out->lo = e[0];
	out->hi = e[1];
	out->fault = (uint8_t)context_check(u, sid, e[0], e[1]);
	out->tag = out->fault ? 0 : CE_DID(e[1]);
	if (!out->fault || remembers_failures(u))
		context_fill(u, sid, out);
}

/* ---- second stage ------------------------------------------------------- */

bool reserved_in_leaf(
	struct unit *u, uint64_t raw, unsigned level, bool leaf, uint64_t *bad)
{
	uint64_t reserved = MASK(51, SHIFT) & ~u->haw_mask;

	reserved |= BIT(62);
	if (!leaf || !(u->r[R_ECAP] & ECAP_SC))
		reserved |= SS_SNP;
	if (!leaf)
		reserved |= SS_PS;
	if (leaf && level == 2)
		reserved |= MASK(20, 12);
	if (leaf && level == 3)
		reserved |= MASK(29, 12);
	*bad = raw & reserved;
	return *bad;
}

/* Where a walk starts: the deepest table pointer remembered, of that level at
 * least, or the top. */
static unsigned walk_start(struct unit *u, const struct cctx *c, uint64_t iova,
	unsigned least, uint64_t *table, struct xlate *x)
{
	unsigned top = levels_of(CE_AW(c->hi));

	for (unsigned level = least; level < top; level++) {
		struct centry *e =
			cache_find(u, KIND_TABLE, level, x->did, iova);

		if (!e)
			continue;
		*table = e->pa;
		x->perm = e->perm;
		x->steps = e->steps;
		memcpy(x->path, e->path, sizeof e->path);
		return level;
	}
	*table = c->lo & PAGE_BASE;
	x->perm = PERM_R | PERM_W;
	return top;
}

static void remember(struct unit *u, struct xlate *x, unsigned kind,
	unsigned level, uint64_t iova, uint64_t pa)
{
	struct centry e = {.iova = iova,
		.pa = pa,
		.did = x->did,
		.kind = (uint8_t)kind,
		.level = (uint8_t)level,
		.perm = x->perm,
		.steps = x->steps};

	memcpy(e.path, x->path, sizeof e.path);
	cache_add(u, &e);
}

static void check_output(struct unit *u, struct xlate *x, uint64_t iova)
{
	const struct unit *end = u->m->unit + u->m->units;

	for (const struct unit *o = u->m->unit; o != end; o++)
		if (x->page_pa < o->base + o->size &&
			x->page_pa + x->page_size > o->base)
			blame(u->m, u, MODEL_V_ADDRESS, "8.3",
				"iova %#llx leads to the registers of unit %u",
				(unsigned long long)iova, o->index);
}

static void leaf_done(struct unit *u, struct xlate *x, uint64_t iova,
	uint64_t raw, unsigned level)
{
	uint64_t span = span_of(level);

	x->page_size = span;
	x->page_iova = iova & ~(span - 1);
	x->page_pa = raw & u->haw_mask & ~(span - 1);
	/* It is in the window, or the other way round. */
	if (in_window(x->page_pa) || x->page_pa / span == WINDOW / span) {
		blame(u->m, u, MODEL_V_ADDRESS, "3.14",
			"iova %#llx leads into the interrupt window",
			(unsigned long long)iova);
		set_fault(x, F_OUT_INTERRUPT);
		return;
	}
	check_output(u, x, iova);
	/* Hardware may keep a piece of a large page, and so the same page at
	 * several sizes (VT-d 6.2.5). */
	while (level > 1 && chance(u->m, 2))
		level--;
	span = span_of(level);
	remember(u, x, KIND_LEAF, level, iova,
		x->page_pa + ((iova & ~(span - 1)) - x->page_iova));
}

static void note_table(struct unit *u, const struct xlate *x, uint64_t table,
	unsigned level, uint64_t iova)
{
	table_page(u, table,
		&(struct page){.role = ROLE_TABLE,
			.level = (uint8_t)level,
			.did = x->did,
			.iova = iova / span_of(level + 1) *
				span_of(level + 1)});
}

/* One entry. Returns true when the walk is over. */
static bool walk_step(struct unit *u, struct xlate *x, uint64_t iova,
	unsigned level, uint64_t *table)
{
	uint64_t pa = *table + (iova / span_of(level) & 511) * 8, raw, bad;
	bool leaf;

	walk_owned(u, pa, "second-stage table");
	if (!view_read64(u, pa, &raw)) {
		set_fault(x, x->steps ? F_SS_ACCESS : F_CTX_INVALID);
		return true;
	}
	note_table(u, x, *table, level, iova);
	x->path[x->steps].pa = pa;
	x->path[x->steps++].raw = raw;
	if (!(raw & (SS_R | SS_W))) {
		x->perm = 0;
		if (remembers_failures(u))
			remember(u, x, KIND_NEGATIVE, level, iova, pa);
		return true;
	}
	leaf = level == 1 ||
		((raw & SS_PS) && (CAP_SSLPS(u->r[R_CAP]) << 2 & 1u << level));
	if (reserved_in_leaf(u, raw, level, leaf, &bad)) {
		blame(u->m, u, MODEL_V_RESERVED, "9.8",
			"reserved bits %#llx in the level %u entry of iova "
			"%#llx",
			(unsigned long long)bad, level,
			(unsigned long long)iova);
		set_fault(x, F_SS_RSVD);
		return true;
	}
	x->perm &= (uint8_t)raw;
	if (leaf) {
		leaf_done(u, x, iova, raw, level);
		return true;
	}
	*table = raw & u->haw_mask & PAGE_BASE;
	remember(u, x, KIND_TABLE, level - 1, iova, *table);
	return false;
}

/* A remembered failure of any level (CM=1). */
static bool cached_failure(struct unit *u, struct xlate *x, uint64_t iova)
{
	for (unsigned level = 1; level <= 5; level++) {
		struct centry *e =
			cache_find(u, KIND_NEGATIVE, level, x->did, iova);

		if (e) {
			u->m->n.cache_hits++;
			return true;
		}
	}
	return false;
}

static bool cached_leaf(struct unit *u, struct xlate *x, uint64_t iova)
{
	for (unsigned level = 1; level <= 3; level++) {
		struct centry *e =
			cache_find(u, KIND_LEAF, level, x->did, iova);

		if (!e)
			continue;
		u->m->n.cache_hits++;
		x->perm = e->perm;
		x->page_pa = e->pa;
		x->page_iova = e->iova;
		x->page_size = span_of(level);
		x->steps = e->steps;
		memcpy(x->path, e->path, sizeof e->path);
		return true;
	}
	return remembers_failures(u) && cached_failure(u, x, iova);
}

static void second_stage(struct unit *u, const struct cctx *c, uint64_t iova,
	enum access acc, struct xlate *x)
{
	unsigned width = SHIFT + 9 * levels_of(CE_AW(c->hi)), level;
	unsigned mgaw = CAP_MGAW(u->r[R_CAP]);
	uint64_t table;
	uint8_t want = acc == ACC_WRITE ? PERM_W
		: acc == ACC_ATOMIC     ? PERM_R | PERM_W
					: PERM_R;

	if (mgaw < width)
		width = mgaw;
	if (iova >> width) {
		set_fault(x, F_ADDRESS);
		return;
	}
	if (!cached_leaf(u, x, iova)) {
		u->m->n.walks++;
		level = walk_start(u, c, iova, 1, &table, x);
		while (!walk_step(u, x, iova, level, &table))
			level--;
	}
	if (x->fault)
		return;
	if (acc == ACC_ZERO && (u->r[R_CAP] & CAP_ZLR) && x->perm)
		want = 0;
	if ((x->perm & want) != want)
		set_fault(x, want & ~x->perm & PERM_W ? F_WRITE : F_READ);
	else
		x->pa = x->page_pa + (iova - x->page_iova);
}

void translate(struct unit *u, uint16_t sid, uint64_t iova, enum access acc,
	enum path path, struct xlate *x)
{
	struct cctx c;

	memset(x, 0, sizeof *x);
	if (u->ttm) {
		set_fault(x, u->ttm == 3 ? F_ABORT_DMA : F_TTM);
		return;
	}
	context_entry(u, sid, &c);
	x->silent = c.lo & ENTRY_FPD;
	if (c.fault) {
		set_fault(x, c.fault);
		return;
	}
	x->did = c.tag;
	if (path != UNTRANSLATED && CE_TT(c.lo) != TT_ATS) {
		set_fault(x, F_TT_BLOCKS);
		return;
	}
	if (path == TRANSLATED || CE_TT(c.lo) == TT_PASS) {
		if (iova & ~u->haw_mask) {
			set_fault(x, F_ADDRESS);
			return;
		}
		x->pa = iova;
		return;
	}
	second_stage(u, &c, iova, acc, x);
}

/* ---- walking ahead ------------------------------------------------------ */

static bool walks_ahead(const struct unit *u)
{
	/* What an earlier owner left is not the driver's to answer for. */
	return (u->r[R_GSTS] & G_TE) && !u->ttm && !u->gone && !u->hung &&
		u->root != u->m->secret;
}

/* Nothing is remembered of an entry that is not there, and walks take time. */
static bool is_worth_a_walk(struct unit *u, uint64_t pa)
{
	uint64_t raw;

	return remembers_failures(u) ||
		(view_read64(u, pa, &raw) && (raw & (SS_R | SS_W)));
}

static void prefetch_table(struct unit *u, uint64_t table, unsigned level,
	const struct xlate *x, uint64_t iova)
{
	note_table(u, x, table, level, iova);
	for (unsigned i = 0; i < 512; i++) {
		uint64_t at = iova | i * span_of(level), next = table;
		struct xlate y = *x;

		if (!is_worth_a_walk(u, table + i * 8) ||
			cached_leaf(u, &(struct xlate){.did = x->did}, at) ||
			walk_step(u, &y, at, level, &next))
			continue;
		if (page_of(u->m, next) && page_of(u->m, next)->owner)
			prefetch_table(u, next, level - 1, &y, at);
	}
}

static void prefetch_context(struct unit *u, uint16_t sid)
{
	struct xlate x = {.perm = PERM_R | PERM_W};
	struct cctx c;

	context_entry(u, sid, &c);
	if (c.fault || CE_TT(c.lo) == TT_PASS)
		return;
	x.did = c.tag;
	prefetch_table(u, c.lo & PAGE_BASE, levels_of(CE_AW(c.hi)), &x, 0);
}

static void prefetch_bus(struct unit *u, unsigned bus)
{
	uint16_t sid = (uint16_t)(bus << 8);

	if (!root_entry(u, bus)->fault)
		do
			prefetch_context(u, sid);
		while (++sid & 255);
}

void prefetch_unit(struct unit *u)
{
	for (unsigned bus = 0; walks_ahead(u) && bus < 256; bus++)
		prefetch_bus(u, bus);
}

/* Whether the entry in memory, if there is one, is of the domain. */
static bool context_says(struct unit *u, uint16_t sid, uint16_t did)
{
	uint64_t at = context_at(u, sid);

	return at != MODEL_NONE && CE_DID(ram_read64(u->m, at + 8)) == did;
}

/* The context by which requests come to a domain, if there is one still. What
 * is another domain's is not read for that. */
static bool context_of(struct unit *u, uint16_t did, struct cctx *out)
{
	for (unsigned sid = 0; sid < 65536; sid++) {
		struct cctx *bus = u->cctx[sid >> 8];

		if (!(bus && bus[sid & 255].valid) &&
			!context_says(u, (uint16_t)sid, did))
			continue;
		context_entry(u, (uint16_t)sid, out);
		if (!out->fault && out->tag == did && CE_TT(out->lo) != TT_PASS)
			return true;
	}
	return false;
}

/* An entry of a second-stage table, come to as a request would: what nobody can
 * reach any more is not remembered either. */
static void prefetch_below(struct unit *u, const struct page *p, uint64_t pa)
{
	struct xlate x = {.perm = PERM_R | PERM_W, .did = p->did};
	uint64_t iova = p->iova | (pa & 0xfff) / 8 * span_of(p->level), table;
	unsigned level;
	struct cctx c;

	if (!context_of(u, x.did, &c) ||
		cached_leaf(u, &(struct xlate){.did = x.did}, iova))
		return;
	level = walk_start(u, &c, iova, p->level, &table, &x);
	for (; level > p->level; level--) {
		if (walk_step(u, &x, iova, level, &table))
			return;
	}
	if (table == (pa & PAGE_BASE) && !walk_step(u, &x, iova, level, &table))
		prefetch_table(u, table, level - 1, &x, iova);
}

/* One entry of a watched table was stored: walk over it at once. */
void prefetch_entry(struct unit *u, struct page *p, uint64_t pa)
{
	unsigned entry = (pa & 0xfff) / 16;

	if (!walks_ahead(u))
		return;
	if (p->role == ROLE_ROOT)
		prefetch_bus(u, entry);
	if (p->role == ROLE_CONTEXT)
		prefetch_context(u, (uint16_t)(p->iova << 8 | entry));
	if (p->role == ROLE_TABLE)
		prefetch_below(u, p, pa);
}

void model_prefetch(struct model *m)
{
	const struct unit *end = m->unit + m->units;

	enter(m);
	for (struct unit *u = m->unit; u != end; u++)
		prefetch_unit(u);
	leave(m);
}

/* ---- what memory says --------------------------------------------------- */

uint64_t context_at(struct unit *u, uint16_t sid)
{
	struct model *m = u->m;
	uint64_t at = u->root + (sid >> 8) * 16u, root;

	if (!page_of(m, at))
		return MODEL_NONE;
	root = ram_read64(m, at);
	at = (root & u->haw_mask & PAGE_BASE) + (sid & 255) * 16u;
	if (!(root & ENTRY_P) || !page_of(m, at) ||
		!(ram_read64(m, at) & ENTRY_P))
		return MODEL_NONE;
	return at;
}

static void enumerate_table(struct unit *u, uint64_t table, unsigned level,
	uint64_t iova, unsigned perm, model_reach_fn *fn, void *ctx)
{
	for (unsigned i = 0; i < 512 && ram_has(u->m, table, MODEL_PAGE); i++) {
		uint64_t raw = ram_read64(u->m, table + i * 8);
		uint64_t span = span_of(level);
		unsigned p = perm & (unsigned)raw;
		uint64_t at = iova | i * span, pa = raw & u->haw_mask;
		bool leaf = level == 1 || ((raw & SS_PS) && level < 4);

		if (!(raw & (SS_R | SS_W)))
			continue;
		if (leaf) {
			fn(ctx,
				&(struct model_reach){at, pa & ~(span - 1),
					span, p & PERM_R, p & PERM_W});
			continue;
		}
		enumerate_table(u, pa & PAGE_BASE, level - 1, at, p, fn, ctx);
	}
}

bool model_enumerate(struct model *m, uint16_t segment, uint16_t bdf,
	model_reach_fn *fn, void *ctx)
{
	uint16_t sid = requester_of(m, segment, bdf);
	struct unit *u = unit_for(m, segment, bdf);
	uint64_t at, lo;
	bool mapped = true;

	if (!u)
		return false;
	enter(m);
	at = context_at(u, sid);
	if (!(u->r[R_GSTS] & G_TE)) {
		mapped = false;
	} else if (at != MODEL_NONE) {
		lo = ram_read64(m, at);
		mapped = CE_TT(lo) != TT_PASS;
		if (mapped)
			enumerate_table(u, lo & PAGE_BASE,
				levels_of(CE_AW(ram_read64(m, at + 8))), 0,
				PERM_R | PERM_W, fn, ctx);
	}
	leave(m);
	return mapped;
}
