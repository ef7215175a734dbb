/* SPDX-License-Identifier: MIT */
/*
 * Quirks take effect on the chipsets they are for, and can be switched off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static uint32_t bridge, revision;
static uint32_t (*plain_read)(
	void *, uint16_t, uint8_t, uint8_t, uint16_t, unsigned);

/** The machine's configuration space, with another host bridge. */
static uint32_t read_config(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	if (!segment && !bus && !devfn && offset == 0)
		return width == 4 ? bridge : bridge & 0xffff;
	if (!segment && !bus && !devfn && offset == 8)
		return revision;
	return plain_read(ctx, segment, bus, devfn, offset, width);
}

static void open_on(struct rig *r, const char *kind, uint32_t id)
{
	rig_open(r, kind, MODEL_LAZY, 1);
	plain_read = r->hooks.pci_read;
	r->hooks.pci_read = read_config;
	bridge = id;
}

static char text[4096];

static void collect(void *arg, const char *piece, size_t length)
{
	(void)arg;
	strncat(text, piece, length);
}

static const char *quirks(struct rig *r)
{
	text[0] = '\0';
	iommu_report_quirks(r->iommu, collect, NULL);
	return text;
}

static void hidden_write_buffer_is_flushed(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	open_on(&r, "mobile-4", 0x2a408086);
	rig_start_ok(&r);
	assert_non_null(strstr(quirks(&r), "in effect: chipset that does not"));
	domain = rig_mapped_domain(&r);
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(RIG_DEV), domain), IOMMU_OK);
	assert_int_equal(iommu_domain_duties(domain) & IOMMU_DUTY_FLUSH_PRESENT,
		IOMMU_DUTY_FLUSH_PRESENT);
	assert_int_equal(iommu_map(domain, iommu_iova(0x5000),
				 iommu_phys(0x100000), 4096, RW),
		IOMMU_OK);
	assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
	assert_int_equal(iommu_detach(r.iommu, rig_id(RIG_DEV)), IOMMU_OK);
	assert_int_equal(iommu_domain_destroy(domain), IOMMU_OK);
	rig_close(&r);
}

static bool remapped_on(uint32_t id, uint32_t rev, uint32_t off)
{
	struct iommu_unit_info info;
	struct rig r;

	open_on(&r, "plain", id);
	revision = rev;
	r.options.quirks_off = off;
	rig_start_ok(&r);
	assert_int_equal(iommu_unit_info(r.iommu, 0, &info), IOMMU_OK);
	if (off)
		assert_non_null(strstr(quirks(&r), "switched off: "));
	rig_close(&r);
	return info.interrupt_remapping;
}

static void lost_interrupts_keep_remapping_off(void **state)
{
	(void)state;
	assert_true(remapped_on(0x12348086, 0x13, 0));
	assert_false(remapped_on(0x34038086, 0x13, 0));
	assert_true(remapped_on(0x34038086, 0x22, 0));
	assert_false(remapped_on(0x34058086, 0x22, 0));
	assert_true(remapped_on(0x34038086, 0x13, IOMMU_QUIRK_X58_INTREMAP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hidden_write_buffer_is_flushed),
		cmocka_unit_test(lost_interrupts_keep_remapping_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
