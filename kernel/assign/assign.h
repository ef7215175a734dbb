/* SPDX-License-Identifier: MIT */
/* A PCI device to a process and back: the one place that decides and that
 * keeps the order (see assign.c). */
#ifndef ASSIGN_ASSIGN_H
#define ASSIGN_ASSIGN_H

#include "lib/types.h"

struct space;

/* Bring up the I/O MMU: every device without access. After pci_init(). */
void assign_init(void);

/* The page tables of a space with a domain changed (CHANGE_*, mem/region.h):
 * every unit forgets [start, end). The space is locked. -EIO: not confirmed. */
MUST_CHECK int assign_flush(
	struct space *s, uint64_t start, uint64_t end, unsigned what);

/* The last user of a space is gone: take its devices away. Sleeps. */
void assign_space_gone(struct space *s);

#endif
