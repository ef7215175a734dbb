/* SPDX-License-Identifier: MIT */
/*
 * Inside kexec/: a loaded image. Everything that the jump needs lies in one run
 * of frames below 4 GiB, above the image's place: first what is set out here,
 * then the segments' contents, then the archive, each from a page on.
 */
#ifndef KEXEC_LOCAL_H
#define KEXEC_LOCAL_H

#define KEXEC_CODE_SIZE 1024 /* room for the last steps in jump.S */

#ifndef __ASSEMBLER__
#include "boot/boot_info.h"
#include "boot/pvh.h"
#include "kexec/image.h"
#include "kexec/kexec.h"
#include "mem/mem.h"

#define KEXEC_MAP_ENTRIES (PAGE_SIZE / sizeof(struct pvh_memory))

/* One segment on its way: jump.S knows the layout. */
struct kexec_copy {
	uint64_t to, from, bytes, zeros;
};

/* What the last steps run on, see jump.S. Physical addresses are what this
 * kernel's pointers into it translate to. */
struct kexec_control {
	uint8_t code[KEXEC_CODE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	struct kexec_copy copies[KEXEC_MAX_SEGMENTS + 1]; /* ends with zero */
	struct pvh_start_info info;
	struct pvh_module module;
	uint8_t rsdp[36];
	char cmdline[KEXEC_CMDLINE_SIZE];
	/* The first 4 GiB at their own address. */
	uint64_t top[512] __attribute__((aligned(PAGE_SIZE)));
	uint64_t upper[512] __attribute__((aligned(PAGE_SIZE)));
	uint64_t lower[4][512] __attribute__((aligned(PAGE_SIZE)));
	struct pvh_memory memory[KEXEC_MAP_ENTRIES]
		__attribute__((aligned(PAGE_SIZE)));
};

struct kexec_loaded {
	struct kexec_image image;
	struct kexec_control *control; /* the run's start */
	uint64_t frames;               /* the run's length */
};

/* memory.c: the next kernel's memory map. `kept` runs of RAM, besides those
 * that are free, hold nothing that anybody still reaches. How many entries.
 * Takes no lock. */
unsigned kexec_memory_map(struct pvh_memory *out, unsigned max,
	const struct boot_range *kept, unsigned nkept);

/* Does the machine have RAM for all of [start, end)? */
bool kexec_is_ram(uint64_t start, uint64_t end);

/* jump.c: on the boot CPU, alone, interrupts off. */
void kexec_jump(const struct kexec_loaded *loaded) NORETURN;

#endif
#endif
