/* SPDX-License-Identifier: MIT */
/* The PVH start-of-day structures (Xen public headers, arch-x86/hvm
 * start_info.h; version 1 has the memory map): read by boot/pvh.c, written by
 * kexec/ for the next kernel. Packed: a loader's addresses need not be
 * aligned. */
#ifndef BOOT_PVH_H
#define BOOT_PVH_H

#include "lib/types.h"

#define PVH_START_MAGIC 0x336ec578
#define PVH_NOTE_NAME "Xen"
#define PVH_NOTE_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp;
	uint64_t memmap;
	uint32_t memmap_entries, reserved;
} __attribute__((packed));

struct pvh_module {
	uint64_t addr, size, cmdline, reserved;
} __attribute__((packed));

struct pvh_memory {
	uint64_t addr, size;
	uint32_t type, reserved;
} __attribute__((packed));

#endif
