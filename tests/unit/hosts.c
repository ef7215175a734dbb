/* SPDX-License-Identifier: MIT */
/*
 * Hosts whose hooks do not quite what host.h says: the library finds out before
 * the hardware does, or copes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"

/** The hooks that work, and what is wrong with those in front of them. */
static struct iommu_host sound;
static bool crooked, forgetful;
static char said[200];
static iommu_phys_t given_back; /* last */

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	char *pages;

	if (!crooked || !order)
		return sound.page_alloc(ctx, order, out_phys);
	pages = sound.page_alloc(ctx, order + 1, out_phys);
	out_phys->v += 4096;
	return pages + 4096;
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	given_back = phys;
	if (order && phys.v & 4096)
		sound.page_free(ctx, (char *)page - 4096,
			iommu_phys(phys.v - 4096), order + 1);
	else
		sound.page_free(ctx, page, phys, order);
}

static void *phys_to_virt(void *ctx, iommu_phys_t phys)
{
	return forgetful ? NULL : sound.phys_to_virt(ctx, phys);
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	uint32_t value =
		sound.pci_read(ctx, segment, bus, devfn, offset, width);

	return value | (width < 4 ? ~0u << (8 * width) : 0);
}

static void log_line(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	if (level == IOMMU_LOG_ERROR)
		strncpy(said, line, sizeof(said) - 1);
}

static void open_host(struct rig *r)
{
	rig_open(r, "plain", MODEL_LAZY, 1);
	crooked = forgetful = false;
	memset(said, 0, sizeof(said));
	sound = r->hooks;
	r->hooks.direct_map = NULL;
	r->hooks.page_alloc = page_alloc;
	r->hooks.page_free = page_free;
	r->hooks.phys_to_virt = phys_to_virt;
	r->hooks.pci_read = pci_read;
	r->hooks.log = log_line;
}

/** A host that misbehaves while it is asked for memory. */
static void is_found_out(bool *misbehaves, const char *words)
{
	char address[32];
	struct rig r;

	open_host(&r);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	*misbehaves = true;
	assert_int_equal(
		iommu_discover(r.iommu, r.dmar, r.dmar_size), IOMMU_NO_MEMORY);
	*misbehaves = false;
	assert_non_null(strstr(said, words));
	snprintf(address, sizeof(address), " 0x%llx,",
		(unsigned long long)given_back.v);
	assert_non_null(strstr(said, address));
	OK(iommu_discover(r.iommu, r.dmar, r.dmar_size));
	*misbehaves = true;
	assert_int_equal(iommu_start(r.iommu), IOMMU_NO_MEMORY);
	*misbehaves = false;
	OK(iommu_start(r.iommu));
	rig_close(&r);
}

static void memory_that_is_not_aligned_is_not_used(void **state)
{
	(void)state;
	is_found_out(&crooked, "not aligned");
}

static void memory_that_cannot_be_reached_is_not_used(void **state)
{
	struct rig r;

	(void)state;
	is_found_out(&forgetful, "unknown to phys_to_virt");
	open_host(&r);
	forgetful = true;
	assert_int_equal(iommu_create(&r.hooks, &r.options, &r.iommu),
		IOMMU_BAD_ARGUMENT);
	assert_int_equal(model_host_check_leaks(&r.host), 0);
	model_destroy(r.m);
}

static void ones_beyond_the_width_do_not_count(void **state)
{
	struct iommu_device_info info;
	struct rig r;

	(void)state;
	open_host(&r);
	rig_start_ok(&r);
	assert_int_equal(iommu_device_info(r.iommu, rig_id(0x3f00), &info),
		IOMMU_NO_DEVICE);
	OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_not_aligned_is_not_used),
		cmocka_unit_test(memory_that_cannot_be_reached_is_not_used),
		cmocka_unit_test(ones_beyond_the_width_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
