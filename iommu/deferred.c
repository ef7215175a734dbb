/* SPDX-License-Identifier: MIT */
/*
 * Unmaps whose flush is shared. Each CPU has a ring of them:
 *
 *	unmap      clears the entries and puts the run at the ring's tail
 *	ask        starts one flush for all that came since the last
 *	confirm    the unit has answered
 *	retire     the host is told, the addresses are free again
 *
 * A flush is asked for some time before as many wait as may wait, so that the
 * answer is mostly there when it is needed; and an unmap retires two runs at
 * most. So no call has to pay for all the others.
 */
#include "space.h"

enum iommu_status core_defer_make(struct iommu_dma *dma)
{
	for (unsigned n = 0; n < dma->space.cpus; n++) {
		iommu_phys_t phys;
		struct deferred *ring =
			core_pages(dma->iommu, RING_ORDER, &phys);

		if (!ring)
			return IOMMU_NO_MEMORY;
		ring->phys = phys;
		iommu_batch_init(&ring->batch, dma->domain);
		dma->space.lane[n].ring = ring;
	}
	return IOMMU_OK;
}

/** The ring of a CPU, NULL if there is none. */
static struct deferred *ring_of(const struct iommu_dma *dma, unsigned cpu)
{
	return cpu < dma->space.cpus ? dma->space.lane[cpu].ring : NULL;
}

void core_defer_end(struct iommu_dma *dma)
{
	struct deferred *ring;

	for (unsigned n = 0; (ring = ring_of(dma, n)); n++)
		core_pages_free(dma->iommu, ring, ring->phys, RING_ORDER);
}

static inline struct deferred_run *run_at(struct deferred *d, unsigned position)
{
	return &d->run[position % DEFER_RING];
}

/** Frees the addresses of up to `most` runs that were flushed. */
static inline void retire(struct iommu_dma *dma, struct lane *lane,
	struct deferred *d, unsigned most)
{
	while (most-- && d->head != d->confirmed) {
		struct deferred_run *run = run_at(d, d->head++);

		if (!run->pages)
			continue;
		if (run->tell)
			dma->config.released(run->cookie);
		core_lane_put(&dma->space, lane, run->page, run->pages);
	}
}

/** The flush under way has ended so. */
static enum iommu_status confirm(struct deferred *d, enum iommu_status status)
{
	/* What may still be reached is never handed out again. */
	for (unsigned at = d->confirmed; status != IOMMU_OK && at != d->asked;
		at++)
		run_at(d, at)->pages = 0;
	d->confirmed = d->asked;
	return status;
}

static bool is_under_way(const struct deferred *d)
{
	return d->confirmed != d->asked;
}

/** Starts a flush for all that waits; no other is under way. */
static enum iommu_status ask(struct deferred *d)
{
	bool started =
		d->asked != d->tail && core_flush_start(&d->batch, &d->flush);

	d->asked = d->tail;
	__atomic_store_n(&d->overdue, false, __ATOMIC_RELAXED);
	return started ? IOMMU_OK : confirm(d, iommu_batch_flush(&d->batch));
}

/** Has a flush under way, or over, and waits for it until less than `most` wait
 *  for one. */
static NOINLINE enum iommu_status advance(
	struct iommu_dma *dma, struct deferred *d, unsigned most)
{
	enum iommu_status status = IOMMU_OK, one;

	do {
		if (!is_under_way(d))
			status = core_worse(status, ask(d));
		if (is_under_way(d) &&
			(d->tail - d->confirmed >= most ||
				core_flush_ready(&d->flush))) {
			one = core_flush_end(dma->domain, &d->flush);
			status = core_worse(status, confirm(d, one));
		}
	} while (d->tail - d->confirmed >= most);
	return status;
}

/** Enters a run whose entries are cleared. */
static inline enum iommu_status push(struct iommu_dma *dma, struct lane *lane,
	struct deferred *d, uint64_t page, unsigned pages, bool tell,
	void *cookie)
{
	enum iommu_status status = IOMMU_OK;
	struct deferred_run *run = run_at(d, d->tail);

	if (d->tail == d->asked) {
		d->since_ns = core_now(dma->iommu);
		/* Whatever will come: the whole domain is flushed. */
		iommu_batch_add(&d->batch, IOMMU_REMOVED, iommu_iova(0), ~0ull);
	}
	run->cookie = cookie;
	run->page = (uint32_t)(page >> PAGE_SHIFT);
	run->pages = (uint16_t)reach(dma, pages);
	run->tell = tell;
	d->tail++;
	lane->live--;
	if (is_under_way(d) || d->tail - d->asked >= dma->defer_soon ||
		__atomic_load_n(&d->overdue, __ATOMIC_RELAXED))
		status = advance(dma, d, dma->config.defer_count);
	retire(dma, lane, d, 2);
	return status;
}

/** Clears the entries of a run, its tables too if it covers them. */
static NOINLINE enum iommu_status clear(struct iommu_dma *dma,
	struct deferred *d, uint64_t page, unsigned pages)
{
	uint64_t size = (uint64_t)pages << PAGE_SHIFT, removed = 0;
	enum iommu_status status = iommu_unmap(
		dma->domain, iommu_iova(page), size, &d->batch, &removed);

	/* What was there goes with the next flush. */
	return status != IOMMU_OK || removed == size ? status
						     : IOMMU_BAD_ARGUMENT;
}

enum iommu_status core_defer(struct iommu_dma *dma, uint64_t page,
	unsigned pages, bool tell, void *cookie)
{
	struct lane *lane = core_lane_here(&dma->space);
	struct deferred *d = lane->ring;
	enum iommu_status status = IOMMU_OK;

	if (!core_lane_enter(lane))
		return core_dma_unmap_now(dma, page, pages, tell, cookie);
	if (pages > 1 || !core_clear_near(dma->domain, page))
		status = clear(dma, d, page, pages);
	if (status == IOMMU_OK)
		status = push(dma, lane, d, page, pages, tell, cookie);
	core_lane_leave(lane);
	return status;
}

static enum iommu_status flush_older(struct iommu_dma *dma, uint64_t age_ns)
{
	enum iommu_status status = IOMMU_OK;
	struct deferred *d;

	for (unsigned n = 0; (d = ring_of(dma, n)); n++) {
		struct lane *lane = &dma->space.lane[n];

		if (!core_lane_enter(lane)) {
			/* Its owner flushes at the next unmap. */
			__atomic_store_n(&d->overdue, true, __ATOMIC_RELAXED);
			continue;
		}
		if ((d->tail != d->head || d->batch.changes) &&
			core_now(dma->iommu) - d->since_ns >= age_ns)
			status = core_worse(status, advance(dma, d, 1));
		retire(dma, lane, d, DEFER_RING);
		core_lane_leave(lane);
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
