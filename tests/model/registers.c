/* SPDX-License-Identifier: MIT */
/*
 * Registers and global commands: widths, reserved bits, one change at a time,
 * and features that a unit has not got.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static void wide_access_to_narrow_registers(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, FEADDR, 0x12fee0f000);
	only(MODEL_V_ACCESS);
	/* Blamed, but taken apart. */
	assert_int_equal(mini_read32(&d, FEADDR), 0xfee0f000);
	assert_int_equal(mini_read32(&d, FEUADDR), 0x12);
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

/* The driver that comes after a reset has to set everything anew. */
static void reset_forgets_the_tables(void **state)
{
	(void)state;
	ready("plain");
	assert_true(can_write(DEV, 0x10000));
	model_unit_reset(d.m, 0);
	assert_int_equal(mini_read32(&d, GSTS), 0);
	assert_int_equal(model_cached(d.m, 0), 0);
	mini_write32(&d, GCMD, (uint32_t)G_TE);
	only(MODEL_V_COMMAND);
	mini_close(&d, false);
}

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
	/* That it has none, and that it did nothing. */
	assert_int_equal(model_violation_count(d.m), 2);
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

static void gcmd_reads_as_junk(void **state)
{
	(void)state;
	ready("plain");
	assert_int_equal(mini_read32(&d, GCMD), 0xa5a5a5a5);
	expect(MODEL_V_ACCESS);
}

static void register_flushes_take_their_time(void **state)
{
	unsigned iotlb;

	(void)state;
	ready("no-qi");
	iotlb = ECAP_IRO(d.ecap) + 8;
	set_leaf(0x10000, 0);
	mini_write64(&d, iotlb,
		(mini_read64(&d, iotlb) & MASK(31, 0)) | IOTLB_IVT |
			(uint64_t)GRAN_GLOBAL << 60 | BIT(48) | BIT(49));
	assert_true(mini_read64(&d, iotlb) >> 63);
	assert_true(can_write(DEV, 0x10000));
	model_advance(d.m, 10000);
	assert_false(mini_read64(&d, iotlb) >> 63);
	assert_int_equal(bits(mini_read64(&d, iotlb), 58, 57), GRAN_GLOBAL);
	assert_false(can_write(DEV, 0x10000));
	mini_write64(&d, CCMD, CCMD_ICC | (uint64_t)GRAN_GLOBAL << 61);
	assert_true(mini_read64(&d, CCMD) >> 63);
	model_advance(d.m, 10000);
	assert_int_equal(
		mini_read64(&d, CCMD) >> 59, GRAN_GLOBAL << 2 | GRAN_GLOBAL);
	mini_close(&d, true);
}

static void seed_decides_how_long(void **state)
{
	uint64_t took, most = 0, least = ~0ull;

	(void)state;
	mini_open(&d, model_create_simple("no-qi", MODEL_RANDOM, 3));
	mini_start(&d);
	for (int i = 0; i < 50; i++) {
		took = model_now(d.m);
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		took = model_now(d.m) - took;
		most = took > most ? took : most;
		least = took < least ? took : least;
	}
	assert_true(most > 4000 && least < 2000);
	mini_close(&d, true);
}

static void tables_beyond_the_address_width(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, RTADDR, d.root | 1ull << 46);
	mini_command(&d, G_RTP, true);
	only(MODEL_V_ADDRESS);
	model_violations_clear(d.m);
	mini_write64(&d, IRTA, d.irt | 1ull << 50 | 7);
	mini_command(&d, G_IRTP, true);
	expect(MODEL_V_ADDRESS);
}

static void nothing_is_written_while_a_command_runs(void **state)
{
	static const unsigned offsets[] = {CCMD, PMEN, 0x100, 0x108};

	(void)state;
	for (unsigned how = 0; how < 3; how++)
		for (unsigned i = 0; i < 4; i++) {
			struct model_personality kind =
				*model_personality_find("protected-regions");
			unsigned at = offsets[i];
			uint64_t was;

			kind.ecap &= ~(ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_DT);
			mini_open(&d,
				model_create_usual(
					&kind, MODEL_LAZY, 0, 1, false));
			was = at == PMEN      ? mini_read32(&d, at)
				: at == 0x108 ? mini_read64(&d, at)
					      : 0;
			if (how == 0)
				mini_write32(&d, GCMD, (uint32_t)G_WBF);
			else if (how == 1)
				mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
			else
				mini_write64(&d, 0x108,
					mini_read64(&d, 0x108) | IOTLB_IVT |
						1ull << 60 | 3ull << 48);
			assert_int_equal(model_violation_count(d.m), 0);
			if (at == PMEN)
				mini_write32(&d, at, (uint32_t)was);
			else
				mini_write64(&d, at, was);
			expect(MODEL_V_COMMAND);
		}
}

static void all_that_the_queue_replaces(void **state)
{
	static const unsigned offsets[] = {CCMD, 0x100, 0x108};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		ready("plain");
		mini_write64(&d, offsets[i],
			offsets[i] == 0x108 ? mini_read64(&d, 0x108) : 0);
		expect(MODEL_V_MIXED);
	}
}

static void what_was_flushed_can_be_read(void **state)
{
	static const unsigned grans[] = {
		GRAN_GLOBAL, GRAN_DOMAIN, GRAN_NARROW, GRAN_GLOBAL};
	unsigned iro;

	(void)state;
	ready("no-qi");
	iro = ECAP_IRO(d.ecap);
	for (unsigned i = 0; i < 4; i++) {
		mini_flush_iotlb(&d, grans[i], DID, 0x1000, 0, false);
		assert_int_equal(
			bits(mini_read64(&d, iro + 8), 58, 57), grans[i]);
		mini_flush_context(&d, grans[i], DID, DEV);
		assert_int_equal(bits(mini_read64(&d, CCMD), 60, 59), grans[i]);
	}
	mini_close(&d, true);
	/* Some units do more than they were asked for, and say so. */
	ready("qemu-4.0");
	mini_command(&d, G_QIE, false);
	d.queue = false;
	mini_flush_context(&d, GRAN_DOMAIN, 77, 0);
	assert_int_equal(bits(mini_read64(&d, CCMD), 60, 59), GRAN_GLOBAL);
	mini_close(&d, true);
}

static void other_table_modes_are_refused(void **state)
{
	uint64_t v;

	(void)state;
	for (unsigned mode = 1; mode < 4; mode++) {
		ready("plain");
		mini_write64(&d, RTADDR, d.root | mode << 10);
		mini_command(&d, G_RTP, true);
		only(MODEL_V_COMMAND);
		assert_int_equal(model_dma_read(d.m, 0, DEV, 0x10000, &v, 8),
			MODEL_DMA_BLOCKED);
		assert_int_equal(
			model_last_fault(d.m), mode == 3 ? F_ABORT_DMA : F_TTM);
		mini_close(&d, false);
	}
}

static void leaf_hint_in_registers(void **state)
{
	uint64_t v;

	(void)state;
	for (int hint = 0; hint < 2; hint++) {
		ready("no-qi");
		mini_map(&d, top, 0x11000, frame, 3);
		mini_store(
			&d, mini_slot(&d, top, mini_levels(&d), 0x10000, 2), 0);
		mini_flush_iotlb(&d, GRAN_NARROW, DID, 0, 9, hint);
		assert_int_equal(model_dma_read(d.m, 0, DEV, 0x11000, &v, 8) ==
				MODEL_DMA_OK,
			hint);
		mini_close(&d, true);
	}
}

static void power_goes_while_a_command_runs(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		cold("no-qi");
		if (n == 1)
			mini_write32(&d, GCMD, (uint32_t)G_WBF);
		else if (n == 2)
			mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
		else if (n == 3)
			mini_write64(&d, 0x108,
				mini_read64(&d, 0x108) | IOTLB_IVT |
					1ull << 60);
		model_unit_reset(d.m, 0);
		assert_int_equal(
			model_violations_of(d.m, MODEL_V_COMMAND), n > 0);
		mini_close(&d, false);
	}
}

static void reset_ends_what_is_in_flight(void **state)
{
	unsigned iotlb;
	uint64_t v;

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct model_personality kind =
			*model_personality_find("protected-regions");

		kind.ecap &= ~(ECAP_QI | ECAP_IR | ECAP_EIM | ECAP_DT);
		mini_open(
			&d, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		iotlb = ECAP_IRO(d.ecap) + 8;
		v = mini_read64(&d, iotlb);
		if (n == 0)
			mini_write32(&d, GCMD, (uint32_t)G_RTP);
		else if (n == 1)
			mini_write64(&d, CCMD, CCMD_ICC | 1ull << 61);
		else if (n == 2)
			mini_write64(&d, iotlb, v | IOTLB_IVT | 1ull << 60);
		else
			mini_write32(&d, PMEN,
				mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
		model_unit_reset(d.m, 0);
		model_advance(d.m, 100000);
		assert_int_equal(mini_read32(&d, GSTS), 0);
		assert_int_equal(mini_read64(&d, CCMD), 0);
		assert_int_equal(mini_read64(&d, iotlb), v);
		assert_false(mini_read32(&d, PMEN) & PMEN_PRS);
		mini_close(&d, false);
	}
}

/* Whoever lost the power owes no flush of what was set before. */
static void reset_forgives_flushes(void **state)
{
	(void)state;
	cold("plain");
	mini_set_root(&d);
	mini_queue_on(&d);
	mini_write64(&d, IRTA, d.irt | 7);
	mini_command(&d, G_IRTP, true);
	assert_true(mini_wait(&d));
	mini_command(&d, G_QIE, false);
	assert_int_equal(model_violation_count(d.m), 0);
	model_unit_reset(d.m, 0);
	assert_int_equal(model_checkpoint(d.m), 0);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_command(&d, G_TE, true);
	mini_command(&d, G_IRE, true);
	expect(MODEL_V_COMMAND);
}

/* The half with the bit that starts it, and no other register. */
static void what_starts_a_flush(void **state)
{
	unsigned iotlb;

	(void)state;
	for (unsigned which = 0; which < 2; which++)
		for (unsigned how = 0; how < 2; how++) {
			uint64_t start, v;
			unsigned at;

			cold("no-qi");
			iotlb = ECAP_IRO(d.ecap) + 8;
			at = which ? iotlb : CCMD;
			v = mini_read64(&d, at);
			mini_write64(&d, at,
				v | BIT(63) | 1ull << (which ? 60 : 61));
			start = model_now(d.m);
			/* It does not begin again. */
			while (model_now(d.m) - start < 1500)
				mini_write32(&d, how ? FEDATA : at,
					how ? 0 : (uint32_t)v);
			assert_false(mini_read64(&d, at) >> 63);
			mini_close(&d, false);
		}
}

static void upper_half_of_the_tail_rings_nothing(void **state)
{
	(void)state;
	ready("plain");
	mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
	mini_command(&d, G_QIE, false);
	assert_int_not_equal(mini_read64(&d, IQT), 0);
	mini_write32(&d, IQT + 4, 0);
	mini_write32(&d, FEDATA, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_write32(&d, IQT, 0x10);
	expect(MODEL_V_QUEUE);
}

static void preserved_bits_are_not_zero(void **state)
{
	static const unsigned at[] = {FECTL, IECTL, PMEN};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		cold("protected-regions");
		mini_write32(&d, at[i], 0);
		expect(MODEL_V_RESERVED);
		/* An emulator's are. */
		mini_open(&d,
			model_create_simple(
				"protected-regions", MODEL_BENIGN, 1));
		mini_write32(&d, at[i], 0);
		mini_close(&d, true);
	}
}

static void texts_name_the_place(void **state)
{
	(void)state;
	cold("plain");
	mini_write32(&d, VER, 0);
	assert_true(said("write to a read-only register at offset 0"));
	mini_write32(&d, GCMD, 0x5);
	assert_true(said("GCMD written with reserved bits 0x5"));
	mini_write32(&d, FECTL, (uint32_t)CTL_IM | 0x00050001);
	assert_true(said("FECTL: bits to be preserved were changed from "
			 "0x50000 to 0x50001"));
	mini_write64(&d, RTADDR, d.root | 0x40);
	assert_true(said("RTADDR written with reserved bits 0x40"));
	mini_close(&d, false);
	mini_open(&d, model_create_simple("plain", MODEL_BENIGN, 1));
	assert_int_equal(mini_read32(&d, GCMD), 0);
	expect(MODEL_V_ACCESS);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(wide_access_to_narrow_registers),
		T(narrow_access_to_wide_registers_is_fine),
		T(unaligned_missing_and_read_only),
		T(reserved_and_preserved_bits),
		T(reset_forgets_the_tables),
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
		T(gcmd_reads_as_junk),
		T(register_flushes_take_their_time),
		T(seed_decides_how_long),
		T(tables_beyond_the_address_width),
		T(nothing_is_written_while_a_command_runs),
		T(all_that_the_queue_replaces),
		T(what_was_flushed_can_be_read),
		T(other_table_modes_are_refused),
		T(leaf_hint_in_registers),
		T(power_goes_while_a_command_runs),
		T(reset_ends_what_is_in_flight),
		T(reset_forgives_flushes),
		T(what_starts_a_flush),
		T(upper_half_of_the_tail_rings_nothing),
		T(preserved_bits_are_not_zero),
		T(texts_name_the_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
