/* SPDX-License-Identifier: MIT */
/*
 * Batches: what changed in a domain, collected until it is flushed on every
 * unit of the domain.
 */
#include "backend.h"

enum {
	/** Units that are waited for together. */
	PARALLEL = 8,
};

void iommu_batch_init(struct iommu_batch *batch, struct iommu_domain *domain)
{
	batch->domain = domain;
	batch->changes = 0;
	batch->count = 0;
	batch->pages = NULL;
}

/** Joins the new last range with an earlier one that it touches. */
static bool join(struct iommu_batch *batch, unsigned changes, uint64_t first,
	uint64_t last)
{
	unsigned n;

	for (n = 0; n < batch->count; n++) {
		uint64_t f = batch->range[n].first, l = batch->range[n].last;

		if (first > l && first - l > 1)
			continue;
		if (f > last && f - last > 1)
			continue;
		batch->range[n].first = core_min(f, first);
		batch->range[n].last = core_max(l, last);
		batch->range[n].changes |= changes;
		return true;
	}
	return false;
}

/** The range that grows least when it takes the new one in. */
static unsigned nearest(
	const struct iommu_batch *batch, uint64_t first, uint64_t last)
{
	uint64_t best_growth = ~0ull;
	unsigned best = 0, n;

	for (n = 0; n < batch->count; n++) {
		uint64_t f = batch->range[n].first, l = batch->range[n].last;
		uint64_t growth =
			(core_max(l, last) - core_min(f, first)) - (l - f);

		if (growth < best_growth) {
			best_growth = growth;
			best = n;
		}
	}
	return best;
}

void iommu_batch_add(struct iommu_batch *batch, unsigned changes,
	iommu_iova_t iova, uint64_t size)
{
	uint64_t first = iova.v & ~(uint64_t)(PAGE_SIZE - 1);
	uint64_t last = iova.v + size - 1;
	unsigned n;

	if (!size || !changes)
		return;
	if (last < iova.v)
		last = ~0ull;
	last |= PAGE_SIZE - 1;
	batch->changes |= changes;
	if (join(batch, changes, first, last))
		return;
	if (batch->count < IOMMU_BATCH_RANGES) {
		n = batch->count++;
		batch->range[n].first = first;
		batch->range[n].last = last;
		batch->range[n].changes = changes;
		return;
	}
	n = nearest(batch, first, last);
	batch->range[n].first = core_min(batch->range[n].first, first);
	batch->range[n].last = core_max(batch->range[n].last, last);
	batch->range[n].changes |= changes;
}

static enum iommu_status worse(enum iommu_status a, enum iommu_status b)
{
	if (a == IOMMU_OK || b == IOMMU_UNIT_LOST)
		return b;
	return a;
}

/** Flushes on up to PARALLEL of the units in *units, and takes those off. */
static enum iommu_status flush_some(
	const struct iommu_batch *batch, uint64_t *units)
{
	const struct iommu_domain *domain = batch->domain;
	enum iommu_status status = IOMMU_OK;
	struct ticket ticket[PARALLEL];
	struct unit *unit[PARALLEL];
	unsigned count = 0, n;

	while (*units && count < PARALLEL) {
		unsigned index = (unsigned)__builtin_ctzll(*units);
		enum iommu_status one;

		*units &= *units - 1;
		unit[count] = domain->iommu->unit[index];
		one = unit[count]->ops->flush(unit[count],
			domain->on[index].did, batch, &ticket[count]);
		status = worse(status, one);
		if (one == IOMMU_OK && ticket[count].end)
			count++;
	}
	for (n = 0; n < count; n++)
		status = worse(status,
			unit[n]->ops->flush_wait(unit[n],
				domain->on[unit[n]->index].did, batch,
				&ticket[n]));
	return status;
}

/** The usual case: one unit. */
static enum iommu_status flush_one(
	const struct iommu_batch *batch, unsigned index)
{
	const struct iommu_domain *domain = batch->domain;
	struct unit *unit = domain->iommu->unit[index];
	uint16_t did = domain->on[index].did;
	struct ticket ticket;
	enum iommu_status status = unit->ops->flush(unit, did, batch, &ticket);

	if (status != IOMMU_OK || !ticket.end)
		return status;
	return unit->ops->flush_wait(unit, did, batch, &ticket);
}

static enum iommu_status flush_units(
	const struct iommu_batch *batch, uint64_t units)
{
	enum iommu_status status = IOMMU_OK;

	if (units && !(units & (units - 1)))
		return flush_one(batch, (unsigned)__builtin_ctzll(units));
	while (units)
		status = worse(status, flush_some(batch, &units));
	return status;
}

enum iommu_status iommu_batch_flush(struct iommu_batch *batch)
{
	struct iommu_domain *domain = batch->domain;
	enum iommu_status status;

	if (!batch->changes)
		return IOMMU_OK;
	/* The caller's stores to entries come before this load: either it
	 * sees a unit that is just being entered, or that unit's first walk
	 * sees the entries. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	status = flush_units(
		batch, __atomic_load_n(&domain->units, __ATOMIC_ACQUIRE));
	/* What a blocked device still holds is refused by the unit. */
	if (__atomic_load_n(&domain->tlb_devices, __ATOMIC_ACQUIRE))
		status = worse(status, core_block_mute(domain));
	if (batch->pages)
		core_table_release(batch, status == IOMMU_OK);
	iommu_batch_init(batch, domain);
	return status;
}

enum iommu_status iommu_flush(struct iommu_domain *domain, unsigned changes,
	iommu_iova_t iova, uint64_t size)
{
	struct iommu_batch batch;

	iommu_batch_init(&batch, domain);
	iommu_batch_add(&batch, changes, iova, size);
	return iommu_batch_flush(&batch);
}

enum iommu_status iommu_flush_all(struct iommu_domain *domain, unsigned changes)
{
	return iommu_flush(domain, changes, iommu_iova(0), ~0ull);
}
