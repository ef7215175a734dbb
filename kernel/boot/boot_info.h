/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, in one form for PVH and multiboot2. All
 * pointers are physical and checked; the memory they name is kept out of the
 * page allocator until boot_info_release(). */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "lib/types.h"

#define BOOT_MAX_RANGES 64

struct boot_range {
	uint64_t start, end; /* physical, end exclusive */
	bool usable;         /* RAM that may be given out */
};

struct boot_info {
	struct boot_range ranges[BOOT_MAX_RANGES]; /* sorted, disjoint */
	unsigned nranges;
	uint64_t initrd, initrd_size; /* 0: none */
	uint64_t rsdp;                /* 0: not given, search low memory */
	char cmdline[1024];
};

extern struct boot_info boot_info;

/* Value of "name=value" on the command line, or "" for a bare "name"; NULL
 * when absent. The text ends at a blank; copies at most size-1 bytes. */
char *boot_option(const char *name, char *buf, size_t size);

#endif
