/* SPDX-License-Identifier: MIT */
/*
 * The ELF64 reader. Files are hostile: every number is checked before it is
 * used, and elf_read() is total.
 */
#include "fs/file.h"
#include "lib/elf_format.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/elf.h"

static bool header_ok(const struct elf_header *h)
{
	/* 64 bits, little endian, version 1 */
	return !memcmp(h->ident, "\177ELF\2\1\1", 7) &&
		(h->type == ET_EXEC || h->type == ET_DYN) &&
		h->machine == EM_X86_64 && h->phnum &&
		h->phnum <= MAX_HEADERS &&
		h->phentsize == sizeof(struct program_header);
}

static int add_segment(struct elf *e, const struct program_header *p)
{
	struct elf_segment *s = &e->segments[e->count];

	if (!p->memsz)
		return 0;
	if (e->count == ELF_MAX_SEGMENTS || p->filesz > p->memsz ||
		p->memsz > user_top || p->vaddr > user_top - p->memsz ||
		p->offset > INT64_MAX - p->filesz ||
		(p->vaddr - p->offset) % PAGE_SIZE)
		return -ENOEXEC;
	*s = (struct elf_segment){
		.addr = p->vaddr,
		.mem_size = p->memsz,
		.file_offset = p->offset,
		.file_size = p->filesz,
		.prot = (p->flags & PF_R ? PROT_READ : 0) |
			(p->flags & PF_W ? PROT_WRITE : 0) |
			(p->flags & PF_X ? PROT_EXEC : 0),
	};
	e->start = MIN(e->start, ALIGN_DOWN(p->vaddr, PAGE_SIZE));
	e->end = MAX(e->end, ALIGN_UP(p->vaddr + p->memsz, PAGE_SIZE));
	e->count++;
	return 0;
}

static int read_interpreter(
	struct file *f, struct elf *e, const struct program_header *p)
{
	size_t n = p->filesz;

	if (n < 2 || n > sizeof(e->interpreter) || p->offset > INT64_MAX)
		return -ENOEXEC;
	if (file_read_kernel(f, e->interpreter, n, p->offset) != (ssize_t)n)
		return -ENOEXEC;
	return e->interpreter[n - 1] ? -ENOEXEC : 0;
}

/* Where the program finds its own headers: in the segment that holds them. */
static void find_table(struct elf *e, const struct elf_header *h)
{
	uint64_t size = h->phnum * sizeof(struct program_header);

	for (unsigned i = 0; i < e->count; i++) {
		const struct elf_segment *s = &e->segments[i];

		if (h->phoff >= s->file_offset && size <= s->file_size &&
			h->phoff - s->file_offset <= s->file_size - size)
			e->table = s->addr + (h->phoff - s->file_offset);
	}
}

int elf_read(struct file *f, struct elf *out)
{
	struct elf_header h;
	struct program_header *table;
	ssize_t size;
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->start = UINT64_MAX;
	if (file_read_kernel(f, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
		!header_ok(&h))
		return -ENOEXEC;
	size = h.phnum * sizeof(*table);
	table = kmalloc(size);
	if (!table)
		return -ENOMEM;
	if (h.phoff > INT64_MAX || /* the file offset is signed */
		file_read_kernel(f, table, size, h.phoff) != size)
		err = -ENOEXEC;
	for (unsigned i = 0; i < h.phnum && !err; i++) {
		if (table[i].type == PT_LOAD)
			err = add_segment(out, &table[i]);
		else if (table[i].type == PT_INTERP)
			err = read_interpreter(f, out, &table[i]);
	}
	kfree(table);
	if (!err && !out->count)
		err = -ENOEXEC;
	out->entry = h.entry;
	out->relocatable = h.type == ET_DYN;
	out->table_count = h.phnum;
	find_table(out, &h);
	return err;
}

static int map(struct space *s, uint64_t start, uint64_t end, int prot,
	int flags, struct file *f, uint64_t offset)
{
	int64_t at;

	if (start == end)
		return 0;
	at = space_mmap(s, start, end - start, prot,
		MAP_PRIVATE | MAP_FIXED | flags, f, offset);
	if (at < 0)
		return at;
	return (uint64_t)at == start ? 0 : -ENOMEM;
}

int elf_map(const struct elf *e, struct file *f, struct space *s, uint64_t bias)
{
	for (unsigned i = 0; i < e->count; i++) {
		const struct elf_segment *g = &e->segments[i];
		uint64_t addr = g->addr + bias;
		uint64_t start = ALIGN_DOWN(addr, PAGE_SIZE);
		uint64_t middle = ALIGN_UP(addr + g->file_size, PAGE_SIZE);
		uint64_t end = ALIGN_UP(addr + g->mem_size, PAGE_SIZE);
		int err;

		if (!g->file_size)
			middle = start;
		err = map(s, start, middle, g->prot, 0, f,
			g->file_offset - (addr - start));
		if (!err)
			err = map(s, middle, end, g->prot, MAP_ANONYMOUS, NULL,
				0);
		if (err)
			return err;
	}
	return 0;
}

int elf_zero_tails(const struct elf *e, uint64_t bias)
{
	for (unsigned i = 0; i < e->count; i++) {
		const struct elf_segment *g = &e->segments[i];
		uint64_t tail = g->addr + g->file_size + bias;
		uint64_t size = ALIGN_UP(tail, PAGE_SIZE) - tail;

		/* To the end of the page, also beyond the segment's: a loader
		 * takes its first memory from there and expects it cleared. */
		if (!g->file_size || g->mem_size == g->file_size || !size ||
			!(g->prot & PROT_WRITE))
			continue;
		if (zero_user(tail, size))
			return -EFAULT;
	}
	return 0;
}
