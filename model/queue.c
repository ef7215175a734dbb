/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue (VT-d 6.5.2). Descriptors are fetched one by one and
 * kept; what was fetched is carried out at the latest moment allowed, when a
 * wait descriptor needs it. So head==tail says nothing about completion.
 *
 * Two-step life: the doorbell takes a copy of the new slots (hardware may
 * have prefetched them); fetching validates, advances the head and appends to
 * `fetched`; a wait runs everything fetched, awaits device-TLB answers, then
 * writes its status and stays the last completed descriptor.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/* VT-d leaves the limit to the platform; longer than a PCIe completion. */
#define DEVTLB_TIMEOUT_NS 50000000ull

static uint64_t queue_bytes(const struct unit *u)
{
	return (uint64_t)MODEL_PAGE << bits(u->r[R_IQA], 2, 0);
}

static uint64_t queue_base(const struct unit *u)
{
	return u->r[R_IQA] & ~0xfffull & u->haw_mask;
}

void queue_reset(struct unit *u)
{
	u->fetched_count = 0;
	u->wait_pending = u->last_was_wait = false;
	u->queue_due = u->wait_due = u->devtlb_due = u->devtlb_timeout = 0;
	u->queue_stopped = false;
	u->tail_seen = 0;
}

void queue_enable(struct unit *u)
{
	if (u->r[R_IQT])
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
			"queue enabled with the tail at %#llx",
			(unsigned long long)u->r[R_IQT]);
	if (u->cc_due || u->iotlb_due)
		blame(u->m, u, MODEL_V_MIXED, "6.5.2",
			"queue enabled while a register flush is in flight");
	if (!ram_has(u->m, queue_base(u), queue_bytes(u)))
		blame(u->m, u, MODEL_V_ADDRESS, "11.4.9.3",
			"the queue at %#llx is not memory",
			(unsigned long long)queue_base(u));
	if (u->r[R_IQA] & BIT(11))
		blame(u->m, u, MODEL_V_UNSUPPORTED, "11.4.9.3",
			"256-bit descriptors in legacy mode");
	queue_reset(u);
	u->r[R_IQH] = 0;
	u->r[R_GSTS] |= G_QIE;
}

bool queue_disable(struct unit *u)
{
	bool quiet = u->r[R_IQH] == u->r[R_IQT] && !u->fetched_count &&
		!u->wait_pending;

	if (!quiet || !u->last_was_wait) {
		blame(u->m, u, MODEL_V_COMMAND, "6.5.2",
			"queue disabled while %s",
			quiet ? "the last descriptor was not a wait"
			      : "descriptors are pending");
		if (!quiet || (u->quirks & MODEL_QUIRK_QIE_STICKS))
			return false;
	}
	u->r[R_GSTS] &= ~G_QIE;
	u->r[R_IQH] = 0;
	queue_reset(u);
	return true;
}

/* After an error some units fetch again when it is cleared, others with the
 * next write to the tail (VT-d 6.5.2.10 leaves it open). */
static void stop_fetching(struct unit *u)
{
	u->queue_stopped = u->m->mode == MODEL_LAZY ||
		(u->m->mode == MODEL_RANDOM && chance(u->m, 2));
}

static void queue_error(struct unit *u, unsigned iqei)
{
	blame(u->m, u, MODEL_V_QUEUE, "6.5.2.10",
		"queue error %u at head %#llx", iqei,
		(unsigned long long)u->r[R_IQH]);
	u->r[R_IQERCD] = (u->r[R_IQERCD] & ~15ull) | iqei;
	fault_status(u, FSTS_IQE);
	stop_fetching(u);
}

/* ---- doorbell ----------------------------------------------------------- */

static void take_snapshot(struct unit *u, uint64_t from, uint64_t to)
{
	uint64_t base = queue_base(u), size = queue_bytes(u);
	unsigned slots = (unsigned)(size / 16);

	if (u->snapshot_room < slots) {
		struct desc *d = realloc(u->snapshot, slots * sizeof *d);

		if (!d)
			return;
		u->snapshot = d;
		u->snapshot_room = slots;
	}
	for (uint64_t at = from; at != to; at = (at + 16) % size)
		if (ram_has(u->m, base + at, 16))
			memcpy(&u->snapshot[at / 16], ram_at(u->m, base + at),
				16);
}

void queue_doorbell(struct unit *u)
{
	uint64_t tail = u->r[R_IQT], size = queue_bytes(u);

	if (!(u->r[R_GSTS] & G_QIE)) {
		if (tail)
			blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
				"tail written while the queue is off");
		return;
	}
	if (tail >= size) {
		queue_error(u, IQEI_TAIL);
		return;
	}
	if (!(u->r[R_FSTS] & (FSTS_IQE | FSTS_ITE)))
		u->queue_stopped = false;
	take_snapshot(u, u->tail_seen % size, tail);
	u->tail_seen = tail;
	if (!u->queue_due)
		u->queue_due = u->m->mode == MODEL_RANDOM
			? u->m->now + rnd(u->m) % 500
			: u->m->now;
}

/* ---- validation --------------------------------------------------------- */

static uint64_t reserved_low(const struct unit *u, unsigned type)
{
	bool old = !(u->r[R_VER] >> 5 & 7);

	(void)old;
	switch (type) {
	case DESC_CC:
		return MASK(63, 50) | MASK(15, 6);
	case DESC_IOTLB:
		return MASK(63, 32) | MASK(15, 8);
	case DESC_DEVTLB:
		return (u->r[R_ECAP] & ECAP_DIT)
			? MASK(51, 48) | MASK(31, 21) | MASK(11, 4)
			: MASK(63, 48) | MASK(31, 21) | MASK(15, 4);
	case DESC_IEC:
		return MASK(63, 48) | MASK(26, 5);
	default:
		return MASK(31, 8) | (u->r[R_ECAP] & ECAP_PDS ? 0 : BIT(7));
	}
}

static uint64_t reserved_high(unsigned type)
{
	switch (type) {
	case DESC_IOTLB:
		return MASK(11, 7);
	case DESC_DEVTLB:
		return MASK(11, 1);
	case DESC_WAIT:
		return MASK(1, 0);
	default:
		return ~0ull;
	}
}

/* 0, or why the descriptor stops the queue. */
static unsigned desc_check(struct unit *u, const struct desc *d)
{
	unsigned type = (unsigned)(d->lo & 15);
	unsigned gran = (unsigned)bits(d->lo, 5, 4);
	uint64_t cap = u->r[R_CAP], ecap = u->r[R_ECAP];

	if (bits(d->lo, 11, 9) || type < DESC_CC || type > DESC_WAIT)
		return IQEI_TYPE;
	if (type == DESC_DEVTLB && !(ecap & ECAP_DT))
		return IQEI_TYPE;
	if (type == DESC_IEC && !(ecap & ECAP_IR))
		return IQEI_TYPE;
	if ((d->lo & ~15ull & reserved_low(u, type)) ||
		(d->hi & reserved_high(type)))
		return IQEI_RSVD;
	if (type == DESC_CC && gran == GRAN_NONE)
		return IQEI_RSVD;
	if (type == DESC_IOTLB) {
		if (gran == GRAN_NONE)
			return IQEI_RSVD;
		if (gran == GRAN_NARROW &&
			(!(cap & CAP_PSI) || bits(d->hi, 5, 0) > CAP_MAMV(cap)))
			return IQEI_RSVD;
	}
	if (type == DESC_IEC && bits(d->lo, 31, 27) > ECAP_MHMV(ecap))
		return IQEI_RSVD;
	return 0;
}

/* ---- carrying out ------------------------------------------------------- */

static bool behind(struct unit *u, uint16_t sid)
{
	return unit_for(u->m, u->segment, sid) == u;
}

static void run_devtlb(struct unit *u, const struct desc *d)
{
	uint16_t sid = (uint16_t)bits(d->lo, 47, 32);
	uint64_t due;

	u->m->n.device_flushes++;
	if (!(u->r[R_GSTS] & G_TE))
		blame(u->m, u, MODEL_V_ATS, "6.5.2.5",
			"device-TLB flush while translation is off");
	if (!behind(u, sid))
		blame(u->m, u, MODEL_V_ATS, "6.5.2.5",
			"device-TLB flush for %04x, which is not behind the "
			"unit",
			sid);
	/* What was asked of others behind a device that does not answer may be
	 * lost with it (6.5.2.10). */
	if (u->devtlb_timeout && u->m->mode == MODEL_LAZY)
		return;
	due = dtlb_flush(u, sid, d->hi & ~0xfffull, d->hi & 1);
	if (due == MODEL_NONE && u->devtlb_due != MODEL_NONE) {
		u->devtlb_due = MODEL_NONE;
		u->devtlb_sid = sid;
		u->devtlb_timeout = u->m->now + DEVTLB_TIMEOUT_NS;
	} else if (due > u->devtlb_due) {
		u->devtlb_due = due;
	}
}

static void run_one(struct unit *u, const struct desc *d)
{
	unsigned type = (unsigned)(d->lo & 15);
	unsigned gran = (unsigned)bits(d->lo, 5, 4);

	if (type == DESC_CC)
		flush_context(u, gran, (uint16_t)bits(d->lo, 31, 16),
			(uint16_t)bits(d->lo, 47, 32),
			(unsigned)bits(d->lo, 49, 48));
	else if (type == DESC_IOTLB)
		flush_iotlb(u, gran, (uint16_t)bits(d->lo, 31, 16),
			d->hi & ~0xfffull, (unsigned)bits(d->hi, 5, 0),
			d->hi & BIT(6), d->lo & BIT(7), d->lo & BIT(6));
	else if (type == DESC_IEC)
		flush_irtes(u, !(d->lo & BIT(4)), (unsigned)bits(d->lo, 47, 32),
			(unsigned)bits(d->lo, 31, 27));
	else if (type == DESC_DEVTLB)
		run_devtlb(u, d);
}

/*
 * Runs everything fetched. The hardware keeps context flushes before IOTLB
 * flushes before device-TLB flushes; within that, any order (VT-d 6.5.2.9).
 */
static void run_fetched(struct unit *u)
{
	static const uint8_t order[] = {
		DESC_CC, DESC_IOTLB, DESC_IEC, DESC_DEVTLB};
	bool devtlb_first = false, seen_devtlb = false;

	for (unsigned i = 0; i < u->fetched_count; i++) {
		unsigned type = (unsigned)(u->fetched[i].lo & 15);

		seen_devtlb |= type == DESC_DEVTLB;
		devtlb_first |= type == DESC_IOTLB && seen_devtlb;
	}
	if (u->m->mode == MODEL_BENIGN || devtlb_first) {
		/* The driver's own order, so that a wrong one shows. */
		for (unsigned i = 0; i < u->fetched_count; i++)
			run_one(u, &u->fetched[i]);
	} else {
		for (unsigned k = 0; k < sizeof order; k++)
			for (unsigned i = 0; i < u->fetched_count; i++)
				if ((u->fetched[i].lo & 15) == order[k])
					run_one(u, &u->fetched[i]);
	}
	u->fetched_count = 0;
}

static void check_order_queued(struct unit *u)
{
	bool iotlb = false;

	for (unsigned i = 0; i < u->fetched_count; i++) {
		unsigned type = (unsigned)(u->fetched[i].lo & 15);

		if (type == DESC_IOTLB)
			iotlb = true;
		if (type == DESC_CC && iotlb && u->m->mode != MODEL_BENIGN) {
			blame(u->m, u, MODEL_V_ORDER, "6.5.2.1",
				"context flush queued behind an IOTLB flush");
			return;
		}
	}
}

static void keep(struct unit *u, const struct desc *d)
{
	if (u->fetched_count == u->fetched_room) {
		unsigned room = u->fetched_room ? u->fetched_room * 2 : 64;
		struct desc *f = realloc(u->fetched, room * sizeof *f);

		if (!f)
			return;
		u->fetched = f;
		u->fetched_room = room;
	}
	u->fetched[u->fetched_count++] = *d;
}

static void complete_wait(struct unit *u)
{
	uint32_t status = (uint32_t)(u->wait.lo >> 32);
	uint64_t pa = u->wait.hi & ~3ull & u->haw_mask;
	struct page *p = page_of(u->m, pa);

	u->wait_pending = false;
	u->wait_due = 0;
	u->last_was_wait = true;
	u->m->n.waits++;
	u->m->idle_polls = 0;
	if (u->wait.lo & BIT(5)) {
		if (!p || !ram_has(u->m, pa, 4))
			blame(u->m, u, MODEL_V_ADDRESS, "6.5.2.8",
				"wait status at %#llx is not memory",
				(unsigned long long)pa);
		else if (!p->owner)
			blame(u->m, u, MODEL_V_QUEUE, "6.5.2.8",
				"wait status at %#llx was given back",
				(unsigned long long)pa);
		else
			__atomic_store_n((uint32_t *)ram_at(u->m, pa), status,
				__ATOMIC_RELEASE);
	}
	if (u->wait.lo & BIT(4)) {
		bool was = u->r[R_ICS] & ICS_IWC;

		u->r[R_ICS] |= ICS_IWC;
		if (!was)
			event_send(u, R_IECTL);
	}
}

static void start_wait(struct unit *u, const struct desc *d)
{
	u->wait = *d;
	u->wait_pending = true;
	u->wait_due = due_after(u);
}

/* The wait's turn: run what is before it, await devices, complete. */
static void step_wait(struct unit *u)
{
	uint64_t now = u->m->now;

	if (now < u->wait_due)
		return;
	if (u->fetched_count) {
		check_order_queued(u);
		run_fetched(u);
	}
	if (u->devtlb_timeout && now >= u->devtlb_timeout) {
		/* Pending waits are aborted (VT-d 6.5.2.10). */
		u->devtlb_timeout = u->devtlb_due = 0;
		u->wait_pending = false;
		u->wait_due = 0;
		u->last_was_wait = false;
		u->r[R_IQERCD] = (u->r[R_IQERCD] & ~MASK(47, 32)) |
			(uint64_t)u->devtlb_sid << 32;
		fault_status(u, FSTS_ITE);
		stop_fetching(u);
		return;
	}
	if (u->devtlb_due == MODEL_NONE || now < u->devtlb_due)
		return;
	u->devtlb_due = 0;
	complete_wait(u);
}

/* ---- fetching ----------------------------------------------------------- */

static void fetch_one(struct unit *u)
{
	uint64_t head = u->r[R_IQH], pa = queue_base(u) + head;
	struct desc d;
	unsigned error;

	if (!ram_has(u->m, pa, 16)) {
		queue_error(u, IQEI_FETCH);
		return;
	}
	memcpy(&d, ram_at(u->m, pa), 16);
	if (u->m->mode != MODEL_BENIGN && head / 16 < u->snapshot_room &&
		memcmp(&d, &u->snapshot[head / 16], 16) &&
		!(u->r[R_FSTS] & FSTS_IQE)) {
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
			"descriptor at %#llx rewritten after the doorbell",
			(unsigned long long)head);
		d = u->snapshot[head / 16];
	}
	error = desc_check(u, &d);
	if (error) {
		queue_error(u, error);
		return;
	}
	u->m->n.descriptors++;
	u->r[R_IQH] = (head + 16) % queue_bytes(u);
	if ((d.lo & 15) == DESC_WAIT) {
		start_wait(u, &d);
		return;
	}
	u->last_was_wait = false;
	keep(u, &d);
	if (u->m->mode == MODEL_RANDOM && u->fetched_count == 1 &&
		chance(u->m, 2) && (d.lo & 15) != DESC_DEVTLB) {
		run_one(u, &d);
		u->fetched_count = 0;
	}
}

void queue_step(struct unit *u)
{
	unsigned budget = u->m->mode == MODEL_RANDOM ? 2 : 65536;

	for (unsigned i = 0; i < budget; i++) {
		if (u->wait_pending) {
			step_wait(u);
			if (u->wait_pending)
				return;
		}
		if (!(u->r[R_GSTS] & G_QIE) ||
			(u->r[R_FSTS] & (FSTS_IQE | FSTS_ITE)) ||
			u->queue_stopped || u->r[R_IQH] == u->r[R_IQT] ||
			u->m->now < u->queue_due)
			break;
		fetch_one(u);
	}
	if (u->queue_stopped || u->r[R_IQH] == u->r[R_IQT] ||
		(u->r[R_FSTS] & (FSTS_IQE | FSTS_ITE)))
		u->queue_due = 0;
	else if (!u->queue_due)
		u->queue_due = 1;
}
