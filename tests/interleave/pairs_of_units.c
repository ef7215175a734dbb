/* SPDX-License-Identifier: MIT */
/*
 * Units switched off, suspended and in trouble, while others go on.
 */
#include "weave.h"

static void one_page(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, HERE);
	attach(s, DEV, 0);
}

static void unmap(struct scene *s)
{
	WEAVE_CHECK(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096) ==
		IOMMU_OK);
	give_away(s, 0);
}

static void map_beside(struct scene *s)
{
	WEAVE_CHECK(iommu_map(s->domain[0], iommu_iova(BESIDE),
			    iommu_phys(s->frame[1]), 4096, RW) == IOMMU_OK);
}

/* ---- power --------------------------------------------------------------- */

static void off_and_on(struct scene *s)
{
	WEAVE_CHECK(iommu_power(s->r.iommu, false) == IOMMU_OK);
	WEAVE_CHECK(iommu_power(s->r.iommu, true) == IOMMU_OK);
}

static void two_pages(struct scene *s)
{
	one_page(s);
	with_page(s, 1, 0);
}

/** The host does not attach meanwhile; if it does all the same, it is told no
 *  or gets what it asked for. */
static void attach_perhaps(struct scene *s)
{
	s->got[1] = iommu_attach(s->r.iommu, id_of(OTHER), s->domain[0]);
	WEAVE_CHECK(s->got[1] == IOMMU_OK || s->got[1] == IOMMU_OFF);
}

/** Or that the unit did not confirm, which it could not. */
static void attach_or_off(struct scene *s)
{
	s->got[1] = iommu_attach(s->r.iommu, id_of(OTHER), s->domain[0]);
	WEAVE_CHECK(s->got[1] == IOMMU_OK || s->got[1] == IOMMU_OFF ||
		s->got[1] == IOMMU_UNCONFIRMED);
}

static void other_as_told(struct scene *s)
{
	WEAVE_CHECK(reaches(s, OTHER, HERE) == (s->got[1] == IOMMU_OK));
	WEAVE_CHECK(reaches_frame(s, DEV, HERE, 0));
	ok(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096));
	give_away(s, 0);
}

static void nothing_here(struct scene *s)
{
	WEAVE_CHECK(!reaches(s, DEV, HERE));
}

static void both_here(struct scene *s)
{
	WEAVE_CHECK(reaches_frame(s, DEV, HERE, 0));
	WEAVE_CHECK(reaches_frame(s, DEV, BESIDE, 1));
	ok(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 2 * 4096));
	give_away(s, 0);
	give_away(s, 1);
}

/* ---- suspend ------------------------------------------------------------- */

static void suspend(struct scene *s)
{
	WEAVE_CHECK(iommu_suspend(s->r.iommu) == IOMMU_OK);
}

static void unmap_or_lose(struct scene *s)
{
	s->got[1] = iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096);
	WEAVE_CHECK(s->got[1] == IOMMU_OK || s->got[1] == IOMMU_UNCONFIRMED);
	if (s->got[1] == IOMMU_OK)
		give_away(s, 0);
}

static void resume(struct scene *s)
{
	model_unit_reset(s->r.m, 0);
	ok(iommu_resume(s->r.iommu));
	WEAVE_CHECK(!reaches(s, DEV, HERE));
	if (s->frame[0])
		give_away(s, 0);
}

static void resume_with_other(struct scene *s)
{
	s->withheld = s->got[1] == IOMMU_UNCONFIRMED;
	model_unit_reset(s->r.m, 0);
	ok(iommu_resume(s->r.iommu));
	other_as_told(s);
}

/* ---- a device that does not answer --------------------------------------- */

/** By what it was told before. */
static bool ats_reaches(struct scene *s, uint64_t iova)
{
	uint64_t value;

	weave_point();
	return model_ats_dma(s->r.m, 0, ATS, iova, &value, 8, false) ==
		MODEL_DMA_OK;
}

static void silent_device(struct scene *s)
{
	one_page(s);
	with_domain(s, 1);
	attach(s, ATS, 1);
	s->frame[1] = model_page_alloc(s->r.m, 0, OWNER);
	ok(iommu_map(s->domain[1], iommu_iova(HERE), iommu_phys(s->frame[1]),
		4096, RW));
	WEAVE_CHECK(ats_reaches(s, HERE));
	model_ats_behave(s->r.m, 0, ATS, MODEL_ATS_NEVER);
}

static void silent(struct scene *s, uint64_t iova)
{
	enum iommu_status status =
		iommu_unmap_now(s->domain[1], iommu_iova(iova), 4096);

	WEAVE_CHECK(status == IOMMU_UNCONFIRMED || status == IOMMU_OK);
	/* Whoever is told that it is done relies on that. */
	if (status == IOMMU_OK)
		WEAVE_CHECK(!ats_reaches(s, iova));
}

static void unmap_silent(struct scene *s)
{
	silent(s, HERE);
}

static void unmap_silent_beside(struct scene *s)
{
	silent(s, BESIDE);
}

static void blamed(struct scene *s)
{
	struct iommu_device_info info;

	ok(iommu_device_info(s->r.iommu, id_of(ATS), &info));
	WEAVE_CHECK(info.state == IOMMU_DEVICE_QUARANTINED);
	WEAVE_CHECK(!reaches(s, DEV, HERE));
	WEAVE_CHECK(!reaches(s, ATS, HERE));
}

static void two_silent_pages(struct scene *s)
{
	silent_device(s);
	s->frame[2] = model_page_alloc(s->r.m, 0, OWNER);
	ok(iommu_map(s->domain[1], iommu_iova(BESIDE), iommu_phys(s->frame[2]),
		4096, RW));
	WEAVE_CHECK(ats_reaches(s, BESIDE));
}

static void both_blamed(struct scene *s)
{
	ok(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096));
	give_away(s, 0);
	blamed(s);
}

#define KINDS "plain -non-coherent -caching"
#define SLOW_KINDS "--plain --caching"

const struct pair pairs_of_units[] = {
	{"power-unmap", KINDS, one_page, {off_and_on, unmap}, nothing_here},
	{"power-map", KINDS, two_pages, {off_and_on, map_beside}, both_here},
	{"power-attach", KINDS, one_page, {off_and_on, attach_perhaps},
		other_as_told},
	{"suspend-unmap", KINDS, one_page, {suspend, unmap_or_lose}, resume},
	{"suspend-attach", KINDS, one_page, {suspend, attach_or_off},
		resume_with_other},
	{"silent-unmap", "-plain --caching", silent_device,
		{unmap_silent, unmap}, blamed},
	{"silent-silent", SLOW_KINDS, two_silent_pages,
		{unmap_silent, unmap_silent_beside}, both_blamed},
	{.name = NULL},
};
