/* SPDX-License-Identifier: MIT */
/*
 * Intel's 8254x ("e1000") and 8257x ("e1000e"), by what both have in common:
 * one ring each way, of legacy descriptors. Chapters are those of the 8254x
 * software developer's manual. The e1000 has no message interrupts, so it is
 * polled; the e1000e sends an MSI.
 */
#include "card.h"

/* 13.4 */
#define CTRL 0x0000
#define STATUS 0x0008
#define ICR 0x00c0
#define IMS 0x00d0
#define IMC 0x00d8
#define RCTL 0x0100
#define TCTL 0x0400
#define TIPG 0x0410
#define RX_RING 0x2800
#define TX_RING 0x3800
#define RING_LENGTH 0x08
#define RING_HEAD 0x10
#define RING_TAIL 0x18
#define MULTICAST 0x5200
#define ADDRESS_LOW 0x5400
#define ADDRESS_HIGH 0x5404

#define CTRL_LINK_UP (1u << 6)
#define CTRL_AUTO_SPEED (1u << 5)
#define CTRL_RESET (1u << 26)
#define STATUS_LINK_UP 2u
#define RCTL_ON (1u << 1 | 1u << 15 | 1u << 26) /* broadcast, strip CRC */
#define TCTL_ON (1u << 1 | 1u << 3 | 0x10u << 4 | 0x40u << 12)
#define TIPG_DEFAULT (10u | 8u << 10 | 6u << 20)
#define INTERRUPT_RECEIVE (1u << 7 | 1u << 6 | 1u << 4)

#define DESCRIPTOR_DONE 1u
#define TX_WHOLE_FRAME (1u | 2u | 8u) /* end, add the CRC, report */

#define RING 64u
#define BUFFER 2048u
#define SECOND_NS 1000000000ull

/* 3.2.3 and 3.3.3; `option` is the checksum's place and the command. */
struct descriptor {
	uint64_t address;
	uint16_t length;
	uint16_t option;
	uint8_t status, errors;
	uint16_t special;
};

struct e1000 {
	volatile void *regs;
	volatile struct descriptor *rx, *tx;
	char *rx_buffers, *tx_buffers;
	unsigned rx_next, tx_next;
};

/* Wait until a register has a bit, or has it no more. */
static int wait_bit(struct e1000 *e, size_t reg, uint32_t bit, int set)
{
	uint64_t deadline = udev_now_ns() + 5 * SECOND_NS;

	while (!(udev_read32(e->regs, reg) & bit) == !!set)
		if (udev_now_ns() > deadline)
			return -ETIMEDOUT;
	return 0;
}

static int alloc(struct e1000 *e)
{
	e->rx = udev_alloc(RING * sizeof(*e->rx));
	e->tx = udev_alloc(RING * sizeof(*e->tx));
	e->rx_buffers = malloc(RING * BUFFER);
	e->tx_buffers = malloc(RING * BUFFER);
	if (!e->rx || !e->tx || !e->rx_buffers || !e->tx_buffers)
		return -ENOMEM;
	for (unsigned i = 0; i < RING; i++) {
		e->rx[i].address = (uintptr_t)(e->rx_buffers + i * BUFFER);
		e->tx[i].address = (uintptr_t)(e->tx_buffers + i * BUFFER);
		e->tx[i].status = DESCRIPTOR_DONE;
	}
	return 0;
}

static void set_ring(
	struct e1000 *e, size_t at, volatile void *ring, unsigned tail)
{
	udev_write32(e->regs, at, (uint32_t)(uintptr_t)ring);
	udev_write32(e->regs, at + 4, (uint32_t)((uintptr_t)ring >> 32));
	udev_write32(
		e->regs, at + RING_LENGTH, RING * sizeof(struct descriptor));
	udev_write32(e->regs, at + RING_HEAD, 0);
	udev_write32(e->regs, at + RING_TAIL, tail);
}

static void read_address(struct card *c, struct e1000 *e)
{
	uint32_t low = udev_read32(e->regs, ADDRESS_LOW);
	uint32_t high = udev_read32(e->regs, ADDRESS_HIGH);

	for (unsigned i = 0; i < 4; i++)
		c->mac[i] = (uint8_t)(low >> 8 * i);
	c->mac[4] = (uint8_t)high;
	c->mac[5] = (uint8_t)(high >> 8);
}

/* 14.3 to 14.5. The hand-over did not reset a device that has no such way, so
 * it is reset by its own register. */
static int initialise(struct e1000 *e)
{
	int err;

	udev_write32(e->regs, IMC, ~0u);
	udev_write32(e->regs, CTRL, CTRL_RESET);
	err = wait_bit(e, CTRL, CTRL_RESET, 0);
	if (err)
		return err;
	udev_write32(e->regs, IMC, ~0u);
	(void)udev_read32(e->regs, ICR);
	udev_write32(e->regs, CTRL, CTRL_LINK_UP | CTRL_AUTO_SPEED);
	for (size_t i = 0; i < 128; i++)
		udev_write32(e->regs, MULTICAST + 4 * i, 0);
	set_ring(e, RX_RING, e->rx, RING - 1);
	set_ring(e, TX_RING, e->tx, 0);
	udev_write32(e->regs, TIPG, TIPG_DEFAULT);
	udev_write32(e->regs, TCTL, TCTL_ON);
	udev_write32(e->regs, RCTL, RCTL_ON);
	return wait_bit(e, STATUS, STATUS_LINK_UP, 1);
}

static int start(struct card *c)
{
	struct e1000 *e = c->state = calloc(1, sizeof(*e));
	int err = e ? alloc(e) : -ENOMEM;

	if (err)
		return err;
	e->regs = udev_map(&c->device, 0, NULL);
	if (!e->regs)
		return -errno;
	c->irq = -1;
	if (udev_capability(&c->device, 0x05, 0)) {
		err = udev_ctl(&c->device, "msi 1");
		c->irq = err ? err : udev_irq_open(&c->device, 0);
		if (c->irq < 0)
			return c->irq;
	}
	err = initialise(e);
	if (!err)
		read_address(c, e);
	if (!err && c->irq >= 0)
		udev_write32(e->regs, IMS, INTERRUPT_RECEIVE);
	return err;
}

static int send_frame(struct card *c, const void *frame, size_t size)
{
	struct e1000 *e = c->state;
	volatile struct descriptor *d = &e->tx[e->tx_next];

	if (size > CARD_FRAME_MAX)
		return -EMSGSIZE;
	if (!(d->status & DESCRIPTOR_DONE))
		return -EAGAIN;
	memcpy(e->tx_buffers + e->tx_next * BUFFER, frame, size);
	d->status = 0;
	d->length = (uint16_t)size;
	d->option = TX_WHOLE_FRAME << 8;
	e->tx_next = (e->tx_next + 1) % RING;
	udev_write32(e->regs, TX_RING + RING_TAIL, e->tx_next);
	return 0;
}

/* Frames longer than a buffer are not enabled, so each is whole. What the card
 * says of the length is believed only as far as the buffer goes. */
static const void *receive(struct card *c, size_t *out_size)
{
	struct e1000 *e = c->state;
	volatile struct descriptor *d = &e->rx[e->rx_next];

	if (!(__atomic_load_n(&d->status, __ATOMIC_ACQUIRE) & DESCRIPTOR_DONE))
		return NULL;
	*out_size = d->errors || d->length > BUFFER ? 0 : d->length;
	return e->rx_buffers + e->rx_next * BUFFER;
}

static void release(struct card *c)
{
	struct e1000 *e = c->state;
	unsigned mine = e->rx_next;

	e->rx[mine].status = 0;
	e->rx_next = (mine + 1) % RING;
	udev_write32(e->regs, RX_RING + RING_TAIL, mine);
}

static void arm(struct card *c)
{
	struct e1000 *e = c->state;

	udev_write32(e->regs, ICR, udev_read32(e->regs, ICR));
}

const struct card_driver e1000_driver = {
	.name = "e1000",
	.vendor = 0x8086,
	.devices = {0x100e, 0x100f, 0x10d3},
	.start = start,
	.send = send_frame,
	.receive = receive,
	.release = release,
	.arm = arm,
};
