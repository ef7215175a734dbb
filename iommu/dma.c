/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface: an address, a mapping, perhaps a copy; and back.
 *
 * Order on the way back: entry cleared, flushed, data carried home, and only
 * then the address and the copy's pages are free again. In deferred mode the
 * flush is shared, so the address waits for it, and a buffer with a copy is
 * flushed at once.
 */
#include "backend.h"
#include "space.h"

static unsigned pages_of(uint64_t at, size_t size)
{
	return (unsigned)(((at & (PAGE_SIZE - 1)) + size + PAGE_SIZE - 1) >>
		PAGE_SHIFT);
}

static uint64_t page_of(uint64_t at)
{
	return at & ~(uint64_t)(PAGE_SIZE - 1);
}

static bool is_identity(const struct iommu_dma *dma)
{
	return dma->domain->kind == IOMMU_DOMAIN_IDENTITY;
}

/** Addresses taken for a buffer of so many pages. */
static unsigned reach(const struct iommu_dma *dma, unsigned pages)
{
	return pages + dma->config.guard;
}

static bool is_request(uint64_t at, size_t size, unsigned direction)
{
	return size && size <= (size_t)CHUNK_PAGES / 2 * PAGE_SIZE &&
		at + size > at && direction &&
		!(direction & ~(unsigned)IOMMU_BOTH_WAYS);
}

/* ---- life ---- */

/** Keeps clear of what firmware reserved for any device. */
static enum iommu_status reserve_firmware(struct iommu_dma *dma)
{
	struct iommu_reserved_region region;
	unsigned n, count = vtd_reserved_count(dma->iommu);
	enum iommu_status status = IOMMU_OK;

	for (n = 0; n < count && status == IOMMU_OK; n++) {
		vtd_reserved_get(dma->iommu, n, &region);
		status = core_iova_reserve(
			&dma->space, region.first.v, region.last.v);
	}
	if (status != IOMMU_OK)
		core_iova_free_all(&dma->space);
	return status;
}

static enum iommu_status make_parts(struct iommu_dma *dma)
{
	struct iommu *iommu = dma->iommu;
	size_t size = iommu->options.cpus * sizeof(*dma->deferred);
	enum iommu_status status;
	unsigned n;

	core_pool_init(&dma->copy_pool, sizeof(struct copy));
	if (is_identity(dma))
		return IOMMU_OK;
	status = core_iova_make(&dma->space, iommu, dma->domain->table.last);
	if (status == IOMMU_OK)
		status = reserve_firmware(dma);
	if (status != IOMMU_OK || !dma->config.deferred)
		return status;
	while (((size_t)PAGE_SIZE << dma->deferred_order) < size)
		dma->deferred_order++;
	dma->deferred =
		core_pages(iommu, dma->deferred_order, &dma->deferred_phys);
	if (!dma->deferred) {
		core_iova_free_all(&dma->space);
		return IOMMU_NO_MEMORY;
	}
	for (n = 0; n < iommu->options.cpus; n++)
		iommu_batch_init(&dma->deferred[n].batch, dma->domain);
	return IOMMU_OK;
}

enum iommu_status iommu_dma_create(struct iommu_domain *domain,
	const struct iommu_dma_config *config, struct iommu_dma **out_dma)
{
	enum iommu_status status;
	struct iommu_dma *dma;
	unsigned order = 0;
	iommu_phys_t phys;

	if (!domain || !config || !out_dma || config->defer_count > DEFER_MAX ||
		(domain->kind != IOMMU_DOMAIN_MAPPED &&
			domain->kind != IOMMU_DOMAIN_IDENTITY))
		return IOMMU_BAD_ARGUMENT;
	while (((size_t)PAGE_SIZE << order) < sizeof(*dma))
		order++;
	dma = core_pages(domain->iommu, order, &phys);
	if (!dma)
		return IOMMU_NO_MEMORY;
	dma->iommu = domain->iommu;
	dma->domain = domain;
	dma->config = *config;
	if (!dma->config.defer_count)
		dma->config.defer_count = DEFER_MAX;
	if (!dma->config.defer_ns)
		dma->config.defer_ns = 10000000;
	dma->phys = phys;
	dma->order = order;
	status = make_parts(dma);
	if (status != IOMMU_OK) {
		core_pages_free(domain->iommu, dma, phys, order);
		return status;
	}
	*out_dma = dma;
	return IOMMU_OK;
}

enum iommu_status iommu_dma_destroy(struct iommu_dma *dma)
{
	enum iommu_status status;

	if (!dma)
		return IOMMU_OK;
	if (__atomic_load_n(&dma->mapped, __ATOMIC_ACQUIRE))
		return IOMMU_IN_USE;
	status = iommu_dma_flush(dma);
	if (!is_identity(dma))
		core_iova_free_all(&dma->space);
	core_pages_free(dma->iommu, dma->deferred, dma->deferred_phys,
		dma->deferred_order);
	core_pool_end(dma->iommu, &dma->copy_pool);
	core_pages_free(dma->iommu, dma, dma->phys, dma->order);
	return status;
}

enum iommu_status iommu_dma_reserve(
	struct iommu_dma *dma, iommu_iova_t iova, uint64_t size)
{
	uint64_t last = iova.v + size - 1;

	if (!size || last < iova.v ||
		__atomic_load_n(&dma->mapped, __ATOMIC_ACQUIRE))
		return IOMMU_BAD_ARGUMENT;
	if (is_identity(dma))
		return IOMMU_OK;
	return core_iova_reserve(&dma->space, iova.v, last);
}

/* ---- deferred unmaps ---- */

/** Flushes one CPU's deferred unmaps, which the caller owns. */
static enum iommu_status flush_deferred(
	struct iommu_dma *dma, struct deferred *deferred)
{
	enum iommu_status status = iommu_batch_flush(&deferred->batch);

	/* Unconfirmed addresses are never handed out again. */
	while (deferred->count) {
		const struct deferred_run *run =
			&deferred->run[--deferred->count];

		if (status == IOMMU_OK)
			core_iova_put(&dma->space, run->iova, run->pages);
	}
	return status;
}

static struct deferred *enter_deferred(struct iommu_dma *dma)
{
	const struct iommu_host *host = &dma->iommu->host;
	unsigned cpu = host->cpu_index ? host->cpu_index(host->ctx) : 0;
	struct deferred *deferred =
		&dma->deferred[cpu < dma->space.cpus ? cpu : 0];

	return __atomic_exchange_n(&deferred->busy, true, __ATOMIC_ACQUIRE)
		? NULL
		: deferred;
}

static enum iommu_status flush_older(struct iommu_dma *dma, uint64_t age_ns)
{
	enum iommu_status status = IOMMU_OK;
	unsigned n;

	for (n = 0; dma->deferred && n < dma->iommu->options.cpus; n++) {
		struct deferred *deferred = &dma->deferred[n];
		enum iommu_status one = IOMMU_OK;

		/* Busy: its owner looks at the age itself. */
		if (__atomic_exchange_n(
			    &deferred->busy, true, __ATOMIC_ACQUIRE))
			continue;
		if (deferred->count &&
			core_now(dma->iommu) - deferred->since_ns >= age_ns)
			one = flush_deferred(dma, deferred);
		__atomic_store_n(&deferred->busy, false, __ATOMIC_RELEASE);
		if (one != IOMMU_OK)
			status = one;
	}
	return status;
}

enum iommu_status iommu_dma_flush(struct iommu_dma *dma)
{
	return flush_older(dma, 0);
}

enum iommu_status iommu_dma_tick(struct iommu_dma *dma)
{
	return flush_older(dma, dma->config.defer_ns);
}

/** Clears entries now, leaves the flush for later. False: not possible. */
static bool defer(struct iommu_dma *dma, uint64_t page, unsigned pages,
	enum iommu_status *out_status)
{
	struct deferred *deferred = enter_deferred(dma);
	uint64_t size = (uint64_t)pages << PAGE_SHIFT, removed = 0;
	uint64_t now;

	if (!deferred)
		return false;
	*out_status = iommu_unmap(dma->domain, iommu_iova(page), size,
		&deferred->batch, &removed);
	if (*out_status == IOMMU_OK && removed != size)
		*out_status = IOMMU_BAD_ARGUMENT;
	if (*out_status == IOMMU_OK) {
		now = core_now(dma->iommu);
		if (!deferred->count)
			deferred->since_ns = now;
		deferred->run[deferred->count++] =
			(struct deferred_run){page, reach(dma, pages)};
		if (deferred->count >= dma->config.defer_count ||
			now - deferred->since_ns >= dma->config.defer_ns)
			*out_status = flush_deferred(dma, deferred);
	}
	__atomic_store_n(&deferred->busy, false, __ATOMIC_RELEASE);
	return true;
}

/* ---- one buffer ---- */

static void count_mapped(struct iommu_dma *dma, unsigned change)
{
	__atomic_fetch_add(&dma->mapped, change, __ATOMIC_RELEASE);
}

static bool wants_copy(
	const struct iommu_dma *dma, iommu_phys_t phys, size_t size)
{
	return dma->config.untrusted && (phys.v | size) & (PAGE_SIZE - 1);
}

/** Takes addresses and maps a run of pages at them. */
static enum iommu_status map_pages(struct iommu_dma *dma, uint64_t phys_page,
	unsigned pages, uint64_t mask, unsigned rights, uint64_t *out_page)
{
	uint64_t size = (uint64_t)pages << PAGE_SHIFT;
	enum iommu_status status;

	*out_page = core_iova_get(&dma->space, reach(dma, pages), mask);
	if (!*out_page)
		return IOMMU_WIDTH;
	status = iommu_map(dma->domain, iommu_iova(*out_page),
		iommu_phys(phys_page), size, rights);
	/* What is mapped but not confirmed keeps its address for good. */
	if (status != IOMMU_OK && status != IOMMU_UNCONFIRMED &&
		status != IOMMU_UNIT_LOST)
		core_iova_put(&dma->space, *out_page, reach(dma, pages));
	return status;
}

static enum iommu_status map_copy(struct iommu_dma *dma, iommu_phys_t phys,
	size_t size, uint64_t mask, unsigned direction, uint64_t *out_page)
{
	struct copy *copy = core_copy_make(dma, phys, size, direction);
	enum iommu_status status;

	if (!copy)
		return IOMMU_NO_MEMORY;
	status = map_pages(dma, copy->pages_phys.v, pages_of(phys.v, size),
		mask, direction, out_page);
	if (status == IOMMU_OK)
		core_copy_enter(dma, copy, *out_page);
	else if (status != IOMMU_UNCONFIRMED && status != IOMMU_UNIT_LOST)
		core_copy_free(dma, copy);
	return status;
}

enum iommu_status iommu_dma_map(struct iommu_dma *dma, iommu_phys_t phys,
	size_t size, uint64_t mask, enum iommu_direction direction,
	iommu_iova_t *out_iova)
{
	enum iommu_status status;
	uint64_t page = 0;

	if (!is_request(phys.v, size, direction))
		return IOMMU_BAD_ARGUMENT;
	if (is_identity(dma)) {
		if (phys.v + (size - 1) > mask)
			return IOMMU_WIDTH;
		*out_iova = iommu_iova(phys.v);
		count_mapped(dma, 1);
		return IOMMU_OK;
	}
	if (wants_copy(dma, phys, size))
		status = map_copy(dma, phys, size, mask, direction, &page);
	else
		status = map_pages(dma, page_of(phys.v), pages_of(phys.v, size),
			mask, direction, &page);
	if (status != IOMMU_OK)
		return status;
	*out_iova = iommu_iova(page | (phys.v & (PAGE_SIZE - 1)));
	count_mapped(dma, 1);
	return IOMMU_OK;
}

/** Clears and flushes; the address is free again if that was confirmed. */
static enum iommu_status unmap_now(
	struct iommu_dma *dma, uint64_t page, unsigned pages)
{
	uint64_t size = (uint64_t)pages << PAGE_SHIFT, removed = 0;
	enum iommu_status status, flushed;
	struct iommu_batch batch;

	iommu_batch_init(&batch, dma->domain);
	status = iommu_unmap(
		dma->domain, iommu_iova(page), size, &batch, &removed);
	flushed = iommu_batch_flush(&batch);
	if (flushed != IOMMU_OK)
		return flushed;
	if (status == IOMMU_OK && removed != size)
		return IOMMU_BAD_ARGUMENT;
	if (status == IOMMU_OK)
		core_iova_put(&dma->space, page, reach(dma, pages));
	return status;
}

static enum iommu_status unmap_copy(struct iommu_dma *dma, struct copy *copy)
{
	enum iommu_status status = unmap_now(
		dma, copy->iova, pages_of(copy->original.v, copy->size));

	if (copy->direction & IOMMU_FROM_DEVICE)
		core_copy_carry(dma, copy, 0, copy->size, true);
	if (status == IOMMU_OK)
		core_copy_free(dma, copy);
	else
		core_pages_withhold(dma->iommu, copy->order);
	return status;
}

enum iommu_status iommu_dma_unmap(struct iommu_dma *dma, iommu_iova_t iova,
	size_t size, enum iommu_direction direction)
{
	uint64_t page = page_of(iova.v);
	enum iommu_status status;
	struct copy *copy;

	if (!is_request(iova.v, size, direction))
		return IOMMU_BAD_ARGUMENT;
	if (is_identity(dma)) {
		count_mapped(dma, -1u);
		return IOMMU_OK;
	}
	copy = core_copy_leave(dma, page);
	if (copy)
		status = unmap_copy(dma, copy);
	else if (!dma->deferred ||
		!defer(dma, page, pages_of(iova.v, size), &status))
		status = unmap_now(dma, page, pages_of(iova.v, size));
	if (status != IOMMU_BAD_ARGUMENT)
		count_mapped(dma, -1u);
	return status;
}

/* ---- lists ---- */

/** Whether piece n continues piece n - 1 without a hole in a page. */
static bool continues(const struct iommu_dma_piece *pieces, unsigned n)
{
	const struct iommu_dma_piece *before = &pieces[n - 1];

	return !((before->phys.v + before->size) & (PAGE_SIZE - 1)) &&
		!(pieces[n].phys.v & (PAGE_SIZE - 1));
}

static enum iommu_status check_list(const struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count,
	unsigned direction, unsigned *out_pages)
{
	unsigned n;

	*out_pages = 0;
	for (n = 0; n < count; n++) {
		if (!is_request(pieces[n].phys.v, pieces[n].size, direction))
			return IOMMU_BAD_ARGUMENT;
		*out_pages += pages_of(pieces[n].phys.v, pieces[n].size);
		if (*out_pages > CHUNK_PAGES / 2)
			return IOMMU_WIDTH;
	}
	(void)dma;
	return count ? IOMMU_OK : IOMMU_BAD_ARGUMENT;
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
	const struct iommu_dma_piece *pieces, unsigned count, unsigned rights,
	struct iommu_dma_range *out_ranges, unsigned *out_count)
{
	uint64_t at = page;
	unsigned n, ranges = 0;

	for (n = 0; n < count; n++) {
		uint64_t phys = pieces[n].phys.v;
		uint64_t size = (uint64_t)pages_of(phys, pieces[n].size)
			<< PAGE_SHIFT;
		enum iommu_status status = core_map_quietly(
			dma->domain, at, page_of(phys), size, rights);

		if (status != IOMMU_OK && at > page &&
			iommu_unmap_now(dma->domain, iommu_iova(page),
				at - page) != IOMMU_OK)
			return IOMMU_UNCONFIRMED;
		if (status != IOMMU_OK)
			return status;
		if (n && continues(pieces, n)) {
			out_ranges[ranges - 1].size += pieces[n].size;
		} else {
			out_ranges[ranges].iova =
				iommu_iova(at | (phys & (PAGE_SIZE - 1)));
			out_ranges[ranges++].size = pieces[n].size;
		}
		at += size;
	}
	*out_count = ranges;
	return core_tell_present(dma->domain, page, at - page);
}

enum iommu_status iommu_dma_map_list(struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count, uint64_t mask,
	enum iommu_direction direction, struct iommu_dma_range *out_ranges,
	unsigned *out_count)
{
	enum iommu_status status;
	unsigned pages;
	uint64_t page;

	status = check_list(dma, pieces, count, direction, &pages);
	if (status != IOMMU_OK)
		return status;
	if (is_identity(dma) || dma->config.untrusted)
		return map_singly(dma, pieces, count, mask, direction,
			out_ranges, out_count);
	page = core_iova_get(&dma->space, reach(dma, pages), mask);
	if (!page)
		return IOMMU_WIDTH;
	status = map_run(
		dma, page, pieces, count, direction, out_ranges, out_count);
	if (status == IOMMU_OK)
		count_mapped(dma, 1);
	else if (status != IOMMU_UNCONFIRMED && status != IOMMU_UNIT_LOST)
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
	n = pages_of(first, (size_t)(last - first + 1));
	if (!dma->deferred || !defer(dma, first, n, &status))
		status = unmap_now(dma, first, n);
	if (status != IOMMU_BAD_ARGUMENT)
		count_mapped(dma, -1u);
	return status;
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
	if (status == IOMMU_UNCONFIRMED || status == IOMMU_UNIT_LOST)
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
	enum iommu_status status;
	iommu_phys_t phys;

	if (order > 8 || !virt)
		return IOMMU_BAD_ARGUMENT;
	status = iommu_iova_to_phys(dma->domain, iova, &phys);
	if (status != IOMMU_OK)
		return IOMMU_BAD_ARGUMENT;
	if (!is_identity(dma))
		status = unmap_now(dma, iova.v, 1u << order);
	if (status == IOMMU_BAD_ARGUMENT)
		return status;
	count_mapped(dma, -1u);
	if (status == IOMMU_OK)
		core_pages_free(dma->iommu, virt, phys, order);
	else
		core_pages_withhold(dma->iommu, order);
	return status;
}
