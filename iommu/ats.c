/* SPDX-License-Identifier: MIT */
/*
 * Devices with a TLB of their own (PCI Express address translation services).
 *
 * Order (VT-d 4.1.2): the entry, then the device's switch; back: the entry, the
 * flushes, the device's TLB while it still answers, the switch last. With the
 * entry gone the device gets no new translation, and what it holds is refused.
 * A device whose TLB does not answer is mute: nothing more is asked of it and
 * it is blocked.
 */
#include "backend.h"

enum {
	ATS_CONTROL = 6,
	ATS_ENABLE = 1 << 15,
};

bool core_ats_wanted(const struct device *dev, enum iommu_domain_kind kind)
{
	const struct iommu *iommu = dev->iommu;
	enum iommu_choice choice = iommu->options.ats;
	bool wanted = choice == IOMMU_ON ||
		(choice == IOMMU_AUTO && dev->properties & IOMMU_NEEDS_TLB);

	return wanted && dev->ats && dev->unit->device_tlb &&
		iommu->host.pci_write && has_addresses(kind) &&
		vtd_ats_allowed(iommu, dev->id);
}

void core_ats_switch(const struct device *dev, bool on)
{
	struct function fn = {dev->iommu, dev->id};

	/* Smallest translation unit 0: 4 KiB. */
	topology_write(fn, dev->ats + ATS_CONTROL, on ? ATS_ENABLE : 0);
}

void __ats_enter(struct device *dev)
{
	struct iommu_domain *domain = dev->domain;

	dev->ats_on = true;
	dev->iommu->tlb_users++;
	dev->next_in_domain = domain->tlb_devices;
	__atomic_store_n(&domain->tlb_devices, dev, __ATOMIC_RELEASE);
}

void __ats_leave(struct device *dev)
{
	struct device **at = &dev->domain->tlb_devices;

	if (!dev->ats_on)
		return;
	while (*at != dev)
		at = &(*at)->next_in_domain;
	__atomic_store_n(at, dev->next_in_domain, __ATOMIC_RELEASE);
	dev->iommu->tlb_users--;
	dev->ats_on = false;
}

unsigned core_tlb_rids(struct iommu_domain *domain, const struct unit *unit,
	bool again, unsigned skip, uint16_t *rid, unsigned max)
{
	struct iommu *iommu = domain->iommu;
	unsigned long state = core_lock(iommu, &iommu->lock);
	unsigned count = 0;

	for (const struct device *dev = domain->tlb_devices; dev && count < max;
		dev = dev->next_in_domain) {
		if (dev->unit != unit || (again && !dev->tlb_twice) ||
			__atomic_load_n(&dev->mute, __ATOMIC_ACQUIRE))
			continue;
		if (skip)
			skip--;
		else
			rid[count++] = dev->id.requester;
	}
	core_unlock(iommu, &iommu->lock, state);
	return count;
}

/** A device of the domain that does not answer, or NULL. */
static struct device *find_mute(struct iommu_domain *domain)
{
	struct iommu *iommu = domain->iommu;
	unsigned long state = core_lock(iommu, &iommu->lock);
	struct device *dev = domain->tlb_devices;

	while (dev && !__atomic_load_n(&dev->mute, __ATOMIC_ACQUIRE))
		dev = dev->next_in_domain;
	core_unlock(iommu, &iommu->lock, state);
	return dev;
}

enum iommu_status core_block_mute(struct iommu_domain *domain)
{
	enum iommu_status status = IOMMU_OK;
	struct device *dev;

	while (status == IOMMU_OK && (dev = find_mute(domain)))
		status = core_device_quarantine(dev);
	/* Busy: another CPU is at it and has not finished. */
	return status == IOMMU_BUSY ? IOMMU_UNCONFIRMED : status;
}
