/* SPDX-License-Identifier: MIT */
/* Parts of the life of a rig that are the same whoever owns the tables. */
#ifndef SUPPORT_LIFE_H
#define SUPPORT_LIFE_H

#include "rig.h"

/** Translation goes off and on, the units sleep and wake: RIG_DEV reaches the
 *  frame at iova before and afterwards, RIG_OTHER only while it is off. */
void life_power(struct rig *r, uint64_t iova, uint64_t frame);
/** An interrupt of RIG_DEV is set, sent, set again and freed, if interrupts are
 *  remapped. */
void life_interrupts(struct rig *r);

#endif
