/* SPDX-License-Identifier: MIT */
/*
 * Physical frames: a binary buddy allocator over one array of struct page.
 * One spinlock guards the free lists and every page's state; `refs` of a frame
 * in use is atomic and belongs to its users.
 *
 * A frame that a device may still reach after the hardware failed to confirm a
 * flush is quarantined: it is counted and never used again.
 */
#include "mem/mem.h"
#include "mem/pages.h"
#include "mem/watch.h"
#include "boot/boot_info.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"

enum {
	RESERVED,
	FREE,
	IN_USE,
	TAIL
};

#define EARLY_LIMIT (4ull << 30) /* what the boot page tables map */

static struct page *frames; /* indexed by frame number */
static uint64_t nframes;
static struct list free_lists[MAX_ORDER + 1];
static struct spinlock lock;
static struct memory_counts counts;

static uint64_t frame_number(const struct page *p)
{
	return (uint64_t)(p - frames);
}

struct page *page_of(phys_t p)
{
	uint64_t n = p.v >> PAGE_SHIFT;

	if (n >= nframes || frames[n].state == RESERVED)
		return NULL;
	return &frames[n];
}

phys_t page_phys(const struct page *p)
{
	return phys(frame_number(p) << PAGE_SHIFT);
}

/* Put a block on its free list, joined with its buddy as often as possible. */
static void __release(uint64_t n, unsigned order)
{
	counts.free += 1ull << order;
	while (order < MAX_ORDER) {
		uint64_t buddy = n ^ (1ull << order);

		if (buddy + (1ull << order) > nframes ||
			frames[buddy].state != FREE ||
			frames[buddy].order != order)
			break;
		list_remove(&frames[buddy].link);
		frames[buddy].state = TAIL;
		frames[MAX(n, buddy)].state = TAIL;
		n = MIN(n, buddy);
		order++;
	}
	frames[n].state = FREE;
	frames[n].order = (uint8_t)order;
	list_push_front(&free_lists[order], &frames[n].link);
}

static struct page *__take(unsigned order)
{
	unsigned from = order;
	struct page *p;

	while (from <= MAX_ORDER && list_empty(&free_lists[from]))
		from++;
	if (from > MAX_ORDER)
		return NULL;
	p = list_first(&free_lists[from], struct page, link);
	list_remove(&p->link);
	counts.free -= 1ull << order;
	while (from > order) {
		struct page *half = p + (1ull << --from);

		half->state = FREE;
		half->order = (uint8_t)from;
		list_push_front(&free_lists[from], &half->link);
	}
	p->state = IN_USE;
	p->order = (uint8_t)order;
	p->flags = 0;
	p->refs = 1;
	return p;
}

static struct page *take(unsigned order)
{
	struct page *p;

	if (order > MAX_ORDER || watch_refuse())
		return NULL;
	spin_lock(&lock);
	p = __take(order);
	spin_unlock(&lock);
	if (p)
		watch_frames_taken(page_virt(p), PAGE_SIZE << order);
	return p;
}

void *pages_alloc(unsigned order)
{
	struct page *p = take(order);

	if (!p)
		return NULL;
	return memset(page_virt(p), 0, PAGE_SIZE << order);
}

void *page_alloc_dirty(void)
{
	struct page *p = take(0);

	return p ? page_virt(p) : NULL;
}

void pages_free(void *v, unsigned order)
{
	struct page *p = page_of(virt_to_phys(v));

	if (!p || p->state != IN_USE || p->order != order)
		panic("pages_free: %p is not an allocation of order %u", v,
			order);
	if (!(p->flags & PAGE_QUARANTINED))
		watch_frames_given(v, PAGE_SIZE << order);
	spin_lock(&lock);
	if (p->flags & PAGE_QUARANTINED)
		counts.quarantined += 1ull << order;
	else
		__release(frame_number(p), order);
	spin_unlock(&lock);
}

void page_get(struct page *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
}

void page_put(struct page *p)
{
	if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
		pages_free(page_virt(p), p->order);
}

struct memory_counts memory_counts(void)
{
	struct memory_counts now;

	spin_lock(&lock);
	now = counts;
	spin_unlock(&lock);
	return now;
}

/* Hand frames [first, end) to the allocator in the largest aligned blocks. */
static void add_frames(uint64_t first, uint64_t end)
{
	while (first < end) {
		unsigned order = 0;

		while (order < MAX_ORDER && !(first & (1ull << order)) &&
			first + (2ull << order) <= end)
			order++;
		for (uint64_t i = 1; i < 1ull << order; i++)
			frames[first + i].state = TAIL;
		counts.total += 1ull << order;
		__release(first, order);
		first += 1ull << order;
	}
}

static void add_ranges(uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < boot_info.nranges; i++) {
		const struct boot_range *r = &boot_info.ranges[i];
		uint64_t start = ALIGN_UP(MAX(r->start, from), PAGE_SIZE);
		uint64_t end = ALIGN_DOWN(MIN(r->end, to), PAGE_SIZE);

		if (r->usable && start < end)
			add_frames(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
	}
}

/* Cut room for the frame array off the largest usable range that the boot page
 * tables reach. */
static void place_frames(uint64_t bytes)
{
	struct boot_range *best = NULL;

	for (unsigned i = 0; i < boot_info.nranges; i++) {
		struct boot_range *r = &boot_info.ranges[i];

		if (!r->usable || r->end > EARLY_LIMIT)
			continue;
		if (!best || r->end - r->start > best->end - best->start)
			best = r;
	}
	if (!best || best->end - best->start < bytes + PAGE_SIZE)
		panic("not enough memory for %llu page frames",
			(unsigned long long)nframes);
	best->start = ALIGN_UP(best->start, PAGE_SIZE);
	frames = phys_to_virt(phys(best->start));
	best->start += bytes;
	memset(frames, 0, bytes);
}

void pages_init(void)
{
	uint64_t top = 0;

	for (unsigned i = 0; i <= MAX_ORDER; i++)
		list_init(&free_lists[i]);
	spin_init(&lock);
	for (unsigned i = 0; i < boot_info.nranges; i++)
		if (boot_info.ranges[i].usable)
			top = MAX(top, boot_info.ranges[i].end);
	nframes = top >> PAGE_SHIFT;
	place_frames(ALIGN_UP(nframes * sizeof(struct page), PAGE_SIZE));
	/* Frame 0 stays unused: address 0 means "none" in many tables. */
	add_ranges(PAGE_SIZE, EARLY_LIMIT);
}

void pages_add_high(void)
{
	add_ranges(EARLY_LIMIT, UINT64_MAX);
}
