/* SPDX-License-Identifier: MIT */
/* What an ELF64 file is made of, as far as programs and kernels need it. */
#ifndef LIB_ELF_FORMAT_H
#define LIB_ELF_FORMAT_H
#include <stdint.h>

#define ET_EXEC 2
#define ET_DYN 3
#define EM_X86_64 62
#define PT_LOAD 1
#define PT_INTERP 3
#define PT_NOTE 4
#define PF_X 1
#define PF_W 2
#define PF_R 4
/* More than any linker makes. */
#define MAX_HEADERS 64

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

#endif
