/* SPDX-License-Identifier: MIT */
/*
 * Tables of every depth: which one a unit gets, small pages joined to large
 * ones and cut again, where an address leads, and what happens when there is no
 * page for a table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "iommu/internal.h"
#include "support/rig.h"
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define M2 0x200000ull
#define G1 0x40000000ull

struct play {
	struct rig r;
	struct iommu_domain *domain;
	struct iommu_batch batch;
};

static void open_play(struct play *p, const char *kind, enum model_mode mode)
{
	rig_open(&p->r, kind, mode, 1);
	rig_start_ok(&p->r);
	p->domain = rig_mapped_domain(&p->r);
	iommu_batch_init(&p->batch, p->domain);
	assert_int_equal(
		iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain), IOMMU_OK);
}

static void close_play(struct play *p)
{
	assert_int_equal(iommu_unmap_now(p->domain, iommu_iova(0), 1ull << 39),
		IOMMU_OK);
	assert_int_equal(iommu_detach(p->r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(p->domain), IOMMU_OK);
	rig_close(&p->r);
}

static void map(struct play *p, uint64_t iova, uint64_t phys, uint64_t size,
	unsigned rights)
{
	assert_int_equal(iommu_map(p->domain, iommu_iova(iova),
				 iommu_phys(phys), size, rights),
		IOMMU_OK);
}

/** Small pages, so that nothing large is made at once. */
static void map_small(struct play *p, uint64_t iova, uint64_t phys,
	uint64_t size, unsigned rights)
{
	for (uint64_t at = 0; at < size; at += 4096)
		map(p, iova + at, phys + at, 4096, rights);
}

static void join(struct play *p, uint64_t iova, uint64_t size)
{
	assert_int_equal(
		iommu_join(p->domain, iommu_iova(iova), size, &p->batch),
		IOMMU_OK);
}

static void flush(struct play *p)
{
	assert_int_equal(iommu_batch_flush(&p->batch), IOMMU_OK);
	rig_check(&p->r);
}

static uint64_t leads_to(struct play *p, uint64_t iova)
{
	iommu_phys_t phys;

	assert_int_equal(iommu_iova_to_phys(p->domain, iommu_iova(iova), &phys),
		IOMMU_OK);
	return phys.v;
}

/** The size of the page behind an address, by the tables the device walks. */
static uint64_t size_of(struct rig *r, uint64_t iova)
{
	const char *at;

	words_start();
	assert_int_equal(iommu_report_walk(r->iommu, rig_id(RIG_DEV),
				 iommu_iova(iova), words_sink, NULL),
		IOMMU_OK);
	at = strstr(words, " bytes");
	while (at && at > words && at[-1] != ' ')
		at--;
	return at ? (uint64_t)atoll(at) : 0;
}

static uint64_t size_at(struct play *p, uint64_t iova)
{
	return size_of(&p->r, iova);
}

/* ---- join ---- */

static void small_pages_become_large(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "non-coherent",
		"write-buffer", "worst-memory", "no-snoop-control"};

	(void)state;
	for (unsigned k = 0; k < 12; k++) {
		unsigned before;
		struct play p;

		open_play(&p, kinds[k / 2], k & 1 ? MODEL_LAZY : MODEL_RANDOM);
		map_small(&p, 3 * M2, 5 * M2, M2, RW);
		assert_int_equal(size_at(&p, 3 * M2), 4096);
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2));
		assert_true(rig_can_write(&p.r, RIG_DEV, 4 * M2 - 8));
		before =
			(unsigned)model_pages_in_use(p.r.m, MODEL_OWNER_DRIVER);
		join(&p, 3 * M2, M2);
		assert_int_equal(size_at(&p, 3 * M2), M2);
		assert_int_equal(
			leads_to(&p, 3 * M2 + 0x12345), 5 * M2 + 0x12345);
		flush(&p);
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2 + 0x1000));
		/* The table went back; at most the reserve was filled. */
		assert_true(model_pages_in_use(p.r.m, MODEL_OWNER_DRIVER) <=
			before + 3);
		/* Cut again, without an allocation. */
		p.r.host.forbid_alloc = true;
		assert_int_equal(iommu_unmap_now(p.domain,
					 iommu_iova(3 * M2 + 0x5000), 4096),
			IOMMU_OK);
		p.r.host.forbid_alloc = false;
		assert_false(rig_can_write(&p.r, RIG_DEV, 3 * M2 + 0x5000));
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2 + 0x6000));
		for (uint64_t at = 0; at < M2; at += 4096)
			if (at != 0x5000)
				assert_int_equal(
					leads_to(&p, 3 * M2 + at), 5 * M2 + at);
		close_play(&p);
	}
}

/** Large leaves are written back where units read memory past the caches. */
static void large_leaves_reach_memory(void **state)
{
	static const char *const kinds[] = {"plain", "non-coherent",
		"caching-non-coherent", "worst-memory"};

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct play p;

		open_play(&p, kinds[k], MODEL_LAZY);
		assert_false(rig_can_read(&p.r, RIG_DEV, 6 * M2));
		map(&p, 6 * M2, 5 * M2, M2, RW);
		assert_int_equal(size_at(&p, 6 * M2), M2);
		assert_true(rig_can_write(&p.r, RIG_DEV, 6 * M2 + 0x3000));
		assert_int_equal(
			iommu_unmap_now(p.domain, iommu_iova(6 * M2), M2),
			IOMMU_OK);
		assert_false(rig_can_read(&p.r, RIG_DEV, 6 * M2 + 0x3000));
		/* Beside one that is there: its table is in memory. */
		map(&p, 7 * M2, 5 * M2, M2, RW);
		map(&p, 8 * M2, 6 * M2, M2, IOMMU_READ);
		assert_true(rig_can_read(&p.r, RIG_DEV, 9 * M2 - 8));
		assert_false(rig_can_write(&p.r, RIG_DEV, 8 * M2));
		close_play(&p);
	}
}

static void join_goes_up_to_1g(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_BENIGN);
	for (uint64_t at = 0; at < G1; at += M2)
		map(&p, G1 + at, G1 + at, M2, IOMMU_READ);
	assert_int_equal(size_at(&p, G1), M2);
	join(&p, G1, G1);
	flush(&p);
	assert_int_equal(size_at(&p, G1 + 5 * M2), G1);
	assert_int_equal(leads_to(&p, 2 * G1 - 1), 2 * G1 - 1);
	close_play(&p);
	/* Not where the unit has no such pages. */
	open_play(&p, "no-gigabyte", MODEL_BENIGN);
	for (uint64_t at = 0; at < G1; at += M2)
		map(&p, G1 + at, G1 + at, M2, IOMMU_READ);
	join(&p, G1, G1);
	flush(&p);
	assert_int_equal(size_at(&p, G1), M2);
	close_play(&p);
	open_play(&p, "small-pages", MODEL_BENIGN);
	map_small(&p, M2, M2, M2, RW);
	join(&p, M2, M2);
	flush(&p);
	assert_int_equal(size_at(&p, M2), 4096);
	close_play(&p);
}

static void what_differs_is_not_joined(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		uint64_t from = M2, size = M2;
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		switch (n) {
		case 0: /* a hole at the start */
			map_small(&p, M2 + 4096, M2 + 4096, M2 - 4096, RW);
			break;
		case 1: /* a hole at the end */
			map_small(&p, M2, M2, M2 - 4096, RW);
			break;
		case 2: /* rights */
			map_small(&p, M2, M2, M2 - 4096, RW);
			map(&p, 2 * M2 - 4096, 2 * M2 - 4096, 4096, IOMMU_READ);
			break;
		case 3: /* not aligned */
			map_small(&p, M2, M2 + 4096, M2, RW);
			break;
		case 4: /* not contiguous */
			map_small(&p, M2, M2, M2 / 2, RW);
			map_small(&p, 3 * M2 / 2, 4 * M2, M2 / 2, RW);
			break;
		case 5: /* only a part is asked for: its end is missing */
			map_small(&p, M2, M2, M2, RW);
			size = M2 - 4096;
			break;
		case 6: /* its start is missing */
			map_small(&p, M2, M2, M2, RW);
			from = M2 + 4096;
			size = M2 - 4096;
			break;
		case 7: /* a hole behind the first */
			map_small(&p, M2, M2, 4096, RW);
			map_small(&p, M2 + 8192, M2 + 8192, M2 - 8192, RW);
			break;
		}
		join(&p, from, size);
		assert_int_equal(p.batch.changes, 0);
		assert_int_equal(size_at(&p, M2 + 16384), 4096);
		close_play(&p);
	}
}

static void no_memory_for_the_reserve_means_no_join(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 8; n++) {
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		map_small(&p, M2, M2, M2, RW);
		model_fail_alloc(p.r.m, n, true);
		join(&p, M2, M2);
		model_fail_alloc(p.r.m, 0, false);
		flush(&p);
		/* Joined or not, it can be cut. */
		p.r.host.forbid_alloc = true;
		assert_int_equal(
			iommu_unmap_now(p.domain, iommu_iova(M2 + 4096), 4096),
			IOMMU_OK);
		p.r.host.forbid_alloc = false;
		assert_false(rig_can_write(&p.r, RIG_DEV, M2 + 4096));
		assert_true(rig_can_write(&p.r, RIG_DEV, M2));
		close_play(&p);
	}
}

/** More large pages cut at once than the reserve has pages for. */
static void reserve_runs_out(void **state)
{
	enum iommu_status status;
	uint64_t removed = 0;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	map(&p, M2, M2, 16 * M2, RW);
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
	flush(&p);
	assert_false(rig_can_write(&p.r, RIG_DEV, M2 + 0x3000));
	/* What could not be cut is still whole. */
	assert_true(rig_can_write(&p.r, RIG_DEV, 16 * M2 + 0x3000));
	close_play(&p);
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
			struct play p;

			open_play(&p, "plain", MODEL_LAZY);
			map(&p, G1, 0, G1, RW);
			assert_int_equal(size_at(&p, G1), G1);
			assert_true(
				rig_can_write(&p.r, RIG_DEV, G1 + 0x100000));
			assert_int_equal(
				iommu_unmap(p.domain, iommu_iova(G1 + hole),
					size, &p.batch, NULL),
				IOMMU_OK);
			assert_int_equal(p.batch.count, 1);
			assert_true(p.batch.range[0].first == G1);
			assert_true(p.batch.range[0].last == 2 * G1 - 1);
			assert_int_equal(p.batch.range_changes[0],
				IOMMU_REMOVED | IOMMU_TABLE_CHANGED);
			flush(&p);
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
					leads_to(&p, G1 + hole - 1), hole - 1);
			if (hole + size < G1)
				assert_int_equal(leads_to(&p, G1 + hole + size),
					hole + size);
			close_play(&p);
		}
}

/** Beside what is there already there is room. */
static void gaps_are_filled_exactly(void **state)
{
	static const uint64_t sizes[] = {4096, 5 * 4096, M2, M2 + 4096, G1};

	(void)state;
	for (unsigned n = 0; n < 5; n++) {
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		map(&p, 2 * G1 - 4096, 0x1000, 4096, RW);
		map(&p, 2 * G1 + sizes[n], 0x2000, 4096, RW);
		map(&p, 2 * G1, 8 * G1, sizes[n], RW);
		assert_int_equal(leads_to(&p, 2 * G1 - 1), 0x1fff);
		assert_int_equal(leads_to(&p, 2 * G1), 8 * G1);
		assert_int_equal(leads_to(&p, 2 * G1 + sizes[n] - 1),
			8 * G1 + sizes[n] - 1);
		assert_int_equal(leads_to(&p, 2 * G1 + sizes[n]), 0x2000);
		/* Only that goes again. */
		assert_int_equal(
			iommu_unmap_now(p.domain, iommu_iova(2 * G1), sizes[n]),
			IOMMU_OK);
		assert_int_equal(leads_to(&p, 2 * G1 - 1), 0x1fff);
		assert_int_equal(leads_to(&p, 2 * G1 + sizes[n]), 0x2000);
		close_play(&p);
	}
}

/** A link that is in memory is not written back with every page below it. */
static void next_page_writes_back_its_own_line(void **state)
{
	struct model_counters before, after;
	struct play p;

	(void)state;
	open_play(&p, "non-coherent", MODEL_LAZY);
	map(&p, 3 * M2, 0x100000, 4096, RW);
	for (unsigned n = 1; n < 4; n++) {
		model_counters(p.r.m, &before);
		map(&p, 3 * M2 + n * 4096, 0x100000, 4096, RW);
		model_counters(p.r.m, &after);
		assert_int_equal(after.line_flushes - before.line_flushes, 1);
		assert_true(rig_can_write(&p.r, RIG_DEV, 3 * M2 + n * 4096));
	}
	close_play(&p);
}

/** All entries that a call clears, on however many lines they lie. */
static void cleared_entries_reach_memory(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 20; count += 3)
		for (unsigned first = 0; first < 9; first += 4) {
			const uint64_t at = G1 + first * M2;
			struct play p;

			open_play(&p, "non-coherent", MODEL_LAZY);
			for (unsigned n = 0; n < count; n++) {
				map(&p, at + n * M2, n * M2, M2, RW);
				assert_true(rig_can_write(
					&p.r, RIG_DEV, at + n * M2 + 0x100000));
			}
			assert_int_equal(iommu_unmap_now(p.domain,
						 iommu_iova(at), count * M2),
				IOMMU_OK);
			for (unsigned n = 0; n < count; n++)
				assert_false(rig_can_write(
					&p.r, RIG_DEV, at + n * M2 + 0x100000));
			close_play(&p);
		}
}

/** The last pages that there are. */
static void end_of_the_space_is_joined(void **state)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = 39};
	const uint64_t end = 1ull << 39;
	struct iommu_batch batch;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	assert_int_equal(iommu_detach(p.r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(p.domain), IOMMU_OK);
	assert_int_equal(
		iommu_domain_create(p.r.iommu, &config, &p.domain), IOMMU_OK);
	assert_int_equal(
		iommu_attach(p.r.iommu, rig_id(RIG_DEV), p.domain), IOMMU_OK);
	map_small(&p, end - M2, 5 * M2, M2, RW);
	iommu_batch_init(&batch, p.domain);
	assert_int_equal(
		iommu_join(p.domain, iommu_iova(end - M2), 2 * M2, &batch),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_join(p.domain, iommu_iova(end - M2), M2, &batch),
		IOMMU_OK);
	assert_int_equal(iommu_batch_flush(&batch), IOMMU_OK);
	assert_int_equal(size_at(&p, end - M2), M2);
	assert_int_equal(
		iommu_map(p.domain, iommu_iova(end), iommu_phys(0), 4096, RW),
		IOMMU_WIDTH);
	assert_int_equal(iommu_map(p.domain, iommu_iova(end - 4096),
				 iommu_phys(0), 8192, RW),
		IOMMU_WIDTH);
	close_play(&p);
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
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		for (unsigned k = 0; k < 2; k++) {
			if (k || row[n].want == IOMMU_MAPPED)
				map(&p, 0xfef00000, 0x1000, 4096, RW);
			/* The same where no window is near. */
			if (row[n].iova >= 0xfef00000) {
				uint64_t at = row[n].iova - 0xfef00000 + M2;

				if (k || row[n].want == IOMMU_MAPPED)
					map(&p, M2, 0x1000, 4096, RW);
				assert_int_equal(
					iommu_map(p.domain, iommu_iova(at),
						iommu_phys(row[n].phys),
						row[n].size, row[n].rights),
					row[n].want);
				if (row[n].want == IOMMU_OK)
					assert_int_equal(
						leads_to(&p, at), row[n].phys);
				assert_int_equal(iommu_unmap_now(p.domain,
							 iommu_iova(M2), M2),
					IOMMU_OK);
				map(&p, M2 + 0x2000, 0x1000, 4096, RW);
			}
			assert_int_equal(
				iommu_map(p.domain, iommu_iova(row[n].iova),
					iommu_phys(row[n].phys), row[n].size,
					row[n].rights),
				row[n].want);
			if (row[n].want == IOMMU_OK)
				assert_int_equal(
					leads_to(&p, row[n].iova), row[n].phys);
			assert_int_equal(
				iommu_unmap_now(p.domain,
					iommu_iova(0xfe000000), 0x2000000),
				IOMMU_OK);
			map(&p, 0xfef02000, 0x1000, 4096, RW);
		}
		close_play(&p);
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
		struct play p;

		there &= ~(had - 1);
		from = there & ~(size - 1);
		open_play(&p, "plain", MODEL_LAZY);
		map(&p, there, there, had, RW);
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
			assert_int_equal(leads_to(&p, there), there);
			assert_int_equal(
				leads_to(&p, there + had - 1), there + had - 1);
		}
		assert_int_equal(size_at(&p, there), had);
		/* With the tables gone too, it is a page of its size. */
		assert_int_equal(iommu_unmap_now(p.domain, iommu_iova(G1), G1),
			IOMMU_OK);
		map(&p, from, 0, size, RW);
		assert_int_equal(size_at(&p, from), size);
		assert_int_equal(iommu_unmap_now(p.domain, iommu_iova(G1), G1),
			IOMMU_OK);
		close_play(&p);
	}
}

/* ---- where an address leads ---- */

static void address_of_every_kind(void **state)
{
	struct iommu_domain_config blocked = {.kind = IOMMU_DOMAIN_BLOCKED};
	struct iommu_domain *none;
	iommu_phys_t phys;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	assert_int_equal(iommu_iova_to_phys(iommu_domain_identity(p.r.iommu),
				 iommu_iova(0x12345), &phys),
		IOMMU_OK);
	assert_int_equal(phys.v, 0x12345);
	assert_int_equal(
		iommu_domain_create(p.r.iommu, &blocked, &none), IOMMU_OK);
	assert_int_equal(iommu_iova_to_phys(none, iommu_iova(0x1000), &phys),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_domain_destroy(none), IOMMU_OK);
	map(&p, G1, G1, G1, RW);
	assert_int_equal(leads_to(&p, G1 + 0x3456789), G1 + 0x3456789);
	close_play(&p);
}

/** What no table of this depth translates leads nowhere. */
static void address_beyond_the_tables(void **state)
{
	static const char *const kinds[] = {"39-bit", "48-bit", "57-bit"};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		iommu_phys_t phys;
		struct play p;

		open_play(&p, kinds[n], MODEL_LAZY);
		map(&p, 0, 0x100000, M2, RW);
		for (unsigned bit = 39 + 9 * n; bit < 64; bit++) {
			assert_int_equal(
				iommu_iova_to_phys(p.domain,
					iommu_iova(1ull << bit), &phys),
				IOMMU_NOT_MAPPED);
			assert_int_equal(size_at(&p, 1ull << bit), 0);
		}
		assert_int_equal(leads_to(&p, 0x1234), 0x101234);
		close_play(&p);
	}
}

/** Addresses that differ far up only are different pages. */
static void addresses_are_told_apart_by_every_bit(void **state)
{
	struct play p;

	(void)state;
	open_play(&p, "57-bit", MODEL_LAZY);
	for (unsigned bit = 21; bit < 57; bit++) {
		uint64_t at = 1ull << bit, removed = 1;
		iommu_phys_t phys;

		map(&p, 0x1000, 0x100000, 4096, RW);
		assert_int_equal(iommu_unmap(p.domain, iommu_iova(at + 0x1000),
					 4096, &p.batch, &removed),
			IOMMU_OK);
		assert_int_equal(removed, 0);
		map(&p, at + 0x2000, 0x200000, 4096, RW);
		map(&p, at + 0x4000, 0x300000, 8192, RW);
		assert_int_equal(leads_to(&p, at + 0x2000), 0x200000);
		assert_int_equal(leads_to(&p, at + 0x5000), 0x301000);
		assert_int_equal(leads_to(&p, 0x1000), 0x100000);
		for (unsigned page = 2; page < 6; page++)
			assert_int_equal(
				iommu_iova_to_phys(p.domain,
					iommu_iova(page * 0x1000), &phys),
				IOMMU_NOT_MAPPED);
		flush(&p);
		assert_int_equal(iommu_unmap_now(p.domain, iommu_iova(at), M2),
			IOMMU_OK);
		assert_int_equal(
			iommu_unmap_now(p.domain, iommu_iova(0x1000), 4096),
			IOMMU_OK);
	}
	close_play(&p);
}

/** A shared domain is walked from the deepest root that the host offers. */
static void address_in_shared_tables(void **state)
{
	(void)state;
	for (unsigned levels = 3; levels <= 5; levels++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_SHARED};
		struct iommu_domain *domain;
		struct rig_space space;
		iommu_phys_t phys;
		struct rig r;

		rig_open(&r, "plain", MODEL_BENIGN, 1);
		rig_start_ok(&r);
		rig_space_open(&space, &r);
		rig_space_set(&space, 0x5000, 0x7000 | RW);
		config.roots.levels3 = iommu_phys(space.root[3]);
		if (levels >= 4)
			config.roots.levels4 = iommu_phys(space.root[4]);
		if (levels == 5)
			config.roots.levels5 = iommu_phys(space.root[5]);
		assert_int_equal(iommu_domain_create(r.iommu, &config, &domain),
			IOMMU_OK);
		assert_int_equal(
			iommu_iova_to_phys(domain, iommu_iova(0x5678), &phys),
			IOMMU_OK);
		assert_int_equal(phys.v, 0x7678);
		assert_int_equal(
			iommu_iova_to_phys(domain, iommu_iova(0x6000), &phys),
			IOMMU_NOT_MAPPED);
		assert_int_equal(iommu_domain_destroy(domain), IOMMU_OK);
		rig_space_close(&space);
		rig_close(&r);
	}
}

/* ---- depth ---- */

/** Two units of different depth share a domain. */
static void units_of_two_depths(void **state)
{
	static const char *const pairs[][2] = {{"39-bit", "48-bit"},
		{"48-bit", "57-bit"}, {"39-bit", "57-bit"},
		{"57-bit", "39-bit"}, {"39-bit", "no-gigabyte"}};

	(void)state;
	for (unsigned k = 0; k < 5; k++)
		for (unsigned bits = 30; bits <= 57; bits += 9) {
			struct iommu_domain_config config = {
				.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = bits};
			struct iommu_domain *domain;
			enum iommu_status a, b;
			uint64_t last = (1ull << bits) - 4096;
			struct rig r;

			rig_open_machine(&r,
				model_create_pair(
					model_personality_find(pairs[k][0]),
					model_personality_find(pairs[k][1]),
					MODEL_LAZY, 0, 1, false));
			rig_start_ok(&r);
			a = iommu_domain_create(r.iommu, &config, &domain);
			/* Never wider than the narrower unit. */
			if (a != IOMMU_OK) {
				assert_int_equal(a, IOMMU_WIDTH);
				assert_true(bits > 39);
				rig_close(&r);
				continue;
			}
			a = iommu_attach(r.iommu, rig_id(RIG_DEV), domain);
			b = iommu_attach(r.iommu, rig_id(RIG_OTHER), domain);
			assert_int_equal(a, IOMMU_OK);
			assert_int_equal(b, IOMMU_OK);
			assert_int_equal(
				iommu_map(domain, iommu_iova(last),
					iommu_phys(0x100000), 4096, RW),
				IOMMU_OK);
			assert_true(rig_can_write(&r, RIG_DEV, last));
			assert_true(rig_can_write(&r, RIG_OTHER, last));
			/* The tables that both start at are never freed. */
			assert_int_equal(iommu_unmap_now(domain, iommu_iova(0),
						 1ull << bits),
				IOMMU_OK);
			assert_false(rig_can_write(&r, RIG_DEV, last));
			assert_int_equal(
				iommu_map(domain, iommu_iova(0x5000),
					iommu_phys(0x100000), 4096, RW),
				IOMMU_OK);
			assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
			assert_true(rig_can_write(&r, RIG_OTHER, 0x5000));
			assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)),
				IOMMU_OK);
			assert_int_equal(
				iommu_detach(r.iommu, rig_id(RIG_OTHER)),
				IOMMU_OK);
			assert_int_equal(
				iommu_domain_destroy(domain), IOMMU_OK);
			rig_close(&r);
		}
}

static void identity_tables_map_everything(void **state)
{
	static const char *const kinds[] = {"no-pt", "no-pt"};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct model_personality kind =
			*model_personality_find(kinds[k]);
		struct rig r;

		if (k) /* 2 MiB pages at most: the lowest 512 GiB only */
			kind.cap &= ~(1ull << 35);
		rig_open_machine(
			&r, model_create_usual(&kind, MODEL_LAZY, 0, 1, false));
		rig_start_ok(&r);
		for (unsigned round = 0; round < 2; round++) {
			assert_int_equal(
				iommu_attach(r.iommu, rig_id(RIG_DEV),
					iommu_domain_identity(r.iommu)),
				IOMMU_OK);
			assert_int_equal(
				iommu_attach(r.iommu, rig_id(RIG_OTHER),
					iommu_domain_identity(r.iommu)),
				IOMMU_OK);
			assert_true(rig_can_write(&r, RIG_DEV, 0x100000));
			assert_true(rig_can_write(&r, RIG_OTHER, 0x3ff0000));
			/* Up to the interrupts' window, and behind it. */
			assert_true(size_of(&r, 0xfedff000));
			assert_int_equal(size_of(&r, 0xfee00000), 0);
			/* Pass-through does not force snooping either. */
			assert_int_equal(
				r.iommu->identity_tables->table.leaf_bits, 0);
			assert_true(size_of(&r, 0xfef00000));
			assert_true(size_of(&r, (1ull << 39) - 4096));
			assert_int_equal(size_of(&r, 1ull << 39), k ? 0 : G1);
			assert_int_equal(
				size_of(&r, (1ull << 46) - 1), k ? 0 : G1);
			assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)),
				IOMMU_OK);
			assert_int_equal(
				iommu_detach(r.iommu, rig_id(RIG_OTHER)),
				IOMMU_OK);
		}
		rig_close(&r);
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
			struct play p;

			assert_true(++n < 50);
			open_play(&p, kinds[k], MODEL_LAZY);
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
				map(&p, G1 - 4096, 0x100000, M2 + 8192, RW);
			}
			assert_true(rig_can_write(&p.r, RIG_DEV, G1 - 4096));
			assert_true(rig_can_write(&p.r, RIG_DEV, G1 + M2));
			close_play(&p);
		}
		assert_true(n > 2);
	}
}

static void domain_without_tables_is_not_made(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	const struct model_personality *narrow =
		model_personality_find("39-bit");

	(void)state;
	for (unsigned n = 1;; n++) {
		struct iommu_domain *domain = NULL;
		enum iommu_status status;
		struct rig r;

		rig_open_machine(&r,
			model_create_pair(narrow,
				model_personality_find("48-bit"), MODEL_LAZY, 0,
				1, false));
		rig_start_ok(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_domain_create(r.iommu, &config, &domain);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_OK)
			assert_int_equal(
				iommu_domain_destroy(domain), IOMMU_OK);
		else
			assert_int_equal(status, IOMMU_NO_MEMORY);
		rig_close(&r);
		if (status == IOMMU_OK)
			break;
		assert_true(n < 10);
	}
}

/** Tables that a host owns may hold anything: bits that the hardware ignores
 *  are no address, and what is not memory is not read. */
static void addresses_are_read_with_care(void **state)
{
	struct rig_space space;
	iommu_phys_t phys;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	rig_start_ok(&r);
	rig_space_open(&space, &r);
	rig_space_set(&space, 0x5000, 1ull << 63 | 1ull << 52 | 0x7f00 | RW);
	rig_space_set_large(
		&space, M2, 1ull << 63 | M2 | 1 << 12 | 1 << 7 | 0xf00 | RW);
	assert_int_equal(
		iommu_iova_to_phys(space.domain, iommu_iova(0x5678), &phys),
		IOMMU_OK);
	assert_int_equal(phys.v, 0x7678);
	assert_int_equal(iommu_iova_to_phys(
				 space.domain, iommu_iova(M2 + 0x12345), &phys),
		IOMMU_OK);
	assert_int_equal(phys.v, M2 + 0x12345);
	/* A table far outside of memory; then one right behind its end. */
	for (unsigned n = 0; n < 2; n++) {
		rig_space_set_large(
			&space, 2 * M2, (n ? 64ull << 20 : 1ull << 40) | RW);
		assert_int_equal(iommu_iova_to_phys(space.domain,
					 iommu_iova(2 * M2 + 0x3000), &phys),
			IOMMU_NOT_MAPPED);
		rig_space_set_large(&space, 2 * M2, 0);
	}
	rig_space_close(&space);
	rig_close(&r);
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

		rig_open(&r, "plain", MODEL_LAZY, 1);
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		for (unsigned i = 0; i < 6; i++) {
			/* Downwards too. */
			n = set & 1 ? i : 5 - i;
			if (!(set >> n & 1))
				continue;
			assert_int_equal(
				iommu_map(domain, iommu_iova(at[n]),
					iommu_phys(16 * G1), n ? M2 : 4096, RW),
				IOMMU_OK);
			if (n)
				assert_int_equal(
					iommu_unmap_now(domain,
						iommu_iova(at[n] + 4096), 4096),
					IOMMU_OK);
		}
		assert_int_equal(iommu_domain_destroy(domain), IOMMU_OK);
		rig_close(&r);
	}
}

static uint64_t waits(struct play *p)
{
	struct iommu_stats stats;

	assert_int_equal(iommu_unit_stats(p->r.iommu, 0, &stats), IOMMU_OK);
	return stats.waits;
}

/** What was flushed is not flushed again. */
static void flushed_batch_is_empty(void **state)
{
	uint64_t before;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	map(&p, 0x5000, 0x100000, 4096, RW);
	assert_int_equal(
		iommu_unmap(p.domain, iommu_iova(0x5000), 4096, &p.batch, NULL),
		IOMMU_OK);
	before = waits(&p);
	flush(&p);
	assert_int_equal(waits(&p), before + 1);
	assert_int_equal(p.batch.count, 0);
	flush(&p);
	assert_int_equal(waits(&p), before + 1);
	close_play(&p);
}

/** A page's worth of bytes that lie in two pages. */
static void both_pages_of_an_odd_range_are_flushed(void **state)
{
	(void)state;
	for (uint64_t at = 0x4000; at < 0x6000; at += 0x1000) {
		struct play p;

		open_play(&p, "plain", MODEL_LAZY);
		map(&p, at, 0x100000, 0x2000, RW);
		assert_true(rig_can_write(&p.r, RIG_DEV, at));
		assert_true(rig_can_write(&p.r, RIG_DEV, at + 0x1000));
		assert_int_equal(iommu_unmap(p.domain, iommu_iova(at), 0x2000,
					 &p.batch, NULL),
			IOMMU_OK);
		assert_int_equal(iommu_flush(p.domain, IOMMU_REMOVED,
					 iommu_iova(at + 0x800), 4096),
			IOMMU_OK);
		assert_false(rig_can_write(&p.r, RIG_DEV, at));
		assert_false(rig_can_write(&p.r, RIG_DEV, at + 0x1000));
		flush(&p);
		close_play(&p);
	}
}

/** The tables for units of two depths need more than one page: without it no
 *  domain, and no page of it. */
static void nth_table_of_two_depths_is_missing(void **state)
{
	enum iommu_status status = IOMMU_NO_MEMORY;

	(void)state;
	for (unsigned n = 1; status != IOMMU_OK; n++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = 39};
		struct iommu_domain *domain;
		struct rig r;

		assert_true(n < 10);
		rig_open_machine(&r,
			model_create_pair(model_personality_find("39-bit"),
				model_personality_find("57-bit"), MODEL_LAZY, 0,
				1, false));
		rig_start_ok(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_domain_create(r.iommu, &config, &domain);
		assert_int_equal(
			status, model_failures(r.m) ? IOMMU_NO_MEMORY : 0);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_OK)
			assert_int_equal(
				iommu_domain_destroy(domain), IOMMU_OK);
		rig_close(&r);
	}
}

/** What a call says it took away is right beyond 4 GiB, too. */
static void large_sizes_are_counted_whole(void **state)
{
	struct iommu_batch batch;
	uint64_t removed = 0;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	map(&p, 512 * G1, 1024 * G1, 512 * G1, RW);
	iommu_batch_init(&batch, p.domain);
	assert_int_equal(iommu_unmap(p.domain, iommu_iova(512 * G1), 512 * G1,
				 &batch, &removed),
		IOMMU_OK);
	assert_int_equal(removed, 512 * G1);
	assert_int_equal(iommu_batch_flush(&batch), IOMMU_OK);
	close_play(&p);
}

/** Also what single pages below tables come to that go as a whole. */
static void small_pages_are_counted_one_by_one(void **state)
{
	uint64_t removed = 0;
	struct play p;

	(void)state;
	open_play(&p, "plain", MODEL_LAZY);
	map_small(&p, 4 * M2, 0x100000, 5 * 4096, RW);
	map_small(&p, 6 * M2 - 4096, 0x100000, 2 * 4096, RW);
	map(&p, 7 * M2, 0, M2, RW);
	assert_int_equal(iommu_unmap(p.domain, iommu_iova(4 * M2), 4 * M2,
				 &p.batch, &removed),
		IOMMU_OK);
	assert_int_equal(removed, M2 + 7 * 4096);
	flush(&p);
	close_play(&p);
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
			struct play p;

			open_play(&p, kinds[k], MODEL_LAZY);
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

/** Identity without pass-through needs pages: refused without, and tried
 *  again. */
static void nth_page_of_the_identity_is_missing(void **state)
{
	unsigned n = 1;

	(void)state;
	for (bool hit = true; hit; n++) {
		enum iommu_status status;
		struct rig r;

		rig_open(&r, "no-pt", MODEL_LAZY, 1);
		rig_start_ok(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu));
		hit = model_failures(r.m);
		model_fail_alloc(r.m, 0, false);
		/* Without a page in reserve smaller pages do. */
		assert_true(status == IOMMU_OK ||
			(hit && status == IOMMU_NO_MEMORY));
		if (status != IOMMU_OK)
			assert_int_equal(
				iommu_attach(r.iommu, rig_id(RIG_DEV),
					iommu_domain_identity(r.iommu)),
				IOMMU_OK);
		assert_true(rig_can_write(&r, RIG_DEV, 0x100000));
		assert_int_equal(
			iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
		rig_close(&r);
		/* Most are tables like those before. */
		if (n > 8)
			n += 40;
		assert_true(n < 10000);
	}
	assert_true(n > 4);
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
		cmocka_unit_test(what_is_wrong_is_wrong_next_to_others),
		cmocka_unit_test(gaps_are_filled_exactly),
		cmocka_unit_test(next_page_writes_back_its_own_line),
		cmocka_unit_test(cleared_entries_reach_memory),
		cmocka_unit_test(end_of_the_space_is_joined),
		cmocka_unit_test(occupied_ranges_are_refused),
		cmocka_unit_test(address_of_every_kind),
		cmocka_unit_test(address_beyond_the_tables),
		cmocka_unit_test(addresses_are_told_apart_by_every_bit),
		cmocka_unit_test(address_in_shared_tables),
		cmocka_unit_test(units_of_two_depths),
		cmocka_unit_test(identity_tables_map_everything),
		cmocka_unit_test(nth_table_is_not_to_be_had),
		cmocka_unit_test(domain_without_tables_is_not_made),
		cmocka_unit_test(addresses_are_read_with_care),
		cmocka_unit_test(tables_of_what_is_still_mapped_come_back),
		cmocka_unit_test(flushed_batch_is_empty),
		cmocka_unit_test(both_pages_of_an_odd_range_are_flushed),
		cmocka_unit_test(nth_table_of_two_depths_is_missing),
		cmocka_unit_test(large_sizes_are_counted_whole),
		cmocka_unit_test(small_pages_are_counted_one_by_one),
		cmocka_unit_test(undoing_without_confirmation_is_told),
		cmocka_unit_test(nth_page_of_the_identity_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
