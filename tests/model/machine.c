/* SPDX-License-Identifier: MIT */
/*
 * The machine around the units: its DMAR table, configuration space, requester
 * ids and kinds of units, and the hooks that lend it to a host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "support/attached.h"

static uint64_t le(const uint8_t *p, unsigned width)
{
	uint64_t v = 0;

	while (width--)
		v = v << 8 | p[width];
	return v;
}

/* ---- the DMAR table --------------------------------------------------------
 */

static void dmar_byte_by_byte(void **state)
{
	static const struct model_function_desc f[] = {
		{.bdf = MODEL_BDF(0, 0x1c, 3),
			.kind = MODEL_ROOT_PORT,
			.secondary = 1,
			.subordinate = 4,
			.unit = -1},
		{.bdf = MODEL_BDF(1, 2, 0),
			.kind = MODEL_UPSTREAM,
			.secondary = 2,
			.subordinate = 2,
			.unit = 0},
		{.bdf = MODEL_BDF(2, 5, 1), .kind = MODEL_ENDPOINT, .unit = 0},
		{.bdf = MODEL_BDF(0, 7, 6),
			.kind = MODEL_INTEGRATED,
			.unit = 0},
		{.bdf = MODEL_BDF(0, 8, 0),
			.kind = MODEL_INTEGRATED,
			.unit = 1}};
	static const struct model_rmrr_desc rmrr = {.segment = 0,
		.base = 0x123456789000,
		.limit = 0x12345678afff,
		.bdf = MODEL_BDF(2, 5, 1)};
	static const struct model_ioapic_desc ioapic = {
		.id = 9, .bdf = MODEL_BDF(0xf0, 0x1f, 7), .unit = 1};
	static const uint8_t first[] = {/* A unit of four pages: the bridge
					   00:1c.3, 01:02.0, and 00:07.6 */
		0, 0, 34, 0, 0, 2, 0, 0, 0, 0, 0, 0xab, 0, 0, 0, 0, /* head */
		2, 10, 0, 0, 0, 0, 0x1c, 3, 2, 0,                   /* bridge */
		1, 8, 0, 0, 0, 0, 7, 6};
	static const uint8_t second[] = {0, 0, 24, 0, 1, 0, 0, 0, 0, 0, 0xda,
		0xfe, 0, 0, 0, 0, 3, 8, 0, 0, 9, 0xf0, 0x1f, 7};
	static const uint8_t third[] = {1, 0, 36, 0, 0, 0, 0, 0, 0, 0x90, 0x78,
		0x56, 0x34, 0x12, 0, 0, 0xff, 0xaf, 0x78, 0x56, 0x34, 0x12, 0,
		0, 1, 12, 0, 0, 0, 0, 0x1c, 3, 2, 0, 5, 1};
	static const uint8_t last[] = {2, 0, 8, 0, 1, 0, 0, 0};
	struct model_unit_desc unit[] = {
		{.kind = model_personality_find("far-registers"),
			.base = 0xab000000},
		{.kind = model_personality_find("plain"),
			.include_all = true,
			.base = 0xfeda0000}};
	struct model_desc desc = {.units = unit,
		.unit_count = 2,
		.functions = f,
		.function_count = 5,
		.rmrrs = &rmrr,
		.rmrr_count = 1,
		.ioapics = &ioapic,
		.ioapic_count = 1};
	struct model *m = model_create(&desc);
	const size_t sizes[] = {
		sizeof first, sizeof second, sizeof third, sizeof last};
	const uint8_t *const parts[] = {first, second, third, last};
	uint8_t table[256];
	size_t at = 48, len;

	(void)state;
	assert_non_null(m);
	memset(table, 0x77, sizeof table);
	len = model_dmar(m, table, sizeof table);
	assert_int_equal(len, 48 + 34 + 24 + 36 + 8);
	for (unsigned i = 0; i < 4; at += sizes[i++])
		assert_memory_equal(table + at, parts[i], sizes[i]);
	assert_memory_equal(table, "DMAR", 4);
	assert_int_equal(le(table + 4, 4), len);
	assert_int_equal(table[8], 1);
	assert_memory_equal(
		table + 10, "MODEL VTDMODEL\1\0\0\0MODL\1\0\0\0", 26);
	assert_int_equal(table[36], 45);
	assert_int_equal(le(table + 37, 8) >> 8, 0);
	assert_int_equal(table[37], 1);
	/* Nothing behind it, and too little room is none. */
	assert_int_equal(table[len], 0x77);
	memset(table, 0x77, sizeof table);
	assert_int_equal(model_dmar(m, table, len - 1), len);
	assert_int_equal(table[len - 1], 0x77);
	model_destroy(m);
}

/* ---- configuration space ----------------------------------------------------
 */

static uint32_t config(
	struct model *m, uint16_t bdf, unsigned at, unsigned width)
{
	return model_pci_read(
		m, 0, (uint8_t)(bdf >> 8), (uint8_t)bdf, (uint16_t)at, width);
}

static void headers_of_functions(void **state)
{
	static const struct {
		enum model_function_kind kind;
		int type; /* of PCI Express; -1: none */
		bool bridge;
	} kinds[] = {{MODEL_ENDPOINT, 0, false}, {MODEL_INTEGRATED, 9, false},
		{MODEL_CONVENTIONAL, -1, false}, {MODEL_ROOT_PORT, 4, true},
		{MODEL_UPSTREAM, 5, true}, {MODEL_DOWNSTREAM, 6, true},
		{MODEL_PCIE_TO_PCI, 7, true}, {MODEL_PCI_TO_PCI, -1, true}};
	struct model_unit_desc unit = {
		.kind = model_personality_find("plain"), .include_all = true};

	(void)state;
	for (unsigned n = 0; n < 32; n++) {
		unsigned k = n % 8;
		bool ats = n & 8, acs = n & 16;
		uint16_t bdf = MODEL_BDF(3, 4, 5);
		struct model_function_desc f = {.bdf = bdf,
			.kind = kinds[k].kind,
			.unit = -1,
			.secondary = 7,
			.subordinate = acs ? 9 : 0,
			.vendor = acs ? 0x8086 : 0,
			.device = acs ? 0x4321 : 0,
			.class_code = ats ? 0x123456 : 0,
			.multifunction = ats,
			.ats = ats,
			.acs = acs};
		struct model_desc desc = {.units = &unit,
			.unit_count = 1,
			.functions = &f,
			.function_count = 1};
		struct model *m = model_create(&desc);

		assert_int_equal(
			config(m, bdf, 0, 4), acs ? 0x43218086 : 0x11e81234);
		assert_int_equal(config(m, bdf, 6, 2), 0x10);
		assert_int_equal(config(m, bdf, 8, 4) >> 8,
			ats                       ? 0x123456
				: kinds[k].bridge ? 0x060400
						  : 0x00ff00);
		assert_int_equal(config(m, bdf, 0xe, 1),
			kinds[k].bridge | (ats ? 0x80 : 0));
		if (kinds[k].bridge)
			assert_int_equal(config(m, bdf, 0x18, 4),
				acs ? 0x090703 : 0x070703);
		assert_int_equal(config(m, bdf, 0x34, 1), 0x50);
		assert_int_equal(config(m, bdf, 0x50, 4),
			0x00800005 | (kinds[k].type < 0 ? 0 : 0x8000));
		if (kinds[k].type < 0) {
			assert_int_equal(config(m, bdf, 0x80, 4), 0);
			assert_int_equal(config(m, bdf, 0x100, 4), 0);
		} else {
			assert_int_equal(config(m, bdf, 0x80, 4),
				0x00020010 | kinds[k].type << 20);
			assert_int_equal(config(m, bdf, 0x84, 4), 1u << 28);
			assert_int_equal(config(m, bdf, 0x100, 4),
				(ats                  ? 0x1000fu
						: acs ? 0x1000bu
						      : 0) |
					(acs ? 0x140u << 20 : 0));
			assert_int_equal(
				config(m, bdf, 0x140, 4), acs ? 0x1000d : 0);
			assert_int_equal(
				config(m, bdf, 0x144, 2), acs ? 0x5f : 0);
			assert_int_equal(config(m, bdf, 0x104, 4),
				ats           ? 0x20
					: acs ? 0x01000000
					      : 0);
		}
		model_destroy(m);
	}
}

static void reads_and_writes_of_all_widths(void **state)
{
	(void)state;
	cold("plain");
	model_pci_write(d.m, 0, 0, (uint8_t)DEV, 0x10, 4, 0x12345678);
	assert_int_equal(config(d.m, DEV, 0x10, 4), 0x12345678);
	assert_int_equal(config(d.m, DEV, 0x10, 2), 0x5678);
	assert_int_equal(config(d.m, DEV, 0x12, 2), 0x1234);
	assert_int_equal(config(d.m, DEV, 0x13, 1), 0x12);
	model_pci_write(d.m, 0, 1, 0, 0x10, 4, 0xabcdef01);
	assert_int_equal(config(d.m, MODEL_BDF(1, 0, 0), 0x10, 4), 0xabcdef01);
	assert_int_equal(config(d.m, MODEL_BDF(1, 0, 0), 0x12, 1), 0xcd);
	model_pci_write(d.m, 0, 0, (uint8_t)DEV, 0x11, 1, 0xab);
	assert_int_equal(config(d.m, DEV, 0x10, 4), 0x1234ab78);
	/* Nobody there, odd places, beyond the end, another segment. */
	assert_int_equal(config(d.m, MODEL_BDF(9, 0, 0), 0, 4), 0xffffffff);
	assert_int_equal(config(d.m, MODEL_BDF(9, 0, 0), 0, 2), 0xffff);
	assert_int_equal(config(d.m, DEV, 0x11, 2), 0xffff);
	assert_int_equal(config(d.m, DEV, 0x1000, 1), 0xff);
	assert_int_equal(config(d.m, DEV, 0xffc, 4), 0);
	assert_int_equal(
		model_pci_read(d.m, 1, 0, (uint8_t)DEV, 0, 4), 0xffffffff);
	model_pci_write(d.m, 0, 9, 0, 0x10, 4, 1);
	model_pci_write(d.m, 0, 0, (uint8_t)DEV, 0x1000, 4, 1);
	/* Who it is cannot be changed. */
	for (unsigned at = 0; at < 0x38; at += 4) {
		uint32_t was = config(d.m, DEV, at, 4);
		bool fixed = at == 0 || at == 8 || at == 12;

		model_pci_write(d.m, 0, 0, (uint8_t)DEV, (uint16_t)at, 4, ~was);
		assert_int_equal(config(d.m, DEV, at, 4),
			fixed                ? was
				: at == 0x34 ? (~was & ~0xffu) | 0x50
					     : ~was);
	}
	mini_close(&d, true);
}

static void requester_ids(void **state)
{
	static const struct model_function_desc f[] = {
		{.bdf = MODEL_BDF(0, 1, 0),
			.kind = MODEL_PCIE_TO_PCI,
			.secondary = 1,
			.subordinate = 2,
			.unit = -1},
		{.bdf = MODEL_BDF(1, 3, 0),
			.kind = MODEL_PCI_TO_PCI,
			.secondary = 2,
			.unit = -1},
		{.bdf = MODEL_BDF(2, 4, 0),
			.kind = MODEL_CONVENTIONAL,
			.unit = -1},
		{.bdf = MODEL_BDF(0, 2, 0),
			.kind = MODEL_PCI_TO_PCI,
			.secondary = 3,
			.unit = -1},
		{.bdf = MODEL_BDF(3, 4, 0),
			.kind = MODEL_CONVENTIONAL,
			.unit = -1},
		{.bdf = MODEL_BDF(0, 3, 0),
			.kind = MODEL_ROOT_PORT,
			.secondary = 4,
			.unit = -1},
		{.bdf = MODEL_BDF(4, 4, 0),
			.kind = MODEL_ENDPOINT,
			.unit = -1}};
	static const uint16_t seen[][2] = {
		{MODEL_BDF(2, 4, 0), MODEL_BDF(1, 0, 0)},
		{MODEL_BDF(1, 3, 0), MODEL_BDF(1, 0, 0)},
		{MODEL_BDF(3, 4, 0), MODEL_BDF(0, 2, 0)},
		{MODEL_BDF(4, 4, 0), MODEL_BDF(4, 4, 0)},
		{MODEL_BDF(0, 9, 1), MODEL_BDF(0, 9, 1)}};

	uint64_t v;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		with_functions("plain", 0, f, 7);
		mini_start(&d);
		model_dma_read(d.m, 0, seen[i][0], 0x5000, &v, 8);
		assert_int_equal(mini_read64(&d, CAP_FRO(d.cap) + 8) & 0xffff,
			seen[i][1]);
		mini_close(&d, true);
	}
}

static void units_of_other_segments(void **state)
{
	static const struct model_function_desc f[] = {
		{.segment = 1,
			.bdf = DEV,
			.kind = MODEL_INTEGRATED,
			.unit = -1},
		{.bdf = OTHER, .kind = MODEL_INTEGRATED, .unit = 7},
		{.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1}};
	uint64_t v;

	(void)state;
	with_two_segments(f, 3);
	assert_int_equal(model_unit_count(d.m), 2);
	assert_int_equal(model_unit_base(d.m, 0), 0xfed90000);
	assert_int_equal(model_unit_base(d.m, 1), 0xfeda0000);
	assert_true(model_unit_base(d.m, 2) == MODEL_NONE);
	assert_int_equal(model_unit_size(d.m, 1), 4096);
	assert_int_equal(model_unit_size(d.m, 2), 0);
	mini_start(&d);
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, 0x1000, &v, 8), MODEL_DMA_BLOCKED);
	assert_int_equal(model_dma_read(d.m, 0, OTHER, 0x1000, &v, 8),
		MODEL_DMA_BLOCKED);
	/* The other unit is off. */
	assert_int_equal(
		model_dma_read(d.m, 1, DEV, 0x1000, &v, 8), MODEL_DMA_OK);
	/* That segment has no unit at all. */
	assert_int_equal(
		model_dma_read(d.m, 2, DEV, 0x1000, &v, 8), MODEL_DMA_OK);
	assert_int_equal(
		model_pci_read(d.m, 1, 0, (uint8_t)DEV, 0, 4), 0x11e81234);
	mini_close(&d, true);
}

/* ---- kinds of units
 * ---------------------------------------------------------- */

static void kinds_that_cannot_be(void **state)
{
	static const struct {
		uint64_t cap_off, cap_on, ecap_off, ecap_on;
		const char *why;
	} bad[] = {
		{0, 7, 0, 0, "CAP.ND"},
		{MASK(12, 8), 0, ECAP_IR | ECAP_EIM, 0, "address width"},
		{MASK(37, 34), BIT(35), 0, 0, "SSLPS"},
		{0, BIT(36), 0, 0, "SSLPS"},
		{0, CAP_RWBF, 0, ECAP_SMTS, "RWBF"},
		{CAP_PSI, 0, 0, 0, "MAMV"},
		{0, 0, ECAP_QI | ECAP_DT, 0, "IR without QI"},
		{0, 0, ECAP_IR, 0, "EIM"},
		{0, 0, ECAP_QI | ECAP_IR | ECAP_EIM, 0, "DT without QI"},
		{0, 0, ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_DT, ECAP_SMTS,
			"SMTS without QI"},
		{0, 0, 0, ECAP_FSTS, "FSTS"},
		{0, CAP_PI, ECAP_IR | ECAP_EIM, 0, "PI"},
		{MASK(33, 24), 0xdull << 24, 0, 0, "overlap the fixed"},
		{0, 0, MASK(17, 8), 0xdull << 8, "overlap the fixed"},
		{MASK(33, 24), 0x11ull << 24, MASK(17, 8), 0x11ull << 8,
			"overlap the IOTLB"},
		{MASK(33, 24) | MASK(47, 40), 0x10ull << 24 | 3ull << 40,
			MASK(17, 8), 0x13ull << 8, "overlap the IOTLB"},
	};
	static const struct {
		uint64_t cap_off, cap_on, ecap_off, ecap_on;
	} good[] = {
		{0, 0, 0, 0},
		{MASK(12, 8), 0, 0, 0},
		{MASK(12, 8), 0, ECAP_IR | ECAP_EIM, ECAP_SMTS},
		{MASK(37, 34), 0, 0, 0},
		{MASK(37, 34), BIT(34), 0, 0},
		{CAP_PSI | MASK(53, 48), 0, 0, 0},
		{0, CAP_PI, 0, ECAP_SMTS | ECAP_FSTS},
		{MASK(33, 24) | MASK(47, 40), 0xeull << 24, 0, 0},
		{MASK(33, 24) | MASK(47, 40), 0x10ull << 24 | 3ull << 40,
			MASK(17, 8), 0x14ull << 8},
		{MASK(33, 24), 0x10ull << 24, MASK(17, 8), 0xfull << 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct model_personality p = *model_personality_find("plain");
		struct model_unit_desc unit = {.kind = &p};
		struct model_desc desc = {.units = &unit, .unit_count = 1};
		const char *why;

		p.cap = (p.cap & ~bad[i].cap_off) | bad[i].cap_on;
		p.ecap = (p.ecap & ~bad[i].ecap_off) | bad[i].ecap_on;
		why = model_personality_check(&p);
		assert_non_null(why);
		assert_non_null(strstr(why, bad[i].why));
		errno = 0;
		assert_null(model_create(&desc));
		assert_int_equal(errno, EINVAL);
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct model_personality p = *model_personality_find("plain");

		p.cap = (p.cap & ~good[i].cap_off) | good[i].cap_on;
		p.ecap = (p.ecap & ~good[i].ecap_off) | good[i].ecap_on;
		if (model_personality_check(&p))
			fail_msg("%zu: %s", i, model_personality_check(&p));
	}
	for (const struct model_personality *p = model_personalities; p->name;
		p++)
		assert_null(model_personality_check(p));
	assert_null(model_personality_find("none of that name"));
	assert_null(model_create_simple("none of that name", MODEL_LAZY, 1));
}

/* Every kind that random ones may be comes up. */
static void random_kinds_differ(void **state)
{
	uint64_t cap_or = 0, cap_and = ~0ull, ecap_or = 0, ecap_and = ~0ull;
	unsigned haws = 0, majors = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 3000; seed++) {
		struct model_personality p = model_personality_random(seed);
		struct model_personality q = model_personality_random(seed);

		assert_memory_equal(&p, &q, sizeof p);
		assert_in_range(p.haw, 36, 52);
		assert_true(p.haw >= CAP_MGAW(p.cap) || p.haw >= 36);
		cap_or |= p.cap;
		cap_and &= p.cap;
		ecap_or |= p.ecap;
		ecap_and &= p.ecap;
		haws |= 1u << (p.haw - 32);
		majors |= 1u << (p.version >> 4);
		assert_false(CAP_SAGAW(p.cap) & 0x11);
	}
	assert_int_equal(majors, 0x7e);
	assert_true(__builtin_popcount(haws) >= 4);
	for (unsigned b = 0; b < 64; b++) {
		static const uint64_t caps = MASK(2, 0) | CAP_RWBF | CAP_CM |
			CAP_ZLR | CAP_PSI | CAP_DWD | CAP_DRD;
		static const uint64_t ecaps = ECAP_C | ECAP_QI | ECAP_DT |
			ECAP_IR | ECAP_EIM | ECAP_PT | ECAP_SC;

		if (caps & BIT(b))
			assert_true((cap_or & BIT(b)) && !(cap_and & BIT(b)));
		if (ecaps & BIT(b))
			assert_true((ecap_or & BIT(b)) && !(ecap_and & BIT(b)));
	}
}

static void sizes_of_register_sets(void **state)
{
	(void)state;
	cold("far-registers");
	assert_int_equal(model_unit_size(d.m, 0), 0x4000);
	mini_close(&d, true);
	cold("256-records");
	assert_int_equal(model_unit_size(d.m, 0), 0x4000);
	assert_int_equal(model_read64(d.m, d.base + 0x4000), ~0ull);
	assert_int_equal(mini_read32(&d, 0x3ffc), 0);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dmar_byte_by_byte),
		T(headers_of_functions),
		T(reads_and_writes_of_all_widths),
		T(requester_ids),
		T(units_of_other_segments),
		T(kinds_that_cannot_be),
		T(random_kinds_differ),
		T(sizes_of_register_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
