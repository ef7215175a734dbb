/* SPDX-License-Identifier: MIT */
/* This kernel as the host of the I/O MMU library. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <iommu/iommu.h>

/* The one instance; NULL until host_create(). */
extern struct iommu *host_iommu;

/* Called in interrupt context when faults wait to be drained. */
typedef void (*host_fault_handler)(void);

/* Make the instance. iommu_discover() and iommu_start() follow. */
enum iommu_status host_create(
	const struct iommu_options *options, host_fault_handler fault);

#endif
