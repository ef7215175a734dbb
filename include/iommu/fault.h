/* SPDX-License-Identifier: MIT */
/*
 * Faults as data: what a device was refused, and why.
 */
#ifndef IOMMU_FAULT_H
#define IOMMU_FAULT_H

#include <iommu/types.h>

IOMMU_BEGIN_C

struct iommu;
struct iommu_domain;

/** What kind of request was refused. */
enum iommu_fault_kind {
	IOMMU_FAULT_DMA,
	IOMMU_FAULT_INTERRUPT,
};

enum {
	/** Table levels a walk can have: root, context, five page tables. */
	IOMMU_WALK_STEPS = 7,
};

/** The entries met on the way from the root to a page, as they stand in
 *  memory when asked; the hardware may have cached others. */
struct iommu_walk {
	unsigned steps;
	struct {
		/** 7 root, 6 context, 5..1 page-table levels. */
		unsigned level;
		iommu_phys_t at;
		uint64_t low;
		/** Root and context entries only. */
		uint64_t high;
	} step[IOMMU_WALK_STEPS];
	/** The walk ended at a page: where it leads, and its size. */
	bool mapped;
	iommu_phys_t phys;
	uint64_t page_size;
	/** enum iommu_rights of the whole way. */
	unsigned rights;
};

/** One refused request. */
struct iommu_fault {
	/** iommu_host.now_ns() when the record was collected. */
	uint64_t time_ns;
	unsigned unit;
	struct iommu_device_id device;
	enum iommu_fault_kind kind;
	/** DMA: the page-aligned address. */
	iommu_iova_t address;
	/** Interrupt: the index of the entry. */
	unsigned index;
	/** DMA: the request was a write. */
	bool write;
	/** The reason code (VT-d appendix A), and in words. */
	uint8_t reason;
	const char *text;
	/** The device's domain when the fault was drained, or NULL. Valid as
	 *  long as the host does not destroy the domain. */
	struct iommu_domain *domain;
	/** Faults lost before this one, as far as known. */
	unsigned lost;
	/** Whether it is worth a line in a log: of each device ten at once,
	 *  then one a second. */
	bool loud;
	struct iommu_walk walk;
};

/**
 * The interrupt entry: collects the records of unit n into the instance's ring
 * and acknowledges them. Interrupt context; takes a lock, never waits, never
 * allocates. Returns true if faults are to be drained. Also serves hosts that
 * poll.
 */
bool iommu_interrupt(struct iommu *iommu, unsigned n);

/** iommu_interrupt() for every unit, for hosts with one vector for all. */
bool iommu_interrupt_all(struct iommu *iommu);

/**
 * Takes the oldest collected fault, decodes it and records the walk as it
 * stands. Returns false if there is none. A device with more faults in a second
 * than iommu_options.fault_storm is blocked here: its faults are no longer
 * recorded and its entry is made not present; *out is then the last one and
 * iommu_device_info() answers IOMMU_DEVICE_QUARANTINED. May wait in that case.
 * Not in interrupt context.
 */
bool iommu_fault_next(struct iommu *iommu, struct iommu_fault *out);

/**
 * Writes a fault as one line, always terminated, for instance
 * "00:03.0 write 0x00007f0012345000: write access refused (5)". Returns the
 * length without the terminator; size 0 writes nothing.
 */
size_t iommu_fault_format(
	const struct iommu_fault *fault, char *line, size_t size);

/** The words for a reason code; never NULL. */
const char *iommu_fault_text(uint8_t reason);

IOMMU_END_C

#endif
