/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping: what gets through, what is refused, and entries that
 * change without a flush.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

#define IRTE(vector) ((uint64_t)(vector) << 16 | ENTRY_P)
#define FROM(sid) (1ull << 18 | (sid))
#define MSI(index) (0xfee00000ull | (index) << 5 | BIT(4) | BIT(3))

static void entry(unsigned index, uint64_t lo, uint64_t hi)
{
	mini_store(&d, d.irt + index * 16 + 8, hi);
	mini_store(&d, d.irt + index * 16, lo);
}

static void interrupts_are_remapped(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_hear(&d);
	entry(9, IRTE(0x77) | 3ull << 40, FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(heard.last.vector, 0x77);
	assert_int_equal(heard.last.destination, 3);
	assert_true(heard.last.remapped);
	/* Sub-handles count from the handle. */
	assert_true(model_msi(d.m, 0, DEV, MSI(8), 1));
	assert_false(model_msi(d.m, 0, DEV, MSI(8), 2));
	assert_int_equal(model_last_fault(d.m), F_IR_NP);
	assert_true(model_msi(d.m, 0, DEV, MSI(8), 1));
	assert_int_equal(model_last_fault(d.m), 0);
	mini_close(&d, true);
}

static void interrupt_attacks_are_refused(void **state)
{
	uint32_t v = 0x41;

	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_false(model_msi(d.m, 0, OTHER, MSI(9), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_SID);
	assert_false(model_msi(d.m, 0, DEV, 0xfee00000, 0x41));
	assert_int_equal(model_last_fault(d.m), F_IR_COMPAT);
	assert_false(model_msi(d.m, 0, DEV, MSI(300), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_INDEX);
	assert_int_equal(model_dma_write(d.m, 0, DEV, 0xfee00000, &v, 4),
		MODEL_DMA_BLOCKED);
	assert_int_equal(model_dma_write(d.m, 0, DEV, MSI(9), &v, 4),
		MODEL_DMA_BLOCKED); /* sub-handle 0x41 */
	v = 0;
	assert_int_equal(
		model_dma_write(d.m, 0, DEV, MSI(9), &v, 4), MODEL_DMA_OK);
	assert_int_equal(model_dma_read(d.m, 0, DEV, 0xfee00000, &v, 4),
		MODEL_DMA_BLOCKED);
	mini_close(&d, true);
}

static void entry_open_to_all(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), 0);
	assert_true(model_msi(d.m, 0, OTHER, MSI(9), 0));
	assert_true(said("accepts any source (vector 119)"));
	expect_at_checkpoint(MODEL_V_INTERRUPT);
}

static void compatibility_format_let_through(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_CFI, true);
	only(MODEL_V_INTERRUPT);
	assert_true(model_msi(d.m, 0, DEV, 0xfee00000, 0x41));
	expect_at_checkpoint(MODEL_V_INTERRUPT);
}

/* An owner before may have let them through: the driver has to look. */
static void compatibility_format_inherited(void **state)
{
	(void)state;
	mini_open(&d,
		model_create_usual(model_personality_find("plain"), MODEL_LAZY,
			0, 1, true));
	assert_true(mini_read32(&d, GSTS) & G_CFI);
	mini_command(&d, G_IRE, false);
	model_violations_clear(d.m);
	mini_close(&d, true);
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_CFI, true);
	model_violations_clear(d.m);
	assert_int_equal(model_checkpoint(d.m), 1);
	only(MODEL_V_INTERRUPT);
	model_violations_clear(d.m);
	mini_command(&d, G_CFI, false);
	assert_int_equal(model_checkpoint(d.m), 0);
	/* Without remapping there is no other format. */
	mini_command(&d, G_IRE, false);
	mini_command(&d, G_CFI, true);
	model_violations_clear(d.m);
	expect_nothing();
}

static void wide_ids_need_eim(void **state)
{
	(void)state;
	ready("no-eim");
	mini_write64(&d, IRTA, d.irt | BIT(11) | 7);
	mini_command(&d, G_IRTP, true);
	expect_at_checkpoint(MODEL_V_UNSUPPORTED);
}

/* Entry 3 is used, and then cleared without a flush. */
static void clear_used_entry(void)
{
	ready("plain");
	mini_start_interrupts(&d);
	entry(3, IRTE(0x50), FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(3), 0));
	entry(3, 0, FROM(DEV));
}

static void interrupt_entry_without_flush(void **state)
{
	(void)state;
	clear_used_entry();
	assert_true(model_msi(d.m, 0, DEV, MSI(3), 0));
	mini_flush_irte(&d, false, 4);
	assert_true(model_msi(d.m, 0, DEV, MSI(3), 0));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void interrupt_entry_with_flush(void **state)
{
	(void)state;
	clear_used_entry();
	mini_flush_irte(&d, false, 3);
	assert_false(model_msi(d.m, 0, DEV, MSI(3), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_NP);
	expect_nothing();
}

static void interrupt_table_enabled_unflushed(void **state)
{
	(void)state;
	ready("plain");
	mini_write64(&d, IRTA, d.irt | 7);
	mini_command(&d, G_IRTP, true);
	mini_command(&d, G_IRE, true);
	only(MODEL_V_STALE);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void entry_of_two_requesters(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	/* The function number is not compared. */
	entry(9, IRTE(0x77), 3ull << 16 | FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(model_violation_count(d.m), 0);
	assert_true(model_msi(d.m, 0, DEV | 1, MSI(9), 0));
	expect_at_checkpoint(MODEL_V_INTERRUPT);
}

static void entry_of_a_bus(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	/* All behind the bridge come with one id. */
	entry(9, IRTE(0x77), 2ull << 18 | 0x0202);
	assert_true(model_msi(d.m, 0, MODEL_BDF(2, 0, 0), MSI(9), 0));
	assert_true(model_msi(d.m, 0, MODEL_BDF(2, 1, 0), MSI(9), 0));
	assert_false(model_msi(d.m, 0, MODEL_BDF(1, 0, 0), MSI(9), 0));
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	mini_close(&d, true);
}

static void next_owner_of_an_entry(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	entry(9, 0, 0);
	mini_flush_irte(&d, false, 9);
	entry(9, IRTE(0x77), FROM(OTHER));
	assert_true(model_msi(d.m, 0, OTHER, MSI(9), 0));
	mini_close(&d, true);
}

static void caching_mode_entry_made_present(void **state)
{
	(void)state;
	ready("caching");
	mini_start_interrupts(&d);
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	entry(9, IRTE(0x77), FROM(DEV));
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(model_checkpoint(d.m), 1);
	only(MODEL_V_STALE);
	model_violations_clear(d.m);
	mini_flush_irte(&d, false, 9);
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	mini_close(&d, true);
}

static void entries_outlive_their_table(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	mini_write64(&d, IRTA, mini_page(&d) | 7);
	mini_command(&d, G_IRTP, true);
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	mini_flush_irte(&d, true, 0);
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	mini_close(&d, true);
}

static void interrupt_table_of_nobody(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_IRE, false);
	model_page_free(d.m, d.irt, 0);
	mini_command(&d, G_IRE, true);
	model_msi(d.m, 0, DEV, MSI(9), 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_WALK), 1);
	mini_close(&d, false);
}

/* Each bit of an entry is looked at, means something or is software's. */
static void reserved_bits_of_interrupt_entries(void **state)
{
	const uint64_t reserved[] = {BIT(12), BIT(13), BIT(14), BIT(15),
		MASK(31, 24), MASK(39, 32), MASK(63, 48), 3ull << 5, 6ull << 5};
	uint64_t free_bits = MASK(11, 8) | BIT(3) | ENTRY_FPD | BIT(4) | BIT(2);

	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		for (unsigned b = 0; b < 64; b++) {
			uint64_t bit = BIT(b) & reserved[i];

			/* Delivery modes are reserved as a whole. */
			if (reserved[i] >> 5 <= 7)
				bit = b ? 0 : reserved[i];
			if (!bit)
				continue;
			entry(9, IRTE(0x77) | bit, FROM(DEV));
			assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
			assert_int_equal(model_last_fault(d.m), F_IRTE_RSVD);
			/* Whatever software has in its own bits. */
			entry(9, IRTE(0x77) | bit | MASK(11, 8), FROM(DEV));
			assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
		}
	for (unsigned b = 16; b < 64; b++) {
		entry(9, IRTE(0x77), FROM(DEV) | BIT(b));
		if (b < 19)
			continue;
		assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
		assert_int_equal(model_last_fault(d.m), F_IRTE_RSVD);
	}
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	entry(9, IRTE(0x77) | free_bits, FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	mini_close(&d, true);
}

/* A change of any bit but software's own needs a flush. */
static void interrupt_entry_stale_bit_by_bit(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	for (unsigned b = 0; b < 128; b++) {
		entry(9, IRTE(0x77) ^ (b < 64 ? BIT(b) : 0),
			FROM(DEV) ^ (b < 64 ? 0 : BIT(b - 64)));
		assert_int_equal(
			model_checkpoint(d.m), b < 8 || b > 11 ? 1 : 0);
	}
	/* What is not present says nothing. */
	entry(9, 0, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, false);
}

static void source_is_compared_as_said(void **state)
{
	static const uint16_t ignored[] = {0, 4, 6, 7};

	(void)state;
	for (unsigned sq = 0; sq < 4; sq++)
		for (unsigned b = 0; b < 16; b++) {
			uint16_t from = (uint16_t)(DEV ^ 1u << b);

			ready("plain");
			mini_start_interrupts(&d);
			entry(9, IRTE(0x77), (uint64_t)sq << 16 | FROM(DEV));
			assert_int_equal(model_msi(d.m, 0, from, MSI(9), 0),
				!!(ignored[sq] & 1u << b));
			mini_close(&d, true);
		}
}

static void bus_range_has_both_ends(void **state)
{
	(void)state;
	for (unsigned bus = 3; bus < 8; bus++) {
		ready("plain");
		mini_start_interrupts(&d);
		entry(9, IRTE(0x77), 2ull << 18 | 0x0406);
		assert_int_equal(
			model_msi(d.m, 0, MODEL_BDF(bus, 0, 0), MSI(9), 0),
			bus >= 4 && bus <= 6);
		mini_close(&d, true);
	}
}

static void fields_of_a_remapped_interrupt(void **state)
{
	(void)state;
	ready("plain");
	mini_write64(&d, IRTA, d.irt | BIT(11) | 7);
	mini_command(&d, G_IRTP, true);
	mini_flush_irte(&d, true, 0);
	mini_command(&d, G_IRE, true);
	mini_hear(&d);
	/* Bits 11:8 are software's. */
	entry(255, IRTE(0x91) | 0x89abcdefull << 32 | BIT(8) | 4u << 5 | BIT(4),
		FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(255), 0));
	assert_int_equal(heard.last.destination, 0x89abcdef);
	assert_int_equal(heard.last.delivery, 4);
	assert_true(
		heard.last.level && !heard.last.logical && heard.last.remapped);
	assert_false(heard.last.from_unit);
	assert_int_equal(heard.last.source, DEV);
	entry(254, IRTE(0x92) | BIT(2), FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(254), 0));
	assert_int_equal(heard.last.vector, 0x92);
	assert_true(!heard.last.level && heard.last.logical);
	/* The table has 256. */
	assert_false(model_msi(d.m, 0, DEV, MSI(256), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_INDEX);
	/* Without sub-handle the data is not looked at; bit 15 of the handle is
	 * bit 2 of the address. */
	assert_true(model_msi(d.m, 0, DEV, MSI(254) & ~BIT(3), 0x12345));
	assert_false(model_msi(d.m, 0, DEV, MSI(254) | BIT(2), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_INDEX);
	assert_false(model_msi(d.m, 0, DEV, MSI(254), 0x10000));
	assert_int_equal(model_last_fault(d.m), F_IR_RSVD);
	mini_close(&d, true);
}

static void fields_of_an_interrupt_as_it_came(void **state)
{
	(void)state;
	ready("plain");
	mini_hear(&d);
	assert_true(model_msi(d.m, 0, DEV, 0xfeeab004, 0x8d41));
	assert_int_equal(heard.last.vector, 0x41);
	assert_int_equal(heard.last.delivery, 5);
	assert_int_equal(heard.last.unit, 0);
	assert_int_equal(heard.last.destination, 0xab);
	assert_true(
		heard.last.logical && heard.last.level && !heard.last.remapped);
	assert_int_equal(heard.last.source, DEV);
	assert_int_equal(heard.last.address, 0xfeeab004);
	assert_int_equal(heard.last.data, 0x8d41);
	/* That is no interrupt. */
	assert_false(model_msi(d.m, 0, DEV, 0xfef00000, 0x41));
	mini_close(&d, true);
}

static void interrupts_that_need_remapping(void **state)
{
	(void)state;
	ready("x2apic-only");
	assert_false(model_msi(d.m, 0, DEV, 0xfee00000, 0x41));
	assert_int_equal(model_last_fault(d.m), F_IR_NEEDED);
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_NOT_EIM);
	mini_close(&d, true);
}

static void refused_interrupts_are_recorded_unless_hushed(void **state)
{
	struct model_counters n;
	unsigned fro;

	(void)state;
	ready("256-records");
	fro = CAP_FRO(d.cap);
	mini_start_interrupts(&d);
	entry(9, ENTRY_FPD, FROM(DEV));
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	entry(10, IRTE(0x77) | ENTRY_FPD, FROM(DEV));
	assert_false(model_msi(d.m, 0, OTHER, MSI(10), 0));
	assert_false(mini_read32(&d, FSTS) & FSTS_PPF);
	assert_false(model_msi(d.m, 0, OTHER, MSI(11), 0));
	assert_int_equal(mini_read64(&d, fro), 11ull << 48);
	assert_int_equal(mini_read64(&d, fro + 8),
		BIT(63) | (uint64_t)F_IR_NP << 32 | OTHER);
	model_counters(d.m, &n);
	assert_int_equal(n.interrupts_blocked, 3);
	mini_close(&d, true);
}

static void what_is_no_interrupt_in_the_window(void **state)
{
	uint64_t v = 0;

	(void)state;
	for (int later = 0; later < 2; later++) {
		ready(later ? "self-flushing" : "plain");
		assert_int_equal(
			model_dma_write(d.m, 0, DEV, 0xfee00000, &v, 8),
			MODEL_DMA_BLOCKED);
		assert_int_equal(model_last_fault(d.m), F_IR_MALFORMED);
		assert_int_equal(!!(mini_read32(&d, FSTS) & FSTS_PPF), later);
		assert_int_equal(
			model_dma_write(d.m, 0, DEV, 0xfee00002, &v, 4),
			MODEL_DMA_BLOCKED);
		assert_int_equal(model_dma_read(d.m, 0, DEV, 0xfeefffff, &v, 1),
			MODEL_DMA_BLOCKED);
		assert_int_equal(
			model_dma_atomic(d.m, 0, DEV, 0xfee00000, 1, &v),
			MODEL_DMA_BLOCKED);
		mini_close(&d, true);
	}
}

/* An IOAPIC is no function, and may be named by any unit. */
static void ioapic_has_the_unit_that_names_it(void **state)
{
	static const uint16_t at = MODEL_BDF(0xf0, 0x1f, 0);
	struct model_unit_desc unit = {.kind = model_personality_find("plain")};
	struct model_ioapic_desc ioapic[] = {
		{.id = 1, .bdf = MODEL_BDF(0xf0, 0x1e, 0), .unit = -1},
		{.id = 2, .bdf = at, .unit = 0}};
	struct model_desc desc = {.units = &unit,
		.unit_count = 1,
		.ioapics = ioapic,
		.ioapic_count = 2};

	(void)state;
	mini_open(&d, model_create(&desc));
	mini_start(&d);
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(at));
	assert_true(model_msi(d.m, 0, at, MSI(9), 0));
	assert_false(model_msi(d.m, 0, ioapic[0].bdf, MSI(9), 0));
	assert_false(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(model_last_fault(d.m), 0);
	mini_close(&d, true);
}

/* Those that nobody remembers have no user. */
static void entry_of_two_requesters_is_forgiven(void **state)
{
	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_BENIGN, 1));
	mini_start(&d);
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), 3ull << 16 | FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_true(model_msi(d.m, 0, DEV | 1, MSI(9), 0));
	mini_close(&d, true);
}

/* 65536 entries, and each has a number of its own (VT-d 5.1.2.2). */
static void largest_table_of_interrupts(void **state)
{
	static const unsigned at[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};

	(void)state;
	ready("plain");
	d.irt = model_page_alloc(d.m, 8, MODEL_OWNER_DRIVER);
	memset(model_ptr(d.m, d.irt), 0, 1 << 20);
	mini_write64(&d, IRTA, d.irt | 15);
	mini_command(&d, G_IRTP, true);
	mini_flush_irte(&d, true, 0);
	mini_command(&d, G_IRE, true);
	mini_hear(&d);
	for (unsigned i = 0; i < 6; i++)
		entry(at[i], IRTE(0x50 + i), FROM(DEV));
	for (unsigned i = 0; i < 6; i++) {
		uint64_t address = 0xfee00010 | (at[i] & 0x7fffull) << 5 |
			(at[i] >> 15 ? BIT(2) : 0);

		assert_true(model_msi(d.m, 0, DEV, address, 0));
		assert_int_equal(heard.last.vector, 0x50 + i);
		/* Counted from the handle. */
		assert_true(model_msi(d.m, 0, DEV, 0xfee00018, at[i]));
		assert_int_equal(heard.last.vector, 0x50 + i);
	}
	/* Beyond them, and so recorded (VT-d 5.1.4.1). */
	assert_false(model_msi(d.m, 0, DEV, 0xfee0001c | 0x7fff << 5, 5));
	assert_int_equal(model_last_fault(d.m), F_IR_INDEX);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap)), 4ull << 48);
	mini_close(&d, true);
}

static void half_of_an_interrupt_entry(void **state)
{
	(void)state;
	watched("plain", 0);
	mini_start_interrupts(&d);
	entry(9, IRTE(0x77), FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(model_violation_count(d.m), 0);
	mini_store(&d, d.irt + 9 * 16 + 8, FROM(OTHER));
	assert_true(said("interrupt entry at 0x"));
	expect(MODEL_V_CHANGE);
}

/* Without any unit there is nobody to take it. */
static void interrupt_of_a_function_without_a_unit(void **state)
{
	struct model_unit_desc unit = {.kind = model_personality_find("plain")};
	struct model_desc desc = {.units = &unit, .unit_count = 1};

	(void)state;
	mini_open(&d, model_create(&desc));
	assert_false(model_msi(d.m, 0, 0, 0xfee00000, 0x41));
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(interrupts_are_remapped),
		T(interrupt_attacks_are_refused),
		T(entry_open_to_all),
		T(compatibility_format_let_through),
		T(compatibility_format_inherited),
		T(wide_ids_need_eim),
		T(interrupt_entry_without_flush),
		T(interrupt_entry_with_flush),
		T(interrupt_table_enabled_unflushed),
		T(entry_of_two_requesters),
		T(entry_of_a_bus),
		T(next_owner_of_an_entry),
		T(caching_mode_entry_made_present),
		T(entries_outlive_their_table),
		T(interrupt_table_of_nobody),
		T(reserved_bits_of_interrupt_entries),
		T(interrupt_entry_stale_bit_by_bit),
		T(source_is_compared_as_said),
		T(bus_range_has_both_ends),
		T(fields_of_a_remapped_interrupt),
		T(fields_of_an_interrupt_as_it_came),
		T(interrupts_that_need_remapping),
		T(refused_interrupts_are_recorded_unless_hushed),
		T(what_is_no_interrupt_in_the_window),
		T(ioapic_has_the_unit_that_names_it),
		T(entry_of_two_requesters_is_forgiven),
		T(largest_table_of_interrupts),
		T(half_of_an_interrupt_entry),
		T(interrupt_of_a_function_without_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
