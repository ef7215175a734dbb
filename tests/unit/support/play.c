/* SPDX-License-Identifier: MIT */
/* See play.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "play.h"

enum {
	PAGE = 4096,
};

unsigned play_cpu;

static unsigned cpu_index(void *ctx)
{
	(void)ctx;
	return play_cpu;
}

void play_open_domain(struct play *p, const char *kind,
	enum iommu_domain_kind what, unsigned cpus)
{
	struct iommu_domain_config config = {.kind = what};

	memset(p, 0, sizeof(*p));
	rig_open(&p->r, kind, MODEL_LAZY, 1);
	p->r.options.cpus = cpus;
	p->r.options.timeout_ns = 1000000;
	p->r.options.device_timeout_ns = 1000000;
	p->r.hooks.cpu_index = cpu_index;
	play_cpu = 0;
	rig_start_ok(&p->r);
	p->memory = model_page_alloc(p->r.m, PLAY_ORDER, 9);
	memset(model_ptr(p->r.m, p->memory), 0, (size_t)PAGE << PLAY_ORDER);
	OK(iommu_domain_create(p->r.iommu, &config, &p->domain));
	OK(iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain));
}

void play_open(struct play *p, const char *kind, enum iommu_domain_kind what,
	const struct iommu_dma_config *config, unsigned cpus)
{
	play_open_domain(p, kind, what, cpus);
	OK(iommu_dma_create(p->domain, config, &p->dma));
}

void play_close_domain(struct play *p)
{
	OK(iommu_detach(p->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p->domain));
	model_page_free(p->r.m, p->memory, PLAY_ORDER);
	rig_close(&p->r);
}

void play_close(struct play *p)
{
	OK(iommu_dma_destroy(p->dma));
	play_close_domain(p);
}

enum iommu_status play_map(
	struct play *p, size_t size, uint64_t mask, uint64_t *out)
{
	iommu_iova_t iova = {0};
	enum iommu_status status = iommu_dma_map(p->dma, iommu_phys(p->memory),
		size, mask, IOMMU_BOTH_WAYS, &iova);

	*out = iova.v;
	return status;
}

enum iommu_status play_unmap(struct play *p, size_t size, uint64_t iova)
{
	return iommu_dma_unmap(p->dma, iommu_iova(iova), size, IOMMU_BOTH_WAYS);
}

void play_pieces(struct play *p, struct iommu_dma_piece *piece)
{
	for (unsigned n = 0; n < PLAY_PIECES; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(p->memory + n * 0x3000 + 0x10 * n),
			0x800 + n};
}
