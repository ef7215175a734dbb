/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface: addresses handed out on one CPU and taken back on another,
 * strict and deferred, from lanes of their own and from one that they share.
 */
#include "weave.h"

static void make_space(struct scene *s, const struct iommu_dma_config *config)
{
	with_domain(s, 0);
	attach(s, DEV, 0);
	ok(iommu_dma_create(s->domain[0], config, &s->dma));
	for (unsigned n = 0; n < 2; n++) {
		with_page(s, n, 0);
		ok(iommu_dma_map(s->dma, iommu_phys(s->frame[n]), 4096, ~0ull,
			IOMMU_BOTH_WAYS, &s->iova[n]));
	}
	with_page(s, 2, 0);
	with_page(s, 3, 0);
}

static void strict(struct scene *s)
{
	make_space(s, &(struct iommu_dma_config){.deferred = false});
}

/** It takes two unmaps for a flush, or somebody who asks. */
static void waiting(struct scene *s)
{
	make_space(s,
		&(struct iommu_dma_config){.deferred = true, .defer_count = 2});
}

/** Each unmap asks for a flush. */
static void deferred(struct scene *s)
{
	make_space(s,
		&(struct iommu_dma_config){.deferred = true, .defer_count = 1});
}

/** One CPU's lane is in use by another. */
static void one_lane(struct scene *s)
{
	strict(s);
	s->one_cpu = true;
}

static void one_lane_deferred(struct scene *s)
{
	deferred(s);
	s->one_cpu = true;
}

static void released(void *cookie)
{
	give_away(&scene, (unsigned)(uintptr_t)cookie - 1);
}

static void told_later(struct scene *s)
{
	make_space(s,
		&(struct iommu_dma_config){.deferred = true,
			.defer_count = 1,
			.released = released});
}

/* ---- what CPUs do -------------------------------------------------------- */

/** Maps frame 2 + n, uses it, keeps the address in s->iova[n]. */
static void map_new(struct scene *s, unsigned n)
{
	WEAVE_CHECK(iommu_dma_map(s->dma, iommu_phys(s->frame[2 + n]), 4096,
			    ~0ull, IOMMU_BOTH_WAYS, &s->iova[n]) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, DEV, s->iova[n].v, 2 + n));
}

static void unmap_old(struct scene *s, unsigned n)
{
	WEAVE_CHECK(iommu_dma_unmap(s->dma, s->iova[n], 4096,
			    IOMMU_BOTH_WAYS) == IOMMU_OK);
	s->iova[n] = iommu_iova(0);
}

static void map_new_0(struct scene *s)
{
	iommu_iova_t old = s->iova[0];

	map_new(s, 0);
	/* It keeps the old one, too. */
	WEAVE_CHECK(reaches_frame(s, DEV, old.v, 0));
	WEAVE_CHECK(iommu_dma_unmap(s->dma, old, 4096, IOMMU_BOTH_WAYS) ==
		IOMMU_OK);
}

static void exchange_1(struct scene *s)
{
	unmap_old(s, 1);
	map_new(s, 1);
}

static void exchange_0(struct scene *s)
{
	unmap_old(s, 0);
	map_new(s, 0);
}

static void unmap_strictly(struct scene *s)
{
	unmap_old(s, 1);
	give_away(s, 1);
}

static void unmap_0_strictly(struct scene *s)
{
	unmap_old(s, 0);
	give_away(s, 0);
}

static void later(struct scene *s, unsigned n)
{
	iommu_iova_t at = s->iova[n];

	s->iova[n] = iommu_iova(0);
	WEAVE_CHECK(iommu_dma_unmap_later(s->dma, at, 4096, IOMMU_BOTH_WAYS,
			    (void *)(uintptr_t)(n + 1)) == IOMMU_OK);
}

static void unmap_later_0(struct scene *s)
{
	later(s, 0);
	map_new(s, 0);
}

static void unmap_later_1(struct scene *s)
{
	later(s, 1);
}

static void flush(struct scene *s)
{
	WEAVE_CHECK(iommu_dma_flush(s->dma) == IOMMU_OK);
}

/* ---- what is left -------------------------------------------------------- */

static void all_back(struct scene *s)
{
	for (unsigned n = 0; n < 2; n++)
		if (s->iova[n].v) {
			bool fresh = reaches_frame(s, DEV, s->iova[n].v, 2 + n);

			WEAVE_CHECK(fresh ||
				reaches_frame(s, DEV, s->iova[n].v, n));
			ok(iommu_dma_unmap(
				s->dma, s->iova[n], 4096, IOMMU_BOTH_WAYS));
		}
	ok(iommu_dma_flush(s->dma));
	for (unsigned n = 0; n < FRAMES; n++)
		if (s->frame[n])
			give_away(s, n);
}

static void released_at_last(struct scene *s)
{
	ok(iommu_dma_flush(s->dma));
	WEAVE_CHECK(!s->frame[0] && !s->frame[1]);
	all_back(s);
}

#define KINDS "plain -non-coherent -caching"

const struct pair pairs_of_dma[] = {
	{"dma-map-unmap", KINDS, strict, {map_new_0, unmap_strictly}, all_back},
	{"dma-unmap-unmap", KINDS, strict, {unmap_0_strictly, unmap_strictly},
		all_back},
	{"dma-exchange", KINDS, strict, {exchange_0, exchange_1}, all_back},
	{"dma-one-lane", KINDS, one_lane, {exchange_0, exchange_1}, all_back},
	{"dma-one-lane-deferred", "-plain --non-coherent --caching",
		one_lane_deferred, {exchange_0, exchange_1}, all_back},
	{"dma-deferred", KINDS, deferred, {exchange_0, exchange_1}, all_back},
	{"dma-deferred-flush", KINDS, waiting, {exchange_0, flush}, all_back},
	{"dma-later", KINDS, told_later, {unmap_later_0, unmap_later_1},
		released_at_last},
	{.name = NULL},
};
