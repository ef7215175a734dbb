/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs in one domain and in one DMA space: single pages, whole tables
 * that come and go in neighbouring spans, which collide in the domain's cache
 * of leaf tables, and buffers whose release is deferred. Meant for the thread
 * sanitizer as well as for the model's judgement.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <iommu/dma.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define OWNER 9
#define TABLE 0x200000ull

enum {
	THREADS = 4,
	BLOCK_ORDER = 10,
};

static struct rig rig;
static struct iommu_domain *shared, *buffers;
static struct iommu_dma *dma;

struct worker {
	uint64_t base, block;
	unsigned rounds, number, released;
	const char *wrong;
	pthread_t thread;
};

/** A buffer on its way back. */
struct late {
	struct worker *w;
	uint64_t iova;
};

#define CHECK(w, what)                      \
	do {                                \
		if (!(what) && !(w)->wrong) \
			(w)->wrong = #what; \
	} while (0)

static bool reaches(uint64_t at)
{
	return rig_can_write(&rig, RIG_DEV, at);
}

/** Maps, looks, unmaps, looks. */
static void come_and_go(struct worker *w, uint64_t size)
{
	/* One page off, so that no large page fits. */
	uint64_t phys = w->block + MODEL_PAGE;
	uint64_t last = w->base + size - MODEL_PAGE;

	CHECK(w,
		iommu_map(shared, iommu_iova(w->base), iommu_phys(phys), size,
			RW) == IOMMU_OK);
	CHECK(w, reaches(w->base) && reaches(last));
	CHECK(w,
		iommu_unmap_now(shared, iommu_iova(w->base), size) == IOMMU_OK);
	CHECK(w, !reaches(w->base) && !reaches(last));
}

/** Whether what the device writes to the address lands in the buffer. Without a
 *  lane of its own a CPU frees the address first: then it may lead elsewhere,
 *  to a word of the other's block that nobody looks at. */
static bool is_reached(const struct late *late)
{
	unsigned word = 1 + late->w->number;
	uint64_t *mark = (uint64_t *)model_ptr(rig.m, late->w->block) + word;
	uint64_t value = (uintptr_t)late;

	__atomic_store_n(mark, 0, __ATOMIC_SEQ_CST);
	(void)!model_dma_write(
		rig.m, 0, RIG_OTHER, late->iova + word * 8, &value, 8);
	return __atomic_load_n(mark, __ATOMIC_SEQ_CST) == value;
}

static void released(void *cookie)
{
	struct late *late = cookie;

	CHECK(late->w, !is_reached(late));
	__atomic_fetch_add(&late->w->released, 1, __ATOMIC_RELAXED);
	free(late);
}

static void lend(struct worker *w, unsigned round)
{
	struct late *late = malloc(sizeof(*late));
	size_t size = 1 + round % 5 * MODEL_PAGE;
	iommu_iova_t iova;

	CHECK(w,
		iommu_dma_map(dma, iommu_phys(w->block), size, ~0ull,
			IOMMU_BOTH_WAYS, &iova) == IOMMU_OK);
	CHECK(w, rig_can_write(&rig, RIG_OTHER, iova.v));
	*late = (struct late){w, iova.v};
	CHECK(w,
		iommu_dma_unmap_later(dma, iova, size, IOMMU_BOTH_WAYS, late) ==
			IOMMU_OK);
	if (round % 16 == w->number)
		CHECK(w, iommu_dma_tick(dma) == IOMMU_OK);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned round = 0; round < w->rounds && !w->wrong; round++) {
		come_and_go(w, MODEL_PAGE);
		if (round % 4 == 0)
			come_and_go(w, TABLE);
		lend(w, round);
	}
	return NULL;
}

static struct iommu_domain *domain_of(uint16_t device)
{
	struct iommu_domain *domain = rig_mapped_domain(&rig);

	OK(iommu_attach(rig.iommu, rig_id(device), domain));
	return domain;
}

static void end_domain(uint16_t device, struct iommu_domain *domain)
{
	OK(iommu_detach(rig.iommu, rig_id(device)));
	OK(iommu_domain_destroy(domain));
}

static void share(const char *kind, unsigned defer_count)
{
	struct iommu_dma_config config = {.deferred = true,
		.defer_count = defer_count,
		.released = released};
	const char *rounds = getenv("ROUNDS");
	struct worker w[THREADS] = {0};

	rig_open(&rig, kind, MODEL_LAZY, 1);
	rig.options.fault_storm = 0;
	rig_start_ok(&rig);
	shared = domain_of(RIG_DEV);
	buffers = domain_of(RIG_OTHER);
	OK(iommu_dma_create(buffers, &config, &dma));
	for (unsigned i = 0; i < THREADS; i++) {
		w[i].number = i;
		/* 8 spans apart. */
		w[i].base = 0x40000000 + i * 8 * TABLE;
		w[i].block = model_page_alloc(rig.m, BLOCK_ORDER, OWNER);
		w[i].rounds = rounds ? (unsigned)atoi(rounds) : 60;
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	OK(iommu_dma_flush(dma));
	for (unsigned i = 0; i < THREADS; i++) {
		if (w[i].wrong)
			fail_msg("%s, CPU %u: %s", kind, i, w[i].wrong);
		assert_int_equal(w[i].released, w[i].rounds);
		model_page_free(rig.m, w[i].block, BLOCK_ORDER);
	}
	OK(iommu_dma_destroy(dma));
	end_domain(RIG_DEV, shared);
	end_domain(RIG_OTHER, buffers);
	rig_close(&rig);
}

static void cpus_share_a_domain(void **state)
{
	(void)state;
	share("plain", 0);
	share("plain", 5);
	share("caching", 9);
	share("worst-memory", 0);
	share("no-qi", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_share_a_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
