/* SPDX-License-Identifier: MIT */
/*
 * Finding every function, bus by bus. A bus number is visited once, whatever
 * bridges say, so wrongly numbered bridges make no circle. Numbers are
 * firmware's; a bridge that has none is not followed. A bus that no bridge
 * claims and that answers all the same belongs to a further root.
 */
#include "pci/local.h"
#include "acpi/acpi.h"
#include "boot/boot_info.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

struct list pci_devices = LIST_INIT(pci_devices);

/* Of the segment being scanned. */
static struct {
	bool wanted;  /* a root, or a bridge leads here */
	bool claimed; /* a bridge passes on what is for it */
	struct pci_device *parent;
} buses[256];

static void read_header(struct pci_device *d)
{
	uint32_t id = pci_read32(d, PCI_VENDOR);
	uint32_t class = pci_read32(d, PCI_CLASS);

	d->vendor = (uint16_t)id;
	d->device = id >> 16;
	d->revision = (uint8_t) class;
	d->prog_if = (uint8_t)(class >> 8);
	d->subclass = (uint8_t)(class >> 16);
	d->class = class >> 24;
	d->header_type = pci_read8(d, PCI_HEADER_TYPE) & 0x7f;
	if (d->header_type == TYPE_ENDPOINT) {
		id = pci_read32(d, PCI_SUBSYSTEM);
		d->subvendor = (uint16_t)id;
		d->subdevice = id >> 16;
	} else if (d->header_type == TYPE_BRIDGE) {
		d->secondary = pci_read8(d, BRIDGE_SECONDARY);
		d->subordinate = pci_read8(d, BRIDGE_SUBORDINATE);
	}
}

static void follow_bridge(struct pci_device *d)
{
	if (d->secondary <= d->bus || d->subordinate < d->secondary ||
		buses[d->secondary].wanted) {
		kprintf("pci: %02x:%02x.%x leads to bus %u: not followed\n",
			d->bus, PCI_DEV(d->devfn), PCI_FN(d->devfn),
			d->secondary);
		return;
	}
	buses[d->secondary].wanted = true;
	buses[d->secondary].parent = d;
	for (unsigned bus = d->secondary; bus <= d->subordinate; bus++)
		buses[bus].claimed = true;
}

/* No phantom functions, no requests that pass by the caches, which is allowed
 * after a reset (PCIe 7.5.3.4). The owner cannot change it (assign/config.c),
 * and pci_reset() restores it. */
static void tame(struct pci_device *d)
{
	unsigned at = d->cap_pcie + PCIE_DEVICE_CONTROL;

	if (d->cap_pcie && at + 2 <= 256 && d->header_type == TYPE_ENDPOINT)
		pci_write16(d, at,
			pci_read16(d, at) & ~(PCIE_PHANTOM | PCIE_NO_SNOOP));
}

/* A bridge must pass on what the functions below are allowed to send. A device
 * that is to go on where an earlier kernel left it keeps its bus mastering. */
static void quiet(struct pci_device *d)
{
	uint16_t command = pci_read16(d, PCI_COMMAND);

	pci_interrupts_off(d);
	tame(d);
	if (d->header_type == TYPE_BRIDGE)
		pci_write16(d, PCI_COMMAND,
			command | COMMAND_MASTER | COMMAND_MEMORY | COMMAND_IO |
				COMMAND_INTX_OFF);
	else if (!boot_keeps_devices())
		(void)pci_set_master(d, false);
}

/* A function that was taken out leaves its place in the list to the next one
 * with the same number. */
static struct pci_device *find_absent(
	uint16_t segment, uint8_t bus, uint8_t devfn)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (d->absent && d->segment == segment && d->bus == bus &&
			d->devfn == devfn)
			return d;
	return NULL;
}

/* All but what readers without a lock, and assign/, keep. */
static void make_blank(struct pci_device *d)
{
	struct pci_device empty = {.link = d->link,
		.absent = true,
		.interrupts = d->interrupts,
		.broken = d->broken};

	*d = empty;
}

/* Returns whether there is a function. */
static bool scan_function(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	uint16_t vendor = pci_config_read(segment, bus, devfn, PCI_VENDOR, 2);
	struct pci_device *d, *known;

	if (vendor == 0xffff || vendor == 0)
		return false;
	known = find_absent(segment, bus, devfn);
	d = known ? known : kzalloc(sizeof(*d));
	if (!d) {
		kprintf("pci: no memory for %02x:%02x.%x\n", bus,
			PCI_DEV(devfn), PCI_FN(devfn));
		return true;
	}
	if (known)
		make_blank(d);
	d->segment = segment;
	d->bus = bus;
	d->devfn = devfn;
	d->parent = buses[bus].parent;
	read_header(d);
	pci_read_capabilities(d);
	quiet(d);
	pci_read_bars(d);
	if (known)
		__atomic_store_n(&d->absent, false, __ATOMIC_RELEASE);
	else
		list_push_back(&pci_devices, &d->link);
	if (d->header_type == TYPE_BRIDGE)
		follow_bridge(d);
	return true;
}

/* Behind a root or downstream port of PCIe there is device 0 only; some ports
 * show it under every number. */
static bool leads_to_one_device(const struct pci_device *bridge)
{
	unsigned type;

	if (!bridge || !bridge->cap_pcie)
		return false;
	type = pci_read16(bridge, bridge->cap_pcie + PCIE_FLAGS) >> 4 & 15;
	return type == 4 || type == 6;
}

static void scan_bus(uint16_t segment, uint8_t bus)
{
	unsigned devices = leads_to_one_device(buses[bus].parent) ? 1 : 32;

	pci_map_bus(segment, bus);
	for (unsigned dev = 0; dev < devices; dev++) {
		uint8_t devfn = dev << 3;

		if (!scan_function(segment, bus, devfn) ||
			!(pci_config_read(
				  segment, bus, devfn, PCI_HEADER_TYPE, 1) &
				0x80))
			continue;
		for (unsigned fn = 1; fn < 8; fn++)
			scan_function(segment, bus, devfn | fn);
	}
}

static bool answers(uint16_t segment, uint8_t bus)
{
	for (unsigned dev = 0; dev < 32; dev++) {
		uint16_t vendor =
			pci_config_read(segment, bus, dev << 3, PCI_VENDOR, 2);

		if (vendor != 0xffff && vendor != 0)
			return true;
	}
	return false;
}

/* Bridges lead to higher numbers only: one pass sees all. */
static void scan_segment(uint16_t segment, uint8_t root)
{
	memset(buses, 0, sizeof(buses));
	buses[root].wanted = true;
	for (unsigned bus = root; bus < 256; bus++)
		if (buses[bus].wanted ||
			(!buses[bus].claimed && answers(segment, bus)))
			scan_bus(segment, bus);
}

unsigned pci_scan_below(struct pci_device *port)
{
	struct pci_device *d;
	unsigned count = 0;

	buses[port->secondary].parent = port;
	scan_bus(port->segment, port->secondary);
	list_for_each (d, &pci_devices, link) {
		if (d->parent != port || d->absent)
			continue;
		pci_place_bars(d);
		count++;
	}
	return count;
}

void pci_init(void)
{
	struct pci_device *d;
	unsigned count = 0;

	pci_config_init();
	scan_segment(0, 0);
	for (unsigned i = 0; i < acpi_machine.necam; i++)
		if (acpi_machine.ecam[i].segment != 0)
			scan_segment(acpi_machine.ecam[i].segment,
				acpi_machine.ecam[i].first_bus);
	list_for_each (d, &pci_devices, link) {
		pci_place_bars(d);
		count++;
	}
	kprintf("pci: %u functions\n", count);
}

struct pci_device *pci_find(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (!d->absent && d->segment == segment && d->bus == bus &&
			d->devfn == devfn)
			return d;
	return NULL;
}
