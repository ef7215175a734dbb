/* SPDX-License-Identifier: MIT */
/* Inside mem/: the second half of the page allocator's start. */
#ifndef MEM_PAGES_H
#define MEM_PAGES_H

/* RAM above what the boot page tables map, once the direct map is complete. */
void pages_add_high(void);

#endif
