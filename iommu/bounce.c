/* SPDX-License-Identifier: MIT */
/*
 * Copies of buffers, for devices that are not trusted with what else lies on a
 * buffer's pages.
 */
#include "space.h"

/** Where the copy of the buffer at a page is linked, or would be. Lock held. */
static struct copy **__find(struct iommu_dma *dma, uint64_t page)
{
	struct copy **at = &dma->copies[(page >> PAGE_SHIFT) % COPY_BUCKETS];

	while (*at && (*at)->iova != page)
		at = &(*at)->next;
	return at;
}

/** Most spaces never have one. */
static bool has_copies(const struct iommu_dma *dma)
{
	return __atomic_load_n(&dma->copy_count, __ATOMIC_ACQUIRE) != 0;
}

/** Carries data; from_device or to the device's pages. */
static void carry(const struct iommu_dma *dma, const struct copy *copy,
	size_t offset, size_t size, bool from_device)
{
	const struct iommu_host *host = &dma->iommu->host;
	size_t end;

	if (offset >= copy->size)
		return;
	end = offset + (size_t)core_min(size, copy->size - offset);
	while (offset < end) {
		uint64_t at = copy->original.v + offset;
		size_t in_page = (size_t)(at % PAGE_SIZE);
		size_t part =
			(size_t)core_min(PAGE_SIZE - in_page, end - offset);
		char *page =
			host->phys_to_virt(host->ctx, iommu_phys(at - in_page));
		char *copied = (char *)copy->pages + copy->before + offset;

		if (page && from_device)
			memcpy(page + in_page, copied, part);
		else if (page)
			memcpy(copied, page + in_page, part);
		offset += part;
	}
}

/** Ends a copy; settled: the unit has forgotten it. */
static void end(struct iommu_dma *dma, struct copy *copy, bool settled)
{
	if (!settled) {
		core_pages_withhold(dma->iommu, copy->order);
		return;
	}
	core_pages_free(dma->iommu, copy->pages, copy->pages_phys, copy->order);
	core_pool_put(dma->iommu, &dma->copy_pool, copy);
}

static void enter(struct iommu_dma *dma, struct copy *copy, uint64_t page)
{
	unsigned long state = core_lock(dma->iommu, &dma->copy_lock);

	copy->iova = page;
	*__find(dma, page) = copy;
	core_unlock(dma->iommu, &dma->copy_lock, state);
	__atomic_fetch_add(&dma->copy_count, 1, __ATOMIC_RELEASE);
}

enum iommu_status core_copy_map(struct iommu_dma *dma, uint64_t phys,
	size_t size, uint64_t mask, unsigned direction, iommu_iova_t *out)
{
	struct copy *copy = core_pool_get(dma->iommu, &dma->copy_pool);
	enum iommu_status status = IOMMU_NO_MEMORY;

	if (!copy)
		return status;
	copy->original = iommu_phys(phys);
	copy->before = (size_t)(phys % PAGE_SIZE);
	copy->size = size;
	copy->direction = direction;
	copy->pages = core_pages_for(dma->iommu, copy->before + size,
		&copy->order, &copy->pages_phys);
	if (copy->pages) {
		/* Also for data that only comes: what the device does not
		 * write must stay as it was. */
		carry(dma, copy, 0, size, false);
		status = core_dma_map_pages(dma,
			copy->pages_phys.v | copy->before, size, mask,
			direction, out);
	}
	if (status == IOMMU_OK)
		enter(dma, copy, page_of(out->v));
	else
		end(dma, copy, !is_unsettled(status));
	return status;
}

bool core_copy_unmap(
	struct iommu_dma *dma, uint64_t page, enum iommu_status *out_status)
{
	struct copy **at, *copy;
	unsigned long state;

	if (!has_copies(dma))
		return false;
	state = core_lock(dma->iommu, &dma->copy_lock);
	at = __find(dma, page);
	copy = *at;
	if (copy)
		*at = copy->next;
	core_unlock(dma->iommu, &dma->copy_lock, state);
	if (!copy)
		return false;
	__atomic_fetch_sub(&dma->copy_count, 1, __ATOMIC_RELEASE);
	*out_status = core_dma_unmap_now(
		dma, page, pages_of(copy->original.v, copy->size), false, NULL);
	if (copy->direction & IOMMU_FROM_DEVICE)
		carry(dma, copy, 0, copy->size, true);
	end(dma, copy, *out_status == IOMMU_OK);
	return true;
}

void iommu_dma_sync(struct iommu_dma *dma, iommu_iova_t iova, size_t size,
	enum iommu_direction direction)
{
	size_t at = (size_t)(iova.v % PAGE_SIZE);
	struct copy *copy;
	unsigned long state;

	if (!has_copies(dma))
		return;
	state = core_lock(dma->iommu, &dma->copy_lock);
	copy = *__find(dma, page_of(iova.v));
	if (copy)
		carry(dma, copy, at > copy->before ? at - copy->before : 0,
			size, direction == IOMMU_FROM_DEVICE);
	core_unlock(dma->iommu, &dma->copy_lock, state);
}
