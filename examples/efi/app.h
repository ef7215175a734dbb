/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the UEFI application offer to each other. Whatever can fail
 * in the firmware is bool or NULL here.
 */
#ifndef EFI_APP_H
#define EFI_APP_H

#include <efi.h>
#include <iommu/iommu.h>

/* ---- firmware.c: what the firmware offers, in the library's words ---- */

extern EFI_SYSTEM_TABLE *firmware;

/** Before anything else here. */
bool firmware_open(EFI_SYSTEM_TABLE *table);
/** Prints strings, up to a NULL. */
void say(const char *first, ...) __attribute__((sentinel));
uint64_t clock_ns(void);
/** An ACPI table by its signature; NULL if there is none. */
const void *acpi_table(const char *signature, size_t *out_size);
/** Whether a physical address is memory; the CPU sees it at the same one. */
bool is_memory(uint64_t phys);

/* ---- pci.c: configuration space ---- */

enum {
	PCI_ID = 0x00,
	PCI_COMMAND = 0x04,
	PCI_HEADER = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_CAPABILITIES = 0x34,
};

/** Bits of the command register. */
#define PCI_MEMORY 2u
#define PCI_MASTER 4u

/** Before anything else here. */
bool pci_open(void);
/** All ones where nothing is. */
uint32_t pci_get(struct iommu_device_id id, unsigned offset, unsigned width);
void pci_put(struct iommu_device_id id, unsigned offset, unsigned width,
	uint32_t value);
/** Whether the function is there and is no bridge. */
bool is_endpoint(struct iommu_device_id id);
/** Calls for every function of the first segment. */
void pci_visit(void (*visit)(struct iommu_device_id id));

/* ---- host.c ---- */

/** The hooks that the library asks for. */
extern const struct iommu_host host;

/* ---- interrupt.c ---- */

/** Has a vector of this CPU counted; *out is how a message gets there. False:
 *  not to be had. */
bool vector_open(unsigned vector, struct iommu_irq_target *out);
/** How often it arrived. */
unsigned vector_count(void);

/* ---- edu.c: QEMU's teaching device ---- */

/** What edu has for itself: so many bytes, at this of its addresses. */
#define EDU_BUFFER 0x40000
#define EDU_BUFFER_SIZE 4096

/** Finds one and switches its registers on; false if there is none. */
bool edu_open(struct iommu_device_id *out_id);
/** Whether it may send requests. */
void edu_master(bool on);
/** Has it copy between memory and its buffer. False: it does not end. */
bool edu_copy(uint64_t from, uint64_t to, size_t size, bool to_memory);
/** Has it send this message when it interrupts. */
void edu_message(const struct iommu_msi_message *message);
/** Has it interrupt. */
void edu_interrupt(void);

#endif
