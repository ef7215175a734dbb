/* SPDX-License-Identifier: MIT */
/* The next kernel: a good image is understood, no sequence of bytes makes the
 * reader accept one that contradicts itself, and the memory map that the next
 * kernel gets calls nothing free that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "kernel/kexec/image.c"
#include "kernel/kexec/memory.c"
#include "tests/unit/support/memory_file.h"

static uint8_t file[8192];
static struct kexec_image image;

static uint64_t state;

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

/* --- what the sources call ----------------------------------------------- */

static struct boot_range given[8], described[8];
static uint32_t types[8];
static unsigned ngiven, ndescribed;

unsigned pages_free_runs(struct boot_range *runs, unsigned max)
{
	assert_true(ngiven <= max);
	memcpy(runs, given, ngiven * sizeof(*runs));
	return ngiven;
}

void boot_describe_memory(
	void (*each)(void *ctx, uint64_t start, uint64_t end, uint32_t type),
	void *ctx)
{
	for (unsigned i = 0; i < ndescribed; i++)
		each(ctx, described[i].start, described[i].end, types[i]);
}

/* --- images ----------------------------------------------------------------
 */

static struct program_header *header(unsigned i)
{
	return (struct program_header *)(file + sizeof(struct elf_header)) + i;
}

static struct elf_header *elf(void)
{
	return (struct elf_header *)file;
}

/* As the linker makes this kernel: two segments and a note with the entry. */
static int make(void **unused)
{
	static const uint32_t note[] = {4, 4, 18, 0x006e6558, 0x100010};

	(void)unused;
	memset(file, 0, sizeof(file));
	memory_file = file;
	memory_file_size = sizeof(file);
	memcpy(elf()->ident, "\177ELF\2\1\1", 7);
	elf()->type = ET_EXEC;
	elf()->machine = EM_X86_64;
	elf()->phoff = sizeof(struct elf_header);
	elf()->phentsize = sizeof(struct program_header);
	elf()->phnum = 3;
	*header(0) = (struct program_header){.type = PT_LOAD,
		.offset = 0x1000,
		.vaddr = 0x100000,
		.paddr = 0x100000,
		.filesz = 0x800,
		.memsz = 0x3000};
	*header(1) = (struct program_header){.type = PT_LOAD,
		.offset = 0x1800,
		.vaddr = 0xffffffff80103000,
		.paddr = 0x103000,
		.filesz = 0x234,
		.memsz = 0x12345};
	*header(2) = (struct program_header){
		.type = PT_NOTE, .offset = 0x400, .filesz = sizeof(note)};
	memcpy(file + 0x400, note, sizeof(note));
	return 0;
}

static int read_it(void)
{
	return kexec_read_image(NULL, memory_file_size, &image);
}

static void a_good_image_is_understood(void **unused)
{
	(void)unused;
	assert_int_equal(read_it(), 0);
	assert_int_equal(image.entry, 0x100010);
	assert_int_equal(image.count, 2);
	assert_int_equal(image.start, 0x100000);
	assert_int_equal(image.end, 0x116000);
	assert_int_equal(image.segments[1].addr, 0x103000);
	assert_int_equal(image.segments[1].mem_size, 0x12345);
	assert_int_equal(image.segments[1].file_size, 0x234);
	assert_int_equal(image.segments[1].offset, 0x1800);
}

static void a_file_cut_short_is_refused(void **unused)
{
	(void)unused;
	for (memory_file_size = 0; memory_file_size < 0x1a34;
		memory_file_size++)
		assert_int_equal(read_it(), -ENOEXEC);
	assert_int_equal(read_it(), 0);
}

#define REFUSED(change)                                \
	do {                                           \
		make(NULL);                            \
		change;                                \
		assert_int_equal(read_it(), -ENOEXEC); \
	} while (0)

static void what_is_no_kernel_is_refused(void **unused)
{
	(void)unused;
	REFUSED(file[1] = 'e');
	REFUSED(file[4] = 1); /* 32 bits */
	REFUSED(elf()->type = 3);
	REFUSED(elf()->machine = 183);
	REFUSED(elf()->phnum = 0);
	REFUSED(elf()->phnum = 65);
	REFUSED(elf()->phentsize = 55);
	REFUSED(elf()->phoff = UINT64_MAX);
	REFUSED(elf()->phnum = 2); /* no note */
	REFUSED(file[0x400] = 3);
	REFUSED(file[0x408] = 17);
	REFUSED(file[0x404] = 3);
	REFUSED(file[0x400] = 0xff);
	REFUSED(header(2)->filesz = 4097);
	REFUSED(header(2)->offset = UINT64_MAX);
}

static void segments_lie_apart_in_memory_that_may_be_had(void **unused)
{
	(void)unused;
	REFUSED(header(1)->paddr = 0x102fff);
	REFUSED(header(1)->paddr = 0x100000);
	REFUSED(header(1)->filesz = 0x12346);
	REFUSED(header(1)->offset = UINT64_MAX - 0x10);
	REFUSED(header(1)->offset = memory_file_size);
	REFUSED(header(1)->paddr = 0xff000);
	REFUSED(header(1)->paddr = 0);
	REFUSED(header(1)->paddr = KEXEC_REACH);
	REFUSED(header(1)->paddr = UINT64_MAX - 0x1000);
	REFUSED(header(1)->memsz = KEXEC_REACH - 0x102fff);
	REFUSED(header(1)->memsz = UINT64_MAX);
	/* The entry is where the file puts something. */
	REFUSED(file[0x411] = 0x08);
	REFUSED(file[0x413] = 1);
	make(NULL);
	header(1)->memsz = KEXEC_REACH - 0x103000;
	assert_int_equal(read_it(), 0);
	assert_int_equal(image.end, KEXEC_REACH);
}

static void check_image(void)
{
	bool entered = false;

	assert_in_range(image.count, 1, KEXEC_MAX_SEGMENTS);
	for (unsigned i = 0; i < image.count; i++) {
		const struct kexec_segment *s = &image.segments[i];

		assert_true(s->addr >= image.start && s->mem_size);
		assert_true(s->addr + s->mem_size <= image.end);
		assert_true(s->file_size <= s->mem_size);
		assert_true(s->offset + s->file_size <= memory_file_size);
		entered |= image.entry >= s->addr &&
			image.entry < s->addr + s->file_size;
		for (unsigned j = 0; j < i; j++)
			assert_true(s->addr + s->mem_size <=
					image.segments[j].addr ||
				image.segments[j].addr +
						image.segments[j].mem_size <=
					s->addr);
	}
	assert_true(entered && image.end <= KEXEC_REACH);
}

static void damaged_images_are_survived(void **unused)
{
	unsigned accepted = 0;

	for (unsigned round = 0; round < 50000; round++) {
		make(unused);
		for (unsigned n = 1 + draw(4); n; n--)
			file[draw(4) ? draw(0x100) : 0x400 + draw(20)] = draw(3)
				? (uint8_t)draw(256)
				: (uint8_t)(draw(2) ? 0xff : 0);
		memory_file_size = draw(8) ? sizeof(file) : draw(sizeof(file));
		if (read_it())
			continue;
		check_image();
		accepted++;
	}
	assert_true(accepted > 100);
}

/* --- the map ---------------------------------------------------------------
 */

#define MIB 0x100000ull

static void describe(uint64_t start, uint64_t end, uint32_t type)
{
	described[ndescribed] = (struct boot_range){.start = start, .end = end};
	types[ndescribed++] = type;
}

static void give(uint64_t start, uint64_t end)
{
	given[ngiven++] = (struct boot_range){.start = start, .end = end};
}

static int forget(void **unused)
{
	(void)unused;
	ngiven = ndescribed = 0;
	return 0;
}

static void only_what_is_free_may_be_used_at_once(void **unused)
{
	const struct boot_range kept[] = {
		{.start = 0, .end = 0xa0000},
		{.start = 40 * MIB, .end = 48 * MIB},
	};
	const struct pvh_memory wanted[] = {
		{0, 0xa0000, BOOT_E820_RAM, 0},
		{0xf0000, 0x10000, BOOT_E820_RESERVED, 0},
		{MIB, 31 * MIB, BOOT_E820_INHERITED, 0},
		{32 * MIB, 16 * MIB, BOOT_E820_RAM, 0},
		{48 * MIB, 2 * MIB, BOOT_E820_INHERITED, 0},
		{50 * MIB, 10 * MIB, BOOT_E820_RAM, 0},
		{60 * MIB, MIB, BOOT_E820_ACPI, 0},
		{61 * MIB, MIB, BOOT_E820_INHERITED, 0},
	};
	struct pvh_memory out[16];

	(void)unused;
	describe(0, 0xa0000, BOOT_E820_RAM);
	describe(0xf0000, MIB, BOOT_E820_RESERVED);
	describe(MIB, 60 * MIB, BOOT_E820_RAM);
	describe(60 * MIB, 61 * MIB, BOOT_E820_ACPI);
	describe(61 * MIB, 62 * MIB, BOOT_E820_RAM);
	give(50 * MIB, 60 * MIB);
	give(32 * MIB, 40 * MIB);
	assert_int_equal(kexec_memory_map(out, 16, kept, 2), 8);
	assert_memory_equal(out, wanted, sizeof(wanted));
}

static void a_short_map_leaves_memory_out(void **unused)
{
	struct pvh_memory out[3] = {{0, 0, 0, 0}};

	(void)unused;
	describe(0, 16 * MIB, BOOT_E820_RAM);
	give(2 * MIB, 3 * MIB);
	give(5 * MIB, 6 * MIB);
	assert_int_equal(kexec_memory_map(out, 2, NULL, 0), 2);
	assert_int_equal(out[1].addr, 2 * MIB);
	assert_int_equal(out[2].size, 0);
}

static void an_image_wants_ram_all_the_way(void **unused)
{
	(void)unused;
	describe(MIB, 4 * MIB, BOOT_E820_RAM);
	describe(4 * MIB, 5 * MIB, BOOT_E820_ACPI);
	describe(5 * MIB, 8 * MIB, BOOT_E820_RAM);
	assert_true(kexec_is_ram(MIB, 4 * MIB));
	assert_true(kexec_is_ram(6 * MIB, 7 * MIB));
	assert_false(kexec_is_ram(MIB, 4 * MIB + 1));
	assert_false(kexec_is_ram(3 * MIB, 6 * MIB));
	assert_false(kexec_is_ram(MIB - 1, 2 * MIB));
	assert_false(kexec_is_ram(7 * MIB, 9 * MIB));
	assert_false(kexec_is_ram(16 * MIB, 17 * MIB));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_good_image_is_understood, make),
		cmocka_unit_test_setup(a_file_cut_short_is_refused, make),
		cmocka_unit_test(what_is_no_kernel_is_refused),
		cmocka_unit_test(segments_lie_apart_in_memory_that_may_be_had),
		cmocka_unit_test(damaged_images_are_survived),
		cmocka_unit_test_setup(
			only_what_is_free_may_be_used_at_once, forget),
		cmocka_unit_test_setup(a_short_map_leaves_memory_out, forget),
		cmocka_unit_test_setup(an_image_wants_ram_all_the_way, forget),
	};

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
