/* SPDX-License-Identifier: MIT */
/*
 * A ChaCha20 generator (RFC 8439 2.3) with fast key erasure: each request takes
 * a fresh key from the first block of its own stream, so that what was given
 * out cannot be computed from what is in memory later. Seeded by RDRAND where
 * the CPU has it, and by the time-stamp counter at each stir.
 */
#include "cpu/io.h"
#include "lib/lock.h"
#include "lib/random.h"
#include "lib/string.h"

static struct spinlock lock = SPINLOCK_INIT;
static uint32_t key[8]; /* guarded by lock */
static uint64_t counter;
static bool seeded;

static inline uint32_t rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

static void block(const uint32_t k[8], uint64_t n, uint32_t out[16])
{
	uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

	memcpy(&in[4], k, 32);
	in[12] = n;
	in[13] = n >> 32;
	memcpy(out, in, sizeof(in));
	for (int round = 0; round < 10; round++) {
		quarter(out, 0, 4, 8, 12);
		quarter(out, 1, 5, 9, 13);
		quarter(out, 2, 6, 10, 14);
		quarter(out, 3, 7, 11, 15);
		quarter(out, 0, 5, 10, 15);
		quarter(out, 1, 6, 11, 12);
		quarter(out, 2, 7, 8, 13);
		quarter(out, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		out[i] += in[i];
}

static uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void __seed(void)
{
	bool rdrand = cpuid(1, 0).ecx >> 30 & 1;

	for (int i = 0; i < 8; i += 2) {
		uint64_t v = 0;
		uint8_t ok = 0;

		for (int tries = 0; rdrand && !ok && tries < 10; tries++)
			__asm__ volatile("rdrand %0; setc %1"
					 : "=r"(v), "=qm"(ok));
		v ^= ticks() * 0x9e3779b97f4a7c15ull;
		key[i] ^= v;
		key[i + 1] ^= v >> 32;
	}
	seeded = true;
}

/* A key for one request; the generator's own is replaced. */
static void take_key(uint32_t out[8])
{
	uint32_t b[16];

	spin_lock(&lock);
	if (!seeded)
		__seed();
	block(key, counter++, b);
	memcpy(key, b, 32);
	memcpy(out, b + 8, 32);
	spin_unlock(&lock);
}

void random_bytes(void *out, size_t n)
{
	uint32_t k[8], b[16];
	char *at = out;

	take_key(k);
	for (uint64_t i = 0; n; i++) {
		size_t part = MIN(n, sizeof(b));

		block(k, i, b);
		memcpy(at, b, part);
		at += part;
		n -= part;
	}
}

void random_stir(uint64_t event)
{
	uint64_t v = ticks() ^ event;

	spin_lock(&lock);
	key[v % 8] ^= v >> 3;
	key[(v >> 32) % 8] ^= v >> 35;
	spin_unlock(&lock);
}
