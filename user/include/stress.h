/* SPDX-License-Identifier: MIT */
/* What programs that try their luck share: numbers that can be had again, and
 * how much memory is free. */
#ifndef USER_STRESS_H
#define USER_STRESS_H

#include <stdint.h>
#include <stdlib.h>

#include "udev.h"

static uint64_t seed; /* not 0; print it */

/* xorshift64 */
static inline uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* -1: not said. */
static inline long free_kb(void)
{
	char *text = udev_read_file("/proc/meminfo"), *at;
	long kb = -1;

	at = text ? strstr(text, "MemFree:") : NULL;
	if (at)
		kb = strtol(at + 8, NULL, 10);
	free(text);
	return kb;
}

#endif
