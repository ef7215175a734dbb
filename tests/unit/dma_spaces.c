/* SPDX-License-Identifier: MIT */
/*
 * DMA spaces at their edges: addresses run out and come back, CPUs have their
 * own, memory or the unit fails in the middle of a call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <iommu/dma.h>
#include "support/play.h"
#include "support/words.h"

enum {
	PAGE = 4096,
	/** The least that a space looks at: one chunk of its bitmap. */
	CHUNK = 128 << 20,
	MOST = CHUNK / PAGE,
	/** Pages that a CPU may keep for itself. */
	KEPT = 32,
};

/* ---- addresses ---- */

/** Single pages until there are none; then exactly what is given back. */
static void pages_run_out_and_come_back(void **state)
{
	struct iommu_dma_config config = {0};
	static uint64_t iova[MOST];
	unsigned count = 0;
	uint64_t one;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	while (play_map(&p, PAGE, CHUNK - 1, &iova[count]) == IOMMU_OK) {
		assert_true(iova[count] && iova[count] < CHUNK);
		count++;
		assert_true(count < MOST);
	}
	/* All but page 0, and what lies in the CPU's magazine below an
	 * address that is too high. */
	assert_in_range(count, MOST - 1 - KEPT, MOST - 1);
	assert_int_equal(play_map(&p, PAGE, CHUNK - 1, &one), IOMMU_WIDTH);
	/* Above the mask there are more. */
	OK(play_map(&p, PAGE, 2ull * CHUNK - 1, &one));
	assert_true(one >= CHUNK);
	OK(play_unmap(&p, PAGE, one));
	for (unsigned n = 0; n < count; n += 97) {
		OK(play_unmap(&p, PAGE, iova[n]));
		OK(play_map(&p, PAGE, CHUNK - 1, &one));
		assert_true(one < CHUNK);
		iova[n] = one;
	}
	for (unsigned n = 0; n < count; n++)
		OK(play_unmap(&p, PAGE, iova[n]));
	play_close(&p);
}

/** Long runs, which do not travel through the magazines. */
static void long_runs_run_out_and_come_back(void **state)
{
	static const size_t sizes[] = {
		33 * PAGE, 64 * PAGE, 65 * PAGE, 200 * PAGE, 256 * PAGE};
	struct iommu_dma_config config = {0};
	static uint64_t iova[MOST / 33];
	struct play p;

	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		unsigned long pages = (sizes[k] / PAGE + 63) / 64 * 64;
		unsigned count = 0;
		uint64_t again;

		play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		while (play_map(&p, sizes[k], CHUNK - 1, &iova[count]) ==
			IOMMU_OK) {
			for (unsigned n = 0; n < count; n++)
				assert_true(iova[count] >= iova[n] + sizes[k] ||
					iova[n] >= iova[count] + sizes[k]);
			count++;
		}
		/* The first 64 pages are spoilt by page 0. */
		assert_int_equal(count, (MOST - 64) / pages);
		assert_true(rig_can_write(
			&p.r, RIG_DEV, iova[count - 1] + sizes[k] - 8));
		OK(play_unmap(&p, sizes[k], iova[count / 2]));
		OK(play_map(&p, sizes[k], CHUNK - 1, &again));
		assert_int_equal(again, iova[count / 2]);
		for (unsigned n = 0; n < count; n++)
			OK(play_unmap(&p, sizes[k], iova[n]));
		play_close(&p);
	}
}

/** Runs of each length that travels through a CPU's magazines: as many the
 *  second time as the first. */
static void short_runs_come_back_whole(void **state)
{
	struct iommu_dma_config config = {0};
	static uint64_t iova[MOST];

	(void)state;
	for (unsigned pages = 2; pages <= 32; pages *= 2) {
		unsigned count[3];
		struct play p;

		play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		for (unsigned n = 0; n < 3; n++) {
			count[n] = 0;
			while (play_map(&p, pages * PAGE, CHUNK - 1,
				       &iova[count[n]]) == IOMMU_OK)
				count[n]++;
			for (unsigned k = 0; k < count[n]; k++)
				OK(play_unmap(&p, pages * PAGE, iova[k]));
		}
		assert_in_range(
			count[0], MOST / pages - 1 - KEPT, MOST / pages);
		assert_in_range(count[2], count[0] - KEPT, count[0] + KEPT);
		play_close(&p);
	}
}

/** A domain of few address bits: all of them can be used. */
static void narrow_spaces_are_used_to_the_end(void **state)
{
	struct iommu_domain_config narrow = {
		.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = 29};
	struct iommu_dma_config config = {0};
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	iommu_iova_t iova[600];
	unsigned count = 0;
	struct play p;

	(void)state;
	play_open_domain(&p, "plain", IOMMU_DOMAIN_MAPPED, 1);
	OK(iommu_domain_create(p.r.iommu, &narrow, &domain));
	OK(iommu_dma_create(domain, &config, &dma));
	for (unsigned n = 0; n < 2; n++) {
		while (iommu_dma_map(dma, iommu_phys(p.memory), 256 * PAGE,
			       ~0ull, IOMMU_TO_DEVICE,
			       &iova[count]) == IOMMU_OK)
			assert_true(++count < 600);
		/* 512 MiB, without what the first page spoils. */
		assert_int_equal(count, 511);
		for (; count; count--)
			OK(iommu_dma_unmap(dma, iova[count - 1], 256 * PAGE,
				IOMMU_TO_DEVICE));
	}
	OK(iommu_dma_destroy(dma));
	OK(iommu_domain_destroy(domain));
	play_close_domain(&p);
}

static void reserved_addresses_are_left_out(void **state)
{
	struct iommu_dma_config config = {0};
	static uint64_t iova[MOST];
	unsigned count = 0;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	OK(iommu_dma_reserve(p.dma, iommu_iova(0x100800), 0x1800));
	/* Twice is once; beyond the space is nowhere. */
	OK(iommu_dma_reserve(p.dma, iommu_iova(0x101000), 0x1000));
	OK(iommu_dma_reserve(p.dma, iommu_iova(1ull << 60), 0x1000));
	while (play_map(&p, PAGE, CHUNK - 1, &iova[count]) == IOMMU_OK) {
		assert_true(iova[count] < 0x100000 || iova[count] > 0x101fff);
		count++;
	}
	assert_in_range(count, MOST - 3 - KEPT, MOST - 3);
	for (unsigned n = 0; n < count; n++)
		OK(play_unmap(&p, PAGE, iova[n]));
	play_close(&p);
}

static void guard_pages_stay_unmapped(void **state)
{
	struct iommu_dma_config config = {.guard = true};
	uint64_t iova[64];
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < 64; n++)
		OK(play_map(&p, (n % 4 + 1) * PAGE, ~0ull, &iova[n]));
	for (unsigned n = 0; n < 64; n++) {
		uint64_t after = iova[n] + (n % 4 + 1) * PAGE;

		assert_true(rig_can_write(&p.r, RIG_DEV, after - 8));
		assert_false(rig_can_read(&p.r, RIG_DEV, after));
	}
	for (unsigned n = 0; n < 64; n++)
		OK(play_unmap(&p, (n % 4 + 1) * PAGE, iova[n]));
	play_close(&p);
}

/** Every second page is somebody's: single pages are there, pairs are not, and
 *  what is reserved twice is not counted twice. */
static void scattered_pages_are_found(void **state)
{
	struct iommu_dma_config config = {0};
	unsigned count = 0;
	uint64_t iova;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned round = 0; round < 2; round++)
		for (uint64_t at = 0; at < CHUNK; at += 2 * PAGE)
			OK(iommu_dma_reserve(p.dma, iommu_iova(at), PAGE));
	assert_int_equal(play_map(&p, 2 * PAGE, CHUNK - 1, &iova), IOMMU_WIDTH);
	while (play_map(&p, PAGE, CHUNK - 1, &iova) == IOMMU_OK) {
		assert_int_equal(iova / PAGE % 2, 1);
		count++;
	}
	assert_true(count >= MOST / 2 - KEPT && count <= MOST / 2);
	rig_close_anyhow(&p.r);
}

/** A run lies where all of its pages are free, whichever of a block is not. */
static void whole_blocks_are_found(void **state)
{
	struct iommu_dma_config config = {0};

	(void)state;
	for (unsigned pages = 2; pages <= 64; pages *= 2)
		for (unsigned k = 0; k < 3; k++) {
			unsigned odd = k == 0 ? 0
				: k == 1      ? pages / 2
					      : pages - 1;
			unsigned blocks = MOST / pages - 20, count = 0;
			uint64_t iova;
			struct play p;

			play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
			for (uint64_t n = 0; n < blocks; n++)
				OK(iommu_dma_reserve(p.dma,
					iommu_iova((n * pages + odd) * PAGE),
					PAGE));
			while (play_map(&p, pages * PAGE, CHUNK - 1, &iova) ==
				IOMMU_OK) {
				assert_true(iova / PAGE / pages >= blocks);
				count++;
			}
			assert_in_range(count, 1, 20);
			rig_close_anyhow(&p.r);
		}
}

/** The last byte counts: it may be at the mask, not above. */
static void last_byte_lies_below_the_mask(void **state)
{
	struct iommu_dma_config config = {0};
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < 400; n++) {
		size_t size = (1 + n % 4) * (size_t)PAGE;
		uint64_t first, again;

		/* The address that is next in turn. */
		OK(play_map(&p, size, ~0ull, &first));
		OK(play_unmap(&p, size, first));
		OK(play_map(&p, size, first + size - 1, &again));
		assert_int_equal(again, first);
		OK(play_unmap(&p, size, again));
		if (play_map(&p, size, first + size - 2, &again) == IOMMU_OK)
			assert_true(again < first);
		/* One stays, so that another one is next. */
		OK(play_map(&p, size, ~0ull, &again));
	}
	rig_close_anyhow(&p.r);
}

/** No page for the bitmap of addresses: refused, and tried again later. */
static void without_a_bitmap_there_are_no_addresses(void **state)
{
	struct iommu_dma_config config = {0};
	uint64_t iova;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	/* The first one exists already. */
	OK(iommu_dma_reserve(p.dma, iommu_iova(0), CHUNK));
	model_fail_alloc(p.r.m, 1, true);
	assert_int_equal(play_map(&p, PAGE, ~0ull, &iova), IOMMU_WIDTH);
	model_fail_alloc(p.r.m, 0, false);
	OK(play_map(&p, PAGE, ~0ull, &iova));
	OK(play_unmap(&p, PAGE, iova));
	play_close(&p);
}

/** What was never mapped, or lies beyond all tables, cannot be unmapped; a
 *  buffer of another size neither. */
static void foreign_addresses_are_refused(void **state)
{
	static const struct iommu_dma_config configs[] = {
		{0}, {.deferred = true}};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		iommu_iova_t rings;
		uint64_t iova;
		struct play p;
		void *virt;

		play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &configs[k], 1);
		OK(play_map(&p, PAGE, ~0ull, &iova));
		assert_int_equal(
			play_unmap(&p, PAGE, 1ull << 60), IOMMU_BAD_ARGUMENT);
		assert_int_equal(play_unmap(&p, PAGE, iova + 64 * PAGE),
			IOMMU_BAD_ARGUMENT);
		assert_true(rig_can_read(&p.r, RIG_DEV, iova));
		OK(play_unmap(&p, PAGE, iova));
		OK(iommu_dma_alloc(p.dma, 0, ~0ull, &virt, &rings));
		assert_int_equal(iommu_dma_free(p.dma, 9, virt, rings),
			IOMMU_BAD_ARGUMENT);
		OK(iommu_dma_free(p.dma, 0, virt, rings));
		play_close(&p);
	}
}

/** Pages given back with another size than they were taken with. */
static void wrong_size_is_told(void **state)
{
	struct iommu_dma_config config = {0};
	iommu_iova_t rings;
	struct play p;
	void *virt;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	OK(iommu_dma_alloc(p.dma, 0, ~0ull, &virt, &rings));
	assert_int_equal(
		iommu_dma_free(p.dma, 1, virt, rings), IOMMU_BAD_ARGUMENT);
	assert_int_equal(model_violation_count(p.r.m), 0);
	rig_close_anyhow(&p.r);
}

/* ---- CPUs ---- */

/** Each CPU defers and caches for itself; a number that is none is CPU 0. */
static void cpus_share_the_addresses(void **state)
{
	struct iommu_dma_config config = {.deferred = true, .defer_count = 8};
	uint64_t iova[8][40];
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 6);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned n = 0; n < 40; n++)
			for (unsigned cpu = 0; cpu < 8; cpu++) {
				play_cpu = cpu < 6 ? cpu : 1000 + cpu;
				OK(play_map(
					&p, PAGE, 0xffffffff, &iova[cpu][n]));
			}
		for (unsigned n = 0; n < 8 * 40; n++)
			for (unsigned k = 0; k < n; k++)
				assert_true(iova[n / 40][n % 40] !=
					iova[k / 40][k % 40]);
		for (unsigned n = 0; n < 40; n++)
			for (unsigned cpu = 0; cpu < 8; cpu++) {
				/* Given back by another CPU. */
				play_cpu = (cpu + round) % 8;
				OK(play_unmap(&p, PAGE, iova[cpu][n]));
			}
	}
	OK(iommu_dma_flush(p.dma));
	for (unsigned n = 0; n < 40; n++)
		assert_false(rig_can_read(&p.r, RIG_DEV, iova[3][n]));
	play_close(&p);
}

/* ---- when something fails ---- */

static enum iommu_status one_buffer(struct play *p)
{
	enum iommu_status status;
	iommu_iova_t at;

	status = iommu_dma_map(p->dma, iommu_phys(p->memory + 8), 0x4000, ~0ull,
		IOMMU_BOTH_WAYS, &at);
	if (status == IOMMU_OK)
		OK(iommu_dma_unmap(p->dma, at, 0x4000, IOMMU_BOTH_WAYS));
	return status;
}

/** Long enough to need a second table of the lowest level. */
static enum iommu_status one_list(struct play *p)
{
	struct iommu_dma_piece piece[5];
	struct iommu_dma_range range[5];
	enum iommu_status status;
	unsigned count;

	play_pieces(p, piece);
	for (unsigned n = 0; n < 5; n++)
		piece[n].size = 200 * PAGE;
	status = iommu_dma_map_list(
		p->dma, piece, 5, ~0ull, IOMMU_BOTH_WAYS, range, &count);
	if (status == IOMMU_OK)
		OK(iommu_dma_unmap_list(p->dma, range, count, IOMMU_BOTH_WAYS));
	return status;
}

static enum iommu_status one_ring(struct play *p)
{
	enum iommu_status status;
	iommu_iova_t at;
	void *virt;

	status = iommu_dma_alloc(p->dma, 1, ~0ull, &virt, &at);
	if (status == IOMMU_OK)
		OK(iommu_dma_free(p->dma, 1, virt, at));
	return status;
}

/** One of everything, the n-th kind first. Returns the first status that is not
 *  IOMMU_OK; what was mapped is unmapped. */
static enum iommu_status one_of_each(struct play *p, unsigned first)
{
	static enum iommu_status (*const what[])(struct play *) = {
		one_buffer, one_list, one_ring};
	enum iommu_status status = IOMMU_OK;

	for (unsigned n = 0; n < 3 && status == IOMMU_OK; n++)
		status = what[(first + n) % 3](p);
	return status;
}

static void nth_allocation_fails(void **state)
{
	static const struct iommu_dma_config configs[] = {
		{0}, {.deferred = true}, {.untrusted = true}};

	(void)state;
	for (unsigned k = 0; k < 9; k++) {
		enum iommu_status status = IOMMU_NO_MEMORY;
		unsigned n = 0;

		while (status != IOMMU_OK) {
			struct play p;

			assert_true(++n < 100);
			play_open_domain(&p, "plain", IOMMU_DOMAIN_MAPPED, 3);
			model_fail_alloc(p.r.m, n, false);
			status = iommu_dma_create(
				p.domain, &configs[k % 3], &p.dma);
			if (status == IOMMU_OK) {
				status = one_of_each(&p, k / 3);
				model_fail_alloc(p.r.m, 0, false);
				/* Nothing is mapped, all of it works. */
				OK(one_of_each(&p, 0));
				OK(iommu_dma_destroy(p.dma));
			}
			model_fail_alloc(p.r.m, 0, false);
			/* No address left means no memory for its bitmap. */
			assert_true(status == IOMMU_OK ||
				status == IOMMU_NO_MEMORY ||
				status == IOMMU_WIDTH);
			play_close_domain(&p);
		}
		assert_true(n > 6);
	}
}

/** What the unit did not confirm keeps its address and its copy. */
static void unconfirmed_addresses_are_not_reused(void **state)
{
	static const struct iommu_dma_config configs[] = {
		{0}, {.deferred = true, .defer_count = 1}, {.untrusted = true}};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		iommu_iova_t iova, rings;
		enum iommu_status status;
		uint64_t again;
		struct play p;
		void *virt;

		play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &configs[k], 1);
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory + 8), 8, ~0ull,
			IOMMU_BOTH_WAYS, &iova));
		OK(iommu_dma_alloc(p.dma, 0, ~0ull, &virt, &rings));
		assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
		model_unit_hang(p.r.m, 0, 0);
		status = iommu_dma_unmap(p.dma, iova, 8, IOMMU_BOTH_WAYS);
		assert_true(status == IOMMU_UNIT_LOST ||
			status == IOMMU_UNCONFIRMED);
		status = iommu_dma_free(p.dma, 0, virt, rings);
		assert_true(status == IOMMU_UNIT_LOST ||
			status == IOMMU_UNCONFIRMED);
		for (unsigned n = 0; n < 100; n++) {
			OK(play_map(&p, PAGE, ~0ull, &again));
			assert_true(again != (iova.v & ~0xfffull));
			assert_true(again != rings.v);
		}
		assert_int_equal(model_violation_count(p.r.m), 0);
		rig_close_anyhow(&p.r);
	}
}

/** On a unit that caches absent entries a map waits too. */
static void unconfirmed_maps_keep_their_address(void **state)
{
	static const struct iommu_dma_config configs[] = {
		{0}, {.untrusted = true}};

	(void)state;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned what = 0; what < 3; what++) {
			struct iommu_dma_piece piece[5];
			struct iommu_dma_range range[5];
			enum iommu_status status;
			iommu_iova_t iova;
			unsigned count;
			struct play p;
			void *virt;

			play_open(&p, "caching", IOMMU_DOMAIN_MAPPED,
				&configs[k], 1);
			play_pieces(&p, piece);
			model_unit_hang(p.r.m, 0, 0);
			if (what == 0)
				status = iommu_dma_map(p.dma, piece[1].phys, 8,
					~0ull, IOMMU_BOTH_WAYS, &iova);
			else if (what == 1)
				status = iommu_dma_map_list(p.dma, piece, 5,
					~0ull, IOMMU_BOTH_WAYS, range, &count);
			else
				status = iommu_dma_alloc(
					p.dma, 0, ~0ull, &virt, &iova);
			assert_true(status == IOMMU_UNIT_LOST ||
				status == IOMMU_UNCONFIRMED);
			OK(iommu_dma_destroy(p.dma));
			assert_int_equal(model_violation_count(p.r.m), 0);
			rig_close_anyhow(&p.r);
		}
}

/** Pages that the unit may still reach are counted, and the addresses with
 *  them: the space can end. */
static void withheld_pages_are_counted(void **state)
{
	struct iommu_dma_config config = {0};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		iommu_iova_t iova, buffer;
		enum iommu_status status;
		struct play p;
		void *virt;

		/* One waits when it maps, the other when it unmaps. */
		play_open(&p, k ? "caching" : "plain", IOMMU_DOMAIN_MAPPED,
			&config, 1);
		OK(iommu_dma_map(p.dma, iommu_phys(p.memory), PAGE, ~0ull,
			IOMMU_BOTH_WAYS, &buffer));
		if (k)
			model_unit_hang(p.r.m, 0, 0);
		status = iommu_dma_alloc(p.dma, 2, ~0ull, &virt, &iova);
		assert_int_equal(status, k ? IOMMU_UNIT_LOST : IOMMU_OK);
		if (!k) {
			model_unit_hang(p.r.m, 0, 0);
			assert_int_equal(iommu_dma_free(p.dma, 2, virt, iova),
				IOMMU_UNIT_LOST);
		}
		words_start();
		iommu_report_stats(p.r.iommu, words_sink, NULL);
		words_have(", withheld: 4\n");
		assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
		assert_int_equal(
			iommu_dma_unmap(p.dma, buffer, PAGE, IOMMU_BOTH_WAYS),
			IOMMU_UNIT_LOST);
		assert_int_not_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
		rig_close_anyhow(&p.r);
	}
}

/** What gets no address gets no pages. */
static void pages_without_an_address_are_given_back(void **state)
{
	struct iommu_dma_config config = {0};
	iommu_iova_t iova;
	struct play p;
	size_t pages;
	void *virt;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	pages = model_pages_in_use(p.r.m, 0);
	assert_int_equal(
		iommu_dma_alloc(p.dma, 3, 0xfff, &virt, &iova), IOMMU_WIDTH);
	assert_int_equal(model_pages_in_use(p.r.m, 0), pages);
	play_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_run_out_and_come_back),
		cmocka_unit_test(long_runs_run_out_and_come_back),
		cmocka_unit_test(short_runs_come_back_whole),
		cmocka_unit_test(narrow_spaces_are_used_to_the_end),
		cmocka_unit_test(reserved_addresses_are_left_out),
		cmocka_unit_test(guard_pages_stay_unmapped),
		cmocka_unit_test(scattered_pages_are_found),
		cmocka_unit_test(whole_blocks_are_found),
		cmocka_unit_test(last_byte_lies_below_the_mask),
		cmocka_unit_test(without_a_bitmap_there_are_no_addresses),
		cmocka_unit_test(foreign_addresses_are_refused),
		cmocka_unit_test(wrong_size_is_told),
		cmocka_unit_test(cpus_share_the_addresses),
		cmocka_unit_test(nth_allocation_fails),
		cmocka_unit_test(unconfirmed_addresses_are_not_reused),
		cmocka_unit_test(unconfirmed_maps_keep_their_address),
		cmocka_unit_test(withheld_pages_are_counted),
		cmocka_unit_test(pages_without_an_address_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
