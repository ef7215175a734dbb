/* SPDX-License-Identifier: MIT */
/*
 * Mapped domains: map, unmap, split and join against a plain array of pages,
 * with a device that looks, on every kind of unit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

enum {
	/** The window of addresses played with: 8 MiB around a 1 GiB border. */
	PAGES = 2048,
	ROUNDS = 60,
	/** Memory behind it: aligned to 2 MiB. */
	FRAMES_ORDER = 10,
};

#define WINDOW 0x3fc00000ull

struct play {
	struct rig r;
	struct iommu_domain *domain;
	uint64_t frames;
	uint64_t seed;
	/** What each page should lead to; 0: nothing. */
	uint64_t want[PAGES];
	unsigned rights[PAGES];
};

static uint64_t draw(struct play *p, uint64_t below)
{
	p->seed ^= p->seed << 13;
	p->seed ^= p->seed >> 7;
	p->seed ^= p->seed << 17;
	return p->seed % below;
}

static bool any_used(const struct play *p, unsigned first, unsigned count)
{
	for (unsigned n = first; n < first + count; n++)
		if (p->want[n])
			return true;
	return false;
}

static void do_map(struct play *p, unsigned first, unsigned count)
{
	uint64_t at = WINDOW + first * 4096ull;
	unsigned rights = draw(&*p, 4) ? RW : IOMMU_READ;
	uint64_t phys = p->frames;
	bool used = any_used(p, first, count);

	/* Half of the time aligned like the address, so that large pages
	 * are possible. */
	if (count <= 512 && draw(p, 2))
		phys += (first % 512 + count <= 512 ? first % 512 : 0) * 4096;
	assert_int_equal(iommu_map(p->domain, iommu_iova(at), iommu_phys(phys),
				 count * 4096ull, rights),
		used ? IOMMU_MAPPED : IOMMU_OK);
	for (unsigned n = 0; !used && n < count; n++) {
		p->want[first + n] = phys + n * 4096;
		p->rights[first + n] = rights;
	}
}

static void do_unmap(struct play *p, unsigned first, unsigned count)
{
	uint64_t at = WINDOW + first * 4096ull, removed = 0, expected = 0;
	struct iommu_batch batch;

	for (unsigned n = first; n < first + count; n++) {
		expected += p->want[n] ? 4096 : 0;
		p->want[n] = 0;
	}
	iommu_batch_init(&batch, p->domain);
	p->r.host.forbid_alloc = true;
	assert_int_equal(iommu_unmap(p->domain, iommu_iova(at), count * 4096ull,
				 &batch, &removed),
		IOMMU_OK);
	assert_int_equal(removed, expected);
	assert_int_equal(iommu_batch_flush(&batch), IOMMU_OK);
	p->r.host.forbid_alloc = false;
}

static void do_join(struct play *p)
{
	struct iommu_batch batch;

	iommu_batch_init(&batch, p->domain);
	assert_int_equal(iommu_join(p->domain, iommu_iova(WINDOW),
				 PAGES * 4096ull, &batch),
		IOMMU_OK);
	assert_int_equal(iommu_batch_flush(&batch), IOMMU_OK);
}

/** The device and the walk agree with the array. */
static void look(struct play *p, unsigned n)
{
	uint64_t at = WINDOW + n * 4096ull;
	iommu_phys_t phys = {0};
	enum iommu_status status =
		iommu_iova_to_phys(p->domain, iommu_iova(at + 8), &phys);

	if (!p->want[n]) {
		assert_int_equal(status, IOMMU_NOT_MAPPED);
		assert_false(rig_can_read(&p->r, RIG_DEV, at));
		return;
	}
	assert_int_equal(status, IOMMU_OK);
	assert_int_equal(phys.v, p->want[n] + 8);
	*(uint64_t *)model_ptr(p->r.m, p->want[n]) = n + 1;
	assert_true(rig_can_read(&p->r, RIG_DEV, at));
	assert_int_equal(rig_can_write(&p->r, RIG_DEV, at), p->rights[n] == RW);
}

static void step(struct play *p)
{
	unsigned first = (unsigned)draw(p, PAGES);
	unsigned count = 1u << draw(p, 11);

	if (count >= 512)
		first = first / 512 * 512;
	if (count > PAGES - first)
		count = PAGES - first;
	if (count > 1u << FRAMES_ORDER)
		count = 1u << FRAMES_ORDER;
	switch (draw(p, 8)) {
	case 0:
		do_join(p);
		break;
	case 1:
	case 2:
	case 3:
		do_unmap(p, first, count);
		break;
	default:
		do_map(p, first, count);
	}
	look(p, first);
	look(p, first + count - 1);
	look(p, (unsigned)draw(p, PAGES));
}

static void play(const char *kind, enum model_mode mode, uint64_t seed)
{
	static struct play p;

	memset(&p, 0, sizeof(p));
	if (getenv("VERBOSE"))
		print_message("%s, mode %d\n", kind, mode);
	p.seed = seed * 0x9e3779b97f4a7c15ull + 1;
	rig_open(&p.r, kind, mode, seed);
	rig_start_ok(&p.r);
	p.frames = model_page_alloc(p.r.m, FRAMES_ORDER, 9);
	assert_true(p.frames != MODEL_NONE);
	p.domain = rig_mapped_domain(&p.r);
	assert_int_equal(
		iommu_attach(p.r.iommu, rig_id(RIG_DEV), p.domain), IOMMU_OK);
	for (unsigned n = 0; n < ROUNDS; n++) {
		step(&p);
		rig_check(&p.r);
	}
	do_unmap(&p, 0, PAGES);
	assert_int_equal(iommu_detach(p.r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(p.domain), IOMMU_OK);
	model_page_free(p.r.m, p.frames, FRAMES_ORDER);
	rig_close(&p.r);
}

static uint64_t chosen_seed(void)
{
	const char *text = getenv("SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

static void random_maps_and_unmaps(void **state)
{
	uint64_t seed = chosen_seed();

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	for (const struct model_personality *k = model_personalities; k->name;
		k++) {
		if (!rig_kind_usable(k) || k->quirks & MODEL_QUIRK_HIDDEN_RWBF)
			continue;
		play(k->name, MODEL_LAZY, seed);
		play(k->name, MODEL_RANDOM, seed + 1);
	}
}

static void open_plain(struct rig *r, struct iommu_domain **out)
{
	rig_open(r, "plain", MODEL_LAZY, 1);
	rig_start_ok(r);
	*out = rig_mapped_domain(r);
}

static void close_plain(struct rig *r, struct iommu_domain *domain)
{
	assert_int_equal(iommu_domain_destroy(domain), IOMMU_OK);
	rig_close(r);
}

static void bad_ranges_are_refused(void **state)
{
	const struct {
		uint64_t iova, phys, size;
		unsigned rights;
		enum iommu_status status;
	} row[] = {
		{0x1001, 0x1000, 0x1000, RW, IOMMU_BAD_ARGUMENT},
		{0x1000, 0x1001, 0x1000, RW, IOMMU_BAD_ARGUMENT},
		{0x1000, 0x1000, 0x1001, RW, IOMMU_BAD_ARGUMENT},
		{0x1000, 0x1000, 0, RW, IOMMU_BAD_ARGUMENT},
		{0x1000, 0x1000, 0x1000, 0, IOMMU_BAD_ARGUMENT},
		{0x1000, 0x1000, 0x1000, 8, IOMMU_BAD_ARGUMENT},
		{0xfffffffffffff000, 0, 0x2000, RW, IOMMU_WIDTH},
		{1ull << 60, 0, 0x1000, RW, IOMMU_WIDTH},
		{0x1000, 1ull << 60, 0x1000, RW, IOMMU_WIDTH},
		{0xfee00000, 0x1000, 0x1000, RW, IOMMU_RESERVED_RANGE},
		{0xfedff000, 0x1000, 0x2000, RW, IOMMU_RESERVED_RANGE},
		{0, 0x1000, 1ull << 33, RW, IOMMU_RESERVED_RANGE},
		{0x1000, 0xfeeff000, 0x1000, RW, IOMMU_RESERVED_RANGE},
	};
	struct iommu_domain *domain;
	struct iommu_batch batch;
	struct rig r;

	(void)state;
	open_plain(&r, &domain);
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++)
		assert_int_equal(iommu_map(domain, iommu_iova(row[n].iova),
					 iommu_phys(row[n].phys), row[n].size,
					 row[n].rights),
			row[n].status);
	iommu_batch_init(&batch, domain);
	assert_int_equal(
		iommu_unmap(domain, iommu_iova(0x1001), 0x1000, &batch, NULL),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_unmap(domain, iommu_iova(0), ~0xfffull, &batch, NULL),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(batch.changes, 0);
	close_plain(&r, domain);
}

/** Every allocation fails once: nothing of the call stays mapped. */
static void map_without_memory_leaves_nothing(void **state)
{
	struct iommu_domain *domain;
	enum iommu_status status;
	iommu_phys_t phys;
	struct rig r;

	(void)state;
	open_plain(&r, &domain);
	for (unsigned fail = 1;; fail++) {
		model_fail_alloc(r.m, fail, false);
		status = iommu_map(domain, iommu_iova(0x7fffe000),
			iommu_phys(0x400000), 0x400000, RW);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_OK)
			break;
		assert_int_equal(status, IOMMU_NO_MEMORY);
		for (uint64_t at = 0; at < 0x400000; at += 0x1000)
			assert_int_equal(
				iommu_iova_to_phys(domain,
					iommu_iova(0x7fffe000 + at), &phys),
				IOMMU_NOT_MAPPED);
		assert_true(fail < 20);
	}
	assert_int_equal(
		iommu_iova_to_phys(domain, iommu_iova(0x80000000), &phys),
		IOMMU_OK);
	close_plain(&r, domain);
}

/** The number of pages that a domain's tables take returns. */
static void unmapping_gives_tables_back(void **state)
{
	struct iommu_domain *domain;
	uint64_t before;
	struct rig r;

	(void)state;
	open_plain(&r, &domain);
	before = model_pages_in_use(r.m, MODEL_OWNER_DRIVER);
	for (unsigned n = 0; n < 4; n++) {
		assert_int_equal(iommu_map(domain, iommu_iova(0x40001000),
					 iommu_phys(0x1000), 0x3ffff000, RW),
			IOMMU_OK);
		assert_true(
			model_pages_in_use(r.m, MODEL_OWNER_DRIVER) > before);
		assert_int_equal(
			iommu_unmap_now(domain, iommu_iova(0), 0x100000000),
			IOMMU_OK);
		/* What stays is the reserve for splitting. */
		assert_true(model_pages_in_use(r.m, MODEL_OWNER_DRIVER) <=
			before + 6);
	}
	close_plain(&r, domain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_maps_and_unmaps),
		cmocka_unit_test(bad_ranges_are_refused),
		cmocka_unit_test(map_without_memory_leaves_nothing),
		cmocka_unit_test(unmapping_gives_tables_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
