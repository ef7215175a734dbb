/* SPDX-License-Identifier: MIT */
/*
 * Invalidation through the queue (VT-d 6.5.2).
 *
 * Submitting: descriptors and one wait go into the ring under Q, then the
 * doorbell is rung; but whoever sees that another CPU is on its way to Q leaves
 * that to it, so that many CPUs at once share one doorbell.
 * Waiting: no lock, no register; the hardware stores the position reached. A
 * wait that takes long looks for errors under Q, and rings what nobody rang
 *for: the CPU relied upon may have been interrupted, by the one that waits.
 *
 * Errors (6.5.2.10), repaired by whoever meets them first, under Q:
 *   IQE  the descriptor at the head is kept as evidence and overwritten by a
 *	  global flush, its submission is repeated by its owner;
 *   ITE  a device's TLB did not answer: what was pending is lost and repeated
 *	  by its owners, without that device, which is put in quarantine;
 *   ICE  a device sent a completion nobody asked for: noted.
 */
#include "unit.h"

enum {
	/** Polls before the first look at the error bits. */
	PATIENCE = 64,
	/** How often a submission is repeated. */
	REPEATS = 3,
	/** In vtd_queue.seen, beside bits of FSTS: the unit is lost. */
	SEEN_LOST = 1 << 30,
};

static unsigned slot_of(uint64_t position)
{
	return (unsigned)(position % VTD_QUEUE_SLOTS);
}

/** The position up to which everything is done. */
static uint64_t done_position(const struct vtd_queue *queue, uint64_t tail)
{
	uint32_t done = __atomic_load_n(queue->done, __ATOMIC_ACQUIRE);

	return tail - (uint32_t)((uint32_t)tail - done);
}

/* ---- descriptors ---- */

static struct vtd_entry iotlb_descriptor(
	const struct vtd_traits *traits, unsigned granularity, uint16_t did)
{
	return (struct vtd_entry){.low = VTD_DESC_IOTLB |
			VTD_DESC_G(granularity) | VTD_DESC_DID(did) |
			(traits->drain_writes ? VTD_DESC_IOTLB_DW : 0) |
			(traits->drain_reads ? VTD_DESC_IOTLB_DR : 0)};
}

static struct vtd_entry device_tlb_descriptor(
	const struct vtd_command *command, bool throttle)
{
	uint64_t address = command->address;
	struct vtd_entry d = {
		.low = VTD_DESC_DEVICE_TLB | VTD_DESC_SID(command->sid)};

	/* The physical function's id (6.5.2.5), in two pieces. */
	if (throttle)
		d.low |= (uint64_t)(command->sid & 0xf) << 12 |
			(uint64_t)(command->sid >> 4) << 52;
	if (command->mask == VTD_MASK_ALL)
		address = ~VTD_BIT(63) & ~0xfffull;
	else if (command->mask)
		address |= VTD_BIT(PAGE_SHIFT + command->mask - 1) -
			VTD_BIT(PAGE_SHIFT);
	d.high = address | (command->mask ? VTD_DESC_DEVICE_TLB_S : 0);
	return d;
}

static struct vtd_entry encode(
	const struct vtd_traits *traits, const struct vtd_command *command)
{
	struct vtd_entry d = {0, 0};

	/* By far the most frequent. */
	if (command->op == VTD_OP_IOTLB_PAGES) {
		d = iotlb_descriptor(traits, VTD_PAGE, command->did);
		d.high = command->address | command->mask |
			(command->leaf_only ? VTD_DESC_IOTLB_IH : 0);
		return d;
	}
	switch (command->op) {
	case VTD_OP_CONTEXT_GLOBAL:
		d.low = VTD_DESC_CONTEXT | VTD_DESC_G(VTD_GLOBAL);
		break;
	case VTD_OP_CONTEXT_DEVICE:
		d.low = VTD_DESC_CONTEXT | VTD_DESC_G(VTD_DEVICE) |
			VTD_DESC_DID(command->did) | VTD_DESC_SID(command->sid);
		break;
	case VTD_OP_IOTLB_DOMAIN:
		return iotlb_descriptor(traits, VTD_DOMAIN, command->did);
	case VTD_OP_DEVICE_TLB:
		return device_tlb_descriptor(command, traits->throttle);
	case VTD_OP_INTERRUPT_GLOBAL:
		d.low = VTD_DESC_IEC;
		break;
	case VTD_OP_INTERRUPT_INDEX:
		d.low = VTD_DESC_IEC | VTD_DESC_IEC_INDEX |
			(uint64_t)command->mask << 27 |
			VTD_DESC_SID(command->did);
		break;
	default:
		return iotlb_descriptor(traits, VTD_GLOBAL, 0);
	}
	return d;
}

static struct vtd_entry wait_descriptor(
	const struct vtd_queue *queue, uint64_t position)
{
	return (struct vtd_entry){.low = VTD_DESC_WAIT | VTD_DESC_WAIT_SW |
			VTD_DESC_WAIT_FN | (uint64_t)(uint32_t)position << 32,
		.high = queue->done_phys.v};
}

/** Where each command is counted. Q held. */
static void __count(struct iommu_stats *stats, unsigned op)
{
	static const uint8_t at[] = {
		[VTD_OP_CONTEXT_GLOBAL] =
			offsetof(struct iommu_stats, context_flushes),
		[VTD_OP_CONTEXT_DEVICE] =
			offsetof(struct iommu_stats, context_flushes),
		[VTD_OP_IOTLB_GLOBAL] =
			offsetof(struct iommu_stats, global_flushes),
		[VTD_OP_IOTLB_DOMAIN] =
			offsetof(struct iommu_stats, domain_flushes),
		[VTD_OP_IOTLB_PAGES] =
			offsetof(struct iommu_stats, page_flushes),
		[VTD_OP_DEVICE_TLB] =
			offsetof(struct iommu_stats, device_tlb_flushes),
		[VTD_OP_INTERRUPT_GLOBAL] =
			offsetof(struct iommu_stats, interrupt_flushes),
		[VTD_OP_INTERRUPT_INDEX] =
			offsetof(struct iommu_stats, interrupt_flushes),
	};

	unit_count_locked((uint64_t *)(void *)((char *)stats + at[op]), 1);
}

/* ---- submitting ---- */

/** Whether so many descriptors and a wait fit into the ring. Q held. */
static inline bool __has_room(const struct vtd_queue *queue, unsigned count)
{
	uint64_t used = queue->tail - done_position(queue, queue->tail);

	return used + count + 1 < queue->slots;
}

/** Ends a submission that is in the ring up to `at` with its wait. Q held. */
static inline struct ticket __put_wait(struct vtd_unit *unit, uint64_t at)
{
	struct vtd_queue *queue = &unit->queue;
	struct ticket ticket = {.first = queue->tail, .end = at + 1};

	queue->ring[slot_of(at)] = wait_descriptor(queue, at + 1);
	unit_count_locked(
		&unit->unit.stats.descriptors, ticket.end - ticket.first);
	unit_count_locked(&unit->unit.stats.waits, 1);
	__atomic_store_n(&queue->tail, at + 1, __ATOMIC_RELEASE);
	return ticket;
}

/** Puts commands and their wait into the ring; no ticket: no room. Q held. */
static struct ticket __put(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t at = queue->tail;

	if (!__has_room(queue, count))
		return (struct ticket){0, 0};
	for (; count; count--, command++, at++) {
		queue->ring[slot_of(at)] = encode(&unit->traits, command);
		__count(&unit->unit.stats, command->op);
	}
	return __put_wait(unit, at);
}

/** Tells the hardware about everything in the ring. Under Q the tail never
 *  steps back. */
static void __ring_doorbell(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;

	queue->rung = queue->tail;
	vtd_write64(unit, VTD_IQT, (uint64_t)slot_of(queue->rung) << 4);
	unit_count_locked(&unit->unit.stats.doorbells, 1);
}

static inline unsigned long queue_enter(struct vtd_unit *unit)
{
	__atomic_fetch_add(&unit->queue.coming, 1, __ATOMIC_RELAXED);
	return core_lock(unit->unit.iommu, &unit->queue.lock);
}

/** Rings for everybody, unless another CPU is coming that will. */
static inline void queue_leave(struct vtd_unit *unit, unsigned long state)
{
	struct vtd_queue *queue = &unit->queue;

	if (!__atomic_sub_fetch(&queue->coming, 1, __ATOMIC_RELAXED) &&
		queue->rung != queue->tail)
		__ring_doorbell(unit);
	core_unlock(unit->unit.iommu, &queue->lock, state);
}

static struct ticket put(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count)
{
	unsigned long state = queue_enter(unit);
	struct ticket ticket = __put(unit, command, count);

	/* Those who come again and again until there is room must not keep
	 * each other from ringing for what fills the ring. */
	if (!ticket.end && unit->queue.slots)
		__ring_doorbell(unit);
	queue_leave(unit, state);
	return ticket;
}

/** Why a unit carries nothing out: it is lost or suspended. */
static enum iommu_status refusal(const struct vtd_unit *unit)
{
	enum iommu_unit_state state = unit_state(&unit->unit);

	if (state == IOMMU_UNIT_FAILED)
		return IOMMU_UNIT_LOST;
	return state > IOMMU_UNIT_FAILED ? IOMMU_UNCONFIRMED : IOMMU_OK;
}

static inline bool uses_queue(
	const struct vtd_unit *unit, const struct vtd_command *first)
{
	return unit->unit.queued && first->op != VTD_OP_WRITE_BUFFER;
}

/** Puts commands into the ring, waiting for room. */
static enum iommu_status put_patiently(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count, struct ticket *out)
{
	struct vtd_deadline deadline;

	vtd_deadline_start(
		&deadline, unit->unit.iommu->options.device_timeout_ns);
	do {
		enum iommu_status status = refusal(unit);

		if (status != IOMMU_OK)
			return status;
		*out = put(unit, command, count);
		if (out->end)
			return IOMMU_OK;
	} while (!vtd_deadline_turn(unit, &deadline, true));
	return IOMMU_UNIT_LOST;
}

enum iommu_status vtd_submit(
	struct vtd_unit *unit, const struct vtd_plan *plan, struct ticket *out)
{
	enum iommu_status status = refusal(unit);

	*out = (struct ticket){0, 0};
	if (!plan->count || status != IOMMU_OK)
		return plan->count ? status : IOMMU_OK;
	if (!uses_queue(unit, plan->command))
		return IOMMU_UNCONFIRMED;
	return put_patiently(unit, plan->command, plan->count, out);
}

/* ---- errors ---- */

/** Notes that [first, end) may not have been carried out. Q held. */
static void __lose(struct vtd_queue *queue, uint64_t first, uint64_t end)
{
	queue->loss[queue->losses % VTD_QUEUE_LOSSES] =
		(struct vtd_loss){first, end};
	queue->losses++;
	if (end > queue->lost_to)
		__atomic_store_n(&queue->lost_to, end, __ATOMIC_RELEASE);
}

/** The position of a head register value: at most one lap behind the tail. */
static uint64_t __head_position(const struct vtd_unit *unit)
{
	unsigned index = VTD_IQ_INDEX(vtd_read64(unit, VTD_IQH));
	uint64_t tail = unit->queue.tail;

	return tail -
		(slot_of(tail) + VTD_QUEUE_SLOTS - index) % VTD_QUEUE_SLOTS;
}

static void __repair_queue_error(struct vtd_unit *unit, uint64_t record)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t head = __head_position(unit);
	struct vtd_entry *slot = &queue->ring[slot_of(head)];

	queue->bad = *slot;
	queue->bad_code = VTD_IQERCD_IQEI(record);
	unit_count_locked(&unit->unit.stats.queue_errors, 1);
	if (VTD_DESC_TYPE(slot->low) == VTD_DESC_WAIT)
		*slot = wait_descriptor(queue, head + 1);
	else
		*slot = iotlb_descriptor(&unit->traits, VTD_GLOBAL, 0);
	__lose(queue, head, head + 1);
	/* Some units go on when the error is cleared, others with the next
	 * write to the tail. */
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_IQE);
	__ring_doorbell(unit);
}

static void __repair_device_timeout(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t head = __head_position(unit);
	uint64_t done = done_position(queue, queue->tail);

	unit_count_locked(&unit->unit.stats.device_timeouts, 1);
	if (head > done) {
		__lose(queue, done, head);
		/* The waits among them are dropped: nobody else says that
		 * their slots are free again. */
		__atomic_store_n(queue->done, (uint32_t)head, __ATOMIC_RELEASE);
	}
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_ITE);
	__ring_doorbell(unit);
}

static void mute(struct vtd_unit *unit, uint16_t sid)
{
	struct device *dev = core_device_known(unit->unit.iommu,
		(struct iommu_device_id){unit->unit.segment, sid});

	if (dev)
		core_device_mute(dev);
}

/** Looks for errors and repairs them; rings what was left to somebody else. */
static __attribute__((noinline)) void look_for_errors(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;
	unsigned long state = core_lock(iommu, &queue->lock);
	uint32_t status = vtd_read32(unit, VTD_FSTS);
	uint16_t silent = 0;
	uint64_t record;

	if (status == ~0u &&
		vtd_mark_lost(unit, "the registers read as all ones"))
		queue->seen |= SEEN_LOST;
	else if (status != ~0u && status & VTD_FSTS_QUEUE) {
		queue->seen |= status & VTD_FSTS_QUEUE;
		record = vtd_read64(unit, VTD_IQERCD);
		if (status & VTD_FSTS_IQE)
			__repair_queue_error(unit, record);
		if (status & VTD_FSTS_ITE) {
			/* Old units do not say which: 0. */
			silent = VTD_IQERCD_ITESID(record);
			queue->silent = silent;
			__repair_device_timeout(unit);
		}
		if (status & VTD_FSTS_ICE) {
			queue->unasked = VTD_IQERCD_ICESID(record);
			vtd_write32(unit, VTD_FSTS, VTD_FSTS_ICE);
		}
	}
	if (queue->rung != queue->tail)
		__ring_doorbell(unit);
	core_unlock(iommu, &queue->lock, state);
	if (silent)
		mute(unit, silent);
}

static void tell_of_silence(struct iommu *iommu, uint16_t sid)
{
	core_log(iommu, IOMMU_LOG_ERROR,
		"device %02x:%02x.%u does not answer invalidations", sid >> 8,
		(sid >> 3) & 0x1f, sid & 7);
}

/** A copy of a descriptor that other CPUs may be replacing. */
static struct vtd_entry look(
	struct vtd_unit *unit, const struct vtd_entry *descriptor)
{
	const struct iommu *iommu = unit->unit.iommu;
	unsigned long state = core_lock(iommu, &unit->queue.lock);
	struct vtd_entry copy = *descriptor;

	core_unlock(iommu, &unit->queue.lock, state);
	return copy;
}

static __attribute__((noinline)) void tell_of_refusal(struct vtd_unit *unit)
{
	struct vtd_entry bad = look(unit, &unit->queue.bad);

	core_log(unit->unit.iommu, IOMMU_LOG_ERROR,
		"unit at 0x%jx refused descriptor %016jx %016jx (code %u)",
		(uintmax_t)unit->unit.base.v, (uintmax_t)bad.high,
		(uintmax_t)bad.low, unit->queue.bad_code);
}

/** Logs what looks have found: from here, not from there, where the stack is
 *  deeper and Q is held. */
static void tell(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;
	unsigned long state = core_lock(iommu, &queue->lock);
	uint32_t seen = queue->seen;

	queue->seen = 0;
	core_unlock(iommu, &queue->lock, state);
	if (seen & SEEN_LOST)
		vtd_tell_lost(unit);
	if (seen & VTD_FSTS_IQE)
		tell_of_refusal(unit);
	if (seen & VTD_FSTS_ICE)
		core_log(iommu, IOMMU_LOG_WARNING,
			"unit at 0x%jx: unexpected completion from device %04x",
			(uintmax_t)unit->unit.base.v, queue->unasked);
	if (seen & VTD_FSTS_ITE && queue->silent)
		tell_of_silence(iommu, queue->silent);
}

/** Whether a part of a ticket is among the losses. */
static __attribute__((noinline)) bool is_among_losses(
	struct vtd_unit *unit, struct ticket ticket)
{
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;
	unsigned long state = core_lock(iommu, &queue->lock);
	bool lost = false;
	unsigned n, known;

	known = queue->losses < VTD_QUEUE_LOSSES ? queue->losses
						 : VTD_QUEUE_LOSSES;
	for (n = 0; n < known; n++)
		if (queue->loss[n].first < ticket.end &&
			queue->loss[n].end > ticket.first)
			lost = true;
	core_unlock(iommu, &queue->lock, state);
	return lost;
}

static inline bool was_lost(struct vtd_unit *unit, struct ticket ticket)
{
	return ticket.first <
		__atomic_load_n(&unit->queue.lost_to, __ATOMIC_ACQUIRE) &&
		is_among_losses(unit, ticket);
}

/* ---- waiting ---- */

/** Whether a ticket is done already: many units are faster than this CPU. */
static inline bool is_done(struct vtd_unit *unit, struct ticket ticket)
{
	return vtd_reached(unit, ticket) && !was_lost(unit, ticket);
}

static __attribute__((noinline)) void note_latency(
	struct iommu_stats *stats, uint64_t waited_ns)
{
	unsigned slot = 0;

	while (waited_ns >= 1000 && slot + 1 < IOMMU_LATENCY_SLOTS) {
		waited_ns /= 2;
		slot++;
	}
	unit_count(&stats->latency[slot], 1);
}

static __attribute__((noinline)) void stands_still(struct vtd_unit *unit)
{
	unsigned long state = core_lock(unit->unit.iommu, &unit->queue.lock);

	if (vtd_mark_lost(unit, "the invalidation queue stands still"))
		unit->queue.seen |= SEEN_LOST;
	core_unlock(unit->unit.iommu, &unit->queue.lock, state);
}

static __attribute__((noinline)) enum vtd_outcome slow_wait(
	struct vtd_unit *unit, struct ticket ticket)
{
	const struct iommu_options *options = &unit->unit.iommu->options;
	struct vtd_deadline deadline;
	uint64_t repaired = 0, so_far;
	unsigned turn = 0;
	bool late = false;

	while (!vtd_reached(unit, ticket)) {
		/* What others asked of a silent device comes first, and times
		 * out piece by piece: that is no stand-still. */
		so_far =
			__atomic_load_n(&unit->queue.lost_to, __ATOMIC_RELAXED);
		if (!turn || so_far != repaired)
			vtd_deadline_start(&deadline,
				options->timeout_ns +
					options->device_timeout_ns);
		repaired = so_far;
		if (unit_state(&unit->unit) == IOMMU_UNIT_FAILED)
			return VTD_FAILED;
		if (late) {
			unit_count(&unit->unit.stats.timeouts, 1);
			stands_still(unit);
			return VTD_FAILED;
		}
		if (turn++ % PATIENCE == PATIENCE - 1)
			look_for_errors(unit);
		if (was_lost(unit, ticket))
			return VTD_AGAIN;
		late = vtd_deadline_turn(unit, &deadline, true);
	}
	note_latency(&unit->unit.stats, deadline.waited_ns);
	return was_lost(unit, ticket) ? VTD_AGAIN : VTD_DONE;
}

enum vtd_outcome vtd_wait(struct vtd_unit *unit, struct ticket ticket)
{
	enum vtd_outcome outcome;

	if (!ticket.end || is_done(unit, ticket))
		return VTD_DONE;
	outcome = slow_wait(unit, ticket);
	if (__atomic_load_n(&unit->queue.seen, __ATOMIC_RELAXED))
		tell(unit);
	return outcome;
}

/** Leaves out what concerns a device that does not answer any more. */
static __attribute__((noinline)) void leave_mute_devices_out(
	const struct vtd_unit *unit, struct vtd_plan *plan)
{
	unsigned n, kept = 0;

	for (n = 0; n < plan->count; n++) {
		const struct vtd_command *command = &plan->command[n];

		if (command->op == VTD_OP_DEVICE_TLB &&
			core_device_is_mute(unit->unit.iommu,
				(struct iommu_device_id){
					unit->unit.segment, command->sid}))
			continue;
		plan->command[kept++] = *command;
	}
	plan->count = kept;
}

/**
 * Old units do not say which device did not answer: asks each alone. True if
 * one was found.
 */
static __attribute__((noinline)) bool blame_one_by_one(
	struct vtd_unit *unit, const struct vtd_plan *plan)
{
	struct ticket ticket;
	bool found = false;
	unsigned n;

	for (n = 0; n < plan->count; n++) {
		const struct vtd_command *command = &plan->command[n];

		if (command->op != VTD_OP_DEVICE_TLB ||
			put_patiently(unit, command, 1, &ticket) != IOMMU_OK ||
			vtd_wait(unit, ticket) != VTD_AGAIN)
			continue;
		mute(unit, command->sid);
		tell_of_silence(unit->unit.iommu, command->sid);
		found = true;
	}
	return found;
}

/** Waits; resubmits what the queue lost, until it is lost again and again. */
static __attribute__((noinline)) enum iommu_status insist(
	struct vtd_unit *unit, struct vtd_plan *plan, struct ticket ticket)
{
	enum iommu_status status;
	bool blamed = false;
	unsigned n = 0;

	for (;;) {
		enum vtd_outcome outcome = vtd_wait(unit, ticket);

		if (outcome != VTD_AGAIN)
			return outcome == VTD_DONE ? IOMMU_OK : IOMMU_UNIT_LOST;
		if (n++ == REPEATS) {
			if (blamed || !blame_one_by_one(unit, plan))
				return IOMMU_UNCONFIRMED;
			blamed = true;
			n = 1;
		}
		leave_mute_devices_out(unit, plan);
		status = vtd_submit(unit, plan, &ticket);
		if (status != IOMMU_OK)
			return status;
	}
}

static __attribute__((noinline)) enum iommu_status run_patiently(
	struct vtd_unit *unit, struct vtd_plan *plan)
{
	struct ticket ticket;
	enum iommu_status status = vtd_submit(unit, plan, &ticket);

	return status == IOMMU_OK ? insist(unit, plan, ticket) : status;
}

enum iommu_status vtd_run(struct vtd_unit *unit, struct vtd_plan *plan)
{
	struct ticket ticket;

	if (!plan->count)
		return IOMMU_OK;
	if (unit_state(&unit->unit) >= IOMMU_UNIT_FAILED)
		return refusal(unit);
	if (!uses_queue(unit, plan->command))
		return vtd_registers_run(unit, plan->command, plan->count);
	ticket = put(unit, plan->command, plan->count);
	if (!ticket.end)
		return run_patiently(unit, plan);
	return is_done(unit, ticket) ? IOMMU_OK : insist(unit, plan, ticket);
}

bool vtd_flush_leaf(struct unit *neutral, uint16_t did, uint64_t page)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_queue *queue = &unit->queue;
	struct vtd_entry flush = {.low = queue->page_flush | VTD_DESC_DID(did)};
	struct ticket ticket = {0, 0};
	unsigned long state;

	if (!neutral->queued || unit_state(neutral) >= IOMMU_UNIT_FAILED ||
		!vtd_plan_leaf(&unit->traits, page, &flush.high))
		return false;
	state = queue_enter(unit);
	if (__has_room(queue, 1)) {
		queue->ring[slot_of(queue->tail)] = flush;
		unit_count_locked(&neutral->stats.page_flushes, 1);
		ticket = __put_wait(unit, queue->tail + 1);
	}
	queue_leave(unit, state);
	if (!ticket.end)
		return false;
	return is_done(unit, ticket) || vtd_wait(unit, ticket) == VTD_DONE;
}

/* ---- life ---- */

enum iommu_status vtd_queue_make(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;

	if (queue->ring)
		return IOMMU_OK;
	queue->ring = core_pages(iommu, VTD_QUEUE_ORDER, &queue->phys);
	queue->done = core_pages(iommu, 0, &queue->done_phys);
	queue->page_flush = iotlb_descriptor(&unit->traits, VTD_PAGE, 0).low;
	if (queue->ring && queue->done)
		return IOMMU_OK;
	vtd_queue_free(unit);
	return IOMMU_NO_MEMORY;
}

void vtd_queue_free(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	struct iommu *iommu = unit->unit.iommu;

	core_pages_free(iommu, queue->ring, queue->phys, VTD_QUEUE_ORDER);
	core_pages_free(
		iommu, (void *)(uintptr_t)queue->done, queue->done_phys, 0);
	queue->ring = NULL;
	queue->done = NULL;
}

enum iommu_status vtd_queue_end_with_wait(struct vtd_unit *unit)
{
	struct vtd_plan plan = {.count = 1};

	plan.command[0] = (struct vtd_command){.op = VTD_OP_IOTLB_GLOBAL};
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
 *  done with it, and nothing is put behind it. No ticket: no room. */
static struct ticket put_last(struct vtd_unit *unit)
{
	struct vtd_command flush = {.op = VTD_OP_IOTLB_GLOBAL};
	unsigned long state = queue_enter(unit);
	struct ticket ticket = __put(unit, &flush, 1);

	if (ticket.end)
		unit->queue.slots = 0;
	queue_leave(unit, state);
	return ticket;
}

enum iommu_status vtd_queue_off(struct vtd_unit *unit)
{
	enum vtd_outcome outcome = VTD_AGAIN;
	struct ticket ticket;
	unsigned n;

	for (n = 0; n <= REPEATS && outcome == VTD_AGAIN; n++) {
		ticket = put_last(unit);
		if (ticket.end)
			outcome = vtd_wait(unit, ticket);
		else if (vtd_queue_end_with_wait(unit) == IOMMU_UNIT_LOST)
			outcome = VTD_FAILED;
		if (outcome != VTD_DONE)
			set_slots(unit, VTD_QUEUE_SLOTS);
	}
	if (outcome == VTD_DONE)
		return vtd_gcmd(unit, VTD_QIE, false);
	return outcome == VTD_AGAIN ? IOMMU_UNCONFIRMED : IOMMU_UNIT_LOST;
}

static const char *const type_name[16] = {
	[VTD_DESC_CONTEXT] = "context",
	[VTD_DESC_IOTLB] = "iotlb",
	[VTD_DESC_DEVICE_TLB] = "device tlb",
	[VTD_DESC_IEC] = "interrupt",
	[VTD_DESC_WAIT] = "wait",
};

void vtd_queue_report(struct vtd_unit *unit, struct text *text)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t tail = __atomic_load_n(&queue->tail, __ATOMIC_ACQUIRE);
	struct vtd_entry bad;
	uint64_t at;

	if (!unit->unit.queued) {
		text_add(text, " queue: off, registers are used\n");
		return;
	}
	text_add(text, " queue: base 0x%jx, head 0x%jx, tail 0x%jx\n",
		(uintmax_t)queue->phys.v, (uintmax_t)vtd_read64(unit, VTD_IQH),
		(uintmax_t)vtd_read64(unit, VTD_IQT));
	bad = look(unit, &queue->bad);
	if (bad.low)
		text_add(text, " last refused: %016jx %016jx, code %u\n",
			(uintmax_t)bad.high, (uintmax_t)bad.low,
			queue->bad_code);
	for (at = done_position(queue, tail); at < tail; at++) {
		struct vtd_entry d = look(unit, &queue->ring[slot_of(at)]);
		const char *name = type_name[VTD_DESC_TYPE(d.low)];

		text_add(text, "  %u: %s %016jx %016jx\n", slot_of(at),
			name ? name : "unknown", (uintmax_t)d.high,
			(uintmax_t)d.low);
	}
}
