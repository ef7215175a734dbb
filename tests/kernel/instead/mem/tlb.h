/* SPDX-License-Identifier: MIT */
/* In place of kernel/mem/tlb.h: the simulated CPUs (support/walker.c). */
#ifndef MEM_TLB_H
#define MEM_TLB_H

#include "lib/types.h"

void tlb_load(uint64_t top);
void tlb_forget_all(void);
void tlb_forget_page(uint64_t addr);
void cache_line_flush(const void *p);

#endif
