/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface: an address, a mapping, perhaps a copy; and back.
 *
 * Order on the way back: entry cleared, flushed, data carried home, and only
 * then the address and the copy's pages are free again. In deferred mode the
 * flush is shared, so the address waits for it, and a buffer with a copy is
 * flushed at once.
 */
#include "space.h"

/* ---- life ---- */

static enum iommu_status make_parts(struct iommu_dma *dma)
{
	struct iommu_reserved_region region;
	enum iommu_status status;
	unsigned n = 0;

	core_pool_init(&dma->copy_pool, sizeof(struct copy));
	if (is_identity(dma))
		return IOMMU_OK;
	status = core_iova_make(
		&dma->space, dma->iommu, dma->domain->table.last);
	while (status == IOMMU_OK &&
		vtd_reserved_region(dma->iommu, NULL, n++, &region))
		status = core_iova_reserve(
			&dma->space, region.first.v, region.last.v);
	return status == IOMMU_OK && dma->config.deferred ? core_defer_make(dma)
							  : status;
}

/** Gives back what there is of a space. */
static void end(struct iommu_dma *dma)
{
	core_defer_end(dma);
	core_iova_free_all(&dma->space);
	core_pool_end(dma->iommu, &dma->copy_pool);
	core_pages_free(dma->iommu, dma, dma->phys, 0);
}

enum iommu_status iommu_dma_create(struct iommu_domain *domain,
	const struct iommu_dma_config *config, struct iommu_dma **out_dma)
{
	enum iommu_status status;
	struct iommu_dma *dma;
	iommu_phys_t phys;
	unsigned count;

	if (!domain || !config || !out_dma || config->defer_count > DEFER_MAX ||
		(domain->kind != IOMMU_DOMAIN_MAPPED &&
			domain->kind != IOMMU_DOMAIN_IDENTITY))
		return IOMMU_BAD_ARGUMENT;
	_Static_assert(sizeof(*dma) <= PAGE_SIZE, "one page");
	dma = core_pages(domain->iommu, 0, &phys);
	if (!dma)
		return IOMMU_NO_MEMORY;
	count = config->defer_count ? config->defer_count : DEFER_MAX;
	if (vtd_quirk(domain->iommu, IOMMU_QUIRK_STRICT))
		count = 1;
	dma->iommu = domain->iommu;
	dma->domain = domain;
	dma->config = *config;
	dma->config.defer_count = count;
	if (!config->defer_ns)
		dma->config.defer_ns = 10000000;
	dma->defer_soon = count - count / 4;
	dma->plain = !is_identity(dma) && !config->untrusted;
	dma->phys = phys;
	status = make_parts(dma);
	if (status == IOMMU_OK)
		*out_dma = dma;
	else
		end(dma);
	return status;
}

enum iommu_status iommu_dma_destroy(struct iommu_dma *dma)
{
	enum iommu_status status;

	if (!dma)
		return IOMMU_OK;
	if (core_iova_live(&dma->space))
		return IOMMU_IN_USE;
	status = iommu_dma_flush(dma);
	end(dma);
	return status;
}

enum iommu_status iommu_dma_reserve(
	struct iommu_dma *dma, iommu_iova_t iova, uint64_t size)
{
	uint64_t last = iova.v + size - 1;

	if (!size || last < iova.v || core_iova_live(&dma->space))
		return IOMMU_BAD_ARGUMENT;
	if (is_identity(dma))
		return IOMMU_OK;
	return core_iova_reserve(&dma->space, iova.v, last);
}

/* ---- one buffer ---- */

static void count_identity(struct iommu_dma *dma, unsigned change)
{
	__atomic_fetch_add(&dma->space.live, change, __ATOMIC_RELEASE);
}

enum iommu_status core_dma_give(struct iommu_dma *dma, uint64_t page,
	unsigned pages, enum iommu_status status)
{
	if (is_unsettled(status))
		core_iova_lose(&dma->space);
	else
		core_iova_put(&dma->space, page, reach(dma, pages));
	return status;
}

enum iommu_status core_dma_map_pages(struct iommu_dma *dma, uint64_t phys,
	size_t size, uint64_t mask, unsigned rights, iommu_iova_t *out)
{
	unsigned pages = pages_of(phys, size);
	uint64_t page = core_iova_get(&dma->space, reach(dma, pages), mask);
	enum iommu_status status;

	if (!page)
		return IOMMU_WIDTH;
	status = iommu_map(dma->domain, iommu_iova(page),
		iommu_phys(page_of(phys)), (uint64_t)pages << PAGE_SHIFT,
		rights);
	if (status != IOMMU_OK)
		return core_dma_give(dma, page, pages, status);
	*out = iommu_iova(page | phys % PAGE_SIZE);
	return IOMMU_OK;
}

/** Where there are identity or copies. */
static NOINLINE enum iommu_status map_specially(struct iommu_dma *dma,
	uint64_t phys, size_t size, uint64_t mask, unsigned direction,
	iommu_iova_t *out)
{
	if (is_identity(dma)) {
		if (phys + (size - 1) > mask)
			return IOMMU_WIDTH;
		*out = iommu_iova(phys);
		count_identity(dma, 1);
		return IOMMU_OK;
	}
	if ((phys | size) % PAGE_SIZE)
		return core_copy_map(dma, phys, size, mask, direction, out);
	return core_dma_map_pages(dma, phys, size, mask, direction, out);
}

enum iommu_status iommu_dma_map(struct iommu_dma *dma, iommu_phys_t phys,
	size_t size, uint64_t mask, enum iommu_direction direction,
	iommu_iova_t *out_iova)
{
	if (!is_request(phys.v, size, direction))
		return IOMMU_BAD_ARGUMENT;
	if (!dma->plain)
		return map_specially(
			dma, phys.v, size, mask, (unsigned)direction, out_iova);
	return core_dma_map_pages(
		dma, phys.v, size, mask, (unsigned)direction, out_iova);
}

/* Not inlined where it is the end of a path: it would have that save registers
 * for other paths. */
NOINLINE enum iommu_status core_dma_unmap_now(struct iommu_dma *dma,
	uint64_t page, unsigned pages, bool tell, void *cookie)
{
	uint64_t size = (uint64_t)pages << PAGE_SHIFT, removed = 0;
	enum iommu_status status =
		core_unmap_now(dma->domain, page, size, &removed);

	if (status == IOMMU_OK && removed == size)
		core_iova_put(&dma->space, page, reach(dma, pages));
	else if (status == IOMMU_OK)
		status = IOMMU_BAD_ARGUMENT;
	else if (status != IOMMU_BAD_ARGUMENT)
		core_iova_lose(&dma->space);
	if (status == IOMMU_OK && tell)
		dma->config.released(cookie);
	return status;
}

enum iommu_status core_dma_unmap(struct iommu_dma *dma, uint64_t page,
	unsigned pages, bool tell, void *cookie)
{
	return dma->config.deferred
		? core_defer(dma, page, pages, tell, cookie)
		: core_dma_unmap_now(dma, page, pages, tell, cookie);
}

static NOINLINE enum iommu_status unmap_specially(struct iommu_dma *dma,
	iommu_iova_t iova, size_t size, bool tell, void *cookie)
{
	enum iommu_status status = IOMMU_OK;

	if (is_identity(dma))
		count_identity(dma, -1u);
	else if (!core_copy_unmap(dma, page_of(iova.v), &status))
		return core_dma_unmap(dma, page_of(iova.v),
			pages_of(iova.v, size), tell, cookie);
	if (tell && status == IOMMU_OK)
		dma->config.released(cookie);
	return status;
}

static inline enum iommu_status unmap(struct iommu_dma *dma, iommu_iova_t iova,
	size_t size, enum iommu_direction direction, bool tell, void *cookie)
{
	if (!is_request(iova.v, size, direction))
		return IOMMU_BAD_ARGUMENT;
	if (!dma->plain)
		return unmap_specially(dma, iova, size, tell, cookie);
	return core_dma_unmap(
		dma, page_of(iova.v), pages_of(iova.v, size), tell, cookie);
}

enum iommu_status iommu_dma_unmap(struct iommu_dma *dma, iommu_iova_t iova,
	size_t size, enum iommu_direction direction)
{
	return unmap(dma, iova, size, direction, false, NULL);
}

enum iommu_status iommu_dma_unmap_later(struct iommu_dma *dma,
	iommu_iova_t iova, size_t size, enum iommu_direction direction,
	void *cookie)
{
	if (!dma->config.released)
		return IOMMU_BAD_ARGUMENT;
	return unmap(dma, iova, size, direction, true, cookie);
}

/* ---- memory of the library's own ---- */

enum iommu_status iommu_dma_alloc(struct iommu_dma *dma, unsigned order,
	uint64_t mask, void **out_virt, iommu_iova_t *out_iova)
{
	enum iommu_status status;
	iommu_phys_t phys;
	void *virt;

	if (order > 8 || !out_virt || !out_iova)
		return IOMMU_BAD_ARGUMENT;
	virt = core_pages(dma->iommu, order, &phys);
	if (!virt)
		return IOMMU_NO_MEMORY;
	status = iommu_dma_map(dma, phys, (size_t)PAGE_SIZE << order, mask,
		IOMMU_BOTH_WAYS, out_iova);
	if (is_unsettled(status))
		core_pages_withhold(dma->iommu, order);
	else if (status != IOMMU_OK)
		core_pages_free(dma->iommu, virt, phys, order);
	else
		*out_virt = virt;
	return status;
}

enum iommu_status iommu_dma_free(
	struct iommu_dma *dma, unsigned order, void *virt, iommu_iova_t iova)
{
	enum iommu_status status = IOMMU_OK;
	iommu_phys_t phys;

	if (order > 8 || !virt ||
		iommu_iova_to_phys(dma->domain, iova, &phys) != IOMMU_OK)
		return IOMMU_BAD_ARGUMENT;
	if (is_identity(dma))
		count_identity(dma, -1u);
	else
		status = core_dma_unmap_now(
			dma, iova.v, 1u << order, false, NULL);
	if (status == IOMMU_OK)
		core_pages_free(dma->iommu, virt, phys, order);
	else if (status != IOMMU_BAD_ARGUMENT)
		core_pages_withhold(dma->iommu, order);
	return status;
}
