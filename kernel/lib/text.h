/* SPDX-License-Identifier: MIT */
/* A growing text, for files whose content is made when they are opened. Out of
 * memory sets `failed` and keeps what was there. */
#ifndef LIB_TEXT_H
#define LIB_TEXT_H

#include "lib/types.h"

struct text {
	char *data; /* heap; NULL while empty */
	size_t len, size;
	bool failed;
};

void text_printf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_append(struct text *t, const char *s, size_t n);
void text_free(struct text *t);

#endif
