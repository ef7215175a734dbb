/* SPDX-License-Identifier: MIT */
/*
 * Units as the host sees them, and what firmware says about the platform.
 */
#ifndef IOMMU_UNIT_H
#define IOMMU_UNIT_H

#include <iommu/types.h>

IOMMU_BEGIN_C

struct iommu;

/** What a unit is doing. */
enum iommu_unit_state {
	/** Cannot be used; iommu_unit_info.reason says why. */
	IOMMU_UNIT_REFUSED,
	/** Usable, translation off. */
	IOMMU_UNIT_OFF,
	/** Translating. */
	IOMMU_UNIT_ON,
	/** Stopped answering; its devices stay blocked. */
	IOMMU_UNIT_FAILED,
	/** Between iommu_suspend() and iommu_resume(). */
	IOMMU_UNIT_SUSPENDED,
};

/** A snapshot of one unit. */
struct iommu_unit_info {
	/** The unit's object in memory, for naming it. */
	const void *handle;
	enum iommu_unit_state state;
	const char *reason;
	uint16_t segment;
	iommu_phys_t registers;
	/** The raw VER, CAP and ECAP registers (VT-d 11.4.1 to 11.4.3). */
	uint32_t version;
	uint64_t cap;
	uint64_t ecap;
	/** Bits of an I/O virtual address that the unit translates. */
	unsigned iova_bits;
	/** Whether invalidations go through the queue. */
	bool queued;
	bool interrupt_remapping;
	/** Devices attached to a domain through this unit. */
	unsigned attached;
	/** The memory node (ACPI proximity domain) next to the unit, if
	 *  firmware says so (RHSA). */
	bool has_node;
	uint32_t node;
};

/** What firmware's table says about the whole platform (VT-d 8.1). */
struct iommu_firmware {
	/** Bits of a physical address. */
	unsigned address_bits;
	/** The platform supports interrupt remapping. */
	bool interrupt_remapping;
	/** Firmware asks that processors are not switched to x2APIC mode. */
	bool x2apic_opt_out;
	/** Firmware wants DMA to be restricted from boot on. */
	bool dma_opt_in;
};

/** Fills *out. IOMMU_NO_TABLE, IOMMU_BAD_ARGUMENT. Any context. */
enum iommu_status iommu_firmware(
	const struct iommu *iommu, struct iommu_firmware *out) IOMMU_MUST_CHECK;

/** How many units the firmware named, refused ones included. Any context. */
unsigned iommu_unit_count(const struct iommu *iommu);

/** Fills *out for unit n < iommu_unit_count(). IOMMU_BAD_ARGUMENT. */
enum iommu_status iommu_unit_info(const struct iommu *iommu, unsigned n,
	struct iommu_unit_info *out) IOMMU_MUST_CHECK;

/**
 * Takes up units that came with a hot-plugged host bridge. structures are what
 * the bridge's _DSM answers (VT-d 8.10): DRHD and the like, without the
 * table's header; untrusted and copied. Units that are known already are left
 * alone. While translation is on, the new units are switched on too; a device
 * that nothing translated for may be attached afterwards. Units are never taken
 * away. Waits; may allocate. The host makes the call before it gives the new
 * devices bus mastering, and makes no second one at the same time.
 *
 * IOMMU_OK also if there was nothing new. IOMMU_WRONG_STATE before
 * iommu_start(), IOMMU_BAD_ARGUMENT, IOMMU_BAD_TABLE (nothing was taken up),
 * IOMMU_NO_MEMORY, IOMMU_UNIT_LOST (iommu_reason() names it).
 */
enum iommu_status iommu_units_add(struct iommu *iommu, const void *structures,
	size_t size) IOMMU_MUST_CHECK;

/** What firmware reserved for a device (RMRR), or a device it belongs to. */
struct iommu_reserved_region {
	uint16_t segment;
	iommu_phys_t first;
	iommu_phys_t last;
};

/** How many regions firmware reserved. */
unsigned iommu_reserved_count(const struct iommu *iommu);

/**
 * Region n < iommu_reserved_count(). IOMMU_BAD_ARGUMENT. Firmware's memory map
 * should call it reserved (VT-d 8.4) and does not always: only the host can see
 * that, and a host that lets devices reach such memory takes it out of what it
 * gives to others.
 */
enum iommu_status iommu_reserved_region(const struct iommu *iommu, unsigned n,
	struct iommu_reserved_region *out) IOMMU_MUST_CHECK;

IOMMU_END_C

#endif
