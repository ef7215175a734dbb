/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue: how it is switched on and off, descriptors that
 * stop it, and waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/attached.h"

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
		{DESC_IOTLB | GRAN_NARROW << 4, 1ull << 7},
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

/* The register holds more bits than this ring has slots. */
static void tail_beyond_the_ring_stops_it(void **state)
{
	(void)state;
	ready("plain");
	mini_write64(&d, IQT, 0x7fff0);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, FSTS) & FSTS_IQE);
	assert_int_equal(mini_read64(&d, IQERCD) & 15, IQEI_TAIL);
	expect(MODEL_V_QUEUE);
}

static void wait_status_has_to_be_memory(void **state)
{
	static const uint64_t nowhere[] = {0xfed90000, 0x3ffffffff0ull};

	(void)state;
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
		ready("plain");
		mini_queue(&d, 7ull << 32 | BIT(5) | DESC_WAIT, nowhere[i]);
		mini_ring(&d);
		model_advance(d.m, 10000);
		assert_false(mini_read32(&d, FSTS) & FSTS_IQE);
		expect(MODEL_V_ADDRESS);
	}
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

#define WAIT(n) ((uint64_t)(n) << 32 | BIT(5) | DESC_WAIT)

static void status_word_of_a_wait_that_is_not_over(void **state)
{
	(void)state;
	ready("plain");
	/* A word in which statuses count up can be shared, also past zero. */
	mini_queue(&d, WAIT(0xfffffffe), d.status);
	mini_queue(&d, WAIT(0xffffffff), d.status);
	mini_queue(&d, WAIT(0), d.status);
	mini_queue(&d, WAIT(0), d.status + 4);
	mini_ring(&d);
	model_advance(d.m, 10000);
	assert_int_equal(model_violation_count(d.m), 0);
	/* When it is over the word is free. */
	mini_queue(&d, WAIT(0), d.status);
	mini_ring(&d);
	assert_int_equal(model_violation_count(d.m), 0);
	/* This one is under way, and the next does not differ. */
	mini_read32(&d, GSTS);
	mini_queue(&d, WAIT(0), d.status);
	mini_ring(&d);
	expect(MODEL_V_QUEUE);
}

static void status_word_used_twice_in_the_ring(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, WAIT(7), d.status);
	mini_queue(&d, WAIT(9), d.status + 8);
	mini_queue(&d, WAIT(8), d.status + 8);
	mini_ring(&d);
	expect(MODEL_V_QUEUE);
}

static void status_word_that_is_not_the_drivers(void **state)
{
	uint64_t foreign;

	(void)state;
	ready("plain");
	foreign = model_page_alloc(d.m, 0, OWNER);
	mini_queue(&d, WAIT(7), foreign + 8);
	mini_ring(&d);
	model_advance(d.m, 10000);
	/* Blamed; the unit knows of no owners. */
	assert_int_equal(((uint32_t *)model_ptr(d.m, foreign))[2], 7);
	expect(MODEL_V_QUEUE);
}

/* Two CPUs that both saw the same tail. */
static void slot_taken_by_two(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	model_advance(d.m, 10000);
	/* A doorbell too many is none. */
	mini_ring(&d);
	assert_int_equal(model_violation_count(d.m), 0);
	d.tail--;
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
	mini_ring(&d);
	expect(MODEL_V_QUEUE);
}

/* The same in the last slot of the ring. */
static void last_slot_taken_by_two(void **state)
{
	(void)state;
	ready("plain");
	while (d.tail)
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	model_advance(d.m, 10000);
	d.tail = 255;
	mini_queue(&d, DESC_IOTLB | GRAN_DOMAIN << 4 | DID << 16, 0);
	mini_ring(&d);
	expect(MODEL_V_QUEUE);
}

static void ring_may_be_filled_but_not_overrun(void **state)
{
	(void)state;
	ready("plain");
	/* This one waits for a device, and all behind it. */
	model_unit_hang(d.m, 0, 0);
	for (unsigned i = 0; i < 255; i++)
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	expect(MODEL_V_QUEUE);
}

static unsigned early;

static void status_yet(
	void *ctx, struct model *m, const struct model_interrupt *irq)
{
	(void)ctx;
	if (irq->from_unit)
		early += *(uint32_t *)model_ptr(m, d.status) != d.sequence;
}

static void message_may_overtake_the_status(void **state)
{
	(void)state;
	mini_open(&d, model_create_simple("plain", MODEL_RANDOM, 1));
	mini_start(&d);
	model_on_interrupt(d.m, status_yet, NULL);
	mini_write32(&d, IEADDR, 0xfee00000);
	mini_write32(&d, IECTL, mini_read32(&d, IECTL) & ~(uint32_t)CTL_IM);
	early = 0;
	for (unsigned i = 0; i < 64; i++) {
		d.sequence++;
		mini_queue(&d, WAIT(d.sequence) | BIT(4), d.status);
		mini_ring(&d);
		model_advance(d.m, 100000);
		assert_int_equal(
			*(uint32_t *)model_ptr(d.m, d.status), d.sequence);
		mini_write32(&d, ICS, ICS_IWC);
	}
	assert_in_range(early, 8, 56);
	mini_close(&d, true);
}

/* As some units do; others go on when the error is cleared. */
static void stopped_queue_waits_for_the_next_doorbell(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, 15, 0);
	assert_false(mini_wait(&d));
	((uint64_t *)model_ptr(d.m, d.ring))[mini_read64(&d, IQH) / 8] =
		DESC_IOTLB | GRAN_GLOBAL << 4;
	mini_write32(&d, FSTS, FSTS_IQE);
	model_advance(d.m, 1000000);
	assert_int_not_equal(mini_read64(&d, IQH), mini_read64(&d, IQT));
	mini_ring(&d);
	model_advance(d.m, 1000000);
	assert_int_equal(mini_read64(&d, IQH), mini_read64(&d, IQT));
	expect(MODEL_V_QUEUE);
}

static void wait_takes_its_time(void **state)
{
	(void)state;
	ready("plain");
	d.sequence++;
	mini_queue(&d, WAIT(d.sequence), d.status);
	mini_ring(&d);
	mini_read32(&d, GSTS);
	mini_read32(&d, GSTS);
	/* Fetched, and no more. */
	assert_int_equal(mini_read64(&d, IQH), mini_read64(&d, IQT));
	assert_int_not_equal(*(uint32_t *)model_ptr(d.m, d.status), d.sequence);
	model_advance(d.m, 10000);
	assert_int_equal(*(uint32_t *)model_ptr(d.m, d.status), d.sequence);
	mini_close(&d, true);
}

static void error_holds_the_queue(void **state)
{
	(void)state;
	ready("plain");
	model_unit_error(d.m, 0, FSTS_IQE);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	model_advance(d.m, 1000000);
	assert_int_not_equal(mini_read64(&d, IQH), mini_read64(&d, IQT));
	mini_close(&d, true);
}

/* Whatever their words are. */
static void flushes_have_no_status_word(void **state)
{
	(void)state;
	ready("plain");
	mini_queue(&d, 9ull << 32 | BIT(5) | DESC_WAIT, d.status);
	mini_queue(&d, DESC_IOTLB | GRAN_NARROW << 4 | DID << 16, d.status);
	mini_ring(&d);
	model_advance(d.m, 100000);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_close(&d, false);
}

static void room_is_counted_from_any_slot_on(void **state)
{
	(void)state;
	ready("plain");
	while (d.tail < 100)
		mini_wait(&d);
	model_unit_hang(d.m, 0, 0);
	/* Up to 60, 100 and 120 in a ring that nobody empties. */
	for (unsigned n = 1; n <= 120; n++) {
		mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
		if (n == 60 || n == 100 || n == 120)
			mini_ring(&d);
	}
	assert_int_equal(model_violation_count(d.m), 0);
	mini_close(&d, true);
}

static void head_stays_at_what_stopped_it(void **state)
{
	struct model_counters before, after;
	uint64_t head;

	(void)state;
	ready("plain");
	head = mini_read64(&d, IQT);
	model_counters(d.m, &before);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 1ull << 7);
	assert_false(mini_wait(&d));
	assert_int_equal(mini_read64(&d, IQH), head);
	model_counters(d.m, &after);
	assert_int_equal(after.descriptors, before.descriptors);
	expect(MODEL_V_QUEUE);
}

static void ring_has_to_be_memory(void **state)
{
	(void)state;
	cold("plain");
	d.ring = 0x3ff0000000;
	mini_write64(&d, IQT, 0);
	mini_write64(&d, IQA, d.ring);
	mini_command(&d, G_QIE, true);
	only(MODEL_V_ADDRESS);
	model_violations_clear(d.m);
	mini_write64(&d, IQT, 16);
	model_advance(d.m, 10000);
	assert_int_equal(mini_read64(&d, IQERCD) & 15, IQEI_FETCH);
	expect(MODEL_V_QUEUE);
}

static void ring_moved_while_in_use(void **state)
{
	(void)state;
	ready("plain");
	mini_write64(&d, IQA, d.ring);
	assert_int_equal(model_violation_count(d.m), 0);
	model_unit_hang(d.m, 0, 0);
	mini_queue(&d, DESC_IOTLB | GRAN_GLOBAL << 4, 0);
	mini_ring(&d);
	mini_write64(&d, IQA, d.ring);
	expect(MODEL_V_QUEUE);
}

static void wide_descriptors_need_another_mode(void **state)
{
	(void)state;
	cold("plain");
	mini_write64(&d, IQA, d.ring | BIT(11));
	mini_command(&d, G_QIE, true);
	expect(MODEL_V_UNSUPPORTED);
}

static void queue_off_with_a_wait_under_way(void **state)
{
	(void)state;
	ready("plain");
	model_fail_wait(d.m, 1);
	mini_queue(&d, WAIT(7), d.status);
	mini_ring(&d);
	mini_read32(&d, GSTS);
	mini_write32(&d, GCMD, (uint32_t)G_TE);
	model_advance(d.m, 10000);
	assert_true(mini_read32(&d, GSTS) & (uint32_t)G_QIE);
	expect(MODEL_V_COMMAND);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(queue_enabled_with_a_tail),
		T(bad_descriptor_stops_the_queue),
		T(reserved_bits_in_descriptors),
		T(descriptor_rewritten_after_the_doorbell),
		T(queue_off_only_when_quiet),
		T(tail_beyond_the_ring_stops_it),
		T(wait_status_has_to_be_memory),
		T(wait_raises_an_interrupt_once),
		T(status_word_of_a_wait_that_is_not_over),
		T(status_word_used_twice_in_the_ring),
		T(status_word_that_is_not_the_drivers),
		T(slot_taken_by_two),
		T(last_slot_taken_by_two),
		T(ring_may_be_filled_but_not_overrun),
		T(message_may_overtake_the_status),
		T(stopped_queue_waits_for_the_next_doorbell),
		T(wait_takes_its_time),
		T(error_holds_the_queue),
		T(ring_has_to_be_memory),
		T(ring_moved_while_in_use),
		T(wide_descriptors_need_another_mode),
		T(queue_off_with_a_wait_under_way),
		T(flushes_have_no_status_word),
		T(room_is_counted_from_any_slot_on),
		T(head_stays_at_what_stopped_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
