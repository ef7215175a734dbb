/* SPDX-License-Identifier: MIT */
/*
 * How the judge tells what was done wrong, and corners of the machine that a
 * driver meets: memory that is not given, registers behind the last one, what a
 * reset leaves, and what each of two units sees of a device's writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "support/aborts.h"
#include "support/attached.h"

static char text[400000];

static void read_report(void)
{
	FILE *out = tmpfile();

	assert_non_null(out);
	model_report(d.m, out);
	rewind(out);
	text[fread(text, 1, sizeof text - 1, out)] = 0;
	fclose(out);
}

static bool says(const char *what)
{
	return strstr(text, what);
}

static unsigned lines(void)
{
	unsigned n = 0;

	for (const char *at = text; (at = strchr(at, '\n')); at++)
		n++;
	return n;
}

/* Not inlined, so that it has a frame of its own. */
__attribute__((noinline)) static void break_rule_number(unsigned n)
{
	mini_write32(&d, 0xe00 + 4 * n, 0);
	__asm__ volatile("");
}

static void report_names_who_did_it(void **state)
{
	(void)state;
	cold("plain");
	for (unsigned n = 0; n < 10; n++)
		break_rule_number(n);
	break_rule_number(9);
	read_report();
	assert_true(says("unit 0: access: write to a register that does not "
			 "exist at offset 0xe00 (VT-d 11.2)\n\t"));
	assert_true(says("break_rule_number"));
	assert_true(says("report_names_who_did_it"));
	/* What lies in other files than the program is left out. */
	assert_false(says("?? ??:0"));
	/* Stacks of the first eight, and how often each came up. */
	assert_true(says("0xe1c (VT-d 11.2)\n\t"));
	assert_true(says("0xe20 (VT-d 11.2)\nunit 0: "));
	assert_true(says("0xe24 (VT-d 11.2), 2 times\nunit 0 is plain: "));
	assert_false(says("unit 1 is "));
	mini_close(&d, false);
}

/* The line of the call, not of what comes after it. */
static void report_names_the_line(void **state)
{
	char line[40];

	(void)state;
	cold("plain");
	snprintf(line, sizeof line, "report.c:%d", __LINE__ + 1);
	break_rule_number(0);
	read_report();
	assert_true(says(line));
	mini_close(&d, false);
}

__attribute__((noinline)) static void break_it_far_down(unsigned n)
{
	if (n)
		break_it_far_down(n - 1);
	else
		break_rule_number(0);
	__asm__ volatile("");
}

/* As deep as is kept, and then less. */
static void every_violation_has_a_stack_of_its_own(void **state)
{
	(void)state;
	cold("plain");
	break_it_far_down(60);
	read_report();
	assert_true(says("break_it_far_down"));
	model_violations_clear(d.m);
	break_rule_number(0);
	read_report();
	assert_true(says("every_violation_has_a_stack_of_its_own"));
	assert_false(says("break_it_far_down"));
	mini_close(&d, false);
}

/* Whether addr2line finds a function behind one of the report's offsets. */
static bool places_lead_to(const char *function)
{
	char file[300], command[400], line[400];
	bool found = false;
	unsigned long at;

	for (char *next = text; (next = strstr(next, "\n\t")); next++) {
		FILE *pipe;

		if (sscanf(next, " %299[^+]+%lx", file, &at) != 2)
			continue;
		snprintf(command, sizeof command, "addr2line -fe %s %#lx", file,
			at);
		pipe = popen(command, "r");
		assert_non_null(pipe);
		while (fgets(line, sizeof line, pipe))
			found |= !strncmp(line, function, strlen(function));
		pclose(pipe);
	}
	return found;
}

/* Who reports is left without children; and if no process can be made, places
 * are said in figures. */
static void report_needs_no_process(void **state)
{
	struct rlimit files, none = {0};
	FILE *out = tmpfile();

	(void)state;
	cold("plain");
	break_rule_number(0);
	read_report();
	assert_true(says("break_rule_number"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_non_null(out);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	none.rlim_max = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	model_report(d.m, out);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	rewind(out);
	text[fread(text, 1, sizeof text - 1, out)] = 0;
	fclose(out);
	assert_true(says("0xe00 (VT-d 11.2)\n\t"));
	assert_false(says("break_rule_number"));
	assert_true(places_lead_to("break_rule_number"));
	mini_close(&d, false);
}

static void report_of_nothing_is_empty(void **state)
{
	(void)state;
	cold("plain");
	read_report();
	assert_int_equal(lines(), 0);
	mini_close(&d, true);
}

static void second_unit_has_its_own_number(void **state)
{
	const struct model_personality *plain = model_personality_find("plain");

	(void)state;
	mini_open(
		&d, model_create_pair(plain, plain, MODEL_LAZY, 0, 77, false));
	d.base = model_unit_base(d.m, 1);
	break_rule_number(0);
	assert_int_equal(model_violation(d.m, 0)->unit, 1);
	read_report();
	assert_true(says("unit 1: access: "));
	assert_true(says("unit 0 is plain: "));
	assert_true(says("unit 1 is plain: "));
	assert_true(says("seed 0x4d\n"));
	/* What is no unit's is the first one's. */
	model_page_free(d.m, 1ull << 40, 0);
	assert_int_equal(model_violation(d.m, 1)->unit, 0);
	mini_close(&d, false);
}

static void there_is_a_most(void **state)
{
	(void)state;
	cold("plain");
	/* All in the space between the registers and their end. */
	for (unsigned n = 0; n < 500; n++)
		mini_write32(&d, 0x800 + n * 4, 0);
	for (unsigned n = 0; n < 600; n++)
		mini_read32(&d, 0x801 + n);
	assert_int_equal(model_violation_count(d.m), 500 + 450);
	for (unsigned n = 0; n < 300; n++)
		mini_read32(&d, 0xb01 + n);
	assert_int_equal(model_violation_count(d.m), 1000);
	assert_null(model_violation(d.m, 1000));
	/* What is known is counted on. */
	assert_int_equal(model_violation(d.m, 3)->count, 1);
	mini_write32(&d, 0x80c, 0);
	assert_int_equal(model_violation(d.m, 3)->count, 2);
	model_violations_clear(d.m);
	assert_int_equal(model_violation_count(d.m), 0);
	mini_close(&d, true);
}

static void break_the_first(void)
{
	model_abort_on_violation(d.m, true);
	break_rule_number(0);
}

static void process_ends_at_the_first_if_asked_to(void **state)
{
	(void)state;
	cold("plain");
	aborts(break_the_first, "0xe00 (VT-d 11.2)");
	mini_close(&d, true);
}

/* ---- the machine ----------------------------------------------------------
 */

static void memory_that_is_not_given(void **state)
{
	static const uint64_t odd[] = {1, 0x800, 0x1fff};
	struct model_unit_desc unit = {
		.kind = model_personality_find("plain"), .include_all = true};
	struct model_desc desc = {.units = &unit, .unit_count = 1};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		desc.ram_base = odd[n];
		desc.ram_size = 16 << 20;
		assert_null(model_create(&desc));
		desc.ram_base = 0;
		desc.ram_size += odd[n];
		assert_null(model_create(&desc));
	}
	cold("plain");
	assert_true(model_page_alloc(d.m, 0, 0) == MODEL_NONE);
	assert_true(model_page_alloc(d.m, 0, 255) == MODEL_NONE);
	assert_true(model_page_alloc(d.m, 0, 254) != MODEL_NONE);
	assert_true(model_page_alloc(d.m, 14, 9) == MODEL_NONE);
	assert_true(model_page_alloc(d.m, 12, 9) != MODEL_NONE);
	assert_true(model_page_alloc(d.m, 21, 9) == MODEL_NONE);
	mini_close(&d, true);
}

static void registers_end_somewhere(void **state)
{
	uint64_t end;

	(void)state;
	cold("plain");
	end = d.base + model_unit_size(d.m, 0);
	assert_int_equal(model_read32(d.m, end - 4), 0);
	assert_int_equal(model_read32(d.m, end), UINT32_MAX);
	assert_int_equal(model_read32(d.m, d.base - 4), UINT32_MAX);
	assert_int_not_equal(model_read32(d.m, d.base), UINT32_MAX);
	mini_close(&d, true);
}

static void reset_forgets_everything(void **state)
{
	struct model_counters a, b;
	uint64_t v = 1;

	(void)state;
	ready("abort-dma");
	mini_start_interrupts(&d);
	assert_false(can_write(DEV, 0x66000));
	mini_write64(&d, RTADDR, d.root | 3ull << 10);
	mini_command(&d, G_RTP, true);
	model_counters(d.m, &a);
	model_unit_reset(d.m, 0);
	model_counters(d.m, &b);
	model_violations_clear(d.m);
	/* Nobody flushed anything. */
	assert_int_equal(a.flushes, b.flushes);
	assert_int_equal(a.superfluous, b.superfluous);
	assert_int_equal(model_cached(d.m, 0), 0);
	assert_int_equal(mini_read32(&d, GSTS), 0);
	assert_int_equal(mini_read32(&d, FSTS), 0);
	assert_int_equal(mini_read64(&d, RTADDR), 0);
	assert_int_equal(mini_read64(&d, IQT), 0);
	assert_int_equal(mini_read64(&d, CAP_FRO(d.cap) + 8), 0);
	model_page_free(d.m, d.root, 0);
	model_page_free(d.m, d.irt, 0);
	assert_int_equal(model_violation_count(d.m), 0);
	/* Neither a root table nor its mode is left. */
	mini_write32(&d, GCMD, (uint32_t)G_TE);
	model_advance(d.m, 100000);
	only(MODEL_V_COMMAND);
	model_violations_clear(d.m);
	assert_int_not_equal(
		model_dma_write(d.m, 0, DEV, 0x10000, &v, 8), MODEL_DMA_OK);
	assert_int_not_equal(model_last_fault(d.m), F_ABORT_DMA);
	/* In the first record again. */
	assert_true(mini_read64(&d, CAP_FRO(d.cap) + 8) & BIT(63));
	mini_close(&d, false);
}

/* What a device writes is seen by every unit, however little it snoops, and at
 * once: only processors' stores wait. */
static void every_unit_sees_what_devices_write(void **state)
{
	const struct model_personality *kind =
		model_personality_find("non-coherent");
	uint64_t page, v;

	(void)state;
	for (unsigned unit = 0; unit < 2; unit++) {
		/* Of the first unit, and of the second. */
		uint16_t dev = unit ? OTHER : DEV;

		mini_open(&d,
			model_create_pair(kind, kind, MODEL_LAZY, 0, 1, false));
		d.base = model_unit_base(d.m, unit);
		page = mini_page(&d);
		frame = model_page_alloc(d.m, 0, OWNER);
		/* A table, before the unit is on. */
		v = frame | 3;
		assert_int_equal(model_dma_write(d.m, 0, dev, page, &v, 8),
			MODEL_DMA_OK);
		mini_start(&d);
		top = mini_page(&d);
		mini_store(&d, mini_slot(&d, top, 4, 0, 2), page | 3);
		mini_attach(&d, dev, top, DID, TT_SS);
		assert_true(can_write(dev, 0));
		/* A page given back is a trap for both. */
		mini_close(&d, true);
	}
}

static void secret_page_is_told_once(void **state)
{
	uint64_t page;

	(void)state;
	ready("plain");
	model_device_expect(d.m, 0, DEV, OWNER);
	/* A page given back is full of ways to it. */
	page = model_page_alloc(d.m, 0, OWNER);
	model_page_free(d.m, page, 0);
	mini_store(&d, mini_slot(&d, top, 4, 0x200000, 2), page | 3);
	assert_true(can_write(DEV, 0x200000));
	assert_int_equal(model_violations_of(d.m, MODEL_V_OPEN), 1);
	mini_close(&d, false);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(report_names_who_did_it),
		T(report_names_the_line),
		T(every_violation_has_a_stack_of_its_own),
		T(report_needs_no_process),
		T(report_of_nothing_is_empty),
		T(second_unit_has_its_own_number),
		T(there_is_a_most),
		T(process_ends_at_the_first_if_asked_to),
		T(memory_that_is_not_given),
		T(registers_end_somewhere),
		T(reset_forgets_everything),
		T(every_unit_sees_what_devices_write),
		T(secret_page_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
