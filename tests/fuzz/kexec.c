/* SPDX-License-Identifier: MIT */
/* A kernel image as any bytes: what the reader accepts lies apart, below 4 GiB,
 * within the file, and is entered where the file puts something. */
#include <stdlib.h>
#include <string.h>
#include "kernel/kexec/image.c"
#include "tests/unit/support/memory_file.h"

static bool apart(const struct kexec_segment *a, const struct kexec_segment *b)
{
	return a->addr + a->mem_size <= b->addr ||
		b->addr + b->mem_size <= a->addr;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kexec_image image;
	bool entered = false;

	memory_file = data;
	memory_file_size = size;
	if (kexec_read_image(NULL, size, &image))
		return 0;
	if (image.start < LOWEST || image.end > KEXEC_REACH)
		abort();
	for (unsigned i = 0; i < image.count; i++) {
		const struct kexec_segment *s = &image.segments[i];

		if (s->addr < image.start ||
			s->mem_size > image.end - s->addr ||
			s->file_size > s->mem_size || s->offset > size ||
			s->file_size > size - s->offset)
			abort();
		for (unsigned j = 0; j < i; j++)
			if (!apart(s, &image.segments[j]))
				abort();
		entered |= image.entry >= s->addr &&
			image.entry - s->addr < s->file_size;
	}
	if (!entered)
		abort();
	return 0;
}
