/* SPDX-License-Identifier: MIT */
/* The PVH start-of-day structure (Xen public headers, arch-x86/hvm
 * start_info.h; version 1 has the memory map). */
#include "boot/boot_info.h"
#include "boot/protocol.h"
#include "lib/print.h"
#include "lib/string.h"

#define START_INFO_MAGIC 0x336ec578
#define MAX_MAP_ENTRIES 1024

/* Packed: the loader's addresses need not be aligned. */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp;
	uint64_t memmap;
	uint32_t memmap_entries, reserved;
} __attribute__((packed));

struct module {
	uint64_t addr, size, cmdline, reserved;
} __attribute__((packed));

struct map_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
} __attribute__((packed));

static void read_memory_map(const struct start_info *info)
{
	uint32_t count = MIN(info->memmap_entries, MAX_MAP_ENTRIES);
	const struct map_entry *map =
		boot_reach(info->memmap, count * sizeof(*map));

	if (!map)
		return;
	for (uint32_t i = 0; i < count; i++)
		boot_add_memory(map[i].addr, map[i].size,
			boot_memory_kind(map[i].type));
}

void pvh_read(uint64_t addr)
{
	const struct start_info *info = boot_reach(addr, sizeof(*info));
	const struct module *module;
	const char *text;

	if (!info || info->magic != START_INFO_MAGIC) {
		kprintf("boot: no PVH start information at 0x%llx\n",
			(unsigned long long)addr);
		return;
	}
	text = boot_reach(info->cmdline, 1);
	if (text)
		boot_set_cmdline(text, BOOT_REACH - info->cmdline);
	module = boot_reach(info->modlist, sizeof(*module));
	if (module && info->nr_modules > 0)
		boot_set_initrd(module->addr, module->size);
	boot_info.rsdp = info->rsdp;
	if (info->version >= 1)
		read_memory_map(info);
}
