/* SPDX-License-Identifier: MIT */
/* Names of PCI vendors, devices and classes, from the list that the Debian
 * package pci.ids installs. */
#ifndef DEV_PCI_NAMES_H
#define DEV_PCI_NAMES_H

#include "lib/types.h"

struct pci_device;

/* Empty where the list, or the list's answer, is missing. */
struct pci_names {
	char vendor[64], device[96], class[64], interface[48];
};

/* Reads the list, which is long, each time: it is asked for seldom. Sleeps. */
void pci_names_find(const struct pci_device *d, struct pci_names *out);

#endif
