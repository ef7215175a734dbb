/* SPDX-License-Identifier: MIT */
/*
 * The ELF file of a kernel with a PVH entry: its loadable segments by physical
 * address, and the note that names the entry. The file comes from a program, so
 * every number is checked before it is used.
 */
#include "kexec/image.h"
#include "boot/pvh.h"
#include "fs/file.h"
#include "lib/elf_format.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"

#define MAX_NOTES 4096
/* Below lies what firmware left, and the page in which CPUs start. */
#define LOWEST 0x100000

struct note {
	uint32_t name_size, size, type;
};

static int read_exactly(struct file *f, void *buf, size_t n, uint64_t at)
{
	ssize_t got = file_read_kernel(f, buf, n, at);

	if (got < 0)
		return (int)got;
	return (size_t)got == n ? 0 : -ENOEXEC;
}

static bool in_file(uint64_t offset, uint64_t n, uint64_t size)
{
	return offset <= size && n <= size - offset;
}

static bool header_ok(const struct elf_header *h, uint64_t size)
{
	/* 64 bits, little endian, version 1 */
	return !memcmp(h->ident, "\177ELF\2\1\1", 7) && h->type == ET_EXEC &&
		h->machine == EM_X86_64 && h->phnum &&
		h->phnum <= MAX_HEADERS &&
		h->phentsize == sizeof(struct program_header) &&
		in_file(h->phoff, h->phnum * sizeof(struct program_header),
			size);
}

static int add_segment(struct kexec_image *image,
	const struct program_header *p, uint64_t size)
{
	struct kexec_segment *s = &image->segments[image->count];
	uint64_t end = p->paddr + p->memsz;

	if (!p->memsz)
		return 0;
	if (image->count == KEXEC_MAX_SEGMENTS || p->filesz > p->memsz ||
		!in_file(p->offset, p->filesz, size) || p->paddr < LOWEST ||
		p->paddr >= KEXEC_REACH || p->memsz > KEXEC_REACH - p->paddr)
		return -ENOEXEC;
	for (unsigned i = 0; i < image->count; i++) {
		const struct kexec_segment *o = &image->segments[i];

		if (p->paddr < o->addr + o->mem_size && o->addr < end)
			return -ENOEXEC;
	}
	*s = (struct kexec_segment){.addr = p->paddr,
		.mem_size = p->memsz,
		.file_size = p->filesz,
		.offset = p->offset};
	image->count++;
	image->start = MIN(image->start, ALIGN_DOWN(p->paddr, PAGE_SIZE));
	image->end = MAX(image->end, ALIGN_UP(end, PAGE_SIZE));
	return 0;
}

/* The entry's address out of a list of notes; 0: not in it. */
static uint32_t find_entry(const char *notes, uint64_t size)
{
	uint64_t at = 0;

	while (size - at >= sizeof(struct note)) {
		uint64_t name = at + sizeof(struct note), body;
		struct note n;
		uint32_t entry;

		memcpy(&n, notes + at, sizeof(n));
		body = name + ALIGN_UP(n.name_size, 4);
		if (body > size || n.size > size - body)
			break;
		if (n.type == PVH_NOTE_ENTRY &&
			n.name_size == sizeof(PVH_NOTE_NAME) &&
			!memcmp(notes + name, PVH_NOTE_NAME, n.name_size) &&
			n.size >= sizeof(entry)) {
			memcpy(&entry, notes + body, sizeof(entry));
			return entry;
		}
		at = MIN(body + ALIGN_UP(n.size, 4), size);
	}
	return 0;
}

static int read_notes(struct kexec_image *image, struct file *f,
	const struct program_header *p, uint64_t size)
{
	char *notes;
	int err;

	if (image->entry || !p->filesz)
		return 0;
	if (p->filesz > MAX_NOTES || !in_file(p->offset, p->filesz, size))
		return -ENOEXEC;
	notes = kmalloc(p->filesz);
	if (!notes)
		return -ENOMEM;
	err = read_exactly(f, notes, p->filesz, p->offset);
	if (!err)
		image->entry = find_entry(notes, p->filesz);
	kfree(notes);
	return err;
}

/* The entry must be an address at which the file puts something. */
static bool entry_ok(const struct kexec_image *image)
{
	for (unsigned i = 0; i < image->count; i++) {
		const struct kexec_segment *s = &image->segments[i];

		if (image->entry >= s->addr &&
			image->entry - s->addr < s->file_size)
			return true;
	}
	return false;
}

int kexec_read_image(struct file *f, uint64_t size, struct kexec_image *out)
{
	struct elf_header h;
	struct program_header p;
	int err;

	memset(out, 0, sizeof(*out));
	out->start = UINT64_MAX;
	if (size < sizeof(h))
		return -ENOEXEC;
	err = read_exactly(f, &h, sizeof(h), 0);
	if (!err && !header_ok(&h, size))
		err = -ENOEXEC;
	for (unsigned i = 0; !err && i < h.phnum; i++) {
		err = read_exactly(f, &p, sizeof(p), h.phoff + i * sizeof(p));
		if (!err && p.type == PT_LOAD)
			err = add_segment(out, &p, size);
		else if (!err && p.type == PT_NOTE)
			err = read_notes(out, f, &p, size);
	}
	if (!err && !entry_ok(out))
		err = -ENOEXEC;
	return err;
}
