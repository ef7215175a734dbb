/* SPDX-License-Identifier: MIT */
/*
 * Requests of devices: up to the last byte, what a refused one leaves as it
 * was, whose memory one meets when it lands, and what is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/attached.h"

static uint64_t word(uint64_t pa)
{
	return *(uint64_t *)model_ptr(d.m, pa);
}

static struct model_counters counters(void)
{
	struct model_counters n;

	model_counters(d.m, &n);
	return n;
}

static enum model_dma_status byte_to(uint16_t dev, uint64_t at)
{
	uint8_t v = 1;

	return model_dma_write(d.m, 0, dev, at, &v, 1);
}

/* ---- where memory begins and ends ------------------------------------------
 */

/* Both ends are of 2 MiB, and the limit belongs to it (VT-d 11.4.8.2). */
static void protected_region_up_to_its_last_byte(void **state)
{
	static const struct {
		unsigned base, limit;
		uint64_t first, last; /* as written */
	} regions[] = {{PLMBASE, PLMLIMIT, 0x400000, 0x600000},
		{PLMBASE, PLMLIMIT, 0x400000, 0x400000},
		{PHMBASE, PHMLIMIT, 0x800000, 0xa00000},
		/* Of nothing. */
		{PLMBASE, PLMLIMIT, 0x600000, 0x200000}};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t first = regions[i].first;
		uint64_t last = regions[i].last | 0x1fffff;
		enum model_dma_status in =
			last > first ? MODEL_DMA_BLOCKED : MODEL_DMA_OK;
		uint64_t blocked;

		cold("protected-regions");
		/* The other region is out of the way. */
		mini_write32(&d, PLMBASE, 0xffe00000);
		mini_write32(&d, PLMLIMIT, 0xffe00000);
		mini_write64(&d, PHMBASE, 0xffe00000);
		mini_write64(&d, PHMLIMIT, 0xffe00000);
		mini_write32(&d, regions[i].base, (uint32_t)first);
		mini_write32(&d, regions[i].limit, (uint32_t)regions[i].last);
		mini_write32(
			&d, PMEN, mini_read32(&d, PMEN) | (uint32_t)PMEN_EPM);
		model_advance(d.m, 10000);
		blocked = counters().dma_blocked;
		assert_int_equal(byte_to(DEV, first - 1), MODEL_DMA_OK);
		assert_int_equal(byte_to(DEV, first), in);
		assert_int_equal(byte_to(DEV, last), in);
		assert_int_equal(byte_to(DEV, last + 1), MODEL_DMA_OK);
		assert_int_equal(counters().dma_blocked - blocked,
			in == MODEL_DMA_BLOCKED ? 2 : 0);
		mini_close(&d, true);
	}
}

static void memory_up_to_its_last_byte(void **state)
{
	uint8_t v = 0x55;

	(void)state;
	cold("plain");
	/* There is the page that nobody may reach. */
	assert_int_equal(byte_to(DEV, (64 << 20) - 1), MODEL_DMA_OK);
	only(MODEL_V_OPEN);
	model_violations_clear(d.m);
	assert_int_equal(byte_to(DEV, 64 << 20), MODEL_DMA_ABORT);
	/* Nothing is changed in what was to be written. */
	model_dma_write(d.m, 0, DEV, 64 << 20, &v, 1);
	assert_int_equal(v, 0x55);
	/* Nobody answers a read, and that reads as ones. */
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, 64 << 20, &v, 1), MODEL_DMA_ABORT);
	assert_int_equal(v, 0xff);
	/* A late one has no place for them. */
	assert_int_equal(
		model_dma_read_late(d.m, 0, DEV, 64 << 20, 8), MODEL_DMA_ABORT);
	mini_close(&d, true);
	ready("plain");
	v = 0x55;
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, 0x20000, &v, 1), MODEL_DMA_BLOCKED);
	assert_int_equal(v, 0x55);
	/* A read of no bytes has no second page. */
	assert_int_equal(
		model_dma_zero_read(d.m, 0, DEV, 0x10fff), MODEL_DMA_OK);
	mini_close(&d, true);
}

/* At whatever byte it begins. */
static void split_between_two_bytes(void **state)
{
	static const uint8_t v[] = {1, 2, 3, 4};
	uint8_t *first, *second;

	(void)state;
	for (unsigned before = 0; before <= 4; before++) {
		ready("plain");
		first = model_ptr(d.m, frame);
		memset(first, 0, 4096);
		set_leaf(0x11000, model_page_alloc(d.m, 1, OWNER) | 3);
		set_leaf(0x12000, model_page_alloc(d.m, 0, OWNER) | 3);
		second = model_ptr(d.m,
			*(uint64_t *)model_ptr(
				d.m, mini_slot(&d, top, 4, 0x11000, 1)) &
				~0xfffull);
		memset(second, 0, 4096);
		assert_int_equal(model_dma_write(d.m, 0, DEV, 0x11000 - before,
					 v, sizeof v),
			MODEL_DMA_OK);
		assert_memory_equal(first + 4096 - before, v, before);
		assert_memory_equal(second, v + before, 4 - before);
		assert_int_equal(second[4 - before], 0);
		mini_close(&d, true);
	}
}

enum where {
	HERE,
	REFUSED,
	NOWHERE,
};

static void lead(uint64_t iova, enum where where)
{
	static const uint64_t entry[] = {3, 0, 0x3ff0000003};

	set_leaf(iova, entry[where] | (where == HERE ? frame : 0));
}

/* The worst of the pieces counts, whichever comes first. */
static void worst_of_two_pages(void **state)
{
	static const enum model_dma_status status[] = {
		MODEL_DMA_OK, MODEL_DMA_BLOCKED, MODEL_DMA_ABORT};
	uint8_t v[16] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 3; k++) {
			ready("plain");
			lead(0x30000, (enum where)i);
			lead(0x31000, (enum where)k);
			assert_int_equal(model_dma_write(d.m, 0, DEV, 0x30ff8,
						 v, sizeof v),
				status[i > k ? i : k]);
			mini_close(&d, true);
		}
}

/* ---- atomics and requests marked as translated -----------------------------
 */

static void atomic_adds_to_eight_bytes(void **state)
{
	uint64_t *at, old = 0;

	(void)state;
	ready("plain");
	at = model_ptr(d.m, frame);
	memset(at, 0x77, 32);
	at[1] = 40;
	assert_int_equal(
		model_dma_atomic(d.m, 0, DEV, 0x10008, 2, &old), MODEL_DMA_OK);
	assert_int_equal(old, 40);
	assert_int_equal(at[1], 42);
	assert_true(at[0] == 0x7777777777777777 && at[2] == at[0]);
	/* Only where it is aligned. */
	for (unsigned n = 1; n < 8; n++)
		assert_int_equal(
			model_dma_atomic(d.m, 0, DEV, 0x10008 + n, 2, &old),
			MODEL_DMA_BLOCKED);
	assert_int_equal(at[1], 42);
	assert_int_equal(old, 40);
	mini_close(&d, true);
}

static void atomic_pushes_the_writes_before_it(void **state)
{
	uint64_t v = 40, old = 0;

	(void)state;
	ready("plain");
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	assert_int_equal(
		model_dma_atomic(d.m, 0, DEV, 0x10000, 2, &old), MODEL_DMA_OK);
	assert_int_equal(old, 40);
	assert_int_equal(model_posted(d.m), 0);
	mini_close(&d, true);
}

static void atomic_meets_a_stranger(void **state)
{
	uint64_t old;

	(void)state;
	ready("plain");
	model_device_expect(d.m, 0, DEV, OWNER + 1);
	model_dma_atomic(d.m, 0, DEV, 0x10000, 1, &old);
	assert_true(said("device 0018 reached page"));
	assert_true(said("iova 0x10000, owner 9 instead of 10"));
	expect(MODEL_V_OPEN);
}

static void translated_write_is_there_at_once(void **state)
{
	uint64_t v = 0x1234;

	(void)state;
	ready("plain");
	mini_attach(&d, ATS, top, DID, TT_ATS);
	ats_on(ATS);
	assert_int_equal(model_dma_translated(d.m, 0, ATS, frame, &v, 8, true),
		MODEL_DMA_OK);
	assert_int_equal(model_posted(d.m), 0);
	assert_int_equal(word(frame), 0x1234);
	mini_close(&d, true);
}

/* ---- what lands late -------------------------------------------------------
 */

static void posted_write_meets_a_stranger(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	model_device_expect(d.m, 0, DEV, OWNER + 1);
	model_dma_post(d.m, 0, DEV, 0x10000, &v, 8);
	assert_int_equal(model_violation_count(d.m), 0);
	flush_domain();
	assert_true(said("iova 0x10000, owner 9 instead of 10"));
	expect(MODEL_V_OPEN);
}

static void texts_tell_writes_from_reads(void **state)
{
	uint64_t v = 1;

	(void)state;
	for (unsigned read = 0; read < 2; read++) {
		ready("plain");
		if (read)
			model_dma_read_late(d.m, 0, DEV, 0x10008, 8);
		else
			model_dma_post(d.m, 0, DEV, 0x10008, &v, 8);
		model_page_free(d.m, frame, 0);
		model_violations_clear(d.m);
		flush_domain();
		assert_int_equal(said("a read in flight met page"), read);
		assert_int_equal(said("a write in flight met page"), !read);
		expect(MODEL_V_FREE);
	}
}

/* Before translation is on a request has no domain, and no flush of one drains
 * it. */
static void request_of_no_domain(void **state)
{
	uint64_t v = 1;

	(void)state;
	cold("plain");
	mini_queue_on(&d);
	frame = model_page_alloc(d.m, 0, OWNER);
	model_dma_post(d.m, 0, DEV, frame, &v, 8);
	for (uint16_t did = 1; did < 100; did++)
		mini_flush_iotlb(&d, GRAN_DOMAIN, did, 0, 0, false);
	mini_flush_iotlb(&d, GRAN_DOMAIN, 0xfefe, 0, 0, false);
	assert_int_equal(model_posted(d.m), 1);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	assert_int_equal(model_posted(d.m), 0);
	mini_close(&d, true);
}

/* All that came before it is translated and goes where it was sent (VT-d
 * 6.5.4). */
static void translation_begins_after_what_is_in_flight(void **state)
{
	uint64_t v = 0x1234;

	(void)state;
	for (unsigned on = 0; on < 2; on++) {
		cold("plain");
		frame = model_page_alloc(d.m, 0, OWNER);
		mini_queue_on(&d);
		mini_set_root(&d);
		mini_flush_context(&d, GRAN_GLOBAL, 0, 0);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		model_dma_post(d.m, 0, DEV, frame, &v, 8);
		assert_int_equal(model_posted(d.m), 1);
		if (on)
			mini_translation(&d, true);
		assert_int_equal(model_posted(d.m), !on);
		mini_close(&d, true);
	}
}

/* There is room for so many in flight; then the oldest lands. */
static void most_requests_in_flight(void **state)
{
	uint64_t v;

	(void)state;
	ready("plain");
	for (v = 1; v <= 4096; v++)
		model_dma_post(d.m, 0, DEV, 0x10000 + v % 2 * 8, &v, 8);
	assert_int_equal(model_posted(d.m), 4096);
	assert_int_not_equal(word(frame + 8), 1);
	model_dma_post(d.m, 0, DEV, 0x10010, &v, 8);
	assert_int_equal(model_posted(d.m), 4096);
	assert_int_equal(word(frame + 8), 1);
	flush_domain();
	/* In their order. */
	assert_int_equal(word(frame), 4096);
	assert_int_equal(word(frame + 8), 4095);
	assert_int_equal(word(frame + 16), 4097);
	mini_close(&d, true);
}

/* Each drains its own and leaves the others. */
static void drained_in_any_order(void **state)
{
	uint64_t v = 1;

	(void)state;
	ready("plain");
	mini_attach(&d, OTHER, top, DID + 1, TT_SS);
	for (unsigned n = 0; n < 6; n++)
		model_dma_post(
			d.m, 0, n % 3 ? OTHER : DEV, 0x10000 + n * 8, &v, 8);
	flush_domain();
	assert_int_equal(model_posted(d.m), 4);
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID + 1, 0, 0, false);
	assert_int_equal(model_posted(d.m), 0);
	mini_close(&d, true);
}

/* ---- who it is --------------------------------------------------------------
 */

/* The same address in another segment is another device. */
static void device_of_another_segment(void **state)
{
	uint64_t v = 1;

	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		with_a_namesake(2);
		frame = model_page_alloc(d.m, 0, OWNER);
		model_device_expect(d.m, 2, DEV, OWNER + 1);
		/* A unit for the one, none for the other. */
		assert_int_equal(model_dma_write(d.m, 0, DEV, frame, &v, 8),
			MODEL_DMA_OK);
		assert_int_equal(model_violation_count(d.m), 0);
		if (late)
			model_dma_post(d.m, 2, DEV, frame, &v, 8);
		else
			model_dma_write(d.m, 2, DEV, frame, &v, 8);
		assert_int_equal(model_violations_of(d.m, MODEL_V_OPEN), 1);
		model_device_remove(d.m, 2, DEV);
		assert_int_equal(model_dma_write(d.m, 0, DEV, frame, &v, 8),
			MODEL_DMA_OK);
		assert_int_equal(model_dma_write(d.m, 2, DEV, frame, &v, 8),
			MODEL_DMA_ABORT);
		mini_close(&d, false);
	}
}

/* Where no unit translates nothing can be refused. */
static void needs_are_judged_while_translation_is_on(void **state)
{
	(void)state;
	with_a_namesake(1);
	model_device_needs(d.m, 1, DEV, 0x5000, 0x5fff);
	model_device_needs(d.m, 0, DEV, 0x5000, 0x5fff);
	model_advance(d.m, 10000);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_start(&d);
	assert_true(said("device 0018 lost its reserved memory at 0x5000"));
	expect(MODEL_V_NEEDED);
}

/* ---- the interrupt window --------------------------------------------------
 */

static void requests_to_the_window_are_counted(void **state)
{
	uint64_t v = 0, old;

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		uint64_t blocked;

		ready("plain");
		blocked = counters().dma_blocked;
		switch (n) {
		case 0:
			model_dma_read(d.m, 0, DEV, 0xfee00000, &v, 4);
			break;
		case 1:
			model_dma_write(d.m, 0, DEV, 0xfee00000, &v, 8);
			break;
		case 2:
			model_dma_write(d.m, 0, DEV, 0xfee00002, &v, 4);
			break;
		default:
			assert_int_equal(model_dma_atomic(d.m, 0, DEV,
						 0xfee00000, 1, &old),
				MODEL_DMA_BLOCKED);
		}
		assert_int_equal(counters().dma_blocked - blocked, 1);
		assert_int_equal(model_last_fault(d.m), F_IR_MALFORMED);
		assert_int_equal(counters().interrupts, 0);
		/* Of this old units record nothing. */
		assert_int_equal(mini_read32(&d, FSTS), 0);
		mini_close(&d, true);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(protected_region_up_to_its_last_byte),
		T(memory_up_to_its_last_byte),
		T(split_between_two_bytes),
		T(worst_of_two_pages),
		T(atomic_adds_to_eight_bytes),
		T(atomic_pushes_the_writes_before_it),
		T(atomic_meets_a_stranger),
		T(translated_write_is_there_at_once),
		T(posted_write_meets_a_stranger),
		T(texts_tell_writes_from_reads),
		T(request_of_no_domain),
		T(translation_begins_after_what_is_in_flight),
		T(most_requests_in_flight),
		T(drained_in_any_order),
		T(device_of_another_segment),
		T(needs_are_judged_while_translation_is_on),
		T(requests_to_the_window_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
