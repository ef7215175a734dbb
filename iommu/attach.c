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

/** A device and those that count for it. */
struct party {
	struct device *dev;
	struct device *alias;  /* NULL if its requests carry its own id only */
	struct device *leader; /* of its group; may be itself */
};

/** The object that stands for an id, which need not be a function. */
static enum iommu_status find_stand_in(struct iommu *iommu,
	const struct device *dev, uint16_t rid, struct device **out)
{
	if (rid == dev->id.requester)
		return IOMMU_OK;
	return core_device_stand_in(iommu, dev, rid, out);
}

static __attribute__((noinline)) enum iommu_status find_party(
	struct iommu *iommu, struct device *dev, struct party *out)
{
	enum iommu_status status;

	*out = (struct party){.dev = dev, .leader = dev};
	status = find_stand_in(iommu, dev, dev->alias, &out->alias);
	if (status != IOMMU_OK)
		return status;
	return find_stand_in(iommu, dev, dev->group, &out->leader);
}

static __attribute__((noinline)) enum iommu_status compose_identity(
	struct iommu *iommu, const struct unit *unit, struct entry *out)
{
	enum iommu_status status;

	if (unit->pass_through)
		return IOMMU_OK;
	status = core_identity_make(iommu);
	if (status != IOMMU_OK)
		return status;
	return core_table_entry(iommu->identity_tables, unit, out)
		? IOMMU_OK
		: IOMMU_WIDTH;
}

/** The deepest table that both sides have reaches furthest. */
static __attribute__((noinline)) enum iommu_status compose_shared(
	const struct iommu_domain *domain, const struct unit *unit,
	struct entry *out)
{
	iommu_phys_t root[6] = {[3] = domain->roots.levels3,
		[4] = domain->roots.levels4,
		[5] = domain->roots.levels5};
	unsigned levels = 5;

	while (levels >= 3 && !(unit->levels >> levels & 1 && root[levels].v))
		levels--;
	if (levels < 3 || root[levels].v >> unit->phys_bits)
		return IOMMU_WIDTH;
	out->root = root[levels];
	out->levels = levels;
	return IOMMU_OK;
}

/** The entry for a device in a domain, but for the ids. */
static enum iommu_status compose_entry(const struct iommu_domain *domain,
	const struct unit *unit, struct entry *out)
{
	*out = (struct entry){.kind = domain->kind};
	switch (domain->kind) {
	case IOMMU_DOMAIN_IDENTITY:
		return compose_identity(domain->iommu, unit, out);
	case IOMMU_DOMAIN_MAPPED:
		return core_table_entry(domain, unit, out) ? IOMMU_OK
							   : IOMMU_WIDTH;
	case IOMMU_DOMAIN_SHARED:
		return compose_shared(domain, unit, out);
	default:
		return IOMMU_OK;
	}
}

/** Everything that may forbid an attach, then the reservation. I held. */
static __attribute__((noinline)) enum iommu_status __reserve(
	struct party *party, struct iommu_domain *domain, bool ats)
{
	const struct iommu *iommu = domain->iommu;
	struct device *dev = party->dev, *leader = party->leader;
	bool open = domain->kind == IOMMU_DOMAIN_MAPPED ||
		domain->kind == IOMMU_DOMAIN_SHARED;
	enum iommu_status status;

	if (dev->state == IOMMU_DEVICE_QUARANTINED)
		return IOMMU_DEVICE_BROKEN;
	if (dev->state != IOMMU_DEVICE_BLOCKED)
		return IOMMU_BUSY;
	if (leader->group_users && leader->group_domain != domain)
		return IOMMU_GROUP_BUSY;
	if (leader->group_changing)
		return IOMMU_BUSY;
	if (dev->properties & IOMMU_NO_SNOOP_CONTROL && domain->table.leaf_bits)
		return IOMMU_FORMAT;
	if (dev->reserved_memory && open && domain != dev->parking &&
		!iommu->options.allow_reserved_memory)
		return IOMMU_RESERVED_MEMORY;
	status = __domain_enter(domain, dev->unit);
	if (status != IOMMU_OK)
		return status;
	dev->state = IOMMU_DEVICE_CHANGING;
	__atomic_store_n(&dev->domain, domain, __ATOMIC_RELEASE);
	dev->did = domain->on[dev->unit->index].did;
	unit_attach_count(dev->unit, domain != dev->parking);
	if (ats)
		__ats_enter(dev);
	dev->rid_users++;
	if (party->alias)
		party->alias->rid_users++;
	leader->group_users++;
	leader->group_domain = domain;
	leader->group_changing = true;
	return IOMMU_OK;
}

/** Undoes __reserve(). I held. */
static void __release(struct party *party, bool confirmed)
{
	struct device *dev = party->dev;

	__ats_leave(dev);
	__domain_leave(dev->domain, dev->unit, confirmed);
	unit_attach_count(dev->unit, -(unsigned)(dev->domain != dev->parking));
	__atomic_store_n(&dev->domain, NULL, __ATOMIC_RELEASE);
	dev->state =
		confirmed ? IOMMU_DEVICE_BLOCKED : IOMMU_DEVICE_QUARANTINED;
	dev->rid_users--;
	if (party->alias)
		party->alias->rid_users--;
	party->leader->group_users--;
	party->leader->group_changing = false;
}

static __attribute__((noinline)) void release(
	struct iommu *iommu, struct party *party, bool confirmed)
{
	unsigned long state = core_lock(iommu, &iommu->lock);

	__release(party, confirmed);
	core_unlock(iommu, &iommu->lock, state);
}

/** Whether another device of the group still uses an id. */
static bool is_shared(const struct party *party, uint16_t rid)
{
	if (rid == party->dev->id.requester)
		return party->dev->rid_users > 1;
	return party->alias && rid == party->dev->alias &&
		party->alias->rid_users > 1;
}

/** Clears the entries of the first count ids of a device, last one first. */
static enum iommu_status close_entries(const struct party *party,
	struct entry *entry, unsigned count, const uint16_t *rid)
{
	struct unit *unit = party->dev->unit;
	enum iommu_status status = IOMMU_OK;

	if (entry->kind == IOMMU_DOMAIN_BLOCKED)
		return status;
	while (count--) {
		enum iommu_status one;

		if (is_shared(party, rid[count]))
			continue;
		entry->rid = rid[count];
		one = unit->ops->detach(unit, entry, party->dev);
		if (one != IOMMU_OK)
			status = one;
	}
	return status;
}

static enum iommu_status open_entries(
	const struct party *party, struct entry *entry)
{
	struct unit *unit = party->dev->unit;
	uint16_t rid[MAX_RIDS];
	unsigned count = core_device_rids(party->dev, rid), n;
	enum iommu_status status = IOMMU_OK;

	if (entry->kind == IOMMU_DOMAIN_BLOCKED)
		return status;
	for (n = 0; n < count && status == IOMMU_OK; n++) {
		if (is_shared(party, rid[n]))
			continue;
		entry->rid = rid[n];
		status = unit->ops->attach(unit, entry);
	}
	/* The device may have used what was open already. */
	if (status != IOMMU_OK &&
		close_entries(party, entry, n, rid) != IOMMU_OK)
		status = IOMMU_UNCONFIRMED;
	return status;
}

static __attribute__((noinline)) enum iommu_status find_usable(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	enum iommu_status status = core_device(iommu, id, out);

	if (status != IOMMU_OK)
		return status;
	if (core_life(iommu) == INSTANCE_HANDED_OVER)
		return IOMMU_WRONG_STATE;
	switch (unit_state((*out)->unit)) {
	case IOMMU_UNIT_FAILED:
		return IOMMU_UNIT_LOST;
	case IOMMU_UNIT_ON:
		return IOMMU_OK;
	default:
		return unit_translates((*out)->unit) ? IOMMU_OFF
						     : IOMMU_UNCOVERED;
	}
}

static __attribute__((noinline)) enum iommu_status attach_entry(
	struct iommu *iommu, struct device *dev, struct iommu_domain *domain,
	struct entry *entry)
{
	enum iommu_status status;
	struct party party;
	unsigned long state;

	status = find_party(iommu, dev, &party);
	if (status != IOMMU_OK)
		return status;
	entry->ats = core_ats_wanted(dev, domain->kind);
	state = core_lock(iommu, &iommu->lock);
	status = __reserve(&party, domain, entry->ats);
	core_unlock(iommu, &iommu->lock, state);
	if (status != IOMMU_OK)
		return status;

	entry->did = dev->did;
	status = core_disinherit(iommu, dev);
	if (status == IOMMU_OK)
		status = open_entries(&party, entry);
	if (status != IOMMU_OK) {
		release(iommu, &party, status == IOMMU_NO_MEMORY);
		return status;
	}
	if (entry->ats)
		core_ats_switch(dev, true);
	state = core_lock(iommu, &iommu->lock);
	dev->state = IOMMU_DEVICE_ATTACHED;
	party.leader->group_changing = false;
	core_unlock(iommu, &iommu->lock, state);
	unit_count(&dev->unit->stats.attaches, 1);
	return IOMMU_OK;
}

enum iommu_status core_attach(
	struct iommu *iommu, struct device *dev, struct iommu_domain *domain)
{
	enum iommu_status status = IOMMU_OK;
	struct entry entry;

	/* From here: less stack. */
	if (domain->kind == IOMMU_DOMAIN_IDENTITY && !dev->unit->pass_through)
		status = core_identity_make(iommu);
	if (status == IOMMU_OK)
		status = compose_entry(domain, dev->unit, &entry);
	return status == IOMMU_OK ? attach_entry(iommu, dev, domain, &entry)
				  : status;
}

/* ---- without a moment in which the device reaches nothing ---- */

/** Whether a device can go to another domain that way. I held. */
static bool __may_move(const struct party *party,
	const struct iommu_domain *domain, const struct entry *entry)
{
	const struct device *dev = party->dev;
	uint16_t rid[MAX_RIDS];

	return dev->state == IOMMU_DEVICE_ATTACHED &&
		dev->domain->kind != IOMMU_DOMAIN_BLOCKED &&
		domain->kind != IOMMU_DOMAIN_BLOCKED &&
		!party->leader->group_changing &&
		party->leader->group_users == 1 &&
		core_device_rids(dev, rid) == 1 && !dev->ats_on &&
		!entry->ats &&
		!(dev->properties & IOMMU_NO_SNOOP_CONTROL &&
			domain->table.leaf_bits);
}

/** Both domains count the device until the unit has forgotten the old one.
 *  I held. */
static void __end_move(
	struct party *party, struct iommu_domain *old, bool confirmed)
{
	struct device *dev = party->dev;

	__domain_leave(old, dev->unit, confirmed);
	unit_attach_count(dev->unit, -(unsigned)(old != dev->parking));
	if (!confirmed) {
		__release(party, false);
		return;
	}
	dev->state = IOMMU_DEVICE_ATTACHED;
	party->leader->group_changing = false;
}

/** IOMMU_UNSUPPORTED: not possible, nothing was done. */
static enum iommu_status move(
	struct iommu *iommu, struct device *dev, struct iommu_domain *domain)
{
	enum iommu_status status = IOMMU_UNSUPPORTED;
	struct iommu_domain *old;
	uint16_t old_did;
	unsigned long state;
	struct party party;
	struct entry entry;

	if (!WIDE_STORES ||
		compose_entry(domain, dev->unit, &entry) != IOMMU_OK ||
		find_party(iommu, dev, &party) != IOMMU_OK)
		return status;
	entry.ats = core_ats_wanted(dev, domain->kind);
	state = core_lock(iommu, &iommu->lock);
	old = dev->domain;
	old_did = dev->did;
	if (__may_move(&party, domain, &entry) &&
		__domain_enter(domain, dev->unit) == IOMMU_OK) {
		status = IOMMU_OK;
		dev->state = IOMMU_DEVICE_CHANGING;
		__atomic_store_n(&dev->domain, domain, __ATOMIC_RELEASE);
		dev->did = domain->on[dev->unit->index].did;
		unit_attach_count(dev->unit, domain != dev->parking);
		party.leader->group_domain = domain;
		party.leader->group_changing = true;
	}
	core_unlock(iommu, &iommu->lock, state);
	if (status != IOMMU_OK)
		return status;

	entry.rid = dev->id.requester;
	entry.did = dev->did;
	status = dev->unit->ops->redirect(dev->unit, &entry, old_did);
	state = core_lock(iommu, &iommu->lock);
	__end_move(&party, old, status == IOMMU_OK);
	core_unlock(iommu, &iommu->lock, state);
	unit_count(domain == dev->parking ? &dev->unit->stats.detaches
					  : &dev->unit->stats.attaches,
		1);
	return status;
}

/** From its reserved memory alone to a domain of the host's. */
static enum iommu_status attach_parked(
	struct iommu *iommu, struct device *dev, struct iommu_domain *domain)
{
	enum iommu_status status, back;

	if (!iommu->options.allow_reserved_memory &&
		(domain->kind == IOMMU_DOMAIN_MAPPED ||
			domain->kind == IOMMU_DOMAIN_SHARED))
		return IOMMU_RESERVED_MEMORY;
	status = move(iommu, dev, domain);
	if (status != IOMMU_UNSUPPORTED)
		return status;
	status = core_detach(iommu, dev);
	if (status != IOMMU_OK)
		return status;
	status = core_attach(iommu, dev, domain);
	if (status == IOMMU_OK || status == IOMMU_UNCONFIRMED)
		return status;
	back = core_park(iommu, dev);
	return back == IOMMU_UNCONFIRMED ? back : status;
}

enum iommu_status iommu_attach(struct iommu *iommu, struct iommu_device_id id,
	struct iommu_domain *domain)
{
	enum iommu_status status;
	struct device *dev;

	if (!domain || domain->iommu != iommu)
		return IOMMU_BAD_ARGUMENT;
	status = find_usable(iommu, id, &dev);
	if (status == IOMMU_OK && dev->reserved_memory &&
		domain->kind == IOMMU_DOMAIN_MAPPED &&
		iommu->options.allow_reserved_memory)
		status = core_map_reserved(domain, dev);
	if (status != IOMMU_OK)
		return status;
	if (core_is_parked(dev))
		return attach_parked(iommu, dev, domain);
	return core_attach(iommu, dev, domain);
}

/* ---- detaching ---- */

static enum iommu_status begin_detach(
	struct iommu *iommu, const struct party *party)
{
	unsigned long state = core_lock(iommu, &iommu->lock);
	enum iommu_status status = IOMMU_NOT_ATTACHED;
	struct device *dev = party->dev;

	if (dev->state == IOMMU_DEVICE_CHANGING ||
		(dev->state == IOMMU_DEVICE_ATTACHED &&
			party->leader->group_changing))
		status = IOMMU_BUSY;
	else if (dev->state == IOMMU_DEVICE_ATTACHED)
		status = IOMMU_OK;
	if (status == IOMMU_OK) {
		dev->state = IOMMU_DEVICE_CHANGING;
		party->leader->group_changing = true;
	}
	core_unlock(iommu, &iommu->lock, state);
	return status;
}

enum iommu_status core_detach(struct iommu *iommu, struct device *dev)
{
	uint16_t rid[MAX_RIDS];
	enum iommu_status status;
	struct party party;
	struct entry entry;

	if (!dev->unit)
		return IOMMU_NOT_ATTACHED;
	/* What stands for the device exists since it was attached. */
	status = find_party(iommu, dev, &party);
	if (status == IOMMU_OK)
		status = begin_detach(iommu, &party);
	if (status != IOMMU_OK)
		return status;
	entry = (struct entry){
		.kind = dev->domain->kind, .did = dev->did, .ats = dev->ats_on};

	status = close_entries(&party, &entry, core_device_rids(dev, rid), rid);
	if (entry.ats)
		core_ats_switch(dev, false);
	release(iommu, &party, status == IOMMU_OK);
	unit_count(&dev->unit->stats.detaches, 1);
	return status;
}

enum iommu_status iommu_detach(struct iommu *iommu, struct iommu_device_id id)
{
	enum iommu_status status;
	struct device *dev;

	if (!iommu->units)
		return IOMMU_NO_UNIT;
	if (core_life(iommu) == INSTANCE_HANDED_OVER)
		return IOMMU_WRONG_STATE;
	dev = core_device_known(iommu, id);
	if (!dev) {
		status = core_device(iommu, id, &dev);
		if (status != IOMMU_OK)
			return status == IOMMU_NO_DEVICE ? status
							 : IOMMU_NOT_ATTACHED;
	}
	if (dev->unit && unit_state(dev->unit) == IOMMU_UNIT_SUSPENDED)
		return IOMMU_OFF;
	if (core_inherits(dev)) {
		status = core_disinherit(iommu, dev);
		if (status == IOMMU_OK || status == IOMMU_NO_MEMORY)
			return status;
		core_device_quarantine(iommu, dev);
		return status;
	}
	if (core_is_parked(dev))
		return IOMMU_NOT_ATTACHED;
	if (dev->parking) {
		status = move(iommu, dev, dev->parking);
		if (status != IOMMU_UNSUPPORTED)
			return status;
	}
	status = core_detach(iommu, dev);
	/* Whether that worked is in the log; blocked it is in any case. */
	if (status == IOMMU_OK && core_park(iommu, dev) == IOMMU_UNCONFIRMED)
		return IOMMU_UNCONFIRMED;
	return status;
}

enum iommu_status core_device_quarantine(
	struct iommu *iommu, struct device *dev)
{
	enum iommu_status status = core_detach(iommu, dev), old = IOMMU_OK;
	unsigned long state;

	if (status == IOMMU_BUSY)
		return status;
	if (dev->unit)
		old = core_disinherit(iommu, dev);
	if (old != IOMMU_OK)
		status = old;
	state = core_lock(iommu, &iommu->lock);
	if (dev->state == IOMMU_DEVICE_BLOCKED)
		dev->state = IOMMU_DEVICE_QUARANTINED;
	core_unlock(iommu, &iommu->lock, state);
	return status == IOMMU_NOT_ATTACHED ? IOMMU_OK : status;
}

enum iommu_status iommu_device_revive(
	struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id);
	enum iommu_status status = IOMMU_OK;
	uint16_t rid[MAX_RIDS];
	unsigned long state;
	struct party party;
	struct entry entry;
	bool mine;

	if (!dev || !dev->unit)
		return IOMMU_WRONG_STATE;
	if (unit_state(dev->unit) == IOMMU_UNIT_FAILED)
		return IOMMU_UNIT_LOST;
	state = core_lock(iommu, &iommu->lock);
	mine = dev->state == IOMMU_DEVICE_QUARANTINED;
	if (mine)
		dev->state = IOMMU_DEVICE_CHANGING;
	core_unlock(iommu, &iommu->lock, state);
	if (!mine)
		return IOMMU_WRONG_STATE;

	party = (struct party){.dev = dev, .leader = dev};
	entry = (struct entry){.kind = IOMMU_DOMAIN_SHARED,
		.did = dev->did ? dev->did : IDENTITY_DID};
	__atomic_store_n(&dev->mute, false, __ATOMIC_RELEASE);
	status = close_entries(&party, &entry, core_device_rids(dev, rid), rid);
	state = core_lock(iommu, &iommu->lock);
	dev->state = status == IOMMU_OK ? IOMMU_DEVICE_BLOCKED
					: IOMMU_DEVICE_QUARANTINED;
	core_unlock(iommu, &iommu->lock, state);
	return status;
}

enum iommu_status iommu_device_removed(
	struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id);
	enum iommu_status status, old;

	if (!dev)
		return core_disinherit_gone(iommu, id);
	core_device_mute(dev);
	status = core_detach(iommu, dev);
	old = core_disinherit_gone(iommu, id);
	__atomic_store_n(&dev->mute, false, __ATOMIC_RELEASE);
	return status == IOMMU_NOT_ATTACHED ? old : status;
}
