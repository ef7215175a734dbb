/* SPDX-License-Identifier: MIT */
/*
 * Trace points: a line for what is asked of a unit, and none without the
 * option.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <iommu/dma.h>
#include <string.h>
#include "support/rig.h"
#include "support/words.h"

static void keep(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	if (level != IOMMU_LOG_DEBUG)
		return;
	words_sink(NULL, line, strlen(line));
	words_sink(NULL, "\n", 1);
}

/** From now on what the library says is kept, with its trace points or
 *  without. */
static void listen(struct rig *r, bool trace)
{
	words_start();
	r->hooks.log = keep;
	r->options.trace = trace;
}

static void open_traced(struct rig *r, const char *kind, bool trace)
{
	rig_open(r, kind, MODEL_LAZY, 1);
	listen(r, trace);
	rig_start_ok(r);
}

static struct iommu_domain *attached_domain(struct rig *r)
{
	struct iommu_domain *domain = rig_mapped_domain(r);

	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), domain));
	return domain;
}

static void end_domain(struct rig *r, struct iommu_domain *domain)
{
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
}

static void map_unmap(struct iommu_domain *domain, uint64_t size)
{
	OK(iommu_map(domain, iommu_iova(0x200000), iommu_phys(0x400000), size,
		IOMMU_READ));
	OK(iommu_unmap_now(domain, iommu_iova(0x200000), size));
}

static void a_life(struct rig *r)
{
	struct iommu_domain *domain = attached_domain(r);

	map_unmap(domain, 0x1000);
	map_unmap(domain, 0x3000);
	end_domain(r, domain);
}

static void lines_say_what_was_asked(void **state)
{
	struct rig r;

	(void)state;
	open_traced(&r, "plain", true);
	a_life(&r);
	assert_string_equal(words,
		"unit 0: 0000:00:03.0 attach to mapped memory, domain id 2: "
		"done\n"
		"unit 0: flush domain id 2, 0x200000..0x200fff removed: done\n"
		"unit 0: flush domain id 2, 0x200000..0x202fff removed: done\n"
		"unit 0: 0000:00:03.0 detach, domain id 2: done\n");
	rig_close(&r);
}

static void what_became_present_is_told(void **state)
{
	struct rig r;

	(void)state;
	open_traced(&r, "caching", true);
	a_life(&r);
	words_have("0x200000..0x202fff present: done");
	rig_close(&r);
}

static void flushes_begun_and_awaited_are_told(void **state)
{
	const struct iommu_dma_config config = {
		.deferred = true, .defer_count = 2};
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	iommu_iova_t iova;
	struct rig r;

	(void)state;
	open_traced(&r, "plain", true);
	domain = attached_domain(&r);
	OK(iommu_dma_create(domain, &config, &dma));
	for (unsigned n = 0; n < 4; n++) {
		OK(iommu_dma_map(dma, iommu_phys(0x100000), 4096, ~0ull,
			IOMMU_TO_DEVICE, &iova));
		OK(iommu_dma_unmap(dma, iova, 4096, IOMMU_TO_DEVICE));
	}
	words_have(" removed: begun\n");
	OK(iommu_dma_destroy(dma));
	words_have("unit 0: flushes begun so far: done\n");
	end_domain(&r, domain);
	rig_close(&r);
}

/** A device that storms is blocked, and its faults are recorded no more. */
static void storms_are_told(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	listen(&r, true);
	r.options.fault_storm = 3;
	rig_start_ok(&r);
	for (unsigned n = 0; n < 8; n++) {
		rig_can_read(&r, RIG_OTHER, 0x1000 * n);
		(void)iommu_interrupt_all(r.iommu);
		rig_take_faults(&r);
	}
	words_have(" record no more faults, domain id 0: done\n");
	rig_close_anyhow(&r);
}

/** Of two units one cannot be flushed. */
static void flushes_of_two_units_are_told(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open_two(&r, "plain", "plain", MODEL_LAZY);
	listen(&r, true);
	rig_start_ok(&r);
	domain = attached_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain));
	map_unmap(domain, 0x3000);
	words_have("unit 0: flush domain id 2, 0x200000..0x202fff removed: "
		   "begun\n");
	words_have("unit 1: flushes begun so far: done\n");
	OK(iommu_suspend(r.iommu));
	assert_int_equal(
		iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNCONFIRMED);
	words_have(" removed: the hardware did not confirm that it "
		   "forgot\n");
	rig_close_anyhow(&r);
}

static void interrupts_are_told(void **state)
{
	struct iommu_irq_target target = {.destination = 3, .vector = 0x61};
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	open_traced(&r, "plain", true);
	OK(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 2, &irq));
	OK(iommu_irq_set(r.iommu, &irq, 1, &target));
	OK(iommu_irq_clear(r.iommu, &irq, 1));
	OK(iommu_irq_free(r.iommu, &irq));
	words_have("interrupt entry 1 set, vector 0x61, CPU 0x3: done\n");
	words_have("interrupt entry 1 cleared, vector 0x00, CPU 0x0: done\n");
	words_have("interrupt entries from 0, 2 of them freed: done\n");
	rig_close(&r);
}

static void failures_are_told(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_traced(&r, "plain", true);
	domain = attached_domain(&r);
	model_unit_hang(r.m, 0, 0);
	assert_int_equal(
		iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNIT_LOST);
	words_have("0x0..0xfffffffffffff");
	words_have(" removed: the I/O MMU does not answer any more\n");
	rig_close_anyhow(&r);
}

static void nothing_is_said_without_the_option(void **state)
{
	struct rig r;

	(void)state;
	open_traced(&r, "caching", false);
	a_life(&r);
	assert_string_equal(words, "");
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_say_what_was_asked),
		cmocka_unit_test(what_became_present_is_told),
		cmocka_unit_test(flushes_begun_and_awaited_are_told),
		cmocka_unit_test(storms_are_told),
		cmocka_unit_test(flushes_of_two_units_are_told),
		cmocka_unit_test(interrupts_are_told),
		cmocka_unit_test(failures_are_told),
		cmocka_unit_test(nothing_is_said_without_the_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
