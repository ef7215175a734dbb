/* SPDX-License-Identifier: MIT */
/*
 * Fault records and the unit's own messages: which record is next, what stays
 * while another one is cleared, what is lost, and what a message carries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

static unsigned record(unsigned n)
{
	return CAP_FRO(d.cap) + 16 * n;
}

static bool is_full(unsigned n)
{
	return mini_read32(&d, record(n) + 12) >> 31;
}

static void clear(unsigned n)
{
	mini_write32(&d, record(n) + 12, 1u << 31);
}

static uint32_t status(void)
{
	return mini_read32(&d, FSTS);
}

static void refuse(uint16_t dev)
{
	assert_false(can_write(dev, 0x30000));
}

static void started(enum model_mode mode)
{
	mini_open(&d, model_create_simple("plain", mode, 1));
	mini_start(&d);
}

static struct model_counters counters(void)
{
	struct model_counters n;

	model_counters(d.m, &n);
	return n;
}

/* ---- records --------------------------------------------------------------
 */

/* The last one that is cleared ends the condition, whichever it is; with it
 * goes the message that waits (VT-d 7.3, 11.4.7.1). */
static void condition_lasts_as_long_as_any_record(void **state)
{
	unsigned count;

	(void)state;
	started(MODEL_LAZY);
	count = CAP_NFR(d.cap);
	for (unsigned last = 0; last < count; last++) {
		for (unsigned n = 0; n < count; n++)
			refuse(DEV);
		for (unsigned n = 0; n < count; n++)
			if (n != last)
				clear(n);
		assert_true(status() & FSTS_PPF);
		assert_true(mini_read32(&d, FECTL) & CTL_IP);
		assert_true(is_full(last));
		clear(last);
		assert_int_equal(status() & (FSTS_PPF | FSTS_PFO), 0);
		assert_false(mini_read32(&d, FECTL) & CTL_IP);
	}
	mini_close(&d, true);
}

/* Another condition keeps the message waiting. */
static void message_waits_for_other_conditions(void **state)
{
	(void)state;
	started(MODEL_LAZY);
	refuse(DEV);
	model_unit_error(d.m, 0, FSTS_ICE);
	clear(0);
	assert_false(status() & FSTS_PPF);
	assert_true(mini_read32(&d, FECTL) & CTL_IP);
	mini_write32(&d, FSTS, FSTS_ICE);
	assert_false(mini_read32(&d, FECTL) & CTL_IP);
	mini_close(&d, true);
}

static void what_does_not_fit_is_lost(void **state)
{
	unsigned count;

	(void)state;
	started(MODEL_LAZY);
	count = CAP_NFR(d.cap);
	for (unsigned n = 0; n < count; n++)
		refuse(DEV);
	assert_false(status() & FSTS_PFO);
	assert_int_equal(counters().faults_lost, 0);
	refuse(DEV);
	assert_true(status() & FSTS_PFO);
	assert_int_equal(counters().faults_lost, 1);
	/* Room alone is not enough (VT-d 7.3). */
	for (unsigned n = 0; n < count; n++)
		clear(n);
	refuse(DEV);
	assert_int_equal(counters().faults_lost, 2);
	assert_int_equal(counters().faults, count);
	for (unsigned n = 0; n < count; n++)
		assert_false(is_full(n));
	mini_write32(&d, FSTS, FSTS_PFO);
	refuse(DEV);
	assert_true(is_full(0));
	assert_int_equal(counters().faults, count + 1);
	mini_close(&d, true);
}

/* Units may keep one record of a requester (VT-d 7.3); those that keep all
 * fill up the sooner. */
static void later_faults_of_a_requester(void **state)
{
	static const enum model_mode modes[] = {
		MODEL_LAZY, MODEL_RANDOM, MODEL_BENIGN};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		bool each = modes[i] == MODEL_LAZY;

		started(modes[i]);
		refuse(DEV);
		refuse(OTHER);
		assert_int_equal(
			mini_read64(&d, record(1) + 8) & 0xffff, OTHER);
		for (unsigned n = 0; n < 3; n++)
			refuse(n & 1 ? DEV : OTHER);
		for (unsigned n = 2; n < 5; n++)
			assert_int_equal(is_full(n), each);
		assert_false(is_full(5));
		assert_int_equal(counters().faults_lost, 0);
		/* Of one that was cleared the next is a new one. */
		clear(0);
		clear(1);
		refuse(OTHER);
		assert_true(is_full(each ? 5 : 2));
		mini_close(&d, true);
	}
}

static void records_are_read_by_halves_too(void **state)
{
	const uint64_t iova = 0x7f1234567000;

	(void)state;
	started(MODEL_LAZY);
	mini_attach(&d, DEV, mini_page(&d), DID, TT_SS);
	for (unsigned n = 0; n < 3; n++)
		assert_false(can_write(DEV, iova + (n << 12)));
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(mini_read64(&d, record(n)), iova + (n << 12));
		assert_int_equal(
			mini_read32(&d, record(n)), 0x34567000 + (n << 12));
		assert_int_equal(mini_read32(&d, record(n) + 4), 0x7f12);
		assert_int_equal(mini_read32(&d, record(n) + 8), DEV);
		assert_int_equal(
			mini_read32(&d, record(n) + 12), 1u << 31 | F_WRITE);
		assert_int_equal(mini_read64(&d, record(n) + 8),
			BIT(63) | (uint64_t)F_WRITE << 32 | DEV);
	}
	mini_close(&d, true);
}

/* Only the bit that says that it is full, and only by writing it. */
static void what_clears_a_record(void **state)
{
	static const struct {
		unsigned offset, width;
		uint64_t value;
		bool clears;
	} writes[] = {{0, 4, 0xffffffff, false}, {4, 4, 1u << 31, false},
		{8, 4, 1u << 31, false}, {12, 4, 0x7fffffff, false},
		{12, 4, 1u << 31, true}, {0, 8, BIT(63), false},
		{8, 8, BIT(31), false}, {8, 8, BIT(63) - 1, false},
		{8, 8, BIT(63), true}};

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		uint64_t was[2], now[2];

		started(MODEL_LAZY);
		refuse(DEV);
		refuse(DEV);
		was[0] = mini_read64(&d, record(1));
		was[1] = mini_read64(&d, record(1) + 8);
		if (writes[i].width == 8)
			mini_write64(&d, record(1) + writes[i].offset,
				writes[i].value);
		else
			mini_write32(&d, record(1) + writes[i].offset,
				(uint32_t)writes[i].value);
		assert_int_equal(model_violations_of(d.m, MODEL_V_FAULT),
			!writes[i].clears);
		now[0] = mini_read64(&d, record(1));
		now[1] = mini_read64(&d, record(1) + 8);
		assert_int_equal(now[0] == was[0], !writes[i].clears);
		assert_int_equal(now[1] == was[1], !writes[i].clears);
		/* What it said is not there to be read late. */
		assert_int_equal((uint16_t)now[1] == DEV, !writes[i].clears);
		assert_int_equal(now[1] >> 63, !writes[i].clears);
		assert_true(is_full(0));
		mini_close(&d, false);
	}
}

/* ---- messages -------------------------------------------------------------
 */

static void message_to(uint32_t address, uint32_t upper, uint32_t data)
{
	cold("plain");
	mini_hear(&d);
	mini_write32(&d, FEDATA, data);
	mini_write32(&d, FEADDR, address);
	mini_write32(&d, FEUADDR, upper);
}

static void mask(bool on)
{
	uint32_t v = mini_read32(&d, FECTL) & ~(uint32_t)CTL_IM;

	mini_write32(&d, FECTL, v | (on ? (uint32_t)CTL_IM : 0));
}

static void message_carries_what_was_written(void **state)
{
	(void)state;
	message_to(0xfee5a678, 0x12345600, 0x00007f42);
	mask(false);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(heard.count, 1);
	assert_true(heard.last.from_unit);
	assert_int_equal(heard.last.unit, 0);
	assert_true(heard.last.address == 0x12345600fee5a678);
	assert_int_equal(heard.last.data, 0x7f42);
	assert_int_equal(heard.last.vector, 0x42);
	assert_int_equal(heard.last.delivery, 7);
	assert_int_equal(heard.last.destination, 0x1234565a);
	mini_close(&d, true);
	/* Bits beside the destination are none of it. */
	message_to(0xfeefffff & ~0xff000u & ~3u, 0, 0xfffff8ff);
	mask(false);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(heard.last.destination, 0);
	assert_int_equal(heard.last.delivery, 0);
	mini_close(&d, true);
}

static void message_to_memory_does_not_arrive(void **state)
{
	static const uint32_t wrong[] = {0xfed00000, 0xfef00000, 0x00100000};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		message_to(wrong[i], 0, 0x41);
		mask(false);
		model_unit_error(d.m, 0, FSTS_ICE);
		assert_int_equal(heard.count, 0);
		expect(MODEL_V_FAULT);
	}
}

static void message_that_waits_is_sent_once(void **state)
{
	(void)state;
	message_to(0xfee00000, 0, 0x41);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_int_equal(heard.count, 0);
	assert_true(mini_read32(&d, FECTL) & CTL_IP);
	mask(false);
	assert_int_equal(heard.count, 1);
	assert_false(mini_read32(&d, FECTL) & CTL_IP);
	mask(true);
	mask(false);
	assert_int_equal(heard.count, 1);
	/* One more condition brings none, the first after all were cleared
	 * does. */
	model_unit_error(d.m, 0, FSTS_ITE);
	assert_int_equal(heard.count, 1);
	mini_read32(&d, FSTS);
	mini_write32(&d, FSTS, FSTS_ICE | FSTS_ITE);
	model_unit_error(d.m, 0, FSTS_ITE);
	assert_int_equal(heard.count, 2);
	mini_close(&d, true);
}

/* ---- what was never looked at ----------------------------------------------
 */

static void what_was_read_before_a_reset_was_another_one(void **state)
{
	(void)state;
	message_to(0xfee00000, 0, 0x41);
	model_unit_error(d.m, 0, FSTS_ICE);
	assert_true(mini_read32(&d, FSTS) & FSTS_ICE);
	model_unit_reset(d.m, 0);
	mini_write32(&d, FEADDR, 0xfee00000);
	mask(false);
	model_unit_error(d.m, 0, FSTS_ICE);
	mini_write32(&d, FSTS, FSTS_ICE);
	assert_true(said("conditions 0x20 cleared that were never read"));
	expect(MODEL_V_FAULT);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(condition_lasts_as_long_as_any_record),
		T(message_waits_for_other_conditions),
		T(what_does_not_fit_is_lost),
		T(later_faults_of_a_requester),
		T(records_are_read_by_halves_too),
		T(what_clears_a_record),
		T(message_carries_what_was_written),
		T(message_to_memory_does_not_arrive),
		T(message_that_waits_is_sent_once),
		T(what_was_read_before_a_reset_was_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
