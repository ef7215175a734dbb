/* SPDX-License-Identifier: MIT */
/* What the hosted file code runs on, as its tests see it. */
#ifndef TEST_FS_SUPPORT_H
#define TEST_FS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/types.h"

/* Pieces of the heap and frames that are in use. */
struct usage {
	long pieces, frames;
};
struct usage usage_now(void);

/* The n-th allocation from now fails (1: the next); 0: none. */
void fail_allocation(unsigned n);

/* The process that runs: it comes with a working directory, and goes. */
void process_begin(void);
void process_end(void);

#endif
