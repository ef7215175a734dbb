/* SPDX-License-Identifier: MIT */
/*
 * Batches: what changed in a domain, collected until it is flushed on every
 * unit of the domain.
 */
#include "backend.h"

enum {
	/** Units that are waited for together. */
	PARALLEL = 4,
};

void iommu_batch_init(struct iommu_batch *batch, struct iommu_domain *domain)
{
	batch->domain = domain;
	batch->changes = 0;
	batch->count = 0;
	batch->full = false;
	batch->pages = NULL;
}

static inline void widen(struct iommu_batch *batch, unsigned n,
	unsigned changes, uint64_t first, uint64_t last)
{
	batch->range[n].first = core_min(batch->range[n].first, first);
	batch->range[n].last = core_max(batch->range[n].last, last);
	batch->range_changes[n] |= (uint8_t)changes;
}

/** Whether [first, last] touches or overlaps range n. */
static inline bool meets(const struct iommu_batch *batch, unsigned n,
	uint64_t first, uint64_t last)
{
	uint64_t f = batch->range[n].first, l = batch->range[n].last;

	return first >> PAGE_SHIFT <= (l >> PAGE_SHIFT) + 1 &&
		f >> PAGE_SHIFT <= (last >> PAGE_SHIFT) + 1;
}

/** Adds a range that does not meet the newest. */
static NOINLINE void add_apart(struct iommu_batch *batch, unsigned changes,
	uint64_t first, uint64_t last)
{
	unsigned n = batch->count;

	if (n < IOMMU_BATCH_RANGES) {
		batch->range[n].first = first;
		batch->range[n].last = last;
		batch->range_changes[n] = (uint8_t)changes;
		batch->count++;
		return;
	}
	/* A unit would hardly flush so many singly: all are one, and so are
	 * those that come. */
	while (--n)
		widen(batch, 0, batch->range_changes[n], batch->range[n].first,
			batch->range[n].last);
	widen(batch, 0, changes, first, last);
	batch->count = 1;
	batch->full = true;
}

void iommu_batch_add(struct iommu_batch *batch, unsigned changes,
	iommu_iova_t iova, uint64_t size)
{
	uint64_t first = iova.v & ~(uint64_t)(PAGE_SIZE - 1);
	uint64_t last = iova.v + (size - 1);
	unsigned newest = batch->count - 1;

	if (!size || !changes)
		return;
	last = (last < iova.v ? ~0ull : last) | (PAGE_SIZE - 1);
	batch->changes |= changes;
	/* Ranges mostly come in order, so only the newest is looked at. */
	if (batch->full || (batch->count && meets(batch, newest, first, last)))
		widen(batch, newest, changes, first, last);
	else
		add_apart(batch, changes, first, last);
}

/* ---- flushing ---- */

static uint64_t units_of(const struct iommu_domain *domain)
{
	/* The caller's stores to entries come before this load: either it
	 * sees a unit that is just being entered, or that unit's first walk
	 * sees the entries. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&domain->units, __ATOMIC_ACQUIRE);
}

static inline struct unit *first_unit(
	const struct iommu_domain *domain, uint64_t units)
{
	return domain->iommu->unit[__builtin_ctzll(units)];
}

static inline bool is_one(uint64_t units)
{
	return units && !(units & (units - 1));
}

/** The unit that alone is concerned by a flush; NULL if there is no such one,
 *  or devices have TLBs of their own. */
static inline struct unit *only_unit(const struct iommu_domain *domain)
{
	uint64_t units = units_of(domain);

	return is_one(units) &&
			!__atomic_load_n(&domain->tlb_devices, __ATOMIC_ACQUIRE)
		? first_unit(domain, units)
		: NULL;
}

/** The short way where one command is all: only leaves of one range changed.
 *  False: nothing is confirmed. */
static inline bool flush_leaves(
	const struct iommu_domain *domain, uint64_t first, uint64_t last)
{
	struct unit *unit = only_unit(domain);

	return unit &&
		unit->ops->flush_block(unit, did_on(domain, unit), first, last);
}

static NOINLINE bool flush_block(const struct iommu_batch *batch)
{
	return batch->changes == IOMMU_REMOVED && batch->count == 1 &&
		flush_leaves(batch->domain, batch->range[0].first,
			batch->range[0].last);
}

/** Flushes on the first of some units. */
static enum iommu_status flush_first(
	const struct iommu_batch *batch, uint64_t units)
{
	struct unit *unit = first_unit(batch->domain, units);

	return unit->ops->flush_now(unit, batch);
}

/** Starts on up to PARALLEL of *units, which it takes off, and waits for them
 *  together. *again: those that lost it or take nothing without being waited
 *  for. */
static NOINLINE enum iommu_status flush_some(
	const struct iommu_batch *batch, uint64_t *units, uint64_t *again)
{
	enum iommu_status status = IOMMU_OK, one;
	struct flush under_way[PARALLEL], *flush = under_way;

	for (; *units && flush < under_way + PARALLEL; *units &= *units - 1) {
		flush->unit = first_unit(batch->domain, *units);
		one = flush->unit->ops->flush(
			flush->unit, batch, &flush->ticket);
		if (one == IOMMU_UNCONFIRMED)
			*again |= *units & -*units;
		else if (one != IOMMU_OK)
			status = one;
		else if (flush->ticket.end)
			flush++;
	}
	while (flush-- > under_way) {
		one = flush->unit->ops->flush_wait(flush->unit, flush->ticket);
		if (one == IOMMU_UNCONFIRMED)
			*again |= 1ull << flush->unit->index;
		else
			status = core_worse(status, one);
	}
	return status;
}

enum iommu_status core_block_silent(
	struct iommu_domain *domain, enum iommu_status status)
{
	if (__atomic_load_n(&domain->tlb_devices, __ATOMIC_ACQUIRE))
		status = core_worse(status, core_block_mute(domain));
	return status;
}

static NOINLINE enum iommu_status flush_units(
	const struct iommu_batch *batch, uint64_t units)
{
	enum iommu_status status = IOMMU_OK;
	uint64_t again = 0;

	while (units)
		status = core_worse(status, flush_some(batch, &units, &again));
	for (; again; again &= again - 1)
		status = core_worse(status, flush_first(batch, again));
	return status;
}

/** Flushes what the batch says on all units of its domain. */
static inline enum iommu_status flush_ranges(const struct iommu_batch *batch)
{
	uint64_t units;

	if (flush_block(batch))
		return IOMMU_OK;
	units = units_of(batch->domain);
	return is_one(units) ? flush_first(batch, units)
			     : flush_units(batch, units);
}

bool core_flush_start(struct iommu_batch *batch, struct flush *out)
{
	out->unit = only_unit(batch->domain);
	if (!out->unit || batch->pages ||
		out->unit->ops->flush(out->unit, batch, &out->ticket) !=
			IOMMU_OK)
		return false;
	iommu_batch_init(batch, batch->domain);
	return true;
}

enum iommu_status core_flush_end(
	struct iommu_domain *domain, struct flush *flush)
{
	enum iommu_status status =
		flush->unit->ops->flush_wait(flush->unit, flush->ticket);

	/* The queue has lost it; what it was is not kept. */
	if (status == IOMMU_UNCONFIRMED)
		status = iommu_flush_all(
			domain, IOMMU_REMOVED | IOMMU_TABLE_CHANGED);
	return status;
}

enum iommu_status core_batch_flush(struct iommu_batch *batch)
{
	enum iommu_status status;

	if (!batch->changes)
		return IOMMU_OK;
	status = flush_ranges(batch);
	if (batch->pages)
		core_table_release(batch, status == IOMMU_OK);
	iommu_batch_init(batch, batch->domain);
	return status;
}

enum iommu_status iommu_batch_flush(struct iommu_batch *batch)
{
	return core_block_silent(batch->domain, core_batch_flush(batch));
}

static NOINLINE enum iommu_status flush_range(struct iommu_domain *domain,
	unsigned changes, uint64_t iova, uint64_t size)
{
	struct iommu_batch batch;

	iommu_batch_init(&batch, domain);
	iommu_batch_add(&batch, changes, iommu_iova(iova), size);
	return batch.changes ? flush_ranges(&batch) : IOMMU_OK;
}

extern inline enum iommu_status iommu_flush(struct iommu_domain *domain,
	unsigned changes, iommu_iova_t iova, uint64_t size)
{
	const unsigned more = IOMMU_TABLE_CHANGED | IOMMU_MADE_PRESENT;

	if (size == PAGE_SIZE && !(iova.v % PAGE_SIZE) && changes &&
		!(changes & more) && flush_leaves(domain, iova.v, iova.v))
		return IOMMU_OK;
	return core_block_silent(
		domain, flush_range(domain, changes, iova.v, size));
}

enum iommu_status core_flush_leaf(struct iommu_domain *domain, uint64_t page)
{
	return iommu_flush(domain, IOMMU_REMOVED, iommu_iova(page), PAGE_SIZE);
}

enum iommu_status iommu_flush_all(struct iommu_domain *domain, unsigned changes)
{
	return iommu_flush(domain, changes, iommu_iova(0), ~0ull);
}
