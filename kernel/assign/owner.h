/* SPDX-License-Identifier: MIT */
/* Who owns a device, for those who may not take the assign lock: a mapping of
 * registers is made under a space's lock, which is inside it. */
#ifndef ASSIGN_OWNER_H
#define ASSIGN_OWNER_H

#include "pci/pci.h"

struct space;

static inline void pci_set_owner(struct pci_device *d, struct space *s)
{
	__atomic_store_n(&d->owner, s, __ATOMIC_SEQ_CST);
}

/* True may be outdated at once. Detach first takes the owner away, then the
 * mappings of every space, under its lock: a mapping made under the lock after
 * this answered true is found there. */
static inline bool pci_owned_by(struct pci_device *d, const struct space *s)
{
	return s && __atomic_load_n(&d->owner, __ATOMIC_SEQ_CST) == s;
}

#endif
