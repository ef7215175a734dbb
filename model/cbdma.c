/* SPDX-License-Identifier: MIT */
/*
 * A copy engine in the manner of Intel's CBDMA: a channel follows a chain of
 * 64-byte descriptors in memory. A failed access halts it with an error bit.
 *
 * Life of the channel: reset -> HALTED -> (CHAINADDR) ARMED -> (DMACOUNT)
 * ACTIVE -> DONE, or HALTED on an error. DMACOUNT is a running total; it
 * starts again with each CHAINADDR.
 */
#include <model/devices.h>
#include <string.h>

/* CHANCTRL */
#define CTRL_REARM 0x01
#define CTRL_ERR_COMPLETION 0x04
#define CTRL_ERR_INTERRUPT 0x10
#define CTRL_IN_USE 0x100
/* CHANCMD */
#define CMD_SUSPEND 0x04
#define CMD_RESET 0x20
/* CHANERR */
#define ERR_SOURCE 0x001
#define ERR_TARGET 0x002
#define ERR_NEXT 0x004
#define ERR_ALIGN 0x008
#define ERR_CHAIN 0x010
#define ERR_CONTROL 0x400
#define ERR_LENGTH 0x800
#define ERR_COMPLETION 0x1000
/* Descriptor control word */
#define DESC_INTERRUPT 0x01
#define DESC_COMPLETION 0x08
#define DESC_NULL 0x20
#define DESC_OP(ctl) ((ctl) >> 24)

#define XFERCAP_LOG2 20

struct descriptor {
	uint32_t size, control;
	uint64_t source, target, next, rest[4];
};

void model_cbdma_init(
	struct model_cbdma *c, struct model *m, uint16_t segment, uint16_t bdf)
{
	memset(c, 0, sizeof *c);
	c->m = m;
	c->segment = segment;
	c->bdf = bdf;
	c->state = MODEL_CBDMA_HALTED;
	c->error_mask = 0x60000;
}

static void interrupt(struct model_cbdma *c)
{
	if (!c->armed || !(c->intrctrl & 1) || !c->msi_address)
		return;
	c->armed = false;
	model_msi(c->m, c->segment, c->bdf, c->msi_address, c->msi_data);
}

static void write_completion(struct model_cbdma *c)
{
	uint64_t status = c->last | (uint64_t)c->state;

	if (!c->completion)
		return;
	if (model_dma_write(c->m, c->segment, c->bdf, c->completion, &status,
		    8) != MODEL_DMA_OK) {
		c->error |= ERR_COMPLETION;
		c->state = MODEL_CBDMA_HALTED;
	}
}

static void halt(struct model_cbdma *c, uint32_t error)
{
	c->error |= error;
	c->state = MODEL_CBDMA_HALTED;
	if (c->chanctrl & CTRL_ERR_COMPLETION)
		write_completion(c);
	if (c->chanctrl & CTRL_ERR_INTERRUPT)
		interrupt(c);
}

/* Copies or fills in pieces as the bus would carry them. */
static uint32_t carry_out(struct model_cbdma *c, const struct descriptor *d)
{
	uint8_t piece[256];
	bool fill = DESC_OP(d->control) == 1;

	for (size_t i = 0; fill && i < sizeof piece; i += sizeof d->source)
		memcpy(piece + i, &d->source, sizeof d->source);
	for (uint32_t done = 0; done < d->size;) {
		uint32_t n = d->size - done;

		n = n > sizeof piece ? sizeof piece : n;
		if (!fill &&
			model_dma_read(c->m, c->segment, c->bdf,
				d->source + done, piece, n) != MODEL_DMA_OK)
			return ERR_SOURCE;
		if (model_dma_write(c->m, c->segment, c->bdf, d->target + done,
			    piece, n) != MODEL_DMA_OK)
			return ERR_TARGET;
		done += n;
	}
	return 0;
}

static uint32_t check(const struct descriptor *d)
{
	if (!d->size || d->size > 1u << XFERCAP_LOG2)
		return ERR_LENGTH;
	if (DESC_OP(d->control) > 1)
		return ERR_CONTROL;
	return 0;
}

/* One descriptor. False when the channel halts. */
static bool step(struct model_cbdma *c)
{
	struct descriptor d;
	uint32_t error;

	if (c->next & 63) {
		halt(c, ERR_ALIGN);
		return false;
	}
	if (model_dma_read(c->m, c->segment, c->bdf, c->next, &d, sizeof d) !=
		MODEL_DMA_OK) {
		halt(c, c->executed ? ERR_NEXT : ERR_CHAIN);
		return false;
	}
	error = check(&d);
	if (!error && !(d.control & DESC_NULL))
		error = carry_out(c, &d);
	if (error) {
		halt(c, error);
		return false;
	}
	c->executed++;
	c->last = c->next;
	c->next = d.next;
	if (c->executed == c->dmacount)
		c->state = MODEL_CBDMA_DONE;
	if (d.control & DESC_COMPLETION)
		write_completion(c);
	if (d.control & DESC_INTERRUPT)
		interrupt(c);
	return c->state != MODEL_CBDMA_HALTED;
}

static void run(struct model_cbdma *c)
{
	if (c->state == MODEL_CBDMA_HALTED || c->state == MODEL_CBDMA_SUSPENDED)
		return;
	if (c->executed == c->dmacount)
		return;
	c->state = MODEL_CBDMA_ACTIVE;
	c->chanctrl |= CTRL_IN_USE;
	while (c->executed != c->dmacount)
		if (!step(c))
			return;
}

static void command(struct model_cbdma *c, unsigned value)
{
	if (value & CMD_RESET) {
		c->state = MODEL_CBDMA_HALTED;
		c->executed = c->dmacount = 0;
		c->last = 0;
	} else if ((value & CMD_SUSPEND) && c->state != MODEL_CBDMA_HALTED) {
		c->state = MODEL_CBDMA_SUSPENDED;
	}
}

uint64_t model_cbdma_read(
	struct model_cbdma *c, unsigned offset, unsigned width)
{
	uint64_t v;

	switch (offset &
		~(offset >= MODEL_CBDMA_CHANSTS && offset < MODEL_CBDMA_CHANERR
				? 4u
				: 0u)) {
	case MODEL_CBDMA_CHANCNT:
		v = 1;
		break;
	case MODEL_CBDMA_XFERCAP:
		v = XFERCAP_LOG2;
		break;
	case MODEL_CBDMA_INTRCTRL:
		v = c->intrctrl;
		break;
	case MODEL_CBDMA_VERSION:
		v = 0x33;
		break;
	case MODEL_CBDMA_CHANCTRL:
		v = c->chanctrl;
		break;
	case MODEL_CBDMA_DMACOUNT:
		v = c->dmacount;
		break;
	case MODEL_CBDMA_CHANSTS:
		v = c->last | (uint64_t)c->state;
		break;
	case MODEL_CBDMA_CHAINADDR:
		v = c->chain;
		break;
	case MODEL_CBDMA_CHANCMP:
		v = c->completion;
		break;
	case MODEL_CBDMA_CHANERR:
		return c->error;
	case MODEL_CBDMA_CHANERRMASK:
		return c->error_mask;
	default:
		return 0;
	}
	if (width == 4 && (offset & 4) && offset >= MODEL_CBDMA_CHANSTS)
		v >>= 32;
	return width == 8 ? v : v & ((1ull << 8 * width) - 1);
}

/* A 64-bit register written whole or by halves. */
static void half(uint64_t *reg, unsigned offset, unsigned width, uint64_t value)
{
	if (width == 8)
		*reg = value;
	else if (offset & 4)
		*reg = (*reg & 0xffffffff) | value << 32;
	else
		*reg = (*reg & ~0xffffffffull) | (value & 0xffffffff);
}

void model_cbdma_write(
	struct model_cbdma *c, unsigned offset, unsigned width, uint64_t value)
{
	switch (offset) {
	case MODEL_CBDMA_INTRCTRL:
		c->intrctrl = (uint8_t)value;
		break;
	case MODEL_CBDMA_CHANCTRL:
		c->armed |= value & CTRL_REARM;
		c->chanctrl = (uint16_t)(value & ~CTRL_REARM);
		break;
	case MODEL_CBDMA_CHANCMD:
		command(c, (unsigned)value);
		break;
	case MODEL_CBDMA_DMACOUNT:
		c->dmacount = (uint16_t)value;
		run(c);
		break;
	case MODEL_CBDMA_CHAINADDR:
	case MODEL_CBDMA_CHAINADDR + 4:
		half(&c->chain, offset, width, value);
		c->next = c->chain;
		c->executed = c->dmacount = 0;
		if (!(c->error & ~c->error_mask))
			c->state = MODEL_CBDMA_ARMED;
		break;
	case MODEL_CBDMA_CHANCMP:
	case MODEL_CBDMA_CHANCMP + 4:
		half(&c->completion, offset, width, value);
		c->completion &= ~7ull;
		break;
	case MODEL_CBDMA_CHANERR:
		c->error &= ~(uint32_t)value;
		break;
	case MODEL_CBDMA_CHANERRMASK:
		c->error_mask = (uint32_t)value;
		break;
	default:
		break;
	}
}
