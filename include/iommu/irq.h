/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping: entries that translate a device's interrupt messages
 * and accept them only from their own source (VT-d chapter 5).
 */
#ifndef IOMMU_IRQ_H
#define IOMMU_IRQ_H

#include <iommu/types.h>
#include <iommu/host.h>

IOMMU_BEGIN_C

struct iommu;

/** A block of consecutive entries for one source. Filled by the library; the
 *  host keeps it and hands it back unchanged. */
struct iommu_irq {
	/** Index of the unit. */
	uint16_t unit;
	/** First entry. */
	uint16_t first;
	/** How many, a power of two. */
	uint16_t count;
	/** The requester id that may use them. */
	uint16_t source;
};

/** How the CPU is interrupted (the fields of an APIC message). */
enum iommu_delivery {
	IOMMU_DELIVERY_FIXED = 0,
	IOMMU_DELIVERY_LOWEST = 1,
	IOMMU_DELIVERY_SMI = 2,
	IOMMU_DELIVERY_NMI = 4,
	IOMMU_DELIVERY_INIT = 5,
	IOMMU_DELIVERY_EXTINT = 7,
};

/** Where an interrupt goes. Zero the struct before filling it. */
struct iommu_irq_target {
	/** APIC id, or logical destination; above 255 only with x2APIC. */
	uint32_t destination;
	uint8_t vector;
	enum iommu_delivery delivery;
	/** The destination is a logical one. */
	bool logical;
	/** The redirection hint of the message. */
	bool redirection_hint;
	/** Level-triggered (I/O APIC pins only). */
	bool level;
};

/**
 * Whether a device's interrupts are remapped: its unit has remapping switched
 * on. If not, the host programs plain messages and nothing keeps a device from
 * forging them. Statuses as iommu_device_info().
 */
enum iommu_status iommu_irq_remapped(struct iommu *iommu,
	struct iommu_device_id id, bool *out_remapped) IOMMU_MUST_CHECK;

/**
 * Reserves count entries (a power of two, 1 to 32) for a device's messages, all
 * not present yet. May allocate on first sight of a device; does not wait.
 * IOMMU_UNSUPPORTED if the unit does not remap, IOMMU_NO_ENTRY,
 * IOMMU_BAD_ARGUMENT, and those of iommu_device_info().
 */
enum iommu_status iommu_irq_alloc(struct iommu *iommu,
	struct iommu_device_id id, unsigned count,
	struct iommu_irq *out) IOMMU_MUST_CHECK;

/** The same for pins of the I/O APIC with this id; count may be up to 256. The
 *  source id comes from the firmware's table. IOMMU_UNCOVERED if the table
 *  does not name the I/O APIC. */
enum iommu_status iommu_irq_alloc_ioapic(struct iommu *iommu,
	unsigned ioapic_id, unsigned count,
	struct iommu_irq *out) IOMMU_MUST_CHECK;

/** The same for a message-signalling HPET by its number. Statuses as
 *  iommu_irq_alloc_ioapic(). */
enum iommu_status iommu_irq_alloc_hpet(struct iommu *iommu, unsigned hpet,
	unsigned count, struct iommu_irq *out) IOMMU_MUST_CHECK;

/**
 * Makes entry n of the block deliver to a target, or changes where it delivers;
 * the change is one atomic store, so no message is lost between. Waits until
 * the unit has forgotten the old entry. IOMMU_BAD_ARGUMENT (n, destination too
 * wide), IOMMU_UNCONFIRMED, IOMMU_UNIT_LOST.
 */
enum iommu_status iommu_irq_set(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n,
	const struct iommu_irq_target *target) IOMMU_MUST_CHECK;

/** Makes entry n not present: its messages are refused. Waits. Statuses as
 *  iommu_irq_set(). */
enum iommu_status iommu_irq_clear(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n) IOMMU_MUST_CHECK;

/**
 * The message to program into the device for entry n. For multi-message MSI
 * the device gets entry 0's message: it adds the number itself.
 * IOMMU_BAD_ARGUMENT.
 */
enum iommu_status iommu_irq_message(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n,
	struct iommu_msi_message *out) IOMMU_MUST_CHECK;

/**
 * The redirection entry for an I/O APIC pin that uses entry n (VT-d 5.1.5.1),
 * unmasked. vector and level must equal the entry's target; low_active is the
 * pin's polarity. IOMMU_BAD_ARGUMENT.
 */
enum iommu_status iommu_irq_ioapic_entry(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n, uint8_t vector, bool level,
	bool low_active, uint64_t *out) IOMMU_MUST_CHECK;

/**
 * Clears all entries of the block, waits until the unit has forgotten them and
 * frees them. IOMMU_UNCONFIRMED, IOMMU_UNIT_LOST: they are not reused.
 * IOMMU_BAD_ARGUMENT if the block is not allocated.
 */
enum iommu_status iommu_irq_free(
	struct iommu *iommu, const struct iommu_irq *irq) IOMMU_MUST_CHECK;

IOMMU_END_C

#endif
