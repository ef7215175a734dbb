/* SPDX-License-Identifier: MIT */
/* Between boot_info.c and the two protocols it reads. */
#ifndef BOOT_PROTOCOL_H
#define BOOT_PROTOCOL_H

#include "lib/types.h"

enum memory_kind {
	MEMORY_USABLE,
	MEMORY_INHERITED, /* RAM, usable later: BOOT_E820_INHERITED */
	MEMORY_KEPT,      /* RAM that is in use */
	MEMORY_RESERVED,  /* not ours, perhaps no RAM */
};

/* What the boot page tables reach. Everything a loader names must lie here. */
#define BOOT_REACH 0x100000000ull

/* The memory at [addr, addr+size), or NULL if it is out of reach. */
const void *boot_reach(uint64_t addr, uint64_t size);

/* A piece of the memory map as the loader gave it: any order, may overlap. */
void boot_add_memory(uint64_t start, uint64_t size, enum memory_kind kind);

/* E820 types, which PVH and multiboot2 share. */
enum memory_kind boot_memory_kind(uint32_t e820_type);

void boot_set_cmdline(const char *text, size_t max);
void boot_set_initrd(uint64_t start, uint64_t size);

/* A copy of the RSDP: the loader's lies where memory may be given out. */
void boot_keep_rsdp(const void *body, uint64_t size);

void pvh_read(uint64_t info);
void multiboot2_read(uint64_t info);

#endif
