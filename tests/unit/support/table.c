/* SPDX-License-Identifier: MIT */
/*
 * A DMAR table, built a byte at a time (VT-d chapter 8).
 */
#include <string.h>
#include "table.h"

void table_put(struct builder *b, unsigned width, uint64_t value)
{
	while (width--) {
		b->bytes[b->size++] = (uint8_t)value;
		value >>= 8;
	}
}

void table_finish(struct builder *b)
{
	uint8_t sum = 0;

	b->bytes[4] = (uint8_t)b->size;
	b->bytes[5] = (uint8_t)(b->size >> 8);
	b->bytes[9] = 0;
	for (size_t n = 0; n < b->size; n++)
		sum = (uint8_t)(sum + b->bytes[n]);
	b->bytes[9] = (uint8_t)-sum;
}

void table_start(struct builder *b)
{
	memset(b, 0, sizeof(*b));
	memcpy(b->bytes, "DMAR", 4);
	b->bytes[8] = 1;
	b->bytes[36] = 45;
	b->bytes[37] = DMAR_INTR_REMAP;
	b->size = 48;
}

void table_record(struct builder *b, unsigned type)
{
	b->record = b->size;
	table_put(b, 2, type);
	table_put(b, 2, 0);
}

void table_close(struct builder *b)
{
	size_t size = b->size - b->record;

	b->bytes[b->record + 2] = (uint8_t)size;
	b->bytes[b->record + 3] = (uint8_t)(size >> 8);
}

void table_path(struct builder *b, unsigned type, unsigned id, unsigned bus,
	unsigned hops, const uint8_t *path)
{
	table_put(b, 1, type);
	table_put(b, 1, 6 + 2 * hops);
	table_put(b, 2, 0);
	table_put(b, 1, id);
	table_put(b, 1, bus);
	for (unsigned n = 0; n < 2 * hops; n++)
		table_put(b, 1, path[n]);
}

void table_endpoint(struct builder *b, uint16_t bdf)
{
	const uint8_t hop[] = {bdf >> 3 & 31, bdf & 7};

	table_path(b, DMAR_SCOPE_ENDPOINT, 0, bdf >> 8, 1, hop);
}

void table_scope(struct builder *b, unsigned type, unsigned id, unsigned bus,
	unsigned hops)
{
	uint8_t path[2 * 256] = {0};

	for (unsigned n = 0; n < hops; n++)
		path[2 * n] = (uint8_t)(hops - n);
	table_path(b, type, id, bus, hops, path);
}

void table_unit_of(
	struct builder *b, unsigned flags, unsigned segment, uint64_t base)
{
	table_record(b, DMAR_DRHD);
	table_put(b, 1, flags);
	table_put(b, 1, 3);
	table_put(b, 2, segment);
	table_put(b, 8, base);
}

void table_unit_for_all(struct builder *b)
{
	table_unit_of(b, DMAR_INCLUDE_ALL, 0, TABLE_UNIT);
	table_close(b);
}

void table_unit(struct builder *b, unsigned flags, uint64_t base)
{
	table_unit_of(b, flags, 2, base);
}

void table_reserved(
	struct builder *b, unsigned segment, uint64_t first, uint64_t last)
{
	table_record(b, DMAR_RMRR);
	table_put(b, 2, 0);
	table_put(b, 2, segment);
	table_put(b, 8, first);
	table_put(b, 8, last);
}
