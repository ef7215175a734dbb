/* SPDX-License-Identifier: MIT */
/* See injection.h. */
#include "injection.h"

void injection_begin(
	struct model *m, unsigned unit, enum injection what, unsigned n)
{
	switch (what) {
	case NTH_ALLOCATION:
	case ALL_FROM_NTH_ALLOCATION:
		model_fail_alloc(m, n, what == ALL_FROM_NTH_ALLOCATION);
		break;
	case NTH_WAIT:
		model_fail_wait(m, n);
		break;
	case HUNG_FROM_NTH_ACCESS:
		model_unit_hang(m, unit, n);
		break;
	case GONE_FROM_NTH_ACCESS:
		model_unit_gone(m, unit, n);
		break;
	case INJECTIONS:
		break;
	}
}

void injection_end(struct model *m)
{
	model_fail_alloc(m, 0, false);
	model_fail_wait(m, 0);
}

bool injection_explains(enum injection what, enum iommu_status status)
{
	if (what <= ALL_FROM_NTH_ALLOCATION)
		return status == IOMMU_NO_MEMORY;
	return status == IOMMU_UNCONFIRMED || status == IOMMU_UNIT_LOST ||
		status == IOMMU_DEVICE_BROKEN || status == IOMMU_NO_UNIT ||
		status == IOMMU_OFF || status == IOMMU_UNCOVERED;
}
