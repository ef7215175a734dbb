/* SPDX-License-Identifier: MIT */
/*
 * Configuration space. Buses are mapped when they are scanned; from then on an
 * access takes no lock through ECAM. What is not mapped is reached through the
 * two ports: segment 0 only, 256 bytes, one at a time.
 */
#include "pci/local.h"
#include "acpi/acpi.h"
#include "cpu/io.h"
#include "lib/print.h"
#include "mem/mem.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define BUS_SIZE 0x100000

static char *mapped[ARRAY_SIZE(acpi_machine.ecam)][256];
static struct spinlock port_lock;
static bool ecam_wrong; /* for segment 0 */

static char *ecam_bus(uint16_t segment, uint8_t bus)
{
	for (unsigned i = 0; i < acpi_machine.necam; i++) {
		if (acpi_machine.ecam[i].segment != segment || !mapped[i][bus])
			continue;
		return mapped[i][bus];
	}
	return NULL;
}

void pci_map_bus(uint16_t segment, uint8_t bus)
{
	if ((segment == 0 && ecam_wrong) || ecam_bus(segment, bus))
		return;
	for (unsigned i = 0; i < acpi_machine.necam; i++) {
		uint64_t base = acpi_machine.ecam[i].base;

		/* The base is that of bus 0, whatever the first bus is. */
		if (acpi_machine.ecam[i].segment == segment &&
			bus >= acpi_machine.ecam[i].first_bus &&
			bus <= acpi_machine.ecam[i].last_bus) {
			base += (uint64_t)bus * BUS_SIZE;
			mapped[i][bus] =
				kernel_map_device(phys(base), BUS_SIZE);
			return;
		}
	}
}

static uint32_t port_read(
	uint8_t bus, uint8_t devfn, unsigned off, unsigned width)
{
	uint16_t data = PORT_DATA + (off & 3);
	uint32_t v;

	spin_lock(&port_lock);
	outl(PORT_ADDRESS,
		1u << 31 | bus << 16 | devfn << 8 | (uint32_t)(off & 0xfc));
	v = width == 1 ? inb(data) : width == 2 ? inw(data) : inl(data);
	spin_unlock(&port_lock);
	return v;
}

static void port_write(
	uint8_t bus, uint8_t devfn, unsigned off, unsigned width, uint32_t v)
{
	uint16_t data = PORT_DATA + (off & 3);

	spin_lock(&port_lock);
	outl(PORT_ADDRESS,
		1u << 31 | bus << 16 | devfn << 8 | (uint32_t)(off & 0xfc));
	if (width == 1)
		outb(data, v);
	else if (width == 2)
		outw(data, v);
	else
		outl(data, v);
	spin_unlock(&port_lock);
}

static bool valid(unsigned off, unsigned width)
{
	return (width == 1 || width == 2 || width == 4) && off % width == 0 &&
		off < 4096;
}

uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t devfn,
	unsigned off, unsigned width)
{
	char *p = ecam_bus(segment, bus);

	if (!valid(off, width))
		return UINT32_MAX;
	if (p) {
		p += devfn << 12 | off;
		return width == 1    ? mmio_read8(p)
			: width == 2 ? mmio_read16(p)
				     : mmio_read32(p);
	}
	if (segment == 0 && off < 256)
		return port_read(bus, devfn, off, width);
	return width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

void pci_config_write(uint16_t segment, uint8_t bus, uint8_t devfn,
	unsigned off, unsigned width, uint32_t v)
{
	char *p = ecam_bus(segment, bus);

	if (!valid(off, width))
		return;
	if (p) {
		p += devfn << 12 | off;
		if (width == 1)
			mmio_write8(p, v);
		else if (width == 2)
			mmio_write16(p, v);
		else
			mmio_write32(p, v);
	} else if (segment == 0 && off < 256) {
		port_write(bus, devfn, off, width, v);
	}
}

/* Both ways must show the same host bridge. */
void pci_config_init(void)
{
	uint32_t by_port = port_read(0, 0, PCI_VENDOR, 4);

	pci_map_bus(0, 0);
	if (!ecam_bus(0, 0) ||
		pci_config_read(0, 0, 0, PCI_VENDOR, 4) == by_port)
		return;
	kprintf("pci: ECAM at 0x%llx is not what ports 0xcf8/0xcfc show\n",
		(unsigned long long)acpi_machine.ecam[0].base);
	ecam_wrong = true;
	for (unsigned i = 0; i < acpi_machine.necam; i++)
		if (acpi_machine.ecam[i].segment == 0)
			mapped[i][0] = NULL;
}

uint8_t pci_read8(const struct pci_device *d, unsigned off)
{
	return pci_config_read(d->segment, d->bus, d->devfn, off, 1);
}

uint16_t pci_read16(const struct pci_device *d, unsigned off)
{
	return pci_config_read(d->segment, d->bus, d->devfn, off, 2);
}

uint32_t pci_read32(const struct pci_device *d, unsigned off)
{
	return pci_config_read(d->segment, d->bus, d->devfn, off, 4);
}

void pci_write8(const struct pci_device *d, unsigned off, uint8_t v)
{
	pci_config_write(d->segment, d->bus, d->devfn, off, 1, v);
}

void pci_write16(const struct pci_device *d, unsigned off, uint16_t v)
{
	pci_config_write(d->segment, d->bus, d->devfn, off, 2, v);
}

void pci_write32(const struct pci_device *d, unsigned off, uint32_t v)
{
	pci_config_write(d->segment, d->bus, d->devfn, off, 4, v);
}

unsigned pci_config_size(const struct pci_device *d)
{
	return d->cap_pcie && ecam_bus(d->segment, d->bus) ? 4096 : 256;
}
