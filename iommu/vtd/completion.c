/* SPDX-License-Identifier: MIT */
/*
 * Until what was submitted to the queue is done: waiting, errors, blame.
 *
 * Waiting takes no lock and no register: the hardware stores the position
 * reached. A wait that takes long looks for errors under Q, and rings what
 * nobody rang for: the CPU relied upon may have been interrupted, by the one
 * that waits.
 *
 * Errors (6.5.2.10), repaired by whoever meets them first, under Q:
 *   IQE  the descriptor at the head is kept as evidence and overwritten by a
 *	  global flush;
 *   ITE  a device's TLB did not answer: what was pending is lost, and the
 *	  device is put in quarantine;
 *   ICE  a device sent a completion nobody asked for: noted.
 * What was submitted before the end of a loss is repeated by its owner, without
 * devices that do not answer. Some of it may have been done before; nobody
 * knows any more, and forgetting twice is only slow.
 */
#include "unit.h"

enum {
	/** Polls before the first look at the error bits. */
	PATIENCE = 64,
	/** In vtd_queue.seen, beside bits of FSTS: the unit is lost. */
	SEEN_LOST = 1 << 30,
};

/* ---- errors ---- */

/** Notes that what lies before a position may not be carried out. Q held. */
static void __lose(struct vtd_queue *queue, uint64_t end)
{
	if (end > queue->lost_to)
		__atomic_store_n(&queue->lost_to, end, __ATOMIC_RELEASE);
}

static void __repair_queue_error(struct vtd_unit *unit, uint64_t record)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t head = __vtd_head_position(unit);

	queue->bad = __vtd_queue_mend(unit, head);
	queue->bad_code = VTD_IQERCD_IQEI(record);
	unit_count_locked(&unit->unit.stats.queue_errors, 1);
	__lose(queue, head + 1);
	/* Some units go on when the error is cleared, others with the next
	 * write to the tail. */
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_IQE);
	__vtd_ring_doorbell(unit);
}

static void __repair_device_timeout(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t head = __vtd_head_position(unit);

	unit_count_locked(&unit->unit.stats.device_timeouts, 1);
	if (head > vtd_done_position(queue, queue->tail)) {
		__lose(queue, head);
		/* The waits among them are dropped: nobody else says that
		 * their slots are free again. */
		__atomic_store_n(queue->done, (uint32_t)head, __ATOMIC_RELEASE);
	}
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_ITE);
	__vtd_ring_doorbell(unit);
}

/** Repairs what the queue stands on. Returns the device that did not answer; 0:
 *  none, or an old unit that does not say which. Q held. */
static uint16_t __repair(struct vtd_unit *unit, uint32_t status)
{
	struct vtd_queue *queue = &unit->queue;
	uint64_t record = vtd_read64(unit, VTD_IQERCD);

	if (status & VTD_FSTS_IQE)
		__repair_queue_error(unit, record);
	if (status & VTD_FSTS_ICE) {
		queue->unasked = VTD_IQERCD_ICESID(record);
		vtd_write32(unit, VTD_FSTS, VTD_FSTS_ICE);
	}
	if (status & VTD_FSTS_ITE) {
		queue->silent = VTD_IQERCD_ITESID(record);
		__repair_device_timeout(unit);
	}
	return status & VTD_FSTS_ITE ? queue->silent : 0;
}

static void mute(struct vtd_unit *unit, uint16_t sid)
{
	struct device *dev = core_device_known(unit->unit.iommu,
		(struct iommu_device_id){unit->unit.segment, sid});

	if (dev)
		core_device_mute(dev);
}

/** Looks for errors and repairs them; rings what was left to somebody else.
 *  late: time is up, the unit is lost. */
static NOINLINE void look_for_errors(struct vtd_unit *unit, bool late)
{
	struct vtd_queue *queue = &unit->queue;
	unsigned long state = core_lock(unit->unit.iommu, &queue->lock);
	uint32_t status = vtd_read32(unit, VTD_FSTS), seen = 0;
	uint16_t silent = 0;

	unit_count_locked(&unit->unit.stats.timeouts, late);
	if (status == ~0u || late) {
		if (vtd_mark_lost(unit,
			    late ? "the invalidation queue stands still"
				 : "the registers read as all ones"))
			seen = SEEN_LOST;
	} else if (status & VTD_FSTS_QUEUE) {
		silent = __repair(unit, status);
		seen = status & VTD_FSTS_QUEUE;
	}
	/* What tell() says about it is in place. */
	__atomic_fetch_or(&queue->seen, seen, __ATOMIC_RELEASE);
	if (queue->rung != queue->tail)
		__vtd_ring_doorbell(unit);
	core_unlock(unit->unit.iommu, &queue->lock, state);
	if (silent)
		mute(unit, silent);
}

static void tell_of_silence(struct iommu *iommu, uint16_t sid)
{
	core_log(iommu, IOMMU_LOG_ERROR,
		"device %02x:%02x.%u does not answer invalidations",
		RID_WORDS(sid));
}

/** Logs what looks have found: when a wait is over, not from there, where the
 *  stack is deeper and Q is held. */
static NOINLINE void tell(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;
	uint32_t seen;

	if (!__atomic_load_n(&queue->seen, __ATOMIC_RELAXED))
		return;
	seen = __atomic_exchange_n(&queue->seen, 0, __ATOMIC_ACQUIRE);
	if (seen & SEEN_LOST)
		vtd_tell_lost(unit);
	if (seen & VTD_FSTS_IQE) {
		struct vtd_entry bad = vtd_queue_look(unit, &queue->bad);

		core_log(unit->unit.iommu, IOMMU_LOG_ERROR,
			"unit at 0x%jx refused descriptor %016jx %016jx "
			"(code %u)",
			(uintmax_t)unit->unit.base.v, (uintmax_t)bad.high,
			(uintmax_t)bad.low, queue->bad_code);
	}
	if (seen & VTD_FSTS_ICE)
		core_log(unit->unit.iommu, IOMMU_LOG_WARNING,
			"unit at 0x%jx: unexpected completion from device %04x",
			(uintmax_t)unit->unit.base.v, queue->unasked);
	if (seen & VTD_FSTS_ITE && queue->silent)
		tell_of_silence(unit->unit.iommu, queue->silent);
}

/* ---- waiting ---- */

static NOINLINE void note_latency(struct iommu_stats *stats, uint64_t waited_ns)
{
	unsigned slot = 0;

	while (waited_ns >> slot >= 1000 && slot + 1 < IOMMU_LATENCY_SLOTS)
		slot++;
	unit_count(&stats->latency[slot], 1);
}

static NOINLINE enum iommu_status slow_wait(
	struct vtd_unit *unit, struct ticket ticket)
{
	const struct iommu_options *options = &unit->unit.iommu->options;
	struct vtd_deadline deadline = {0};
	uint64_t repaired = ~0ull, so_far;
	unsigned turn = 0;
	bool late = false;

	while (!vtd_reached(unit, ticket)) {
		if (late || turn++ % PATIENCE == PATIENCE - 1)
			look_for_errors(unit, late);
		if (unit_state(&unit->unit) == IOMMU_UNIT_FAILED)
			return IOMMU_UNIT_LOST;
		/* What others asked of a silent device comes first, and times
		 * out piece by piece: that is no stand-still. */
		so_far = vtd_lost_to(unit);
		if (so_far != repaired)
			deadline = (struct vtd_deadline){
				.limit_ns = options->timeout_ns +
					options->device_timeout_ns};
		repaired = so_far;
		if (ticket.first < so_far)
			return IOMMU_UNCONFIRMED;
		late = vtd_deadline_turn(unit, &deadline, true);
	}
	note_latency(&unit->unit.stats, deadline.waited_ns);
	return vtd_is_done(unit, ticket) ? IOMMU_OK : IOMMU_UNCONFIRMED;
}

enum iommu_status vtd_wait(struct unit *neutral, struct ticket ticket)
{
	struct vtd_unit *unit = vtd_of(neutral);
	enum iommu_status status;

	if (!ticket.end || vtd_is_done(unit, ticket))
		return IOMMU_OK;
	status = slow_wait(unit, ticket);
	tell(unit);
	return status;
}

/* ---- repeating ---- */

/** Leaves out what concerns a device that does not answer any more. */
static NOINLINE void leave_mute_devices_out(
	const struct vtd_unit *unit, struct vtd_plan *plan)
{
	unsigned kept = 0;

	for (unsigned n = 0; n < plan->count; n++) {
		struct vtd_command command = plan->command[n];
		struct iommu_device_id id = {unit->unit.segment, command.sid};

		if (command.op != VTD_OP_DEVICE_TLB ||
			!core_device_is_mute(unit->unit.iommu, id))
			plan->command[kept++] = command;
	}
	plan->count = kept;
}

/**
 * Old units do not say which device did not answer: asks each alone. True if
 * one was found.
 */
static NOINLINE bool blame_one_by_one(
	struct vtd_unit *unit, const struct vtd_plan *plan)
{
	struct ticket ticket;
	bool found = false;

	for (unsigned n = 0; n < plan->count; n++) {
		const struct vtd_command *command = &plan->command[n];

		if (command->op != VTD_OP_DEVICE_TLB ||
			vtd_submit(unit, command, 1, &ticket) != IOMMU_OK ||
			slow_wait(unit, ticket) != IOMMU_UNCONFIRMED)
			continue;
		mute(unit, command->sid);
		tell_of_silence(unit->unit.iommu, command->sid);
		found = true;
	}
	return found;
}

/** Waits; resubmits what the queue lost, until it is lost again and again. */
static NOINLINE enum iommu_status insist(
	struct vtd_unit *unit, struct vtd_plan *plan, struct ticket ticket)
{
	enum iommu_status status = slow_wait(unit, ticket);

	for (unsigned n = 0; status == IOMMU_UNCONFIRMED; n++) {
		if (n == 2 * VTD_REPEATS ||
			(n == VTD_REPEATS && !blame_one_by_one(unit, plan)))
			break;
		leave_mute_devices_out(unit, plan);
		status = vtd_submit(unit, plan->command, plan->count, &ticket);
		if (status != IOMMU_OK || !ticket.end)
			break;
		status = slow_wait(unit, ticket);
	}
	return status;
}

enum iommu_status vtd_run(struct vtd_unit *unit, struct vtd_plan *plan)
{
	struct ticket ticket;
	enum iommu_status status =
		vtd_submit(unit, plan->command, plan->count, &ticket);

	if (status != IOMMU_OK || !ticket.end || vtd_is_done(unit, ticket))
		return status;
	status = insist(unit, plan, ticket);
	tell(unit);
	return status;
}
