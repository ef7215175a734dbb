/* SPDX-License-Identifier: MIT */
/*
 * "#pci"'s file info: one fact a line, "word: what it is". What the device says
 * of itself is read when the file is, so it is never out of date.
 */
#include "dev/pci_info.h"
#include "assign/assign.h"
#include "assign/interrupts.h"
#include "dev/pci_names.h"
#include "host/host.h"
#include "lib/text.h"
#include "pci/pci.h"

#define MAX_GROUP 16
#define CAPABILITIES 0x34
#define STATUS 0x06
#define STATUS_HAS_LIST 0x10

static void identity_text(const struct pci_device *d, struct text *t)
{
	struct pci_names names;

	pci_names_find(d, &names);
	text_printf(t, "id: %04x:%04x", d->vendor, d->device);
	if (names.vendor[0])
		text_printf(t, " %s", names.vendor);
	if (names.device[0])
		text_printf(t, " %s", names.device);
	text_printf(
		t, "\nclass: %02x%02x%02x", d->class, d->subclass, d->prog_if);
	if (names.class[0])
		text_printf(t, " %s", names.class);
	if (names.interface[0])
		text_printf(t, ", %s", names.interface);
	text_printf(t, "; revision %02x\n", d->revision);
}

static void bars_text(const struct pci_device *d, struct text *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bars); i++) {
		const struct pci_bar *b = &d->bars[i];

		if (b->size)
			text_printf(t, "bar%u: %s 0x%llx size 0x%llx%s\n", i,
				b->io ? "ports" : "memory",
				(unsigned long long)b->base,
				(unsigned long long)b->size,
				b->prefetchable ? " prefetchable" : "");
	}
}

static const char *capability_name(unsigned id)
{
	static const char *const names[] = {
		[0x01] = "power management",
		[0x03] = "vital product data",
		[0x05] = "MSI",
		[0x09] = "vendor specific",
		[0x0d] = "subsystem of a bridge",
		[0x10] = "PCI Express",
		[0x11] = "MSI-X",
		[0x12] = "SATA",
		[0x13] = "advanced features",
	};

	return id < ARRAY_SIZE(names) && names[id] ? names[id] : "unknown";
}

static const char *extended_name(unsigned id)
{
	static const char *const names[] = {
		[0x01] = "advanced error reporting",
		[0x03] = "serial number",
		[0x0b] = "vendor specific",
		[0x0d] = "access control",
		[0x0e] = "alternative routing-id",
		[0x0f] = "address translation",
		[0x10] = "virtual functions",
		[0x13] = "page requests",
		[0x15] = "resizable BAR",
		[0x18] = "latency tolerance",
		[0x1b] = "process address spaces",
	};

	return id < ARRAY_SIZE(names) && names[id] ? names[id] : "unknown";
}

/* Both walks are bounded: the list is the device's, and may be a circle. */
static void capabilities_text(const struct pci_device *d, struct text *t)
{
	unsigned at = 0;

	if (pci_read16(d, STATUS) & STATUS_HAS_LIST)
		at = pci_read8(d, CAPABILITIES) & 0xfcu;
	for (unsigned n = 0; at >= 0x40 && n < 48; n++) {
		unsigned id = pci_read8(d, at);

		if (id == 0xff)
			break;
		text_printf(t, "capability %02x: %s", at, capability_name(id));
		if (at == d->cap_msix)
			text_printf(t, ", %u vectors, table in bar%u at 0x%x",
				d->msix_count, d->msix_bar, d->msix_offset);
		if (at == d->cap_msi)
			text_printf(t, ", %u vectors",
				1u << (pci_read16(d, at + 2) >> 1 & 7));
		text_printf(t, "\n");
		at = pci_read8(d, at + 1) & 0xfcu;
	}
	at = pci_config_size(d) > 256 ? 256 : 0;
	for (unsigned n = 0; at >= 256 && n < 64; n++) {
		uint32_t header = pci_read32(d, at);

		if (!header || header == UINT32_MAX)
			break;
		text_printf(t, "capability %03x: %s\n", at,
			extended_name(header & 0xffff));
		at = header >> 20 & 0xffc;
	}
}

/* The library stopped it, for its faults or because a unit did not answer; the
 * console said which. */
static void blocked_text(const struct pci_device *d, struct text *t)
{
	struct iommu_device_info info;

	if (host_iommu &&
		iommu_device_info(host_iommu, host_device_id(d), &info) ==
			IOMMU_OK &&
		info.state == IOMMU_DEVICE_QUARANTINED)
		text_printf(t,
			"blocked: reaches no memory until it is "
			"attached anew\n");
}

static void group_text(const struct pci_device *d, struct text *t)
{
	struct iommu_device_id id = host_device_id(d);
	struct iommu_device_id members[MAX_GROUP];
	unsigned count = 0;
	bool remapped = false;

	if (!host_iommu ||
		iommu_device_group(
			host_iommu, id, members, MAX_GROUP, &count) != IOMMU_OK)
		return;
	text_printf(t, "group:");
	for (unsigned i = 0; i < count && i < MAX_GROUP; i++)
		text_printf(t, " %02x:%02x.%x", members[i].requester >> 8,
			members[i].requester >> 3 & 0x1f,
			members[i].requester & 7);
	text_printf(t, count > MAX_GROUP ? " ...\n" : "\n");
	if (iommu_irq_remapped(host_iommu, id, &remapped) == IOMMU_OK)
		text_printf(t, "interrupts: %s\n",
			remapped ? "remapped, from its own id only"
				 : "not remapped: it can raise any vector");
}

void pci_info_text(struct pci_device *d, struct text *t)
{
	struct assigned a;

	identity_text(d, t);
	bars_text(d, t);
	capabilities_text(d, t);
	group_text(d, t);
	text_printf(t, "reset: %s\n", pci_reset_name(pci_reset_method(d)));
	if (assign_of(d, &a))
		text_printf(t,
			"owner: pid %d\nreset at hand-over: %s\n"
			"vectors: %u\nfaults: %llu\n",
			a.pid, a.reset, interrupts_count(d),
			(unsigned long long)a.faults);
	else if (assign_broken(d))
		text_printf(t, "owner: none; blocked, could not be stopped\n");
	else
		text_printf(t, "owner: none\n");
	blocked_text(d, t);
}
