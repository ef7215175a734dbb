/* SPDX-License-Identifier: MIT */
/* Formatted output: to memory and to the console. Conversions: %d %i %u %x %X
 * %o %c %s %p %% with flags - 0 # +, width, precision, * and h hh l ll z j t.
 */
#ifndef LIB_PRINT_H
#define LIB_PRINT_H

#include <stdarg.h>
#include "lib/types.h"

/* As in ISO C: returns the length the whole text would have. */
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int ksnprintf(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* One message on the console; callable anywhere, also with locks held and in
 * interrupt handlers. End it with a newline. */
void kprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Say why and stop all CPUs. For broken invariants of the kernel only, never
 * for anything that hardware, firmware or a user controls. */
void panic(const char *fmt, ...) NORETURN PRINTF_LIKE(1, 2);

#endif
