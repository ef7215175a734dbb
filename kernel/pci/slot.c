/* SPDX-License-Identifier: MIT */
/* Slot registers of a PCI Express port (PCIe 5.0, 7.5.3.9 to 7.5.3.11). */
#include "pci/slot.h"
#include "cpu/time.h"
#include "pci/local.h"
#include "proc/wait.h"

#define PCIE_LINK_STATUS 0x12
#define SLOT_CAPABILITIES 0x14
#define SLOT_CONTROL 0x18
#define SLOT_STATUS 0x1a

#define HAS_SLOT 0x100 /* in the capability's flags */
#define HOTPLUG_CAPABLE 0x40
#define POWER_OFF 0x400
#define INDICATOR 0x300
#define INDICATOR_ON 0x100
#define INDICATOR_OFF 0x300
#define BUTTON_PRESSED 0x01
#define PRESENT 0x40
#define EVENTS 0x11f /* written as ones, they are cleared */
#define LINK_ACTIVE 0x2000

#define LINK_TIMEOUT_MS 1000
#define SETTLE_MS 100 /* 6.6.1: before the first request */

bool slot_is_hotplug(const struct pci_device *port)
{
	unsigned type, cap = port->cap_pcie;
	uint16_t flags;

	if (port->header_type != TYPE_BRIDGE || !cap || cap > 256 - 0x1c)
		return false;
	flags = pci_read16(port, cap + PCIE_FLAGS);
	type = flags >> 4 & 15;
	return (type == 4 || type == 6) && flags & HAS_SLOT &&
		pci_read32(port, cap + SLOT_CAPABILITIES) & HOTPLUG_CAPABLE &&
		port->secondary;
}

struct slot_events slot_events(struct pci_device *port)
{
	uint16_t status = pci_read16(port, port->cap_pcie + SLOT_STATUS);

	if (status == 0xffff) /* the port itself is gone */
		return (struct slot_events){0};
	if (status & EVENTS)
		pci_write16(
			port, port->cap_pcie + SLOT_STATUS, status & EVENTS);
	return (struct slot_events){status & PRESENT, status & BUTTON_PRESSED};
}

static void sleep_ms(unsigned ms)
{
	(void)sleep_until(time_ns() + ms * NS_PER_MS, WAIT_UNINTERRUPTIBLE);
}

void slot_power(struct pci_device *port, bool on)
{
	unsigned reg = port->cap_pcie + SLOT_CONTROL;
	uint16_t v = pci_read16(port, reg) & ~(POWER_OFF | INDICATOR);

	pci_write16(port, reg,
		on ? v | INDICATOR_ON : v | INDICATOR_OFF | POWER_OFF);
	if (!on)
		return;
	for (unsigned ms = 0; ms < LINK_TIMEOUT_MS; ms += 10) {
		if (pci_read16(port, port->cap_pcie + PCIE_LINK_STATUS) &
			LINK_ACTIVE)
			break;
		sleep_ms(10);
	}
	sleep_ms(SETTLE_MS);
}
