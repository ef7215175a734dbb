/* SPDX-License-Identifier: MIT */
/* The host's part of the machine: memory at fixed addresses. Apart, because
 * the host's headers and the kernel's do not mix. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "support/ram.h"

void *ram_map(uint64_t at, uint64_t size)
{
	void *want = (void *)at;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *p = mmap(want, size, PROT_READ | PROT_WRITE,
		flags | (want ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	if (p == MAP_FAILED || (want && p != want)) {
		fprintf(stderr, "no memory at %p\n", want);
		abort();
	}
	return p;
}
