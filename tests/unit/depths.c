/* SPDX-License-Identifier: MIT */
/*
 * How deep tables are: where an address leads in each kind of domain, domains
 * of units that differ, identity without pass-through, and pages missing for
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "iommu/internal.h"
#include "support/pages.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define M2 0x200000ull
#define G1 0x40000000ull

/* ---- where an address leads ---- */

static void address_of_every_kind(void **state)
{
	struct iommu_domain_config blocked = {.kind = IOMMU_DOMAIN_BLOCKED};
	struct iommu_domain *none;
	iommu_phys_t phys;
	struct pages p;

	(void)state;
	pages_open(&p, "plain", MODEL_LAZY);
	OK(iommu_iova_to_phys(
		iommu_domain_identity(p.r.iommu), iommu_iova(0x12345), &phys));
	assert_int_equal(phys.v, 0x12345);
	OK(iommu_domain_create(p.r.iommu, &blocked, &none));
	assert_int_equal(iommu_iova_to_phys(none, iommu_iova(0x1000), &phys),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_domain_destroy(none));
	pages_map(&p, G1, G1, G1, RW);
	assert_int_equal(pages_lead_to(&p, G1 + 0x3456789), G1 + 0x3456789);
	pages_close(&p);
}

/** What no table of this depth translates leads nowhere. */
static void address_beyond_the_tables(void **state)
{
	static const char *const kinds[] = {"39-bit", "48-bit", "57-bit"};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		iommu_phys_t phys;
		struct pages p;

		pages_open(&p, kinds[n], MODEL_LAZY);
		pages_map(&p, 0, 0x100000, M2, RW);
		for (unsigned bit = 39 + 9 * n; bit < 64; bit++) {
			assert_int_equal(
				iommu_iova_to_phys(p.domain,
					iommu_iova(1ull << bit), &phys),
				IOMMU_NOT_MAPPED);
			assert_int_equal(pages_size_at(&p.r, 1ull << bit), 0);
		}
		assert_int_equal(pages_lead_to(&p, 0x1234), 0x101234);
		pages_close(&p);
	}
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

		rig_run(&r, "plain", MODEL_BENIGN, 1);
		rig_space_open(&space, &r);
		rig_space_set(&space, 0x5000, 0x7000 | RW);
		config.roots.levels3 = iommu_phys(space.root[3]);
		if (levels >= 4)
			config.roots.levels4 = iommu_phys(space.root[4]);
		if (levels == 5)
			config.roots.levels5 = iommu_phys(space.root[5]);
		OK(iommu_domain_create(r.iommu, &config, &domain));
		OK(iommu_iova_to_phys(domain, iommu_iova(0x5678), &phys));
		assert_int_equal(phys.v, 0x7678);
		assert_int_equal(
			iommu_iova_to_phys(domain, iommu_iova(0x6000), &phys),
			IOMMU_NOT_MAPPED);
		OK(iommu_domain_destroy(domain));
		rig_space_close(&space);
		rig_close(&r);
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
	rig_run(&r, "plain", MODEL_BENIGN, 1);
	rig_space_open(&space, &r);
	rig_space_set(&space, 0x5000, 1ull << 63 | 1ull << 52 | 0x7f00 | RW);
	rig_space_set_large(
		&space, M2, 1ull << 63 | M2 | 1 << 12 | 1 << 7 | 0xf00 | RW);
	OK(iommu_iova_to_phys(space.domain, iommu_iova(0x5678), &phys));
	assert_int_equal(phys.v, 0x7678);
	OK(iommu_iova_to_phys(space.domain, iommu_iova(M2 + 0x12345), &phys));
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

/* ---- units that differ ---- */

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

			rig_open_two(&r, pairs[k][0], pairs[k][1], MODEL_LAZY);
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
			OK(iommu_map(domain, iommu_iova(last),
				iommu_phys(0x100000), 4096, RW));
			assert_true(rig_can_write(&r, RIG_DEV, last));
			assert_true(rig_can_write(&r, RIG_OTHER, last));
			/* The tables that both start at are never freed. */
			OK(iommu_unmap_now(
				domain, iommu_iova(0), 1ull << bits));
			assert_false(rig_can_write(&r, RIG_DEV, last));
			OK(iommu_map(domain, iommu_iova(0x5000),
				iommu_phys(0x100000), 4096, RW));
			assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
			assert_true(rig_can_write(&r, RIG_OTHER, 0x5000));
			OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
			OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
			OK(iommu_domain_destroy(domain));
			rig_close(&r);
		}
}

static void domain_without_tables_is_not_made(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	(void)state;
	for (unsigned n = 1;; n++) {
		struct iommu_domain *domain = NULL;
		enum iommu_status status;
		struct rig r;

		rig_open_two(&r, "39-bit", "48-bit", MODEL_LAZY);
		rig_start_ok(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_domain_create(r.iommu, &config, &domain);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_OK)
			OK(iommu_domain_destroy(domain));
		else
			assert_int_equal(status, IOMMU_NO_MEMORY);
		rig_close(&r);
		if (status == IOMMU_OK)
			break;
		assert_true(n < 10);
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
		rig_open_two(&r, "39-bit", "57-bit", MODEL_LAZY);
		rig_start_ok(&r);
		model_fail_alloc(r.m, n, false);
		status = iommu_domain_create(r.iommu, &config, &domain);
		assert_int_equal(
			status, model_failures(r.m) ? IOMMU_NO_MEMORY : 0);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_OK)
			OK(iommu_domain_destroy(domain));
		rig_close(&r);
	}
}

/* ---- identity ---- */

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
			OK(iommu_attach(r.iommu, rig_id(RIG_DEV),
				iommu_domain_identity(r.iommu)));
			OK(iommu_attach(r.iommu, rig_id(RIG_OTHER),
				iommu_domain_identity(r.iommu)));
			assert_true(rig_can_write(&r, RIG_DEV, 0x100000));
			assert_true(rig_can_write(&r, RIG_OTHER, 0x3ff0000));
			/* Up to the interrupts' window, and behind it. */
			assert_true(pages_size_at(&r, 0xfedff000));
			assert_int_equal(pages_size_at(&r, 0xfee00000), 0);
			/* Pass-through does not force snooping either. */
			assert_int_equal(
				r.iommu->identity_tables->table.leaf_bits, 0);
			assert_true(pages_size_at(&r, 0xfef00000));
			assert_true(pages_size_at(&r, (1ull << 39) - 4096));
			assert_int_equal(
				pages_size_at(&r, 1ull << 39), k ? 0 : G1);
			assert_int_equal(pages_size_at(&r, (1ull << 46) - 1),
				k ? 0 : G1);
			OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
			OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
		}
		rig_close(&r);
	}
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

		rig_run(&r, "no-pt", MODEL_LAZY, 1);
		model_fail_alloc(r.m, n, false);
		status = iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu));
		hit = model_failures(r.m);
		model_fail_alloc(r.m, 0, false);
		/* Without a page in reserve smaller pages do. */
		assert_true(status == IOMMU_OK ||
			(hit && status == IOMMU_NO_MEMORY));
		if (status != IOMMU_OK)
			OK(iommu_attach(r.iommu, rig_id(RIG_DEV),
				iommu_domain_identity(r.iommu)));
		assert_true(rig_can_write(&r, RIG_DEV, 0x100000));
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
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
		cmocka_unit_test(address_of_every_kind),
		cmocka_unit_test(address_beyond_the_tables),
		cmocka_unit_test(address_in_shared_tables),
		cmocka_unit_test(addresses_are_read_with_care),
		cmocka_unit_test(units_of_two_depths),
		cmocka_unit_test(domain_without_tables_is_not_made),
		cmocka_unit_test(nth_table_of_two_depths_is_missing),
		cmocka_unit_test(identity_tables_map_everything),
		cmocka_unit_test(nth_page_of_the_identity_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
