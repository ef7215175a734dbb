/* SPDX-License-Identifier: MIT */
/* Inside kexec/: what a kernel's ELF file says. */
#ifndef KEXEC_IMAGE_H
#define KEXEC_IMAGE_H

#include "lib/types.h"

struct file;

#define KEXEC_MAX_SEGMENTS 16
#define KEXEC_REACH 0x100000000ull /* entered in 32-bit mode */

struct kexec_segment {
	uint64_t addr; /* physical, where it will lie */
	uint64_t mem_size, file_size, offset;
};

struct kexec_image {
	uint32_t entry; /* PVH: physical, 32-bit mode, no paging */
	unsigned count;
	struct kexec_segment segments[KEXEC_MAX_SEGMENTS]; /* disjoint */
	uint64_t start, end; /* all of them, whole pages */
};

/* Reads and checks the headers of a file of `size` bytes. Total: nothing in the
 * file is believed. -ENOEXEC, -EIO, -ENOMEM. */
MUST_CHECK int kexec_read_image(
	struct file *f, uint64_t size, struct kexec_image *out);

#endif
