/* SPDX-License-Identifier: MIT */
/* The hooks that lend a machine to a host, called by the test itself, and locks
 * in pages that they gave. */
#ifndef TESTS_MODEL_LENT_H
#define TESTS_MODEL_LENT_H

#include <model/host.h>

extern struct iommu_host hooks;
extern struct model_host host;
extern struct iommu_lock *locks;
/** Where the locks are. */
extern iommu_phys_t place;

/** Makes the hooks, and 2^order pages of locks. */
void lend(struct model *m, unsigned order);
void hold(unsigned n);
void let_go(unsigned n);
/** Two are held at once, the first taken first. */
void both(unsigned first, unsigned then);

#endif
