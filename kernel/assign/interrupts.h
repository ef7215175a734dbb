/* SPDX-License-Identifier: MIT */
/*
 * A device's interrupts for its owner: each vector is counted, and read as a
 * number. Messages go through interrupt remapping where the unit has it and
 * are accepted only from the device itself.
 */
#ifndef ASSIGN_INTERRUPTS_H
#define ASSIGN_INTERRUPTS_H

#include "lib/types.h"

struct pci_device;
struct poller;

#define MAX_DEVICE_VECTORS 64

/* The owner asks for n vectors of MSI-X or of MSI (n a power of two); 0 gives
 * them back. Replaces what was there. Holds the assign lock. -EINVAL, -ENOTSUP
 * (the device has no such thing), -ENOSPC (vectors or entries used up), -EIO
 * (the unit did not confirm). */
MUST_CHECK int interrupts_enable_msix(struct pci_device *d, unsigned n);
MUST_CHECK int interrupts_enable_msi(struct pci_device *d, unsigned n);

/* The device's messages stop, nothing of it can interrupt any more, readers get
 * -ENODEV. Holds the assign lock. */
void interrupts_release(struct pci_device *d);

/* The device is gone: the next one has its registers elsewhere. Its interrupts
 * were released. Holds the assign lock. */
void interrupts_forget(struct pci_device *d);

/* How many vectors are enabled. */
unsigned interrupts_count(const struct pci_device *d);

/* Interrupts of vector n since the last call; waits for one unless nonblock.
 * -EAGAIN, -ERESTARTSYS, -ENODEV (not enabled, or taken away meanwhile). */
int64_t interrupts_read(struct pci_device *d, unsigned n, bool nonblock);
unsigned interrupts_poll(struct pci_device *d, unsigned n, struct poller *p);

#endif
