/* SPDX-License-Identifier: MIT */
/*
 * The scene: made, looked at, taken down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "scene.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

void (*scene_hooks)(struct rig *r);

static const uint16_t devices[SCENE_DEVICES] = {
	RIG_DEV, RIG_OTHER, RIG_ATS, RIG_BEHIND_PORT, RIG_BEHIND_BRIDGE};

static void good(enum iommu_status s)
{
	if (s != IOMMU_OK)
		fail_msg("a scene is not made: %s", iommu_status_text(s));
}

/** The cookie is a bool: whether the host was told. */
static void released(void *cookie)
{
	*(bool *)cookie = true;
}

static struct iommu_dma *dma_space(struct iommu_domain *domain)
{
	struct iommu_dma_config config = {.released = released};
	struct iommu_dma *dma = NULL;

	good(iommu_dma_create(domain, &config, &dma));
	return dma;
}

static void fill(struct scene *s)
{
	struct iommu *iommu = s->r.iommu;

	for (unsigned i = 0; i < SCENE_FRAMES; i++)
		s->frame[i] = rig_frame(&s->r, SCENE_OWNER);
	s->mapped = rig_mapped_domain(&s->r);
	s->buffers = rig_mapped_domain(&s->r);
	s->idle = rig_mapped_domain(&s->r);
	rig_space_open(&s->shared, &s->r);
	good(iommu_attach(iommu, rig_id(RIG_DEV), s->mapped));
	good(iommu_attach(iommu, rig_id(RIG_ATS), s->mapped));
	good(rig_space_attach(&s->shared, RIG_OTHER));
	good(iommu_attach(iommu, rig_id(RIG_BEHIND_PORT), s->buffers));
	good(iommu_map(s->mapped, iommu_iova(0x10000), iommu_phys(s->frame[0]),
		MODEL_PAGE, RW));
	good(iommu_map(s->mapped, iommu_iova(0x200000), iommu_phys(s->frame[1]),
		MODEL_PAGE, IOMMU_READ));
	rig_space_map(&s->shared, 0x10000, s->frame[2], RW);
	s->dma = dma_space(s->buffers);
	good(iommu_dma_map(s->dma, iommu_phys(s->frame[3]), 100, ~0ull,
		IOMMU_BOTH_WAYS, &s->buffer));
	s->has_buffer = true;
	good(iommu_irq_remapped(iommu, rig_id(RIG_DEV), &s->remapped));
	if (!s->remapped)
		return;
	good(iommu_irq_alloc(iommu, rig_id(RIG_DEV), 2, &s->irq));
	s->has_irq = true;
	good(iommu_irq_set(
		iommu, &s->irq, 0, &(struct iommu_irq_target){.vector = 0x50}));
}

void scene_open(struct scene *s, const char *kind, enum scene_stage stage)
{
	memset(s, 0, sizeof *s);
	s->stage = stage;
	if (stage == SCENE_UNIT_COMES) {
		const struct model_personality *p =
			model_personality_find(kind);

		rig_open_machine(&s->r,
			model_create_pair(p, p, MODEL_LAZY, 0, 1, false));
		s->structure_size = rig_take_unit_out(&s->r, s->structure);
	} else {
		rig_open(&s->r, kind, MODEL_LAZY, 1);
	}
	if (scene_hooks)
		scene_hooks(&s->r);
	s->r.options.timeout_ns = 10000000;
	s->r.options.device_timeout_ns = 20000000;
	s->r.options.fault_storm = 0;
	s->r.options.ats = IOMMU_ON;
	if (stage >= SCENE_CREATED)
		good(iommu_create(&s->r.hooks, &s->r.options, &s->r.iommu));
	if (stage >= SCENE_DISCOVERED)
		good(iommu_discover(s->r.iommu, s->r.dmar, s->r.dmar_size));
	if (stage >= SCENE_STARTED)
		good(iommu_start(s->r.iommu));
	if (stage == SCENE_FULL)
		fill(s);
}

/* ---- looking ------------------------------------------------------------- */

static bool reaches(struct scene *s, uint16_t bdf, uint64_t iova, bool write)
{
	uint64_t value = 0x1234;

	if (bdf == RIG_ATS &&
		model_pci_read(s->r.m, 0, 0, RIG_ATS, 0x106, 2) & 0x8000)
		return model_ats_dma(s->r.m, 0, bdf, iova, &value, 8, write) ==
			MODEL_DMA_OK;
	return write ? rig_can_write(&s->r, bdf, iova)
		     : rig_can_read(&s->r, bdf, iova);
}

struct scene_reach scene_look(struct scene *s)
{
	const uint64_t place[SCENE_PLACES] = {0x10000, 0x11000, 0x200000,
		0x400000, 0x401000, 0x40000000, s->buffer.v & ~0xfffull,
		(s->buffer.v & ~0xfffull) - 0x3000};
	struct scene_reach reach = {0};

	/* Untranslated, devices would write over anything. */
	if (!(model_read32(s->r.m, model_unit_base(s->r.m, 0) + 0x1c) >> 31))
		return reach;
	for (unsigned d = 0; s->stage == SCENE_FULL && d < SCENE_DEVICES; d++)
		for (unsigned n = 0; n < SCENE_PLACES; n++)
			reach.of[d] |= (uint32_t)reaches(
					       s, devices[d], place[n], false)
					<< (2 * n) |
				(uint32_t)reaches(s, devices[d], place[n], true)
					<< (2 * n + 1);
	return reach;
}

/* ---- the end ------------------------------------------------------------- */

static void end_buffers(struct scene *s)
{
	enum iommu_status st = IOMMU_OK;

	if (s->page)
		st = iommu_dma_free(s->dma, 0, s->page, s->page_iova);
	if (s->ranges)
		st = iommu_dma_unmap_list(
			s->dma, s->range, s->ranges, IOMMU_BOTH_WAYS);
	if (s->has_buffer)
		st = iommu_dma_unmap(s->dma, s->buffer, 100, IOMMU_BOTH_WAYS);
	if (s->dma_made)
		st = iommu_dma_destroy(s->dma_made);
	st = iommu_dma_destroy(s->dma);
	(void)st;
}

static void end_full(struct scene *s)
{
	struct iommu *iommu = s->r.iommu;
	enum iommu_status st;
	bool safe = true;

	end_buffers(s);
	if (s->has_irq)
		st = iommu_irq_free(iommu, &s->irq);
	if (s->has_irq_made)
		st = iommu_irq_free(iommu, &s->irq_made);
	for (unsigned i = 0; i < SCENE_DEVICES; i++) {
		st = iommu_detach(iommu, rig_id(devices[i]));
		safe &= st == IOMMU_OK || st == IOMMU_NOT_ATTACHED;
	}
	st = iommu_domain_destroy(s->mapped);
	st = iommu_domain_destroy(s->buffers);
	st = iommu_domain_destroy(s->idle);
	st = iommu_domain_destroy(s->made);
	st = iommu_domain_destroy(s->shared.domain);
	/* Else they may still be walked. */
	if (safe && st == IOMMU_OK)
		rig_space_free(&s->shared);
}

enum iommu_status scene_end(struct scene *s)
{
	enum iommu_status st = IOMMU_OK;

	if (s->stage == SCENE_FULL) {
		/* Whatever a call has switched off. */
		st = iommu_resume(s->r.iommu);
		st = iommu_power(s->r.iommu, true);
		end_full(s);
	}
	if (s->r.iommu)
		st = iommu_destroy(s->r.iommu);
	return st;
}
