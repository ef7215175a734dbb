/* SPDX-License-Identifier: MIT */
/*
 * The tiny driver. Memory order and width rules are the specification's; it
 * keeps nothing but what it needs to undo itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "mini.h"

#define DEADLINE_NS 2000000000ull

uint32_t mini_read32(struct mini *d, unsigned off)
{
	return model_read32(d->m, d->base + off);
}

uint64_t mini_read64(struct mini *d, unsigned off)
{
	return model_read64(d->m, d->base + off);
}

void mini_write32(struct mini *d, unsigned off, uint32_t v)
{
	model_write32(d->m, d->base + off, v);
}

void mini_write64(struct mini *d, unsigned off, uint64_t v)
{
	model_write64(d->m, d->base + off, v);
}

static uint64_t *word(struct mini *d, uint64_t pa)
{
	return model_ptr(d->m, pa);
}

void mini_store(struct mini *d, uint64_t pa, uint64_t v)
{
	__atomic_store_n(word(d, pa), v, __ATOMIC_RELEASE);
	if (!d->coherent)
		model_cache_flush(d->m, pa, 8);
}

uint64_t mini_page(struct mini *d)
{
	uint64_t pa = model_page_alloc(d->m, 0, MODEL_OWNER_DRIVER);

	assert_true(pa != MODEL_NONE);
	memset(model_ptr(d->m, pa), 0, MODEL_PAGE);
	model_cache_flush(d->m, pa, MODEL_PAGE);
	return pa;
}

void mini_open(struct mini *d, struct model *m)
{
	memset(d, 0, sizeof *d);
	assert_non_null(m);
	d->m = m;
	d->base = model_unit_base(m, 0);
	d->cap = mini_read64(d, CAP);
	d->ecap = mini_read64(d, ECAP);
	d->coherent = d->ecap & ECAP_C;
	d->root = mini_page(d);
	d->ring = mini_page(d);
	d->irt = mini_page(d);
	d->status = mini_page(d);
}

void mini_command(struct mini *d, uint32_t bit, bool set)
{
	uint32_t v = mini_read32(d, GSTS) & 0x96ffffff;
	uint64_t end = model_now(d->m) + DEADLINE_NS;
	bool want = set && bit != (uint32_t)G_WBF;

	mini_write32(d, GCMD, set ? v | bit : v & ~bit);
	while (!!(mini_read32(d, GSTS) & bit) != want)
		if (model_now(d->m) > end)
			return;
}

void mini_write_buffer(struct mini *d)
{
	if (d->cap & CAP_RWBF)
		mini_command(d, G_WBF, true);
}

void mini_set_root(struct mini *d)
{
	mini_write_buffer(d);
	mini_write64(d, RTADDR, d->root);
	mini_command(d, G_RTP, true);
}

void mini_queue_on(struct mini *d)
{
	mini_write64(d, IQT, 0);
	mini_write64(d, IQA, d->ring);
	mini_command(d, G_QIE, true);
	d->queue = true;
}

void mini_translation(struct mini *d, bool on)
{
	mini_command(d, G_TE, on);
}

void mini_start(struct mini *d)
{
	if (d->ecap & ECAP_QI)
		mini_queue_on(d);
	mini_set_root(d);
	mini_flush_context(d, GRAN_GLOBAL, 0, 0);
	mini_flush_iotlb(d, GRAN_GLOBAL, 0, 0, 0, false);
	mini_translation(d, true);
}

void mini_start_interrupts(struct mini *d)
{
	mini_write64(d, IRTA, d->irt | 7);
	mini_command(d, G_IRTP, true);
	mini_flush_irte(d, true, 0);
	mini_command(d, G_IRE, true);
}

/* ---- tables ------------------------------------------------------------- */

unsigned mini_levels(struct mini *d)
{
	unsigned sagaw = CAP_SAGAW(d->cap);

	return sagaw & 8 ? 5 : sagaw & 4 ? 4 : 3;
}

uint64_t mini_context(struct mini *d, uint16_t sid)
{
	uint64_t slot = d->root + (sid >> 8) * 16u;

	if (!(*word(d, slot) & 1)) {
		mini_store(d, slot, mini_page(d) | 1);
		if (d->cap & CAP_CM)
			mini_flush_context(d, GRAN_GLOBAL, 0, 0);
		mini_write_buffer(d);
	}
	return (*word(d, slot) & ~0xfffull) + (sid & 255) * 16u;
}

uint64_t mini_slot(struct mini *d, uint64_t top, unsigned levels, uint64_t iova,
	unsigned level)
{
	uint64_t table = top;

	for (unsigned n = levels; n > level; n--) {
		uint64_t at = table + (iova >> (12 + 9 * (n - 1)) & 511) * 8;

		if (!(*word(d, at) & 3))
			mini_store(d, at, mini_page(d) | 3);
		table = *word(d, at) & ~0xfffull;
	}
	return table + (iova >> (12 + 9 * (level - 1)) & 511) * 8;
}

void mini_attach(
	struct mini *d, uint16_t sid, uint64_t top, uint16_t did, unsigned type)
{
	uint64_t slot = mini_context(d, sid);

	mini_store(d, slot + 8, (uint64_t)did << 8 | (mini_levels(d) - 2));
	mini_store(d, slot, top | type << 2 | 1);
	mini_write_buffer(d);
	if (d->cap & CAP_CM) {
		mini_flush_context(d, GRAN_NARROW, 0, sid);
		mini_flush_iotlb(d, GRAN_DOMAIN, did, 0, 0, false);
	}
}

void mini_map(
	struct mini *d, uint64_t top, uint64_t iova, uint64_t pa, uint64_t perm)
{
	mini_store(d, mini_slot(d, top, mini_levels(d), iova, 1), pa | perm);
	mini_write_buffer(d);
}

/* ---- flushes ------------------------------------------------------------ */

void mini_queue(struct mini *d, uint64_t lo, uint64_t hi)
{
	word(d, d->ring)[d->tail * 2] = lo;
	word(d, d->ring)[d->tail * 2 + 1] = hi;
	d->tail = (d->tail + 1) % 256;
}

void mini_ring(struct mini *d)
{
	mini_write64(d, IQT, d->tail * 16);
}

bool mini_wait(struct mini *d)
{
	uint64_t end = model_now(d->m) + DEADLINE_NS;
	volatile uint32_t *status = model_ptr(d->m, d->status);

	d->sequence++;
	mini_queue(
		d, (uint64_t)d->sequence << 32 | BIT(5) | DESC_WAIT, d->status);
	mini_ring(d);
	while (*status != d->sequence)
		if (model_now(d->m) > end)
			return false;
	return true;
}

static void register_flush(struct mini *d, unsigned off, uint64_t v)
{
	uint64_t end = model_now(d->m) + DEADLINE_NS;

	mini_write64(d, off, v);
	while (mini_read64(d, off) >> 63)
		if (model_now(d->m) > end)
			return;
}

void mini_flush_context(
	struct mini *d, unsigned gran, uint16_t did, uint16_t sid)
{
	if (!d->queue) {
		register_flush(d, CCMD,
			CCMD_ICC | (uint64_t)gran << 61 | (uint64_t)sid << 16 |
				did);
		return;
	}
	mini_queue(d,
		DESC_CC | gran << 4 | (uint64_t)did << 16 | (uint64_t)sid << 32,
		0);
	mini_wait(d);
}

void mini_flush_iotlb(struct mini *d, unsigned gran, uint16_t did,
	uint64_t addr, unsigned am, bool ih)
{
	unsigned iro = ECAP_IRO(d->ecap);
	uint64_t kept;

	if (d->queue) {
		mini_queue(d,
			DESC_IOTLB | gran << 4 | BIT(6) | BIT(7) |
				(uint64_t)did << 16,
			addr | (ih ? BIT(6) : 0) | am);
		mini_wait(d);
		return;
	}
	if (gran == GRAN_NARROW)
		mini_write64(d, iro, addr | (ih ? BIT(6) : 0) | am);
	kept = mini_read64(d, iro + 8) & MASK(31, 0);
	register_flush(d, iro + 8,
		IOTLB_IVT | (uint64_t)gran << 60 | BIT(48) | BIT(49) |
			(uint64_t)did << 32 | kept);
}

void mini_flush_irte(struct mini *d, bool global, unsigned index)
{
	mini_queue(
		d, DESC_IEC | (global ? 0 : BIT(4)) | (uint64_t)index << 32, 0);
	mini_wait(d);
}

void mini_flush_device(struct mini *d, uint16_t sid, uint64_t addr, bool s)
{
	mini_queue(d, DESC_DEVTLB | (uint64_t)sid << 32, addr | s);
	mini_wait(d);
}

/* ---- interrupts --------------------------------------------------------- */

struct heard heard;

static void keep(void *ctx, struct model *m, const struct model_interrupt *irq)
{
	(void)ctx;
	(void)m;
	heard.last = *irq;
	heard.count++;
}

void mini_hear(struct mini *d)
{
	heard = (struct heard){.count = 0};
	model_on_interrupt(d->m, keep, NULL);
}

void mini_close(struct mini *d, bool clean)
{
	size_t n = model_violation_count(d->m);

	if (clean && n)
		model_report(d->m, stderr);
	if (clean)
		assert_int_equal(n, 0);
	model_destroy(d->m);
}
