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

bool dmar_open(struct dmar_table *table, const void *bytes, size_t size,
	const char **out_why)
{
	const uint8_t *header = bytes;
	uint32_t length;

	if (size < DMAR_HEADER) {
		*out_why = "the DMAR table is shorter than its header";
		return false;
	}
	if (memcmp(header, "DMAR", 4)) {
		*out_why = "the DMAR table has another signature";
		return false;
	}
	length = get32(header + 4);
	if (length < DMAR_HEADER) {
		*out_why = "the DMAR table's length is less than its header's";
		return false;
	}
	if (header[36] < 11 || header[36] > 63) {
		*out_why = "the DMAR table's host address width is impossible";
		return false;
	}
	table->bytes = header;
	table->size = length < size ? length : size;
	table->width = header[36] + 1u;
	table->flags = header[37];
	return true;
}

static void read_fields(struct dmar_record *r)
{
	const uint8_t *b = r->bytes;

	switch (r->type) {
	case DMAR_DRHD:
		r->flags = b[4];
		r->size_pages = b[5] & 0xf;
		r->segment = get16(b + 6);
		r->base = get64(b + 8);
		r->scopes = 16;
		break;
	case DMAR_RMRR:
		r->segment = get16(b + 6);
		r->base = get64(b + 8);
		r->limit = get64(b + 16);
		r->scopes = 24;
		break;
	case DMAR_RHSA:
		r->base = get64(b + 8);
		r->proximity = get32(b + 16);
		break;
	case DMAR_ANDD:
		r->acpi_device = b[7];
		r->name = (const char *)b + 8;
		r->name_size = r->size - 8;
		break;
	default: /* ATSR, SATC, SIDP */
		r->flags = b[4];
		r->segment = get16(b + 6);
		r->scopes = 8;
	}
}

bool dmar_next(
	const struct dmar_table *table, size_t *at, struct dmar_record *out)
{
	size_t start = *at ? *at : DMAR_HEADER;
	size_t size;

	if (start > table->size || table->size - start < 4)
		return false;
	*out = (struct dmar_record){.bytes = table->bytes + start};
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
	switch (r->type) {
	case DMAR_DRHD:
		if (!r->base || r->base == ~0ull)
			return "a unit without a register address";
		if (r->base & (PAGE_SIZE - 1))
			return "a unit whose register address is not aligned";
		return NULL;
	case DMAR_RMRR:
		if (r->limit <= r->base)
			return "a reserved region that ends before it starts";
		return NULL;
	case DMAR_ATSR:
	case DMAR_RHSA:
	case DMAR_SATC:
	case DMAR_SIDP:
		return NULL;
	case DMAR_ANDD:
		if (r->bytes[r->size - 1])
			return "an ACPI name without an end";
		return NULL;
	}
	return "a structure of unknown type";
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
	*out = (struct dmar_scope){.type = b[0],
		.flags = b[2],
		.id = b[4],
		.bus = b[5],
		.hops = (unsigned)(size - 6) / 2,
		.path = b + 6};
	*at = start + size;
	return true;
}

static void check_scopes(const struct dmar_table *table,
	const struct dmar_record *record, dmar_warn *warn, void *arg)
{
	size_t offset = (size_t)(record->bytes - table->bytes);
	size_t at = 0, end = record->scopes;
	struct dmar_scope scope;

	while (dmar_scope_next(record, &at, &scope)) {
		if (scope.type < DMAR_SCOPE_ENDPOINT ||
			scope.type > DMAR_SCOPE_ACPI)
			warn(arg, offset + end, "a scope of unknown type");
		end = at;
	}
	if (end != record->size)
		warn(arg, offset + end, "a scope with an impossible length");
}

/** Compares a unit with those before it (8.3: one INCLUDE_ALL a segment). */
static void check_unit(const struct dmar_table *table,
	const struct dmar_record *unit, dmar_warn *warn, void *arg)
{
	size_t offset = (size_t)(unit->bytes - table->bytes);
	struct dmar_record other;
	size_t at = 0;

	while (dmar_next(table, &at, &other) && other.bytes != unit->bytes) {
		if (other.type != DMAR_DRHD)
			continue;
		if (other.base == unit->base)
			warn(arg, offset, "a unit named twice");
		else if (other.segment == unit->segment &&
			other.flags & unit->flags & DMAR_INCLUDE_ALL)
			warn(arg, offset, "a second unit for all devices");
	}
}

static void check_region(const struct dmar_table *table,
	const struct dmar_record *region, dmar_warn *warn, void *arg)
{
	size_t offset = (size_t)(region->bytes - table->bytes);

	if (region->base & (PAGE_SIZE - 1) ||
		(region->limit + 1) & (PAGE_SIZE - 1))
		warn(arg, offset, "a reserved region that is not page-aligned");
}

static void check_record(const struct dmar_table *table,
	const struct dmar_record *record, dmar_warn *warn, void *arg)
{
	const char *flaw = dmar_record_flaw(record);

	if (flaw)
		warn(arg, (size_t)(record->bytes - table->bytes), flaw);
	else if (record->type == DMAR_DRHD)
		check_unit(table, record, warn, arg);
	else if (record->type == DMAR_RMRR)
		check_region(table, record, warn, arg);
	check_scopes(table, record, warn, arg);
}

void dmar_check(const struct dmar_table *table, dmar_warn *warn, void *arg)
{
	struct dmar_record record;
	size_t at = 0, end = DMAR_HEADER, n;
	uint8_t sum = 0;

	if (get32(table->bytes + 4) > table->size)
		warn(arg, 4, "the table is longer than what is readable");
	for (n = 0; n < table->size; n++)
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
