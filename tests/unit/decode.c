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
	caps(1ull << 34, 0);
	assert_non_null(strstr(text, " page sizes: 4K 2M\n"));
	caps(1ull << 35, 0);
	assert_non_null(strstr(text, " page sizes: 4K 1G\n"));
	caps(~0ull, ~0ull);
	for (const struct model_personality *k = model_personalities; k->name;
		k++) {
		caps(k->cap, k->ecap);
		assert_null(strstr(text, "unknown"));
	}
}

/** Every line of two units, and of entries of every level. */
static void words_are_these(void **state)
{
	static const char one[] =
		" version: 5.2\n"
		" capabilities = 0x00d2078c226f0696\n"
		" mgaw: 48\n"
		" sagaw (paging level): 0x6\n"
		" caching mode: yes (1)\n"
		" zlr: 0x1\n"
		" rwbf: required\n"
		" num domains: 65536\n"
		" supports protected high-memory region: no\n"
		" supports Protected low-memory region: no\n"
		" page sizes: 4K 2M 1G\n"
		" page-selective flush: yes, at most 262144 pages\n"
		" drain: read yes, write yes\n"
		" fault records: 8 at 0x220\n"
		" ext. capabilities = 0x0000000000f010df\n"
		" pass through: yes\n"
		" device iotlb: yes\n"
		" iotlb register offset: 0x100\n"
		" snoop control: yes\n"
		" coherency: yes\n"
		" queue invalidation support: yes\n"
		" interrupt remapping support: yes\n"
		" extended interrupt mode: 0x1\n"
		" largest interrupt flush: 32768 entries\n";
	static const char other[] =
		" version: 1.0\n"
		" capabilities = 0x8005008c00001f22\n"
		" mgaw: 1\n"
		" sagaw (paging level): 0x1f\n"
		" caching mode: no (0)\n"
		" zlr: 0x0\n"
		" rwbf: not required\n"
		" num domains: 256\n"
		" supports protected high-memory region: no\n"
		" supports Protected low-memory region: yes\n"
		" page sizes: 4K 2M 1G\n"
		" page-selective flush: yes, at most 32 pages\n"
		" drain: read no, write no\n"
		" fault records: 1 at 0x0\n"
		" has: setting the root table pointer flushes\n"
		" ext. capabilities = 0x0000080000000300\n"
		" pass through: no\n"
		" device iotlb: no\n"
		" iotlb register offset: 0x30\n"
		" snoop control: no\n"
		" coherency: no\n"
		" queue invalidation support: no\n"
		" interrupt remapping support: no\n"
		" extended interrupt mode: 0x0\n"
		" largest interrupt flush: 1 entries\n"
		" has: scalable mode\n";

	(void)state;
	text[0] = '\0';
	iommu_decode_capabilities(
		0x52, 0x00d2078c226f0696, 0x00f010df, collect, NULL);
	assert_string_equal(text, one);
	text[0] = '\0';
	iommu_decode_capabilities(
		0x10, 0x8005008c00001f22, 1ull << 43 | 0x300, collect, NULL);
	assert_string_equal(text, other);
}

static void entries_in_words(void **state)
{
	static const struct {
		unsigned level;
		uint64_t low, high;
		const char *words;
	} row[] = {
		{7, 0x0, 0x0, "not present\n"},
		{7, 0x12345001, 0x0, "table at 0x12345000\n"},
		{7, 0xffff, 0xffffffffffffffff, "table at 0xf000\n"},
		{6, 0x0, 0x1, "not present\n"},
		{6, 0x5002, 0x1, "not present\n"},
		{6, 0x5003, 0x702,
			"tables, 4 levels, domain 7, tables at 0x5000, faults "
			"not reported\n"},
		{6, 0x500d, 0x10001,
			"reserved type, 3 levels, domain 256, tables at "
			"0x5000\n"},
		{6, 0x5009, 0x3,
			"pass-through, 5 levels, domain 0, tables at 0x5000\n"},
		{6, 0x5005, 0x1,
			"tables, device TLB, 3 levels, domain 0, tables at "
			"0x5000\n"},
		{5, 0x6003, 0x0, "table at 0x6000, read, write\n"},
		{4, 0x6001, 0x0, "table at 0x6000, read\n"},
		{3, 0x40000083, 0x0, "page at 0x40000000, read, write\n"},
		{3, 0x7002, 0x0, "table at 0x7000, write\n"},
		{2, 0x200881, 0x0, "page at 0x200000, read, snooped\n"},
		{2, 0x8003, 0x0, "table at 0x8000, read, write\n"},
		{1, 0x9802, 0x0, "page at 0x9000, write, snooped\n"},
		{1, 0x9084, 0x0, "not present\n"},
		{4, 0x6083, 0x0, "table at 0x6000, read, write\n"},
		{1, 0xfffffffffffff003, 0x0,
			"page at 0xffffffffff000, read, write\n"},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		text[0] = '\0';
		iommu_decode_entry(
			row[n].level, row[n].low, row[n].high, collect, NULL);
		assert_string_equal(text, row[n].words);
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
		cmocka_unit_test(words_are_these),
		cmocka_unit_test(entries_in_words),
		cmocka_unit_test(tables_in_words),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
