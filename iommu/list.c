/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface for lists of pieces: one run of addresses for all of them.
 */
#include "space.h"

/**
 * What the device sees of pieces that lie side by side, from address 0 on:
 * pieces that meet at page borders become one range. Returns how many ranges; 0
 * if a piece is unsound.
 */
static unsigned describe(const struct iommu_dma_piece *pieces, unsigned count,
	struct iommu_dma_range *out, uint64_t *out_size)
{
	uint64_t before = 1; /* end of the piece before */
	struct iommu_dma_range *next = out;
	uint64_t at = 0;

	for (unsigned n = 0; n < count; n++) {
		uint64_t phys = pieces[n].phys.v;
		size_t size = pieces[n].size;

		if (!is_request(phys, size, IOMMU_BOTH_WAYS))
			return 0;
		if ((before | phys) % PAGE_SIZE)
			*next++ = (struct iommu_dma_range){
				iommu_iova(at | phys % PAGE_SIZE), size};
		else
			next[-1].size += size;
		before = phys + size;
		at += (uint64_t)pages_of(phys, size) << PAGE_SHIFT;
	}
	*out_size = at;
	return (unsigned)(next - out);
}

/** Each piece for itself: identity, or devices that need copies. */
static enum iommu_status map_singly(struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count, uint64_t mask,
	enum iommu_direction direction, struct iommu_dma_range *out_ranges,
	unsigned *out_count)
{
	enum iommu_status status = IOMMU_OK;
	unsigned n;

	for (n = 0; n < count && status == IOMMU_OK; n++) {
		out_ranges[n].size = pieces[n].size;
		status = iommu_dma_map(dma, pieces[n].phys, pieces[n].size,
			mask, direction, &out_ranges[n].iova);
	}
	*out_count = n;
	if (status == IOMMU_OK || n == 1)
		return status;
	return core_worse(
		iommu_dma_unmap_list(dma, out_ranges, n - 1, direction),
		status);
}

/** Whether all pieces are sound pages: most lists are of such. */
static bool are_pages(const struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count)
{
	uint64_t phys = 0;

#pragma GCC unroll 4
	for (unsigned n = 0; n < count; n++) {
		if (pieces[n].size != PAGE_SIZE)
			return false;
		phys |= pieces[n].phys.v;
	}
	return phys <= dma->domain->table.phys_last && !(phys % PAGE_SIZE);
}

/** Lays pieces side by side from an address on. */
static enum iommu_status map_run(struct iommu_dma *dma, uint64_t first,
	const struct iommu_dma_piece *pieces, unsigned count, bool pages,
	unsigned rights)
{
	struct iommu_domain *domain = dma->domain;
	enum iommu_status status = IOMMU_OK;
	uint64_t at = first;
	unsigned n = 0;

	while (status == IOMMU_OK && n < count) {
		uint64_t phys = pieces[n].phys.v;
		unsigned size = pages_of(phys, pieces[n].size), done = 0;

		if (pages)
			done = core_map_pages(
				domain, at, pieces + n, count - n, rights);
		if (!done)
			status = core_map(domain, at, page_of(phys),
				(uint64_t)size << PAGE_SHIFT, rights);
		n += done ? done : 1;
		if (status == IOMMU_OK)
			at += (uint64_t)(done ? done : size) << PAGE_SHIFT;
	}
	if (status == IOMMU_OK)
		return core_tell_present(domain, first, at - first);
	if (at > first &&
		core_unmap_now(domain, first, at - first, NULL) != IOMMU_OK)
		return IOMMU_UNCONFIRMED;
	return status;
}

enum iommu_status iommu_dma_map_list(struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count, uint64_t mask,
	enum iommu_direction direction, struct iommu_dma_range *out_ranges,
	unsigned *out_count)
{
	uint64_t size = (uint64_t)count << PAGE_SHIFT, page;
	unsigned ranges = 1, n;
	enum iommu_status status;
	bool whole;

	if (!count || !is_request(0, 1, direction))
		return IOMMU_BAD_ARGUMENT;
	if (!dma->plain)
		return map_singly(dma, pieces, count, mask, direction,
			out_ranges, out_count);
	whole = are_pages(dma, pieces, count);
	if (whole)
		out_ranges[0] =
			(struct iommu_dma_range){iommu_iova(0), (size_t)size};
	else
		ranges = describe(pieces, count, out_ranges, &size);
	if (!ranges)
		return IOMMU_BAD_ARGUMENT;
	if (size > LARGEST_REQUEST)
		return IOMMU_WIDTH;
	n = (unsigned)(size >> PAGE_SHIFT);
	page = core_iova_get(&dma->space, reach(dma, n), mask);
	if (!page)
		return IOMMU_WIDTH;
	status = map_run(dma, page, pieces, count, whole, (unsigned)direction);
	if (status != IOMMU_OK)
		return core_dma_give(dma, page, n, status);
	for (n = 0; n < ranges; n++)
		out_ranges[n].iova.v += page;
	*out_count = ranges;
	return IOMMU_OK;
}

enum iommu_status iommu_dma_unmap_list(struct iommu_dma *dma,
	const struct iommu_dma_range *ranges, unsigned count,
	enum iommu_direction direction)
{
	enum iommu_status status = IOMMU_OK;
	uint64_t first, last;

	if (!count || !is_request(ranges[0].iova.v, 1, direction))
		return IOMMU_BAD_ARGUMENT;
	if (!dma->plain) {
		for (unsigned n = 0; n < count; n++)
			status = core_worse(status,
				iommu_dma_unmap(dma, ranges[n].iova,
					ranges[n].size, direction));
		return status;
	}
	first = page_of(ranges[0].iova.v);
	last = ranges[count - 1].iova.v + ranges[count - 1].size - 1;
	if (last < first || last - first >= LARGEST_REQUEST)
		return IOMMU_BAD_ARGUMENT;
	return core_dma_unmap(dma, first,
		pages_of(first, (size_t)(last - first + 1)), false, NULL);
}
