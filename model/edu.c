/* SPDX-License-Identifier: MIT */
/*
 * The simple engine: one buffer, one transfer at a time, no report of what
 * was refused, as in the teaching device that emulators have.
 */
#include <model/devices.h>
#include <string.h>

void model_edu_init(
	struct model_edu *e, struct model *m, uint16_t segment, uint16_t bdf)
{
	memset(e, 0, sizeof *e);
	e->m = m;
	e->segment = segment;
	e->bdf = bdf;
}

uint64_t model_edu_read(struct model_edu *e, unsigned offset)
{
	switch (offset) {
	case MODEL_EDU_ID:
		return 0x010000ed;
	case MODEL_EDU_STATUS:
		return e->status;
	case MODEL_EDU_SOURCE:
		return e->source;
	case MODEL_EDU_TARGET:
		return e->target;
	case MODEL_EDU_COUNT:
		return e->count;
	case MODEL_EDU_COMMAND:
		return e->command;
	default:
		return ~0ull;
	}
}

/* The place in the device's buffer, or NULL if the range is outside. */
static uint8_t *inside(struct model_edu *e, uint64_t address)
{
	uint64_t off = address - MODEL_EDU_BUFFER;

	if (address < MODEL_EDU_BUFFER || off >= MODEL_EDU_SIZE ||
		e->count > MODEL_EDU_SIZE - off)
		return NULL;
	return e->buffer + off;
}

static void run(struct model_edu *e)
{
	bool from_device = e->command & 2;
	uint8_t *at = inside(e, from_device ? e->source : e->target);
	enum model_dma_status s = MODEL_DMA_ABORT;

	if (at && from_device)
		s = model_dma_write(
			e->m, e->segment, e->bdf, e->target, at, e->count);
	else if (at)
		s = model_dma_read(
			e->m, e->segment, e->bdf, e->source, at, e->count);
	e->refused += s != MODEL_DMA_OK;
	if (e->command & 4) {
		e->status |= 0x100;
		if (e->msi_address)
			model_msi(e->m, e->segment, e->bdf, e->msi_address,
				e->msi_data);
	}
	e->command &= ~1ull;
}

void model_edu_write(struct model_edu *e, unsigned offset, uint64_t value)
{
	switch (offset) {
	case MODEL_EDU_ACK:
		e->status &= ~(uint32_t)value;
		break;
	case MODEL_EDU_SOURCE:
		e->source = value;
		break;
	case MODEL_EDU_TARGET:
		e->target = value;
		break;
	case MODEL_EDU_COUNT:
		e->count = value;
		break;
	case MODEL_EDU_COMMAND:
		e->command = value;
		if (value & 1)
			run(e);
		break;
	default:
		break;
	}
}
