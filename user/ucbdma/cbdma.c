/* SPDX-License-Identifier: MIT */
/*
 * The ring: CBDMA_RING descriptors, each linked to the next and the last to the
 * first, once and for all. The device is told how many it may have executed in
 * all (DMACOUNT, modulo 2^16), and writes its state and the address of the last
 * one it finished to the completion word.
 */
#include <errno.h>

#include "cbdma.h"

/* Of the function. */
#define CHANCNT 0x00
#define XFERCAP 0x01
#define CBVER 0x08
/* Of channel 0. */
#define CHANNEL 0x80
#define CHANCTRL (CHANNEL + 0x00)
#define CHANCMD (CHANNEL + 0x04)
#define DMACOUNT (CHANNEL + 0x06)
#define CHANSTS (CHANNEL + 0x08)
#define CHAINADDR (CHANNEL + 0x10)
#define CHANCMP (CHANNEL + 0x18)
#define CHANERR (CHANNEL + 0x28)

#define CHANCTRL_ERROR_COMPLETION 0x04
#define CHANCTRL_ABORT_ON_ERROR 0x08
#define CHANCMD_RESET 0x20
#define STATE 0x7u
#define STATE_DONE 1u
#define STATE_HALTED 3u
#define ADDRESS (~0x3full)

#define WRITE_COMPLETION 0x08u
#define OPERATION_COPY (0u << 24)
#define OPERATION_FILL (1u << 24)

#define TIMEOUT_NS 1000000000ull

static uint64_t get(struct cbdma *c, unsigned offset, unsigned width)
{
	return c->bus->read(c->context, offset, width);
}

static void set(
	struct cbdma *c, unsigned offset, unsigned width, uint64_t value)
{
	c->bus->write(c->context, offset, width, value);
}

/* The low half first: the engine acts on the high one. */
static void set_address(
	struct cbdma *c, unsigned offset, const volatile void *p)
{
	set(c, offset, 4, (uint32_t)(uintptr_t)p);
	set(c, offset + 4, 4, (uint64_t)(uintptr_t)p >> 32);
}

static int restart(struct cbdma *c)
{
	uint64_t deadline = c->bus->now_ns(c->context) + TIMEOUT_NS;

	set(c, CHANCMD, 1, CHANCMD_RESET);
	while (get(c, CHANCMD, 1) & CHANCMD_RESET)
		if (c->bus->now_ns(c->context) > deadline)
			return -ETIMEDOUT;
	set(c, CHANERR, 4, get(c, CHANERR, 4));
	set(c, CHANCTRL, 2,
		CHANCTRL_ERROR_COMPLETION | CHANCTRL_ABORT_ON_ERROR);
	c->memory->completion = 0;
	c->issued = 0;
	set_address(c, CHANCMP, &c->memory->completion);
	set_address(c, CHAINADDR, &c->memory->ring[0]);
	return 0;
}

int cbdma_start(struct cbdma *c, const struct cbdma_bus *bus, void *context,
	struct cbdma_memory *memory)
{
	unsigned size_bits;

	*c = (struct cbdma){.bus = bus, .context = context, .memory = memory};
	c->version = (unsigned)get(c, CBVER, 1) & 0xff;
	size_bits = (unsigned)get(c, XFERCAP, 1) & 0x1f;
	if (c->version < 0x30 || c->version == 0xff ||
		!(get(c, CHANCNT, 1) & 0x1f) || size_bits < 12)
		return -ENOTSUP;
	c->max_size = (size_t)1 << size_bits;
	for (unsigned i = 0; i < CBDMA_RING; i++)
		memory->ring[i] = (struct cbdma_descriptor){
			.next = (uintptr_t)&memory->ring[(i + 1) % CBDMA_RING]};
	return restart(c);
}

/* The completion word is the device's to write, so nothing is asked of it. A
 * channel that halted may not have reached it: look at the register now and
 * then. */
static int await(struct cbdma *c, const struct cbdma_descriptor *last)
{
	uint64_t deadline = c->bus->now_ns(c->context) + TIMEOUT_NS;

	for (unsigned looks = 1;; looks++) {
		uint64_t state = c->memory->completion;

		if (looks % 256 == 0)
			state = get(c, CHANSTS, 8);
		if ((state & STATE) == STATE_HALTED)
			return -EIO;
		if ((state & ADDRESS) == (uintptr_t)last)
			return 0;
		if (looks % 256 == 0 && c->bus->now_ns(c->context) > deadline)
			return -ETIMEDOUT;
	}
}

/* One round of the ring at most; *moved says how far it comes. */
static int batch(struct cbdma *c, uint32_t operation, uintptr_t to,
	uint64_t from, size_t size, size_t *moved)
{
	struct cbdma_descriptor *d = NULL;
	int err;

	for (*moved = 0; *moved < size;) {
		size_t piece = size - *moved;

		if (piece > c->max_size)
			piece = c->max_size;
		d = &c->memory->ring[c->issued++ % CBDMA_RING];
		d->size = (uint32_t)piece;
		d->control = operation;
		d->source = operation == OPERATION_COPY ? from + *moved : from;
		d->target = to + *moved;
		*moved += piece;
		if (c->issued % CBDMA_RING == 0)
			break;
	}
	d->control |= WRITE_COMPLETION;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set(c, DMACOUNT, 2, c->issued);
	err = await(c, d);
	if (!err)
		return 0;
	c->error = (uint32_t)get(c, CHANERR, 4);
	(void)restart(c);
	return err;
}

static int run(struct cbdma *c, uint32_t operation, uintptr_t to, uint64_t from,
	size_t size)
{
	size_t moved;
	int err = 0;

	for (; size && !err; size -= moved, to += moved) {
		err = batch(c, operation, to, from, size, &moved);
		if (operation == OPERATION_COPY)
			from += moved;
	}
	return err;
}

int cbdma_copy(struct cbdma *c, void *to, const void *from, size_t size)
{
	return run(c, OPERATION_COPY, (uintptr_t)to, (uintptr_t)from, size);
}

int cbdma_fill(struct cbdma *c, void *to, uint64_t pattern, size_t size)
{
	return run(c, OPERATION_FILL, (uintptr_t)to, pattern, size);
}

const char *cbdma_error_text(uint32_t error)
{
	static const char *const reasons[] = {"source address",
		"destination address", "address of the next descriptor",
		"alignment of a descriptor", "chain address", "command",
		"data integrity", "data integrity", "read refused",
		"write refused", "control of a descriptor",
		"length of a descriptor", "completion address",
		"interrupt configuration"};

	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (error & 1u << i)
			return reasons[i];
	return error ? "another error" : "no error";
}
