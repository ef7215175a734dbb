/* SPDX-License-Identifier: MIT */
#ifndef DEV_PCI_INFO_H
#define DEV_PCI_INFO_H

struct pci_device;
struct text;

/* What a device is and can, whose it is, and how it was handed over. Sleeps. */
void pci_info_text(struct pci_device *d, struct text *t);

#endif
