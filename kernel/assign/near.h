/* SPDX-License-Identifier: MIT */
/* Where an address lies in a process, in words, for those who read faults. */
#ifndef ASSIGN_NEAR_H
#define ASSIGN_NEAR_H

#include "lib/types.h"

struct space;

/* "in the heap", "4 KiB past the end of the heap", "at 0, where nothing ever
 * lies" ... May sleep. */
void near_text(struct space *s, uint64_t addr, char *buf, size_t size);

#endif
