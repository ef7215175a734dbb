/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs at once: each thread lives with a device and spaces of its own,
 * all share the units, the queue, domain ids and interrupt entries; one more
 * thread collects faults, one reads reports. Meant for the thread sanitizer as
 * well as for the model's judgement.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define THREADS 4

/* A fault's walk is of tables that others edit and give back meanwhile; it is
 * for reading only, and may show anything. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:^core_walk_tables$\n";
}

static struct rig rig;
static bool stop;

struct worker {
	uint16_t bdf;
	unsigned owner;
	unsigned rounds;
	const char *wrong;
	pthread_t thread;
};

#define CHECK(w, what)                      \
	do {                                \
		if (!(what) && !(w)->wrong) \
			(w)->wrong = #what; \
	} while (0)

static void edit(struct worker *w, struct iommu_domain *dom, unsigned round)
{
	uint64_t frame[4];

	for (unsigned i = 0; i < 4; i++) {
		uint64_t iova = 0x10000 + (round % 7 + i) * 0x1ff000ull;

		frame[i] = model_page_alloc(rig.m, 0, w->owner);
		CHECK(w,
			iommu_map(dom, iommu_iova(iova & ~0xfffull),
				iommu_phys(frame[i]), 4096, RW) == IOMMU_OK);
		CHECK(w, rig_can_write(&rig, w->bdf, iova & ~0xfffull));
	}
	for (unsigned i = 0; i < 4; i++) {
		uint64_t iova = 0x10000 + (round % 7 + i) * 0x1ff000ull;

		CHECK(w,
			iommu_unmap_now(dom, iommu_iova(iova & ~0xfffull),
				4096) == IOMMU_OK);
		CHECK(w, !rig_can_write(&rig, w->bdf, iova & ~0xfffull));
		model_page_free(rig.m, frame[i], 0);
	}
}

static void interrupt(struct worker *w, unsigned round)
{
	struct iommu_irq_target target = {
		.vector = (uint8_t)(0x20 + round % 200)};
	struct iommu_msi_message msg;
	struct iommu_irq irq;
	bool remapped = false;

	CHECK(w,
		iommu_irq_remapped(rig.iommu, rig_id(w->bdf), &remapped) ==
			IOMMU_OK);
	if (!remapped)
		return;
	CHECK(w,
		iommu_irq_alloc(rig.iommu, rig_id(w->bdf), 2, &irq) ==
			IOMMU_OK);
	CHECK(w, iommu_irq_set(rig.iommu, &irq, 0, &target) == IOMMU_OK);
	CHECK(w, iommu_irq_message(rig.iommu, &irq, 0, &msg) == IOMMU_OK);
	CHECK(w, model_msi(rig.m, 0, w->bdf, msg.address, msg.data));
	CHECK(w, iommu_irq_free(rig.iommu, &irq) == IOMMU_OK);
	CHECK(w, !model_msi(rig.m, 0, w->bdf, msg.address, msg.data));
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned round = 0; round < w->rounds && !w->wrong; round++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_MAPPED};
		struct iommu_domain *dom = NULL;

		CHECK(w,
			iommu_domain_create(rig.iommu, &config, &dom) ==
				IOMMU_OK);
		CHECK(w,
			iommu_attach(rig.iommu, rig_id(w->bdf), dom) ==
				IOMMU_OK);
		if (w->wrong)
			break;
		edit(w, dom, round);
		interrupt(w, round);
		CHECK(w, iommu_detach(rig.iommu, rig_id(w->bdf)) == IOMMU_OK);
		CHECK(w, iommu_domain_destroy(dom) == IOMMU_OK);
	}
	return NULL;
}

static void *collect(void *arg)
{
	struct iommu_fault fault;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		iommu_interrupt_all(rig.iommu);
		while (iommu_fault_next(rig.iommu, &fault))
			;
	}
	return NULL;
}

static void nothing(void *arg, const char *text, size_t length)
{
	(void)arg;
	(void)text;
	(void)length;
}

static void *report(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		iommu_report_info(rig.iommu, nothing, NULL);
		iommu_report_stats(rig.iommu, nothing, NULL);
		iommu_report_queue(rig.iommu, nothing, NULL);
	}
	return NULL;
}

static void live_together(const char *kind)
{
	static const uint16_t bdf[THREADS] = {
		RIG_DEV, RIG_OTHER, RIG_ATS, RIG_BEHIND_PORT};
	const char *rounds = getenv("ROUNDS");
	struct worker w[THREADS] = {0};
	pthread_t collector, reporter;

	rig_open(&rig, kind, MODEL_LAZY, 1);
	rig.options.fault_storm = 0;
	rig.options.cpus = 4;
	rig_start_ok(&rig);
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i].bdf = bdf[i];
		w[i].owner = 10 + i;
		w[i].rounds = rounds ? (unsigned)atoi(rounds) : 60;
		model_device_expect(rig.m, 0, bdf[i], w[i].owner);
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	pthread_create(&collector, NULL, collect, NULL);
	pthread_create(&reporter, NULL, report, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(collector, NULL);
	pthread_join(reporter, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		if (w[i].wrong)
			fail_msg("%s: device %04x: %s", kind, w[i].bdf,
				w[i].wrong);
	rig_close(&rig);
}

static void cpus_share_a_queue(void **state)
{
	(void)state;
	live_together("plain");
	live_together("skylake-sp");
	live_together("caching");
	live_together("worst-memory");
}

static void cpus_share_the_registers(void **state)
{
	(void)state;
	live_together("no-qi");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_share_a_queue),
		cmocka_unit_test(cpus_share_the_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
