/* SPDX-License-Identifier: MIT */
/*
 * What the careful driver asks of the system that it runs in. A kernel has all
 * of this; main.c has it from the model.
 */
#ifndef EXAMPLES_CAREFUL_OS_H
#define EXAMPLES_CAREFUL_OS_H

#include <stddef.h>
#include <stdint.h>

uint32_t os_read32(uint64_t phys);
uint64_t os_read64(uint64_t phys);
void os_write32(uint64_t phys, uint32_t value);
void os_write64(uint64_t phys, uint64_t value);

/** A zeroed page by its physical address, 0 if there is none. */
uint64_t os_page(void);
void os_page_free(uint64_t phys);
/** Where the CPU finds physical memory. */
void *os_memory(uint64_t phys);
/** CLFLUSH of every line of the range, and a fence. */
void os_write_back(uint64_t phys, size_t len);

/** Nanoseconds. */
uint64_t os_now(void);

/** The one lock of the driver; an interrupt handler does not take it. */
void os_lock(void);
void os_unlock(void);

uint32_t os_config_read(uint16_t bdf, unsigned offset);
void os_config_write(uint16_t bdf, unsigned offset, uint32_t value);

#endif
