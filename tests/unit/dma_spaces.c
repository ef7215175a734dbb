/* SPDX-License-Identifier: MIT */
/*
 * DMA spaces at their edges: addresses run out and come back, CPUs have their
 * own, memory or the unit fails in the middle of a call, one call interrupts
 * another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iommu/dma.h>
#include "support/refuse.h"
#include "support/rig.h"

enum {
	ORDER = 8,
	PAGE = 4096,
	/** The least that a space looks at: one chunk of its bitmap. */
	CHUNK = 128 << 20,
	MOST = CHUNK / PAGE,
	/** Pages that a CPU may keep for itself. */
	KEPT = 32,
};

struct play {
	struct rig r;
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	uint64_t memory;
};

static unsigned current_cpu;

static unsigned cpu_index(void *ctx)
{
	(void)ctx;
	return current_cpu;
}

static void open_domain(struct play *p, const char *kind,
	enum iommu_domain_kind what, unsigned cpus)
{
	struct iommu_domain_config config = {.kind = what};

	memset(p, 0, sizeof(*p));
	rig_open(&p->r, kind, MODEL_LAZY, 1);
	p->r.options.cpus = cpus;
	p->r.options.timeout_ns = 1000000;
	p->r.options.device_timeout_ns = 1000000;
	p->r.hooks.cpu_index = cpu_index;
	current_cpu = 0;
	rig_start_ok(&p->r);
	p->memory = model_page_alloc(p->r.m, ORDER, 9);
	memset(model_ptr(p->r.m, p->memory), 0, (size_t)PAGE << ORDER);
	assert_int_equal(
		iommu_domain_create(p->r.iommu, &config, &p->domain), IOMMU_OK);
	assert_int_equal(
		iommu_attach(p->r.iommu, rig_id(RIG_DEV), p->domain), IOMMU_OK);
}

static void open_play(struct play *p, const char *kind,
	enum iommu_domain_kind what, const struct iommu_dma_config *config,
	unsigned cpus)
{
	open_domain(p, kind, what, cpus);
	assert_int_equal(
		iommu_dma_create(p->domain, config, &p->dma), IOMMU_OK);
}

static void close_domain(struct play *p)
{
	assert_int_equal(iommu_detach(p->r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(p->domain), IOMMU_OK);
	model_page_free(p->r.m, p->memory, ORDER);
	rig_close(&p->r);
}

static void close_play(struct play *p)
{
	assert_int_equal(iommu_dma_destroy(p->dma), IOMMU_OK);
	close_domain(p);
}

static enum iommu_status map(
	struct play *p, size_t size, uint64_t mask, uint64_t *out)
{
	iommu_iova_t iova = {0};
	enum iommu_status status = iommu_dma_map(p->dma, iommu_phys(p->memory),
		size, mask, IOMMU_BOTH_WAYS, &iova);

	*out = iova.v;
	return status;
}

static enum iommu_status unmap(struct play *p, size_t size, uint64_t iova)
{
	return iommu_dma_unmap(p->dma, iommu_iova(iova), size, IOMMU_BOTH_WAYS);
}

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
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	while (map(&p, PAGE, CHUNK - 1, &iova[count]) == IOMMU_OK) {
		assert_true(iova[count] && iova[count] < CHUNK);
		count++;
		assert_true(count < MOST);
	}
	/* All but page 0, and what lies in the CPU's magazine below an
	 * address that is too high. */
	assert_in_range(count, MOST - 1 - KEPT, MOST - 1);
	assert_int_equal(map(&p, PAGE, CHUNK - 1, &one), IOMMU_WIDTH);
	/* Above the mask there are more. */
	assert_int_equal(map(&p, PAGE, 2ull * CHUNK - 1, &one), IOMMU_OK);
	assert_true(one >= CHUNK);
	assert_int_equal(unmap(&p, PAGE, one), IOMMU_OK);
	for (unsigned n = 0; n < count; n += 97) {
		assert_int_equal(unmap(&p, PAGE, iova[n]), IOMMU_OK);
		assert_int_equal(map(&p, PAGE, CHUNK - 1, &one), IOMMU_OK);
		assert_true(one < CHUNK);
		iova[n] = one;
	}
	for (unsigned n = 0; n < count; n++)
		assert_int_equal(unmap(&p, PAGE, iova[n]), IOMMU_OK);
	close_play(&p);
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

		open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		while (map(&p, sizes[k], CHUNK - 1, &iova[count]) == IOMMU_OK) {
			for (unsigned n = 0; n < count; n++)
				assert_true(iova[count] >= iova[n] + sizes[k] ||
					iova[n] >= iova[count] + sizes[k]);
			count++;
		}
		/* The first 64 pages are spoilt by page 0. */
		assert_int_equal(count, (MOST - 64) / pages);
		assert_true(rig_can_write(
			&p.r, RIG_DEV, iova[count - 1] + sizes[k] - 8));
		assert_int_equal(
			unmap(&p, sizes[k], iova[count / 2]), IOMMU_OK);
		assert_int_equal(
			map(&p, sizes[k], CHUNK - 1, &again), IOMMU_OK);
		assert_int_equal(again, iova[count / 2]);
		for (unsigned n = 0; n < count; n++)
			assert_int_equal(
				unmap(&p, sizes[k], iova[n]), IOMMU_OK);
		close_play(&p);
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

		open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		for (unsigned n = 0; n < 3; n++) {
			count[n] = 0;
			while (map(&p, pages * PAGE, CHUNK - 1,
				       &iova[count[n]]) == IOMMU_OK)
				count[n]++;
			for (unsigned k = 0; k < count[n]; k++)
				assert_int_equal(
					unmap(&p, pages * PAGE, iova[k]),
					IOMMU_OK);
		}
		assert_in_range(
			count[0], MOST / pages - 1 - KEPT, MOST / pages);
		assert_in_range(count[2], count[0] - KEPT, count[0] + KEPT);
		close_play(&p);
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
	open_domain(&p, "plain", IOMMU_DOMAIN_MAPPED, 1);
	assert_int_equal(
		iommu_domain_create(p.r.iommu, &narrow, &domain), IOMMU_OK);
	assert_int_equal(iommu_dma_create(domain, &config, &dma), IOMMU_OK);
	while (iommu_dma_map(dma, iommu_phys(p.memory), 256 * PAGE, ~0ull,
		       IOMMU_TO_DEVICE, &iova[count]) == IOMMU_OK)
		assert_true(++count < 600);
	/* 512 MiB, without what the first page spoils. */
	assert_int_equal(count, 511);
	while (count--)
		assert_int_equal(iommu_dma_unmap(dma, iova[count], 256 * PAGE,
					 IOMMU_TO_DEVICE),
			IOMMU_OK);
	assert_int_equal(iommu_dma_destroy(dma), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(domain), IOMMU_OK);
	close_domain(&p);
}

static void reserved_addresses_are_left_out(void **state)
{
	struct iommu_dma_config config = {0};
	static uint64_t iova[MOST];
	unsigned count = 0;
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(iommu_dma_reserve(p.dma, iommu_iova(0x100800), 0x1800),
		IOMMU_OK);
	/* Twice is once; beyond the space is nowhere. */
	assert_int_equal(iommu_dma_reserve(p.dma, iommu_iova(0x101000), 0x1000),
		IOMMU_OK);
	assert_int_equal(
		iommu_dma_reserve(p.dma, iommu_iova(1ull << 60), 0x1000),
		IOMMU_OK);
	while (map(&p, PAGE, CHUNK - 1, &iova[count]) == IOMMU_OK) {
		assert_true(iova[count] < 0x100000 || iova[count] > 0x101fff);
		count++;
	}
	assert_in_range(count, MOST - 3 - KEPT, MOST - 3);
	for (unsigned n = 0; n < count; n++)
		assert_int_equal(unmap(&p, PAGE, iova[n]), IOMMU_OK);
	close_play(&p);
}

static void guard_pages_stay_unmapped(void **state)
{
	struct iommu_dma_config config = {.guard = true};
	uint64_t iova[64];
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < 64; n++)
		assert_int_equal(
			map(&p, (n % 4 + 1) * PAGE, ~0ull, &iova[n]), IOMMU_OK);
	for (unsigned n = 0; n < 64; n++) {
		uint64_t after = iova[n] + (n % 4 + 1) * PAGE;

		assert_true(rig_can_write(&p.r, RIG_DEV, after - 8));
		assert_false(rig_can_read(&p.r, RIG_DEV, after));
	}
	for (unsigned n = 0; n < 64; n++)
		assert_int_equal(
			unmap(&p, (n % 4 + 1) * PAGE, iova[n]), IOMMU_OK);
	close_play(&p);
}

/* ---- CPUs ---- */

/** Each CPU defers and caches for itself; a number that is none is CPU 0. */
static void cpus_share_the_addresses(void **state)
{
	struct iommu_dma_config config = {.deferred = true, .defer_count = 8};
	uint64_t iova[8][40];
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 6);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned n = 0; n < 40; n++)
			for (unsigned cpu = 0; cpu < 8; cpu++) {
				current_cpu = cpu < 6 ? cpu : 1000 + cpu;
				assert_int_equal(map(&p, PAGE, 0xffffffff,
							 &iova[cpu][n]),
					IOMMU_OK);
			}
		for (unsigned n = 0; n < 8 * 40; n++)
			for (unsigned k = 0; k < n; k++)
				assert_true(iova[n / 40][n % 40] !=
					iova[k / 40][k % 40]);
		for (unsigned n = 0; n < 40; n++)
			for (unsigned cpu = 0; cpu < 8; cpu++) {
				/* Given back by another CPU. */
				current_cpu = (cpu + round) % 8;
				assert_int_equal(unmap(&p, PAGE, iova[cpu][n]),
					IOMMU_OK);
			}
	}
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_OK);
	for (unsigned n = 0; n < 40; n++)
		assert_false(rig_can_read(&p.r, RIG_DEV, iova[3][n]));
	close_play(&p);
}

static struct play *interrupted;
static uint64_t spare[4];
static unsigned interrupts;

/** What an interrupt in the middle of a flush may do. */
static void interrupt(struct model_host *h)
{
	struct play *p = interrupted;

	(void)h;
	if (interrupts == 2)
		return;
	interrupts++;
	/* Nothing to be done for the CPU that is interrupted. */
	assert_int_equal(iommu_dma_tick(p->dma), IOMMU_OK);
	assert_int_equal(unmap(p, PAGE, spare[interrupts]), IOMMU_OK);
	assert_false(rig_can_read(&p->r, RIG_DEV, spare[interrupts]));
}

/** A CPU is flushing its deferred unmaps when an interrupt unmaps too: that
 *  one is not deferred. */
static void interrupted_flush_is_gone_around(void **state)
{
	struct iommu_dma_config config = {.deferred = true};
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < 4; n++) {
		assert_int_equal(map(&p, PAGE, ~0ull, &spare[n]), IOMMU_OK);
		assert_true(rig_can_read(&p.r, RIG_DEV, spare[n]));
	}
	assert_int_equal(unmap(&p, PAGE, spare[0]), IOMMU_OK);
	interrupted = &p;
	interrupts = 0;
	p.r.host.on_relax = interrupt;
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_OK);
	p.r.host.on_relax = NULL;
	assert_int_equal(interrupts, 2);
	assert_false(rig_can_read(&p.r, RIG_DEV, spare[0]));
	assert_true(rig_can_read(&p.r, RIG_DEV, spare[3]));
	assert_int_equal(unmap(&p, PAGE, spare[3]), IOMMU_OK);
	close_play(&p);
}

/** Deferred unmaps are flushed when the space ends, whatever their age. */
static void end_flushes_what_was_deferred(void **state)
{
	struct iommu_dma_config config = {.deferred = true};
	struct play p;
	uint64_t iova;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
	assert_true(rig_can_read(&p.r, RIG_DEV, iova));
	assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
	assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_OK);
	assert_false(rig_can_read(&p.r, RIG_DEV, iova));
	close_domain(&p);

	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
	assert_true(rig_can_read(&p.r, RIG_DEV, iova));
	assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_OK);
	assert_false(rig_can_read(&p.r, RIG_DEV, iova));
	close_play(&p);
}

/** What any CPU deferred is no buffer in use: it does not keep the space. */
static void end_counts_what_every_cpu_deferred(void **state)
{
	struct iommu_dma_config config = {.deferred = true};
	uint64_t iova[3];
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 3);
	for (current_cpu = 0; current_cpu < 3; current_cpu++)
		assert_int_equal(
			map(&p, PAGE, ~0ull, &iova[current_cpu]), IOMMU_OK);
	for (current_cpu = 0; current_cpu < 3; current_cpu++) {
		assert_true(rig_can_read(&p.r, RIG_DEV, iova[current_cpu]));
		assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
		assert_int_equal(unmap(&p, PAGE, iova[current_cpu]), IOMMU_OK);
	}
	assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_OK);
	for (unsigned n = 0; n < 3; n++)
		assert_false(rig_can_read(&p.r, RIG_DEV, iova[n]));
	close_domain(&p);
}

static struct play *releasing;
static unsigned released_count;
static bool is_released[4096];

/** What is released no device reaches any more. */
static void on_released(void *cookie)
{
	uintptr_t at = (uintptr_t)cookie;

	assert_false(is_released[at >> 20]);
	is_released[at >> 20] = true;
	released_count++;
	if (at & 0xfffff)
		assert_false(rig_can_read(
			&releasing->r, RIG_DEV, (at & 0xfffff) * PAGE));
}

/** However unmaps, ticks and flushes follow each other: nothing is released
 *  that a device still reaches, at most as many wait as may, and all are
 *  released in the end. */
static void released_means_out_of_reach(void **state)
{
	static const unsigned counts[] = {1, 2, 3, 4, 7, 16, 100, 0};

	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		struct iommu_dma_config config = {.deferred = true,
			.defer_count = counts[k / 2],
			.defer_ns = 20000,
			.released = on_released};
		unsigned most = config.defer_count ? config.defer_count : 256;
		uint64_t seed = 88172645463325252ull;
		unsigned unmapped = 0;
		struct play p;

		open_play(&p, k & 1 ? "plain" : "caching", IOMMU_DOMAIN_MAPPED,
			&config, 1);
		releasing = &p;
		released_count = 0;
		memset(is_released, 0, sizeof(is_released));
		while (unmapped < 1000) {
			uint64_t iova;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			if (seed % 97 == 0)
				assert_int_equal(
					iommu_dma_tick(p.dma), IOMMU_OK);
			if (seed % 211 == 0)
				model_advance(p.r.m, seed % 50000);
			if (seed % 307 == 0) {
				assert_int_equal(
					iommu_dma_flush(p.dma), IOMMU_OK);
				assert_int_equal(released_count, unmapped);
			}
			assert_int_equal(
				map(&p, PAGE, 0xffffffff, &iova), IOMMU_OK);
			assert_true(rig_can_read(&p.r, RIG_DEV, iova));
			unmapped++;
			assert_int_equal(
				iommu_dma_unmap_later(p.dma, iommu_iova(iova),
					PAGE, IOMMU_BOTH_WAYS,
					(void *)(uintptr_t)(unmapped << 20 |
						iova / PAGE)),
				IOMMU_OK);
			assert_true(unmapped - released_count <= 2 * most);
		}
		assert_int_equal(iommu_dma_flush(p.dma), IOMMU_OK);
		assert_int_equal(released_count, unmapped);
		close_play(&p);
	}
}

/* ---- identity, copies, lists ---- */

static void make_pieces(struct play *p, struct iommu_dma_piece *piece)
{
	for (unsigned n = 0; n < 5; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(p->memory + n * 0x3000 + 0x10 * n),
			0x800 + n};
}

static void lists_go_piece_by_piece(void **state)
{
	static const struct {
		enum iommu_domain_kind kind;
		struct iommu_dma_config config;
	} row[] = {{IOMMU_DOMAIN_IDENTITY, {0}},
		{IOMMU_DOMAIN_IDENTITY, {.deferred = true}},
		{IOMMU_DOMAIN_MAPPED, {0}},
		{IOMMU_DOMAIN_MAPPED, {.untrusted = true}},
		{IOMMU_DOMAIN_MAPPED, {.untrusted = true, .deferred = true}}};
	struct iommu_dma_piece piece[5];
	struct iommu_dma_range range[5];
	struct play p;
	unsigned count;

	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		bool identity = row[k].kind == IOMMU_DOMAIN_IDENTITY;

		open_play(&p, "plain", row[k].kind, &row[k].config, 1);
		make_pieces(&p, piece);
		assert_int_equal(iommu_dma_map_list(p.dma, piece, 5, ~0ull,
					 IOMMU_BOTH_WAYS, range, &count),
			IOMMU_OK);
		assert_int_equal(count, 5);
		for (unsigned n = 0; n < 5; n++) {
			assert_int_equal(range[n].size, piece[n].size);
			assert_int_equal(
				range[n].iova.v == piece[n].phys.v, identity);
			assert_true(
				rig_can_write(&p.r, RIG_DEV, range[n].iova.v));
		}
		assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
		assert_int_equal(iommu_dma_unmap_list(
					 p.dma, range, count, IOMMU_BOTH_WAYS),
			IOMMU_OK);
		for (unsigned n = 0; n < 5; n++) {
			uint64_t *word = model_ptr(p.r.m, piece[n].phys.v);

			assert_int_equal(*word, 0x1234);
			assert_int_equal(
				rig_can_write(&p.r, RIG_DEV, range[n].iova.v),
				identity);
		}
		if (!identity)
			assert_int_equal(iommu_dma_unmap_list(p.dma, range,
						 count, IOMMU_BOTH_WAYS),
				IOMMU_BAD_ARGUMENT);
		close_play(&p);
	}
}

static void identity_cannot_move_a_buffer(void **state)
{
	struct iommu_dma_config config = {0};
	struct iommu_dma_piece piece[2];
	struct iommu_dma_range range[2];
	unsigned count;
	struct play p;
	iommu_iova_t at;
	uint64_t iova;
	void *virt;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_IDENTITY, &config, 1);
	assert_int_equal(
		map(&p, PAGE, p.memory + PAGE - 2, &iova), IOMMU_WIDTH);
	assert_int_equal(map(&p, PAGE, p.memory + PAGE - 1, &iova), IOMMU_OK);
	assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
	/* The second piece does not fit: the first is taken back. */
	piece[0] = (struct iommu_dma_piece){iommu_phys(p.memory), PAGE};
	piece[1] = (struct iommu_dma_piece){iommu_phys(p.memory + PAGE), PAGE};
	assert_int_equal(
		iommu_dma_map_list(p.dma, piece, 2, p.memory + PAGE - 1,
			IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 1, p.memory,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	assert_int_equal(
		iommu_dma_reserve(p.dma, iommu_iova(p.memory), PAGE), IOMMU_OK);
	assert_int_equal(
		iommu_dma_alloc(p.dma, 1, ~0ull, &virt, &at), IOMMU_OK);
	assert_int_equal(at.v,
		(uint64_t)((char *)virt - (char *)model_direct_map(p.r.m)));
	assert_int_equal(iommu_dma_free(p.dma, 1, virt, at), IOMMU_OK);
	close_play(&p);
}

static void long_lists_are_refused(void **state)
{
	enum {
		PIECES = 80
	};
	struct iommu_dma_config config = {0};
	struct iommu_dma_piece piece[PIECES];
	struct iommu_dma_range range[PIECES];
	unsigned count;
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < PIECES; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(p.memory), 256 * PAGE};
	/* At most half a chunk: 64 such pieces. */
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 65, ~0ull,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 64, ~0ull,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_OK);
	assert_int_equal(count, 1);
	assert_int_equal(range[0].size, CHUNK / 2);
	assert_true(
		rig_can_write(&p.r, RIG_DEV, range[0].iova.v + CHUNK / 2 - 8));
	assert_int_equal(iommu_dma_unmap_list(p.dma, range, 1, IOMMU_BOTH_WAYS),
		IOMMU_OK);
	assert_int_equal(iommu_dma_map_list(p.dma, piece, 1, 0xfffff,
				 IOMMU_BOTH_WAYS, range, &count),
		IOMMU_WIDTH);
	close_play(&p);
}

static void parts_of_a_copy_are_carried(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova, other;
	uint64_t word = 0, *cpu;
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	cpu = model_ptr(p.r.m, p.memory);
	/* Without any copy there is nothing to carry. */
	iommu_dma_sync(p.dma, iommu_iova(0x5000), 8, IOMMU_TO_DEVICE);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 0x100), 64,
				 ~0ull, IOMMU_BOTH_WAYS, &iova),
		IOMMU_OK);
	cpu[0x100 / 8] = 1;
	cpu[0x108 / 8] = 2;
	iommu_dma_sync(p.dma, iommu_iova(iova.v + 8), 8, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8);
	assert_int_equal(word, 0);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v + 8, &word, 8);
	assert_int_equal(word, 2);
	/* More than the buffer has is cut, beyond it is nothing. */
	iommu_dma_sync(p.dma, iova, 1 << 20, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8);
	assert_int_equal(word, 1);
	cpu[0x140 / 8] = 3;
	iommu_dma_sync(p.dma, iommu_iova(iova.v + 64), 8, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v + 64, &word, 8);
	assert_int_equal(word, 0);
	/* In front of it, on the same page: carried from its start. */
	cpu[0x100 / 8] = 4;
	iommu_dma_sync(p.dma, iommu_iova(iova.v - 0x10), 8, IOMMU_TO_DEVICE);
	model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8);
	assert_int_equal(word, 4);
	/* Some other buffer's address, one without a copy. */
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 0x4000),
				 PAGE, ~0ull, IOMMU_BOTH_WAYS, &other),
		IOMMU_OK);
	for (unsigned n = 0; n < 64; n++)
		iommu_dma_sync(p.dma, iommu_iova(other.v + n * PAGE), 8,
			IOMMU_FROM_DEVICE);
	assert_int_equal(cpu[0x100 / 8], 4);
	assert_int_equal(
		iommu_dma_unmap(p.dma, other, PAGE, IOMMU_BOTH_WAYS), IOMMU_OK);
	/* What only goes to the device does not come back. */
	assert_int_equal(
		iommu_dma_unmap(p.dma, iova, 64, IOMMU_BOTH_WAYS), IOMMU_OK);
	cpu[0] = 5;
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory), 8, ~0ull,
				 IOMMU_TO_DEVICE, &iova),
		IOMMU_OK);
	cpu[0] = 6;
	assert_int_equal(
		iommu_dma_unmap(p.dma, iova, 8, IOMMU_TO_DEVICE), IOMMU_OK);
	assert_int_equal(cpu[0], 6);
	close_play(&p);
}

/** Two copies whose addresses fall on one another in the table of copies. */
static void copies_are_told_apart(void **state)
{
	enum {
		COPIES = 200
	};
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova[COPIES];
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < COPIES; n++) {
		uint64_t *cpu = model_ptr(p.r.m, p.memory + n * PAGE);

		*cpu = n;
		assert_int_equal(
			iommu_dma_map(p.dma, iommu_phys(p.memory + n * PAGE), 8,
				~0ull, IOMMU_BOTH_WAYS, &iova[n]),
			IOMMU_OK);
		*cpu = 1000 + n;
	}
	for (unsigned n = 0; n < COPIES; n++) {
		uint64_t word = 0;

		iommu_dma_sync(p.dma, iova[n], 8, IOMMU_TO_DEVICE);
		model_dma_read(p.r.m, 0, RIG_DEV, iova[n].v, &word, 8);
		assert_int_equal(word, 1000 + n);
	}
	for (unsigned n = 0; n < COPIES; n++)
		assert_int_equal(iommu_dma_unmap(p.dma, iova[(n * 7) % COPIES],
					 8, IOMMU_BOTH_WAYS),
			IOMMU_OK);
	close_play(&p);
}

static void too_big_a_copy_is_refused(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova;
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 8),
				 256 * PAGE, ~0ull, IOMMU_TO_DEVICE, &iova),
		IOMMU_NO_MEMORY);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 8),
				 256 * PAGE - 8, ~0ull, IOMMU_TO_DEVICE, &iova),
		IOMMU_OK);
	assert_int_equal(
		iommu_dma_unmap(p.dma, iova, 256 * PAGE - 8, IOMMU_TO_DEVICE),
		IOMMU_OK);
	close_play(&p);
}

/* ---- when something fails ---- */

static enum iommu_status one_buffer(struct play *p)
{
	enum iommu_status status;
	iommu_iova_t at;

	status = iommu_dma_map(p->dma, iommu_phys(p->memory + 8), 0x4000, ~0ull,
		IOMMU_BOTH_WAYS, &at);
	if (status == IOMMU_OK)
		assert_int_equal(
			iommu_dma_unmap(p->dma, at, 0x4000, IOMMU_BOTH_WAYS),
			IOMMU_OK);
	return status;
}

/** Long enough to need a second table of the lowest level. */
static enum iommu_status one_list(struct play *p)
{
	struct iommu_dma_piece piece[5];
	struct iommu_dma_range range[5];
	enum iommu_status status;
	unsigned count;

	make_pieces(p, piece);
	for (unsigned n = 0; n < 5; n++)
		piece[n].size = 200 * PAGE;
	status = iommu_dma_map_list(
		p->dma, piece, 5, ~0ull, IOMMU_BOTH_WAYS, range, &count);
	if (status == IOMMU_OK)
		assert_int_equal(iommu_dma_unmap_list(
					 p->dma, range, count, IOMMU_BOTH_WAYS),
			IOMMU_OK);
	return status;
}

static enum iommu_status one_ring(struct play *p)
{
	enum iommu_status status;
	iommu_iova_t at;
	void *virt;

	status = iommu_dma_alloc(p->dma, 1, ~0ull, &virt, &at);
	if (status == IOMMU_OK)
		assert_int_equal(iommu_dma_free(p->dma, 1, virt, at), IOMMU_OK);
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
			open_domain(&p, "plain", IOMMU_DOMAIN_MAPPED, 3);
			model_fail_alloc(p.r.m, n, false);
			status = iommu_dma_create(
				p.domain, &configs[k % 3], &p.dma);
			if (status == IOMMU_OK) {
				status = one_of_each(&p, k / 3);
				model_fail_alloc(p.r.m, 0, false);
				/* Nothing is mapped, all of it works. */
				assert_int_equal(one_of_each(&p, 0), IOMMU_OK);
				assert_int_equal(
					iommu_dma_destroy(p.dma), IOMMU_OK);
			}
			model_fail_alloc(p.r.m, 0, false);
			/* No address left means no memory for its bitmap. */
			assert_true(status == IOMMU_OK ||
				status == IOMMU_NO_MEMORY ||
				status == IOMMU_WIDTH);
			close_domain(&p);
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

		open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &configs[k], 1);
		assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 8),
					 8, ~0ull, IOMMU_BOTH_WAYS, &iova),
			IOMMU_OK);
		assert_int_equal(
			iommu_dma_alloc(p.dma, 0, ~0ull, &virt, &rings),
			IOMMU_OK);
		assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
		model_unit_hang(p.r.m, 0, 0);
		status = iommu_dma_unmap(p.dma, iova, 8, IOMMU_BOTH_WAYS);
		assert_true(status == IOMMU_UNIT_LOST ||
			status == IOMMU_UNCONFIRMED);
		status = iommu_dma_free(p.dma, 0, virt, rings);
		assert_true(status == IOMMU_UNIT_LOST ||
			status == IOMMU_UNCONFIRMED);
		for (unsigned n = 0; n < 100; n++) {
			assert_int_equal(
				map(&p, PAGE, ~0ull, &again), IOMMU_OK);
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

			open_play(&p, "caching", IOMMU_DOMAIN_MAPPED,
				&configs[k], 1);
			make_pieces(&p, piece);
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
			assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_OK);
			assert_int_equal(model_violation_count(p.r.m), 0);
			rig_close_anyhow(&p.r);
		}
}

/** A space that ends while its unit is lost says so. */
static void lost_unit_is_told_at_the_end(void **state)
{
	struct iommu_dma_config config = {.deferred = true};
	struct play p;
	uint64_t iova;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 2);
	assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
	assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
	model_unit_hang(p.r.m, 0, 0);
	assert_int_not_equal(iommu_dma_destroy(p.dma), IOMMU_OK);
	rig_close_anyhow(&p.r);
}

/* ---- deferred flushes that fail ---- */

/** What was not confirmed is never handed out again; later unmaps are
 *  deferred as before. */
static void deferring_goes_on_after_an_error(void **state)
{
	struct iommu_dma_config config = {
		.deferred = true, .released = on_released};
	uint64_t lost, iova;
	struct play p;

	(void)state;
	memset(&p, 0, sizeof(p));
	current_cpu = 0;
	rig_open(&p.r, "plain", MODEL_BENIGN, 1);
	refuse_prepare(&p.r);
	rig_start_ok(&p.r);
	p.memory = rig_frame(&p.r, 9);
	p.domain = rig_mapped_domain(&p.r);
	assert_int_equal(
		iommu_attach(p.r.iommu, rig_id(RIG_DEV), p.domain), IOMMU_OK);
	assert_int_equal(iommu_dma_create(p.domain, &config, &p.dma), IOMMU_OK);
	assert_int_equal(map(&p, PAGE, ~0ull, &lost), IOMMU_OK);
	assert_int_equal(unmap(&p, PAGE, lost), IOMMU_OK);
	refuse(true);
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_UNCONFIRMED);
	refuse(false);
	releasing = &p;
	released_count = 0;
	memset(is_released, 0, sizeof(is_released));
	for (unsigned n = 0; n < 100; n++) {
		assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
		assert_int_not_equal(iova, lost);
		assert_int_equal(
			iommu_dma_unmap_later(p.dma, iommu_iova(iova), PAGE,
				IOMMU_BOTH_WAYS,
				(void *)(uintptr_t)(n << 20 | iova / PAGE)),
			IOMMU_OK);
	}
	/* None of them was flushed for itself. */
	assert_int_equal(released_count, 0);
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_OK);
	assert_int_equal(released_count, 100);
	rig_close_anyhow(&p.r);
}

/* ---- where nothing has to be waited for, or more than one ---- */

/** Deferred flushes with no device, with devices behind two units, and with one
 *  that has a TLB of its own. */
static void deferred_flushes_reach_whoever_is_there(void **state)
{
	const struct model_personality *plain = model_personality_find("plain");
	static const uint16_t bdf[][2] = {
		{0, 0}, {RIG_DEV, RIG_OTHER}, {RIG_DEV, RIG_ATS}};
	struct iommu_dma_config config = {.deferred = true, .defer_count = 8};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct play p;

		memset(&p, 0, sizeof(p));
		current_cpu = 0;
		rig_open_machine(&p.r,
			model_create_pair(
				plain, plain, MODEL_LAZY, 0, 1, false));
		p.r.options.ats = IOMMU_ON;
		rig_start_ok(&p.r);
		p.memory = rig_frame(&p.r, 9);
		p.domain = rig_mapped_domain(&p.r);
		for (unsigned n = 0; k && n < 2; n++)
			assert_int_equal(iommu_attach(p.r.iommu,
						 rig_id(bdf[k][n]), p.domain),
				IOMMU_OK);
		assert_int_equal(
			iommu_dma_create(p.domain, &config, &p.dma), IOMMU_OK);
		for (unsigned round = 0; round < 20; round++) {
			uint64_t iova, word = 7;

			assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
			for (unsigned n = 0; k && n < 2; n++)
				assert_true(
					rig_can_read(&p.r, bdf[k][n], iova));
			if (k == 2)
				assert_int_equal(
					model_ats_dma(p.r.m, 0, RIG_ATS, iova,
						&word, 8, true),
					MODEL_DMA_OK);
			assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
			if (round % 7 == 6)
				assert_int_equal(
					iommu_dma_flush(p.dma), IOMMU_OK);
			if (round % 7 != 6)
				continue;
			for (unsigned n = 0; k && n < 2; n++)
				assert_false(
					rig_can_read(&p.r, bdf[k][n], iova));
			if (k == 2)
				assert_int_not_equal(
					model_ats_dma(p.r.m, 0, RIG_ATS, iova,
						&word, 8, true),
					MODEL_DMA_OK);
		}
		assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_OK);
		for (unsigned n = 0; k && n < 2; n++)
			assert_int_equal(
				iommu_detach(p.r.iommu, rig_id(bdf[k][n])),
				IOMMU_OK);
		assert_int_equal(iommu_domain_destroy(p.domain), IOMMU_OK);
		model_page_free(p.r.m, p.memory, 0);
		rig_close(&p.r);
	}
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

		open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &configs[k], 1);
		assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
		assert_int_equal(
			unmap(&p, PAGE, 1ull << 60), IOMMU_BAD_ARGUMENT);
		assert_int_equal(
			unmap(&p, PAGE, iova + 64 * PAGE), IOMMU_BAD_ARGUMENT);
		assert_true(rig_can_read(&p.r, RIG_DEV, iova));
		assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
		assert_int_equal(
			iommu_dma_alloc(p.dma, 0, ~0ull, &virt, &rings),
			IOMMU_OK);
		assert_int_equal(iommu_dma_free(p.dma, 9, virt, rings),
			IOMMU_BAD_ARGUMENT);
		assert_int_equal(
			iommu_dma_free(p.dma, 0, virt, rings), IOMMU_OK);
		close_play(&p);
	}
}

/** A released copy is told of, one that was not confirmed is not. */
static void copies_are_told_of_when_they_are_free(void **state)
{
	struct iommu_dma_config config = {
		.untrusted = true, .released = on_released};

	(void)state;
	for (unsigned lost = 0; lost < 2; lost++) {
		enum iommu_status status;
		iommu_iova_t iova;
		struct play p;

		open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
		assert_int_equal(iommu_dma_map(p.dma, iommu_phys(p.memory + 8),
					 8, ~0ull, IOMMU_BOTH_WAYS, &iova),
			IOMMU_OK);
		releasing = &p;
		released_count = 0;
		memset(is_released, 0, sizeof(is_released));
		if (lost)
			model_unit_hang(p.r.m, 0, 0);
		status = iommu_dma_unmap_later(p.dma, iova, 8, IOMMU_BOTH_WAYS,
			(void *)(uintptr_t)(iova.v / PAGE));
		assert_int_equal(status, lost ? IOMMU_UNIT_LOST : IOMMU_OK);
		assert_int_equal(released_count, !lost);
		if (lost)
			rig_close_anyhow(&p.r);
		else
			close_play(&p);
	}
}

/** A buffer in memory that the CPU cannot read: the device gets a copy that
 *  says nothing. */
static void copies_of_no_memory_are_empty(void **state)
{
	struct iommu_dma_config config = {.untrusted = true};
	iommu_iova_t iova;
	uint64_t word = 7;
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(iommu_dma_map(p.dma, iommu_phys((1ull << 40) + 8), 8,
				 ~0ull, IOMMU_BOTH_WAYS, &iova),
		IOMMU_OK);
	assert_int_equal(model_dma_read(p.r.m, 0, RIG_DEV, iova.v, &word, 8),
		MODEL_DMA_OK);
	assert_int_equal(word, 0);
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	assert_int_equal(
		iommu_dma_unmap(p.dma, iova, 8, IOMMU_BOTH_WAYS), IOMMU_OK);
	close_play(&p);
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
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned round = 0; round < 2; round++)
		for (uint64_t at = 0; at < CHUNK; at += 2 * PAGE)
			assert_int_equal(
				iommu_dma_reserve(p.dma, iommu_iova(at), PAGE),
				IOMMU_OK);
	assert_int_equal(map(&p, 2 * PAGE, CHUNK - 1, &iova), IOMMU_WIDTH);
	while (map(&p, PAGE, CHUNK - 1, &iova) == IOMMU_OK) {
		assert_int_equal(iova / PAGE % 2, 1);
		count++;
	}
	assert_true(count >= MOST / 2 - KEPT && count <= MOST / 2);
	rig_close_anyhow(&p.r);
}

static uint64_t taken_meanwhile;

static void map_meanwhile(struct model_host *h)
{
	(void)h;
	if (!taken_meanwhile)
		assert_int_equal(
			map(interrupted, PAGE, ~0ull, &taken_meanwhile),
			IOMMU_OK);
}

/** An interrupt that maps while its CPU flushes gets an address, too. */
static void interrupted_flush_does_not_keep_addresses(void **state)
{
	struct iommu_dma_config config = {.deferred = true};
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(map(&p, PAGE, ~0ull, &spare[0]), IOMMU_OK);
	assert_int_equal(map(&p, PAGE, ~0ull, &spare[1]), IOMMU_OK);
	assert_true(rig_can_read(&p.r, RIG_DEV, spare[0]));
	assert_int_equal(unmap(&p, PAGE, spare[0]), IOMMU_OK);
	interrupted = &p;
	taken_meanwhile = 0;
	p.r.host.on_relax = map_meanwhile;
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_OK);
	p.r.host.on_relax = NULL;
	assert_true(taken_meanwhile);
	assert_int_not_equal(taken_meanwhile, spare[0]);
	assert_int_not_equal(taken_meanwhile, spare[1]);
	assert_true(rig_can_read(&p.r, RIG_DEV, taken_meanwhile));
	assert_int_equal(unmap(&p, PAGE, taken_meanwhile), IOMMU_OK);
	assert_int_equal(unmap(&p, PAGE, spare[1]), IOMMU_OK);
	close_play(&p);
}

/** No page for the bitmap of addresses: refused, and tried again later. */
static void without_a_bitmap_there_are_no_addresses(void **state)
{
	struct iommu_dma_config config = {0};
	uint64_t iova;
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	/* The first one exists already. */
	assert_int_equal(
		iommu_dma_reserve(p.dma, iommu_iova(0), CHUNK), IOMMU_OK);
	model_fail_alloc(p.r.m, 1, true);
	assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_WIDTH);
	model_fail_alloc(p.r.m, 0, false);
	assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
	assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
	close_play(&p);
}

/** A flush that nobody waits for yet is under way when the units are switched
 *  off: the queue has to be empty by then. */
static void sleep_waits_for_flushes_under_way(void **state)
{
	struct iommu_dma_config config = {.deferred = true, .defer_count = 8};

	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		struct play p;
		uint64_t iova;

		open_play(&p, k & 1 ? "plain" : "qemu-7.2", IOMMU_DOMAIN_MAPPED,
			&config, 1);
		for (unsigned n = 0; n < 4 + k / 2; n++) {
			assert_int_equal(map(&p, PAGE, ~0ull, &iova), IOMMU_OK);
			assert_true(rig_can_read(&p.r, RIG_DEV, iova));
			assert_int_equal(unmap(&p, PAGE, iova), IOMMU_OK);
		}
		assert_int_equal(iommu_suspend(p.r.iommu), IOMMU_OK);
		assert_int_equal(model_violation_count(p.r.m), 0);
		model_unit_reset(p.r.m, 0);
		assert_int_equal(iommu_resume(p.r.iommu), IOMMU_OK);
		assert_false(rig_can_read(&p.r, RIG_DEV, iova));
		close_play(&p);
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
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	assert_int_equal(
		iommu_dma_alloc(p.dma, 0, ~0ull, &virt, &rings), IOMMU_OK);
	assert_int_equal(
		iommu_dma_free(p.dma, 1, virt, rings), IOMMU_BAD_ARGUMENT);
	assert_int_equal(model_violation_count(p.r.m), 0);
	rig_close_anyhow(&p.r);
}

/** The last byte counts: it may be at the mask, not above. */
static void last_byte_lies_below_the_mask(void **state)
{
	struct iommu_dma_config config = {0};
	struct play p;

	(void)state;
	open_play(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	for (unsigned n = 0; n < 400; n++) {
		size_t size = (1 + n % 4) * (size_t)PAGE;
		uint64_t first, again;

		/* The address that is next in turn. */
		assert_int_equal(map(&p, size, ~0ull, &first), IOMMU_OK);
		assert_int_equal(unmap(&p, size, first), IOMMU_OK);
		assert_int_equal(
			map(&p, size, first + size - 1, &again), IOMMU_OK);
		assert_int_equal(again, first);
		assert_int_equal(unmap(&p, size, again), IOMMU_OK);
		if (map(&p, size, first + size - 2, &again) == IOMMU_OK)
			assert_true(again < first);
		/* One stays, so that another one is next. */
		assert_int_equal(map(&p, size, ~0ull, &again), IOMMU_OK);
	}
	rig_close_anyhow(&p.r);
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
		cmocka_unit_test(cpus_share_the_addresses),
		cmocka_unit_test(interrupted_flush_is_gone_around),
		cmocka_unit_test(end_flushes_what_was_deferred),
		cmocka_unit_test(end_counts_what_every_cpu_deferred),
		cmocka_unit_test(released_means_out_of_reach),
		cmocka_unit_test(lists_go_piece_by_piece),
		cmocka_unit_test(identity_cannot_move_a_buffer),
		cmocka_unit_test(long_lists_are_refused),
		cmocka_unit_test(parts_of_a_copy_are_carried),
		cmocka_unit_test(copies_are_told_apart),
		cmocka_unit_test(too_big_a_copy_is_refused),
		cmocka_unit_test(nth_allocation_fails),
		cmocka_unit_test(unconfirmed_addresses_are_not_reused),
		cmocka_unit_test(unconfirmed_maps_keep_their_address),
		cmocka_unit_test(lost_unit_is_told_at_the_end),
		cmocka_unit_test(deferring_goes_on_after_an_error),
		cmocka_unit_test(deferred_flushes_reach_whoever_is_there),
		cmocka_unit_test(foreign_addresses_are_refused),
		cmocka_unit_test(copies_are_told_of_when_they_are_free),
		cmocka_unit_test(copies_of_no_memory_are_empty),
		cmocka_unit_test(scattered_pages_are_found),
		cmocka_unit_test(interrupted_flush_does_not_keep_addresses),
		cmocka_unit_test(without_a_bitmap_there_are_no_addresses),
		cmocka_unit_test(sleep_waits_for_flushes_under_way),
		cmocka_unit_test(wrong_size_is_told),
		cmocka_unit_test(last_byte_lies_below_the_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
