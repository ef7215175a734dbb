/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, in one form for PVH and multiboot2. All
 * pointers are physical and checked. The kernel, the initrd and the first MiB
 * are kept out of the page allocator for good. */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "lib/types.h"

#define BOOT_MAX_RANGES 128

struct boot_range {
	uint64_t start, end; /* physical, whole pages, end exclusive */
	bool usable;    /* may be given out; else RAM that is in use (kernel,
			   initrd, first MiB, ACPI tables) */
	bool inherited; /* not usable yet: an earlier kernel's, see
			   BOOT_E820_INHERITED */
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

/*
 * What the type of an entry in the memory map says of RAM that the kernel
 * before this one used: a unit may still walk tables there, and a device still
 * write. It is as good as any other once the units have been taken over. A
 * kernel that does not know the type leaves it alone.
 */
#define BOOT_E820_RAM 1
#define BOOT_E820_RESERVED 2
#define BOOT_E820_ACPI 3
#define BOOT_E820_INHERITED 0x696f6d6du

/* The machine's memory as the loader described it, in order and without
 * overlaps, for the next kernel; inherited memory is RAM here. */
void boot_describe_memory(
	void (*each)(void *ctx, uint64_t start, uint64_t end, uint32_t type),
	void *ctx);

/* Value of "name=value" on the command line, or "" for a bare "name"; NULL
 * when absent. The text ends at a blank; copies at most size-1 bytes. */
char *boot_option(const char *name, char *buf, size_t size);

/* Whether the command line has "name=value". */
bool boot_says(const char *name, const char *value);

/* "takeover=kept": devices go on with what the kernel before this one let them
 * reach, until they are attached or detached or that is ended. */
static inline bool boot_keeps_devices(void)
{
	return boot_says("takeover", "kept");
}

/* Fill boot_info. `magic` says which protocol; `info` is a physical address.
 * Needs the boot page tables (first 4 GiB in the direct map). */
void boot_info_read(uint32_t magic, uint64_t info);

#endif
