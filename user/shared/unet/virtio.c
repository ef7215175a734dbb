/* SPDX-License-Identifier: MIT */
/*
 * virtio-net as virtio 1.1 describes it, and only behind the I/O MMU: a device
 * that does not offer ACCESS_PLATFORM would use addresses of its own, and is
 * refused. Two split rings; buffers stay where they are, one for each entry.
 */
#include "card.h"

/* 4.1.4: structures in BARs, told by capabilities of the vendor's kind. */
enum structure {
	COMMON = 1,
	NOTIFY = 2,
	DEVICE = 4,
	STRUCTURES
};

/* 4.1.4.3 */
#define FEATURE_SELECT 0x00
#define FEATURE 0x04
#define ACCEPT_SELECT 0x08
#define ACCEPT 0x0c
#define CONFIG_VECTOR 0x10
#define STATUS 0x14
#define QUEUE_SELECT 0x16
#define QUEUE_SIZE 0x18
#define QUEUE_VECTOR 0x1a
#define QUEUE_ENABLE 0x1c
#define QUEUE_NOTIFY 0x1e
#define QUEUE_DESCRIPTORS 0x20
#define QUEUE_AVAILABLE 0x28
#define QUEUE_USED 0x30
#define NO_VECTOR 0xffff

/* 2.1 */
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8

/* Feature bits: 5.1.3 and 6. */
#define HAS_MAC (1ull << 5)
#define VERSION_1 (1ull << 32)
#define ACCESS_PLATFORM (1ull << 33)

#define DEVICE_WRITES 2u
#define NO_INTERRUPT 1u
#define HEADER 12u /* 5.1.6 */
#define RING 64u
#define BUFFER 2048u
#define RECEIVE_QUEUE 0
#define SEND_QUEUE 1

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct available {
	uint16_t flags, index, ring[RING];
};

struct used {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} ring[RING];
};

struct queue {
	struct descriptor *descriptors;
	volatile struct available *available;
	volatile struct used *used;
	char *buffers; /* RING of them, BUFFER each */
	uint16_t next, seen;
	volatile void *notify;
	uint16_t number;
};

struct virtio {
	volatile char *structures[STRUCTURES];
	uint32_t notify_multiplier, notify_size;
	struct queue queues[2];
};

/* What the device says of a structure is checked against the BAR's size. */
static volatile char *map_structure(struct card *c, unsigned at, size_t needed)
{
	unsigned bar = udev_config_read(&c->device, at + 4, 1);
	uint32_t offset = udev_config_read(&c->device, at + 8, 4);
	volatile char *base;
	size_t size;

	base = bar < 6 ? udev_map(&c->device, bar, &size) : NULL;
	return base && offset <= size && needed <= size - offset ? base + offset
								 : NULL;
}

static int find_structures(struct card *c, struct virtio *v)
{
	static const size_t needed[STRUCTURES] = {
		[COMMON] = 0x38, [NOTIFY] = 2, [DEVICE] = 6};
	unsigned at;

	for (unsigned n = 0; (at = udev_capability(&c->device, 0x09, n)); n++) {
		unsigned kind = udev_config_read(&c->device, at + 3, 1);

		if (kind >= STRUCTURES || !needed[kind] || v->structures[kind])
			continue;
		if (kind == NOTIFY) {
			v->notify_multiplier =
				udev_config_read(&c->device, at + 16, 4);
			v->notify_size =
				udev_config_read(&c->device, at + 12, 4);
		}
		v->structures[kind] = map_structure(
			c, at, kind == NOTIFY ? v->notify_size : needed[kind]);
		if (!v->structures[kind])
			return -ENOTSUP;
	}
	return v->structures[COMMON] && v->structures[NOTIFY] &&
			v->structures[DEVICE]
		? 0
		: -ENOTSUP;
}

static uint64_t features(volatile void *common)
{
	uint64_t low;

	udev_write32(common, FEATURE_SELECT, 0);
	low = udev_read32(common, FEATURE);
	udev_write32(common, FEATURE_SELECT, 1);
	return (uint64_t)udev_read32(common, FEATURE) << 32 | low;
}

/* 3.1.1, up to the queues */
static int negotiate(volatile void *common)
{
	const uint64_t wanted = HAS_MAC | VERSION_1 | ACCESS_PLATFORM;
	uint64_t deadline = udev_now_ns() + 1000000000ull;

	udev_write8(common, STATUS, 0);
	while (udev_read8(common, STATUS) != 0)
		if (udev_now_ns() > deadline)
			return -ETIMEDOUT;
	udev_write8(common, STATUS, STATUS_ACKNOWLEDGE);
	udev_write8(common, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	if ((features(common) & wanted) != wanted)
		return -ENOTSUP;
	udev_write32(common, ACCEPT_SELECT, 0);
	udev_write32(common, ACCEPT, (uint32_t)wanted);
	udev_write32(common, ACCEPT_SELECT, 1);
	udev_write32(common, ACCEPT, (uint32_t)(wanted >> 32));
	udev_write8(common, STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return udev_read8(common, STATUS) & STATUS_FEATURES_OK ? 0 : -ENOTSUP;
}

static int alloc_queue(struct queue *q)
{
	q->descriptors = udev_alloc(RING * sizeof(*q->descriptors));
	q->available = udev_alloc(sizeof(*q->available));
	q->used = udev_alloc(sizeof(*q->used));
	q->buffers = malloc(RING * BUFFER);
	if (!q->descriptors || !q->available || !q->used || !q->buffers)
		return -ENOMEM;
	for (unsigned i = 0; i < RING; i++)
		q->descriptors[i].address =
			(uintptr_t)(q->buffers + i * BUFFER);
	return 0;
}

/* 4.1.5.1.3 */
static int set_queue(struct virtio *v, unsigned number, unsigned vector)
{
	volatile void *common = v->structures[COMMON];
	struct queue *q = &v->queues[number];
	uint64_t notify;
	int err = alloc_queue(q);

	if (err)
		return err;
	udev_write16(common, QUEUE_SELECT, (uint16_t)number);
	if (udev_read16(common, QUEUE_SIZE) < RING)
		return -ENOTSUP;
	udev_write16(common, QUEUE_SIZE, RING);
	udev_write64(common, QUEUE_DESCRIPTORS, (uintptr_t)q->descriptors);
	udev_write64(common, QUEUE_AVAILABLE, (uintptr_t)q->available);
	udev_write64(common, QUEUE_USED, (uintptr_t)q->used);
	udev_write16(common, QUEUE_VECTOR, (uint16_t)vector);
	if (udev_read16(common, QUEUE_VECTOR) != vector)
		return -ENOSPC;
	q->number = (uint16_t)number;
	notify = (uint64_t)udev_read16(common, QUEUE_NOTIFY) *
		v->notify_multiplier;
	if (notify + 2 > v->notify_size)
		return -ENOTSUP;
	q->notify = v->structures[NOTIFY] + notify;
	udev_write16(common, QUEUE_ENABLE, 1);
	return 0;
}

/* Make entry `id` available to the device, and say so. */
static void give(struct queue *q, uint16_t id)
{
	q->available->ring[q->next % RING] = id;
	__atomic_store_n(&q->available->index, ++q->next, __ATOMIC_RELEASE);
}

static void notify(struct queue *q)
{
	/* The index must be seen before the device is asked to look. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	udev_write16(q->notify, 0, q->number);
}

static int start(struct card *c)
{
	struct virtio *v = c->state = calloc(1, sizeof(*v));
	volatile char *common;
	int err = v ? find_structures(c, v) : -ENOMEM;

	if (err)
		return err;
	common = v->structures[COMMON];
	err = negotiate(common);
	if (!err)
		err = udev_ctl(&c->device, "msix 1");
	if (err)
		return err;
	c->irq = udev_irq_open(&c->device, 0);
	if (c->irq < 0)
		return c->irq;
	udev_write16(common, CONFIG_VECTOR, NO_VECTOR);
	err = set_queue(v, RECEIVE_QUEUE, 0);
	if (!err)
		err = set_queue(v, SEND_QUEUE, NO_VECTOR);
	if (err)
		return err;
	for (unsigned i = 0; i < 6; i++)
		c->mac[i] = udev_read8(v->structures[DEVICE], i);
	v->queues[SEND_QUEUE].available->flags = NO_INTERRUPT;
	for (uint16_t i = 0; i < RING; i++) {
		v->queues[RECEIVE_QUEUE].descriptors[i].length = BUFFER;
		v->queues[RECEIVE_QUEUE].descriptors[i].flags = DEVICE_WRITES;
		give(&v->queues[RECEIVE_QUEUE], i);
	}
	udev_write8(common, STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK |
			STATUS_DRIVER_OK);
	notify(&v->queues[RECEIVE_QUEUE]);
	return 0;
}

/* Entries are used in order and come back in any; as each frame is one entry,
 * it is enough that as many came back. */
static int send_frame(struct card *c, const void *frame, size_t size)
{
	struct virtio *v = c->state;
	struct queue *q = &v->queues[SEND_QUEUE];
	uint16_t id = q->next % RING;
	char *buffer = q->buffers + id * BUFFER;

	if (size > CARD_FRAME_MAX)
		return -EMSGSIZE;
	if ((uint16_t)(q->next -
		    __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE)) >= RING)
		return -EAGAIN;
	memset(buffer, 0, HEADER);
	memcpy(buffer + HEADER, frame, size);
	q->descriptors[id].length = (uint32_t)(HEADER + size);
	give(q, id);
	notify(q);
	return 0;
}

static const void *receive(struct card *c, size_t *out_size)
{
	struct virtio *v = c->state;
	struct queue *q = &v->queues[RECEIVE_QUEUE];
	uint32_t id, length;

	if (__atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE) == q->seen)
		return NULL;
	id = q->used->ring[q->seen % RING].id % RING;
	length = q->used->ring[q->seen % RING].length;
	*out_size = length > HEADER && length <= BUFFER ? length - HEADER : 0;
	return q->buffers + id * BUFFER + HEADER;
}

static void release(struct card *c)
{
	struct virtio *v = c->state;
	struct queue *q = &v->queues[RECEIVE_QUEUE];

	give(q, (uint16_t)(q->used->ring[q->seen % RING].id % RING));
	q->seen++;
	notify(q);
}

static void arm(struct card *c)
{
	(void)c;
}

const struct card_driver virtio_driver = {
	.name = "virtio-net",
	.vendor = 0x1af4,
	.devices = {0x1041, 0x1000},
	.start = start,
	.send = send_frame,
	.receive = receive,
	.release = release,
	.arm = arm,
};
