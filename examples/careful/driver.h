/* SPDX-License-Identifier: MIT */
/*
 * A careful VT-d driver: legacy mode, 4-KiB pages, one lock, and flushes that
 * are never narrower than a domain. It spends time where a faster one would
 * spend thought, and keeps every rule that docs/model.md lists.
 *
 * Life of a unit: start, any number of off and on, stop. Functions that return
 * int give 0, or -1. After -1 of detach or unmap a device may still reach what
 * was mapped: those pages and the domain must not be used for anything else.
 */
#ifndef EXAMPLES_CAREFUL_DRIVER_H
#define EXAMPLES_CAREFUL_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CAREFUL_READ = 1,
	CAREFUL_WRITE = 2
};

struct careful_domain {
	struct careful_unit *unit;
	uint64_t table;
	uint16_t id;
};

/** One requester id. Whoever declares it keeps it while it is attached. */
struct careful_device {
	uint16_t bdf;
	/** It has a device TLB that is switched on. */
	bool caches;
	struct careful_domain *domain;
	struct careful_device *next;
};

struct careful_unit {
	uint64_t regs, cap, ecap;
	/** Physical addresses of the tables, 0: none. */
	uint64_t root, entries, queue, status;
	/** Places of the registers that may lie anywhere. */
	uint32_t iotlb, records;
	/** Commands go through the invalidation queue; it is on. */
	bool queued, queue_on;
	/** A command was not finished in time: nothing can be relied on. */
	bool dead;
	/** A chipset that is known to buffer writes, whatever CAP.RWBF says. */
	bool buffers;
	/** Interrupts are remapped. */
	bool remaps;
	unsigned levels;
	/** First slot since the last wait, next free slot, last status. */
	unsigned first, tail;
	uint32_t ticket;
	/** Bit n: domain id n is in use. */
	uint64_t ids;
	/** What the unit sends on a fault; address 0: nothing. */
	uint64_t event_address;
	uint32_t event_data;
	struct careful_device *devices;
	/** Of them, those with a device TLB. */
	unsigned cachers;
};

struct careful_fault {
	uint16_t source;
	uint8_t reason;
	bool read;
	uint64_t address;
};

/** The registers are at regs, whatever was done with them before. With queue,
 *  the invalidation queue is used if there is one; interrupts are remapped only
 *  then. Set buffers, event_address and event_data before. */
int careful_start(struct careful_unit *u, uint64_t regs, bool queue);
/** To rest, before power goes; and back with everything as it was. Devices do
 *  no DMA from the first to the end of the second. */
int careful_off(struct careful_unit *u);
int careful_on(struct careful_unit *u);
/** Ends it; nothing is attached any more. */
void careful_stop(struct careful_unit *u);

int careful_domain(struct careful_unit *u, struct careful_domain *out);
/** No device is attached any more. */
void careful_domain_end(struct careful_domain *d);
int careful_attach(struct careful_domain *d, struct careful_device *dev);
int careful_detach(struct careful_device *dev);

/** count pages, at addresses where nothing is mapped. */
int careful_map(struct careful_domain *d, uint64_t iova, uint64_t phys,
	unsigned count, unsigned rights);
/** Changes the rights of pages that are mapped. */
int careful_protect(struct careful_domain *d, uint64_t iova, unsigned count,
	unsigned rights);
/** Afterwards the pages may be given back. */
int careful_unmap(struct careful_domain *d, uint64_t iova, unsigned count);

/** An entry for one source: its index, or -1. */
int careful_irq(
	struct careful_unit *u, uint16_t source, uint8_t vector, uint8_t apic);
/** Another vector or CPU for an entry in use. */
int careful_irq_move(
	struct careful_unit *u, int index, uint8_t vector, uint8_t apic);
/** Its source is silent. */
int careful_irq_free(struct careful_unit *u, int index);
/** What the source has to send. */
uint64_t careful_irq_address(int index);

/** Takes up to max faults out of the unit; returns how many. */
unsigned careful_faults(
	struct careful_unit *u, struct careful_fault *out, unsigned max);

#endif
