/* SPDX-License-Identifier: MIT */
/*
 * Hosts that call with nonsense: they get a status, and nothing has changed.
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

static void every_hook_is_needed(void **state)
{
	struct iommu *iommu = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
#define WITHOUT(hook)                                                 \
	do {                                                          \
		struct iommu_host hooks = r.hooks;                    \
                                                                      \
		hooks.hook = NULL;                                    \
		rig_answers(iommu_create(&hooks, &r.options, &iommu), \
			IOMMU_BAD_ARGUMENT);                          \
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
	rig_answers(iommu_create(NULL, &r.options, &iommu), IOMMU_BAD_ARGUMENT);
	rig_answers(
		iommu_create(&r.hooks, &r.options, NULL), IOMMU_BAD_ARGUMENT);
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
	for (unsigned n = 0; n < 5; n++) {
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
		case 4:
			options.spare_tables = 65;
			break;
		}
		rig_answers(iommu_create(&r.hooks, &options, &iommu),
			IOMMU_BAD_ARGUMENT);
	}
	/* None at all are the defaults. */
	OK(iommu_create(&r.hooks, NULL, &iommu));
	OK(iommu_destroy(iommu));
	OK(iommu_destroy(NULL));
	model_host_check_leaks(&r.host);
	assert_int_equal(model_violation_count(r.m), 0);
	model_destroy(r.m);
}

static void domains_are_checked(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_SHARED};
	struct iommu_domain *domain = NULL;
	int owner;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	rig_answers(iommu_domain_create(r.iommu, NULL, &domain),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_domain_create(r.iommu, &config, NULL),
		IOMMU_BAD_ARGUMENT);
	/* A shared domain without a root, or with an odd one. */
	rig_answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.roots.levels4 = iommu_phys(0x1800);
	rig_answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.roots.levels4 = iommu_phys(0x1001);
	rig_answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.kind = (enum iommu_domain_kind)(IOMMU_DOMAIN_SHARED + 1);
	rig_answers(iommu_domain_create(r.iommu, &config, &domain),
		IOMMU_BAD_ARGUMENT);
	config.kind = IOMMU_DOMAIN_MAPPED;
	config.iova_bits = 20;
	rig_answers(
		iommu_domain_create(r.iommu, &config, &domain), IOMMU_WIDTH);
	config.iova_bits = 49;
	rig_answers(
		iommu_domain_create(r.iommu, &config, &domain), IOMMU_WIDTH);
	assert_null(domain);
	config.iova_bits = 21;
	config.owner = &owner;
	OK(iommu_domain_create(r.iommu, &config, &domain));
	assert_int_equal(iommu_domain_kind(domain), IOMMU_DOMAIN_MAPPED);
	assert_ptr_equal(iommu_domain_owner(domain), &owner);
	assert_int_equal(iommu_domain_devices(domain), 0);
	OK(iommu_map(
		domain, iommu_iova(0x1ff000), iommu_phys(0x100000), 4096, RW));
	rig_answers(iommu_map(domain, iommu_iova(0x200000),
			    iommu_phys(0x100000), 4096, RW),
		IOMMU_WIDTH);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_int_equal(iommu_domain_devices(domain), 1);
	assert_true(rig_can_write(&r, RIG_DEV, 0x1ff000));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	assert_int_equal(iommu_domain_devices(domain), 0);
	OK(iommu_domain_destroy(domain));
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
	rig_run(&r, "plain", MODEL_LAZY, 1);
	rig_run(&other, "plain", MODEL_LAZY, 1);
	domain = rig_mapped_domain(&r);
	foreign = rig_mapped_domain(&other);
	rig_answers(iommu_attach(r.iommu, rig_id(RIG_DEV), NULL),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_attach(r.iommu, rig_id(RIG_DEV), foreign),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_attach(r.iommu, rig_id(NOWHERE), domain),
		IOMMU_NO_DEVICE);
	rig_answers(iommu_detach(r.iommu, rig_id(NOWHERE)), IOMMU_NO_DEVICE);
	rig_answers(iommu_device_info(r.iommu, rig_id(NOWHERE), &info),
		IOMMU_NO_DEVICE);
	rig_answers(
		iommu_device_group(r.iommu, rig_id(NOWHERE), group, 2, &count),
		IOMMU_NO_DEVICE);
	rig_answers(iommu_device_duties(r.iommu, rig_id(NOWHERE), &duties),
		IOMMU_NO_DEVICE);
	rig_answers(iommu_device_revive(r.iommu, rig_id(NOWHERE)),
		IOMMU_WRONG_STATE);
	OK(iommu_device_removed(r.iommu, rig_id(NOWHERE)));

	rig_answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	OK(iommu_device_removed(r.iommu, rig_id(RIG_DEV)));
	rig_answers(iommu_device_revive(r.iommu, rig_id(RIG_DEV)),
		IOMMU_WRONG_STATE);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	rig_answers(iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_BUSY);
	rig_answers(iommu_attach(r.iommu, rig_id(RIG_DEV),
			    iommu_domain_identity(r.iommu)),
		IOMMU_BUSY);
	rig_answers(iommu_device_revive(r.iommu, rig_id(RIG_DEV)),
		IOMMU_WRONG_STATE);
	/* None of that took it away. */
	OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
	assert_ptr_equal(info.domain, domain);
	assert_int_equal(info.state, IOMMU_DEVICE_ATTACHED);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	rig_answers(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_NOT_ATTACHED);
	OK(iommu_domain_destroy(domain));
	OK(iommu_domain_destroy(foreign));
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
	rig_run(&r, "plain", MODEL_LAZY, 1);
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

		rig_answers(iommu_map(domain, iommu_iova(row[n].iova),
				    iommu_phys(row[n].phys), row[n].size,
				    row[n].rights),
			row[n].status);
	}
	rig_answers(iommu_map(identity, iommu_iova(0x5000), iommu_phys(0x1000),
			    4096, RW),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(0x1000), 8192, RW));
	rig_answers(iommu_map(domain, iommu_iova(0x6000), iommu_phys(0x1000),
			    8192, RW),
		IOMMU_MAPPED);
	rig_answers(iommu_iova_to_phys(domain, iommu_iova(0x7000), &phys),
		IOMMU_NOT_MAPPED);
	OK(iommu_iova_to_phys(domain, iommu_iova(0x6123), &phys));
	assert_int_equal(phys.v, 0x2123);
	rig_answers(iommu_iova_to_phys(domain, iommu_iova(0x6123), NULL),
		IOMMU_BAD_ARGUMENT);

	rig_answers(
		iommu_unmap(identity, iommu_iova(0x5000), 4096, &batch, NULL),
		IOMMU_BAD_ARGUMENT);
	for (unsigned n = 0; n < 5; n++) {
		const uint64_t row[5][2] = {{0x5001, 4096}, {0x5000, 4095},
			{0x5000, 0}, {end, 4096}, {~0xfffull, 8192}};

		rig_answers(iommu_unmap(domain, iommu_iova(row[n][0]),
				    row[n][1], &batch, NULL),
			IOMMU_BAD_ARGUMENT);
		rig_answers(iommu_unmap_now(
				    domain, iommu_iova(row[n][0]), row[n][1]),
			IOMMU_BAD_ARGUMENT);
		rig_answers(iommu_join(domain, iommu_iova(row[n][0]), row[n][1],
				    &batch),
			IOMMU_BAD_ARGUMENT);
	}
	rig_answers(iommu_join(identity, iommu_iova(0), 4096, &batch),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(batch.changes, 0);
	iommu_batch_init(&batch, identity);
	rig_answers(iommu_unmap(domain, iommu_iova(0x5000), 4096, &batch, NULL),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_join(domain, iommu_iova(0x5000), 4096, &batch),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_unmap_now(domain, iommu_iova(0), end));
	/* No change, or of nothing, is none; what wraps is cut at the end. */
	iommu_batch_init(&batch, domain);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(0x5000), 0);
	iommu_batch_add(&batch, 0, iommu_iova(0x5000), 4096);
	assert_int_equal(batch.count, 0);
	assert_int_equal(batch.changes, 0);
	iommu_batch_add(&batch, IOMMU_REMOVED, iommu_iova(~0xfffull), 8192);
	assert_int_equal(batch.count, 1);
	assert_true(batch.range[0].last == ~0ull);
	OK(iommu_batch_flush(&batch));
	OK(iommu_domain_destroy(domain));
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
	rig_run(&r, "plain", MODEL_LAZY, 1);
	domain = rig_mapped_domain(&r);
	rig_answers(
		iommu_dma_create(domain, &config, &dma), IOMMU_BAD_ARGUMENT);
	config.defer_count = 0;
	rig_answers(iommu_dma_create(NULL, &config, &dma), IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_create(domain, NULL, &dma), IOMMU_BAD_ARGUMENT);
	rig_answers(
		iommu_dma_create(domain, &config, NULL), IOMMU_BAD_ARGUMENT);
	OK(iommu_dma_destroy(NULL));
	OK(iommu_dma_create(domain, &config, &dma));
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

		rig_answers(iommu_dma_map(dma, iommu_phys(row[n].phys),
				    row[n].size, ~0ull, way, &iova),
			IOMMU_BAD_ARGUMENT);
		rig_answers(iommu_dma_unmap(dma, iommu_iova(row[n].phys),
				    row[n].size, way),
			IOMMU_BAD_ARGUMENT);
		piece = (struct iommu_dma_piece){
			iommu_phys(row[n].phys), row[n].size};
		rig_answers(iommu_dma_map_list(
				    dma, &piece, 1, ~0ull, way, &range, &count),
			IOMMU_BAD_ARGUMENT);
	}
	piece = (struct iommu_dma_piece){iommu_phys(0x1000), 4096};
	rig_answers(iommu_dma_map_list(dma, &piece, 0, ~0ull, IOMMU_BOTH_WAYS,
			    &range, &count),
		IOMMU_BAD_ARGUMENT);
	range = (struct iommu_dma_range){iommu_iova(0x5000), 4096};
	rig_answers(iommu_dma_unmap_list(dma, &range, 0, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	rig_answers(
		iommu_dma_unmap_list(dma, &range, 1, (enum iommu_direction)0),
		IOMMU_BAD_ARGUMENT);
	range.size = 1 << 28;
	rig_answers(iommu_dma_unmap_list(dma, &range, 1, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	range = (struct iommu_dma_range){iommu_iova(~0xfffull), 1 << 20};
	rig_answers(iommu_dma_unmap_list(dma, &range, 1, IOMMU_BOTH_WAYS),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_alloc(dma, 9, ~0ull, &virt, &iova),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_alloc(dma, 0, ~0ull, NULL, &iova),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_alloc(dma, 0, ~0ull, &virt, NULL),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_free(dma, 9, &count, iommu_iova(0x5000)),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_free(dma, 0, NULL, iommu_iova(0x5000)),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_reserve(dma, iommu_iova(0x5000), 0),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_reserve(dma, iommu_iova(~0xfffull), 8192),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_dma_map(
		dma, iommu_phys(0x1000), 1, ~0ull, IOMMU_TO_DEVICE, &iova));
	rig_answers(iommu_dma_reserve(dma, iommu_iova(0x5000), 4096),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_unmap_later(dma, iova, 1, IOMMU_TO_DEVICE, dma),
		IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_dma_destroy(dma), IOMMU_IN_USE);
	OK(iommu_dma_unmap(dma, iova, 1, IOMMU_TO_DEVICE));
	rig_answers(iommu_dma_unmap(dma, iova, 1, IOMMU_TO_DEVICE),
		IOMMU_BAD_ARGUMENT);
	OK(iommu_dma_destroy(dma));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

static void places_for_answers_are_needed(void **state)
{
	struct iommu_device_id id;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_BENIGN, 1);
	rig_answers(iommu_acpi_device(r.iommu, "x", NULL), IOMMU_BAD_ARGUMENT);
	rig_answers(iommu_acpi_device(r.iommu, NULL, &id), IOMMU_BAD_ARGUMENT);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hook_is_needed),
		cmocka_unit_test(options_have_ranges),
		cmocka_unit_test(domains_are_checked),
		cmocka_unit_test(devices_are_checked),
		cmocka_unit_test(maps_are_checked),
		cmocka_unit_test(dma_spaces_are_checked),
		cmocka_unit_test(places_for_answers_are_needed),
		cmocka_unit_test(statuses_have_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
