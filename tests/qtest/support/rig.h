/* SPDX-License-Identifier: MIT */
/*
 * A machine with two edu devices and a started instance of the library.
 */
#ifndef QTEST_RIG_H
#define QTEST_RIG_H

#include "qemu.h"

struct rig {
	struct qemu q;
	struct iommu_host host;
	struct iommu *iommu;
	struct iommu_device_id edu[2];
	uint64_t bar[2];
};

enum {
	/** Rights in the CPU's format. */
	CPU_READ = 1,
	CPU_WRITE = 3,
};

/** Starts everything; options may be NULL. */
void rig_start(
	struct rig *r, const char *unit, const struct iommu_options *options);
/** Ends everything: no page may be left. */
void rig_stop(struct rig *r);

/** An empty top-level table in the CPU's format. */
uint64_t rig_table(struct rig *r);
/** Maps one page in it, 4 levels. flags are the CPU's bits 0 to 11 and 52 to
 *  63. Returns the place of the entry. */
uint64_t *rig_map(struct rig *r, uint64_t root, uint64_t iova, uint64_t phys,
	uint64_t flags);
/** The table one level down that covers the lowest 512 GiB. */
uint64_t rig_lower(struct rig *r, uint64_t root);
/** A shared domain that offers the tables for 3 and 4 levels. */
struct iommu_domain *rig_domain(struct rig *r, uint64_t root, void *owner);
bool rig_reaches(struct rig *r, unsigned n, uint64_t iova, uint64_t phys);
/** Takes the next fault; fails the test if there is none. */
void rig_fault(struct rig *r, struct iommu_fault *out);

#endif
