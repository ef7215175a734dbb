/* SPDX-License-Identifier: MIT */
/*
 * A world for random tests: devices, address spaces, frames, and what every
 * device must be able to reach according to the calls that returned. Each
 * operation is made from one random word and the state, so that a run is a
 * list of words: it can be replayed, and shortened by leaving words out.
 */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include "rig.h"

enum {
	WORLD_SPACES = 3,
	WORLD_SLOTS = 24,
	WORLD_DEVICES = 5,
	/** Pages of a space's block, which may be mapped as a large page. */
	WORLD_BLOCK = 512,
	WORLD_RAM_PAGES = 16384,
	/** world_device.space: no domain, or all of memory. */
	WORLD_BLOCKED = -1,
	WORLD_IDENTITY = -2,
};

struct world_slot {
	uint64_t frame; /* 0: not mapped */
	unsigned rights;
};

/* 2 MiB of memory in one piece, mapped with holes or as one page. */
struct world_block {
	uint64_t iova, phys; /* phys 0: there is none */
	bool mapped[WORLD_BLOCK];
};

struct world_space {
	unsigned owner;
	bool mapped;   /* the library owns the tables, not the host */
	unsigned bits; /* of a mapped space */
	struct rig_space host;
	struct iommu_domain *domain;
	struct world_slot slot[WORLD_SLOTS];
	struct world_block block;
};

struct world_device {
	uint16_t bdf;
	int space;
	bool posted; /* writes may be in flight */
	unsigned unit;
	unsigned bits; /* of an address that its unit translates */
	bool passes;   /* its unit has pass-through: identity needs no table */
	bool remapped;
	bool irq_used;
	struct iommu_irq irq;
	uint8_t vector; /* 0: entry not present */
};

struct world {
	struct rig r;
	struct world_space space[WORLD_SPACES];
	struct world_device dev[WORLD_DEVICES];
	unsigned mapped_spaces; /* bit n: space n is a mapped domain */
	unsigned unit_bits[2];
	bool large_pages; /* every unit has them */
	bool blocks;      /* not in every world: they cost time */
	/** The first word of every page that a space has. */
	uint64_t stamp[WORLD_RAM_PAGES];
	uint64_t next_stamp;
	unsigned next_owner;
	unsigned failures; /* of allocations, seen so far */
	/** The host forgets to flush when it unmaps slot 5: to see that the
	 *  test notices, and what it says then. */
	bool sabotaged;
	/** What went wrong, empty if nothing. */
	char wrong[200];
	/** Operations done: edits, requests, calls. */
	uint64_t done;
};

/** Makes a world; the seed chooses the machine. False with w->wrong set. */
bool world_open(struct world *w, uint64_t seed);
/** One operation. False with w->wrong set. */
bool world_step(struct world *w, uint64_t word);
/** Every device against every address. False with w->wrong set. */
bool world_look(struct world *w);
/** Takes everything down and looks for leaks. */
bool world_close(struct world *w);
/** After a failure: frees without looking. */
void world_drop(struct world *w);

/** What the word would do, in words. */
const char *world_operation(uint64_t word);

#endif
