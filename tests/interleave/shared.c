/* SPDX-License-Identifier: MIT */
/*
 * Which memory both CPUs use. The library is compiled with -fsanitize=thread,
 * but linked with the functions below instead of the sanitizer: each of its
 * accesses to memory comes by here before it is made. Two CPUs conflict where
 * both come by and one of them writes; only there does their order matter, so
 * only there a schedule may change it.
 *
 * Nothing here is atomic: CPUs are coroutines.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "weave.h"

/* What a CPU did to 8 bytes, in any schedule so far; shifted by the CPU. */
enum {
	READ = 1,
	WRITTEN = 4,
};

static struct region {
	uintptr_t base;
	size_t size;
	uint8_t *use; /* a byte for each 8 */
} region[2];

static void region_start(struct region *r, void *base, size_t size)
{
	r->base = (uintptr_t)base;
	r->size = size;
	r->use = mmap(NULL, size / 8, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->use == MAP_FAILED)
		abort();
}

void shared_start(struct model *m, void *stacks, size_t size)
{
	region_start(&region[0], model_ptr(m, 0), 64 << 20);
	region_start(&region[1], stacks, size);
}

void shared_end(void)
{
	for (unsigned n = 0; n < 2; n++)
		munmap(region[n].use, region[n].size / 8);
}

bool shared_note(
	uintptr_t at, size_t size, bool write, unsigned cpu, bool *learned)
{
	unsigned mine = (write ? WRITTEN : READ) << cpu;
	unsigned theirs = (write ? READ | WRITTEN : WRITTEN) << !cpu;
	struct region *r = &region[0];
	bool conflict = false;

	if (at - r->base >= r->size)
		r++;
	if (at - r->base >= r->size)
		return false;
	for (uintptr_t n = at & ~7ull; n < at + size; n += 8) {
		uint8_t *use = &r->use[(n - r->base) / 8];

		conflict |= (*use & theirs) != 0;
		if (*use & mine)
			continue;
		*use |= (uint8_t)mine;
		*learned |= (*use & theirs) != 0;
	}
	return conflict;
}

/* ---- what the compiler calls --------------------------------------------- */

#define PLAIN(name, size, write)               \
	void name(void *at);                   \
	void name(void *at)                    \
	{                                      \
		weave_access(at, size, write); \
	}

PLAIN(__tsan_read1, 1, false)
PLAIN(__tsan_read2, 2, false)
PLAIN(__tsan_read4, 4, false)
PLAIN(__tsan_read8, 8, false)
PLAIN(__tsan_read16, 16, false)
PLAIN(__tsan_write1, 1, true)
PLAIN(__tsan_write2, 2, true)
PLAIN(__tsan_write4, 4, true)
PLAIN(__tsan_write8, 8, true)
PLAIN(__tsan_write16, 16, true)
PLAIN(__tsan_unaligned_read2, 2, false)
PLAIN(__tsan_unaligned_read4, 4, false)
PLAIN(__tsan_unaligned_read8, 8, false)
PLAIN(__tsan_unaligned_read16, 16, false)
PLAIN(__tsan_unaligned_write2, 2, true)
PLAIN(__tsan_unaligned_write4, 4, true)
PLAIN(__tsan_unaligned_write8, 8, true)
PLAIN(__tsan_unaligned_write16, 16, true)
PLAIN(__tsan_read_write1, 1, true)
PLAIN(__tsan_read_write2, 2, true)
PLAIN(__tsan_read_write4, 4, true)
PLAIN(__tsan_read_write8, 8, true)
PLAIN(__tsan_read_write16, 16, true)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *at, unsigned long size);
void __tsan_write_range(void *at, unsigned long size);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *at, unsigned long size)
{
	weave_access(at, size, false);
}

void __tsan_write_range(void *at, unsigned long size)
{
	weave_access(at, size, true);
}

void __tsan_atomic_thread_fence(int order)
{
	(void)order;
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

#define MODIFY(bits, T, name, result)                                   \
	T __tsan_atomic##bits##_##name(volatile T *at, T v, int order); \
	T __tsan_atomic##bits##_##name(volatile T *at, T v, int order)  \
	{                                                               \
		T old;                                                  \
                                                                        \
		(void)order;                                            \
		weave_access(at, sizeof(T), true);                      \
		old = *at;                                              \
		*at = (T)(result);                                      \
		return old;                                             \
	}

#define EXCHANGE_IF(bits, T, name)                                        \
	bool __tsan_atomic##bits##_compare_exchange_##name(               \
		volatile T *at, T *expected, T v, int order, int failed); \
	bool __tsan_atomic##bits##_compare_exchange_##name(               \
		volatile T *at, T *expected, T v, int order, int failed)  \
	{                                                                 \
		bool equal;                                               \
                                                                          \
		(void)order;                                              \
		(void)failed;                                             \
		weave_access(at, sizeof(T), true);                        \
		equal = *at == *expected;                                 \
		if (equal)                                                \
			*at = v;                                          \
		else                                                      \
			*expected = *at;                                  \
		return equal;                                             \
	}

#define ATOMICS(bits, T)                                                  \
	T __tsan_atomic##bits##_load(const volatile T *at, int order);    \
	T __tsan_atomic##bits##_load(const volatile T *at, int order)     \
	{                                                                 \
		(void)order;                                              \
		weave_access(at, sizeof(T), false);                       \
		return *at;                                               \
	}                                                                 \
	void __tsan_atomic##bits##_store(volatile T *at, T v, int order); \
	void __tsan_atomic##bits##_store(volatile T *at, T v, int order)  \
	{                                                                 \
		(void)order;                                              \
		weave_access(at, sizeof(T), true);                        \
		*at = v;                                                  \
	}                                                                 \
	MODIFY(bits, T, exchange, v)                                      \
	MODIFY(bits, T, fetch_add, old + v)                               \
	MODIFY(bits, T, fetch_sub, old - v)                               \
	MODIFY(bits, T, fetch_and, old &v)                                \
	MODIFY(bits, T, fetch_or, old | v)                                \
	MODIFY(bits, T, fetch_xor, old ^ v)                               \
	EXCHANGE_IF(bits, T, strong)                                      \
	EXCHANGE_IF(bits, T, weak)

__extension__ typedef unsigned __int128 wide;

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
ATOMICS(128, wide)

/* Calls that the compiler does not announce; the library's are redirected. */

void *weave_memcpy(void *to, const void *from, size_t size);
void *weave_memmove(void *to, const void *from, size_t size);
void *weave_memset(void *to, int byte, size_t size);
int weave_memcmp(const void *a, const void *b, size_t size);

void *weave_memcpy(void *to, const void *from, size_t size)
{
	weave_access(from, size, false);
	weave_access(to, size, true);
	return memcpy(to, from, size);
}

void *weave_memmove(void *to, const void *from, size_t size)
{
	weave_access(from, size, false);
	weave_access(to, size, true);
	return memmove(to, from, size);
}

void *weave_memset(void *to, int byte, size_t size)
{
	weave_access(to, size, true);
	return memset(to, byte, size);
}

int weave_memcmp(const void *a, const void *b, size_t size)
{
	weave_access(a, size, false);
	weave_access(b, size, false);
	return memcmp(a, b, size);
}
