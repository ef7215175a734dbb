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

uint64_t queue_bytes(const struct unit *u)
{
	return (uint64_t)MODEL_PAGE << bits(u->r[R_IQA], 2, 0);
}

uint64_t queue_base(const struct unit *u)
{
	return u->r[R_IQA] & PAGE_BASE & u->haw_mask;
}

void queue_reset(struct unit *u)
{
	u->fetched_count = 0;
	u->wait_pending = u->last_was_wait = false;
	u->queue_due = u->wait_due = u->devtlb_due = u->devtlb_timeout = 0;
	u->queue_stopped = u->rung = false;
	u->tail_seen = 0;
}

void queue_enable(struct unit *u)
{
	if (u->r[R_IQT])
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
			"queue enabled with the tail at %#llx",
			(unsigned long long)u->r[R_IQT]);
	if (!ram_has(u->m, queue_base(u), queue_bytes(u)))
		blame(u->m, u, MODEL_V_ADDRESS, "11.4.9.3",
			"the queue at %#llx is not memory",
			(unsigned long long)queue_base(u));
	if (u->r[R_IQA] & BIT(11))
		blame(u->m, u, MODEL_V_UNSUPPORTED, "11.4.9.3",
			"256-bit descriptors in legacy mode");
	queue_reset(u);
	u->r[R_GSTS] |= G_QIE;
}

void queue_disable(struct unit *u)
{
	bool quiet = u->r[R_IQH] == u->r[R_IQT] && !u->fetched_count &&
		!u->wait_pending;

	if (!quiet || !u->last_was_wait) {
		blame(u->m, u, MODEL_V_COMMAND, "6.5.2",
			"queue disabled while %s",
			quiet ? "the last descriptor was not a wait"
			      : "descriptors are pending");
		if (!quiet || (u->quirks & MODEL_QUIRK_QIE_STICKS))
			return;
	}
	u->r[R_GSTS] &= ~G_QIE;
	u->r[R_IQH] = 0;
}

/* After an error some units fetch again when it is cleared, others with the
 * next write to the tail (VT-d 6.5.2.10 leaves it open). */
static void stop_fetching(struct unit *u)
{
	u->queue_stopped = u->m->mode == MODEL_LAZY || chance(u->m, 2);
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

/* ---- slots -------------------------------------------------------------- */

/* As it was at the doorbell. `at` counts bytes, as head and tail do. */
static struct desc *slot_at(struct unit *u, uint64_t at)
{
	return &u->snapshot[at / sizeof *u->snapshot];
}

static uint64_t after(const struct unit *u, uint64_t at)
{
	return (at + sizeof(struct desc)) % queue_bytes(u);
}

/* As it is. False, and nothing, if it is not in memory. */
static bool slot_read(struct unit *u, uint64_t at, struct desc *out)
{
	uint64_t pa = queue_base(u) + at;

	if (!ram_has(u->m, pa, sizeof *out))
		return false;
	memcpy(out, ram_at(u->m, pa), sizeof *out);
	return true;
}

/* The error was cleared: fetching starts again at the head, whose slot may have
 * been repaired. That is no rewriting. */
void queue_resume(struct unit *u)
{
	u->r[R_IQERCD] = 0;
	u->queue_due = u->m->now;
	slot_read(u, u->r[R_IQH], slot_at(u, u->r[R_IQH]));
}

/* ---- doorbell ----------------------------------------------------------- */

static void take_snapshot(struct unit *u, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at != to; at = after(u, at))
		slot_read(u, at, slot_at(u, at));
}

/* ---- what a doorbell may not say ----------------------------------------- */

static bool stores_status(const struct desc *d)
{
	return (d->lo & 15) == DESC_WAIT && (d->lo & BIT(5));
}

static uint64_t status_of(const struct unit *u, const struct desc *d)
{
	return d->hi & ~3ull & u->haw_mask;
}

/* Calls fn for each wait in [from, to) of the snapshot that stores a status,
 * until it says true. */
static bool any_wait(struct unit *u, uint64_t from, uint64_t to,
	bool (*fn)(struct unit *u, const struct desc *d, uint64_t what),
	uint64_t what)
{
	for (uint64_t at = from; at != to; at = after(u, at))
		if (stores_status(slot_at(u, at)) &&
			fn(u, slot_at(u, at), what))
			return true;
	return false;
}

static bool is_on_page(struct unit *u, const struct desc *d, uint64_t page)
{
	return (status_of(u, d) & PAGE_BASE) == page;
}

/* Whether a wait that was rung for will still store its status there. */
bool queue_stores_to(struct unit *u, uint64_t page)
{
	if (!(u->r[R_GSTS] & G_QIE))
		return false;
	if (u->wait_pending && stores_status(&u->wait) &&
		is_on_page(u, &u->wait, page))
		return true;
	return any_wait(u, u->r[R_IQH], u->tail_seen % queue_bytes(u),
		is_on_page, page);
}

/* Words in which statuses count up can be shared; of two waits with the same
 * word and the same status nobody knows which was completed. */
static bool hides(struct unit *u, const struct desc *old, uint64_t slot)
{
	const struct desc *d = slot_at(u, slot);
	int32_t step =
		(int32_t)((uint32_t)(d->lo >> 32) - (uint32_t)(old->lo >> 32));

	return status_of(u, d) == status_of(u, old) && step <= 0;
}

static void check_status_words(struct unit *u, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at != to; at = after(u, at)) {
		const struct desc *d = slot_at(u, at);

		if (stores_status(d) &&
			((u->wait_pending && stores_status(&u->wait) &&
				 hides(u, &u->wait, at)) ||
				any_wait(u, u->r[R_IQH], at, hides, at)))
			blame(u->m, u, MODEL_V_QUEUE, "6.5.2.8",
				"status word %#llx is used again before its "
				"wait completed",
				(unsigned long long)status_of(u, d));
	}
}

/* Two CPUs that took the same slot: the later one's descriptor is in memory,
 * but the tail has said so already. */
static void check_same_tail(struct unit *u, uint64_t tail)
{
	uint64_t last = (tail ? tail : queue_bytes(u)) - sizeof(struct desc);
	struct desc d;

	if (u->rung && slot_read(u, last, &d) &&
		memcmp(&d, slot_at(u, last), sizeof d))
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
			"descriptor at %#llx was written again and rung for "
			"with the same tail",
			(unsigned long long)last);
}

/* The tail may come up to the slot before the head, no further. */
static void check_room(struct unit *u, uint64_t from, uint64_t tail)
{
	uint64_t size = queue_bytes(u), head = u->r[R_IQH];
	uint64_t waiting = (from + size - head) % size;
	uint64_t added = (tail + size - from) % size;

	if (waiting + added >= size)
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
			"the tail runs past the head at %#llx",
			(unsigned long long)head);
}

void queue_doorbell(struct unit *u)
{
	uint64_t tail = u->r[R_IQT], size = queue_bytes(u), from;

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
	from = u->tail_seen % size;
	if (u->m->mode != MODEL_BENIGN) {
		check_room(u, from, tail);
		if (tail == from)
			check_same_tail(u, tail);
	}
	take_snapshot(u, from, tail);
	if (u->m->mode != MODEL_BENIGN)
		check_status_words(u, from, tail);
	u->tail_seen = tail;
	u->rung = true;
	if (!u->queue_due)
		u->queue_due = u->m->mode == MODEL_RANDOM
			? u->m->now + rnd(u->m) % 500
			: u->m->now;
}

/* ---- validation --------------------------------------------------------- */

static uint64_t reserved_low(const struct unit *u, unsigned type)
{
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
	uint16_t sid = (uint16_t)(d->lo >> 32);
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
	due = dtlb_flush(u, sid, d->hi & PAGE_BASE, d->hi & 1);
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
		flush_context(u,
			&(struct context_flush){.gran = gran,
				.did = (uint16_t)(d->lo >> 16),
				.sid = (uint16_t)(d->lo >> 32),
				.fm = (unsigned)(d->lo >> 48)});
	else if (type == DESC_IOTLB)
		flush_iotlb(u,
			&(struct iotlb_flush){.gran = gran,
				.did = (uint16_t)(d->lo >> 16),
				.addr = d->hi,
				.size = (uint64_t)MODEL_PAGE
					<< bits(d->hi, 5, 0),
				.ih = d->hi & BIT(6),
				.dr = d->lo & BIT(7),
				.dw = d->lo & BIT(6)});
	else if (type == DESC_IEC && !(d->lo & BIT(4)))
		flush_all_irtes(u);
	else if (type == DESC_IEC)
		flush_irtes(u, (uint16_t)(d->lo >> 32),
			(unsigned)bits(d->lo, 31, 27));
	else if (type == DESC_DEVTLB)
		run_devtlb(u, d);
}

/*
 * Runs everything fetched, in the driver's order. Hardware runs an IOTLB flush
 * after all earlier context flushes and a device-TLB flush after all earlier
 * IOTLB flushes; nothing holds a context flush back behind an IOTLB flush, so
 * the driver's own order is the worst that a wrong one can get (VT-d 6.5.2.9).
 */
static void run_fetched(struct unit *u)
{
	for (unsigned i = 0; i < u->fetched_count; i++)
		run_one(u, &u->fetched[i]);
	u->fetched_count = 0;
}

static void keep(struct unit *u, const struct desc *d)
{
	u->fetched = room_for_one(
		u->fetched, u->fetched_count, &u->fetched_room, sizeof *d);
	u->fetched[u->fetched_count++] = *d;
	u->last_was_wait = false;
	if (u->fetched_count == 1 && chance(u->m, 2))
		run_fetched(u);
}

static void store_status(struct unit *u)
{
	uint32_t status = (uint32_t)(u->wait.lo >> 32);
	uint64_t pa = status_of(u, &u->wait);
	struct page *p = page_of(u->m, pa);

	if (!p)
		blame(u->m, u, MODEL_V_ADDRESS, "6.5.2.8",
			"wait status at %#llx is not memory",
			(unsigned long long)pa);
	else if (p->owner != MODEL_OWNER_DRIVER)
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2.8",
			"wait status at %#llx is not in memory of the "
			"driver",
			(unsigned long long)pa);
	if (p)
		__atomic_store_n(
			(uint32_t *)ram_at(u->m, pa), status, __ATOMIC_RELEASE);
}

static void completion_event(struct unit *u)
{
	bool was = u->r[R_ICS] & ICS_IWC;

	u->r[R_ICS] |= ICS_IWC;
	if (!was)
		event_send(u, R_IECTL);
}

static void complete_wait(struct unit *u)
{
	bool event = u->wait.lo & BIT(4);
	/* The message may overtake the status. */
	bool first = event && chance(u->m, 2);

	u->wait_pending = false;
	u->wait_due = 0;
	u->last_was_wait = true;
	u->m->n.waits++;
	if (first)
		completion_event(u);
	if (u->wait.lo & BIT(5))
		store_status(u);
	if (event && !first)
		completion_event(u);
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
	run_fetched(u);
	if (u->devtlb_timeout && now >= u->devtlb_timeout) {
		/* Pending waits are aborted (VT-d 6.5.2.10). */
		u->devtlb_timeout = u->devtlb_due = 0;
		u->wait_pending = false;
		u->wait_due = 0;
		u->r[R_IQERCD] |= (uint64_t)u->devtlb_sid << 32;
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
	uint64_t head = u->r[R_IQH];
	struct desc d;
	unsigned error;

	if (!slot_read(u, head, &d)) {
		queue_error(u, IQEI_FETCH);
		return;
	}
	if (u->m->mode != MODEL_BENIGN &&
		memcmp(&d, slot_at(u, head), sizeof d)) {
		blame(u->m, u, MODEL_V_QUEUE, "6.5.2",
			"descriptor at %#llx rewritten after the doorbell",
			(unsigned long long)head);
		d = *slot_at(u, head);
	}
	error = desc_check(u, &d);
	if (error) {
		queue_error(u, error);
		return;
	}
	u->m->n.descriptors++;
	u->r[R_IQH] = after(u, head);
	if ((d.lo & 15) == DESC_WAIT)
		start_wait(u, &d);
	else
		keep(u, &d);
}

static bool can_fetch(const struct unit *u)
{
	return (u->r[R_GSTS] & G_QIE) &&
		!(u->r[R_FSTS] & (FSTS_IQE | FSTS_ITE)) && !u->queue_stopped &&
		u->r[R_IQH] != u->r[R_IQT];
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
		if (!can_fetch(u) || u->m->now < u->queue_due)
			break;
		fetch_one(u);
	}
	if (!can_fetch(u))
		u->queue_due = 0;
}
