/* SPDX-License-Identifier: MIT */
/*
 * What machines are built of: which unit translates for whom, how wide their
 * addresses are, where registers end, what an earlier owner left in them, and
 * what the firmware's table says of all that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

/* ---- units ----------------------------------------------------------------
 */

static void first_of_a_pair_has_its_own(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");
	const struct model_function_desc *f;
	unsigned count;
	uint64_t v;

	(void)state;
	f = model_usual_functions(&count);
	assert_int_equal(count, 10);
	for (unsigned i = 0; i < count; i++) {
		uint16_t bdf = f[i].bdf;
		bool first = bdf == MODEL_BDF(0, 2, 0) ||
			bdf == MODEL_BDF(0, 3, 0) ||
			bdf == MODEL_BDF(0, 0x1c, 0) ||
			bdf == MODEL_BDF(1, 0, 0);

		for (unsigned unit = 0; unit < 2; unit++) {
			mini_open(&d,
				model_create_pair(
					kind, kind, MODEL_LAZY, 0, 1, false));
			d.base = model_unit_base(d.m, unit);
			mini_start(&d);
			assert_int_equal(model_dma_read(d.m, 0, bdf, 0x5000, &v,
						 8) == MODEL_DMA_BLOCKED,
				first == !unit);
			/* The second also has the I/O APIC. */
			assert_true(model_msi(d.m, 0, MODEL_BDF(0xf0, 31, 0),
				0xfee00000, 0x41));
			mini_start_interrupts(&d);
			assert_int_equal(
				model_msi(d.m, 0, MODEL_BDF(0xf0, 31, 0),
					0xfee00000, 0x41),
				!unit);
			mini_close(&d, true);
		}
		/* One alone has all. */
		cold("plain");
		mini_start(&d);
		assert_int_equal(model_dma_read(d.m, 0, bdf, 0x5000, &v, 8),
			MODEL_DMA_BLOCKED);
		mini_close(&d, true);
	}
}

static void unit_of_another_segment(void **state)
{
	static const struct model_function_desc f = {
		.segment = 1, .bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1};
	uint64_t v;

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		with_two_segments(&f, 1);
		d.base = model_unit_base(d.m, n);
		mini_start(&d);
		assert_int_equal(model_dma_read(d.m, 1, DEV, 0x5000, &v, 8),
			n ? MODEL_DMA_BLOCKED : MODEL_DMA_OK);
		mini_close(&d, true);
	}
}

/* The smallest of the units', unless it is said. */
static void width_of_addresses(void **state)
{
	static const struct {
		uint8_t said, kind[2], is;
	} widths[] = {{0, {39, 46}, 39}, {0, {46, 39}, 39}, {0, {52, 48}, 48},
		{0, {0, 48}, 46}, {0, {48, 0}, 46}, {0, {0, 39}, 39},
		{41, {39, 52}, 41}, {50, {39, 39}, 50}};
	uint8_t table[256];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct model_personality kind[2];
		struct model_unit_desc unit[2];
		struct model_desc desc = {
			.haw = widths[i].said, .units = unit, .unit_count = 2};

		for (unsigned n = 0; n < 2; n++) {
			kind[n] = *model_personality_find("plain");
			kind[n].haw = widths[i].kind[n];
			unit[n] = (struct model_unit_desc){
				.kind = &kind[n], .include_all = n};
		}
		mini_open(&d, model_create(&desc));
		assert_true(
			model_dmar(d.m, table, sizeof table) <= sizeof table);
		assert_int_equal(table[36] + 1, widths[i].is);
		/* That many bits of a table's address are there. */
		for (unsigned beyond = 0; beyond < 2; beyond++) {
			unsigned bit = widths[i].is - !beyond;

			mini_write64(&d, RTADDR, d.root | 1ull << bit);
			mini_command(&d, (uint32_t)G_RTP, true);
			assert_int_equal(
				model_violations_of(d.m, MODEL_V_ADDRESS),
				beyond);
		}
		mini_close(&d, false);
	}
	/* No unit at all. */
	mini_open(&d, model_create(&(struct model_desc){.seed = 1}));
	model_dmar(d.m, table, sizeof table);
	assert_int_equal(table[36], 45);
	mini_close(&d, true);
}

/* Up to the last of all registers, in powers of two of pages. */
static void where_registers_end(void **state)
{
	static const struct {
		unsigned fro, records, iro; /* in 16 bytes */
		uint64_t size;
	} sets[] = {{0x20, 1, 0x10, 0x1000}, {0xff, 1, 0x10, 0x1000},
		{0xfe, 2, 0x10, 0x1000}, {0xff, 2, 0x10, 0x2000},
		{0x100, 1, 0x10, 0x2000}, {0x20, 1, 0xff, 0x1000},
		{0x20, 1, 0x100, 0x2000}, {0x100, 256, 0x10, 0x2000},
		{0x101, 256, 0x10, 0x4000}, {0x20, 1, 0x200, 0x4000},
		{0x20, 1, 0x1ff, 0x2000}, {0x100, 16, 0x1ff, 0x2000}};

	(void)state;
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		struct model_personality kind =
			*model_personality_find("plain");

		kind.cap = (kind.cap & ~(MASK(33, 24) | MASK(47, 40))) |
			(uint64_t)sets[i].fro << 24 |
			(uint64_t)(sets[i].records - 1) << 40;
		kind.ecap = (kind.ecap & ~MASK(17, 8)) | sets[i].iro << 8;
		mini_open(
			&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		assert_int_equal(model_unit_size(d.m, 0), sets[i].size);
		mini_close(&d, true);
	}
}

/* ---- what an earlier owner left ---------------------------------------------
 */

#define LAST_PAGE ((64ull << 20) - 0x1000)

static void left(const char *kind)
{
	mini_open(&d,
		model_create_usual(
			model_personality_find(kind), MODEL_LAZY, 0, 1, true));
}

static void registers_of_an_earlier_owner(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");
	unsigned fro;

	(void)state;
	mini_open(&d, model_create_pair(kind, kind, MODEL_LAZY, 0, 1, true));
	for (unsigned n = 0; n < 2; n++)
		assert_int_equal(
			model_read64(d.m, model_unit_base(d.m, n) + RTADDR),
			LAST_PAGE);
	mini_close(&d, true);
	left("plain");
	assert_int_equal(mini_read32(&d, GSTS),
		G_TE | G_RTP | G_QIE | G_IRE | G_IRTP | G_CFI);
	assert_int_equal(mini_read64(&d, RTADDR), LAST_PAGE);
	assert_int_equal(mini_read64(&d, IQA), LAST_PAGE - 0x1000);
	assert_int_equal(mini_read64(&d, IRTA), LAST_PAGE | 7);
	/* A fault that nobody looked at. */
	assert_int_equal(mini_read32(&d, FSTS), FSTS_PPF);
	fro = CAP_FRO(d.cap);
	assert_int_equal(mini_read64(&d, fro), 0x5000);
	assert_int_equal(mini_read64(&d, fro + 8),
		BIT(63) | (uint64_t)F_WRITE << 32 | DEV);
	/* Domains were of 39 bits. */
	assert_false(can_write(DEV, 1ull << 39));
	assert_int_equal(model_last_fault(d.m), F_ADDRESS);
	assert_true(mini_read64(&d, fro + 24) & BIT(63));
	mini_close(&d, true);
	/* One that lets them through says nothing of it. */
	left("qemu-10");
	assert_false(mini_read32(&d, GSTS) & G_CFI);
	mini_close(&d, true);
	left("no-qi");
	assert_int_equal(mini_read32(&d, GSTS), G_TE | G_RTP);
	mini_close(&d, true);
	left("protected-regions");
	assert_int_equal(mini_read32(&d, PLMBASE), 0);
	assert_int_equal(mini_read32(&d, PLMLIMIT), 0x01e00000);
	assert_true(mini_read32(&d, PMEN) & (uint32_t)PMEN_EPM);
	assert_true(mini_read32(&d, PMEN) & PMEN_PRS);
	mini_close(&d, true);
}

/* Everything goes off and on again, as for one who set it up. */
static void earlier_owner_had_set_it_up(void **state)
{
	(void)state;
	left("qemu-10");
	/* The queue of this kind goes off only after a wait. */
	mini_command(&d, G_QIE, false);
	assert_false(mini_read32(&d, GSTS) & (uint32_t)G_QIE);
	mini_close(&d, true);
	left("plain");
	mini_command(&d, G_IRE, false);
	mini_command(&d, G_TE, false);
	mini_command(&d, G_IRE, true);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_close(&d, true);
}

/* Domains 0 to 15 have a page that nobody may reach; devices are in the 7th. */
static void devices_of_an_earlier_owner(void **state)
{
	size_t cached;

	(void)state;
	left("plain");
	cached = model_cached(d.m, 0);
	assert_true(can_write(DEV, 0x1000));
	assert_int_equal(model_cached(d.m, 0), cached);
	assert_true(said("reached the secret page at iova 0x1000"));
	model_violations_clear(d.m);
	mini_command(&d, G_QIE, false);
	d.ring = mini_page(&d);
	mini_queue_on(&d);
	cached = model_cached(d.m, 0);
	mini_flush_iotlb(&d, GRAN_DOMAIN, 15, 0, 0, false);
	assert_int_equal(model_cached(d.m, 0), cached - 1);
	assert_true(can_write(DEV, 0x1000));
	mini_flush_context(&d, GRAN_DOMAIN, 6, 0);
	mini_flush_context(&d, GRAN_DOMAIN, 8, 0);
	assert_int_equal(model_cached(d.m, 0), cached - 1);
	mini_flush_context(&d, GRAN_DOMAIN, 7, 0);
	assert_int_equal(model_cached(d.m, 0), cached - 1 - 10);
	mini_close(&d, false);
}

static void interrupts_of_an_earlier_owner(void **state)
{
	(void)state;
	left("plain");
	mini_hear(&d);
	for (unsigned n = 0; n < 64; n++) {
		assert_true(model_msi(d.m, 0, DEV, 0xfee00010ull | n << 5, 0));
		assert_int_equal(heard.last.vector, n);
	}
	/* Those behind them are in memory: what traps there are is hushed. */
	assert_false(model_msi(d.m, 0, DEV, 0xfee00010ull | 64 << 5, 0));
	assert_false(model_msi(d.m, 0, DEV, 0xfee00010ull | 255 << 5, 0));
	assert_int_equal(model_last_fault(d.m), 0);
	assert_false(model_msi(d.m, 0, DEV, 0xfee00010ull | 256 << 5, 0));
	assert_int_equal(model_last_fault(d.m), F_IR_INDEX);
	mini_close(&d, false);
}

/* ---- what the firmware says ------------------------------------------------
 */

static const uint8_t *entry_of(
	const uint8_t *table, size_t len, unsigned type, unsigned nth)
{
	for (size_t at = 48; at < len; at += table[at + 2])
		if (table[at] == type && !nth--)
			return table + at;
	return NULL;
}

static void features_of_any_unit_count(void **state)
{
	static const char *const kinds[] = {"no-qi", "no-ats", "plain"};

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		const char *first = kinds[i / 3], *second = kinds[i % 3];
		uint8_t table[512], sum = 0;
		size_t len;

		mini_open(&d,
			model_create_pair(model_personality_find(first),
				model_personality_find(second), MODEL_LAZY, 0,
				1, false));
		memset(table, 0, sizeof table);
		len = model_dmar(d.m, table, sizeof table);
		for (size_t n = 0; n < len; n++)
			sum = (uint8_t)(sum + table[n]);
		assert_int_equal(sum, 0);
		/* Interrupt remapping, device TLBs. */
		assert_int_equal(table[37], i / 3 || i % 3);
		assert_int_equal(
			!!entry_of(table, len, 2, 0), i / 3 == 2 || i % 3 == 2);
		/* Bridges are named as such. */
		for (unsigned n = 0; n < 3; n++)
			assert_int_equal(table[48 + 16 + 8 * n], n < 2 ? 1 : 2);
		assert_memory_equal(
			table + 48 + 40 + 16, "\3\10\0\0\2\xf0\x1f\0", 8);
		/* No byte is written if there is one too few. */
		memset(table, 0, sizeof table);
		assert_int_equal(model_dmar(d.m, table, len - 1), len);
		assert_int_equal(table[9], 0);
		assert_int_equal(model_dmar(d.m, NULL, 0), len);
		assert_int_equal(model_dmar(d.m, NULL, len), len);
		assert_int_equal(model_dmar(d.m, table, len), len);
		assert_int_not_equal(table[9], 0);
		mini_close(&d, true);
	}
}

/* Each of them, and of long tables both bytes of the length. */
static void all_that_there_is_is_named(void **state)
{
	enum {
		FUNCTIONS = 40
	};
	static struct model_function_desc f[FUNCTIONS];
	struct model_rmrr_desc rmrr[2] = {
		{.base = 0x1000, .limit = 0x1fff, .bdf = MODEL_BDF(0, 0, 1)},
		{.base = 0x3000, .limit = 0x5fff, .bdf = MODEL_BDF(0, 0, 2)}};
	struct model_ioapic_desc ioapic[2] = {
		{.id = 3, .bdf = MODEL_BDF(0xf0, 1, 0), .unit = 0},
		{.id = 4, .bdf = MODEL_BDF(0xf0, 2, 0), .unit = 0}};
	struct model_unit_desc unit = {.kind = model_personality_find("plain")};
	struct model_desc desc = {.units = &unit,
		.unit_count = 1,
		.functions = f,
		.function_count = FUNCTIONS,
		.rmrrs = rmrr,
		.rmrr_count = 2,
		.ioapics = ioapic,
		.ioapic_count = 2};
	const unsigned drhd = 16 + 8 * (FUNCTIONS + 2);
	static uint8_t table[1024];
	const uint8_t *at;
	size_t len;

	(void)state;
	for (unsigned n = 0; n < FUNCTIONS; n++)
		f[n] = (struct model_function_desc){
			.bdf = (uint16_t)n, .kind = MODEL_INTEGRATED};
	mini_open(&d, model_create(&desc));
	len = model_dmar(d.m, table, sizeof table);
	assert_int_equal(len, 48 + drhd + 2 * 32 + 8);
	assert_int_equal(table[4] | table[5] << 8, len);
	assert_int_equal(table[50] | table[51] << 8, drhd);
	for (unsigned n = 0; n < FUNCTIONS + 2; n++) {
		at = table + 48 + 16 + 8 * n;
		assert_int_equal(at[0], n < FUNCTIONS ? 1 : 3);
		assert_int_equal(at[4], n < FUNCTIONS ? 0 : 3 + n - FUNCTIONS);
		assert_int_equal(at[6] << 3 | at[7],
			n < FUNCTIONS ? n : (1 + n - FUNCTIONS) << 3);
	}
	at = table + 48 + drhd;
	for (unsigned n = 0; n < 2; n++, at += 32) {
		assert_int_equal(at[0], 1);
		assert_int_equal(at[2], 32);
		assert_int_equal(at[9], n ? 0x30 : 0x10);
		assert_int_equal(at[17], n ? 0x5f : 0x1f);
		assert_int_equal(at[31], n + 1);
	}
	mini_close(&d, true);
}

static void every_unit_is_named(void **state)
{
	struct model_unit_desc unit[4] = {{0}};
	struct model_desc desc = {.units = unit, .unit_count = 4};
	uint8_t table[512];
	size_t len;

	(void)state;
	/* Those that cover what is left of a segment come last (VT-d 8.3). */
	for (unsigned n = 0; n < 4; n++)
		unit[n] = (struct model_unit_desc){
			.kind = model_personality_find("plain"),
			.segment = n & 1,
			.include_all = n < 2,
			.base = 0x1000 * (n + 1)};
	mini_open(&d, model_create(&desc));
	len = model_dmar(d.m, table, sizeof table);
	for (unsigned n = 0; n < 4; n++) {
		const uint8_t *at = entry_of(table, len, 0, n);

		assert_non_null(at);
		assert_int_equal(at[4], n >= 2);
		assert_int_equal(at[6], n & 1);
		assert_int_equal(at[9], 0x10 * (1 + (n + 2) % 4));
	}
	assert_null(entry_of(table, len, 0, 4));
	mini_close(&d, true);
}

/* ---- configuration space ---------------------------------------------------
 */

static uint8_t config(uint16_t bdf, unsigned at)
{
	return (uint8_t)model_pci_read(
		d.m, 0, (uint8_t)(bdf >> 8), (uint8_t)bdf, (uint16_t)at, 1);
}

/* What it is and where its capabilities are stays; all else is the driver's. */
static void bytes_of_configuration_space(void **state)
{
	static const uint16_t devs[] = {DEV, ATS, MODEL_BDF(0, 0x1c, 0)};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		cold("plain");
		for (unsigned at = 0; at < 4096; at++) {
			bool fixed = at < 4 || (at >= 8 && at < 16) ||
				at == 0x34 || at == 0x80 ||
				(at >= 0x100 && at < 0x106);
			uint8_t was = config(devs[i], at);
			uint8_t put = was ^ (at == 0x107 ? 0x7f : 0xff);

			model_pci_write(d.m, 0, 0, (uint8_t)devs[i],
				(uint16_t)at, 1, put);
			assert_int_equal(
				config(devs[i], at), fixed ? was : put);
		}
		mini_close(&d, true);
	}
	/* Accesses that do not end in it. */
	cold("plain");
	model_pci_write(d.m, 0, 0, (uint8_t)DEV, 0xffc, 4, 0x12345678);
	assert_int_equal(config(DEV, 0xfff), 0x12);
	model_pci_write(d.m, 0, 0, (uint8_t)DEV, 0xffe, 4, 0);
	assert_int_equal(config(DEV, 0xffe), 0x34);
	model_device_remove(d.m, 0, DEV);
	model_pci_write(d.m, 0, 0, (uint8_t)DEV, 0x10, 4, 1);
	assert_int_equal(config(DEV, 0x10), 0xff);
	mini_close(&d, true);
}

/* Only the bit that switches it forgets, and the device that is gone. */
static void what_switches_a_device_tlb(void **state)
{
	uint8_t v[8] = {0};

	(void)state;
	for (unsigned gone = 0; gone < 2; gone++) {
		ready("plain");
		mini_attach(&d, ATS, top, DID, TT_ATS);
		ats_on(ATS);
		assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
		/* Remembered, and so reached. */
		set_leaf(0x10000, 0);
		flush_domain();
		for (unsigned bit = 0; bit < 15; bit++)
			model_pci_write(d.m, 0, 0, (uint8_t)ATS, 0x106, 2,
				0x8000 | 1u << bit);
		model_pci_write(d.m, 0, 0, (uint8_t)ATS, 0x106, 2, 0x8000);
		assert_int_equal(
			model_ats_dma(d.m, 0, ATS, 0x10000, v, 8, true),
			MODEL_DMA_OK);
		model_checkpoint(d.m);
		assert_true(model_violations_of(d.m, MODEL_V_STALE) > 0);
		model_violations_clear(d.m);
		if (gone)
			model_device_remove(d.m, 0, ATS);
		else
			model_pci_write(d.m, 0, 0, (uint8_t)ATS, 0x106, 2, 0);
		model_checkpoint(d.m);
		assert_int_equal(model_violations_of(d.m, MODEL_V_STALE), 0);
		mini_close(&d, false);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_of_a_pair_has_its_own),
		T(unit_of_another_segment),
		T(width_of_addresses),
		T(where_registers_end),
		T(registers_of_an_earlier_owner),
		T(earlier_owner_had_set_it_up),
		T(devices_of_an_earlier_owner),
		T(interrupts_of_an_earlier_owner),
		T(features_of_any_unit_count),
		T(all_that_there_is_is_named),
		T(every_unit_is_named),
		T(bytes_of_configuration_space),
		T(what_switches_a_device_tlb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
