/* SPDX-License-Identifier: MIT */
/*
 * The naive driver: register-based flushes, four-level tables. The numbers in
 * brackets are those of its mistakes in docs/model.md.
 */
#include "driver.h"

#define ECAP 0x10
#define GCMD 0x18
#define GSTS 0x1c
#define RTADDR 0x20
#define CCMD 0x28
#define FECTL 0x38
#define FEADDR 0x40

#define TE (1u << 31)
#define SRTP (1u << 30)

static uint64_t *at(struct naive *n, uint64_t phys)
{
	return n->host.ptr(n->host.ctx, phys);
}

static void set32(struct naive *n, unsigned off, uint32_t v)
{
	n->host.write32(n->host.ctx, n->regs + off, v);
}

static void set64(struct naive *n, unsigned off, uint64_t v)
{
	n->host.write64(n->host.ctx, n->regs + off, v);
}

static uint64_t get64(struct naive *n, unsigned off)
{
	return n->host.read64(n->host.ctx, n->regs + off);
}

void naive_start(struct naive *n, uint64_t regs)
{
	n->regs = regs;
	n->root = n->host.page_alloc(n->host.ctx);
	set32(n, FECTL, 0);           /* [1] */
	set64(n, FEADDR, 0xfee00000); /* [2] */
	set64(n, RTADDR, n->root);
	set32(n, GCMD, SRTP);
	set32(n, GCMD, TE); /* [3] [4] */
	while (!(n->host.read32(n->host.ctx, n->regs + GSTS) & TE))
		; /* [5] */
}

static uint64_t *context(struct naive *n, uint16_t bdf)
{
	uint64_t *root = at(n, n->root) + (bdf >> 8) * 2;

	if (!(*root & 1))
		*root = n->host.page_alloc(n->host.ctx) | 1; /* [6] */
	return at(n, *root & ~0xfffull) + (bdf & 255) * 2;
}

uint64_t naive_attach(struct naive *n, uint16_t bdf, int pid)
{
	uint64_t table = n->host.page_alloc(n->host.ctx);
	uint64_t *entry = context(n, bdf);

	entry[0] = table | 1;
	entry[1] = (uint64_t)pid << 8 | 2; /* [7] [8] */
	return table;
}

/* How a page-selective flush must not be made: the mask is right only if the
 * first page happens to be aligned. */
static void flush_pages(struct naive *n, int pid, uint64_t iova, unsigned pages)
{
	unsigned iro = (unsigned)(get64(n, ECAP) >> 8 & 0x3ff) * 16;
	unsigned mask = 0;

	while (1u << mask < pages)
		mask++;
	set64(n, iro, iova | mask); /* [9] */
	set64(n, iro + 8,
		1ull << 63 | 3ull << 60 | 1ull << 48 |
			(uint64_t)(pid & 0xffff) << 32); /* [10] */
	while (get64(n, iro + 8) >> 63)
		;
}

static uint64_t *slot(struct naive *n, uint64_t table, uint64_t iova)
{
	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = at(n, table) + (iova >> shift & 511);

		if (!*entry)
			*entry = n->host.page_alloc(n->host.ctx) | 3;
		table = *entry & ~0xfffull;
	}
	return at(n, table) + (iova >> 12 & 511);
}

void naive_map(struct naive *n, uint64_t table, uint64_t iova, uint64_t phys)
{
	*slot(n, table, iova) = phys | 3; /* [6] [11] */
}

void naive_unmap(
	struct naive *n, uint64_t table, int pid, uint64_t iova, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++) {
		uint64_t *entry = slot(n, table, iova + i * 4096ull);
		uint64_t frame = *entry & ~0xfffull;

		*entry = 0;
		n->host.page_free(n->host.ctx, frame); /* [12] */
	}
	flush_pages(n, pid, iova, pages);
}

void naive_detach(struct naive *n, uint16_t bdf, uint64_t table, int pid)
{
	(void)pid;
	context(n, bdf)[0] = 0;                /* [13] */
	n->host.page_free(n->host.ctx, table); /* [14] */
}
