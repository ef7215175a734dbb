/* SPDX-License-Identifier: MIT */
/*
 * Memory, who owns each page, and what a unit that does not snoop sees of it.
 *
 * The driver stores through ordinary pointers. A unit without coherence
 * (ECAP.C=0) or with write buffers (CAP.RWBF=1) reads its tables from a copy
 * of its own, the view; cache-line flushes and write-buffer flushes bring
 * lines over. Data that devices read and write never passes a view: DMA is
 * snooped.
 *
 * Pages given back are filled with words that work as an entry of any level
 * and lead to the secret page, which is full of them too: a walk that touches
 * stale or freed memory always ends there, and is seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "internal.h"

static void *mapped(uint64_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	return needed(p == MAP_FAILED ? NULL : p);
}

static void *zeroes(uint64_t size)
{
	return mapped(size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

static void map_twice(struct model *m)
{
	int fd = memfd_create("model", MFD_CLOEXEC);

	if (ftruncate(fd, (off_t)m->ram_size))
		abort();
	m->ram = mapped(m->ram_size, MAP_SHARED, fd);
	m->alias = mapped(m->ram_size, MAP_SHARED, fd);
	close(fd);
}

static void trap_page(struct model *m, uint64_t pa)
{
	uint64_t trap = m->secret | SS_R | SS_W;
	uint64_t *word = (uint64_t *)ram_at(m, pa);

	page_of(m, pa);
	for (unsigned i = 0; i < MODEL_PAGE / 8; i++)
		word[i] = trap;
	for (unsigned i = 0; i < m->units; i++)
		if (m->unit[i].view)
			memcpy(m->unit[i].view + (pa - m->ram_base), word,
				MODEL_PAGE);
}

bool memory_init(struct model *m, const struct model_desc *d)
{
	m->ram_base = d->ram_base;
	m->ram_size = d->ram_size ? d->ram_size : 64ull << 20;
	if ((m->ram_base | m->ram_size) & (MODEL_PAGE - 1))
		return false;
	m->pages = m->ram_size >> SHIFT;
	m->page = needed(calloc(m->pages, sizeof *m->page));
	m->known = needed(malloc(m->pages * sizeof *m->known));
	m->free_stack = needed(malloc(m->pages * sizeof *m->free_stack));
	/* With the watcher on, the model writes through a mapping of its own.
	 */
	if (m->flags & MODEL_WATCH)
		map_twice(m);
	else
		m->ram = m->alias = zeroes(m->ram_size);
	/* The last page is the secret: nobody is ever given it, nor the one
	 * below, which belongs to firmware: queues left on lie there. */
	m->secret = m->ram_base + m->ram_size - MODEL_PAGE;
	trap_page(m, m->secret);
	return true;
}

void memory_exit(struct model *m)
{
	for (unsigned i = 0; i < m->units; i++) {
		if (m->unit[i].view)
			munmap(m->unit[i].view, m->ram_size);
		free(m->unit[i].lines);
	}
	/* Only the watcher has copies; a look at every page takes time. */
	for (size_t i = 0; m->page && (m->flags & MODEL_WATCH) && i < m->pages;
		i++)
		free(m->page[i].copy);
	if (m->ram)
		munmap(m->ram, m->ram_size);
	if (m->alias && m->alias != m->ram)
		munmap(m->alias, m->ram_size);
	free(m->page);
	free(m->known);
	free(m->free_stack);
}

void view_init(struct unit *u)
{
	struct model *m = u->m;
	bool buffered = (u->r[R_CAP] & CAP_RWBF) ||
		(u->quirks & MODEL_QUIRK_HIDDEN_RWBF);

	if (m->mode == MODEL_BENIGN)
		return;
	if ((u->r[R_ECAP] & ECAP_C) && !buffered)
		return;
	u->buffered = buffered;
	u->view = zeroes(m->ram_size);
	memcpy(u->view + (m->secret - m->ram_base), ram_at(m, m->secret),
		MODEL_PAGE);
}

/* ---- pages -------------------------------------------------------------- */

static bool allocation_fails(struct model *m)
{
	if (m->fail_alloc <= 0)
		return false;
	if (--m->fail_alloc > 0)
		return false;
	m->fail_alloc = m->fail_forever ? 1 : 0;
	m->failures++;
	return true;
}

/* A single page: the one given back last, or any of them by chance. */
static size_t take_single(struct model *m)
{
	size_t at, i;

	if (!m->free_count)
		return SIZE_MAX;
	at = m->free_count - 1;
	if (m->mode == MODEL_RANDOM)
		at = rnd(m) % m->free_count;
	i = m->free_stack[at];
	m->free_stack[at] = m->free_stack[--m->free_count];
	return i;
}

static bool run_is_free(struct model *m, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		if (m->page[i].owner)
			return false;
	return true;
}

/* The first page from there on at which a run may start. */
static size_t aligned(const struct model *m, size_t from, size_t count)
{
	size_t base = m->ram_base >> SHIFT;

	return ((base + from + count - 1) & ~(count - 1)) - base;
}

/* Of pages never taken, or else of any that are free. */
static size_t take_run(struct model *m, size_t count)
{
	size_t end = m->pages - 2, first = aligned(m, m->bump, count), kept = 0;

	if (first + count > end)
		first = aligned(m, 0, count);
	while (first + count <= end && !run_is_free(m, first, count))
		first += count;
	if (first + count > end)
		return SIZE_MAX;
	/* They may lie on the stack of free ones; what is skipped stays
	 * available. */
	for (size_t i = 0; i < m->free_count; i++)
		if (m->free_stack[i] - first >= count)
			m->free_stack[kept++] = m->free_stack[i];
	m->free_count = kept;
	for (; m->bump < first + count; m->bump++) {
		trap_page(m, m->ram_base + (m->bump << SHIFT));
		if (m->bump < first)
			m->free_stack[m->free_count++] = (uint32_t)m->bump;
	}
	return first;
}

uint64_t model_page_alloc(struct model *m, unsigned order, unsigned owner)
{
	size_t count, first = SIZE_MAX;
	uint64_t pa = MODEL_NONE;

	enter(m);
	if (order >= 63 || !owner || owner >= 255 || allocation_fails(m))
		goto out;
	count = (size_t)1 << order;
	if (!order)
		first = take_single(m);
	if (first == SIZE_MAX)
		first = take_run(m, count);
	if (first == SIZE_MAX)
		goto out;
	for (size_t i = first; i < first + count; i++)
		page_at(m, i)->owner = (uint8_t)owner;
	m->in_use += count;
	pa = m->ram_base + ((uint64_t)first << SHIFT);
out:
	leave(m);
	return pa;
}

static void check_reach(struct model *m, uint64_t pa)
{
	const char *how = NULL;

	for (unsigned i = 0; i < m->units; i++)
		if (cache_reaches(&m->unit[i], pa, &how))
			blame(m, &m->unit[i], MODEL_V_FREE, "6.5.3.3",
				"page %#llx given back, the unit still has "
				"it as %s",
				(unsigned long long)pa, how);
	if (page_of(m, pa)->post_refs)
		blame(m, NULL, MODEL_V_FREE, "6.5.4",
			"page %#llx given back, requests for it are in flight",
			(unsigned long long)pa);
	else if (dtlb_reaches(m, pa))
		blame(m, NULL, MODEL_V_FREE, "6.5.2.5",
			"page %#llx given back, a device TLB still leads to it",
			(unsigned long long)pa);
}

void model_page_free(struct model *m, uint64_t phys, unsigned order)
{
	size_t count = (size_t)1 << order;

	enter(m);
	for (size_t n = 0; n < count; n++) {
		uint64_t pa = phys + n * MODEL_PAGE;
		struct page *p = page_of(m, pa);

		if (!p || !p->owner || (phys & (MODEL_PAGE - 1))) {
			blame(m, NULL, MODEL_V_FREE, "-",
				"page %#llx given back, but nobody has it",
				(unsigned long long)pa);
			continue;
		}
		check_reach(m, pa);
		if (p->watched)
			unwatch_page(m, p);
		p->owner = 0;
		p->role = ROLE_NONE;
		m->in_use--;
		trap_page(m, pa);
		m->free_stack[m->free_count++] =
			(uint32_t)((pa - m->ram_base) >> SHIFT);
	}
	leave(m);
}

void model_fail_alloc(struct model *m, unsigned n, bool forever)
{
	enter(m);
	m->fail_alloc = n;
	m->fail_forever = forever;
	leave(m);
}

size_t model_pages_in_use(struct model *m, unsigned owner)
{
	size_t n = 0;

	enter(m);
	if (!owner)
		n = m->in_use;
	for (size_t i = 0; owner && i < m->bump; i++)
		n += m->page[i].owner == owner;
	leave(m);
	return n;
}

void *model_ptr(struct model *m, uint64_t phys)
{
	if (!ram_has(m, phys, 1))
		return NULL;
	/* Whoever asks may store there. */
	if (!__atomic_load_n(&m->page[(phys - m->ram_base) >> SHIFT].known,
		    __ATOMIC_RELAXED)) {
		enter(m);
		page_of(m, phys);
		leave(m);
	}
	return m->ram + (phys - m->ram_base);
}

void *model_direct_map(struct model *m)
{
	return m->ram - m->ram_base;
}

/* ---- views -------------------------------------------------------------- */

uint64_t ram_read64(struct model *m, uint64_t pa)
{
	return __atomic_load_n((uint64_t *)ram_at(m, pa), __ATOMIC_ACQUIRE);
}

static uint64_t line_of(uint64_t pa)
{
	return pa / LINE * LINE;
}

static void view_take_line(struct unit *u, uint64_t pa)
{
	pa = line_of(pa);
	memcpy(u->view + (pa - u->m->ram_base), ram_at(u->m, pa), LINE);
}

/* A cache may write any line back at any time, in any order. */
static void view_evict_by_chance(struct unit *u, uint64_t pa)
{
	if (chance(u->m, 8))
		view_take_line(u, pa);
}

bool view_read64(struct unit *u, uint64_t pa, uint64_t *out)
{
	if (!ram_has(u->m, pa, 8))
		return false;
	if (!u->view) {
		*out = ram_read64(u->m, pa);
		return true;
	}
	view_evict_by_chance(u, pa);
	memcpy(out, u->view + (pa - u->m->ram_base), sizeof *out);
	return true;
}

bool view_read128(struct unit *u, uint64_t pa, uint64_t out[2])
{
	if (!ram_has(u->m, pa, 16))
		return false;
	if (u->view) {
		view_evict_by_chance(u, pa);
		memcpy(out, u->view + (pa - u->m->ram_base), 16);
		return true;
	}
	/* Low half first: the half that says "present" may be the older. */
	out[0] = ram_read64(u->m, pa);
	out[1] = ram_read64(u->m, pa + 8);
	return true;
}

void device_store(struct model *m, uint64_t pa, const void *buf, size_t len)
{
	memcpy(ram_at(m, pa), buf, len);
	for (unsigned i = 0; i < m->units; i++)
		if (m->unit[i].view)
			memcpy(m->unit[i].view + (pa - m->ram_base), buf, len);
}

static void buffer_line(struct unit *u, uint64_t pa)
{
	struct line *line;

	u->lines = room_for_one(
		u->lines, u->line_count, &u->line_room, sizeof *line);
	line = &u->lines[u->line_count++];
	line->pa = pa;
	memcpy(line->data, ram_at(u->m, pa), LINE);
}

void model_cache_flush(struct model *m, uint64_t phys, size_t len)
{
	enter(m);
	for (unsigned i = 0; len && i < m->units; i++) {
		struct unit *u = &m->unit[i];
		uint64_t end = phys + len;

		if (!u->view || (u->r[R_ECAP] & ECAP_C))
			continue;
		for (uint64_t pa = line_of(phys); pa < end; pa += LINE) {
			if (!ram_has(m, pa, LINE))
				continue;
			m->n.line_flushes++;
			if (u->buffered)
				buffer_line(u, pa);
			else
				view_take_line(u, pa);
		}
	}
	leave(m);
}

/* The chipset's write buffers become empty (GCMD.WBF, or implied). */
void view_drain(struct unit *u)
{
	struct model *m = u->m;

	if (!u->buffered)
		return;
	if (u->r[R_ECAP] & ECAP_C)
		memcpy(u->view, m->alias, m->bump << SHIFT);
	for (unsigned i = 0; i < u->line_count; i++)
		memcpy(u->view + (u->lines[i].pa - m->ram_base),
			u->lines[i].data, LINE);
	u->line_count = 0;
}

/* Whether the unit would act otherwise on what it sees in this line. */
static bool line_differs(
	enum role role, const uint64_t seen[8], const uint64_t real[8])
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned low = i & ~1u;

		if (role == ROLE_TABLE) {
			if (ss_meaning(seen[i]) != ss_meaning(real[i]))
				return true;
			continue;
		}
		if (seen[i] != real[i] && ((seen[low] | real[low]) & ENTRY_P))
			return true;
	}
	return false;
}

/* The driver did its part for the line; what is missing is GCMD.WBF. */
static bool line_is_buffered(const struct unit *u, uint64_t pa)
{
	if (!u->buffered || (u->r[R_ECAP] & ECAP_C))
		return u->buffered;
	for (size_t i = u->line_count; i--;) {
		if (u->lines[i].pa == pa)
			return !memcmp(
				u->lines[i].data, ram_at(u->m, pa), LINE);
	}
	return false;
}

/* One page of a table that the unit can reach. False: seen before. */
static bool view_check_page(
	struct unit *u, uint64_t pa, enum role role, unsigned *found)
{
	struct model *m = u->m;
	struct page *p = page_of(m, pa);
	uint8_t *seen, *real;
	unsigned lines = 0, first = MODEL_PAGE;

	if (!p || !p->owner || p->mark == m->mark)
		return false;
	p->mark = m->mark;
	seen = u->view + (pa - m->ram_base);
	real = ram_at(m, pa);
	if (!memcmp(seen, real, MODEL_PAGE))
		return true;
	for (unsigned off = 0; off < MODEL_PAGE; off += LINE) {
		if (!line_differs(role, (uint64_t *)(seen + off),
			    (uint64_t *)(real + off)))
			continue;
		if (!lines++)
			first = off;
	}
	*found += lines;
	if (lines) {
		bool buffered = line_is_buffered(u, pa + first);

		blame(m, u, MODEL_V_STALE, buffered ? "6.8" : "6.2.1",
			"%u lines of the table page %#llx are %s, the first at "
			"%#x",
			lines, (unsigned long long)pa,
			buffered ? "in a write buffer (GCMD.WBF)"
				 : "not written back",
			first);
	}
	return true;
}

static void view_check_tables(
	struct unit *u, uint64_t pa, unsigned level, unsigned *found)
{
	if (!view_check_page(u, pa, ROLE_TABLE, found))
		return;
	for (unsigned i = 0; level > 1 && i < 512; i++) {
		uint64_t raw = ram_read64(u->m, pa + i * 8);

		if ((raw & (SS_R | SS_W)) && !(raw & SS_PS))
			view_check_tables(u, raw & u->haw_mask & PAGE_BASE,
				level - 1, found);
	}
}

static void view_check_contexts(struct unit *u, uint64_t pa, unsigned *found)
{
	if (!view_check_page(u, pa, ROLE_CONTEXT, found))
		return;
	for (unsigned i = 0; i < 256; i++) {
		uint64_t lo = ram_read64(u->m, pa + i * 16);
		uint64_t hi = ram_read64(u->m, pa + i * 16 + 8);

		if ((lo & ENTRY_P) && CE_TT(lo) != TT_PASS)
			view_check_tables(u, lo & u->haw_mask & PAGE_BASE,
				levels_of(CE_AW(hi)), found);
	}
}

/* Every line of a table in reach that the unit would still see old. */
unsigned view_check(struct unit *u)
{
	struct model *m = u->m;
	unsigned found = 0;

	if (!u->view)
		return 0;
	m->mark++;
	if ((u->r[R_GSTS] & G_TE) && !u->ttm &&
		ram_has(m, u->root, MODEL_PAGE)) {
		view_check_page(u, u->root, ROLE_ROOT, &found);
		for (unsigned bus = 0; bus < 256; bus++) {
			uint64_t lo = ram_read64(m, u->root + bus * 16);

			if (lo & ENTRY_P)
				view_check_contexts(u,
					lo & u->haw_mask & PAGE_BASE, &found);
		}
	}
	for (uint64_t off = 0;
		(u->r[R_GSTS] & G_IRE) && off < u->irt_entries * 16ull;
		off += MODEL_PAGE)
		view_check_page(u, u->irt + off, ROLE_IRT, &found);
	return found;
}

/* A walk uses this page as a table: remember it, and watch it if asked. */
void table_page(struct unit *u, uint64_t pa, const struct page *as)
{
	struct page *p = page_of(u->m, pa);

	if (!p || !p->owner || p->role)
		return;
	p->role = as->role;
	p->level = as->level;
	p->did = as->did;
	p->iova = as->iova;
	p->unit = (uint8_t)u->index;
	if (u->m->flags & MODEL_WATCH)
		watch_page(u->m, p);
}
