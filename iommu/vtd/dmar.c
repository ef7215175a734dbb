/* SPDX-License-Identifier: MIT */
/*
 * Reading the DMAR table. Every length is checked against what encloses it
 * before anything behind it is read; nothing is assumed about order, number or
 * sense of the structures (VT-d 8.1 to 8.9).
 */
#include "../internal.h"
#include "dmar.h"

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static uint64_t get64(const uint8_t *at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/** The bytes that a structure of each type has at least. */
static const uint8_t least_size[DMAR_TYPES] = {
	[DMAR_DRHD] = 16,
	[DMAR_RMRR] = 24,
	[DMAR_ATSR] = 8,
	[DMAR_RHSA] = 20,
	[DMAR_ANDD] = 9,
	[DMAR_SATC] = 8,
	[DMAR_SIDP] = 8,
};

const char *dmar_open(struct dmar_table *table, const void *bytes, size_t size)
{
	const uint8_t *header = bytes;
	uint32_t length;

	if (size < DMAR_HEADER)
		return "the DMAR table is shorter than its header";
	if (memcmp(header, "DMAR", 4))
		return "the DMAR table has another signature";
	length = get32(header + 4);
	if (length < DMAR_HEADER)
		return "the DMAR table's length is less than its header's";
	if (header[36] < 11 || header[36] > 63)
		return "the DMAR table's host address width is impossible";
	table->bytes = header;
	table->size = length < size ? length : size;
	table->width = header[36] + 1u;
	table->flags = header[37];
	return NULL;
}

/** Flags and segment stand at the same place in all types that have them; what
 *  others have there means nothing. */
static void read_fields(struct dmar_record *r)
{
	const uint8_t *b = r->bytes;

	r->flags = b[4];
	r->segment = get16(b + 6);
	r->scopes = least_size[r->type];
	switch (r->type) {
	case DMAR_DRHD:
		r->size_pages = b[5] & 0xf;
		r->base = get64(b + 8);
		break;
	case DMAR_RMRR:
		r->base = get64(b + 8);
		r->limit = get64(b + 16);
		break;
	case DMAR_RHSA:
		r->base = get64(b + 8);
		r->proximity = get32(b + 16);
		r->scopes = r->size;
		break;
	case DMAR_ANDD:
		r->acpi_device = b[7];
		r->name = (const char *)b + 8;
		r->name_size = r->size - 8;
		r->scopes = r->size;
		break;
	}
}

bool dmar_next(
	const struct dmar_table *table, size_t *at, struct dmar_record *out)
{
	size_t start = *at ? *at : DMAR_HEADER;
	size_t size;

	if (start > table->size || table->size - start < 4)
		return false;
	*out = (struct dmar_record){.at = start, .bytes = table->bytes + start};
	out->type = get16(out->bytes);
	size = get16(out->bytes + 2);
	if (size < 4 || size > table->size - start)
		return false;
	if (out->type < DMAR_TYPES && size < least_size[out->type])
		return false;
	out->size = size;
	out->scopes = size;
	if (out->type < DMAR_TYPES)
		read_fields(out);
	*at = start + size;
	return true;
}

const char *dmar_record_flaw(const struct dmar_record *r)
{
	if (r->type >= DMAR_TYPES)
		return "a structure of unknown type";
	if (r->type == DMAR_DRHD && (!r->base || r->base == ~0ull))
		return "a unit without a register address";
	if (r->type == DMAR_DRHD && r->base & (PAGE_SIZE - 1))
		return "a unit whose register address is not aligned";
	if (r->type == DMAR_RMRR && r->limit <= r->base)
		return "a reserved region that ends before it starts";
	if (r->type == DMAR_ANDD && r->bytes[r->size - 1])
		return "an ACPI name without an end";
	return NULL;
}

bool dmar_scope_next(
	const struct dmar_record *record, size_t *at, struct dmar_scope *out)
{
	size_t start = *at ? *at : record->scopes;
	const uint8_t *b = record->bytes + start;
	size_t size;

	/* A scope has at least one hop: 8 bytes. Anything shorter would make
	 * the walk stand still or read beyond the structure. */
	if (start > record->size || record->size - start < 8)
		return false;
	size = b[1];
	if (size < 8 || size > record->size - start)
		return false;
	*out = (struct dmar_scope){.bytes = b,
		.type = b[0],
		.flags = b[2],
		.id = b[4],
		.bus = b[5],
		.hops = (unsigned)(size - 6) / 2,
		.path = b + 6};
	*at = start + size;
	return true;
}

static void check_scopes(
	const struct dmar_record *record, dmar_warn *warn, void *arg)
{
	size_t at = 0, end = record->scopes;
	struct dmar_scope scope;

	while (dmar_scope_next(record, &at, &scope)) {
		if (scope.type < DMAR_SCOPE_ENDPOINT ||
			scope.type > DMAR_SCOPE_ACPI)
			warn(arg, record->at + end, "a scope of unknown type");
		end = at;
	}
	if (end != record->size)
		warn(arg, record->at + end,
			"a scope with an impossible length");
}

/** Compares a unit with those before it (8.3: one INCLUDE_ALL a segment). */
static void check_unit(const struct dmar_table *table,
	const struct dmar_record *unit, dmar_warn *warn, void *arg)
{
	struct dmar_record other;
	size_t at = 0;

	while (dmar_next(table, &at, &other) && other.at != unit->at) {
		if (other.type != DMAR_DRHD)
			continue;
		if (other.base == unit->base)
			warn(arg, unit->at, "a unit named twice");
		else if (other.segment == unit->segment &&
			other.flags & unit->flags & DMAR_INCLUDE_ALL)
			warn(arg, unit->at, "a second unit for all devices");
	}
}

static void check_record(const struct dmar_table *table,
	const struct dmar_record *r, dmar_warn *warn, void *arg)
{
	const char *flaw = dmar_record_flaw(r);

	if (flaw)
		warn(arg, r->at, flaw);
	else if (r->type == DMAR_DRHD)
		check_unit(table, r, warn, arg);
	else if (r->type == DMAR_RMRR &&
		(r->base | (r->limit + 1)) & (PAGE_SIZE - 1))
		warn(arg, r->at, "a reserved region that is not page-aligned");
	check_scopes(r, warn, arg);
}

void dmar_check(const struct dmar_table *table, dmar_warn *warn, void *arg)
{
	struct dmar_record record;
	size_t at = 0, end = DMAR_HEADER;
	uint8_t sum = 0;

	if (get32(table->bytes + 4) > table->size)
		warn(arg, 4, "the table is longer than what is readable");
	for (size_t n = 0; n < table->size; n++)
		sum = (uint8_t)(sum + table->bytes[n]);
	if (sum)
		warn(arg, 9, "the checksum is wrong");
	while (dmar_next(table, &at, &record)) {
		check_record(table, &record, warn, arg);
		end = at;
	}
	if (end != table->size)
		warn(arg, end, "a structure with an impossible length");
}
