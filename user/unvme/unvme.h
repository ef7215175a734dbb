/* SPDX-License-Identifier: MIT */
/* What the command line says, and the benchmark that it may ask for. */
#ifndef UNVME_UNVME_H
#define UNVME_UNVME_H

#include "nvme.h"

struct options {
	unsigned queues, depth, seconds;
	size_t request; /* bytes of one */
	int interrupts, write, sequential;
};

/* Requests of one size, as many as fit, for some seconds; prints how many there
 * were and how long they took. */
int bench(struct nvme *n, const struct options *o);

#endif
