/* SPDX-License-Identifier: MIT */
/*
 * The same life of a rig on all kinds of unit. Each walk opens a rig, lets it
 * live, which starts it and ends with nothing left, and closes it. Kinds with a
 * write buffer that they do not tell of are left out: they are known by their
 * host bridge, which the usual machine has not got.
 */
#ifndef TESTS_UNIT_KINDS_H
#define TESTS_UNIT_KINDS_H

#include "rig.h"

typedef void rig_life(struct rig *r);

/** The kind after p (NULL: the first); NULL: no more. */
const struct model_personality *kinds_next(const struct model_personality *p);

void kinds_in_every_mode(rig_life *life);
/** Those that take flushes through registers, made to. */
void kinds_with_registers(rig_life *life);
/** Of the seeds 0 to count - 1. */
void kinds_at_random(rig_life *life, uint64_t count);
/** Units that an earlier owner left on. */
void kinds_left_on(rig_life *life);
/** Every store to a table is looked at. */
void kinds_watched(rig_life *life);

#endif
