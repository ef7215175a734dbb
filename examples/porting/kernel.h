/* SPDX-License-Identifier: MIT */
/*
 * What the imaginary kernel offers to glue.c. Yours has all of this under other
 * names.
 */
#ifndef PORTING_KERNEL_H
#define PORTING_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *kernel_pages_zeroed(unsigned order);
void kernel_pages_free(void *pages, unsigned order);
uint64_t kernel_virt_to_phys(const void *virt);
void *kernel_phys_to_virt(uint64_t phys);
void *kernel_map_uncached(uint64_t phys, uint64_t size);
void kernel_unmap(void *virt, uint64_t size);
uint64_t kernel_mmio_read(void *at, unsigned width);
void kernel_mmio_write(void *at, unsigned width, uint64_t value);
void kernel_cache_write_back(const void *virt, size_t size);

typedef struct {
	int taken;
} kernel_spinlock;
unsigned long kernel_spin_lock_irqsave(kernel_spinlock *lock);
void kernel_spin_unlock_irqrestore(kernel_spinlock *lock, unsigned long flags);

uint64_t kernel_uptime_ns(void);
void kernel_print(const char *line);
uint32_t kernel_pci_read(uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width);
bool kernel_msi_allocate(unsigned unit, uint64_t *address, uint32_t *data);
void kernel_wake_fault_thread(void);

/* ---- glue.c ---- */

struct protected_device;
bool protection_start(const void *dmar, size_t size);
void protection_interrupt(unsigned n);
void protection_faults(void);
void protection_stop(void);

#endif
