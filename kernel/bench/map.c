/* SPDX-License-Identifier: MIT */
/* Mapping and unmapping in a mapped domain that has a device. Unless said,
 * operations go through consecutive addresses, so a table is made and given
 * back now and then, and its share is in the figures. */
#include "bench/bench.h"
#include "mem/mem.h"

#define GIB (1ull << 30)
#define RIGHTS (IOMMU_READ | IOMMU_WRITE)
#define SCATTERED 64
/* A page in each megabyte, never at the same place in its table. */
#define STRIDE ((1ull << 20) + PAGE_SIZE)

static enum iommu_status map_one(
	struct bench *b, uint64_t offset, uint64_t phys_offset, uint64_t size)
{
	return iommu_map(b->domain, iommu_iova(b->iova + offset),
		iommu_phys(b->phys + phys_offset), size, RIGHTS);
}

static enum iommu_status in_turn(struct bench *b, uint64_t size, unsigned most)
{
	unsigned count = bench_times(b, most);
	enum iommu_status st = IOMMU_OK;

	bench_start(b);
	for (unsigned i = 0; i < count && st == IOMMU_OK; i++)
		st = map_one(b, i * size, i * size, size);
	bench_stop(b, 0, count);
	bench_start(b);
	for (unsigned i = 0; i < count && st == IOMMU_OK; i++)
		st = iommu_unmap_now(
			b->domain, iommu_iova(b->iova + i * size), size);
	bench_stop(b, 1, count);
	return st;
}

static enum iommu_status pages(struct bench *b)
{
	return in_turn(b, PAGE_SIZE, 4096);
}

static enum iommu_status pieces_of_64k(struct bench *b)
{
	return in_turn(b, 65536, 1024);
}

static enum iommu_status large_pages(struct bench *b)
{
	return in_turn(b, LARGE_PAGE_SIZE, 256);
}

/* The same page again and again; its neighbour keeps the table. */
static enum iommu_status same_page(struct bench *b)
{
	enum iommu_status st = map_one(b, PAGE_SIZE, 0, PAGE_SIZE);
	iommu_iova_t at = iommu_iova(b->iova);
	unsigned count = bench_times(b, 4096);

	bench_start(b);
	for (unsigned i = 0; i < count && st == IOMMU_OK; i++) {
		st = map_one(b, 0, 0, PAGE_SIZE);
		if (st == IOMMU_OK)
			st = iommu_unmap_now(b->domain, at, PAGE_SIZE);
	}
	bench_stop(b, 0, count);
	if (st != IOMMU_OK)
		return st;
	return iommu_unmap_now(
		b->domain, iommu_iova(b->iova + PAGE_SIZE), PAGE_SIZE);
}

static enum iommu_status scattered(struct bench *b)
{
	enum iommu_status st = IOMMU_OK;
	struct iommu_batch batch;

	for (unsigned i = 0; i < SCATTERED && st == IOMMU_OK; i++)
		st = map_one(b, i * STRIDE, i * STRIDE, PAGE_SIZE);
	bench_start(b);
	iommu_batch_init(&batch, b->domain);
	for (unsigned i = 0; i < SCATTERED && st == IOMMU_OK; i++)
		st = iommu_unmap(b->domain, iommu_iova(b->iova + i * STRIDE),
			PAGE_SIZE, &batch, NULL);
	if (st == IOMMU_OK)
		st = iommu_batch_flush(&batch);
	bench_stop(b, 0, SCATTERED);
	return st;
}

/* The memory is off by a page, so that no large page fits. */
static enum iommu_status gigabyte(struct bench *b)
{
	enum iommu_status st;

	bench_start(b);
	st = map_one(b, 0, PAGE_SIZE, GIB);
	bench_stop(b, 0, GIB / PAGE_SIZE);
	if (st != IOMMU_OK)
		return st;
	bench_start(b);
	st = iommu_unmap_now(b->domain, iommu_iova(b->iova), GIB);
	bench_stop(b, 1, GIB / PAGE_SIZE);
	return st;
}

#define CASE(rounds, both, ...)                             \
	{                                                   \
		.row = {__VA_ARGS__}, .two_cpus = both,     \
		.prepare = bench_attached, .round = rounds, \
		.finish = bench_detached,                   \
	}

const struct bench_case bench_map[] = {
	CASE(pages, true, "map-4k", "unmap-4k"),
	CASE(pieces_of_64k, false, "map-64k", "unmap-64k"),
	CASE(large_pages, false, "map-2m", "unmap-2m"),
	CASE(same_page, true, "map-unmap-4k"),
	CASE(scattered, false, "unmap-64-scattered"),
	CASE(gigabyte, false, "map-1g-of-4k", "unmap-1g-of-4k"),
	{.round = NULL},
};
