/* SPDX-License-Identifier: MIT */
/* The reader of the initial archive: what it finds in sound ones, and that it
 * stays inside broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "kernel/fs/cpio.c"

#define MAX_ARCHIVE 4096u

struct archive {
	char bytes[MAX_ARCHIVE];
	size_t n;
};

static void put(struct archive *a, const void *p, size_t n)
{
	assert_true(a->n + n <= sizeof(a->bytes));
	memcpy(a->bytes + a->n, p, n);
	a->n += n;
}

static void pad(struct archive *a)
{
	while (a->n % 4)
		put(a, "", 1);
}

static void add(struct archive *a, const char *name, unsigned mode,
	const char *data, size_t size)
{
	char header[111];

	snprintf(header, sizeof(header),
		"070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		7u, mode, 0u, 0u, 1u, 1000u, (unsigned)size, 0u, 0u, 5u, 1u,
		(unsigned)strlen(name) + 1, 0u);
	put(a, header, 110);
	put(a, name, strlen(name) + 1);
	pad(a);
	put(a, data, size);
	pad(a);
}

static struct archive sample(void)
{
	struct archive a = {.n = 0};

	add(&a, ".", 0040755, "", 0);
	add(&a, "./bin", 0040755, "", 0);
	add(&a, "bin/sh", 0100755, "echo hello", 10);
	add(&a, "/dev/console", 0020600, "", 0);
	add(&a, "link", 0120777, "bin/sh", 6);
	add(&a, "TRAILER!!!", 0, "", 0);
	return a;
}

/* What was called back, as text; and where it may lie. */
struct seen {
	const char *start, *end;
	char text[4096];
	size_t n;
};

static void note(void *ctx, const struct cpio_entry *e)
{
	struct seen *s = ctx;
	uint8_t sum = 0;

	assert_true(e->name >= s->start && e->name_len > 0 &&
		e->name + e->name_len <= s->end);
	assert_true((const char *)e->data >= s->start &&
		e->size <= (size_t)(s->end - (const char *)e->data));
	assert_null(memchr(e->name, '\0', e->name_len));
	assert_true(e->name[0] != '/' && e->name[e->name_len - 1] != '/');
	for (size_t i = 0; i < e->size; i++)
		sum += e->data[i];
	if (s->n < sizeof(s->text) - 400)
		s->n += (size_t)snprintf(s->text + s->n, 400,
			"%.*s %o %zu %u\n", (int)MIN(e->name_len, 300), e->name,
			e->mode, e->size, sum);
}

/* Read an exact copy on the heap, so that the sanitizer guards its ends. */
static bool read_copy(
	const void *bytes, size_t n, struct seen *s, unsigned *skipped)
{
	char *copy = malloc(n ? n : 1);
	bool complete;

	memcpy(copy, bytes, n);
	*s = (struct seen){.start = copy, .end = copy + n};
	complete = cpio_read(copy, n, note, s, skipped);
	free(copy);
	return complete;
}

static void a_sound_archive_is_read(void **state)
{
	struct archive a = sample();
	struct seen s;
	unsigned skipped;

	(void)state;
	assert_true(read_copy(a.bytes, a.n, &s, &skipped));
	assert_int_equal(skipped, 0);
	assert_string_equal(s.text,
		"bin 40755 0 0\n"
		"bin/sh 100755 10 211\n"
		"dev/console 20600 0 0\n"
		"link 120777 6 67\n");
}

static void a_cut_archive_is_told(void **state)
{
	struct archive a = sample();
	size_t trailer = a.n - 124; /* header, name, padding */
	struct seen s;
	unsigned skipped;

	(void)state;
	for (size_t n = 0; n <= trailer; n++)
		assert_false(read_copy(a.bytes, n, &s, &skipped));
}

static void names_that_lead_elsewhere_are_left_out(void **state)
{
	static const char *const names[] = {
		"..", "../x", "a/../b", "a/./b", "a//b", "/", "", "a/.."};
	struct seen s;
	unsigned skipped;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct archive a = {.n = 0};

		add(&a, names[i], 0100644, "x", 1);
		add(&a, "TRAILER!!!", 0, "", 0);
		assert_true(read_copy(a.bytes, a.n, &s, &skipped));
		assert_int_equal(skipped, 1);
		assert_int_equal(s.n, 0);
	}
}

static void names_of_255_bytes_are_the_longest(void **state)
{
	struct seen s;
	unsigned skipped;

	(void)state;
	for (size_t n = 254; n <= 257; n++) {
		struct archive a = {.n = 0};
		char name[300];

		memset(name, 'n', n);
		name[n] = '\0';
		add(&a, name, 0100644, "", 0);
		add(&a, "TRAILER!!!", 0, "", 0);
		assert_true(read_copy(a.bytes, a.n, &s, &skipped));
		assert_int_equal(skipped, n > 255);
	}
}

static void absurd_sizes_end_the_archive(void **state)
{
	struct archive a = sample();
	struct seen s;
	unsigned skipped;

	(void)state;
	/* NAMESIZE, then FILESIZE of the first entry. */
	memcpy(a.bytes + 6 + 8 * 11, "FFFFFFFF", 8);
	assert_false(read_copy(a.bytes, a.n, &s, &skipped));
	a = sample();
	memcpy(a.bytes + 6 + 8 * 6, "FFFFFFFF", 8);
	assert_false(read_copy(a.bytes, a.n, &s, &skipped));
	assert_int_equal(s.n, 0);
}

static void mutated_archives_are_survived(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct seen s;
	unsigned skipped;

	(void)state;
	if (getenv("SEED"))
		seed = (unsigned)strtoul(getenv("SEED"), NULL, 0);
	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 20000; i++) {
		struct archive a = sample();
		unsigned changes = 1 + (unsigned)rand() % 8;

		while (changes--)
			a.bytes[(size_t)rand() % a.n] = rand() % 2
				? "0123456789abcdefFX/.\0"[rand() % 21]
				: (char)rand();
		read_copy(a.bytes, (size_t)rand() % (a.n + 1), &s, &skipped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_archive_is_read),
		cmocka_unit_test(a_cut_archive_is_told),
		cmocka_unit_test(names_that_lead_elsewhere_are_left_out),
		cmocka_unit_test(names_of_255_bytes_are_the_longest),
		cmocka_unit_test(absurd_sizes_end_the_archive),
		cmocka_unit_test(mutated_archives_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
