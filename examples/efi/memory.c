/* SPDX-License-Identifier: MIT */
/*
 * The four functions that compilers and the library expect everywhere. Compiled
 * with -fno-builtin, lest the compiler makes a call to memcpy() of memcpy().
 */
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

void *memcpy(void *to, const void *from, size_t size)
{
	return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
	const char *in = from;
	char *out = to;
	size_t n;

	if (out <= in)
		for (n = 0; n < size; n++)
			out[n] = in[n];
	else
		for (n = size; n--;)
			out[n] = in[n];
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	char *out = to;

	while (size--)
		*out++ = (char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *one = a, *other = b;

	for (; size; size--, one++, other++)
		if (*one != *other)
			return *one - *other;
	return 0;
}
