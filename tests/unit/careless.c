/* SPDX-License-Identifier: MIT */
/*
 * Hosts that call in the wrong order or with nonsense: they get a status, and
 * nothing has changed.
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

#define RW (IOMMU_READ | IOMMU_WRITE)

enum {
	NOWHERE = 0x3f00, /* no function answers */
};

static void answers(enum iommu_status got, enum iommu_status wanted)
{
	if (got != wanted)
		fail_msg("\"%s\" instead of \"%s\"", iommu_status_text(got),
			iommu_status_text(wanted));
}

static void every_hook_is_needed(void **state)
{
	struct iommu *iommu = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
#define WITHOUT(hook)                                             \
	do {                                                      \
		struct iommu_host hooks = r.hooks;                \
                                                                  \
		hooks.hook = NULL;                                \
		answers(iommu_create(&hooks, &r.options, &iommu), \
			IOMMU_BAD_ARGUMENT);                      \
	} while (0)
	WITHOUT(page_alloc);
	WITHOUT(page_free);
	WITHOUT(phys_to_virt);
	WITHOUT(regs_map);
	WITHOUT(regs_unmap);
	WITHOUT(reg_read);
	WITHOUT(reg_write);
	WITHOUT(lock);
	WITHOUT(unlock);
	WITHOUT(now_ns);
	WITHOUT(pci_read);
	answers(iommu_create(NULL, &r.options, &iommu), IOMMU_BAD_ARGUMENT);
	answers(iommu_create(&r.hooks, &r.options, NULL), IOMMU_BAD_ARGUMENT);
	assert_null(iommu);
	model_destroy(r.m);
}

static void options_have_ranges(void **state)
{
	struct iommu_options options;
	struct iommu *iommu = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	for (unsigned n = 0; n < 4; n++) {
		iommu_options_default(&options);
		switch (n) {
		case 0:
			options.timeout_ns = 0;
			break;
		case 1:
			options.device_timeout_ns = 0;
			break;
		case 2:
			options.interrupt_entries = 0;
			break;
		case 3:
			options.cpus = 0;
			break;
		}
		answers(iommu_create(&r.hooks, &options, &iommu),
			IOMMU_BAD_ARGUMENT);
	}
	/* None at all are the defaults. */
	answers(iommu_create(&r.hooks, NULL, &iommu), IOMMU_OK);
	answers(iommu_destroy(iommu), IOMMU_OK);
	answers(iommu_destroy(NULL), IOMMU_OK);
	model_host_check_leaks(&r.host);
	assert_int_equal(model_violation_count(r.m), 0);
	model_destroy(r.m);
}

/** Which calls an instance refuses, by how far its life has got. */
static void expect_too_early(struct rig *r, bool discovered)
{
	struct iommu_device_info info;

	if (!discovered) {
		answers(iommu_start(r->iommu), IOMMU_WRONG_STATE);
		answers(iommu_device_info(r->iommu, rig_id(RIG_DEV), &info),
			IOMMU_NO_UNIT);
		answers(iommu_detach(r->iommu, rig_id(RIG_DEV)), IOMMU_NO_UNIT);
	}
	answers(iommu_power(r->iommu, true), IOMMU_WRONG_STATE);
	answers(iommu_power(r->iommu, false), IOMMU_WRONG_STATE);
	answers(iommu_suspend(r->iommu), IOMMU_WRONG_STATE);
	answers(iommu_resume(r->iommu), IOMMU_WRONG_STATE);
	assert_false(iommu_is_on(r->iommu));
	assert_null(iommu_domain_identity(r->iommu));
}

static void life_has_an_order(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	answers(iommu_create(&r.hooks, &r.options, &r.iommu), IOMMU_OK);
	assert_int_equal(iommu_unit_count(r.iommu), 0);
	expect_too_early(&r, false);
	answers(iommu_discover(r.iommu, r.dmar, r.dmar_size), IOMMU_OK);
	assert_int_equal(iommu_unit_count(r.iommu), 1);
	expect_too_early(&r, true);
	answers(iommu_discover(r.iommu, r.dmar, r.dmar_size),
		IOMMU_WRONG_STATE);
	answers(iommu_start(r.iommu), IOMMU_OK);
	assert_string_equal(iommu_reason(r.iommu), "");
	answers(iommu_start(r.iommu), IOMMU_WRONG_STATE);
	answers(iommu_resume(r.iommu), IOMMU_WRONG_STATE);
	answers(iommu_power(r.iommu, true), IOMMU_OK);
	assert_true(iommu_is_on(r.iommu));
	answers(iommu_suspend(r.iommu), IOMMU_OK);
	answers(iommu_suspend(r.iommu), IOMMU_WRONG_STATE);
	answers(iommu_power(r.iommu, true), IOMMU_WRONG_STATE);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu)),
		IOMMU_OFF);
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OFF);
	answers(iommu_resume(r.iommu), IOMMU_OK);
	answers(iommu_power(r.iommu, false), IOMMU_OK);
	answers(iommu_power(r.iommu, false), IOMMU_OK);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu)),
		IOMMU_OFF);
	rig_close(&r);
}

/* ---- a call of the instance's life out of a hook of another ---- */

static struct rig *nested;
static unsigned refusals;
static uint64_t (*plain_now)(void *ctx);

static uint64_t now_calls_back(void *ctx)
{
	struct iommu *iommu = nested->iommu;

	if (!iommu)
		return plain_now(ctx);
	answers(iommu_discover(iommu, nested->dmar, nested->dmar_size),
		IOMMU_WRONG_STATE);
	answers(iommu_start(iommu), IOMMU_WRONG_STATE);
	answers(iommu_power(iommu, true), IOMMU_WRONG_STATE);
	answers(iommu_suspend(iommu), IOMMU_WRONG_STATE);
	answers(iommu_resume(iommu), IOMMU_WRONG_STATE);
	answers(iommu_units_add(iommu, nested->dmar, 1), IOMMU_WRONG_STATE);
	answers(iommu_inherited_end(iommu), IOMMU_WRONG_STATE);
	answers(iommu_hand_over(iommu, IOMMU_HAND_OVER_KEPT),
		IOMMU_WRONG_STATE);
	answers(iommu_destroy(iommu), IOMMU_WRONG_STATE);
	refusals++;
	return plain_now(ctx);
}

static void refused_so_far(void)
{
	assert_true(refusals > 0);
	refusals = 0;
}

static void life_does_not_nest(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	plain_now = r.hooks.now_ns;
	r.hooks.now_ns = now_calls_back;
	nested = &r;
	refusals = 0;
	rig_start_ok(&r);
	refused_so_far();
	answers(iommu_suspend(r.iommu), IOMMU_OK);
	refused_so_far();
	answers(iommu_resume(r.iommu), IOMMU_OK);
	refused_so_far();
	answers(iommu_power(r.iommu, false), IOMMU_OK);
	refused_so_far();
	answers(iommu_power(r.iommu, true), IOMMU_OK);
	rig_close(&r);
	refused_so_far();
}

/* ---- while there is nobody to flush ---- */

/** A page that was mapped before, one that is mapped and unmapped meanwhile. */
enum {
	BEFORE = 0x5000,
	MEANWHILE = 0x6000,
};

static void use_while_suspended(struct rig *r, struct iommu_domain *domain)
{
	bool tell = iommu_domain_duties(domain) & IOMMU_DUTY_FLUSH_PRESENT;
	enum iommu_status made = tell ? IOMMU_UNCONFIRMED : IOMMU_OK;
	struct iommu_unit_info info;
	struct iommu_batch batch;
	uint64_t removed;

	answers(iommu_unit_info(r->iommu, 0, &info), IOMMU_OK);
	assert_int_equal(info.state, IOMMU_UNIT_SUSPENDED);
	answers(iommu_map(domain, iommu_iova(MEANWHILE), iommu_phys(0x200000),
			4096, RW),
		made);
	answers(iommu_unmap_now(domain, iommu_iova(MEANWHILE), 4096),
		IOMMU_UNCONFIRMED);
	answers(iommu_map(domain, iommu_iova(MEANWHILE), iommu_phys(0x300000),
			4096, RW),
		made);
	iommu_batch_init(&batch, domain);
	answers(iommu_unmap(domain, iommu_iova(BEFORE), 4096, &batch, &removed),
		IOMMU_OK);
	assert_int_equal(removed, 4096);
	answers(iommu_batch_flush(&batch), IOMMU_UNCONFIRMED);
	answers(iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNCONFIRMED);
	answers(iommu_attach(r->iommu, rig_id(RIG_OTHER), domain), IOMMU_OFF);
	answers(iommu_detach(r->iommu, rig_id(RIG_DEV)), IOMMU_OFF);
	assert_false(iommu_interrupt_all(r->iommu));
}

static void suspended_units_answer(void **state)
{
	static const char *const kind[] = {"plain", "caching", "plain"};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct iommu_domain *domain;
		struct rig r;

		rig_open(&r, kind[n], MODEL_LAZY, 1);
		if (n == 2)
			r.options.interface = IOMMU_INTERFACE_REGISTERS;
		rig_start_ok(&r);
		domain = rig_mapped_domain(&r);
		answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain),
			IOMMU_OK);
		answers(iommu_map(domain, iommu_iova(BEFORE),
				iommu_phys(0x100000), 4096, RW),
			IOMMU_OK);
		assert_true(rig_can_write(&r, RIG_DEV, BEFORE));
		answers(iommu_suspend(r.iommu), IOMMU_OK);
		model_unit_reset(r.m, 0);
		use_while_suspended(&r, domain);
		answers(iommu_resume(r.iommu), IOMMU_OK);
		/* Nobody is worse off for that, the unit included. */
		assert_false(rig_can_write(&r, RIG_DEV, BEFORE));
		assert_true(rig_can_write(&r, RIG_DEV, MEANWHILE));
		answers(iommu_unmap_now(domain, iommu_iova(MEANWHILE), 4096),
			IOMMU_OK);
		assert_false(rig_can_write(&r, RIG_DEV, MEANWHILE));
		answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
		answers(iommu_domain_destroy(domain), IOMMU_OK);
		rig_close(&r);
	}
}

static void suspended_units_keep_what_was_off(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	answers(iommu_power(r.iommu, false), IOMMU_OK);
	answers(iommu_suspend(r.iommu), IOMMU_OK);
	model_unit_reset(r.m, 0);
	answers(iommu_resume(r.iommu), IOMMU_OK);
	assert_false(iommu_is_on(r.iommu));
	answers(iommu_power(r.iommu, true), IOMMU_OK);
	assert_false(rig_can_write(&r, RIG_DEV, BEFORE));
	/* A unit that is asleep can be ended, too. */
	answers(iommu_suspend(r.iommu), IOMMU_OK);
	rig_close(&r);
}

static void units_that_are_off_are_flushed(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_OK);
	answers(iommu_map(domain, iommu_iova(BEFORE), iommu_phys(0x100000),
			4096, RW),
		IOMMU_OK);
	answers(iommu_power(r.iommu, false), IOMMU_OK);
	answers(iommu_unmap_now(domain, iommu_iova(BEFORE), 4096), IOMMU_OK);
	answers(iommu_map(domain, iommu_iova(MEANWHILE), iommu_phys(0x200000),
			4096, RW),
		IOMMU_OK);
	answers(iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_OK);
	answers(iommu_power(r.iommu, true), IOMMU_OK);
	assert_false(rig_can_write(&r, RIG_DEV, BEFORE));
	assert_true(rig_can_write(&r, RIG_DEV, MEANWHILE));
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	answers(iommu_domain_destroy(domain), IOMMU_OK);
	rig_close(&r);
}

static void instance_waits_for_its_users(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	answers(iommu_destroy(r.iommu), IOMMU_IN_USE);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_OK);
	answers(iommu_destroy(r.iommu), IOMMU_IN_USE);
	answers(iommu_domain_destroy(domain), IOMMU_IN_USE);
	answers(iommu_domain_destroy(iommu_domain_identity(r.iommu)),
		IOMMU_IN_USE);
	answers(iommu_domain_destroy(NULL), IOMMU_OK);
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu)),
		IOMMU_OK);
	answers(iommu_domain_destroy(domain), IOMMU_OK);
	answers(iommu_destroy(r.iommu), IOMMU_IN_USE);
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	rig_close(&r);
}

static void units_are_counted(void **state)
{
	struct iommu_entry_format format = {.leaf_bits = 3, .phys_bits = 36};
	struct iommu_reserved_region region;
	struct iommu_unit_info info;
	const char *why = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	answers(iommu_unit_info(r.iommu, 0, &info), IOMMU_OK);
	assert_int_equal(info.registers.v, model_unit_base(r.m, 0));
	assert_int_equal(info.state, IOMMU_UNIT_ON);
	assert_string_equal(info.reason, "");
	answers(iommu_unit_info(r.iommu, 1, &info), IOMMU_BAD_ARGUMENT);
	answers(iommu_unit_info(r.iommu, 0, NULL), IOMMU_BAD_ARGUMENT);
	assert_int_equal(iommu_reserved_count(r.iommu), 0);
	answers(iommu_reserved_region(r.iommu, 0, &region), IOMMU_BAD_ARGUMENT);
	answers(iommu_shared_check(r.iommu, 0, &format, NULL), IOMMU_OK);
	answers(iommu_shared_check(r.iommu, 1, &format, &why),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_shared_check(r.iommu, 0, NULL, &why), IOMMU_BAD_ARGUMENT);
	rig_close(&r);
}

static void domains_are_checked(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_SHARED};
	struct iommu_domain *domain = NULL;
	int owner;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	answers(iommu_domain_create(r.iommu, NULL, &domain),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_domain_create(r.iommu, &config, NULL),
		IOMMU_BAD_ARGUMENT);
	/* A shared domain without a root, or with an odd one. */
	answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.roots.levels4 = iommu_phys(0x1800);
	answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.roots.levels4 = iommu_phys(0x1001);
	answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.kind = (enum iommu_domain_kind)(IOMMU_DOMAIN_SHARED + 1);
	answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.kind = IOMMU_DOMAIN_MAPPED;
	config.iova_bits = 20;
	answers(iommu_domain_create(r.iommu, &config, &domain), IOMMU_WIDTH);
	config.iova_bits = 49;
	answers(iommu_domain_create(r.iommu, &config, &domain), IOMMU_WIDTH);
	assert_null(domain);
	config.iova_bits = 21;
	config.owner = &owner;
	answers(iommu_domain_create(r.iommu, &config, &domain), IOMMU_OK);
	assert_int_equal(iommu_domain_kind(domain), IOMMU_DOMAIN_MAPPED);
	assert_ptr_equal(iommu_domain_owner(domain), &owner);
	assert_int_equal(iommu_domain_devices(domain), 0);
	answers(iommu_map(domain, iommu_iova(0x1ff000), iommu_phys(0x100000),
			4096, RW),
		IOMMU_OK);
	answers(iommu_map(domain, iommu_iova(0x200000), iommu_phys(0x100000),
			4096, RW),
		IOMMU_WIDTH);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_OK);
	assert_int_equal(iommu_domain_devices(domain), 1);
	assert_true(rig_can_write(&r, RIG_DEV, 0x1ff000));
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_devices(domain), 0);
	answers(iommu_domain_destroy(domain), IOMMU_OK);
	rig_close(&r);
}

static void devices_are_checked(void **state)
{
	struct iommu_domain *domain, *foreign;
	struct iommu_device_id group[2];
	struct iommu_device_info info;
	unsigned duties, count;
	struct rig r, other;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	rig_open(&other, "plain", MODEL_LAZY, 1);
	rig_start_ok(&other);
	domain = rig_mapped_domain(&r);
	foreign = rig_mapped_domain(&other);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), NULL),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), foreign),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_attach(r.iommu, rig_id(NOWHERE), domain),
		IOMMU_NO_DEVICE);
	answers(iommu_detach(r.iommu, rig_id(NOWHERE)), IOMMU_NO_DEVICE);
	answers(iommu_device_info(r.iommu, rig_id(NOWHERE), &info),
		IOMMU_NO_DEVICE);
	answers(iommu_device_group(r.iommu, rig_id(NOWHERE), group, 2, &count),
		IOMMU_NO_DEVICE);
	answers(iommu_device_duties(r.iommu, rig_id(NOWHERE), &duties),
		IOMMU_NO_DEVICE);
	answers(iommu_device_revive(r.iommu, rig_id(NOWHERE)),
		IOMMU_WRONG_STATE);
	answers(iommu_device_removed(r.iommu, rig_id(NOWHERE)), IOMMU_OK);

	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	answers(iommu_device_removed(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	answers(iommu_device_revive(r.iommu, rig_id(RIG_DEV)),
		IOMMU_WRONG_STATE);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_OK);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_BUSY);
	answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			iommu_domain_identity(r.iommu)),
		IOMMU_BUSY);
	answers(iommu_device_revive(r.iommu, rig_id(RIG_DEV)),
		IOMMU_WRONG_STATE);
	/* None of that took it away. */
	answers(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info), IOMMU_OK);
	assert_ptr_equal(info.domain, domain);
	assert_int_equal(info.state, IOMMU_DEVICE_ATTACHED);
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	answers(iommu_domain_destroy(domain), IOMMU_OK);
	answers(iommu_domain_destroy(foreign), IOMMU_OK);
	rig_close(&r);
	rig_close(&other);
}

static void maps_are_checked(void **state)
{
	const uint64_t end = 1ull << 48;
	struct iommu_domain *domain, *identity;
	struct iommu_batch batch;
	iommu_phys_t phys;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	identity = iommu_domain_identity(r.iommu);
	domain = rig_mapped_domain(&r);
	iommu_batch_init(&batch, domain);
	for (unsigned n = 0; n < 14; n++) {
		static const struct {
			uint64_t iova, phys, size;
			unsigned rights;
			enum iommu_status status;
		} row[] = {
			{0x5001, 0x1000, 4096, RW, IOMMU_BAD_ARGUMENT},
			{0x5000, 0x1800, 4096, RW, IOMMU_BAD_ARGUMENT},
			{0x5000, 0x1000, 4095, RW, IOMMU_BAD_ARGUMENT},
			{0x5000, 0x1000, 0, RW, IOMMU_BAD_ARGUMENT},
			{0x5000, 0x1000, 4096, 0, IOMMU_BAD_ARGUMENT},
			{0x5000, 0x1000, 4096, 4 | RW, IOMMU_BAD_ARGUMENT},
			{1ull << 48, 0x1000, 4096, RW, IOMMU_WIDTH},
			{0xfffffffff000, 0x1000, 8192, RW, IOMMU_WIDTH},
			{~0xfffull, 0x1000, 8192, RW, IOMMU_WIDTH},
			{0x5000, ~0xfffull, 8192, RW, IOMMU_WIDTH},
			{0x5000, 1ull << 46, 4096, RW, IOMMU_WIDTH},
			{0xfedff000, 0x1000, 8192, RW, IOMMU_RESERVED_RANGE},
			{0xfeeff000, 0x1000, 4096, RW, IOMMU_RESERVED_RANGE},
			{0x5000, 0xfee00000, 4096, RW, IOMMU_RESERVED_RANGE},
		};

		answers(iommu_map(domain, iommu_iova(row[n].iova),
				iommu_phys(row[n].phys), row[n].size,
				row[n].rights),
			row[n].status);
	}
	answers(iommu_map(identity, iommu_iova(0x5000), iommu_phys(0x1000),
			4096, RW),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_map(domain, iommu_iova(0x5000), iommu_phys(0x1000), 8192,
			RW),
		IOMMU_OK);
	answers(iommu_map(domain, iommu_iova(0x6000), iommu_phys(0x1000), 8192,
			RW),
		IOMMU_MAPPED);
	answers(iommu_iova_to_phys(domain, iommu_iova(0x7000), &phys),
		IOMMU_NOT_MAPPED);
	answers(iommu_iova_to_phys(domain, iommu_iova(0x6123), &phys),
		IOMMU_OK);
	assert_int_equal(phys.v, 0x2123);
	answers(iommu_iova_to_phys(domain, iommu_iova(0x6123), NULL),
		IOMMU_BAD_ARGUMENT);

	answers(iommu_unmap(identity, iommu_iova(0x5000), 4096, &batch, NULL),
		IOMMU_BAD_ARGUMENT);
	for (unsigned n = 0; n < 5; n++) {
		const uint64_t row[5][2] = {{0x5001, 4096}, {0x5000, 4095},
			{0x5000, 0}, {end, 4096}, {~0xfffull, 8192}};

		answers(iommu_unmap(domain, iommu_iova(row[n][0]), row[n][1],
				&batch, NULL),
			IOMMU_BAD_ARGUMENT);
		answers(iommu_unmap_now(
				domain, iommu_iova(row[n][0]), row[n][1]),
			IOMMU_BAD_ARGUMENT);
		answers(iommu_join(domain, iommu_iova(row[n][0]), row[n][1],
				&batch),
			IOMMU_BAD_ARGUMENT);
	}
	answers(iommu_join(identity, iommu_iova(0), 4096, &batch),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(batch.changes, 0);
	iommu_batch_init(&batch, identity);
	answers(iommu_unmap(domain, iommu_iova(0x5000), 4096, &batch, NULL),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_join(domain, iommu_iova(0x5000), 4096, &batch),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_unmap_now(domain, iommu_iova(0), end), IOMMU_OK);
	/* No change, or of nothing, is none; what wraps is cut at the end. */
	iommu_batch_init(&batch, domain);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0x5000), 0);
	iommu_batch_add(&batch, 0, iommu_iova(0x5000), 4096);
	assert_int_equal(batch.count, 0);
	assert_int_equal(batch.changes, 0);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(~0xfffull), 8192);
	assert_int_equal(batch.count, 1);
	assert_true(batch.range[0].last == ~0ull);
	answers(iommu_batch_flush(&batch), IOMMU_OK);
	answers(iommu_domain_destroy(domain), IOMMU_OK);
	rig_close(&r);
}

static void dma_spaces_are_checked(void **state)
{
	struct iommu_dma_config config = {.defer_count = 257};
	struct iommu_domain *domain;
	struct iommu_dma *dma = NULL;
	struct iommu_dma_range range;
	struct iommu_dma_piece piece;
	iommu_iova_t iova;
	unsigned count;
	void *virt;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	answers(iommu_dma_create(domain, &config, &dma), IOMMU_BAD_ARGUMENT);
	config.defer_count = 0;
	answers(iommu_dma_create(NULL, &config, &dma), IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_create(domain, NULL, &dma), IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_create(domain, &config, NULL), IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_destroy(NULL), IOMMU_OK);
	answers(iommu_dma_create(domain, &config, &dma), IOMMU_OK);
	for (unsigned n = 0; n < 6; n++) {
		static const struct {
			uint64_t phys;
			size_t size;
			unsigned direction;
		} row[] = {{0x1000, 0, RW}, {0x1000, ~(size_t)0, RW},
			{0x1000, 1 << 28, RW}, {0x1000, 64, 0}, {0x1000, 64, 4},
			{~0xfull, 64, RW}};
		enum iommu_direction way =
			(enum iommu_direction)row[n].direction;

		answers(iommu_dma_map(dma, iommu_phys(row[n].phys), row[n].size,
				~0ull, way, &iova),
			IOMMU_BAD_ARGUMENT);
		answers(iommu_dma_unmap(
				dma, iommu_iova(row[n].phys), row[n].size, way),
			IOMMU_BAD_ARGUMENT);
		piece = (struct iommu_dma_piece){
			iommu_phys(row[n].phys), row[n].size};
		answers(iommu_dma_map_list(
				dma, &piece, 1, ~0ull, way, &range, &count),
			IOMMU_BAD_ARGUMENT);
	}
	piece = (struct iommu_dma_piece){iommu_phys(0x1000), 4096};
	answers(iommu_dma_map_list(
			dma, &piece, 0, ~0ull, IOMMU_BOTH_WAYS, &range, &count),
		IOMMU_BAD_ARGUMENT);
	range = (struct iommu_dma_range){iommu_iova(0x5000), 4096};
	answers(iommu_dma_unmap_list(dma, &range, 0, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_unmap_list(dma, &range, 1, (enum iommu_direction)0),
		IOMMU_BAD_ARGUMENT);
	range.size = 1 << 28;
	answers(iommu_dma_unmap_list(dma, &range, 1, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	range = (struct iommu_dma_range){iommu_iova(~0xfffull), 1 << 20};
	answers(iommu_dma_unmap_list(dma, &range, 1, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_alloc(dma, 9, ~0ull, &virt, &iova),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_alloc(dma, 0, ~0ull, NULL, &iova),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_alloc(dma, 0, ~0ull, &virt, NULL),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_free(dma, 9, &count, iommu_iova(0x5000)),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_free(dma, 0, NULL, iommu_iova(0x5000)),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_reserve(dma, iommu_iova(0x5000), 0),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_reserve(dma, iommu_iova(~0xfffull), 8192),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_map(dma, iommu_phys(0x1000), 1, ~0ull,
			IOMMU_TO_DEVICE, &iova),
		IOMMU_OK);
	answers(iommu_dma_reserve(dma, iommu_iova(0x5000), 4096),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_unmap_later(dma, iova, 1, IOMMU_TO_DEVICE, dma),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_destroy(dma), IOMMU_IN_USE);
	answers(iommu_dma_unmap(dma, iova, 1, IOMMU_TO_DEVICE), IOMMU_OK);
	answers(iommu_dma_unmap(dma, iova, 1, IOMMU_TO_DEVICE),
		IOMMU_BAD_ARGUMENT);
	answers(iommu_dma_destroy(dma), IOMMU_OK);
	answers(iommu_domain_destroy(domain), IOMMU_OK);
	rig_close(&r);
}

static void statuses_have_sentences(void **state)
{
	(void)state;
	for (int n = 0; n < IOMMU_STATUS_COUNT; n++)
		for (int m = 0; m < n; m++)
			assert_string_not_equal(
				iommu_status_text((enum iommu_status)n),
				iommu_status_text((enum iommu_status)m));
	assert_string_equal(iommu_status_text(IOMMU_STATUS_COUNT),
		iommu_status_text((enum iommu_status) - 1));
	assert_true(*iommu_status_text((enum iommu_status)1000));
}

static void places_for_answers_are_needed(void **state)
{
	struct iommu_device_id id;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	rig_start_ok(&r);
	answers(iommu_acpi_device(r.iommu, "x", NULL), IOMMU_BAD_ARGUMENT);
	answers(iommu_acpi_device(r.iommu, NULL, &id), IOMMU_BAD_ARGUMENT);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hook_is_needed),
		cmocka_unit_test(options_have_ranges),
		cmocka_unit_test(life_has_an_order),
		cmocka_unit_test(life_does_not_nest),
		cmocka_unit_test(suspended_units_answer),
		cmocka_unit_test(suspended_units_keep_what_was_off),
		cmocka_unit_test(units_that_are_off_are_flushed),
		cmocka_unit_test(instance_waits_for_its_users),
		cmocka_unit_test(units_are_counted),
		cmocka_unit_test(domains_are_checked),
		cmocka_unit_test(devices_are_checked),
		cmocka_unit_test(maps_are_checked),
		cmocka_unit_test(dma_spaces_are_checked),
		cmocka_unit_test(statuses_have_sentences),
		cmocka_unit_test(places_for_answers_are_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
