/* SPDX-License-Identifier: MIT */
/* cpio newc: a header of 6 + 13 * 8 hexadecimal digits, the name, the contents;
 * name and contents padded to 4 bytes. */
#include "fs/cpio.h"
#include "lib/string.h"

#define HEADER_SIZE 110u
#define FIELD(n) (6u + 8u * (n))

enum {
	INO,
	MODE,
	UID,
	GID,
	NLINK,
	MTIME,
	FILESIZE,
	DEVMAJOR,
	DEVMINOR,
	RDEVMAJOR,
	RDEVMINOR,
	NAMESIZE,
	CHECK,
	FIELDS
};

static bool hex_field(const uint8_t *s, uint32_t *out)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint8_t c = s[i];
		uint32_t digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10;
		else
			return false;
		v = v << 4 | digit;
	}
	*out = v;
	return true;
}

static bool read_header(const uint8_t *h, uint32_t field[FIELDS])
{
	if (memcmp(h, "070701", 6) && memcmp(h, "070702", 6))
		return false;
	for (unsigned i = 0; i < FIELDS; i++)
		if (!hex_field(h + FIELD(i), &field[i]))
			return false;
	return true;
}

static bool element_sound(const char *s, size_t n)
{
	if (n == 0 || n > 255)
		return false;
	if (n == 1 && s[0] == '.')
		return false;
	return !(n == 2 && s[0] == '.' && s[1] == '.');
}

/* Strip what may stand around a name, then check every element. */
static bool take_name(struct cpio_entry *e, const char *s, size_t n)
{
	size_t start = 0;

	while (n && (s[0] == '/' || (s[0] == '.' && n > 1 && s[1] == '/'))) {
		s++;
		n--;
	}
	while (n && s[n - 1] == '/')
		n--;
	e->name = s;
	e->name_len = n;
	if (memchr(s, '\0', n))
		return false;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && s[i] != '/')
			continue;
		if (!element_sound(s + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

/* Advance *at by n bytes and to the next multiple of 4; false: beyond size. */
static bool advance(size_t *at, size_t n, size_t size)
{
	if (n > size - *at)
		return false;
	*at += n;
	*at = MIN(ALIGN_UP(*at, 4), size);
	return true;
}

bool cpio_read(const void *archive, size_t size,
	void (*each)(void *ctx, const struct cpio_entry *e), void *ctx,
	unsigned *out_skipped)
{
	const uint8_t *bytes = archive;
	size_t at = 0;

	*out_skipped = 0;
	while (size - at >= HEADER_SIZE) {
		uint32_t field[FIELDS];
		struct cpio_entry e;
		const char *name = (const char *)bytes + at + HEADER_SIZE;
		size_t name_len;

		if (!read_header(bytes + at, field))
			return false;
		/* NAMESIZE counts the terminator. */
		if (!field[NAMESIZE] ||
			!advance(&at, HEADER_SIZE + (size_t)field[NAMESIZE],
				size))
			return false;
		name_len = field[NAMESIZE] - 1;
		if (name_len == 10 && !memcmp(name, "TRAILER!!!", 10))
			return true;
		e = (struct cpio_entry){
			.mode = field[MODE],
			.ino = field[INO],
			.nlink = field[NLINK],
			.rdev_major = field[RDEVMAJOR],
			.rdev_minor = field[RDEVMINOR],
			.mtime = field[MTIME],
			.data = bytes + at,
			.size = field[FILESIZE],
		};
		if (!advance(&at, field[FILESIZE], size))
			return false;
		if (take_name(&e, name, name_len))
			each(ctx, &e);
		else if (!(name_len == 1 && name[0] == '.'))
			++*out_skipped;
	}
	return false;
}
