/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller (NVM Express 1.4) in the hands of one process.
 *
 * A queue belongs to one thread at a time; nothing here takes a lock. Buffers
 * are plain pointers, aligned to 4 bytes, and may lie anywhere in the process.
 * Functions return 0 (or what they were asked for) or a negative errno: -EIO a
 * command failed or the controller did, -ETIMEDOUT it does not answer, -EAGAIN
 * the queue is full (submit) or holds nothing new (reap).
 */
#ifndef UNVME_NVME_H
#define UNVME_NVME_H

#include "udev.h"

enum nvme_opcode {
	NVME_FLUSH = 0,
	NVME_WRITE = 1,
	NVME_READ = 2
};

/* A submission queue entry, 4.2. */
struct nvme_command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t namespace;
	uint64_t reserved, metadata;
	uint64_t prp1, prp2; /* 4.3: where the data lies, page by page */
	uint32_t dword[6];   /* 10 to 15 */
};

/* A completion queue entry, 4.6. */
struct nvme_completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, id;
	uint16_t status; /* bit 0: the phase; 11:9 type, 8:1 code */
};

/* What is remembered of a command in flight; its index is the command's id. */
struct nvme_request {
	uint64_t *prp_list; /* one page */
	void *context;
	unsigned next_free;
};

struct nvme_queue {
	struct nvme *nvme;
	struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	struct nvme_request *requests;
	unsigned id, entries, tail, head, in_flight, free;
	uint16_t phase;
	int irq;         /* -1: polled */
	unsigned missed; /* completions that no interrupt announced */
};

#define NVME_MAX_QUEUES 16

struct nvme {
	struct udev device;
	volatile void *regs;
	unsigned doorbell_stride;
	uint64_t ready_timeout_ns;
	unsigned max_entries;
	unsigned queue_limit; /* how many the controller gives */
	unsigned queues;      /* how many there are, without the admin one */
	int interrupts;
	struct nvme_queue admin, queue[NVME_MAX_QUEUES];

	char model[41], serial[21], firmware[9];
	uint64_t blocks; /* of namespace 1 */
	unsigned block_size;
	size_t max_transfer;
};

/* A command that ended. */
struct nvme_done {
	void *context;
	unsigned status; /* 0: success, else type << 8 | code */
};

/* Bring up the controller of a device that is attached, with `queues` pairs of
 * `entries` each; with `interrupts`, each has an MSI-X vector of its own. */
int nvme_start(struct nvme *n, const struct udev *d, unsigned queues,
	unsigned entries, int interrupts);

/* Let it write out what it holds and stop. */
int nvme_stop(struct nvme *n);

/* Start a read, write or flush of blocks; at most max_transfer bytes. */
int nvme_submit(struct nvme_queue *q, enum nvme_opcode opcode, uint64_t block,
	unsigned count, void *buffer, void *context);

/* The next command that ended, in whatever order they end. */
int nvme_reap(struct nvme_queue *q, struct nvme_done *out);

/* The same, waiting for it: by looking all the time, or for the interrupt. */
int nvme_wait(struct nvme_queue *q, struct nvme_done *out);

/* Any number of bytes, in pieces over all queues at once. */
int nvme_transfer(struct nvme *n, enum nvme_opcode opcode, uint64_t block,
	size_t size, void *buffer);
int nvme_flush(struct nvme *n);

#endif
