/* SPDX-License-Identifier: MIT */
/* Inside mem/: what a space consists of. Everything here is guarded by the
 * space's lock unless a letter says otherwise: [C] constant, [A] atomic. */
#ifndef MEM_REGION_H
#define MEM_REGION_H

#include "mem/space.h"
#include "mem/table.h"
#include "fs/file.h"
#include "lib/list.h"
#include "lib/lock.h"

enum {
	REGION_SHARED = 1,     /* writes go to the file */
	REGION_GROWSDOWN = 2,  /* a stack: not populated ahead */
	REGION_HUGE = 4,       /* 2 MiB pages */
	REGION_REGISTERS = 8,  /* a device's registers; not inherited by fork */
	REGION_REVOKED = 16,   /* registers taken away: access is SIGBUS */
	REGION_COMBINING = 32, /* registers whose writes may be combined */
};

struct region {
	uint64_t start, end;
	uint32_t prot, flags;
	struct file *file;    /* counted; NULL: anonymous */
	uint64_t offset;      /* of start, in the file or the registers */
	uint64_t registers;   /* physical address of start */
	uint64_t readonly[2]; /* physical range of them never writable */
};

struct space {
	uint32_t refs; /* [A] */
	struct mutex lock;
	struct list all; /* guarded by the lock of the list of spaces */
	struct tables tables;
	struct region *regions; /* sorted, disjoint */
	unsigned count, room;
	uint64_t brk_start, brk;
	uint64_t resident; /* frames mapped */
	/* A device walks these tables: no page may be missing that the process
	 * may use, and every change is flushed to the units. */
	bool shared_with_devices;
	bool quarantined; /* a unit may still walk it: nothing is reused */
	bool no_huge;     /* a unit of its devices lacks 2 MiB pages */
	void *domain;     /* the I/O address space, assign/'s; NULL: none yet */
};

/* The interrupt window of the x86 bus: a write there is an interrupt, never
 * memory (VT-d 3.14), so no process gets it. */
#define INTERRUPT_WINDOW_START 0xfee00000ull
#define INTERRUPT_WINDOW_END 0xfef00000ull
#define LOWEST_ADDRESS 0x10000ull
#define STACK_ROOM 0x2000000ull /* below user_top, kept from mmap */
#define MAX_REGIONS 16384

/* First region that ends above addr; its index, or count. */
unsigned region_index(const struct space *s, uint64_t addr);
struct region *region_at(const struct space *s, uint64_t addr);
bool region_any(const struct space *s, uint64_t start, uint64_t end);

/* Room for `more` regions, so that the steps that follow cannot fail. */
MUST_CHECK int regions_reserve(struct space *s, unsigned more);

/* Insert (room is reserved), joined with equal neighbours. */
void region_insert(struct space *s, const struct region *r);

/* Cut regions at addr (room for one is reserved). */
void region_split(struct space *s, uint64_t addr);

/* Forget the regions of [start, end), which were split at both ends. */
void regions_remove(struct space *s, uint64_t start, uint64_t end);
void regions_join(struct space *s, uint64_t start, uint64_t end);

/* The highest free range of len bytes in [low, high), or 0. */
uint64_t region_gap(const struct space *s, uint64_t len, uint64_t align,
	uint64_t low, uint64_t high);

/* May ordinary memory, or registers, lie there? */
bool region_allowed(uint64_t start, uint64_t end, bool registers);

/*
 * A change to page tables in the making: what changed, in which range. Nothing
 * that was taken out of the tables is used again before change_flush().
 */
enum {
	CHANGE_PRESENT = 1,   /* an entry became present */
	CHANGE_REMOVED = 2,   /* a present entry went */
	CHANGE_CUT = 4,       /* a permission was taken */
	CHANGE_RAISED = 8,    /* a permission was given */
	CHANGE_REPLACED = 16, /* another frame at the same address */
	CHANGE_TABLES = 32,   /* a table page went */
};

/* What a CPU may hold the old state of: it does not keep that a page is absent,
 * and a right too few makes it look again. */
#define CHANGE_OF_PAGES (CHANGE_REMOVED | CHANGE_CUT | CHANGE_REPLACED)

struct change {
	struct space *space;
	uint64_t start, end; /* bounds of all that changed; empty at first */
	uint64_t pages, pages_end; /* bounds of CHANGE_OF_PAGES */
	unsigned what;
};

static inline struct change change_begin(struct space *s)
{
	return (struct change){
		.space = s, .start = UINT64_MAX, .pages = UINT64_MAX};
}

static inline void change_add(
	struct change *c, uint64_t start, uint64_t end, unsigned what)
{
	c->start = MIN(c->start, start);
	c->end = MAX(c->end, end);
	c->what |= what;
	if (what & CHANGE_OF_PAGES) {
		c->pages = MIN(c->pages, start);
		c->pages_end = MAX(c->pages_end, end);
	}
}

/* All CPUs, then all units, have forgotten what changed. -EIO: a unit did not
 * confirm; the space is quarantined from now on. The change is empty again. */
MUST_CHECK int change_flush(struct change *c);

/* CPU side only: mem/shootdown.c. */
void shootdown(struct space *s, uint64_t start, uint64_t end);
void shootdown_leave(struct space *s); /* no CPU has it loaded afterwards */

/* Make addr (in region r) usable for reading, or for writing; adds to c, which
 * the caller flushes. 0, -EACCES, -ENOMEM, -ENXIO, -EIO. */
MUST_CHECK int fill(
	struct change *c, const struct region *r, uint64_t addr, bool write);

/* The same for all pages of [start, end) that the process may use: a device
 * cannot fault and retry. Flushes. */
MUST_CHECK int populate(struct space *s, uint64_t start, uint64_t end);

/* Take all pages of [start, end) out, flush, free. Tables that serve nothing
 * any more go too (regions were removed before). */
void zap(struct space *s, uint64_t start, uint64_t end);

/* Bring the entries of [start, end) in line with a region's new protection;
 * adds to c. */
void protect(struct change *c, const struct region *r);

/* May this page of a register region ever be written? (Not where a device's
 * interrupt messages are programmed.) */
bool registers_writable(const struct region *r, uint64_t addr);

/* Flags of an entry that maps a frame of region r. */
uint64_t region_flags(const struct region *r, bool writable);

/* An anonymous object that several spaces share (MAP_SHARED|MAP_ANONYMOUS). */
struct file *shared_memory_create(void);

#endif
