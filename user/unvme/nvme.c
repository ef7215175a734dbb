/* SPDX-License-Identifier: MIT */
/* From a controller that was just reset to blocks that move; see nvme.h. */
#include "nvme.h"

/* Registers, 3.1. */
#define CAP 0x00
#define CC 0x14
#define CSTS 0x1c
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define DOORBELLS 0x1000

#define CC_ENABLE 1u
#define CC_ENTRY_SIZES (6u << 16 | 4u << 20) /* 64 and 16 bytes */
#define CC_SHUTDOWN (1u << 14)
#define CSTS_READY 1u
#define CSTS_FATAL 2u
#define CSTS_SHUTDOWN_MASK (3u << 2)
#define CSTS_SHUTDOWN_DONE (2u << 2)

/* Admin commands, 5. */
#define CREATE_SQ 0x01
#define CREATE_CQ 0x05
#define IDENTIFY 0x06
#define SET_FEATURES 0x09
#define FEATURE_QUEUES 7
#define CONTIGUOUS 1u
#define CQ_INTERRUPT 2u

#define ADMIN_ENTRIES 32u
#define SECOND_NS 1000000000ull
#define COMMAND_TIMEOUT_NS (10 * SECOND_NS)
#define MAX_TRANSFER ((size_t)1024 * 1024) /* one page of PRPs names 2 MiB */
#define NONE (~0u)

static int wait_status(struct nvme *n, uint32_t mask, uint32_t wanted)
{
	uint64_t deadline = udev_now_ns() + n->ready_timeout_ns;

	for (;;) {
		uint32_t status = udev_read32(n->regs, CSTS);

		if (status == ~0u)
			return -ENODEV; /* no device answers */
		if ((status & mask) == wanted)
			return 0;
		if (status & CSTS_FATAL)
			return -EIO;
		if (udev_now_ns() > deadline)
			return -ETIMEDOUT;
	}
}

/* ------------------------------------------------------------------ queues */

static void free_queue(struct nvme_queue *q)
{
	for (unsigned i = 0; q->requests && i < q->entries; i++)
		free(q->requests[i].prp_list);
	free(q->requests);
	free(q->sq);
	free((void *)q->cq);
	if (q->irq > 0)
		close(q->irq);
	memset(q, 0, sizeof(*q));
}

static int alloc_queue(
	struct nvme *n, struct nvme_queue *q, unsigned id, unsigned entries)
{
	*q = (struct nvme_queue){.nvme = n,
		.id = id,
		.entries = entries,
		.phase = 1,
		.irq = -1,
		.sq = udev_alloc(entries * sizeof(*q->sq)),
		.cq = udev_alloc(entries * sizeof(*q->cq)),
		.requests = calloc(entries, sizeof(*q->requests))};
	if (!q->sq || !q->cq || !q->requests)
		return -ENOMEM;
	for (unsigned i = 0; i < entries; i++) {
		q->requests[i].prp_list = udev_alloc(UDEV_PAGE);
		if (!q->requests[i].prp_list)
			return -ENOMEM;
		q->requests[i].next_free = i + 1;
	}
	/* One less than the ring: a full one looks like an empty one. */
	q->requests[entries - 2].next_free = NONE;
	return 0;
}

/* 3.1.24: two doorbells for each queue. */
static void ring(struct nvme_queue *q, int completion, unsigned value)
{
	size_t at = (2 * q->id + (completion ? 1 : 0)) *
		(size_t)q->nvme->doorbell_stride;

	udev_write32(q->nvme->regs, DOORBELLS + at, value);
}

/* 4.3: the first entry may start inside a page; the second is a page, or the
 * address of a list of them. The addresses are the process's own. */
static void set_prps(
	struct nvme_command *c, uint64_t *list, uintptr_t buffer, size_t size)
{
	size_t first = UDEV_PAGE - buffer % UDEV_PAGE;
	uintptr_t page = buffer + first;
	unsigned count = 0;

	c->prp1 = buffer;
	if (size <= first)
		return;
	for (; page < buffer + size; page += UDEV_PAGE)
		list[count++] = page;
	c->prp2 = count == 1 ? list[0] : (uintptr_t)list;
}

/* The command's id is ours to give. */
static int put(struct nvme_queue *q, struct nvme_command *c, void *buffer,
	size_t size, void *context)
{
	unsigned id = q->free;
	struct nvme_request *r;

	if (id == NONE)
		return -EAGAIN;
	r = &q->requests[id];
	q->free = r->next_free;
	r->context = context;
	c->id = (uint16_t)id;
	if (size)
		set_prps(c, r->prp_list, (uintptr_t)buffer, size);
	q->sq[q->tail] = *c;
	q->tail = (q->tail + 1) % q->entries;
	q->in_flight++;
	ring(q, 0, q->tail);
	return 0;
}

int nvme_submit(struct nvme_queue *q, enum nvme_opcode opcode, uint64_t block,
	unsigned count, void *buffer, void *context)
{
	struct nvme_command c = {.opcode = (uint8_t)opcode, .namespace = 1};
	size_t size = (size_t)count * q->nvme->block_size;

	if (size > q->nvme->max_transfer || (uintptr_t)buffer % 4)
		return -EINVAL;
	if (count) {
		c.dword[0] = (uint32_t)block;
		c.dword[1] = (uint32_t)(block >> 32);
		c.dword[2] = count - 1;
	}
	return put(q, &c, buffer, size, context);
}

static int take(
	struct nvme_queue *q, struct nvme_done *out, uint32_t *out_result)
{
	volatile struct nvme_completion *e = &q->cq[q->head];
	uint16_t status = __atomic_load_n(&e->status, __ATOMIC_ACQUIRE);
	struct nvme_request *r;
	unsigned id;

	if ((status & 1) != q->phase)
		return -EAGAIN;
	id = e->id;
	if (id >= q->entries || !q->in_flight)
		return -EIO;
	*out_result = e->result;
	q->head = (q->head + 1) % q->entries;
	if (q->head == 0)
		q->phase ^= 1;
	ring(q, 1, q->head);
	r = &q->requests[id];
	*out = (struct nvme_done){r->context, status >> 1 & 0x7ff};
	r->next_free = q->free;
	q->free = id;
	q->in_flight--;
	return 0;
}

int nvme_reap(struct nvme_queue *q, struct nvme_done *out)
{
	uint32_t result;

	return take(q, out, &result);
}

/* A second without an interrupt, and yet a completion. */
static void check_interrupt(struct nvme_queue *q)
{
	if (udev_irq_wait(q->irq, 0) == 0)
		q->missed++;
}

/* Something may have come: 1 if an interrupt or a poll says so, 0 if a second
 * went by without. The count of polls spares the clock and the controller a
 * question each time round. */
static int pause_for(struct nvme_queue *q, unsigned polls, uint64_t deadline)
{
	if (q->irq >= 0) {
		int64_t came = udev_irq_wait(q->irq, 1000);

		if (came)
			return came < 0 ? (int)came : 1;
	} else if (polls % 4096) {
		return 1;
	}
	if (udev_read32(q->nvme->regs, CSTS) & CSTS_FATAL)
		return -EIO; /* all ones, from a device that is gone, too */
	return udev_now_ns() > deadline ? -ETIMEDOUT : 0;
}

static int wait_result(
	struct nvme_queue *q, struct nvme_done *out, uint32_t *out_result)
{
	uint64_t deadline = udev_now_ns() + COMMAND_TIMEOUT_NS;
	int err = take(q, out, out_result);

	for (unsigned polls = 1; err == -EAGAIN; polls++) {
		int came = pause_for(q, polls, deadline);

		if (came < 0)
			return came;
		err = take(q, out, out_result);
		if (!err && !came && q->irq >= 0)
			check_interrupt(q);
	}
	return err;
}

int nvme_wait(struct nvme_queue *q, struct nvme_done *out)
{
	uint32_t result;

	return wait_result(q, out, &result);
}

/* ------------------------------------------------------- admin and start-up */

static int admin(struct nvme *n, struct nvme_command *c, void *buffer,
	uint32_t *out_result)
{
	struct nvme_done done;
	uint32_t result = 0;
	int err = put(&n->admin, c, buffer, buffer ? UDEV_PAGE : 0, NULL);

	if (!err)
		err = wait_result(&n->admin, &done, &result);
	if (out_result)
		*out_result = result;
	return err ? err : done.status ? -EIO : 0;
}

/* Text in a fixed field, filled up with blanks. */
static void copy_text(char *out, const uint8_t *from, size_t size)
{
	memcpy(out, from, size);
	out[size] = '\0';
	while (size && out[size - 1] == ' ')
		out[--size] = '\0';
}

/* 5.15: the controller, then namespace 1. */
static int identify(struct nvme *n)
{
	struct nvme_command c = {.opcode = IDENTIFY, .dword = {1}};
	uint8_t *page = udev_alloc(UDEV_PAGE), *format;
	int err = page ? admin(n, &c, page, NULL) : -ENOMEM;

	if (err)
		goto out;
	copy_text(n->serial, page + 4, 20);
	copy_text(n->model, page + 24, 40);
	copy_text(n->firmware, page + 64, 8);
	n->max_transfer = MAX_TRANSFER;
	if (page[77] && page[77] < 8) /* MDTS, in pages, a power of two */
		n->max_transfer = (size_t)UDEV_PAGE << page[77];

	c = (struct nvme_command){.opcode = IDENTIFY, .namespace = 1};
	err = admin(n, &c, page, NULL);
	if (err)
		goto out;
	memcpy(&n->blocks, page, 8);
	format = page + 128 + 4 * (page[26] & 0xf);
	if (format[2] < 9 || format[2] > 16 || format[0] || format[1]) {
		err = -ENOTSUP; /* blocks of 512 bytes to 64 KiB, no metadata */
		goto out;
	}
	n->block_size = 1u << format[2];
out:
	free(page);
	return err;
}

static int create_queue(struct nvme *n, unsigned id, unsigned entries)
{
	struct nvme_queue *q = &n->queue[id - 1];
	unsigned vector = n->interrupts ? id : 0;
	uint32_t size = (entries - 1) << 16 | id;
	struct nvme_command c = {.opcode = CREATE_CQ,
		.dword = {size,
			vector << 16 | CONTIGUOUS |
				(n->interrupts ? CQ_INTERRUPT : 0)}};
	int err = alloc_queue(n, q, id, entries);

	c.prp1 = (uintptr_t)q->cq;
	if (!err)
		err = admin(n, &c, NULL, NULL);
	if (err)
		return err;
	c = (struct nvme_command){.opcode = CREATE_SQ,
		.prp1 = (uintptr_t)q->sq,
		.dword = {size, id << 16 | CONTIGUOUS}};
	err = admin(n, &c, NULL, NULL);
	if (err || !n->interrupts)
		return err;
	q->irq = udev_irq_open(&n->device, vector);
	return q->irq < 0 ? q->irq : 0;
}

static int create_queues(struct nvme *n, unsigned queues, unsigned entries)
{
	struct nvme_command c = {.opcode = SET_FEATURES,
		.dword = {FEATURE_QUEUES, (queues - 1) << 16 | (queues - 1)}};
	uint32_t given;
	int err = admin(n, &c, NULL, &given);

	if (err)
		return err;
	n->queue_limit = 1 + (given & 0xffff);
	if ((given >> 16) + 1 < n->queue_limit)
		n->queue_limit = 1 + (given >> 16);
	if (queues > n->queue_limit)
		return -ENOSPC;
	for (unsigned i = 0; i < queues; i++) {
		err = create_queue(n, i + 1, entries);
		if (err)
			return err;
		n->queues++;
	}
	return 0;
}

/* 7.6.1 */
static int enable(struct nvme *n)
{
	uint64_t cap = udev_read64(n->regs, CAP);
	int err;

	if (cap == ~0ull || (cap >> 48 & 0xf) != 0)
		return -ENOTSUP; /* its smallest page is larger than ours */
	n->max_entries = (unsigned)(cap & 0xffff) + 1;
	n->ready_timeout_ns = (cap >> 24 & 0xff) * SECOND_NS / 2 + SECOND_NS;
	n->doorbell_stride = 4u << (cap >> 32 & 0xf);
	udev_write32(n->regs, CC, 0);
	err = wait_status(n, CSTS_READY, 0);
	if (!err)
		err = alloc_queue(n, &n->admin, 0, ADMIN_ENTRIES);
	if (err)
		return err;
	udev_write32(
		n->regs, AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
	udev_write64(n->regs, ASQ, (uintptr_t)n->admin.sq);
	udev_write64(n->regs, ACQ, (uintptr_t)n->admin.cq);
	udev_write32(n->regs, CC, CC_ENABLE | CC_ENTRY_SIZES);
	return wait_status(n, CSTS_READY, CSTS_READY);
}

int nvme_start(struct nvme *n, const struct udev *d, unsigned queues,
	unsigned entries, int interrupts)
{
	int err = 0;

	*n = (struct nvme){.device = *d, .interrupts = interrupts};
	n->admin.irq = -1;
	n->regs = udev_map(d, 0, NULL);
	if (!n->regs)
		return -errno;
	/* Vector 0 is the admin queue's, which is polled. */
	if (interrupts)
		err = udev_ctl(d, "msix %u", queues + 1);
	if (!err)
		err = enable(n);
	if (!err)
		err = identify(n);
	if (!err &&
		(entries < 2 || entries > n->max_entries || !queues ||
			queues > NVME_MAX_QUEUES))
		err = -EINVAL;
	return err ? err : create_queues(n, queues, entries);
}

int nvme_stop(struct nvme *n)
{
	int err;

	udev_write32(n->regs, CC, CC_ENABLE | CC_ENTRY_SIZES | CC_SHUTDOWN);
	err = wait_status(n, CSTS_SHUTDOWN_MASK, CSTS_SHUTDOWN_DONE);
	udev_write32(n->regs, CC, 0);
	if (!err)
		err = wait_status(n, CSTS_READY, 0);
	if (err)
		return err; /* it may still look at its queues: keep them */
	free_queue(&n->admin);
	for (unsigned i = 0; i < n->queues; i++)
		free_queue(&n->queue[i]);
	return 0;
}

/* --------------------------------------------------------------- transfers */

/* Wait until a queue has nothing in flight. */
static int drain(struct nvme_queue *q)
{
	struct nvme_done done;
	int result = 0;

	while (q->in_flight) {
		int err = nvme_wait(q, &done);

		if (err)
			return err;
		if (done.status)
			result = -EIO;
	}
	return result;
}

int nvme_transfer(struct nvme *n, enum nvme_opcode opcode, uint64_t block,
	size_t size, void *buffer)
{
	int result = 0;
	unsigned turn = 0;

	if (size % n->block_size)
		return -EINVAL;
	for (size_t at = 0; at < size && !result; turn++) {
		struct nvme_queue *q = &n->queue[turn % n->queues];
		size_t piece = size - at;
		struct nvme_done done;

		if (piece > n->max_transfer)
			piece = n->max_transfer;
		result = nvme_submit(q, opcode, block + at / n->block_size,
			(unsigned)(piece / n->block_size), (char *)buffer + at,
			NULL);
		if (result == -EAGAIN) {
			result = nvme_wait(q, &done);
			if (!result && done.status)
				result = -EIO;
		} else {
			at += piece;
		}
	}
	/* Even after an error: the buffer is the caller's again only then. */
	for (unsigned i = 0; i < n->queues; i++) {
		int err = drain(&n->queue[i]);

		result = result ? result : err;
	}
	return result;
}

int nvme_flush(struct nvme *n)
{
	struct nvme_queue *q = &n->queue[0];
	struct nvme_done done;
	int err = nvme_submit(q, NVME_FLUSH, 0, 0, NULL, NULL);

	if (!err)
		err = nvme_wait(q, &done);
	return err ? err : done.status ? -EIO : 0;
}
