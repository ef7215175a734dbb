/* SPDX-License-Identifier: MIT */
/*
 * Large pages of a mapped domain: small ones joined to them, holes cut into
 * them, and what happens when there is no page for the table that a cut needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "support/pages.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define M2 0x200000ull
#define G1 0x40000000ull

static void join(struct pages *p, uint64_t iova, uint64_t size)
{
	OK(iommu_join(p->domain, iommu_iova(iova), size, &p->batch));
}

static void small_pages_become_large(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "non-coherent",
		"write-buffer", "worst-memory", "no-snoop-control"};

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		unsigned before;
		struct pages p;

		pages_open(&p, kinds[k / 2], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		pages_map_small(&p, 3 * M2, 5 * M2, M2, RW);
		assert_int_equal(pages_size_at(&p.r, 3 * M2), 4096);
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2));
		assert_true(rig_can_write(&p.r, RIG_DEV, 4 * M2 - 8));
		before =
			(unsigned)model_pages_in_use(p.r.m, MODEL_OWNER_DRIVER);
		join(&p, 3 * M2, M2);
		assert_int_equal(pages_size_at(&p.r, 3 * M2), M2);
		assert_int_equal(
			pages_lead_to(&p, 3 * M2 + 0x12345), 5 * M2 + 0x12345);
		pages_flush(&p);
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2 + 0x1000));
		/* The table went back; at most the reserve was filled. */
		assert_true(model_pages_in_use(p.r.m, MODEL_OWNER_DRIVER) <=
			before + 3);
		/* Cut again, without an allocation. */
		p.r.host.forbid_alloc = true;
		OK(iommu_unmap_now(
			p.domain, iommu_iova(3 * M2 + 0x5000), 4096));
		p.r.host.forbid_alloc = false;
		assert_false(rig_can_write(&p.r, RIG_DEV, 3 * M2 + 0x5000));
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2 + 0x6000));
		for (uint64_t at = 0; at < M2; at += 4096)
			if (at != 0x5000)
				assert_int_equal(pages_lead_to(&p, 3 * M2 + at),
					5 * M2 + at);
		pages_close(&p);
	}
}

/** Large leaves are written back where units read memory past the caches. */
static void large_leaves_reach_memory(void **state)
{
	static const char *const kinds[] = {"plain", "non-coherent",
		"caching-non-coherent", "worst-memory"};

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct pages p;

		pages_open(&p, kinds[k], MODEL_LAZY);
		assert_false(rig_can_read(&p.r, RIG_DEV, 6 * M2));
		pages_map(&p, 6 * M2, 5 * M2, M2, RW);
		assert_int_equal(pages_size_at(&p.r, 6 * M2), M2);
		assert_true(rig_can_write(&p.r, RIG_DEV, 6 * M2 + 0x3000));
		OK(iommu_unmap_now(p.domain, iommu_iova(6 * M2), M2));
		assert_false(rig_can_read(&p.r, RIG_DEV, 6 * M2 + 0x3000));
		/* Beside one that is there: its table is in memory. */
		pages_map(&p, 7 * M2, 5 * M2, M2, RW);
		pages_map(&p, 8 * M2, 6 * M2, M2, IOMMU_READ);
		assert_true(rig_can_read(&p.r, RIG_DEV, 9 * M2 - 8));
		assert_false(rig_can_write(&p.r, RIG_DEV, 8 * M2));
		pages_close(&p);
	}
}

static void join_goes_up_to_1g(void **state)
{
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_BENIGN);
	for (uint64_t at = 0; at < G1; at += M2)
		pages_map(&p, G1 + at, G1 + at, M2, IOMMU_READ);
	assert_int_equal(pages_size_at(&p.r, G1), M2);
	join(&p, G1, G1);
	pages_flush(&p);
	assert_int_equal(pages_size_at(&p.r, G1 + 5 * M2), G1);
	assert_int_equal(pages_lead_to(&p, 2 * G1 - 1), 2 * G1 - 1);
	pages_close(&p);
	/* Not where the unit has no such pages. */
	pages_open(&p, "no-gigabyte", MODEL_BENIGN);
	for (uint64_t at = 0; at < G1; at += M2)
		pages_map(&p, G1 + at, G1 + at, M2, IOMMU_READ);
	join(&p, G1, G1);
	pages_flush(&p);
	assert_int_equal(pages_size_at(&p.r, G1), M2);
	pages_close(&p);
	pages_open(&p, "small-pages", MODEL_BENIGN);
	pages_map_small(&p, M2, M2, M2, RW);
	join(&p, M2, M2);
	pages_flush(&p);
	assert_int_equal(pages_size_at(&p.r, M2), 4096);
	pages_close(&p);
}

static void what_differs_is_not_joined(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		uint64_t from = M2, size = M2;
		struct pages p;

		pages_open(&p, "plain", MODEL_LAZY);
		switch (n) {
		case 0: /* a hole at the start */
			pages_map_small(
				&p, M2 + 4096, M2 + 4096, M2 - 4096, RW);
			break;
		case 1: /* a hole at the end */
			pages_map_small(&p, M2, M2, M2 - 4096, RW);
			break;
		case 2: /* rights */
			pages_map_small(&p, M2, M2, M2 - 4096, RW);
			pages_map(&p, 2 * M2 - 4096, 2 * M2 - 4096, 4096,
				IOMMU_READ);
			break;
		case 3: /* not aligned */
			pages_map_small(&p, M2, M2 + 4096, M2, RW);
			break;
		case 4: /* not contiguous */
			pages_map_small(&p, M2, M2, M2 / 2, RW);
			pages_map_small(&p, 3 * M2 / 2, 4 * M2, M2 / 2, RW);
			break;
		case 5: /* only a part is asked for: its end is missing */
			pages_map_small(&p, M2, M2, M2, RW);
			size = M2 - 4096;
			break;
		case 6: /* its start is missing */
			pages_map_small(&p, M2, M2, M2, RW);
			from = M2 + 4096;
			size = M2 - 4096;
			break;
		case 7: /* a hole behind the first */
			pages_map_small(&p, M2, M2, 4096, RW);
			pages_map_small(
				&p, M2 + 8192, M2 + 8192, M2 - 8192, RW);
			break;
		}
		join(&p, from, size);
		assert_int_equal(p.batch.changes, 0);
		assert_int_equal(pages_size_at(&p.r, M2 + 16384), 4096);
		pages_close(&p);
	}
}

static void no_memory_for_the_reserve_means_no_join(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 8; n++) {
		struct pages p;

		pages_open(&p, "plain", MODEL_LAZY);
		pages_map_small(&p, M2, M2, M2, RW);
		model_fail_alloc(p.r.m, n, true);
		join(&p, M2, M2);
		model_fail_alloc(p.r.m, 0, false);
		pages_flush(&p);
		/* Joined or not, it can be cut. */
		p.r.host.forbid_alloc = true;
		OK(iommu_unmap_now(p.domain, iommu_iova(M2 + 4096), 4096));
		p.r.host.forbid_alloc = false;
		assert_false(rig_can_write(&p.r, RIG_DEV, M2 + 4096));
		assert_true(rig_can_write(&p.r, RIG_DEV, M2));
		pages_close(&p);
	}
}

/** More large pages cut at once than the reserve has pages for. */
static void reserve_runs_out(void **state)
{
	enum iommu_status status;
	uint64_t removed = 0;
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_LAZY);
	pages_map(&p, M2, M2, 16 * M2, RW);
	model_fail_alloc(p.r.m, 1, true);
	for (unsigned n = 0; n < 16; n++) {
		status =
			iommu_unmap(p.domain, iommu_iova((n + 1) * M2 + 0x3000),
				4096, &p.batch, &removed);
		assert_int_equal(removed, status == IOMMU_OK ? 4096 : 0);
		if (status != IOMMU_OK)
			break;
		assert_false(n == 15);
	}
	assert_int_equal(status, IOMMU_NO_MEMORY);
	model_fail_alloc(p.r.m, 0, false);
	pages_flush(&p);
	assert_false(rig_can_write(&p.r, RIG_DEV, M2 + 0x3000));
	/* What could not be cut is still whole. */
	assert_true(rig_can_write(&p.r, RIG_DEV, 16 * M2 + 0x3000));
	pages_close(&p);
}

/** A cut through a page of 1 GiB: all around the hole leads where it did, and
 *  all of the page is flushed. */
static void cuts_leave_the_rest(void **state)
{
	static const uint64_t holes[] = {
		0, 0x1000, M2 - 4096, M2, 7 * M2, G1 - M2, G1 - 4096};

	(void)state;
	for (unsigned n = 0; n < sizeof(holes) / sizeof(*holes); n++)
		for (uint64_t size = 4096; size <= M2; size *= 512) {
			uint64_t hole = holes[n] & ~(size - 1);
			struct pages p;

			pages_open(&p, "plain", MODEL_LAZY);
			pages_map(&p, G1, 0, G1, RW);
			assert_int_equal(pages_size_at(&p.r, G1), G1);
			assert_true(
				rig_can_write(&p.r, RIG_DEV, G1 + 0x100000));
			OK(iommu_unmap(p.domain, iommu_iova(G1 + hole), size,
				&p.batch, NULL));
			assert_int_equal(p.batch.count, 1);
			assert_true(p.batch.range[0].first == G1);
			assert_true(p.batch.range[0].last == 2 * G1 - 1);
			assert_int_equal(p.batch.range_changes[0],
				IOMMU_REMOVED | IOMMU_TABLE_CHANGED);
			pages_flush(&p);
			for (uint64_t at = 0; at < G1; at += M2 / 2) {
				iommu_phys_t phys;
				bool gone = at >= hole && at < hole + size;

				assert_int_equal(
					iommu_iova_to_phys(p.domain,
						iommu_iova(G1 + at), &phys),
					gone ? IOMMU_NOT_MAPPED : IOMMU_OK);
				if (!gone)
					assert_int_equal(phys.v, at);
			}
			if (hole)
				assert_int_equal(
					pages_lead_to(&p, G1 + hole - 1),
					hole - 1);
			if (hole + size < G1)
				assert_int_equal(
					pages_lead_to(&p, G1 + hole + size),
					hole + size);
			pages_close(&p);
		}
}

/** The last pages that there are. */
static void end_of_the_space_is_joined(void **state)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = 39};
	const uint64_t end = 1ull << 39;
	struct iommu_batch batch;
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_LAZY);
	OK(iommu_detach(p.r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(p.domain));
	OK(iommu_domain_create(p.r.iommu, &config, &p.domain));
	OK(iommu_attach(p.r.iommu, rig_id(RIG_DEV), p.domain));
	pages_map_small(&p, end - M2, 5 * M2, M2, RW);
	iommu_batch_init(&batch, p.domain);
	assert_int_equal(
		iommu_join(p.domain, iommu_iova(end - M2), 2 * M2, &batch),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_join(p.domain, iommu_iova(end - M2), M2, &batch));
	OK(iommu_batch_flush(&batch));
	assert_int_equal(pages_size_at(&p.r, end - M2), M2);
	assert_int_equal(
		iommu_map(p.domain, iommu_iova(end), iommu_phys(0), 4096, RW),
		IOMMU_WIDTH);
	assert_int_equal(iommu_map(p.domain, iommu_iova(end - 4096),
				 iommu_phys(0), 8192, RW),
		IOMMU_WIDTH);
	pages_close(&p);
}

/** A domain that ends gives back each table, whatever is still mapped and
 *  however its table came: also when a large page was cut. */
static void tables_of_what_is_still_mapped_come_back(void **state)
{
	static const uint64_t at[] = {4096, 3 * M2, 4 * G1 + 500 * M2,
		5 * G1 + 7 * M2, 1ull << 38, (1ull << 39) - M2};
	unsigned set, n;
	struct rig r;

	(void)state;
	for (set = 0; set < 1u << 6; set++) {
		struct iommu_domain *domain;

		rig_run(&r, "plain", MODEL_LAZY, 1);
		domain = rig_mapped_domain(&r);
		for (unsigned i = 0; i < 6; i++) {
			/* Downwards too. */
			n = set & 1 ? i : 5 - i;
			if (!(set >> n & 1))
				continue;
			OK(iommu_map(domain, iommu_iova(at[n]),
				iommu_phys(16 * G1), n ? M2 : 4096, RW));
			if (n)
				OK(iommu_unmap_now(domain,
					iommu_iova(at[n] + 4096), 4096));
		}
		OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages_become_large),
		cmocka_unit_test(large_leaves_reach_memory),
		cmocka_unit_test(join_goes_up_to_1g),
		cmocka_unit_test(what_differs_is_not_joined),
		cmocka_unit_test(no_memory_for_the_reserve_means_no_join),
		cmocka_unit_test(reserve_runs_out),
		cmocka_unit_test(cuts_leave_the_rest),
		cmocka_unit_test(end_of_the_space_is_joined),
		cmocka_unit_test(tables_of_what_is_still_mapped_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
