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
#include <iommu/dma.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

static uint32_t bridge, revision, graphics_control;
/** A device with ids of another, 0: none. */
static uint32_t odd_id;
static uint8_t odd_devfn;
/** Whether function 1 of that device is there as well. */
static bool odd_twin;
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
	if (!segment && !bus && !devfn && offset == 0x52)
		return graphics_control;
	if (odd_id && !segment && !bus && devfn == odd_devfn && offset == 0)
		return width == 4 ? odd_id : odd_id & 0xffff;
	if (odd_twin && !segment && !bus && devfn == (odd_devfn | 1) &&
		offset == 0)
		return width == 4 ? odd_id : odd_id & 0xffff;
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
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_int_equal(iommu_domain_duties(domain) & IOMMU_DUTY_FLUSH_PRESENT,
		IOMMU_DUTY_FLUSH_PRESENT);
	OK(iommu_map(
		domain, iommu_iova(0x5000), iommu_phys(0x100000), 4096, RW));
	assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
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
	OK(iommu_unit_info(r.iommu, 0, &info));
	if (off)
		assert_non_null(strstr(quirks(&r), "switched off: "));
	rig_close(&r);
	return info.interrupt_remapping;
}

static void lost_interrupts_keep_remapping_off(void **state)
{
	(void)state;
	assert_true(remapped_on(0x12348086, 0x13, 0));
	for (uint32_t id = 0x3402; id < 0x3408; id++) {
		bool odd = id == 0x3403 || id == 0x3405 || id == 0x3406;

		assert_int_equal(remapped_on(id << 16 | 0x8086, 0x13, 0), !odd);
		assert_true(remapped_on(id << 16 | 0x8086, 0x14, 0));
		assert_int_equal(
			remapped_on(id << 16 | 0x8086, 0x22, 0), id != 0x3405);
		assert_true(remapped_on(id << 16 | 0x8087, 0x13, 0));
	}
	assert_true(remapped_on(0x34058086, 0x23, 0));
	assert_true(remapped_on(0x34038086, 0x13, IOMMU_QUIRK_X58_INTREMAP));
}

/** Whether a device still reaches a buffer whose unmap may be deferred. */
static bool lingers(uint32_t id, uint32_t control, uint32_t off)
{
	struct iommu_dma_config config = {.deferred = true};
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	iommu_iova_t iova;
	bool still;
	struct rig r;

	open_on(&r, "plain", id);
	graphics_control = control;
	r.options.quirks_off = off;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	OK(iommu_dma_create(domain, &config, &dma));
	OK(iommu_dma_map(dma, iommu_phys(0x100000), 4096, ~0ull,
		IOMMU_BOTH_WAYS, &iova));
	assert_true(rig_can_write(&r, RIG_DEV, iova.v));
	OK(iommu_dma_unmap(dma, iova, 4096, IOMMU_BOTH_WAYS));
	still = rig_can_write(&r, RIG_DEV, iova.v);
	OK(iommu_dma_destroy(dma));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
	graphics_control = 0;
	return still;
}

static void graphics_that_must_idle_is_flushed_at_once(void **state)
{
	(void)state;
	assert_true(lingers(0x12348086, 0x800, 0));
	assert_false(lingers(0x00408086, 0x800, 0));
	assert_true(lingers(0x00408086, 0, 0));
	assert_true(lingers(0x00408086, 0x800, IOMMU_QUIRK_STRICT));
}

/** Flushes that forget 1024 pages. */
static uint64_t large_flushes(uint32_t id, uint32_t off)
{
	struct iommu_stats before, after;
	struct iommu_domain *domain;
	struct rig r;

	open_on(&r, "plain", id);
	r.options.quirks_off = off;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	OK(iommu_unit_stats(r.iommu, 0, &before));
	OK(iommu_flush(domain, IOMMU_REMOVED, iommu_iova(0), 1024 * 4096));
	OK(iommu_unit_stats(r.iommu, 0, &after));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
	return after.page_flushes - before.page_flushes;
}

static void large_flushes_become_small(void **state)
{
	(void)state;
	assert_int_equal(large_flushes(0x12348086, 0), 1);
	assert_int_equal(large_flushes(0x3c008086, 0), 2);
	assert_int_equal(
		large_flushes(0x3c008086, IOMMU_QUIRK_SMALL_FLUSHES), 1);
}

/* ---- devices ---- */

/** Flushes of the device's own TLB that an unmap and a detach take. */
static void count_flushes(
	uint32_t off, uint64_t *out_unmap, uint64_t *out_detach)
{
	struct model_counters before, between, after;
	struct iommu_domain *domain;
	struct rig r;

	odd_id = 0x49408086;
	odd_devfn = (uint8_t)RIG_ATS;
	open_on(&r, "plain", 0x12348086);
	r.options.ats = IOMMU_ON;
	r.options.quirks_off = off;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_ATS), domain));
	OK(iommu_map(
		domain, iommu_iova(0x5000), iommu_phys(0x100000), 4096, RW));
	assert_true(model_ats_request(r.m, 0, RIG_ATS, 0x5000, true));
	model_counters(r.m, &before);
	OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
	model_counters(r.m, &between);
	OK(iommu_detach(r.iommu, rig_id(RIG_ATS)));
	model_counters(r.m, &after);
	*out_unmap = between.device_flushes - before.device_flushes;
	*out_detach = after.device_flushes - between.device_flushes;
	assert_int_equal(
		!!strstr(quirks(&r), "in effect: device that lets"), !off);
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
	odd_id = 0;
}

static void late_writer_is_flushed_twice(void **state)
{
	uint64_t unmap, detach;

	(void)state;
	count_flushes(0, &unmap, &detach);
	assert_int_equal(unmap, 2);
	assert_int_equal(detach, 2);
	count_flushes(IOMMU_QUIRK_TLB_TWICE, &unmap, &detach);
	assert_int_equal(unmap, 1);
	assert_int_equal(detach, 1);
}

static bool second_id_passes(uint32_t id, uint32_t off)
{
	const uint16_t second = RIG_DEV + 1;
	struct iommu_domain *domain;
	bool passes;
	struct rig r;

	odd_id = id;
	odd_devfn = (uint8_t)RIG_DEV;
	open_on(&r, "plain", 0x12348086);
	r.options.quirks_off = off;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_map(
		domain, iommu_iova(0x5000), iommu_phys(0x100000), 4096, RW));
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
	passes = rig_can_write(&r, second, 0x5000);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	assert_false(rig_can_write(&r, second, 0x5000));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
	odd_id = 0;
	return passes;
}

static void second_id_is_attached(void **state)
{
	static const uint32_t ids[] = {0x91201b4b, 0x91231b4b, 0x91251b4b,
		0x91281b4b, 0x91301b4b, 0x91721b4b, 0x917a1b4b, 0x91821b4b,
		0x91831b4b, 0x91a01b4b, 0x92151b4b, 0x92201b4b, 0x92301b4b,
		0x92351b4b, 0x06421103, 0x06451103};

	(void)state;
	for (unsigned n = 0; n < sizeof(ids) / sizeof(*ids); n++)
		assert_true(second_id_passes(ids[n], 0));
	assert_false(second_id_passes(0x92311b4b, 0));
	/* It is a function's own, if there is one. */
	odd_twin = true;
	assert_false(second_id_passes(0x92301b4b, 0));
	odd_twin = false;
	assert_false(second_id_passes(0x92301b4b, IOMMU_QUIRK_SECOND_ID));
}

/** Which of the quirks take effect, a bit for each line of the report. */
static unsigned effects(struct rig *r, uint32_t id, uint32_t control)
{
	unsigned found = 0, line = 0;
	const char *at;

	bridge = id;
	graphics_control = control;
	OK(iommu_create(&r->hooks, &r->options, &r->iommu));
	OK(iommu_discover(r->iommu, r->dmar, r->dmar_size));
	for (at = quirks(r); *at; at = strchr(at, '\n') + 1, line++)
		found |= (unsigned)!strncmp(at, "in effect", 9) << line;
	OK(iommu_destroy(r->iommu));
	graphics_control = 0;
	return found;
}

/** The chipsets that are named, and not their neighbours. */
static void chipsets_are_told_apart(void **state)
{
	enum {
		BUFFER = 1 << 0,
		SHADOW = 1 << 1,
		GRAPHICS = 1 << 5,
		IDLE = 1 << 6,
		ON = 1 << 7,
		SMALL = 1 << 9,
	};
	static const struct {
		uint16_t id;
		unsigned without, with; /* a shadow table */
	} row[] = {
		{0x2a40, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x2e00, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x2e10, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x2e20, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x2e30, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x2e40, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x2e90, BUFFER | GRAPHICS, BUFFER | GRAPHICS},
		{0x0040, SHADOW, IDLE},
		{0x0044, SHADOW | GRAPHICS, IDLE | GRAPHICS},
		{0x0062, SHADOW, IDLE},
		{0x006a, SHADOW, IDLE},
		{0x3c00, SMALL, SMALL},
	};
	static const uint8_t families[] = {
		0x45, 0x46, 0x4c, 0x4e, 0x7d, 0x8a, 0x98, 0x9a, 0xa7};
	struct rig r;

	(void)state;
	open_on(&r, "plain", 0);
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		uint32_t id = (uint32_t)row[n].id << 16 | 0x8086;

		assert_int_equal(effects(&r, id, 0x7ff), row[n].without);
		assert_int_equal(effects(&r, id, 0x800), row[n].with);
		assert_int_equal(effects(&r, id + 0x10000, 0), 0);
		assert_int_equal(effects(&r, id - 0x10000, 0), 0);
		assert_int_equal(effects(&r, id + 1, 0), 0);
	}
	odd_devfn = MODEL_BDF(0, 2, 0);
	for (unsigned family = 0; family < 256; family++) {
		odd_id = (uint32_t)family << 24 | 0x138086;
		assert_int_equal(effects(&r, 0x12348086, 0),
			memchr(families, (int)family, sizeof(families)) ? ON
									: 0);
	}
	/* 1602 to 163e. */
	for (unsigned id = 0; id < 256; id++) {
		bool odd = id < 0x40 &&
			strchr("26abde", "0123456789abcdef"[id % 16]);

		odd_id = 0x16008086 | id << 16;
		assert_int_equal(
			effects(&r, 0x12348086, 0), odd ? GRAPHICS : 0);
	}
	odd_id = 0;
	model_destroy(r.m);
}

/** All of them, each to its end. */
static void report_has_a_line_for_each(void **state)
{
	unsigned lines = 0;
	struct rig r;

	(void)state;
	open_on(&r, "plain", 0x12348086);
	rig_start_ok(&r);
	for (const char *at = quirks(&r); (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 10);
	assert_int_equal(text[strlen(text) - 1], '\n');
	for (const char *at = text; (at = strstr(at, "not found: ")); at++)
		lines--;
	assert_int_equal(lines, 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hidden_write_buffer_is_flushed),
		cmocka_unit_test(lost_interrupts_keep_remapping_off),
		cmocka_unit_test(graphics_that_must_idle_is_flushed_at_once),
		cmocka_unit_test(large_flushes_become_small),
		cmocka_unit_test(late_writer_is_flushed_twice),
		cmocka_unit_test(second_id_is_attached),
		cmocka_unit_test(chipsets_are_told_apart),
		cmocka_unit_test(report_has_a_line_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
