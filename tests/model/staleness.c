/* SPDX-License-Identifier: MIT */
/*
 * What goes stale: each test leaves out one flush, or makes it too narrow,
 * and the model must show the old state and name the rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

static void unmap_without_flush(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void unmap_with_flush_of_another_domain(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID + 1, 0, 0, false);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID + 256, 0, 0, false);
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void page_flush_one_page_short(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x11000, frame, 3);
	assert_true(can_write(DEV, 0x11000));
	set_leaf(0x10000, 0);
	set_leaf(0x11000, 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x10000, 0, false);
	assert_false(can_write(DEV, 0x10000));
	assert_true(can_write(DEV, 0x11000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void page_flush_wide_enough(void **state)
{
	(void)state;
	ready("plain");
	mini_map(&d, top, 0x11000, frame, 3);
	assert_true(can_write(DEV, 0x11000));
	set_leaf(0x10000, 0);
	set_leaf(0x11000, 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x10000, 1, false);
	assert_false(can_write(DEV, 0x11000));
	expect_nothing();
}

static void rights_cut_without_flush(void **state)
{
	(void)state;
	ready("plain");
	set_leaf(0x10000, frame | SS_R);
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void rights_raised_without_flush(void **state)
{
	uint64_t v;

	(void)state;
	ready("plain");
	set_leaf(0x20000, frame | SS_R);
	model_dma_read(d.m, 0, DEV, 0x20000, &v, 8);
	set_leaf(0x20000, frame | SS_R | SS_W);
	assert_false(can_write(DEV, 0x20000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void large_page_flushed_as_a_small_one(void **state)
{
	uint64_t slot;

	(void)state;
	ready("plain");
	slot = mini_slot(&d, top, mini_levels(&d), 0x40000000, 2);
	mini_store(&d, slot, 0x400000 | SS_PS | 3);
	assert_true(can_write(DEV, 0x40001000));
	mini_store(&d, slot, 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x40001000, 0, false);
	assert_true(can_write(DEV, 0x40001000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void leaf_hint_after_a_table_was_removed(void **state)
{
	uint64_t slot, v;

	(void)state;
	ready("plain");
	mini_map(&d, top, 0x10000 + 0x1000, frame, 3);
	slot = mini_slot(&d, top, mini_levels(&d), 0x10000, 2);
	mini_store(&d, slot, 0);
	/* Everything below 2 MiB, but only the leaves. */
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 9, true);
	/* The pointer to the lower table is still walked. */
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, 0x11000, &v, 8), MODEL_DMA_OK);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void no_leaf_hint_drops_table_pointers(void **state)
{
	uint64_t slot, v;

	(void)state;
	ready("plain");
	mini_map(&d, top, 0x10000 + 0x1000, frame, 3);
	slot = mini_slot(&d, top, mini_levels(&d), 0x10000, 2);
	mini_store(&d, slot, 0);
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 9, false);
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, 0x11000, &v, 8), MODEL_DMA_BLOCKED);
	expect_nothing();
}

static void detach_without_context_flush(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void detach_with_context_flush_of_the_new_domain(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID + 1, DEV);
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void detach_with_context_flush_of_another_device(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID, OTHER);
	assert_true(can_write(DEV, 0x10000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void function_mask_widens_a_context_flush(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	/* FM=3 ignores the function number: 00:03.5 means 00:03.x. */
	mini_queue(&d,
		DESC_CC | GRAN_NARROW << 4 | (uint64_t)DID << 16 |
			(uint64_t)(DEV | 5) << 32 | 3ull << 48,
		0);
	mini_wait(&d);
	flush_domain();
	assert_false(can_write(DEV, 0x10000));
	expect_nothing();
}

static void detach_without_iotlb_flush(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	/* The domain's next user finds the old translations. */
	top = mini_page(&d);
	mini_attach(&d, OTHER, top, DID, TT_SS);
	assert_true(can_write(OTHER, 0x10000));
	/* Said at once, not only at rest, and once. */
	assert_int_equal(model_violation_count(d.m), 1);
	only(MODEL_V_STALE);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void root_entry_changed_without_global_flush(void **state)
{
	(void)state;
	ready("plain");
	mini_store(&d, d.root, mini_page(&d) | 1);
	mini_flush_context(&d, GRAN_DOMAIN, DID, 0);
	expect_at_checkpoint(MODEL_V_STALE);
}

static void caching_mode_page_made_present(void **state)
{
	(void)state;
	ready("caching");
	assert_false(can_write(DEV, 0x20000));
	set_leaf(0x20000, frame | 3);
	assert_false(can_write(DEV, 0x20000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void caching_mode_context_made_present(void **state)
{
	uint64_t slot;

	(void)state;
	ready("caching");
	slot = mini_context(&d, OTHER);
	mini_store(&d, slot + 8, (uint64_t)DID << 8 | 2);
	assert_false(can_write(OTHER, 0x10000));
	mini_store(&d, slot, top | 1);
	mini_flush_context(&d, GRAN_NARROW, DID, OTHER);
	assert_false(can_write(OTHER, 0x10000));
	/* The failure is kept under domain 0. */
	mini_flush_context(&d, GRAN_NARROW, 0, OTHER);
	assert_true(can_write(OTHER, 0x10000));
	expect_nothing();
}

static void caching_mode_root_made_present(void **state)
{
	uint64_t v;

	(void)state;
	ready("caching");
	model_dma_read(d.m, 0, MODEL_BDF(1, 0, 0), 0, &v, 8);
	mini_store(&d, d.root + 16, mini_page(&d) | 1);
	mini_flush_context(&d, GRAN_NARROW, 0, MODEL_BDF(1, 0, 0));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void root_set_without_global_flushes(void **state)
{
	(void)state;
	cold("plain");
	mini_queue_on(&d);
	mini_set_root(&d);
	mini_translation(&d, true);
	assert_int_equal(model_violation_count(d.m), 2);
	model_violations_clear(d.m);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	expect_nothing();
}

static void self_flushing_unit_needs_none(void **state)
{
	(void)state;
	cold("self-flushing");
	mini_queue_on(&d);
	mini_set_root(&d);
	mini_translation(&d, true);
	mini_close(&d, true);
}

static void left_overs_of_an_earlier_owner(void **state)
{
	static const struct model_function_desc f = {
		.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1};
	struct model_unit_desc unit = {.kind = model_personality_find("no-qi"),
		.include_all = true,
		.left_on = true};
	struct model_desc desc = {.units = &unit,
		.unit_count = 1,
		.functions = &f,
		.function_count = 1};

	(void)state;
	mini_open(&d, model_create(&desc));
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_TE);
	assert_true(can_write(DEV, 0x1000));
	assert_int_equal(model_violations_of(d.m, MODEL_V_OPEN), 1);
	mini_translation(&d, false);
	mini_set_root(&d);
	mini_translation(&d, true);
	/* Their contexts and translations are still there. */
	assert_true(can_write(DEV, 0x1000));
	model_checkpoint(d.m);
	assert_true(model_violations_of(d.m, MODEL_V_STALE) > 2);
	model_violations_clear(d.m);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_false(can_write(DEV, 0x1000));
	expect_nothing();
}

/* Bit for bit what a unit has after power-on, whatever it did before. */
static void reset_forgets_all(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_store(&d, d.irt + 16 * 9 + 8, 1ull << 18 | DEV);
	mini_store(&d, d.irt + 16 * 9, 0x550001);
	assert_true(model_msi(d.m, 0, DEV, 0xfee00130, 0));
	can_write(DEV, 0x20000);
	assert_true(mini_read32(&d, FSTS) & FSTS_PPF);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_queue(&d, 77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	mini_write64(&d, IRTA, d.irt | BIT(11) | 7);
	model_unit_reset(d.m, 0);
	only(MODEL_V_COMMAND);
	model_violations_clear(d.m);
	assert_int_equal(model_cached(d.m, 0), 0);
	for (unsigned off = 0; off < 0x1000; off += 4)
		if (off != VER && off / 8 != CAP / 8 && off / 8 != ECAP / 8 &&
			off != GCMD && off != FECTL && off != IECTL &&
			off / 8 != ECAP_IRO(d.ecap) / 8 + 1)
			assert_int_equal(mini_read32(&d, off), 0);
	/* The wait went with the queue. */
	model_advance(d.m, 1000000);
	assert_int_not_equal(*(uint32_t *)model_ptr(d.m, d.status), 77);
	assert_int_equal(model_checkpoint(d.m), 0);
	/* The next life: nothing of the last one's tables or debts. */
	d.queue = false;
	d.tail = 0;
	mini_start(&d);
	mini_start_interrupts(&d);
	assert_true(can_write(DEV, 0x10000));
	expect_nothing();
}

/* Other modes may keep a large page in pieces. */
static void pieces_of_a_large_page(void **state)
{
	unsigned whole = 0, kept = 0;
	uint64_t slot, run;

	(void)state;
	for (unsigned seed = 0; seed < 32; seed++) {
		by_chance("plain", seed);
		mini_start(&d);
		top = mini_page(&d);
		run = model_page_alloc(d.m, 9, OWNER);
		slot = mini_slot(&d, top, mini_levels(&d), 0x40000000, 2);
		mini_store(&d, slot, run | SS_PS | 3);
		mini_attach(&d, DEV, top, DID, TT_SS);
		assert_true(can_write(DEV, 0x40001008));
		assert_int_equal(
			*((uint64_t *)model_ptr(d.m, run + 0x1008)), 1);
		mini_store(&d, slot, 0);
		/* One page of it: enough only for such a piece. */
		mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x40001000, 0, false);
		whole += can_write(DEV, 0x40001000);
		kept += model_checkpoint(d.m) != 0;
		mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x40000000, 9, false);
		assert_false(can_write(DEV, 0x40001000));
		mini_close(&d, false);
	}
	assert_in_range(whole, 4, 28);
	assert_int_equal(kept, whole);
}

static void earlier_owner_leaves_faults_and_protected_memory(void **state)
{
	const struct model_personality *kind =
		model_personality_find("protected-regions");

	(void)state;
	mini_open(&d, model_create_usual(kind, MODEL_LAZY, 0, 1, true));
	assert_true(mini_read32(&d, FSTS) & FSTS_PPF);
	assert_true(mini_read64(&d, CAP_FRO(d.cap) + 8) >> 63);
	assert_true(mini_read32(&d, PMEN) & PMEN_PRS);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_QIE);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_IRE);
	mini_close(&d, true);
}

static void root_entry_is_kept(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, top, DID, TT_SS);
	/* OTHER was never heard of; its bus was. */
	mini_store(&d, d.root, mini_page(&d) | 1);
	assert_true(can_write(OTHER, 0x10000));
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	assert_false(can_write(OTHER, 0x10000));
	mini_close(&d, false);
}

static void flush_address_is_aligned_to_its_mask(void **state)
{
	(void)state;
	ready("plain");
	for (uint64_t iova = 0x10000; iova < 0x13000; iova += 0x1000) {
		mini_map(&d, top, iova, frame, 3);
		assert_true(can_write(DEV, iova));
		set_leaf(iova, 0);
	}
	/* Two pages from 0x11000 on are those from 0x10000 on. */
	mini_flush_iotlb(&d, GRAN_NARROW, DID, 0x11000, 1, false);
	assert_false(can_write(DEV, 0x10000));
	assert_false(can_write(DEV, 0x11000));
	assert_true(can_write(DEV, 0x12000));
	expect_at_checkpoint(MODEL_V_STALE);
}

static void pages_come_in_any_order(void **state)
{
	uint64_t page[8], again;
	unsigned last = 0;

	(void)state;
	for (int mode = MODEL_LAZY; mode <= MODEL_RANDOM; mode++) {
		mini_open(&d,
			model_create_simple("plain", (enum model_mode)mode, 5));
		for (unsigned i = 0; i < 8; i++)
			page[i] = mini_page(&d);
		for (unsigned i = 0; i < 8; i++)
			model_page_free(d.m, page[i], 0);
		last = 0;
		for (unsigned i = 8; i-- > 0;) {
			again = mini_page(&d);
			last += again == page[i];
		}
		/* The one given back last, or any. */
		if (mode == MODEL_LAZY)
			assert_int_equal(last, 8);
		else
			assert_in_range(last, 0, 7);
		mini_close(&d, true);
	}
}

static void debts_are_asked_for_at_rest(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_set_root(&d);
	mini_write64(&d, IRTA, d.irt | 7);
	mini_command(&d, G_IRTP, true);
	assert_int_equal(model_violation_count(d.m), 0);
	model_checkpoint(d.m);
	/* Contexts, translations, interrupt entries. */
	assert_int_equal(model_violation_count(d.m), 3);
	only(MODEL_V_STALE);
	model_violations_clear(d.m);
	mini_flush_irte(&d, true, 0);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	model_checkpoint(d.m);
	mini_close(&d, true);
}

static void self_flushing_unit_forgets_with_the_root(void **state)
{
	(void)state;
	ready("self-flushing");
	mini_start_interrupts(&d);
	mini_store(&d, d.irt + 16 * 9 + 8, 1ull << 18 | DEV);
	mini_store(&d, d.irt + 16 * 9, 0x550001);
	assert_true(model_msi(d.m, 0, DEV, 0xfee00130, 0));
	assert_int_equal(model_cached(d.m, 0), 7);
	mini_set_root(&d);
	assert_int_equal(model_cached(d.m, 0), 1);
	mini_write64(&d, IRTA, d.irt | 7);
	mini_command(&d, G_IRTP, true);
	assert_int_equal(model_cached(d.m, 0), 0);
	mini_close(&d, true);
}

/* With scalable mode, in whichever mode it runs (VT-d 11.4.4). */
static void new_units_forget_when_translation_goes_off(void **state)
{
	(void)state;
	ready("plain");
	mini_translation(&d, false);
	assert_true(model_cached(d.m, 0) > 0);
	mini_close(&d, true);
	ready("sapphire-rapids");
	assert_true(model_cached(d.m, 0) > 0);
	mini_translation(&d, false);
	assert_int_equal(model_cached(d.m, 0), 0);
	mini_close(&d, true);
}

static void flushes_that_were_needed_are_not_superfluous(void **state)
{
	struct model_counters a, b;

	(void)state;
	ready("plain");
	model_counters(d.m, &a);
	take_context(DEV);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	/* Nothing of it is stale, but it could be. */
	flush_domain();
	model_counters(d.m, &b);
	assert_int_equal(b.superfluous, a.superfluous);
	assert_int_equal(b.flushes - a.flushes, 2);
	assert_int_equal(b.waits - a.waits, 2);
	assert_int_equal(b.descriptors - a.descriptors, 4);
	mini_flush_context(&d, GRAN_NARROW, DID, DEV);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	model_counters(d.m, &b);
	assert_int_equal(b.superfluous - a.superfluous, 2);
	mini_set_root(&d);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	model_counters(d.m, &b);
	assert_int_equal(b.superfluous - a.superfluous, 2);
	/* Those of the unit itself do not count. */
	mini_close(&d, true);
	ready("self-flushing");
	model_counters(d.m, &a);
	mini_set_root(&d);
	model_counters(d.m, &b);
	assert_int_equal(b.flushes, a.flushes);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unmap_without_flush),
		T(unmap_with_flush_of_another_domain),
		T(page_flush_one_page_short),
		T(page_flush_wide_enough),
		T(rights_cut_without_flush),
		T(rights_raised_without_flush),
		T(large_page_flushed_as_a_small_one),
		T(leaf_hint_after_a_table_was_removed),
		T(no_leaf_hint_drops_table_pointers),
		T(detach_without_context_flush),
		T(detach_with_context_flush_of_the_new_domain),
		T(detach_with_context_flush_of_another_device),
		T(function_mask_widens_a_context_flush),
		T(detach_without_iotlb_flush),
		T(root_entry_changed_without_global_flush),
		T(caching_mode_page_made_present),
		T(caching_mode_context_made_present),
		T(caching_mode_root_made_present),
		T(root_set_without_global_flushes),
		T(self_flushing_unit_needs_none),
		T(left_overs_of_an_earlier_owner),
		T(reset_forgets_all),
		T(pieces_of_a_large_page),
		T(earlier_owner_leaves_faults_and_protected_memory),
		T(root_entry_is_kept),
		T(flush_address_is_aligned_to_its_mask),
		T(pages_come_in_any_order),
		T(debts_are_asked_for_at_rest),
		T(self_flushing_unit_forgets_with_the_root),
		T(new_units_forget_when_translation_goes_off),
		T(flushes_that_were_needed_are_not_superfluous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
