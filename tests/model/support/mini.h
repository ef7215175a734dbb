/* SPDX-License-Identifier: MIT */
/*
 * A tiny driver for tests of the model: correct as a whole, with every step a
 * function of its own, so that a test can leave out exactly one.
 */
#ifndef TESTS_MODEL_MINI_H
#define TESTS_MODEL_MINI_H

#include <model/model.h>
#include "model/regs.h"

struct mini {
	struct model *m;
	uint64_t base;
	uint64_t cap, ecap;
	bool queue, coherent;
	uint64_t root, irt, ring, status;
	unsigned tail;
	uint32_t sequence;
};

/** Finds the unit, makes empty tables; nothing is switched on. */
void mini_open(struct mini *d, struct model *m);
/** Everything on: queue if there is one, root, flushes, translation. */
void mini_start(struct mini *d);
/** Interrupt remapping on, 256 entries. */
void mini_start_interrupts(struct mini *d);

/* Steps of mini_start. */
void mini_command(struct mini *d, uint32_t bit, bool set);
void mini_set_root(struct mini *d);
void mini_queue_on(struct mini *d);
void mini_translation(struct mini *d, bool on);

/* Registers. */
uint32_t mini_read32(struct mini *d, unsigned off);
uint64_t mini_read64(struct mini *d, unsigned off);
void mini_write32(struct mini *d, unsigned off, uint32_t v);
void mini_write64(struct mini *d, unsigned off, uint64_t v);

/** A zeroed page of the driver, written back. */
uint64_t mini_page(struct mini *d);
/** Stores 8 bytes and writes the line back if the unit needs it. */
void mini_store(struct mini *d, uint64_t pa, uint64_t v);

/** The slots; tables above are made where missing. */
uint64_t mini_context(struct mini *d, uint16_t sid);
uint64_t mini_slot(struct mini *d, uint64_t top, unsigned levels, uint64_t iova,
	unsigned level);

/** Levels of the widest table the unit walks. */
unsigned mini_levels(struct mini *d);
/** Points a device at a table; no flush. type: TT_SS ... */
void mini_attach(struct mini *d, uint16_t sid, uint64_t top, uint16_t did,
	unsigned type);
/** Stores a last-level entry, tables above it included; no flush. perm: bits of
 *  the entry. */
void mini_map(struct mini *d, uint64_t top, uint64_t iova, uint64_t pa,
	uint64_t perm);

/* Flushes, through the queue if it is on, each with its wait. */
void mini_flush_context(
	struct mini *d, unsigned gran, uint16_t did, uint16_t sid);
void mini_flush_iotlb(struct mini *d, unsigned gran, uint16_t did,
	uint64_t addr, unsigned am, bool ih);
void mini_flush_irte(struct mini *d, bool global, unsigned index);
void mini_flush_device(struct mini *d, uint16_t sid, uint64_t addr, bool s);
/** Queues one descriptor without ringing. */
void mini_queue(struct mini *d, uint64_t lo, uint64_t hi);
void mini_ring(struct mini *d);
/** Queues a wait and polls; false if the time (2 s virtual) ran out. */
bool mini_wait(struct mini *d);
void mini_write_buffer(struct mini *d);

/** The last interrupt that arrived since mini_hear(), and how many did. */
extern struct heard {
	struct model_interrupt last;
	unsigned count;
} heard;
void mini_hear(struct mini *d);

/** Ends the test: no violation may be left unless said so. */
void mini_close(struct mini *d, bool clean);

#endif
