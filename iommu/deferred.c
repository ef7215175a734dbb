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
	unsigned cpus = dma->iommu->options.cpus, n;

	while (((size_t)PAGE_SIZE << dma->deferred_order) <
		cpus * sizeof(*dma->deferred))
		dma->deferred_order++;
	dma->deferred = core_pages(
		dma->iommu, dma->deferred_order, &dma->deferred_phys);
	if (!dma->deferred)
		return IOMMU_NO_MEMORY;
	for (n = 0; n < cpus; n++)
		iommu_batch_init(&dma->deferred[n].batch, dma->domain);
	return IOMMU_OK;
}

void core_defer_end(struct iommu_dma *dma)
{
	core_pages_free(dma->iommu, dma->deferred, dma->deferred_phys,
		dma->deferred_order);
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
		core_lane_put(&dma->space, lane, run->iova, run->pages);
	}
}

/** The flush under way has ended. */
static enum iommu_status confirm(
	struct iommu_dma *dma, struct deferred *d, enum iommu_status status)
{
	for (; d->confirmed != d->asked; d->confirmed++) {
		if (status == IOMMU_OK) {
			d->confirmed = d->asked;
			break;
		}
		/* Never handed out again. */
		run_at(d, d->confirmed)->pages = 0;
		core_iova_lose(&dma->space);
	}
	return status;
}

static enum iommu_status wait_for_flush(
	struct iommu_dma *dma, struct deferred *d)
{
	if (d->confirmed == d->asked)
		return IOMMU_OK;
	return confirm(dma, d, core_flush_end(dma->domain, &d->flush));
}

/** Starts a flush for all that waits; no other is under way. */
static enum iommu_status ask(struct iommu_dma *dma, struct deferred *d)
{
	bool started = core_flush_start(&d->batch, &d->flush);

	d->asked = d->tail;
	__atomic_store_n(&d->overdue, false, __ATOMIC_RELAXED);
	return started ? IOMMU_OK
		       : confirm(dma, d, iommu_batch_flush(&d->batch));
}

static enum iommu_status first_of(enum iommu_status a, enum iommu_status b)
{
	return a == IOMMU_OK ? b : a;
}

/** Flushes all that waits, and waits for that. */
static enum iommu_status flush_now(struct iommu_dma *dma, struct deferred *d)
{
	enum iommu_status status = wait_for_flush(dma, d);

	status = first_of(status, ask(dma, d));
	return first_of(status, wait_for_flush(dma, d));
}

/** Many wait, or one for long: a flush has to be under way, and to have ended
 *  if as many wait as may. */
static __attribute__((noinline)) enum iommu_status advance(
	struct iommu_dma *dma, struct deferred *d)
{
	enum iommu_status status = IOMMU_OK;

	if (d->confirmed == d->asked)
		status = ask(dma, d);
	if (d->tail - d->confirmed >= dma->config.defer_count)
		status = first_of(status, wait_for_flush(dma, d));
	return status;
}

static inline enum iommu_status push(struct iommu_dma *dma, struct lane *lane,
	struct deferred *d, struct deferred_run run)
{
	unsigned most = dma->config.defer_count;
	enum iommu_status status = IOMMU_OK;

	if (d->tail == d->asked) {
		d->since_ns = core_now(dma->iommu);
		/* Whatever will come: the whole domain is flushed. */
		iommu_batch_add(&d->batch, IOMMU_REMOVED, iommu_iova(0), ~0ull);
	}
	*run_at(d, d->tail++) = run;
	if (d->confirmed != d->asked && core_flush_ready(&d->flush))
		status = wait_for_flush(dma, d);
	retire(dma, lane, d, 2);
	if (d->tail - d->asked >= most - most / 4 ||
		d->tail - d->confirmed >= most ||
		__atomic_load_n(&d->overdue, __ATOMIC_RELAXED))
		status = first_of(status, advance(dma, d));
	return status;
}

bool core_defer(struct iommu_dma *dma, uint64_t page, unsigned pages, bool tell,
	void *cookie, enum iommu_status *out_status)
{
	uint64_t size = (uint64_t)pages << PAGE_SHIFT, removed = 0;
	enum iommu_status status = IOMMU_OK;
	struct deferred *d;
	struct lane *lane;

	if (!core_lane_enter(&dma->space, &lane))
		return false;
	d = &dma->deferred[lane - dma->space.lane];
	if (pages == 1 && core_clear_near(dma->domain, page))
		removed = size;
	else
		status = iommu_unmap(dma->domain, iommu_iova(page), size,
			&d->batch, &removed);
	if (status == IOMMU_OK && removed == size) {
		status = push(dma, lane, d,
			(struct deferred_run){
				page, cookie, reach(dma, pages), tell});
	} else if (status == IOMMU_OK) {
		/* What was there goes with the next flush. */
		iommu_batch_add(
			&d->batch, IOMMU_REMOVED, iommu_iova(page), size);
		status = IOMMU_BAD_ARGUMENT;
	}
	core_lane_leave(lane);
	*out_status = status;
	return true;
}

static enum iommu_status flush_older(struct iommu_dma *dma, uint64_t age_ns)
{
	enum iommu_status status = IOMMU_OK;
	unsigned n;

	for (n = 0; dma->deferred && n < dma->space.cpus; n++) {
		struct deferred *d = &dma->deferred[n];
		struct lane *lane = &dma->space.lane[n];
		enum iommu_status one = IOMMU_OK;

		if (__atomic_exchange_n(&lane->busy, true, __ATOMIC_ACQUIRE)) {
			/* Its owner flushes at the next unmap. */
			__atomic_store_n(&d->overdue, true, __ATOMIC_RELAXED);
			continue;
		}
		if ((d->tail != d->head || d->batch.changes) &&
			core_now(dma->iommu) - d->since_ns >= age_ns)
			one = flush_now(dma, d);
		retire(dma, lane, d, DEFER_RING);
		core_lane_leave(lane);
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

unsigned core_deferred(const struct iommu_dma *dma)
{
	unsigned count = 0, n, at;

	for (n = 0; dma->deferred && n < dma->space.cpus; n++) {
		struct deferred *d = &dma->deferred[n];

		for (at = d->head; at != d->tail; at++)
			count += !!run_at(d, at)->pages;
	}
	return count;
}
