/* SPDX-License-Identifier: MIT */
/*
 * Memory: pages from the host, counted, and small objects of one size cut from
 * them. A pool's pages stay with it until the instance ends, so that putting an
 * object back never fails and getting one rarely allocates.
 */
#include "internal.h"

/** Stands at the start of each page of a pool. */
struct pool_page {
	struct pool_page *next;
	iommu_phys_t phys;
};

struct free_object {
	struct free_object *next;
};

bool core_pages_usable(
	const struct iommu *iommu, iommu_phys_t phys, unsigned order)
{
	return !(phys.v & (((uint64_t)PAGE_SIZE << order) - 1)) &&
		core_virt(iommu, phys);
}

void *core_pages(struct iommu *iommu, unsigned order, iommu_phys_t *out_phys)
{
	void *page = iommu->host.page_alloc(iommu->host.ctx, order, out_phys);

	if (!page)
		return NULL;
	if (!core_pages_usable(iommu, *out_phys, order)) {
		iommu->host.page_free(iommu->host.ctx, page, *out_phys, order);
		core_log(iommu, IOMMU_LOG_ERROR,
			"page_alloc gave 2^%u pages at 0x%jx, which are not "
			"aligned to their size or unknown to phys_to_virt",
			order, (uintmax_t)out_phys->v);
		return NULL;
	}
	__atomic_fetch_add(&iommu->pages, 1ull << order, __ATOMIC_RELAXED);
	return page;
}

void *core_pages_for(struct iommu *iommu, size_t size, unsigned *out_order,
	iommu_phys_t *out_phys)
{
	unsigned order = 0;

	while (((size_t)PAGE_SIZE << order) < size)
		order++;
	*out_order = order;
	return order <= 8 ? core_pages(iommu, order, out_phys) : NULL;
}

void core_pages_free(
	struct iommu *iommu, void *page, iommu_phys_t phys, unsigned order)
{
	if (!page)
		return;
	__atomic_fetch_sub(&iommu->pages, 1ull << order, __ATOMIC_RELAXED);
	iommu->host.page_free(iommu->host.ctx, page, phys, order);
}

void core_pages_withhold(struct iommu *iommu, unsigned order)
{
	__atomic_fetch_add(
		&iommu->pages_withheld, 1ull << order, __ATOMIC_RELAXED);
}

void core_pool_init(struct pool *pool, size_t size)
{
	*pool = (struct pool){.size = (size + 15) & ~(size_t)15};
}

/** Cuts a fresh page into free objects. Lock P held. */
static void __pool_add(struct pool *pool, void *page, iommu_phys_t phys)
{
	struct pool_page *head = page;
	size_t at = (sizeof(*head) + 15) & ~(size_t)15;

	head->next = pool->pages;
	head->phys = phys;
	pool->pages = head;
	for (; at + pool->size <= PAGE_SIZE; at += pool->size) {
		struct free_object *object = (void *)((char *)page + at);

		object->next = pool->free;
		pool->free = object;
	}
}

void *core_pool_get(struct iommu *iommu, struct pool *pool)
{
	unsigned long state = core_lock(iommu, &iommu->pool_lock);
	struct free_object *object;

	while (!(object = pool->free)) {
		iommu_phys_t phys;
		void *page;

		core_unlock(iommu, &iommu->pool_lock, state);
		page = core_pages(iommu, 0, &phys);
		if (!page)
			return NULL;
		state = core_lock(iommu, &iommu->pool_lock);
		__pool_add(pool, page, phys);
	}
	pool->free = object->next;
	core_unlock(iommu, &iommu->pool_lock, state);
	memset(object, 0, pool->size);
	return object;
}

void core_pool_put(struct iommu *iommu, struct pool *pool, void *object)
{
	struct free_object *freed = object;
	unsigned long state;

	if (!object)
		return;
	state = core_lock(iommu, &iommu->pool_lock);
	freed->next = pool->free;
	pool->free = freed;
	core_unlock(iommu, &iommu->pool_lock, state);
}

void core_pool_end(struct iommu *iommu, struct pool *pool)
{
	struct pool_page *page = pool->pages, *next;

	for (; page; page = next) {
		next = page->next;
		core_pages_free(iommu, page, page->phys, 0);
	}
}
