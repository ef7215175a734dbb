/* SPDX-License-Identifier: MIT */
/* See walker.h. */
#include "support/walker.h"
#include "support/ram.h"
#include "lib/string.h"
#include "mem/table.h"
#include "mem/tlb.h"

void *calloc(size_t n, size_t size);
void free(void *p);

#define BUCKETS 512
#define LEAF 0 /* kind of an entry; else the level of a cached table */

struct entry {
	struct entry *next;
	uint64_t addr, size; /* what it covers */
	uint64_t target;     /* physical: the page, or the table */
	unsigned kind;
	bool present, write, exec;
};

struct tlb {
	struct entry *buckets[BUCKETS];
	unsigned count, tables; /* entries; of tables among them */
};

uint32_t walker_refs[RAM_END >> PAGE_SHIFT];

static struct tlb *cpu_tlbs[TEST_CPUS];
static uint64_t cpu_roots[TEST_CPUS];
static char *memory; /* RAM as a unit sees it that does not snoop */
static bool still_rubbish[RAM_SIZE >> PAGE_SHIFT]; /* still the rubbish */

/* ------------------------------------------------------------------ caches */

static void count_refs(const struct entry *e, int by)
{
	uint64_t n = e->kind == LEAF ? e->size >> PAGE_SHIFT : 1;
	uint64_t first = e->target >> PAGE_SHIFT;

	if (!e->present || e->target < RAM_START || e->target >= RAM_END)
		return;
	for (uint64_t i = 0; i < n; i++)
		walker_refs[first + i] += (uint32_t)by;
}

static unsigned bucket_of(uint64_t addr, unsigned kind)
{
	return (unsigned)((addr >> PAGE_SHIFT) * 31 + (addr >> 30) + kind) %
		BUCKETS;
}

static struct entry *tlb_find(
	struct tlb *t, uint64_t addr, uint64_t size, unsigned kind)
{
	struct entry *e;

	addr = ALIGN_DOWN(addr, size);
	for (e = t->buckets[bucket_of(addr, kind)]; e; e = e->next)
		if (e->addr == addr && e->size == size && e->kind == kind)
			return e;
	return NULL;
}

static struct entry *tlb_add(struct tlb *t, struct entry with)
{
	unsigned b;
	struct entry *e = calloc(1, sizeof(*e));

	with.addr = ALIGN_DOWN(with.addr, with.size);
	b = bucket_of(with.addr, with.kind);
	*e = with;
	e->next = t->buckets[b];
	t->buckets[b] = e;
	t->count++;
	t->tables += e->kind != LEAF;
	count_refs(e, 1);
	return e;
}

enum {
	ONLY_LEAVES = 1,
	ONLY_TABLES = 2,
	ALL = ONLY_LEAVES | ONLY_TABLES,
};

static void drop_in_bucket(
	struct tlb *t, unsigned b, uint64_t start, uint64_t end, unsigned which)
{
	struct entry **at = &t->buckets[b];

	while (*at) {
		struct entry *e = *at;

		if (!(which & (e->kind == LEAF ? ONLY_LEAVES : ONLY_TABLES)) ||
			e->addr >= end || e->addr + e->size <= start) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		count_refs(e, -1);
		t->count--;
		t->tables -= e->kind != LEAF;
		free(e);
	}
}

void tlb_drop(struct tlb *t, uint64_t start, uint64_t end, bool tables)
{
	if (!tables && end - start <= 16 * PAGE_SIZE) {
		for (start = ALIGN_DOWN(start, PAGE_SIZE); start < end;
			start += PAGE_SIZE) {
			uint64_t large = ALIGN_DOWN(start, LARGE_PAGE_SIZE);

			drop_in_bucket(t, bucket_of(start, LEAF), start,
				start + 1, ONLY_LEAVES);
			drop_in_bucket(t, bucket_of(large, LEAF), start,
				start + 1, ONLY_LEAVES);
		}
		return;
	}
	for (unsigned b = 0; b < BUCKETS && t->count; b++)
		drop_in_bucket(t, b, start, end, tables ? ALL : ONLY_LEAVES);
}

static void drop_tables(struct tlb *t)
{
	for (unsigned b = 0; b < BUCKETS && t->tables; b++)
		drop_in_bucket(t, b, 0, UINT64_MAX, ONLY_TABLES);
}

struct tlb *tlb_create(void)
{
	return calloc(1, sizeof(struct tlb));
}

void tlb_destroy(struct tlb *t)
{
	tlb_drop(t, 0, UINT64_MAX, true);
	free(t);
}

/* ------------------------------------------------------------ what is walked
 */

static uint64_t *table_at(uint64_t pa)
{
	if (pa % PAGE_SIZE || pa < RAM_START || pa >= RAM_END)
		machine_blame("a table at %#llx", (unsigned long long)pa);
	return phys_to_virt(phys(pa));
}

static uint64_t as_in_memory(uint64_t pa)
{
	return *(uint64_t *)(memory + (pa - RAM_START));
}

void cache_line_flush(const void *p)
{
	uint64_t pa = ALIGN_DOWN(virt_to_phys(p).v, 64);

	still_rubbish[(pa - RAM_START) >> PAGE_SHIFT] = false;
	memcpy(memory + (pa - RAM_START), phys_to_virt(phys(pa)), 64);
	if (machine_line_flushed)
		machine_line_flushed(pa);
}

void walker_reset(void)
{
	if (!memory)
		memory = ram_map(0, RAM_SIZE);
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		if (cpu_tlbs[i])
			tlb_destroy(cpu_tlbs[i]);
		cpu_tlbs[i] = tlb_create();
		cpu_roots[i] = kernel_cr3;
	}
	memset(walker_refs, 0, sizeof(walker_refs));
	/* What a unit would find there that does not snoop: rubbish. */
	for (uint64_t i = 0; i < RAM_SIZE >> PAGE_SHIFT; i++)
		if (!still_rubbish[i])
			memset(memory + (i << PAGE_SHIFT), 0x5a, PAGE_SIZE);
	memset(still_rubbish, true, sizeof(still_rubbish));
}

/* -------------------------------------------------------------------- CPUs */

void (*walker_switching)(void);

void tlb_load(uint64_t top)
{
	void (*switching)(void) = walker_switching;
	unsigned self = this_cpu()->id;

	walker_switching = NULL;
	if (switching) {
		switching();
		machine_cpu(self);
	}
	tlb_drop(cpu_tlbs[self], 0, UINT64_MAX, true);
	cpu_roots[self] = top;
}

void tlb_forget_all(void)
{
	tlb_load(cpu_roots[this_cpu()->id]);
}

/* INVLPG forgets all tables in between (Intel SDM 3A 4.10.4.1). */
void tlb_forget_page(uint64_t addr)
{
	struct tlb *t = cpu_tlbs[this_cpu()->id];

	tlb_drop(t, addr, addr + 1, false);
	drop_tables(t);
}

/* The lowest table for addr that is cached, or the root. */
static uint64_t cached_table(
	struct tlb *t, uint64_t addr, uint64_t root, unsigned *level)
{
	for (unsigned l = 1; l < *level; l++) {
		struct entry *e = tlb_find(t, addr, pte_span(l + 1), l);

		if (!e)
			continue;
		*level = l;
		return e->target;
	}
	return root;
}

static struct entry *cached_leaf(struct tlb *t, uint64_t addr)
{
	struct entry *e = tlb_find(t, addr, PAGE_SIZE, LEAF);

	return e ? e : tlb_find(t, addr, LARGE_PAGE_SIZE, LEAF);
}

static struct entry *cpu_walk(struct tlb *t, uint64_t root, uint64_t addr)
{
	unsigned level = 4;
	uint64_t at = cached_table(t, addr, root, &level);

	for (;; level--) {
		uint64_t *pte = &table_at(at)[pte_index(addr, level)];
		uint64_t v = *pte;

		if (!(v & PTE_PRESENT) || !(v & PTE_USER))
			return NULL;
		*pte = v | PTE_ACCESSED;
		if (level == 1 || v & PTE_LARGE)
			return tlb_add(t,
				(struct entry){.addr = addr,
					.size = pte_span(level),
					.target = v & PTE_ADDR,
					.present = true,
					.write = v & PTE_WRITE,
					.exec = !(v & PTE_NX)});
		at = v & PTE_ADDR;
		if (tlb_find(t, addr, pte_span(level), level - 1))
			continue;
		tlb_add(t,
			(struct entry){.addr = addr,
				.size = pte_span(level),
				.target = at,
				.present = true,
				.kind = level - 1});
	}
}

#define ERROR_PRESENT 1
#define ERROR_WRITE 2
#define ERROR_USER 4
#define ERROR_FETCH 16

static int cpu_access(
	struct space *s, uint64_t addr, uint64_t error, uint64_t *out_pa)
{
	unsigned self = this_cpu()->id;

	if (addr >= USER_END)
		return space_fault(s, addr, error | ERROR_USER);
	for (unsigned n = 0; n < 4; n++) {
		struct tlb *t = cpu_tlbs[self];
		struct entry *e;
		int err;

		/* Again after a fault: others had the CPU meanwhile. */
		this_cpu()->off_depth++;
		space_switch(s);
		this_cpu()->off_depth--;
		e = cached_leaf(t, addr);
		if (!e)
			e = cpu_walk(t, cpu_roots[self], addr);
		if (e && (!(error & ERROR_WRITE) || e->write) &&
			(!(error & ERROR_FETCH) || e->exec)) {
			*out_pa = e->target + addr % e->size;
			return 0;
		}
		err = space_fault(
			s, addr, error | ERROR_USER | (e ? ERROR_PRESENT : 0));
		if (err)
			return err;
	}
	machine_blame(
		"the fault at %#llx never ends", (unsigned long long)addr);
}

void cpu_speculate(struct space *s, uint64_t addr)
{
	unsigned self = this_cpu()->id;

	this_cpu()->off_depth++;
	space_switch(s);
	this_cpu()->off_depth--;
	if (!cached_leaf(cpu_tlbs[self], addr))
		(void)cpu_walk(cpu_tlbs[self], cpu_roots[self], addr);
}

int cpu_read(struct space *s, uint64_t addr, uint8_t *out)
{
	uint64_t pa;
	int err = cpu_access(s, addr, 0, &pa);

	if (!err)
		*out = pa < RAM_END ? *(uint8_t *)phys_to_virt(phys(pa)) : 0;
	return err;
}

int cpu_write(struct space *s, uint64_t addr, uint8_t value)
{
	uint64_t pa;
	int err = cpu_access(s, addr, ERROR_WRITE, &pa);

	if (!err && pa < RAM_END)
		*(uint8_t *)phys_to_virt(phys(pa)) = value;
	return err;
}

int cpu_fetch(struct space *s, uint64_t addr)
{
	uint64_t pa;

	return cpu_access(s, addr, ERROR_FETCH, &pa);
}

uint8_t cpu_byte(struct space *s, uint64_t addr)
{
	uint8_t value = 0;
	int err = cpu_read(s, addr, &value);

	if (err)
		machine_blame("CPU reads %#llx: error %d",
			(unsigned long long)addr, err);
	return value;
}

void cpu_put(struct space *s, uint64_t addr, uint8_t value)
{
	int err = cpu_write(s, addr, value);

	if (err)
		machine_blame("CPU writes %#llx: error %d",
			(unsigned long long)addr, err);
}

void cpus_leave(void)
{
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		machine_cpu(i);
		this_cpu()->off_depth++;
		space_switch(NULL);
		this_cpu()->off_depth--;
	}
	machine_cpu(0);
}

/* ----------------------------------------------------------------- devices */

static uint64_t device_pte(struct device *d, uint64_t table, unsigned index)
{
	uint64_t pa = table + 8 * index;
	uint64_t v;

	table_at(table);
	v = d->noncoherent ? as_in_memory(pa)
			   : *(uint64_t *)phys_to_virt(phys(pa));
	return v;
}

/* VT-d 9.8: what is reserved in a second-stage entry. */
static void check_reserved(
	struct device *d, uint64_t v, unsigned level, uint64_t addr)
{
	uint64_t reserved = 1ull << 11 | 1ull << 62;

	if (level >= 3)
		reserved |= PTE_LARGE;
	if (level == 2 && v & PTE_LARGE) {
		reserved |= 0x1ff000;
		if (!d->huge)
			reserved |= PTE_LARGE;
	}
	if (v & reserved)
		machine_blame("the device finds reserved bits at %#llx: %#llx",
			(unsigned long long)addr, (unsigned long long)v);
}

static struct entry *device_walk(struct device *d, uint64_t addr)
{
	unsigned level = d->levels;
	uint64_t at = cached_table(d->tlb, addr, d->root, &level);
	bool write = true;

	for (;; level--) {
		uint64_t v = device_pte(d, at, pte_index(addr, level));

		if (!(v & 3)) {
			if (!d->caching_mode)
				return NULL;
			return tlb_add(d->tlb,
				(struct entry){
					.addr = addr, .size = PAGE_SIZE});
		}
		check_reserved(d, v, level, addr);
		write = write && v & PTE_WRITE;
		at = v & PTE_ADDR;
		if (level == 1 || (level == 2 && v & PTE_LARGE))
			return tlb_add(d->tlb,
				(struct entry){.addr = addr,
					.size = pte_span(level),
					.target = at,
					.present = true,
					.write = write});
		if (tlb_find(d->tlb, addr, pte_span(level), level - 1))
			continue;
		tlb_add(d->tlb,
			(struct entry){.addr = addr,
				.size = pte_span(level),
				.target = at,
				.present = true,
				.kind = level - 1});
	}
}

uint64_t device_target(struct device *d, uint64_t iova, bool write)
{
	struct entry *e;

	if (!d->tlb || iova >> (12 + 9 * d->levels))
		return 0;
	e = cached_leaf(d->tlb, iova);
	if (!e)
		e = device_walk(d, iova);
	if (!e || !e->present || (write && !e->write))
		return 0;
	if (!page_of(phys(e->target)))
		machine_blame("the device reaches %#llx, which is not RAM",
			(unsigned long long)e->target);
	return e->target + iova % e->size;
}

static bool is_interrupt(uint64_t iova)
{
	return iova >= INTERRUPT_WINDOW_START && iova < INTERRUPT_WINDOW_END;
}

int device_read(struct device *d, uint64_t iova, uint8_t *out)
{
	uint64_t pa = is_interrupt(iova) ? 0 : device_target(d, iova, false);

	if (!pa)
		return REFUSED;
	*out = *(uint8_t *)phys_to_virt(phys(pa));
	return REACHED;
}

int device_write(struct device *d, uint64_t iova, uint8_t value)
{
	uint64_t pa;

	if (is_interrupt(iova)) {
		d->interrupts++;
		return INTERRUPT;
	}
	pa = device_target(d, iova, true);
	if (!pa)
		return REFUSED;
	*(uint8_t *)phys_to_virt(phys(pa)) = value;
	return REACHED;
}

static void prefetch_below(
	struct device *d, uint64_t table, unsigned level, uint64_t base)
{
	for (unsigned i = 0; i < 512; i++) {
		uint64_t v = device_pte(d, table, i);
		uint64_t addr = base + i * pte_span(level);

		if (!(v & 3))
			continue;
		if (level == 1 || (level == 2 && v & PTE_LARGE))
			(void)device_target(d, addr, false);
		else
			prefetch_below(d, v & PTE_ADDR, level - 1, addr);
	}
}

void device_prefetch(struct device *d)
{
	if (d->tlb)
		prefetch_below(d, d->root, d->levels, 0);
}
