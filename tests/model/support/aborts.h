/* SPDX-License-Identifier: MIT */
/* What has to end the process, tried in another one. */
#ifndef TESTS_MODEL_ABORTS_H
#define TESTS_MODEL_ABORTS_H

/** Fails unless act() ends in abort(), and says this before ("": whatever). */
void aborts(void (*act)(void), const char *saying);

#endif
