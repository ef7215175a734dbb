/* SPDX-License-Identifier: MIT */
/*
 * Physical frames: a binary buddy allocator over one array of struct page.
 * One spinlock guards the free lists and every page's state; `refs` of a frame
 * in use is atomic and belongs to its users.
 *
 * A frame that a device may still reach after the hardware failed to confirm a
 * flush is quarantined: it is counted and never used again. So is for a while
 * what an earlier kernel used (boot/boot_info.h): it has frames, but belongs to
 * nobody until pages_add_inherited().
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
	TAIL,
	INHERITED
};

#define EARLY_LIMIT (4ull << 30) /* what the boot page tables map */

struct page *page_frames;
static uint64_t nframes;
static struct list free_lists[MAX_ORDER + 1];
static struct spinlock lock;
static struct memory_counts counts;

static uint64_t frame_number(const struct page *p)
{
	return (uint64_t)(p - page_frames);
}

struct page *page_of(phys_t p)
{
	uint64_t n = p.v >> PAGE_SHIFT;

	if (n >= nframes || page_frames[n].state == RESERVED)
		return NULL;
	return &page_frames[n];
}

phys_t page_phys(const struct page *p)
{
	return phys(frame_number(p) << PAGE_SHIFT);
}

/* Whoever counts without the lock finds no free block that is too long. */
static void set_free(struct page *p, unsigned order)
{
	p->order = (uint8_t)order;
	__atomic_store_n(&p->state, FREE, __ATOMIC_RELEASE);
	list_push_front(&free_lists[order], &p->link);
}

/* Put a block on its free list, joined with its buddy as often as possible. */
static void __release(uint64_t n, unsigned order)
{
	counts.free += 1ull << order;
	while (order < MAX_ORDER) {
		uint64_t buddy = n ^ (1ull << order);

		if (buddy + (1ull << order) > nframes ||
			page_frames[buddy].state != FREE ||
			page_frames[buddy].order != order)
			break;
		list_remove(&page_frames[buddy].link);
		page_frames[buddy].state = TAIL;
		page_frames[MAX(n, buddy)].state = TAIL;
		n = MIN(n, buddy);
		order++;
	}
	set_free(&page_frames[n], order);
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

		set_free(half, from);
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

/* Frames that are free from frame n on, as one block; 0: it is not free. */
static uint64_t free_at(uint64_t n)
{
	return page_frames[n].state == FREE ? 1ull << page_frames[n].order : 0;
}

/* The head of the block that frame n belongs to. */
static uint64_t head_of(uint64_t n)
{
	while (page_frames[n].state == TAIL)
		n--;
	return n;
}

/* The first of `wanted` free frames in a row in [from, end); 0: none. */
static uint64_t __find_run(uint64_t wanted, uint64_t from, uint64_t end)
{
	uint64_t start = 0, length = 0;

	for (uint64_t n = 1, step; n < end && length < wanted; n += step) {
		uint64_t usable;

		step = MAX(free_at(n), 1);
		usable = free_at(n) ? n + step : n;
		if (usable <= MAX(n, from)) {
			length = 0;
			continue;
		}
		if (!length)
			start = MAX(n, from);
		length = usable - start;
	}
	return length >= wanted && end - start >= wanted ? start : 0;
}

/* Frames [start, end) out of a free block, each as an allocation of its own. */
static void __take_part(uint64_t n, uint64_t start, uint64_t end)
{
	uint64_t size = free_at(n);

	list_remove(&page_frames[n].link);
	counts.free -= size;
	for (uint64_t i = n; i < n + size; i++)
		page_frames[i].state = IN_USE;
	for (uint64_t i = n; i < n + size; i++) {
		if (i < start || i >= end) {
			__release(i, 0);
			continue;
		}
		page_frames[i].order = 0;
		page_frames[i].flags = 0;
		page_frames[i].refs = 1;
	}
}

static void __take_run(uint64_t start, uint64_t end)
{
	for (uint64_t n = start; n < end; n++) {
		uint64_t head = head_of(n);

		n = head + free_at(head) - 1;
		__take_part(head, MAX(start, head), MIN(end, n + 1));
	}
}

void *pages_alloc_run(uint64_t n, uint64_t from, uint64_t limit)
{
	uint64_t end = MIN(limit >> PAGE_SHIFT, nframes), start;

	if (!n || watch_refuse())
		return NULL;
	spin_lock(&lock);
	start = __find_run(n, from >> PAGE_SHIFT, end);
	if (start)
		__take_run(start, start + n);
	spin_unlock(&lock);
	if (!start)
		return NULL;
	watch_frames_taken(page_virt(&page_frames[start]), n * PAGE_SIZE);
	return page_virt(&page_frames[start]);
}

static bool __is_claimed(uint64_t n)
{
	return page_frames[n].state == IN_USE &&
		page_frames[n].flags & PAGE_CLAIMED;
}

bool pages_claim(uint64_t start, uint64_t end)
{
	uint64_t last = MIN(end >> PAGE_SHIFT, nframes);
	bool idle = true;

	spin_lock(&lock);
	for (uint64_t n = start >> PAGE_SHIFT; n < last && idle; n++)
		idle = page_frames[n].state == RESERVED || __is_claimed(n) ||
			free_at(head_of(n));
	for (uint64_t n = start >> PAGE_SHIFT; n < last && idle; n++) {
		if (page_frames[n].state == RESERVED || __is_claimed(n))
			continue;
		__take_run(n, n + 1);
		page_frames[n].flags = PAGE_CLAIMED;
	}
	spin_unlock(&lock);
	return idle;
}

void pages_free_run(void *run, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		page_free((char *)run + i * PAGE_SIZE);
}

/* Keeps the longest runs. */
static void note_run(struct boot_range *runs, unsigned *count, unsigned max,
	uint64_t start, uint64_t end)
{
	unsigned least = 0;

	if (*count < max) {
		runs[(*count)++] = (struct boot_range){start, end, true, false};
		return;
	}
	for (unsigned i = 1; i < max; i++)
		if (runs[i].end - runs[i].start <
			runs[least].end - runs[least].start)
			least = i;
	if (end - start > runs[least].end - runs[least].start)
		runs[least] = (struct boot_range){start, end, true, false};
}

unsigned pages_free_runs(struct boot_range *runs, unsigned max)
{
	uint64_t start = 0, n = 1;
	unsigned count = 0;

	while (n < nframes) {
		uint64_t step = free_at(n);

		if (step && !start)
			start = n;
		if (!step && start) {
			note_run(runs, &count, max, start << PAGE_SHIFT,
				n << PAGE_SHIFT);
			start = 0;
		}
		n += MAX(step, 1);
	}
	if (start)
		note_run(runs, &count, max, start << PAGE_SHIFT,
			nframes << PAGE_SHIFT);
	return count;
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
			page_frames[first + i].state = TAIL;
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

static void mark_inherited(void)
{
	for (unsigned i = 0; i < boot_info.nranges; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		for (uint64_t at = r->start; r->inherited && at < r->end;
			at += PAGE_SIZE)
			page_frames[at >> PAGE_SHIFT].state = INHERITED;
	}
}

uint64_t pages_add_inherited(void)
{
	uint64_t before = counts.total;

	spin_lock(&lock);
	for (unsigned i = 0; i < boot_info.nranges; i++) {
		struct boot_range *r = &boot_info.ranges[i];

		if (r->inherited)
			add_frames(MAX(r->start, PAGE_SIZE) >> PAGE_SHIFT,
				r->end >> PAGE_SHIFT);
		r->inherited = false;
	}
	spin_unlock(&lock);
	return counts.total - before;
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
	page_frames = phys_to_virt(phys(best->start));
	best->start += bytes;
	memset(page_frames, 0, bytes);
}

uint64_t pages_array_size(void)
{
	return ALIGN_UP(nframes * sizeof(struct page), PAGE_SIZE);
}

void pages_init(void)
{
	uint64_t top = 0;

	for (unsigned i = 0; i <= MAX_ORDER; i++)
		list_init(&free_lists[i]);
	spin_init(&lock);
	for (unsigned i = 0; i < boot_info.nranges; i++)
		if (boot_info.ranges[i].usable || boot_info.ranges[i].inherited)
			top = MAX(top, boot_info.ranges[i].end);
	nframes = top >> PAGE_SHIFT;
	place_frames(pages_array_size());
	mark_inherited();
	/* Frame 0 stays unused: address 0 means "none" in many tables. */
	add_ranges(PAGE_SIZE, EARLY_LIMIT);
}

void pages_add_high(void)
{
	add_ranges(EARLY_LIMIT, UINT64_MAX);
}
