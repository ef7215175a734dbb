/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface for lists of pieces: one run of addresses for all of them.
 */
#include "space.h"

static enum iommu_status check_list(const struct iommu_dma_piece *pieces,
	unsigned count, unsigned direction, unsigned *out_pages)
{
	uint64_t pages = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		if (!is_request(pieces[n].phys.v, pieces[n].size, direction))
			return IOMMU_BAD_ARGUMENT;
		pages += pages_of(pieces[n].phys.v, pieces[n].size);
	}
	*out_pages = (unsigned)pages;
	if (!count)
		return IOMMU_BAD_ARGUMENT;
	return pages <= CHUNK_PAGES / 2 ? IOMMU_OK : IOMMU_WIDTH;
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

/** What the device sees of pieces that lie side by side from `page` on. Pieces
 *  that meet at page borders become one range. Returns how many there are. */
static unsigned describe(uint64_t page, const struct iommu_dma_piece *pieces,
	unsigned count, struct iommu_dma_range *out)
{
	uint64_t before = 1; /* end of the piece before */
	unsigned n, ranges = 0;

	for (n = 0; n < count; n++) {
		uint64_t phys = pieces[n].phys.v;
		size_t size = pieces[n].size;

		if ((before | phys) & (PAGE_SIZE - 1))
			out[ranges++] = (struct iommu_dma_range){
				iommu_iova(page | (phys & (PAGE_SIZE - 1))),
				size};
		else
			out[ranges - 1].size += size;
		page += (uint64_t)pages_of(phys, size) << PAGE_SHIFT;
		before = phys + size;
	}
	return ranges;
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
	enum iommu_status status;
	unsigned pages;
	uint64_t page;

	status = check_list(pieces, count, direction, &pages);
	if (status != IOMMU_OK)
		return status;
	if (is_identity(dma) || dma->config.untrusted)
		return map_singly(dma, pieces, count, mask, direction,
			out_ranges, out_count);
	page = core_iova_get(&dma->space, reach(dma, pages), mask);
	if (!page)
		return IOMMU_WIDTH;
	status = map_run(dma, page, pieces, count, direction);
	if (status == IOMMU_OK)
		*out_count = describe(page, pieces, count, out_ranges);
	else if (is_unsettled(status))
		core_iova_lose(&dma->space);
	else
		core_iova_put(&dma->space, page, reach(dma, pages));
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
