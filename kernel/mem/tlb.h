/* SPDX-License-Identifier: MIT */
/* Inside mem/: the instructions that touch what a CPU caches of page tables,
 * and the lines of tables that units read from memory. The hosted tests have
 * a header of the same name with machines of their own. */
#ifndef MEM_TLB_H
#define MEM_TLB_H

#include "lib/types.h"

/* Walk these tables from now on; what was cached of others is forgotten. */
static inline void tlb_load(uint64_t top)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(top) : "memory");
}

/* Forget all of the tables that are loaded. */
static inline void tlb_forget_all(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3)::"memory");
}

static inline void tlb_forget_page(uint64_t addr)
{
	__asm__ volatile("invlpg (%0)" ::"r"(addr) : "memory");
}

static inline void cache_line_flush(const void *p)
{
	__asm__ volatile("clflush (%0)" ::"r"(p) : "memory");
}

#endif
