/* SPDX-License-Identifier: MIT */
/*
 * Devices: found, remembered, asked about. A table per bus makes finding one a
 * few loads; what configuration space says is read once.
 */
#include "backend.h"

/* ---- the table of devices ---- */

static struct bus *known_bus(
	const struct iommu *iommu, struct iommu_device_id id)
{
	struct bus *const *first = &iommu->bus[id.requester >> 8];
	struct bus *bus = __atomic_load_n(first, __ATOMIC_ACQUIRE);

	while (bus && bus->segment != id.segment)
		bus = bus->next;
	return bus;
}

struct device *core_device_known(
	const struct iommu *iommu, struct iommu_device_id id)
{
	struct bus *bus = known_bus(iommu, id);

	if (!bus)
		return NULL;
	return __atomic_load_n(
		&bus->device[id.requester & 0xff], __ATOMIC_ACQUIRE);
}

/** The lock is not held while allocating: another CPU may be faster. */
static struct bus *need_bus(struct iommu *iommu, struct iommu_device_id id)
{
	struct bus *bus = known_bus(iommu, id), *fresh, **first;
	unsigned long state;
	iommu_phys_t phys;

	_Static_assert(sizeof(*bus) <= PAGE_SIZE, "one page");
	if (bus)
		return bus;
	fresh = core_pages(iommu, 0, &phys);
	if (!fresh)
		return NULL;
	fresh->phys = phys;
	fresh->segment = id.segment;
	first = &iommu->bus[id.requester >> 8];
	state = core_lock(iommu, &iommu->lock);
	bus = known_bus(iommu, id);
	if (!bus) {
		fresh->next = *first;
		__atomic_store_n(first, fresh, __ATOMIC_RELEASE);
	}
	core_unlock(iommu, &iommu->lock, state);
	if (!bus)
		return fresh;
	core_pages_free(iommu, fresh, phys, 0);
	return bus;
}

void core_buses_end(struct iommu *iommu)
{
	for (unsigned n = 0; n < BUSES; n++)
		while (iommu->bus[n]) {
			struct bus *bus = iommu->bus[n];

			iommu->bus[n] = bus->next;
			core_pages_free(iommu, bus, bus->phys, 0);
		}
}

/** The object of an id, which need not be a function. A new one stands in until
 *  it is met. NULL: out of memory. */
static struct device *find_or_make(
	struct iommu *iommu, struct iommu_device_id id)
{
	struct device *dev = core_device_known(iommu, id), *fresh, **slot;
	unsigned long state;
	struct bus *bus;

	if (dev)
		return dev;
	bus = need_bus(iommu, id);
	fresh = bus ? core_pool_get(iommu, &iommu->device_pool) : NULL;
	if (!fresh)
		return NULL;
	fresh->iommu = iommu;
	fresh->id = id;
	fresh->alias = fresh->leader = fresh;
	fresh->stand_in = true;
	slot = &bus->device[id.requester & 0xff];
	state = core_lock(iommu, &iommu->lock);
	dev = *slot;
	if (!dev)
		__atomic_store_n(slot, fresh, __ATOMIC_RELEASE);
	core_unlock(iommu, &iommu->lock, state);
	if (!dev)
		return fresh;
	core_pool_put(iommu, &iommu->device_pool, fresh);
	return dev;
}

/** The ids that a device's requests may carry. */
static void list_ids(struct device *dev, unsigned phantom)
{
	dev->rids = 0;
	dev->rid[dev->rids++] = dev->id.requester;
	if (dev->alias != dev)
		dev->rid[dev->rids++] = dev->alias->id.requester;
	for (uint16_t fn = 1; fn < 8; fn++)
		if (fn & phantom && !(fn & ~phantom))
			dev->rid[dev->rids++] = dev->id.requester ^ fn;
}

static void describe(struct device *dev, const struct topology *topology)
{
	struct iommu *iommu = dev->iommu;
	struct function second = {iommu, dev->id};
	unsigned quirks = vtd_quirks_of(iommu, topology->scope);
	unsigned phantom = topology->phantom;
	struct iommu_reserved_region region;

	dev->ats = topology->ats;
	dev->bridge = topology->bridge;
	second.id.requester |= 1;
	if (!(dev->id.requester & 7) && quirks & IOMMU_QUIRK_SECOND_ID &&
		!topology_exists(second))
		phantom |= 1;
	list_ids(dev, phantom);
	dev->tlb_twice = quirks & IOMMU_QUIRK_TLB_TWICE;
	dev->properties = (uint8_t)vtd_properties(iommu, topology->scope);
	dev->unit = vtd_unit_for(iommu, topology->scope);
	if (dev->unit && unit_state(dev->unit) == IOMMU_UNIT_REFUSED)
		dev->unit = NULL;
	dev->reserved_memory =
		vtd_reserved_region(iommu, &topology->scope, 0, &region);
}

/** Learns what a function is, and which objects count for it. */
static enum iommu_status meet(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	struct topology topology = {.alias = id, .group = id, .scope = id};
	struct device *dev, *alias, *leader;
	unsigned long state;

	/* Devices that only ACPI knows have no configuration space, and no
	 * neighbours. */
	if (!vtd_is_acpi_device(iommu, id) &&
		!topology_read((struct function){iommu, id}, &topology))
		return IOMMU_NO_DEVICE;
	dev = find_or_make(iommu, id);
	alias = dev ? find_or_make(iommu, topology.alias) : NULL;
	leader = alias ? find_or_make(iommu, topology.group) : NULL;
	if (!leader)
		return IOMMU_NO_MEMORY;
	state = core_lock(iommu, &iommu->lock);
	if (dev->stand_in) {
		dev->alias = alias;
		dev->leader = leader;
		describe(dev, &topology);
		__stand_in(dev, false);
	}
	core_unlock(iommu, &iommu->lock, state);
	*out = dev;
	return IOMMU_OK;
}

void core_devices_anew(struct iommu *iommu)
{
	unsigned long state = core_lock(iommu, &iommu->lock);

	for (unsigned n = 0; n < BUSES; n++)
		for (const struct bus *bus = iommu->bus[n]; bus;
			bus = bus->next)
			for (unsigned k = 0; k < DEVFNS; k++)
				if (bus->device[k] && !bus->device[k]->unit)
					__stand_in(bus->device[k], true);
	core_unlock(iommu, &iommu->lock, state);
}

enum iommu_status core_device(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	enum iommu_status status = IOMMU_OK;

	if (!iommu->units)
		return IOMMU_NO_UNIT;
	*out = core_device_known(iommu, id);
	if (!*out || __atomic_load_n(&(*out)->stand_in, __ATOMIC_ACQUIRE))
		status = meet(iommu, id, out);
	if (status != IOMMU_OK)
		return status;
	if ((*out)->bridge)
		return IOMMU_BRIDGE;
	return (*out)->unit ? IOMMU_OK : IOMMU_UNCOVERED;
}

void core_device_mute(struct device *dev)
{
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
		.state = device_state(dev),
		.unit = dev->unit ? dev->unit->index : 0,
		.reserved_memory = dev->reserved_memory,
		.alias = dev->alias->id.requester,
		.group = dev->leader->id,
		.properties = dev->properties,
		.tlb_on = dev->ats_on,
		.faults = __atomic_load_n(&dev->faults, __ATOMIC_RELAXED),
	};
	if (core_is_parked(dev)) {
		out->state = IOMMU_DEVICE_BLOCKED;
	} else if (out->state == IOMMU_DEVICE_ATTACHED) {
		out->domain = dev->domain;
		out->did = dev->did;
	} else if (out->state == IOMMU_DEVICE_BLOCKED && core_inherits(dev)) {
		out->state = IOMMU_DEVICE_INHERITED;
	}
	core_unlock(iommu, &iommu->lock, state);
	state = core_lock(iommu, &iommu->faults.lock);
	out->last_fault = dev->last_fault;
	core_unlock(iommu, &iommu->faults.lock, state);
	return status;
}

enum iommu_status iommu_acpi_device(const struct iommu *iommu, const char *name,
	struct iommu_device_id *out)
{
	if (!name || !out)
		return IOMMU_BAD_ARGUMENT;
	return vtd_acpi_device(iommu, name, out) ? IOMMU_OK : IOMMU_NO_DEVICE;
}

enum iommu_status iommu_device_group(struct iommu *iommu,
	struct iommu_device_id id, struct iommu_device_id *out, unsigned max,
	unsigned *out_count)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);

	if (status != IOMMU_OK)
		return status;
	*out_count = topology_group(
		(struct function){iommu, dev->leader->id}, out, max);
	for (unsigned n = 0; n < max && n < *out_count; n++)
		if (iommu_device_same(out[n], id)) {
			out[n] = out[0];
			out[0] = id;
			return IOMMU_OK;
		}
	/* A virtual function is not seen by the search. */
	if (max)
		out[0] = id;
	if (!*out_count)
		*out_count = 1;
	return IOMMU_OK;
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
	for (unsigned n = 0; n < DEVFNS; n++) {
		const struct device *dev = bus->device[n];

		if (dev && device_state(dev) == IOMMU_DEVICE_ATTACHED &&
			dev->unit->index == unit && !core_is_parked(dev))
			visit(arg, unit, dev->id, dev->domain);
	}
}

/** All devices of a unit are in one segment. */
void iommu_visit_attached(
	const struct iommu *iommu, iommu_visit *visit, void *arg)
{
	struct iommu_lock *lock = (struct iommu_lock *)&iommu->lock;
	unsigned long state = core_lock(iommu, lock);

	for (unsigned unit = 0; unit < iommu->units; unit++)
		for (unsigned n = 0; n < BUSES; n++)
			for (const struct bus *bus = iommu->bus[n]; bus;
				bus = bus->next)
				visit_bus(bus, unit, visit, arg);
	core_unlock(iommu, lock, state);
}
