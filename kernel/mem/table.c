/* SPDX-License-Identifier: MIT */
/* Page tables of a process; see table.h for the rules of their entries. */
#include "mem/table.h"
#include "mem/tlb.h"
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "lib/string.h"

#define USER_SLOTS 256
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER)

bool tables_in_memory;

/* The top-level slots that a device may see. */
static bool slot_shared(unsigned slot)
{
	return slot < pte_index(REGISTERS_START, 4) ||
		(slot >= pte_index(REGISTERS_END, 4) && slot < USER_SLOTS);
}

static void flush_page(const void *page)
{
	size_t line = cpu_features.clflush_size;

	for (size_t at = 0; at < PAGE_SIZE; at += line)
		cache_line_flush((const char *)page + at);
}

bool tables_init(struct tables *t)
{
	*t = (struct tables){
		.top = page_alloc(), .write_back = tables_in_memory};
	if (!t->top)
		return false;
	kernel_map_copy(t->top);
	return true;
}

static void release(pte_t *table, bool keep)
{
	struct page *p = page_of(virt_to_phys(table));

	if (keep)
		p->flags |= PAGE_QUARANTINED;
	page_put(p);
}

/* Free every table below an entry of `level`. */
static void free_below(pte_t *table, unsigned level, bool keep)
{
	for (unsigned i = 0; level > 1 && i < 512; i++) {
		pte_t e = table[i];

		if (e.v && !(e.v & PTE_LARGE))
			free_below(pte_table(e), level - 1, keep);
	}
	release(table, keep);
}

void tables_destroy(struct tables *t, bool keep)
{
	for (unsigned i = 0; i < USER_SLOTS; i++)
		if (t->top[i].v)
			free_below(pte_table(t->top[i]), 3, keep);
	tables_unshare(t, keep);
	page_free(t->top);
	t->top = NULL;
}

void tables_set(struct tables *t, pte_t *e, pte_t value)
{
	/* 1: present and writable. */
	unsigned was = e->v & e->v >> 1 & 1, is = value.v & value.v >> 1 & 1;

	__atomic_store_n(&e->v, value.v, __ATOMIC_RELEASE);
	if (t->write_back)
		cache_line_flush(e);
	if (was != is)
		page_of_virt(e)->writable += is - was;
}

/* A new table below `parent`, which is an entry of `level`. Its memory is
 * flushed before the entry that leads to it can be seen. */
static pte_t *add_table(
	struct tables *t, pte_t *parent, unsigned level, unsigned slot)
{
	pte_t *table = page_alloc();
	pte_t value;

	if (!table)
		return NULL;
	page_of_virt(table)->writable = 0;
	if (t->write_back)
		flush_page(table);
	value = pte_make(virt_to_phys(table), TABLE_FLAGS);
	tables_set(t, parent, value);
	if (level == 4 && t->device4 && slot_shared(slot))
		tables_set(t, &t->device4[slot], value);
	return table;
}

pte_t *tables_entry(
	struct tables *t, uint64_t addr, unsigned level, bool create)
{
	pte_t *table = t->top;

	for (unsigned l = 4; l > level; l--) {
		unsigned slot = pte_index(addr, l);
		pte_t *e = &table[slot];

		if (e->v & PTE_LARGE && l < 4)
			return NULL;
		if (e->v)
			table = pte_table(*e);
		else
			table = create ? add_table(t, e, l, slot) : NULL;
		if (!table)
			return NULL;
	}
	return &table[pte_index(addr, level)];
}

uint64_t tables_skip_full(struct tables *t, uint64_t addr, uint64_t end)
{
	const pte_t *e = NULL;

	for (; addr < end && end - addr >= pte_span(2); addr += pte_span(2)) {
		if (addr % pte_span(2))
			break;
		e = e && pte_index(addr, 2) ? e + 1
					    : tables_entry(t, addr, 2, false);
		if (!e || !pte_present(*e) || e->v & PTE_LARGE ||
			page_of_virt(pte_table(*e))->writable < 512)
			break;
	}
	return addr;
}

static bool next_below(pte_t *table, unsigned level, uint64_t addr,
	uint64_t end, struct leaf *out)
{
	uint64_t span = pte_span(level), base = addr & ~(512 * span - 1);
	unsigned i = pte_index(addr, level), last = 511;

	if (addr >= end)
		return false;
	if (end - base < 512 * span)
		last = pte_index(end - 1, level);
	for (; i <= last; i++) {
		pte_t *e = &table[i];

		/* As most are. */
		while (last - i >= 4 && !(e[0].v | e[1].v | e[2].v | e[3].v)) {
			e += 4;
			i += 4;
		}
		if (!e->v)
			continue;
		if (level == 1 || e->v & PTE_LARGE) {
			*out = (struct leaf){e, base + i * span, level};
			return true;
		}
		if (next_below(pte_table(*e), level - 1,
			    MAX(addr, base + i * span), end, out))
			return true;
	}
	return false;
}

bool tables_next(
	struct tables *t, uint64_t addr, uint64_t end, struct leaf *out)
{
	return next_below(t->top, 4, addr, end, out);
}

/* From an address whose entry is of no use to the next with an entry in the
 * same table, or behind the table. */
static void next_used(
	const pte_t *table, unsigned level, uint64_t *addr, uint64_t end)
{
	uint64_t span = pte_span(level), at = ALIGN_DOWN(*addr, span) + span;
	unsigned i = pte_index(*addr, level) + 1;

	for (; i < 512 && !table[i].v && at < end; i++)
		at += span;
	*addr = at;
}

/* The next second-level entry in [addr, end) that leads to a table. */
static pte_t *next_table(struct tables *t, uint64_t *addr, uint64_t end)
{
	while (*addr < end) {
		pte_t *table = t->top;
		unsigned l = 4;

		while (l > 2 && table[pte_index(*addr, l)].v)
			table = pte_table(table[pte_index(*addr, l--)]);
		if (l == 2 && table[pte_index(*addr, 2)].v &&
			!(table[pte_index(*addr, 2)].v & PTE_LARGE))
			return &table[pte_index(*addr, 2)];
		next_used(table, l, addr, end);
	}
	return NULL;
}

bool tables_unlink(struct tables *t, uint64_t start, uint64_t end)
{
	bool any = false;
	pte_t *e;

	for (; (e = next_table(t, &start, end)); start += pte_span(2)) {
		tables_set(t, e, pte_make(pte_phys(*e), PTE_DYING));
		any = true;
	}
	return any;
}

void tables_reap(struct tables *t, uint64_t start, uint64_t end, bool keep)
{
	pte_t *e;

	for (; (e = next_table(t, &start, end)); start += pte_span(2)) {
		pte_t *table = pte_table(*e);

		if (!(e->v & PTE_DYING))
			continue;
		tables_set(t, e, (pte_t){0});
		release(table, keep);
	}
}

static int share5(struct tables *t)
{
	t->device5 = page_alloc();
	if (!t->device5)
		return -ENOMEM;
	t->device5[0] = pte_make(virt_to_phys(t->device4), TABLE_FLAGS);
	return 0;
}

int tables_share(struct tables *t)
{
	unsigned low = pte_index(REGISTERS_START, 4);
	unsigned high = pte_index(REGISTERS_END, 4);

	/* A 39-bit unit starts at the first third-level table: it must exist,
	 * and it stays until the space goes, as all of its level do. */
	if (!tables_entry(t, 0, 3, true))
		return -ENOMEM;
	t->device4 = page_alloc();
	if (!t->device4)
		return -ENOMEM;
	/* All that slot_shared(). */
	memcpy(t->device4, t->top, low * sizeof(*t->top));
	memcpy(t->device4 + high, t->top + high,
		(USER_SLOTS - high) * sizeof(*t->top));
	if (share5(t)) {
		tables_unshare(t, false);
		return -ENOMEM;
	}
	if (t->write_back) {
		flush_page(t->device4);
		flush_page(t->device5);
	}
	return 0;
}

void tables_unshare(struct tables *t, bool keep)
{
	if (t->device4)
		release(t->device4, keep);
	if (t->device5)
		release(t->device5, keep);
	t->device4 = t->device5 = NULL;
}

phys_t tables_root(const struct tables *t, unsigned levels)
{
	switch (levels) {
	case 3:
		return pte_phys(t->top[0]);
	case 4:
		return virt_to_phys(t->device4);
	case 5:
		return virt_to_phys(t->device5);
	default:
		return phys(0);
	}
}

static void flush_below(pte_t *table, unsigned level)
{
	flush_page(table);
	for (unsigned i = 0; level > 1 && i < 512; i++)
		if (pte_present(table[i]) && !(table[i].v & PTE_LARGE))
			flush_below(pte_table(table[i]), level - 1);
}

void tables_write_back(struct tables *t)
{
	if (t->write_back)
		return;
	t->write_back = true;
	flush_page(t->device5);
	flush_below(t->device4, 4);
}
