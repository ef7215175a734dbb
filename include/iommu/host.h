/* SPDX-License-Identifier: MIT */
/*
 * What a host (kernel, hypervisor, firmware, test program) provides.
 *
 * The host fills a struct iommu_host and hands it to iommu_create(), which
 * copies it. Every hook gets the host's own `ctx` back. Unless its contract
 * says otherwise a hook may be called from any context in which the host
 * calls the library, with library locks held, and must not call the library.
 */
#ifndef IOMMU_HOST_H
#define IOMMU_HOST_H

#include <iommu/types.h>

IOMMU_BEGIN_C

/**
 * Storage of one lock. The library zeroes it before first use (zero must mean
 * "free" to the host's lock functions), never copies it and never looks into
 * it. It is a cache line of its own on common machines.
 */
struct iommu_lock {
	uintptr_t opaque[8];
};

/** How important a line for the log is. */
enum iommu_log_level {
	/** Something is lost or out of use. */
	IOMMU_LOG_ERROR,
	/** Firmware or hardware is odd; the library copes. */
	IOMMU_LOG_WARNING,
	/** What was found and chosen. */
	IOMMU_LOG_INFO,
	/** What is asked of units, and their answers; only with
	 *  iommu_options.trace. */
	IOMMU_LOG_DEBUG,
};

/** An interrupt message: what a PCI function or a unit writes, and where. */
struct iommu_msi_message {
	uint64_t address;
	uint32_t data;
};

struct iommu_host {
	/** Given back as the first argument of every hook. */
	void *ctx;

	/**
	 * If not NULL: all memory that page_alloc returns lies at
	 * direct_map + physical address. The library then reaches page
	 * tables without calling phys_to_virt. A host that sees memory at its
	 * physical addresses has no such base: it leaves this NULL.
	 */
	void *direct_map;

	/**
	 * Allocates 2^order pages of 4 KiB, zeroed, physically contiguous,
	 * aligned to their size, in memory that the CPU caches write-back.
	 * order is 0..8. Returns the address for the CPU and sets *out_phys,
	 * or returns NULL. Never called from iommu_interrupt(), never on a
	 * path that unmaps, flushes or detaches. Pages that are not aligned so,
	 * or that phys_to_virt does not know, are given back at once, with a
	 * line in the log, and count as none.
	 */
	void *(*page_alloc)(void *ctx, unsigned order, iommu_phys_t *out_phys);

	/** Takes back what page_alloc gave, with the same order. No hardware
	 *  refers to the pages any more. */
	void (*page_free)(
		void *ctx, void *page, iommu_phys_t phys, unsigned order);

	/**
	 * The CPU's address of a page of memory, 4 KiB that are aligned so, or
	 * NULL if that is not memory the CPU can read. Asked for what
	 * page_alloc gave, which is written to by this address, and, in
	 * reports, for faults and in tables of an earlier owner, for any
	 * address found in a table.
	 */
	void *(*phys_to_virt)(void *ctx, iommu_phys_t phys);

	/**
	 * Maps size bytes of device registers, uncached. base and size are
	 * multiples of 4 KiB. Returns a handle for reg_read and reg_write
	 * (commonly the virtual address; it is printed in reports), or NULL.
	 */
	void *(*regs_map)(void *ctx, iommu_phys_t base, uint64_t size);
	void (*regs_unmap)(void *ctx, void *regs, uint64_t size);

	/**
	 * Reads or writes a register with one access of width 4 or 8 bytes.
	 * A host whose CPU has no 8-byte access does two of 4 bytes, low
	 * half first. Writes are ordered after all earlier stores to memory
	 * and reads before all later loads.
	 */
	uint64_t (*reg_read)(
		void *ctx, void *regs, uint32_t offset, unsigned width);
	void (*reg_write)(void *ctx, void *regs, uint32_t offset,
		unsigned width, uint64_t value);

	/**
	 * Writes the cache lines of [virt, virt + size) back to memory and
	 * does not return before they are there (on x86: CLFLUSH or CLWB of
	 * each line, then a fence). Only called for units that read memory
	 * without snooping (ECAP.C = 0); may be NULL on a machine that has
	 * none, then such units are refused.
	 */
	void (*cache_flush)(void *ctx, const void *virt, size_t size);

	/**
	 * Takes and releases a lock. Must keep out interrupts on this CPU
	 * if the host calls iommu_interrupt() in interrupt context; the
	 * value lock returns (the interrupt state) is given to unlock. The
	 * library holds locks briefly, never while it waits for hardware
	 * other than one register command, and nests them only in the order
	 * written down in the library's internal header. What was taken last
	 * is given back first, so that interrupt states nest.
	 */
	unsigned long (*lock)(void *ctx, struct iommu_lock *lock);
	void (*unlock)(void *ctx, struct iommu_lock *lock, unsigned long state);

	/**
	 * Nanoseconds since any fixed moment; should never step back. Every
	 * wait ends whatever it does: a step ahead counts as a small part of
	 * the limit, one back as nothing, and a clock that does not go on for
	 * 20 million looks ends the wait. Without it deferred flushes are
	 * started by their number only, and faults however far apart may be
	 * taken for a storm.
	 */
	uint64_t (*now_ns)(void *ctx);

	/**
	 * Called again and again while the library polls for hardware, no
	 * lock held. waited_ns is how long it has polled. The host may
	 * relax the CPU, serve other work or sleep until the unit's
	 * interrupt. May be NULL.
	 */
	void (*relax)(void *ctx, uint64_t waited_ns);

	/**
	 * A line for the log, without line feed; only valid during the call.
	 * Called by one CPU at a time and with locks held: must not call the
	 * library. May be NULL.
	 */
	void (*log)(void *ctx, enum iommu_log_level level, const char *line);

	/**
	 * Reads PCI configuration space: width 1, 2 or 4 bytes, offset a
	 * multiple of it, below 4096. All ones where nothing answers; bits
	 * beyond the width are ignored.
	 */
	uint32_t (*pci_read)(void *ctx, uint16_t segment, uint8_t bus,
		uint8_t devfn, uint16_t offset, unsigned width);

	/**
	 * Writes PCI configuration space. May be NULL; then the library
	 * never enables address translation services in a device.
	 */
	void (*pci_write)(void *ctx, uint16_t segment, uint8_t bus,
		uint8_t devfn, uint16_t offset, unsigned width, uint32_t value);

	/**
	 * Composes the message for a unit's own interrupt (faults and
	 * completed waits); the host calls iommu_interrupt(unit) when it
	 * arrives. Not remapped (VT-d 5.1.6). Returns false if there is no
	 * vector; the host then calls iommu_interrupt() from a timer. May be
	 * NULL, meaning the same.
	 */
	bool (*unit_msi)(
		void *ctx, unsigned unit, struct iommu_msi_message *out);

	/**
	 * The number of the CPU that runs, below iommu_options.cpus; only
	 * used to spread load, a stale answer does no harm. May be NULL.
	 */
	unsigned (*cpu_index)(void *ctx);
};

IOMMU_END_C

#endif
