/* SPDX-License-Identifier: MIT */
/* Kernel messages, on the serial line. */
#include "lib/print.h"
#include "lib/string.h"
#include "cpu/serial.h"

#define MESSAGE_SIZE 512

/* A terminal wants a carriage return before each newline. */
static size_t add_returns(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 <= size; text++) {
		if (*text == '\n')
			out[n++] = '\r';
		out[n++] = *text;
	}
	return n;
}

void kprintf(const char *fmt, ...)
{
	char text[MESSAGE_SIZE], out[MESSAGE_SIZE + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if ((size_t)n >= sizeof(text))
		memcpy(text + sizeof(text) - 5, "...\n", 5);
	serial_write(out, add_returns(out, sizeof(out), text));
}
