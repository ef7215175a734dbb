/* SPDX-License-Identifier: MIT */
/*
 * The last register and the one behind it, fields and the bit above them, the
 * ring's second round: queue, faults, and time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

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
	assert_int_equal(model_violation_count(d.m), 1);
	assert_int_equal(model_violation(d.m, 0)->count, 1);
	mini_write32(&d, IECTL, 0);
	assert_int_equal(model_violations_of(d.m, MODEL_V_RESERVED), 1);
	mini_close(&d, false);
}

static void two_registers_written_as_one(void **state)
{
	(void)state;
	cold("plain");
	mini_write32(&d, FEADDR, 0xfee01000);
	mini_write64(&d, FECTL, 0x42ull << 32 | mini_read32(&d, FECTL));
	assert_int_equal(mini_read32(&d, FEDATA), 0x42);
	/* The one behind them is not touched. */
	assert_int_equal(mini_read32(&d, FEADDR), 0xfee01000);
	only(MODEL_V_ACCESS);
	assert_int_equal(model_violation_count(d.m), 1);
	assert_int_equal(model_violation(d.m, 0)->count, 1);
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

static void message_to_a_distant_processor(void **state)
{
	(void)state;
	cold("plain");
	mini_hear(&d);
	mini_write32(&d, FEDATA, 0xd41);
	mini_write32(&d, FEADDR, 0xfee34000);
	mini_write32(&d, FEUADDR, 0xabcdef00);
	mini_write32(&d, FECTL, mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(heard.last.destination, 0xabcdef34);
	assert_int_equal(heard.last.vector, 0x41);
	assert_int_equal(heard.last.delivery, 5);
	/* Below bit 8 there is nothing. */
	mini_read32(&d, FSTS);
	mini_write32(&d, FSTS, FSTS_ICE);
	mini_write32(&d, FEUADDR, 0x1ff);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(heard.last.destination, 0x134);
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
		T(time_runs_ahead_only_while_nothing_happens),
		T(unit_hangs_from_that_access_on),
		T(two_registers_written_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
