/* SPDX-License-Identifier: MIT */
/*
 * Between two kernels: what this one inherited, and what it leaves. The units
 * stay on all the while.
 */
#include "assign/assign.h"
#include "assign/assignment.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "mem/mem.h"

/* Bus mastering off wherever nobody has the device. */
static void quiet_unowned(void)
{
	struct pci_device *d;

	for (unsigned n = 0; (d = pci_nth(n)); n++)
		if (!d->header_type && !__assignment_of(d))
			(void)pci_set_master(d, false);
}

int assign_end_inheritance(void)
{
	enum iommu_status st;

	if (assign_absent_reason())
		return -ENODEV;
	mutex_lock(&assign_lock);
	quiet_unowned();
	st = iommu_inherited_end(host_iommu);
	if (st == IOMMU_OK)
		assign_reuse_inherited();
	mutex_unlock(&assign_lock);
	if (st != IOMMU_OK)
		return assign_complain(
			"inherited", -EIO, "%s", iommu_status_text(st));
	return 0;
}

void assign_hand_over(enum assign_hand_over how)
{
	struct assignment *a, *tmp;
	enum iommu_status st;

	/* For good: a device must not be found in the middle of a reset. */
	mutex_lock(&assign_lock);
	if (how == ASSIGN_LEAVE || assign_absent_reason())
		return;
	list_for_each_safe (a, tmp, &assignments, link)
		if (how == ASSIGN_STOP)
			(void)__release(a);
	st = iommu_hand_over(host_iommu,
		how == ASSIGN_KEEP ? IOMMU_HAND_OVER_KEPT
				   : IOMMU_HAND_OVER_BLOCKED);
	/* A device that would not go stays as it is: blocked. */
	if (st == IOMMU_IN_USE)
		st = iommu_hand_over(host_iommu, IOMMU_HAND_OVER_KEPT);
	if (st != IOMMU_OK)
		kprintf("iommu: handed over: %s\n", iommu_status_text(st));
}
