/* SPDX-License-Identifier: MIT */
/* In place of kernel/mem/watch.h: what the tests see of the allocators
 * (support/machine.c). */
#ifndef MEM_WATCH_H
#define MEM_WATCH_H

#include "lib/types.h"

bool watch_refuse(void);
void watch_frames_taken(void *p, size_t n);
void watch_frames_given(void *p, size_t n);
void watch_piece_taken(void *p, size_t n);
void watch_piece_given(void *p, size_t n);

#endif
