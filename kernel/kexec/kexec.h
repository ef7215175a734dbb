/* SPDX-License-Identifier: MIT */
/*
 * From this kernel to the next one without a reset. An image is read when it is
 * loaded, into memory that is out of the way of where it will run, together
 * with its archive and command line; the jump allocates nothing.
 *
 * The next kernel is told which memory this one used (BOOT_E820_INHERITED): a
 * unit goes on reading its tables there, and a device that was not stopped goes
 * on writing, until the next kernel has taken the units over.
 */
#ifndef KEXEC_KEXEC_H
#define KEXEC_KEXEC_H

#include "assign/assign.h"
#include "lib/types.h"

struct file;

/* Images: the one that kexec_go() leaves for, and the one for a panic. */
enum kexec_slot {
	KEXEC_NEXT,
	KEXEC_CRASH,
	KEXEC_SLOTS
};

#define KEXEC_CMDLINE_SIZE 1024 /* with its terminator */

/*
 * Makes an image ready, in place of one that was before; on an error that one
 * stays. initrd may be NULL. -ENOEXEC: not an ELF file for this machine with a
 * PVH entry, or one that contradicts itself; -EADDRNOTAVAIL: it wants to lie
 * where there is no memory for it; -EBUSY: it is for a panic, and memory where
 * it will lie is in use; -EFBIG, -ENOMEM, -EIO, -EINVAL (the command
 * line is too long, a file is empty). Sleeps.
 */
MUST_CHECK int kexec_load(enum kexec_slot slot, struct file *kernel,
	struct file *initrd, const char *cmdline);

/* Forgets an image; nothing if there is none. Sleeps. */
void kexec_unload(enum kexec_slot slot);

/*
 * Leaves for the image. Returns only if that cannot be: -EINVAL (none is
 * loaded), -EBUSY (somebody is on the way already; memory that
 * the image needs is in use), -ENOMEM (too little is free in one piece for a
 * kernel to start in). Sleeps.
 */
MUST_CHECK int kexec_go(void);

/* After a panic: leaves for the image that was loaded for that, as with
 * ASSIGN_LEAVE. Returns if there is none. Takes no lock. */
void kexec_after_panic(void);

/* What kexec_go() does with devices; /proc/sys/kernel/kexec_devices. */
extern enum assign_hand_over kexec_devices;

#endif
