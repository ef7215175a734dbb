/* SPDX-License-Identifier: MIT */
/* A unit that refuses what is put into its queue, while it is told to; it stays
 * alive, so calls answer IOMMU_UNCONFIRMED. */
#ifndef SUPPORT_REFUSE_H
#define SUPPORT_REFUSE_H

#include "rig.h"

/** Before the instance is made. One rig at a time. */
void refuse_prepare(struct rig *r);
void refuse(bool refusing);

#endif
