/* SPDX-License-Identifier: MIT */
/* The kernel's own memory: the map of its half of the address space, physical
 * pages, and the heap. Addresses:
 *
 *   0 - user_top                   the process (mem/space.h)
 *   0xffff800000000000             all RAM, writable except kernel text and
 *                                  read-only data, never executable
 *   0xfffffff000000000             device registers (kernel_map_device)
 *   0xffffffff80000000             the kernel image, W^X
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include "lib/types.h"
#include "lib/list.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define LARGE_PAGE_SIZE 0x200000ull
#ifndef DIRECT_BASE /* the hosted tests have another */
#define DIRECT_BASE 0xffff800000000000ull
#endif
#define DEVICE_BASE 0xfffffff000000000ull
#define IMAGE_BASE 0xffffffff80000000ull

static inline void *phys_to_virt(phys_t p)
{
	return (void *)(p.v + DIRECT_BASE);
}

/* Of an address in the direct map or the kernel image. */
static inline phys_t virt_to_phys(const void *p)
{
	uint64_t v = (uint64_t)p;

	return phys(v >= IMAGE_BASE ? v - IMAGE_BASE : v - DIRECT_BASE);
}

/* Boot, in this order. pages_init() takes what boot_info calls usable. */
void pages_init(void);
void kernel_map_init(void); /* leaves the boot page tables */
void heap_init(void);

/* Enter the kernel's page tables on this CPU (application processors). */
void kernel_map_enter(void);
extern uint64_t kernel_cr3;

/* Map device registers, uncached, for good. NULL when out of memory. */
void *kernel_map_device(phys_t base, size_t size);

/* Map firmware tables, cached and read-only, for good (or find them in the
 * direct map). NULL when out of memory. */
void *kernel_map_memory(phys_t base, size_t size);

/* One frame of RAM. Shared frames (copy-on-write, shared files) count their
 * users; the last page_put() frees. */
struct page {
	uint32_t refs;
	uint8_t order;  /* free block heads and large allocations */
	uint8_t state;  /* mem/pages.c */
	uint16_t flags; /* PAGE_* */
	union {
		struct list link;  /* free */
		unsigned writable; /* a process's table: see mem/table.h */
	};
};

#define PAGE_QUARANTINED 1 /* a device may still reach it: never reused */
#define PAGE_CLAIMED 2     /* pages_claim() */

/* 2^order frames, physically contiguous and aligned to their size, zeroed; NULL
 * when there are none. Any context but NMI. The first frame's refs is 1. */
void *pages_alloc(unsigned order);
void pages_free(void *p, unsigned order);
#define MAX_ORDER 10

/* n frames in a row in [from, limit), not zeroed, each an allocation of order
 * 0. Looks at every frame: for rare uses. */
void *pages_alloc_run(uint64_t n, uint64_t from, uint64_t limit);
void pages_free_run(void *run, uint64_t n);

/* All frames of [start, end) for good, for whatever will overwrite them; those
 * that were claimed before, too. False, and nothing changes, if one of them is
 * in use otherwise. */
MUST_CHECK bool pages_claim(uint64_t start, uint64_t end);

static inline void *page_alloc(void)
{
	return pages_alloc(0);
}

/* As page_alloc(), contents undefined: for the one who fills it at once. */
void *page_alloc_dirty(void);

static inline void page_free(void *p)
{
	pages_free(p, 0);
}

/* At most `max` runs of free frames, the longest that there are; how many.
 * Takes no lock: true for as long as nobody allocates. */
struct boot_range;
unsigned pages_free_runs(struct boot_range *runs, unsigned max);

/* Bytes that this kernel spends on its array of frames. */
uint64_t pages_array_size(void);

/* No unit and no device reaches what the earlier kernel left any more: it is
 * free from now on. How many frames. */
uint64_t pages_add_inherited(void);

struct page *page_of(phys_t p); /* NULL: not RAM */

/* That of memory which was allocated here. */
extern struct page *page_frames; /* by frame number */
static inline struct page *page_of_virt(const void *p)
{
	return &page_frames[((uintptr_t)p - DIRECT_BASE) >> PAGE_SHIFT];
}
phys_t page_phys(const struct page *p);

static inline void *page_virt(const struct page *p)
{
	return phys_to_virt(page_phys(p));
}

void page_get(struct page *p);
void page_put(struct page *p); /* frees 2^p->order frames at zero */

/* Frames: all that were usable, free now, and quarantined for good. */
struct memory_counts {
	uint64_t total, free, quarantined;
};
struct memory_counts memory_counts(void);

/* The heap: up to 1 MiB a piece, 16-byte aligned. kzalloc zeroes. NULL when out
 * of memory. kfree(NULL) is allowed. Any context but NMI. */
void *kmalloc(size_t n);
void *kzalloc(size_t n);
void kfree(void *p);

#endif
