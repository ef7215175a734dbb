/* SPDX-License-Identifier: MIT */
/*
 * The firmware's table, function by function: any bytes, at the end of an
 * array, so that reading on is seen. What decides how far is read - sizes,
 * types, offsets - takes every value one by one up to a small bound and all
 * larger ones together; every other byte is anything at once.
 *
 * Assumption: structures are read the same way wherever they stand; ROOM bytes
 * of them behind the header are enough to show that.
 *
 * eva: -eva-precision 1 -eva-slevel 20
 * eva: -eva-split-return-function dmar_open:0,dmar_next:0,dmar_scope_next:0
 */
#include "prove.h"
#include "iommu/vtd/dmar.c"

enum {
	ROOM = 34,
	SIZE = DMAR_HEADER + ROOM,
	/* One by one, then two groups. */
	SIZES = ROOM + 3,
	TYPES = DMAR_TYPES + 2,
};

static uint8_t bytes[SIZE];
static volatile size_t sink; /* reads that must be sound */

static void warn(void *arg, size_t at, const char *what)
{
	(void)arg;
	sink = at + (size_t)*what;
}

static void put(size_t at, int least, int most)
{
	if (at < SIZE)
		bytes[at] = (uint8_t)Frama_C_interval(least, most);
}

/** Sixteen bits: value; for the last two of count values, all that are not less
 *  and below 256, and all from 256 on. */
static void put16(size_t at, int value, int count)
{
	bool large = value + 1 == count, several = value + 2 == count;

	put(at, large ? 0 : value, large || several ? 255 : value);
	put(at + 1, large ? 1 : 0, large ? 255 : 0);
}

static void open_any(size_t readable)
{
	struct dmar_table table;
	const char *why;

	HOSTILE(bytes);
	why = dmar_open(&table, bytes + SIZE - readable, readable);
	if (why)
		sink = (size_t)*why;
	else
		sink = table.size + table.width + table.flags;
}

static void next_any(size_t start, int type, int size)
{
	const struct dmar_table table = {.bytes = bytes, .size = SIZE};
	size_t where = start ? start : DMAR_HEADER;
	struct dmar_record record;
	size_t at = start, n;
	const char *flaw;

	HOSTILE(bytes);
	put16(where, type, TYPES);
	put16(where + 2, size, SIZES);
	if (!dmar_next(&table, &at, &record))
		return;
	sink = at + record.base + record.limit + record.scopes;
	flaw = dmar_record_flaw(&record);
	if (flaw)
		sink = (size_t)*flaw;
	//@ loop unroll ROOM;
	for (n = 0; n < record.name_size; n++)
		sink = (size_t)record.name[n];
}

static void scope_any(size_t scopes, size_t start, int size)
{
	const struct dmar_record record = {
		.bytes = bytes + DMAR_HEADER, .size = ROOM, .scopes = scopes};
	struct dmar_scope scope;
	size_t at = start, where = start ? start : scopes;
	unsigned n;

	HOSTILE(bytes);
	put(DMAR_HEADER + where + 1, size, size < ROOM + 1 ? size : 255);
	if (!dmar_scope_next(&record, &at, &scope))
		return;
	sink = at + scope.type + scope.flags + scope.id + scope.bus;
	//@ loop unroll ROOM;
	for (n = 0; n < 2 * scope.hops; n++)
		sink = scope.path[n];
}

/** A table of one structure with at most one scope. */
static void check_any(int type, unsigned size, int scope)
{
	const uint8_t *start = bytes + SIZE - DMAR_HEADER - size;
	const struct dmar_table table = {
		.bytes = start, .size = DMAR_HEADER + size};
	unsigned first = type == DMAR_DRHD ? 16 : type == DMAR_RMRR ? 24 : 8;

	if (size >= first + 16)
		return;
	HOSTILE(bytes);
	put16(SIZE - size, type, TYPES);
	put(SIZE - size + 2, (int)size, (int)size);
	put(SIZE - size + 3, 0, 0);
	if (size > first + 1)
		put(SIZE - size + first + 1, scope, scope < 17 ? scope : 255);
	dmar_check(&table, warn, NULL);
}

/* In functions of their own, so that the analyser keeps few states. */
static void from(size_t start, int size)
{
	int type;

	scope_any(8, start, size);
	scope_any(start, 0, size);
	/* Too large a size is seen before the type. */
	//@ loop unroll TYPES;
	for (type = size > ROOM ? TYPES - 1 : 0; type < TYPES; type++)
		next_any(start ? DMAR_HEADER + start : 0, type, size);
	HOSTILE(bytes);
}

static void all_sizes(size_t start)
{
	int size;

	//@ loop unroll SIZES;
	for (size = 0; size < SIZES; size++)
		from(start, size);
}

static void whole(int type, unsigned size)
{
	int scope;

	//@ loop unroll 18;
	for (scope = 5; scope < 18; scope++)
		check_any(type, size, scope);
	HOSTILE(bytes);
}

static void wholes(int type)
{
	unsigned size;

	//@ loop unroll ROOM + 1;
	for (size = 4; size <= ROOM; size++)
		whole(type, size);
}

void harness(void)
{
	size_t n;

	//@ loop unroll SIZE + 1;
	for (n = 0; n <= SIZE; n++)
		open_any(n);
	//@ loop unroll ROOM + 1;
	for (n = 0; n <= ROOM; n++)
		all_sizes(n);
	//@ loop unroll TYPES;
	for (n = 0; n < TYPES; n++)
		wholes((int)n);
}
