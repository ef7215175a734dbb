/* SPDX-License-Identifier: MIT */
/* The random generator: its cipher is the published one, and no two requests
 * give the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/random.c"
#include "support/spin_locks.h"

static void first_words_are_those_of_chacha20(void **state)
{
	/* Key 0, counter 0, nonce 0: RFC 8439 A.1, test vector 1. */
	static const uint8_t expected[16] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1,
		0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
	/* Counter 1: test vector 2. */
	static const uint8_t second[8] = {
		0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a};
	uint32_t zero[8] = {0}, out[16];

	(void)state;
	block(zero, 0, out);
	assert_memory_equal(out, expected, sizeof(expected));
	block(zero, 1, out);
	assert_memory_equal(out, second, sizeof(second));
}

static void requests_differ_and_keys_are_erased(void **state)
{
	uint32_t before[8];
	uint8_t a[100] = {0}, b[100] = {0};

	(void)state;
	random_bytes(a, sizeof(a));
	memcpy(before, key, sizeof(key));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(before, key, sizeof(key));
}

static void only_what_was_asked_for_is_written(void **state)
{
	uint8_t buf[80];

	(void)state;
	for (size_t n = 0; n < 70; n++) {
		memset(buf, 0, sizeof(buf));
		random_bytes(buf, n);
		for (size_t i = n; i < sizeof(buf); i++)
			assert_int_equal(buf[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_words_are_those_of_chacha20),
		cmocka_unit_test(requests_differ_and_keys_are_erased),
		cmocka_unit_test(only_what_was_asked_for_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
