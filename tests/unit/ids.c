/* SPDX-License-Identifier: MIT */
/*
 * Domain ids: every owner has its own, none of them is the hardware's or the
 * identity's, they are as wide as the unit says, and one comes back only when
 * the unit has forgotten what was under it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "iommu/backend.h"
#include "support/rig.h"
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define AT 0x1000ull

static uint16_t id_of(struct rig *r, uint16_t bdf)
{
	struct iommu_device_info info;

	OK(iommu_device_info(r->iommu, rig_id(bdf), &info));
	return info.did;
}

static struct iommu_domain *attached(
	struct rig *r, uint16_t bdf, uint64_t frame)
{
	struct iommu_domain *domain = rig_mapped_domain(r);

	OK(iommu_attach(r->iommu, rig_id(bdf), domain));
	OK(iommu_map(domain, iommu_iova(AT), iommu_phys(frame), 4096, RW));
	return domain;
}

static void gone(struct rig *r, uint16_t bdf, struct iommu_domain *domain)
{
	OK(iommu_detach(r->iommu, rig_id(bdf)));
	OK(iommu_domain_destroy(domain));
}

static void every_owner_has_its_own(void **state)
{
	static const uint16_t bdf[] = {RIG_DEV, RIG_OTHER, RIG_BEHIND_PORT};
	struct iommu_domain *domain[3];
	uint16_t id[3];
	struct rig r;

	(void)state;
	rig_run(&r, "caching", MODEL_LAZY, 1);
	for (unsigned n = 0; n < 3; n++) {
		domain[n] = attached(&r, bdf[n], 0x100000);
		id[n] = id_of(&r, bdf[n]);
		/* 0 tags what is absent (VT-d 6.1), 1 is the identity's. */
		assert_true(id[n] > 1);
		for (unsigned k = 0; k < n; k++)
			assert_int_not_equal(id[k], id[n]);
		assert_true(rig_can_write(&r, bdf[n], AT));
	}
	rig_check(&r);
	for (unsigned n = 0; n < 3; n++)
		gone(&r, bdf[n], domain[n]);
	rig_close(&r);
}

/** Takes every id of the unit but the last few. Returns how many there were. */
static unsigned use_up(struct rig *r, unsigned leave, uint16_t *out_last)
{
	struct did_map *map = &r->iommu->unit[0]->dids;
	unsigned taken = 0;
	uint16_t id;

	while (taken + leave < map->count && __did_take(map, &id)) {
		assert_true(id < map->count);
		*out_last = id;
		taken++;
	}
	return taken;
}

static void are_as_many_as_the_unit_has(void **state)
{
	static const struct {
		const char *kind;
		unsigned count;
	} row[] = {{"16-domains", 16}, {"plain", 65536}, {"haswell-ep", 65536},
		{"atom", 256}};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		uint16_t last = 0;
		char line[40];
		struct rig r;

		rig_run(&r, row[n].kind, MODEL_LAZY, 1);
		snprintf(line, sizeof(line), " domain ids: 2 of %u\n",
			row[n].count);
		words_start();
		iommu_report_stats(r.iommu, words_sink, NULL);
		words_have(line);
		assert_int_equal(use_up(&r, 0, &last), row[n].count - 2);
		assert_int_equal(last, row[n].count - 1);
		rig_close(&r);
	}
}

static void are_wide_in_every_place(void **state)
{
	uint64_t frame, other;
	struct iommu_domain *first, *second;
	uint16_t last = 0;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	frame = rig_frame(&r, 9);
	other = rig_frame(&r, 10);
	first = attached(&r, RIG_DEV, frame);
	/* The next id is 256 further. */
	while (last + 1u < id_of(&r, RIG_DEV) + 256u)
		assert_true(__did_take(&r.iommu->unit[0]->dids, &last));
	second = attached(&r, RIG_OTHER, other);
	assert_int_equal(id_of(&r, RIG_OTHER), id_of(&r, RIG_DEV) + 256);
	model_device_expect(r.m, 0, RIG_DEV, 9);
	model_device_expect(r.m, 0, RIG_OTHER, 10);
	assert_true(rig_can_write(&r, RIG_DEV, AT));
	assert_true(rig_can_write(&r, RIG_OTHER, AT));
	rig_check(&r);
	OK(iommu_unmap_now(second, iommu_iova(AT), 4096));
	assert_true(rig_can_write(&r, RIG_DEV, AT));
	assert_false(rig_can_write(&r, RIG_OTHER, AT));
	rig_check(&r);
	gone(&r, RIG_OTHER, second);
	gone(&r, RIG_DEV, first);
	model_page_free(r.m, frame, 0);
	model_page_free(r.m, other, 0);
	rig_close(&r);
}

/** Wherever attach runs out of memory, the next try finds an id. */
static void are_not_lost_when_memory_is(void **state)
{
	enum iommu_status status = IOMMU_NO_MEMORY;
	unsigned n;

	(void)state;
	for (n = 1; status == IOMMU_NO_MEMORY; n++) {
		struct iommu_domain *domain;
		unsigned free;
		word64 *taken;
		struct rig r;

		rig_run(&r, "16-domains", MODEL_LAZY, 1);
		domain = rig_mapped_domain(&r);
		taken = &r.iommu->unit[0]->dids.taken[0];
		free = (unsigned)__builtin_popcountll(~*taken);
		model_fail_alloc(r.m, n, false);
		status = iommu_attach(r.iommu, rig_id(RIG_BEHIND_PORT), domain);
		model_fail_alloc(r.m, 0, false);
		if (status == IOMMU_NO_MEMORY)
			OK(iommu_attach(
				r.iommu, rig_id(RIG_BEHIND_PORT), domain));
		assert_int_equal(__builtin_popcountll(~*taken), free - 1);
		gone(&r, RIG_BEHIND_PORT, domain);
		assert_int_equal(__builtin_popcountll(~*taken), free);
		rig_close(&r);
	}
	assert_true(n > 3);
	assert_int_equal(status, IOMMU_OK);
}

/** Every number of ids that the specification has (11.4.2, ND). */
static void are_counted_for_every_size(void **state)
{
	(void)state;
	for (unsigned nd = 0; nd < 7; nd++) {
		struct model_personality kind =
			*model_personality_find("plain");
		const unsigned count = 1u << (4 + 2 * nd);
		uint16_t last = 0;
		struct rig r;

		kind.cap = (kind.cap & ~7ull) | nd;
		rig_open_machine(&r,
			model_create_usual(&kind, MODEL_BENIGN, 0, 1, false));
		rig_start_ok(&r);
		assert_int_equal(use_up(&r, 0, &last), count - 2);
		assert_int_equal(last, count - 1);
		rig_close(&r);
	}
}

/** A bit for each, and no page more. */
static void need_no_more_memory_than_bits(void **state)
{
	size_t pages[2];

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		struct model_personality kind =
			*model_personality_find("plain");
		struct rig r;

		kind.cap = (kind.cap & ~7ull) | (5 + n);
		rig_open_machine(&r,
			model_create_usual(&kind, MODEL_BENIGN, 0, 1, false));
		rig_start_ok(&r);
		pages[n] = model_pages_in_use(r.m, 0);
		rig_close(&r);
	}
	assert_int_equal(pages[1], pages[0] + 1);
}

/** Wherever in the map they are. */
static void come_back_each_as_itself(void **state)
{
	static const unsigned kept[] = {61, 1, 64, 62};
	unsigned had = 2;
	uint16_t id;
	struct rig r;

	(void)state;
	rig_run(&r, "atom", MODEL_BENIGN, 1);
	for (unsigned n = 0; n < 4; n++) {
		for (unsigned i = 0; i < kept[n]; i++)
			assert_true(__did_take(&r.iommu->unit[0]->dids, &id));
		had += kept[n];
		for (unsigned i = 0; i < 200; i++) {
			struct iommu_domain *domain =
				attached(&r, RIG_DEV, 0x100000);

			assert_int_equal(id_of(&r, RIG_DEV), had);
			gone(&r, RIG_DEV, domain);
		}
	}
	rig_close(&r);
}

/* ---- another CPU, in the middle of a detach ---- */

static struct {
	struct rig *r;
	struct iommu_host real;
	bool armed;
	uint16_t leaving;
} other_cpu;

static void take_one_now(struct rig *r)
{
	struct iommu_domain *domain = rig_mapped_domain(r);

	OK(iommu_attach(r->iommu, rig_id(RIG_OTHER), domain));
	assert_int_not_equal(id_of(r, RIG_OTHER), other_cpu.leaving);
	gone(r, RIG_OTHER, domain);
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (other_cpu.armed && !other_cpu.r->host.locks_held) {
		other_cpu.armed = false;
		take_one_now(other_cpu.r);
	}
	other_cpu.real.reg_write(ctx, regs, offset, width, value);
}

static uint64_t now_ns(void *ctx)
{
	if (other_cpu.armed && !other_cpu.r->host.locks_held) {
		other_cpu.armed = false;
		take_one_now(other_cpu.r);
	}
	return other_cpu.real.now_ns(ctx);
}

/** Until the unit has confirmed, the id of who leaves is nobody's. */
static void come_back_after_the_flush(void **state)
{
	static const char *const kinds[] = {"16-domains", "plain", "caching"};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct iommu_domain *domain;
		struct rig r;

		memset(&other_cpu, 0, sizeof(other_cpu));
		rig_open(&r, kinds[n], MODEL_LAZY, 1);
		other_cpu.r = &r;
		other_cpu.real = r.hooks;
		r.hooks.reg_write = reg_write;
		r.hooks.now_ns = now_ns;
		rig_start_ok(&r);
		domain = attached(&r, RIG_DEV, 0x100000);
		other_cpu.leaving = id_of(&r, RIG_DEV);
		/* So that it would be the first one found. */
		r.iommu->unit[0]->dids.hint = 0;
		other_cpu.armed = true;
		gone(&r, RIG_DEV, domain);
		assert_false(other_cpu.armed);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_owner_has_its_own),
		cmocka_unit_test(are_as_many_as_the_unit_has),
		cmocka_unit_test(are_wide_in_every_place),
		cmocka_unit_test(are_not_lost_when_memory_is),
		cmocka_unit_test(need_no_more_memory_than_bits),
		cmocka_unit_test(come_back_each_as_itself),
		cmocka_unit_test(come_back_after_the_flush),
		cmocka_unit_test(are_counted_for_every_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
