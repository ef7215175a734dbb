/* SPDX-License-Identifier: MIT */
/* Two systems one after the other on one machine: the first hands over what it
 * has to the next, which keeps it. */
#ifndef SUPPORT_SYSTEMS_H
#define SUPPORT_SYSTEMS_H

#include "rig.h"

/** Where RIG_OTHER reaches the page in the first system. */
#define SYSTEMS_AT 0x200000ull

struct systems {
	struct rig first, next;
	struct model *m;
	uint64_t page;
	/** The first system's. */
	struct iommu_domain *domain;
};

/** Opens the first; its options may be changed then. */
void systems_open(struct systems *s, struct model *m);
/** Starts it, and gives RIG_OTHER the page. */
void systems_live(struct systems *s);
/** It hands over; the next one is opened, and not yet started. */
void systems_hand_over(struct systems *s);

#endif
