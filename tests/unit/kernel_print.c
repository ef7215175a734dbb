/* SPDX-License-Identifier: MIT */
/*
 * The kernel's formatting gives what the C library's gives, for every
 * conversion it knows, with random flags, widths, precisions and buffer sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "kernel/lib/print.c"

static uint64_t state;

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static uint64_t draw64(void)
{
	uint64_t v = (uint64_t)draw(1u << 30) << 34 ^ draw(1u << 30) << 4;

	/* Of all lengths, and the ends of the ranges. */
	return draw(8) ? v >> draw(64) : 0ull - draw(3);
}

static char *draw_spec(char *f, bool precision)
{
	static const char flags[] = "-0#+ ";

	*f++ = '%';
	for (unsigned n = draw(3); n; n--)
		*f++ = flags[draw(5)];
	if (draw(2))
		f += sprintf(f, "%u", draw(30));
	if (precision && draw(2))
		f += sprintf(f, ".%u", draw(25));
	return f;
}

#define COMPARE(...)                                                  \
	do {                                                          \
		char ours[128], theirs[128];                          \
		size_t size = draw(2) ? sizeof(ours) : draw(20);      \
		int n, m;                                             \
                                                                      \
		memset(ours, 'x', sizeof(ours));                      \
		memset(theirs, 'x', sizeof(theirs));                  \
		n = ksnprintf(ours, size, __VA_ARGS__);               \
		m = snprintf(theirs, size, __VA_ARGS__);              \
		if (n != m || memcmp(ours, theirs, sizeof(ours)))     \
			fail_msg("\"%s\" size %zu: \"%s\" (%d), not " \
				 "\"%s\" (%d)",                       \
				format, size, size ? ours : "", n,    \
				size ? theirs : "", m);               \
	} while (0)

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-truncation"

static void compare_number(void)
{
	static const char *const sizes[] = {
		"hh", "h", "", "l", "ll", "z", "j", "t"};
	static const char conversions[] = "diuxXo";
	unsigned size = draw(8);
	char format[64], *f = draw_spec(format, true);
	uint64_t v = draw64();

	f = stpcpy(f, sizes[size]);
	*f++ = conversions[draw(6)];
	strcpy(f, "|");
	if (size < 3)
		COMPARE(format, (int)v);
	else
		COMPARE(format, v);
}

static void compare_text(void)
{
	static const char *const texts[] = {"", "a", "iommu", "a longer text"};
	char format[64], *f = draw_spec(format, true);
	const char *text = texts[draw(4)];

	strcpy(f, "s|");
	COMPARE(format, text);
}

static void compare_char(void)
{
	char format[64], *f = draw_spec(format, false);
	int c = 'a' + (int)draw(26);

	strcpy(f, "c|");
	COMPARE(format, c);
}

static void compare_star(void)
{
	char format[] = "%*.*d|%-*s|";

	int width = (int)draw(40) - 20, precision = (int)draw(20) - 5;
	int value = (int)draw64(), text_width = (int)draw(20);

	COMPARE(format, width, precision, value, text_width, "text");
}

static void formats_like_the_c_library(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 200000; i++) {
		switch (draw(4)) {
		case 0:
			compare_text();
			break;
		case 1:
			compare_char();
			break;
		case 2:
			compare_star();
			break;
		default:
			compare_number();
		}
	}
}

static void pointer_and_percent(void **unused)
{
	char buf[32];

	(void)unused;
	assert_int_equal(
		ksnprintf(buf, sizeof(buf), "%p %%", (void *)0xabc), 7);
	assert_string_equal(buf, "0xabc %");
}

static void format_that_ends_early_ends(void **unused)
{
	const char *volatile format = "a%";
	char buf[32];

	(void)unused;
	assert_int_equal(ksnprintf(buf, sizeof(buf), format), 1);
	assert_string_equal(buf, "a");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_like_the_c_library),
		cmocka_unit_test(pointer_and_percent),
		cmocka_unit_test(format_that_ends_early_ends),
	};

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
