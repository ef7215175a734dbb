/* SPDX-License-Identifier: MIT */
/*
 * The library's own formatting, and how it hands text on: complete, in pieces,
 * cut where there is no room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/version.h>
#include "iommu/internal.h"
#include "support/rig.h"
#include "support/words.h"

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"

static char line[64];

#define FORMATS(wanted, ...)                                                  \
	do {                                                                  \
		size_t length = core_format(line, sizeof(line), __VA_ARGS__); \
                                                                              \
		assert_string_equal(line, wanted);                            \
		assert_int_equal(length, strlen(wanted));                     \
	} while (0)

static void every_conversion(void **state)
{
	(void)state;
	FORMATS("plain", "plain");
	FORMATS("a-b", "%c-%c", 'a', 'b');
	FORMATS("<words>", "<%s>", "words");
	FORMATS("0 7 4294967295", "%u %u %u", 0u, 7u, ~0u);
	FORMATS("0 f ffffffff", "%x %x %x", 0u, 15u, ~0u);
	FORMATS("18446744073709551615", "%ju", UINTMAX_MAX);
	FORMATS("ffffffffffffffff", "%jx", UINTMAX_MAX);
	FORMATS("0x000000000000beef", "%p", (void *)(uintptr_t)0xbeef);
	FORMATS("  7|007|1234|00c", "%3u|%03u|%2u|%03x", 7u, 7u, 1234u, 12u);
	FORMATS("0000000000000012|         7", "%016jx|%10ju", (uintmax_t)0x12,
		(uintmax_t)7);
	FORMATS("100%", "100%%");
	/* What is no conversion stands for itself, and the end ends. */
	FORMATS("?", "%?");
	FORMATS("x", "x%");
	FORMATS("x", "x%03j");
}

static void text_is_cut_to_its_room(void **state)
{
	char room[6] = "12345";

	(void)state;
	assert_int_equal(core_format(room, 0, "%s", "abc"), 0);
	assert_string_equal(room, "12345");
	assert_int_equal(core_format(room, 1, "%s", "abc"), 0);
	assert_string_equal(room, "");
	assert_int_equal(core_format(room, 4, "%s", "abc"), 3);
	assert_string_equal(room, "abc");
	assert_int_equal(core_format(room, 4, "%s", "abcdef"), 3);
	assert_string_equal(room, "abc");
}

static unsigned pieces;
static size_t longest;

static void count(void *arg, const char *text, size_t length)
{
	words_sink(arg, text, length);
	pieces++;
	longest = length > longest ? length : longest;
}

static void long_texts_come_in_pieces(void **state)
{
	struct text text;

	(void)state;
	words_start();
	pieces = 0;
	longest = 0;
	text_start(&text, count, NULL);
	text_end(&text);
	assert_int_equal(pieces, 0);
	for (unsigned n = 0; n < 100; n++)
		text_add(&text, "%03u,", n);
	text_end(&text);
	text_end(&text);
	assert_int_equal(strlen(words), 400);
	assert_int_equal(longest, sizeof(text.buffer));
	assert_int_equal(pieces, (400 + longest - 1) / longest);
	assert_memory_equal(words + 4 * 57, "057,", 4);
}

/** Hosts need no log, no messages, no CPU numbers, and no way to wait. */
static void optional_hooks_may_be_missing(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.hooks.log = NULL;
	r.hooks.unit_msi = NULL;
	r.hooks.cpu_index = NULL;
	r.hooks.relax = NULL;
	r.hooks.pci_write = NULL;
	r.options.ats = IOMMU_ON;
	r.options.fault_storm = 3;
	r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_ATS), domain));
	OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(0x100000), 4096,
		IOMMU_READ));
	assert_true(rig_can_read(&r, RIG_ATS, 0x5000));
	for (unsigned n = 0; n < 4; n++) {
		rig_can_read(&r, RIG_OTHER, 0x1000 * n);
		/* Nobody is called, but who asks is told. */
		assert_int_equal(r.host.unit_interrupts, 0);
		assert_int_equal(iommu_interrupt_all(r.iommu), n < 3);
		rig_take_faults(&r);
	}
	OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
	model_unit_hang(r.m, 0, 0);
	assert_int_equal(
		iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNIT_LOST);
	rig_close_anyhow(&r);
}

static void version_is_told(void **state)
{
	(void)state;
	assert_string_equal(iommu_version(), IOMMU_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_conversion),
		cmocka_unit_test(text_is_cut_to_its_room),
		cmocka_unit_test(long_texts_come_in_pieces),
		cmocka_unit_test(optional_hooks_may_be_missing),
		cmocka_unit_test(version_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
