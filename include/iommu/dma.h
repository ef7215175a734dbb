/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface: I/O virtual addresses handed out and taken back, for hosts
 * whose drivers want "give me an address for this buffer" instead of choosing
 * addresses themselves.
 *
 * It stands on a mapped domain, or on an identity domain: then addresses are
 * physical ones and nearly nothing is done, and drivers need not know.
 *
 * Strict or deferred. In strict mode the device has lost a buffer when unmap
 * returns. In deferred mode the entry is cleared at once, but the flush is
 * shared: until it comes, for at most defer_count unmaps or defer_ns (whichever
 * is first; see iommu_dma_tick()), the device may still reach the buffer if its
 * unit cached the address. Addresses are not handed out again before that.
 */
#ifndef IOMMU_DMA_H
#define IOMMU_DMA_H

#include <iommu/iommu.h>

IOMMU_BEGIN_C

struct iommu_dma;

/** Which way data goes. */
enum iommu_direction {
	IOMMU_TO_DEVICE = IOMMU_READ,
	IOMMU_FROM_DEVICE = IOMMU_WRITE,
	IOMMU_BOTH_WAYS = IOMMU_READ | IOMMU_WRITE,
};

/** Zero the struct before filling it. */
struct iommu_dma_config {
	/** Defer flushes. */
	bool deferred;
	/** Unmaps per CPU that may wait for one flush; 0 = 256, at most 256. */
	unsigned defer_count;
	/** Nanoseconds that one may wait; 0 = 10 ms. */
	uint64_t defer_ns;
	/** The device is not trusted: a buffer that shares its pages with
	 *  other data goes through a copy on pages of its own. */
	bool untrusted;
	/** Leave an unmapped page after every buffer. */
	bool guard;
	/** For iommu_dma_unmap_later(): told of a cookie when no device
	 *  reaches its buffer any more. Called on the CPU that happens to
	 *  find out, within an unmap, flush or tick; calls nothing of this
	 *  space. */
	void (*released)(void *cookie);
};

/**
 * Makes a DMA space on a domain, which must be mapped or identity and outlive
 * it. The host maps nothing itself in such a domain. May allocate.
 * IOMMU_BAD_ARGUMENT, IOMMU_NO_MEMORY.
 */
enum iommu_status iommu_dma_create(struct iommu_domain *domain,
	const struct iommu_dma_config *config,
	struct iommu_dma **out_dma) IOMMU_MUST_CHECK;

/** Ends it, after a flush of what is deferred. IOMMU_IN_USE if buffers are
 *  mapped; IOMMU_UNCONFIRMED, IOMMU_UNIT_LOST: it is gone, see
 *  iommu_batch_flush(). NULL is accepted. Waits. */
enum iommu_status iommu_dma_destroy(struct iommu_dma *dma) IOMMU_MUST_CHECK;

/** Keeps [iova, iova + size) from being handed out: windows of bridges, regions
 *  of firmware. Only before the first map. IOMMU_NO_MEMORY,
 *  IOMMU_BAD_ARGUMENT. */
enum iommu_status iommu_dma_reserve(struct iommu_dma *dma, iommu_iova_t iova,
	uint64_t size) IOMMU_MUST_CHECK;

/**
 * Makes a buffer reachable. mask is the highest address the device can send
 * (2^n - 1). The address returned keeps the offset within the page. Any context
 * in which the host's page_alloc works; waits only on units with caching mode
 * or write buffers. IOMMU_BAD_ARGUMENT, IOMMU_WIDTH (no address left below the
 * mask), IOMMU_NO_MEMORY.
 */
enum iommu_status iommu_dma_map(struct iommu_dma *dma, iommu_phys_t phys,
	size_t size, uint64_t mask, enum iommu_direction direction,
	iommu_iova_t *out_iova) IOMMU_MUST_CHECK;

/**
 * Takes it back; size and direction as for the map. Data that a device wrote
 * into a copy has arrived in the buffer when it returns. Waits in strict mode.
 * IOMMU_BAD_ARGUMENT if the address is not mapped, IOMMU_UNCONFIRMED,
 * IOMMU_UNIT_LOST: the pages must not be reused.
 */
enum iommu_status iommu_dma_unmap(struct iommu_dma *dma, iommu_iova_t iova,
	size_t size, enum iommu_direction direction) IOMMU_MUST_CHECK;

/**
 * Takes it back without a window in which the device reaches what belongs to
 * somebody else: the buffer stays the device's until config.released(cookie) is
 * called, perhaps before this call returns; the host reuses its pages only
 * then. In deferred mode that costs no wait. Arguments and statuses as
 * iommu_dma_unmap(); IOMMU_BAD_ARGUMENT also without config.released. What is
 * never confirmed is never released; the call that found out says so.
 */
enum iommu_status iommu_dma_unmap_later(struct iommu_dma *dma,
	iommu_iova_t iova, size_t size, enum iommu_direction direction,
	void *cookie) IOMMU_MUST_CHECK;

/** Carries data between a buffer and its copy, if it has one, while it stays
 *  mapped: before the device reads (IOMMU_TO_DEVICE), after it wrote
 *  (IOMMU_FROM_DEVICE). */
void iommu_dma_sync(struct iommu_dma *dma, iommu_iova_t iova, size_t size,
	enum iommu_direction direction);

/** A piece of memory, and a piece of the device's addresses. */
struct iommu_dma_piece {
	iommu_phys_t phys;
	size_t size;
};

struct iommu_dma_range {
	iommu_iova_t iova;
	size_t size;
};

/**
 * Makes a list of pieces reachable through one run of addresses, mapped with
 * one flush. Pieces that meet at page borders become one range, so *out_count
 * <= count. Statuses as iommu_dma_map(); on failure nothing is mapped.
 */
enum iommu_status iommu_dma_map_list(struct iommu_dma *dma,
	const struct iommu_dma_piece *pieces, unsigned count, uint64_t mask,
	enum iommu_direction direction, struct iommu_dma_range *out_ranges,
	unsigned *out_count) IOMMU_MUST_CHECK;

/** Takes a list back, with the ranges as iommu_dma_map_list() gave them.
 *  Statuses as iommu_dma_unmap(). */
enum iommu_status iommu_dma_unmap_list(struct iommu_dma *dma,
	const struct iommu_dma_range *ranges, unsigned count,
	enum iommu_direction direction) IOMMU_MUST_CHECK;

/**
 * Allocates 2^order pages, zeroed, and maps them both ways: for rings and
 * descriptors. IOMMU_NO_MEMORY, IOMMU_WIDTH, IOMMU_BAD_ARGUMENT (order > 8).
 */
enum iommu_status iommu_dma_alloc(struct iommu_dma *dma, unsigned order,
	uint64_t mask, void **out_virt,
	iommu_iova_t *out_iova) IOMMU_MUST_CHECK;

/** Takes them back; strict in every mode. If the status is not IOMMU_OK the
 *  pages are withheld, not given back. Waits. */
enum iommu_status iommu_dma_free(struct iommu_dma *dma, unsigned order,
	void *virt, iommu_iova_t iova) IOMMU_MUST_CHECK;

/** Flushes what is deferred on all CPUs. Waits. Statuses as
 *  iommu_batch_flush(). */
enum iommu_status iommu_dma_flush(struct iommu_dma *dma) IOMMU_MUST_CHECK;

/** Flushes what has been deferred for defer_ns or longer. The host calls it at
 *  least every defer_ns in deferred mode; that bounds the window. Waits.
 *  Statuses as iommu_batch_flush(). */
enum iommu_status iommu_dma_tick(struct iommu_dma *dma) IOMMU_MUST_CHECK;

IOMMU_END_C

#endif
