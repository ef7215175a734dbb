/* SPDX-License-Identifier: MIT */
/* Failures that are made to happen one at a time, for n = 1, 2, ... until one
 * is not felt any more. */
#ifndef SUPPORT_INJECTION_H
#define SUPPORT_INJECTION_H

#include "rig.h"

enum injection {
	NTH_ALLOCATION,
	ALL_FROM_NTH_ALLOCATION,
	NTH_WAIT,
	HUNG_FROM_NTH_ACCESS,
	GONE_FROM_NTH_ACCESS,
	/** How many there are; a test may have more of its own. */
	INJECTIONS
};

/** From now on; of units, this one. */
void injection_begin(
	struct model *m, unsigned unit, enum injection what, unsigned n);
/** Allocations and waits succeed again; a unit stays as it is. */
void injection_end(struct model *m);
/** Whether a call may answer so because of it. */
bool injection_explains(enum injection what, enum iommu_status status);

#endif
