/* SPDX-License-Identifier: MIT */
/*
 * Domains: made, entered and left on each unit, ended.
 *
 * A domain has an id in each unit on which devices of it are attached. The id
 * is taken with the first device and free again with the last, after the unit
 * has confirmed for each of them that it forgot everything under that id. If it
 * has not for one, a context entry with the id may still be cached: the id is
 * never used again, and the domain's tables are never given back.
 */
#include "backend.h"

static bool roots_are_sound(const struct iommu_shared_roots *roots)
{
	uint64_t all = roots->levels3.v | roots->levels4.v | roots->levels5.v;

	return all && !(all & (PAGE_SIZE - 1));
}

enum iommu_status iommu_domain_create(struct iommu *iommu,
	const struct iommu_domain_config *config,
	struct iommu_domain **out_domain)
{
	struct iommu_domain *domain;
	enum iommu_status status = IOMMU_OK;
	unsigned long state;

	if (!config || !out_domain ||
		(unsigned)config->kind > IOMMU_DOMAIN_SHARED ||
		(config->kind == IOMMU_DOMAIN_SHARED &&
			!roots_are_sound(&config->roots)))
		return IOMMU_BAD_ARGUMENT;
	domain = core_pool_get(iommu, &iommu->domain_pool);
	if (!domain)
		return IOMMU_NO_MEMORY;
	domain->iommu = iommu;
	domain->owner = config->owner;
	domain->kind = config->kind;
	domain->roots = config->roots;
	domain->no_snoop_control = config->no_snoop_control;
	if (config->kind == IOMMU_DOMAIN_MAPPED)
		status = core_table_make(domain, config->iova_bits);
	if (status != IOMMU_OK) {
		core_pool_put(iommu, &iommu->domain_pool, domain);
		return status;
	}
	state = core_lock(iommu, &iommu->lock);
	iommu->domains++;
	core_unlock(iommu, &iommu->lock, state);
	*out_domain = domain;
	return IOMMU_OK;
}

enum iommu_status iommu_domain_destroy(struct iommu_domain *domain)
{
	struct iommu *iommu;
	unsigned long state;
	bool busy;

	if (!domain)
		return IOMMU_OK;
	iommu = domain->iommu;
	state = core_lock(iommu, &iommu->lock);
	busy = domain->devices || domain == iommu->identity;
	if (!busy)
		iommu->domains--;
	core_unlock(iommu, &iommu->lock, state);
	if (busy)
		return IOMMU_IN_USE;
	if (!domain->walked)
		core_table_free(domain);
	core_pool_put(iommu, &iommu->domain_pool, domain);
	return IOMMU_OK;
}

struct iommu_domain *iommu_domain_identity(struct iommu *iommu)
{
	return iommu->identity;
}

enum iommu_domain_kind iommu_domain_kind(const struct iommu_domain *domain)
{
	return domain->kind;
}

void *iommu_domain_owner(const struct iommu_domain *domain)
{
	return domain->owner;
}

unsigned iommu_domain_devices(const struct iommu_domain *domain)
{
	return __atomic_load_n(&domain->devices, __ATOMIC_ACQUIRE);
}

unsigned iommu_domain_duties(const struct iommu_domain *domain)
{
	return __atomic_load_n(&domain->duties, __ATOMIC_ACQUIRE);
}

/* ---- ids ---- */

bool __did_take(struct did_map *map, uint16_t *out)
{
	unsigned words = (map->count + 63) / 64;

	for (unsigned n = 0; n < words; n++) {
		uint64_t free = ~map->taken[map->hint];

		if (map->count < 64)
			free &= (1ull << map->count) - 1;
		if (free) {
			*out = (uint16_t)(map->hint * 64 +
				(unsigned)__builtin_ctzll(free));
			__atomic_fetch_or(&map->taken[map->hint], free & -free,
				__ATOMIC_RELAXED);
			return true;
		}
		map->hint = (map->hint + 1) % words;
	}
	return false;
}

enum iommu_status __domain_enter(struct iommu_domain *domain, struct unit *unit)
{
	struct domain_unit *on = &domain->on[unit->index];

	if (!on->users) {
		on->spent = false;
		on->did = IDENTITY_DID;
		if (domain != domain->iommu->identity &&
			!__did_take(&unit->dids, &on->did))
			return IOMMU_NO_DOMAIN_ID;
		__atomic_fetch_or(
			&domain->units, 1ull << unit->index, __ATOMIC_SEQ_CST);
		__atomic_fetch_or(
			&domain->duties, unit->duties, __ATOMIC_RELEASE);
	}
	on->users++;
	__atomic_fetch_add(&domain->devices, 1, __ATOMIC_RELEASE);
	return IOMMU_OK;
}

/** The union of the duties of all units that the domain is on. I held. */
static void __note_duties(struct iommu_domain *domain)
{
	const struct iommu *iommu = domain->iommu;
	unsigned duties = 0;

	for (uint64_t units = domain->units; units; units &= units - 1)
		duties |= iommu->unit[__builtin_ctzll(units)]->duties;
	__atomic_store_n(&domain->duties, duties, __ATOMIC_RELEASE);
}

void __domain_leave(
	struct iommu_domain *domain, struct unit *unit, bool confirmed)
{
	struct domain_unit *on = &domain->on[unit->index];

	on->spent |= !confirmed;
	domain->walked |= !confirmed;
	__atomic_fetch_sub(&domain->devices, 1, __ATOMIC_RELEASE);
	if (--on->users)
		return;
	__atomic_fetch_and(
		&domain->units, ~(1ull << unit->index), __ATOMIC_SEQ_CST);
	__note_duties(domain);
	if (!on->spent && on->did != IDENTITY_DID)
		__atomic_fetch_and(&unit->dids.taken[on->did / 64],
			~(1ull << on->did % 64), __ATOMIC_RELAXED);
}
