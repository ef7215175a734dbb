/* SPDX-License-Identifier: MIT */
/* A program as any bytes: what the reader accepts lies in user memory, and the
 * loader asks for nothing else. */
#include <stdlib.h>
#include <string.h>
#include "kernel/proc/elf.c"
#include "tests/unit/support/memory_file.h"

uint64_t user_top = 0x800000000000;

static uint64_t bias;

int64_t space_mmap(struct space *s, uint64_t addr, uint64_t len, int prot,
	int flags, struct file *f, uint64_t offset)
{
	(void)s, (void)prot, (void)flags, (void)f, (void)offset;
	if (addr % PAGE_SIZE || len % PAGE_SIZE || !len || addr + len < addr ||
		addr + len > user_top + bias)
		abort();
	return (int64_t)addr;
}

int zero_user(uintptr_t dst, size_t n)
{
	if (n >= PAGE_SIZE || dst + n > user_top + bias)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf e;

	memory_file = data;
	memory_file_size = size;
	if (elf_read(NULL, &e))
		return 0;
	if (!e.count || e.start >= e.end || e.end > user_top ||
		memchr(e.interpreter, 0, sizeof(e.interpreter)) == NULL)
		abort();
	bias = 0;
	if (elf_map(&e, NULL, NULL, 0) || elf_zero_tails(&e, 0))
		abort();
	return 0;
}
