/* SPDX-License-Identifier: MIT */
/* A PCI device to a process and back: the one place that decides and that
 * keeps the order (see assign.c). */
#ifndef ASSIGN_ASSIGN_H
#define ASSIGN_ASSIGN_H

#include "lib/types.h"

/* Bring up the I/O MMU: every device without access. After pci_init(). */
void assign_init(void);

#endif
