/* SPDX-License-Identifier: MIT */
/*
 * Devices that come and go. One thread looks at every hot-plug slot five times
 * a second: people press buttons slowly, and a port's own interrupt would be
 * one more thing that can be lost.
 *
 * A device that is to go is first taken from its owner, in the usual order;
 * then its slot is switched off. One that is gone already is taken away the
 * same way: what is written to it is lost, what is read is all ones, and every
 * step of the order is bounded.
 */
#include "assign/hotplug.h"
#include "assign/assign.h"
#include "cpu/time.h"
#include "lib/print.h"
#include "pci/pci.h"
#include "pci/slot.h"
#include "proc/process.h"
#include "proc/wait.h"

#define INTERVAL_NS (200 * NS_PER_MS)

static bool any_below(const struct pci_device *port)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (d->parent == port && !d->absent)
			return true;
	return false;
}

/* Does a function that is known below the port still answer? Ports that leave
 * hot-plug to firmware do not always say that something is in their slot. */
static bool any_answers(const struct pci_device *port)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (d->parent == port && !d->absent &&
			pci_read16(d, 0) != 0xffff)
			return true;
	return false;
}

static void take_out(struct pci_device *port)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (d->parent == port && !d->absent)
			assign_device_gone(d);
	slot_power(port, false);
}

static void put_in(struct pci_device *port)
{
	unsigned count;

	slot_power(port, true);
	count = pci_scan_below(port);
	kprintf("pci: %u functions came behind %02x:%02x.%x\n", count,
		port->bus, PCI_DEV(port->devfn), PCI_FN(port->devfn));
}

static void look_at(struct pci_device *port)
{
	struct slot_events e = slot_events(port);
	bool known = any_below(port);

	if (known && (e.button || (!e.present && !any_answers(port))))
		take_out(port);
	else if (!known && e.present)
		put_in(port);
}

static void watch(void *arg)
{
	struct pci_device *d;

	(void)arg;
	for (;;) {
		list_for_each (d, &pci_devices, link)
			if (!d->absent && slot_is_hotplug(d))
				look_at(d);
		(void)sleep_until(
			time_ns() + INTERVAL_NS, WAIT_UNINTERRUPTIBLE);
	}
}

void hotplug_init(void)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (slot_is_hotplug(d)) {
			if (!kernel_thread("hotplug", watch, NULL))
				kprintf("pci: slots are not watched: no "
					"memory\n");
			return;
		}
}
