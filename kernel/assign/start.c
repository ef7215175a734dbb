/* SPDX-License-Identifier: MIT */
/*
 * The I/O MMU comes up, before any process or driver runs, and goes off and on
 * again. Every device starts without access. What a machine without an I/O MMU,
 * or one that does not come up, means is said once and kept for whoever asks.
 */
#include "assign/assign.h"
#include "assign/assignment.h"
#include "acpi/acpi.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "mem/table.h"

static const char *absent_reason = "the I/O MMU was not started";

const char *assign_absent_reason(void)
{
	return absent_reason;
}

/* The IOAPIC's pins get entries of their own, accepted only from it. */
static bool remap_pin(unsigned ioapic_id, unsigned pin, int vector,
	uint32_t apic_id, bool level, bool active_low, uint64_t *out_entry)
{
	struct iommu_irq_target target = {.destination = apic_id,
		.vector = (uint8_t)vector,
		.level = level};
	struct iommu_irq irq;

	(void)pin;
	return iommu_irq_alloc_ioapic(host_iommu, ioapic_id, 1, &irq) ==
		IOMMU_OK &&
		iommu_irq_set(host_iommu, &irq, 0, &target) == IOMMU_OK &&
		iommu_irq_ioapic_entry(host_iommu, &irq, 0, (uint8_t)vector,
			level, active_low, out_entry) == IOMMU_OK;
}

bool assign_remaps_interrupts(void)
{
	struct iommu_unit_info info;

	for (unsigned i = 0; i < iommu_unit_count(host_iommu); i++)
		if (iommu_unit_info(host_iommu, i, &info) == IOMMU_OK &&
			info.interrupt_remapping)
			return true;
	return false;
}

/* Processes stay below what the narrowest unit translates, and their tables in
 * memory if a unit does not see the CPU's caches (ECAP.C, VT-d 11.4.3). */
static void limit_spaces(void)
{
	struct iommu_unit_info info;

	for (unsigned i = 0; i < iommu_unit_count(host_iommu); i++) {
		if (iommu_unit_info(host_iommu, i, &info) != IOMMU_OK ||
			info.state == IOMMU_UNIT_REFUSED || !info.iova_bits)
			continue;
		if (info.iova_bits < 48)
			user_top = MIN(user_top, 1ull << info.iova_bits);
		if (!(info.ecap & 1))
			tables_in_memory = true;
	}
}

/* Remapping would cut off an IOAPIC that the DMAR table forgot. */
static void name_ioapics(struct iommu_options *options)
{
	for (unsigned i = 0; i < acpi_machine.nioapics; i++) {
		unsigned id = acpi_machine.ioapics[i].id & 0xff;

		options->ioapics[id / 64] |= 1ull << id % 64;
	}
}

/* What the kernel before this one used: no unit walks its tables any more. */
void assign_reuse_inherited(void)
{
	uint64_t frames = pages_add_inherited();

	if (frames)
		kprintf("iommu: %llu MiB of the earlier kernel are free "
			"again\n",
			(unsigned long long)(frames * PAGE_SIZE >> 20));
}

/* A unit that did not start may still do what it was told. One that cannot be
 * used at all, the kernel before this one did not use either. */
static void settle_inherited(enum iommu_status started)
{
	if (started != IOMMU_OK && started != IOMMU_NO_TABLE &&
		started != IOMMU_NO_UNIT)
		return;
	if (host_iommu && iommu_inherited_count(host_iommu))
		kprintf("iommu: %u devices still reach the earlier kernel's "
			"memory; see /sys/dmar/inherited\n",
			iommu_inherited_count(host_iommu));
	else
		assign_reuse_inherited();
}

static const char *bring_up(void)
{
	struct iommu_options options;
	enum iommu_status st;
	uint32_t size = 0;
	const void *dmar = acpi_table("DMAR", &size);

	iommu_options_default(&options);
	options.cpus = cpu_count;
	options.spare_tables = 64;
	name_ioapics(&options);
	if (boot_keeps_devices())
		options.take_over = IOMMU_TAKE_OVER_KEPT;
	if (boot_says("invalidation", "registers"))
		options.interface = IOMMU_INTERFACE_REGISTERS;
	options.trace = boot_says("trace", "");
	st = host_create(&options, faults_wake);
	if (st == IOMMU_OK)
		st = iommu_discover(host_iommu, dmar, size);
	if (st == IOMMU_OK)
		st = iommu_start(host_iommu);
	settle_inherited(st);
	if (st == IOMMU_OK)
		return NULL;
	if (host_iommu && *iommu_reason(host_iommu))
		return iommu_reason(host_iommu);
	return iommu_status_text(st);
}

void assign_init(void)
{
	mutex_init(&assign_lock);
	faults_init();
	absent_reason = bring_up();
	if (host_iommu)
		faults_collect();
	/* Also by units that do nothing else. */
	if (host_iommu && assign_remaps_interrupts())
		ioapic_set_remap(remap_pin);
	if (absent_reason) {
		kprintf("iommu: no protection from devices: %s\n",
			absent_reason);
		return;
	}
	limit_spaces();
	if (!assign_remaps_interrupts())
		kprintf("iommu: no interrupt remapping: a device's owner can "
			"forge interrupts\n");
}

int assign_power(bool on)
{
	enum iommu_status st = IOMMU_OK;
	int err = 0;

	if (absent_reason)
		return assign_complain("power", -ENODEV, "%s", absent_reason);
	mutex_lock(&assign_lock);
	if (!on && !list_empty(&assignments)) {
		struct assignment *a =
			list_first(&assignments, struct assignment, link);
		struct pci_device *d = a->device;

		err = assign_complain("power", -EBUSY,
			"%x:%x.%x belongs to pid %d; detach it first", d->bus,
			PCI_DEV(d->devfn), PCI_FN(d->devfn), a->pid);
	} else {
		st = iommu_power(host_iommu, on);
	}
	mutex_unlock(&assign_lock);
	if (st != IOMMU_OK)
		err = assign_complain(
			"power", -EIO, "%s", iommu_status_text(st));
	return err;
}
