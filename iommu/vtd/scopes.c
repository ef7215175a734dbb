/* SPDX-License-Identifier: MIT */
/*
 * Questions to the firmware's table: who translates for whom, what memory is
 * reserved for which device, which devices need what. Scopes are resolved when
 * they are asked about, because bus numbers may change until then.
 */
#include "unit.h"

bool vtd_find_record(const struct iommu *iommu, unsigned type, size_t *at,
	struct dmar_record *out)
{
	if (!iommu->dmar)
		return false;
	while (dmar_next(&iommu->dmar->table, at, out))
		if (out->type == type && !dmar_record_flaw(out))
			return true;
	return false;
}

/**
 * Follows a scope's path (8.3.1): each hop but the last is a bridge whose
 * secondary bus is where the next one lives. False if a bridge is missing.
 */
bool vtd_resolve(const struct iommu *iommu, uint16_t segment,
	const struct dmar_scope *scope, uint16_t *out_rid)
{
	unsigned bus = scope->bus;
	unsigned n;

	for (n = 0;; n++) {
		const uint8_t *hop = &scope->path[2 * n];
		uint16_t rid = (uint16_t)(bus << 8 | (hop[0] & 0x1fu) << 3 |
			(hop[1] & 7u));

		*out_rid = rid;
		if (n + 1 == scope->hops)
			return true;
		if (!topology_is_bridge(iommu, segment, rid))
			return false;
		bus = topology_config(iommu, segment, rid, 0x19, 1);
	}
}

/** The id that the platform gave to what is no PCI function: I/O APICs, HPETs
 *  and ACPI devices. The path is not walked (8.3.1). */
static uint16_t source_id(const struct dmar_scope *scope)
{
	const uint8_t *last = &scope->path[2 * scope->hops - 2];

	return (uint16_t)(scope->bus << 8 | (last[0] & 0x1f) << 3 |
		(last[1] & 7));
}

/** Whether a scope names a requester. */
static bool scope_covers(const struct iommu *iommu, uint16_t segment,
	const struct dmar_scope *scope, uint16_t rid)
{
	unsigned first, last;
	uint16_t named;

	if (scope->type == DMAR_SCOPE_ACPI)
		return source_id(scope) == rid;
	if (scope->type != DMAR_SCOPE_ENDPOINT &&
		scope->type != DMAR_SCOPE_BRIDGE)
		return false;
	if (!vtd_resolve(iommu, segment, scope, &named))
		return false;
	if (named == rid)
		return true;
	if (scope->type != DMAR_SCOPE_BRIDGE ||
		!topology_is_bridge(iommu, segment, named))
		return false;
	first = topology_config(iommu, segment, named, 0x19, 1);
	last = topology_config(iommu, segment, named, 0x1a, 1);
	return first && first <= (unsigned)rid >> 8 &&
		(unsigned)rid >> 8 <= last;
}

/** How a scope's type contradicts what it names, or NULL. The function that is
 *  named counts then, and nothing below it. */
static const char *scope_flaw(const struct iommu *iommu, uint16_t segment,
	const struct dmar_scope *scope)
{
	bool bridge = scope->type == DMAR_SCOPE_BRIDGE;
	uint16_t rid;

	if ((!bridge && scope->type != DMAR_SCOPE_ENDPOINT) ||
		!vtd_resolve(iommu, segment, scope, &rid) ||
		!topology_exists(iommu, segment, rid) ||
		bridge == topology_is_bridge(iommu, segment, rid))
		return NULL;
	if (!bridge)
		return "a scope that calls a bridge an endpoint";
	/* Non-transparent bridges (class 0680h) look like endpoints. */
	return topology_config(iommu, segment, rid, 0xa, 2) == 0x0680
		? NULL
		: "a scope that calls an endpoint a bridge";
}

void vtd_scopes_check(const struct iommu *iommu, dmar_warn *warn, void *arg)
{
	const struct dmar_table *table = &iommu->dmar->table;
	struct dmar_record record;
	struct dmar_scope scope;
	size_t at = 0, inner, start;

	while (dmar_next(table, &at, &record)) {
		start = record.scopes;
		for (inner = 0; dmar_scope_next(&record, &inner, &scope);
			start = inner) {
			const char *flaw =
				scope_flaw(iommu, record.segment, &scope);

			if (flaw)
				warn(arg,
					(size_t)(record.bytes - table->bytes) +
						start,
					flaw);
		}
	}
}

static bool record_covers(const struct iommu *iommu,
	const struct dmar_record *record, uint16_t segment, uint16_t rid)
{
	struct dmar_scope scope;
	size_t at = 0;

	if (record->segment != segment)
		return false;
	while (dmar_scope_next(record, &at, &scope))
		if (scope_covers(iommu, segment, &scope, rid))
			return true;
	return false;
}

static struct unit *unit_at(const struct iommu *iommu, uint64_t base)
{
	unsigned n;

	for (n = 0; n < iommu->units; n++)
		if (iommu->unit[n]->base.v == base)
			return iommu->unit[n];
	return NULL;
}

struct unit *vtd_unit_for(
	const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	struct unit *rest = NULL;
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_DRHD, &at, &record)) {
		if (record_covers(iommu, &record, segment, rid))
			return unit_at(iommu, record.base);
		/* The unit for all others may stand anywhere in the table,
		 * whatever 8.3 says; the first counts. */
		if (record.flags & DMAR_INCLUDE_ALL &&
			record.segment == segment && !rest)
			rest = unit_at(iommu, record.base);
	}
	return rest;
}

bool vtd_reserved_for(const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_RMRR, &at, &record))
		if (record_covers(iommu, &record, segment, rid))
			return true;
	return false;
}

bool vtd_ats_allowed(const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	uint16_t port = rid, parent;
	struct dmar_record record;
	unsigned hops = 0;
	size_t at = 0;

	while (port >> 8 && hops++ < BUSES &&
		topology_parent(iommu, segment, port >> 8, &parent))
		port = parent;
	/* Integrated devices need no port that supports them. */
	if (port == rid)
		return true;
	while (vtd_find_record(iommu, DMAR_ATSR, &at, &record))
		if (record.segment == segment &&
			(record.flags & DMAR_ALL_PORTS ||
				record_covers(iommu, &record, segment, port)))
			return true;
	return false;
}

static void read_region(
	const struct dmar_record *record, struct iommu_reserved_region *out)
{
	out->segment = record->segment;
	out->first = iommu_phys(record->base & ~(uint64_t)(PAGE_SIZE - 1));
	out->last = iommu_phys(record->limit | (PAGE_SIZE - 1));
}

bool vtd_reserved_region(const struct iommu *iommu, uint16_t segment,
	uint16_t rid, unsigned n, struct iommu_reserved_region *out)
{
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_RMRR, &at, &record)) {
		if (!record_covers(iommu, &record, segment, rid) || n--)
			continue;
		read_region(&record, out);
		return true;
	}
	return false;
}

bool vtd_reserved_device(
	const struct iommu *iommu, unsigned n, struct iommu_device_id *out)
{
	struct dmar_record record;
	struct dmar_scope scope;
	size_t at = 0, inner;

	while (vtd_find_record(iommu, DMAR_RMRR, &at, &record))
		for (inner = 0; dmar_scope_next(&record, &inner, &scope);) {
			out->segment = record.segment;
			if (vtd_resolve(iommu, record.segment, &scope,
				    &out->requester) &&
				!n--)
				return true;
		}
	return false;
}

unsigned vtd_reserved_count(const struct iommu *iommu)
{
	struct dmar_record record;
	unsigned count = 0;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_RMRR, &at, &record))
		count++;
	return count;
}

void vtd_reserved_get(const struct iommu *iommu, unsigned n,
	struct iommu_reserved_region *out)
{
	struct dmar_record record;
	size_t at = 0;

	*out = (struct iommu_reserved_region){0};
	while (vtd_find_record(iommu, DMAR_RMRR, &at, &record))
		if (!n--) {
			read_region(&record, out);
			return;
		}
}

bool vtd_irq_source(const struct iommu *iommu, bool hpet, unsigned id,
	struct unit **out_unit, uint16_t *out_source)
{
	unsigned type = hpet ? DMAR_SCOPE_HPET : DMAR_SCOPE_IOAPIC;
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_DRHD, &at, &record)) {
		struct dmar_scope scope;
		size_t inner = 0;

		while (dmar_scope_next(&record, &inner, &scope)) {
			if (scope.type != type || scope.id != id)
				continue;
			*out_unit = unit_at(iommu, record.base);
			*out_source = source_id(&scope);
			return *out_unit != NULL;
		}
	}
	return false;
}

/* ---- ACPI devices ---- */

/** The next scope of an ACPI device in a unit's structure. */
static bool next_acpi_scope(
	const struct dmar_record *unit, size_t *at, struct dmar_scope *out)
{
	while (dmar_scope_next(unit, at, out))
		if (out->type == DMAR_SCOPE_ACPI)
			return true;
	return false;
}

bool vtd_is_acpi_device(
	const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	struct dmar_record record;
	struct dmar_scope scope;
	size_t at = 0, inner;

	while (vtd_find_record(iommu, DMAR_DRHD, &at, &record))
		for (inner = 0; record.segment == segment &&
			next_acpi_scope(&record, &inner, &scope);)
			if (source_id(&scope) == rid)
				return true;
	return false;
}

static bool is_named(const struct dmar_record *record, const char *name)
{
	size_t n;

	for (n = 0; n < record->name_size && record->name[n]; n++)
		if (name[n] != record->name[n])
			return false;
	return !name[n];
}

bool vtd_acpi_device(const struct iommu *iommu, const char *name,
	struct iommu_device_id *out)
{
	struct dmar_record record, unit;
	size_t at = 0, units = 0, inner;
	struct dmar_scope scope;

	do {
		if (!vtd_find_record(iommu, DMAR_ANDD, &at, &record))
			return false;
	} while (!is_named(&record, name));
	while (vtd_find_record(iommu, DMAR_DRHD, &units, &unit))
		for (inner = 0; next_acpi_scope(&unit, &inner, &scope);)
			if (scope.id == record.acpi_device) {
				out->segment = unit.segment;
				out->requester = source_id(&scope);
				return true;
			}
	return false;
}

/* ---- what integrated devices need (8.8, 8.9) ---- */

/** The properties that the scopes of one structure give to a requester. */
static unsigned scope_properties(const struct iommu *iommu,
	const struct dmar_record *record, uint16_t segment, uint16_t rid)
{
	struct dmar_scope scope;
	unsigned flags = 0;
	size_t at = 0;

	while (record->segment == segment &&
		dmar_scope_next(record, &at, &scope))
		if (scope_covers(iommu, segment, &scope, rid))
			flags |= scope.flags;
	return (flags & DMAR_ATC_REQUIRED ? IOMMU_NEEDS_TLB : 0u) |
		(flags & DMAR_ATC_HARDENED ? IOMMU_HARDENED_TLB : 0u) |
		(flags & DMAR_NO_SNOOP_CONTROL ? IOMMU_NO_SNOOP_CONTROL : 0u);
}

unsigned vtd_properties(
	const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	struct dmar_record record;
	unsigned properties = 0;
	bool any = false;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_SIDP, &at, &record)) {
		properties |= scope_properties(iommu, &record, segment, rid);
		any = true;
	}
	/* Who reads the newer structure ignores the older one (8.9). */
	for (at = 0; !any && vtd_find_record(iommu, DMAR_SATC, &at, &record);)
		if (record.flags & DMAR_SATC_REQUIRED &&
			record_covers(iommu, &record, segment, rid))
			properties |= IOMMU_NEEDS_TLB;
	return properties;
}

bool vtd_near_memory(
	const struct iommu *iommu, uint64_t base, uint32_t *out_node)
{
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_RHSA, &at, &record))
		if (record.base == base) {
			*out_node = record.proximity;
			return true;
		}
	return false;
}

enum iommu_status vtd_firmware(
	const struct iommu *iommu, struct iommu_firmware *out)
{
	const struct dmar_table *table;

	if (!iommu->dmar)
		return IOMMU_NO_TABLE;
	table = &iommu->dmar->table;
	*out = (struct iommu_firmware){
		.address_bits = table->width,
		.interrupt_remapping = table->flags & DMAR_INTR_REMAP,
		.x2apic_opt_out = table->flags & DMAR_X2APIC_OPT_OUT &&
			table->flags & DMAR_INTR_REMAP,
		.dma_opt_in = table->flags & DMAR_DMA_OPT_IN,
	};
	return IOMMU_OK;
}
