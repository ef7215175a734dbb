/* SPDX-License-Identifier: MIT */
/* Random bytes for programs: getrandom(2), /dev/urandom, AT_RANDOM. */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include "lib/types.h"

/* Any context but NMI. */
void random_bytes(void *out, size_t n);

/* Mix in what happened when, for machines without RDRAND. */
void random_stir(uint64_t event);

#endif
