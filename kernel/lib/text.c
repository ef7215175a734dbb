/* SPDX-License-Identifier: MIT */
/* A growing text. */
#include <stdarg.h>
#include "lib/text.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

/* Room for n more bytes and the terminator. */
static bool grow(struct text *t, size_t n)
{
	size_t size = t->size ? t->size : 256;
	char *data;

	if (t->failed || n >= SIZE_MAX / 4 - t->len)
		t->failed = true;
	if (t->failed || t->len + n < t->size)
		return !t->failed;
	while (size <= t->len + n)
		size *= 2;
	data = kmalloc(size);
	if (!data) {
		t->failed = true;
		return false;
	}
	if (t->len)
		memcpy(data, t->data, t->len);
	kfree(t->data);
	t->data = data;
	t->size = size;
	return true;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !grow(t, n))
		return;
	va_start(ap, fmt);
	kvsnprintf(t->data + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += n;
}

void text_append(struct text *t, const char *s, size_t n)
{
	if (!grow(t, n))
		return;
	memcpy(t->data + t->len, s, n);
	t->len += n;
	t->data[t->len] = 0;
}

void text_free(struct text *t)
{
	kfree(t->data);
	*t = (struct text){0};
}
