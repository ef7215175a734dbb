/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface for lists of pieces: one run of addresses for all of them.
 */
#include "space.h"

/**
 * What the device sees of pieces that lie side by side, from address 0 on:
 * pieces that meet at page borders become one range. The pieces need not be
 * sound; they are if one of *out_largest bytes is.
 */
static unsigned describe(const struct iommu_dma_piece *pieces, unsigned count,
	struct iommu_dma_range *out, uint64_t *out_size, uint64_t *out_largest)
{
	uint64_t before = 1; /* end of the piece before */
	uint64_t at = 0, largest = 0;
	struct iommu_dma_range *next = out;
	unsigned n;

	for (n = 0; n < count; n++) {
		uint64_t phys = pieces[n].phys.v;
		size_t size = pieces[n].size;

		largest |= size - 1ull;
		if ((before | phys) & (PAGE_SIZE - 1))
			*next++ = (struct iommu_dma_range){
				iommu_iova(at | (phys & (PAGE_SIZE - 1))),
				size};
		else
			next[-1].size += size;
		before = phys + size;
		if (before <= phys)
			largest = ~0ull;
		at += ((phys & (PAGE_SIZE - 1)) + size + PAGE_SIZE - 1) &
			~(uint64_t)(PAGE_SIZE - 1);
	}
	*out_size = at;
	*out_largest = largest + 1;
	return (unsigned)(next - out);
}

/** Each piece for itself: identity, or devices that need copies. */
static enum iommu_status map_singly(struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count, uint64_t mask,
	enum iommu_direction direction, struct iommu_dma_range *out_ranges,
	unsigned *out_count)
{
	enum iommu_status status = IOMMU_OK, undone;
	unsigned n;

	for (n = 0; n < count && status == IOMMU_OK; n++) {
		out_ranges[n].size = pieces[n].size;
		status = iommu_dma_map(dma, pieces[n].phys, pieces[n].size,
			mask, direction, &out_ranges[n].iova);
	}
	*out_count = n;
	if (status == IOMMU_OK || n == 1)
		return status;
	undone = iommu_dma_unmap_list(dma, out_ranges, n - 1, direction);
	return undone == IOMMU_OK ? status : undone;
}

/** Lays pieces side by side at one run of addresses. */
static enum iommu_status map_run(struct iommu_dma *dma, uint64_t page,
	const struct iommu_dma_piece *pieces, unsigned count, unsigned rights)
{
	uint64_t end = page;
	enum iommu_status status =
		core_map_pieces(dma->domain, pieces, count, rights, &end);

	if (status == IOMMU_OK)
		return core_tell_present(dma->domain, page, end - page);
	if (end > page &&
		iommu_unmap_now(dma->domain, iommu_iova(page), end - page) !=
			IOMMU_OK)
		return IOMMU_UNCONFIRMED;
	return status;
}

enum iommu_status iommu_dma_map_list(struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count, uint64_t mask,
	enum iommu_direction direction, struct iommu_dma_range *out_ranges,
	unsigned *out_count)
{
	uint64_t page, size, largest;
	enum iommu_status status;
	unsigned ranges, pages, n;

	ranges = describe(pieces, count, out_ranges, &size, &largest);
	if (!count || !is_request(0, (size_t)largest, direction))
		return IOMMU_BAD_ARGUMENT;
	if (size > LARGEST_REQUEST)
		return IOMMU_WIDTH;
	if (is_identity(dma) || dma->config.untrusted)
		return map_singly(dma, pieces, count, mask, direction,
			out_ranges, out_count);
	pages = (unsigned)(size >> PAGE_SHIFT);
	page = core_iova_get(&dma->space, reach(dma, pages), mask);
	if (!page)
		return IOMMU_WIDTH;
	status = map_run(dma, page, pieces, count, direction);
	if (status == IOMMU_OK) {
		for (n = 0; n < ranges; n++)
			out_ranges[n].iova.v += page;
		*out_count = ranges;
	} else if (is_unsettled(status)) {
		core_iova_lose(&dma->space);
	} else {
		core_iova_put(&dma->space, page, reach(dma, pages));
	}
	return status;
}

enum iommu_status iommu_dma_unmap_list(struct iommu_dma *dma,
	const struct iommu_dma_range *ranges, unsigned count,
	enum iommu_direction direction)
{
	enum iommu_status status = IOMMU_OK;
	uint64_t first, last;
	unsigned n;

	if (!count || !is_request(ranges[0].iova.v, 1, direction))
		return IOMMU_BAD_ARGUMENT;
	if (is_identity(dma) || dma->config.untrusted) {
		for (n = 0; n < count; n++) {
			enum iommu_status one = iommu_dma_unmap(
				dma, ranges[n].iova, ranges[n].size, direction);

			status = one == IOMMU_OK ? status : one;
		}
		return status;
	}
	first = page_of(ranges[0].iova.v);
	last = ranges[count - 1].iova.v + ranges[count - 1].size - 1;
	if (last < first ||
		last - first >= (uint64_t)CHUNK_PAGES / 2 * PAGE_SIZE)
		return IOMMU_BAD_ARGUMENT;
	return core_dma_unmap(dma, first,
		pages_of(first, (size_t)(last - first + 1)), false, NULL);
}
