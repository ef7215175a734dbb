/* SPDX-License-Identifier: MIT */
/*
 * Registers and tables in words: known ones read as documented, unknown bits
 * are named, and no bytes are too strange.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <iommu/decode.h>
#include <iommu/fault.h>
#include <model/model.h>

static char text[1 << 20];

static void collect(void *arg, const char *piece, size_t length)
{
	size_t used = strlen(text);

	(void)arg;
	assert_true(used + length < sizeof(text));
	memcpy(text + used, piece, length);
	text[used + length] = '\0';
}

static const char *caps(uint64_t cap, uint64_t ecap)
{
	text[0] = '\0';
	iommu_decode_capabilities(0x10, cap, ecap, collect, NULL);
	return text;
}

static void capabilities_in_words(void **state)
{
	(void)state;
	caps(0x00d2008c222f0686, 0xf46);
	assert_non_null(strstr(text, " version: 1.0\n"));
	assert_non_null(strstr(text, " caching mode: yes (1)\n"));
	assert_non_null(strstr(text, " num domains: 65536\n"));
	assert_non_null(strstr(text, " device iotlb: yes\n"));
	assert_non_null(strstr(text, " fault records: 1 at 0x220\n"));
	assert_null(strstr(text, "unknown"));
	caps(1ull << 63, 1ull << 43 | 1ull << 52);
	assert_non_null(strstr(text, "setting the root table pointer"));
	assert_non_null(strstr(text, " has: scalable mode\n"));
	assert_non_null(strstr(text, " has: abort-DMA mode\n"));
	caps(1ull << 38, 1ull << 63);
	assert_non_null(strstr(text, "unknown bits in capabilities: 0x40"));
	assert_non_null(strstr(text, "unknown bits in ext. capabilities: 0x8"));
	caps(~0ull, ~0ull);
	for (const struct model_personality *k = model_personalities; k->name;
		k++) {
		caps(k->cap, k->ecap);
		assert_null(strstr(text, "unknown"));
	}
}

static void tables_in_words(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_BENIGN, 1);
	uint8_t table[4096];
	size_t size = model_dmar(m, table, sizeof(table));

	(void)state;
	text[0] = '\0';
	assert_int_equal(
		iommu_decode_dmar(table, size, collect, NULL), IOMMU_OK);
	assert_non_null(strstr(text, "unit at 0xfed90000, segment 0"));
	assert_non_null(strstr(text, "  I/O APIC 2 at f0:1f.0\n"));
	assert_null(strstr(text, "warning"));
	table[0] = 'X';
	text[0] = '\0';
	assert_int_equal(
		iommu_decode_dmar(table, size, collect, NULL), IOMMU_BAD_TABLE);
	assert_non_null(strstr(text, "signature"));
	model_destroy(m);
}

static void any_bytes_are_survived(void **state)
{
	uint8_t table[300];

	(void)state;
	srand(1);
	for (unsigned n = 0; n < 20000; n++) {
		for (unsigned k = 0; k < sizeof(table); k++)
			table[k] = (uint8_t)(rand() % (k % 5 ? 256 : 20));
		memcpy(table, "DMAR\x2c\x01\0\0", 8);
		table[36] = 45;
		text[0] = '\0';
		assert_int_equal(
			iommu_decode_dmar(table, sizeof(table), collect, NULL),
			IOMMU_OK);
		text[0] = '\0';
		iommu_decode_entry(n % 9, (uint64_t)rand() << 20 ^ n,
			(uint64_t)rand() << 8, collect, NULL);
		assert_true(text[0]);
	}
}

static void every_reason_has_words(void **state)
{
	static const uint8_t known[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
		13, 14, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26};

	(void)state;
	for (unsigned n = 0; n < sizeof(known); n++)
		assert_string_not_equal(
			iommu_fault_text(known[n]), "unknown reason");
	assert_string_equal(iommu_fault_text(0xff), "unknown reason");
	for (unsigned n = 0; n < IOMMU_STATUS_COUNT; n++)
		assert_string_not_equal(iommu_status_text((enum iommu_status)n),
			"unknown status");
	assert_string_equal(
		iommu_status_text(IOMMU_STATUS_COUNT), "unknown status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_in_words),
		cmocka_unit_test(tables_in_words),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
