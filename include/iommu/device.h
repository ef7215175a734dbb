/* SPDX-License-Identifier: MIT */
/*
 * Devices: looked up, grouped, given to domains and taken back.
 */
#ifndef IOMMU_DEVICE_H
#define IOMMU_DEVICE_H

#include <iommu/types.h>

IOMMU_BEGIN_C

struct iommu;
struct iommu_domain;

/** Where a device stands. */
enum iommu_device_state {
	/** No access to memory. */
	IOMMU_DEVICE_BLOCKED,
	/** In transit between two states. */
	IOMMU_DEVICE_CHANGING,
	IOMMU_DEVICE_ATTACHED,
	/** Blocked for good: an invalidation was never confirmed or the
	 *  device's faults were a storm. iommu_device_revive() ends it. */
	IOMMU_DEVICE_QUARANTINED,
	/** Not attached; it reaches what an earlier owner's tables map
	 *  (IOMMU_TAKE_OVER_KEPT). */
	IOMMU_DEVICE_INHERITED,
};

/** What firmware says about a device that is part of the chipset or processor
 *  (SATC and SIDP, VT-d 8.8 and 8.9). */
enum iommu_property {
	/** It does not work without a TLB of its own. */
	IOMMU_NEEDS_TLB = 1u << 0,
	/** Its TLB is hardened against whoever drives the device. */
	IOMMU_HARDENED_TLB = 1u << 1,
	/** Its tables must not force snooping: a mapped domain for it is made
	 *  with iommu_domain_config.no_snoop_control. */
	IOMMU_NO_SNOOP_CONTROL = 1u << 2,
};

/** A device's last fault, as far as it was drained. */
struct iommu_last_fault {
	/** iommu_host.now_ns() when the record was collected. */
	uint64_t time_ns;
	/** See iommu_fault_text(); 0: there was none. */
	uint8_t reason;
	bool write;
	/** DMA: the page-aligned address. Interrupts: the entry's index. */
	uint64_t address;
};

/** A snapshot of one device. */
struct iommu_device_info {
	enum iommu_device_state state;
	/** NULL unless attached. */
	struct iommu_domain *domain;
	/** Index of the unit that translates for it. */
	unsigned unit;
	/** The domain id in that unit; only if attached. */
	unsigned did;
	/** Firmware reserved memory for it. */
	bool reserved_memory;
	/** Its requests may carry this other id (behind a PCIe-to-PCI
	 *  bridge); equal to the device's own if not. */
	uint16_t alias;
	/** Stands for its group: devices with the same one cannot be kept
	 *  apart. */
	struct iommu_device_id group;
	/** A set of enum iommu_property. */
	unsigned properties;
	/** It uses a TLB of its own now. */
	bool tlb_on;
	/** Faults counted. */
	uint64_t faults;
	struct iommu_last_fault last_fault;
};

/**
 * The id of a device that firmware knows by its ACPI path (ANDD, VT-d 8.6), for
 * instance "\\_SB.PCI0.I2C1"; the name must be equal byte for byte. The id is
 * good for every call here, although configuration space shows nothing there.
 * IOMMU_NO_DEVICE, IOMMU_BAD_ARGUMENT. Any context.
 */
enum iommu_status iommu_acpi_device(const struct iommu *iommu, const char *name,
	struct iommu_device_id *out) IOMMU_MUST_CHECK;

/**
 * Looks a device up, through configuration space for bridges, and fills *out.
 * May allocate on first sight of a device.
 * IOMMU_NO_UNIT, IOMMU_NO_DEVICE, IOMMU_UNCOVERED, IOMMU_NO_MEMORY;
 * IOMMU_BRIDGE with *out filled.
 */
enum iommu_status iommu_device_info(struct iommu *iommu,
	struct iommu_device_id id,
	struct iommu_device_info *out) IOMMU_MUST_CHECK;

/**
 * Lists the devices that cannot be told apart from this one or can reach it
 * behind the unit's back (same alias, functions without access control), the
 * device itself first. At most max are stored; *out_count is how many exist.
 * A group belongs to one domain at a time. Reads configuration space.
 * Statuses as iommu_device_info().
 */
enum iommu_status iommu_device_group(struct iommu *iommu,
	struct iommu_device_id id, struct iommu_device_id *out, unsigned max,
	unsigned *out_count) IOMMU_MUST_CHECK;

/** What the host owes a unit for each table entry it writes itself. */
enum iommu_duty {
	/** Write the entry's cache line back to memory before the flush
	 *  (or, for an entry made present, before the device is told the
	 *  address): the unit reads memory without snooping (ECAP.C = 0). */
	IOMMU_DUTY_WRITE_BACK = 1u << 0,
	/** Flush also when an entry becomes present (CAP.CM or CAP.RWBF). */
	IOMMU_DUTY_FLUSH_PRESENT = 1u << 1,
};

/**
 * The duties, a set of enum iommu_duty, that attaching this device would put
 * on its domain. Asked before iommu_attach() so that tables that exist already
 * can be written back first. Statuses as iommu_device_info().
 */
enum iommu_status iommu_device_duties(struct iommu *iommu,
	struct iommu_device_id id, unsigned *out_duties) IOMMU_MUST_CHECK;

/**
 * Gives a device to a domain. When it returns IOMMU_OK the device reaches what
 * the domain maps, and nothing else. The order of stores and flushes is VT-d
 * 6.5.3.3's. Waits only on units with caching mode or write buffers; may
 * allocate (context table, domain id).
 *
 * IOMMU_NO_UNIT, IOMMU_NO_DEVICE, IOMMU_UNCOVERED, IOMMU_BRIDGE, IOMMU_BUSY,
 * IOMMU_RESERVED_MEMORY, IOMMU_GROUP_BUSY, IOMMU_OFF, IOMMU_UNIT_LOST,
 * IOMMU_WIDTH (no offered root fits this unit, or the unit came after the
 * domain and has less than those before), IOMMU_FORMAT (the domain forces
 * snooping, the device forbids it), IOMMU_UNSUPPORTED (identity on
 * a unit with neither pass-through nor large pages), IOMMU_NO_DOMAIN_ID,
 * IOMMU_NO_MEMORY, IOMMU_DEVICE_BROKEN (quarantined), IOMMU_WRONG_STATE (handed
 * over): nothing changed, but that the device may have lost what it inherited.
 * IOMMU_UNCONFIRMED: the device was blocked again and quarantined, treat the
 * domain's pages as if the device had been attached for a moment.
 */
enum iommu_status iommu_attach(struct iommu *iommu, struct iommu_device_id id,
	struct iommu_domain *domain) IOMMU_MUST_CHECK;

/**
 * Takes a device from its domain; afterwards it is blocked. The host has
 * switched its bus mastering off and let requests in flight finish. The order
 * is: entry not present, context cache (old domain id), IOTLB of the domain
 * with drain, device TLB, wait. Waits; allocates only for a device that is met
 * for the first time.
 *
 * IOMMU_OK: nothing of the domain can be reached by the device any more.
 * IOMMU_UNCONFIRMED, IOMMU_UNIT_LOST: the entry is not present, but the
 * hardware did not confirm; the device is quarantined and the pages it could
 * reach must not be reused. IOMMU_NO_UNIT, IOMMU_NO_DEVICE,
 * IOMMU_NOT_ATTACHED, IOMMU_BUSY (an attach or detach is under way), IOMMU_OFF
 * (suspended), IOMMU_WRONG_STATE after iommu_hand_over(). A device that
 * inherited access from an earlier owner is blocked by this call, too;
 * IOMMU_NO_MEMORY: it may have, and was not.
 */
enum iommu_status iommu_detach(
	struct iommu *iommu, struct iommu_device_id id) IOMMU_MUST_CHECK;

/**
 * Ends a device's quarantine after the host has reset it and its unit answers:
 * flushes everything of the device and makes it an ordinary blocked device.
 * Waits. IOMMU_WRONG_STATE if it is not quarantined, IOMMU_UNCONFIRMED if the
 * hardware still does not answer, IOMMU_UNIT_LOST.
 */
enum iommu_status iommu_device_revive(
	struct iommu *iommu, struct iommu_device_id id) IOMMU_MUST_CHECK;

/**
 * Tells the library that a device is gone (surprise removal) or its bus was
 * renumbered. A device that is attached is detached without waiting for its
 * own TLB; what comes in its place is looked at anew. Waits. Statuses as
 * iommu_detach(), but a device that is not attached is IOMMU_OK.
 */
enum iommu_status iommu_device_removed(
	struct iommu *iommu, struct iommu_device_id id) IOMMU_MUST_CHECK;

/** Called for each attached device. */
typedef void iommu_visit(void *arg, unsigned unit, struct iommu_device_id id,
	struct iommu_domain *domain);

/**
 * Visits every attached device, in the order of units, segments and requester
 * ids. A lock is held: the visitor calls nothing of the library but
 * iommu_domain_owner() and iommu_domain_kind().
 */
void iommu_visit_attached(
	const struct iommu *iommu, iommu_visit *visit, void *arg);

IOMMU_END_C

#endif
