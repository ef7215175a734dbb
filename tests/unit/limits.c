/* SPDX-License-Identifier: MIT */
/*
 * What units cannot do, and what is refused for it: units that do not
 * translate, none at all, tables of a host that do not fit in depth or in
 * format.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/** Domains are made for the first unit alone. */
static void without_second_unit(
	const struct model_personality *second, enum iommu_unit_state expected)
{
	bool refused = expected == IOMMU_UNIT_REFUSED;
	struct iommu_domain *domain;
	struct iommu_unit_info info;
	struct rig r;

	rig_open_machine(&r,
		model_create_pair(model_personality_find("57-bit"), second,
			MODEL_LAZY, 0, 1, false));
	rig_start_ok(&r);
	OK(iommu_unit_info(r.iommu, 1, &info));
	assert_int_equal(info.state, expected);
	domain = rig_mapped_domain(&r);
	OK(iommu_map(domain, iommu_iova(1ull << 56), iommu_phys(0x100000), 4096,
		RW));
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_true(rig_can_write(&r, RIG_DEV, 1ull << 56));
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain),
		IOMMU_UNCOVERED);
	assert_int_equal(
		iommu_detach(r.iommu, rig_id(RIG_OTHER)), IOMMU_NOT_ATTACHED);
	OK(iommu_device_removed(r.iommu, rig_id(RIG_OTHER)));
	assert_int_equal(iommu_device_revive(r.iommu, rig_id(RIG_OTHER)),
		IOMMU_WRONG_STATE);
	OK(iommu_suspend(r.iommu));
	assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_OTHER)),
		refused ? IOMMU_NOT_ATTACHED : IOMMU_OFF);
	OK(iommu_resume(r.iommu));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static void units_that_do_not_translate_do_not_limit_the_others(void **state)
{
	struct model_personality nothing =
		*model_personality_find("first-stage-only");

	(void)state;
	without_second_unit(
		model_personality_find("interrupts-only"), IOMMU_UNIT_OFF);
	nothing.ecap &= ~0x18ull; /* no interrupt remapping */
	without_second_unit(&nothing, IOMMU_UNIT_REFUSED);
}

/** No unit at all: no mapped domain, the others are only refused devices. */
static void without_units_nothing_is_mapped(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	assert_int_equal(iommu_discover(r.iommu, NULL, 0), IOMMU_NO_TABLE);
	assert_int_equal(
		iommu_domain_create(r.iommu, &config, &domain), IOMMU_NO_UNIT);
	config.kind = IOMMU_DOMAIN_BLOCKED;
	OK(iommu_domain_create(r.iommu, &config, &domain));
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_NO_UNIT);
	assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NO_UNIT);
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** A shared domain whose host offers no root that the unit can use. */
static void shared_roots_must_fit(void **state)
{
	static const struct {
		const char *kind;
		unsigned offered;
		bool fits;
	} row[] = {{"39-bit", 3, true}, {"39-bit", 4, false},
		{"39-bit", 5, false}, {"48-bit", 4, true}, {"48-bit", 5, false},
		{"57-bit", 5, true}, {"plain", 3, true}, {"plain", 4, true}};

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		struct iommu_domain_config config = {
			.kind = IOMMU_DOMAIN_SHARED};
		struct iommu_domain *domain;
		struct rig_space space;
		struct rig r;

		rig_run(&r, row[n].kind, MODEL_LAZY, 1);
		rig_space_open(&space, &r);
		if (row[n].offered == 3)
			config.roots.levels3 = iommu_phys(space.root[3]);
		if (row[n].offered == 4)
			config.roots.levels4 = iommu_phys(space.root[4]);
		if (row[n].offered == 5)
			config.roots.levels5 = iommu_phys(space.root[5]);
		OK(iommu_domain_create(r.iommu, &config, &domain));
		assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV), domain),
			row[n].fits ? IOMMU_OK : IOMMU_WIDTH);
		assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)),
			row[n].fits ? IOMMU_OK : IOMMU_NOT_ATTACHED);
		OK(iommu_domain_destroy(domain));
		/* A root above what the unit can address. */
		config.roots.levels3 = config.roots.levels4 =
			config.roots.levels5 = iommu_phys(1ull << 52);
		OK(iommu_domain_create(r.iommu, &config, &domain));
		assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_DEV), domain),
			IOMMU_WIDTH);
		OK(iommu_domain_destroy(domain));
		rig_space_close(&space);
		rig_close(&r);
	}
}

static void formats_are_checked_by_bit(void **state)
{
	const struct iommu_entry_format sound = {.leaf_bits = 0x63,
		.large_leaf_bits = 0xe3,
		.table_bits = 0x67,
		.absent_bits = 0xff0,
		.large_2m = true,
		.phys_bits = 40};

	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		struct iommu_entry_format f = sound;
		enum iommu_status wanted = IOMMU_FORMAT;
		const char *kind = "plain", *why = NULL;
		struct rig r;

		switch (n) {
		case 0:
			wanted = IOMMU_OK;
			break;
		case 1:
			f.absent_bits |= 1;
			break;
		case 2:
			f.absent_bits |= 2;
			break;
		case 3:
			f.leaf_bits |= 1 << 11;
			kind = "no-snoop-control";
			break;
		case 4:
			f.leaf_bits |= 1 << 11;
			wanted = IOMMU_OK;
			break;
		case 5:
			f.table_bits |= 1ull << 62;
			break;
		case 6:
			f.leaf_bits |= 1ull << 62;
			break;
		case 7:
			f.large_leaf_bits |= 1ull << 62;
			break;
		case 8:
			kind = "small-pages";
			break;
		case 9:
			f.large_1g = true;
			kind = "no-gigabyte";
			break;
		case 10:
			f.large_1g = true;
			wanted = IOMMU_OK;
			break;
		case 11:
			f.large_leaf_bits |= 1 << 12;
			break;
		case 12:
			f.large_leaf_bits |= 1 << 20;
			break;
		case 13:
			f.table_bits |= 1 << 7;
			break;
		case 14:
			f.phys_bits = 47;
			wanted = IOMMU_WIDTH;
			break;
		case 15:
			f.phys_bits = 46;
			wanted = IOMMU_OK;
			break;
		}
		rig_run(&r, kind, MODEL_BENIGN, 1);
		assert_int_equal(
			iommu_shared_check(r.iommu, 0, &f, &why), wanted);
		if (wanted == IOMMU_OK)
			assert_true(!why || !*why);
		else
			assert_true(why && strlen(why) > 10);
		assert_int_equal(
			iommu_shared_check(r.iommu, 0, &f, NULL), wanted);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			units_that_do_not_translate_do_not_limit_the_others),
		cmocka_unit_test(without_units_nothing_is_mapped),
		cmocka_unit_test(shared_roots_must_fit),
		cmocka_unit_test(formats_are_checked_by_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
