/* SPDX-License-Identifier: MIT */
/*
 * Types shared by everything that speaks to the library: addresses that must
 * not be mixed, device identities and the one list of statuses.
 */
#ifndef IOMMU_TYPES_H
#define IOMMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands between the two has C's names, for C++, too. */
#ifdef __cplusplus
#define IOMMU_BEGIN_C extern "C" {
#define IOMMU_END_C }
#else
#define IOMMU_BEGIN_C
#define IOMMU_END_C
#endif

IOMMU_BEGIN_C

/** A physical address, as the CPU's page tables and the I/O MMU use it. */
typedef struct {
	uint64_t v;
} iommu_phys_t;

/** An I/O virtual address: the address as the device sends it. */
typedef struct {
	uint64_t v;
} iommu_iova_t;

/** Makes a physical address of a plain number. */
static inline iommu_phys_t iommu_phys(uint64_t v)
{
	iommu_phys_t phys = {v};

	return phys;
}

/** Makes an I/O virtual address of a plain number. */
static inline iommu_iova_t iommu_iova(uint64_t v)
{
	iommu_iova_t iova = {v};

	return iova;
}

/**
 * A PCI function: its segment and its requester id, that is
 * bus << 8 | device << 3 | function.
 */
struct iommu_device_id {
	uint16_t segment;
	uint16_t requester;
};

/** Makes a device id of its parts. */
static inline struct iommu_device_id iommu_device_id(
	unsigned segment, unsigned bus, unsigned dev, unsigned fn)
{
	struct iommu_device_id id = {(uint16_t)segment,
		(uint16_t)((bus & 0xff) << 8 | (dev & 0x1f) << 3 | (fn & 7))};

	return id;
}

/** The bus number of a device id. */
static inline uint8_t iommu_device_bus(struct iommu_device_id id)
{
	return (uint8_t)(id.requester >> 8);
}

/** Device and function number of a device id, as one byte. */
static inline uint8_t iommu_device_devfn(struct iommu_device_id id)
{
	return (uint8_t)id.requester;
}

/** Whether two device ids name the same function. */
static inline bool iommu_device_same(
	struct iommu_device_id a, struct iommu_device_id b)
{
	return a.segment == b.segment && a.requester == b.requester;
}

/**
 * What every call of the library answers. A status other than IOMMU_OK means
 * that nothing changed, except where the call's description says otherwise
 * and except for IOMMU_UNCONFIRMED and IOMMU_UNIT_LOST (see there).
 */
enum iommu_status {
	IOMMU_OK = 0,
	/** An argument is outside its documented range. */
	IOMMU_BAD_ARGUMENT,
	/** The host's page allocator had nothing to give. */
	IOMMU_NO_MEMORY,
	/** The call does not fit the present state (order of calls). */
	IOMMU_WRONG_STATE,
	/** There is no DMAR table. */
	IOMMU_NO_TABLE,
	/** The DMAR table is too damaged to name a single unit. */
	IOMMU_BAD_TABLE,
	/** No remapping unit can be used. */
	IOMMU_NO_UNIT,
	/** Configuration space shows no function at this address. */
	IOMMU_NO_DEVICE,
	/** The function exists, but no usable unit translates for it. */
	IOMMU_UNCOVERED,
	/** The function is a bridge: it cannot be handed to an owner. */
	IOMMU_BRIDGE,
	/** The device is attached already, or is being attached. */
	IOMMU_BUSY,
	/** The device is not attached. */
	IOMMU_NOT_ATTACHED,
	/** Firmware reserves memory for the device (RMRR) and the policy
	 *  forbids to hand it out. */
	IOMMU_RESERVED_MEMORY,
	/** A device that cannot be told apart from this one belongs to
	 *  another domain. */
	IOMMU_GROUP_BUSY,
	/** Translation is switched off. */
	IOMMU_OFF,
	/** The unit stopped answering and is out of use. What it may still
	 *  reach must be treated as for IOMMU_UNCONFIRMED. */
	IOMMU_UNIT_LOST,
	/** The unit, or this build, does not have the feature. */
	IOMMU_UNSUPPORTED,
	/** None of the table depths offered fits the unit, or an address is
	 *  wider than the unit translates. */
	IOMMU_WIDTH,
	/** The host's page-table format cannot be walked by the unit. */
	IOMMU_FORMAT,
	/** The unit's domain ids are used up. */
	IOMMU_NO_DOMAIN_ID,
	/** The interrupt remapping table is full. */
	IOMMU_NO_ENTRY,
	/** The change was made in memory, but the hardware did not confirm
	 *  in time that it forgot the old state. The device may still reach
	 *  the old pages: the host must not reuse them (quarantine). */
	IOMMU_UNCONFIRMED,
	/** The device did not answer an invalidation or could not be
	 *  quieted; it stays blocked. */
	IOMMU_DEVICE_BROKEN,
	/** A part of the range is mapped already. */
	IOMMU_MAPPED,
	/** A part of the range is not mapped. */
	IOMMU_NOT_MAPPED,
	/** The range touches addresses that are kept out of use: the
	 *  interrupt window or a reserved region. */
	IOMMU_RESERVED_RANGE,
	/** Devices are attached to the domain. */
	IOMMU_IN_USE,
	/** The host's own options, or firmware's wish, forbid it. */
	IOMMU_FORBIDDEN,
	/** The number of statuses; never returned. */
	IOMMU_STATUS_COUNT
};

/** Marks calls whose status must be looked at. */
#define IOMMU_MUST_CHECK __attribute__((warn_unused_result))

/**
 * The sentence that belongs to a status, without a full stop. Never NULL,
 * also for numbers that are no status.
 */
const char *iommu_status_text(enum iommu_status status);

IOMMU_END_C

#endif
