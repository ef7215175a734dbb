/* SPDX-License-Identifier: MIT */
/*
 * First and last ones, second rounds, and what lies beside: the first entry of
 * a table and the page behind its first, memory that does not begin at zero,
 * the bit above a field, the register behind the last fault record.
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

/* ---- queue and registers --------------------------------------------------
 */

static void ring_goes_round(void **state)
{
	(void)state;
	ready("plain");
	for (unsigned i = 0; i < 600; i++)
		flush_domain();
	/* No wait asked for an event. */
	assert_int_equal(mini_read32(&d, ICS), 0);
	mini_close(&d, true);
}

static void slot_repaired_in_a_larger_ring(void **state)
{
	(void)state;
	cold("plain");
	d.ring = model_page_alloc(d.m, 1, MODEL_OWNER_DRIVER) | 1;
	mini_queue_on(&d);
	d.ring &= ~0xfffull;
	mini_queue(&d, 15, 0);
	assert_false(mini_wait(&d));
	*(uint64_t *)model_ptr(d.m, d.ring) = DESC_IOTLB | GRAN_GLOBAL << 4;
	model_violations_clear(d.m);
	mini_write32(&d, FSTS, FSTS_IQE);
	assert_true(mini_wait(&d));
	assert_int_equal(mini_read64(&d, IQERCD), 0);
	mini_close(&d, true);
}

/* What the last life rang for says nothing about the slot before the first. */
static void queue_is_switched_on_again(void **state)
{
	(void)state;
	ready("plain");
	mini_command(&d, G_QIE, false);
	((uint64_t *)model_ptr(d.m, d.ring))[255 * 2] = 0x1234;
	mini_queue_on(&d);
	mini_write64(&d, IQT, 0);
	d.tail = 0;
	assert_true(mini_wait(&d));
	mini_close(&d, true);
}

/* The bits above the granularity say whether to drain. */
static void drain_bits_do_not_make_a_granularity(void **state)
{
	static const uint64_t bad[][2] = {{DESC_IOTLB | BIT(6), 0},
		{DESC_IOTLB | BIT(6) | BIT(7), 0},
		{DESC_IOTLB | GRAN_NARROW << 4 | BIT(6), 63}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		ready("plain");
		mini_queue(&d, bad[i][0], bad[i][1]);
		assert_false(mini_wait(&d));
		assert_int_equal(mini_read64(&d, IQERCD) & 15, IQEI_RSVD);
		expect(MODEL_V_QUEUE);
	}
}

/* Units that throttle take the id of the physical function, too (VT-d
 * 6.5.2.5). */
static void bits_of_a_device_flush(void **state)
{
	struct model_personality kind = *model_personality_find("plain");

	(void)state;
	for (unsigned bit = 4; bit < 64; bit++) {
		bool only_throttling = (bit >= 12 && bit < 16) || bit >= 52;
		bool id = (bit >= 16 && bit < 21) || (bit >= 32 && bit < 48);

		if (id)
			continue;
		for (unsigned dit = 0; dit < 2; dit++) {
			kind.ecap = model_personality_find("plain")->ecap |
				(dit ? ECAP_DIT : 0);
			mini_open(&d,
				model_create_usual(
					&kind, MODEL_LAZY, 0, 1, false));
			mini_start(&d);
			model_pci_write(
				d.m, 0, 0, (uint8_t)ATS, 0x106, 2, 0x8000);
			mini_queue(&d,
				DESC_DEVTLB | (uint64_t)ATS << 32 | 1ull << bit,
				0);
			assert_int_equal(mini_wait(&d), dit && only_throttling);
			mini_close(&d, false);
		}
	}
}

/* From version 6 on the registers for flushes do nothing (VT-d 6.5.1). */
static void versions_with_flush_registers(void **state)
{
	struct model_personality kind = *model_personality_find("plain");

	(void)state;
	for (unsigned major = 5; major < 8; major++) {
		kind.version = major << 4;
		mini_open(
			&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		/* The use, and each command that does nothing. */
		assert_int_equal(model_violation_count(d.m), major < 6 ? 0 : 3);
		assert_int_equal(said(major == 6 ? "version 6" : "version 7"),
			major >= 6);
		assert_int_equal(bits(mini_read64(&d, CCMD), 60, 59),
			major < 6 ? GRAN_GLOBAL : 0);
		mini_close(&d, false);
	}
}

static void command_without_a_change_is_none(void **state)
{
	(void)state;
	cold("write-buffer");
	mini_write32(&d, GCMD, 0);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_write_buffer(&d);
	assert_false(mini_read32(&d, GSTS) & (uint32_t)G_WBF);
	mini_close(&d, true);
}

static void protected_regions_stay_where_they_are(void **state)
{
	static const unsigned fixed[] = {PLMBASE, PLMLIMIT, PHMBASE, PHMLIMIT};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		cold("protected-regions");
		mini_write32(&d, fixed[i], 0);
		mini_write32(
			&d, PMEN, mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
		model_advance(d.m, 10000);
		assert_int_equal(model_violation_count(d.m), 0);
		mini_write32(&d, fixed[i], 0);
		expect(MODEL_V_COMMAND);
	}
}

static void registers_have_a_place(void **state)
{
	const struct model_personality *kind = model_personality_find("plain");
	uint64_t size;

	(void)state;
	cold("plain");
	mini_write32(&d, FEDATA + 1, 1);
	assert_true(said("unaligned write at offset 0x3d"));
	mini_read32(&d, FEDATA + 1);
	assert_true(said("unaligned read at offset 0x3d"));
	size = model_unit_size(d.m, 0);
	assert_int_equal(mini_read32(&d, (unsigned)size - 4), 0);
	assert_int_equal(mini_read32(&d, (unsigned)size), 0xffffffff);
	expect(MODEL_V_ACCESS);
	/* And a unit to which they belong. */
	mini_open(&d, model_create_pair(kind, kind, MODEL_LAZY, 0, 1, false));
	model_write32(d.m, model_unit_base(d.m, 1) + FEDATA + 1, 1);
	assert_int_equal(model_violation(d.m, 0)->unit, 1);
	model_write64(
		d.m, model_unit_base(d.m, 1) + CCMD, CCMD_ICC | 1ull << 61);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

/* Each time anew, also after a reset (VT-d 11.4.4.1). */
static void nothing_goes_on_without_its_table(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_RTP);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_IRTP);
	mini_translation(&d, false);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_translation(&d, true);
	assert_true(said("without a root table"));
	model_unit_reset(d.m, 0);
	model_violations_clear(d.m);
	mini_command(&d, G_IRE, true);
	assert_true(said("enabled without a table"));
	assert_false(said("without a root table"));
	mini_translation(&d, true);
	assert_true(said("without a root table"));
	expect(MODEL_V_COMMAND);
}

static void register_behind_the_last_record(void **state)
{
	(void)state;
	cold("plain");
	mini_write32(&d, CAP_FRO(d.cap) + 16 * CAP_NFR(d.cap), 1);
	expect(MODEL_V_ACCESS);
}

static void two_registers_read_as_one(void **state)
{
	(void)state;
	cold("plain");
	mini_write32(&d, FEDATA, 0x41);
	mini_write32(&d, FEADDR, 0xfee01000);
	assert_int_equal(mini_read64(&d, FECTL) >> 32, 0x41);
	only(MODEL_V_ACCESS);
	mini_write32(&d, IECTL, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_RESERVED), 1);
	mini_close(&d, false);
}

/* ---- faults ---------------------------------------------------------------
 */

static void index_of_the_oldest_record(void **state)
{
	unsigned count;

	(void)state;
	cold("plain");
	mini_start(&d);
	count = CAP_NFR(d.cap);
	assert_true(count > 2);
	for (unsigned n = 0; n < 2 * count; n++) {
		assert_false(can_write(DEV, 0x1000));
		assert_int_equal(bits(mini_read32(&d, FSTS), 15, 8), n % count);
		mini_write32(
			&d, CAP_FRO(d.cap) + n % count * 16 + 12, 1u << 31);
	}
	mini_close(&d, true);
}

static struct model_interrupt last;

static void keep(void *ctx, struct model *m, const struct model_interrupt *irq)
{
	(void)ctx;
	(void)m;
	last = *irq;
}

static void message_to_a_distant_processor(void **state)
{
	(void)state;
	cold("plain");
	model_on_interrupt(d.m, keep, NULL);
	mini_write32(&d, FEDATA, 0xd41);
	mini_write32(&d, FEADDR, 0xfee34000);
	mini_write32(&d, FEUADDR, 0xabcdef00);
	mini_write32(&d, FECTL, mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(last.destination, 0xabcdef34);
	assert_int_equal(last.vector, 0x41);
	assert_int_equal(last.delivery, 5);
	/* Below bit 8 there is nothing. */
	mini_read32(&d, FSTS);
	mini_write32(&d, FSTS, FSTS_ICE);
	mini_write32(&d, FEUADDR, 0x1ff);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(last.destination, 0x134);
	mini_close(&d, true);
}

static void broken_unit_records_nothing(void **state)
{
	struct model_counters a, b;

	(void)state;
	for (unsigned gone = 0; gone < 2; gone++) {
		ready("plain");
		model_counters(d.m, &a);
		if (gone)
			model_unit_gone(d.m, 0, 0);
		else
			model_unit_hang(d.m, 0, 0);
		mini_read32(&d, VER);
		assert_false(can_write(DEV, 0x20000));
		model_counters(d.m, &b);
		assert_int_equal(b.faults, a.faults);
		assert_int_equal(b.dma - a.dma, 1);
		assert_int_equal(b.dma_blocked - a.dma_blocked, 1);
		mini_close(&d, true);
	}
}

/* New units say which page of the window it was (VT-d 5.1.4.1). */
static void request_to_the_window_that_is_no_interrupt(void **state)
{
	struct model_personality kind = *model_personality_find("plain");
	uint64_t v;

	(void)state;
	kind.version = 0x50;
	mini_open(&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
	mini_start(&d);
	assert_int_equal(model_dma_read(d.m, 0, DEV, 0xfee01234, &v, 8),
		MODEL_DMA_BLOCKED);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap)), 0xfee01000);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap) + 8),
		BIT(63) | BIT(62) | (uint64_t)F_IR_MALFORMED << 32 | DEV);
	mini_close(&d, true);
}

static void message_goes_with_its_condition(void **state)
{
	(void)state;
	cold("plain");
	model_unit_error(d.m, 0, FSTS_ICE);
	model_unit_error(d.m, 0, FSTS_ITE);
	assert_true(mini_read32(&d, FECTL) & CTL_IP);
	mini_write32(&d, FSTS, FSTS_ICE);
	assert_true(mini_read32(&d, FECTL) & CTL_IP);
	mini_write32(&d, FSTS, FSTS_ITE);
	assert_false(mini_read32(&d, FECTL) & CTL_IP);
	mini_close(&d, true);
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

/* ---- time -----------------------------------------------------------------
 */

static uint64_t one_look(void)
{
	uint64_t was = model_now(d.m);

	return model_now(d.m) - was;
}

static void time_runs_ahead_only_while_nothing_happens(void **state)
{
	uint64_t v;

	(void)state;
	ready("plain");
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned n = 0; n < 400; n++)
			model_now(d.m);
		assert_true(one_look() > 100);
		if (i)
			mini_write32(&d, FEDATA, 0);
		else
			model_dma_read(d.m, 0, DEV, 0x10000, &v, 8);
		assert_int_equal(one_look(), 100);
	}
	mini_close(&d, true);
}

static void unit_hangs_from_that_access_on(void **state)
{
	(void)state;
	for (unsigned after = 1; after < 4; after++) {
		ready("no-qi");
		model_unit_hang(d.m, 0, after);
		mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
		mini_read32(&d, VER);
		model_advance(d.m, 10000);
		/* The command is the first access, its end needs a second. */
		assert_int_equal(mini_read64(&d, CCMD) >> 63, after < 2);
		mini_close(&d, true);
	}
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
		T(ring_goes_round),
		T(slot_repaired_in_a_larger_ring),
		T(queue_is_switched_on_again),
		T(drain_bits_do_not_make_a_granularity),
		T(bits_of_a_device_flush),
		T(versions_with_flush_registers),
		T(command_without_a_change_is_none),
		T(protected_regions_stay_where_they_are),
		T(registers_have_a_place),
		T(nothing_goes_on_without_its_table),
		T(register_behind_the_last_record),
		T(two_registers_read_as_one),
		T(index_of_the_oldest_record),
		T(message_to_a_distant_processor),
		T(broken_unit_records_nothing),
		T(request_to_the_window_that_is_no_interrupt),
		T(message_goes_with_its_condition),
		T(first_function_loses_its_memory),
		T(second_page_of_a_translated_request),
		T(a_read_pushes_its_own_writes_alone),
		T(flush_of_two_pages_drains_both),
		T(translation_begins_with_all_requests_drained),
		T(nothing_is_late_in_the_forgiving_mode),
		T(time_runs_ahead_only_while_nothing_happens),
		T(unit_hangs_from_that_access_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
