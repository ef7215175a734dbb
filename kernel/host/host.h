/* SPDX-License-Identifier: MIT */
/* This kernel as the host of the I/O MMU library. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <iommu/iommu.h>
#include "pci/pci.h"

/* The one instance; NULL until host_create(). */
extern struct iommu *host_iommu;

/* The library's name for a device. */
static inline struct iommu_device_id host_device_id(const struct pci_device *d)
{
	return (struct iommu_device_id){.segment = d->segment,
		.requester = (uint16_t)(d->bus << 8 | d->devfn)};
}

/* Called in interrupt context when faults wait to be drained. */
typedef void (*host_fault_handler)(void);

/* Make the instance. iommu_discover() and iommu_start() follow. */
enum iommu_status host_create(
	const struct iommu_options *options, host_fault_handler fault);

#endif
