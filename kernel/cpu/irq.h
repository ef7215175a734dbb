/* SPDX-License-Identifier: MIT */
/* Interrupt vectors, and device interrupts by IOAPIC or message. */
#ifndef CPU_IRQ_H
#define CPU_IRQ_H

#include "lib/types.h"

/* Handlers run with interrupts off on the CPU that got the interrupt; EOI is
 * sent after the handler returns. */
typedef void (*irq_handler)(void *arg);

/* A free vector with its handler. Returns the vector (32-239) or -ENOSPC. */
int irq_alloc(irq_handler handler, void *arg);

/* Take the handler away; returns after it has run for the last time on every
 * CPU. Sleeps. */
void irq_free(int vector);

/* Route an ISA interrupt (0-15) through the IOAPIC to a CPU, unmasked. */
int ioapic_route(unsigned isa_irq, int vector, unsigned cpu);

/* Every pin quiet for good, before the machine is left. Takes no lock: nobody
 * routes any more. */
void ioapic_silence(void);

/* With interrupt remapping on, the routing entries take another form. The hook
 * turns (IOAPIC id, pin, vector, APIC id, flags) into the 64-bit entry; called
 * for every routed pin at once and for each later route. `level` and
 * `active_low` describe the pin. Returns false to leave the pin masked. */
typedef bool (*ioapic_remap)(unsigned ioapic_id, unsigned pin, int vector,
	uint32_t apic_id, bool level, bool active_low, uint64_t *out_entry);
void ioapic_set_remap(ioapic_remap hook);

/* The message that raises `vector` on a CPU without remapping. */
struct msi_message {
	uint64_t address;
	uint32_t data;
};
struct msi_message msi_compose(int vector, unsigned cpu);

#endif
