/* SPDX-License-Identifier: MIT */
/* Pages of one mapped domain, with RIG_DEV in it, for tests of the tables that
 * the library makes. */
#ifndef SUPPORT_PAGES_H
#define SUPPORT_PAGES_H

#include "rig.h"

struct pages {
	struct rig r;
	struct iommu_domain *domain;
	/** For pages_flush(); empty at first. */
	struct iommu_batch batch;
};

/** Opens the usual machine, starts, and attaches RIG_DEV. */
void pages_open(struct pages *p, const char *kind, enum model_mode mode);
/** Unmaps the lowest 512 GiB, and ends. */
void pages_close(struct pages *p);

/** Maps, and expects it to succeed. */
void pages_map(struct pages *p, uint64_t iova, uint64_t phys, uint64_t size,
	unsigned rights);
/** The same page by page, so that nothing large is made at once. */
void pages_map_small(struct pages *p, uint64_t iova, uint64_t phys,
	uint64_t size, unsigned rights);
/** Flushes the batch and checks the rig. */
void pages_flush(struct pages *p);

/** Where an address that is mapped leads. */
uint64_t pages_lead_to(struct pages *p, uint64_t iova);
/** The size of the page behind an address, by the tables that RIG_DEV walks; 0
 *  if there is none. */
uint64_t pages_size_at(struct rig *r, uint64_t iova);

#endif
