/* SPDX-License-Identifier: MIT */
/* A machine with one page mapped for RIG_DEV, whose descriptors can be looked
 * at and spoilt on their way into the queue of the first unit. */
#ifndef SUPPORT_QUEUED_H
#define SUPPORT_QUEUED_H

#include "rig.h"

/** Where the page is mapped. */
#define QUEUED_AT 0x200000ull

struct queued {
	struct rig r;
	struct iommu_domain *domain;
	uint64_t page;
	/** How many doorbells from now on are spoilt; which descriptors then
	 *  are: the waits, or all others. */
	unsigned spoilt;
	bool waits;
	/** Device time-outs that the library cleared. */
	unsigned cleared;
	/** Is shown the low half of each descriptor before the unit is, unless
	 *  it is NULL. */
	void (*look)(uint64_t low);
};

/** ATS is on; one at a time. */
void queued_open(struct queued *q, const char *kind, enum model_mode mode);
/** The same where all is zero but for the rig, which is open and not started,
 *  and look(). */
void queued_start(struct queued *q);
void queued_attach_ats(struct queued *q, enum model_ats_answer answer);
/** RIG_ATS may be attached. */
void queued_close(struct queued *q);

/** Of the first unit. */
struct iommu_stats queued_stats(struct queued *q);
enum iommu_status queued_map(struct queued *q);
enum iommu_status queued_unmap(struct queued *q);
/** The judge saw the spoilt descriptors too; they are not the library's. */
void queued_forgive(struct queued *q);

#endif
