/* SPDX-License-Identifier: MIT */
/* For programs that test: what has to be true, or the process ends with a line
 * that says where it was not. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline _Noreturn void failed(
	const char *file, int line, const char *what)
{
	const char *name = strrchr(file, '/');

	printf("  %s:%d: not so: %s (errno %d)\n", name ? name + 1 : file, line,
		what, errno);
	fflush(stdout);
	_exit(1);
}

#define CHECK(condition) \
	((condition) ? (void)0 : failed(__FILE__, __LINE__, #condition))

#endif
