/* SPDX-License-Identifier: MIT */
/*
 * Pages of one domain: mapped, unmapped, their tables made and given back.
 */
#include "weave.h"

static enum iommu_status map(struct scene *s, unsigned n, uint64_t iova)
{
	return iommu_map(s->domain[0], iommu_iova(iova),
		iommu_phys(s->frame[n]), 4096, RW);
}

static enum iommu_status unmap(struct scene *s, uint64_t iova, uint64_t size)
{
	return iommu_unmap_now(s->domain[0], iommu_iova(iova), size);
}

/** Who is told that a page is mapped may use it at once. */
static void map_here(struct scene *s)
{
	WEAVE_CHECK(map(s, 0, HERE) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, DEV, HERE, 0));
}

static void map_next(struct scene *s)
{
	WEAVE_CHECK(map(s, 0, NEXT) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, DEV, NEXT, 0));
}

static void map_beside(struct scene *s)
{
	WEAVE_CHECK(map(s, 1, BESIDE) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, DEV, BESIDE, 1));
}

/** Who is told that a page is unmapped may give it to somebody else. */
static void unmap_here(struct scene *s)
{
	WEAVE_CHECK(unmap(s, HERE, 4096) == IOMMU_OK);
	give_away(s, 0);
}

static void unmap_beside(struct scene *s)
{
	WEAVE_CHECK(unmap(s, BESIDE, 4096) == IOMMU_OK);
	give_away(s, 1);
}

static void unmap_table_here(struct scene *s)
{
	WEAVE_CHECK(unmap(s, HERE, TABLE_SIZE) == IOMMU_OK);
	give_away(s, 1);
}

static void unmap_next(struct scene *s)
{
	WEAVE_CHECK(unmap(s, NEXT, TABLE_SIZE) == IOMMU_OK);
	give_away(s, 0);
}

/* ---- states to begin with ------------------------------------------------ */

static void empty(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, 0);
	with_page(s, 1, 0);
	attach(s, DEV, 0);
}

static void beside_mapped(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, 0);
	with_page(s, 1, BESIDE);
	attach(s, DEV, 0);
}

static void both_mapped(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, HERE);
	with_page(s, 1, BESIDE);
	attach(s, DEV, 0);
}

static void two_tables(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, NEXT);
	with_page(s, 1, BESIDE);
	attach(s, DEV, 0);
}

static void large_page(struct scene *s)
{
	with_domain(s, 0);
	ok(iommu_map(s->domain[0], iommu_iova(HERE), iommu_phys(0x200000),
		TABLE_SIZE, RW));
	attach(s, DEV, 0);
}

/* ---- what is left -------------------------------------------------------- */

static void reach(struct scene *s, bool here, bool beside, bool next)
{
	WEAVE_CHECK(reaches(s, DEV, HERE) == here);
	WEAVE_CHECK(reaches(s, DEV, BESIDE) == beside);
	WEAVE_CHECK(reaches(s, DEV, NEXT) == next);
	ok(unmap(s, HERE, 2 * TABLE_SIZE));
	WEAVE_CHECK(!reaches(s, DEV, HERE));
	for (unsigned n = 0; n < 2; n++)
		if (s->frame[n])
			give_away(s, n);
}

static void here_only(struct scene *s)
{
	reach(s, true, false, false);
}

static void next_only(struct scene *s)
{
	reach(s, false, false, true);
}

static void here_and_beside(struct scene *s)
{
	reach(s, true, true, false);
}

static void beside_and_next(struct scene *s)
{
	reach(s, false, true, true);
}

static void nothing(struct scene *s)
{
	reach(s, false, false, false);
}

/* ---- a large page with two holes ----------------------------------------- */

static void hole_here(struct scene *s)
{
	WEAVE_CHECK(unmap(s, HERE, 4096) == IOMMU_OK);
	WEAVE_CHECK(!reaches(s, DEV, HERE));
}

static void hole_beside(struct scene *s)
{
	WEAVE_CHECK(unmap(s, BESIDE, 4096) == IOMMU_OK);
	WEAVE_CHECK(!reaches(s, DEV, BESIDE));
}

static void two_holes(struct scene *s)
{
	WEAVE_CHECK(reaches(s, DEV, HERE + 0x2000));
	reach(s, false, false, false);
}

#define KINDS "plain -non-coherent -worst-memory -caching -no-qi"

const struct pair pairs_of_maps[] = {
	{"map-map", KINDS, empty, {map_here, map_beside}, here_and_beside},
	{"map-map-next", KINDS, empty, {map_next, map_beside}, beside_and_next},
	{"map-unmap", KINDS, beside_mapped, {map_here, unmap_beside},
		here_only},
	{"map-unmap-table", KINDS, beside_mapped, {map_next, unmap_table_here},
		next_only},
	{"unmap-unmap", KINDS, both_mapped, {unmap_here, unmap_beside},
		nothing},
	{"unmap-table-table", KINDS, two_tables, {unmap_next, unmap_table_here},
		nothing},
	{"split-split", "plain -non-coherent --caching", large_page,
		{hole_here, hole_beside}, two_holes},
	{.name = NULL},
};
