/* SPDX-License-Identifier: MIT */
/*
 * Page tables of a process, walked by CPUs and by devices alike.
 *
 * The same entry must mean the same to both walkers (VT-d 9.8 beside the CPU's
 * format): present = bit 0, writable = bit 1; a second-stage entry counts as
 * present when bit 0 OR bit 1 is set, so a non-present entry here always has
 * both clear. Bits 11 and 62 are reserved for the unit and never set. The unit
 * ignores user/supervisor, so the tables that it sees hold nothing but what
 * the process may reach: the device gets a top-level page of its own without
 * the kernel half and without device registers.
 *
 * Nothing here locks; the space that owns the tables does.
 */
#ifndef MEM_TABLE_H
#define MEM_TABLE_H

#include "mem/mem.h"

typedef struct {
	uint64_t v;
} pte_t;

#define PTE_PRESENT 0x1ull
#define PTE_WRITE 0x2ull
#define PTE_USER 0x4ull
#define PTE_WRITE_THROUGH 0x8ull
#define PTE_CACHE_DISABLE 0x10ull
#define PTE_ACCESSED 0x20ull
#define PTE_DIRTY 0x40ull
#define PTE_LARGE 0x80ull
#define PTE_GLOBAL 0x100ull
#define PTE_REGISTERS 0x200ull /* software: device registers, no frame */
#define PTE_DYING 0x400ull     /* software: not present, frame not yet freed */
#define PTE_HELD                                                \
	0x100ull /* software, only when not present: PROT_NONE, \
		  * the frame waits for mprotect() */
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

static inline bool pte_present(pte_t e)
{
	return e.v & PTE_PRESENT;
}

static inline phys_t pte_phys(pte_t e)
{
	return phys(e.v & PTE_ADDR);
}

static inline pte_t *pte_table(pte_t e)
{
	return phys_to_virt(pte_phys(e));
}

static inline pte_t pte_make(phys_t p, uint64_t flags)
{
	return (pte_t){p.v | flags};
}

static inline unsigned pte_index(uint64_t addr, unsigned level)
{
	return (addr >> (PAGE_SHIFT + 9 * (level - 1))) & 511;
}

/* Bytes that one entry of a level spans. */
static inline uint64_t pte_span(unsigned level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

/* The kernel's top-level entries into a new top-level page. */
void kernel_map_copy(pte_t *top);

/* Registers of devices are mapped here and nowhere else; a unit never sees
 * these top-level slots. */
#define REGISTERS_START 0x400000000000ull
#define REGISTERS_END 0x600000000000ull

struct tables {
	pte_t *top;      /* the CPU's: kernel half copied in */
	pte_t *device4;  /* the devices' own top level, or NULL: no device */
	pte_t *device5;  /* one level above it, for units of 57 bits only */
	bool write_back; /* a unit reads memory past the CPU caches, or did:
			  * every entry written is flushed to memory */
};

/* Tables are flushed to memory from their beginning on, so that a device can be
 * given at any time without a look at all of them: on machines with a unit that
 * reads memory past the CPU caches. Set before the first process. */
extern bool tables_in_memory;

bool tables_init(struct tables *t); /* false: out of memory */
/* All leaves are gone. With `keep` the tables are quarantined, not freed. */
void tables_destroy(struct tables *t, bool keep);

/* Make the device's top level (also the first third-level table, which is the
 * root of a 39-bit unit). -ENOMEM. */
MUST_CHECK int tables_share(struct tables *t);
void tables_unshare(struct tables *t, bool keep);
phys_t tables_root(const struct tables *t, unsigned levels); /* 3, 4, 5 */

/* Every entry flushed to memory, when the first unit that needs it comes. */
void tables_write_back(struct tables *t);

/* Write one entry. All writes to a space's tables go through here, and so the
 * struct page of each table counts its entries that are present and writable.
 */
void tables_set(struct tables *t, pte_t *e, pte_t value);

/* From addr on over tables of which each whole is present and writable and
 * inside of [addr, end): where that ends. */
uint64_t tables_skip_full(struct tables *t, uint64_t addr, uint64_t end);

/* The entry that maps addr at a level (1: 4 KiB, 2: 2 MiB). With `create`,
 * missing tables are made; NULL: out of memory, not there, or a larger page is
 * in the way. */
pte_t *tables_entry(
	struct tables *t, uint64_t addr, unsigned level, bool create);

/* The next non-zero leaf in [addr, end), also through dying tables. */
struct leaf {
	pte_t *entry;
	uint64_t addr;
	unsigned level; /* 1 or 2 */
};
bool tables_next(
	struct tables *t, uint64_t addr, uint64_t end, struct leaf *out);

static inline uint64_t leaf_end(const struct leaf *l)
{
	return l->addr + pte_span(l->level);
}

/* The leaf after *l, as tables_next() from its end: mostly beside it. No table
 * was freed in between. */
static inline bool tables_after(struct tables *t, uint64_t end, struct leaf *l)
{
	uint64_t next = leaf_end(l);

	if (l->level != 1 || !pte_index(next, 1) || next >= end ||
		!l->entry[1].v)
		return tables_next(t, next, end, l);
	l->entry++;
	l->addr = next;
	return true;
}

/* Unlink the tables that serve only [start, end): their parents' entries become
 * dying. Both are multiples of 2 MiB. Returns whether there were any. */
bool tables_unlink(struct tables *t, uint64_t start, uint64_t end);

/* Free dying tables of [start, end), whose leaves are all zero by now. With
 * `keep` they are quarantined instead. */
void tables_reap(struct tables *t, uint64_t start, uint64_t end, bool keep);

#endif
