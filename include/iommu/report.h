/* SPDX-License-Identifier: MIT */
/*
 * Reports: texts for people, and counters.
 */
#ifndef IOMMU_REPORT_H
#define IOMMU_REPORT_H

#include <iommu/types.h>

IOMMU_BEGIN_C

struct iommu;

/** Takes a piece of text. length bytes, no terminator. Called with no lock
 *  held, so it may sleep. */
typedef void iommu_sink(void *arg, const char *text, size_t length);

/**
 * The state and the decoded capabilities of every unit: "driver info:", an
 * empty line, then for each unit "iommu@…" and its lines. With no unit the
 * driver's part says why. Reads registers. Addresses of the host's memory are
 * printed: not for eyes that must not see them.
 */
void iommu_report_info(struct iommu *iommu, iommu_sink *sink, void *arg);

/** What is odd, a line each: in the firmware's table, in a unit's capabilities,
 *  and in which units differ from each other. */
void iommu_report_warnings(struct iommu *iommu, iommu_sink *sink, void *arg);

/** Every quirk known: its condition and whether it took effect. */
void iommu_report_quirks(struct iommu *iommu, iommu_sink *sink, void *arg);

/** Counters and latencies of every unit. */
void iommu_report_stats(struct iommu *iommu, iommu_sink *sink, void *arg);

/** The registers of the invalidation queues and the descriptors in flight. */
void iommu_report_queue(struct iommu *iommu, iommu_sink *sink, void *arg);

/**
 * A device's root and context entries and, in ranges, what its page tables map,
 * as the hardware would walk them now. At most max_ranges lines.
 * Statuses as iommu_device_info().
 */
enum iommu_status iommu_report_tables(struct iommu *iommu,
	struct iommu_device_id id, unsigned max_ranges, iommu_sink *sink,
	void *arg) IOMMU_MUST_CHECK;

/** The decoded walk of one address of a device, a line per level. Statuses as
 *  iommu_device_info(). */
enum iommu_status iommu_report_walk(struct iommu *iommu,
	struct iommu_device_id id, iommu_iova_t iova, iommu_sink *sink,
	void *arg) IOMMU_MUST_CHECK;

/** The present entries of every interrupt remapping table. */
void iommu_report_interrupts(struct iommu *iommu, iommu_sink *sink, void *arg);

enum {
	/** Histogram slots: waits below 1 us, 2 us, 4 us … and the rest. */
	IOMMU_LATENCY_SLOTS = 16,
};

/** Counters of one unit since iommu_start(). */
struct iommu_stats {
	uint64_t doorbells;
	uint64_t descriptors;
	uint64_t waits;
	uint64_t timeouts;
	uint64_t queue_errors;
	uint64_t device_timeouts;
	uint64_t context_flushes;
	uint64_t domain_flushes;
	uint64_t page_flushes;
	uint64_t global_flushes;
	uint64_t device_tlb_flushes;
	uint64_t interrupt_flushes;
	uint64_t faults;
	uint64_t faults_lost;
	uint64_t attaches;
	uint64_t detaches;
	uint64_t latency[IOMMU_LATENCY_SLOTS];
};

/** Fills *out for unit n. IOMMU_BAD_ARGUMENT. Any context. */
enum iommu_status iommu_unit_stats(const struct iommu *iommu, unsigned n,
	struct iommu_stats *out) IOMMU_MUST_CHECK;

IOMMU_END_C

#endif
