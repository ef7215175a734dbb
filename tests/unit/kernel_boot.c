/* SPDX-License-Identifier: MIT */
/*
 * What loaders say, true and false: usable memory never overlaps what is
 * reserved or in use, and no information, however wrong, makes the kernel read
 * beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <cmocka.h>

/* The first 4 GiB of a machine, in place of the kernel's memory map. */
#define MEM_MEM_H
#define PAGE_SIZE 4096ull
#define IMAGE_BASE 0
#include "kernel/lib/types.h"

static char *machine;

static void *phys_to_virt(phys_t p)
{
	return machine + p.v;
}

static phys_t virt_to_phys(const void *p)
{
	return phys((uint64_t)p);
}

#define read_memory_map read_pvh_map
#include "kernel/boot/boot_info.c"
#include "kernel/boot/pvh.c"
#undef read_memory_map
#include "kernel/boot/multiboot2.c"

/* The linker script gives these in the kernel. */
char boot_start[1], kernel_end[1];

void kprintf(const char *fmt, ...)
{
	(void)fmt;
}

static uint64_t state;

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static void forget(void)
{
	memset(&boot_info, 0, sizeof(boot_info));
	npieces = nloader = dropped = 0;
}

static bool in_usable_range(uint64_t addr)
{
	for (unsigned i = 0; i < boot_info.nranges; i++)
		if (boot_info.ranges[i].usable &&
			addr >= boot_info.ranges[i].start &&
			addr < boot_info.ranges[i].end)
			return true;
	return false;
}

static void check_ranges(void)
{
	uint64_t at = 0;

	assert_true(boot_info.nranges <= BOOT_MAX_RANGES);
	for (unsigned i = 0; i < boot_info.nranges; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		assert_true(r->start >= at && r->start < r->end);
		assert_true(r->start % PAGE_SIZE == 0);
		assert_true(r->end % PAGE_SIZE == 0);
		at = r->end;
	}
	assert_false(in_usable_range(0));
	assert_false(in_usable_range(0x9f000));
	assert_false(in_usable_range(0xff000));
	for (unsigned i = 0; i < npieces; i++) {
		if (pieces[i].kind == MEMORY_USABLE)
			continue;
		assert_false(in_usable_range(pieces[i].start));
		assert_false(in_usable_range(pieces[i].end - 1));
	}
}

static void overlaps_lose_to_the_stricter(void **unused)
{
	(void)unused;
	forget();
	boot_add_memory(0, 1ull << 33, MEMORY_USABLE);
	boot_add_memory(0x80000800, 0x100, MEMORY_RESERVED);
	boot_set_initrd(0x4000123, 0x2000);
	boot_info_read(0, 0);
	check_ranges();
	assert_true(in_usable_range(0x100000));
	assert_true(in_usable_range(0x7ffff000));
	assert_false(in_usable_range(0x80000000));
	assert_true(in_usable_range(0x80001000));
	assert_false(in_usable_range(0x4000000));
	assert_false(in_usable_range(0x4002000));
	assert_true(in_usable_range(0x4003000));
	assert_true(in_usable_range((1ull << 33) - 1));
	assert_int_equal(boot_info.low_page, 0x9f000);
}

struct description {
	uint64_t at, ram;
	uint32_t last;
};

static void check_described(
	void *ctx, uint64_t start, uint64_t end, uint32_t type)
{
	struct description *d = ctx;

	assert_true(start >= d->at && start < end);
	assert_true(type == BOOT_E820_RAM || type == BOOT_E820_ACPI ||
		type == BOOT_E820_RESERVED);
	/* Neighbours of one kind are one. */
	assert_false(start == d->at && type == d->last);
	d->at = end;
	d->last = type;
	if (type == BOOT_E820_RAM)
		d->ram += end - start;
}

/* What the next kernel is told is what the loader said, in order, and no RAM is
 * lost on the way from kernel to kernel. */
static void inherited_memory_is_ram_for_the_next(void **unused)
{
	const struct boot_range *r = boot_info.ranges;
	struct description d = {0, 0, 0};

	(void)unused;
	forget();
	boot_add_memory(0x100000, 0x700000, MEMORY_USABLE);
	boot_add_memory(0x800000, 0x800000, MEMORY_INHERITED);
	boot_add_memory(0xc00000, 0x1000, MEMORY_KEPT);
	boot_add_memory(0x2000000, 0x1000, MEMORY_RESERVED);
	boot_set_initrd(0xe00000, 0x1234);
	boot_info_read(0, 0);
	check_ranges();
	assert_true(r[1].usable && !r[1].inherited && r[1].end == 0x800000);
	assert_true(r[2].inherited && !r[2].usable && r[2].end == 0xc00000);
	assert_true(!r[3].inherited && !r[3].usable && r[3].end == 0xc01000);
	assert_true(r[4].inherited && r[4].end == 0xe00000);
	assert_true(!r[5].inherited && r[5].end == 0xe02000);
	boot_describe_memory(check_described, &d);
	assert_int_equal(d.ram, 0xf00000 - 0x1000);
}

static void random_maps_are_sorted_out(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 300; round++) {
		forget();
		for (unsigned n = draw(150); n; n--) {
			uint64_t a = (uint64_t)draw(1u << 30) << draw(30);
			uint64_t b = (uint64_t)draw(1u << 30) << draw(34);

			boot_add_memory(draw(16) ? a : 0ull - a, b, draw(4));
		}
		boot_info_read(0, 0);
		check_ranges();
		boot_describe_memory(
			check_described, &(struct description){0, 0, 0});
	}
}

struct builder {
	char *base;
	uint32_t len;
};

static void add_tag(
	struct builder *b, uint32_t type, const void *body, uint32_t size)
{
	uint32_t head[2] = {type, size + 8};

	memcpy(b->base + b->len, head, 8);
	memcpy(b->base + b->len + 8, body, size);
	b->len = (b->len + 8 + size + 7) & ~7u;
	memcpy(b->base, &b->len, 4);
}

/* Ends at the end of what is mapped: reading on would fault. */
static uint64_t build_multiboot2(char *copy, uint32_t *len)
{
	struct builder b = {copy, 8};
	uint64_t map[] = {24, 0, 0x9fc00, 1, 0x100000, 0x3ff00000, 1,
		0x40000000, 0x1000000, 2};
	uint32_t module[] = {0x2000000, 0x2400000, 'm'};
	char rsdp[36] = "RSD PTR ";

	add_tag(&b, 1, "hello=world quiet", 18);
	add_tag(&b, 3, module, sizeof(module));
	add_tag(&b, 6, map, sizeof(map));
	add_tag(&b, 14, rsdp, 20);
	add_tag(&b, 0, "", 0);
	*len = b.len;
	return BOOT_REACH - b.len;
}

static void multiboot2_is_understood(void **unused)
{
	char copy[512], option[16];
	uint32_t len;
	uint64_t at = build_multiboot2(copy, &len);

	(void)unused;
	forget();
	memcpy(machine + at, copy, len);
	boot_info_read(MULTIBOOT2_MAGIC, at);
	check_ranges();
	assert_string_equal(boot_info.cmdline, "hello=world quiet");
	assert_string_equal(
		boot_option("hello", option, sizeof(option)), "world");
	assert_string_equal(boot_option("quiet", option, sizeof(option)), "");
	assert_null(boot_option("hell", option, sizeof(option)));
	assert_null(boot_option("world", option, sizeof(option)));
	assert_string_equal(boot_option("hello", option, 3), "wo");
	assert_int_equal(boot_info.initrd, 0x2000000);
	assert_int_equal(boot_info.initrd_size, 0x400000);
	assert_memory_equal((void *)boot_info.rsdp, "RSD PTR ", 8);
	assert_true(in_usable_range(0x200000));
	assert_false(in_usable_range(0x2000000));
	assert_false(in_usable_range(0x40000000));
}

static void damaged_multiboot2_is_survived(void **unused)
{
	char copy[512];
	uint32_t len;
	uint64_t at = build_multiboot2(copy, &len);

	(void)unused;
	for (unsigned round = 0; round < 20000; round++) {
		forget();
		memcpy(machine + at, copy, len);
		for (unsigned n = 1 + draw(4); n; n--)
			machine[at + draw(len)] =
				draw(3) ? (char)draw(256) : (char)0xff;
		boot_info_read(MULTIBOOT2_MAGIC, at);
		check_ranges();
	}
}

static uint64_t build_pvh(void)
{
	const uint64_t at = BOOT_REACH - sizeof(struct pvh_start_info);
	struct pvh_start_info *info = (struct pvh_start_info *)(machine + at);
	struct pvh_module *module = (struct pvh_module *)(machine + 0x5000);
	struct pvh_memory *map = (struct pvh_memory *)(machine + 0x6000);

	*module = (struct pvh_module){.addr = 0x3000000, .size = 12345};
	map[0] = (struct pvh_memory){0, 0x9fc00, 1, 0};
	map[1] = (struct pvh_memory){0x100000, 0x7f00000, 1, 0};
	strcpy(machine + 0x7000, "one two=2");
	strcpy(machine + 0xf5000, "RSD PTR two");
	*info = (struct pvh_start_info){.magic = PVH_START_MAGIC,
		.version = 1,
		.nr_modules = 1,
		.modlist = 0x5000,
		.cmdline = 0x7000,
		.rsdp = 0xf5000,
		.memmap = 0x6000,
		.memmap_entries = 2};
	return at;
}

static void pvh_is_understood(void **unused)
{
	uint64_t at = build_pvh();

	(void)unused;
	forget();
	boot_info_read(PVH_START_MAGIC, at);
	check_ranges();
	assert_string_equal(boot_info.cmdline, "one two=2");
	assert_int_equal(boot_info.initrd, 0x3000000);
	assert_int_equal(boot_info.initrd_size, 12345);
	assert_memory_equal((void *)boot_info.rsdp, "RSD PTR two", 12);
	assert_true(in_usable_range(0x7fff000));
	assert_false(in_usable_range(0x3003000));
	assert_true(in_usable_range(0x3004000));
}

static void damaged_pvh_is_survived(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t at = build_pvh();
		struct pvh_start_info *info =
			(struct pvh_start_info *)(machine + at);

		forget();
		if (draw(2)) {
			info->memmap = BOOT_REACH - draw(64);
			info->modlist = BOOT_REACH - draw(64);
			info->cmdline = BOOT_REACH - draw(64);
		}
		for (unsigned n = 1 + draw(4); n; n--)
			machine[at + draw(sizeof(struct pvh_start_info))] =
				draw(3) ? (char)draw(256) : (char)0xff;
		boot_info_read(PVH_START_MAGIC, at);
		check_ranges();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlaps_lose_to_the_stricter),
		cmocka_unit_test(inherited_memory_is_ram_for_the_next),
		cmocka_unit_test(random_maps_are_sorted_out),
		cmocka_unit_test(multiboot2_is_understood),
		cmocka_unit_test(damaged_multiboot2_is_survived),
		cmocka_unit_test(pvh_is_understood),
		cmocka_unit_test(damaged_pvh_is_survived),
	};

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)state);
	machine = mmap(NULL, BOOT_REACH + 0x100000, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (machine == MAP_FAILED ||
		mprotect(machine + BOOT_REACH, 0x100000, PROT_NONE))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
