/* SPDX-License-Identifier: MIT */
/* Registers (PCI 3.0 chapter 6, PCIe 5.0 chapter 7), and what the files of this
 * room share. */
#ifndef PCI_LOCAL_H
#define PCI_LOCAL_H

#include "pci/pci.h"

#define PCI_VENDOR 0x00
#define PCI_COMMAND 0x04
#define COMMAND_IO 0x001
#define COMMAND_MEMORY 0x002
#define COMMAND_MASTER 0x004
#define COMMAND_INTX_OFF 0x400
#define PCI_STATUS 0x06
#define STATUS_CAPABILITIES 0x10
#define PCI_CLASS 0x08
#define PCI_HEADER_TYPE 0x0e
#define PCI_BAR0 0x10
#define PCI_SUBSYSTEM 0x2c
#define PCI_ROM 0x30
#define PCI_ROM_BRIDGE 0x38
#define PCI_ROM_ADDRESS 0xfffff800u
#define PCI_CAPABILITIES 0x34
#define PCI_INTERRUPT_LINE 0x3c
#define BRIDGE_SECONDARY 0x19
#define BRIDGE_SUBORDINATE 0x1a
#define BRIDGE_MEMORY_BASE 0x20
#define BRIDGE_PREFETCH_BASE 0x24
#define BRIDGE_PREFETCH_BASE_HIGH 0x28
#define BRIDGE_PREFETCH_LIMIT_HIGH 0x2c
#define BRIDGE_CONTROL 0x3e
#define BRIDGE_RESET 0x40

/* Relative to their capability. */
#define PM_CONTROL 4
#define PM_STATE 3
#define PM_NO_SOFT_RESET 8
#define MSI_CONTROL 2
#define MSIX_CONTROL 2
#define MSIX_TABLE 4
#define AF_CAPABILITIES 3
#define AF_CONTROL 4
#define AF_STATUS 5
#define PCIE_FLAGS 2
#define PCIE_DEVICE_CAPS 4
#define PCIE_DEVICE_CONTROL 8
#define PCIE_DEVICE_STATUS 10
#define PCIE_LINK_CONTROL 16
#define PCIE_DEVICE_CONTROL2 40
#define PCIE_FLR_CAPABLE (1u << 28)
#define PCIE_START_FLR 0x8000
#define PCIE_PHANTOM 0x0200  /* requests with ids of further functions */
#define PCIE_NO_SNOOP 0x0800 /* requests that pass by the caches */
#define PCIE_PENDING 0x20

enum {
	TYPE_ENDPOINT,
	TYPE_BRIDGE
};

/* A bus is reached through ECAM after this, where firmware declared it. */
void pci_map_bus(uint16_t segment, uint8_t bus);

/* Choose between ECAM and ports for segment 0. */
void pci_config_init(void);

void pci_read_capabilities(struct pci_device *d);
void pci_read_bars(struct pci_device *d);

/* Memory BARs that have no address get one in the window of the bridge above.
 * After all devices are known. */
void pci_place_bars(struct pci_device *d);

#endif
