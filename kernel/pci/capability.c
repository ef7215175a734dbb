/* SPDX-License-Identifier: MIT */
/* Capability lists. A device may link them in a circle or to nowhere: each walk
 * is bounded, and a capability that does not fit is not there. */
#include "pci/local.h"
#include "lib/print.h"

#define CAP_PM 0x01
#define CAP_MSI 0x05
#define CAP_PCIE 0x10
#define CAP_MSIX 0x11
#define CAP_AF 0x13
#define ECAP_ACS 0x0d
#define ECAP_ATS 0x0f
#define ECAP_SRIOV 0x10

static void read_msix(struct pci_device *d)
{
	uint32_t table = pci_read32(d, d->cap_msix + MSIX_TABLE);
	uint16_t control = pci_read16(d, d->cap_msix + MSIX_CONTROL);

	d->msix_bar = table & 7;
	d->msix_offset = table & ~7u;
	d->msix_count = (control & 0x7ff) + 1;
}

static void add_capability(struct pci_device *d, uint8_t id, uint8_t at)
{
	unsigned room = 256 - at;

	switch (id) {
	case CAP_PM:
		if (room >= 8)
			d->cap_pm = at;
		break;
	case CAP_MSI:
		if (room >= 12)
			d->cap_msi = at;
		break;
	case CAP_PCIE:
		if (room >= 20)
			d->cap_pcie = at;
		break;
	case CAP_MSIX:
		if (room >= 12)
			d->cap_msix = at;
		break;
	case CAP_AF:
		if (room >= 6)
			d->cap_af = at;
		break;
	}
}

static void read_extended(struct pci_device *d)
{
	unsigned at = 256;

	for (unsigned n = 0; n < (4096 - 256) / 4 && at >= 256; n++) {
		uint32_t header = pci_read32(d, at);

		if (header == 0 || header == UINT32_MAX)
			return;
		switch (header & 0xffff) {
		case ECAP_ACS:
			d->ecap_acs = at;
			break;
		case ECAP_ATS:
			d->ecap_ats = at;
			break;
		case ECAP_SRIOV:
			d->ecap_sriov = at;
			break;
		}
		at = header >> 20 & ~3u;
	}
}

void pci_read_capabilities(struct pci_device *d)
{
	uint8_t at;

	if (d->header_type > TYPE_BRIDGE ||
		!(pci_read16(d, PCI_STATUS) & STATUS_CAPABILITIES))
		return;
	at = pci_read8(d, PCI_CAPABILITIES) & ~3;
	for (unsigned n = 0; n < 48 && at >= 0x40; n++) {
		uint16_t header = pci_read16(d, at);

		if ((header & 0xff) == 0xff)
			break;
		add_capability(d, header & 0xff, at);
		at = header >> 8 & ~3;
	}
	if (d->cap_msix)
		read_msix(d);
	if (pci_config_size(d) == 4096)
		read_extended(d);
}
