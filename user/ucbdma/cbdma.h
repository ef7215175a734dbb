/* SPDX-License-Identifier: MIT */
/*
 * Intel's CBDMA copy engine, also called IOAT (8086:2021 and its relatives): a
 * PCI function whose channels copy and fill memory as descriptors tell them.
 *
 * The driver knows nothing of how registers are reached: in a process they are
 * mapped, in a test they belong to a model. One channel, one thread.
 */
#ifndef UCBDMA_CBDMA_H
#define UCBDMA_CBDMA_H

#include <stddef.h>
#include <stdint.h>

/* Registers by offset and width in bytes (1, 2, 4, 8), and a clock. */
struct cbdma_bus {
	uint64_t (*read)(void *context, unsigned offset, unsigned width);
	void (*write)(
		void *context, unsigned offset, unsigned width, uint64_t value);
	uint64_t (*now_ns)(void *context);
};

struct cbdma_descriptor {
	uint32_t size, control;
	uint64_t source, target, next;
	uint64_t reserved[4];
} __attribute__((aligned(64)));

#define CBDMA_RING 64u

/* What the device reads and writes of the driver's own. All of it must be seen
 * by the device under the addresses that the process knows it by. */
struct cbdma_memory {
	struct cbdma_descriptor ring[CBDMA_RING];
	volatile uint64_t completion;
};

struct cbdma {
	const struct cbdma_bus *bus;
	void *context;
	struct cbdma_memory *memory;
	unsigned version;
	size_t max_size; /* of one descriptor */
	uint16_t issued; /* descriptors since the start, as the device counts */
	uint32_t error;  /* CHANERR of the last failure */
};

/* Reset channel 0 and make it ready. -ENOTSUP: no such engine; -ETIMEDOUT. */
int cbdma_start(struct cbdma *c, const struct cbdma_bus *bus, void *context,
	struct cbdma_memory *memory);

/* Copy, or fill with a pattern of 8 bytes, and wait until it is done. -EIO: the
 * engine refused or was refused something, `error` says what; it has been
 * restarted. -ETIMEDOUT: it does not answer. */
int cbdma_copy(struct cbdma *c, void *to, const void *from, size_t size);
int cbdma_fill(struct cbdma *c, void *to, uint64_t pattern, size_t size);

/* The first reason in a CHANERR, in words. */
const char *cbdma_error_text(uint32_t error);

#endif
