/* SPDX-License-Identifier: MIT */
/*
 * Translation itself: a correct driver works on every kind of unit in every
 * mode without a violation, and wrong entries are refused as specified.
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

static bool reads(struct mini *d, uint64_t iova, uint64_t expect)
{
	uint64_t v = 0;

	return model_dma_read(d->m, 0, DEV, iova, &v, 8) == MODEL_DMA_OK &&
		v == expect;
}

/* Attach, map, DMA, unmap, detach, free: the life of one domain. */
static void life(struct mini *d)
{
	uint64_t top, frame, slot, v = 0x1122334455667788;
	uint16_t did = 5;

	mini_start(d);
	assert_false(reads(d, 0x10000, 0));
	top = mini_page(d);
	frame = model_page_alloc(d->m, 0, 9);
	mini_attach(d, DEV, top, did, TT_SS);
	mini_map(d, top, 0x10000, frame, 3);
	if (d->cap & CAP_CM)
		mini_flush_iotlb(d, GRAN_DOMAIN, did, 0, 0, false);
	assert_int_equal(
		model_dma_write(d->m, 0, DEV, 0x10008, &v, 8), MODEL_DMA_OK);
	assert_memory_equal((char *)model_ptr(d->m, frame) + 8, &v, sizeof v);
	assert_true(reads(d, 0x10008, v));
	assert_int_equal(model_checkpoint(d->m), 0);

	slot = mini_slot(d, top, mini_levels(d), 0x10000, 1);
	mini_store(d, slot, 0);
	mini_flush_iotlb(d, GRAN_DOMAIN, did, 0, 0, false);
	assert_int_equal(model_checkpoint(d->m), 0);
	assert_int_equal(model_dma_write(d->m, 0, DEV, 0x10008, &v, 8),
		MODEL_DMA_BLOCKED);
	model_page_free(d->m, frame, 0);

	mini_store(d, mini_context(d, DEV), 0);
	mini_flush_context(d, GRAN_NARROW, did, DEV);
	mini_flush_iotlb(d, GRAN_DOMAIN, did, 0, 0, false);
	assert_int_equal(model_checkpoint(d->m), 0);
	assert_false(reads(d, 0x10008, v));
	model_page_free(d->m, top, 0);
}

static void every_kind_in_every_mode(void **state)
{
	(void)state;
	for (const struct model_personality *p = model_personalities; p->name;
		p++)
		for (int mode = MODEL_LAZY; mode <= MODEL_BENIGN; mode++) {
			struct mini d;

			if (!CAP_SAGAW(p->cap))
				continue;
			mini_open(&d,
				model_create_simple(
					p->name, (enum model_mode)mode, 3));
			if (p->quirks & MODEL_QUIRK_HIDDEN_RWBF)
				d.cap |= CAP_RWBF;
			life(&d);
			mini_close(&d, true);
		}
}

static void random_kinds(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct model_personality p = model_personality_random(seed);
		struct model_unit_desc unit = {.kind = &p, .include_all = true};
		struct model_desc desc = {.seed = seed,
			.mode = (enum model_mode)(seed % 2),
			.units = &unit,
			.unit_count = 1};
		struct mini d;

		mini_open(&d, model_create(&desc));
		life(&d);
		mini_close(&d, true);
	}
}

/* A started machine with DEV attached to an empty domain 5. */
static uint64_t ready(struct mini *d, const char *kind)
{
	uint64_t top;

	mini_open(d, model_create_simple(kind, MODEL_LAZY, 1));
	mini_start(d);
	top = mini_page(d);
	mini_attach(d, DEV, top, 5, TT_SS);
	return top;
}

static unsigned fault_of(struct mini *d, uint64_t iova, bool write)
{
	uint64_t v = 0;

	if (write)
		model_dma_write(d->m, 0, DEV, iova, &v, 8);
	else
		model_dma_read(d->m, 0, DEV, iova, &v, 8);
	return model_last_fault(d->m);
}

static void faults_have_the_right_reason(void **state)
{
	uint64_t top, slot, frame;
	struct mini d;

	(void)state;
	top = ready(&d, "plain");
	frame = model_page_alloc(d.m, 0, 9);
	mini_map(&d, top, 0x1000, frame, SS_R);
	mini_map(&d, top, 0x2000, frame, SS_W);
	assert_int_equal(fault_of(&d, 0x1000, true), F_WRITE);
	assert_int_equal(fault_of(&d, 0x1000, false), 0);
	assert_int_equal(fault_of(&d, 0x2000, false), F_READ);
	assert_int_equal(fault_of(&d, 0x3000, false), F_READ);
	assert_int_equal(fault_of(&d, 1ull << 48, false), F_ADDRESS);
	mini_map(&d, top, 0x4000, frame, SS_R | BIT(50));
	assert_int_equal(fault_of(&d, 0x4000, false), F_SS_RSVD);
	mini_map(&d, top, 0x5000, WINDOW, SS_R);
	assert_int_equal(fault_of(&d, 0x5000, false), F_OUT_INTERRUPT);
	slot = mini_slot(&d, top, 4, 0x200000, 2);
	mini_store(&d, slot, 0x5a5a000000 | 3);
	assert_int_equal(fault_of(&d, 0x200000, false), F_SS_ACCESS);

	model_violations_clear(d.m);
	mini_store(&d, mini_context(&d, OTHER), 0);
	assert_int_equal(
		model_dma_read(d.m, 0, OTHER, 0, &slot, 8), MODEL_DMA_BLOCKED);
	assert_int_equal(model_last_fault(d.m), F_CTX_NP);
	model_dma_read(d.m, 0, MODEL_BDF(1, 0, 0), 0, &slot, 8);
	assert_int_equal(model_last_fault(d.m), F_ROOT_NP);
	mini_store(&d, mini_context(&d, OTHER) + 8, 7ull << 8 | 4);
	mini_store(&d, mini_context(&d, OTHER), top | 1);
	model_dma_read(d.m, 0, OTHER, 0, &slot, 8);
	assert_int_equal(model_last_fault(d.m), F_CTX_INVALID);
	assert_int_equal(model_violations_of(d.m, MODEL_V_UNSUPPORTED), 1);
	mini_store(&d, mini_context(&d, OTHER), top | 0x101);
	model_dma_read(d.m, 0, OTHER, 0, &slot, 8);
	assert_int_equal(model_last_fault(d.m), F_CTX_RSVD);
	assert_int_equal(model_violations_of(d.m, MODEL_V_RESERVED), 1);
	mini_close(&d, false);
}

static void fault_record_reads_back(void **state)
{
	struct mini d;
	uint64_t hi, lo;
	unsigned fro;

	(void)state;
	ready(&d, "plain");
	fro = CAP_FRO(d.cap);
	fault_of(&d, 0x123456000, true);
	assert_true(mini_read32(&d, FSTS) & FSTS_PPF);
	hi = mini_read64(&d, fro + 8);
	lo = mini_read64(&d, fro);
	assert_true(hi >> 63);
	assert_int_equal(hi & 0xffff, DEV);
	assert_int_equal(bits(hi, 39, 32), F_WRITE);
	assert_false(hi & BIT(62));
	assert_int_equal(lo, 0x123456000);
	mini_write32(&d, fro + 12, 1u << 31);
	assert_false(mini_read32(&d, FSTS) & FSTS_PPF);
	mini_close(&d, true);
}

static void fault_records_overflow_once(void **state)
{
	struct mini d;

	(void)state;
	ready(&d, "one-record");
	fault_of(&d, 0x1000, true);
	fault_of(&d, 0x2000, true);
	fault_of(&d, 0x3000, true);
	assert_true(mini_read32(&d, FSTS) & FSTS_PFO);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap)), 0x1000);
	mini_write32(&d, CAP_FRO(d.cap) + 12, 1u << 31);
	mini_write32(&d, FSTS, FSTS_PFO);
	assert_int_equal(mini_read32(&d, FSTS) & 3, 0);
	fault_of(&d, 0x4000, true);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap)), 0x4000);
	mini_close(&d, true);
}

static unsigned messages;

static void count_message(
	void *ctx, struct model *m, const struct model_interrupt *irq)
{
	(void)ctx;
	(void)m;
	messages += irq->from_unit;
}

static void fault_message_once_and_held_while_masked(void **state)
{
	struct mini d;

	(void)state;
	ready(&d, "plain");
	messages = 0;
	model_on_interrupt(d.m, count_message, NULL);
	mini_write32(&d, FEDATA, 0x41);
	mini_write32(&d, FEADDR, 0xfee00000);
	mini_write32(&d, FEUADDR, 0);
	fault_of(&d, 0x1000, true);
	assert_int_equal(messages, 0);
	assert_true(mini_read32(&d, FECTL) & CTL_IP);
	mini_write32(&d, FECTL, mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM);
	assert_int_equal(messages, 1);
	fault_of(&d, 0x2000, true);
	assert_int_equal(messages, 1);
	mini_close(&d, true);
}

static void fpd_silences_qualified_faults(void **state)
{
	struct mini d;

	(void)state;
	ready(&d, "plain");
	mini_store(&d, mini_context(&d, OTHER), ENTRY_FPD);
	model_dma_read(d.m, 0, OTHER, 0, &messages, 4);
	assert_int_equal(model_last_fault(d.m), F_CTX_NP);
	assert_false(mini_read32(&d, FSTS) & FSTS_PPF);
	mini_close(&d, true);
}

static void zero_length_read_needs_zlr(void **state)
{
	uint64_t top, frame;
	struct mini d;

	(void)state;
	for (int i = 0; i < 2; i++) {
		top = ready(&d, i ? "no-zlr" : "plain");
		frame = model_page_alloc(d.m, 0, 9);
		mini_map(&d, top, 0x1000, frame, SS_W);
		assert_int_equal(model_dma_zero_read(d.m, 0, DEV, 0x1000),
			i ? MODEL_DMA_BLOCKED : MODEL_DMA_OK);
		mini_close(&d, true);
	}
}

static void large_pages_only_where_offered(void **state)
{
	uint64_t top;
	struct mini d;

	(void)state;
	for (int i = 0; i < 2; i++) {
		top = ready(&d, i ? "small-pages" : "plain");
		mini_store(&d, mini_slot(&d, top, 4, 0x40000000, 2),
			0x200000 | SS_PS | 3);
		assert_int_equal(
			fault_of(&d, 0x40000000, false), i ? F_SS_RSVD : 0);
		mini_close(&d, !i);
	}
}

static void bridge_lends_its_id(void **state)
{
	uint64_t top, frame, v = 1;
	struct mini d;

	(void)state;
	top = ready(&d, "plain");
	frame = model_page_alloc(d.m, 0, 9);
	mini_map(&d, top, 0x1000, frame, 3);
	mini_attach(&d, MODEL_BDF(2, 0, 0), top, 5, TT_SS);
	assert_int_equal(
		model_dma_write(d.m, 0, MODEL_BDF(2, 1, 0), 0x1000, &v, 8),
		MODEL_DMA_OK);
	mini_close(&d, true);
}

static void pass_through_is_identity(void **state)
{
	uint64_t frame, v = 77;
	struct mini d;

	(void)state;
	ready(&d, "plain");
	frame = model_page_alloc(d.m, 0, 9);
	mini_attach(&d, OTHER, 0, 1, TT_PASS);
	assert_int_equal(
		model_dma_write(d.m, 0, OTHER, frame, &v, 8), MODEL_DMA_OK);
	assert_int_equal(*(uint64_t *)model_ptr(d.m, frame), 77);
	assert_int_equal(model_dma_read(d.m, 0, OTHER, 1ull << 46, &v, 8),
		MODEL_DMA_BLOCKED);
	assert_int_equal(model_last_fault(d.m), F_ADDRESS);
	mini_close(&d, true);
}

static void dmar_describes_the_machine(void **state)
{
	uint8_t table[512], sum = 0;
	struct mini d;
	size_t len;

	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_LAZY, 1));
	len = model_dmar(d.m, NULL, 0);
	assert_true(len > 48 && len <= sizeof table);
	assert_int_equal(model_dmar(d.m, table, sizeof table), len);
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + table[i]);
	assert_int_equal(sum, 0);
	assert_memory_equal(table, "DMAR", 4);
	assert_int_equal(table[36], 45);
	assert_int_equal(table[48], 0);
	assert_int_equal(table[52], 1);
	mini_close(&d, true);
}

/* Messages are on, so that nothing old may be cleared unseen any more. */
static void unmask_faults(struct mini *d)
{
	mini_write32(d, FEADDR, 0xfee00000);
	mini_write32(d, FECTL, mini_read32(d, FECTL) & ~(uint32_t)CTL_IM);
}

static void condition_cleared_that_nobody_saw(void **state)
{
	struct mini d;

	(void)state;
	ready(&d, "plain");
	model_unit_error(d.m, 0, FSTS_ICE);
	/* What was there before messages are on is somebody else's. */
	mini_write32(&d, FSTS, FSTS_ICE);
	assert_int_equal(model_violation_count(d.m), 0);
	unmask_faults(&d);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_true(mini_read32(&d, FSTS) & FSTS_ICE);
	model_unit_error(d.m, 0, FSTS_ITE);
	mini_write32(&d, FSTS, FSTS_ICE);
	assert_int_equal(model_violation_count(d.m), 0);
	assert_true(mini_read32(&d, FSTS) & FSTS_ITE);
	mini_write32(&d, FSTS, FSTS_ITE);
	assert_int_equal(model_violation_count(d.m), 0);
	/* Seen once is not seen for ever. */
	model_unit_error(d.m, 0, FSTS_ITE);
	mini_write32(&d, FSTS, FSTS_ITE);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FAULT), 1);
	mini_close(&d, false);
}

/* So is the index with translation and remapping off. */
static void records_start_again_when_all_is_off(void **state)
{
	struct model_personality kind = *model_personality_find("plain");
	struct mini d;
	unsigned fro;

	(void)state;
	kind.cap |= 3ull << 40;
	for (int i = 0; i < 3; i++) {
		mini_open(
			&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		mini_start(&d);
		mini_attach(&d, DEV, mini_page(&d), 5, TT_SS);
		if (i)
			mini_start_interrupts(&d);
		fro = CAP_FRO(d.cap);
		fault_of(&d, 0x1000, true);
		mini_write32(&d, fro + 12, 1u << 31);
		mini_translation(&d, false);
		if (i == 2)
			mini_command(&d, G_IRE, false);
		mini_set_root(&d);
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		mini_translation(&d, true);
		fault_of(&d, 0x2000, true);
		assert_int_equal(
			mini_read64(&d, fro + (i == 1 ? 16 : 0)), 0x2000);
		assert_int_equal(
			bits(mini_read32(&d, FSTS), 15, 8), i == 1 ? 1 : 0);
		mini_close(&d, true);
	}
}

static void unread_faults_of_a_source_are_one(void **state)
{
	struct mini d;
	uint64_t top;

	(void)state;
	for (int mode = MODEL_LAZY; mode <= MODEL_RANDOM; mode++) {
		struct model_counters n;

		mini_open(&d,
			model_create_simple(
				"256-records", (enum model_mode)mode, 1));
		mini_start(&d);
		top = mini_page(&d);
		mini_attach(&d, DEV, top, 5, TT_SS);
		mini_attach(&d, OTHER, top, 5, TT_SS);
		fault_of(&d, 0x1000, true);
		fault_of(&d, 0x2000, true);
		model_dma_read(d.m, 0, OTHER, 0x1000, &top, 8);
		model_counters(d.m, &n);
		assert_int_equal(n.faults, mode == MODEL_LAZY ? 3 : 2);
		mini_close(&d, true);
	}
}

static void own_message_goes_to_the_window(void **state)
{
	struct mini d;

	(void)state;
	ready(&d, "plain");
	mini_write32(&d, FEADDR, 0xfed00000);
	mini_write32(&d, FECTL, mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM);
	fault_of(&d, 0x1000, true);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FAULT), 1);
	assert_int_equal(model_violation_count(d.m), 1);
	mini_close(&d, false);
}

static void record_written_without_clearing_it(void **state)
{
	struct mini d;
	unsigned fro;

	(void)state;
	ready(&d, "plain");
	fro = CAP_FRO(d.cap);
	fault_of(&d, 0x1000, true);
	mini_write32(&d, fro + 12, 0);
	mini_write32(&d, fro + 4, 1u << 31);
	mini_write64(&d, fro, 1ull << 63);
	mini_write32(&d, fro + 8, 1u << 31);
	assert_int_equal(model_violations_of(d.m, MODEL_V_FAULT), 1);
	assert_int_equal(model_violation(d.m, 0)->count, 4);
	assert_true(mini_read64(&d, fro + 8) >> 63);
	mini_write64(&d, fro + 8, 1ull << 63);
	assert_false(mini_read64(&d, fro + 8) >> 63);
	assert_int_equal(model_violation(d.m, 0)->count, 4);
	mini_close(&d, false);
}

/* Up to where the first unread record lies, and from there on. */
static void index_of_the_first_record(void **state)
{
	struct mini d;
	unsigned fro;

	(void)state;
	ready(&d, "256-records");
	fro = CAP_FRO(d.cap);
	for (unsigned n = 0; n < 600; n++) {
		unsigned at = n % 256;

		fault_of(&d, 0x1000, true);
		assert_int_equal(bits(mini_read32(&d, FSTS), 15, 8), at);
		assert_true(mini_read64(&d, fro + 16 * at + 8) >> 63);
		mini_write32(&d, fro + 16 * at + 12, 1u << 31);
		assert_false(mini_read32(&d, FSTS) & FSTS_PPF);
	}
	mini_close(&d, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_in_every_mode),
		cmocka_unit_test(random_kinds),
		cmocka_unit_test(faults_have_the_right_reason),
		cmocka_unit_test(fault_record_reads_back),
		cmocka_unit_test(fault_records_overflow_once),
		cmocka_unit_test(fault_message_once_and_held_while_masked),
		cmocka_unit_test(fpd_silences_qualified_faults),
		cmocka_unit_test(zero_length_read_needs_zlr),
		cmocka_unit_test(large_pages_only_where_offered),
		cmocka_unit_test(bridge_lends_its_id),
		cmocka_unit_test(pass_through_is_identity),
		cmocka_unit_test(dmar_describes_the_machine),
		cmocka_unit_test(condition_cleared_that_nobody_saw),
		cmocka_unit_test(records_start_again_when_all_is_off),
		cmocka_unit_test(unread_faults_of_a_source_are_one),
		cmocka_unit_test(own_message_goes_to_the_window),
		cmocka_unit_test(record_written_without_clearing_it),
		cmocka_unit_test(index_of_the_first_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
