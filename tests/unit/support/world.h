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
};

struct world_slot {
	uint64_t frame; /* 0: not mapped */
	unsigned rights;
	uint64_t stamp; /* content of the first word */
};

struct world_space {
	bool open;
	unsigned owner;
	bool mapped;   /* the library owns the tables, not the host */
	unsigned bits; /* of a mapped space */
	struct rig_space host;
	struct iommu_domain *domain;
	struct world_slot slot[WORLD_SLOTS];
};

struct world_device {
	uint16_t bdf;
	int space;   /* -1: blocked */
	bool posted; /* writes may be in flight */
	unsigned unit;
	unsigned bits; /* of an address that its unit translates */
	bool remapped;
	bool irq_used;
	struct iommu_irq irq;
	uint8_t vector; /* 0: entry not present */
};

struct world {
	struct rig r;
	struct world_space space[WORLD_SPACES];
	struct world_device dev[WORLD_DEVICES];
	bool powered;
	unsigned mapped_spaces; /* bit n: space n is a mapped domain */
	unsigned unit_bits[2];
	uint64_t next_stamp;
	unsigned next_owner;
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
