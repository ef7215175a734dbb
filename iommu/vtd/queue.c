/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue (VT-d 6.5.2): descriptors, submissions, doorbells.
 *
 * Descriptors and one wait go into the ring under Q, then the doorbell is rung;
 * but whoever sees that another CPU is on its way to Q leaves that to it, so
 * that many CPUs at once share one doorbell. completion.c waits.
 */
#include "unit.h"

/* ---- descriptors ---- */

const uint8_t vtd_descriptor[] = {
	[VTD_OP_CONTEXT_GLOBAL] = VTD_DESC_CONTEXT | VTD_DESC_G(VTD_GLOBAL),
	[VTD_OP_CONTEXT_DEVICE] = VTD_DESC_CONTEXT | VTD_DESC_G(VTD_DEVICE),
	[VTD_OP_IOTLB_GLOBAL] = VTD_DESC_IOTLB | VTD_DESC_G(VTD_GLOBAL),
	[VTD_OP_IOTLB_DOMAIN] = VTD_DESC_IOTLB | VTD_DESC_G(VTD_DOMAIN),
	[VTD_OP_IOTLB_PAGES] = VTD_DESC_IOTLB | VTD_DESC_G(VTD_PAGE),
	[VTD_OP_DEVICE_TLB] = VTD_DESC_DEVICE_TLB,
	[VTD_OP_INTERRUPT_GLOBAL] = VTD_DESC_IEC,
	[VTD_OP_INTERRUPT_INDEX] = VTD_DESC_IEC | VTD_DESC_IEC_INDEX,
};

static const struct vtd_command global_flush = {.op = VTD_OP_IOTLB_GLOBAL};

/** The address half of a device-TLB descriptor: below the address, as many ones
 *  as the range has bits more than a page, and a zero (6.5.2.5). */
static NOINLINE uint64_t device_tlb_range(const struct vtd_command *command)
{
	uint64_t ones = (VTD_BIT(command->mask) - 1) >> 1 << PAGE_SHIFT;

	return command->address | ones |
		(command->mask ? VTD_DESC_DEVICE_TLB_S : 0);
}

static inline struct vtd_entry encode(
	const struct vtd_traits *traits, const struct vtd_command *command)
{
	struct vtd_entry d = {.low = vtd_descriptor[command->op] |
			VTD_DESC_DID(command->did) |
			VTD_DESC_SID(command->sid)};

	switch (VTD_DESC_TYPE(d.low)) {
	case VTD_DESC_IOTLB:
		d.low |= (traits->drain_writes ? VTD_DESC_IOTLB_DW : 0) |
			(traits->drain_reads ? VTD_DESC_IOTLB_DR : 0);
		d.high = command->address | command->mask |
			(command->leaf_only ? VTD_DESC_IOTLB_IH : 0);
		break;
	case VTD_DESC_DEVICE_TLB:
		/* The physical function's id (6.5.2.5), in two pieces. */
		if (traits->throttle)
			d.low |= (uint64_t)(command->sid & 0xf) << 12 |
				(uint64_t)(command->sid >> 4) << 52;
		d.high = device_tlb_range(command);
		break;
	case VTD_DESC_IEC:
		d.low |= (uint64_t)command->mask << 27;
		break;
	}
	return d;
}

struct vtd_entry vtd_wait_descriptor(
	const struct vtd_queue *queue, uint64_t position)
{
	return (struct vtd_entry){.low = VTD_DESC_WAIT | VTD_DESC_WAIT_SW |
			VTD_DESC_WAIT_FN | (uint64_t)(uint32_t)position << 32,
		.high = queue->done_phys.v};
}

#define COUNTED_AS(member) offsetof(struct iommu_stats, member)

void vtd_count(struct iommu_stats *stats, unsigned op)
{
	static const uint8_t at[] = {
		[VTD_OP_CONTEXT_GLOBAL] = COUNTED_AS(context_flushes),
		[VTD_OP_CONTEXT_DEVICE] = COUNTED_AS(context_flushes),
		[VTD_OP_IOTLB_GLOBAL] = COUNTED_AS(global_flushes),
		[VTD_OP_IOTLB_DOMAIN] = COUNTED_AS(domain_flushes),
		[VTD_OP_IOTLB_PAGES] = COUNTED_AS(page_flushes),
		[VTD_OP_DEVICE_TLB] = COUNTED_AS(device_tlb_flushes),
		[VTD_OP_INTERRUPT_GLOBAL] = COUNTED_AS(interrupt_flushes),
		[VTD_OP_INTERRUPT_INDEX] = COUNTED_AS(interrupt_flushes),
	};

	unit_count_locked((uint64_t *)(void *)((char *)stats + at[op]), 1);
}

/* ---- submitting ---- */

/** Ends a submission that is in the ring up to `at` with its wait. Q held. */
static inline struct ticket __put_wait(struct vtd_unit *unit, uint64_t at)
{
	struct vtd_queue *queue = &unit->queue;
	struct ticket ticket = {.first = queue->tail, .end = at + 1};

	queue->ring[vtd_slot_of(at)] = vtd_wait_descriptor(queue, at + 1);
	unit_count_locked(
		&unit->unit.stats.descriptors, ticket.end - ticket.first);
	unit_count_locked(&unit->unit.stats.waits, 1);
	__atomic_store_n(&queue->tail, at + 1, __ATOMIC_RELEASE);
	return ticket;
}

/** Whether so many descriptors and a wait fit into the ring. Q held. */
static inline bool __has_room(const struct vtd_queue *queue, unsigned count)
{
	uint64_t used = queue->tail - vtd_done_position(queue, queue->tail);

	return used + count + 1 < queue->slots;
}

static inline unsigned long queue_enter(struct vtd_unit *unit)
{
	__atomic_fetch_add(&unit->queue.coming, 1, __ATOMIC_RELAXED);
	return core_lock(unit->unit.iommu, &unit->queue.lock);
}

/** Rings for everybody, unless another CPU is coming that will. Where there was
 *  no room it would find none either: those who come again and again must not
 *  keep each other from ringing for what fills the ring. */
static inline void queue_leave(
	struct vtd_unit *unit, unsigned long state, bool had_room)
{
	struct vtd_queue *queue = &unit->queue;
	bool last = !__atomic_sub_fetch(&queue->coming, 1, __ATOMIC_RELAXED);

	if ((last || !had_room) && queue->rung != queue->tail)
		__vtd_ring_doorbell(unit);
	core_unlock(unit->unit.iommu, &queue->lock, state);
}

/** Puts commands and their wait into the ring. False: there is no room. Q held.
 */
static bool __put(struct vtd_unit *unit, const struct vtd_command *command,
	unsigned count, struct ticket *out)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t at = queue->tail;

	if (!__has_room(queue, count))
		return false;
	for (; count; count--, command++, at++) {
		queue->ring[vtd_slot_of(at)] = encode(&unit->traits, command);
		vtd_count(&unit->unit.stats, command->op);
	}
	*out = __put_wait(unit, at);
	return true;
}

static NOINLINE bool put(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count, struct ticket *out)
{
	unsigned long state = queue_enter(unit);
	bool fits = __put(unit, command, count, out);

	queue_leave(unit, state, fits);
	return fits;
}

/** Why a unit carries nothing out: it is lost or suspended. */
static enum iommu_status refusal(const struct vtd_unit *unit)
{
	enum iommu_unit_state state = unit_state(&unit->unit);

	if (state == IOMMU_UNIT_FAILED)
		return IOMMU_UNIT_LOST;
	return state > IOMMU_UNIT_FAILED ? IOMMU_UNCONFIRMED : IOMMU_OK;
}

static NOINLINE enum iommu_status put_patiently(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count, struct ticket *out)
{
	struct vtd_deadline deadline = {
		.limit_ns = unit->unit.iommu->options.device_timeout_ns};

	while (!vtd_deadline_turn(unit, &deadline, true)) {
		enum iommu_status status = refusal(unit);

		if (status != IOMMU_OK || put(unit, command, count, out))
			return status;
	}
	return IOMMU_UNIT_LOST;
}

enum iommu_status vtd_submit(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count, struct ticket *out)
{
	enum iommu_status status = refusal(unit);

	*out = (struct ticket){0, 0};
	if (!count)
		return IOMMU_OK;
	if (status != IOMMU_OK)
		return status;
	if (!unit->unit.queued || command->op == VTD_OP_WRITE_BUFFER)
		return vtd_registers_run(unit, command, count);
	return put(unit, command, count, out)
		? IOMMU_OK
		: put_patiently(unit, command, count, out);
}

bool vtd_flush_block(
	struct unit *neutral, uint16_t did, uint64_t first, uint64_t last)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_queue *queue = &unit->queue;
	struct vtd_entry flush = {.low = queue->page_flush | VTD_DESC_DID(did)};
	struct ticket ticket;
	unsigned long state;
	bool fits;

	if (!neutral->queued || unit_state(neutral) >= IOMMU_UNIT_FAILED ||
		!vtd_plan_block(&unit->traits, first, last, &flush.high))
		return false;
	state = queue_enter(unit);
	fits = __has_room(queue, 1);
	if (fits) {
		queue->ring[vtd_slot_of(queue->tail)] = flush;
		unit_count_locked(&neutral->stats.page_flushes, 1);
		ticket = __put_wait(unit, queue->tail + 1);
	}
	queue_leave(unit, state, fits);
	return fits &&
		(vtd_is_done(unit, ticket) ||
			vtd_wait(neutral, ticket) == IOMMU_OK);
}

bool vtd_flush_ready(struct unit *unit, struct ticket ticket)
{
	return !ticket.end || vtd_reached(vtd_of(unit), ticket);
}

/* ---- mending, for completion.c ---- */

uint64_t __vtd_head_position(const struct vtd_unit *unit)
{
	unsigned index = VTD_IQ_INDEX(vtd_read64(unit, VTD_IQH));
	uint64_t tail = unit->queue.tail;

	return tail -
		(vtd_slot_of(tail) + VTD_QUEUE_SLOTS - index) % VTD_QUEUE_SLOTS;
}

struct vtd_entry __vtd_queue_mend(struct vtd_unit *unit, uint64_t position)
{
	struct vtd_queue *queue = &unit->queue;
	struct vtd_entry *slot = &queue->ring[vtd_slot_of(position)];
	struct vtd_entry bad = *slot;

	*slot = VTD_DESC_TYPE(bad.low) == VTD_DESC_WAIT
		? vtd_wait_descriptor(queue, position + 1)
		: encode(&unit->traits, &global_flush);
	return bad;
}

/* ---- life ---- */

enum iommu_status vtd_queue_make(struct vtd_unit *unit)
{
	const struct vtd_command pages = {.op = VTD_OP_IOTLB_PAGES};
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;

	if (!queue->ring)
		queue->ring = core_pages(iommu, VTD_QUEUE_ORDER, &queue->phys);
	if (!queue->done)
		queue->done = core_pages(iommu, 0, &queue->done_phys);
	queue->page_flush = encode(&unit->traits, &pages).low;
	return queue->ring && queue->done ? IOMMU_OK : IOMMU_NO_MEMORY;
}

void vtd_queue_free(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;

	core_pages_free(iommu, queue->ring, queue->phys, VTD_QUEUE_ORDER);
	core_pages_free(
		iommu, (void *)(uintptr_t)queue->done, queue->done_phys, 0);
}

enum iommu_status vtd_queue_end_with_wait(struct vtd_unit *unit)
{
	struct vtd_plan plan = {.count = 1, .command = {global_flush}};

	return vtd_run(unit, &plan);
}

static void set_slots(struct vtd_unit *unit, unsigned slots)
{
	unsigned long state = core_lock(unit->unit.iommu, &unit->queue.lock);

	unit->queue.slots = slots;
	core_unlock(unit->unit.iommu, &unit->queue.lock, state);
}

enum iommu_status vtd_queue_on(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	enum iommu_status status;

	/* Positions go on counting, but the hardware starts at slot 0. */
	queue->tail = (queue->tail + VTD_QUEUE_SLOTS - 1) / VTD_QUEUE_SLOTS *
		VTD_QUEUE_SLOTS;
	*queue->done = (uint32_t)queue->tail;
	queue->rung = queue->tail;
	vtd_write64(unit, VTD_IQT, 0);
	vtd_write64(unit, VTD_IQA, queue->phys.v | VTD_QUEUE_ORDER);
	status = vtd_gcmd(unit, VTD_QIE, true);
	if (status == IOMMU_OK)
		set_slots(unit, VTD_QUEUE_SLOTS);
	return status;
}

/** Other CPUs may be about to flush: what they put before the last flush is
 *  done with it, and nothing is put behind it. False: there is no room before
 *  *out is done. */
static bool put_last(struct vtd_unit *unit, struct ticket *out)
{
	unsigned long state = queue_enter(unit);
	bool fits = __put(unit, &global_flush, 1, out);

	if (fits)
		unit->queue.slots = 0;
	else
		*out = (struct ticket){unit->queue.tail, unit->queue.tail};
	queue_leave(unit, state, fits);
	return fits;
}

enum iommu_status vtd_queue_off(struct vtd_unit *unit)
{
	enum iommu_status status = IOMMU_UNCONFIRMED;
	struct ticket ticket;

	for (unsigned n = 0; n <= VTD_REPEATS && status == IOMMU_UNCONFIRMED;
		n++) {
		bool last = put_last(unit, &ticket);

		status = vtd_wait(&unit->unit, ticket);
		if (status == IOMMU_OK && !last)
			status = IOMMU_UNCONFIRMED;
		if (status != IOMMU_OK)
			set_slots(unit, VTD_QUEUE_SLOTS);
	}
	return status == IOMMU_OK ? vtd_gcmd(unit, VTD_QIE, false) : status;
}

static const char *const type_name[16] = {
	[VTD_DESC_CONTEXT] = "context",
	[VTD_DESC_IOTLB] = "iotlb",
	[VTD_DESC_DEVICE_TLB] = "device tlb",
	[VTD_DESC_IEC] = "interrupt",
	[VTD_DESC_WAIT] = "wait",
};

struct vtd_entry vtd_queue_look(
	struct vtd_unit *unit, const struct vtd_entry *descriptor)
{
	unsigned long state = core_lock(unit->unit.iommu, &unit->queue.lock);
	struct vtd_entry copy = *descriptor;

	core_unlock(unit->unit.iommu, &unit->queue.lock, state);
	return copy;
}

void vtd_queue_report(struct unit *neutral, struct text *text)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_queue *queue = &unit->queue;
	uint64_t tail = __atomic_load_n(&queue->tail, __ATOMIC_ACQUIRE);
	struct vtd_entry bad;

	if (!neutral->queued) {
		text_add(text, " queue: off, registers are used\n");
		return;
	}
	text_add(text, " queue: base 0x%jx, head 0x%jx, tail 0x%jx\n",
		(uintmax_t)queue->phys.v, (uintmax_t)vtd_read64(unit, VTD_IQH),
		(uintmax_t)vtd_read64(unit, VTD_IQT));
	bad = vtd_queue_look(unit, &queue->bad);
	if (bad.low)
		text_add(text, " last refused: %016jx %016jx, code %u\n",
			(uintmax_t)bad.high, (uintmax_t)bad.low,
			queue->bad_code);
	for (uint64_t at = vtd_done_position(queue, tail); at < tail; at++) {
		struct vtd_entry d =
			vtd_queue_look(unit, &queue->ring[vtd_slot_of(at)]);
		const char *name = type_name[VTD_DESC_TYPE(d.low)];

		text_add(text, "  %u: %s %016jx %016jx\n", vtd_slot_of(at),
			name ? name : "unknown", (uintmax_t)d.high,
			(uintmax_t)d.low);
	}
}
