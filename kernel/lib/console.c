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

void console_vprint(const char *fmt, va_list ap)
{
	char text[MESSAGE_SIZE], out[MESSAGE_SIZE + 64];
	int n = kvsnprintf(text, sizeof(text), fmt, ap);

	if ((size_t)n >= sizeof(text))
		memcpy(text + sizeof(text) - 5, "...\n", 5);
	serial_write(out, add_returns(out, sizeof(out), text));
}

void kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	console_vprint(fmt, ap);
	va_end(ap);
}
