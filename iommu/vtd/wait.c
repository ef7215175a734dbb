/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a unit, always with an end, and the global commands.
 */
#include "unit.h"

enum {
	/** Turns without any progress of the host's clock after which a wait
	 *  ends as well: a stopped clock must not stop the CPU, nor one that
	 *  runs backwards. */
	STILL_TURNS = 20000000,
	/** Looks that a wait takes at least. Between two of them this CPU may
	 * have been away for long, or the clock was set: that says nothing
	 * about the hardware, nor about a CPU whose doorbell is relied upon. */
	LEAST_TURNS = 256,
};

bool vtd_deadline_turn(
	struct vtd_unit *unit, struct vtd_deadline *deadline, bool relax)
{
	const struct iommu_host *host = &unit->unit.iommu->host;
	uint64_t now = core_now(unit->unit.iommu);

	if (deadline->last_ns && now > deadline->last_ns) {
		deadline->waited_ns += core_min(now - deadline->last_ns,
			deadline->limit_ns / LEAST_TURNS + 1);
		deadline->still = 0;
	}
	deadline->last_ns = now;
	if (deadline->waited_ns >= deadline->limit_ns ||
		++deadline->still > STILL_TURNS)
		return true;
	if (relax && host->relax)
		host->relax(host->ctx, deadline->waited_ns);
	return false;
}

/** relax is false: callers hold R. No register polled here has all bits
 *  implemented: all ones is a unit that is gone, not one that is done. */
bool vtd_poll32(
	struct vtd_unit *unit, uint32_t offset, uint32_t mask, uint32_t want)
{
	struct vtd_deadline deadline = {
		.limit_ns = unit->unit.iommu->options.timeout_ns};
	bool late = false;

	for (;;) {
		uint32_t value = vtd_read32(unit, offset);

		if ((value & mask) == want)
			return value != ~0u;
		if (late)
			return false;
		/* Look once more after the time is up: this CPU may have
		 * been away for longer than the hardware needed. */
		late = vtd_deadline_turn(unit, &deadline, false);
	}
}

bool vtd_mark_lost(struct vtd_unit *unit, const char *why)
{
	uint8_t before = __atomic_exchange_n(
		&unit->unit.state, IOMMU_UNIT_FAILED, __ATOMIC_ACQ_REL);

	if (before != IOMMU_UNIT_FAILED)
		__atomic_store_n(&unit->unit.reason, why, __ATOMIC_RELEASE);
	return before != IOMMU_UNIT_FAILED;
}

void vtd_tell_lost(struct vtd_unit *unit)
{
	core_log(unit->unit.iommu, IOMMU_LOG_ERROR, "unit at 0x%jx is lost: %s",
		(uintmax_t)unit->unit.base.v, unit_reason(&unit->unit));
}

enum iommu_status vtd_lost(struct vtd_unit *unit, const char *why)
{
	if (vtd_mark_lost(unit, why))
		vtd_tell_lost(unit);
	return IOMMU_UNIT_LOST;
}

/** Returns why it failed, or NULL. */
static NOINLINE const char *command(
	struct vtd_unit *unit, uint64_t bit, bool set)
{
	unsigned long state = core_lock(unit->unit.iommu, &unit->reg_lock);
	/* One-shot bits read back as set; written back they would start
	 * again. Exactly one bit changes per write. */
	uint32_t value = vtd_read32(unit, VTD_GSTS) & VTD_GSTS_KEEP;
	/* What ends a command (11.4.4). */
	uint32_t wanted = set && bit != VTD_WBF ? (uint32_t)bit : 0;
	bool done, steady;

	value = set ? value | (uint32_t)bit : value & ~(uint32_t)bit;
	vtd_write32(unit, VTD_GCMD, value);
	done = vtd_poll32(unit, VTD_GSTS, (uint32_t)bit, wanted);
	steady = !((vtd_read32(unit, VTD_GSTS) ^ value) & VTD_SWITCHES);
	core_unlock(unit->unit.iommu, &unit->reg_lock, state);
	if (!done)
		return "a global command does not end";
	return steady ? NULL : "a global command changed more than was asked";
}

enum iommu_status vtd_gcmd(struct vtd_unit *unit, uint64_t bit, bool set)
{
	const char *why = command(unit, bit, set);

	return why ? vtd_lost(unit, why) : IOMMU_OK;
}
