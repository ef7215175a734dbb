/* SPDX-License-Identifier: MIT */
/* See queued.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "queued.h"

enum {
	REG_GSTS = 0x1c,
	REG_FSTS = 0x34,
	REG_IQT = 0x88,
	REG_IQA = 0x90,
	GSTS_QIES = 1 << 26,
	FSTS_ITE = 1 << 6,
	TYPE_WAIT = 5,
};

static struct {
	struct queued *q;
	struct iommu_host real;
	unsigned tail;
} way;

static void spoil(uint64_t *low)
{
	bool is_wait = (*low & 15) == TYPE_WAIT;

	if (is_wait != way.q->waits)
		return;
	if (is_wait)
		*low |= 1ull << 20; /* reserved */
	else
		*low |= 0xf; /* no such type */
}

static void doorbell(struct model *m, unsigned tail)
{
	uint64_t base = model_unit_base(m, 0);
	uint64_t iqa = model_read64(m, base + REG_IQA);
	unsigned slots = 256u << (iqa & 7);
	bool hit;

	/* A queue that is off begins anew. */
	if (!(model_read32(m, base + REG_GSTS) & GSTS_QIES))
		way.tail = tail;
	hit = way.q->spoilt && way.tail != tail;
	for (; way.tail != tail; way.tail = (way.tail + 1) % slots) {
		uint64_t *low =
			model_ptr(m, (iqa & ~0xfffull) + 16ull * way.tail);

		if (way.q->look)
			way.q->look(*low);
		if (hit)
			spoil(low);
	}
	way.q->spoilt -= hit;
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	struct model *m = way.q->r.m;

	if (offset == REG_IQT && (uintptr_t)regs == model_unit_base(m, 0))
		doorbell(m, (unsigned)(value >> 4));
	way.q->cleared += offset == REG_FSTS && value == FSTS_ITE;
	way.real.reg_write(ctx, regs, offset, width, value);
}

void queued_start(struct queued *q)
{
	way.q = q;
	way.real = q->r.hooks;
	way.tail = 0;
	q->r.hooks.reg_write = reg_write;
	q->r.options.ats = IOMMU_ON;
	rig_start_ok(&q->r);
	q->page = rig_frame(&q->r, 9);
	q->domain = rig_mapped_domain(&q->r);
	OK(iommu_attach(q->r.iommu, rig_id(RIG_DEV), q->domain));
	OK(queued_map(q));
	assert_true(rig_can_write(&q->r, RIG_DEV, QUEUED_AT));
}

void queued_open(struct queued *q, const char *kind, enum model_mode mode)
{
	memset(q, 0, sizeof(*q));
	rig_open(&q->r, kind, mode, 1);
	queued_start(q);
}

void queued_attach_ats(struct queued *q, enum model_ats_answer answer)
{
	OK(iommu_attach(q->r.iommu, rig_id(RIG_ATS), q->domain));
	model_ats_behave(q->r.m, 0, RIG_ATS, answer);
}

void queued_close(struct queued *q)
{
	enum iommu_status status = iommu_detach(q->r.iommu, rig_id(RIG_ATS));

	assert_true(status == IOMMU_OK || status == IOMMU_NOT_ATTACHED);
	OK(iommu_detach(q->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(q->domain));
	model_page_free(q->r.m, q->page, 0);
	rig_close(&q->r);
}

struct iommu_stats queued_stats(struct queued *q)
{
	struct iommu_stats stats;

	OK(iommu_unit_stats(q->r.iommu, 0, &stats));
	return stats;
}

enum iommu_status queued_map(struct queued *q)
{
	return iommu_map(q->domain, iommu_iova(QUEUED_AT), iommu_phys(q->page),
		4096, IOMMU_READ | IOMMU_WRITE);
}

enum iommu_status queued_unmap(struct queued *q)
{
	return iommu_unmap_now(q->domain, iommu_iova(QUEUED_AT), 4096);
}

void queued_forgive(struct queued *q)
{
	assert_int_equal(model_violation_count(q->r.m),
		model_violations_of(q->r.m, MODEL_V_QUEUE) +
			model_violations_of(q->r.m, MODEL_V_RESERVED));
	model_violations_clear(q->r.m);
}
