/* SPDX-License-Identifier: MIT */
/*
 * Fault records (VT-d 7.2, 11.4.9 to 11.4.14): set up, collected, decoded. The
 * interrupt path only copies.
 */
#include "unit.h"

/** Masks or unmasks an event; the bits below IP are to be preserved. */
static void event_mask(struct vtd_unit *unit, uint32_t control, bool mask)
{
	uint32_t value = vtd_read32(unit, control) & ~(uint32_t)VTD_EVENT_IM;

	vtd_write32(unit, control, mask ? value | VTD_EVENT_IM : value);
}

/** No message while the queue's and faults' state is taken over. */
void vtd_fault_stop(struct vtd_unit *unit)
{
	event_mask(unit, VTD_FECTL, true);
	if (VTD_ECAP_QI(unit->unit.ecap))
		event_mask(unit, VTD_IECTL, true);
}

static void forget_old_faults(struct vtd_unit *unit)
{
	for (unsigned n = 0; n < VTD_CAP_NFR(unit->unit.cap); n++)
		vtd_write32(unit, VTD_CAP_FRO(unit->unit.cap) + 16 * n + 12,
			VTD_FRCD_F >> 32);
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_PFO | VTD_FSTS_QUEUE);
}

void vtd_fault_start(struct vtd_unit *unit)
{
	const struct iommu_host *host = &unit->unit.iommu->host;
	struct iommu_msi_message message;

	forget_old_faults(unit);
	if (!host->unit_msi ||
		!host->unit_msi(host->ctx, unit->unit.index, &message))
		return;
	vtd_write32(unit, VTD_FEDATA, message.data);
	vtd_write32(unit, VTD_FEADDR, (uint32_t)message.address);
	vtd_write32(unit, VTD_FEUADDR, message.address >> 32);
	event_mask(unit, VTD_FECTL, false);
}

/** Moves one record into the ring. False: nothing there. Another CPU may be
 *  collecting, too: each record is taken once, and given back once. */
static bool collect(struct vtd_unit *unit, unsigned n)
{
	struct iommu *iommu = unit->unit.iommu;
	uint32_t at = VTD_CAP_FRO(unit->unit.cap) + 16 * n;
	struct raw_fault raw = {.unit = unit->unit.index};
	unsigned long state = core_lock(iommu, &iommu->faults.lock);
	/* The dword with F is written last by the hardware: read it first. */
	bool there = vtd_read32(unit, at + 12) & VTD_FRCD_F >> 32;

	if (there) {
		raw.high = vtd_read64(unit, at + 8);
		raw.low = vtd_read64(unit, at);
		vtd_write32(unit, at + 12, VTD_FRCD_F >> 32);
		raw.time_ns = core_now(iommu);
		__core_fault_push(iommu, &raw);
	}
	core_unlock(iommu, &iommu->faults.lock, state);
	unit_count(&unit->unit.stats.faults, there);
	return there;
}

bool vtd_interrupt(struct unit *neutral)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct iommu *iommu = neutral->iommu;
	uint32_t status = vtd_read32(unit, VTD_FSTS);
	unsigned records = VTD_CAP_NFR(neutral->cap), n = 0;
	unsigned long state;

	if (status == ~0u)
		return false;
	/* New records may come as fast as they are read; one lap is enough,
	 * the next message continues. */
	while (status & VTD_FSTS_PPF && n < records &&
		collect(unit, (VTD_FSTS_FRI(status) + n) % records))
		n++;
	if (!(status & VTD_FSTS_PFO))
		return n;
	state = core_lock(iommu, &iommu->faults.lock);
	__core_fault_push(iommu, NULL);
	core_unlock(iommu, &iommu->faults.lock, state);
	unit_count(&neutral->stats.faults_lost, 1);
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_PFO);
	return true;
}

void vtd_fault_decode(const struct unit *unit, const struct raw_fault *raw,
	struct iommu_fault *out)
{
	uint8_t reason = VTD_FRCD_FR(raw->high);
	bool interrupt = reason >= 0x20 && reason <= 0x2b;
	bool t1 = raw->high & VTD_FRCD_T1, t2 = raw->high & VTD_FRCD_T2;

	*out = (struct iommu_fault){
		.time_ns = raw->time_ns,
		.unit = raw->unit,
		.device = {unit->segment, VTD_FRCD_SID(raw->high)},
		.kind = interrupt ? IOMMU_FAULT_INTERRUPT : IOMMU_FAULT_DMA,
		.reason = reason,
		.text = iommu_fault_text(reason),
		.lost = raw->lost,
	};
	if (interrupt) {
		out->index = (unsigned)(raw->low >> 48);
		return;
	}
	out->address = iommu_iova(raw->low & ~(uint64_t)(PAGE_SIZE - 1));
	/* 00 write, 10 read, 11 atomic, 01 page request */
	out->write = t1 == t2;
}

static const char *const reason_text[256] = {
	[0x01] = "the bus has no root entry",
	[0x02] = "the device is not attached",
	[0x03] = "its context entry is invalid",
	[0x04] = "the address is too wide",
	[0x05] = "write access refused",
	[0x06] = "read access refused",
	[0x07] = "a page table could not be read",
	[0x08] = "the root table could not be read",
	[0x09] = "the context table could not be read",
	[0x0a] = "reserved bits are set in the root entry",
	[0x0b] = "reserved bits are set in the context entry",
	[0x0c] = "reserved bits are set in a page-table entry",
	[0x0d] = "the device may not translate addresses itself",
	[0x0e] = "the page lies in the interrupt window",
	[0x20] = "reserved bits are set in the interrupt message",
	[0x21] = "the interrupt's index is beyond the table",
	[0x22] = "the interrupt entry is not present",
	[0x23] = "the interrupt table could not be read",
	[0x24] = "reserved bits are set in the interrupt entry",
	[0x25] = "an interrupt in compatibility format was blocked",
	[0x26] = "the interrupt entry belongs to another device",
	[0x27] = "the posted-interrupt descriptor could not be read",
	[0x28] = "reserved bits are set in the posted-interrupt descriptor",
	[0x29] = "malformed request to the interrupt window",
	[0x2a] = "only extended interrupt mode is supported",
	[0x2b] = "interrupts need remapping switched on",
	[0x30] = "the translation mode is invalid",
	[0x31] = "a request with a process id came in legacy mode",
	[0x32] = "a page request came in legacy mode",
	[0x33] = "all DMA is refused",
	[0x34] = "a request to execute was refused",
	[0x38] = "the scalable root table could not be read",
	[0x39] = "the scalable root entry is not present",
	[0x3a] = "reserved bits are set in the scalable root entry",
	[0x40] = "the scalable context table could not be read",
	[0x41] = "the scalable context entry is not present",
	[0x42] = "reserved bits are set in the scalable context entry",
	[0x43] = "the scalable context entry contradicts itself",
	[0x44] = "the device may not translate addresses itself",
	[0x45] = "the device may not use process ids",
	[0x46] = "the process id is beyond the directory",
	[0x47] = "the device may not request pages",
	[0x48] = "the process id is the one for plain requests",
	[0x49] = "a translated request may not carry a process id",
	[0x50] = "the process directory could not be read",
	[0x51] = "the process directory entry is not present",
	[0x52] = "reserved bits are set in the process directory",
	[0x58] = "the process table could not be read",
	[0x59] = "the process table entry is not present",
	[0x5a] = "reserved bits are set in the process table",
	[0x5b] = "the process table entry is invalid",
	[0x5c] = "a request to execute was refused",
	[0x5d] = "a supervisor request was refused",
	[0x60] = "the translated address is beyond the permission table",
	[0x70] = "a first-stage table could not be read",
	[0x71] = "the first-stage entry is not present",
	[0x72] = "reserved bits are set in a first-stage entry",
	[0x73] = "the top first-stage table could not be read",
	[0x74] = "the nested address is too wide",
	[0x75] = "the top first-stage table may not be read",
	[0x76] = "a first-stage table may not be read",
	[0x77] = "a first-stage table may not be updated",
	[0x78] = "a second-stage table could not be read",
	[0x79] = "the second-stage entry is not present",
	[0x7a] = "reserved bits are set in a second-stage entry",
	[0x7b] = "the top second-stage table could not be read",
	[0x7c] = "second-stage accessed bits cannot be updated",
	[0x7d] = "updating second-stage accessed bits failed",
	[0x80] = "the address is not canonical",
	[0x81] = "a user request met a supervisor page",
	[0x82] = "execute access refused",
	[0x83] = "the translated address is too wide",
	[0x84] = "the address is too wide",
	[0x85] = "write access refused",
	[0x86] = "read access refused",
	[0x87] = "the page lies in the interrupt window",
	[0x89] = "the process id is too wide",
	[0x90] = "first-stage accessed bits cannot be updated",
	[0x91] = "updating first-stage accessed bits failed",
	[0xa0] = "the permission table could not be read",
	[0xa1] = "reserved bits are set in the permission table",
	[0xa2] = "the top permission table could not be read",
	[0xa3] = "no permission for a zero-length read",
	[0xa4] = "no permission to write",
	[0xa5] = "no permission to read",
};

const char *iommu_fault_text(uint8_t reason)
{
	return reason_text[reason] ? reason_text[reason] : "unknown reason";
}
