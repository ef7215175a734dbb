/* SPDX-License-Identifier: MIT */
/*
 * Threads of the simulated machine, one of which runs at a time: each has a
 * stack, and another is let in only at the points where the kernel's code may
 * be interrupted by one. Which comes next is the caller's dice, so a run
 * repeats.
 */
#ifndef TEST_THREADS_H
#define TEST_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_THREADS 16

/* Made before threads_run(), which ends when all of them have. */
void threads_add(void (*body)(unsigned n), unsigned n);
void threads_run(uint32_t (*dice)(uint32_t below));

/* Maybe another one's turn. Nothing happens outside of threads_run() or while
 * something is held that nobody may wait for: a spinlock, interrupts off. */
void threads_yield(void);
extern int threads_hold;

/* Surely another one's turn, because this one waits for it. False: there is no
 * other. */
bool threads_wait(void);

/* Threads have run since the test began. */
extern bool threads_ever;

/* 1, 2 ...; 0 outside of threads_run(). */
unsigned threads_self(void);

/* Called when a thread goes on. */
extern void (*threads_resumed)(unsigned self);

/* What a failed test left. */
void threads_reset(void);

#endif
