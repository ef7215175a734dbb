/* SPDX-License-Identifier: MIT */
/*
 * VT-d's registers and tables in words.
 */
#include <iommu/decode.h>
#include "unit.h"

/** A capability bit that is a plain yes or no. */
struct feature {
	unsigned bit;
	const char *name;
};

static const struct feature cap_features[] = {
	{3, "advanced fault log (historic)"},
	{56, "1 GiB pages in the first stage"},
	{59, "posted interrupts"},
	{60, "5 levels in the first stage"},
	{61, "enhanced commands"},
	{62, "setting the interrupt table pointer flushes"},
	{63, "setting the root table pointer flushes"},
	{0, NULL},
};

static const struct feature ecap_features[] = {
	{5, "caching hints (historic)"},
	{24, "extended contexts (historic)"},
	{25, "memory types"},
	{26, "nested translation"},
	{27, "deferred invalidation (historic)"},
	{28, "process ids before production (historic)"},
	{29, "page requests"},
	{30, "execute requests (historic)"},
	{31, "supervisor requests"},
	{33, "no-write flag of translation requests"},
	{34, "extended accessed flag"},
	{40, "process address space ids"},
	{41, "device-TLB invalidation throttle"},
	{42, "page request drain"},
	{43, "scalable mode"},
	{44, "virtual commands"},
	{45, "second-stage accessed and dirty bits"},
	{46, "second stage in scalable mode"},
	{47, "first stage"},
	{48, "coherent walks in scalable mode"},
	{49, "process id for plain requests"},
	{51, "performance monitoring"},
	{52, "abort-DMA mode"},
	{55, "host permission tables"},
	{57, "second-stage I/O permissions"},
	{58, "stop marker"},
	{61, "x2APIC mode only"},
	{62, "interrupts need remapping"},
	{0, NULL},
};

/** Bits that are reserved, as far as is known. */
#define CAP_RESERVED (7ull << 13 | VTD_BIT(38) | 3ull << 57)
#define ECAP_RESERVED \
	(VTD_BIT(18) | VTD_BIT(19) | VTD_BIT(32) | VTD_BIT(54) | VTD_BIT(63))

static void print_features(
	const struct feature *feature, uint64_t value, struct text *text)
{
	for (; feature->name; feature++)
		if (value >> feature->bit & 1)
			text_add(text, " has: %s\n", feature->name);
}

static void print_unknown(const char *name, uint64_t bits, struct text *text)
{
	if (bits)
		text_add(text, " unknown bits in %s: 0x%jx\n", name,
			(uintmax_t)bits);
}

void iommu_decode_capabilities(uint32_t version, uint64_t cap, uint64_t ecap,
	iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	text_add(&text, " version: %u.%u\n", VTD_VER_MAJOR(version),
		VTD_VER_MINOR(version));
	vtd_info_capabilities(cap, &text);
	vtd_info_more_capabilities(cap, &text);
	print_features(cap_features, cap, &text);
	print_unknown("capabilities", cap & CAP_RESERVED, &text);
	vtd_info_extended_capabilities(ecap, &text);
	text_add(&text, " largest interrupt flush: %u entries\n",
		1u << VTD_ECAP_MHMV(ecap));
	print_features(ecap_features, ecap, &text);
	print_unknown("ext. capabilities", ecap & ECAP_RESERVED, &text);
	text_end(&text);
}

/* ---- the DMAR table ---- */

static const char *const scope_name[] = {
	[DMAR_SCOPE_ENDPOINT] = "endpoint",
	[DMAR_SCOPE_BRIDGE] = "bridge and all below",
	[DMAR_SCOPE_IOAPIC] = "I/O APIC",
	[DMAR_SCOPE_HPET] = "HPET",
	[DMAR_SCOPE_ACPI] = "ACPI device",
};

static void print_scope(const struct dmar_scope *scope, struct text *text)
{
	bool known = scope->type >= DMAR_SCOPE_ENDPOINT &&
		scope->type <= DMAR_SCOPE_ACPI;

	text_add(text, "  %s", known ? scope_name[scope->type] : "unknown");
	if (scope->type >= DMAR_SCOPE_IOAPIC)
		text_add(text, " %u", scope->id);
	text_add(text, " at %02x", scope->bus);
	for (unsigned n = 0; n < scope->hops; n++)
		text_add(text, ":%02x.%u", scope->path[2 * n],
			scope->path[2 * n + 1]);
	text_add(text, "\n");
}

static void print_name(const struct dmar_record *record, struct text *text)
{
	for (size_t n = 0; n < record->name_size && record->name[n]; n++)
		text_add(text, "%c",
			record->name[n] > ' ' && record->name[n] < 127
				? record->name[n]
				: '?');
}

static void print_record(const struct dmar_record *r, struct text *text)
{
	switch (r->type) {
	case DMAR_DRHD:
		text_add(text, "unit at 0x%jx, segment %u, %u KiB%s",
			(uintmax_t)r->base, r->segment, 4u << r->size_pages,
			r->flags & DMAR_INCLUDE_ALL ? ", all other devices"
						    : "");
		break;
	case DMAR_RMRR:
		text_add(text, "reserved 0x%jx-0x%jx, segment %u",
			(uintmax_t)r->base, (uintmax_t)r->limit, r->segment);
		break;
	case DMAR_ATSR:
		text_add(text, "ports with translation services, segment %u%s",
			r->segment, r->flags & DMAR_ALL_PORTS ? ", all" : "");
		break;
	case DMAR_RHSA:
		text_add(text, "unit at 0x%jx is near memory node %u",
			(uintmax_t)r->base, r->proximity);
		break;
	case DMAR_ANDD:
		text_add(text, "ACPI device %u is ", r->acpi_device);
		print_name(r, text);
		break;
	case DMAR_SATC:
		text_add(text, "integrated devices with a TLB, segment %u%s",
			r->segment, r->flags & 1 ? ", needed" : "");
		break;
	case DMAR_SIDP:
		text_add(text, "properties of integrated devices, segment %u",
			r->segment);
		break;
	default:
		text_add(text, "unknown structure %u", r->type);
	}
	text_add(text, "\n");
}

static void print_warning(void *arg, size_t at, const char *what)
{
	text_add(arg, "warning, offset %u: %s\n", (unsigned)at, what);
}

enum iommu_status iommu_decode_dmar(
	const void *bytes, size_t size, iommu_sink *sink, void *arg)
{
	struct dmar_record record;
	struct dmar_table table;
	struct dmar_scope scope;
	size_t at = 0;
	struct text text;
	const char *why = dmar_open(&table, bytes, size);

	text_start(&text, sink, arg);
	if (why) {
		text_add(&text, "%s\n", why);
		text_end(&text);
		return IOMMU_BAD_TABLE;
	}
	text_add(&text, "host address width %u%s%s%s\n", table.width,
		table.flags & DMAR_INTR_REMAP ? ", interrupt remapping" : "",
		table.flags & DMAR_X2APIC_OPT_OUT ? ", no x2APIC please" : "",
		table.flags & DMAR_DMA_OPT_IN ? ", protect from DMA at boot"
					      : "");
	while (dmar_next(&table, &at, &record)) {
		print_record(&record, &text);
		for (size_t inner = 0;
			dmar_scope_next(&record, &inner, &scope);)
			print_scope(&scope, &text);
	}
	dmar_check(&table, print_warning, &text);
	text_end(&text);
	return IOMMU_OK;
}

/* ---- entries ---- */

static void print_context(uint64_t low, uint64_t high, struct text *text)
{
	static const char *const type[] = {"tables", "tables, device TLB",
		"pass-through", "reserved type"};

	text_add(text, "%s, %u levels, domain %u, tables at 0x%jx%s\n",
		type[VTD_CTX_TT_OF(low)], VTD_CTX_AW_OF(high) + 2,
		VTD_CTX_DID_OF(high), (uintmax_t)(low & VTD_ADDRESS_MASK),
		low & VTD_CTX_FPD ? ", faults not reported" : "");
}

void iommu_decode_entry(unsigned level, uint64_t low, uint64_t high,
	iommu_sink *sink, void *arg)
{
	bool leaf = level == 1 || (level <= 3 && low & VTD_SS_PS);
	bool present = low & (level >= 6 ? VTD_ROOT_P : VTD_SS_R | VTD_SS_W);
	struct text text;

	text_start(&text, sink, arg);
	if (!present)
		text_add(&text, "not present\n");
	else if (level == 6)
		print_context(low, high, &text);
	else
		text_add(&text, "%s at 0x%jx%s%s%s\n", leaf ? "page" : "table",
			(uintmax_t)(low & VTD_ADDRESS_MASK),
			level < 6 && low & VTD_SS_R ? ", read" : "",
			level < 6 && low & VTD_SS_W ? ", write" : "",
			leaf && low & VTD_SS_SNP ? ", snooped" : "");
	text_end(&text);
}
