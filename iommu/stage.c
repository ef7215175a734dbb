/* SPDX-License-Identifier: MIT */
/*
 * What is inherited from an earlier owner of the units, and what is left for
 * the next. A device loses what it inherited with its first attach or detach,
 * and the whole group with it: no member may go on reaching the old owner's
 * memory next to a member that has a new one.
 */
#include "backend.h"

static unsigned inherited(const struct unit *unit)
{
	return __atomic_load_n(&unit->inherited, __ATOMIC_ACQUIRE);
}

unsigned iommu_inherited_count(const struct iommu *iommu)
{
	unsigned count = 0;

	for (unsigned n = 0; n < iommu->units; n++)
		count += inherited(iommu->unit[n]);
	return count;
}

bool core_inherits(const struct device *dev)
{
	uint16_t rid;

	return dev->unit && inherited(dev->unit) &&
		dev->unit->ops->next_inherited(
			dev->unit, dev->id.requester, &rid) &&
		rid == dev->id.requester;
}

/** IOMMU_DEVICE_BROKEN if the device does not answer. */
static enum iommu_status end_one(struct unit *unit, uint16_t rid)
{
	struct iommu_device_id id = {unit->segment, rid};
	struct iommu *iommu = unit->iommu;
	struct device *dev = NULL;
	enum iommu_status status;
	bool ats;

	status = core_device(iommu, id, &dev);
	if (status == IOMMU_NO_MEMORY)
		return status;
	/* What is not there has no TLB. */
	if (status == IOMMU_NO_DEVICE)
		dev = NULL;
	status = unit->ops->disinherit(unit, rid, dev, &ats);
	if (status != IOMMU_OK)
		__atomic_store_n(&unit->haunted, true, __ATOMIC_RELEASE);
	if (!ats || !dev || !dev->ats)
		return status;
	core_ats_switch(dev, false);
	if (!core_device_is_mute(iommu, id))
		return status;
	/* The entry is gone, so what its TLB holds is refused. */
	core_device_keep_back(dev);
	return status == IOMMU_OK ? IOMMU_DEVICE_BROKEN : status;
}

/** Ends an inherited entry if it has to go when the device gets another owner.
 */
static NOINLINE enum iommu_status end_for(
	const struct device *dev, uint16_t rid)
{
	struct iommu_device_id id = {dev->id.segment, rid};
	enum iommu_status status;
	struct device *other;
	bool concerned;

	for (unsigned n = 0; n < dev->rids; n++)
		if (dev->rid[n] == rid)
			return end_one(dev->unit, rid);
	status = core_device(dev->unit->iommu, id, &other);
	if (status == IOMMU_NO_MEMORY)
		return status;
	/* An id without a function is a bridge's or a phantom's. */
	concerned = status == IOMMU_NO_DEVICE
		? rid >> 8 == dev->id.requester >> 8
		: other->leader == dev->leader;
	return concerned ? end_one(dev->unit, rid) : IOMMU_OK;
}

enum iommu_status core_disinherit(struct device *dev)
{
	enum iommu_status status = IOMMU_OK;
	struct unit *unit = dev->unit;
	uint16_t rid;

	if (!inherited(unit))
		return IOMMU_OK;
	for (unsigned from = 0; status == IOMMU_OK &&
		unit->ops->next_inherited(unit, from, &rid);
		from = rid + 1u)
		status = end_for(dev, rid);
	return status;
}

enum iommu_status core_disinherit_gone(
	struct iommu *iommu, struct iommu_device_id id)
{
	enum iommu_status status = IOMMU_OK;

	for (unsigned n = 0; n < iommu->units && status == IOMMU_OK; n++) {
		struct unit *unit = iommu->unit[n];

		if (unit->segment == id.segment && inherited(unit))
			status = end_one(unit, id.requester);
	}
	return status == IOMMU_DEVICE_BROKEN ? IOMMU_OK : status;
}

/** Ends the entries of a unit, then what they used. */
static enum iommu_status end_unit(struct unit *unit)
{
	enum iommu_status status = IOMMU_OK, one;
	uint16_t rid;

	if (__atomic_load_n(&unit->haunted, __ATOMIC_ACQUIRE))
		status = IOMMU_UNCONFIRMED;
	for (unsigned from = 0; unit->ops->next_inherited(unit, from, &rid);
		from = rid + 1u) {
		one = end_one(unit, rid);
		if (one != IOMMU_DEVICE_BROKEN)
			status = core_worse(status, one);
	}
	/* What was not confirmed keeps its ids. */
	return status == IOMMU_OK ? unit->ops->end_inheritance(unit) : status;
}

static enum iommu_status end_inherited(struct iommu *iommu)
{
	enum iommu_status status = IOMMU_OK;

	for (unsigned n = 0; n < iommu->units; n++) {
		struct unit *unit = iommu->unit[n];
		enum iommu_unit_state state = unit_state(unit);

		/* A lost unit may go on as it was. */
		if (state == IOMMU_UNIT_ON || state == IOMMU_UNIT_OFF)
			status = core_worse(status, end_unit(unit));
		else if (inherited(unit) || unit->haunted)
			status = IOMMU_UNIT_LOST;
	}
	return status;
}

enum iommu_status iommu_inherited_end(struct iommu *iommu)
{
	if (!core_life_enter(iommu, INSTANCE_STARTED))
		return IOMMU_WRONG_STATE;
	return core_life_leave(iommu, INSTANCE_STARTED, end_inherited(iommu));
}

enum iommu_status iommu_hand_over(struct iommu *iommu, enum iommu_hand_over how)
{
	bool blocked = how == IOMMU_HAND_OVER_BLOCKED;
	enum iommu_status status = IOMMU_OK;

	if (!core_life_enter(iommu, INSTANCE_STARTED))
		return IOMMU_WRONG_STATE;
	if ((unsigned)how > IOMMU_HAND_OVER_KEPT)
		status = IOMMU_BAD_ARGUMENT;
	else if (!iommu_is_on(iommu))
		status = IOMMU_OFF;
	else if (blocked && core_any_attached(iommu))
		status = IOMMU_IN_USE;
	if (status != IOMMU_OK)
		return core_life_leave(iommu, INSTANCE_STARTED, status);
	if (blocked) {
		core_unpark_all(iommu);
		status = end_inherited(iommu);
	}
	for (unsigned n = 0; n < iommu->units; n++) {
		struct unit *unit = iommu->unit[n];

		if (unit_state(unit) == IOMMU_UNIT_ON)
			status = core_worse(
				status, unit->ops->hand_over(unit, blocked));
	}
	__atomic_store_n(&iommu->on, false, __ATOMIC_RELEASE);
	return core_life_leave(iommu, INSTANCE_HANDED_OVER, status);
}
