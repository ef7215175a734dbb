/* SPDX-License-Identifier: MIT */
/*
 * Those who walk page tables: the CPUs, and devices behind an I/O MMU unit.
 * Each keeps every translation that it ever saw, tables of the levels in
 * between too, until it is told to forget; a device also keeps the absence of
 * one if its unit has caching mode. Before anything is forgotten, devices look
 * at all there is once more: hardware may prefetch at the worst moment.
 */
#ifndef TEST_WALKER_H
#define TEST_WALKER_H

#include "support/machine.h"

/* A byte as the running CPU reads or writes it in a space (which it enters):
 * 0, or what space_fault() says to the access. */
int cpu_read(struct space *s, uint64_t addr, uint8_t *out);
int cpu_write(struct space *s, uint64_t addr, uint8_t value);
int cpu_fetch(struct space *s, uint64_t addr);
uint8_t cpu_byte(struct space *s, uint64_t addr); /* must succeed */
void cpu_put(struct space *s, uint64_t addr, uint8_t value);
/* It looks at an address ahead of any access, and keeps what it finds. */
void cpu_speculate(struct space *s, uint64_t addr);
void cpus_leave(void);

struct tlb;

struct device {
	/* Set by the test; what kind of unit it is behind. */
	unsigned levels;   /* 3, 4 or 5 */
	bool caching_mode; /* absence is cached too */
	bool noncoherent;  /* tables are read from memory, past CPU caches */
	bool huge;         /* takes 2 MiB pages */
	/* The rest is support/devices.c's. */
	struct space *space;
	struct tlb *tlb;
	uint64_t root;
	uint64_t interrupts; /* writes to the interrupt window */
};

enum {
	REACHED,
	REFUSED,   /* a fault: not mapped, or not allowed */
	INTERRUPT, /* taken as an interrupt message */
};

/* A byte as the device reads or writes it. */
int device_read(struct device *d, uint64_t iova, uint8_t *out);
int device_write(struct device *d, uint64_t iova, uint8_t value);

/* Cache every translation that the device could reach now. */
void device_prefetch(struct device *d);

/* Physical address that an access of the device ends at; 0: refused. */
uint64_t device_target(struct device *d, uint64_t iova, bool write);

/* For devices.c. */
struct tlb *tlb_create(void);
void tlb_destroy(struct tlb *t);
void tlb_drop(struct tlb *t, uint64_t start, uint64_t end, bool tables);

#endif
