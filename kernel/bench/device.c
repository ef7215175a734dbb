/* SPDX-License-Identifier: MIT */
/* A device into a domain and out again, and the whole life of a domain. */
#include "bench/bench.h"
#include "mem/mem.h"

#define TIMES 128

static enum iommu_status create(struct bench *b)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	return iommu_domain_create(host_iommu, &config, &b->domain);
}

enum iommu_status bench_attached(struct bench *b)
{
	enum iommu_status st = create(b);

	return st == IOMMU_OK ? iommu_attach(host_iommu, b->device, b->domain)
			      : st;
}

enum iommu_status bench_detached(struct bench *b)
{
	enum iommu_status st = IOMMU_OK, end;

	if (b->domain && iommu_domain_devices(b->domain))
		st = iommu_detach(host_iommu, b->device);
	end = iommu_domain_destroy(b->domain);
	if (end == IOMMU_OK)
		b->domain = NULL;
	return st == IOMMU_OK ? end : st;
}

static enum iommu_status in_and_out(struct bench *b)
{
	unsigned count = bench_times(b, TIMES);
	enum iommu_status st = IOMMU_OK;

	for (unsigned i = 0; i < count && st == IOMMU_OK; i++) {
		bench_start(b);
		st = iommu_attach(host_iommu, b->device, b->domain);
		bench_stop(b, 0, 1);
		if (st != IOMMU_OK)
			break;
		bench_start(b);
		st = iommu_detach(host_iommu, b->device);
		bench_stop(b, 1, 1);
	}
	return st;
}

static enum iommu_status life(struct bench *b)
{
	iommu_iova_t at = iommu_iova(b->iova);
	unsigned count = bench_times(b, TIMES);
	enum iommu_status st = IOMMU_OK;

	bench_start(b);
	for (unsigned i = 0; i < count && st == IOMMU_OK; i++) {
		st = bench_attached(b);
		if (st == IOMMU_OK)
			st = iommu_map(b->domain, at, iommu_phys(b->phys),
				PAGE_SIZE, IOMMU_READ | IOMMU_WRITE);
		if (st == IOMMU_OK)
			st = iommu_unmap_now(b->domain, at, PAGE_SIZE);
		if (st == IOMMU_OK)
			st = bench_detached(b);
	}
	bench_stop(b, 0, count);
	return st;
}

const struct bench_case bench_device[] = {
	{{"attach", "detach"}, false, create, in_and_out, bench_detached},
	{{"domain-life"}, false, NULL, life, bench_detached},
	{.round = NULL},
};
