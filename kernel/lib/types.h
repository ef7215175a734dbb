/* SPDX-License-Identifier: MIT */
/* The few types and macros that every room of the kernel uses. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ssize_t;

/* A physical address. A struct, so that it cannot be mixed with a pointer, a
 * user address or an address as a device sees it. */
typedef struct {
	uint64_t v;
} phys_t;

static inline phys_t phys(uint64_t v)
{
	return (phys_t){v};
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a)-1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + (uint64_t)(a)-1, a)
#define container_of(p, type, member) \
	((type *)((char *)(p)-offsetof(type, member)))

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN __attribute__((noreturn))
#define MUST_CHECK __attribute__((warn_unused_result))

#endif
