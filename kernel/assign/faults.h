/* SPDX-License-Identifier: MIT */
/* Refused requests of devices, from the interrupt to the reader's line. */
#ifndef ASSIGN_FAULTS_H
#define ASSIGN_FAULTS_H

#include "lib/types.h"

/* Before a unit can raise one, and also where there is none: readers wait. */
void faults_init(void);

/* Start to collect what the units record. */
void faults_collect(void);

/* Interrupt context: a unit has collected records. */
void faults_wake(void);

/* The line with this number, or the oldest kept after it; *seq becomes the
 * number of the next. Waits for one unless nonblock. Bytes, -EAGAIN, or
 * -ERESTARTSYS. */
ssize_t faults_read(uint64_t *seq, char *buf, size_t size, bool nonblock);

struct poller;
bool faults_poll(uint64_t seq, struct poller *p);

/* What happens to an owner whose device was refused a request. */
enum fault_policy {
	FAULT_LOG,    /* it is told, and goes on */
	FAULT_SIGBUS, /* a signal with the address */
	FAULT_DETACH, /* it loses the device */
};

/* Whose fault it was. */
struct fault_owner {
	int pid; /* 0: nobody has the device */
	char name[16];
	char near[96]; /* where the address lies in its memory */
	bool tell;     /* on its terminal */
	bool last;     /* for the last time */
};

/* Report every record that the units have collected. Holds the assign lock. */
void __faults_drain(void);

/* Implemented by owners.c. __: the assign lock is held. */

/* Count a fault for the owner, and do or prepare what it chose. */
struct iommu_fault;
void __assign_fault(const struct iommu_fault *f, struct fault_owner *out);

/* A device whose faults were a storm: no more requests from it. */
void __assign_silence(uint16_t segment, uint16_t requester);

/* __faults_drain() with the lock, then take devices from the owners who chose
 * to lose them. Sleeps. */
void assign_take_faults(void);

/* Why there is no I/O MMU; NULL if there is one. */
const char *assign_absent_reason(void);

#endif
