/* SPDX-License-Identifier: MIT */
/* What people write into control files: every short text, and every address,
 * against the same grammar written down a second time as an expression. The
 * text ends where its memory ends, so that reading on ends the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "assign/address.h"

#define H "[0-9a-fA-F]"
#define BLANK "[ \t\n\r]"

static regex_t assignment, onoff;

static int compile(void **state)
{
	(void)state;
	return regcomp(&assignment,
		       "^" BLANK "*(" H "{1,4}):(" H "{1,2})"
		       "(:|\\.)(" H "{1,2})(\\.(" H "))?"
		       "(" BLANK "+([0-9]{1,9}))?" BLANK "*$",
		       REG_EXTENDED) ||
		regcomp(&onoff,
			"^" BLANK "*((on|enable)|off|disable)" BLANK "*$",
			REG_EXTENDED);
}

static int discard(void **state)
{
	(void)state;
	regfree(&assignment);
	regfree(&onoff);
	return 0;
}

static unsigned part(const char *text, const regmatch_t *m, int base)
{
	return m->rm_so < 0 ? 0
			    : (unsigned)strtoul(text + m->rm_so, NULL, base);
}

/* The second opinion: false, or what the line means. */
static bool understand(const char *text, struct pci_address *out, int *pid)
{
	regmatch_t m[10];
	unsigned segment = 0, bus, dev, fn;
	bool has_segment, dotted;

	if (regexec(&assignment, text, 10, m, 0))
		return false;
	has_segment = m[5].rm_so >= 0;
	dotted = text[m[3].rm_so] == '.';
	if (has_segment && dotted)
		return false;
	bus = part(text, &m[1], 16);
	dev = part(text, &m[2], 16);
	fn = part(text, &m[4], 16);
	if (has_segment) {
		segment = bus;
		bus = dev;
		dev = fn;
		fn = part(text, &m[6], 16);
	}
	*pid = (int)part(text, &m[8], 10);
	if (m[8].rm_so >= 0 && !*pid)
		return false;
	*out = (struct pci_address){
		(uint16_t)segment, (uint8_t)bus, (uint8_t)(dev << 3 | fn)};
	return bus <= 0xff && dev <= 0x1f && fn <= 7;
}

static void compare(const char *text)
{
	struct pci_address want, got = {1, 2, 3};
	int want_pid = 0, pid = -1;
	bool good = understand(text, &want, &want_pid);
	size_t n = strlen(text) + 1;
	char *exact = malloc(n);
	const char *why;

	memcpy(exact, text, n);
	why = parse_assignment(exact, &got, &pid);
	if (good != !why ||
		(good &&
			(got.segment != want.segment || got.bus != want.bus ||
				got.devfn != want.devfn || pid != want_pid)))
		fail_msg("\"%s\": %s", text, why ? why : "understood wrongly");
	if (why && !*why)
		fail_msg("\"%s\": no reason", text);
	free(exact);
}

static void every(
	const char *letters, unsigned length, void (*check)(const char *text))
{
	unsigned digits[16] = {0};
	char text[17] = {0};
	size_t base = strlen(letters);
	unsigned at;

	do {
		for (unsigned i = 0; i < length; i++)
			text[i] = letters[digits[i]];
		check(text);
		for (at = 0; at < length && ++digits[at] == base; at++)
			digits[at] = 0;
	} while (at < length);
}

static void every_short_line_is_understood_or_refused(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 5; n++)
		every("0aG:. 1\n-", n, compare);
	for (unsigned n = 6; n <= 9; n++)
		every("0:. ", n, compare);
}

static void every_address_is_understood_in_every_form(void **state)
{
	static const char *forms[] = {"%x:%x.%x", "%x:%x:%x", "%02X:%02X.%X\n",
		"0000:%02x:%02x.%x 1", " %x:%x.%x\t31 \n", "ffff:%x:%x.%x",
		"%04x:%x.%x 999999999", "%x:%x.0%x"};
	char text[64];

	(void)state;
	for (unsigned n = 0; n < 0x10000; n += n < 0x400 ? 1 : 17)
		for (unsigned f = 0; f < sizeof forms / sizeof *forms; f++) {
			snprintf(text, sizeof text, forms[f], n >> 8,
				n >> 3 & 0x1f, n & 7);
			compare(text);
		}
}

static void numbers_out_of_range_are_refused(void **state)
{
	static const char *lines[] = {"100:0.0", "0:20.0", "0:0.8", "0:0:8",
		"10000:0:0.0", "0:100.0", "0:0.0 0", "0:0.0 1000000000",
		"0:0.0 -1", "0:0.0 1 2", "0:0.0 1x", "0:0.0x", "0:0.0.0",
		"0x0:0.0", "0 :0.0", "ffffffff:0:0.0", "0:0.0 99999999999999"};

	(void)state;
	for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct pci_address at;
		int pid;

		assert_non_null(parse_assignment(lines[i], &at, &pid));
		compare(lines[i]);
	}
}

static void a_bad_address_leaves_the_text_where_it_was(void **state)
{
	const char *text = "0:3;0", *at = text;
	struct pci_address out;

	(void)state;
	assert_false(parse_pci_address(&at, &out));
	assert_ptr_equal(at, text);
	text = at = "0:3.0 tail";
	assert_true(parse_pci_address(&at, &out));
	assert_string_equal(at, " tail");
}

static void compare_switch(const char *text)
{
	regmatch_t m[3];
	int want = regexec(&onoff, text, 3, m, 0) ? -1 : m[2].rm_so >= 0;
	size_t n = strlen(text) + 1;
	char *exact = malloc(n);

	memcpy(exact, text, n);
	if (parse_switch(exact) != want)
		fail_msg("\"%s\" is not %d", text, want);
	free(exact);
}

static void every_short_switch_is_understood_or_refused(void **state)
{
	static const char *words[] = {"on", "off", "enable", "disable", "ON",
		"enabled", "enable disable", "of", "offf", "o n", ""};
	char text[64];

	(void)state;
	for (unsigned n = 0; n <= 6; n++)
		every("onf \n", n, compare_switch);
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		compare_switch(words[i]);
		snprintf(text, sizeof text, "\t%s \r\n", words[i]);
		compare_switch(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_line_is_understood_or_refused),
		cmocka_unit_test(every_address_is_understood_in_every_form),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(a_bad_address_leaves_the_text_where_it_was),
		cmocka_unit_test(every_short_switch_is_understood_or_refused),
	};

	return cmocka_run_group_tests(tests, compile, discard);
}
