/* SPDX-License-Identifier: MIT */
/*
 * The device with many queues. Each queue goes through its descriptors in
 * order, but in small steps, and which queue takes the next step is chance: so
 * its requests come mixed, and while the driver does something else.
 *
 * A queue's step: fetch a descriptor, move up to 256 bytes, ... , store the
 * status, raise an interrupt. Writes are posted.
 */
#include <model/devices.h>
#include <string.h>

#define PIECE 256u

void model_many_init(struct model_many *d, struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t seed)
{
	memset(d, 0, sizeof *d);
	d->m = m;
	d->segment = segment;
	d->bdf = bdf;
	d->seed = seed * 2 + 1;
}

static uint64_t draw(struct model_many *d)
{
	d->seed ^= d->seed << 13;
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return d->seed;
}

static bool is_ready(const struct model_many_queue *q)
{
	return q->on && q->entries && q->head != q->tail;
}

static uint64_t descriptor_at(const struct model_many_queue *q)
{
	return q->ring +
		(uint64_t)q->head * sizeof(struct model_many_descriptor);
}

/* ---- steps --------------------------------------------------------------- */

static bool read_memory(
	struct model_many *d, uint64_t iova, void *buf, size_t len)
{
	bool ok = model_dma_read(d->m, d->segment, d->bdf, iova, buf, len) ==
		MODEL_DMA_OK;

	d->refused += !ok;
	return ok;
}

static bool write_memory(
	struct model_many *d, uint64_t iova, const void *buf, size_t len)
{
	bool ok = model_dma_post(d->m, d->segment, d->bdf, iova, buf, len) ==
		MODEL_DMA_OK;

	d->refused += !ok;
	return ok;
}

static void fetch(struct model_many *d, struct model_many_queue *q)
{
	q->moved = 0;
	q->failed = false;
	q->stage = MODEL_MANY_MOVE;
	if (!read_memory(d, descriptor_at(q), &q->now, sizeof q->now)) {
		/* Nobody knows what it should have done. */
		q->on = false;
		q->stage = MODEL_MANY_FETCH;
	}
}

static void move(struct model_many *d, struct model_many_queue *q)
{
	uint32_t left = q->now.length - q->moved;
	uint32_t size = left < PIECE ? left : PIECE;
	uint8_t data[PIECE];

	if (size && read_memory(d, q->now.source + q->moved, data, size) &&
		write_memory(d, q->now.target + q->moved, data, size)) {
		q->moved += size;
		d->moved += size;
	} else if (size) {
		q->failed = true;
	}
	if (q->failed || q->moved == q->now.length)
		q->stage = MODEL_MANY_STORE;
}

static void store_status(struct model_many *d, struct model_many_queue *q)
{
	uint64_t status = q->failed ? MODEL_MANY_REFUSED : MODEL_MANY_DONE;

	write_memory(d,
		descriptor_at(q) +
			offsetof(struct model_many_descriptor, status),
		&status, sizeof status);
	/* An interrupt pushes the writes before it. */
	if (q->now.flags & MODEL_MANY_INTERRUPT && d->msi_address)
		model_msi(d->m, d->segment, d->bdf, d->msi_address,
			d->msi_data + (uint32_t)(q - d->queue));
	q->head = (q->head + 1) % q->entries;
	q->stage = MODEL_MANY_FETCH;
	d->finished++;
}

static void step(struct model_many *d, struct model_many_queue *q)
{
	switch (q->stage) {
	case MODEL_MANY_FETCH:
		fetch(d, q);
		break;
	case MODEL_MANY_MOVE:
		move(d, q);
		break;
	case MODEL_MANY_STORE:
		store_status(d, q);
		break;
	}
}

unsigned model_many_work(struct model_many *d, unsigned steps)
{
	unsigned done = 0;

	for (; done < steps; done++) {
		unsigned first = draw(d) % MODEL_MANY_QUEUES, n;

		for (n = 0; n < MODEL_MANY_QUEUES; n++)
			if (is_ready(
				    &d->queue[(first + n) % MODEL_MANY_QUEUES]))
				break;
		if (n == MODEL_MANY_QUEUES)
			break;
		step(d, &d->queue[(first + n) % MODEL_MANY_QUEUES]);
	}
	return done;
}

/* ---- registers ----------------------------------------------------------- */

static struct model_many_queue *queue_of(struct model_many *d, unsigned offset)
{
	unsigned n = (offset - MODEL_MANY_FIRST) / MODEL_MANY_STRIDE;

	return offset >= MODEL_MANY_FIRST && n < MODEL_MANY_QUEUES
		? &d->queue[n]
		: NULL;
}

uint64_t model_many_read(struct model_many *d, unsigned offset)
{
	const struct model_many_queue *q = queue_of(d, offset);

	if (offset == MODEL_MANY_COUNT)
		return MODEL_MANY_QUEUES;
	if (!q)
		return ~0ull;
	switch ((offset - MODEL_MANY_FIRST) % MODEL_MANY_STRIDE) {
	case MODEL_MANY_RING:
		return q->ring;
	case MODEL_MANY_ENTRIES:
		return q->entries;
	case MODEL_MANY_TAIL:
		return q->tail;
	case MODEL_MANY_HEAD:
		return q->head;
	case MODEL_MANY_ON:
		return q->on;
	default:
		return ~0ull;
	}
}

void model_many_write(struct model_many *d, unsigned offset, uint64_t value)
{
	struct model_many_queue *q = queue_of(d, offset);

	if (!q)
		return;
	switch ((offset - MODEL_MANY_FIRST) % MODEL_MANY_STRIDE) {
	case MODEL_MANY_RING:
		q->ring = value;
		break;
	case MODEL_MANY_ENTRIES:
		q->entries = (uint32_t)value;
		break;
	case MODEL_MANY_TAIL:
		if (q->entries)
			q->tail = (uint32_t)value % q->entries;
		break;
	case MODEL_MANY_ON:
		/* A queue that is switched on begins at its first entry. */
		if (value && !q->on) {
			q->head = q->tail = 0;
			q->stage = MODEL_MANY_FETCH;
		}
		q->on = value;
		break;
	default:
		break;
	}
}
