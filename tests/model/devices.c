/* SPDX-License-Identifier: MIT */
/*
 * The devices: a transfer, a chain, what they do when memory is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <model/devices.h>
#include <string.h>
#include "support/mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define DID 5

static struct mini d;
static uint64_t top;
static uint64_t frame[4];

/* Four pages at 0x10000, the second one read-only. */
static void ready(void)
{
	mini_open(&d, model_create_simple("plain", MODEL_LAZY, 1));
	mini_start(&d);
	top = mini_page(&d);
	mini_attach(&d, DEV, top, DID, TT_SS);
	for (unsigned i = 0; i < 4; i++) {
		frame[i] = model_page_alloc(d.m, 0, 9);
		mini_map(&d, top, 0x10000 + i * 0x1000, frame[i],
			i == 1 ? SS_R : SS_R | SS_W);
	}
}

static void edu_copies_both_ways(void **state)
{
	struct model_edu e;

	(void)state;
	ready();
	model_edu_init(&e, d.m, 0, DEV);
	assert_int_equal(model_edu_read(&e, MODEL_EDU_ID), 0x010000ed);
	strcpy(model_ptr(d.m, frame[0]), "from here");
	model_edu_write(&e, MODEL_EDU_SOURCE, 0x10000);
	model_edu_write(&e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER);
	model_edu_write(&e, MODEL_EDU_COUNT, 10);
	model_edu_write(&e, MODEL_EDU_COMMAND, 1);
	model_edu_write(&e, MODEL_EDU_SOURCE, MODEL_EDU_BUFFER);
	model_edu_write(&e, MODEL_EDU_TARGET, 0x12100);
	model_edu_write(&e, MODEL_EDU_COMMAND, 3);
	assert_string_equal(
		(char *)model_ptr(d.m, frame[2]) + 0x100, "from here");
	assert_int_equal(e.refused, 0);
	/* A refused transfer changes nothing and is counted. */
	model_edu_write(&e, MODEL_EDU_TARGET, 0x11000);
	model_edu_write(&e, MODEL_EDU_COMMAND, 3);
	assert_int_equal(e.refused, 1);
	/* So is one that does not fit into the device. */
	model_edu_write(&e, MODEL_EDU_TARGET, 0x10000);
	model_edu_write(&e, MODEL_EDU_COUNT, 5000);
	model_edu_write(&e, MODEL_EDU_COMMAND, 3);
	assert_int_equal(e.refused, 2);
	mini_close(&d, true);
}

struct chain {
	uint32_t size, control;
	uint64_t source, target, next, rest[4];
};

static void describe(unsigned n, uint32_t size, uint32_t control,
	uint64_t source, uint64_t target)
{
	struct chain *c = model_ptr(d.m, frame[3]);

	c[n] = (struct chain){.size = size,
		.control = control,
		.source = source,
		.target = target,
		.next = 0x13000 + 64 * (n + 1)};
}

static void start(struct model_cbdma *c, unsigned count)
{
	model_cbdma_write(c, MODEL_CBDMA_CHANCMD, 1, 0x20);
	assert_int_equal(model_cbdma_read(c, MODEL_CBDMA_CHANSTS, 8) & 7,
		MODEL_CBDMA_HALTED);
	model_cbdma_write(c, MODEL_CBDMA_CHANCMP, 4, 0x10ff8);
	model_cbdma_write(c, MODEL_CBDMA_CHANCMP + 4, 4, 0);
	model_cbdma_write(c, MODEL_CBDMA_CHAINADDR, 4, 0x13000);
	model_cbdma_write(c, MODEL_CBDMA_CHAINADDR + 4, 4, 0);
	assert_int_equal(model_cbdma_read(c, MODEL_CBDMA_CHANSTS, 8) & 7,
		MODEL_CBDMA_ARMED);
	model_cbdma_write(c, MODEL_CBDMA_DMACOUNT, 2, count);
}

static void cbdma_follows_a_chain(void **state)
{
	struct model_cbdma c;
	uint64_t *out;

	(void)state;
	ready();
	model_cbdma_init(&c, d.m, 0, DEV);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_VERSION, 1), 0x33);
	strcpy(model_ptr(d.m, frame[0]), "chained");
	describe(0, 1, 0x20, 0, 0);                                 /* null */
	describe(1, 4096 - 256, 0, 0x10000, 0x12000);               /* copy */
	describe(2, 64, 1u << 24 | 8, 0x1122334455667788, 0x12f00); /* fill */
	start(&c, 3);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8),
		(0x13000 + 128) | MODEL_CBDMA_DONE);
	out = model_ptr(d.m, frame[2]);
	assert_string_equal((char *)out, "chained");
	assert_true(out[0xf00 / 8] == 0x1122334455667788);
	assert_true(out[0xf38 / 8] == 0x1122334455667788);
	/* The completion was written back. */
	assert_int_equal(
		*(uint64_t *)((char *)model_ptr(d.m, frame[0]) + 0xff8),
		(0x13000 + 128) | MODEL_CBDMA_DONE);
	/* The count is a running total. */
	describe(3, 8, 0, 0x10000, 0x12800);
	model_cbdma_write(&c, MODEL_CBDMA_DMACOUNT, 2, 4);
	assert_string_equal((char *)out + 0x800, "chained");
	mini_close(&d, true);
}

static void cbdma_halts_on_what_is_refused(void **state)
{
	static const struct {
		uint64_t source, target;
		uint32_t size, error;
	} bad[] = {
		{0x20000, 0x12000, 64, 1},
		{0x10000, 0x11000, 64, 2},
		{0x10000, 0x12000, 0, 0x800},
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct model_cbdma c;

		ready();
		model_cbdma_init(&c, d.m, 0, DEV);
		describe(0, bad[i].size, 0, bad[i].source, bad[i].target);
		start(&c, 1);
		assert_int_equal(
			model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
			MODEL_CBDMA_HALTED);
		assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANERR, 4),
			bad[i].error);
		/* Nothing runs before the error is cleared. */
		model_cbdma_write(&c, MODEL_CBDMA_CHAINADDR, 8, 0x13000);
		assert_int_equal(
			model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
			MODEL_CBDMA_HALTED);
		model_cbdma_write(&c, MODEL_CBDMA_CHANERR, 4, bad[i].error);
		describe(0, 8, 0, 0x10000, 0x12000);
		start(&c, 1);
		assert_int_equal(
			model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
			MODEL_CBDMA_DONE);
		mini_close(&d, true);
	}
}

static void attacker_gets_through_an_open_door(void **state)
{
	struct model_attacker a;

	(void)state;
	ready();
	model_device_expect(d.m, 0, DEV, 9);
	/* A careless mapping: 2 MiB around the four pages. */
	mini_store(&d, mini_slot(&d, top, 4, 0x200000, 2), SS_PS | 3);
	model_attacker_init(&a, d.m, 0, DEV, 7);
	for (unsigned i = 0; i < 2000; i++)
		model_attacker_act(&a, 0x200000);
	assert_true(a.through > 0);
	assert_true(model_violations_of(d.m, MODEL_V_OPEN) > 0);
	mini_close(&d, false);
}

static void edu_tells_what_it_did(void **state)
{
	static const unsigned regs[] = {
		MODEL_EDU_SOURCE, MODEL_EDU_TARGET, MODEL_EDU_COUNT};
	struct model_edu e;

	(void)state;
	ready();
	mini_hear(&d);
	model_edu_init(&e, d.m, 0, DEV);
	for (unsigned i = 0; i < 3; i++) {
		model_edu_write(&e, regs[i], 0x1000 + i);
		assert_int_equal(model_edu_read(&e, regs[i]), 0x1000 + i);
	}
	assert_true(model_edu_read(&e, 0xa8) == ~0ull);
	model_edu_write(&e, 0xa8, 1);
	/* Up to the last byte of its buffer, and no further. */
	model_edu_write(&e, MODEL_EDU_SOURCE, 0x10000);
	model_edu_write(&e, MODEL_EDU_COUNT, 16);
	model_edu_write(
		&e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER + MODEL_EDU_SIZE - 16);
	model_edu_write(&e, MODEL_EDU_COMMAND, 1 | 4);
	assert_int_equal(e.refused, 0);
	assert_int_equal(model_edu_read(&e, MODEL_EDU_STATUS), 0x100);
	assert_int_equal(model_edu_read(&e, MODEL_EDU_COMMAND), 4);
	assert_int_equal(heard.count, 0);
	model_edu_write(&e, MODEL_EDU_ACK, 0x100);
	assert_int_equal(model_edu_read(&e, MODEL_EDU_STATUS), 0);
	e.msi_address = 0xfee00000;
	e.msi_data = 0x41;
	for (unsigned i = 0; i < 3; i++) {
		static const uint64_t outside[] = {
			MODEL_EDU_BUFFER + MODEL_EDU_SIZE - 15,
			MODEL_EDU_BUFFER - 1,
			MODEL_EDU_BUFFER + MODEL_EDU_SIZE};

		model_edu_write(&e, MODEL_EDU_TARGET, outside[i]);
		model_edu_write(&e, MODEL_EDU_COMMAND, 1 | 4);
		assert_int_equal(e.refused, i + 1);
		assert_int_equal(heard.count, i + 1);
	}
	assert_int_equal(heard.last.data, 0x41);
	assert_int_equal(heard.last.source, DEV);
	mini_close(&d, true);
}

static void cbdma_registers(void **state)
{
	struct model_cbdma c;

	(void)state;
	ready();
	model_cbdma_init(&c, d.m, 0, DEV);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANCNT, 1), 1);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_XFERCAP, 1), 20);
	model_cbdma_write(&c, MODEL_CBDMA_INTRCTRL, 1, 0x1ff);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_INTRCTRL, 1), 0xff);
	model_cbdma_write(&c, MODEL_CBDMA_CHANCTRL, 2, 0x15);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANCTRL, 2), 0x14);
	model_cbdma_write(&c, MODEL_CBDMA_CHAINADDR, 8, 0x1122334455667780);
	assert_int_equal(
		model_cbdma_read(&c, MODEL_CBDMA_CHAINADDR, 4), 0x55667780);
	assert_int_equal(
		model_cbdma_read(&c, MODEL_CBDMA_CHAINADDR + 4, 4), 0x11223344);
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMP, 8, 0x8877665544332217);
	assert_true(model_cbdma_read(&c, MODEL_CBDMA_CHANCMP, 8) ==
		0x8877665544332210);
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMP, 4, 0x10ff8);
	assert_true(model_cbdma_read(&c, MODEL_CBDMA_CHANCMP, 8) ==
		0x8877665500010ff8);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANERR, 4), 0);
	assert_int_equal(
		model_cbdma_read(&c, MODEL_CBDMA_CHANERRMASK, 4), 0x60000);
	model_cbdma_write(&c, MODEL_CBDMA_CHANERRMASK, 4, 0x60010);
	assert_int_equal(
		model_cbdma_read(&c, MODEL_CBDMA_CHANERRMASK, 4), 0x60010);
	assert_int_equal(model_cbdma_read(&c, 0x40, 4), 0);
	/* Suspended it stays until it is reset. */
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMD, 1, 4);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
		MODEL_CBDMA_SUSPENDED);
	model_cbdma_write(&c, MODEL_CBDMA_DMACOUNT, 2, 1);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_DMACOUNT, 2), 1);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
		MODEL_CBDMA_SUSPENDED);
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMD, 1, 0x20);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_DMACOUNT, 2), 0);
	model_cbdma_write(&c, MODEL_CBDMA_CHANCMD, 1, 4);
	assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
		MODEL_CBDMA_HALTED);
	mini_close(&d, true);
}

static void cbdma_chains_that_are_wrong(void **state)
{
	static const struct {
		uint64_t chain, completion;
		uint32_t size, control, error;
		bool second;
	} bad[] = {
		{0x13008, 0x10ff8, 8, 0, 8, false},    /* not aligned */
		{0x20000, 0x10ff8, 8, 0, 0x10, false}, /* first refused */
		{0x13000, 0x10ff8, 8, 0, 4, true},     /* next refused */
		{0x13000, 0x10ff8, 8, 2u << 24, 0x400, false},
		{0x13000, 0x10ff8, (1u << 20) + 1, 0, 0x800, false},
		{0x13000, 0x11000, 8, 8, 0x1000, false}, /* completion */
	};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct model_cbdma c;

		ready();
		mini_hear(&d);
		model_cbdma_init(&c, d.m, 0, DEV);
		c.msi_address = 0xfee00000;
		c.msi_data = 0x42;
		model_cbdma_write(&c, MODEL_CBDMA_INTRCTRL, 1, 1);
		model_cbdma_write(&c, MODEL_CBDMA_CHANCTRL, 2, 0x15);
		describe(0, bad[i].size, bad[i].control, 0x10000, 0x12000);
		if (bad[i].second)
			((struct chain *)model_ptr(d.m, frame[3]))->next =
				0x20000;
		model_cbdma_write(
			&c, MODEL_CBDMA_CHANCMP, 8, bad[i].completion);
		model_cbdma_write(&c, MODEL_CBDMA_CHAINADDR, 8, bad[i].chain);
		model_cbdma_write(&c, MODEL_CBDMA_DMACOUNT, 2, 2);
		assert_int_equal(
			model_cbdma_read(&c, MODEL_CBDMA_CHANSTS, 8) & 7,
			MODEL_CBDMA_HALTED);
		assert_int_equal(model_cbdma_read(&c, MODEL_CBDMA_CHANERR, 4),
			bad[i].error);
		/* Told by a completion and, once, by an interrupt. */
		if (i < 5) {
			assert_int_equal(heard.count, 1);
			assert_int_equal(
				*(uint64_t *)((char *)model_ptr(d.m, frame[0]) +
					0xff8) &
					7,
				MODEL_CBDMA_HALTED);
		}
		mini_close(&d, true);
	}
}

static void cbdma_interrupts_when_armed(void **state)
{
	struct model_cbdma c;

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		ready();
		mini_hear(&d);
		model_cbdma_init(&c, d.m, 0, DEV);
		c.msi_address = n & 4 ? 0xfee00000 : 0;
		describe(0, 8, 1, 0x10000, 0x12000);
		describe(1, 8, 1, 0x10000, 0x12000);
		model_cbdma_write(&c, MODEL_CBDMA_INTRCTRL, 1, n & 1);
		model_cbdma_write(&c, MODEL_CBDMA_CHANCTRL, 2, n >> 1 & 1);
		start(&c, 2);
		assert_int_equal(heard.count, n == 7);
		assert_true(
			model_cbdma_read(&c, MODEL_CBDMA_CHANCTRL, 2) & 0x100);
		mini_close(&d, true);
	}
}

#define QUEUE(n, reg) (MODEL_MANY_FIRST + (n)*MODEL_MANY_STRIDE + (reg))

static void many_queues_are_worked_on(void **state)
{
	struct model_many_descriptor *ring;
	struct model_many many;
	uint8_t *from;

	(void)state;
	ready();
	mini_hear(&d);
	model_many_init(&many, d.m, 0, DEV, 3);
	many.msi_address = 0xfee00000;
	many.msi_data = 0x50;
	ring = model_ptr(d.m, frame[3]);
	from = model_ptr(d.m, frame[0]);
	memset(ring, 0, 4096);
	for (unsigned i = 0; i < 1024; i++)
		from[i] = (uint8_t)(i * 7);
	/* Two queues of eight; one of each is refused. */
	for (unsigned q = 0; q < 2; q++)
		for (unsigned i = 0; i < 3; i++)
			ring[q * 8 + i] = (struct model_many_descriptor){
				.source = i == 1 ? 0x20000 : 0x10000,
				.target = 0x12000 + q * 1024,
				.length = i == 1 ? 8 : 300 * (i + 1),
				.flags = i == 2 ? MODEL_MANY_INTERRUPT : 0};
	assert_int_equal(
		model_many_read(&many, MODEL_MANY_COUNT), MODEL_MANY_QUEUES);
	for (unsigned q = 0; q < 2; q++) {
		unsigned n = q * 15;

		model_many_write(&many, QUEUE(n, MODEL_MANY_RING),
			0x13000 + q * 8 * sizeof *ring);
		model_many_write(&many, QUEUE(n, MODEL_MANY_ENTRIES), 8);
		model_many_write(&many, QUEUE(n, MODEL_MANY_ON), 1);
		model_many_write(&many, QUEUE(n, MODEL_MANY_TAIL), 3 + 8);
		assert_int_equal(
			model_many_read(&many, QUEUE(n, MODEL_MANY_TAIL)), 3);
		assert_int_equal(
			model_many_read(&many, QUEUE(n, MODEL_MANY_ENTRIES)),
			8);
		assert_int_equal(
			model_many_read(&many, QUEUE(n, MODEL_MANY_RING)),
			0x13000 + q * 8 * sizeof *ring);
		assert_int_equal(
			model_many_read(&many, QUEUE(n, MODEL_MANY_ON)), 1);
	}
	assert_true(model_many_read(&many, QUEUE(16, 0)) == ~0ull);
	assert_true(model_many_read(&many, QUEUE(0, 0x38)) == ~0ull);
	assert_true(model_many_read(&many, 8) == ~0ull);
	model_many_write(&many, QUEUE(16, 0), 1);
	assert_int_equal(model_many_work(&many, 5), 5);
	assert_true(model_many_work(&many, 1000) < 1000);
	assert_int_equal(model_many_work(&many, 1000), 0);
	assert_int_equal(many.finished, 6);
	assert_int_equal(many.refused, 2);
	assert_int_equal(many.moved, 2 * (300 + 900));
	assert_int_equal(heard.count, 2);
	assert_in_range(heard.last.data, 0x50, 0x5f);
	mini_flush_iotlb(&d, GRAN_GLOBAL, 0, 0, 0, false);
	for (unsigned q = 0; q < 2; q++) {
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(ring[q * 8 + i].status,
				i == 1 ? MODEL_MANY_REFUSED : MODEL_MANY_DONE);
		assert_memory_equal(
			(char *)model_ptr(d.m, frame[2]) + q * 1024, from, 900);
		assert_int_equal(
			model_many_read(&many, QUEUE(q * 15, MODEL_MANY_HEAD)),
			3);
	}
	/* A ring that cannot be read ends its queue. */
	model_many_write(&many, QUEUE(0, MODEL_MANY_RING), 0x20000);
	model_many_write(&many, QUEUE(0, MODEL_MANY_TAIL), 4);
	assert_int_equal(model_many_work(&many, 10), 1);
	assert_int_equal(model_many_read(&many, QUEUE(0, MODEL_MANY_ON)), 0);
	model_many_write(&many, QUEUE(0, MODEL_MANY_ON), 1);
	assert_int_equal(model_many_read(&many, QUEUE(0, MODEL_MANY_HEAD)), 0);
	assert_int_equal(model_many_read(&many, QUEUE(0, MODEL_MANY_TAIL)), 0);
	mini_close(&d, true);
}

/* Each kind of act comes up, and everything is counted. */
static void attacker_tries_everything(void **state)
{
	struct model_counters before, after;
	struct model_attacker a;

	(void)state;
	ready();
	mini_hear(&d);
	model_attacker_init(&a, d.m, 0, DEV, 7);
	model_counters(d.m, &before);
	for (unsigned i = 0; i < 3000; i++)
		model_attacker_act(&a, 0x10000);
	model_counters(d.m, &after);
	assert_int_equal(a.tried, 3000);
	assert_int_equal(a.tried, a.refused + a.through + a.interrupts);
	assert_int_equal(a.interrupts, heard.count);
	assert_true(a.interrupts > 100 && a.through > 20 && a.refused > 1000);
	assert_true(after.dma - before.dma > 1500);
	assert_true(after.dma_blocked - before.dma_blocked > 1000);
	model_destroy(d.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edu_copies_both_ways),
		cmocka_unit_test(cbdma_follows_a_chain),
		cmocka_unit_test(cbdma_halts_on_what_is_refused),
		cmocka_unit_test(attacker_gets_through_an_open_door),
		cmocka_unit_test(edu_tells_what_it_did),
		cmocka_unit_test(cbdma_registers),
		cmocka_unit_test(cbdma_chains_that_are_wrong),
		cmocka_unit_test(cbdma_interrupts_when_armed),
		cmocka_unit_test(many_queues_are_worked_on),
		cmocka_unit_test(attacker_tries_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
