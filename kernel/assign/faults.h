/* SPDX-License-Identifier: MIT */
/* Refused requests of devices, from the interrupt to the reader's line. */
#ifndef ASSIGN_FAULTS_H
#define ASSIGN_FAULTS_H

#include "lib/types.h"

void faults_init(void);

/* Interrupt context: a unit has collected records. */
void faults_wake(void);

/* The line with this number, or the oldest kept after it; *seq becomes the
 * number of the next. Waits for one unless nonblock. Bytes, -EAGAIN, or
 * -ERESTARTSYS. */
ssize_t faults_read(uint64_t *seq, char *buf, size_t size, bool nonblock);

struct poller;
bool faults_poll(uint64_t seq, struct poller *p);

/* Implemented by assign.c: count a fault for the owner; its pid, or 0. */
int assign_count_fault(uint16_t segment, uint16_t requester);

/* A device whose faults were a storm: no more requests from it. */
void assign_silence(uint16_t segment, uint16_t requester);

/* Why there is no I/O MMU; NULL if there is one. */
const char *assign_absent_reason(void);

#endif
