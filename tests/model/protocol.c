/* SPDX-License-Identifier: MIT */
/*
 * Registers, commands, queue, interrupts, device TLBs, torn entries and
 * broken hardware: each rule of the judge has a minimal offender here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define OTHER MODEL_BDF(0, 4, 0)
#define ATS MODEL_BDF(0, 2, 0)
#define DID 5

static struct mini d;
static uint64_t top, frame;

static void cold(const char *kind)
{
	mini_open(&d, model_create_simple(kind, MODEL_LAZY, 1));
}

static void ready(const char *kind)
{
	cold(kind);
	mini_start(&d);
	top = mini_page(&d);
	frame = model_page_alloc(d.m, 0, 9);
	mini_map(&d, top, 0x10000, frame, 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
}

static bool can_write(uint16_t dev, uint64_t iova)
{
	uint64_t v = 1;

	return model_dma_write(d.m, 0, dev, iova, &v, 8) == MODEL_DMA_OK;
}

static void only(enum model_rule rule)
{
	if (!model_violations_of(d.m, rule) ||
		model_violations_of(d.m, rule) != model_violation_count(d.m))
		model_report(d.m, stderr);
	assert_true(model_violations_of(d.m, rule) > 0);
	assert_int_equal(
		model_violations_of(d.m, rule), model_violation_count(d.m));
}

static void expect(enum model_rule rule)
{
	only(rule);
	mini_close(&d, false);
}

/* ---- registers ---------------------------------------------------------- */

static void wide_access_to_narrow_registers(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, FEADDR, 0xfee00000);
	only(MODEL_V_ACCESS);
	model_violations_clear(d.m);
	mini_read64(&d, FECTL);
	expect(MODEL_V_ACCESS);
}

static void narrow_access_to_wide_registers_is_fine(void **state)
{
	(void)state;
	cold("plain");
	mini_write32(&d, RTADDR, (uint32_t)d.root);
	mini_write32(&d, RTADDR + 4, (uint32_t)(d.root >> 32));
	assert_int_equal(mini_read64(&d, RTADDR), d.root);
	assert_int_equal(mini_read32(&d, CAP + 4), d.cap >> 32);
	mini_close(&d, true);
}

static void unaligned_missing_and_read_only(void **state)
{
	(void)state;
	cold("plain");
	model_read32(d.m, d.base + 2);
	model_write32(d.m, d.base + GSTS, 0);
	model_write32(d.m, d.base + 0xff0, 0);
	model_read32(d.m, d.base + GCMD);
	assert_int_equal(model_violation_count(d.m), 4);
	only(MODEL_V_ACCESS);
	assert_int_equal(model_read32(d.m, d.base + 0x100000), 0xffffffff);
	mini_close(&d, false);
}

static void reserved_and_preserved_bits(void **state)
{
	unsigned iotlb;

	(void)state;
	cold("no-qi");
	iotlb = ECAP_IRO(d.ecap) + 8;
	mini_write32(&d, FECTL, 0);
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	mini_write64(&d, iotlb, IOTLB_IVT | 1ull << 60);
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	model_advance(d.m, 10000);
	mini_write64(&d, RTADDR, d.root | 0x20);
	expect(MODEL_V_RESERVED);
}

/* ---- global commands ---------------------------------------------------- */

static void two_changes_in_one_command(void **state)
{
	(void)state;
	cold("plain");
	mini_queue_on(&d);
	mini_set_root(&d);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	/* Echoes RTPS, which sets the root again. */
	mini_write32(&d, GCMD, mini_read32(&d, GSTS) | (uint32_t)G_TE);
	only(MODEL_V_COMMAND);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_TE);
	model_checkpoint(d.m);
	assert_true(model_violations_of(d.m, MODEL_V_STALE) > 0);
	mini_close(&d, false);
}

static void command_without_waiting_for_the_last(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, RTADDR, d.root);
	mini_write32(&d, GCMD, (uint32_t)G_RTP);
	assert_false(mini_read32(&d, GSTS) & (uint32_t)G_RTP);
	mini_write32(&d, GCMD, (uint32_t)G_QIE);
	expect(MODEL_V_COMMAND);
}

static void shadow_that_forgets_the_queue(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	/* Writes TE only, and so switches the queue off. */
	mini_write32(&d, GCMD, (uint32_t)G_TE);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_QIE);
	expect(MODEL_V_COMMAND);
}

static void enables_without_tables(void **state)
{
	(void)state;
	cold("self-flushing");
	mini_queue_on(&d);
	mini_command(&d, G_IRE, true);
	mini_write32(&d, GCMD, (uint32_t)(G_TE | G_QIE | G_IRE));
	assert_int_equal(model_violation_count(d.m), 2);
	expect(MODEL_V_COMMAND);
}

static void features_the_unit_lacks(void **state)
{
	(void)state;
	cold("no-qi");
	mini_write32(&d, GCMD, (uint32_t)G_QIE);
	expect(MODEL_V_UNSUPPORTED);
}

static void register_flush_on_a_new_unit(void **state)
{
	(void)state;
	cold("no-register-flush");
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_int_equal(bits(mini_read64(&d, CCMD), 60, 59), 0);
	model_violations_of(d.m, MODEL_V_UNSUPPORTED);
	expect(MODEL_V_UNSUPPORTED);
}

static void page_flush_without_psi(void **state)
{
	(void)state;
	cold("no-psi");
	mini_write64(&d, ECAP_IRO(d.ecap), 0x1000);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x1000, 0, false);
	assert_int_equal(
		bits(mini_read64(&d, ECAP_IRO(d.ecap) + 8), 58, 57), 0);
	expect(MODEL_V_UNSUPPORTED);
}

static void register_flush_beside_the_queue(void **state)
{
	(void)state;
	ready("plain");
	d.queue = false;
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_true(model_violations_of(d.m, MODEL_V_MIXED) > 0);
	mini_close(&d, false);
}

static void register_flushes_overlap(void **state)
{
	unsigned iotlb;
	uint64_t kept;

	(void)state;
	cold("no-qi");
	iotlb = ECAP_IRO(d.ecap) + 8;
	kept = mini_read64(&d, iotlb);
	mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
	mini_write64(&d, iotlb, kept | IOTLB_IVT | 1ull << 60);
	expect(MODEL_V_COMMAND);
}

static void status_rises_late(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, RTADDR, d.root);
	mini_write32(&d, GCMD, (uint32_t)G_RTP);
	assert_false(mini_read32(&d, GSTS) & (uint32_t)G_RTP);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_RTP);
	mini_close(&d, true);
}

/* ---- the queue ---------------------------------------------------------- */

static void queue_enabled_with_a_tail(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, IQT, 16);
	only(MODEL_V_QUEUE);
	model_violations_clear(d.m);
	mini_write64(&d, IQA, d.ring);
	mini_write32(&d, GCMD, (uint32_t)G_QIE);
	model_advance(d.m, 10000);
	assert_true(model_violations_of(d.m, MODEL_V_QUEUE) > 0);
	mini_close(&d, false);
}

static void bad_descriptor_stops_the_queue(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, 15, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_IQE);
	assert_int_equal(mini_read64(&d, IQERCD) & 15, IQEI_TYPE);
	only(MODEL_V_QUEUE);
	/* Repaired in place, the queue goes on. */
	((uint64_t *)model_ptr(d.m, d.ring))[mini_read64(&d, IQH) / 8] =
		DESC_IOTLB | GRAN_GLOBAL << 4;
	model_violations_clear(d.m);
	mini_write32(&d, FSTS, FSTS_IQE);
	assert_true(mini_wait(&d));
	mini_close(&d, true);
}

static void reserved_bits_in_descriptors(void **state)
{
	static const uint64_t bad[][2] = {
		{DESC_CC, 0},
		{DESC_CC | GRAN_GLOBAL << 4, 1},
		{DESC_IOTLB | GRAN_GLOBAL << 4 | 1ull << 40, 0},
		{DESC_IOTLB | GRAN_NARROW << 4, 63},
		{DESC_DEVTLB | 1ull << 50, 0},
		{DESC_IEC | 1ull << 5, 0},
		{DESC_WAIT | BIT(5), 1},
		{6, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ready("plain");
		mini_queue(&d, bad[i][0], bad[i][1]);
		mini_ring(&d);
		model_advance(d.m, 10000);
		assert_true(mini_read32(&d, FSTS) & FSTS_IQE);
		expect(MODEL_V_QUEUE);
	}
}

static void descriptor_rewritten_after_the_doorbell(void **state)
{
	(void)state;
	ready("plain");
	/* A wait in front holds the next one back. */
	mini_queue(&d, 1ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	mini_read32(&d, GSTS);
	((uint64_t *)model_ptr(d.m, d.ring))[(d.tail - 1) * 2] =
		DESC_IOTLB | GRAN_DOMAIN << 4;
	model_advance(d.m, 10000);
	expect(MODEL_V_QUEUE);
}

static void queue_off_only_when_quiet(void **state)
{
	(void)state;
	cold("qemu-4.0");
	mini_queue_on(&d);
	/* No wait was ever completed. */
	mini_write32(&d, GCMD, 0);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_QIE);
	only(MODEL_V_COMMAND);
	model_violations_clear(d.m);
	assert_true(mini_wait(&d));
	mini_command(&d, G_QIE, false);
	assert_false(mini_read32(&d, GSTS) & (uint32_t)G_QIE);
	mini_close(&d, true);
}

static void wait_raises_an_interrupt_once(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, BIT(4) | DESC_WAIT, 0);
	mini_queue(&d, BIT(4) | DESC_WAIT, 0);
	mini_ring(&d);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, ICS) & ICS_IWC);
	assert_true(mini_read32(&d, IECTL) & CTL_IP);
	mini_write32(&d, ICS, ICS_IWC);
	assert_false(mini_read32(&d, IECTL) & CTL_IP);
	mini_close(&d, true);
}

/* ---- entries ------------------------------------------------------------ */

static void domain_ids(void **state)
{
	(void)state;
	ready("16-domains");
	mini_attach(&d, OTHER, top, 16, TT_SS);
	can_write(OTHER, 0);
	expect(MODEL_V_UNSUPPORTED);
	ready("caching");
	mini_attach(&d, OTHER, top, 0, TT_SS);
	can_write(OTHER, 0);
	expect(MODEL_V_UNSUPPORTED);
	ready("plain");
	can_write(DEV, 0x20000);
	mini_attach(&d, OTHER, mini_page(&d), DID, TT_SS);
	can_write(OTHER, 0x20000);
	/* Two tables under one id; the first one's pointers are cached. */
	assert_int_equal(model_violations_of(d.m, MODEL_V_UNSUPPORTED), 1);
	mini_close(&d, false);
}

static void reserved_bits_in_entries(void **state)
{
	(void)state;
	ready("no-snoop-control");
	mini_map(&d, top, 0x20000, frame, 3 | SS_SNP);
	assert_false(can_write(DEV, 0x20000));
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	mini_map(&d, top, 0x21000, 1ull << 47, 3);
	assert_false(can_write(DEV, 0x21000));
	only(MODEL_V_RESERVED);
	model_violations_clear(d.m);
	mini_store(&d, d.root + 16 * 9, mini_page(&d) | 3);
	model_dma_read(d.m, 0, MODEL_BDF(9, 0, 0), 0, &top, 8);
	assert_int_equal(model_last_fault(d.m), F_ROOT_RSVD);
	expect(MODEL_V_RESERVED);
}

static void mapping_of_forbidden_places(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x20000, 0xfee01000, 3);
	can_write(DEV, 0x20000);
	only(MODEL_V_ADDRESS);
	model_violations_clear(d.m);
	mini_map(&d, top, 0x21000, d.base, 3);
	can_write(DEV, 0x21000);
	expect(MODEL_V_ADDRESS);
}

static void walk_through_a_freed_table(void **state)
{
	uint64_t slot, table;

	(void)state;
	ready("plain");
	slot = mini_slot(&d, top, 4, 0x40000000, 2);
	table = mini_page(&d);
	model_page_free(d.m, table, 0);
	mini_store(&d, slot, table | 3);
	/* The freed page looks like a table that leads to the secret. */
	assert_true(can_write(DEV, 0x40000000));
	assert_true(model_violations_of(d.m, MODEL_V_WALK) > 0);
	assert_true(model_violations_of(d.m, MODEL_V_OPEN) > 0);
	mini_close(&d, false);
}

static void device_reaches_a_foreign_page(void **state)
{
	(void)state;
	ready("plain");
	model_device_expect(d.m, 0, DEV, 9);
	assert_true(can_write(DEV, 0x10000));
	assert_int_equal(model_violation_count(d.m), 0);
	mini_map(&d, top, 0x20000, model_page_alloc(d.m, 0, 10), 3);
	assert_true(can_write(DEV, 0x20000));
	expect(MODEL_V_OPEN);
}

static void count_reach(void *ctx, const struct model_reach *r)
{
	uint64_t *sum = ctx;

	*sum += r->size;
	if (r->iova == 0x10000)
		assert_int_equal(r->phys, frame);
}

static void enumeration_shows_what_memory_says(void **state)
{
	uint64_t sum = 0;

	(void)state;
	ready("plain");
	mini_store(
		&d, mini_slot(&d, top, 4, 0x40000000, 2), 0x400000 | SS_PS | 3);
	assert_true(model_enumerate(d.m, 0, DEV, count_reach, &sum));
	assert_int_equal(sum, 0x201000);
	sum = 0;
	assert_true(model_enumerate(d.m, 0, OTHER, count_reach, &sum));
	assert_int_equal(sum, 0);
	mini_close(&d, true);
}

/* ---- watching stores ---------------------------------------------------- */

static void watched(const char *kind, unsigned flags)
{
	static const struct model_function_desc f[] = {
		{.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1},
		{.bdf = OTHER, .kind = MODEL_INTEGRATED, .unit = -1}};
	struct model_unit_desc unit = {
		.kind = model_personality_find(kind), .include_all = true};
	struct model_desc desc = {.flags = MODEL_WATCH | flags,
		.units = &unit,
		.unit_count = 1,
		.functions = f,
		.function_count = 2};

	mini_open(&d, model_create(&desc));
	mini_start(&d);
	top = mini_page(&d);
	frame = model_page_alloc(d.m, 0, 9);
	mini_map(&d, top, 0x10000, frame, 3);
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
}

static void torn_context_entry(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_context(&d, DEV);
	/* High half first, while the entry is present. */
	mini_store(&d, slot + 8, 6ull << 8 | 2);
	only(MODEL_V_CHANGE);
	mini_close(&d, false);
}

static void whole_context_entry_at_once(void **state)
{
	__uint128_t *slot, is;

	(void)state;
	watched("plain", 0);
	slot = model_ptr(d.m, mini_context(&d, DEV));
	is = *slot;
	/* One 16-byte store. */
	typedef long long v2 __attribute__((vector_size(16)));
	*(volatile v2 *)slot = (v2){(long long)(mini_page(&d) | 1), 6 << 8 | 2};
	assert_true(is != *slot);
	mini_close(&d, true);
}

static void clear_first_then_rewrite(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_context(&d, DEV);
	mini_store(&d, slot, 0);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
	mini_store(&d, slot + 8, 6ull << 8 | 2);
	mini_store(&d, slot, mini_page(&d) | 1);
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

static void page_size_changed_in_one_step(void **state)
{
	uint64_t slot;

	(void)state;
	watched("plain", 0);
	slot = mini_slot(&d, top, mini_levels(&d), 0x10000, 2);
	mini_store(&d, slot, 0x400000 | SS_PS | 3);
	expect(MODEL_V_CHANGE);
}

static void eager_unit_sees_everything_that_was_present(void **state)
{
	(void)state;
	watched("plain", MODEL_EAGER);
	/* Mapped and unmapped without a flush, and without any DMA. */
	mini_map(&d, top, 0x20000, frame, 3);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x20000, 1), 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	only(MODEL_V_STALE);
	mini_close(&d, false);
}

static void eager_unit_walks_into_new_tables(void **state)
{
	uint64_t table, upper;

	(void)state;
	watched("plain", MODEL_EAGER);
	/* A table is published, then filled. */
	upper = mini_slot(&d, top, mini_levels(&d), 0x40000000, 2);
	table = mini_page(&d);
	mini_store(&d, upper, table | 3);
	mini_store(&d, table, frame | 3);
	mini_store(&d, table, 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

static void prefetch_shows_missing_flushes_without_dma(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x20000, frame, 3);
	model_prefetch(d.m);
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), 0x20000, 1), 0);
	assert_int_equal(model_checkpoint(d.m), 1);
	mini_close(&d, false);
}

/* ---- interrupts --------------------------------------------------------- */

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
	expect(MODEL_V_INTERRUPT);
}

static void compatibility_format_let_through(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_CFI, true);
	assert_true(model_msi(d.m, 0, DEV, 0xfee00000, 0x41));
	expect(MODEL_V_INTERRUPT);
}

static void wide_ids_need_eim(void **state)
{
	(void)state;
	ready("no-eim");
	mini_write64(&d, IRTA, d.irt | BIT(11) | 7);
	mini_command(&d, G_IRTP, true);
	expect(MODEL_V_UNSUPPORTED);
}

/* ---- device TLBs -------------------------------------------------------- */

static void ats_on(uint16_t dev)
{
	model_pci_write(
		d.m, 0, (uint8_t)(dev >> 8), (uint8_t)dev, 0x106, 2, 0x8000);
}

static void device_tlb_flush_rules(void **state)
{
	(void)state;
	ready("plain");
	mini_flush_device(&d, ATS, 0, false);
	assert_int_equal(model_violations_of(d.m, MODEL_V_ATS), 1);
	expect(MODEL_V_ATS);
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	mini_translation(&d, false);
	mini_flush_device(&d, ATS, 0, false);
	expect(MODEL_V_ATS);
}

static void translated_requests_need_permission(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	assert_int_equal(model_dma_translated(d.m, 0, DEV, frame, &v, 8, true),
		MODEL_DMA_BLOCKED);
	assert_int_equal(model_last_fault(d.m), F_TT_BLOCKS);
	mini_attach(&d, ATS, top, DID, TT_ATS);
	assert_int_equal(model_dma_translated(d.m, 0, ATS, frame, &v, 8, true),
		MODEL_DMA_OK);
	mini_close(&d, true);
}

static void silent_device_times_out(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	assert_int_equal(bits(mini_read64(&d, IQERCD), 47, 32), ATS);
	/* Cleared, the queue goes on with what is new. */
	mini_write32(&d, FSTS, FSTS_ITE);
	assert_true(mini_wait(&d));
	mini_close(&d, true);
}

static void late_device_delays_the_wait(void **state)
{
	uint64_t start;

	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_LATE);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	start = model_now(d.m);
	assert_true(mini_wait(&d));
	assert_true(model_now(d.m) - start >= 900000);
	mini_close(&d, true);
}

static void removed_device_times_out(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	model_device_remove(d.m, 0, ATS);
	assert_int_equal(
		model_pci_read(d.m, 0, 0, (uint8_t)ATS, 0, 4), 0xffffffff);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0);
	assert_false(mini_wait(&d));
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	mini_close(&d, true);
}

/* ---- broken hardware ---------------------------------------------------- */

static void dead_unit_reads_all_ones(void **state)
{
	(void)state;
	ready("plain");
	model_unit_gone(d.m, 0, 2);
	assert_int_not_equal(mini_read32(&d, VER), 0xffffffff);
	mini_read32(&d, VER);
	assert_int_equal(mini_read32(&d, VER), 0xffffffff);
	assert_int_equal(mini_read64(&d, CAP), ~0ull);
	mini_close(&d, true);
}

static void hung_unit_is_noticed_by_a_deadline(void **state)
{
	(void)state;
	ready("plain");
	model_unit_hang(d.m, 0, 0);
	assert_false(mini_wait(&d));
	mini_close(&d, true);
}

static void endless_polling_is_blamed(void **state)
{
	(void)state;
	ready("no-qi");
	model_unit_hang(d.m, 0, 0);
	mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
	/* No deadline at all: the model ends it. */
	while (mini_read64(&d, CCMD) >> 63)
		;
	expect(MODEL_V_WAIT);
}

static void nth_wait_fails_once(void **state)
{
	(void)state;
	ready("plain");
	model_fail_wait(d.m, 2);
	assert_true(mini_wait(&d));
	assert_false(mini_wait(&d));
	mini_close(&d, true);
}

static void nth_allocation_fails(void **state)
{
	(void)state;
	cold("plain");
	model_fail_alloc(d.m, 2, false);
	assert_int_not_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_not_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	model_fail_alloc(d.m, 1, true);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	assert_int_equal(model_page_alloc(d.m, 0, 1), MODEL_NONE);
	mini_close(&d, true);
}

static void protected_regions_block_before_translation(void **state)
{
	uint64_t v = 0;

	(void)state;
	cold("protected-regions");
	frame = model_page_alloc(d.m, 0, 9);
	mini_write32(&d, PLMBASE, 0);
	mini_write32(&d, PLMLIMIT, 0xffe00000);
	assert_true(can_write(DEV, frame));
	mini_write32(&d, PMEN, mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, PMEN) & PMEN_PRS);
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, frame, &v, 8), MODEL_DMA_BLOCKED);
	mini_close(&d, true);
}

static void seed_decides_everything(void **state)
{
	struct model_counters a, b;
	uint64_t t[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		mini_open(&d, model_create_simple("plain", MODEL_RANDOM, 42));
		mini_start(&d);
		for (int n = 0; n < 50; n++)
			mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		model_counters(d.m, i ? &b : &a);
		t[i] = model_now(d.m);
		mini_close(&d, true);
	}
	assert_int_equal(t[0], t[1]);
	assert_memory_equal(&a, &b, sizeof a);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(wide_access_to_narrow_registers),
		T(narrow_access_to_wide_registers_is_fine),
		T(unaligned_missing_and_read_only),
		T(reserved_and_preserved_bits),
		T(two_changes_in_one_command),
		T(command_without_waiting_for_the_last),
		T(shadow_that_forgets_the_queue),
		T(enables_without_tables),
		T(features_the_unit_lacks),
		T(register_flush_on_a_new_unit),
		T(page_flush_without_psi),
		T(register_flush_beside_the_queue),
		T(register_flushes_overlap),
		T(status_rises_late),
		T(queue_enabled_with_a_tail),
		T(bad_descriptor_stops_the_queue),
		T(reserved_bits_in_descriptors),
		T(descriptor_rewritten_after_the_doorbell),
		T(queue_off_only_when_quiet),
		T(wait_raises_an_interrupt_once),
		T(domain_ids),
		T(reserved_bits_in_entries),
		T(mapping_of_forbidden_places),
		T(walk_through_a_freed_table),
		T(device_reaches_a_foreign_page),
		T(enumeration_shows_what_memory_says),
		T(torn_context_entry),
		T(whole_context_entry_at_once),
		T(clear_first_then_rewrite),
		T(page_size_changed_in_one_step),
		T(eager_unit_sees_everything_that_was_present),
		T(eager_unit_walks_into_new_tables),
		T(prefetch_shows_missing_flushes_without_dma),
		T(interrupts_are_remapped),
		T(interrupt_attacks_are_refused),
		T(entry_open_to_all),
		T(compatibility_format_let_through),
		T(wide_ids_need_eim),
		T(device_tlb_flush_rules),
		T(translated_requests_need_permission),
		T(silent_device_times_out),
		T(late_device_delays_the_wait),
		T(removed_device_times_out),
		T(dead_unit_reads_all_ones),
		T(hung_unit_is_noticed_by_a_deadline),
		T(endless_polling_is_blamed),
		T(nth_wait_fails_once),
		T(nth_allocation_fails),
		T(protected_regions_block_before_translation),
		T(seed_decides_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
