/* SPDX-License-Identifier: MIT */
/*
 * The sentence for each status, and the version.
 */
#include <iommu/types.h>
#include <iommu/version.h>

static const char *const sentence[IOMMU_STATUS_COUNT] = {
	[IOMMU_OK] = "done",
	[IOMMU_BAD_ARGUMENT] = "an argument is out of range",
	[IOMMU_NO_MEMORY] = "out of memory",
	[IOMMU_WRONG_STATE] = "not possible in the present state",
	[IOMMU_NO_TABLE] = "the firmware has no DMAR table",
	[IOMMU_BAD_TABLE] = "the firmware's DMAR table is damaged",
	[IOMMU_NO_UNIT] = "there is no usable I/O MMU",
	[IOMMU_NO_DEVICE] = "there is no such device",
	[IOMMU_UNCOVERED] = "no usable I/O MMU translates for this device",
	[IOMMU_BRIDGE] = "a bridge cannot be attached",
	[IOMMU_BUSY] = "the device is attached already",
	[IOMMU_NOT_ATTACHED] = "the device is not attached",
	[IOMMU_RESERVED_MEMORY] =
		"the firmware reserved memory for this device",
	[IOMMU_GROUP_BUSY] = "a device of the same group has another owner",
	[IOMMU_OFF] = "the I/O MMU is switched off",
	[IOMMU_UNIT_LOST] = "the I/O MMU does not answer any more",
	[IOMMU_UNSUPPORTED] = "the I/O MMU does not have this feature",
	[IOMMU_WIDTH] = "the I/O MMU does not translate addresses this wide",
	[IOMMU_FORMAT] = "the I/O MMU cannot walk tables of this format",
	[IOMMU_NO_DOMAIN_ID] = "all domain ids are in use",
	[IOMMU_NO_ENTRY] = "the interrupt remapping table is full",
	[IOMMU_UNCONFIRMED] = "the hardware did not confirm that it forgot",
	[IOMMU_DEVICE_BROKEN] = "the device is in quarantine",
	[IOMMU_MAPPED] = "a part of the range is mapped already",
	[IOMMU_NOT_MAPPED] = "a part of the range is not mapped",
	[IOMMU_RESERVED_RANGE] = "the range touches reserved addresses",
	[IOMMU_IN_USE] = "devices are attached",
	[IOMMU_FORBIDDEN] = "protection must stay on",
};

const char *iommu_status_text(enum iommu_status status)
{
	unsigned n = (unsigned)status;

	return n < IOMMU_STATUS_COUNT ? sentence[n] : "unknown status";
}

const char *iommu_version(void)
{
	return IOMMU_VERSION;
}
