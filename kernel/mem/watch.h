/* SPDX-License-Identifier: MIT */
/* Inside mem/: where memory changes hands. Nothing happens here in the kernel;
 * the hosted tests have a header of the same name that checks at each frame
 * given back that nobody can still reach it, and poisons what is free. */
#ifndef MEM_WATCH_H
#define MEM_WATCH_H

#include "lib/types.h"

static inline bool watch_refuse(void)
{
	return false;
}

static inline void watch_frames_taken(void *p, size_t n)
{
	(void)p;
	(void)n;
}

static inline void watch_frames_given(void *p, size_t n)
{
	(void)p;
	(void)n;
}

static inline void watch_piece_taken(void *p, size_t n)
{
	(void)p;
	(void)n;
}

static inline void watch_piece_given(void *p, size_t n)
{
	(void)p;
	(void)n;
}

#endif
