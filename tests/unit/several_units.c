/* SPDX-License-Identifier: MIT */
/*
 * One domain behind more units than are waited for together, of several kinds:
 * none is left out, whichever of them is slow, spoilt or lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/dma.h>
#include "support/rig.h"
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x200000ull

enum {
	UNITS = 6,
	REG_IQT = 0x88,
	REG_IQA = 0x90,
};

static struct rig rig;
static struct iommu_host real;
static struct iommu_domain *domain;
static uint64_t page;
/** The unit whose next descriptors are spoilt, -1: none. */
static int spoilt;
static unsigned tail[UNITS];

static uint16_t device(unsigned n)
{
	return MODEL_BDF(0, n + 1, 0);
}

static struct model *machine(const char *kind, const char *odd, unsigned which)
{
	struct model_function_desc function[UNITS + 1] = {
		{.kind = MODEL_CONVENTIONAL, .unit = -1}};
	struct model_unit_desc unit[UNITS];
	struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.units = unit,
		.unit_count = UNITS,
		.functions = function,
		.function_count = UNITS + 1};

	for (unsigned n = 0; n < UNITS; n++) {
		unit[n] = (struct model_unit_desc){
			.kind = model_personality_find(n == which ? odd : kind),
			.include_all = n == UNITS - 1};
		function[n + 1] = (struct model_function_desc){.bdf = device(n),
			.kind = MODEL_INTEGRATED,
			.unit = n == UNITS - 1 ? -1 : (int)n,
			.ats = n == UNITS - 1};
	}
	return model_create(&desc);
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	for (unsigned n = 0; offset == REG_IQT && n < UNITS; n++) {
		uint64_t base = model_unit_base(rig.m, n), ring;

		if ((uintptr_t)regs != base)
			continue;
		ring = model_read64(rig.m, base + REG_IQA) & ~0xfffull;
		if (spoilt == (int)n) {
			/* No such type. */
			*(uint64_t *)model_ptr(rig.m, ring + tail[n]) |= 0xf;
			spoilt = -1;
		}
		tail[n] = (unsigned)value;
	}
	real.reg_write(ctx, regs, offset, width, value);
}

static void map(uint64_t iova)
{
	OK(iommu_map(domain, iommu_iova(iova), iommu_phys(page), 4096, RW));
}

static bool reaches(unsigned n, uint64_t iova)
{
	return rig_can_write(&rig, device(n), iova);
}

/** A machine whose unit `which` is of another kind. */
static void open_play(const char *kind, const char *odd, unsigned which)
{
	spoilt = -1;
	memset(tail, 0, sizeof(tail));
	rig_open_machine(&rig, machine(kind, odd, which));
	real = rig.hooks;
	rig.hooks.reg_write = reg_write;
	rig_start_ok(&rig);
	page = rig_frame(&rig, 9);
	domain = rig_mapped_domain(&rig);
	map(AT);
	for (unsigned n = 0; n < UNITS; n++) {
		OK(iommu_attach(rig.iommu, rig_id(device(n)), domain));
		assert_true(reaches(n, AT));
	}
}

static void close_play(void)
{
	for (unsigned n = 0; n < UNITS; n++)
		OK(iommu_detach(rig.iommu, rig_id(device(n))));
	OK(iommu_domain_destroy(domain));
	rig_close(&rig);
}

static void nobody_reaches(uint64_t iova)
{
	for (unsigned n = 0; n < UNITS; n++)
		assert_false(reaches(n, iova));
}

/** One without a queue, in each place, cannot be asked and waited for later. */
static void every_unit_forgets(void **state)
{
	static const char *const odd[] = {"plain", "no-qi", "caching",
		"write-buffer", "no-psi", "worst-memory"};

	(void)state;
	for (unsigned k = 0; k < sizeof(odd) / sizeof(*odd); k++)
		for (unsigned n = 0; n < UNITS; n++) {
			open_play("plain", odd[k], n);
			OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
			nobody_reaches(AT);
			map(AT);
			for (unsigned i = 0; i < UNITS; i++)
				assert_true(reaches(i, AT));
			OK(iommu_unmap_now(domain, iommu_iova(AT), 0x400000));
			nobody_reaches(AT);
			close_play();
		}
}

/** What one unit's queue lost is asked for again, of that unit. */
static void lost_flush_is_repeated(void **state)
{
	(void)state;
	for (unsigned n = 0; n < UNITS; n++) {
		struct iommu_stats stats;

		open_play("plain", "plain", 0);
		spoilt = (int)n;
		OK(iommu_unmap_now(domain, iommu_iova(AT), 4096));
		nobody_reaches(AT);
		for (unsigned i = 0; i < UNITS; i++) {
			OK(iommu_unit_stats(rig.iommu, i, &stats));
			assert_int_equal(stats.queue_errors, i == n);
		}
		model_violations_clear(rig.m);
		close_play();
	}
}

/** One that is lost is told of, by each call, and the others forget. */
static void lost_unit_is_told_of(void **state)
{
	(void)state;
	for (unsigned n = 0; n < UNITS; n++) {
		struct iommu_unit_info info;

		open_play("plain", "no-qi", (n + 1) % UNITS);
		map(AT + 4096);
		model_unit_hang(rig.m, n, 0);
		for (unsigned k = 0; k < 2; k++) {
			uint64_t at = AT + k * 4096;

			assert_int_equal(
				iommu_unmap_now(domain, iommu_iova(at), 4096),
				IOMMU_UNIT_LOST);
			for (unsigned i = 0; i < UNITS; i++)
				assert_true(i == n || !reaches(i, at));
		}
		for (unsigned i = 0; i < UNITS; i++) {
			OK(iommu_unit_info(rig.iommu, i, &info));
			assert_int_equal(info.state,
				i == n ? IOMMU_UNIT_FAILED : IOMMU_UNIT_ON);
		}
		rig_close_anyhow(&rig);
	}
}

static unsigned released;

static void release(void *cookie)
{
	nobody_reaches(*(uint64_t *)cookie);
	released++;
}

/** A shared flush ends when the last unit has answered. */
static void deferred_flush_is_for_every_unit(void **state)
{
	struct iommu_dma_config config = {
		.deferred = true, .defer_count = 4, .released = release};
	struct iommu_dma *dma;
	iommu_iova_t iova[8];

	(void)state;
	open_play("plain", "no-qi", 2);
	OK(iommu_dma_create(domain, &config, &dma));
	for (unsigned n = 0; n < 8; n++) {
		OK(iommu_dma_map(dma, iommu_phys(page), 4096, ~0ull,
			IOMMU_BOTH_WAYS, &iova[n]));
		for (unsigned i = 0; i < UNITS; i++)
			assert_true(reaches(i, iova[n].v));
	}
	released = 0;
	for (unsigned n = 0; n < 8; n++)
		OK(iommu_dma_unmap_later(
			dma, iova[n], 4096, IOMMU_BOTH_WAYS, &iova[n].v));
	assert_true(released >= 4);
	OK(iommu_dma_flush(dma));
	assert_int_equal(released, 8);
	OK(iommu_dma_destroy(dma));
	close_play();
}

/** A flush that was started for several, and lost, is made up for. */
static void lost_deferred_flush_is_repeated(void **state)
{
	struct iommu_dma_config config = {
		.deferred = true, .defer_count = 8, .released = release};
	struct iommu_dma *dma;
	iommu_iova_t iova[8];

	(void)state;
	open_play("plain", "plain", 0);
	for (unsigned n = 1; n < UNITS; n++)
		OK(iommu_detach(rig.iommu, rig_id(device(n))));
	OK(iommu_dma_create(domain, &config, &dma));
	for (unsigned n = 0; n < 8; n++) {
		OK(iommu_dma_map(dma, iommu_phys(page), 4096, ~0ull,
			IOMMU_BOTH_WAYS, &iova[n]));
		assert_true(reaches(0, iova[n].v));
	}
	released = 0;
	spoilt = 0;
	for (unsigned n = 0; n < 8; n++)
		OK(iommu_dma_unmap_later(
			dma, iova[n], 4096, IOMMU_BOTH_WAYS, &iova[n].v));
	OK(iommu_dma_flush(dma));
	assert_int_equal(spoilt, -1);
	assert_int_equal(released, 8);
	OK(iommu_dma_destroy(dma));
	for (unsigned n = 1; n < UNITS; n++)
		OK(iommu_attach(rig.iommu, rig_id(device(n)), domain));
	model_violations_clear(rig.m);
	close_play();
}

/** A fault says which unit it comes from; the host asks all at once. */
static void every_unit_is_asked_for_faults(void **state)
{
	struct iommu_fault f;

	(void)state;
	open_play("plain", "plain", 0);
	for (unsigned n = 0; n < UNITS; n++)
		assert_false(reaches(n, 0x700000));
	assert_true(iommu_interrupt_all(rig.iommu));
	for (unsigned n = 0; n < UNITS; n++) {
		assert_true(iommu_fault_next(rig.iommu, &f));
		assert_int_equal(f.unit, n);
		assert_int_equal(f.device.requester, device(n));
	}
	assert_false(iommu_fault_next(rig.iommu, &f));
	for (unsigned n = 0; n < UNITS; n++) {
		assert_false(reaches(n, 0x700000));
		assert_true(iommu_interrupt(rig.iommu, n));
		assert_true(iommu_fault_next(rig.iommu, &f));
		assert_int_equal(f.unit, n);
	}
	assert_false(iommu_interrupt_all(rig.iommu));
	close_play();
}

/** None is left out of what is said, nor of who is still attached. */
static void every_unit_is_told_of(void **state)
{
	static void (*const report[])(struct iommu * iommu, iommu_sink * sink,
		void *arg) = {iommu_report_stats, iommu_report_queue};
	char text[40];

	(void)state;
	open_play("plain", "plain", 0);
	for (unsigned k = 0; k < 2; k++) {
		words_start();
		report[k](rig.iommu, words_sink, NULL);
		assert_int_equal(words_count("iommu@"), UNITS);
	}
	words_start();
	iommu_report_info(rig.iommu, words_sink, NULL);
	for (unsigned n = 0; n < UNITS; n++) {
		snprintf(text, sizeof(text), "%llx",
			(unsigned long long)model_unit_base(rig.m, n));
		assert_true(words_count(text) > 0);
	}
	words_start();
	iommu_report_stats(rig.iommu, words_sink, NULL);
	/* 0, the identity's, and the domain's. */
	assert_int_equal(words_count(" domain ids: 3 of "), UNITS);
	/* Only the last has a device. */
	for (unsigned n = 0; n < UNITS - 1; n++)
		OK(iommu_detach(rig.iommu, rig_id(device(n))));
	assert_int_equal(iommu_destroy(rig.iommu), IOMMU_IN_USE);
	assert_int_equal(iommu_hand_over(rig.iommu, IOMMU_HAND_OVER_BLOCKED),
		IOMMU_IN_USE);
	for (unsigned n = 0; n < UNITS - 1; n++)
		OK(iommu_attach(rig.iommu, rig_id(device(n)), domain));
	close_play();
}

/** A TLB behind the last unit is one of those that keep translation on. */
static void every_unit_is_asked_for_tlbs(void **state)
{
	(void)state;
	spoilt = -1;
	rig_open_machine(&rig, machine("plain", "plain", 0));
	real = rig.hooks;
	rig.options.ats = IOMMU_ON;
	rig_start_ok(&rig);
	domain = rig_mapped_domain(&rig);
	for (unsigned n = 0; n < UNITS; n++) {
		OK(iommu_attach(rig.iommu, rig_id(device(n)), domain));
		assert_int_equal(iommu_power(rig.iommu, false),
			n == UNITS - 1 ? IOMMU_IN_USE : IOMMU_OK);
		OK(iommu_power(rig.iommu, true));
	}
	close_play();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_unit_forgets),
		cmocka_unit_test(lost_flush_is_repeated),
		cmocka_unit_test(lost_unit_is_told_of),
		cmocka_unit_test(deferred_flush_is_for_every_unit),
		cmocka_unit_test(lost_deferred_flush_is_repeated),
		cmocka_unit_test(every_unit_is_asked_for_faults),
		cmocka_unit_test(every_unit_is_told_of),
		cmocka_unit_test(every_unit_is_asked_for_tlbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
