/* SPDX-License-Identifier: MIT */
/* The reader of programs: a good one is understood, and no sequence of bytes
 * makes it accept a segment that lies outside user memory. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#undef ET_EXEC
#undef ET_DYN
#undef EM_X86_64
#undef PT_LOAD
#undef PT_INTERP
#undef PF_X
#undef PF_W
#undef PF_R
#include "kernel/proc/elf.c"
#include "tests/unit/support/memory_file.h"

uint64_t user_top = 0x800000000000;

static uint8_t image[8192];

/* --- what the reader calls --------------------------------------------- */

int64_t space_mmap(struct space *s, uint64_t addr, uint64_t len, int prot,
	int flags, struct file *f, uint64_t offset)
{
	(void)s, (void)len, (void)prot, (void)flags, (void)f, (void)offset;
	return (int64_t)addr;
}

int zero_user(uintptr_t dst, size_t n)
{
	(void)dst, (void)n;
	return 0;
}

/* --- a good program ---------------------------------------------------- */

static Elf64_Phdr *phdr(int i)
{
	return (Elf64_Phdr *)(image + sizeof(Elf64_Ehdr)) + i;
}

static int make(void **state)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)image;

	(void)state;
	memset(image, 0, sizeof(image));
	memory_file = image;
	memory_file_size = sizeof(image);
	memcpy(h->e_ident, "\177ELF\2\1\1", 7);
	h->e_type = 2;
	h->e_machine = 62;
	h->e_entry = 0x401000;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(Elf64_Phdr);
	h->e_phnum = 2;
	*phdr(0) = (Elf64_Phdr){.p_type = 1,
		.p_flags = 5,
		.p_vaddr = 0x400000,
		.p_filesz = 0x1800,
		.p_memsz = 0x1800};
	*phdr(1) = (Elf64_Phdr){.p_type = 1,
		.p_flags = 6,
		.p_offset = 0x1800,
		.p_vaddr = 0x402800,
		.p_filesz = 0x100,
		.p_memsz = 0x2000};
	return 0;
}

static void good_program_is_understood(void **state)
{
	struct elf e;

	(void)state;
	assert_int_equal(elf_read(NULL, &e), 0);
	assert_int_equal(e.entry, 0x401000);
	assert_int_equal(e.count, 2);
	assert_int_equal(e.table, 0x400000 + sizeof(Elf64_Ehdr));
	assert_int_equal(e.table_count, 2);
	assert_false(e.relocatable);
	assert_int_equal(e.start, 0x400000);
	assert_int_equal(e.end, 0x405000);
	assert_int_equal(e.segments[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(e.segments[1].prot, PROT_READ | PROT_WRITE);
	assert_string_equal(e.interpreter, "");
}

static void interpreter_is_read(void **state)
{
	struct elf e;

	(void)state;
	phdr(1)->p_type = 3;
	phdr(1)->p_filesz = 5;
	memcpy(image + 0x1800, "/ld1", 5);
	assert_int_equal(elf_read(NULL, &e), 0);
	assert_string_equal(e.interpreter, "/ld1");
	image[0x1804] = 'x'; /* not terminated */
	assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
}

static void impossible_segments_are_refused(void **state)
{
	struct elf e;

	phdr(1)->p_filesz = phdr(1)->p_memsz + 1;
	assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
	make(state);
	phdr(1)->p_vaddr = user_top - 0x1800; /* ends beyond the top */
	assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
	make(state);
	phdr(1)->p_vaddr = UINT64_MAX - 0x7ff; /* wraps */
	assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
	make(state);
	phdr(1)->p_offset += 8; /* cannot be mapped by pages */
	assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
	make(state);
	phdr(1)->p_offset = UINT64_MAX - 0x7ff;
	assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
}

static void short_files_are_refused(void **state)
{
	size_t needed = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
	struct elf e;

	(void)state;
	for (memory_file_size = 0; memory_file_size < needed;
		memory_file_size++)
		assert_int_equal(elf_read(NULL, &e), -ENOEXEC);
	assert_int_equal(elf_read(NULL, &e), 0);
}

static void no_bytes_lead_out_of_user_memory(void **state)
{
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED"))
				       : (unsigned)time(NULL);
	size_t head = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
	int accepted = 0;

	print_message("SEED=%u\n", seed);
	srand(seed);
	for (int round = 0; round < 200000; round++) {
		struct elf e;

		make(state);
		for (int i = rand() % 4; i >= 0; i--)
			image[7 + (size_t)rand() % (head - 7)] =
				(uint8_t)rand();
		if (elf_read(NULL, &e))
			continue;
		accepted++;
		assert_in_range(e.count, 1, ELF_MAX_SEGMENTS);
		for (unsigned i = 0; i < e.count; i++) {
			struct elf_segment *s = &e.segments[i];

			assert_true(s->file_size <= s->mem_size);
			assert_true(s->mem_size <= user_top);
			assert_true(s->addr <= user_top - s->mem_size);
			assert_true(s->addr >= e.start);
			assert_true(s->addr + s->mem_size <= e.end);
		}
		assert_int_equal(elf_map(&e, NULL, NULL, 0), 0);
		assert_int_equal(elf_zero_tails(&e, 0), 0);
	}
	assert_true(accepted > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_program_is_understood, make),
		cmocka_unit_test_setup(interpreter_is_read, make),
		cmocka_unit_test_setup(impossible_segments_are_refused, make),
		cmocka_unit_test_setup(short_files_are_refused, make),
		cmocka_unit_test_setup(no_bytes_lead_out_of_user_memory, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
