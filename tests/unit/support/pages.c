/* SPDX-License-Identifier: MIT */
/* See pages.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "pages.h"
#include "words.h"

void pages_open(struct pages *p, const char *kind, enum model_mode mode)
{
	rig_run(&p->r, kind, mode, 1);
	p->domain = rig_mapped_domain(&p->r);
	iommu_batch_init(&p->batch, p->domain);
	OK(iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain));
}

void pages_close(struct pages *p)
{
	OK(iommu_unmap_now(p->domain, iommu_iova(0), 1ull << 39));
	OK(iommu_detach(p->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p->domain));
	rig_close(&p->r);
}

void pages_map(struct pages *p, uint64_t iova, uint64_t phys, uint64_t size,
	unsigned rights)
{
	OK(iommu_map(
		p->domain, iommu_iova(iova), iommu_phys(phys), size, rights));
}

void pages_map_small(struct pages *p, uint64_t iova, uint64_t phys,
	uint64_t size, unsigned rights)
{
	for (uint64_t at = 0; at < size; at += 4096)
		pages_map(p, iova + at, phys + at, 4096, rights);
}

void pages_flush(struct pages *p)
{
	OK(iommu_batch_flush(&p->batch));
	rig_check(&p->r);
}

uint64_t pages_lead_to(struct pages *p, uint64_t iova)
{
	iommu_phys_t phys;

	OK(iommu_iova_to_phys(p->domain, iommu_iova(iova), &phys));
	return phys.v;
}

uint64_t pages_size_at(struct rig *r, uint64_t iova)
{
	const char *at;

	words_start();
	OK(iommu_report_walk(
		r->iommu, rig_id(RIG_DEV), iommu_iova(iova), words_sink, NULL));
	at = strstr(words, " bytes");
	while (at && at > words && at[-1] != ' ')
		at--;
	return at ? (uint64_t)atoll(at) : 0;
}
