/* SPDX-License-Identifier: MIT */
/*
 * Who may have what: all of it is decided here, and said in words. Root owns
 * everything today, so permission is a matter of the device's state alone.
 */
#include "assign/assign.h"
#include "assign/assignment.h"
#include "host/host.h"
#include "lib/errno.h"

int assign_refuse(const struct pci_device *d, int error, const char *why)
{
	return assign_complain("attach", error, "%x:%x.%x: %s", d->bus,
		PCI_DEV(d->devfn), PCI_FN(d->devfn), why);
}

int assign_status_error(enum iommu_status st)
{
	switch (st) {
	case IOMMU_NO_UNIT:
	case IOMMU_NO_TABLE:
	case IOMMU_BAD_TABLE:
	case IOMMU_NO_DEVICE:
	case IOMMU_UNCOVERED:
		return -ENODEV;
	case IOMMU_BRIDGE:
	case IOMMU_BAD_ARGUMENT:
		return -EINVAL;
	case IOMMU_BUSY:
	case IOMMU_GROUP_BUSY:
		return -EBUSY;
	case IOMMU_RESERVED_MEMORY:
	case IOMMU_FORBIDDEN:
		return -EPERM;
	case IOMMU_OFF:
		return -EAGAIN;
	case IOMMU_WIDTH:
	case IOMMU_FORMAT:
	case IOMMU_UNSUPPORTED:
		return -ENOTSUP;
	case IOMMU_NO_MEMORY:
	case IOMMU_NO_DOMAIN_ID:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

int assign_refuse_status(const struct pci_device *d, enum iommu_status st)
{
	return assign_refuse(d, assign_status_error(st), iommu_status_text(st));
}

/* A bridge forwards the requests of others or steers the platform. The host
 * bridge does neither on its own account: it may be given away, and its
 * configuration space stays closed (config.c). */
static bool is_bridge(const struct pci_device *d)
{
	return d->header_type != 0 ||
		(d->class == PCI_CLASS_BRIDGE && d->subclass != 0);
}

/* Functions that cannot be kept apart have one owner between them. */
static int check_group(const struct pci_device *d, const struct space *s,
	struct iommu_device_id group)
{
	struct iommu_device_info other;
	struct assignment *a;

	list_for_each (a, &assignments, link)
		if (a->space != s &&
			iommu_device_info(host_iommu, host_device_id(a->device),
				&other) == IOMMU_OK &&
			iommu_device_same(other.group, group))
			return assign_complain("attach", -EBUSY,
				"%x:%x.%x cannot be kept apart from "
				"%x:%x.%x, which belongs to pid %d",
				d->bus, PCI_DEV(d->devfn), PCI_FN(d->devfn),
				a->device->bus, PCI_DEV(a->device->devfn),
				PCI_FN(a->device->devfn), a->pid);
	return 0;
}

int __check_attach(
	const struct pci_device *d, const struct space *s, unsigned *out_unit)
{
	struct assignment *a = __assignment_of(d);
	struct iommu_device_info info;
	enum iommu_status st;

	if (is_bridge(d))
		return assign_refuse(
			d, -EINVAL, "a bridge cannot be given to a process");
	if (d->broken)
		return assign_refuse(d, -EIO,
			"blocked: it was not confirmed to have stopped");
	if (a)
		return assign_complain("attach", -EBUSY,
			"%x:%x.%x belongs to pid %d", d->bus, PCI_DEV(d->devfn),
			PCI_FN(d->devfn), a->pid);
	if (!iommu_is_on(host_iommu))
		return assign_refuse(
			d, -EAGAIN, "the I/O MMU is off; see power");
	st = iommu_device_info(host_iommu, host_device_id(d), &info);
	if (st != IOMMU_OK)
		return assign_refuse_status(d, st);
	if (info.reserved_memory)
		return assign_refuse_status(d, IOMMU_RESERVED_MEMORY);
	if (info.state == IOMMU_DEVICE_QUARANTINED &&
		iommu_device_revive(host_iommu, host_device_id(d)) != IOMMU_OK)
		return assign_refuse(
			d, -EIO, "the I/O MMU does not release it");
	*out_unit = info.unit;
	return check_group(d, s, info.group);
}
