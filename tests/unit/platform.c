/* SPDX-License-Identifier: MIT */
/*
 * What firmware says about the platform, and what follows from it: its wishes,
 * memory next to units, devices known by their ACPI path, devices that need a
 * TLB or must not be snooped, I/O APICs that nobody names. And units that
 * contradict themselves or each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/rig.h"
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define ACPI_RID MODEL_BDF(0, 0x15, 1)
#define UNIT_BASE 0xfed90000ull

/* ---- more structures for the machine's own table ---- */

static void put(struct rig *r, unsigned width, uint64_t value)
{
	while (width--) {
		r->dmar[r->dmar_size++] = (uint8_t)value;
		value >>= 8;
	}
}

static void finish(struct rig *r, size_t record)
{
	uint8_t sum = 0;
	size_t n;

	if (record) {
		r->dmar[record + 2] = (uint8_t)(r->dmar_size - record);
		r->dmar[record + 3] = (uint8_t)((r->dmar_size - record) >> 8);
	}
	r->dmar[4] = (uint8_t)r->dmar_size;
	r->dmar[5] = (uint8_t)(r->dmar_size >> 8);
	r->dmar[9] = 0;
	for (n = 0; n < r->dmar_size; n++)
		sum = (uint8_t)(sum + r->dmar[n]);
	r->dmar[9] = (uint8_t)-sum;
}

static size_t record(struct rig *r, unsigned type)
{
	size_t at = r->dmar_size;

	put(r, 2, type);
	put(r, 2, 0);
	return at;
}

static void scope(
	struct rig *r, unsigned type, unsigned flags, unsigned id, uint16_t rid)
{
	put(r, 1, type);
	put(r, 1, 8);
	put(r, 1, flags);
	put(r, 1, 0);
	put(r, 1, id);
	put(r, 1, rid >> 8);
	put(r, 1, rid >> 3 & 31);
	put(r, 1, rid & 7);
}

/** SATC with flags of its own, or SIDP with flags of the scope. */
static void add_integrated(
	struct rig *r, unsigned type, unsigned flags, unsigned scope_flags)
{
	size_t at = record(r, type);

	put(r, 1, flags);
	put(r, 3, 0);
	scope(r, 1, scope_flags, 0, RIG_ATS);
	finish(r, at);
}

static void add_near(struct rig *r, uint64_t base, uint32_t node)
{
	size_t at = record(r, 3);

	put(r, 4, 0);
	put(r, 8, base);
	put(r, 4, node);
	finish(r, at);
}

static void add_name(struct rig *r, unsigned number, const char *name)
{
	size_t at = record(r, 4);

	put(r, 3, 0);
	put(r, 1, number);
	while (*name)
		put(r, 1, (uint8_t)*name++);
	put(r, 1, 0);
	finish(r, at);
}

/** The include-all unit again, as firmware does it that lists ACPI devices in a
 *  structure of their own: the first that names the device counts. */
static void add_acpi_scope(struct rig *r, unsigned number)
{
	size_t at = record(r, 0);

	put(r, 1, 0);
	put(r, 1, 0);
	put(r, 2, 0);
	put(r, 8, UNIT_BASE);
	scope(r, 5, 0, number, ACPI_RID);
	finish(r, at);
}

static void set_flags(struct rig *r, unsigned flags)
{
	r->dmar[37] = (uint8_t)flags;
	finish(r, 0);
}

/* ---- the platform ---- */

static void wishes_are_told(void **state)
{
	struct iommu_firmware firmware;
	struct iommu_unit_info info;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	set_flags(&r, 7);
	add_near(&r, 0xfed91000, 5);
	add_near(&r, UNIT_BASE, 3);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	assert_int_equal(iommu_firmware(r.iommu, &firmware), IOMMU_NO_TABLE);
	assert_int_equal(iommu_firmware(r.iommu, NULL), IOMMU_BAD_ARGUMENT);
	OK(iommu_discover(r.iommu, r.dmar, r.dmar_size));
	OK(iommu_firmware(r.iommu, &firmware));
	assert_int_equal(firmware.address_bits, 46);
	assert_true(firmware.interrupt_remapping);
	assert_true(firmware.x2apic_opt_out);
	assert_true(firmware.dma_opt_in);
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_true(info.has_node);
	assert_int_equal(info.node, 3);
	rig_close(&r);

	rig_open(&r, "plain", MODEL_LAZY, 1);
	set_flags(&r, 2);
	rig_start_ok(&r);
	OK(iommu_firmware(r.iommu, &firmware));
	/* The second flag means nothing without the first (8.1). */
	assert_false(firmware.x2apic_opt_out);
	assert_false(firmware.dma_opt_in);
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_false(info.has_node);
	rig_close(&r);
}

static enum iommu_status power_off(unsigned flags, enum iommu_choice choice)
{
	enum iommu_status status;
	struct rig r;

	rig_open(&r, "plain", MODEL_LAZY, 1);
	set_flags(&r, flags);
	r.options.stay_on = choice;
	rig_start_ok(&r);
	status = iommu_power(r.iommu, false);
	assert_int_equal(iommu_is_on(r.iommu), status == IOMMU_FORBIDDEN);
	rig_close(&r);
	return status;
}

static void protection_stays_on_where_it_must(void **state)
{
	(void)state;
	OK(power_off(1, IOMMU_AUTO));
	assert_int_equal(power_off(1, IOMMU_ON), IOMMU_FORBIDDEN);
	assert_int_equal(power_off(5, IOMMU_AUTO), IOMMU_FORBIDDEN);
	OK(power_off(5, IOMMU_OFF_ALWAYS));
}

/* ---- devices ---- */

static void acpi_device_by_its_name(void **state)
{
	static const char name[] = "\\_SB.PCI0.I2C1";
	struct iommu_device_info info;
	struct iommu_domain *domain;
	struct iommu_device_id id, group[4];
	unsigned count = 0;
	uint64_t frame;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	add_name(&r, 8, "\\_SB.PCI0.I2C10");
	add_name(&r, 9, name);
	add_acpi_scope(&r, 9);
	rig_start_ok(&r);
	assert_int_equal(iommu_acpi_device(r.iommu, "\\_SB.PCI0.I2C", &id),
		IOMMU_NO_DEVICE);
	assert_int_equal(iommu_acpi_device(r.iommu, "\\_SB.PCI0.I2C10", &id),
		IOMMU_NO_DEVICE);
	assert_int_equal(
		iommu_acpi_device(r.iommu, NULL, &id), IOMMU_BAD_ARGUMENT);
	OK(iommu_acpi_device(r.iommu, name, &id));
	assert_int_equal(id.requester, ACPI_RID);
	frame = rig_frame(&r, 9);
	domain = rig_mapped_domain(&r);
	OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(frame), 4096, RW));
	OK(iommu_attach(r.iommu, id, domain));
	assert_true(rig_can_write(&r, ACPI_RID, 0x5000));
	OK(iommu_device_info(r.iommu, id, &info));
	assert_int_equal(info.alias, ACPI_RID);
	OK(iommu_device_group(r.iommu, id, group, 4, &count));
	assert_int_equal(count, 1);
	OK(iommu_detach(r.iommu, id));
	assert_false(rig_can_write(&r, ACPI_RID, 0x5000));
	/* Its neighbour is neither there nor in ACPI. */
	assert_int_equal(iommu_attach(r.iommu, rig_id(ACPI_RID + 1), domain),
		IOMMU_NO_DEVICE);
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** A structure that names an ACPI device alone says nothing about others. */
static void acpi_scope_names_that_device_alone(void **state)
{
	struct iommu_device_info info;
	struct rig r;
	size_t at;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	at = record(&r, 1);
	put(&r, 4, 0);
	put(&r, 8, 0x40000000);
	put(&r, 8, 0x40000fff);
	scope(&r, 5, 0, 9, ACPI_RID);
	finish(&r, at);
	add_name(&r, 9, "\\_SB.PCI0.LPSS");
	add_acpi_scope(&r, 9);
	rig_start_ok(&r);
	OK(iommu_device_info(r.iommu, rig_id(ACPI_RID), &info));
	assert_true(info.reserved_memory);
	OK(iommu_device_info(r.iommu, rig_id(RIG_DEV), &info));
	assert_false(info.reserved_memory);
	rig_close(&r);
}

/** Whether the device's own TLB is on after an attach. */
static bool uses_tlb(enum iommu_choice ats, unsigned satc, int sidp,
	unsigned *out_properties)
{
	struct iommu_device_info info;
	struct iommu_domain *domain;
	struct rig r;

	rig_open(&r, "plain", MODEL_LAZY, 1);
	add_integrated(&r, 5, satc, 0);
	if (sidp >= 0)
		add_integrated(&r, 6, 0, (unsigned)sidp);
	r.options.ats = ats;
	rig_start_ok(&r);
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_ATS), domain));
	OK(iommu_device_info(r.iommu, rig_id(RIG_ATS), &info));
	if (out_properties)
		*out_properties = info.properties;
	assert_int_equal(info.tlb_on,
		model_pci_read(r.m, 0, 0, (uint8_t)RIG_ATS, 0x106, 2) >> 15);
	OK(iommu_detach(r.iommu, rig_id(RIG_ATS)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
	return info.tlb_on;
}

static void who_needs_a_tlb_gets_it(void **state)
{
	unsigned properties;

	(void)state;
	assert_false(uses_tlb(IOMMU_AUTO, 0, -1, &properties));
	assert_int_equal(properties, 0);
	assert_true(uses_tlb(IOMMU_AUTO, 1, -1, &properties));
	assert_int_equal(properties, IOMMU_NEEDS_TLB);
	assert_false(uses_tlb(IOMMU_OFF_ALWAYS, 1, -1, NULL));
	assert_true(uses_tlb(IOMMU_ON, 0, -1, NULL));
	/* The newer structure counts, whatever the older one says. */
	assert_false(uses_tlb(IOMMU_AUTO, 1, 1 << 3, &properties));
	assert_int_equal(properties, IOMMU_HARDENED_TLB);
	assert_true(uses_tlb(IOMMU_AUTO, 0, 1 << 4, &properties));
	assert_int_equal(properties, IOMMU_NEEDS_TLB);
}

static void who_must_not_be_snooped_is_not(void **state)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_MAPPED, .no_snoop_control = true};
	struct iommu_domain *snooped, *plain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	add_integrated(&r, 6, 0, 1 << 2);
	rig_start_ok(&r);
	snooped = rig_mapped_domain(&r);
	OK(iommu_domain_create(r.iommu, &config, &plain));
	assert_int_equal(
		iommu_attach(r.iommu, rig_id(RIG_ATS), snooped), IOMMU_FORMAT);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), snooped));
	OK(iommu_attach(r.iommu, rig_id(RIG_ATS), plain));
	OK(iommu_detach(r.iommu, rig_id(RIG_ATS)));
	OK(iommu_attach(
		r.iommu, rig_id(RIG_ATS), iommu_domain_identity(r.iommu)));
	OK(iommu_detach(r.iommu, rig_id(RIG_ATS)));
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(snooped));
	OK(iommu_domain_destroy(plain));
	rig_close(&r);
}

/* ---- interrupts ---- */

static bool remaps(struct rig *r)
{
	struct iommu_unit_info info;

	rig_start_ok(r);
	OK(iommu_unit_info(r->iommu, 0, &info));
	rig_close(r);
	return info.interrupt_remapping;
}

static void unnamed_ioapic_keeps_remapping_off(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.ioapics[0] = 1u << 2;
	assert_true(remaps(&r));
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.ioapics[0] = 1u << 2;
	r.options.ioapics[3] = 1ull << 63;
	assert_false(remaps(&r));
	assert_non_null(strstr(r.host.last_line, "I/O APIC 255"));
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.ioapics[0] = 1u << 3;
	r.options.interrupt_remapping = IOMMU_ON;
	assert_true(remaps(&r));
}

static void x2apic_as_unit_and_host_have_it(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "no-eim", MODEL_LAZY, 1);
	r.options.x2apic = IOMMU_ON;
	assert_false(remaps(&r));
	rig_open(&r, "x2apic-only", MODEL_LAZY, 1);
	r.options.x2apic = IOMMU_OFF_ALWAYS;
	assert_false(remaps(&r));
	rig_open(&r, "x2apic-only", MODEL_LAZY, 1);
	assert_true(remaps(&r));
	/* Without the platform's flag a unit that blocks plain messages is
	 * remapped all the same. */
	rig_open(&r, "x2apic-only", MODEL_LAZY, 1);
	set_flags(&r, 0);
	assert_true(remaps(&r));
	rig_open(&r, "plain", MODEL_LAZY, 1);
	set_flags(&r, 0);
	assert_false(remaps(&r));
}

/** A unit that only knows 32-bit ids delivers. */
static void x2apic_only_unit_delivers(void **state)
{
	struct iommu_irq_target target = {.destination = 0x12345, .vector = 99};
	struct iommu_msi_message message;
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	rig_open(&r, "x2apic-only", MODEL_LAZY, 1);
	assert_false(model_msi(r.m, 0, RIG_DEV, 0xfee00000, 0x41));
	assert_int_equal(model_last_fault(r.m), 0x2b);
	rig_start_ok(&r);
	OK(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 1, &irq));
	OK(iommu_irq_set(r.iommu, &irq, 0, &target));
	OK(iommu_irq_message(r.iommu, &irq, 0, &message));
	assert_true(model_msi(r.m, 0, RIG_DEV, message.address, message.data));
	assert_int_equal(r.host.last_interrupt.destination, 0x12345);
	OK(iommu_irq_free(r.iommu, &irq));
	rig_close(&r);
}

/* ---- units that contradict themselves, and each other ---- */

static uint64_t (*plain_read)(void *, void *, uint32_t, unsigned);
static uint64_t cap_flip, ecap_flip;

static uint64_t read_flipped(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = plain_read(ctx, regs, offset, width);

	if (offset == 8)
		return value ^ cap_flip;
	return offset == 0x10 ? value ^ ecap_flip : value;
}

static void contradicts(uint64_t cap, uint64_t ecap, const char *text)
{
	struct rig r;

	rig_open(&r, "plain", MODEL_LAZY, 1);
	plain_read = r.hooks.reg_read;
	r.hooks.reg_read = read_flipped;
	cap_flip = cap;
	ecap_flip = ecap;
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	OK(iommu_discover(r.iommu, r.dmar, r.dmar_size));
	words_start();
	iommu_report_warnings(r.iommu, words_sink, NULL);
	if (text)
		words_have(text);
	else
		words_have_not("unit");
	rig_close(&r);
}

/** Asks for ids that it does not take: remapping stays off (11.4.3). */
static void x2apic_only_unit_without_x2apic(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "x2apic-only", MODEL_LAZY, 1);
	plain_read = r.hooks.reg_read;
	r.hooks.reg_read = read_flipped;
	cap_flip = 0;
	ecap_flip = 1u << 4;
	assert_false(remaps(&r));
}

static void contradictions_are_named(void **state)
{
	(void)state;
	contradicts(0, 0, NULL);
	contradicts(0, 2, "unit at 0xfed90000: interrupt remapping without");
	contradicts(0, 2, "unit at 0xfed90000: device TLBs without a queue");
	contradicts(0, 8, "x2APIC mode without interrupt remapping");
	contradicts(0, 1ull << 40, "process ids without scalable mode");
	contradicts(1ull << 34, 0, "an impossible set of page sizes");
	contradicts(1ull << 8, 0, "a table depth that does not exist");
	contradicts(0x32ull << 24, 0, "fault records and IOTLB registers");
	contradicts(0x20ull << 24, 0, "fault records on other registers");
	contradicts(0, 0x12ull << 8, "IOTLB registers on other");
	contradicts(32ull << 16, 0, "fewer address bits than memory has");
}

static void differences_are_named(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open_two(&r, "no-ir", "non-coherent", MODEL_LAZY);
	rig_start_ok(&r);
	words_start();
	iommu_report_warnings(r.iommu, words_sink, NULL);
	words_have("units differ: interrupt remapping\n");
	words_have("units differ: coherency\n");
	words_have_not("units differ: page sizes");
	/* A domain on both has the duties of both. */
	domain = rig_mapped_domain(&r);
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_int_equal(iommu_domain_duties(domain), 0);
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain));
	assert_int_equal(iommu_domain_duties(domain), IOMMU_DUTY_WRITE_BACK);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** A command that drops another bit on its way is noticed. */
static uint64_t read_dropped(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = plain_read(ctx, regs, offset, width);

	/* The queue goes off when translation comes on. */
	if (offset == 0x1c && value >> 31 & 1)
		value &= ~(1ull << 26);
	return value;
}

static void command_that_does_more_is_noticed(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	plain_read = r.hooks.reg_read;
	r.hooks.reg_read = read_dropped;
	assert_int_equal(rig_start(&r), IOMMU_UNIT_LOST);
	assert_non_null(strstr(iommu_reason(r.iommu),
		"a global command changed more than was asked"));
	rig_close_anyhow(&r);
}

/* ---- units that come later ---- */

static void open_without_second(
	struct rig *r, const char *second, uint8_t *structure, size_t *size)
{
	rig_open_two(r, "plain", second, MODEL_LAZY);
	*size = rig_take_unit_out(r, structure);
	rig_start_ok(r);
	assert_int_equal(iommu_unit_count(r->iommu), 1);
}

static void unit_comes_later(void **state)
{
	struct iommu_domain *domain;
	struct iommu_unit_info info;
	uint8_t structure[256];
	uint64_t frame;
	struct rig r;
	size_t size;

	(void)state;
	open_without_second(&r, "caching", structure, &size);
	frame = rig_frame(&r, 9);
	domain = rig_mapped_domain(&r);
	OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(frame), 4096, RW));
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	assert_int_equal(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain),
		IOMMU_UNCOVERED);
	assert_true(rig_can_write(&r, RIG_OTHER, frame));
	OK(iommu_units_add(r.iommu, structure, size));
	assert_int_equal(iommu_unit_count(r.iommu), 2);
	OK(iommu_unit_info(r.iommu, 1, &info));
	assert_int_equal(info.state, IOMMU_UNIT_ON);
	assert_false(rig_can_write(&r, RIG_OTHER, frame));
	OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), domain));
	assert_true(rig_can_write(&r, RIG_OTHER, 0x5000));
	assert_true(rig_can_write(&r, RIG_DEV, 0x5000));
	/* One unmap reaches both. */
	OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
	assert_false(rig_can_write(&r, RIG_OTHER, 0x5000));
	assert_false(rig_can_write(&r, RIG_DEV, 0x5000));
	/* The same again is nothing new. */
	OK(iommu_units_add(r.iommu, structure, size));
	assert_int_equal(iommu_unit_count(r.iommu), 2);
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** Tables made when nobody needed write-back are not for a unit that does. */
static void unit_that_has_less_comes_later(void **state)
{
	static const char *const kinds[] = {
		"non-coherent", "small-pages", "no-snoop-control", "39-bit"};
	unsigned n;

	(void)state;
	for (n = 0; n < 4; n++) {
		struct iommu_domain *before, *after;
		uint8_t structure[256];
		struct rig r;
		size_t size;

		open_without_second(&r, kinds[n], structure, &size);
		before = rig_mapped_domain(&r);
		OK(iommu_units_add(r.iommu, structure, size));
		after = rig_mapped_domain(&r);
		assert_int_equal(
			iommu_attach(r.iommu, rig_id(RIG_OTHER), before),
			IOMMU_WIDTH);
		OK(iommu_attach(r.iommu, rig_id(RIG_DEV), before));
		OK(iommu_attach(r.iommu, rig_id(RIG_OTHER), after));
		OK(iommu_detach(r.iommu, rig_id(RIG_OTHER)));
		OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
		OK(iommu_domain_destroy(before));
		OK(iommu_domain_destroy(after));
		rig_close(&r);
	}
}

static void structures_that_come_are_checked(void **state)
{
	static uint8_t much[2 * 4096];
	uint8_t structure[256], copy[256];
	struct rig r;
	size_t size, n;

	(void)state;
	open_without_second(&r, "plain", structure, &size);
	assert_int_equal(
		iommu_units_add(r.iommu, NULL, size), IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_units_add(r.iommu, structure, 0), IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_units_add(r.iommu, much, sizeof(much)), IOMMU_NO_MEMORY);
	for (n = 1; n < size; n++)
		assert_int_equal(iommu_units_add(r.iommu, structure, n),
			IOMMU_BAD_TABLE);
	memcpy(copy, structure, size);
	memset(copy + 8, 0, 8);
	assert_int_equal(iommu_units_add(r.iommu, copy, size), IOMMU_BAD_TABLE);
	assert_int_equal(iommu_unit_count(r.iommu), 1);
	OK(iommu_suspend(r.iommu));
	assert_int_equal(
		iommu_units_add(r.iommu, structure, size), IOMMU_WRONG_STATE);
	OK(iommu_resume(r.iommu));
	OK(iommu_power(r.iommu, false));
	OK(iommu_units_add(r.iommu, structure, size));
	assert_true(rig_can_write(&r, RIG_OTHER, 0x100000));
	OK(iommu_power(r.iommu, true));
	assert_false(rig_can_write(&r, RIG_OTHER, 0x100000));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wishes_are_told),
		cmocka_unit_test(protection_stays_on_where_it_must),
		cmocka_unit_test(acpi_device_by_its_name),
		cmocka_unit_test(acpi_scope_names_that_device_alone),
		cmocka_unit_test(who_needs_a_tlb_gets_it),
		cmocka_unit_test(who_must_not_be_snooped_is_not),
		cmocka_unit_test(unnamed_ioapic_keeps_remapping_off),
		cmocka_unit_test(x2apic_as_unit_and_host_have_it),
		cmocka_unit_test(x2apic_only_unit_delivers),
		cmocka_unit_test(x2apic_only_unit_without_x2apic),
		cmocka_unit_test(contradictions_are_named),
		cmocka_unit_test(differences_are_named),
		cmocka_unit_test(command_that_does_more_is_noticed),
		cmocka_unit_test(unit_comes_later),
		cmocka_unit_test(unit_that_has_less_comes_later),
		cmocka_unit_test(structures_that_come_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
