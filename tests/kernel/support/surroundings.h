/* SPDX-License-Identifier: MIT */
/*
 * Around assign/: PCI functions, processes and the library on a model machine.
 * The functions do DMA whenever they get a chance to, as long as they master
 * the bus.
 */
#ifndef TEST_SURROUNDINGS_H
#define TEST_SURROUNDINGS_H

#include <model/host.h>
#include <model/model.h>
#include "support/machine.h"
#include "assign/address.h"
#include "pci/pci.h"
#include "proc/process.h"

#define MODEL_RAM (6ull << 20)
#define FUNCTIONS 8 /* the last has a device TLB */
#define MSIX_VECTORS 8

struct function {
	struct pci_device pci; /* first */
	bool master;
	bool never_stops, never_idle, no_reset, lost_in_reset;
	unsigned resets;
	bool msi_on;
	uint64_t msi_address; /* as last programmed */
	uint32_t msi_data;
	/* MSI-X, if the test gives it a capability: the table is in bar 1. */
	uint16_t msix_control;
	uint32_t msix_table[4 * MSIX_VECTORS];
};

/* Gives a function an MSI-X capability. */
void surroundings_msix(unsigned i);

extern struct function functions[FUNCTIONS];

uint16_t bdf_of(unsigned i);
struct pci_address address_of(unsigned i);
/* Behind a bridge to conventional PCI two functions have one requester id: the
 * other one; else the function itself. */
unsigned mate_of(unsigned i);

extern struct model *model;
extern struct model_host model_hooks;

/* Called whenever the kernel waits for hardware, resets it or lets others run:
 * the devices' chance. */
extern void (*devices_turn)(void);

/* At the next reset of a device: the process that is attached to dies. */
extern void (*at_reset)(struct pci_device *d);

/* A device has no bus mastering any more and is to finish what it began. */
extern void (*at_quiet)(struct pci_device *d);

/* Somebody takes a count of a process's space. */
extern void (*at_space)(struct process *p);

/* CPU vectors that devices have; each is marked with the tag of the moment. */
extern int irq_tag;
unsigned irqs_in_use(void);
/* One of them is about to be free for others. */
extern void (*at_irq_free)(int vector);
/* A message reached a CPU: the handler runs. Its tag, or -1: nobody's. */
int irq_arrives(unsigned vector);

/* Firmware reserved memory for this function (-1: none); as of the next start.
 */
extern int reserved_for;

/* The library may switch device TLBs on; as of the next start. */
extern bool device_tlbs;

/* The kernel's clock was set by so much, from the start until now. */
extern int64_t clock_set_by;
/* The longest sleep that was asked for. */
extern uint64_t longest_sleep;

/* A machine with one unit of this kind, booted, assign_init() called. */
void surroundings_start(const struct model_personality *kind,
	enum model_mode mode, uint64_t seed);

/* The instance ends; nothing may be left, no rule may have been broken. */
void surroundings_stop(void);

/* The same after the unit was broken on purpose: what it may still reach is
 * lost, and that is all. */
void surroundings_stop_broken(void);

/* No rule was broken so far and nothing stale is cached anywhere. */
void surroundings_check(void);

/* Processes by pid, 1 to PROCESSES. */
#define PROCESSES 4
extern struct process processes[PROCESSES + 1];
extern struct process *current_process;

#endif
