/* SPDX-License-Identifier: MIT */
/*
 * Reader of cpio archives in the "newc" format (magic 070701, and 070702 whose
 * checksum is not checked). Total: whatever the bytes are, it ends, reads only
 * inside them and calls back only with what lies inside them.
 */
#ifndef FS_CPIO_H
#define FS_CPIO_H

#include "lib/types.h"

struct cpio_entry {
	/* Not terminated; no leading "/" or "./", no trailing "/"; each
	 * element is 1 to 255 bytes and neither "." nor "..". */
	const char *name;
	size_t name_len;
	uint32_t mode, ino, nlink, rdev_major, rdev_minor;
	uint64_t mtime; /* s */
	const uint8_t *data;
	size_t size;
};

/* Calls `each` for every sound entry until the trailer, the end or the first
 * entry that cannot be read. Entries with an unsound name are left out and
 * counted in *out_skipped. Returns false if the archive ended without its
 * trailer. */
bool cpio_read(const void *archive, size_t size,
	void (*each)(void *ctx, const struct cpio_entry *e), void *ctx,
	unsigned *out_skipped);

#endif
