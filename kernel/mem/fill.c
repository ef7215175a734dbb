/* SPDX-License-Identifier: MIT */
/*
 * Pages come into being: on a fault, or ahead of time for a device.
 *
 * A frame that more than this space uses is mapped read-only in a private
 * region; the first write gives the space a copy of its own. The copy first
 * takes the old frame's place read-only, and only when every CPU and unit has
 * forgotten the old one does it become writable: nobody can read the old
 * contents after somebody wrote the new ones, and a device finds the address
 * mapped at every instant.
 */
#include "mem/region.h"
#include "mem/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "proc/sched.h"

uint64_t region_flags(const struct region *r, bool writable)
{
	uint64_t flags = PTE_PRESENT | PTE_USER;

	if (writable)
		flags |= PTE_WRITE;
	if (!(r->prot & PROT_EXEC))
		flags |= PTE_NX;
	if (r->flags & REGION_REGISTERS)
		flags |= PTE_REGISTERS | PTE_WRITE_THROUGH;
	/* Without it the entry selects write combining (cpu/cpu.c, PAT). */
	if (r->flags & REGION_REGISTERS && !(r->flags & REGION_COMBINING))
		flags |= PTE_CACHE_DISABLE;
	return flags;
}

static void install(
	struct change *c, pte_t *e, uint64_t addr, uint64_t size, pte_t value)
{
	tables_set(&c->space->tables, e, value);
	c->space->resident += size / PAGE_SIZE;
	change_add(c, addr, addr + size, CHANGE_PRESENT);
}

/* Where the frame for a missing page comes from. *out_own: it is this space's
 * alone, or writes to it are meant for all. */
static int find_frame(const struct region *r, uint64_t addr, bool write,
	struct page **out, bool *out_own)
{
	uint64_t index = (r->offset + (addr - r->start)) >> PAGE_SHIFT;
	struct page *shared;
	void *copy;
	int err;

	*out_own = true;
	if (!r->file) {
		copy = page_alloc();
		*out = copy ? page_of(virt_to_phys(copy)) : NULL;
		return copy ? 0 : -ENOMEM;
	}
	err = r->file->ops->get_page(r->file, index, &shared);
	if (err)
		return err;
	if (r->flags & REGION_SHARED || !write) {
		*out = shared;
		*out_own = r->flags & REGION_SHARED;
		return 0;
	}
	copy = page_alloc_dirty();
	if (copy) {
		memcpy(copy, page_virt(shared), PAGE_SIZE);
		*out = page_of(virt_to_phys(copy));
	}
	page_put(shared);
	return copy ? 0 : -ENOMEM;
}

static int fill_missing(struct change *c, const struct region *r, pte_t *e,
	uint64_t addr, bool write)
{
	struct page *p;
	bool own;
	int err = find_frame(r, addr, write, &p, &own);

	if (err)
		return err;
	install(c, e, addr, PAGE_SIZE,
		pte_make(page_phys(p),
			region_flags(r, own && r->prot & PROT_WRITE)));
	return 0;
}

bool registers_writable(const struct region *r, uint64_t addr)
{
	uint64_t p = r->registers + (ALIGN_DOWN(addr, PAGE_SIZE) - r->start);

	return p + PAGE_SIZE <= r->readonly[0] || p >= r->readonly[1];
}

static int fill_registers(
	struct change *c, const struct region *r, pte_t *e, uint64_t addr)
{
	uint64_t p = r->registers + (addr - r->start);

	if (r->flags & REGION_REVOKED)
		return -ENXIO;
	tables_set(&c->space->tables, e,
		pte_make(phys(p),
			region_flags(r,
				r->prot & PROT_WRITE &&
					registers_writable(r, addr))));
	return 0;
}

static int fill_huge(struct change *c, const struct region *r, uint64_t addr)
{
	pte_t *e = tables_entry(&c->space->tables, addr, 2, true);
	void *block;

	if (!e)
		return -ENOMEM;
	if (pte_present(*e))
		return 0;
	block = pages_alloc(9);
	if (!block)
		return -ENOMEM;
	install(c, e, ALIGN_DOWN(addr, LARGE_PAGE_SIZE), LARGE_PAGE_SIZE,
		pte_make(virt_to_phys(block),
			region_flags(r, r->prot & PROT_WRITE) | PTE_LARGE));
	return 0;
}

static void raise(struct change *c, pte_t *e, uint64_t addr)
{
	tables_set(&c->space->tables, e, (pte_t){e->v | PTE_WRITE});
	change_add(c, addr, addr + PAGE_SIZE, CHANGE_RAISED);
}

/* The first write to a page that is present and read-only. */
static int fill_write(
	struct change *c, const struct region *r, pte_t *e, uint64_t addr)
{
	struct page *old = page_of(pte_phys(*e));
	void *copy;
	int err;

	if (r->flags & REGION_REGISTERS)
		return -EACCES;
	if (r->flags & REGION_SHARED ||
		__atomic_load_n(&old->refs, __ATOMIC_ACQUIRE) == 1) {
		raise(c, e, addr);
		return 0;
	}
	copy = page_alloc_dirty();
	if (!copy)
		return -ENOMEM;
	memcpy(copy, page_virt(old), PAGE_SIZE);
	tables_set(&c->space->tables, e,
		pte_make(virt_to_phys(copy), region_flags(r, false)));
	change_add(c, addr, addr + PAGE_SIZE, CHANGE_REPLACED);
	err = change_flush(c);
	if (err)
		old->flags |= PAGE_QUARANTINED;
	page_put(old);
	raise(c, e, addr);
	return err;
}

static int fill_entry(struct change *c, const struct region *r, pte_t *e,
	uint64_t addr, bool write)
{
	if (!pte_present(*e) && r->flags & REGION_REGISTERS)
		return fill_registers(c, r, e, addr);
	if (!pte_present(*e))
		return fill_missing(c, r, e, addr, write);
	if (write && !(e->v & PTE_WRITE))
		return fill_write(c, r, e, addr);
	return 0;
}

int fill(struct change *c, const struct region *r, uint64_t addr, bool write)
{
	pte_t *e;

	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	if (r->flags & REGION_HUGE)
		return fill_huge(c, r, addr);
	e = tables_entry(&c->space->tables, addr, 1, true);
	return e ? fill_entry(c, r, e, addr, write) : -ENOMEM;
}

#define FAULT_WRITE 2
#define FAULT_RESERVED 8
#define FAULT_FETCH 16

static int check_access(const struct region *r, uint64_t error)
{
	if (error & FAULT_FETCH)
		return r->prot & PROT_EXEC ? 0 : -EACCES;
	if (error & FAULT_WRITE)
		return r->prot & PROT_WRITE ? 0 : -EACCES;
	return r->prot ? 0 : -EACCES;
}

int space_fault(struct space *s, uint64_t addr, uint64_t error)
{
	struct change c = change_begin(s);
	struct region *r;
	int err;

	if (!s || addr >= USER_END || error & FAULT_RESERVED)
		return -EFAULT;
	mutex_lock(&s->lock);
	r = region_at(s, addr);
	err = r ? check_access(r, error) : -EFAULT;
	if (!err)
		err = fill(&c, r, addr, error & FAULT_WRITE);
	if (c.what && change_flush(&c))
		err = -EIO;
	mutex_unlock(&s->lock);
	/* A read-only entry that another CPU has raised meanwhile. */
	tlb_forget_page(addr);
	return err;
}

/* A stack is only as deep as it was used so far; what is there becomes the
 * space's own. */
static int populate_stack(
	struct change *c, const struct region *r, uint64_t start, uint64_t end)
{
	struct leaf l;
	int err = 0;

	while (!err && tables_next(&c->space->tables, start, end, &l)) {
		err = fill(c, r, l.addr, r->prot & PROT_WRITE);
		start = leaf_end(&l);
	}
	return err;
}

/* The first entry that has not all of these bits. Most have, so that several
 * are looked at together. */
static pte_t *skip_with(pte_t *e, const pte_t *end, uint64_t bits)
{
	while (end - e >= 4 &&
		(e[0].v & e[1].v & e[2].v & e[3].v & bits) == bits)
		e += 4;
	while (e < end && (e->v & bits) == bits)
		e++;
	return e;
}

/* Pages whose entries are in one table. Beyond the end of a file there is
 * nothing to reach. */
static int populate_table(
	struct change *c, const struct region *r, uint64_t start, uint64_t end)
{
	bool write = r->prot & PROT_WRITE;
	uint64_t ready = PTE_PRESENT | (write ? PTE_WRITE : 0);
	pte_t *first = tables_entry(&c->space->tables, start, 1, true), *last;
	int err = 0;

	if (!first)
		return -ENOMEM;
	last = first + (end - start) / PAGE_SIZE;
	for (pte_t *e = skip_with(first, last, ready); !err && e < last;
		e = skip_with(e + 1, last, ready)) {
		err = fill_entry(c, r, e,
			start + (uint64_t)(e - first) * PAGE_SIZE, write);
		if (err == -ENXIO)
			err = 0;
		sched_breathe();
	}
	return err;
}

static int populate_region(
	struct change *c, const struct region *r, uint64_t start, uint64_t end)
{
	int err = 0;

	if (r->flags & REGION_GROWSDOWN)
		return populate_stack(c, r, start, end);
	while (!err) {
		uint64_t next;

		/* Most of a large process needs nothing. */
		start = tables_skip_full(&c->space->tables, start, end);
		if (start >= end)
			break;
		next = ALIGN_DOWN(start, LARGE_PAGE_SIZE) + LARGE_PAGE_SIZE;
		if (r->flags & REGION_HUGE)
			err = fill(c, r, start, r->prot & PROT_WRITE);
		else
			err = populate_table(c, r, start, MIN(next, end));
		sched_breathe();
		start = next;
	}
	return err;
}

int populate(struct space *s, uint64_t start, uint64_t end)
{
	struct change c = change_begin(s);
	int err = 0;

	for (unsigned i = region_index(s, start); i < s->count && !err; i++) {
		struct region *r = &s->regions[i];

		if (r->start >= end)
			break;
		if (!r->prot || r->flags & REGION_REGISTERS)
			continue;
		err = populate_region(
			&c, r, MAX(r->start, start), MIN(r->end, end));
	}
	if (c.what && change_flush(&c) && !err)
		err = -EIO;
	return err;
}
