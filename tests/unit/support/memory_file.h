/* SPDX-License-Identifier: MIT */
/* A file that is bytes in memory, and a heap, for one kernel source that reads
 * files: included behind it, by tests and fuzzers. */
#ifndef SUPPORT_MEMORY_FILE_H
#define SUPPORT_MEMORY_FILE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/lib/types.h"

struct file;

static const uint8_t *memory_file;
static size_t memory_file_size;

ssize_t file_read_kernel(struct file *f, void *buf, size_t n, uint64_t pos)
{
	(void)f;
	if (pos > INT64_MAX)
		abort();
	if (pos >= memory_file_size)
		return 0;
	n = MIN(n, memory_file_size - pos);
	memcpy(buf, memory_file + pos, n);
	return (ssize_t)n;
}

void *kmalloc(size_t n)
{
	return malloc(n);
}

void kfree(void *p)
{
	free(p);
}

#endif
