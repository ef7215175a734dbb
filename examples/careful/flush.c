/* SPDX-License-Identifier: MIT */
/*
 * The careful driver: flushes, by registers or through the queue.
 *
 * By registers a flush is done when its function returns. Through the queue it
 * is done when the wait after it is (VT-d 6.5.2.8): whoever flushes calls
 * flush_wait() before relying on it, which is right in both cases.
 */
#include "unit.h"

enum {
	SLOTS = 256, /* of 16 bytes, in one page */
	Q_CONTEXT = 1,
	Q_IOTLB = 2,
	Q_DEVICE = 3,
	Q_IRQ = 4,
	Q_WAIT = 5,
};

/* ---- the queue ---- */

bool queue_start(struct careful_unit *u)
{
	u->first = u->tail = 0;
	set64(u, IQT, 0);
	set64(u, IQA, u->queue);
	u->queue_on = command(u, QIE, true);
	return u->queue_on;
}

/* The queue may be an earlier owner's. */
bool queue_stop(struct careful_unit *u)
{
	uint64_t end = os_now() + SECOND;

	if (u->queue_on && flush_wait(u))
		return false;
	while (get64(u, IQH) != get64(u, IQT) && os_now() < end)
		;
	u->queue_on = false;
	return command(u, QIE, false);
}

static void push(struct careful_unit *u, uint64_t low, uint64_t high)
{
	uint64_t *slot = os_memory(u->queue + u->tail * 16);

	slot[0] = low;
	slot[1] = high;
	u->tail = (u->tail + 1) % SLOTS;
}

static void ring(struct careful_unit *u)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	set64(u, IQT, u->tail * 16);
}

/* The unit gave up a device that does not answer, and dropped what was queued
 * behind: that goes in again, without what the device would have to answer. */
static void push_again(struct careful_unit *u)
{
	unsigned first = u->first, last = u->tail;

	u->first = u->tail;
	for (; first != last; first = (first + 1) % SLOTS) {
		uint64_t *slot = os_memory(u->queue + first * 16);

		if ((slot[0] & 15) != Q_DEVICE)
			push(u, slot[0], slot[1]);
	}
	set32(u, FSTS, ITE);
	ring(u);
}

int flush_wait(struct careful_unit *u)
{
	volatile uint32_t *word;
	uint64_t end;
	bool lost = false;

	if (!u->queued || u->dead)
		return u->dead ? -1 : 0;
	word = os_memory(u->status);
	*word = 0;
	u->ticket = u->ticket == UINT32_MAX ? 1 : u->ticket + 1;
	push(u, Q_WAIT | 1 << 5 | (uint64_t)u->ticket << 32, u->status);
	ring(u);
	for (end = os_now() + SECOND; *word != u->ticket;) {
		uint32_t status = get32(u, FSTS);

		if (status & ITE && !lost) {
			lost = true;
			push_again(u);
		}
		if (status & ICE)
			set32(u, FSTS, ICE);
		if (status & IQE || os_now() > end) {
			u->dead = true;
			return -1;
		}
	}
	u->first = u->tail;
	return lost ? -1 : 0;
}

/* ---- what is flushed ---- */

static void register_contexts(struct careful_unit *u, uint64_t command)
{
	set64(u, CCMD, 1ull << 63 | command);
	await(u, CCMD + 4, 1u << 31, 0);
}

static void register_iotlb(struct careful_unit *u, uint64_t command)
{
	uint64_t kept = get64(u, u->iotlb + 8) & 0xffffffff;

	set64(u, u->iotlb + 8, 1ull << 63 | command | kept);
	await(u, u->iotlb + 12, 1u << 31, 0);
}

void flush_contexts(
	struct careful_unit *u, enum scope scope, uint16_t did, uint16_t bdf)
{
	if (u->queued)
		push(u,
			Q_CONTEXT | scope << 4 | (uint64_t)did << 16 |
				(uint64_t)bdf << 32,
			0);
	else
		register_contexts(
			u, (uint64_t)scope << 61 | (uint64_t)bdf << 16 | did);
}

/* Reads and writes in flight are waited for, where the unit can. */
void flush_iotlb(struct careful_unit *u, enum scope scope, uint16_t did)
{
	if (u->queued)
		push(u,
			Q_IOTLB | scope << 4 | CAP_DWD(u) << 6 |
				CAP_DRD(u) << 7 | (uint64_t)did << 16,
			0);
	else
		register_iotlb(u,
			(uint64_t)scope << 60 | CAP_DRD(u) << 49 |
				CAP_DWD(u) << 48 | (uint64_t)did << 32);
}

/* The range of a device TLB flush is a power of two, and its lowest 0 bit says
 * which (VT-d 6.5.2.5); all of the address space has that bit at the top. */
void flush_device(
	struct careful_unit *u, uint16_t bdf, uint64_t first, uint64_t last)
{
	unsigned order = 12;

	while (order < 64 && first >> order != last >> order)
		order++;
	first = order < 64 ? first >> order << order : 0;
	if (order > 12)
		first |= ((1ull << (order - 1)) - 1) & ~0xfffull;
	push(u, Q_DEVICE | (uint64_t)bdf << 32, first | (order > 12));
}

/* One entry, or all with -1. */
void flush_irqs(struct careful_unit *u, int index)
{
	if (index < 0)
		push(u, Q_IRQ, 0);
	else
		push(u, Q_IRQ | 1 << 4 | (uint64_t)index << 32, 0);
}
