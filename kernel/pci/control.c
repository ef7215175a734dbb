/* SPDX-License-Identifier: MIT */
/* Switching a function on, off and back to its state after power-up. */
#include "pci/local.h"
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "proc/wait.h"

#define IDLE_TIMEOUT_MS 100
#define RESET_TIMEOUT_MS 1000

static void sleep_ms(unsigned ms)
{
	if (this_cpu()->thread)
		sleep_until(time_ns() + ms * NS_PER_MS, WAIT_UNINTERRUPTIBLE);
	else
		delay_us(ms * 1000);
}

/* Returns what they are then. */
static bool set_command(struct pci_device *d, uint16_t bits, bool on)
{
	uint16_t v = pci_read16(d, PCI_COMMAND);

	pci_write16(d, PCI_COMMAND, on ? v | bits : v & ~bits);
	v = pci_read16(d, PCI_COMMAND);
	return v != 0xffff && v & bits;
}

void pci_set_memory(struct pci_device *d, bool on)
{
	(void)set_command(d, COMMAND_MEMORY, on);
}

void pci_set_rom(struct pci_device *d, bool on)
{
	if (d->rom.size && d->header_type == TYPE_ENDPOINT)
		pci_write32(d, PCI_ROM, (uint32_t)d->rom.base | on);
}

bool pci_set_master(struct pci_device *d, bool on)
{
	return set_command(d, COMMAND_MASTER, on) == on;
}

void pci_interrupts_off(struct pci_device *d)
{
	uint16_t v;

	(void)set_command(d, COMMAND_INTX_OFF, true);
	if (d->cap_msi) {
		v = pci_read16(d, d->cap_msi + MSI_CONTROL);
		pci_write16(d, d->cap_msi + MSI_CONTROL, v & ~1);
	}
	if (d->cap_msix) {
		v = pci_read16(d, d->cap_msix + MSIX_CONTROL);
		pci_write16(d, d->cap_msix + MSIX_CONTROL, v & ~0x8000);
	}
}

/* -1: the function cannot tell. A function that answers with ones only is
 * gone, and sends nothing. */
static int pending(struct pci_device *d)
{
	uint16_t v;

	if (d->cap_pcie) {
		v = pci_read16(d, d->cap_pcie + PCIE_DEVICE_STATUS);
		return v != 0xffff && v & PCIE_PENDING;
	}
	if (d->cap_af && pci_read8(d, d->cap_af + AF_CAPABILITIES) & 1) {
		v = pci_read8(d, d->cap_af + AF_STATUS);
		return v != 0xff && v & 1;
	}
	return -1;
}

/* Looks are counted: a clock that was set says nothing about the device. */
bool pci_wait_idle(struct pci_device *d)
{
	for (unsigned ms = 0; ms < IDLE_TIMEOUT_MS; ms++) {
		if (pending(d) <= 0)
			return true;
		sleep_ms(1);
	}
	return pending(d) <= 0;
}

const char *pci_reset_name(enum pci_reset_kind kind)
{
	switch (kind) {
	case PCI_RESET_FLR:
		return "flr";
	case PCI_RESET_AF:
		return "af-flr";
	case PCI_RESET_PM:
		return "pm";
	case PCI_RESET_BUS:
		return "bus";
	default:
		return "none";
	}
}

static bool alone_behind_bridge(const struct pci_device *d)
{
	const struct pci_device *other;

	if (!d->parent || d->header_type != TYPE_ENDPOINT)
		return false;
	list_for_each (other, &pci_devices, link)
		if (other != d && !other->absent &&
			other->segment == d->segment &&
			other->bus >= d->parent->secondary &&
			other->bus <= d->parent->subordinate)
			return false;
	return true;
}

enum pci_reset_kind pci_reset_method(struct pci_device *d)
{
	if (d->header_type != TYPE_ENDPOINT)
		return PCI_RESET_NONE;
	if (d->cap_pcie &&
		pci_read32(d, d->cap_pcie + PCIE_DEVICE_CAPS) &
			PCIE_FLR_CAPABLE)
		return PCI_RESET_FLR;
	if (d->cap_af && (pci_read8(d, d->cap_af + AF_CAPABILITIES) & 3) == 3)
		return PCI_RESET_AF;
	if (d->cap_pm &&
		!(pci_read16(d, d->cap_pm + PM_CONTROL) & PM_NO_SOFT_RESET))
		return PCI_RESET_PM;
	return alone_behind_bridge(d) ? PCI_RESET_BUS : PCI_RESET_NONE;
}

/* What a reset forgets and firmware had set. */
struct saved {
	uint32_t bars[6], rom;
	uint16_t command, latency, line, device, link, device2;
};

static bool has_control2(const struct pci_device *d)
{
	return d->cap_pcie && d->cap_pcie + PCIE_DEVICE_CONTROL2 + 2 <= 256 &&
		(pci_read16(d, d->cap_pcie + PCIE_FLAGS) & 15) >= 2;
}

static void save(struct pci_device *d, struct saved *s)
{
	*s = (struct saved){0};
	for (unsigned i = 0; i < 6; i++)
		s->bars[i] = pci_read32(d, PCI_BAR0 + 4 * i);
	s->rom = pci_read32(d, PCI_ROM);
	s->command = pci_read16(d, PCI_COMMAND);
	s->latency = pci_read16(d, 0x0c);
	s->line = pci_read8(d, PCI_INTERRUPT_LINE);
	if (d->cap_pcie) {
		s->device = pci_read16(d, d->cap_pcie + PCIE_DEVICE_CONTROL);
		s->link = pci_read16(d, d->cap_pcie + PCIE_LINK_CONTROL);
	}
	if (has_control2(d))
		s->device2 = pci_read16(d, d->cap_pcie + PCIE_DEVICE_CONTROL2);
}

static void restore(struct pci_device *d, const struct saved *s)
{
	const uint16_t off = COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER;

	if (d->cap_pcie) {
		pci_write16(d, d->cap_pcie + PCIE_DEVICE_CONTROL,
			s->device & ~PCIE_START_FLR);
		pci_write16(d, d->cap_pcie + PCIE_LINK_CONTROL, s->link);
	}
	if (has_control2(d))
		pci_write16(d, d->cap_pcie + PCIE_DEVICE_CONTROL2, s->device2);
	pci_write16(d, PCI_COMMAND, (s->command & ~off) | COMMAND_INTX_OFF);
	for (unsigned i = 0; i < 6; i++)
		pci_write32(d, PCI_BAR0 + 4 * i, s->bars[i]);
	pci_write32(d, PCI_ROM, s->rom & ~1u);
	pci_write16(d, 0x0c, s->latency);
	pci_write8(d, PCI_INTERRUPT_LINE, s->line);
	pci_interrupts_off(d);
}

static void reset_by_power(struct pci_device *d)
{
	unsigned reg = d->cap_pm + PM_CONTROL;
	uint16_t v = pci_read16(d, reg) & ~(PM_STATE | 0x8000);

	pci_write16(d, reg, v | 3);
	sleep_ms(10); /* PCI PM 1.2, 5.4: to and from D3hot */
	pci_write16(d, reg, v);
	sleep_ms(10);
}

static void reset_bus(struct pci_device *d)
{
	uint16_t v = pci_read16(d->parent, BRIDGE_CONTROL);

	pci_write16(d->parent, BRIDGE_CONTROL, v | BRIDGE_RESET);
	sleep_ms(2);
	pci_write16(d->parent, BRIDGE_CONTROL, v & ~BRIDGE_RESET);
	sleep_ms(100);
}

static void start_reset(struct pci_device *d, enum pci_reset_kind kind)
{
	uint16_t v;

	switch (kind) {
	case PCI_RESET_FLR:
		v = pci_read16(d, d->cap_pcie + PCIE_DEVICE_CONTROL);
		pci_write16(d, d->cap_pcie + PCIE_DEVICE_CONTROL,
			v | PCIE_START_FLR);
		sleep_ms(100); /* PCIe 6.6.2 */
		break;
	case PCI_RESET_AF:
		pci_write8(d, d->cap_af + AF_CONTROL, 1);
		sleep_ms(100);
		break;
	case PCI_RESET_PM:
		reset_by_power(d);
		break;
	default:
		reset_bus(d);
		break;
	}
}

/* Vendor 1 is "not yet" (configuration request retry status). */
static bool wait_answer(struct pci_device *d)
{
	for (unsigned ms = 0; ms <= RESET_TIMEOUT_MS; ms += 10) {
		if (pci_read16(d, PCI_VENDOR) == d->vendor &&
			pci_read32(d, PCI_COMMAND) != UINT32_MAX)
			return true;
		sleep_ms(10);
	}
	return false;
}

int pci_reset(struct pci_device *d)
{
	enum pci_reset_kind kind = pci_reset_method(d);
	struct saved saved;

	if (kind == PCI_RESET_NONE)
		return -ENOTSUP;
	if (pci_read16(d, PCI_VENDOR) != d->vendor)
		return -EIO;
	(void)pci_set_master(d, false);
	(void)pci_wait_idle(d); /* the reset ends what is still under way */
	save(d, &saved);
	start_reset(d, kind);
	if (!wait_answer(d))
		return -EIO;
	restore(d, &saved);
	return 0;
}
