/* SPDX-License-Identifier: MIT */
/*
 * Deferred unmaps: what they release is out of reach, one call interrupts
 * another, the space or the machine ends in the middle, the unit fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <iommu/dma.h>
#include "iommu/internal.h"
#include "support/play.h"
#include "support/refuse.h"

enum {
	PAGE = 4096,
};

static void open_deferred(struct play *p, unsigned cpus)
{
	const struct iommu_dma_config config = {.deferred = true};

	play_open(p, "plain", IOMMU_DOMAIN_MAPPED, &config, cpus);
}

/** Maps a page and has the device read it: the unit remembers it then. */
static uint64_t map_and_read(struct play *p)
{
	uint64_t iova;

	OK(play_map(p, PAGE, ~0ull, &iova));
	assert_true(rig_can_read(&p->r, RIG_DEV, iova));
	return iova;
}

/* ---- one call interrupts another ---- */

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
	OK(iommu_dma_tick(p->dma));
	OK(play_unmap(p, PAGE, spare[interrupts]));
	assert_false(rig_can_read(&p->r, RIG_DEV, spare[interrupts]));
}

/** A CPU is flushing its deferred unmaps when an interrupt unmaps too: that
 *  one is not deferred. */
static void interrupted_flush_is_gone_around(void **state)
{
	struct play p;

	(void)state;
	open_deferred(&p, 1);
	for (unsigned n = 0; n < 4; n++) {
		spare[n] = map_and_read(&p);
	}
	OK(play_unmap(&p, PAGE, spare[0]));
	interrupted = &p;
	interrupts = 0;
	p.r.host.on_relax = interrupt;
	OK(iommu_dma_flush(p.dma));
	p.r.host.on_relax = NULL;
	assert_int_equal(interrupts, 2);
	assert_false(rig_can_read(&p.r, RIG_DEV, spare[0]));
	assert_true(rig_can_read(&p.r, RIG_DEV, spare[3]));
	OK(play_unmap(&p, PAGE, spare[3]));
	play_close(&p);
}

static uint64_t taken_meanwhile;

static void map_meanwhile(struct model_host *h)
{
	(void)h;
	if (!taken_meanwhile)
		OK(play_map(interrupted, PAGE, ~0ull, &taken_meanwhile));
}

/** An interrupt that maps while its CPU flushes gets an address, too. */
static void interrupted_flush_does_not_keep_addresses(void **state)
{
	struct play p;

	(void)state;
	open_deferred(&p, 1);
	OK(play_map(&p, PAGE, ~0ull, &spare[0]));
	OK(play_map(&p, PAGE, ~0ull, &spare[1]));
	assert_true(rig_can_read(&p.r, RIG_DEV, spare[0]));
	OK(play_unmap(&p, PAGE, spare[0]));
	interrupted = &p;
	taken_meanwhile = 0;
	p.r.host.on_relax = map_meanwhile;
	OK(iommu_dma_flush(p.dma));
	p.r.host.on_relax = NULL;
	assert_true(taken_meanwhile);
	assert_int_not_equal(taken_meanwhile, spare[0]);
	assert_int_not_equal(taken_meanwhile, spare[1]);
	assert_true(rig_can_read(&p.r, RIG_DEV, taken_meanwhile));
	OK(play_unmap(&p, PAGE, taken_meanwhile));
	OK(play_unmap(&p, PAGE, spare[1]));
	play_close(&p);
}

/* ---- what ends the wait ---- */

/** Deferred unmaps are flushed when the space ends, whatever their age. */
static void end_flushes_what_was_deferred(void **state)
{
	struct play p;
	uint64_t iova;

	(void)state;
	open_deferred(&p, 1);
	iova = map_and_read(&p);
	OK(play_unmap(&p, PAGE, iova));
	OK(iommu_dma_destroy(p.dma));
	assert_false(rig_can_read(&p.r, RIG_DEV, iova));
	play_close_domain(&p);

	open_deferred(&p, 1);
	iova = map_and_read(&p);
	OK(play_unmap(&p, PAGE, iova));
	OK(iommu_dma_flush(p.dma));
	assert_false(rig_can_read(&p.r, RIG_DEV, iova));
	play_close(&p);
}

/** An unmap of more than is mapped is refused, but clears what is there: the
 * next flush is for that, too, and is waited for. */
static void flush_is_for_parts_of_wrong_ranges_too(void **state)
{
	struct play p;
	uint64_t iova;

	(void)state;
	open_deferred(&p, 1);
	iova = map_and_read(&p);
	assert_int_equal(play_unmap(&p, 2 * PAGE, iova), IOMMU_BAD_ARGUMENT);
	OK(iommu_dma_flush(p.dma));
	assert_false(rig_can_read(&p.r, RIG_DEV, iova));
	OK(iommu_map(p.domain, iommu_iova(iova), iommu_phys(p.memory), PAGE,
		IOMMU_READ));
	OK(play_unmap(&p, PAGE, iova));
	play_close(&p);
}

/** As many may wait as fit, no more. */
static void window_is_as_wide_as_is_said(void **state)
{
	struct iommu_dma_config config = {.deferred = true, .defer_count = 256};
	struct iommu_dma *dma;
	struct play p;

	(void)state;
	play_open_domain(&p, "plain", IOMMU_DOMAIN_MAPPED, 1);
	OK(iommu_dma_create(p.domain, &config, &dma));
	OK(iommu_dma_destroy(dma));
	config.defer_count = 257;
	assert_int_equal(
		iommu_dma_create(p.domain, &config, &dma), IOMMU_BAD_ARGUMENT);
	play_close_domain(&p);
}

/** A flush is for what any CPU deferred, not only the first one. */
static void flush_is_for_every_cpu(void **state)
{
	struct play p;
	uint64_t iova;

	(void)state;
	open_deferred(&p, 2);
	iova = map_and_read(&p);
	play_cpu = 1;
	OK(play_unmap(&p, PAGE, iova));
	play_cpu = 0;
	OK(iommu_dma_flush(p.dma));
	assert_false(rig_can_read(&p.r, RIG_DEV, iova));
	play_close(&p);
}

/** What any CPU deferred is no buffer in use: it does not keep the space. */
static void end_counts_what_every_cpu_deferred(void **state)
{
	uint64_t iova[3];
	struct play p;

	(void)state;
	open_deferred(&p, 3);
	for (play_cpu = 0; play_cpu < 3; play_cpu++)
		OK(play_map(&p, PAGE, ~0ull, &iova[play_cpu]));
	for (play_cpu = 0; play_cpu < 3; play_cpu++) {
		assert_true(rig_can_read(&p.r, RIG_DEV, iova[play_cpu]));
		assert_int_equal(iommu_dma_destroy(p.dma), IOMMU_IN_USE);
		OK(play_unmap(&p, PAGE, iova[play_cpu]));
	}
	OK(iommu_dma_destroy(p.dma));
	for (unsigned n = 0; n < 3; n++)
		assert_false(rig_can_read(&p.r, RIG_DEV, iova[n]));
	play_close_domain(&p);
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

		play_open(&p, k & 1 ? "plain" : "qemu-7.2", IOMMU_DOMAIN_MAPPED,
			&config, 1);
		for (unsigned n = 0; n < 4 + k / 2; n++) {
			iova = map_and_read(&p);
			OK(play_unmap(&p, PAGE, iova));
		}
		OK(iommu_suspend(p.r.iommu));
		assert_int_equal(model_violation_count(p.r.m), 0);
		model_unit_reset(p.r.m, 0);
		OK(iommu_resume(p.r.iommu));
		assert_false(rig_can_read(&p.r, RIG_DEV, iova));
		play_close(&p);
	}
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

		play_open(&p, k & 1 ? "plain" : "caching", IOMMU_DOMAIN_MAPPED,
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
				OK(iommu_dma_tick(p.dma));
			if (seed % 211 == 0)
				model_advance(p.r.m, seed % 50000);
			if (seed % 307 == 0) {
				OK(iommu_dma_flush(p.dma));
				assert_int_equal(released_count, unmapped);
			}
			OK(play_map(&p, PAGE, 0xffffffff, &iova));
			assert_true(rig_can_read(&p.r, RIG_DEV, iova));
			unmapped++;
			OK(iommu_dma_unmap_later(p.dma, iommu_iova(iova), PAGE,
				IOMMU_BOTH_WAYS,
				(void *)(uintptr_t)(unmapped << 20 |
					iova / PAGE)));
			assert_true(unmapped - released_count <= 2 * most);
		}
		OK(iommu_dma_flush(p.dma));
		assert_int_equal(released_count, unmapped);
		play_close(&p);
	}
}

/** Deferred flushes with no device, with devices behind two units, and with one
 *  that has a TLB of its own. */
static void deferred_flushes_reach_whoever_is_there(void **state)
{
	static const uint16_t bdf[][2] = {
		{0, 0}, {RIG_DEV, RIG_OTHER}, {RIG_DEV, RIG_ATS}};
	struct iommu_dma_config config = {.deferred = true, .defer_count = 8};

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		struct play p;

		memset(&p, 0, sizeof(p));
		play_cpu = 0;
		rig_open_two(&p.r, "plain", "plain", MODEL_LAZY);
		p.r.options.ats = IOMMU_ON;
		rig_start_ok(&p.r);
		p.memory = rig_frame(&p.r, 9);
		p.domain = rig_mapped_domain(&p.r);
		for (unsigned n = 0; k && n < 2; n++)
			OK(iommu_attach(
				p.r.iommu, rig_id(bdf[k][n]), p.domain));
		OK(iommu_dma_create(p.domain, &config, &p.dma));
		for (unsigned round = 0; round < 20; round++) {
			uint64_t iova, word = 7;

			OK(play_map(&p, PAGE, ~0ull, &iova));
			for (unsigned n = 0; k && n < 2; n++)
				assert_true(
					rig_can_read(&p.r, bdf[k][n], iova));
			if (k == 2)
				assert_int_equal(
					model_ats_dma(p.r.m, 0, RIG_ATS, iova,
						&word, 8, true),
					MODEL_DMA_OK);
			OK(play_unmap(&p, PAGE, iova));
			if (round % 7 == 6)
				OK(iommu_dma_flush(p.dma));
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
		OK(iommu_dma_destroy(p.dma));
		for (unsigned n = 0; k && n < 2; n++)
			OK(iommu_detach(p.r.iommu, rig_id(bdf[k][n])));
		OK(iommu_domain_destroy(p.domain));
		model_page_free(p.r.m, p.memory, 0);
		rig_close(&p.r);
	}
}

/* ---- when something fails ---- */

/** A space that ends while its unit is lost says so. */
static void lost_unit_is_told_at_the_end(void **state)
{
	struct play p;
	uint64_t iova;

	(void)state;
	open_deferred(&p, 2);
	OK(play_map(&p, PAGE, ~0ull, &iova));
	OK(play_unmap(&p, PAGE, iova));
	model_unit_hang(p.r.m, 0, 0);
	assert_int_not_equal(iommu_dma_destroy(p.dma), IOMMU_OK);
	rig_close_anyhow(&p.r);
}

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
	play_cpu = 0;
	rig_open(&p.r, "plain", MODEL_BENIGN, 1);
	refuse_prepare(&p.r);
	rig_start_ok(&p.r);
	p.memory = rig_frame(&p.r, 9);
	p.domain = rig_mapped_domain(&p.r);
	OK(iommu_attach(p.r.iommu, rig_id(RIG_DEV), p.domain));
	OK(iommu_dma_create(p.domain, &config, &p.dma));
	OK(play_map(&p, PAGE, ~0ull, &lost));
	OK(play_unmap(&p, PAGE, lost));
	refuse(true);
	assert_int_equal(iommu_dma_flush(p.dma), IOMMU_UNCONFIRMED);
	refuse(false);
	releasing = &p;
	released_count = 0;
	memset(is_released, 0, sizeof(is_released));
	for (unsigned n = 0; n < 100; n++) {
		OK(play_map(&p, PAGE, ~0ull, &iova));
		assert_int_not_equal(iova, lost);
		OK(iommu_dma_unmap_later(p.dma, iommu_iova(iova), PAGE,
			IOMMU_BOTH_WAYS,
			(void *)(uintptr_t)(n << 20 | iova / PAGE)));
	}
	/* None of them was flushed for itself. */
	assert_int_equal(released_count, 0);
	OK(iommu_dma_flush(p.dma));
	assert_int_equal(released_count, 100);
	rig_close_anyhow(&p.r);
}

static uint64_t clock_ns;

static uint64_t stopped_clock(void *ctx)
{
	(void)ctx;
	return clock_ns;
}

/** 10 ms, if the host does not say otherwise. */
static void window_ends_after_its_time(void **state)
{
	iommu_iova_t iova;
	struct play p;

	(void)state;
	open_deferred(&p, 1);
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory), PAGE, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	clock_ns = 1000;
	p.r.iommu->host.now_ns = stopped_clock;
	OK(iommu_dma_unmap(p.dma, iova, PAGE, IOMMU_BOTH_WAYS));
	clock_ns += 9999999;
	OK(iommu_dma_tick(p.dma));
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	clock_ns++;
	OK(iommu_dma_tick(p.dma));
	assert_false(rig_can_write(&p.r, RIG_DEV, iova.v));
	play_close(&p);
}

/** Who asks for all that waits gets it, whatever the time. */
static void flush_does_not_look_at_the_clock(void **state)
{
	struct iommu_dma_config config = {.deferred = true, .defer_count = 8};
	iommu_iova_t iova;
	struct play p;

	(void)state;
	play_open(&p, "plain", IOMMU_DOMAIN_MAPPED, &config, 1);
	OK(iommu_dma_map(p.dma, iommu_phys(p.memory), PAGE, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	p.r.iommu->host.now_ns = stopped_clock;
	OK(iommu_dma_unmap(p.dma, iova, PAGE, IOMMU_BOTH_WAYS));
	assert_true(rig_can_write(&p.r, RIG_DEV, iova.v));
	OK(iommu_dma_flush(p.dma));
	assert_false(rig_can_write(&p.r, RIG_DEV, iova.v));
	play_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupted_flush_is_gone_around),
		cmocka_unit_test(interrupted_flush_does_not_keep_addresses),
		cmocka_unit_test(end_flushes_what_was_deferred),
		cmocka_unit_test(flush_is_for_parts_of_wrong_ranges_too),
		cmocka_unit_test(window_is_as_wide_as_is_said),
		cmocka_unit_test(flush_is_for_every_cpu),
		cmocka_unit_test(end_counts_what_every_cpu_deferred),
		cmocka_unit_test(sleep_waits_for_flushes_under_way),
		cmocka_unit_test(released_means_out_of_reach),
		cmocka_unit_test(deferred_flushes_reach_whoever_is_there),
		cmocka_unit_test(lost_unit_is_told_at_the_end),
		cmocka_unit_test(deferring_goes_on_after_an_error),
		cmocka_unit_test(flush_does_not_look_at_the_clock),
		cmocka_unit_test(window_ends_after_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
