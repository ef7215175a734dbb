/* SPDX-License-Identifier: MIT */
/*
 * The DMA interface on QEMU's own unit, as its tests on the model have it:
 * deferred flushes, buffers that are released, lists of pieces, memory for both
 * sides, directions, the identity.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <iommu/dma.h>
#include "support/rig.h"

#define PAGE 4096ull

static struct rig r;
static struct iommu_domain *domain;
static struct iommu_dma *dma;

static void open_space(
	void **state, const struct iommu_dma_config *config, bool identity)
{
	struct iommu_domain_config kind = {.kind = IOMMU_DOMAIN_MAPPED};

	rig_start(&r, *state, NULL);
	domain = iommu_domain_identity(r.iommu);
	if (!identity)
		OK(iommu_domain_create(r.iommu, &kind, &domain));
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	OK(iommu_dma_create(domain, config, &dma));
}

static void close_space(void)
{
	OK(iommu_dma_destroy(dma));
	OK(iommu_detach(r.iommu, r.edu[0]));
	if (domain != iommu_domain_identity(r.iommu))
		OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

static iommu_iova_t map(uint64_t phys, size_t size)
{
	iommu_iova_t iova;

	OK(iommu_dma_map(
		dma, iommu_phys(phys), size, ~0ull, IOMMU_FROM_DEVICE, &iova));
	return iova;
}

/** The unit remembers what was unmapped until the shared flush: whatever is
 *  handed out meanwhile lies elsewhere, and after the flush all is out of
 *  reach. */
static void deferred_window_ends_with_the_flush(void **state)
{
	struct iommu_dma_config config = {.deferred = true, .defer_count = 200};
	iommu_iova_t iova[8];
	uint64_t page[8];
	unsigned n, i;

	open_space(state, &config, false);
	for (n = 0; n < 8; n++) {
		page[n] = qemu_pages(&r.q, 0);
		iova[n] = map(page[n], PAGE);
		assert_true(rig_reaches(&r, 0, iova[n].v, page[n]));
		OK(iommu_dma_unmap(dma, iova[n], PAGE, IOMMU_FROM_DEVICE));
		for (i = 0; i < n; i++)
			assert_int_not_equal(iova[i].v, iova[n].v);
	}
	/* QEMU's IOTLB still has them: this is the window. */
	assert_true(rig_reaches(&r, 0, iova[7].v, page[7]));
	OK(iommu_dma_flush(dma));
	for (n = 0; n < 8; n++)
		assert_false(rig_reaches(&r, 0, iova[n].v, page[n]));
	close_space();
}

static struct buffer {
	uint64_t page;
	iommu_iova_t iova;
	bool released;
} buffers[40];

static void note_release(void *cookie)
{
	struct buffer *b = cookie;

	assert_false(b->released);
	b->released = true;
	assert_false(rig_reaches(&r, 0, b->iova.v, b->page));
}

static void released_means_out_of_reach(void **state)
{
	for (unsigned deferred = 0; deferred < 2; deferred++) {
		struct iommu_dma_config config = {.deferred = deferred,
			.defer_count = 16,
			.released = note_release};
		unsigned n, waiting = 0;

		memset(buffers, 0, sizeof(buffers));
		open_space(state, &config, false);
		for (n = 0; n < 40; n++) {
			struct buffer *b = &buffers[n];

			b->page = qemu_pages(&r.q, 0);
			b->iova = map(b->page, PAGE);
			assert_true(rig_reaches(&r, 0, b->iova.v, b->page));
			OK(iommu_dma_unmap_later(
				dma, b->iova, PAGE, IOMMU_FROM_DEVICE, b));
			waiting += !b->released;
		}
		assert_int_equal(waiting > 0, deferred);
		OK(iommu_dma_flush(dma));
		for (n = 0; n < 40; n++)
			assert_true(buffers[n].released);
		close_space();
	}
}

/** Scattered pieces side by side: one transfer crosses from one to the next. */
static void lists_become_runs(void **state)
{
	struct iommu_dma_config config = {.guard = true};
	struct iommu_dma_piece piece[4];
	struct iommu_dma_range range[4];
	uint64_t page[8], *last, *first;
	unsigned n, count;

	open_space(state, &config, false);
	for (n = 0; n < 8; n++)
		page[n] = qemu_pages(&r.q, 0);
	for (n = 0; n < 4; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(page[2 * (3 - n)]), PAGE};
	OK(iommu_dma_map_list(
		dma, piece, 4, ~0ull, IOMMU_FROM_DEVICE, range, &count));
	assert_int_equal(count, 1);
	assert_int_equal(range[0].size, 4 * PAGE);
	for (n = 1; n < 4; n++) {
		last = (uint64_t *)qemu_at(&r.q, piece[n - 1].phys.v) + 511;
		first = qemu_at(&r.q, piece[n].phys.v);
		*last = *first = 1;
		edu_dma(&r.q, r.bar[0], true, range[0].iova.v + n * PAGE - 8, 0,
			16);
		assert_true(!*last && !*first);
	}
	/* Behind it lies nothing. */
	assert_false(rig_reaches(
		&r, 0, range[0].iova.v + 4 * PAGE, piece[3].phys.v + PAGE));
	OK(iommu_dma_unmap_list(dma, range, count, IOMMU_FROM_DEVICE));
	for (n = 0; n < 4; n++)
		assert_false(rig_reaches(
			&r, 0, range[0].iova.v + n * PAGE, piece[n].phys.v));
	close_space();
}

/** A device writes into what it was to write, and reads what it was to read. */
static void directions_are_kept(void **state)
{
	struct iommu_dma_config config = {0};
	struct iommu_fault fault;
	iommu_iova_t in, out;
	uint64_t page[2], *word[2];
	unsigned n;

	open_space(state, &config, false);
	for (n = 0; n < 2; n++) {
		page[n] = qemu_pages(&r.q, 0);
		word[n] = qemu_at(&r.q, page[n]);
	}
	OK(iommu_dma_map(
		dma, iommu_phys(page[0]), PAGE, ~0ull, IOMMU_TO_DEVICE, &out));
	OK(iommu_dma_map(
		dma, iommu_phys(page[1]), PAGE, ~0ull, IOMMU_FROM_DEVICE, &in));
	*word[0] = 0x1234567;
	edu_dma(&r.q, r.bar[0], false, out.v, 64, 8);
	edu_dma(&r.q, r.bar[0], true, in.v, 64, 8);
	assert_int_equal(*word[1], 0x1234567);
	/* Afresh: what the unit has cached it refuses without a record. */
	OK(iommu_dma_unmap(dma, out, PAGE, IOMMU_TO_DEVICE));
	OK(iommu_dma_map(
		dma, iommu_phys(page[0]), PAGE, ~0ull, IOMMU_TO_DEVICE, &out));
	assert_false(rig_reaches(&r, 0, out.v, page[0]));
	rig_fault(&r, &fault);
	assert_true(fault.write);
	assert_true(fault.address.v == out.v);
	OK(iommu_dma_unmap(dma, out, PAGE, IOMMU_TO_DEVICE));
	OK(iommu_dma_unmap(dma, in, PAGE, IOMMU_FROM_DEVICE));
	close_space();
}

static void memory_for_both_sides(void **state)
{
	for (unsigned identity = 0; identity < 2; identity++) {
		struct iommu_dma_config config = {0};
		iommu_iova_t iova;
		uint64_t *word;
		void *virt;

		open_space(state, &config, identity);
		OK(iommu_dma_alloc(dma, 2, 0xffffffff, &virt, &iova));
		assert_true(iova.v <= 0xffffffff);
		word = (uint64_t *)virt + 3 * 512;
		*word = 0x5566;
		edu_dma(&r.q, r.bar[0], false, iova.v + 3 * PAGE, 64, 8);
		edu_dma(&r.q, r.bar[0], true, iova.v + 3 * PAGE + 8, 64, 8);
		assert_int_equal(word[1], 0x5566);
		/* In an identity domain these are its physical addresses. */
		assert_int_equal(
			qemu_at(&r.q, iova.v & (QEMU_MEMORY - 1)) == virt,
			identity);
		OK(iommu_dma_free(dma, 2, virt, iova));
		close_space();
	}
}

static char *const units[] = {"aw-bits=48", "aw-bits=39,caching-mode=on"};

#define EACH(test)                                                 \
	{#test " (48)", test, NULL, NULL, units[0]},               \
	{                                                          \
#test " (39, caching)", test, NULL, NULL, units[1] \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(deferred_window_ends_with_the_flush),
		EACH(released_means_out_of_reach),
		EACH(lists_become_runs),
		EACH(directions_are_kept),
		EACH(memory_for_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
