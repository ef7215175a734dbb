/* SPDX-License-Identifier: MIT */
/*
 * Units that contradict the specification, or each other: each contradiction by
 * itself is said, once in the log and whenever the host asks, and a sound unit
 * is left in peace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"
#include "support/words.h"

enum {
	CAP = 0x08,
	ECAP = 0x10,
};

static struct rig rig;
static uint64_t (*plain_read)(void *, void *, uint32_t, unsigned);
/** What of the registers of the unit asked for is other than it says. */
static uint64_t cap_flip[2], ecap_flip[2];
static char logged[4096];

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = plain_read(ctx, regs, offset, width);
	unsigned n = model_unit_count(rig.m) > 1 &&
		(uintptr_t)regs == model_unit_base(rig.m, 1);

	if (offset == CAP)
		value ^= cap_flip[n];
	if (offset == ECAP)
		value ^= ecap_flip[n];
	return value;
}

static void listen(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	strncat(logged, line, sizeof(logged) - strlen(logged) - 2);
	strcat(logged, "\n");
}

static void discover(void)
{
	plain_read = rig.hooks.reg_read;
	rig.hooks.reg_read = reg_read;
	rig.hooks.log = listen;
	logged[0] = '\0';
	OK(iommu_create(&rig.hooks, &rig.options, &rig.iommu));
	(void)!iommu_discover(rig.iommu, rig.dmar, rig.dmar_size);
	words_start();
	iommu_report_warnings(rig.iommu, words_sink, NULL);
}

static void end(void)
{
	memset(cap_flip, 0, sizeof(cap_flip));
	memset(ecap_flip, 0, sizeof(ecap_flip));
	rig_close_anyhow(&rig);
}

/** The bits in which a register has to change for a field to have a value. */
static uint64_t to(uint64_t now, unsigned shift, unsigned width, uint64_t value)
{
	uint64_t mask = ((1ull << width) - 1) << shift;

	return (now ^ value << shift) & mask;
}

static void is_said(uint64_t cap, uint64_t ecap, const char *what)
{
	rig_open(&rig, "plain", MODEL_BENIGN, 1);
	cap_flip[0] = cap;
	ecap_flip[0] = ecap;
	discover();
	if (what) {
		words_have(what);
		assert_non_null(strstr(logged, what));
	} else {
		assert_string_equal(words, "");
	}
	end();
}

/** Bits of ECAP that need others (VT-d 11.4.3). */
static void bits_need_others(void **state)
{
	static const struct {
		unsigned bit, other;
		const char *what;
	} row[] = {
		{3, 1, "interrupt remapping without a queue"},
		{4, 3, "x2APIC mode without interrupt remapping"},
		{61, 4, "x2APIC mode only, but no x2APIC mode"},
		{62, 3, "interrupts need remapping, but there is none"},
		{2, 1, "device TLBs without a queue"},
		{43, 1, "scalable mode without a queue"},
		{29, 2, "page requests without device TLBs"},
		{41, 2, "throttled device TLBs without device TLBs"},
		{40, 43, "process ids without scalable mode"},
		{26, 46, "nested translation without a second stage"},
	};
	uint64_t now = model_personality_find("plain")->ecap;

	(void)state;
	is_said(0, 0, NULL);
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++)
		is_said(0,
			to(now, row[n].bit, 1, 1) | to(now, row[n].other, 1, 0),
			row[n].what);
}

static void values_are_possible(void **state)
{
	static const char *const depth = "a table depth that does not exist";
	const struct model_personality *plain = model_personality_find("plain");
	uint64_t cap = plain->cap, ecap = plain->ecap;

	(void)state;
	for (unsigned pages = 0; pages < 16; pages++)
		is_said(to(cap, 34, 4, pages), 0,
			pages < 2 || pages == 3
				? NULL
				: "an impossible set of page sizes");
	is_said(to(cap, 8, 1, 1), 0, depth);
	is_said(to(cap, 12, 1, 1), 0, depth);
	is_said(to(cap, 4, 1, 1), to(ecap, 43, 1, 1),
		"a write buffer in scalable mode");
	is_said(to(cap, 4, 1, 1), to(ecap, 43, 1, 0), NULL);
	/* The machine's memory has 46 bits. */
	is_said(to(cap, 16, 6, 44), 0, "fewer address bits than memory has");
	is_said(to(cap, 16, 6, 45), 0, NULL);
}

/** Fault records, sixteen bytes each, and IOTLB registers have places of their
 *  own, behind all others (VT-d 11.4). */
static void places_do_not_overlap(void **state)
{
	static const char *const both =
		"fault records and IOTLB registers at one place";
	static const struct {
		unsigned faults, records, iotlb;
		const char *what;
	} row[] = {
		{0x100, 1, 0x110, NULL},
		{0x100, 2, 0x110, both},
		{0x110, 1, 0x100, NULL},
		{0x110, 4, 0x100, NULL},
		{0x100, 1, 0x100, both},
		{0x100, 8, 0x170, both},
		{0x100, 8, 0x180, NULL},
		{0xe0, 1, 0x100, NULL},
		{0xd0, 1, 0x100, "fault records on other registers"},
		{0x100, 1, 0xe0, NULL},
		{0x100, 1, 0xd0, "IOTLB registers on other registers"},
		{0, 1, 0x100, "fault records on other registers"},
	};
	const struct model_personality *plain = model_personality_find("plain");

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++)
		is_said(to(plain->cap, 24, 10, row[n].faults / 16) |
				to(plain->cap, 40, 8, row[n].records - 1),
			to(plain->ecap, 8, 10, row[n].iotlb / 16), row[n].what);
}

/** What two units do not have in common, whichever of them has it. */
static void differences_are_said(void **state)
{
	static const struct {
		uint64_t cap, ecap;
		const char *what;
	} row[] = {
		{1 << 7, 0, "caching mode"},
		{1 << 4, 0, "write buffers"},
		{1 << 11, 0, "table depths"},
		{1 << 21, 0, "address widths"},
		{2ull << 34, 0, "page sizes"},
		{0, 1 << 0, "coherency"},
		{0, 1 << 2, "device TLBs"},
		{0, 1 << 4, "x2APIC mode"},
		{0, 1 << 6, "pass-through"},
		{0, 1 << 7, "snoop control"},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row) * 2 + 1; n++) {
		char text[60];

		rig_open_two(&rig, "plain", "plain", MODEL_BENIGN);
		if (n) {
			cap_flip[n & 1] = row[(n - 1) / 2].cap;
			ecap_flip[n & 1] = row[(n - 1) / 2].ecap;
		}
		discover();
		if (n) {
			snprintf(text, sizeof(text), "units differ: %s",
				row[(n - 1) / 2].what);
			words_have(text);
			assert_non_null(strstr(logged, text));
		} else {
			assert_string_equal(words, "");
		}
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_need_others),
		cmocka_unit_test(values_are_possible),
		cmocka_unit_test(places_do_not_overlap),
		cmocka_unit_test(differences_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
