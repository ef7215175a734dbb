/* SPDX-License-Identifier: MIT */
/*
 * The loader's information in one form. The loader is not trusted to be right:
 * addresses are checked against what is mapped, sizes against sums that wrap,
 * and the memory map may be unsorted and overlap itself; the strictest kind
 * wins where it does.
 */
#include "boot/boot_info.h"
#include "boot/protocol.h"
#include "boot/pvh.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

#define MULTIBOOT2_MAGIC 0x36d76289
#define MAX_PIECES 256

struct piece {
	uint64_t start, end;
	enum memory_kind kind;
};

struct boot_info boot_info;

static struct piece pieces[MAX_PIECES];
static unsigned npieces, dropped;
static unsigned nloader; /* pieces that the loader gave; the rest is ours */

extern char boot_start[], kernel_end[];

const void *boot_reach(uint64_t addr, uint64_t size)
{
	if (addr == 0 || addr >= BOOT_REACH || size > BOOT_REACH - addr)
		return NULL;
	return phys_to_virt(phys(addr));
}

enum memory_kind boot_memory_kind(uint32_t e820_type)
{
	switch (e820_type) {
	case BOOT_E820_RAM:
		return MEMORY_USABLE;
	case BOOT_E820_INHERITED:
		return MEMORY_INHERITED;
	case BOOT_E820_ACPI:
	case 4: /* ACPI non-volatile storage */
		return MEMORY_KEPT;
	default:
		return MEMORY_RESERVED;
	}
}

/* Memory to be given out shrinks to whole pages, everything else grows to them.
 */
void boot_add_memory(uint64_t start, uint64_t size, enum memory_kind kind)
{
	const uint64_t limit = 1ull << 52;
	struct piece *p;
	uint64_t end;

	if (size == 0 || start >= limit)
		return;
	end = size > limit - start ? limit : start + size;
	if (kind <= MEMORY_INHERITED) {
		start = ALIGN_UP(start, PAGE_SIZE);
		end = ALIGN_DOWN(end, PAGE_SIZE);
	} else {
		start = ALIGN_DOWN(start, PAGE_SIZE);
		end = ALIGN_UP(end, PAGE_SIZE);
	}
	if (start >= end)
		return;
	if (npieces == MAX_PIECES) {
		dropped++;
		return;
	}
	p = &pieces[npieces++];
	p->start = start;
	p->end = end;
	p->kind = kind;
}

void boot_set_cmdline(const char *text, size_t max)
{
	size_t n = strnlen(text, MIN(max, sizeof(boot_info.cmdline) - 1));

	memcpy(boot_info.cmdline, text, n);
	boot_info.cmdline[n] = 0;
}

void boot_set_initrd(uint64_t start, uint64_t size)
{
	if (size == 0 || !boot_reach(start, size))
		return;
	boot_info.initrd = start;
	boot_info.initrd_size = size;
}

void boot_keep_rsdp(const void *body, uint64_t size)
{
	static char rsdp[36];

	if (size < 20)
		return;
	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, body, MIN(size, sizeof(rsdp)));
	boot_info.rsdp = virt_to_phys(rsdp).v;
}

/* By the first `count` pieces; -1: no memory. */
static int kind_by(unsigned count, uint64_t addr)
{
	int kind = -1;

	for (unsigned i = 0; i < count; i++) {
		const struct piece *p = &pieces[i];

		if (addr >= p->start && addr < p->end && (int)p->kind > kind)
			kind = p->kind;
	}
	return kind;
}

static int kind_at(uint64_t addr)
{
	return kind_by(npieces, addr);
}

/* The lowest boundary of any piece above `addr`, or UINT64_MAX. */
static uint64_t next_boundary(uint64_t addr)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < npieces; i++) {
		if (pieces[i].start > addr)
			next = MIN(next, pieces[i].start);
		if (pieces[i].end > addr)
			next = MIN(next, pieces[i].end);
	}
	return next;
}

static void add_range(uint64_t start, uint64_t end, int kind)
{
	bool usable = kind == MEMORY_USABLE;
	bool inherited = kind == MEMORY_INHERITED;
	struct boot_info *b = &boot_info;
	struct boot_range *last = b->ranges + b->nranges - 1;

	if (b->nranges && last->end == start && last->usable == usable &&
		last->inherited == inherited) {
		last->end = end;
	} else if (b->nranges == BOOT_MAX_RANGES) {
		dropped++;
	} else {
		b->ranges[b->nranges++] =
			(struct boot_range){start, end, usable, inherited};
	}
}

static void sort_ranges(void)
{
	uint64_t at = 0;

	while (at != UINT64_MAX) {
		uint64_t next = next_boundary(at);
		int kind = kind_at(at);

		if (next != UINT64_MAX && kind >= 0 && kind != MEMORY_RESERVED)
			add_range(at, next, kind);
		at = next;
	}
}

void boot_describe_memory(
	void (*each)(void *ctx, uint64_t start, uint64_t end, uint32_t type),
	void *ctx)
{
	static const uint32_t types[] = {[MEMORY_USABLE] = BOOT_E820_RAM,
		[MEMORY_INHERITED] = BOOT_E820_RAM,
		[MEMORY_KEPT] = BOOT_E820_ACPI,
		[MEMORY_RESERVED] = BOOT_E820_RESERVED};
	uint64_t at = 0, start = 0;
	uint32_t type = 0; /* of [start, at); 0: no memory */

	while (at != UINT64_MAX) {
		int kind = kind_by(nloader, at);
		uint32_t here = kind < 0 ? 0 : types[kind];

		if (here != type) {
			if (type)
				each(ctx, start, at, type);
			start = at;
			type = here;
		}
		at = next_boundary(at);
	}
}

/* The highest usable page below the BIOS data area's usual place. */
static uint64_t find_low_page(void)
{
	for (uint64_t page = 0x9f000; page >= 0x1000; page -= PAGE_SIZE)
		if (kind_at(page) == MEMORY_USABLE)
			return page;
	return 0;
}

void boot_info_read(uint32_t magic, uint64_t info)
{
	uint64_t image = (uint64_t)boot_start;
	uint64_t image_end = (uint64_t)kernel_end - IMAGE_BASE;

	if (magic == PVH_START_MAGIC)
		pvh_read(info);
	else if (magic == MULTIBOOT2_MAGIC)
		multiboot2_read(info);
	else
		kprintf("boot: unknown loader, magic 0x%x\n", magic);

	nloader = npieces;
	boot_info.low_page = find_low_page();
	boot_add_memory(0, 0xa0000, MEMORY_KEPT);
	boot_add_memory(0xa0000, 0x60000, MEMORY_RESERVED);
	boot_add_memory(image, image_end - image, MEMORY_KEPT);
	boot_add_memory(boot_info.initrd, boot_info.initrd_size, MEMORY_KEPT);
	sort_ranges();
	if (dropped)
		kprintf("boot: memory map too long, %u ranges left out\n",
			dropped);
}

char *boot_option(const char *name, char *buf, size_t size)
{
	size_t len = strlen(name);
	const char *s = boot_info.cmdline;

	while (*s) {
		const char *word = s;
		size_t n = 0;

		while (*s && *s != ' ')
			s++;
		if ((size_t)(s - word) >= len && !memcmp(word, name, len) &&
			(word + len == s || word[len] == '=')) {
			word += len;
			if (word < s)
				word++;
			while (word + n < s && n + 1 < size) {
				buf[n] = word[n];
				n++;
			}
			if (size)
				buf[n] = 0;
			return buf;
		}
		while (*s == ' ')
			s++;
	}
	return NULL;
}

bool boot_says(const char *name, const char *value)
{
	char found[32];

	return boot_option(name, found, sizeof(found)) && !strcmp(found, value);
}
