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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edu_copies_both_ways),
		cmocka_unit_test(cbdma_follows_a_chain),
		cmocka_unit_test(cbdma_halts_on_what_is_refused),
		cmocka_unit_test(attacker_gets_through_an_open_door),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
