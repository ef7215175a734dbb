/* SPDX-License-Identifier: MIT */
/*
 * What it means for the person: one sentence for each capability whose presence
 * or absence changes what can be done, and advice for each fault reason.
 */
#include "iommu/vtd/regs.h"
#include "tool.h"

static void say(FILE *out, const char *sentence)
{
	fprintf(out, "  - %s\n", sentence);
}

static void say_width(FILE *out, uint64_t cap)
{
	unsigned sagaw = VTD_CAP_SAGAW(cap);
	unsigned limit = VTD_CAP_MGAW(cap);

	/* Deep tables are of no use where addresses are narrow. */
	if (sagaw & 8 && limit >= 57)
		say(out,
			"57-bit I/O addresses: any address of a program can "
			"be used as it is.");
	else if (sagaw & 12 && limit >= 48)
		say(out,
			"48-bit I/O addresses: a program's addresses can be "
			"used as they are, unless it asks for 5-level "
			"paging.");
	else if (sagaw & 14)
		say(out,
			"I/O addresses are narrower than 48 bits (39 as a "
			"rule, 512 GiB). "
			"Programs on Linux lie above; DPDK and SPDK need "
			"--iova-mode=pa or a low base address.");
	else
		say(out,
			"no second-stage tables: only scalable mode with "
			"first-stage tables can be used.");
}

void meaning_cap(FILE *out, uint64_t cap)
{
	unsigned nd = VTD_CAP_ND(cap);

	fprintf(out, "What this means:\n");
	say_width(out, cap);
	if (VTD_CAP_CM(cap))
		say(out,
			"caching mode: this is a virtual machine's unit. "
			"Every new mapping costs a flush, so DMA mappings "
			"that change often are slow.");
	if (VTD_CAP_RWBF(cap))
		say(out,
			"the write buffer must be flushed by the driver: an "
			"early unit, each change costs more.");
	if (!(VTD_CAP_SSLPS(cap) & 1))
		say(out,
			"no large pages: much memory given to a device needs "
			"many table pages and its accesses miss the cache "
			"more often.");
	if (!VTD_CAP_PSI(cap))
		say(out,
			"single pages cannot be flushed: each unmap empties "
			"the cache of the whole domain.");
	if (nd <= 1)
		say(out, "at most 64 domains: few devices can be kept apart.");
	if (nd == 7)
		say(out,
			"the number of domains is a value that does not "
			"exist: the register was misread.");
	if (!VTD_CAP_DRD(cap) || !VTD_CAP_DWD(cap))
		say(out,
			"a flush does not wait for requests under way in both "
			"directions (no read or no write drain).");
	if (!VTD_CAP_PI(cap))
		say(out,
			"no posted interrupts: a device's interrupts reach a "
			"virtual machine by way of its host.");
	else
		say(out,
			"posted interrupts: a device can interrupt a virtual "
			"machine without its host.");
}

static void say_interrupts(FILE *out, uint64_t ecap)
{
	if (!VTD_ECAP_IR(ecap))
		say(out,
			"no interrupt remapping: a device given to a virtual "
			"machine can forge interrupts.");
	else if (!VTD_ECAP_EIM(ecap))
		say(out,
			"interrupts are remapped, but only to processors with "
			"ids below 256 (no x2APIC mode).");
	else
		say(out,
			"interrupts are remapped, to any processor: a device "
			"cannot forge them.");
}

void meaning_ecap(FILE *out, uint64_t ecap)
{
	fprintf(out, "What this means:\n");
	say_interrupts(out, ecap);
	if (!VTD_ECAP_QI(ecap))
		say(out,
			"no invalidation queue: flushes go one by one through "
			"registers, and neither interrupt remapping nor "
			"device TLBs can be used.");
	if (!VTD_ECAP_C(ecap))
		say(out,
			"the unit reads its tables past the CPU caches: a "
			"driver that forgets to write them back shows it "
			"here.");
	if (!VTD_ECAP_PT(ecap))
		say(out,
			"no pass-through: iommu=pt needs identity tables "
			"instead, which cost look-ups.");
	if (!VTD_ECAP_SC(ecap))
		say(out,
			"snooping cannot be enforced: KVM must emulate cache "
			"control for a guest with a device.");
	if (VTD_ECAP_DT(ecap))
		say(out,
			"device TLBs (ATS) are supported: a device may keep "
			"translations and must be trusted to respect them.");
	if (!VTD_ECAP_SMTS(ecap))
		say(out,
			"legacy mode only: a device has one address space, "
			"not one for each process (no PASID, no SVA).");
	else if (!VTD_ECAP_PASID(ecap))
		say(out, "scalable mode, but without process ids (PASID).");
	else if (!VTD_ECAP_PRS(ecap))
		say(out,
			"scalable mode with process ids, but devices cannot "
			"request pages: shared memory must stay resident.");
	else
		say(out,
			"scalable mode with process ids and page requests: "
			"shared virtual addressing (SVA) is possible.");
}

/** Reasons with the same remedy. */
static const struct advice {
	uint8_t first, last;
	const char *text;
} advice[] = {
	{0x01, 0x02,
		"The kernel has given this device no address space: the device "
		"is active without a driver (often firmware left it running), "
		"or uses another function's number (DMA alias)."},
	{0x03, 0x03,
		"The driver of the I/O MMU wrote an entry that the unit does "
		"not accept: a kernel bug, or a unit without that feature."},
	{0x04, 0x04,
		"The address is wider than the unit or its tables translate: a "
		"driver gave the device a wrong or sign-extended address."},
	{0x05, 0x05,
		"The device wrote where nothing is mapped for writing: the "
		"driver unmapped too early, used a CPU address instead of a "
		"DMA address, or firmware still uses the device."},
	{0x06, 0x06,
		"The device read where nothing is mapped for reading: the "
		"driver unmapped too early, used a CPU address instead of a "
		"DMA address, or firmware still uses the device."},
	{0x07, 0x09,
		"The unit could not read its own tables: they lie in memory "
		"that does not exist or was given away. A kernel or memory "
		"fault, not the device's."},
	{0x0a, 0x0c,
		"The tables hold bits that this unit does not know: a kernel "
		"bug or overwritten memory, not the device's fault."},
	{0x0d, 0x0d,
		"The device uses its own TLB (ATS) although that was not "
		"allowed to it."},
	{0x0e, 0x0e,
		"A mapping leads into the interrupt window 0xfee00000: a "
		"kernel bug."},
	{0x20, 0x21,
		"The device's interrupt (MSI) registers do not fit the table: "
		"something wrote to them past the kernel."},
	{0x22, 0x22,
		"The interrupt was given back while the device still sent it: "
		"a driver that frees its interrupt before it stops the "
		"device."},
	{0x23, 0x24,
		"The interrupt table is unreadable or malformed: a kernel bug "
		"or overwritten memory."},
	{0x25, 0x25,
		"The device sends interrupts the old way, past remapping: its "
		"MSI registers were set up before remapping was switched on, "
		"or an I/O APIC is missing from the DMAR table."},
	{0x26, 0x26,
		"The device used another device's interrupt: wrong source ids "
		"in firmware's table, a bridge that speaks for it, or an "
		"attack."},
	{0x27, 0x28,
		"The descriptor of a virtual processor's interrupts is wrong: "
		"a bug of the hypervisor."},
	{0x29, 0x2b,
		"The unit refuses interrupts in this form in its present "
		"mode."},
	{0x30, 0x34,
		"The request does not fit the mode in which the unit works: a "
		"device with features switched on that the kernel did not "
		"set up."},
	{0x38, 0x43,
		"The scalable-mode tables for this device are missing or "
		"malformed: the kernel has given it no address space, or has "
		"a bug."},
	{0x44, 0x49,
		"The device uses a feature (ATS, PASID or page requests) that "
		"was not allowed to it."},
	{0x50, 0x5b,
		"The process id (PASID) has no address space here: the process "
		"ended before the device stopped, or the kernel has a bug."},
	{0x5c, 0x5d, "The device asked for a right that no device gets here."},
	{0x60, 0x60, "The device used an address beyond what it may."},
	{0x70, 0x7d,
		"The page tables of this address space do not lead to a page: "
		"the mapping was removed too early, or the driver used a "
		"wrong address."},
	{0x80, 0x91,
		"The mapping does not allow this access: the driver mapped it "
		"for the other direction, unmapped too early, or used a wrong "
		"address."},
	{0xa0, 0xa5,
		"The permission table does not allow this to a device that "
		"translates addresses itself."},
};

const char *meaning_reason(unsigned reason)
{
	unsigned n;

	for (n = 0; n < sizeof(advice) / sizeof(*advice); n++)
		if (reason >= advice[n].first && reason <= advice[n].last)
			return advice[n].text;
	return "The specification gives this code no meaning.";
}
