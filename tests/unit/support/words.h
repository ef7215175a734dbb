/* SPDX-License-Identifier: MIT */
/*
 * A sink that keeps the text it is given, and questions about it.
 */
#ifndef TESTS_UNIT_WORDS_H
#define TESTS_UNIT_WORDS_H

#include <stddef.h>

/** What the sink was given since words_start(). */
extern char words[1 << 20];

/** Empties the text. */
void words_start(void);
/** An iommu_sink. */
void words_sink(void *arg, const char *text, size_t length);
/** The test fails, and shows the text, unless it contains this. */
void words_have(const char *what);
void words_have_not(const char *what);
/** How often it contains this. */
unsigned words_count(const char *what);

#endif
