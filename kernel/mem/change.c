/* SPDX-License-Identifier: MIT */
/*
 * Pages go, or lose permissions. The order is always the same:
 *
 *   1. entries change: a leaf becomes "dying" (not present, the frame's address
 *      still in it), a table without use is unlinked the same way;
 *   2. every CPU that runs in the space forgets, and says so;
 *   3. every unit whose devices walk these tables forgets, and says so;
 *   4. only then frames and tables are freed, found by a second walk.
 *
 * The dying entries are the list of what waits for the hardware: no memory is
 * needed to unmap, and one flush serves any range. If a unit does not confirm,
 * step 4 quarantines instead of freeing.
 */
#include "mem/region.h"
#include "assign/assign.h"
#include "lib/errno.h"
#include "proc/sched.h"

/* Device registers are in no table that a unit walks. */
static bool units_see(uint64_t start, uint64_t end)
{
	return start < REGISTERS_START || end > REGISTERS_END;
}

/* A table that went makes the CPUs forget no more than the pages that went with
 * it: INVLPG of any page forgets all tables on the way to pages (Intel SDM 3A
 * 4.10.4.1; AMD64 volume 2, 3.1.7, with EFER.TCE clear). */
static void flush_cpus(const struct change *c)
{
	if (c->what & CHANGE_OF_PAGES)
		shootdown(c->space, c->pages, c->pages_end);
	else if (c->what & CHANGE_TABLES)
		shootdown(c->space, c->start, c->start + PAGE_SIZE);
}

int change_flush(struct change *c)
{
	int err = 0;

	if (!c->what)
		return 0;
	flush_cpus(c);
	if (c->space->domain && units_see(c->start, c->end))
		err = assign_flush(c->space, c->start, c->end, c->what);
	/* Whatever the unit still knows, no later flush may hide: nothing that
	 * this space gives back from now on is used again. */
	if (err)
		c->space->quarantined = true;
	*c = change_begin(c->space);
	return err;
}

static void mark_dying(struct change *c, uint64_t start, uint64_t end)
{
	struct tables *t = &c->space->tables;
	struct leaf l;

	for (bool more = tables_next(t, start, end, &l); more;
		more = tables_after(t, end, &l)) {
		uint64_t keep = PTE_ADDR | PTE_REGISTERS | PTE_LARGE;

		if (pte_present(*l.entry))
			change_add(c, l.addr, leaf_end(&l), CHANGE_REMOVED);
		tables_set(
			t, l.entry, (pte_t){(l.entry->v & keep) | PTE_DYING});
	}
}

static void free_dying(
	struct space *s, uint64_t start, uint64_t end, bool quarantine)
{
	struct tables *t = &s->tables;
	struct leaf l;

	for (bool more = tables_next(t, start, end, &l); more;
		more = tables_after(t, end, &l)) {
		pte_t e = *l.entry;

		tables_set(t, l.entry, (pte_t){0});
		if (e.v & PTE_REGISTERS)
			continue;
		s->resident -= pte_span(l.level) / PAGE_SIZE;
		if (quarantine)
			page_of(pte_phys(e))->flags |= PAGE_QUARANTINED;
		page_put(page_of(pte_phys(e)));
		sched_breathe();
	}
}

/* The part of [start, end), rounded out to whole tables, that no region uses
 * any more; regions inside [start, end) are gone already. */
static void unused_tables(
	const struct space *s, uint64_t start, uint64_t end, uint64_t out[2])
{
	out[0] = ALIGN_DOWN(start, LARGE_PAGE_SIZE);
	out[1] = ALIGN_UP(end, LARGE_PAGE_SIZE);
	if (region_any(s, out[0], out[0] + LARGE_PAGE_SIZE))
		out[0] += LARGE_PAGE_SIZE;
	if (out[1] > out[0] && region_any(s, out[1] - LARGE_PAGE_SIZE, out[1]))
		out[1] -= LARGE_PAGE_SIZE;
}

void zap(struct space *s, uint64_t start, uint64_t end)
{
	struct change c = change_begin(s);
	uint64_t tables[2] = {0, 0};
	bool quarantine;

	mark_dying(&c, start, end);
	if (!region_any(s, start, end)) {
		unused_tables(s, start, end, tables);
		if (tables_unlink(&s->tables, tables[0], tables[1]))
			change_add(&c, tables[0], tables[1], CHANGE_TABLES);
	}
	quarantine = change_flush(&c) || s->quarantined;
	free_dying(s, start, end, quarantine);
	tables_reap(&s->tables, tables[0], tables[1], quarantine);
}

/* May this frame be written through this region without a copy? */
static bool exclusive(const struct region *r, pte_t e, uint64_t addr)
{
	if (r->flags & REGION_REGISTERS)
		return registers_writable(r, addr);
	if (r->flags & REGION_SHARED)
		return true;
	return __atomic_load_n(&page_of(pte_phys(e))->refs, __ATOMIC_ACQUIRE) ==
		1;
}

static void protect_leaf(
	struct change *c, const struct region *r, const struct leaf *l)
{
	pte_t old = *l->entry;
	uint64_t kept = old.v & (PTE_ADDR | PTE_LARGE | PTE_REGISTERS);
	uint64_t new = kept | PTE_HELD;
	unsigned what = 0;

	if (r->prot)
		new = kept |
			region_flags(r,
				r->prot & PROT_WRITE &&
					exclusive(r, old, l->addr));
	if (pte_present(old)) {
		new |= r->prot ? old.v &(PTE_ACCESSED | PTE_DIRTY) : 0;
		if (!r->prot)
			what = CHANGE_REMOVED;
		else if (old.v & ~new &PTE_WRITE || new & ~old.v & PTE_NX)
			what = CHANGE_CUT;
		else if (new & ~old.v & PTE_WRITE)
			what = CHANGE_RAISED;
	} else if (r->prot) {
		what = CHANGE_PRESENT;
	}
	tables_set(&c->space->tables, l->entry, (pte_t){new});
	if (what)
		change_add(c, l->addr, leaf_end(l), what);
}

void protect(struct change *c, const struct region *r)
{
	struct tables *t = &c->space->tables;
	struct leaf l;

	for (bool more = tables_next(t, r->start, r->end, &l); more;
		more = tables_after(t, r->end, &l))
		protect_leaf(c, r, &l);
}
