/* SPDX-License-Identifier: MIT */
/* crash [read|write|jump|stack|divide|illegal]: die of it. Default: write. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static volatile uintptr_t nowhere = 0x10;
static volatile int zero;

static int deeper(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	return zero ? 0 : deeper(n + 1) + frame[0];
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "write";

	if (!strcmp(how, "read"))
		return *(volatile char *)nowhere;
	if (!strcmp(how, "write"))
		*(volatile char *)nowhere = 1;
	if (!strcmp(how, "jump"))
		((void (*)(void))nowhere)();
	if (!strcmp(how, "stack"))
		return deeper(0);
	if (!strcmp(how, "divide"))
		return 1 / zero;
	if (!strcmp(how, "illegal"))
		__builtin_trap();
	fprintf(stderr,
		"usage: crash [read|write|jump|stack|divide|illegal]\n");
	return 2;
}
