/* SPDX-License-Identifier: MIT */
/*
 * When a command or a flush is done, and what of it is left afterwards: at once
 * where a unit forgives, late elsewhere, and nothing that waits for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

#define HOUR_NS 3600000000000ull

static void forgiving(const char *kind)
{
	mini_open(&d, model_create_simple(kind, MODEL_BENIGN, 1));
	attached();
	assert_true(can_write(DEV, 0x10000));
}

/* Nobody looks at a register or at the clock in between. */
static void done_at_once_where_the_unit_forgives(void **state)
{
	uint32_t *status;

	(void)state;
	forgiving("no-qi");
	take_context(DEV);
	assert_true(can_write(DEV, 0x10000));
	mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
	assert_false(can_write(DEV, 0x10000));
	mini_attach(&d, DEV, top, DID, TT_SS);
	assert_true(can_write(DEV, 0x10000));
	set_leaf(0x10000, 0);
	mini_write64(&d, ECAP_IRO(d.ecap) + 8, IOTLB_IVT | 1ull << 60);
	assert_false(can_write(DEV, 0x10000));
	mini_write32(&d, GCMD, 0);
	assert_true(can_write(DEV, frame));
	mini_close(&d, true);
	forgiving("protected-regions");
	mini_translation(&d, false);
	mini_write32(&d, PLMLIMIT, 0x3e00000);
	assert_true(can_write(DEV, frame));
	mini_write32(&d, PMEN, (uint32_t)PMEN_EPM);
	assert_false(can_write(DEV, frame));
	status = model_ptr(d.m, d.status);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	assert_int_equal(*status, 0x77);
	mini_close(&d, true);
}

/* The next command has to wait for it (VT-d 11.4.8.1). */
static void nothing_while_protection_changes(void **state)
{
	(void)state;
	for (unsigned what = 0; what < 4; what++) {
		uint32_t kept;

		cold("protected-regions");
		kept = mini_read32(&d, PMEN);
		mini_write32(&d, PMEN, kept | (uint32_t)PMEN_EPM);
		if (what == 0)
			mini_write32(&d, PMEN, kept);
		else if (what == 1)
			mini_write32(&d, GCMD, G_QIE);
		else if (what == 2)
			mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
		else
			assert_int_equal(model_checkpoint(d.m), 1);
		expect(MODEL_V_COMMAND);
	}
}

static void protection_begins_and_ends_late(void **state)
{
	uint32_t kept;

	(void)state;
	cold("protected-regions");
	frame = model_page_alloc(d.m, 0, OWNER);
	mini_write32(&d, PLMLIMIT, 0x3e00000);
	kept = mini_read32(&d, PMEN);
	assert_false(kept & (uint32_t)PMEN_PRS);
	mini_write32(&d, PMEN, kept | (uint32_t)PMEN_EPM);
	assert_false(mini_read32(&d, PMEN) & (uint32_t)PMEN_PRS);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, PMEN) & (uint32_t)PMEN_PRS);
	mini_write32(&d, PMEN, kept);
	assert_true(mini_read32(&d, PMEN) & (uint32_t)PMEN_PRS);
	model_advance(d.m, 10000);
	assert_false(mini_read32(&d, PMEN) & (uint32_t)PMEN_PRS);
	/* Done is done: nothing of it is waited for. */
	model_advance(d.m, HOUR_NS);
	mini_close(&d, true);
}

/* What was done is not waited for, however long the machine then rests. */
static void nothing_is_left_to_wait_for(void **state)
{
	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_LATE);
	mini_flush_device(&d, ATS, 0x10000, false);
	model_advance(d.m, HOUR_NS);
	assert_int_equal(model_violation_count(d.m), 0);
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0x10000);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	model_advance(d.m, 100000000);
	assert_true(mini_read32(&d, FSTS) & (uint32_t)FSTS_ITE);
	model_advance(d.m, HOUR_NS);
	mini_close(&d, true);
}

/* ---- one thing after the other --------------------------------------------
 */

static void no_command_beside_a_flush(void **state)
{
	(void)state;
	for (int iotlb = 0; iotlb < 2; iotlb++) {
		ready("no-qi");
		if (iotlb)
			mini_write64(&d, ECAP_IRO(d.ecap) + 8,
				IOTLB_IVT | 1ull << 60 | 0x5a5a);
		else
			mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
		mini_write32(&d, GCMD, 0);
		assert_true(said("while a command is in flight"));
		expect(MODEL_V_COMMAND);
	}
}

static void remapping_on_a_unit_without_it(void **state)
{
	(void)state;
	ready("no-ir");
	mini_command(&d, G_IRE, true);
	assert_true(said("interrupt remapping enabled, the unit has none"));
	assert_false(model_msi(d.m, 0, DEV, 0xfee00018, 0));
	mini_close(&d, false);
}

static void width_of_ids_changed_while_they_are_used(void **state)
{
	(void)state;
	ready("plain");
	mini_start_interrupts(&d);
	mini_write64(&d, IRTA, d.irt | BIT(11) | 7);
	mini_command(&d, G_IRTP, true);
	assert_true(said("EIME changed"));
	mini_flush_irte(&d, true, 0);
	mini_close(&d, false);
	/* The same again is no change. */
	ready("plain");
	mini_start_interrupts(&d);
	mini_command(&d, G_IRTP, true);
	mini_flush_irte(&d, true, 0);
	mini_close(&d, true);
}

/* A new root table begins anew: an early flush of the last one's is nothing. */
static void early_for_one_root_is_not_for_the_next(void **state)
{
	(void)state;
	cold("plain");
	mini_queue_on(&d);
	mini_set_root(&d);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	mini_set_root(&d);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_translation(&d, true);
	only(MODEL_V_STALE);
	mini_close(&d, false);
}

static void register_flush_beside_the_queue_does_nothing(void **state)
{
	(void)state;
	ready("plain");
	take_context(DEV);
	mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
	model_advance(d.m, 100000);
	assert_true(can_write(DEV, 0x10000));
	assert_int_equal(mini_read64(&d, CCMD) >> 59 & 3, 0);
	mini_close(&d, false);
}

/* Function masks and drains in registers. */
static void all_that_a_register_flush_names(void **state)
{
	uint64_t v = 1;

	(void)state;
	for (unsigned fm = 0; fm < 4; fm++)
		for (unsigned bit = 0; bit < 3; bit++) {
			ready("no-qi");
			mini_attach(&d, DEV | 1u << bit, top, DID, TT_SS);
			assert_true(can_write(DEV | 1u << bit, 0x10000));
			mini_store(&d, mini_context(&d, DEV | 1u << bit), 0);
			mini_write64(&d, CCMD,
				CCMD_ICC | 3ull << 61 | (uint64_t)fm << 32 |
					(uint64_t)DEV << 16 | DID);
			model_advance(d.m, 100000);
			/* 1 masks bit 2, 2 also bit 1, 3 also bit 0. */
			assert_int_equal(can_write(DEV | 1u << bit, 0x10000),
				bit + fm < 3);
			mini_close(&d, false);
		}
	for (unsigned drain = 0; drain < 4; drain++) {
		ready("no-qi");
		model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
		model_dma_read_late(d.m, 0, DEV, 0x10000, 8);
		mini_write64(&d, ECAP_IRO(d.ecap) + 8,
			IOTLB_IVT | 1ull << 60 | (uint64_t)drain << 48 |
				0x5a5a);
		model_advance(d.m, 100000);
		assert_int_equal(
			model_posted(d.m), 2 - (drain & 1) - (drain >> 1));
		mini_close(&d, true);
	}
}

/* In two halves, of which the upper one sets it off (VT-d 11.2). */
static void flush_written_in_two_halves(void **state)
{
	(void)state;
	ready("no-qi");
	take_context(DEV);
	mini_write32(&d, CCMD, DID);
	model_advance(d.m, 100000);
	assert_true(can_write(DEV, 0x10000));
	mini_write32(&d, CCMD + 4, (uint32_t)(CCMD_ICC >> 32) | 1u << 29);
	model_advance(d.m, 100000);
	assert_false(can_write(DEV, 0x10000));
	mini_close(&d, true);
}

/* ---- the queue ------------------------------------------------------------
 */

static void queue_switched_on_with_its_old_tail(void **state)
{
	(void)state;
	ready("plain");
	mini_translation(&d, false);
	mini_command(&d, G_QIE, false);
	assert_int_equal(mini_read64(&d, IQH), 0);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_command(&d, G_QIE, true);
	assert_true(said("enabled with the tail"));
	expect(MODEL_V_QUEUE);
}

/* The wait of the last time does not count. */
static void queue_switched_off_without_a_wait(void **state)
{
	(void)state;
	ready("plain");
	mini_translation(&d, false);
	mini_command(&d, G_QIE, false);
	mini_queue_on(&d);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_command(&d, G_QIE, false);
	assert_true(said("the last descriptor was not a wait"));
	expect(MODEL_V_COMMAND);
}

static void flush_after_the_last_wait(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		by_chance("plain", seed);
		mini_start(&d);
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
		mini_ring(&d);
		model_advance(d.m, 1000000);
		assert_int_equal(model_violation_count(d.m), 0);
		mini_command(&d, G_QIE, false);
		expect(MODEL_V_COMMAND);
	}
}

/* Power goes while a wait is on its way: it never stores its status, and
 * nothing of it is in the way of the next. */
static void reset_ends_what_the_queue_does(void **state)
{
	uint32_t *status;

	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	model_ats_behave(d.m, 0, ATS, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0x10000);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	model_advance(d.m, 10000);
	model_unit_reset(d.m, 0);
	model_violations_clear(d.m);
	status = model_ptr(d.m, d.status);
	model_advance(d.m, HOUR_NS);
	assert_int_not_equal(*status, 0x77);
	assert_int_equal(model_violation_count(d.m), 0);
	d.tail = 0;
	mini_queue_on(&d);
	assert_true(mini_wait(&d));
	mini_close(&d, true);
}

static void error_codes_replace_each_other(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, 15, 0);
	mini_ring(&d);
	model_advance(d.m, 1000);
	assert_int_equal(mini_read64(&d, IQERCD), IQEI_TYPE);
	mini_write64(&d, IQT, 0x1000);
	assert_int_equal(mini_read64(&d, IQERCD), IQEI_TAIL);
	mini_close(&d, false);
}

/* A unit that forgives fetches again when the error is cleared, without a
 * doorbell. */
static void cleared_error_lets_the_queue_go_on(void **state)
{
	uint64_t *slot;
	uint32_t *status;

	(void)state;
	forgiving("plain");
	status = model_ptr(d.m, d.status);
	slot = (uint64_t *)model_ptr(d.m, d.ring) + 2 * d.tail;
	mini_queue(&d, 15, 0);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	model_advance(d.m, 1000);
	assert_true(mini_read32(&d, FSTS) & (uint32_t)FSTS_IQE);
	slot[0] = DESC_IOTLB | GRAN_GLOBAL << 4;
	mini_write32(&d, FSTS, (uint32_t)FSTS_IQE);
	model_advance(d.m, 1000);
	assert_int_equal(*status, 0x77);
	mini_close(&d, false);
}

/* The descriptor that was there at the doorbell is carried out. */
static void rewritten_descriptor_comes_too_late(void **state)
{
	uint64_t *slot;

	(void)state;
	ready("plain");
	set_leaf(0x10000, 0);
	slot = (uint64_t *)model_ptr(d.m, d.ring) + 2 * d.tail;
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	slot[0] = DESC_CC | GRAN_GLOBAL << 4;
	mini_wait(&d);
	assert_false(can_write(DEV, 0x10000));
	expect(MODEL_V_QUEUE);
}

static void device_flushes_are_of_functions_behind_the_unit(void **state)
{
	const struct model_personality *plain = model_personality_find("plain");
	struct model_counters n;

	(void)state;
	/* The first unit has 00:02.0, the second one the rest. */
	mini_open(&d, model_create_pair(plain, plain, MODEL_LAZY, 0, 1, false));
	mini_start(&d);
	model_ats_behave(d.m, 0, OTHER, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)OTHER << 32, 0x10000);
	mini_ring(&d);
	mini_wait(&d);
	assert_true(said("not behind the unit"));
	model_counters(d.m, &n);
	assert_int_equal(n.device_flushes, 1);
	mini_close(&d, false);
}

/* All bits of the id that timed out, and of none before. */
static void who_did_not_answer(void **state)
{
	static const uint16_t ids[] = {ATS, MODEL_BDF(0, 1, 0), 0x0119, 0xfe00};
	struct model_personality kind = *model_personality_find("plain");

	(void)state;
	kind.ecap |= ECAP_DIT;
	ready_on(&kind);
	for (unsigned i = 0; i < 4; i++) {
		mini_queue(&d, DESC_DEVTLB | (uint64_t)ids[i] << 32, 0x10000);
		mini_queue(
			&d, BIT(5) | DESC_WAIT | (uint64_t)i << 32, d.status);
		mini_ring(&d);
		model_advance(d.m, 200000000);
		assert_true(mini_read32(&d, FSTS) & (uint32_t)FSTS_ITE);
		assert_int_equal(
			mini_read64(&d, IQERCD), (uint64_t)ids[i] << 32);
		mini_write32(&d, FSTS, (uint32_t)FSTS_ITE);
	}
	mini_close(&d, false);
}

/* A lazy unit fetches nothing after a time-out until the next doorbell. */
static void time_out_stops_the_queue(void **state)
{
	uint32_t *status;

	(void)state;
	ready("plain");
	status = model_ptr(d.m, d.status);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)0xfe00 << 32, 0x10000);
	mini_queue(&d, 0x76ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	model_advance(d.m, 200000000);
	mini_write32(&d, FSTS, (uint32_t)FSTS_ITE);
	model_advance(d.m, 200000000);
	assert_int_not_equal(*status, 0x77);
	mini_ring(&d);
	model_advance(d.m, 200000000);
	assert_int_equal(*status, 0x77);
	mini_close(&d, false);
}

/* What was asked of another device meanwhile is lost with it. */
static void time_out_takes_other_flushes_along(void **state)
{
	static const struct model_function_desc f[] = {
		{.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1, .ats = true},
		{.bdf = ATS,
			.kind = MODEL_INTEGRATED,
			.unit = -1,
			.ats = true}};

	uint64_t v = 1;

	(void)state;
	with_functions("plain", 0, f, 2);
	mapped();
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	assert_true(model_ats_request(d.m, 0, ATS, 0x10000, true));
	set_leaf(0x10000, 0);
	flush_domain();
	model_ats_behave(d.m, 0, DEV, MODEL_ATS_NEVER);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)DEV << 32, 0x10000);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0x10000);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	model_advance(d.m, 200000000);
	assert_int_equal(mini_read64(&d, IQERCD), (uint64_t)DEV << 32);
	assert_int_equal(
		model_ats_dma(d.m, 0, ATS, 0x10000, &v, 8, true), MODEL_DMA_OK);
	mini_close(&d, false);
}

static void answer_of_a_device_at_once(void **state)
{
	uint32_t *status;

	(void)state;
	forgiving("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	ats_on(ATS);
	status = model_ptr(d.m, d.status);
	mini_queue(&d, DESC_DEVTLB | (uint64_t)ATS << 32, 0x10000);
	mini_queue(&d, 0x77ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	assert_int_equal(*status, 0x77);
	mini_close(&d, true);
}

/* By chance a doorbell is answered at once, or later, but soon. */
static void random_unit_takes_its_time(void **state)
{
	unsigned later = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		by_chance("plain", seed);
		mini_start(&d);
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
		mini_ring(&d);
		later += mini_read64(&d, IQH) != mini_read64(&d, IQT);
		model_advance(d.m, 1000);
		assert_int_equal(mini_read64(&d, IQH), mini_read64(&d, IQT));
		mini_close(&d, true);
	}
	assert_in_range(later, 5, 35);
}

static void ring_has_room_up_to_its_head(void **state)
{
	(void)state;
	ready("plain");
	for (unsigned n = 0; n < 100; n++)
		mini_wait(&d);
	/* One that is being carried out, and all the room there is. */
	mini_queue(&d, BIT(5) | DESC_WAIT, d.status);
	mini_ring(&d);
	for (unsigned n = 0; n < 255; n++)
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	assert_true(said("the tail runs past the head"));
	mini_close(&d, false);
}

/* Waits that only send a message have no status word. */
static void waits_without_a_status(void **state)
{
	(void)state;
	ready("plain");
	for (unsigned n = 0; n < 3; n++)
		mini_queue(&d, BIT(4) | DESC_WAIT, 0);
	mini_ring(&d);
	model_advance(d.m, 100000);
	assert_int_equal(model_violation_count(d.m), 0);
	/* When all is done its word is free. */
	mini_wait(&d);
	model_page_free(d.m, d.status, 0);
	mini_queue(&d, BIT(4) | DESC_WAIT, 0);
	mini_ring(&d);
	model_page_free(d.m, model_page_alloc(d.m, 0, OWNER), 0);
	mini_close(&d, true);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(done_at_once_where_the_unit_forgives),
		T(nothing_while_protection_changes),
		T(protection_begins_and_ends_late),
		T(nothing_is_left_to_wait_for),
		T(no_command_beside_a_flush),
		T(remapping_on_a_unit_without_it),
		T(width_of_ids_changed_while_they_are_used),
		T(early_for_one_root_is_not_for_the_next),
		T(register_flush_beside_the_queue_does_nothing),
		T(all_that_a_register_flush_names),
		T(flush_written_in_two_halves),
		T(queue_switched_on_with_its_old_tail),
		T(queue_switched_off_without_a_wait),
		T(flush_after_the_last_wait),
		T(reset_ends_what_the_queue_does),
		T(error_codes_replace_each_other),
		T(cleared_error_lets_the_queue_go_on),
		T(rewritten_descriptor_comes_too_late),
		T(device_flushes_are_of_functions_behind_the_unit),
		T(who_did_not_answer),
		T(time_out_stops_the_queue),
		T(time_out_takes_other_flushes_along),
		T(answer_of_a_device_at_once),
		T(random_unit_takes_its_time),
		T(ring_has_room_up_to_its_head),
		T(waits_without_a_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
