/* SPDX-License-Identifier: MIT */
/*
 * Bit by bit: what each bit of a register and of a table entry is, which of
 * them matter to what is remembered, and what is recorded of a refused request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

/* ---- registers ----------------------------------------------------------- */

enum {
	QI = 1,
	IR = 2,
	PLMR = 4,
	PHMR = 8,
};

struct reg {
	const char *name;
	unsigned offset, width;
	uint64_t writable, clears, preserved, carried; /* bits */
	unsigned needs;                                /* features */
};

#define ALL32 MASK(31, 0)

/* As VT-d 11.4 has them; those that start something are left out. */
static const struct reg registers[] = {
	{"VER", VER, 4, 0, 0, 0, 0, 0},
	{"CAP", CAP, 8, 0, 0, 0, 0, 0},
	{"ECAP", ECAP, 8, 0, 0, 0, 0, 0},
	{"GSTS", GSTS, 4, 0, 0, 0, 0, 0},
	{"RTADDR", RTADDR, 8, MASK(63, 10), 0, 0, 0, 0},
	{"FECTL", FECTL, 4, CTL_IM, 0, MASK(29, 0), CTL_IP, 0},
	{"FEDATA", FEDATA, 4, ALL32, 0, 0, 0, 0},
	{"FEADDR", FEADDR, 4, MASK(31, 2), 0, 0, 0, 0},
	{"FEUADDR", FEUADDR, 4, ALL32, 0, 0, 0, 0},
	{"PLMBASE", PLMBASE, 4, MASK(31, 21), 0, 0, 0, PLMR},
	{"PLMLIMIT", PLMLIMIT, 4, MASK(31, 21), 0, 0, 0, PLMR},
	{"PHMBASE", PHMBASE, 8, MASK(63, 21), 0, 0, 0, PHMR},
	{"PHMLIMIT", PHMLIMIT, 8, MASK(63, 21), 0, 0, 0, PHMR},
	{"IQH", IQH, 8, 0, 0, 0, 0, QI},
	{"IQA", IQA, 8, MASK(63, 11) | MASK(2, 0), 0, 0, 0, QI},
	{"IECTL", IECTL, 4, CTL_IM, 0, MASK(29, 0), CTL_IP, QI},
	{"IEDATA", IEDATA, 4, ALL32, 0, 0, 0, QI},
	{"IEADDR", IEADDR, 4, MASK(31, 2), 0, 0, 0, QI},
	{"IEUADDR", IEUADDR, 4, ALL32, 0, 0, 0, QI},
	{"IQERCD", IQERCD, 8, 0, 0, 0, 0, QI},
	{"IRTA", IRTA, 8, MASK(63, 11) | MASK(3, 0), 0, 0, 0, IR},
};

#define REGISTERS (sizeof registers / sizeof registers[0])

static uint64_t get(const struct reg *r)
{
	return r->width == 8 ? mini_read64(&d, r->offset)
			     : mini_read32(&d, r->offset);
}

static void put(const struct reg *r, uint64_t v)
{
	if (r->width == 8)
		mini_write64(&d, r->offset, v);
	else
		mini_write32(&d, r->offset, (uint32_t)v);
}

static bool is_there(const struct reg *r)
{
	return (!(r->needs & QI) || (d.ecap & ECAP_QI)) &&
		(!(r->needs & IR) || (d.ecap & ECAP_IR)) &&
		(!(r->needs & PLMR) || (d.cap & CAP_PLMR)) &&
		(!(r->needs & PHMR) || (d.cap & CAP_PHMR));
}

static void write_bit(const struct reg *r, unsigned bit)
{
	uint64_t was = get(r), v = was ^ BIT(bit);

	model_violations_clear(d.m);
	put(r, v);
	if (!is_there(r) || !r->writable) {
		only(MODEL_V_ACCESS);
		assert_int_equal(get(r), was);
	} else if (r->writable & BIT(bit)) {
		assert_int_equal(model_violation_count(d.m), 0);
		assert_int_equal(get(r), v);
		put(r, was);
		assert_int_equal(get(r), was);
	} else if (r->carried & BIT(bit)) {
		/* Read-only; may be written back as it was read. */
		assert_int_equal(model_violation_count(d.m), 0);
		assert_int_equal(get(r), was);
	} else {
		only(MODEL_V_RESERVED);
		assert_int_equal(get(r), was);
	}
}

static void bits_of_registers(void **state)
{
	static const char *const kinds[] = {
		"plain", "no-qi", "no-ir", "protected-regions"};

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		cold(kinds[k]);
		for (size_t i = 0; i < REGISTERS; i++)
			for (unsigned b = 0; b < registers[i].width * 8; b++)
				write_bit(&registers[i], b);
		mini_close(&d, false);
	}
}

static void halves_of_wide_registers(void **state)
{
	static const uint64_t v = 0x123456789abff800;

	(void)state;
	cold("protected-regions");
	for (size_t i = 0; i < REGISTERS; i++) {
		const struct reg *r = &registers[i];
		uint64_t want = v & r->writable;

		if (r->width != 8 || !r->writable)
			continue;
		put(r, want);
		assert_int_equal(mini_read32(&d, r->offset), want & 0xffffffff);
		assert_int_equal(mini_read32(&d, r->offset + 4), want >> 32);
		mini_write32(&d, r->offset, 0);
		assert_int_equal(get(r), want & ~ALL32);
		mini_write32(&d, r->offset, (uint32_t)want);
		mini_write32(&d, r->offset + 4, 0);
		assert_int_equal(get(r), want & ALL32);
	}
	mini_close(&d, true);
}

static void narrow_registers_are_not_read_together(void **state)
{
	(void)state;
	cold("protected-regions");
	for (size_t i = 0; i < REGISTERS; i++) {
		const struct reg *r = &registers[i];
		uint64_t pair;

		if (r->width != 4 || (r->offset & 4) || r->offset == VER)
			continue;
		pair = mini_read32(&d, r->offset) |
			(uint64_t)mini_read32(&d, r->offset + 4) << 32;
		assert_int_equal(model_violation_count(d.m), 0);
		assert_int_equal(mini_read64(&d, r->offset), pair);
		only(MODEL_V_ACCESS);
		model_violations_clear(d.m);
	}
	mini_close(&d, true);
}

static void bits_of_commands(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 23; b++) {
		cold("plain");
		mini_write32(&d, GCMD, 1u << b);
		expect(MODEL_V_RESERVED);
	}
	for (unsigned b = 0; b < 64; b++) {
		bool known = b <= 33 || b >= 61;

		cold("no-qi");
		mini_write64(&d, CCMD, BIT(b) & ~CCMD_ICC);
		if (!known && b < 59)
			only(MODEL_V_RESERVED);
		else
			assert_int_equal(model_violation_count(d.m), 0);
		mini_close(&d, false);
		cold("no-qi");
		mini_write64(&d, ECAP_IRO(d.ecap), BIT(b));
		if (b > 6 && b < 12)
			only(MODEL_V_RESERVED);
		else
			assert_int_equal(model_violation_count(d.m), 0);
		/* Written only. */
		assert_int_equal(mini_read64(&d, ECAP_IRO(d.ecap)), 0);
		mini_close(&d, false);
		cold("no-qi");
		mini_write64(&d, ECAP_IRO(d.ecap) + 8,
			mini_read64(&d, ECAP_IRO(d.ecap) + 8) ^
				(BIT(b) & ~IOTLB_IVT));
		if (b < 32 || (b > 49 && b < 57) || b == 59 || b == 62)
			only(MODEL_V_RESERVED);
		else
			assert_int_equal(model_violation_count(d.m), 0);
		mini_close(&d, false);
	}
}

static void conditions_are_cleared_by_writing_them(void **state)
{
	static const uint32_t can = FSTS_ITE | FSTS_ICE | FSTS_IQE | FSTS_PFO;

	(void)state;
	for (unsigned b = 0; b < 32; b++) {
		cold("plain");
		model_unit_error(d.m, 0, ~0u);
		assert_int_equal(mini_read32(&d, FSTS) & can, can);
		assert_false(mini_read32(&d, FSTS) & FSTS_PPF);
		mini_write32(&d, FSTS, 1u << b);
		assert_int_equal(mini_read32(&d, FSTS) & can, can & ~(1u << b));
		/* Bit 7 was a condition on older units; others are not there.
		 */
		assert_int_equal(model_violations_of(d.m, MODEL_V_RESERVED),
			b > 15 || b == 2 || b == 3);
		mini_close(&d, false);
	}
}

/* ---- entries --------------------------------------------------------------
 */

static void bits_of_root_entries(void **state)
{
	uint64_t table, lo, hi, v;

	(void)state;
	for (unsigned b = 0; b < 128; b++) {
		bool reserved = (b > 0 && b < 12) || b >= 46;

		cold("plain");
		mini_start(&d);
		table = mini_page(&d);
		lo = (table | 1) ^ (b < 64 ? BIT(b) : 0);
		hi = b < 64 ? 0 : BIT(b - 64);
		mini_store(&d, d.root + 16 * 9 + 8, hi);
		mini_store(&d, d.root + 16 * 9, lo);
		model_dma_read(d.m, 0, MODEL_BDF(9, 0, 0), 0, &v, 8);
		assert_int_equal(
			model_last_fault(d.m) == F_ROOT_RSVD, reserved);
		assert_int_equal(
			model_violations_of(d.m, MODEL_V_RESERVED), reserved);
		assert_int_equal(model_last_fault(d.m) == F_ROOT_NP, b == 0);
		mini_close(&d, false);
	}
}

static void bits_of_context_entries(void **state)
{
	uint64_t slot, v;

	(void)state;
	for (unsigned b = 4; b < 128; b++) {
		bool reserved = (b < 12) || (b >= 46 && b < 64) ||
			b == 64 + 7 || b >= 64 + 24;

		if (b >= 64 && b < 67)
			continue; /* the width */
		ready("plain");
		slot = mini_context(&d, OTHER);
		mini_store(&d, slot + 8,
			(uint64_t)(b < 64 + 8 ? 3 : 0) << 8 | 2 |
				(b < 64 ? 0 : BIT(b - 64)));
		mini_store(
			&d, slot, (mini_page(&d) ^ (b < 64 ? BIT(b) : 0)) | 1);
		model_dma_read(d.m, 0, OTHER, 0, &v, 8);
		assert_int_equal(model_last_fault(d.m) == F_CTX_RSVD, reserved);
		assert_int_equal(
			model_violations_of(d.m, MODEL_V_RESERVED), reserved);
		mini_close(&d, false);
	}
}

/* What changes in a cached entry must be flushed; software's own bits and those
 * of an entry that is not present do not matter. */
static void context_entry_stale_bit_by_bit(void **state)
{
	uint64_t slot, lo, hi;

	(void)state;
	ready("plain");
	slot = mini_context(&d, DEV);
	lo = top | 1;
	hi = (uint64_t)DID << 8 | 2;
	for (unsigned b = 0; b < 128; b++) {
		mini_store(&d, slot, lo ^ (b < 64 ? BIT(b) : 0));
		mini_store(&d, slot + 8, hi ^ (b < 64 ? 0 : BIT(b - 64)));
		assert_int_equal(model_checkpoint(d.m),
			b < 64 + 3 || b > 64 + 6 ? 1 : 0);
	}
	mini_store(&d, slot, lo);
	mini_store(&d, slot + 8, hi);
	for (unsigned b = 0; b < 64; b++) {
		mini_store(&d, d.root, (mini_context(&d, DEV) & ~0xfffull) | 1);
		assert_int_equal(model_checkpoint(d.m), 0);
		mini_store(&d, d.root,
			*(uint64_t *)model_ptr(d.m, d.root) ^ BIT(b));
		assert_int_equal(model_checkpoint(d.m), 1);
		mini_store(&d, d.root,
			*(uint64_t *)model_ptr(d.m, d.root) ^ BIT(b));
	}
	mini_close(&d, false);
}

/* The same of a page's entry, at each level that it was reached by. */
static void page_entry_stale_bit_by_bit(void **state)
{
	uint64_t slot, was;

	(void)state;
	ready("plain");
	for (unsigned level = 1; level <= mini_levels(&d); level++) {
		slot = mini_slot(&d, top, mini_levels(&d), 0x10000, level);
		was = *(uint64_t *)model_ptr(d.m, slot);
		for (unsigned b = 0; b < 64; b++) {
			bool matters = b < 2 || b == 7 || b == 11 ||
				(b >= 12 && b <= 51);

			mini_store(&d, slot, was ^ BIT(b));
			assert_int_equal(model_checkpoint(d.m) != 0, matters);
		}
		mini_store(&d, slot, was);
	}
	mini_close(&d, false);
}

static void bits_of_page_entries(void **state)
{
	static const char *const kinds[] = {"plain", "no-snoop-control"};
	uint64_t slot, was;

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned level = 1; level <= 4; level++)
			for (unsigned b = 2; b < 64; b++) {
				bool reserved = b == 62 ||
					(b >= 46 && b < 52) ||
					(b == 11 && (level > 1 || k)) ||
					(b == 7 && level == 4);

				if (b == 7 && level < 4)
					continue; /* a large page */
				if (b > 11 && b < 46)
					continue; /* another page */
				ready(kinds[k]);
				slot = mini_slot(&d, top, 4, 0x20000, level);
				mini_map(&d, top, 0x20000, frame, 3);
				was = *(uint64_t *)model_ptr(d.m, slot);
				mini_store(&d, slot, was ^ BIT(b));
				mini_flush_iotlb(
					&d, GRAN_GLOBAL, 0, 0, 0, false);
				assert_int_equal(
					can_write(DEV, 0x20000), !reserved);
				assert_int_equal(model_last_fault(d.m),
					reserved ? F_SS_RSVD : 0);
				mini_close(&d, false);
			}
}

/* Bits below the size of a large page must be zero. */
static void addresses_of_large_pages(void **state)
{
	(void)state;
	for (unsigned level = 2; level <= 3; level++)
		for (unsigned b = 12; b < 46; b++) {
			bool reserved = b < 12 + 9 * (level - 1);
			uint64_t iova = 0x8000000000;

			ready("plain");
			mini_store(&d, mini_slot(&d, top, 4, iova, level),
				BIT(b) | SS_PS | 3);
			can_write(DEV, iova);
			assert_int_equal(
				model_last_fault(d.m) == F_SS_RSVD, reserved);
			assert_int_equal(
				model_violations_of(d.m, MODEL_V_RESERVED),
				reserved);
			mini_close(&d, false);
		}
}

/* ---- rights and records ----------------------------------------------------
 */

enum how {
	READ,
	WRITE,
	ATOMIC,
	NOTHING, /* a read of no bytes */
	HOWS
};

static enum model_dma_status request(enum how how, uint64_t at)
{
	uint64_t v = 0;

	switch (how) {
	case READ:
		return model_dma_read(d.m, 0, DEV, at, &v, 8);
	case WRITE:
		return model_dma_write(d.m, 0, DEV, at, &v, 8);
	case ATOMIC:
		return model_dma_atomic(d.m, 0, DEV, at, 1, &v);
	default:
		return model_dma_zero_read(d.m, 0, DEV, at);
	}
}

static void expect_record(uint64_t at, bool read, unsigned reason)
{
	unsigned fro = CAP_FRO(d.cap);

	assert_int_equal(mini_read64(&d, fro), reason ? at : 0);
	assert_int_equal(mini_read64(&d, fro + 8),
		reason ? BIT(63) | (read ? BIT(62) : 0) |
				(uint64_t)reason << 32 | DEV
		       : 0);
}

static void rights_of_both_levels(unsigned upper, unsigned lower, enum how how)
{
	static const unsigned wants[] = {1, 2, 3, 0};
	const unsigned rights = upper & lower, want = wants[how];
	const uint64_t at = 0x40000000;
	unsigned reason = 0;
	uint64_t table;

	ready("plain");
	mini_store(&d, mini_slot(&d, top, 4, at, 1), frame | lower);
	table = mini_slot(&d, top, 4, at, 1) & ~0xfffull;
	mini_store(&d, mini_slot(&d, top, 4, at, 2), table | upper);
	if (!rights || (rights & want) != want)
		reason = want & 2 && !(rights & 2) ? F_WRITE : F_READ;
	assert_int_equal(request(how, at) == MODEL_DMA_OK, !reason);
	assert_int_equal(model_last_fault(d.m), reason);
	expect_record(at, how == READ || how == NOTHING, reason);
	mini_close(&d, true);
}

static void rights_and_what_is_recorded(void **state)
{
	(void)state;
	for (unsigned upper = 0; upper < 4; upper++)
		for (unsigned lower = 0; lower < 4; lower++)
			for (enum how how = READ; how < HOWS; how++)
				rights_of_both_levels(upper, lower, how);
}

/* FPD hushes what the entry itself is the reason of. */
static void qualified_faults(void **state)
{
	uint64_t v;

	(void)state;
	for (int hushed = 0; hushed < 2; hushed++) {
		const uint64_t fpd = hushed ? ENTRY_FPD : 0;
		const struct {
			uint64_t lo, hi;
			unsigned reason;
		} bad[] = {
			{fpd, 2, F_CTX_NP},
			{fpd | 1 | BIT(5), 6 << 8 | 2, F_CTX_RSVD},
			{fpd | 1 | 3 << 2, 6 << 8 | 2, F_CTX_INVALID},
			{fpd | 1, 6 << 8 | 2, F_READ},
		};

		for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
			ready("plain");
			mini_store(&d, mini_context(&d, OTHER) + 8, bad[i].hi);
			mini_store(&d, mini_context(&d, OTHER),
				mini_page(&d) | bad[i].lo);
			model_dma_read(d.m, 0, OTHER, 0x5000, &v, 8);
			assert_int_equal(model_last_fault(d.m), bad[i].reason);
			assert_int_equal(
				!(mini_read32(&d, FSTS) & FSTS_PPF), hushed);
			mini_close(&d, false);
		}
		/* There is no table, or no context table: not qualified. */
		ready("plain");
		mini_store(&d, d.root + 16 * 3, 0x3ff0000000 | 1);
		model_dma_read(d.m, 0, MODEL_BDF(3, 0, 0), 0, &v, 8);
		assert_int_equal(model_last_fault(d.m), F_CTX_ACCESS);
		assert_true(mini_read32(&d, FSTS) & FSTS_PPF);
		mini_close(&d, false);
	}
}

static void addresses_beyond_the_width(void **state)
{
	uint64_t v;

	(void)state;
	ready("39-bit");
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, (1ull << 39) - 0x1000, &v, 8),
		MODEL_DMA_BLOCKED);
	assert_int_equal(model_last_fault(d.m), F_READ);
	model_dma_read(d.m, 0, DEV, 1ull << 39, &v, 8);
	assert_int_equal(model_last_fault(d.m), F_ADDRESS);
	mini_close(&d, true);
	ready("plain");
	mini_attach(&d, OTHER, 0, 1, TT_PASS);
	model_dma_read(d.m, 0, OTHER, 1ull << 46, &v, 8);
	assert_int_equal(model_last_fault(d.m), F_ADDRESS);
	assert_int_equal(model_dma_read(d.m, 0, OTHER, (1ull << 46) - 8, &v, 8),
		MODEL_DMA_ABORT);
	assert_true(v == ~0ull);
	mini_close(&d, true);
}

/* ---- descriptors -----------------------------------------------------------
 */

static void descriptor_bit(const char *kind, uint64_t lo, uint64_t hi, bool bad)
{
	ready(kind);
	mini_queue(&d, lo, hi);
	mini_ring(&d);
	model_advance(d.m, 10000);
	assert_int_equal(!!(mini_read32(&d, FSTS) & FSTS_IQE), bad);
	if (bad)
		assert_int_equal(mini_read64(&d, IQERCD) & 15,
			bits(lo, 11, 9) ? IQEI_TYPE : IQEI_RSVD);
	mini_write32(&d, FSTS, FSTS_IQE);
	assert_int_equal(mini_read64(&d, IQERCD), 0);
	mini_close(&d, false);
}

static void bits_of_descriptors(void **state)
{
	static const struct {
		uint64_t lo, hi, lo_free, hi_free; /* bits that may be set */
	} kinds[] = {
		{DESC_CC | GRAN_GLOBAL << 4, 0, MASK(49, 16), 0},
		{DESC_IOTLB | GRAN_GLOBAL << 4, 0,
			MASK(31, 16) | BIT(6) | BIT(7),
			MASK(63, 12) | MASK(6, 0)},
		{DESC_DEVTLB | (uint64_t)ATS << 32, 0,
			MASK(47, 32) | MASK(20, 16), MASK(63, 12) | BIT(0)},
		{DESC_IEC, 0, MASK(47, 32) | MASK(30, 27) | BIT(4), 0},
		{DESC_WAIT, 0, MASK(63, 32) | MASK(6, 4), MASK(63, 2)},
	};

	(void)state;
	for (size_t k = 0; k < 5; k++)
		for (unsigned b = 4; b < 128; b++) {
			uint64_t free_bits =
				b < 64 ? kinds[k].lo_free : kinds[k].hi_free;
			bool is_free = free_bits & BIT(b & 63);

			/* Granularities: each by itself. */
			if (k < 2 && (b == 4 || b == 5))
				continue;
			descriptor_bit("plain",
				kinds[k].lo ^ (b < 64 ? BIT(b) : 0),
				kinds[k].hi ^ (b < 64 ? 0 : BIT(b - 64)),
				!is_free);
		}
	/* Context and IOTLB flushes of nothing; too many pages, or none. */
	descriptor_bit("plain", DESC_CC, 0, true);
	descriptor_bit("plain", DESC_IOTLB, 0, true);
	descriptor_bit("plain", DESC_CC | GRAN_DOMAIN << 4, 0, false);
	descriptor_bit("plain", DESC_CC | GRAN_NARROW << 4, 0, false);
	descriptor_bit("plain", DESC_IOTLB | GRAN_DOMAIN << 4, 0, false);
	descriptor_bit("plain", DESC_IOTLB | GRAN_NARROW << 4, 18, false);
	descriptor_bit("plain", DESC_IOTLB | GRAN_NARROW << 4, 19, true);
	descriptor_bit("small-mask", DESC_IOTLB | GRAN_NARROW << 4, 4, true);
	descriptor_bit("no-psi", DESC_IOTLB | GRAN_NARROW << 4, 0, true);
	descriptor_bit("qemu-7.2", DESC_IEC | BIT(4) | 15ull << 27, 0, false);
	descriptor_bit("256-records", DESC_WAIT, 0, false);
}

static void types_of_descriptors(void **state)
{
	static const struct {
		const char *kind;
		unsigned known; /* a bit for each type */
	} kinds[] = {{"plain", 0x3e}, {"no-ats", 0x36}, {"no-ir", 0x2e}};

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (unsigned type = 0; type < 16; type++) {
			uint64_t lo = type |
				(type <= DESC_IOTLB ? GRAN_GLOBAL << 4 : 0);

			ready(kinds[k].kind);
			mini_queue(&d, lo, 0);
			mini_ring(&d);
			model_advance(d.m, 10000);
			assert_int_equal(mini_read64(&d, IQERCD) & 15,
				kinds[k].known >> type & 1 ? 0 : IQEI_TYPE);
			mini_close(&d, false);
		}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bits_of_registers),
		T(halves_of_wide_registers),
		T(narrow_registers_are_not_read_together),
		T(bits_of_commands),
		T(conditions_are_cleared_by_writing_them),
		T(bits_of_root_entries),
		T(bits_of_context_entries),
		T(context_entry_stale_bit_by_bit),
		T(page_entry_stale_bit_by_bit),
		T(bits_of_page_entries),
		T(addresses_of_large_pages),
		T(rights_and_what_is_recorded),
		T(qualified_faults),
		T(addresses_beyond_the_width),
		T(bits_of_descriptors),
		T(types_of_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
