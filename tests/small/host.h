/* SPDX-License-Identifier: MIT */
/*
 * A host of 256 pages, for the library's code for tables in small: its memory,
 * one mapped domain on it, and units that only note what they are told.
 */
#ifndef SMALL_HOST_H
#define SMALL_HOST_H

#include "backend.h"
#include "pgtable.h"

enum {
	FAN = 1 << INDEX_BITS,
	MOST_PAGES = 64, /* of the address space */
	ARENA = 256,     /* pages of memory */
};

/** What is explored. */
extern struct world {
	unsigned levels;
	unsigned pages;
	unsigned rights; /* how many kinds of rights there are: 1 to 3 */
	uint64_t delta;  /* physical minus I/O address */
	bool large;
	bool present; /* units want to be told of new entries */
} world;

extern struct host {
	/** Pages that somebody has; those that a unit may have walked. */
	bool taken[ARENA], old[ARENA];
	unsigned in_use, allocations;
	/** The allocation that fails, 0: none; all after it fail, too. */
	unsigned fail_at;
	bool fail_on;
	/** Since tell_nothing_yet(). */
	bool flushed;
	/** The first CHECK() that failed. */
	const char *wrong;
} host;

/** The domain, and the units that it is made for: one that starts at its top
 *  table, one that may start below. */
extern struct iommu_domain domain;
extern struct unit unit, shallow;

#define CHECK(what)                         \
	do {                                \
		if (!(what) && !host.wrong) \
			host.wrong = #what; \
	} while (0)

/** Nobody has a page, and no allocation fails. */
void host_empty(void);
/** A page of zeroes; what an entry points at. */
uint64_t new_table(void);
word64 *table_of(uint64_t entry);

/** Makes the domain for the world; the shallow unit has that many levels. */
void domain_make(unsigned lowest);

/** What units were told is forgotten. */
void tell_nothing_yet(void);
/** Whether they were told of one of these changes to all of the pages at
 *  once. */
bool was_told(unsigned page, unsigned count, unsigned changes);

#endif
