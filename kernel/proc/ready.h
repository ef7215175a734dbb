/* SPDX-License-Identifier: MIT */
/*
 * The threads that wait for a CPU, least vruntime first: a pairing heap. Adding
 * takes constant time, taking the first logarithmic time on average, also with
 * thousands of threads. Equals leave in the order in which they came. The
 * scheduler's lock guards it.
 */
#ifndef PROC_READY_H
#define PROC_READY_H

#include "lib/types.h"

struct thread;

struct ready_queue {
	struct thread *first; /* NULL: empty */
	unsigned count;
	uint64_t arrivals;
};

void ready_add(struct ready_queue *q, struct thread *t);

/* The first that may run on a CPU, out of the queue; NULL: none. */
struct thread *ready_take(struct ready_queue *q, uint32_t cpu);

#endif
