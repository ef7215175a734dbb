/* SPDX-License-Identifier: MIT */
/*
 * Devices: found, given to a domain, taken back, put in quarantine.
 *
 * A device's state changes under I; the long part in between (tables, flushes,
 * waits) runs without a lock while the state says "changing", so that a second
 * caller is answered IOMMU_BUSY instead of waiting. A domain counts a device as
 * its own before the hardware can walk its tables and until the hardware has
 * confirmed that it does not any more: flushes of the domain reach the unit
 * during all of that time.
 */
#include "backend.h"

/* ---- the table of devices ---- */

static struct segment *known_segment(const struct iommu *iommu, uint16_t number)
{
	struct segment *segment =
		__atomic_load_n(&iommu->segments, __ATOMIC_ACQUIRE);

	while (segment && segment->number != number)
		segment = segment->next;
	return segment;
}

struct device *core_device_known(
	const struct iommu *iommu, struct iommu_device_id id)
{
	struct segment *segment = known_segment(iommu, id.segment);
	struct bus *bus;

	if (!segment)
		return NULL;
	bus = __atomic_load_n(
		&segment->bus[id.requester >> 8], __ATOMIC_ACQUIRE);
	if (!bus)
		return NULL;
	return __atomic_load_n(
		&bus->device[id.requester & 0xff], __ATOMIC_ACQUIRE);
}

/** Both tables are a page each; the lock is not held while allocating. */
static struct segment *make_segment(struct iommu *iommu, uint16_t number)
{
	struct segment *segment, *other;
	unsigned long state;
	iommu_phys_t phys;

	_Static_assert(sizeof(*segment) <= PAGE_SIZE, "one page");
	segment = core_pages(iommu, 0, &phys);
	if (!segment)
		return NULL;
	segment->phys = phys;
	segment->number = number;
	state = core_lock(iommu, &iommu->lock);
	other = known_segment(iommu, number);
	if (!other) {
		segment->next = iommu->segments;
		__atomic_store_n(&iommu->segments, segment, __ATOMIC_RELEASE);
	}
	core_unlock(iommu, &iommu->lock, state);
	if (!other)
		return segment;
	core_pages_free(iommu, segment, phys, 0);
	return other;
}

static struct bus *make_bus(
	struct iommu *iommu, struct segment *segment, unsigned number)
{
	struct bus *bus, *other;
	unsigned long state;
	iommu_phys_t phys;

	_Static_assert(sizeof(*bus) <= PAGE_SIZE, "one page");
	bus = core_pages(iommu, 0, &phys);
	if (!bus)
		return NULL;
	bus->phys = phys;
	state = core_lock(iommu, &iommu->lock);
	other = segment->bus[number];
	if (!other)
		__atomic_store_n(&segment->bus[number], bus, __ATOMIC_RELEASE);
	core_unlock(iommu, &iommu->lock, state);
	if (!other)
		return bus;
	core_pages_free(iommu, bus, phys, 0);
	return other;
}

void core_segments_end(struct iommu *iommu)
{
	struct segment *segment = iommu->segments;

	while (segment) {
		struct segment *next = segment->next;
		unsigned n;

		for (n = 0; n < BUSES; n++)
			if (segment->bus[n])
				core_pages_free(iommu, segment->bus[n],
					segment->bus[n]->phys, 0);
		core_pages_free(iommu, segment, segment->phys, 0);
		segment = next;
	}
	iommu->segments = NULL;
}

/** Enters a new device, or returns the one that was faster. */
static struct device *enter_device(
	struct iommu *iommu, struct device *dev, struct bus *bus)
{
	struct device **slot = &bus->device[dev->id.requester & 0xff];
	unsigned long state = core_lock(iommu, &iommu->lock);
	struct device *other = *slot;

	if (!other)
		__atomic_store_n(slot, dev, __ATOMIC_RELEASE);
	core_unlock(iommu, &iommu->lock, state);
	if (!other)
		return dev;
	core_pool_put(iommu, &iommu->device_pool, dev);
	return other;
}

static void describe(struct iommu *iommu, struct iommu_device_id id,
	const struct topology *topology, struct device *dev)
{
	dev->id = id;
	dev->alias = topology->alias;
	dev->phantom = topology->phantom;
	dev->ats = topology->ats;
	dev->bridge = topology->bridge;
	dev->unit = vtd_unit_for(iommu, id.segment, topology->scope_rid);
	if (dev->unit && unit_state(dev->unit) == IOMMU_UNIT_REFUSED)
		dev->unit = NULL;
	dev->reserved_memory =
		vtd_reserved_for(iommu, id.segment, topology->scope_rid);
}

static enum iommu_status make_device(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	struct topology topology;
	struct segment *segment;
	struct device *dev;
	struct bus *bus;

	topology_read(iommu, id, &topology);
	if (!topology.present)
		return IOMMU_NO_DEVICE;
	segment = known_segment(iommu, id.segment);
	if (!segment)
		segment = make_segment(iommu, id.segment);
	if (!segment)
		return IOMMU_NO_MEMORY;
	bus = segment->bus[id.requester >> 8];
	if (!bus)
		bus = make_bus(iommu, segment, id.requester >> 8);
	if (!bus)
		return IOMMU_NO_MEMORY;
	dev = core_pool_get(iommu, &iommu->device_pool);
	if (!dev)
		return IOMMU_NO_MEMORY;
	describe(iommu, id, &topology, dev);
	*out = enter_device(iommu, dev, bus);
	return IOMMU_OK;
}

enum iommu_status core_device(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	enum iommu_status status;

	if (!iommu->units)
		return IOMMU_NO_UNIT;
	*out = core_device_known(iommu, id);
	if (!*out) {
		status = make_device(iommu, id, out);
		if (status != IOMMU_OK)
			return status;
	}
	if ((*out)->bridge)
		return IOMMU_BRIDGE;
	return (*out)->unit ? IOMMU_OK : IOMMU_UNCOVERED;
}

unsigned core_device_rids(const struct device *dev, uint16_t rid[MAX_RIDS])
{
	unsigned count = 0, fn;

	rid[count++] = dev->id.requester;
	if (dev->alias != dev->id.requester)
		rid[count++] = dev->alias;
	for (fn = 1; fn < 8; fn++)
		if (fn & dev->phantom && !(fn & ~(unsigned)dev->phantom))
			rid[count++] = dev->id.requester ^ (uint16_t)fn;
	return count;
}

void core_device_mute(struct iommu *iommu, struct device *dev)
{
	(void)iommu;
	__atomic_store_n(&dev->mute, true, __ATOMIC_RELEASE);
}

bool core_device_is_mute(const struct iommu *iommu, struct iommu_device_id id)
{
	const struct device *dev = core_device_known(iommu, id);

	return dev && __atomic_load_n(&dev->mute, __ATOMIC_ACQUIRE);
}

/* ---- questions ---- */

enum iommu_status iommu_device_info(struct iommu *iommu,
	struct iommu_device_id id, struct iommu_device_info *out)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);
	unsigned long state;

	if (status != IOMMU_OK && status != IOMMU_BRIDGE)
		return status;
	state = core_lock(iommu, &iommu->lock);
	*out = (struct iommu_device_info){
		.state = dev->state,
		.unit = dev->unit ? dev->unit->index : 0,
		.reserved_memory = dev->reserved_memory,
		.alias = dev->alias,
		.faults = __atomic_load_n(&dev->faults, __ATOMIC_RELAXED),
	};
	if (dev->state == IOMMU_DEVICE_ATTACHED) {
		out->domain = dev->domain;
		out->did = dev->did;
	}
	core_unlock(iommu, &iommu->lock, state);
	return status;
}

enum iommu_status iommu_device_duties(
	struct iommu *iommu, struct iommu_device_id id, unsigned *out_duties)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);

	if (status == IOMMU_OK)
		*out_duties = dev->unit->duties;
	return status;
}

static void visit_bus(
	const struct bus *bus, unsigned unit, iommu_visit *visit, void *arg)
{
	unsigned n;

	for (n = 0; n < DEVFNS; n++) {
		const struct device *dev = bus->device[n];

		if (dev && dev->unit && dev->unit->index == unit &&
			dev->state == IOMMU_DEVICE_ATTACHED)
			visit(arg, unit, dev->id, dev->domain);
	}
}

/** The segment with the smallest number from `least` on. I held. */
static const struct segment *__next_segment(
	const struct iommu *iommu, unsigned least)
{
	const struct segment *segment, *best = NULL;

	for (segment = iommu->segments; segment; segment = segment->next)
		if (segment->number >= least &&
			(!best || segment->number < best->number))
			best = segment;
	return best;
}

void iommu_visit_attached(
	const struct iommu *iommu, iommu_visit *visit, void *arg)
{
	struct iommu_lock *lock = (struct iommu_lock *)&iommu->lock;
	unsigned long state = core_lock(iommu, lock);
	const struct segment *segment;
	unsigned unit, n;

	for (unit = 0; unit < iommu->units; unit++) {
		segment = __next_segment(iommu, 0);
		for (; segment;
			segment = __next_segment(iommu, segment->number + 1u))
			for (n = 0; n < BUSES; n++)
				if (segment->bus[n])
					visit_bus(segment->bus[n], unit, visit,
						arg);
	}
	core_unlock(iommu, lock, state);
}

/* ---- attaching ---- */

static enum iommu_status compose_identity(
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
static enum iommu_status compose_shared(const struct iommu_domain *domain,
	const struct unit *unit, struct entry *out)
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

/** Whether the alias is used by a device of another domain. I held. */
static bool __alias_is_taken(
	const struct device *alias, const struct iommu_domain *domain)
{
	if (!alias)
		return false;
	if (alias->alias_users && alias->alias_domain != domain)
		return true;
	return alias->state != IOMMU_DEVICE_BLOCKED && alias->domain != domain;
}

/** Everything that may forbid an attach, then the reservation. I held. */
static enum iommu_status __reserve(
	struct device *dev, struct device *alias, struct iommu_domain *domain)
{
	const struct iommu *iommu = domain->iommu;
	bool open = domain->kind == IOMMU_DOMAIN_MAPPED ||
		domain->kind == IOMMU_DOMAIN_SHARED;
	enum iommu_status status;

	if (dev->state == IOMMU_DEVICE_QUARANTINED)
		return IOMMU_DEVICE_BROKEN;
	if (dev->state != IOMMU_DEVICE_BLOCKED)
		return IOMMU_BUSY;
	if (dev->alias_users && dev->alias_domain != domain)
		return IOMMU_GROUP_BUSY;
	if (__alias_is_taken(alias, domain))
		return IOMMU_GROUP_BUSY;
	if (dev->reserved_memory && open &&
		!iommu->options.allow_reserved_memory)
		return IOMMU_RESERVED_MEMORY;
	status = __domain_enter(domain, dev->unit);
	if (status != IOMMU_OK)
		return status;
	dev->state = IOMMU_DEVICE_CHANGING;
	dev->domain = domain;
	dev->did = domain->on[dev->unit->index].did;
	dev->unit->attached++;
	if (alias) {
		alias->alias_users++;
		alias->alias_domain = domain;
	}
	return IOMMU_OK;
}

/** Undoes __reserve(). I held. */
static void __release(struct device *dev, struct device *alias, bool confirmed)
{
	__domain_leave(dev->domain, dev->unit, confirmed);
	dev->unit->attached--;
	dev->domain = NULL;
	dev->state =
		confirmed ? IOMMU_DEVICE_BLOCKED : IOMMU_DEVICE_QUARANTINED;
	if (alias && !--alias->alias_users)
		alias->alias_domain = NULL;
}

static void release(struct iommu *iommu, struct device *dev,
	struct device *alias, bool confirmed)
{
	unsigned long state = core_lock(iommu, &iommu->lock);

	__release(dev, alias, confirmed);
	core_unlock(iommu, &iommu->lock, state);
}

/** The device object that stands for a device's alias, NULL if it has none. */
static enum iommu_status alias_of(
	struct iommu *iommu, struct device *dev, struct device **out)
{
	struct iommu_device_id id = {dev->id.segment, dev->alias};
	struct segment *segment;
	struct bus *bus;

	*out = NULL;
	if (dev->alias == dev->id.requester)
		return IOMMU_OK;
	*out = core_device_known(iommu, id);
	if (*out)
		return IOMMU_OK;
	/* The alias need not be a function that exists. */
	segment = known_segment(iommu, id.segment);
	bus = segment->bus[id.requester >> 8];
	if (!bus)
		bus = make_bus(iommu, segment, id.requester >> 8);
	*out = bus ? core_pool_get(iommu, &iommu->device_pool) : NULL;
	if (!*out)
		return IOMMU_NO_MEMORY;
	(*out)->id = id;
	(*out)->alias = id.requester;
	(*out)->bridge = true;
	(*out)->unit = dev->unit;
	*out = enter_device(iommu, *out, bus);
	return IOMMU_OK;
}

/** Whether another device of the domain still uses an id. */
static bool shared_rid(
	const struct device *dev, const struct device *alias, uint16_t rid)
{
	return alias && rid == dev->alias && alias->alias_users > 1;
}

/** Clears the entries of all ids of a device, one after the other. */
static enum iommu_status close_entries(struct device *dev,
	const struct device *alias, struct entry *entry, unsigned count,
	const uint16_t *rid)
{
	enum iommu_status status = IOMMU_OK;

	if (entry->kind == IOMMU_DOMAIN_BLOCKED)
		return status;
	while (count--) {
		enum iommu_status one;

		if (shared_rid(dev, alias, rid[count]))
			continue;
		entry->rid = rid[count];
		one = dev->unit->ops->detach(dev->unit, entry, dev);
		if (one != IOMMU_OK)
			status = one;
	}
	return status;
}

static enum iommu_status open_entries(
	struct device *dev, const struct device *alias, struct entry *entry)
{
	uint16_t rid[MAX_RIDS];
	unsigned count = core_device_rids(dev, rid), n;
	enum iommu_status status = IOMMU_OK;

	if (entry->kind == IOMMU_DOMAIN_BLOCKED)
		return status;
	for (n = 0; n < count && status == IOMMU_OK; n++) {
		if (shared_rid(dev, alias, rid[n]))
			continue;
		entry->rid = rid[n];
		status = dev->unit->ops->attach(dev->unit, entry);
	}
	/* The device may have used what was open already. */
	if (status != IOMMU_OK &&
		close_entries(dev, alias, entry, n, rid) != IOMMU_OK)
		status = IOMMU_UNCONFIRMED;
	return status;
}

static enum iommu_status find_usable(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	enum iommu_status status = core_device(iommu, id, out);

	if (status != IOMMU_OK)
		return status;
	switch (unit_state((*out)->unit)) {
	case IOMMU_UNIT_FAILED:
		return IOMMU_UNIT_LOST;
	case IOMMU_UNIT_ON:
		return IOMMU_OK;
	default:
		return IOMMU_OFF;
	}
}

enum iommu_status iommu_attach(struct iommu *iommu, struct iommu_device_id id,
	struct iommu_domain *domain)
{
	struct device *dev, *alias;
	enum iommu_status status;
	unsigned long state;
	struct entry entry;

	if (!domain || domain->iommu != iommu)
		return IOMMU_BAD_ARGUMENT;
	status = find_usable(iommu, id, &dev);
	if (status != IOMMU_OK)
		return status;
	status = compose_entry(domain, dev->unit, &entry);
	if (status != IOMMU_OK)
		return status;
	status = alias_of(iommu, dev, &alias);
	if (status != IOMMU_OK)
		return status;
	state = core_lock(iommu, &iommu->lock);
	status = __reserve(dev, alias, domain);
	core_unlock(iommu, &iommu->lock, state);
	if (status != IOMMU_OK)
		return status;

	entry.did = dev->did;
	status = open_entries(dev, alias, &entry);
	if (status != IOMMU_OK) {
		release(iommu, dev, alias, status == IOMMU_NO_MEMORY);
		return status;
	}
	state = core_lock(iommu, &iommu->lock);
	dev->state = IOMMU_DEVICE_ATTACHED;
	core_unlock(iommu, &iommu->lock, state);
	unit_count(&dev->unit->stats.attaches, 1);
	return IOMMU_OK;
}

/* ---- detaching ---- */

static enum iommu_status begin_detach(struct iommu *iommu, struct device *dev)
{
	unsigned long state = core_lock(iommu, &iommu->lock);
	enum iommu_status status = IOMMU_NOT_ATTACHED;

	if (dev->state == IOMMU_DEVICE_CHANGING)
		status = IOMMU_BUSY;
	if (dev->state == IOMMU_DEVICE_ATTACHED) {
		dev->state = IOMMU_DEVICE_CHANGING;
		status = IOMMU_OK;
	}
	core_unlock(iommu, &iommu->lock, state);
	return status;
}

static enum iommu_status detach(struct iommu *iommu, struct device *dev)
{
	struct iommu_device_id alias_id = {dev->id.segment, dev->alias};
	struct device *alias = NULL;
	uint16_t rid[MAX_RIDS];
	unsigned count = core_device_rids(dev, rid);
	enum iommu_status status = begin_detach(iommu, dev);
	struct entry entry;

	if (status != IOMMU_OK)
		return status;
	if (dev->alias != dev->id.requester)
		alias = core_device_known(iommu, alias_id);
	entry = (struct entry){
		.kind = dev->domain->kind, .did = dev->did, .ats = dev->ats_on};
	status = close_entries(dev, alias, &entry, count, rid);
	release(iommu, dev, alias, status == IOMMU_OK);
	unit_count(&dev->unit->stats.detaches, 1);
	return status;
}

enum iommu_status iommu_detach(struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev;

	if (!iommu->units)
		return IOMMU_NO_UNIT;
	dev = core_device_known(iommu, id);
	if (!dev) {
		enum iommu_status status = core_device(iommu, id, &dev);

		return status == IOMMU_NO_DEVICE ? status : IOMMU_NOT_ATTACHED;
	}
	return detach(iommu, dev);
}

enum iommu_status core_device_quarantine(
	struct iommu *iommu, struct device *dev)
{
	enum iommu_status status = detach(iommu, dev);
	unsigned long state;

	if (status == IOMMU_NOT_ATTACHED || status == IOMMU_BUSY)
		return status;
	state = core_lock(iommu, &iommu->lock);
	if (dev->state == IOMMU_DEVICE_BLOCKED)
		dev->state = IOMMU_DEVICE_QUARANTINED;
	core_unlock(iommu, &iommu->lock, state);
	return status;
}

enum iommu_status iommu_device_revive(
	struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id);
	enum iommu_status status = IOMMU_OK;
	uint16_t rid[MAX_RIDS];
	unsigned long state;
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

	entry = (struct entry){.kind = IOMMU_DOMAIN_SHARED, .did = dev->did};
	__atomic_store_n(&dev->mute, false, __ATOMIC_RELEASE);
	status = close_entries(
		dev, NULL, &entry, core_device_rids(dev, rid), rid);
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
	enum iommu_status status;

	if (!dev)
		return IOMMU_OK;
	core_device_mute(iommu, dev);
	status = detach(iommu, dev);
	__atomic_store_n(&dev->mute, false, __ATOMIC_RELEASE);
	return status == IOMMU_NOT_ATTACHED ? IOMMU_OK : status;
}
