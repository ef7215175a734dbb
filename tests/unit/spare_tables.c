/* SPDX-License-Identifier: MIT */
/*
 * Tables of ended domains that are kept for the next ones: they are empty,
 * also in the memory that a unit reads, and there are as many as were wanted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "iommu/internal.h"
#include "support/kinds.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define M2 0x200000ull
#define G1 0x40000000ull
#define LOW 0x1000ull
/** In other lines of the cache than LOW, at each level but the last. */
#define HIGH (21 * G1 + 43 * M2 + LOW)

/* ---- what the library asks of the host ---- */

static struct iommu_host real;
static unsigned asked, written, pages_written;

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out)
{
	asked++;
	return real.page_alloc(ctx, order, out);
}

static void cache_flush(void *ctx, const void *virt, size_t size)
{
	written++;
	pages_written += size == 4096;
	real.cache_flush(ctx, virt, size);
}

static void watch(struct rig *r)
{
	real = r->hooks;
	r->hooks.page_alloc = page_alloc;
	r->hooks.cache_flush = cache_flush;
	asked = pages_written = 0;
}

static void open_with(struct rig *r, const char *kind, unsigned spares)
{
	rig_open(r, kind, MODEL_LAZY, 1);
	r->options.spare_tables = spares;
	watch(r);
	rig_start_ok(r);
}

static void map(struct iommu_domain *domain, uint64_t iova, uint64_t phys,
	uint64_t size)
{
	OK(iommu_map(domain, iommu_iova(iova), iommu_phys(phys), size, RW));
}

/** A domain that maps a page at an address and is used; nowhere else is
 *  anything mapped. */
static void life(struct rig *r, uint64_t iova, uint64_t elsewhere)
{
	struct iommu_domain *domain = rig_mapped_domain(r);
	uint64_t frame = rig_frame(r, 9);
	iommu_phys_t phys;

	map(domain, iova, frame, 4096);
	OK(iommu_attach(r->iommu, rig_id(RIG_DEV), domain));
	assert_true(rig_can_write(r, RIG_DEV, iova));
	assert_int_equal(
		iommu_iova_to_phys(domain, iommu_iova(elsewhere), &phys),
		IOMMU_NOT_MAPPED);
	assert_false(rig_can_write(r, RIG_DEV, elsewhere));
	rig_check(r);
	OK(iommu_detach(r->iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_check(r);
	model_page_free(r->m, frame, 0);
}

/** What is kept is zeros. */
static unsigned kept(const struct rig *r)
{
	static const uint8_t zeros[4096];
	unsigned n;

	for (n = 0; n < r->iommu->spares; n++)
		assert_memory_equal(
			core_virt(r->iommu,
				iommu_phys(r->iommu->spare[n] & ~4095ull)),
			zeros, sizeof(zeros));
	return n;
}

/* ---- tests ---- */

static void next_domain_asks_for_a_leaf_table(void **state)
{
	(void)state;
	for (const struct model_personality *p = kinds_next(NULL); p;
		p = kinds_next(p)) {
		unsigned tables;
		struct rig r;

		open_with(&r, p->name, 8);
		life(&r, LOW, HIGH);
		tables = kept(&r);
		assert_true(tables >= 1);
		/* The first one needed memory for other things, too. */
		for (unsigned n = 0; n < 3; n++) {
			asked = pages_written = 0;
			life(&r, n % 2 ? LOW : HIGH, n % 2 ? HIGH : LOW);
			/* A unit of one depth keeps all but the leaves. */
			assert_int_equal(asked, 1);
			assert_true(pages_written <= 1);
			assert_int_equal(kept(&r), tables);
		}
		rig_close(&r);
	}
}

static void none_is_kept_unless_asked(void **state)
{
	uint64_t pages;
	struct rig r;

	(void)state;
	open_with(&r, "48-bit", 0);
	life(&r, LOW, HIGH);
	pages = r.iommu->pages;
	for (unsigned n = 0; n < 3; n++) {
		asked = 0;
		life(&r, LOW, HIGH);
		assert_int_equal(asked, 4);
		assert_int_equal(r.iommu->pages, pages);
		assert_int_equal(kept(&r), 0);
	}
	rig_close(&r);
}

/** Nor is anything written back for nobody. */
static void nothing_is_done_where_none_is_kept(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_with(&r, "non-coherent", 0);
	domain = rig_mapped_domain(&r);
	map(domain, LOW, 0x5000, 4096);
	assert_true(written);
	written = 0;
	OK(iommu_domain_destroy(domain));
	assert_int_equal(written, 0);
	rig_close(&r);
}

static void as_many_as_were_asked_for(void **state)
{
	(void)state;
	for (unsigned wanted = 1; wanted <= SPARE_TABLES; wanted += 9) {
		struct iommu_domain *domain;
		uint64_t frame;
		struct rig r;

		open_with(&r, "48-bit", wanted);
		frame = rig_frame(&r, 9);
		domain = rig_mapped_domain(&r);
		for (uint64_t n = 0; n < 100; n++)
			map(domain, n * G1, frame, 4096);
		OK(iommu_domain_destroy(domain));
		assert_int_equal(kept(&r), wanted);
		life(&r, LOW, HIGH);
		model_page_free(r.m, frame, 0);
		rig_close(&r);
	}
}

/** Large pages lie where no table says that there is something. */
static void large_pages_leave_nothing(void **state)
{
	static const uint64_t at[] = {7 * G1, 9 * M2, 2 * G1 + M2};
	static const uint64_t size[] = {G1, M2, 3 * M2};

	(void)state;
	for (unsigned n = 0; n < 3; n++)
		for (unsigned split = 0; split < 2; split++) {
			struct iommu_domain *domain;
			struct rig r;

			open_with(&r, "plain", 16);
			life(&r, LOW, HIGH);
			domain = rig_mapped_domain(&r);
			map(domain, LOW, 0x5000, 4096);
			map(domain, at[n], at[n], size[n]);
			map(domain, HIGH, 0x5000, 4096);
			if (split)
				OK(iommu_unmap_now(domain,
					iommu_iova(at[n] + 0x3000), 4096));
			OK(iommu_domain_destroy(domain));
			assert_int_equal(kept(&r), 0);
			life(&r, LOW, at[n]);
			life(&r, LOW, at[n] + size[n] - 4096);
			rig_close(&r);
		}
}

static void joined_pages_leave_nothing(void **state)
{
	struct iommu_domain *domain;
	struct iommu_batch batch;
	struct rig r;

	(void)state;
	open_with(&r, "plain", 16);
	domain = rig_mapped_domain(&r);
	for (uint64_t n = 0; n < 512; n++)
		map(domain, M2 + n * 4096, M2 + n * 4096, 4096);
	iommu_batch_init(&batch, domain);
	OK(iommu_join(domain, iommu_iova(M2), M2, &batch));
	OK(iommu_batch_flush(&batch));
	OK(iommu_domain_destroy(domain));
	kept(&r);
	life(&r, LOW, M2);
	rig_close(&r);
}

/** A unit that does not snoop comes when tables are kept whose zeros nobody
 *  wrote back. */
static void unit_that_does_not_snoop_comes_later(void **state)
{
	uint8_t structure[256];
	size_t size;
	struct rig r;

	(void)state;
	rig_open_two(&r, "plain", "non-coherent", MODEL_LAZY);
	r.options.spare_tables = 8;
	watch(&r);
	size = rig_take_unit_out(&r, structure);
	rig_start_ok(&r);
	life(&r, LOW, HIGH);
	assert_true(kept(&r) > 1);
	assert_int_equal(pages_written, 0);
	OK(iommu_units_add(r.iommu, structure, size));
	pages_written = asked = 0;
	life(&r, LOW, HIGH);
	assert_int_equal(asked, 1);
	assert_true(pages_written > 2);
	/* From now on they are in memory. */
	pages_written = 0;
	life(&r, LOW, HIGH);
	assert_int_equal(pages_written, 1);
	rig_close(&r);
}

/** What a unit may still walk is kept by nobody. */
static void walked_tables_are_not_kept(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_with(&r, "plain", 8);
	domain = rig_mapped_domain(&r);
	map(domain, LOW, rig_frame(&r, 9), 4096);
	domain->walked = true;
	OK(iommu_domain_destroy(domain));
	assert_int_equal(kept(&r), 0);
	rig_close_anyhow(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_domain_asks_for_a_leaf_table),
		cmocka_unit_test(none_is_kept_unless_asked),
		cmocka_unit_test(nothing_is_done_where_none_is_kept),
		cmocka_unit_test(as_many_as_were_asked_for),
		cmocka_unit_test(large_pages_leave_nothing),
		cmocka_unit_test(joined_pages_leave_nothing),
		cmocka_unit_test(unit_that_does_not_snoop_comes_later),
		cmocka_unit_test(walked_tables_are_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
