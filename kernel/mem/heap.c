/* SPDX-License-Identifier: MIT */
/*
 * The heap: slabs of one page for pieces up to 2016 bytes, whole blocks of
 * pages above. A slab's header lies at the start of its page; free pieces are
 * linked through their first word. An empty slab goes back to the page
 * allocator unless it is the last of its class with room.
 */
#include "mem/mem.h"
#include "mem/watch.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"

struct slab {
	struct list link; /* in its class while it has room */
	void *free;
	uint32_t used;
	uint32_t class;
	uint64_t magic;
};

#define SLAB_HEADER 64
#define SLAB_MAGIC 0x51ab51ab51ab51abull
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "slab header");

static const uint16_t sizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 336, 448,
	576, 800, 1008, 1344, 2016};
#define NCLASSES ARRAY_SIZE(sizes)

static struct class
{
	struct spinlock lock;
	struct list with_room;
	unsigned nwith_room;
} classes[NCLASSES];

void heap_init(void)
{
	for (unsigned i = 0; i < NCLASSES; i++) {
		spin_init(&classes[i].lock);
		list_init(&classes[i].with_room);
	}
}

static int class_of(size_t n)
{
	for (unsigned i = 0; i < NCLASSES; i++)
		if (n <= sizes[i])
			return (int)i;
	return -1;
}

static unsigned order_of(size_t n)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < n)
		order++;
	return order;
}

static struct slab *slab_create(unsigned class)
{
	struct slab *s = page_alloc_dirty();
	unsigned size = sizes[class];

	if (!s)
		return NULL;
	list_init(&s->link);
	s->free = NULL;
	s->used = 0;
	s->class = class;
	s->magic = SLAB_MAGIC;
	for (size_t at = SLAB_HEADER; at + size <= PAGE_SIZE; at += size) {
		void **piece = (void **)((char *)s + at);

		*piece = s->free;
		s->free = piece;
		watch_piece_given(piece, size);
	}
	return s;
}

static void *piece_take(struct class *c)
{
	struct slab *s;
	void **piece;

	if (list_empty(&c->with_room))
		return NULL;
	s = list_first(&c->with_room, struct slab, link);
	piece = s->free;
	s->free = *piece;
	s->used++;
	if (!s->free) {
		list_remove(&s->link);
		c->nwith_room--;
	}
	return piece;
}

static void *small_alloc(unsigned class)
{
	struct class *c = &classes[class];
	struct slab *fresh;
	void *piece;

	spin_lock(&c->lock);
	piece = piece_take(c);
	spin_unlock(&c->lock);
	if (piece)
		return piece;

	fresh = slab_create(class);
	if (!fresh)
		return NULL;
	spin_lock(&c->lock);
	list_push_front(&c->with_room, &fresh->link);
	c->nwith_room++;
	piece = piece_take(c);
	spin_unlock(&c->lock);
	return piece;
}

static void small_free(struct slab *s, void **piece)
{
	struct class *c = &classes[s->class];
	bool empty = false;

	spin_lock(&c->lock);
	if (!s->free) {
		list_push_front(&c->with_room, &s->link);
		c->nwith_room++;
	}
	watch_piece_given(piece, sizes[s->class]);
	*piece = s->free;
	s->free = piece;
	s->used--;
	if (s->used == 0 && c->nwith_room > 1) {
		list_remove(&s->link);
		c->nwith_room--;
		s->magic = 0;
		empty = true;
	}
	spin_unlock(&c->lock);
	if (empty)
		page_free(s);
}

void *kmalloc(size_t n)
{
	int class = class_of(n);
	void *piece;

	if (class >= 0) {
		piece = watch_refuse() ? NULL : small_alloc((unsigned)class);
		if (piece)
			watch_piece_taken(piece, n);
		return piece;
	}
	if (n > PAGE_SIZE << 8)
		return NULL;
	return pages_alloc(order_of(n));
}

void *kzalloc(size_t n)
{
	void *p = kmalloc(n);

	return p ? memset(p, 0, n) : NULL;
}

void kfree(void *p)
{
	struct slab *s = (struct slab *)ALIGN_DOWN((uint64_t)p, PAGE_SIZE);

	if (!p)
		return;
	if ((void *)s == p) {
		pages_free(p, page_of(virt_to_phys(p))->order);
		return;
	}
	if (s->magic != SLAB_MAGIC)
		panic("kfree: %p is not from the heap", p);
	small_free(s, p);
}
