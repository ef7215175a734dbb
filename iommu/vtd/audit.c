/* SPDX-License-Identifier: MIT */
/*
 * Units compared with the specification and with each other. A contradiction
 * is reported and the more careful reading is used; where units differ, domains
 * that are for all of them use what they have in common.
 */
#include "unit.h"

/** A pair of bits of which the first may only be set with the second. */
struct needs {
	uint8_t bit, other;
	const char *what;
};

/* 11.4.3, all in ECAP */
static const struct needs needs[] = {
	{3, 1, "interrupt remapping without a queue"},
	{4, 3, "x2APIC mode without interrupt remapping"},
	{61, 4, "x2APIC mode only, but no x2APIC mode"},
	{62, 3, "interrupts need remapping, but there is none"},
	{2, 1, "device TLBs without a queue"},
	{43, 1, "scalable mode without a queue"},
	{29, 2, "page requests without device TLBs"},
	{41, 2, "throttled device TLBs without device TLBs"},
	{40, 43, "process ids without scalable mode"},
	{26, 46, "nested translation without a second stage"},
};

typedef void remark(void *arg, const struct unit *unit, const char *what);

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/** The registers with a place of their own must not lie on others. */
static void check_places(const struct unit *unit, remark *say, void *arg)
{
	uint64_t faults = VTD_CAP_FRO(unit->cap);
	uint64_t faults_size = 16ull * VTD_CAP_NFR(unit->cap);
	uint64_t iotlb = VTD_ECAP_IRO(unit->ecap);

	if (overlaps(faults, faults_size, iotlb, 16))
		say(arg, unit,
			"fault records and IOTLB registers at one place");
	if (overlaps(faults, faults_size, 0, VTD_FIXED_REGISTERS))
		say(arg, unit, "fault records on other registers");
	if (overlaps(iotlb, 16, 0, VTD_FIXED_REGISTERS))
		say(arg, unit, "IOTLB registers on other registers");
}

static void check_unit(const struct unit *unit, remark *say, void *arg)
{
	unsigned pages = VTD_CAP_SSLPS(unit->cap);

	for (unsigned n = 0; n < sizeof(needs) / sizeof(*needs); n++)
		if (unit->ecap >> needs[n].bit & 1 &&
			!(unit->ecap >> needs[n].other & 1))
			say(arg, unit, needs[n].what);
	if (pages != 0 && pages != 1 && pages != 3)
		say(arg, unit, "an impossible set of page sizes");
	if (VTD_CAP_SAGAW(unit->cap) & 0x11)
		say(arg, unit, "a table depth that does not exist");
	if (VTD_CAP_RWBF(unit->cap) && VTD_ECAP_SMTS(unit->ecap))
		say(arg, unit, "a write buffer in scalable mode");
	if (VTD_CAP_MGAW(unit->cap) < unit->phys_bits)
		say(arg, unit, "fewer address bits than memory has");
	check_places(unit, say, arg);
}

/* ---- units beside each other ---- */

struct trait {
	bool extended; /* in ECAP, else in CAP */
	uint64_t mask;
	const char *what;
};

static const struct trait traits[] = {
	{false, VTD_BIT(7), "caching mode"},
	{false, VTD_BIT(4), "write buffers"},
	{false, 0x1full << 8, "table depths"},
	{false, 0x3full << 16, "address widths"},
	{false, 0xfull << 34, "page sizes"},
	{true, VTD_BIT(0), "coherency"},
	{true, VTD_BIT(1), "invalidation queue"},
	{true, VTD_BIT(2), "device TLBs"},
	{true, VTD_BIT(3), "interrupt remapping"},
	{true, VTD_BIT(4), "x2APIC mode"},
	{true, VTD_BIT(6), "pass-through"},
	{true, VTD_BIT(7), "snoop control"},
};

/** Whether any unit in use differs from the first. */
static bool differs(const struct iommu *iommu, const struct trait *trait)
{
	const struct unit *first = NULL;

	for (unsigned n = 0; n < iommu->units; n++) {
		const struct unit *unit = iommu->unit[n];

		if (!unit_translates(unit))
			continue;
		if (!first)
			first = unit;
		if (((trait->extended ? unit->ecap ^ first->ecap
				      : unit->cap ^ first->cap) &
			    trait->mask))
			return true;
	}
	return false;
}

static void audit(const struct iommu *iommu, remark *say, void *arg)
{
	for (unsigned n = 0; n < iommu->units; n++)
		if (unit_translates(iommu->unit[n]))
			check_unit(iommu->unit[n], say, arg);
	for (unsigned n = 0; n < sizeof(traits) / sizeof(*traits); n++)
		if (differs(iommu, &traits[n]))
			say(arg, NULL, traits[n].what);
}

static void log_remark(void *arg, const struct unit *unit, const char *what)
{
	if (unit)
		core_log(arg, IOMMU_LOG_WARNING, "unit at 0x%jx: %s",
			(uintmax_t)unit->base.v, what);
	else
		core_log(arg, IOMMU_LOG_INFO, "units differ: %s", what);
}

void vtd_audit_log(struct iommu *iommu)
{
	audit(iommu, log_remark, iommu);
}

static void print_remark(void *arg, const struct unit *unit, const char *what)
{
	if (unit)
		text_add(arg, "unit at 0x%jx: %s\n", (uintmax_t)unit->base.v,
			what);
	else
		text_add(arg, "units differ: %s\n", what);
}

void vtd_audit_report(const struct iommu *iommu, struct text *text)
{
	audit(iommu, print_remark, text);
}
