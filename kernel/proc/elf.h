/* SPDX-License-Identifier: MIT */
/* ELF64 programs: what a file says, and its segments in an address space. */
#ifndef PROC_ELF_H
#define PROC_ELF_H

#include "lib/types.h"

struct file;
struct space;

#define ELF_MAX_SEGMENTS 32

struct elf_segment {
	uint64_t addr, mem_size, file_offset, file_size;
	int prot; /* PROT_* */
};

/* A checked program header table. Addresses are before relocation. */
struct elf {
	uint64_t entry;
	uint64_t table; /* address of the program headers; 0: not loaded */
	uint16_t table_count;
	bool relocatable; /* ET_DYN */
	unsigned count;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
	uint64_t start, end;   /* all segments, page aligned */
	char interpreter[256]; /* "" : none */
};

/* -ENOEXEC: not a program for this machine; -EIO, -ENOMEM. */
int elf_read(struct file *f, struct elf *out);

/* Map the segments at `bias` above their addresses. */
int elf_map(
	const struct elf *e, struct file *f, struct space *s, uint64_t bias);

/* In the current space: zero what the file does not fill of its last pages. */
int elf_zero_tails(const struct elf *e, uint64_t bias);

#endif
