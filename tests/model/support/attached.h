/* SPDX-License-Identifier: MIT */
/*
 * What most tests of the model start from: one unit, one device attached to one
 * domain with one page mapped, and used once. A test then does one thing wrong
 * and names the rule that must catch it.
 */
#ifndef TESTS_MODEL_ATTACHED_H
#define TESTS_MODEL_ATTACHED_H

#include "mini.h"

#define DEV MODEL_BDF(0, 3, 0)
#define OTHER MODEL_BDF(0, 4, 0)
#define ATS MODEL_BDF(0, 2, 0)
#define DID 5
#define OWNER 9

/** The driver of the test that runs. */
extern struct mini d;
/** The domain's top table, and the frame mapped at 0x10000. */
extern uint64_t top, frame;

/** A unit of that kind with nothing switched on, lazy or as the seed says. */
void cold(const char *kind);
void by_chance(const char *kind, uint64_t seed);
/** A lazy one with these functions and no others; enum model_flags. */
void with_functions(const char *kind, unsigned flags,
	const struct model_function_desc *f, unsigned count);

/** A lazy plain one with DEV twice: in segment 0, which the unit is for, and in
 *  another one, which has none. */
void with_a_namesake(uint16_t segment);
/** A lazy one of two plain units, the first for segment 0, the second for 1,
 *  with these functions. The first is driven. */
void with_two_segments(const struct model_function_desc *f, unsigned count);

/** What is cold is switched on, with 0x10000 mapped in a table of its own; then
 *  also DEV attached to it. Nothing is used. */
void mapped(void);
void attached(void);

/** Everything on, DEV attached to DID, 0x10000 mapped and read once. */
void ready(const char *kind);
/** The same on a kind of the test's own. */
void ready_on(const struct model_personality *kind);
/** The same, every store to a table seen: flags besides MODEL_WATCH. There are
 *  DEV and OTHER alone. */
void watched(const char *kind, unsigned flags);

/** DMA of 8 bytes. */
bool can_write(uint16_t dev, uint64_t iova);
/** Stores a last-level entry, without a flush. */
void set_leaf(uint64_t iova, uint64_t v);

/** Takes a device's context entry away, without a flush. */
void take_context(uint16_t dev);
/** All of DID leaves the IOTLB. */
void flush_domain(void);

/** Switches a function's device TLB on. */
void ats_on(uint16_t dev);

/** Some violation's text has that in it. */
bool said(const char *what);
/** Flushes so far that nobody needed. */
uint64_t superfluous(void);

/** No rule was broken, and nothing cached is stale; ends the test. */
void expect_nothing(void);
/** This rule was broken, and no other. */
void only(enum model_rule rule);
/** The same; ends the test. */
void expect(enum model_rule rule);
/** The same, once all that the unit has cached was compared with memory. */
void expect_at_checkpoint(enum model_rule rule);

#endif
