/* SPDX-License-Identifier: MIT */
/*
 * Copies of buffers, for devices that are not trusted with what else lies on a
 * buffer's pages.
 */
#include "space.h"

static struct copy **bucket_of(struct iommu_dma *dma, uint64_t iova)
{
	return &dma->copies[(iova >> PAGE_SHIFT) % COPY_BUCKETS];
}

void core_copy_carry(const struct iommu_dma *dma, const struct copy *copy,
	size_t offset, size_t size, bool from_device)
{
	const struct iommu_host *host = &dma->iommu->host;
	size_t end;

	if (offset >= copy->size)
		return;
	end = offset + (size_t)core_min(size, copy->size - offset);
	while (offset < end) {
		uint64_t at = copy->original.v + offset;
		size_t in_page = (size_t)(at & (PAGE_SIZE - 1));
		size_t part =
			(size_t)core_min(PAGE_SIZE - in_page, end - offset);
		char *page =
			host->phys_to_virt(host->ctx, iommu_phys(at - in_page));
		char *copied = (char *)copy->pages +
			(copy->original.v & (PAGE_SIZE - 1)) + offset;

		if (page && from_device)
			memcpy(page + in_page, copied, part);
		else if (page)
			memcpy(copied, page + in_page, part);
		offset += part;
	}
}

struct copy *core_copy_make(struct iommu_dma *dma, iommu_phys_t original,
	size_t size, unsigned direction)
{
	size_t needed = (size_t)(original.v & (PAGE_SIZE - 1)) + size;
	struct copy *copy = core_pool_get(dma->iommu, &dma->copy_pool);

	if (!copy)
		return NULL;
	while (((size_t)PAGE_SIZE << copy->order) < needed)
		copy->order++;
	if (copy->order <= 8)
		copy->pages =
			core_pages(dma->iommu, copy->order, &copy->pages_phys);
	if (!copy->pages) {
		core_pool_put(dma->iommu, &dma->copy_pool, copy);
		return NULL;
	}
	copy->original = original;
	copy->size = size;
	copy->direction = direction;
	/* Also for data that only comes: what the device does not write must
	 * stay as it was. */
	core_copy_carry(dma, copy, 0, size, false);
	return copy;
}

void core_copy_enter(struct iommu_dma *dma, struct copy *copy, uint64_t iova)
{
	struct copy **bucket = bucket_of(dma, iova);
	unsigned long state = core_lock(dma->iommu, &dma->copy_lock);

	copy->iova = iova;
	copy->next = *bucket;
	*bucket = copy;
	core_unlock(dma->iommu, &dma->copy_lock, state);
	__atomic_fetch_add(&dma->copy_count, 1, __ATOMIC_RELEASE);
}

struct copy *core_copy_leave(struct iommu_dma *dma, uint64_t iova)
{
	struct copy **at, *copy;
	unsigned long state;

	if (!__atomic_load_n(&dma->copy_count, __ATOMIC_ACQUIRE))
		return NULL;
	state = core_lock(dma->iommu, &dma->copy_lock);
	at = bucket_of(dma, iova);
	while (*at && (*at)->iova != iova)
		at = &(*at)->next;
	copy = *at;
	if (copy)
		*at = copy->next;
	core_unlock(dma->iommu, &dma->copy_lock, state);
	if (copy)
		__atomic_fetch_sub(&dma->copy_count, 1, __ATOMIC_RELEASE);
	return copy;
}

void core_copy_free(struct iommu_dma *dma, struct copy *copy)
{
	core_pages_free(dma->iommu, copy->pages, copy->pages_phys, copy->order);
	core_pool_put(dma->iommu, &dma->copy_pool, copy);
}

void iommu_dma_sync(struct iommu_dma *dma, iommu_iova_t iova, size_t size,
	enum iommu_direction direction)
{
	uint64_t page = iova.v & ~(uint64_t)(PAGE_SIZE - 1);
	struct copy *copy;
	unsigned long state;
	size_t skip;

	if (!__atomic_load_n(&dma->copy_count, __ATOMIC_ACQUIRE))
		return;
	state = core_lock(dma->iommu, &dma->copy_lock);
	copy = *bucket_of(dma, page);
	while (copy && copy->iova != page)
		copy = copy->next;
	if (copy) {
		skip = (size_t)(copy->original.v & (PAGE_SIZE - 1));
		skip = (size_t)(iova.v - page) >= skip
			? (size_t)(iova.v - page) - skip
			: 0;
		core_copy_carry(
			dma, copy, skip, size, direction == IOMMU_FROM_DEVICE);
	}
	core_unlock(dma->iommu, &dma->copy_lock, state);
}
