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
#include "support/attached.h"

#define IRTE(vector) ((uint64_t)(vector) << 16 | ENTRY_P)
#define FROM(sid) (1ull << 18 | (sid))
#define MSI(index) (0xfee00000ull | (index) << 5 | BIT(4) | BIT(3))

static void entry(unsigned index, uint64_t lo, uint64_t hi)
{
	mini_store(&d, d.irt + index * 16 + 8, hi);
	mini_store(&d, d.irt + index * 16, lo);
}

static struct model_interrupt got;

static void keep(void *ctx, struct model *m, const struct model_interrupt *irq)
{
	(void)ctx;
	(void)m;
	got = *irq;
}

static void interrupts_are_remapped(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	model_on_interrupt(d.m, keep, NULL);
	entry(9, IRTE(0x77) | 3ull << 40, FROM(DEV));
	assert_true(model_msi(d.m, 0, DEV, MSI(9), 0));
	assert_int_equal(got.vector, 0x77);
	assert_int_equal(got.destination, 3);
	assert_true(got.remapped);
	/* Sub-handles count from the handle. */
	assert_true(model_msi(d.m, 0, DEV, MSI(8), 1));
	assert_false(model_msi(d.m, 0, DEV, MSI(8), 2));
	assert_int_equal(model_last_fault(d.m), F_IR_NP);
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
	expect_at_checkpoint(MODEL_V_INTERRUPT);
}

static void compatibility_format_let_through(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_CFI, true);
	assert_true(model_msi(d.m, 0, DEV, 0xfee00000, 0x41));
	expect_at_checkpoint(MODEL_V_INTERRUPT);
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
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

static void interrupt_table_enabled_unflushed(void **state)
{
	(void)state;
	ready("plain");
	mini_write64(&d, IRTA, d.irt | 7);
	mini_command(&d, G_IRTP, true);
	mini_command(&d, G_IRE, true);
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

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(interrupts_are_remapped),
		T(interrupt_attacks_are_refused),
		T(entry_open_to_all),
		T(compatibility_format_let_through),
		T(wide_ids_need_eim),
		T(interrupt_entry_without_flush),
		T(interrupt_entry_with_flush),
		T(interrupt_table_enabled_unflushed),
		T(entry_of_two_requesters),
		T(entry_of_a_bus),
		T(next_owner_of_an_entry),
		T(caching_mode_entry_made_present),
		T(entries_outlive_their_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
