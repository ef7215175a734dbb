/* SPDX-License-Identifier: MIT */
/*
 * Configuration space, through whichever of the firmware's root bridges has the
 * bus (UEFI 2.10, 14.2).
 */
#include "app.h"

static EFI_HANDLE *bridges;
static UINTN bridge_count;

static EFI_GUID bridge_guid = EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL_GUID;

bool pci_open(void)
{
	return !EFI_ERROR(firmware->BootServices->LocateHandleBuffer(
		ByProtocol, &bridge_guid, NULL, &bridge_count, &bridges));
}

/** One access; false if no bridge has that bus. */
static bool pci_access(struct iommu_device_id id, unsigned offset,
	unsigned width, bool write, uint32_t *value)
{
	/* UEFI 2.10, 14.2: register, function, device, bus, and registers
	 * beyond the first 256 in a field of their own. */
	uint64_t at = (uint64_t)iommu_device_bus(id) << 24 |
		(uint64_t)(iommu_device_devfn(id) >> 3) << 16 |
		(uint64_t)(iommu_device_devfn(id) & 7) << 8;
	UINTN n;

	at |= offset < 256 ? offset : (uint64_t)offset << 32;
	for (n = 0; n < bridge_count; n++) {
		EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL *bridge;

		if (EFI_ERROR(firmware->BootServices->HandleProtocol(
			    bridges[n], &bridge_guid, (void **)&bridge)) ||
			bridge->SegmentNumber != id.segment)
			continue;
		if (!EFI_ERROR((write ? bridge->Pci.Write : bridge->Pci.Read)(
			    bridge,
			    (EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL_WIDTH)(width / 2),
			    at, 1, value)))
			return true;
	}
	return false;
}

uint32_t pci_get(struct iommu_device_id id, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	if (!pci_access(id, offset, width, false, &value))
		value = ~(uint32_t)0 >> (32 - 8 * width);
	return value;
}

void pci_put(struct iommu_device_id id, unsigned offset, unsigned width,
	uint32_t value)
{
	pci_access(id, offset, width, true, &value);
}

bool is_endpoint(struct iommu_device_id id)
{
	return pci_get(id, PCI_ID, 4) != ~(uint32_t)0 &&
		!(pci_get(id, PCI_HEADER, 1) & 0x7f);
}

void pci_visit(void (*visit)(struct iommu_device_id id))
{
	unsigned bus, slot, function;

	for (bus = 0; bus < 256; bus++)
		for (slot = 0; slot < 32; slot++)
			for (function = 0; function < 8; function++) {
				struct iommu_device_id id =
					iommu_device_id(0, bus, slot, function);

				if (pci_get(id, PCI_ID, 4) != ~(uint32_t)0)
					visit(id);
				else if (!function)
					break;
			}
}
