/* SPDX-License-Identifier: MIT */
/* Inside assign/: a device that has an owner. Everything here needs the assign
 * lock. */
#ifndef ASSIGN_ASSIGNMENT_H
#define ASSIGN_ASSIGNMENT_H

#include "assign/faults.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "pci/pci.h"
#include "proc/process.h"
#include <iommu/iommu.h>

struct assignment {
	struct list link;
	struct pci_device *device;
	struct space *space; /* not counted: the space takes us along */
	int pid;
	unsigned unit;
	uint64_t faults;
	const char *reset;
	enum fault_policy policy;
	bool doomed; /* its owner chose to lose it, and it had a fault */
	bool on_terminal;
	char name[PROCESS_NAME_SIZE];
};

extern struct mutex assign_lock;
extern struct list assignments; /* in order of attachment */

struct assignment *__assignment_of(const struct pci_device *d);

/* Everything the device could do to anybody stops. False: it does not stop. */
bool __quiet(struct pci_device *d);

/* The device is its owner's no more; *a is gone. */
int __release(struct assignment *a);

/* start.c: the earlier kernel's memory is free; no unit walks its tables. */
void assign_reuse_inherited(void);

/* permit.c: may the space have the device? Says why not. */
MUST_CHECK int __check_attach(
	const struct pci_device *d, const struct space *s, unsigned *out_unit);
int assign_refuse(const struct pci_device *d, int error, const char *why);
int assign_refuse_status(const struct pci_device *d, enum iommu_status st);
int assign_status_error(enum iommu_status st);

/* share.c: the space's tables become walkable for this device. On an error,
 * and when the space may have lost its last device, __leave_space(). */
MUST_CHECK int __share_with(
	struct assignment *a, struct iommu_domain **out_domain);
void __leave_space(struct space *s);

#endif
