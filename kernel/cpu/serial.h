/* SPDX-License-Identifier: MIT */
/* The first serial port and the emulator's debug port. */
#ifndef CPU_SERIAL_H
#define CPU_SERIAL_H

#include "lib/types.h"

/* Find the port and set it to 115200 8n1. First thing at boot. */
void serial_init(void);

/* All n bytes, as they are. Pieces of up to 256 bytes are not mixed with those
 * of other CPUs. Any context. */
void serial_write(const char *s, size_t n);

/* From now on call fn(byte) for every byte received, in interrupt context.
 * Needs the IOAPIC. Once. */
void serial_on_receive(void (*fn)(uint8_t byte));

/* The emulator's debug port 0xE9, if there is one; the kernel's own messages do
 * not go there. */
void debugcon_write(const char *s, size_t n);

/* The machine is going down: write without waiting for anyone's lock. */
void serial_ignore_locks(void);

#endif
