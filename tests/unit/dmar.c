/* SPDX-License-Identifier: MIT */
/*
 * The reader of the DMAR table: every structure type, every kind of damage, and
 * a hundred thousand random ones. Out-of-bounds reads end the program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iommu/decode.h>
#include "support/table.h"
#include "support/words.h"

/** A table with every structure type. */
static void all_types(struct builder *b)
{
	table_start(b);
	table_unit(b, 0, 0xfed90000);
	table_scope(b, DMAR_SCOPE_ENDPOINT, 0, 0, 1);
	table_scope(b, DMAR_SCOPE_IOAPIC, 5, 0xf0, 1);
	table_scope(b, DMAR_SCOPE_BRIDGE, 0, 0, 3);
	table_close(b);
	table_unit(b, DMAR_INCLUDE_ALL, 0xfed91000);
	table_close(b);
	table_record(b, DMAR_RMRR);
	table_put(b, 2, 0);
	table_put(b, 2, 2);
	table_put(b, 8, 0x7f000000);
	table_put(b, 8, 0x7fffffff);
	table_scope(b, DMAR_SCOPE_ENDPOINT, 0, 0, 1);
	table_close(b);
	table_record(b, DMAR_ATSR);
	table_put(b, 2, DMAR_ALL_PORTS);
	table_put(b, 2, 2);
	table_close(b);
	table_record(b, DMAR_RHSA);
	table_put(b, 4, 0);
	table_put(b, 8, 0xfed90000);
	table_put(b, 4, 3);
	table_close(b);
	table_record(b, DMAR_ANDD);
	table_put(b, 3, 0);
	table_put(b, 1, 9);
	table_put(b, 8, 0x004b42532e5fULL);
	table_close(b);
	table_record(b, DMAR_SATC);
	table_put(b, 2, 1);
	table_put(b, 2, 2);
	table_scope(b, DMAR_SCOPE_ENDPOINT, 0, 0, 1);
	table_close(b);
	table_record(b, DMAR_SIDP);
	table_put(b, 2, 0);
	table_put(b, 2, 2);
	table_scope(b, DMAR_SCOPE_ACPI, 0, 0, 1);
	table_close(b);
	table_record(b, 77);
	table_put(b, 4, 1);
	table_close(b);
	table_finish(b);
}

static unsigned warnings;
static char last_warning[100];

static void warn(void *arg, size_t at, const char *what)
{
	const struct builder *b = arg;

	assert_true(at <= sizeof(b->bytes));
	snprintf(last_warning, sizeof(last_warning), "%s", what);
	warnings++;
}

/** Walks everything from memory that ends where the table ends; returns the
 *  number of structures. */
static unsigned walk(const struct builder *b, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	struct dmar_record r;
	struct dmar_table table;
	const char *why;
	unsigned count = 0;
	size_t at = 0;

	memcpy(exact, b->bytes, size);
	warnings = 0;
	why = dmar_open(&table, exact, size);
	if (!why) {
		while (dmar_next(&table, &at, &r)) {
			struct dmar_scope s;
			size_t inner = 0;
			unsigned sum = 0;

			count++;
			dmar_record_flaw(&r);
			for (size_t n = 0; n < r.name_size; n++)
				sum += (uint8_t)r.name[n];
			while (dmar_scope_next(&r, &inner, &s))
				for (unsigned n = 0; n < 2 * s.hops; n++)
					sum += s.path[n];
			assert_true(sum < 1u << 30);
		}
		dmar_check(&table, warn, (void *)b);
	}
	free(exact);
	return count;
}

static void every_type_is_read(void **state)
{
	struct dmar_table table;
	struct dmar_record r;
	struct dmar_scope s;
	struct builder b;
	size_t at = 0, inner = 0;

	(void)state;
	all_types(&b);
	assert_int_equal(walk(&b, b.size), 9);
	assert_int_equal(warnings, 1);
	assert_string_equal(last_warning, "a structure of unknown type");
	words_start();
	assert_int_equal(
		iommu_decode_dmar(b.bytes, b.size, words_sink, NULL), IOMMU_OK);
	words_have("unknown structure 77\n");
	words_have("  ACPI device 0 at 00:");
	words_have("  I/O APIC 5 at f0:");
	words_have("  endpoint at 00:");
	assert_null(dmar_open(&table, b.bytes, b.size));
	assert_int_equal(table.width, 46);
	assert_int_equal(table.flags, DMAR_INTR_REMAP);

	assert_true(dmar_next(&table, &at, &r));
	assert_int_equal(r.type, DMAR_DRHD);
	assert_int_equal(r.base, 0xfed90000);
	assert_int_equal(r.segment, 2);
	assert_int_equal(r.size_pages, 3);
	assert_true(dmar_scope_next(&r, &inner, &s));
	assert_true(dmar_scope_next(&r, &inner, &s));
	assert_int_equal(s.type, DMAR_SCOPE_IOAPIC);
	assert_int_equal(s.id, 5);
	assert_int_equal(s.bus, 0xf0);
	assert_true(dmar_scope_next(&r, &inner, &s));
	assert_int_equal(s.hops, 3);
	assert_int_equal(s.path[0], 3);
	assert_false(dmar_scope_next(&r, &inner, &s));

	assert_null(dmar_record_flaw(&r));
	for (uint64_t bit = 1; bit < 4096; bit *= 2) {
		r.base = 0xfed90000 | bit;
		assert_non_null(dmar_record_flaw(&r));
	}

	assert_true(dmar_next(&table, &at, &r));
	assert_int_equal(r.flags, DMAR_INCLUDE_ALL);
	assert_true(dmar_next(&table, &at, &r));
	assert_int_equal(r.base, 0x7f000000);
	assert_int_equal(r.limit, 0x7fffffff);
	assert_null(dmar_record_flaw(&r));
	r.limit = r.base;
	assert_non_null(dmar_record_flaw(&r));
	assert_true(dmar_next(&table, &at, &r));
	assert_int_equal(r.flags, DMAR_ALL_PORTS);
	assert_true(dmar_next(&table, &at, &r));
	assert_int_equal(r.proximity, 3);
	assert_true(dmar_next(&table, &at, &r));
	assert_int_equal(r.acpi_device, 9);
	assert_null(dmar_record_flaw(&r));
}

static void damage_is_named(void **state)
{
	struct dmar_table table;
	struct builder b;

	(void)state;
	all_types(&b);
	assert_non_null(dmar_open(&table, b.bytes, 47));
	b.bytes[0] = 'X';
	assert_non_null(dmar_open(&table, b.bytes, b.size));
	all_types(&b);
	b.bytes[36] = 10;
	assert_non_null(dmar_open(&table, b.bytes, b.size));
	b.bytes[36] = 255;
	assert_non_null(dmar_open(&table, b.bytes, b.size));

	/* Length 0, 3, and beyond the end of the second structure. */
	for (unsigned n = 0; n < 3; n++) {
		static const uint16_t length[] = {0, 3, 0x4000};
		struct dmar_record r;
		size_t at = 0;

		all_types(&b);
		assert_null(dmar_open(&table, b.bytes, b.size));
		assert_true(dmar_next(&table, &at, &r));
		b.bytes[at + 2] = (uint8_t)length[n];
		b.bytes[at + 3] = (uint8_t)(length[n] >> 8);
		table_finish(&b);
		assert_int_equal(walk(&b, b.size), 1);
		assert_string_equal(
			last_warning, "a structure with an impossible length");
	}

	/* A scope of length 0 must not hold the walk up. */
	all_types(&b);
	b.bytes[48 + 16 + 1] = 0;
	table_finish(&b);
	assert_int_equal(walk(&b, b.size), 9);
	assert_int_equal(warnings, 2);

	table_start(&b);
	table_unit(&b, 0, 0);
	table_close(&b);
	table_unit(&b, DMAR_INCLUDE_ALL, 0x1000);
	table_close(&b);
	table_unit(&b, DMAR_INCLUDE_ALL, 0x2000);
	table_close(&b);
	table_unit(&b, 0, 0x1000);
	table_close(&b);
	table_finish(&b);
	b.bytes[9] ^= 1;
	assert_int_equal(walk(&b, b.size), 4);
	assert_int_equal(warnings, 4);
}

static void truncation_anywhere_is_survived(void **state)
{
	struct builder b;

	(void)state;
	all_types(&b);
	for (size_t size = 0; size <= b.size; size++)
		assert_true(walk(&b, size) <= 9);
}

static void random_damage_is_survived(void **state)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1;

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	srand((unsigned)seed);
	for (unsigned n = 0; n < 100000; n++) {
		struct builder b;

		all_types(&b);
		for (unsigned k = rand() % 8; k < 8; k++)
			b.bytes[8 + (unsigned)rand() % (b.size - 8)] =
				(uint8_t)rand();
		walk(&b, b.size);
	}
}

/** Only a unit is a second one, whatever else stands at its address. */
static void others_are_no_second_unit(void **state)
{
	struct dmar_table table;
	struct builder b;

	(void)state;
	table_start(&b);
	table_record(&b, DMAR_RHSA);
	table_put(&b, 4, 0);
	table_put(&b, 8, 0xfed90000);
	table_put(&b, 4, 3);
	table_close(&b);
	table_reserved(&b, 0, 0xfed90000, 0xfed90fff);
	table_close(&b);
	table_unit(&b, DMAR_INCLUDE_ALL, 0xfed90000);
	table_close(&b);
	table_finish(&b);
	assert_null(dmar_open(&table, b.bytes, b.size));
	warnings = 0;
	dmar_check(&table, warn, &b);
	assert_int_equal(warnings, 0);
	table_unit(&b, 0, 0xfed90000);
	table_close(&b);
	table_finish(&b);
	assert_null(dmar_open(&table, b.bytes, b.size));
	dmar_check(&table, warn, &b);
	assert_int_equal(warnings, 1);
	assert_string_equal(last_warning, "a unit named twice");
}

/** The first type that there is and the last, and those beside them. */
static void scope_types_are_known_or_named(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool known = type >= 1 && type <= 5;
		struct dmar_table table;
		struct builder b;

		table_start(&b);
		table_unit(&b, 0, 0xfed90000);
		table_scope(&b, type, 0, 0, 1);
		table_scope(&b, DMAR_SCOPE_ENDPOINT, 0, 0, 1);
		table_close(&b);
		table_finish(&b);
		assert_null(dmar_open(&table, b.bytes, b.size));
		warnings = 0;
		dmar_check(&table, warn, &b);
		assert_int_equal(warnings, !known);
		if (!known)
			assert_string_equal(
				last_warning, "a scope of unknown type");
	}
}

/** A table of nothing but a structure of this type and size, each byte of which
 *  says where it is. */
static struct dmar_table table_of_one(
	uint8_t bytes[512], unsigned type, size_t size)
{
	struct dmar_table table;

	memset(bytes, 0, 512);
	memcpy(bytes, "DMAR", 4);
	bytes[4] = (uint8_t)(48 + size);
	bytes[36] = 45;
	for (size_t n = 4; n < size; n++)
		bytes[48 + n] = (uint8_t)(n + 1);
	bytes[48] = (uint8_t)type;
	bytes[50] = (uint8_t)size;
	assert_null(dmar_open(&table, bytes, 512));
	assert_int_equal(table.size, 48 + size);
	return table;
}

/** No byte of a field is taken for another's (VT-d 8.3 to 8.9). */
static void fields_are_read_whole(void **state)
{
	uint8_t bytes[512];

	(void)state;
	for (unsigned type = 0; type < DMAR_TYPES; type++) {
		struct dmar_table table = table_of_one(bytes, type, 32);
		struct dmar_record r;
		size_t at = 0;

		assert_true(dmar_next(&table, &at, &r));
		assert_int_equal(r.type, type);
		assert_int_equal(r.at, 48);
		assert_int_equal(r.size, 32);
		assert_int_equal(r.flags, 5);
		assert_int_equal(r.segment, 0x0807);
		switch (type) {
		case DMAR_DRHD:
			assert_true(r.base == 0x100f0e0d0c0b0a09ull);
			assert_int_equal(r.size_pages, 6);
			assert_int_equal(r.scopes, 16);
			break;
		case DMAR_RMRR:
			assert_true(r.base == 0x100f0e0d0c0b0a09ull);
			assert_true(r.limit == 0x1817161514131211ull);
			assert_int_equal(r.scopes, 24);
			break;
		case DMAR_RHSA:
			assert_true(r.base == 0x100f0e0d0c0b0a09ull);
			assert_int_equal(r.proximity, 0x14131211);
			assert_int_equal(r.scopes, 32);
			break;
		case DMAR_ANDD:
			assert_int_equal(r.acpi_device, 8);
			assert_int_equal(r.name_size, 24);
			assert_int_equal(*(const uint8_t *)r.name, 9);
			assert_int_equal(r.scopes, 32);
			break;
		default:
			assert_int_equal(r.scopes, 8);
		}
		assert_int_equal(at, 80);
		assert_false(dmar_next(&table, &at, &r));
	}
}

/** A structure is as long as its fields at least, and ends with the table at
 *  most; a scope likewise, in its structure. */
static void lengths_have_borders(void **state)
{
	static const uint8_t least[] = {16, 24, 8, 20, 9, 8, 8};
	struct dmar_record r;
	struct dmar_scope scope;
	uint8_t bytes[512];

	(void)state;
	for (unsigned type = 0; type < 8; type++) {
		size_t min = type < 7 ? least[type] : 4;

		for (size_t size = 0; size < 40; size++) {
			struct dmar_table table =
				table_of_one(bytes, type, size);
			size_t at = 0;

			assert_int_equal(
				dmar_next(&table, &at, &r), size >= min);
			assert_int_equal(at, size >= min ? 48 + size : 0);
			/* One byte less of the table. */
			table.size--;
			at = 0;
			assert_false(dmar_next(&table, &at, &r));
		}
	}
	for (size_t length = 0; length < 20; length++)
		for (size_t room = 0; room < 20; room++) {
			struct dmar_table table =
				table_of_one(bytes, DMAR_SATC, 8 + room);
			size_t at = 0, in = 0;
			bool fits = length >= 8 && length <= room;

			bytes[48 + 8 + 1] = (uint8_t)length;
			assert_true(dmar_next(&table, &at, &r));
			assert_int_equal(
				dmar_scope_next(&r, &in, &scope), fits);
			if (!fits)
				continue;
			assert_int_equal(in, 8 + length);
			assert_int_equal(scope.type, 9);
			assert_int_equal(scope.flags, 11);
			assert_int_equal(scope.id, 13);
			assert_int_equal(scope.bus, 14);
			assert_int_equal(scope.hops, (length - 6) / 2);
			assert_int_equal(scope.path[0], 15);
		}
}

static void structure_types_are_known_or_named(void **state)
{
	uint8_t bytes[512];

	(void)state;
	for (unsigned type = 0; type < 20; type++) {
		struct dmar_table table = table_of_one(bytes, type, 32);
		struct dmar_record r;
		const char *flaw;
		size_t at = 0;

		assert_true(dmar_next(&table, &at, &r));
		flaw = dmar_record_flaw(&r);
		assert_int_equal(
			flaw && !strcmp(flaw, "a structure of unknown type"),
			type > DMAR_SIDP);
	}
}

/** Host address widths of 12 to 64 bits. */
static void headers_have_borders(void **state)
{
	uint8_t bytes[512];

	(void)state;
	table_of_one(bytes, DMAR_DRHD, 16);
	for (unsigned width = 0; width < 256; width++) {
		struct dmar_table table;
		const char *flaw;

		bytes[36] = (uint8_t)width;
		flaw = dmar_open(&table, bytes, 512);
		assert_int_equal(!flaw, width >= 11 && width <= 63);
		if (!flaw)
			assert_int_equal(table.width, width + 1);
	}
	bytes[36] = 45;
	for (size_t size = 0; size < 100; size++) {
		struct dmar_table table;

		assert_int_equal(!dmar_open(&table, bytes, size), size >= 48);
		if (size >= 48)
			assert_int_equal(table.size, size < 64 ? size : 64);
		bytes[4] = (uint8_t)size;
		assert_int_equal(!dmar_open(&table, bytes, 512), size >= 48);
		bytes[4] = 64;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(truncation_anywhere_is_survived),
		cmocka_unit_test(random_damage_is_survived),
		cmocka_unit_test(others_are_no_second_unit),
		cmocka_unit_test(scope_types_are_known_or_named),
		cmocka_unit_test(fields_are_read_whole),
		cmocka_unit_test(lengths_have_borders),
		cmocka_unit_test(structure_types_are_known_or_named),
		cmocka_unit_test(headers_have_borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
