/* SPDX-License-Identifier: MIT */
/*
 * The list is a text of nested entries, one a line: "1b36  Vendor", then
 * "<tab>0010  Device" and "<tab><tab>1af4 1100  Subsystem"; behind them "C 01
 * Class" with "<tab>08  Subclass" and "<tab><tab>02  Interface". It is a file
 * like any other and may hold anything: long lines are cut, others skipped.
 */
#include "dev/pci_names.h"
#include "fs/fs.h"
#include "fs/file.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "pci/pci.h"

#define LIST "/usr/share/misc/pci.ids"
#define LINE_SIZE 160

struct reader {
	struct file *file;
	uint64_t pos;
	char *chunk; /* a page */
	size_t at, n;
	char line[LINE_SIZE];
};

/* -1 at the end. */
static int next_byte(struct reader *r)
{
	ssize_t got;

	if (r->at == r->n) {
		got = file_read_kernel(r->file, r->chunk, PAGE_SIZE, r->pos);
		if (got <= 0)
			return -1;
		r->pos += (uint64_t)got;
		r->n = (size_t)got;
		r->at = 0;
	}
	return (uint8_t)r->chunk[r->at++];
}

static bool next_line(struct reader *r)
{
	size_t n = 0;
	int c;

	while ((c = next_byte(r)) >= 0 && c != '\n')
		if (n < LINE_SIZE - 1 && c)
			r->line[n++] = (char)c;
	r->line[n] = 0;
	return c >= 0 || n;
}

/* The number with exactly so many digits, or -1. */
static int hex(const char *s, unsigned digits)
{
	int value = 0;

	for (unsigned i = 0; i < digits; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* "<digits>  <name>" with this number: its name into out. */
static bool entry(
	const char *s, unsigned digits, unsigned number, char *out, size_t size)
{
	if (hex(s, digits) != (int)number || s[digits] != ' ' ||
		s[digits + 1] != ' ')
		return false;
	strlcpy(out, s + digits + 2, size);
	return true;
}

/* Where the reader is: inside the device's vendor, class, subclass? */
struct place_in_list {
	bool vendor, class, subclass;
};

static void take_line(const char *s, const struct pci_device *d,
	struct place_in_list *in, struct pci_names *out)
{
	if (s[0] != '\t') {
		in->subclass = false;
		in->vendor = entry(
			s, 4, d->vendor, out->vendor, sizeof(out->vendor));
		/* A class is named by its subclass where that is known. */
		in->class = s[0] == 'C' && s[1] == ' ' &&
			entry(s + 2, 2, d->class, out->class,
				sizeof(out->class));
	} else if (s[1] != '\t') {
		in->subclass = false;
		if (in->vendor)
			(void)entry(s + 1, 4, d->device, out->device,
				sizeof(out->device));
		else if (in->class)
			in->subclass = entry(s + 1, 2, d->subclass, out->class,
				sizeof(out->class));
	} else if (in->subclass) {
		(void)entry(s + 2, 2, d->prog_if, out->interface,
			sizeof(out->interface));
	}
}

void pci_names_find(const struct pci_device *d, struct pci_names *out)
{
	struct reader *r = kzalloc(sizeof(*r));
	struct place_in_list in = {0};

	memset(out, 0, sizeof(*out));
	if (!r || fs_open_kernel(LIST, O_RDONLY, &r->file))
		goto out;
	r->chunk = page_alloc();
	while (r->chunk && next_line(r))
		if (r->line[0] && r->line[0] != '#')
			take_line(r->line, d, &in, out);
	if (r->chunk)
		page_free(r->chunk);
	file_put(r->file);
out:
	kfree(r);
}
