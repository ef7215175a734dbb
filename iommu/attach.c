/* SPDX-License-Identifier: MIT */
/*
 * Devices given to a domain, taken back, put in quarantine.
 *
 * A device's state changes under I; the long part in between (tables, flushes,
 * waits) runs without a lock while the state says "changing", so that a second
 * caller is answered IOMMU_BUSY instead of waiting. A domain counts a device as
 * its own before the hardware can walk its tables and until the hardware has
 * confirmed that it does not any more: flushes of the domain reach the unit
 * during all of that time.
 *
 * Members of a group share a leader, which knows whose the group is, and may
 * share an alias, whose entry is open as long as one of them is attached.
 */
#include "backend.h"

/* ---- the entry ---- */

/** The entry for a device in a domain, but for the ids. */
static enum iommu_status compose_entry(const struct device *dev,
	const struct iommu_domain *domain, struct entry *out)
{
	const struct unit *unit = dev->unit;

	*out = (struct entry){.kind = domain->kind,
		.ats = core_ats_wanted(dev, domain->kind)};
	if (domain->kind == IOMMU_DOMAIN_IDENTITY && !unit->pass_through)
		domain = domain->iommu->identity_tables;
	if (domain->kind == IOMMU_DOMAIN_MAPPED)
		return core_table_entry(&domain->table, unit, out);
	if (domain->kind != IOMMU_DOMAIN_SHARED)
		return IOMMU_OK;
	out->levels = core_shared_root(domain, unit->levels, &out->root);
	if (!out->levels || out->root.v >> unit->phys_bits)
		return IOMMU_WIDTH;
	return IOMMU_OK;
}

/** Whether another device of the group still uses an id. */
static bool is_shared(const struct device *dev, uint16_t rid)
{
	if (rid == dev->id.requester)
		return dev->rid_users > 1;
	return rid == dev->alias->id.requester && dev->alias->rid_users > 1;
}

/** Clears the entries of a device's first count ids, last one first. */
static enum iommu_status close_entries(
	const struct device *dev, struct entry *entry, unsigned count)
{
	struct unit *unit = dev->unit;
	enum iommu_status status = IOMMU_OK;

	while (entry->kind != IOMMU_DOMAIN_BLOCKED && count--) {
		entry->rid = dev->rid[count];
		if (!is_shared(dev, entry->rid))
			status = core_worse(
				status, unit->ops->detach(unit, entry, dev));
	}
	return status;
}

static enum iommu_status open_entries(
	const struct device *dev, struct entry *entry)
{
	struct unit *unit = dev->unit;
	enum iommu_status status = IOMMU_OK;
	unsigned n;

	if (entry->kind == IOMMU_DOMAIN_BLOCKED)
		return IOMMU_OK;
	for (n = 0; n < dev->rids && status == IOMMU_OK; n++) {
		entry->rid = dev->rid[n];
		if (!is_shared(dev, entry->rid))
			status = unit->ops->attach(unit, entry);
	}
	/* The device may have used what was open already. */
	if (status != IOMMU_OK && close_entries(dev, entry, n) != IOMMU_OK)
		status = IOMMU_UNCONFIRMED;
	return status;
}

/* ---- who has a device ---- */

/** From here to settle() a device is the caller's. I held. */
static void __begin_change(struct device *dev)
{
	__atomic_store_n(&dev->state, IOMMU_DEVICE_CHANGING, __ATOMIC_RELAXED);
	__atomic_store_n(&dev->leader->group_changing, true, __ATOMIC_RELAXED);
}

static bool is_changing(const struct device *leader)
{
	return __atomic_load_n(&leader->group_changing, __ATOMIC_ACQUIRE);
}

/** Counts a device in a domain that it is on its way into. I held. */
static enum iommu_status __enter(
	struct device *dev, struct iommu_domain *domain)
{
	enum iommu_status status = __domain_enter(domain, dev->unit);

	if (status != IOMMU_OK)
		return status;
	__begin_change(dev);
	__atomic_store_n(&dev->domain, domain, __ATOMIC_RELEASE);
	dev->did = domain->on[dev->unit->index].did;
	unit_attach_count(dev->unit, domain != dev->parking);
	dev->leader->group_domain = domain;
	return IOMMU_OK;
}

/** Takes it out of a domain that the unit has forgotten, or should have. */
static void __depart(
	struct device *dev, struct iommu_domain *domain, bool confirmed)
{
	__domain_leave(domain, dev->unit, confirmed);
	unit_attach_count(dev->unit, -(unsigned)(domain != dev->parking));
}

/** A device is not on its way any more; until now it was the caller's. */
static void settle(struct device *dev, enum iommu_device_state state)
{
	__atomic_store_n(&dev->state, (uint8_t)state, __ATOMIC_RELEASE);
	__atomic_store_n(&dev->leader->group_changing, false, __ATOMIC_RELEASE);
}

/** One user more or less of the ids that others may use too. I held. */
static void __count_user(struct device *dev, int change)
{
	dev->rid_users += (unsigned)change;
	if (dev->alias != dev)
		dev->alias->rid_users += (unsigned)change;
}

/** Whether a domain hides a device's reserved memory from it, and the host did
 *  not allow that. */
static bool hides_reserved(const struct iommu_domain *domain)
{
	return has_addresses(domain->kind) &&
		!domain->iommu->options.allow_reserved_memory;
}

/** Everything that may forbid an attach, then the reservation. I held. */
static enum iommu_status __reserve(
	struct device *dev, struct iommu_domain *domain, bool ats)
{
	struct device *leader = dev->leader;
	enum iommu_status status;

	if (device_state(dev) == IOMMU_DEVICE_QUARANTINED)
		return IOMMU_DEVICE_BROKEN;
	if (device_state(dev) != IOMMU_DEVICE_BLOCKED)
		return IOMMU_BUSY;
	if (leader->group_users && leader->group_domain != domain)
		return IOMMU_GROUP_BUSY;
	if (is_changing(leader))
		return IOMMU_BUSY;
	if (dev->properties & IOMMU_NO_SNOOP_CONTROL && domain->table.leaf_bits)
		return IOMMU_FORMAT;
	if (dev->reserved_memory && domain != dev->parking &&
		hides_reserved(domain))
		return IOMMU_RESERVED_MEMORY;
	status = __enter(dev, domain);
	if (status != IOMMU_OK)
		return status;
	if (ats)
		__ats_enter(dev);
	__count_user(dev, 1);
	leader->group_users++;
	return IOMMU_OK;
}

/** Undoes __reserve(). I held. */
static void __release(struct device *dev, bool confirmed)
{
	__ats_leave(dev);
	__depart(dev, dev->domain, confirmed);
	__atomic_store_n(&dev->domain, NULL, __ATOMIC_RELEASE);
	__count_user(dev, -1);
	dev->leader->group_users--;
	settle(dev,
		confirmed ? IOMMU_DEVICE_BLOCKED : IOMMU_DEVICE_QUARANTINED);
}

static void release(struct device *dev, bool confirmed)
{
	struct iommu *iommu = dev->iommu;
	unsigned long state = core_lock(iommu, &iommu->lock);

	__release(dev, confirmed);
	core_unlock(iommu, &iommu->lock, state);
}

/* ---- attaching ---- */

enum iommu_status core_attach(struct device *dev, struct iommu_domain *domain)
{
	struct iommu *iommu = domain->iommu;
	struct entry entry;
	enum iommu_status status = compose_entry(dev, domain, &entry);
	unsigned long state;

	if (status != IOMMU_OK)
		return status;
	state = core_lock(iommu, &iommu->lock);
	status = __reserve(dev, domain, entry.ats);
	core_unlock(iommu, &iommu->lock, state);
	if (status != IOMMU_OK)
		return status;

	entry.did = dev->did;
	status = core_disinherit(dev);
	if (status == IOMMU_OK)
		status = open_entries(dev, &entry);
	if (status != IOMMU_OK) {
		release(dev, status == IOMMU_NO_MEMORY);
		return status;
	}
	if (entry.ats)
		core_ats_switch(dev, true);
	settle(dev, IOMMU_DEVICE_ATTACHED);
	unit_count(&dev->unit->stats.attaches, 1);
	return IOMMU_OK;
}

/* ---- without a moment in which the device reaches nothing ---- */

/** Whether a device can go to another domain that way. I held. */
static bool __may_move(const struct device *dev,
	const struct iommu_domain *domain, const struct entry *entry)
{
	return WIDE_STORES && device_state(dev) == IOMMU_DEVICE_ATTACHED &&
		dev->domain->kind != IOMMU_DOMAIN_BLOCKED &&
		domain->kind != IOMMU_DOMAIN_BLOCKED &&
		!is_changing(dev->leader) && dev->leader->group_users == 1 &&
		dev->rids == 1 && !dev->ats_on && !entry->ats &&
		!(dev->properties & IOMMU_NO_SNOOP_CONTROL &&
			domain->table.leaf_bits);
}

/** IOMMU_UNSUPPORTED: not possible, nothing was done. Both domains count the
 *  device until the unit has forgotten the old one. */
static enum iommu_status move(struct device *dev, struct iommu_domain *domain)
{
	struct iommu *iommu = dev->iommu;
	enum iommu_status status = IOMMU_UNSUPPORTED;
	struct unit *unit = dev->unit;
	struct iommu_domain *old;
	unsigned long state;
	struct entry entry;

	if (compose_entry(dev, domain, &entry) != IOMMU_OK)
		return status;
	state = core_lock(iommu, &iommu->lock);
	old = dev->domain;
	if (__may_move(dev, domain, &entry) && __enter(dev, domain) == IOMMU_OK)
		status = IOMMU_OK;
	core_unlock(iommu, &iommu->lock, state);
	if (status != IOMMU_OK)
		return status;

	entry.rid = dev->id.requester;
	entry.did = dev->did;
	status = unit->ops->redirect(unit, &entry, old->on[unit->index].did);
	state = core_lock(iommu, &iommu->lock);
	__depart(dev, old, status == IOMMU_OK);
	if (status == IOMMU_OK)
		settle(dev, IOMMU_DEVICE_ATTACHED);
	else
		__release(dev, false);
	core_unlock(iommu, &iommu->lock, state);
	unit_count(domain == dev->parking ? &unit->stats.detaches
					  : &unit->stats.attaches,
		1);
	return status;
}

/** From its reserved memory alone to a domain of the host's. */
static enum iommu_status attach_parked(
	struct device *dev, struct iommu_domain *domain)
{
	enum iommu_status status;

	if (hides_reserved(domain))
		return IOMMU_RESERVED_MEMORY;
	status = move(dev, domain);
	if (status != IOMMU_UNSUPPORTED)
		return status;
	status = core_detach(dev);
	if (status != IOMMU_OK)
		return status;
	status = core_attach(dev, domain);
	if (status == IOMMU_OK || status == IOMMU_UNCONFIRMED)
		return status;
	return core_park(dev) == IOMMU_UNCONFIRMED ? IOMMU_UNCONFIRMED : status;
}

/** Whether a device's unit can take it on. */
static enum iommu_status is_usable(const struct device *dev)
{
	enum iommu_unit_state state = unit_state(dev->unit);

	if (core_life(dev->unit->iommu) == INSTANCE_HANDED_OVER)
		return IOMMU_WRONG_STATE;
	if (state == IOMMU_UNIT_FAILED)
		return IOMMU_UNIT_LOST;
	if (state == IOMMU_UNIT_ON)
		return IOMMU_OK;
	return unit_translates(dev->unit) ? IOMMU_OFF : IOMMU_UNCOVERED;
}

enum iommu_status iommu_attach(struct iommu *iommu, struct iommu_device_id id,
	struct iommu_domain *domain)
{
	enum iommu_status status;
	struct device *dev;

	if (!domain || domain->iommu != iommu)
		return IOMMU_BAD_ARGUMENT;
	status = core_device(iommu, id, &dev);
	if (status == IOMMU_OK)
		status = is_usable(dev);
	if (status == IOMMU_OK && dev->reserved_memory &&
		domain->kind == IOMMU_DOMAIN_MAPPED &&
		iommu->options.allow_reserved_memory)
		status = core_map_reserved(domain, dev);
	/* Here, where the stack is not deep yet. */
	if (status == IOMMU_OK && domain->kind == IOMMU_DOMAIN_IDENTITY &&
		!dev->unit->pass_through)
		status = core_identity_make(iommu);
	if (status != IOMMU_OK)
		return status;
	if (core_is_parked(dev))
		return attach_parked(dev, domain);
	return core_attach(dev, domain);
}

/* ---- detaching ---- */

/** Reserves an attached device for being detached. I held. */
static enum iommu_status __begin_detach(struct device *dev)
{
	if (device_state(dev) == IOMMU_DEVICE_CHANGING)
		return IOMMU_BUSY;
	if (device_state(dev) != IOMMU_DEVICE_ATTACHED)
		return IOMMU_NOT_ATTACHED;
	if (is_changing(dev->leader))
		return IOMMU_BUSY;
	__begin_change(dev);
	return IOMMU_OK;
}

enum iommu_status core_detach(struct device *dev)
{
	struct iommu *iommu = dev->iommu;
	enum iommu_status status;
	unsigned long state;
	struct entry entry;

	state = core_lock(iommu, &iommu->lock);
	status = __begin_detach(dev);
	core_unlock(iommu, &iommu->lock, state);
	if (status != IOMMU_OK)
		return status;
	entry = (struct entry){
		.kind = dev->domain->kind, .did = dev->did, .ats = dev->ats_on};

	status = close_entries(dev, &entry, dev->rids);
	if (entry.ats)
		core_ats_switch(dev, false);
	release(dev, status == IOMMU_OK);
	unit_count(&dev->unit->stats.detaches, 1);
	return status;
}

enum iommu_status iommu_detach(struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id);
	enum iommu_status status;

	if (core_life(iommu) == INSTANCE_HANDED_OVER)
		return IOMMU_WRONG_STATE;
	/* Who was never met may reach what an earlier owner left. */
	if (!dev || !dev->unit) {
		status = core_device(iommu, id, &dev);
		if (!dev || status == IOMMU_NO_MEMORY)
			return status;
	}
	if (dev->unit && unit_state(dev->unit) == IOMMU_UNIT_SUSPENDED)
		return IOMMU_OFF;
	if (core_inherits(dev)) {
		status = core_disinherit(dev);
		if (status != IOMMU_OK && status != IOMMU_NO_MEMORY)
			core_device_quarantine(dev);
		return status;
	}
	if (core_is_parked(dev))
		return IOMMU_NOT_ATTACHED;
	if (dev->parking) {
		status = move(dev, dev->parking);
		if (status != IOMMU_UNSUPPORTED)
			return status;
	}
	status = core_detach(dev);
	/* Whether that worked is in the log; blocked it is in any case. */
	if (status == IOMMU_OK && core_park(dev) == IOMMU_UNCONFIRMED)
		return IOMMU_UNCONFIRMED;
	return status;
}

/* ---- devices that nobody gets ---- */

/** Has a device change from a state, unless it is in another. */
static bool change_state(struct device *dev, enum iommu_device_state from,
	enum iommu_device_state to, int users)
{
	struct iommu *iommu = dev->iommu;
	unsigned long state = core_lock(iommu, &iommu->lock);
	bool mine = device_state(dev) == from;

	if (mine) {
		__atomic_store_n(&dev->state, (uint8_t)to, __ATOMIC_RELEASE);
		__count_user(dev, users);
	}
	core_unlock(iommu, &iommu->lock, state);
	return mine;
}

void core_device_keep_back(struct device *dev)
{
	change_state(dev, IOMMU_DEVICE_BLOCKED, IOMMU_DEVICE_QUARANTINED, 0);
}

enum iommu_status core_device_quarantine(struct device *dev)
{
	enum iommu_status status = core_detach(dev), old;

	if (status == IOMMU_BUSY)
		return status;
	old = dev->unit ? core_disinherit(dev)
			: core_disinherit_gone(dev->iommu, dev->id);
	core_device_keep_back(dev);
	return old != IOMMU_OK || status == IOMMU_NOT_ATTACHED ? old : status;
}

enum iommu_status iommu_device_revive(
	struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id);
	enum iommu_status status;
	struct entry entry;

	if (!dev || !dev->unit)
		return IOMMU_WRONG_STATE;
	if (unit_state(dev->unit) == IOMMU_UNIT_FAILED)
		return IOMMU_UNIT_LOST;
	/* Counted, so that ids which others use too stay open. */
	if (!change_state(
		    dev, IOMMU_DEVICE_QUARANTINED, IOMMU_DEVICE_CHANGING, 1))
		return IOMMU_WRONG_STATE;
	entry = (struct entry){.kind = IOMMU_DOMAIN_SHARED,
		.did = dev->did ? dev->did : IDENTITY_DID};
	__atomic_store_n(&dev->mute, false, __ATOMIC_RELEASE);
	status = close_entries(dev, &entry, dev->rids);
	change_state(dev, IOMMU_DEVICE_CHANGING,
		status == IOMMU_OK ? IOMMU_DEVICE_BLOCKED
				   : IOMMU_DEVICE_QUARANTINED,
		-1);
	return status;
}

enum iommu_status iommu_device_removed(
	struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id);
	enum iommu_status status, old;
	unsigned long state;

	if (!dev)
		return core_disinherit_gone(iommu, id);
	core_device_mute(dev);
	status = core_detach(dev);
	old = core_disinherit_gone(iommu, id);
	__atomic_store_n(&dev->mute, false, __ATOMIC_RELEASE);
	state = core_lock(iommu, &iommu->lock);
	if (device_state(dev) == IOMMU_DEVICE_BLOCKED)
		__stand_in(dev, true);
	core_unlock(iommu, &iommu->lock, state);
	return status == IOMMU_NOT_ATTACHED ? old : status;
}
