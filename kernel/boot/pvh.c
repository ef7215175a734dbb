/* SPDX-License-Identifier: MIT */
/* The PVH start-of-day structures, as the loader left them. */
#include "boot/boot_info.h"
#include "boot/protocol.h"
#include "boot/pvh.h"
#include "lib/print.h"
#include "lib/string.h"

#define MAX_MAP_ENTRIES 1024
#define RSDP_SIZE 36

static void read_memory_map(const struct pvh_start_info *info)
{
	uint32_t count = MIN(info->memmap_entries, MAX_MAP_ENTRIES);
	const struct pvh_memory *map =
		boot_reach(info->memmap, count * sizeof(*map));

	if (!map)
		return;
	for (uint32_t i = 0; i < count; i++)
		boot_add_memory(map[i].addr, map[i].size,
			boot_memory_kind(map[i].type));
}

void pvh_read(uint64_t addr)
{
	const struct pvh_start_info *info = boot_reach(addr, sizeof(*info));
	const struct pvh_module *module;
	const char *text;

	if (!info || info->magic != PVH_START_MAGIC) {
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
	text = boot_reach(info->rsdp, RSDP_SIZE);
	if (text)
		boot_keep_rsdp(text, RSDP_SIZE);
	if (info->version >= 1)
		read_memory_map(info);
}
