/* SPDX-License-Identifier: MIT */
/*
 * A PCI device to a process and back: the one place that decides who may have
 * what, and that keeps the order of steps (see assign.c).
 */
#ifndef ASSIGN_ASSIGN_H
#define ASSIGN_ASSIGN_H

#include "lib/types.h"
#include "assign/address.h"

struct pci_device;
struct space;

/* Bring up the I/O MMU: every device without access. After pci_init(). */
void assign_init(void);

/*
 * Give a device to a process, take it back. The error is what a write to the
 * control file returns; assign_last_error() has the sentence that goes with
 * it, which is also on the console. Nothing changes on an error, except that
 * assign_detach() gives -EIO when the device is detached but the hardware did
 * not confirm: it then stays blocked for good.
 *
 * attach: -ENODEV no I/O MMU, no such device, or no unit covers it; -EAGAIN the
 * I/O MMU is off; -ESRCH no such process; -EBUSY it has an owner, or a device
 * that cannot be told apart from it has; -EPERM firmware reserved memory for
 * it; -EINVAL a bridge; -EIO a broken device; -ENOMEM; -ENOTSUP the process
 * has pages that the unit cannot walk.
 * detach: -ENODEV no such device; -ENXIO nobody has it; -EPERM pid is not its
 * owner's (pid 0: not said).
 */
MUST_CHECK int assign_attach(struct pci_address at, int pid);
MUST_CHECK int assign_detach(struct pci_address at, int pid);

/* Does a unit remap interrupts? If none does, a device can forge them. */
bool assign_remaps_interrupts(void);

/* Translation off or on. Off is -EBUSY while a process owns a device. */
MUST_CHECK int assign_power(bool on);

/* Devices lose what an earlier kernel let them reach; its memory is free then.
 * -ENODEV: no I/O MMU; -EIO: not confirmed, nothing is reused. */
MUST_CHECK int assign_end_inheritance(void);

/*
 * The units stay on for the next kernel, and from now on no device changes
 * hands: who wants to waits for ever. Sleeps.
 */
enum assign_hand_over {
	/* Owners lose their devices; the units block everything. */
	ASSIGN_STOP,
	/* Devices go on reaching what they reach now. */
	ASSIGN_KEEP,
	/* The units are told nothing, as after a crash: invalidation queues
	 * and interrupt remapping go on too. */
	ASSIGN_LEAVE
};
void assign_hand_over(enum assign_hand_over how);

/* Do something to a device that only its owner may: fn runs with the assign
 * lock held if the current process has the device, else -EPERM. */
MUST_CHECK int assign_as_owner(struct pci_device *d,
	int (*fn)(struct pci_device *d, void *arg), void *arg);

/* What is to happen on a fault (assign/faults.h), until the device goes. Holds
 * the assign lock: call it through assign_as_owner(). */
enum fault_policy;
MUST_CHECK int assign_set_policy(
	struct pci_device *d, enum fault_policy policy);

/* Say a sentence about a control file on the console and keep it. */
int assign_complain(const char *file, int error, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void assign_last_error(char *buf, size_t size);

/* The page tables of a space with a domain changed (CHANGE_*, mem/region.h):
 * every unit forgets [start, end). The space is locked. -EIO: not confirmed. */
MUST_CHECK int assign_flush(
	struct space *s, uint64_t start, uint64_t end, unsigned what);

/* The last user of a space is gone: take its devices away. Sleeps. */
void assign_space_gone(struct space *s);

/* A device is to be taken out, or is out: its owner loses it, it is not listed
 * any more. Sleeps. */
void assign_device_gone(struct pci_device *d);

/* One line of `mappings`: an owned device. In order of attachment. */
struct assigned {
	unsigned unit;
	int pid;
	struct pci_device *device;
	uint64_t faults;
	const char *reset; /* how it was reset when it was handed over */
};

/* The n-th, or false. The list may change between two calls. */
bool assign_nth(unsigned n, struct assigned *out);
bool assign_of(const struct pci_device *d, struct assigned *out);

/* A device whose hand-over failed half-way: blocked for good. */
bool assign_broken(const struct pci_device *d);

#endif
