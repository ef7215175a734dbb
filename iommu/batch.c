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

/** Makes all ranges one, and all that come: a unit would hardly flush so many
 *  singly. */
static __attribute__((noinline)) void make_one(struct iommu_batch *batch)
{
	unsigned n;

	for (n = 1; n < batch->count; n++) {
		batch->range[0].first =
			core_min(batch->range[0].first, batch->range[n].first);
		batch->range[0].last =
			core_max(batch->range[0].last, batch->range[n].last);
		batch->range_changes[0] |= batch->range_changes[n];
	}
	batch->count = 1;
	batch->full = true;
}

/** Whether [first, last] touches or overlaps range n. */
static inline bool meets(const struct iommu_batch *batch, unsigned n,
	uint64_t first, uint64_t last)
{
	uint64_t f = batch->range[n].first, l = batch->range[n].last;

	return first >> PAGE_SHIFT <= (l >> PAGE_SHIFT) + 1 &&
		f >> PAGE_SHIFT <= (last >> PAGE_SHIFT) + 1;
}

void iommu_batch_add(struct iommu_batch *batch, unsigned changes,
	iommu_iova_t iova, uint64_t size)
{
	uint64_t first = iova.v & ~(uint64_t)(PAGE_SIZE - 1);
	uint64_t last = iova.v + (size - 1);
	unsigned n = batch->count;

	if (!size || !changes)
		return;
	last = (last < iova.v ? ~0ull : last) | (PAGE_SIZE - 1);
	batch->changes |= changes;
	if (n == IOMMU_BATCH_RANGES)
		make_one(batch);
	/* Ranges mostly come in order, so only the newest is looked at. */
	if (batch->full || (n && meets(batch, n - 1, first, last))) {
		n = batch->count - 1;
		first = core_min(first, batch->range[n].first);
		last = core_max(last, batch->range[n].last);
		changes |= batch->range_changes[n];
	} else {
		batch->count = n + 1;
	}
	batch->range[n].first = first;
	batch->range[n].last = last;
	batch->range_changes[n] = (uint8_t)changes;
}

/* ---- flushing ---- */

/** Flushes on up to PARALLEL of *units, which it takes off. *again: those that
 *  lost it or take nothing without being waited for. */
static __attribute__((noinline)) enum iommu_status flush_some(
	const struct iommu_batch *batch, uint64_t *units, uint64_t *again)
{
	const struct iommu_domain *domain = batch->domain;
	enum iommu_status status = IOMMU_OK;
	struct ticket ticket[PARALLEL];
	uint8_t of[PARALLEL];
	unsigned count = 0, n;
	struct unit *unit;

	while (*units && count < PARALLEL) {
		unsigned index = (unsigned)__builtin_ctzll(*units);
		enum iommu_status one;

		*units &= *units - 1;
		unit = domain->iommu->unit[index];
		one = unit->ops->flush(
			unit, domain->on[index].did, batch, &ticket[count]);
		of[count] = (uint8_t)index;
		if (one == IOMMU_UNCONFIRMED)
			*again |= 1ull << index;
		else if (one != IOMMU_OK)
			status = one;
		else if (ticket[count].end)
			count++;
	}
	for (n = 0; n < count; n++) {
		unit = domain->iommu->unit[of[n]];
		switch (unit->ops->flush_wait(unit, &ticket[n])) {
		case IOMMU_OK:
			break;
		case IOMMU_UNCONFIRMED:
			*again |= 1ull << of[n];
			break;
		default:
			status = IOMMU_UNIT_LOST;
		}
	}
	return status;
}

static enum iommu_status flush_one(
	const struct iommu_batch *batch, unsigned index)
{
	const struct iommu_domain *domain = batch->domain;
	struct unit *unit = domain->iommu->unit[index];

	return unit->ops->flush_now(unit, domain->on[index].did, batch);
}

static __attribute__((noinline)) enum iommu_status flush_units(
	const struct iommu_batch *batch, uint64_t units)
{
	enum iommu_status status = IOMMU_OK;
	uint64_t again = 0;

	while (units)
		status = core_worse(status, flush_some(batch, &units, &again));
	for (; again; again &= again - 1)
		status = core_worse(status,
			flush_one(batch, (unsigned)__builtin_ctzll(again)));
	return status;
}

enum iommu_status core_block_silent(
	struct iommu_domain *domain, enum iommu_status status)
{
	if (__atomic_load_n(&domain->tlb_devices, __ATOMIC_ACQUIRE))
		status = core_worse(status, core_block_mute(domain));
	return status;
}

/** Flushes what the batch says on all units of its domain. */
static inline enum iommu_status flush_ranges(const struct iommu_batch *batch)
{
	struct iommu_domain *domain = batch->domain;
	enum iommu_status status = IOMMU_OK;
	uint64_t units;

	/* The caller's stores to entries come before this load: either it
	 * sees a unit that is just being entered, or that unit's first walk
	 * sees the entries. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	units = __atomic_load_n(&domain->units, __ATOMIC_ACQUIRE);
	if (units && !(units & (units - 1))) {
		status = flush_one(batch, (unsigned)__builtin_ctzll(units));
	} else if (units) {
		status = flush_units(batch, units);
	}
	return status;
}

bool core_flush_start(struct iommu_batch *batch, struct flush *out)
{
	struct iommu_domain *domain = batch->domain;
	uint64_t units;
	unsigned index;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	units = __atomic_load_n(&domain->units, __ATOMIC_ACQUIRE);
	if (batch->pages || !units || units & (units - 1) ||
		__atomic_load_n(&domain->tlb_devices, __ATOMIC_ACQUIRE))
		return false;
	index = (unsigned)__builtin_ctzll(units);
	out->unit = domain->iommu->unit[index];
	if (out->unit->ops->flush(out->unit, domain->on[index].did, batch,
		    &out->ticket) != IOMMU_OK)
		return false;
	iommu_batch_init(batch, domain);
	return true;
}

enum iommu_status core_flush_end(
	struct iommu_domain *domain, struct flush *flush)
{
	enum iommu_status status =
		flush->unit->ops->flush_wait(flush->unit, &flush->ticket);

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

static __attribute__((noinline)) enum iommu_status flush_range(
	struct iommu_domain *domain, unsigned changes, uint64_t iova,
	uint64_t size)
{
	struct iommu_batch batch;

	iommu_batch_init(&batch, domain);
	iommu_batch_add(&batch, changes, iommu_iova(iova), size);
	return batch.changes ? flush_ranges(&batch) : IOMMU_OK;
}

enum iommu_status core_flush_leaf(struct iommu_domain *domain, uint64_t page)
{
	struct unit *unit;
	uint64_t units;
	unsigned index;

	/* As in flush_ranges(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	units = __atomic_load_n(&domain->units, __ATOMIC_ACQUIRE);
	if (!units)
		return IOMMU_OK;
	index = (unsigned)__builtin_ctzll(units);
	unit = domain->iommu->unit[index];
	if (!(units & (units - 1)) &&
		!__atomic_load_n(&domain->tlb_devices, __ATOMIC_ACQUIRE) &&
		unit->ops->flush_leaf(unit, domain->on[index].did, page))
		return IOMMU_OK;
	return core_block_silent(
		domain, flush_range(domain, IOMMU_REMOVED, page, PAGE_SIZE));
}

enum iommu_status iommu_flush(struct iommu_domain *domain, unsigned changes,
	iommu_iova_t iova, uint64_t size)
{
	const unsigned more = IOMMU_TABLE_CHANGED | IOMMU_MADE_PRESENT;

	if (size == PAGE_SIZE && !(iova.v & (PAGE_SIZE - 1)) && changes &&
		!(changes & more))
		return core_flush_leaf(domain, iova.v);
	return core_block_silent(
		domain, flush_range(domain, changes, iova.v, size));
}

enum iommu_status iommu_flush_all(struct iommu_domain *domain, unsigned changes)
{
	return iommu_flush(domain, changes, iommu_iova(0), ~0ull);
}
