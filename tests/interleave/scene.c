/* SPDX-License-Identifier: MIT */
/*
 * Scenes: how they are made and what must be left of them.
 */
#include "weave.h"

struct iommu_device_id id_of(uint16_t bdf)
{
	return (struct iommu_device_id){.requester = bdf};
}

void ok(enum iommu_status status)
{
	if (status != IOMMU_OK)
		weave_fail("%s", iommu_status_text(status));
}

void scene_open(struct scene *s, const char *kind)
{
	static uint8_t dmar[4096];
	struct rig *r = &s->r;

	memset(s, 0, sizeof *s);
	r->m = model_create_simple(kind, MODEL_LAZY, 1);
	model_host_init(&r->host, r->m, &r->hooks);
	weave_hooks(r);
	iommu_options_default(&r->options);
	r->options.cpus = 2;
	r->options.ats = IOMMU_ON;
	/* Long for the machine, short for whoever waits in vain. */
	r->options.timeout_ns = 2000000;
	r->options.device_timeout_ns = 100000000;
	ok(iommu_create(&r->hooks, &r->options, &r->iommu));
	ok(iommu_discover(r->iommu, dmar, model_dmar(r->m, dmar, sizeof dmar)));
	ok(iommu_start(r->iommu));
}

static void detach_if_attached(struct scene *s, uint16_t bdf)
{
	struct iommu_device_info info;

	ok(iommu_device_info(s->r.iommu, id_of(bdf), &info));
	if (info.state == IOMMU_DEVICE_ATTACHED)
		ok(iommu_detach(s->r.iommu, id_of(bdf)));
	else if (info.state == IOMMU_DEVICE_CHANGING)
		weave_fail("device %04x is neither here nor there", bdf);
}

void scene_close(struct scene *s)
{
	struct model *m = s->r.m;

	model_checkpoint(m);
	detach_if_attached(s, DEV);
	detach_if_attached(s, OTHER);
	detach_if_attached(s, ATS);
	for (unsigned n = 0; n < 2; n++)
		if (s->irq[n].count)
			ok(iommu_irq_free(s->r.iommu, &s->irq[n]));
	if (s->dma)
		ok(iommu_dma_destroy(s->dma));
	for (unsigned n = 0; n < 2; n++)
		ok(iommu_domain_destroy(s->domain[n]));
	model_checkpoint(m);
	ok(iommu_destroy(s->r.iommu));
	if (!s->withheld)
		model_host_check_leaks(&s->r.host);
}

void with_domain(struct scene *s, unsigned n)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	ok(iommu_domain_create(s->r.iommu, &config, &s->domain[n]));
}

void with_page(struct scene *s, unsigned n, uint64_t iova)
{
	s->frame[n] = model_page_alloc(s->r.m, 0, OWNER);
	if (iova)
		ok(iommu_map(s->domain[0], iommu_iova(iova),
			iommu_phys(s->frame[n]), 4096, RW));
}

void attach(struct scene *s, uint16_t bdf, unsigned n)
{
	ok(iommu_attach(s->r.iommu, id_of(bdf), s->domain[n]));
}

bool reaches(struct scene *s, uint16_t bdf, uint64_t iova)
{
	uint64_t value;

	weave_point();
	return model_dma_read(s->r.m, 0, bdf, iova, &value, 8) == MODEL_DMA_OK;
}

bool reaches_frame(struct scene *s, uint16_t bdf, uint64_t iova, unsigned n)
{
	uint64_t *word = model_ptr(s->r.m, s->frame[n]);
	uint64_t value = ++s->count * 0x9e3779b97f4a7c15ull;

	weave_point();
	return model_dma_write(s->r.m, 0, bdf, iova, &value, 8) ==
		MODEL_DMA_OK &&
		*word == value;
}

void give_away(struct scene *s, unsigned n)
{
	weave_point();
	model_page_free(s->r.m, s->frame[n], 0);
	s->frame[n] = 0;
}
