/* SPDX-License-Identifier: MIT */
/*
 * Devices: found, remembered, asked about. A table per segment and bus makes
 * finding one two loads; what configuration space says is read once.
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

/** Devices that only ACPI knows have no configuration space, and no
 *  neighbours. */
static void find(const struct iommu *iommu, struct iommu_device_id id,
	struct topology *out)
{
	if (vtd_is_acpi_device(iommu, id))
		*out = (struct topology){.present = true,
			.alias = id.requester,
			.group = id.requester,
			.scope = id};
	else
		topology_read(iommu, id, out);
}

static void describe(struct iommu *iommu, struct iommu_device_id id,
	const struct topology *topology, struct device *dev)
{
	unsigned quirks = vtd_quirks_of(iommu, topology->scope);
	struct iommu_device_id second = {
		id.segment, (uint16_t)(id.requester | 1)};
	struct iommu_reserved_region region;

	dev->id = id;
	dev->alias = topology->alias;
	dev->group = topology->group;
	dev->phantom = topology->phantom;
	dev->ats = topology->ats;
	dev->bridge = topology->bridge;
	if (!(id.requester & 7) && quirks & IOMMU_QUIRK_SECOND_ID &&
		!topology_exists(iommu, second))
		dev->phantom |= 1;
	dev->tlb_twice = quirks & IOMMU_QUIRK_TLB_TWICE;
	dev->properties = (uint8_t)vtd_properties(iommu, topology->scope);
	dev->unit = vtd_unit_for(iommu, topology->scope);
	if (dev->unit && unit_state(dev->unit) == IOMMU_UNIT_REFUSED)
		dev->unit = NULL;
	dev->reserved_memory =
		vtd_reserved_region(iommu, &topology->scope, 0, &region);
}

static enum iommu_status make_device(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	struct topology topology;
	struct segment *segment;
	struct device *dev;
	struct bus *bus;

	find(iommu, id, &topology);
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

/** A stand-in turns out to be a function: learn what it is. */
static enum iommu_status meet(struct iommu *iommu, struct device *dev)
{
	struct topology topology;
	unsigned long state;

	find(iommu, dev->id, &topology);
	if (!topology.present)
		return IOMMU_NO_DEVICE;
	state = core_lock(iommu, &iommu->lock);
	if (dev->stand_in)
		describe(iommu, dev->id, &topology, dev);
	dev->stand_in = false;
	core_unlock(iommu, &iommu->lock, state);
	return IOMMU_OK;
}

void core_devices_anew(struct iommu *iommu)
{
	unsigned long state = core_lock(iommu, &iommu->lock);
	const struct segment *segment;
	unsigned n, k;

	for (segment = iommu->segments; segment; segment = segment->next)
		for (n = 0; n < BUSES; n++)
			for (k = 0; segment->bus[n] && k < DEVFNS; k++) {
				struct device *dev = segment->bus[n]->device[k];

				if (dev && !dev->unit)
					dev->stand_in = true;
			}
	core_unlock(iommu, &iommu->lock, state);
}

enum iommu_status core_device(
	struct iommu *iommu, struct iommu_device_id id, struct device **out)
{
	enum iommu_status status = IOMMU_OK;

	if (!iommu->units)
		return IOMMU_NO_UNIT;
	*out = core_device_known(iommu, id);
	if (!*out)
		status = make_device(iommu, id, out);
	/* Perhaps one that another CPU entered meanwhile. */
	if (status == IOMMU_OK && (*out)->stand_in)
		status = meet(iommu, *out);
	if (status != IOMMU_OK)
		return status;
	if ((*out)->bridge)
		return IOMMU_BRIDGE;
	return (*out)->unit ? IOMMU_OK : IOMMU_UNCOVERED;
}

enum iommu_status core_device_stand_in(struct iommu *iommu,
	const struct device *dev, uint16_t rid, struct device **out)
{
	struct iommu_device_id id = {dev->id.segment, rid};
	struct segment *segment;
	struct bus *bus;

	*out = core_device_known(iommu, id);
	if (*out)
		return IOMMU_OK;
	segment = known_segment(iommu, id.segment);
	bus = segment->bus[rid >> 8];
	if (!bus)
		bus = make_bus(iommu, segment, rid >> 8);
	*out = bus ? core_pool_get(iommu, &iommu->device_pool) : NULL;
	if (!*out)
		return IOMMU_NO_MEMORY;
	(*out)->id = id;
	(*out)->stand_in = true;
	*out = enter_device(iommu, *out, bus);
	return IOMMU_OK;
}

unsigned core_device_rids(const struct device *dev, uint16_t rid[MAX_RIDS])
{
	unsigned count = 0, fn;

	rid[count++] = dev->id.requester;
	if (dev->alias != dev->id.requester)
		rid[count++] = dev->alias;
	for (fn = 1; dev->phantom && fn < 8; fn++)
		if (fn & dev->phantom && !(fn & ~(unsigned)dev->phantom))
			rid[count++] = dev->id.requester ^ (uint16_t)fn;
	return count;
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
		.state = dev->state,
		.unit = dev->unit ? dev->unit->index : 0,
		.reserved_memory = dev->reserved_memory,
		.alias = dev->alias,
		.properties = dev->properties,
		.tlb_on = dev->ats_on,
		.faults = __atomic_load_n(&dev->faults, __ATOMIC_RELAXED),
	};
	if (core_is_parked(dev)) {
		out->state = IOMMU_DEVICE_BLOCKED;
	} else if (dev->state == IOMMU_DEVICE_ATTACHED) {
		out->domain = dev->domain;
		out->did = dev->did;
	} else if (dev->state == IOMMU_DEVICE_BLOCKED && core_inherits(dev)) {
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
	unsigned n;

	if (status != IOMMU_OK)
		return status;
	*out_count = topology_group(iommu,
		(struct iommu_device_id){id.segment, dev->group}, out, max);
	for (n = 0; n < max && n < *out_count; n++)
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
	unsigned n;

	for (n = 0; n < DEVFNS; n++) {
		const struct device *dev = bus->device[n];

		if (dev && dev->unit && dev->unit->index == unit &&
			dev->state == IOMMU_DEVICE_ATTACHED &&
			!core_is_parked(dev))
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
