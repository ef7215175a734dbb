/* SPDX-License-Identifier: MIT */
/*
 * The same life of a rig on all kinds of unit: five tests of whatever a file
 * calls its life. Each opens a rig, lets it live, which starts it and ends with
 * nothing left, and closes it. Kinds with a write buffer that they do not tell
 * of are left out: they are known by their host bridge, which the usual machine
 * has not got.
 */
#ifndef TESTS_UNIT_KINDS_H
#define TESTS_UNIT_KINDS_H

#include "rig.h"

/** What cmocka_unit_test_prestate() is given with each of the tests. */
struct kinds_test {
	void (*life)(struct rig *r);
	/** Of random kinds: 0 to seeds - 1. */
	uint64_t seeds;
};

void every_kind_in_every_mode(void **test);
/** Those that take flushes through registers, made to. */
void registers_instead_of_the_queue(void **test);
void random_kinds(void **test);
/** Units that an earlier owner left on. */
void taken_over_from_an_earlier_owner(void **test);
/** Every store to a table is looked at. */
void every_store_watched(void **test);

/** The kind after p (NULL: the first); NULL: no more. */
const struct model_personality *kinds_next(const struct model_personality *p);

#endif
