/* SPDX-License-Identifier: MIT */
/*
 * First and last ones in memory, and what lies beside: the first entry of a
 * table and the page behind its first, memory that does not begin at zero,
 * requests over two pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

#define MSI(index) (0xfee00000ull | (index) << 5 | BIT(4))

static uint64_t word(uint64_t pa)
{
	return *(uint64_t *)model_ptr(d.m, pa);
}

static void entry_for(unsigned index, uint16_t sid)
{
	mini_store(&d, d.irt + index * 16 + 8, 1ull << 18 | sid);
	mini_store(&d, d.irt + index * 16, 0x550001);
}

/* ---- memory ---------------------------------------------------------------
 */

static void open_above_zero(const char *kind)
{
	static const struct model_function_desc f = {
		.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1};
	struct model_unit_desc unit = {
		.kind = model_personality_find(kind), .include_all = true};
	struct model_desc desc = {.ram_base = 0x180000000,
		.ram_size = 1 << 20,
		.units = &unit,
		.unit_count = 1,
		.functions = &f,
		.function_count = 1};

	mini_open(&d, model_create(&desc));
	mini_start(&d);
	top = mini_page(&d);
	frame = model_page_alloc(d.m, 0, OWNER);
}

static void memory_that_does_not_begin_at_zero(void **state)
{
	static const char *const kinds[] = {
		"plain", "non-coherent", "write-buffer", "worst-memory"};
	uint64_t table, v;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		open_above_zero(kinds[i]);
		table = mini_slot(&d, top, mini_levels(&d), 0, 1);
		mini_map(&d, top, 0x10000, frame, 3);
		mini_map(&d, top, 0x11000, table, 3);
		mini_attach(&d, DEV, top, DID, TT_SS);
		assert_true(can_write(DEV, 0x10000));
		assert_int_equal(word(frame), 1);
		assert_int_equal(model_checkpoint(d.m), 0);
		/* What a device writes every unit sees (VT-d 3.8). */
		v = frame | 3;
		model_dma_write(d.m, 0, DEV, 0x11100, &v, 8);
		assert_true(can_write(DEV, 0x20000));
		assert_int_equal(model_checkpoint(d.m), 0);
		set_leaf(0x10000, 0);
		assert_int_equal(model_checkpoint(d.m), 1 + (i == 2 || i == 3));
		model_page_free(d.m, frame, 0);
		/* The trap that was left leads to the last page. */
		assert_int_equal(word(frame), 0x1800ff000 | 3);
		mini_close(&d, false);
	}
}

static void written_back_lines_are_counted(void **state)
{
	struct model_counters a, b;

	(void)state;
	ready("non-coherent");
	model_counters(d.m, &a);
	model_cache_flush(d.m, frame + 63, 2);
	model_cache_flush(d.m, frame, 0);
	model_counters(d.m, &b);
	assert_int_equal(b.line_flushes - a.line_flushes, 2);
	mini_close(&d, true);
}

static void entries_are_written_back_by_chance(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (unsigned seed = 0; seed < 64; seed++) {
		by_chance("non-coherent", seed);
		mapped();
		mini_context(&d, DEV);
		d.coherent = true;
		mini_attach(&d, DEV, top, DID, TT_SS);
		seen += can_write(DEV, 0x10000);
		mini_close(&d, false);
	}
	assert_in_range(seen, 1, 32);
}

/* ---- tables ---------------------------------------------------------------
 */

static void upper_tables_are_kept_too(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x40000000, frame | 3);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0, 4), 0);
	/* Another branch below the same pointer. */
	assert_true(can_write(DEV, 0x40000000));
	expect_at_checkpoint(MODEL_V_STALE);
}

/* Also what was found from a pointer on came by all the tables above. */
static void everything_below_a_removed_table_is_stale(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x11000, frame | 3);
	assert_true(can_write(DEV, 0x11000));
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x10000, 2), 0);
	/* Two pages and the pointer. */
	assert_int_equal(model_checkpoint(d.m), 3);
	assert_true(said("translation of domain 5, iova 0x11000"));
	assert_true(said("table pointer of domain 5"));
	mini_close(&d, false);
}

static void failure_is_kept_however_often_it_is_met(void **state)
{
	(void)state;
	ready("caching");
	assert_false(can_write(DEV, 0x20000));
	set_leaf(0x20000, frame | 3);
	for (unsigned i = 0; i < 3; i++)
		assert_false(can_write(DEV, 0x20000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void leaf_hint_in_a_register(void **state)
{
	(void)state;
	for (unsigned hint = 0; hint < 2; hint++) {
		ready("no-qi");
		set_leaf(0x11000, frame | 3);
		mini_store(
			&d, mini_slot(&d, top, mini_levels(&d), 0x10000, 2), 0);
		mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 9, hint);
		assert_int_equal(can_write(DEV, 0x11000), hint);
		mini_close(&d, false);
	}
}

static void mode_of_the_root_table_changed_while_it_is_used(void **state)
{
	(void)state;
	ready("plain");
	mini_write64(&d, RTADDR, d.root | 3 << 10);
	mini_command(&d, (uint32_t)G_RTP, true);
	expect(MODEL_V_COMMAND);
}

/* ---- interrupt entries ----------------------------------------------------
 */

static void first_interrupt_entry_changed_without_flush(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry_for(0, DEV);
	assert_true(model_msi(d.m, 0, DEV, MSI(0), 0));
	mini_store(&d, d.irt, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	expect(MODEL_V_STALE);
}

static void needed_flush_of_one_interrupt_entry(void **state)
{
	struct model_counters a, b;

	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	entry_for(3, DEV);
	assert_true(model_msi(d.m, 0, DEV, MSI(3), 0));
	model_counters(d.m, &a);
	mini_store(&d, d.irt + 3 * 16, 0);
	mini_flush_irte(&d, false, 3);
	model_counters(d.m, &b);
	assert_int_equal(b.superfluous, a.superfluous);
	mini_flush_irte(&d, false, 3);
	model_counters(d.m, &b);
	assert_int_equal(b.superfluous - a.superfluous, 1);
	mini_close(&d, true);
}

static void second_page_of_entries_not_written_back(void **state)
{
	(void)state;
	ready("non-coherent");
	d.irt = model_page_alloc(d.m, 1, MODEL_OWNER_DRIVER);
	memset(model_ptr(d.m, d.irt), 0, 0x2000);
	model_cache_flush(d.m, d.irt, 0x2000);
	mini_write64(&d, IRTA, d.irt | 8);
	mini_command(&d, G_IRTP, true);
	mini_flush_irte(&d, true, 0);
	mini_command(&d, G_IRE, true);
	assert_int_equal(model_checkpoint(d.m), 0);
	d.coherent = true;
	entry_for(511, DEV);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void interrupt_table_that_is_not_memory(void **state)
{
	(void)state;
	ready("plain");
	d.irt = 0x3ff0000000;
	mini_start_interrupts(&d);
	assert_false(model_msi(d.m, 0, DEV, MSI(5), 0));
	assert_int_equal(model_last_fault(d.m), F_IR_ACCESS);
	mini_close(&d, true);
}

/* A unit may be the I/O APIC's although it covers no function. */
static void interrupts_of_an_ioapic_outside_of_all_scopes(void **state)
{
	const uint16_t from = MODEL_BDF(0xf0, 31, 0);
	struct model_ioapic_desc ioapic = {.id = 1, .bdf = from};
	struct model_unit_desc unit = {.kind = model_personality_find("plain")};
	struct model_desc desc = {.units = &unit,
		.unit_count = 1,
		.ioapics = &ioapic,
		.ioapic_count = 1};

	(void)state;
	mini_open(&d, model_create(&desc));
	mini_start(&d);
	mini_start_interrupts(&d);
	entry_for(5, from);
	assert_true(model_msi(d.m, 0, from, MSI(5), 0));
	assert_int_equal(model_last_fault(d.m), 0);
	mini_close(&d, true);
}

/* Of an interrupt that is not remapped no index is recorded. */
static void refused_without_an_entry(void **state)
{
	static const struct {
		uint64_t ecap;
		bool on;
		unsigned reason;
	} refused[] = {{0, true, F_IR_COMPAT}, {ECAP_IRREQ, false, F_IR_NEEDED},
		{ECAP_EIMER, true, F_IR_NOT_EIM}};
	struct model_personality kind;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		kind = *model_personality_find("plain");
		kind.ecap |= refused[i].ecap;
		mini_open(
			&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		mini_start(&d);
		if (refused[i].on)
			mini_start_interrupts(&d);
		assert_false(model_msi(d.m, 0, DEV, 0xfee00000, 5));
		assert_int_equal(model_last_fault(d.m), refused[i].reason);
		assert_int_equal(mini_read64(&d, CAP_FRO(d.cap)), 0);
		mini_close(&d, true);
	}
}

/* ---- requests -------------------------------------------------------------
 */

static void first_function_loses_its_memory(void **state)
{
	const uint16_t first = MODEL_BDF(0, 31, 0);

	(void)state;
	ready("plain");
	mini_map(&d, top, frame, frame, 3);
	mini_attach(&d, first, top, DID, TT_SS);
	model_device_needs(d.m, 0, first, frame, frame + 0xfff);
	model_advance(d.m, 10000);
	assert_int_equal(model_violation_count(d.m), 0);
	take_context(first);
	mini_flush_context(&d, GRAN_NARROW, DID, first);
	flush_domain();
	expect(MODEL_V_NEEDED);
}

static void second_page_of_a_translated_request(void **state)
{
	uint8_t buf[16] = {1};

	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	model_pci_write(d.m, 0, 0, (uint8_t)ATS, 0x106, 2, 0x8000);
	assert_int_equal(model_ats_dma(d.m, 0, ATS, 0x10ff8, buf, 16, true),
		MODEL_DMA_BLOCKED);
	assert_int_equal(word(frame + 0xff8), 1);
	mini_close(&d, true);
}

/* A device's request passes none of its own, nor does it push another's. */
static void a_read_pushes_its_own_writes_alone(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, top, DID, TT_SS);
	model_dma_post(d.m, 0, OTHER, 0x10000, &v, 8);
	model_dma_read_late(d.m, 0, DEV, 0x10000, 8);
	model_dma_post(d.m, 0, DEV, 0x10008, &v, 8);
	assert_int_equal(model_posted(d.m), 3);
	model_dma_read(d.m, 0, DEV, 0x10000, &v, 8);
	assert_int_equal(model_posted(d.m), 2);
	assert_int_equal(word(frame + 8), 1);
	mini_close(&d, true);
}

static void flush_of_two_pages_drains_both(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	for (uint64_t iova = 0x10000; iova < 0x13000; iova += 0x1000) {
		set_leaf(iova, frame | 3);
		model_dma_post(d.m, 0, DEV, iova, &v, 8);
	}
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x10000, 1, false);
	assert_int_equal(model_posted(d.m), 1);
	mini_close(&d, true);
}

static void translation_begins_with_all_requests_drained(void **state)
{
	uint64_t v = 1;

	(void)state;
	cold("plain");
	frame = model_page_alloc(d.m, 0, OWNER);
	model_dma_post(d.m, 0, DEV, frame, &v, 8);
	assert_int_equal(model_posted(d.m), 1);
	mini_start(&d);
	assert_int_equal(model_posted(d.m), 0);
	mini_close(&d, true);
}

static void nothing_is_late_in_the_forgiving_mode(void **state)
{
	uint64_t v = 1;

	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_BENIGN, 1));
	frame = model_page_alloc(d.m, 0, OWNER);
	model_dma_post(d.m, 0, DEV, frame, &v, 8);
	model_dma_post(d.m, 0, DEV, frame + 8, &v, 8);
	assert_int_equal(model_posted(d.m), 0);
	assert_int_equal(word(frame) + word(frame + 8), 2);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_that_does_not_begin_at_zero),
		T(written_back_lines_are_counted),
		T(entries_are_written_back_by_chance),
		T(upper_tables_are_kept_too),
		T(everything_below_a_removed_table_is_stale),
		T(failure_is_kept_however_often_it_is_met),
		T(leaf_hint_in_a_register),
		T(mode_of_the_root_table_changed_while_it_is_used),
		T(first_interrupt_entry_changed_without_flush),
		T(needed_flush_of_one_interrupt_entry),
		T(second_page_of_entries_not_written_back),
		T(interrupt_table_that_is_not_memory),
		T(interrupts_of_an_ioapic_outside_of_all_scopes),
		T(refused_without_an_entry),
		T(first_function_loses_its_memory),
		T(second_page_of_a_translated_request),
		T(a_read_pushes_its_own_writes_alone),
		T(flush_of_two_pages_drains_both),
		T(translation_begins_with_all_requests_drained),
		T(nothing_is_late_in_the_forgiving_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
