/* SPDX-License-Identifier: MIT */
/*
 * A sink that keeps the text it is given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "words.h"

char words[1 << 20];
static size_t used;

void words_start(void)
{
	used = 0;
	words[0] = '\0';
}

void words_sink(void *arg, const char *text, size_t length)
{
	(void)arg;
	assert_true(length > 0);
	assert_true(used + length < sizeof(words));
	memcpy(words + used, text, length);
	used += length;
	words[used] = '\0';
}

void words_have(const char *what)
{
	if (strstr(words, what))
		return;
	fprintf(stderr, "%s", words);
	fail_msg("no \"%s\" in what is shown above", what);
}

void words_have_not(const char *what)
{
	if (!strstr(words, what))
		return;
	fprintf(stderr, "%s", words);
	fail_msg("\"%s\" in what is shown above", what);
}

unsigned words_count(const char *what)
{
	unsigned count = 0;
	const char *at = words;

	while ((at = strstr(at, what))) {
		at += strlen(what);
		count++;
	}
	return count;
}
