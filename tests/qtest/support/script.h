/* SPDX-License-Identifier: MIT */
/*
 * Scripts that run on QEMU's unit and on the model's: after each step the
 * library's answers, what the devices reached, the faults and the interrupts
 * must be the same. A difference is a mistake of one of the two, or is in
 * CAVEATS.md and named in script.c.
 */
#ifndef QTEST_SCRIPT_H
#define QTEST_SCRIPT_H

#include "sides.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

enum action {
	END,
	ATTACH,    /* device, domain */
	DETACH,    /* device */
	MAP,       /* domain, place, what, rights */
	UNMAP,     /* domain, place, 1: a page, 2: two, 3: 2 MiB */
	JOIN,      /* domain, place: small pages to a large one */
	SPLIT,     /* -, place: the shared domain's large leaf */
	POWER,     /* 0 or 1 */
	SUSPEND,   /* and resume */
	READ,      /* device, place, page above it */
	WRITE,     /* the same */
	IRQ_ALLOC, /* device, block, log2 of the count */
	IRQ_SET,   /* block, entry, destination, vector above 0x40; and bit 6: a
		      logical one, bit 7: lowest priority */
	IRQ_CLEAR, /* block, entry */
	IRQ_FREE,  /* block */
	SEND,      /* device, whose block's message, entry, enum forgery */
	ACTIONS
};

/** MAP's `what`: a frame, FRAMES + a block, HALVES + a block: the same in two
 *  pieces, so that its pages are small. */
enum {
	HALVES = FRAMES + BLOCKS,
	WHATS = HALVES + BLOCKS,
};

enum forgery {
	AS_PROGRAMMED,
	OTHER_ENTRY,  /* some way behind it */
	NO_ENTRY,     /* beyond the table */
	NOT_REMAPPED, /* compatibility format, VT-d 5.1.2.1 */
	FORGERIES
};

struct step {
	uint8_t action, a, b, c, d;
};

extern const uint64_t places[];
enum {
	PLACES = 18
};

struct pair {
	struct rig rig;
	struct side side[2]; /* QEMU, the model */
	struct iommu_options options;
	struct model_personality kind;
	unsigned compared, refused, reached, interrupts;
};

/** QEMU with the unit described ("queue:OPTIONS", "registers:OPTIONS"), and a
 *  model of the same kind of unit. */
void pair_open(struct pair *p, const char *unit);
void pair_close(struct pair *p);
/** Runs a script that ends with END on a new instance on either side. `what`
 *  names it, should it fail. */
void run_script(struct pair *p, const struct step *script, const char *what);

#endif
