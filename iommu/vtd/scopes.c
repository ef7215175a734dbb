/* SPDX-License-Identifier: MIT */
/*
 * Questions to the firmware's table: who translates for whom, what memory is
 * reserved for which device, which devices need what. Scopes are resolved when
 * they are asked about, because bus numbers may change until then.
 */
#include "unit.h"

/* ---- walking the table ---- */

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

/** A walk over the scopes of all sound structures of a type; starts as 0. */
struct scope_walk {
	size_t at, inner;
	struct dmar_record record;
	struct dmar_scope scope;
};

static bool next_scope(
	const struct iommu *iommu, unsigned type, struct scope_walk *walk)
{
	while (!walk->at ||
		!dmar_scope_next(&walk->record, &walk->inner, &walk->scope)) {
		if (!vtd_find_record(iommu, type, &walk->at, &walk->record))
			return false;
		walk->inner = 0;
	}
	return true;
}

/* ---- what a scope names ---- */

static uint16_t hop_id(unsigned bus, const uint8_t *hop)
{
	return (uint16_t)(bus << 8 | (hop[0] & 0x1fu) << 3 | (hop[1] & 7u));
}

/* Each hop but the last is a bridge whose secondary bus is where the next one
 * lives. */
bool vtd_resolve(const struct iommu *iommu, const struct dmar_record *record,
	const struct dmar_scope *scope, struct iommu_device_id *out)
{
	struct function fn = {iommu, {.segment = record->segment}};
	unsigned bus = scope->bus;

	for (unsigned n = 0;; n++) {
		fn.id.requester = hop_id(bus, &scope->path[2 * n]);
		*out = fn.id;
		if (n + 1 == scope->hops)
			return true;
		if (!topology_is_bridge(fn))
			return false;
		bus = topology_below(fn).first;
	}
}

/** The id that the platform gave to what is no PCI function: I/O APICs, HPETs
 *  and ACPI devices. The path is not walked (8.3.1). */
static uint16_t source_id(const struct dmar_scope *scope)
{
	return hop_id(scope->bus, &scope->path[2 * scope->hops - 2]);
}

static bool is_acpi_scope(const struct dmar_record *record,
	const struct dmar_scope *scope, struct iommu_device_id id)
{
	return scope->type == DMAR_SCOPE_ACPI &&
		record->segment == id.segment &&
		source_id(scope) == id.requester;
}

/** Whether a scope names a requester. */
static bool scope_covers(const struct iommu *iommu,
	const struct dmar_record *record, const struct dmar_scope *scope,
	struct iommu_device_id id)
{
	bool bridge = scope->type == DMAR_SCOPE_BRIDGE;
	unsigned bus = id.requester >> 8;
	struct function named = {.iommu = iommu};
	struct topology_buses below;

	if (!bridge && scope->type != DMAR_SCOPE_ENDPOINT)
		return is_acpi_scope(record, scope, id);
	if (record->segment != id.segment ||
		!vtd_resolve(iommu, record, scope, &named.id))
		return false;
	if (named.id.requester == id.requester)
		return true;
	if (!bridge || !topology_is_bridge(named))
		return false;
	below = topology_below(named);
	return below.first && below.first <= bus && bus <= below.last;
}

static bool record_covers(const struct iommu *iommu,
	const struct dmar_record *record, struct iommu_device_id id)
{
	struct dmar_scope scope;
	size_t at = 0;

	while (dmar_scope_next(record, &at, &scope))
		if (scope_covers(iommu, record, &scope, id))
			return true;
	return false;
}

/** How a scope's type contradicts what it names, or NULL. The function that is
 *  named counts then, and nothing below it. */
static const char *scope_flaw(const struct iommu *iommu,
	const struct dmar_record *record, const struct dmar_scope *scope)
{
	bool bridge = scope->type == DMAR_SCOPE_BRIDGE;
	struct function fn = {.iommu = iommu};

	if ((!bridge && scope->type != DMAR_SCOPE_ENDPOINT) ||
		!vtd_resolve(iommu, record, scope, &fn.id) ||
		!topology_exists(fn) || bridge == topology_is_bridge(fn))
		return NULL;
	if (!bridge)
		return "a scope that calls a bridge an endpoint";
	/* Non-transparent bridges (class 0680h) look like endpoints. */
	return topology_config(fn, 0xa, 2) == 0x0680
		? NULL
		: "a scope that calls an endpoint a bridge";
}

void vtd_table_check(const struct iommu *iommu, dmar_warn *warn, void *arg)
{
	const struct dmar_table *table = &iommu->dmar->table;
	struct dmar_record record;
	struct dmar_scope scope;
	size_t at = 0;

	dmar_check(table, warn, arg);
	while (dmar_next(table, &at, &record))
		for (size_t inner = 0;
			dmar_scope_next(&record, &inner, &scope);) {
			const char *flaw = scope_flaw(iommu, &record, &scope);

			if (flaw)
				warn(arg, (size_t)(scope.bytes - table->bytes),
					flaw);
		}
}

/* ---- units ---- */

struct unit *vtd_unit_at(const struct iommu *iommu, uint64_t base)
{
	for (unsigned n = 0; n < iommu->units; n++)
		if (iommu->unit[n]->base.v == base)
			return iommu->unit[n];
	return NULL;
}

struct unit *vtd_unit_for(const struct iommu *iommu, struct iommu_device_id id)
{
	struct unit *rest = NULL;
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_DRHD, &at, &record)) {
		if (record_covers(iommu, &record, id))
			return vtd_unit_at(iommu, record.base);
		/* The unit for all others may stand anywhere in the table,
		 * whatever 8.3 says; the first counts. */
		if (record.flags & DMAR_INCLUDE_ALL &&
			record.segment == id.segment && !rest)
			rest = vtd_unit_at(iommu, record.base);
	}
	return rest;
}

bool vtd_irq_source(const struct iommu *iommu, bool hpet, unsigned id,
	struct unit **out_unit, uint16_t *out_source)
{
	unsigned type = hpet ? DMAR_SCOPE_HPET : DMAR_SCOPE_IOAPIC;
	struct scope_walk walk = {0};

	while (next_scope(iommu, DMAR_DRHD, &walk)) {
		if (walk.scope.type != type || walk.scope.id != id)
			continue;
		*out_unit = vtd_unit_at(iommu, walk.record.base);
		*out_source = source_id(&walk.scope);
		return *out_unit != NULL;
	}
	return false;
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

/* ---- reserved memory ---- */

bool vtd_reserved_region(const struct iommu *iommu,
	const struct iommu_device_id *id, unsigned n,
	struct iommu_reserved_region *out)
{
	struct dmar_record record;
	size_t at = 0;

	while (vtd_find_record(iommu, DMAR_RMRR, &at, &record)) {
		if ((id && !record_covers(iommu, &record, *id)) || n--)
			continue;
		out->segment = record.segment;
		out->first =
			iommu_phys(record.base & ~(uint64_t)(PAGE_SIZE - 1));
		out->last = iommu_phys(record.limit | (PAGE_SIZE - 1));
		return true;
	}
	return false;
}

bool vtd_reserved_device(
	const struct iommu *iommu, unsigned n, struct iommu_device_id *out)
{
	struct scope_walk walk = {0};

	while (next_scope(iommu, DMAR_RMRR, &walk))
		if (vtd_resolve(iommu, &walk.record, &walk.scope, out) && !n--)
			return true;
	return false;
}

/* ---- ACPI devices ---- */

bool vtd_is_acpi_device(const struct iommu *iommu, struct iommu_device_id id)
{
	struct scope_walk walk = {0};

	while (next_scope(iommu, DMAR_DRHD, &walk))
		if (is_acpi_scope(&walk.record, &walk.scope, id))
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
	struct scope_walk walk = {0};
	struct dmar_record record;
	size_t at = 0;

	do {
		if (!vtd_find_record(iommu, DMAR_ANDD, &at, &record))
			return false;
	} while (!is_named(&record, name));
	while (next_scope(iommu, DMAR_DRHD, &walk)) {
		if (walk.scope.type != DMAR_SCOPE_ACPI ||
			walk.scope.id != record.acpi_device)
			continue;
		out->segment = walk.record.segment;
		out->requester = source_id(&walk.scope);
		return true;
	}
	return false;
}

/* ---- what devices need and may have ---- */

bool vtd_ats_allowed(const struct iommu *iommu, struct iommu_device_id id)
{
	struct function port = {iommu, id};
	struct dmar_record record;
	size_t at = 0;

	while (topology_parent(port, &port.id))
		;
	/* Integrated devices need no port that supports them. */
	if (port.id.requester == id.requester)
		return true;
	while (vtd_find_record(iommu, DMAR_ATSR, &at, &record))
		if (record.segment == id.segment &&
			(record.flags & DMAR_ALL_PORTS ||
				record_covers(iommu, &record, port.id)))
			return true;
	return false;
}

/* 8.8, 8.9. Who reads the newer structure ignores the older one. */
unsigned vtd_properties(const struct iommu *iommu, struct iommu_device_id id)
{
	struct scope_walk walk = {0};
	bool newer = vtd_find_record(iommu, DMAR_SIDP, &walk.at, &walk.record);
	unsigned flags = 0;

	walk.at = 0;
	while (next_scope(iommu, newer ? DMAR_SIDP : DMAR_SATC, &walk)) {
		if (!scope_covers(iommu, &walk.record, &walk.scope, id))
			continue;
		if (newer)
			flags |= walk.scope.flags;
		else if (walk.record.flags & DMAR_SATC_REQUIRED)
			flags |= DMAR_ATC_REQUIRED;
	}
	return (flags & DMAR_ATC_REQUIRED ? IOMMU_NEEDS_TLB : 0u) |
		(flags & DMAR_ATC_HARDENED ? IOMMU_HARDENED_TLB : 0u) |
		(flags & DMAR_NO_SNOOP_CONTROL ? IOMMU_NO_SNOOP_CONTROL : 0u);
}

enum iommu_status iommu_firmware(
	const struct iommu *iommu, struct iommu_firmware *out)
{
	const struct dmar_table *table;

	if (!out)
		return IOMMU_BAD_ARGUMENT;
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
