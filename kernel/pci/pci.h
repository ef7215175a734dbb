/* SPDX-License-Identifier: MIT */
/*
 * PCI functions: found once at boot, configured through ECAM
 * or ports 0xCF8/0xCFC. Boot turns bus mastering off everywhere before
 * translation goes on.
 */
#ifndef PCI_PCI_H
#define PCI_PCI_H

#include "lib/types.h"
#include "lib/list.h"
#include "lib/lock.h"

struct device_interrupts;
struct space;

struct pci_bar {
	uint64_t base, size; /* size 0: absent */
	bool io, prefetchable, is64;
};

struct pci_device {
	struct list link; /* pci_devices: only grows, and is never freed */
	bool absent;      /* taken out; its place waits for another */
	uint16_t segment;
	uint8_t bus, devfn;
	uint16_t vendor, device, subvendor, subdevice;
	uint8_t class, subclass, prog_if, revision;
	uint8_t header_type; /* 0 endpoint, 1 bridge; without the multi bit */
	uint8_t secondary, subordinate; /* bridges */
	struct pci_device *parent; /* the bridge above; NULL on a root bus */
	struct pci_bar bars[6];
	struct pci_bar rom; /* the expansion ROM; its decoding is off */
	uint8_t cap_pm, cap_msi, cap_msix, cap_pcie, cap_af; /* 0: absent */
	uint16_t ecap_acs, ecap_ats, ecap_sriov;
	uint8_t msix_bar; /* where the MSI-X table lies */
	uint32_t msix_offset;
	uint16_t msix_count; /* 0: no MSI-X */
	/* Kept by assign/: who owns it (read without a lock, assign/owner.h),
	 * whether it could not be stopped, when its last owner lost it. */
	struct space *owner;
	struct device_interrupts *interrupts;
	bool broken;
	bool silenced; /* after a storm of faults, until it is attached anew */
	volatile uint8_t *rom_window; /* dev/pci.c */
	uint8_t sizing; /* BARs whose size was asked, assign/config.c */
	uint64_t released_ns;
};

extern struct list pci_devices;

/* Enumerate all segments, sized BARs; every device's bus mastering, MSI and
 * MSI-X are off afterwards. BARs that firmware left unassigned get addresses
 * where the bridge windows allow. */
void pci_init(void);

/* The functions behind a hot-plug port that came just now are known, and have
 * addresses; returns how many there are in all. One caller at a time. */
unsigned pci_scan_below(struct pci_device *port);

struct pci_device *pci_find(uint16_t segment, uint8_t bus, uint8_t devfn);

/* The n-th device in the order found; NULL: no more. */
struct pci_device *pci_nth(unsigned n);

/* "00:03.0", with "0001:" in front where the segment is not 0. */
void pci_device_name(const struct pci_device *d, char *buf, size_t size);

#define PCI_CLASS_BRIDGE 0x06
#define PCI_DEV(devfn) ((devfn) >> 3)
#define PCI_FN(devfn) ((devfn)&7)

/* Configuration space; off is aligned to the width. Reads of absent functions
 * give all ones. Any context. */
uint8_t pci_read8(const struct pci_device *d, unsigned off);
uint16_t pci_read16(const struct pci_device *d, unsigned off);
uint32_t pci_read32(const struct pci_device *d, unsigned off);
void pci_write8(const struct pci_device *d, unsigned off, uint8_t v);
void pci_write16(const struct pci_device *d, unsigned off, uint16_t v);
void pci_write32(const struct pci_device *d, unsigned off, uint32_t v);

/* The same by address, for the I/O MMU library; width 1, 2 or 4 bytes. */
uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t devfn,
	unsigned off, unsigned width);
void pci_config_write(uint16_t segment, uint8_t bus, uint8_t devfn,
	unsigned off, unsigned width, uint32_t v);

/* Bytes of configuration space: 256 or 4096. */
unsigned pci_config_size(const struct pci_device *d);

void pci_set_memory(struct pci_device *d, bool on); /* memory decoding */

/* The expansion ROM answers reads; memory decoding must be on too. */
void pci_set_rom(struct pci_device *d, bool on);

/* Bus mastering; it is read back, so that writes already sent by the CPU side
 * have arrived when it returns. False: it does not read back as asked. A
 * function that is gone (all ones) counts as off. */
bool pci_set_master(struct pci_device *d, bool on);

/* Wait (bounded, 100 ms) until the function has no transaction pending (PCIe
 * device status). False: it still has. One that cannot tell counts as idle. */
bool pci_wait_idle(struct pci_device *d);

enum pci_reset_kind {
	PCI_RESET_NONE,
	PCI_RESET_FLR, /* PCIe function-level reset */
	PCI_RESET_AF,  /* the same for conventional PCI */
	PCI_RESET_PM,  /* D3hot to D0 without No_Soft_Reset */
	PCI_RESET_BUS, /* the bridge above, only if alone behind it */
};
const char *pci_reset_name(enum pci_reset_kind kind);

/* What pci_reset() would do. */
enum pci_reset_kind pci_reset_method(struct pci_device *d);

/* Reset the function and restore BARs and the other header fields; MSI, MSI-X,
 * bus mastering and memory decoding are off afterwards. Returns 0, -ENOTSUP
 * (no method), -EIO (did not come back). Sleeps up to a second. */
int pci_reset(struct pci_device *d);

/* INTx off, MSI and MSI-X off. */
void pci_interrupts_off(struct pci_device *d);

#endif
