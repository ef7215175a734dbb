/* SPDX-License-Identifier: MIT */
/*
 * Configuration space as a device's owner sees it. What belongs to the kernel's
 * bookkeeping (BARs, messages, bridge windows, power, resets, whatever names
 * the device on the bus) is virtual or refused; the device's own registers
 * are the owner's.
 */
#ifndef ASSIGN_CONFIG_H
#define ASSIGN_CONFIG_H

#include "lib/types.h"

struct pci_device;

/* Read n bytes at off; the range is inside the device's space. */
void config_read(struct pci_device *d, unsigned off, uint8_t *out, unsigned n);

/* Write n bytes (1 to 4, inside one aligned dword). -EPERM if one of them may
 * not be written at all; bits that may not are kept. */
MUST_CHECK int config_write(
	struct pci_device *d, unsigned off, const uint8_t *in, unsigned n);

/* A new owner finds nothing of the last one's. */
void config_forget(struct pci_device *d);

#endif
