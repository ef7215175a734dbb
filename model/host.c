/* SPDX-License-Identifier: MIT */
/*
 * libiommu's host hooks on a model machine. The hooks check the contracts of
 * iommu/host.h where they can: no lock over a wait, no allocation where none
 * is allowed, nothing left behind.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <model/host.h>
#include "internal.h"

enum {
	HELD_MOST = 8,
};

static __thread int held;
static __thread const void *held_lock[HELD_MOST];

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	struct model_host *h = ctx;
	uint64_t pa;
	void *p;

	if (h->forbid_alloc)
		blame(h->m, NULL, MODEL_V_WAIT, "-",
			"memory allocated on a path that must not");
	if (order > 8)
		blame(h->m, NULL, MODEL_V_ADDRESS, "-", "2^%u pages asked for",
			order);
	pa = model_page_alloc(h->m, order, MODEL_OWNER_DRIVER);
	if (pa == MODEL_NONE)
		return NULL;
	*out_phys = iommu_phys(pa);
	p = model_ptr(h->m, pa);
	memset(p, 0, (size_t)MODEL_PAGE << order);
	return p;
}

static void *phys_to_virt(void *ctx, iommu_phys_t phys)
{
	struct model_host *h = ctx;

	/* It is asked for pages only. */
	return phys.v % MODEL_PAGE ? NULL : model_ptr(h->m, phys.v);
}

static void *regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	struct model_host *h = ctx;

	if (h->forbid_map)
		return NULL;
	if ((base.v | size) & (MODEL_PAGE - 1) || !size)
		blame(h->m, NULL, MODEL_V_ACCESS, "-",
			"registers at %#llx, %#llx bytes: not whole pages",
			(unsigned long long)base.v, (unsigned long long)size);
	h->maps++;
	return (void *)(uintptr_t)base.v;
}

static void regs_unmap(void *ctx, void *regs, uint64_t size)
{
	struct model_host *h = ctx;

	(void)regs;
	(void)size;
	h->maps--;
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	struct model_host *h = ctx;
	uint64_t at = (uintptr_t)regs + offset;

	return width == 8 ? model_read64(h->m, at) : model_read32(h->m, at);
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	struct model_host *h = ctx;
	uint64_t at = (uintptr_t)regs + offset;

	if (width == 8)
		model_write64(h->m, at, value);
	else
		model_write32(h->m, at, (uint32_t)value);
}

static void cache_flush(void *ctx, const void *virt, size_t size)
{
	struct model_host *h = ctx;
	const char *base = model_direct_map(h->m);

	model_cache_flush(
		h->m, (uint64_t)((uintptr_t)virt - (uintptr_t)base), size);
}

/* ---- the order of locks -------------------------------------------------- */

/* Whether somebody who held `first` ever took `then`, directly or by way of
 * others. */
static bool comes_before(struct model_host *h, const void *first,
	const void *then, unsigned depth)
{
	for (unsigned i = 0; i < h->orders && depth < HELD_MOST; i++)
		if (h->order[i].first == first &&
			(h->order[i].then == then ||
				comes_before(
					h, h->order[i].then, then, depth + 1)))
			return true;
	return false;
}

static bool is_known(struct model_host *h, const void *first, const void *then)
{
	for (unsigned i = 0; i < h->orders; i++)
		if (h->order[i].first == first && h->order[i].then == then)
			return true;
	return false;
}

/* Before a lock is taken: two threads that take two locks in different orders
 * may wait for each other, even if they did not this time. */
static void note_order(struct model_host *h, const void *l)
{
	enter(h->m);
	for (int i = 0; i < held && i < HELD_MOST; i++) {
		const void *first = held_lock[i];

		if (is_known(h, first, l))
			continue;
		if (first == l || comes_before(h, l, first, 0))
			blame(h->m, NULL, MODEL_V_WAIT, "-",
				first == l ? "a lock is taken twice"
					   : "two locks are taken in both "
					     "orders");
		else if (h->orders < sizeof h->order / sizeof *h->order) {
			h->order[h->orders].first = first;
			h->order[h->orders++].then = l;
		}
	}
	leave(h->m);
}

/* Whether this thread holds it: to take it again is to wait for ever. */
static bool is_held(const void *l)
{
	for (int i = 0; i < held && i < HELD_MOST; i++)
		if (held_lock[i] == l)
			return true;
	return false;
}

/* The memory of locks is used for something else. */
static void forget_order(struct model_host *h, const void *page, size_t size)
{
	unsigned kept = 0;

	enter(h->m);
	for (unsigned i = 0; i < h->orders; i++)
		if ((uintptr_t)h->order[i].first - (uintptr_t)page >= size &&
			(uintptr_t)h->order[i].then - (uintptr_t)page >= size)
			h->order[kept++] = h->order[i];
	h->orders = kept;
	leave(h->m);
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	struct model_host *h = ctx;

	if (page != model_ptr(h->m, phys.v))
		blame(h->m, NULL, MODEL_V_FREE, "-",
			"page %#llx given back with another pointer",
			(unsigned long long)phys.v);
	forget_order(h, page, (size_t)MODEL_PAGE << order);
	model_page_free(h->m, phys.v, order);
}

static unsigned long lock(void *ctx, struct iommu_lock *l)
{
	struct model_host *h = ctx;

	if (held)
		note_order(h, l);
	if (is_held(l)) {
		model_report(h->m, stderr);
		abort();
	}
	while (__atomic_exchange_n(&l->opaque[0], 1, __ATOMIC_ACQUIRE))
		sched_yield();
	if (held < HELD_MOST)
		held_lock[held] = l;
	held++;
	__atomic_add_fetch(&h->locks_held, 1, __ATOMIC_RELAXED);
	return 0x5a;
}

static void unlock(void *ctx, struct iommu_lock *l, unsigned long state)
{
	struct model_host *h = ctx;

	if (state != 0x5a || !__atomic_load_n(&l->opaque[0], __ATOMIC_RELAXED))
		blame(h->m, NULL, MODEL_V_WAIT, "-",
			"a lock given back that was not taken");
	else if (held > 0 && held <= HELD_MOST && held_lock[held - 1] != l)
		blame(h->m, NULL, MODEL_V_WAIT, "-",
			"a lock given back before one taken later");
	held--;
	for (int i = 0; i < held && i + 1 < HELD_MOST; i++)
		if (held_lock[i] == l) {
			held_lock[i] = held_lock[i + 1];
			held_lock[i + 1] = l;
		}
	__atomic_sub_fetch(&h->locks_held, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&l->opaque[0], 0, __ATOMIC_RELEASE);
}

static uint64_t now_ns(void *ctx)
{
	struct model_host *h = ctx;

	return model_now(h->m);
}

static void relax(void *ctx, uint64_t waited_ns)
{
	struct model_host *h = ctx;

	if (held)
		blame(h->m, NULL, MODEL_V_WAIT, "-",
			"waiting with a lock held");
	__atomic_add_fetch(&h->relaxed, 1, __ATOMIC_RELAXED);
	enter(h->m);
	if (waited_ns > h->longest_wait)
		h->longest_wait = waited_ns;
	leave(h->m);
	if (h->on_relax)
		h->on_relax(h);
	model_now(h->m);
}

static void log_line(void *ctx, enum iommu_log_level level, const char *line)
{
	struct model_host *h = ctx;

	enter(h->m);
	h->logged[level & 3]++;
	snprintf(h->last_line, sizeof h->last_line, "%s", line);
	if (h->verbose)
		fprintf(stderr, "%s\n", line);
	leave(h->m);
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	struct model_host *h = ctx;

	return model_pci_read(h->m, segment, bus, devfn, offset, width);
}

static void pci_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	struct model_host *h = ctx;

	model_pci_write(h->m, segment, bus, devfn, offset, width, value);
}

static bool unit_msi(void *ctx, unsigned unit, struct iommu_msi_message *out)
{
	(void)ctx;
	out->address = 0xfee00000;
	out->data = MODEL_HOST_VECTOR + unit;
	return true;
}

static void on_interrupt(
	void *ctx, struct model *m, const struct model_interrupt *irq)
{
	struct model_host *h = ctx;

	(void)m;
	if (irq->from_unit) {
		h->unit_interrupts |= 1u << (irq->unit & 31);
		if (irq->vector != MODEL_HOST_VECTOR + irq->unit)
			blame(h->m, NULL, MODEL_V_INTERRUPT, "5.1.6",
				"unit %u raises vector %u", irq->unit,
				irq->vector);
		return;
	}
	h->device_interrupts++;
	h->last_interrupt = *irq;
}

void model_host_init(
	struct model_host *h, struct model *m, struct iommu_host *out)
{
	memset(h, 0, sizeof *h);
	h->m = m;
	model_on_interrupt(m, on_interrupt, h);
	*out = (struct iommu_host){
		.ctx = h,
		.direct_map = model_direct_map(m),
		.page_alloc = page_alloc,
		.page_free = page_free,
		.phys_to_virt = phys_to_virt,
		.regs_map = regs_map,
		.regs_unmap = regs_unmap,
		.reg_read = reg_read,
		.reg_write = reg_write,
		.cache_flush = cache_flush,
		.lock = lock,
		.unlock = unlock,
		.now_ns = now_ns,
		.relax = relax,
		.log = log_line,
		.pci_read = pci_read,
		.pci_write = pci_write,
		.unit_msi = unit_msi,
	};
}

unsigned model_host_check_leaks(struct model_host *h)
{
	size_t pages = model_pages_in_use(h->m, MODEL_OWNER_DRIVER);

	if (pages)
		blame(h->m, NULL, MODEL_V_FREE, "-", "%zu pages are left",
			pages);
	if (h->maps)
		blame(h->m, NULL, MODEL_V_FREE, "-",
			"%u register mappings are left", h->maps);
	if (h->locks_held)
		blame(h->m, NULL, MODEL_V_WAIT, "-", "%d locks are left",
			h->locks_held);
	return (pages != 0) + (h->maps != 0) + (h->locks_held != 0);
}
