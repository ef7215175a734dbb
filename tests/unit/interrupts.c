/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping: whoever owns a block of entries sends through it, nobody
 * else does, and what is taken away stops at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "iommu/vtd/unit.h"
#include "support/rig.h"

enum {
	IOAPIC = 8,
	IOAPIC_BDF = MODEL_BDF(0, 0x1e, 7),
};

static const char *const kinds[] = {"plain", "non-coherent", "caching",
	"write-buffer", "worst-memory", "qemu-7.2"};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static struct iommu_irq take(struct rig *r, uint16_t bdf, unsigned count)
{
	struct iommu_irq irq;

	OK(iommu_irq_alloc(r->iommu, rig_id(bdf), count, &irq));
	assert_int_equal(irq.count, count);
	assert_int_equal(irq.first % count, 0);
	return irq;
}

static void point(struct rig *r, const struct iommu_irq *irq, unsigned n,
	uint8_t vector, uint32_t cpu)
{
	struct iommu_irq_target target = {.vector = vector, .destination = cpu};

	OK(iommu_irq_set(r->iommu, irq, n, &target));
}

static bool sends(
	struct rig *r, const struct iommu_irq *irq, unsigned n, uint16_t from)
{
	struct iommu_msi_message message;

	OK(iommu_irq_message(r->iommu, irq, n, &message));
	return model_msi(r->m, 0, from, message.address, message.data);
}

static void free_block(struct rig *r, const struct iommu_irq *irq)
{
	OK(iommu_irq_free(r->iommu, irq));
}

static void owner_sends_and_nobody_else(void **state)
{
	(void)state;
	for (unsigned k = 0; k < KINDS; k++) {
		struct iommu_irq irq;
		struct rig r;

		rig_run(&r, kinds[k], MODEL_LAZY, 1);
		irq = take(&r, RIG_DEV, 4);
		assert_false(sends(&r, &irq, 2, RIG_DEV));
		point(&r, &irq, 2, 0x61, 3);
		assert_true(sends(&r, &irq, 2, RIG_DEV));
		assert_int_equal(r.host.last_interrupt.vector, 0x61);
		assert_int_equal(r.host.last_interrupt.destination, 3);
		assert_true(r.host.last_interrupt.remapped);
		assert_false(sends(&r, &irq, 3, RIG_DEV));
		assert_false(sends(&r, &irq, 2, RIG_OTHER));
		/* Moved, in one step. */
		point(&r, &irq, 2, 0x62, 5);
		assert_true(sends(&r, &irq, 2, RIG_DEV));
		assert_int_equal(r.host.last_interrupt.vector, 0x62);
		assert_int_equal(r.host.last_interrupt.destination, 5);
		OK(iommu_irq_clear(r.iommu, &irq, 2));
		assert_false(sends(&r, &irq, 2, RIG_DEV));
		point(&r, &irq, 0, 0x63, 1);
		assert_true(sends(&r, &irq, 0, RIG_DEV));
		free_block(&r, &irq);
		assert_false(sends(&r, &irq, 0, RIG_DEV));
		rig_close(&r);
	}
}

static void every_field_arrives(void **state)
{
	struct iommu_irq_target target = {.destination = 0xff,
		.vector = 0xef,
		.delivery = IOMMU_DELIVERY_LOWEST,
		.logical = true,
		.redirection_hint = true};
	const struct model_interrupt *last;
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	last = &r.host.last_interrupt;
	irq = take(&r, RIG_DEV, 1);
	OK(iommu_irq_set(r.iommu, &irq, 0, &target));
	assert_true(sends(&r, &irq, 0, RIG_DEV));
	assert_int_equal(last->delivery, 1);
	assert_true(last->logical);
	assert_false(last->level);
	assert_int_equal(last->destination, 0xff);
	target = (struct iommu_irq_target){
		.vector = 2, .delivery = IOMMU_DELIVERY_NMI, .level = true};
	OK(iommu_irq_set(r.iommu, &irq, 0, &target));
	assert_true(sends(&r, &irq, 0, RIG_DEV));
	assert_int_equal(last->delivery, 4);
	assert_false(last->logical);
	assert_true(last->level);
	/* Ids above 255 exist in x2APIC mode only. */
	target.destination = 255;
	OK(iommu_irq_set(r.iommu, &irq, 0, &target));
	target.destination = 256;
	assert_int_equal(
		iommu_irq_set(r.iommu, &irq, 0, &target), IOMMU_BAD_ARGUMENT);
	target.destination = 0;
	target.delivery = (enum iommu_delivery)8;
	assert_int_equal(
		iommu_irq_set(r.iommu, &irq, 0, &target), IOMMU_BAD_ARGUMENT);
	target.delivery = IOMMU_DELIVERY_EXTINT;
	OK(iommu_irq_set(r.iommu, &irq, 0, &target));
	free_block(&r, &irq);
	rig_close(&r);
}

static void x2apic_ids_are_wide(void **state)
{
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.x2apic = IOMMU_ON;
	rig_start_ok(&r);
	irq = take(&r, RIG_DEV, 1);
	point(&r, &irq, 0, 0x40, 0x12345);
	assert_true(sends(&r, &irq, 0, RIG_DEV));
	assert_int_equal(r.host.last_interrupt.destination, 0x12345);
	free_block(&r, &irq);
	rig_close(&r);
}

static void table_fills_and_empties(void **state)
{
	struct iommu_irq big[8], one, more;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.interrupt_entries = 200; /* becomes 256 */
	rig_start_ok(&r);
	for (unsigned n = 0; n < 7; n++)
		big[n] = take(&r, RIG_DEV, 32);
	one = take(&r, RIG_OTHER, 1);
	/* The last 32 are broken into. */
	assert_int_equal(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 32, &more),
		IOMMU_NO_ENTRY);
	more = take(&r, RIG_DEV, 16);
	free_block(&r, &one);
	free_block(&r, &more);
	big[7] = take(&r, RIG_DEV, 32);
	assert_int_equal(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 1, &more),
		IOMMU_NO_ENTRY);
	for (unsigned n = 0; n < 8; n++)
		for (unsigned m = 0; m < n; m++)
			assert_int_not_equal(big[n].first, big[m].first);
	free_block(&r, &big[3]);
	one = take(&r, RIG_OTHER, 1);
	assert_true(one.first >= big[3].first && one.first < big[3].first + 32);
	point(&r, &one, 0, 0x77, 1);
	assert_true(sends(&r, &one, 0, RIG_OTHER));
	free_block(&r, &one);
	for (unsigned n = 0; n < 8; n++)
		if (n != 3)
			free_block(&r, &big[n]);
	rig_close(&r);
}

/** Tables of every size, also those whose own bookkeeping needs pages. */
static void tables_have_any_size(void **state)
{
	static const uint32_t sizes[] = {1, 256, 257, 4096, 40000, 65536, ~0u};
	static const unsigned entries[] = {
		256, 256, 512, 4096, 65536, 65536, 65536};

	(void)state;
	for (unsigned n = 0; n < 7; n++) {
		struct iommu_irq irq = {0};
		unsigned count = 0;
		struct rig r;

		rig_open(&r, "plain", MODEL_BENIGN, 1);
		r.options.interrupt_entries = sizes[n];
		rig_start_ok(&r);
		while (iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 32, &irq) ==
			IOMMU_OK)
			count += 32;
		assert_int_equal(count, entries[n]);
		/* Handles above 0x7fff have their last bit elsewhere. */
		point(&r, &irq, 31, 0x80, 1);
		assert_true(sends(&r, &irq, 31, RIG_DEV));
		rig_close(&r);
	}
}

static void careless_blocks_are_refused(void **state)
{
	static const unsigned counts[] = {0, 3, 33, 64};
	struct iommu_irq_target target = {.vector = 0x50};
	struct iommu_msi_message message;
	struct iommu_irq irq, wrong;
	uint64_t pin;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV),
					 counts[n], &irq),
			IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 1, NULL),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_alloc(r.iommu, rig_id(0x3f00), 1, &irq),
		IOMMU_NO_DEVICE);
	irq = take(&r, RIG_DEV, 2);
	point(&r, &irq, 1, 0x50, 1);
	for (unsigned n = 0; n < 7; n++) {
		wrong = irq;
		switch (n) {
		case 0:
			wrong.unit = 1;
			break;
		case 1:
			wrong.count = 0;
			break;
		case 2:
			wrong.count = 4; /* the rest is not taken */
			break;
		case 3:
			wrong.source = RIG_OTHER;
			break;
		case 4:
			wrong.first = 0xffff;
			break;
		case 5:
			wrong.first = 1022;
			wrong.count = 4;
			break;
		case 6:
			wrong.first = 512;
			break;
		}
		assert_int_equal(iommu_irq_set(r.iommu, &wrong, 0, &target),
			IOMMU_BAD_ARGUMENT);
		assert_int_equal(iommu_irq_clear(r.iommu, &wrong, 0),
			IOMMU_BAD_ARGUMENT);
		assert_int_equal(
			iommu_irq_free(r.iommu, &wrong), IOMMU_BAD_ARGUMENT);
	}
	assert_int_equal(
		iommu_irq_set(r.iommu, &irq, 2, &target), IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_irq_set(r.iommu, &irq, 0, NULL), IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_irq_set(r.iommu, NULL, 0, &target), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_clear(r.iommu, NULL, 0), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_clear(r.iommu, &irq, 2), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_free(r.iommu, NULL), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_message(r.iommu, &irq, 2, &message),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_message(r.iommu, NULL, 0, &message),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_irq_message(r.iommu, &irq, 0, NULL), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_ioapic_entry(
				 r.iommu, &irq, 2, 0x50, false, false, &pin),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_ioapic_entry(
				 r.iommu, NULL, 0, 0x50, false, false, &pin),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_ioapic_entry(
				 r.iommu, &irq, 0, 0x50, false, false, NULL),
		IOMMU_BAD_ARGUMENT);
	/* The block itself is unharmed. */
	assert_true(sends(&r, &irq, 1, RIG_DEV));
	free_block(&r, &irq);
	assert_int_equal(iommu_irq_free(r.iommu, &irq), IOMMU_BAD_ARGUMENT);
	rig_close(&r);
}

static void without_remapping_there_are_no_entries(void **state)
{
	struct iommu_irq irq = {.count = 1};
	bool remapped;

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct rig r;

		rig_open(&r, n ? "plain" : "no-ir", MODEL_LAZY, 1);
		if (n == 1)
			r.options.interrupt_remapping = IOMMU_OFF_ALWAYS;
		if (n == 2)
			r.options.interface = IOMMU_INTERFACE_REGISTERS;
		rig_start_ok(&r);
		remapped = true;
		OK(iommu_irq_remapped(r.iommu, rig_id(RIG_DEV), &remapped));
		assert_false(remapped);
		assert_int_equal(
			iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 1, &irq),
			IOMMU_UNSUPPORTED);
		assert_int_equal(
			iommu_irq_free(r.iommu, &irq), IOMMU_BAD_ARGUMENT);
		assert_int_equal(
			iommu_irq_remapped(r.iommu, rig_id(0x3f00), &remapped),
			IOMMU_NO_DEVICE);
		rig_close(&r);
	}
}

/** Bridges and devices behind them send under the bridge's name. */
static void bridges_have_interrupts_too(void **state)
{
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	irq = take(&r, RIG_BEHIND_BRIDGE, 1);
	assert_int_not_equal(irq.source, RIG_BEHIND_BRIDGE);
	point(&r, &irq, 0, 0x55, 1);
	assert_true(sends(&r, &irq, 0, irq.source));
	free_block(&r, &irq);
	rig_close(&r);
}

static void open_with_ioapic(struct rig *r, int unit)
{
	static const struct model_function_desc functions[] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1},
		{.bdf = MODEL_BDF(0, 1, 0),
			.kind = MODEL_ROOT_PORT,
			.secondary = 1,
			.subordinate = 1,
			.unit = -1},
		{.bdf = RIG_DEV, .kind = MODEL_INTEGRATED, .unit = -1},
	};
	struct model_unit_desc units = {
		.kind = model_personality_find("plain"), .include_all = true};
	struct model_ioapic_desc ioapic = {
		.id = IOAPIC, .bdf = IOAPIC_BDF, .unit = unit};
	struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.units = &units,
		.unit_count = 1,
		.functions = functions,
		.function_count = 3,
		.ioapics = &ioapic,
		.ioapic_count = 1};

	rig_open_machine(r, model_create(&desc));
	rig_start_ok(r);
}

static void root_port_gets_entries(void **state)
{
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	open_with_ioapic(&r, 0);
	irq = take(&r, MODEL_BDF(0, 1, 0), 1);
	assert_int_equal(irq.source, MODEL_BDF(0, 1, 0));
	point(&r, &irq, 0, 0x55, 1);
	assert_true(sends(&r, &irq, 0, MODEL_BDF(0, 1, 0)));
	free_block(&r, &irq);
	rig_close(&r);
}

static void ioapic_pins_have_entries(void **state)
{
	struct iommu_irq irq, none;
	uint64_t pin;
	struct rig r;

	(void)state;
	open_with_ioapic(&r, 0);
	OK(iommu_irq_alloc_ioapic(r.iommu, IOAPIC, 32, &irq));
	assert_int_equal(irq.source, IOAPIC_BDF);
	assert_int_equal(irq.count, 32);
	assert_int_equal(iommu_irq_alloc_ioapic(r.iommu, IOAPIC + 1, 32, &none),
		IOMMU_UNCOVERED);
	assert_int_equal(
		iommu_irq_alloc_hpet(r.iommu, 0, 1, &none), IOMMU_UNCOVERED);
	assert_int_equal(iommu_irq_alloc_ioapic(r.iommu, IOAPIC, 512, &none),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_irq_alloc_ioapic(r.iommu, IOAPIC, 256, &none));
	point(&r, &irq, 5, 0x70, 2);
	assert_true(sends(&r, &irq, 5, IOAPIC_BDF));
	/* VT-d 5.1.5.1: index in 63:49 and 11, format 48, trigger 15,
	 * polarity 13, vector 7:0. */
	OK(iommu_irq_ioapic_entry(r.iommu, &irq, 5, 0x70, true, true, &pin));
	assert_int_equal(pin,
		(irq.first + 5ull) << 49 | 1ull << 48 | 1 << 15 | 1 << 13 |
			0x70);
	irq.first = 0x8000;
	OK(iommu_irq_ioapic_entry(r.iommu, &irq, 1, 0x71, false, false, &pin));
	assert_int_equal(pin, 1ull << 49 | 1ull << 48 | 1 << 11 | 0x71);
	rig_close(&r);
}

static void unnamed_ioapic_has_none(void **state)
{
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	open_with_ioapic(&r, -1);
	assert_int_equal(iommu_irq_alloc_ioapic(r.iommu, IOAPIC, 32, &irq),
		IOMMU_UNCOVERED);
	rig_close(&r);
}

/** What the unit did not confirm is not handed out again. */
static void unconfirmed_entries_stay_taken(void **state)
{
	struct iommu_irq irq, again;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
	rig_start_ok(&r);
	irq = take(&r, RIG_DEV, 32);
	point(&r, &irq, 0, 0x50, 1);
	model_unit_hang(r.m, 0, 0);
	assert_int_not_equal(iommu_irq_free(r.iommu, &irq), IOMMU_OK);
	for (unsigned n = 0; n < 31; n++)
		assert_int_not_equal(take(&r, RIG_DEV, 32).first, irq.first);
	assert_int_equal(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 1, &again),
		IOMMU_NO_ENTRY);
	rig_close_anyhow(&r);
}

/** Each flag has its own place (VT-d 9.9). */
static void flags_are_told_apart(void **state)
{
	struct iommu_irq_target target = {.vector = 0x40};
	struct vtd_irt *irt;
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	irt = &vtd_of(r.iommu->unit[0])->irt;
	irq = take(&r, RIG_DEV, 1);
	for (unsigned n = 0; n < 8; n++) {
		target.logical = n & 1;
		target.redirection_hint = n & 2;
		target.level = n & 4;
		OK(iommu_irq_set(r.iommu, &irq, 0, &target));
		assert_int_equal(irt->entry[irq.first].low & 0x1f,
			1 | (n & 1) << 2 | (n & 2) << 2 | (n & 4) << 2);
	}
	free_block(&r, &irq);
	rig_close(&r);
}

static struct iommu_host plain;

/** Behind what is asked for lies more, which looks as if it were in use. */
/** Each as itself, wherever in the table it is. */
static void every_entry_comes_back(void **state)
{
	static struct iommu_irq irq[256];
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	r.options.interrupt_entries = 256;
	rig_start_ok(&r);
	for (unsigned round = 0; round < 3; round++) {
		bool taken[256] = {false};

		for (unsigned n = 0; n < 256; n++) {
			irq[n] = take(&r, RIG_DEV, 1);
			assert_false(taken[irq[n].first]);
			taken[irq[n].first] = true;
		}
		for (unsigned n = 0; n < 256; n++)
			free_block(&r, &irq[n * 77 % 256]);
	}
	rig_close(&r);
}

/** No more pages than the entries need, and a bit for each. */
static void tables_have_their_size(void **state)
{
	static const struct {
		uint32_t entries;
		size_t pages;
	} row[] = {{256, 1}, {512, 2}, {32768, 128}, {65536, 256}};
	size_t others = 0;

	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct rig r;

		rig_open(&r, "plain", MODEL_BENIGN, 1);
		r.options.interrupt_entries = row[n].entries;
		rig_start_ok(&r);
		if (!n)
			others = model_pages_in_use(r.m, 0) - row[n].pages;
		assert_int_equal(
			model_pages_in_use(r.m, 0), others + row[n].pages);
		rig_close(&r);
	}
}

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	uint64_t *page = plain.page_alloc(ctx, order + 1, out_phys);

	for (size_t n = 0; page && n < 512ul << order; n++)
		page[(512ul << order) + n] = n & 1 ? 0x40000 | RIG_DEV : ~0ull;
	return page;
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	plain.page_free(ctx, page, phys, order + 1);
}

/** A block that ends behind the table is none, whatever lies there. */
static void blocks_end_with_the_table(void **state)
{
	struct iommu_irq_target target = {.vector = 0x50};
	struct iommu_irq irq = {.first = 32768, .count = 1, .source = RIG_DEV};
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	plain = r.hooks;
	r.hooks.page_alloc = page_alloc;
	r.hooks.page_free = page_free;
	/* As many entries as a page has bits. */
	r.options.interrupt_entries = 32768;
	rig_start_ok(&r);
	assert_int_equal(
		iommu_irq_set(r.iommu, &irq, 0, &target), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_irq_free(r.iommu, &irq), IOMMU_BAD_ARGUMENT);
	irq = take(&r, RIG_DEV, 1);
	point(&r, &irq, 0, 0x51, 1);
	assert_true(sends(&r, &irq, 0, RIG_DEV));
	free_block(&r, &irq);
	rig_close(&r);
}

/** A unit without tables of any depth: remapped messages arrive, no device is
 *  anybody's. */
static void only_interrupts(const char *kind)
{
	const struct iommu_domain_config blocked = {
		.kind = IOMMU_DOMAIN_BLOCKED};
	struct iommu_domain *domain;
	struct iommu_unit_info info;
	struct iommu_irq irq;
	struct rig r;

	rig_open(&r, kind, MODEL_LAZY, 1);
	assert_int_equal(rig_start(&r), IOMMU_NO_UNIT);
	assert_string_equal(iommu_reason(r.iommu),
		"no I/O MMU translates, they only remap interrupts");
	assert_false(iommu_is_on(r.iommu));
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_OFF);
	assert_true(info.interrupt_remapping);

	irq = take(&r, RIG_DEV, 2);
	point(&r, &irq, 1, 0x61, 3);
	assert_true(sends(&r, &irq, 1, RIG_DEV));
	assert_false(sends(&r, &irq, 1, RIG_OTHER));
	OK(iommu_domain_create(r.iommu, &blocked, &domain));
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV), domain),
		IOMMU_UNCOVERED);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	OK(iommu_domain_destroy(domain));
	assert_int_equal(iommu_power(r.iommu, true), IOMMU_NO_UNIT);
	OK(iommu_power(r.iommu, false));
	OK(iommu_inherited_end(r.iommu));

	OK(iommu_suspend(r.iommu));
	model_unit_reset(r.m, 0);
	OK(iommu_resume(r.iommu));
	assert_true(sends(&r, &irq, 1, RIG_DEV));
	free_block(&r, &irq);
	assert_false(sends(&r, &irq, 1, RIG_DEV));
	rig_close(&r);
}

static void unit_may_do_nothing_but_interrupts(void **state)
{
	(void)state;
	only_interrupts("interrupts-only");
	only_interrupts("first-stage-only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unit_may_do_nothing_but_interrupts),
		cmocka_unit_test(owner_sends_and_nobody_else),
		cmocka_unit_test(every_field_arrives),
		cmocka_unit_test(x2apic_ids_are_wide),
		cmocka_unit_test(table_fills_and_empties),
		cmocka_unit_test(tables_have_any_size),
		cmocka_unit_test(every_entry_comes_back),
		cmocka_unit_test(tables_have_their_size),
		cmocka_unit_test(careless_blocks_are_refused),
		cmocka_unit_test(without_remapping_there_are_no_entries),
		cmocka_unit_test(bridges_have_interrupts_too),
		cmocka_unit_test(root_port_gets_entries),
		cmocka_unit_test(ioapic_pins_have_entries),
		cmocka_unit_test(unnamed_ioapic_has_none),
		cmocka_unit_test(unconfirmed_entries_stay_taken),
		cmocka_unit_test(flags_are_told_apart),
		cmocka_unit_test(blocks_end_with_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
