/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, in one form for PVH and multiboot2. All
 * pointers are physical and checked. The kernel, the initrd and the first MiB
 * are kept out of the page allocator for good. */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "lib/types.h"

#define BOOT_MAX_RANGES 64

struct boot_range {
	uint64_t start, end; /* physical, whole pages, end exclusive */
	bool usable; /* may be given out; else RAM that is in use (kernel,
			initrd, first MiB, ACPI tables) */
};

struct boot_info {
	struct boot_range ranges[BOOT_MAX_RANGES]; /* sorted, disjoint */
	unsigned nranges;
	uint64_t initrd, initrd_size; /* 0: none */
	uint64_t rsdp;                /* 0: not given, search low memory */
	uint64_t low_page; /* RAM below 640 KiB to start CPUs in; 0: none */
	char cmdline[1024];
};

extern struct boot_info boot_info;

/* Value of "name=value" on the command line, or "" for a bare "name"; NULL
 * when absent. The text ends at a blank; copies at most size-1 bytes. */
char *boot_option(const char *name, char *buf, size_t size);

/* Fill boot_info. `magic` says which protocol; `info` is a physical address.
 * Needs the boot page tables (first 4 GiB in the direct map). */
void boot_info_read(uint32_t magic, uint64_t info);

#endif
