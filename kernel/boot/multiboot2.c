/* SPDX-License-Identifier: MIT */
/* The boot information of multiboot2 (specification 2.0, section 3.6): a list
 * of tags, each 8-byte aligned. */
#include "boot/boot_info.h"
#include "boot/protocol.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

#define TAG_END 0
#define TAG_CMDLINE 1
#define TAG_MODULE 3
#define TAG_MEMORY_MAP 6
#define TAG_RSDP_OLD 14
#define TAG_RSDP_NEW 15
#define MAX_INFO_SIZE 0x1000000

struct tag {
	uint32_t type, size;
};

struct map_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static void read_memory_map(const char *body, uint32_t size)
{
	uint32_t entry_size;

	if (size < 8)
		return;
	memcpy(&entry_size, body, 4);
	if (entry_size < sizeof(struct map_entry))
		return;
	for (uint32_t at = 8; size - at >= sizeof(struct map_entry);
		at += entry_size) {
		struct map_entry e;

		memcpy(&e, body + at, sizeof(e));
		boot_add_memory(e.addr, e.size, boot_memory_kind(e.type));
		if (size - at < entry_size)
			break;
	}
}

static void read_module(const char *body, uint32_t size)
{
	uint32_t bounds[2];

	if (size < sizeof(bounds) || boot_info.initrd)
		return;
	memcpy(bounds, body, sizeof(bounds));
	if (bounds[1] > bounds[0])
		boot_set_initrd(bounds[0], bounds[1] - bounds[0]);
}

static void read_tag(uint32_t type, const char *body, uint32_t size)
{
	switch (type) {
	case TAG_CMDLINE:
		boot_set_cmdline(body, size);
		break;
	case TAG_MODULE:
		read_module(body, size);
		break;
	case TAG_MEMORY_MAP:
		read_memory_map(body, size);
		break;
	case TAG_RSDP_OLD: /* the new form comes after it */
	case TAG_RSDP_NEW:
		boot_keep_rsdp(body, size);
		break;
	}
}

void multiboot2_read(uint64_t addr)
{
	const char *base = boot_reach(addr, 8);
	uint32_t total = 0;

	if (base)
		memcpy(&total, base, sizeof(total));
	if (total < 16 || total > MAX_INFO_SIZE || !boot_reach(addr, total)) {
		kprintf("boot: bad multiboot2 information at 0x%llx\n",
			(unsigned long long)addr);
		return;
	}
	for (uint32_t at = 8; total - at >= sizeof(struct tag);) {
		struct tag tag;

		memcpy(&tag, base + at, sizeof(tag));
		if (tag.type == TAG_END || tag.size < sizeof(tag) ||
			tag.size > total - at)
			break;
		read_tag(tag.type, base + at + sizeof(tag),
			tag.size - sizeof(tag));
		if (total - at - tag.size < 8)
			break;
		at += ALIGN_UP(tag.size, 8);
	}
}
