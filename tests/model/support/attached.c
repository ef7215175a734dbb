/* SPDX-License-Identifier: MIT */
/* A device with one page mapped, and what a test of the model asks then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "attached.h"

struct mini d;
uint64_t top, frame;

void cold(const char *kind)
{
	mini_open(&d, model_create_simple(kind, MODEL_LAZY, 1));
}

void by_chance(const char *kind, uint64_t seed)
{
	mini_open(&d, model_create_simple(kind, MODEL_RANDOM, seed));
}

void mapped(void)
{
	mini_start(&d);
	top = mini_page(&d);
	frame = model_page_alloc(d.m, 0, OWNER);
	mini_map(&d, top, 0x10000, frame, 3);
}

void attached(void)
{
	mapped();
	mini_attach(&d, DEV, top, DID, TT_SS);
}

static void used(void)
{
	uint64_t v;

	attached();
	assert_int_equal(
		model_dma_read(d.m, 0, DEV, 0x10000, &v, 8), MODEL_DMA_OK);
	assert_int_equal(model_checkpoint(d.m), 0);
}

void ready(const char *kind)
{
	cold(kind);
	used();
}

void ready_on(const struct model_personality *kind)
{
	mini_open(&d, model_create_usual(kind, MODEL_LAZY, 0, 1, false));
	used();
}

void with_functions(const char *kind, unsigned flags,
	const struct model_function_desc *f, unsigned count)
{
	struct model_unit_desc unit = {
		.kind = model_personality_find(kind), .include_all = true};
	struct model_desc desc = {.flags = flags,
		.units = &unit,
		.unit_count = 1,
		.functions = f,
		.function_count = count};

	mini_open(&d, model_create(&desc));
}

void with_a_namesake(uint16_t segment)
{
	const struct model_function_desc f[] = {
		{.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1},
		{.segment = segment,
			.bdf = DEV,
			.kind = MODEL_INTEGRATED,
			.unit = -1}};

	with_functions("plain", 0, f, 2);
}

void with_two_segments(const struct model_function_desc *f, unsigned count)
{
	const struct model_personality *plain = model_personality_find("plain");
	struct model_unit_desc unit[] = {{.kind = plain, .include_all = true},
		{.kind = plain, .segment = 1, .include_all = true}};
	struct model_desc desc = {.units = unit,
		.unit_count = 2,
		.functions = f,
		.function_count = count};

	mini_open(&d, model_create(&desc));
}

void watched(const char *kind, unsigned flags)
{
	static const struct model_function_desc f[] = {
		{.bdf = DEV, .kind = MODEL_INTEGRATED, .unit = -1},
		{.bdf = OTHER, .kind = MODEL_INTEGRATED, .unit = -1}};

	with_functions(kind, MODEL_WATCH | flags, f, 2);
	attached();
	assert_true(can_write(DEV, 0x10000));
}

bool can_write(uint16_t dev, uint64_t iova)
{
	uint64_t v = 1;

	return model_dma_write(d.m, 0, dev, iova, &v, 8) == MODEL_DMA_OK;
}

void set_leaf(uint64_t iova, uint64_t v)
{
	mini_store(&d, mini_slot(&d, top, mini_levels(&d), iova, 1), v);
}

void take_context(uint16_t dev)
{
	mini_store(&d, mini_context(&d, dev), 0);
}

void flush_domain(void)
{
	mini_flush_iotlb(&d, GRAN_DOMAIN, DID, 0, 0, false);
}

void ats_on(uint16_t dev)
{
	model_pci_write(
		d.m, 0, (uint8_t)(dev >> 8), (uint8_t)dev, 0x106, 2, 0x8000);
}

bool said(const char *what)
{
	for (size_t i = 0; i < model_violation_count(d.m); i++)
		if (strstr(model_violation(d.m, i)->text, what))
			return true;
	return false;
}

uint64_t superfluous(void)
{
	struct model_counters n;

	model_counters(d.m, &n);
	return n.superfluous;
}

void expect_nothing(void)
{
	assert_int_equal(model_checkpoint(d.m), 0);
	mini_close(&d, true);
}

void only(enum model_rule rule)
{
	if (!model_violations_of(d.m, rule) ||
		model_violations_of(d.m, rule) != model_violation_count(d.m))
		model_report(d.m, stderr);
	assert_true(model_violations_of(d.m, rule) > 0);
	assert_int_equal(
		model_violations_of(d.m, rule), model_violation_count(d.m));
}

void expect(enum model_rule rule)
{
	only(rule);
	mini_close(&d, false);
}

void expect_at_checkpoint(enum model_rule rule)
{
	model_checkpoint(d.m);
	expect(rule);
}
