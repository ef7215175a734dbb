/* SPDX-License-Identifier: MIT */
/*
 * What the careful driver is put through, and the machine that it is on.
 */
#ifndef EXAMPLES_CAREFUL_SCENE_H
#define EXAMPLES_CAREFUL_SCENE_H

#include <model/model.h>

/** The machine that the functions of os.h are about. */
extern struct model *machine;

/** 1, and a report, if the driver fails or is blamed; 0 if it does well. With
 *  queue it may use the queue; left_on as in struct model_unit_desc. */
int play(const struct model_personality *kind, enum model_mode mode, bool queue,
	bool left_on, uint64_t seed);

/** The same with hardware that stops, or a device that does not answer. */
int play_broken(const struct model_personality *kind);

#endif
