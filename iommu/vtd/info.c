/* SPDX-License-Identifier: MIT */
/*
 * A unit's state and capabilities in words. The first lines, from "rba" to
 * "root entry table", have a fixed wording and order that programs rely on;
 * newer ones follow.
 */
#include "unit.h"

static const char *yes(bool value)
{
	return value ? "yes" : "no";
}

void vtd_info_capabilities(uint64_t cap, struct text *text)
{
	text_add(text, " capabilities = 0x%016jx\n", (uintmax_t)cap);
	text_add(text, " mgaw: %u\n", VTD_CAP_MGAW(cap));
	text_add(text, " sagaw (paging level): 0x%x\n", VTD_CAP_SAGAW(cap));
	text_add(text, " caching mode: %s (%u)\n", yes(VTD_CAP_CM(cap)),
		VTD_CAP_CM(cap));
	text_add(text, " zlr: 0x%x\n", VTD_CAP_ZLR(cap));
	text_add(text, " rwbf: %s\n",
		VTD_CAP_RWBF(cap) ? "required" : "not required");
	text_add(text, " num domains: %u\n", 1u << (4 + 2 * VTD_CAP_ND(cap)));
	text_add(text, " supports protected high-memory region: %s\n",
		yes(VTD_CAP_PHMR(cap)));
	text_add(text, " supports Protected low-memory region: %s\n",
		yes(VTD_CAP_PLMR(cap)));
}

void vtd_info_extended_capabilities(uint64_t ecap, struct text *text)
{
	text_add(text, " ext. capabilities = 0x%016jx\n", (uintmax_t)ecap);
	text_add(text, " pass through: %s\n", yes(VTD_ECAP_PT(ecap)));
	text_add(text, " device iotlb: %s\n", yes(VTD_ECAP_DT(ecap)));
	text_add(text, " iotlb register offset: 0x%x\n", VTD_ECAP_IRO(ecap));
	text_add(text, " snoop control: %s\n", yes(VTD_ECAP_SC(ecap)));
	text_add(text, " coherency: %s\n", yes(VTD_ECAP_C(ecap)));
	text_add(text, " queue invalidation support: %s\n",
		yes(VTD_ECAP_QI(ecap)));
	text_add(text, " interrupt remapping support: %s\n",
		yes(VTD_ECAP_IR(ecap)));
	text_add(text, " extended interrupt mode: 0x%x\n", VTD_ECAP_EIM(ecap));
}

static void global_status(const struct vtd_unit *unit, struct text *text)
{
	uint32_t status = vtd_read32(unit, VTD_GSTS);
	uint64_t root = vtd_read64(unit, VTD_RTADDR) & VTD_ADDRESS_MASK;
	const void *virt = root == unit->root_phys.v ? unit->root : NULL;

	text_add(text, " global status = 0x%x\n", status);
	text_add(text, " translation: %s\n",
		status & VTD_TE ? "enabled" : "disabled");
	text_add(text, " root table: %s\n",
		status & VTD_SRTP ? "set" : "not set");
	text_add(text, " root entry table = 0x%016jx (phy) or %p (vir)\n",
		(uintmax_t)root, virt);
}

void vtd_info_more_capabilities(uint64_t cap, struct text *text)
{
	unsigned mask = VTD_CAP_MAMV(cap);

	text_add(text, " page sizes: 4K%s%s\n",
		VTD_CAP_SSLPS(cap) & 1 ? " 2M" : "",
		VTD_CAP_SSLPS(cap) & 2 ? " 1G" : "");
	text_add(text, " page-selective flush: %s, at most %u pages\n",
		yes(VTD_CAP_PSI(cap)),
		VTD_CAP_PSI(cap) && mask < 32 ? 1u << mask : 0);
	text_add(text, " drain: read %s, write %s\n", yes(VTD_CAP_DRD(cap)),
		yes(VTD_CAP_DWD(cap)));
	text_add(text, " fault records: %u at 0x%x\n", VTD_CAP_NFR(cap),
		VTD_CAP_FRO(cap));
}

/** What was added since the first lines were fixed. */
static void more(const struct vtd_unit *unit, struct text *text)
{
	const struct unit *u = &unit->unit;
	uint32_t status = vtd_read32(unit, VTD_GSTS);
	const char *reason = unit_reason(u);

	text_add(text, " segment: %u\n", u->segment);
	text_add(
		text, " invalidation: %s\n", u->queued ? "queue" : "registers");
	text_add(text, " interrupt remapping: %s\n",
		status & VTD_IRE ? "enabled" : "disabled");
	vtd_info_more_capabilities(u->cap, text);
	text_add(text, " posted interrupts: %s\n", yes(VTD_CAP_PI(u->cap)));
	text_add(text, " scalable mode: %s\n", yes(VTD_ECAP_SMTS(u->ecap)));
	text_add(text, " state: %s\n", reason ? reason : "in order");
}

void vtd_info(struct unit *neutral, struct text *text)
{
	struct vtd_unit *unit = vtd_of(neutral);
	bool usable = unit_translates(neutral);

	text_add(text, "iommu@%p\n", (const void *)neutral);
	text_add(text, " rba = 0x%016jx\n", (uintmax_t)neutral->base.v);
	text_add(text, " supported = %s\n", yes(usable));
	text_add(text, " num_assigned_devs = %u\n", unit_attached(neutral));
	text_add(text, " regspace = %p\n", unit->regs);
	if (!unit->regs) {
		text_add(text, " state: %s\n", neutral->reason);
		return;
	}
	text_add(text, " host addr width (dmar) = %u\n",
		neutral->iommu->dmar->table.width);
	text_add(text, " host addr width (cap[mgaw]) = %u\n",
		VTD_CAP_MGAW(neutral->cap));
	text_add(text, " version = 0x%x\n", neutral->version);
	vtd_info_capabilities(neutral->cap, text);
	vtd_info_extended_capabilities(neutral->ecap, text);
	global_status(unit, text);
	more(unit, text);
}
