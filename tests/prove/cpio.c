/* SPDX-License-Identifier: MIT */
/*
 * The kernel's boot archive: any header, any sizes in it, any name. Each part
 * of the reader by itself; fuzzing puts them together. Sizes and places take
 * every value up to a small bound one by one, numbers from the archive any
 * value at once.
 *
 * eva: -eva-precision 3 -eva-slevel 3000 -eva-domains octagon
 * eva: -eva-split-return-function read_header:0,hex_field:0
 * eva: -eva-split-return-function take_name:0,advance:0
 */
#include "prove.h"
#include "kernel/fs/cpio.c"

enum {
	NAME = 5
};

static uint8_t header[HEADER_SIZE];
static char name[NAME];
static volatile size_t sink;

static void name_any(size_t n)
{
	struct cpio_entry e;

	HOSTILE(name);
	if (!take_name(&e, name + NAME - n, n))
		return;
	//@ assert 1 <= e.name_len <= NAME;
	sink = (size_t)e.name[0];
}

static void advance_any(size_t at, size_t size)
{
	size_t n;

	HOSTILE(n);
	if (advance(&at, n, size)) {
		//@ assert at <= size;
		sink = at;
	}
}

void harness(void)
{
	uint32_t field[FIELDS];
	size_t size, n;

	HOSTILE(header);
	if (read_header(header, field))
		sink = field[INO] + field[CHECK];
	//@ loop unroll 10;
	for (size = 0; size < 10; size++)
		//@ loop unroll 10;
		for (n = 0; n <= size; n++)
			advance_any(n, size);
	//@ loop unroll NAME + 1;
	for (n = 0; n <= NAME; n++)
		name_any(n);
}
