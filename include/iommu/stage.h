/* SPDX-License-Identifier: MIT */
/*
 * From one system to the next: units that firmware, a boot loader or an earlier
 * kernel left on, and leaving them on for the next.
 *
 * What is taken over is chosen in iommu_options.take_over. A next stage built
 * with this library uses IOMMU_TAKE_OVER_KEPT to go on with what
 * IOMMU_HAND_OVER_KEPT left.
 */
#ifndef IOMMU_STAGE_H
#define IOMMU_STAGE_H

#include <iommu/types.h>

IOMMU_BEGIN_C

struct iommu;

/**
 * How many devices (requester ids) still reach what an earlier owner's tables
 * map. 0 unless iommu_options.take_over is IOMMU_TAKE_OVER_KEPT. Any context.
 */
unsigned iommu_inherited_count(const struct iommu *iommu);

/**
 * Ends what was inherited: every device that the host did not attach is
 * blocked, interrupt entries that were kept are cleared, domain ids are free
 * again. Afterwards memory of the earlier owner may be reused. Waits; may
 * allocate (a device that was never looked at). The host does not attach or
 * detach at the same time.
 *
 * IOMMU_OK also if there is nothing. IOMMU_NO_MEMORY, IOMMU_UNCONFIRMED,
 * IOMMU_UNIT_LOST: the earlier owner's memory must not be reused.
 * IOMMU_WRONG_STATE before iommu_start().
 */
enum iommu_status iommu_inherited_end(struct iommu *iommu) IOMMU_MUST_CHECK;

/** In which state the units are left for a next owner. */
enum iommu_hand_over {
	/** No device reaches anything: in the unit's abort-DMA mode where it
	 *  has one (ECAP.ADMS and CAP.ESRTPS), else behind an empty root
	 *  table. Interrupts are not remapped any more. */
	IOMMU_HAND_OVER_BLOCKED,
	/** Devices reach what they reach now, interrupts are remapped as they
	 *  are now. */
	IOMMU_HAND_OVER_KEPT,
};

/**
 * Leaves every unit translating, for a next kernel, and ends this instance's
 * use of them: invalidation queues and the units' own interrupts are off,
 * iommu_attach(), iommu_detach(), iommu_power() and the like answer
 * IOMMU_WRONG_STATE, a flush answers IOMMU_UNIT_LOST. Reports still work.
 *
 * With IOMMU_HAND_OVER_KEPT the instance's memory and all that its domains map
 * must stay as they are until the next owner has taken over; the host does not
 * end the instance. With IOMMU_HAND_OVER_BLOCKED iommu_destroy() gives back all
 * memory if every unit is in abort-DMA mode, and answers IOMMU_UNCONFIRMED if
 * tables have to stay (at least a page for each unit).
 *
 * Waits. IOMMU_IN_USE (blocked, while devices are attached), IOMMU_OFF
 * (switched off: there is nothing to leave on), IOMMU_WRONG_STATE,
 * IOMMU_BAD_ARGUMENT, IOMMU_UNIT_LOST (the others are handed over).
 */
enum iommu_status iommu_hand_over(
	struct iommu *iommu, enum iommu_hand_over how) IOMMU_MUST_CHECK;

IOMMU_END_C

#endif
