/* SPDX-License-Identifier: MIT */
/*
 * Devices to the byte: what a transfer moves and what it leaves, each register
 * by itself, which function makes the requests, and what is counted and told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <model/devices.h>
#include <string.h>
#include "support/attached.h"

/* Frames of 16 KiB at 0x40000, another page of rings at 0x50000. */
static uint8_t *memory, *rings;

static void opened(void)
{
	uint64_t pages;

	ready("plain");
	pages = model_page_alloc(d.m, 3, OWNER);
	for (uint64_t n = 0; n < 4; n++)
		set_leaf(0x40000 + (n << 12), (pages + (n << 12)) | 3);
	set_leaf(0x50000, (pages + 0x4000) | 3);
	memory = model_ptr(d.m, pages);
	rings = model_ptr(d.m, pages + 0x4000);
	memset(memory, 0, 0x8000);
}

static void fill(unsigned at, unsigned size)
{
	for (unsigned n = 0; n < size; n++)
		memory[at + n] = (uint8_t)(1 + n * 7 + n / 256);
}

static bool is_filled(const uint8_t *bytes, unsigned size)
{
	for (unsigned n = 0; n < size; n++)
		if (bytes[n] != (uint8_t)(1 + n * 7 + n / 256))
			return false;
	return true;
}

static bool is_empty(unsigned first, unsigned end)
{
	for (; first < end; first++)
		if (memory[first])
			return false;
	return true;
}

/* ---- the simple engine -----------------------------------------------------
 */

static void edu_registers_stand_alone(void **state)
{
	static const unsigned at[] = {MODEL_EDU_COMMAND, MODEL_EDU_COUNT,
		MODEL_EDU_TARGET, MODEL_EDU_SOURCE, MODEL_EDU_ACK};
	struct model_edu e;

	(void)state;
	opened();
	model_edu_init(&e, d.m, 0, DEV);
	assert_int_equal(model_edu_read(&e, MODEL_EDU_ID), 0x010000ed);
	/* From the last to the first, so that none spills over. */
	for (unsigned n = 0; n < 5; n++) {
		model_edu_write(&e, at[n], 0x1000 * (n + 1));
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(model_edu_read(&e, at[k]),
				k <= n ? 0x1000 * (k + 1) : 0);
	}
	mini_close(&d, true);
}

/* From any byte of its buffer to any of memory, and back. */
static void edu_moves_what_it_is_told(void **state)
{
	static const unsigned at[] = {0, 1, 1000, MODEL_EDU_SIZE - 100};
	struct model_edu e;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		opened();
		fill(0, 100);
		model_edu_init(&e, d.m, 0, DEV);
		model_edu_write(&e, MODEL_EDU_COUNT, 100);
		model_edu_write(&e, MODEL_EDU_SOURCE, 0x40000);
		model_edu_write(&e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER + at[i]);
		model_edu_write(&e, MODEL_EDU_COMMAND, 1);
		assert_true(is_filled(e.buffer + at[i], 100));
		model_edu_write(&e, MODEL_EDU_SOURCE, MODEL_EDU_BUFFER + at[i]);
		model_edu_write(&e, MODEL_EDU_TARGET, 0x42003);
		model_edu_write(&e, MODEL_EDU_COMMAND, 3);
		assert_true(is_filled(memory + 0x2003, 100));
		assert_true(is_empty(100, 0x2003));
		assert_true(is_empty(0x2003 + 100, 0x4000));
		assert_int_equal(e.refused, 0);
		mini_close(&d, true);
	}
}

static void edu_tells_only_if_asked(void **state)
{
	struct model_edu e;

	(void)state;
	opened();
	mini_hear(&d);
	model_edu_init(&e, d.m, 0, DEV);
	e.msi_address = 0xfee00000;
	for (unsigned n = 0; n < 2; n++) {
		heard.count = 0;
		model_edu_write(&e, MODEL_EDU_SOURCE, 0x40000);
		model_edu_write(&e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER);
		model_edu_write(&e, MODEL_EDU_COUNT, 8);
		model_edu_write(&e, MODEL_EDU_COMMAND, n ? 5 : 1);
		assert_int_equal(heard.count, n);
		assert_int_equal(
			model_edu_read(&e, MODEL_EDU_STATUS), n ? 0x100 : 0);
		assert_int_equal(
			model_edu_read(&e, MODEL_EDU_COMMAND), n ? 4 : 0);
	}
	assert_int_equal(e.refused, 0);
	mini_close(&d, true);
}

/* ---- chains ---------------------------------------------------------------
 */

struct chain {
	uint32_t size, control;
	uint64_t source, target, next, rest[4];
};

static void describe(unsigned n, uint32_t size, uint32_t control,
	uint64_t source, uint64_t target)
{
	((struct chain *)rings)[n] = (struct chain){.size = size,
		.control = control,
		.source = source,
		.target = target,
		.next = 0x50000 + 64 * (n + 1)};
}

static unsigned status(struct model_cbdma *c)
{
	return model_cbdma_read(c, MODEL_CBDMA_CHANSTS, 8) & 7;
}

static void run(struct model_cbdma *c, unsigned count)
{
	model_cbdma_write(c, MODEL_CBDMA_CHANERR, 4, ~0u);
	model_cbdma_write(c, MODEL_CBDMA_CHAINADDR, 8, 0x50000);
	model_cbdma_write(c, MODEL_CBDMA_DMACOUNT, 2, count);
}

static void cbdma_moves_what_it_is_told(void **state)
{
	static const unsigned sizes[] = {1, 255, 256, 257, 512, 1000, 4096};
	struct model_cbdma c;

	(void)state;
	for (unsigned i = 0; i < 7; i++)
		for (unsigned fills = 0; fills < 2; fills++) {
			const uint8_t *to;

			opened();
			to = memory + 0x2005;
			model_cbdma_init(&c, d.m, 0, DEV);
			assert_int_equal(status(&c), MODEL_CBDMA_HALTED);
			fill(0, 0x1800);
			describe(0, sizes[i], fills ? 1u << 24 : 0,
				fills ? 0x0807060504030201 : 0x40000, 0x42005);
			run(&c, 1);
			assert_int_equal(status(&c), MODEL_CBDMA_DONE);
			for (unsigned n = 0; fills && n < sizes[i]; n++)
				assert_int_equal(to[n], 1 + n % 256 % 8);
			if (!fills)
				assert_true(is_filled(to, sizes[i]));
			assert_true(is_empty(0x1800, 0x2005));
			assert_true(is_empty(0x2005 + sizes[i], 0x4000));
			assert_true(is_filled(memory, 0x1800));
			mini_close(&d, true);
		}
}

/* A megabyte is the most. */
static void cbdma_moves_a_megabyte(void **state)
{
	struct model_cbdma c;
	uint64_t pages;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		opened();
		pages = model_page_alloc(d.m, 9, OWNER);
		mini_store(&d, mini_slot(&d, top, 4, 0x600000, 2),
			pages | SS_PS | 3);
		memory = model_ptr(d.m, pages);
		memset(memory, 0, 2 << 20);
		fill(0, 1 << 20);
		model_cbdma_init(&c, d.m, 0, DEV);
		describe(0, (1 << 20) + more, 0, 0x600000, 0x700000);
		run(&c, 1);
		assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANERR, 4),
			more ? 0x800 : 0);
		assert_int_equal(is_filled(memory + (1 << 20), 1 << 20), !more);
		mini_close(&d, true);
	}
}

static void cbdma_tells_where_it_is(void **state)
{
	struct model_cbdma c;
	uint64_t *done;

	(void)state;
	opened();
	done = (uint64_t *)(memory + 0x3000);
	model_cbdma_init(&c, d.m, 0, DEV);
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMP, 8, 0x43000);
	/* Under way after the first of two. */
	describe(0, 8, 8, 0x40000, 0x42000);
	describe(1, 8, 0, 0x40000, 0x42000);
	run(&c, 2);
	assert_int_equal(*done, 0x50000 | MODEL_CBDMA_ACTIVE);
	assert_int_equal(status(&c), MODEL_CBDMA_DONE);
	/* Nothing to do is not begun. */
	run(&c, 0);
	assert_int_equal(status(&c), MODEL_CBDMA_ARMED);
	/* Nowhere to tell is no error. */
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMP, 8, 0);
	run(&c, 2);
	assert_int_equal(status(&c), MODEL_CBDMA_DONE);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANERR, 4), 0);
	/* Errors are told if that is asked for. */
	for (unsigned told = 0; told < 2; told++) {
		*done = ~0ull;
		model_cbdma_write(&c, MODEL_CBDMA_CHANCMP, 8, 0x43000);
		model_cbdma_write(
			&c, MODEL_CBDMA_CHANCTRL, 2, told ? 0x04 : 0x10);
		describe(0, 0, 0, 0x40000, 0x42000);
		run(&c, 1);
		assert_int_equal(status(&c), MODEL_CBDMA_HALTED);
		assert_int_equal(*done != ~0ull, told);
	}
	mini_close(&d, true);
}

static void cbdma_registers_stand_alone(void **state)
{
	static const struct {
		unsigned at, width;
		uint64_t value;
	} regs[] = {{MODEL_CBDMA_CHANERRMASK, 4, 0x12345678},
		{MODEL_CBDMA_CHANCMP, 8, 0x1122334455667788},
		{MODEL_CBDMA_CHAINADDR, 8, 0x99aabbccddeeff00},
		{MODEL_CBDMA_CHANCTRL, 2, 0x114},
		{MODEL_CBDMA_INTRCTRL, 1, 0x5a}};
	struct model_cbdma c;

	(void)state;
	opened();
	model_cbdma_init(&c, d.m, 0, DEV);
	for (unsigned n = 0; n < 5; n++) {
		model_cbdma_write(&c, regs[n].at, regs[n].width, regs[n].value);
		for (unsigned k = 0; k <= n; k++)
			assert_true(model_cbdma_read(&c, regs[k].at,
					    regs[k].width) == regs[k].value);
		for (unsigned k = n + 1; k < 5; k++)
			assert_int_equal(
				model_cbdma_read(&c, regs[k].at, regs[k].width),
				0);
	}
	/* The mask keeps its place when errors are cleared. */
	model_cbdma_write(&c, MODEL_CBDMA_CHANERR, 4, ~0u);
	assert_int_equal(
		model_cbdma_read(&c, MODEL_CBDMA_CHANERRMASK, 4), 0x12345678);
	/* So many bytes as are read. */
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANCTRL, 1), 0x14);
	/* By halves. */
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMP + 4, 4, 0xabcdef01);
	assert_true(model_cbdma_read(&c, MODEL_CBDMA_CHANCMP, 8) ==
		0xabcdef0155667788);
	assert_int_equal(
		model_cbdma_read(&c, MODEL_CBDMA_CHANCMP + 4, 4), 0xabcdef01);
	mini_close(&d, true);
}

/* ---- many queues -----------------------------------------------------------
 */

static unsigned many(unsigned queue, unsigned reg)
{
	return MODEL_MANY_FIRST + queue * MODEL_MANY_STRIDE + reg;
}

static void many_registers_stand_alone(void **state)
{
	static const unsigned at[] = {MODEL_MANY_ON, MODEL_MANY_HEAD,
		MODEL_MANY_TAIL, MODEL_MANY_ENTRIES, MODEL_MANY_RING};
	static struct model_many m;

	(void)state;
	opened();
	model_many_init(&m, d.m, 0, DEV, 1);
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++) {
		/* A tail of a ring that has no entries is none. */
		model_many_write(&m, many(q, MODEL_MANY_TAIL), 5);
		model_many_write(&m, many(q, MODEL_MANY_HEAD), 5);
		model_many_write(&m, many(q, MODEL_MANY_ENTRIES), 100);
		for (unsigned n = 0; n < 4; n++)
			assert_int_equal(model_many_read(&m, many(q, at[n])),
				n == 3 ? 100 : 0);
		model_many_write(&m, many(q, MODEL_MANY_TAIL), 7);
		model_many_write(&m, many(q, MODEL_MANY_RING), 0x77000 + q);
		assert_int_equal(
			model_many_read(&m, many(q, MODEL_MANY_TAIL)), 7);
		assert_int_equal(
			model_many_read(&m, many(q, MODEL_MANY_ENTRIES)), 100);
		assert_int_equal(
			model_many_read(&m, many(q, MODEL_MANY_ON)), 0);
	}
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++)
		assert_int_equal(model_many_read(&m, many(q, MODEL_MANY_RING)),
			0x77000 + q);
	mini_close(&d, true);
}

static void many_moves_what_it_is_told(void **state)
{
	static const uint32_t lengths[] = {0, 1, 255, 256, 257, 1000};
	struct model_many_descriptor *ring;
	static struct model_many m;
	const unsigned queue = 5;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		opened();
		mini_hear(&d);
		fill(0, 0x1000);
		model_many_init(&m, d.m, 0, DEV, i);
		m.msi_address = 0xfee00000;
		m.msi_data = 0x50;
		ring = (struct model_many_descriptor *)rings;
		ring[0] = (struct model_many_descriptor){.source = 0x40000,
			.target = 0x42003,
			.length = lengths[i],
			.flags = MODEL_MANY_INTERRUPT};
		/* One that may be read and not written. */
		set_leaf(0x60000, frame | 1);
		ring[1] = (struct model_many_descriptor){
			.source = 0x40000, .target = 0x60000, .length = 8};
		model_many_write(&m, many(queue, MODEL_MANY_RING), 0x50000);
		model_many_write(&m, many(queue, MODEL_MANY_ENTRIES), 2);
		model_many_write(&m, many(queue, MODEL_MANY_ON), 1);
		model_many_write(&m, many(queue, MODEL_MANY_TAIL), 1);
		/* Fetch, so many pieces, store. */
		assert_int_equal(model_many_work(&m, 100),
			2 + (lengths[i] ? (lengths[i] + 255) / 256 : 1));
		assert_int_equal(m.finished, 1);
		assert_int_equal(m.moved, lengths[i]);
		assert_int_equal(m.refused, 0);
		assert_int_equal(heard.count, 1);
		assert_int_equal(heard.last.data, 0x50 + queue);
		model_many_write(&m, many(queue, MODEL_MANY_TAIL), 0);
		assert_int_equal(model_many_work(&m, 100), 3);
		assert_int_equal(m.finished, 2);
		assert_int_equal(m.refused, 1);
		assert_int_equal(
			model_many_read(&m, many(queue, MODEL_MANY_HEAD)), 0);
		assert_int_equal(heard.count, 1);
		mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
		assert_int_equal(ring[0].status, MODEL_MANY_DONE);
		assert_int_equal(ring[1].status, MODEL_MANY_REFUSED);
		assert_true(is_filled(memory + 0x2003, lengths[i]));
		assert_true(is_empty(0x1000, 0x2003));
		assert_true(is_empty(0x2003 + lengths[i], 0x4000));
		mini_close(&d, true);
	}
}

/* A queue that is switched on anew begins with a descriptor, whatever it was
 * doing. */
static void many_begins_anew(void **state)
{
	struct model_many_descriptor *ring;
	static struct model_many m;

	(void)state;
	opened();
	model_many_init(&m, d.m, 0, DEV, 1);
	ring = (struct model_many_descriptor *)rings;
	ring[0] = (struct model_many_descriptor){
		.source = 0x40000, .target = 0x42000, .length = 1000};
	model_many_write(&m, many(0, MODEL_MANY_RING), 0x50000);
	model_many_write(&m, many(0, MODEL_MANY_ENTRIES), 4);
	for (unsigned steps = 1; steps < 6; steps++) {
		model_many_write(&m, many(0, MODEL_MANY_ON), 1);
		model_many_write(&m, many(0, MODEL_MANY_TAIL), 1);
		assert_int_equal(model_many_work(&m, steps), steps);
		assert_int_equal(m.finished, 0);
		model_many_write(&m, many(0, MODEL_MANY_ON), 0);
		assert_int_equal(model_many_work(&m, 1), 0);
	}
	ring[0].length = 8;
	m.moved = 0;
	model_many_write(&m, many(0, MODEL_MANY_ON), 1);
	model_many_write(&m, many(0, MODEL_MANY_TAIL), 1);
	assert_int_equal(model_many_work(&m, 100), 3);
	assert_int_equal(m.moved, 8);
	assert_int_equal(m.finished, 1);
	mini_close(&d, true);
}

/* All queues take part, and none waits for another one. */
static void many_queues_are_mixed(void **state)
{
	struct model_many_descriptor *ring;
	static struct model_many m;
	unsigned between[MODEL_MANY_QUEUES] = {0}, order = 0;

	(void)state;
	opened();
	ring = (struct model_many_descriptor *)rings;
	for (uint64_t seed = 0; seed < 20; seed++) {
		model_many_init(&m, d.m, 0, DEV, seed);
		for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++) {
			ring[q] = (struct model_many_descriptor){
				.source = 0x40000,
				.target = 0x42000,
				.length = 512};
			model_many_write(&m, many(q, MODEL_MANY_RING),
				0x50000 + q * sizeof *ring);
			model_many_write(&m, many(q, MODEL_MANY_ENTRIES), 2);
			model_many_write(&m, many(q, MODEL_MANY_ON), 1);
			model_many_write(&m, many(q, MODEL_MANY_TAIL), 1);
		}
		assert_int_equal(model_many_work(&m, 24), 24);
		for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++)
			between[q] += m.queue[q].stage != MODEL_MANY_FETCH;
		order += m.queue[0].moved;
		assert_int_equal(
			model_many_work(&m, 1000), 4 * MODEL_MANY_QUEUES - 24);
		assert_int_equal(m.finished, MODEL_MANY_QUEUES);
	}
	for (unsigned q = 0; q < MODEL_MANY_QUEUES; q++)
		assert_in_range(between[q], 1, 20);
	assert_true(order > 0 && order < 20 * 512);
	mini_close(&d, true);
}

/* ---- who it is -------------------------------------------------------------
 */

/* The same address in two segments: each device works for its own. */
static void devices_of_another_segment(void **state)
{
	struct model_attacker a;
	struct model_cbdma c;
	static struct model_many m;
	struct model_edu e;

	(void)state;
	for (uint16_t segment = 0; segment < 2; segment++) {
		/* The unit of segment 0 lets nobody through. */
		with_a_namesake(1);
		mini_start(&d);
		model_edu_init(&e, d.m, segment, DEV);
		model_edu_write(&e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER);
		model_edu_write(&e, MODEL_EDU_COUNT, 8);
		model_edu_write(&e, MODEL_EDU_COMMAND, 1);
		assert_int_equal(e.refused, !segment);
		model_cbdma_init(&c, d.m, segment, DEV);
		model_cbdma_write(&c, MODEL_CBDMA_CHAINADDR, 8, 0);
		model_cbdma_write(&c, MODEL_CBDMA_DMACOUNT, 2, 1);
		assert_int_equal(
			!!(model_cbdma_read(&c, MODEL_CBDMA_CHANERR, 4) & 0x10),
			!segment);
		model_many_init(&m, d.m, segment, DEV, 1);
		model_many_write(&m, many(0, MODEL_MANY_ENTRIES), 2);
		model_many_write(&m, many(0, MODEL_MANY_ON), 1);
		model_many_write(&m, many(0, MODEL_MANY_TAIL), 1);
		model_many_work(&m, 1);
		assert_int_equal(m.refused, !segment);
		model_attacker_init(&a, d.m, segment, DEV, 1);
		for (unsigned n = 0; n < 200; n++)
			model_attacker_act(&a, 0);
		assert_int_equal(a.through == 0, !segment);
		mini_close(&d, false);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(edu_registers_stand_alone),
		T(edu_moves_what_it_is_told),
		T(edu_tells_only_if_asked),
		T(cbdma_moves_what_it_is_told),
		T(cbdma_moves_a_megabyte),
		T(cbdma_tells_where_it_is),
		T(cbdma_registers_stand_alone),
		T(many_registers_stand_alone),
		T(many_moves_what_it_is_told),
		T(many_begins_anew),
		T(many_queues_are_mixed),
		T(devices_of_another_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
