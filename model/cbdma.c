/* SPDX-License-Identifier: MIT */
/*
 * The channel's life: reset -> HALTED; chain address written -> ARMED; DMACOUNT
 * written -> ACTIVE until as many descriptors are executed, then DONE; any
 * failed access -> its bit in CHANERR, HALTED. Work is done inside the register
 * write that starts it, so a state that a real engine shows for microseconds is
 * never seen from outside.
 */
#include <stdlib.h>
#include <string.h>

#include <model/cbdma.h>
#include <model/model.h>

#define CHANCTRL 0x80
#define CHANCMD 0x84
#define DMACOUNT 0x86
#define CHANSTS 0x88
#define CHAINADDR 0x90
#define CHANCMP 0x98
#define CHANERR 0xa8
#define CHANERRMASK 0xac

#define INTERRUPT_DISABLE 0x01 /* write 1: re-arm */
#define ERROR_COMPLETION 0x04
#define ERROR_INTERRUPT 0x10
#define IN_USE 0x100
#define COMMAND_SUSPEND 0x04
#define COMMAND_RESET 0x20

#define ERR_SOURCE 0x0001
#define ERR_TARGET 0x0002
#define ERR_NEXT 0x0004
#define ERR_ALIGNMENT 0x0008
#define ERR_CHAIN 0x0010
#define ERR_CONTROL 0x0400
#define ERR_LENGTH 0x0800
#define ERR_COMPLETION 0x1000

#define CONTROL_INTERRUPT 0x01
#define CONTROL_COMPLETION 0x08
#define CONTROL_NULL 0x20
#define OPERATION_COPY 0
#define OPERATION_FILL 1

#define SIZE_BITS 20
#define PIECE 4096u

enum state {
	ACTIVE,
	DONE,
	SUSPENDED,
	HALTED,
	ARMED
};

struct descriptor {
	uint32_t size, control;
	uint64_t source, target, next, reserved[4];
};

struct model_cbdma {
	struct model *m;
	uint16_t segment, bdf;
	enum state state;
	uint64_t chain, completion, last, next;
	uint32_t error, error_mask;
	uint16_t control, executed;
	bool started; /* the first descriptor was fetched */
	bool armed, hangs;
	uint64_t message_address;
	uint32_t message_data;
	uint8_t buffer[PIECE];
};

struct model_cbdma *model_cbdma_create(
	struct model *m, uint16_t segment, uint16_t bdf)
{
	struct model_cbdma *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->m = m;
	e->segment = segment;
	e->bdf = bdf;
	e->state = HALTED;
	e->armed = true;
	return e;
}

void model_cbdma_destroy(struct model_cbdma *e)
{
	free(e);
}

void model_cbdma_message(struct model_cbdma *e, uint64_t address, uint32_t data)
{
	e->message_address = address;
	e->message_data = data;
}

void model_cbdma_hang(struct model_cbdma *e, bool hangs)
{
	e->hangs = hangs;
}

static bool load(struct model_cbdma *e, uint64_t from, void *to, size_t size)
{
	return model_dma_read(e->m, e->segment, e->bdf, from, to, size) ==
		MODEL_DMA_OK;
}

static bool store(
	struct model_cbdma *e, uint64_t to, const void *from, size_t size)
{
	return model_dma_write(e->m, e->segment, e->bdf, to, from, size) ==
		MODEL_DMA_OK;
}

static uint64_t status(const struct model_cbdma *e)
{
	return (e->last & ~0x3full) | e->state;
}

/* Posted before the interrupt, as the bus orders them. */
static void write_completion(struct model_cbdma *e)
{
	uint64_t word = status(e);

	if (e->completion && !store(e, e->completion, &word, sizeof word)) {
		e->error |= ERR_COMPLETION;
		e->state = HALTED;
	}
}

/* One message, then none until the driver re-arms. */
static void interrupt(struct model_cbdma *e)
{
	if (!e->armed || !e->message_address)
		return;
	e->armed = false;
	(void)model_msi(
		e->m, e->segment, e->bdf, e->message_address, e->message_data);
}

static void fail(struct model_cbdma *e, uint32_t error)
{
	e->error |= error;
	e->state = HALTED;
	if (e->control & ERROR_COMPLETION)
		write_completion(e);
	if (e->control & ERROR_INTERRUPT)
		interrupt(e);
}

/* 0, or the error. What was written before a failure stays. */
static uint32_t move(struct model_cbdma *e, const struct descriptor *d)
{
	bool copies = d->control >> 24 == OPERATION_COPY;

	for (uint32_t at = 0, n; at < d->size; at += n) {
		n = d->size - at < PIECE ? d->size - at : PIECE;
		if (copies && !load(e, d->source + at, e->buffer, n))
			return ERR_SOURCE;
		for (uint32_t i = 0; !copies && i < n; i++)
			e->buffer[i] = (uint8_t)(d->source >> (at + i) % 8 * 8);
		if (!store(e, d->target + at, e->buffer, n))
			return ERR_TARGET;
	}
	return 0;
}

/* True: go on with the next one. */
static bool execute(struct model_cbdma *e)
{
	uint64_t at = e->started ? e->next : e->chain;
	struct descriptor d;
	uint32_t error = 0;

	if (at % 64) {
		fail(e, ERR_ALIGNMENT);
		return false;
	}
	if (!load(e, at, &d, sizeof d)) {
		fail(e, e->started ? ERR_NEXT : ERR_CHAIN);
		return false;
	}
	if (!d.size || d.size > 1u << SIZE_BITS)
		error = ERR_LENGTH; /* also of a null descriptor */
	else if (d.control >> 24 > OPERATION_FILL)
		error = ERR_CONTROL;
	else if (!(d.control & CONTROL_NULL))
		error = move(e, &d);
	if (error) {
		fail(e, error);
		return false;
	}
	e->started = true;
	e->next = d.next;
	e->last = at;
	e->executed++;
	/* The word tells the state that follows if this was the last. */
	if (d.control & CONTROL_COMPLETION)
		write_completion(e);
	if (d.control & CONTROL_INTERRUPT)
		interrupt(e);
	return e->state == ACTIVE;
}

static void set_count(struct model_cbdma *e, uint16_t count)
{
	if (e->hangs || (e->state != ARMED && e->state != DONE))
		return;
	e->state = ACTIVE;
	e->control |= IN_USE;
	while (e->executed != count) {
		if ((uint16_t)(e->executed + 1) == count)
			e->state = DONE; /* as the last one's word says */
		if (!execute(e))
			break;
	}
}

static void command(struct model_cbdma *e, uint8_t value)
{
	if (e->hangs)
		return;
	if (value & COMMAND_RESET) {
		e->state = HALTED;
		e->control = 0;
		e->completion = e->chain = e->last = 0;
		e->armed = true;
	} else if (value & COMMAND_SUSPEND && e->state != HALTED) {
		e->state = SUSPENDED;
	}
}

static void set_chain(struct model_cbdma *e)
{
	e->executed = 0;
	e->started = false;
	if (e->state == HALTED || e->state == DONE)
		e->state = ARMED;
}

/* The part of a 64-bit register that this access touches. */
static uint64_t merged(
	uint64_t old, unsigned shift, unsigned width, uint64_t value)
{
	uint64_t mask = width == 8 ? ~0ull : (1ull << width * 8) - 1;

	return (old & ~(mask << shift)) | (value & mask) << shift;
}

uint64_t model_cbdma_read(
	struct model_cbdma *e, unsigned offset, unsigned width)
{
	uint8_t bytes[0x100 + 8] = {0};
	uint64_t sts = status(e), value = 0;

	bytes[0x00] = 1; /* channels */
	bytes[0x01] = SIZE_BITS;
	bytes[0x08] = 0x33;
	memcpy(bytes + CHANCTRL, &e->control, 2);
	bytes[CHANCMD] = e->hangs ? COMMAND_RESET : 0;
	memcpy(bytes + DMACOUNT, &e->executed, 2);
	memcpy(bytes + CHANSTS, &sts, 8);
	memcpy(bytes + CHAINADDR, &e->chain, 8);
	memcpy(bytes + CHANCMP, &e->completion, 8);
	memcpy(bytes + CHANERR, &e->error, 4);
	memcpy(bytes + CHANERRMASK, &e->error_mask, 4);
	if (offset < 0x100 && width <= 8)
		memcpy(&value, bytes + offset, width);
	return value;
}

void model_cbdma_write(
	struct model_cbdma *e, unsigned offset, unsigned width, uint64_t value)
{
	unsigned shift = offset % 8 * 8;

	if (offset == CHANCTRL) {
		e->armed = e->armed || value & INTERRUPT_DISABLE;
		e->control = (uint16_t)((value & ~INTERRUPT_DISABLE) |
			(e->control & IN_USE));
	} else if (offset == CHANCMD) {
		command(e, (uint8_t)value);
	} else if (offset == DMACOUNT) {
		set_count(e, (uint16_t)value);
	} else if (offset / 8 == CHAINADDR / 8) {
		e->chain = merged(e->chain, shift, width, value);
		set_chain(e);
	} else if (offset / 8 == CHANCMP / 8) {
		e->completion = merged(e->completion, shift, width, value);
	} else if (offset == CHANERR) {
		e->error &= ~(uint32_t)value;
	} else if (offset == CHANERRMASK) {
		e->error_mask = (uint32_t)value;
	}
}
