/* SPDX-License-Identifier: MIT */
/*
 * What map and unmap do to tables: what lies in the way, what is counted, which
 * entries reach memory and which are flushed, and what is left behind when
 * there is no page for a table.
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

/* ---- what lies in the way ---- */

/** Beside what is there already there is room. */
static void gaps_are_filled_exactly(void **state)
{
	static const uint64_t sizes[] = {4096, 5 * 4096, M2, M2 + 4096, G1};

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		struct pages p;

		pages_open(&p, "plain", MODEL_LAZY);
		pages_map(&p, 2 * G1 - 4096, 0x1000, 4096, RW);
		pages_map(&p, 2 * G1 + sizes[n], 0x2000, 4096, RW);
		pages_map(&p, 2 * G1, 8 * G1, sizes[n], RW);
		assert_int_equal(pages_lead_to(&p, 2 * G1 - 1), 0x1fff);
		assert_int_equal(pages_lead_to(&p, 2 * G1), 8 * G1);
		assert_int_equal(pages_lead_to(&p, 2 * G1 + sizes[n] - 1),
			8 * G1 + sizes[n] - 1);
		assert_int_equal(pages_lead_to(&p, 2 * G1 + sizes[n]), 0x2000);
		/* Only that goes again. */
		OK(iommu_unmap_now(p.domain, iommu_iova(2 * G1), sizes[n]));
		assert_int_equal(pages_lead_to(&p, 2 * G1 - 1), 0x1fff);
		assert_int_equal(pages_lead_to(&p, 2 * G1 + sizes[n]), 0x2000);
		pages_close(&p);
	}
}

/** Large or small, whatever lies in the way is found, and left as it was. */
static void occupied_ranges_are_refused(void **state)
{
	static const uint64_t at[] = {G1, G1 + M2, G1 + 0x5000, 2 * G1 - 4096};
	static const uint64_t sizes[] = {4096, M2, G1};

	(void)state;
	for (unsigned n = 0; n < 36; n++) {
		uint64_t there = at[n % 4], had = sizes[n / 4 % 3],
			 size = sizes[n / 12], from;
		struct pages p;

		there &= ~(had - 1);
		from = there & ~(size - 1);
		pages_open(&p, "plain", MODEL_LAZY);
		pages_map(&p, there, there, had, RW);
		for (unsigned k = 0; k < 3; k++) {
			/* Exactly there, and overlapping either end. */
			uint64_t start = k == 0 ? from
				: k == 1        ? from - 4096
						: from + size - 4096;
			uint64_t length = k == 0 ? size : 8192;
			uint64_t last = start + length - 1;

			if (last < there || start > there + had - 1)
				continue;
			assert_int_equal(
				iommu_map(p.domain, iommu_iova(start),
					iommu_phys(0x100000), length, RW),
				IOMMU_MAPPED);
			assert_int_equal(pages_lead_to(&p, there), there);
			assert_int_equal(pages_lead_to(&p, there + had - 1),
				there + had - 1);
		}
		assert_int_equal(pages_size_at(&p.r, there), had);
		/* With the tables gone too, it is a page of its size. */
		OK(iommu_unmap_now(p.domain, iommu_iova(G1), G1));
		pages_map(&p, from, 0, size, RW);
		assert_int_equal(pages_size_at(&p.r, from), size);
		OK(iommu_unmap_now(p.domain, iommu_iova(G1), G1));
		pages_close(&p);
	}
}

/** The same answer for a page whose table was used before as for one whose was
 *  not. */
static void what_is_wrong_is_wrong_next_to_others(void **state)
{
	static const struct {
		uint64_t iova, phys, size;
		unsigned rights;
		enum iommu_status want;
	} row[] = {
		{0xfee00000, 0x1000, 4096, RW, IOMMU_RESERVED_RANGE},
		{0xfeeff000, 0x1000, 4096, RW, IOMMU_RESERVED_RANGE},
		{0xfef01000, 0xfee00000, 4096, RW, IOMMU_RESERVED_RANGE},
		{0xfef01000, 0xfeeff000, 4096, RW, IOMMU_RESERVED_RANGE},
		{0xfef01000, 1ull << 46, 4096, RW, IOMMU_WIDTH},
		{0xfef01000, 0x1000, 4096, 0, IOMMU_BAD_ARGUMENT},
		{0xfef01000, 0x1000, 4096, 4, IOMMU_BAD_ARGUMENT},
		{0xfef01000, 0x1000, 4096, 7, IOMMU_BAD_ARGUMENT},
		{0xfef01000, 0x1800, 4096, RW, IOMMU_BAD_ARGUMENT},
		{0xfef01800, 0x1000, 4096, RW, IOMMU_BAD_ARGUMENT},
		{0xfef01000, 0x1000, 0, RW, IOMMU_BAD_ARGUMENT},
		{0xfef01000, 0x1000, 4095, RW, IOMMU_BAD_ARGUMENT},
		{0xfef00000, 0x1000, 4096, RW, IOMMU_MAPPED},
		{0xfeeff000, 0x1000, 8192, RW, IOMMU_RESERVED_RANGE},
		{0xfef01000, 0xfef00000, 4096, RW, IOMMU_OK},
		{0xfef01000, 0xfedff000, 4096, RW, IOMMU_OK},
		{0xfef01000, (1ull << 46) - 4096, 4096, RW, IOMMU_OK},
		{0xfefff000, 0x1000, 4096, IOMMU_READ, IOMMU_OK},
		{0xfef01000, 0x1000, 4096, IOMMU_WRITE, IOMMU_OK},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct pages p;

		pages_open(&p, "plain", MODEL_LAZY);
		for (unsigned k = 0; k < 2; k++) {
			if (k || row[n].want == IOMMU_MAPPED)
				pages_map(&p, 0xfef00000, 0x1000, 4096, RW);
			/* The same where no window is near. */
			if (row[n].iova >= 0xfef00000) {
				uint64_t at = row[n].iova - 0xfef00000 + M2;

				if (k || row[n].want == IOMMU_MAPPED)
					pages_map(&p, M2, 0x1000, 4096, RW);
				assert_int_equal(
					iommu_map(p.domain, iommu_iova(at),
						iommu_phys(row[n].phys),
						row[n].size, row[n].rights),
					row[n].want);
				if (row[n].want == IOMMU_OK)
					assert_int_equal(pages_lead_to(&p, at),
						row[n].phys);
				OK(iommu_unmap_now(
					p.domain, iommu_iova(M2), M2));
				pages_map(&p, M2 + 0x2000, 0x1000, 4096, RW);
			}
			assert_int_equal(
				iommu_map(p.domain, iommu_iova(row[n].iova),
					iommu_phys(row[n].phys), row[n].size,
					row[n].rights),
				row[n].want);
			if (row[n].want == IOMMU_OK)
				assert_int_equal(pages_lead_to(&p, row[n].iova),
					row[n].phys);
			OK(iommu_unmap_now(
				p.domain, iommu_iova(0xfe000000), 0x2000000));
			pages_map(&p, 0xfef02000, 0x1000, 4096, RW);
		}
		pages_close(&p);
	}
}

/** Addresses that differ far up only are different pages. */
static void addresses_are_told_apart_by_every_bit(void **state)
{
	struct pages p;

	(void)state;
	pages_open(&p, "57-bit", MODEL_LAZY);
	for (unsigned bit = 21; bit < 57; bit++) {
		uint64_t at = 1ull << bit, removed = 1;
		iommu_phys_t phys;

		pages_map(&p, 0x1000, 0x100000, 4096, RW);
		OK(iommu_unmap(p.domain, iommu_iova(at + 0x1000), 4096,
			&p.batch, &removed));
		assert_int_equal(removed, 0);
		pages_map(&p, at + 0x2000, 0x200000, 4096, RW);
		pages_map(&p, at + 0x4000, 0x300000, 8192, RW);
		assert_int_equal(pages_lead_to(&p, at + 0x2000), 0x200000);
		assert_int_equal(pages_lead_to(&p, at + 0x5000), 0x301000);
		assert_int_equal(pages_lead_to(&p, 0x1000), 0x100000);
		for (unsigned page = 2; page < 6; page++)
			assert_int_equal(
				iommu_iova_to_phys(p.domain,
					iommu_iova(page * 0x1000), &phys),
				IOMMU_NOT_MAPPED);
		pages_flush(&p);
		OK(iommu_unmap_now(p.domain, iommu_iova(at), M2));
		OK(iommu_unmap_now(p.domain, iommu_iova(0x1000), 4096));
	}
	pages_close(&p);
}

/* ---- what is counted ---- */

/** What a call says it took away is right beyond 4 GiB, too. */
static void large_sizes_are_counted_whole(void **state)
{
	struct iommu_batch batch;
	uint64_t removed = 0;
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_LAZY);
	pages_map(&p, 512 * G1, 1024 * G1, 512 * G1, RW);
	iommu_batch_init(&batch, p.domain);
	OK(iommu_unmap(
		p.domain, iommu_iova(512 * G1), 512 * G1, &batch, &removed));
	assert_int_equal(removed, 512 * G1);
	OK(iommu_batch_flush(&batch));
	pages_close(&p);
}

/** Also what single pages below tables come to that go as a whole. */
static void small_pages_are_counted_one_by_one(void **state)
{
	uint64_t removed = 0;
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_LAZY);
	pages_map_small(&p, 4 * M2, 0x100000, 5 * 4096, RW);
	pages_map_small(&p, 6 * M2 - 4096, 0x100000, 2 * 4096, RW);
	pages_map(&p, 7 * M2, 0, M2, RW);
	OK(iommu_unmap(
		p.domain, iommu_iova(4 * M2), 4 * M2, &p.batch, &removed));
	assert_int_equal(removed, M2 + 7 * 4096);
	pages_flush(&p);
	pages_close(&p);
}

/* ---- what is written back and flushed ---- */

/** A link that is in memory is not written back with every page below it. */
static void next_page_writes_back_its_own_line(void **state)
{
	struct model_counters before, after;
	struct pages p;

	(void)state;
	pages_open(&p, "non-coherent", MODEL_LAZY);
	pages_map(&p, 3 * M2, 0x100000, 4096, RW);
	for (unsigned n = 1; n < 4; n++) {
		model_counters(p.r.m, &before);
		pages_map(&p, 3 * M2 + n * 4096, 0x100000, 4096, RW);
		model_counters(p.r.m, &after);
		assert_int_equal(after.line_flushes - before.line_flushes, 1);
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2 + n * 4096));
	}
	pages_close(&p);
}

/** All entries that a call clears, on however many lines they lie. */
static void cleared_entries_reach_memory(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 20; count += 3)
		for (unsigned first = 0; first < 9; first += 4) {
			const uint64_t at = G1 + first * M2;
			struct pages p;

			pages_open(&p, "non-coherent", MODEL_LAZY);
			for (unsigned n = 0; n < count; n++) {
				pages_map(&p, at + n * M2, n * M2, M2, RW);
				assert_true(rig_can_write(
					&p.r, RIG_DEV, at + n * M2 + 0x100000));
			}
			OK(iommu_unmap_now(
				p.domain, iommu_iova(at), count * M2));
			for (unsigned n = 0; n < count; n++)
				assert_false(rig_can_write(
					&p.r, RIG_DEV, at + n * M2 + 0x100000));
			pages_close(&p);
		}
}

static uint64_t waits(struct pages *p)
{
	struct iommu_stats stats;

	OK(iommu_unit_stats(p->r.iommu, 0, &stats));
	return stats.waits;
}

/** What was flushed is not flushed again. */
static void flushed_batch_is_empty(void **state)
{
	uint64_t before;
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_LAZY);
	pages_map(&p, 0x5000, 0x100000, 4096, RW);
	OK(iommu_unmap(p.domain, iommu_iova(0x5000), 4096, &p.batch, NULL));
	before = waits(&p);
	pages_flush(&p);
	assert_int_equal(waits(&p), before + 1);
	assert_int_equal(p.batch.count, 0);
	pages_flush(&p);
	assert_int_equal(waits(&p), before + 1);
	pages_close(&p);
}

/** A page's worth of bytes that lie in two pages. */
static void both_pages_of_an_odd_range_are_flushed(void **state)
{
	(void)state;
	for (uint64_t at = 0x4000; at < 0x6000; at += 0x1000) {
		struct pages p;

		pages_open(&p, "plain", MODEL_LAZY);
		pages_map(&p, at, 0x100000, 0x2000, RW);
		assert_true(rig_can_write(&p.r, RIG_DEV, at));
		assert_true(rig_can_write(&p.r, RIG_DEV, at + 0x1000));
		OK(iommu_unmap(
			p.domain, iommu_iova(at), 0x2000, &p.batch, NULL));
		OK(iommu_flush(
			p.domain, IOMMU_REMOVED, iommu_iova(at + 0x800), 4096));
		assert_false(rig_can_write(&p.r, RIG_DEV, at));
		assert_false(rig_can_write(&p.r, RIG_DEV, at + 0x1000));
		pages_flush(&p);
		pages_close(&p);
	}
}

/* ---- no page for a table ---- */

/** Whatever call cannot be done leaves nothing of itself. */
static void nth_table_is_not_to_be_had(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "small-pages"};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		enum iommu_status status = IOMMU_NO_MEMORY;
		unsigned n = 0;

		while (status != IOMMU_OK) {
			iommu_phys_t phys;
			struct pages p;

			assert_true(++n < 50);
			pages_open(&p, kinds[k], MODEL_LAZY);
			/* The unit may remember what is absent. */
			assert_false(rig_can_read(&p.r, RIG_DEV, G1 - 4096));
			assert_false(rig_can_read(&p.r, RIG_DEV, G1 + M2));
			model_fail_alloc(p.r.m, n, true);
			/* Crosses tables: some are made before one fails. */
			status = iommu_map(p.domain, iommu_iova(G1 - 4096),
				iommu_phys(0x100000), M2 + 8192, RW);
			model_fail_alloc(p.r.m, 0, false);
			if (status != IOMMU_OK) {
				assert_int_equal(status, IOMMU_NO_MEMORY);
				for (uint64_t at = G1 - 4096; at < G1 + M2;
					at += 4096)
					assert_int_equal(
						iommu_iova_to_phys(p.domain,
							iommu_iova(at), &phys),
						IOMMU_NOT_MAPPED);
				rig_check(&p.r);
				assert_false(
					rig_can_read(&p.r, RIG_DEV, G1 - 4096));
				pages_map(
					&p, G1 - 4096, 0x100000, M2 + 8192, RW);
			}
			assert_true(rig_can_write(&p.r, RIG_DEV, G1 - 4096));
			assert_true(rig_can_write(&p.r, RIG_DEV, G1 + M2));
			pages_close(&p);
		}
		assert_true(n > 2);
	}
}

/** A map that fails half-way is undone; if the unit does not confirm that, the
 *  caller is told so. */
static void undoing_without_confirmation_is_told(void **state)
{
	static const char *const kinds[] = {"plain", "caching"};
	unsigned told = 0;

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned n = 1;; n++) {
			enum iommu_status status;
			bool hit;
			struct pages p;

			pages_open(&p, kinds[k], MODEL_LAZY);
			model_fail_alloc(p.r.m, n, true);
			model_unit_hang(p.r.m, 0, 0);
			status = iommu_map(p.domain, iommu_iova(G1 - 4096),
				iommu_phys(0x100000), 8192, RW);
			hit = model_failures(p.r.m);
			model_fail_alloc(p.r.m, 0, false);
			rig_close_anyhow(&p.r);
			if (!hit)
				break;
			/* Nothing was made yet; or on this unit what is absent
			 * needs no flush. */
			assert_true(status == IOMMU_UNCONFIRMED ||
				(status == IOMMU_NO_MEMORY &&
					(n == 1 || (!k && n < 4))));
			told += status == IOMMU_UNCONFIRMED;
			assert_true(n < 20);
		}
	assert_true(told > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_are_filled_exactly),
		cmocka_unit_test(occupied_ranges_are_refused),
		cmocka_unit_test(what_is_wrong_is_wrong_next_to_others),
		cmocka_unit_test(addresses_are_told_apart_by_every_bit),
		cmocka_unit_test(large_sizes_are_counted_whole),
		cmocka_unit_test(small_pages_are_counted_one_by_one),
		cmocka_unit_test(next_page_writes_back_its_own_line),
		cmocka_unit_test(cleared_entries_reach_memory),
		cmocka_unit_test(flushed_batch_is_empty),
		cmocka_unit_test(both_pages_of_an_odd_range_are_flushed),
		cmocka_unit_test(nth_table_is_not_to_be_had),
		cmocka_unit_test(undoing_without_confirmation_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
