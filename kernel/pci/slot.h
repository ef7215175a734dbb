/* SPDX-License-Identifier: MIT */
/* Slots of PCI Express ports: who is in them, and their power. */
#ifndef PCI_SLOT_H
#define PCI_SLOT_H

#include "lib/types.h"

struct pci_device;

/* Is this a port with a slot that things come and go in? */
bool slot_is_hotplug(const struct pci_device *port);

struct slot_events {
	bool present; /* something is in it */
	bool button;  /* somebody wants it in, or out */
};

/* What has happened since the last call. */
struct slot_events slot_events(struct pci_device *port);

/* Off: the device may be taken out. On sleeps until the link is up, a second at
 * most. */
void slot_power(struct pci_device *port, bool on);

#endif
