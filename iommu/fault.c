/* SPDX-License-Identifier: MIT */
/*
 * Faults: the ring between the interrupt and whoever drains it, what is added
 * when one is taken out, and the answer to a storm.
 */
#include "backend.h"

#define SECOND_NS 1000000000ull

enum {
	/** Lines about one device before they become one a second. */
	LOUD_AT_ONCE = 10,
};

/* A full ring keeps the oldest: they show how it began. */
void __core_fault_push(struct iommu *iommu, const struct raw_fault *raw)
{
	struct fault_ring *ring = &iommu->faults;

	if (raw && ring->count < FAULT_RING) {
		unsigned slot = (ring->head + ring->count++) % FAULT_RING;

		ring->slot[slot] = *raw;
		ring->slot[slot].lost = ring->lost;
		ring->lost = 0;
	} else {
		ring->lost++;
	}
}

static bool pop(struct iommu *iommu, struct raw_fault *out)
{
	struct fault_ring *ring = &iommu->faults;
	unsigned long state = core_lock(iommu, &ring->lock);
	bool any = ring->count;

	if (any) {
		*out = ring->slot[ring->head];
		ring->head = (ring->head + 1) % FAULT_RING;
		ring->count--;
	}
	core_unlock(iommu, &ring->lock, state);
	return any;
}

bool iommu_interrupt(struct iommu *iommu, unsigned n)
{
	return n < iommu->units &&
		unit_state(iommu->unit[n]) != IOMMU_UNIT_REFUSED &&
		iommu->unit[n]->ops->interrupt(iommu->unit[n]);
}

bool iommu_interrupt_all(struct iommu *iommu)
{
	bool any = false;

	for (unsigned n = 0; n < iommu->units; n++)
		any |= iommu_interrupt(iommu, n);
	return any;
}

/** A token bucket as the time at which it would be full again: each line adds a
 *  second. More than it holds: the clock was set back. F held. */
static bool __is_loud(struct device *dev, uint64_t time_ns)
{
	if (dev->quiet_until_ns < time_ns ||
		dev->quiet_until_ns - time_ns > LOUD_AT_ONCE * SECOND_NS)
		dev->quiet_until_ns = time_ns;
	if (dev->quiet_until_ns - time_ns > (LOUD_AT_ONCE - 1) * SECOND_NS)
		return false;
	dev->quiet_until_ns += SECOND_NS;
	return true;
}

/** Notes a device's fault and counts those within a second; true when it is a
 *  storm. */
static bool is_storm(struct device *dev, struct iommu_fault *fault)
{
	struct iommu *iommu = dev->iommu;
	unsigned limit = iommu->options.fault_storm;
	unsigned long state = core_lock(iommu, &iommu->faults.lock);
	uint64_t time_ns = fault->time_ns;
	bool storm;

	fault->loud = __is_loud(dev, time_ns);
	dev->last_fault = (struct iommu_last_fault){.time_ns = time_ns,
		.reason = fault->reason,
		.write = fault->write,
		.address = fault->kind == IOMMU_FAULT_DMA ? fault->address.v
							  : fault->index};
	if (time_ns - dev->storm_start_ns > SECOND_NS) {
		dev->storm_start_ns = time_ns;
		dev->storm_count = 0;
	}
	storm = limit && ++dev->storm_count == limit;
	core_unlock(iommu, &iommu->faults.lock, state);
	return storm;
}

/** Blocks the device, then has its faults dropped by the hardware. */
static void stop_storm(struct device *dev, struct unit *unit, uint16_t rid)
{
	enum iommu_status status = core_device_quarantine(dev);

	if (status == IOMMU_OK)
		status = unit->ops->hush(unit, rid);
	core_log(dev->iommu, IOMMU_LOG_ERROR,
		"device %04x:%02x:%02x.%u is blocked: too many faults%s",
		dev->id.segment, RID_WORDS(dev->id.requester),
		status == IOMMU_OK ? "" : " (not confirmed)");
}

bool iommu_fault_next(struct iommu *iommu, struct iommu_fault *out)
{
	struct raw_fault raw;
	struct device *dev;
	struct unit *unit;

	if (!pop(iommu, &raw))
		return false;
	unit = iommu->unit[raw.unit];
	unit->ops->fault_decode(unit, &raw, out);
	if (out->kind == IOMMU_FAULT_DMA)
		core_walk(
			unit, out->device.requester, out->address, &out->walk);
	out->loud = true;
	dev = core_device_known(iommu, out->device);
	/* One that was never seen before may storm, too. */
	if (!dev)
		(void)core_device(iommu, out->device, &dev);
	if (!dev)
		return true;
	__atomic_fetch_add(&dev->faults, 1, __ATOMIC_RELAXED);
	out->domain = __atomic_load_n(&dev->domain, __ATOMIC_ACQUIRE);
	if (is_storm(dev, out))
		stop_storm(dev, unit, out->device.requester);
	return true;
}

size_t iommu_fault_format(
	const struct iommu_fault *fault, char *line, size_t size)
{
	unsigned rid = fault->device.requester;
	char where[40];

	if (fault->kind == IOMMU_FAULT_INTERRUPT)
		core_format(where, sizeof(where), "interrupt %u", fault->index);
	else
		core_format(where, sizeof(where), "%s 0x%016jx",
			fault->write ? "write" : "read",
			(uintmax_t)fault->address.v);
	return core_format(line, size, "%02x:%02x.%u %s: %s (%u)",
		RID_WORDS(rid), where, fault->text, fault->reason);
}
