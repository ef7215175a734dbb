/* SPDX-License-Identifier: MIT */
/*
 * Memory that firmware reserved for a device (VT-d 8.4). The host chooses: such
 * a device is blocked like any other; or it is parked, that is, attached to a
 * domain of the library's that maps its regions and nothing else, whenever the
 * host has not attached it itself. On the way from parking to another domain
 * and back it is blocked for a moment, unless the build has 16-byte stores.
 */
#include "backend.h"

bool core_is_parked(const struct device *dev)
{
	return dev->parking && dev->domain == dev->parking;
}

/** Whether a region is mapped to itself already, by another device's attach. */
static bool is_identity(
	const struct iommu_domain *domain, uint64_t first, uint64_t last)
{
	iommu_phys_t a, b;

	return iommu_iova_to_phys(domain, iommu_iova(first), &a) == IOMMU_OK &&
		iommu_iova_to_phys(domain, iommu_iova(last), &b) == IOMMU_OK &&
		a.v == first && b.v == last;
}

enum iommu_status core_map_reserved(
	struct iommu_domain *domain, const struct device *dev)
{
	struct iommu_reserved_region region;
	enum iommu_status status = IOMMU_OK;
	unsigned n = 0;

	while (status == IOMMU_OK &&
		vtd_reserved_region(domain->iommu, &dev->id, n++, &region)) {
		uint64_t first = region.first.v, last = region.last.v;

		status = iommu_map(domain, iommu_iova(first), region.first,
			last - first + 1, IOMMU_READ | IOMMU_WRITE);
		if (status == IOMMU_MAPPED && is_identity(domain, first, last))
			status = IOMMU_OK;
	}
	return status == IOMMU_MAPPED ? IOMMU_RESERVED_RANGE : status;
}

static NOINLINE enum iommu_status make_parking(struct device *dev)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED,
		.no_snoop_control = dev->properties & IOMMU_NO_SNOOP_CONTROL};
	struct iommu_domain *domain;
	enum iommu_status status;

	status = iommu_domain_create(dev->iommu, &config, &domain);
	if (status != IOMMU_OK)
		return status;
	status = core_map_reserved(domain, dev);
	if (status == IOMMU_OK) {
		dev->parking = domain;
		__atomic_fetch_add(&dev->iommu->parkings, 1, __ATOMIC_RELAXED);
		return IOMMU_OK;
	}
	return core_worse(iommu_domain_destroy(domain), status);
}

static NOINLINE void tell_blocked(
	struct iommu *iommu, struct iommu_device_id id, enum iommu_status why)
{
	core_log(iommu, IOMMU_LOG_WARNING,
		"reserved memory of %04x:%02x:%02x.%u is blocked: %s",
		id.segment, RID_WORDS(id.requester), iommu_status_text(why));
}

enum iommu_status core_park(struct device *dev)
{
	struct iommu *iommu = dev->iommu;
	enum iommu_status status = IOMMU_OK;

	if (!iommu->options.keep_reserved_memory || !dev->reserved_memory ||
		!unit_translates(dev->unit))
		return IOMMU_OK;
	if (!dev->parking)
		status = make_parking(dev);
	if (status == IOMMU_OK)
		status = core_attach(dev, dev->parking);
	if (status != IOMMU_OK)
		tell_blocked(iommu, dev->id, status);
	return status;
}

void core_park_all(struct iommu *iommu)
{
	struct iommu_device_id id;
	struct device *dev;

	if (!iommu->options.keep_reserved_memory)
		return;
	for (unsigned n = 0; vtd_reserved_device(iommu, n, &id); n++)
		if (core_device(iommu, id, &dev) == IOMMU_OK && !dev->domain &&
			!core_inherits(dev))
			/* If not, it is logged; the device is blocked. */
			core_park(dev);
}

void core_unpark_all(struct iommu *iommu)
{
	struct iommu_device_id id;

	for (unsigned n = 0; vtd_reserved_device(iommu, n, &id); n++) {
		struct device *dev = core_device_known(iommu, id);

		if (!dev || !dev->parking)
			continue;
		/* What is not confirmed keeps its tables. */
		if (core_is_parked(dev) && core_detach(dev) != IOMMU_OK)
			continue;
		if (iommu_domain_destroy(dev->parking) != IOMMU_OK)
			continue;
		dev->parking = NULL;
		__atomic_fetch_sub(&iommu->parkings, 1, __ATOMIC_RELAXED);
	}
}
