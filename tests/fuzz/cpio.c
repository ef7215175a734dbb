/* SPDX-License-Identifier: MIT */
/* The boot archive as anything at all: the reader ends, stays inside it and
 * calls back with nothing but what lies inside it. */
#include <stdlib.h>
#include "kernel/fs/cpio.c"

struct bounds {
	const char *start, *end;
};

static void check(void *ctx, const struct cpio_entry *e)
{
	const struct bounds *b = ctx;
	const char *data = (const char *)e->data;

	if (e->name < b->start || !e->name_len ||
		e->name_len > (size_t)(b->end - e->name))
		abort();
	if (data < b->start || data > b->end ||
		e->size > (size_t)(b->end - data))
		abort();
	for (size_t i = 0; i < e->name_len; i++)
		if (!e->name[i] || (e->name[i] == '/' && !i))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounds b = {(const char *)data, (const char *)data + size};
	unsigned skipped;

	cpio_read(data, size, check, &b, &skipped);
	return 0;
}
