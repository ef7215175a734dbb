/* SPDX-License-Identifier: MIT */
/*
 * From the firmware's table to units. The table is copied once; later questions
 * (scopes.c) walk the copy.
 */
#include "unit.h"

enum {
	/** Bytes of the table that are kept. */
	MAX_TABLE = 16 * PAGE_SIZE,
	/** Bytes for structures that are added later. */
	SPARE = 1024,
};

/* ---- keeping the table ---- */

void vtd_forget(struct iommu *iommu)
{
	if (iommu->dmar)
		core_pages_free(iommu, iommu->dmar, iommu->dmar->phys,
			iommu->dmar->order);
	iommu->dmar = NULL;
}

static enum iommu_status keep_table(
	struct iommu *iommu, const struct dmar_table *table)
{
	size_t size = (size_t)core_min(table->size, MAX_TABLE);
	struct dmar *dmar;
	iommu_phys_t phys;
	unsigned order;

	/* What a call kept that ran out of memory later. */
	vtd_forget(iommu);
	dmar = core_pages_for(
		iommu, sizeof(*dmar) + size + SPARE, &order, &phys);
	if (!dmar)
		return IOMMU_NO_MEMORY;
	memcpy(dmar->copy, table->bytes, size);
	dmar->phys = phys;
	dmar->order = order;
	dmar->table = *table;
	dmar->table.bytes = dmar->copy;
	dmar->table.size = size;
	iommu->dmar = dmar;
	return IOMMU_OK;
}

/* ---- one unit ---- */

/** Bytes of registers, from what the registers themselves say: the firmware's
 *  size field is often missing. */
static uint64_t registers_needed(const struct vtd_unit *unit)
{
	uint64_t iotlb = VTD_ECAP_IRO(unit->unit.ecap) + 16;
	uint64_t faults = VTD_CAP_FRO(unit->unit.cap) +
		16ull * VTD_CAP_NFR(unit->unit.cap);
	uint64_t need = core_max(core_max(iotlb, faults), 0x100);

	return (need + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
}

static bool map_registers(struct vtd_unit *unit, uint64_t size)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	if (unit->regs)
		host->regs_unmap(host->ctx, unit->regs, unit->regs_size);
	unit->regs = host->regs_map(host->ctx, unit->unit.base, size);
	unit->regs_size = size;
	return unit->regs != NULL;
}

static bool open_registers(struct vtd_unit *unit)
{
	uint64_t need;

	if (!map_registers(unit, PAGE_SIZE))
		return false;
	unit->unit.version = vtd_read32(unit, VTD_VER);
	unit->unit.cap = vtd_read64(unit, VTD_CAP);
	unit->unit.ecap = vtd_read64(unit, VTD_ECAP);
	need = registers_needed(unit);
	return need <= PAGE_SIZE || map_registers(unit, need);
}

static void read_traits(struct vtd_unit *unit)
{
	uint64_t cap = unit->unit.cap, ecap = unit->unit.ecap;
	bool always_drains = VTD_VER_MAJOR(unit->unit.version) >= 2;

	unit->traits = (struct vtd_traits){
		.caching_mode = VTD_CAP_CM(cap),
		.write_buffer = VTD_CAP_RWBF(cap) ||
			vtd_quirk(unit->unit.iommu, IOMMU_QUIRK_RWBF),
		.coherent = VTD_ECAP_C(ecap),
		.page_selective = VTD_CAP_PSI(cap),
		.drain_reads = VTD_CAP_DRD(cap) || always_drains,
		.drain_writes = VTD_CAP_DWD(cap) || always_drains,
		.root_flushes = VTD_CAP_ESRTPS(cap),
		.interrupt_root_flushes = VTD_CAP_ESIRTPS(cap),
		.throttle = VTD_ECAP_DIT(ecap),
		.max_mask = (uint8_t)VTD_CAP_MAMV(cap),
		.max_interrupt_mask = (uint8_t)VTD_ECAP_MHMV(ecap),
	};
	if (vtd_quirk(unit->unit.iommu, IOMMU_QUIRK_SMALL_FLUSHES) &&
		unit->traits.max_mask > 9)
		unit->traits.max_mask = 9;
}

static void read_capabilities(struct vtd_unit *unit)
{
	struct unit *u = &unit->unit;
	unsigned sagaw = VTD_CAP_SAGAW(u->cap);
	unsigned widest;

	read_traits(unit);
	u->queued = VTD_ECAP_QI(u->ecap) &&
		!(u->iommu->options.interface == IOMMU_INTERFACE_REGISTERS &&
			VTD_VER_MAJOR(u->version) < 6);
	u->device_tlb = VTD_ECAP_DT(u->ecap) && u->queued;
	u->phys_bits = u->iommu->dmar->table.width;
	/* SAGAW bit n stands for n + 2 levels; bits 0 and 4 are reserved. */
	u->levels = (sagaw & 0xe) << 2;
	widest = u->levels ? 12 + 9 * core_deepest(u->levels) : 0;
	u->iova_bits = (unsigned)core_min(VTD_CAP_MGAW(u->cap), widest);
	if (VTD_CAP_SSLPS(u->cap) & 1)
		u->page_sizes |= VTD_BIT(21);
	if (VTD_CAP_SSLPS(u->cap) & 2)
		u->page_sizes |= VTD_BIT(30);
	u->pass_through = VTD_ECAP_PT(u->ecap);
	u->snoop_control = VTD_ECAP_SC(u->ecap);
	u->dids.count = 1u << (4 + 2 * VTD_CAP_ND(u->cap));
	if (!unit->traits.coherent)
		u->duties |= IOMMU_DUTY_WRITE_BACK;
	if (unit->traits.caching_mode || unit->traits.write_buffer)
		u->duties |= IOMMU_DUTY_FLUSH_PRESENT;
}

/** Whether a unit translates for functions only that have this value in
 *  configuration space. */
static bool is_only_for(const struct iommu *iommu,
	const struct dmar_record *record, unsigned offset, unsigned width,
	uint32_t value)
{
	struct function fn = {.iommu = iommu};
	struct dmar_scope scope;
	bool any = false;
	size_t at = 0;

	if (record->flags & DMAR_INCLUDE_ALL)
		return false;
	while (dmar_scope_next(record, &at, &scope)) {
		if (scope.type != DMAR_SCOPE_ENDPOINT ||
			!vtd_resolve(iommu, record, &scope, &fn.id) ||
			topology_config(fn, offset, width) != value)
			return false;
		any = true;
	}
	return any;
}

/** Quirks that concern only units of certain devices: why this one is not used,
 *  or NULL. */
static const char *apply_quirks(
	struct unit *unit, const struct dmar_record *record)
{
	const struct iommu *iommu = unit->iommu;
	/* Base class 3 is display. */
	bool graphics = is_only_for(iommu, record, 0xb, 1, 3);

	unit->stays_on = graphics && vtd_quirk(iommu, IOMMU_QUIRK_STAYS_ON);
	if (graphics && vtd_quirk(iommu, IOMMU_QUIRK_CALPELLA_GFX))
		return "its graphics device has no shadow table";
	if (graphics && vtd_quirk(iommu, IOMMU_QUIRK_GRAPHICS))
		return "its graphics device does not work translated";
	if (vtd_quirk(iommu, IOMMU_QUIRK_NO_TLB) &&
		is_only_for(iommu, record, 0, 4, 0x3a3e8086))
		return "firmware gave it no TLB for its sound device";
	return NULL;
}

/** Why a unit cannot be used, or NULL. */
static const char *unusable(
	struct vtd_unit *unit, const struct dmar_record *record)
{
	struct unit *u = &unit->unit;

	if (!unit->regs)
		return "its registers cannot be mapped";
	if (u->cap == ~0ull || !u->cap)
		return "there is nothing at its register address";
	if (VTD_CAP_ND(u->cap) == 7)
		return "its number of domains is impossible";
	if (!u->levels && !(VTD_ECAP_IR(u->ecap) && u->queued))
		return "it has no table depth that this driver knows";
	if (!unit->traits.coherent && !u->iommu->host.cache_flush)
		return "it reads memory without snooping, and the host "
		       "cannot write caches back";
	if (!u->queued && VTD_VER_MAJOR(u->version) >= 6)
		return "it has no invalidation queue";
	return apply_quirks(u, record);
}

static enum iommu_status make_dids(struct unit *unit)
{
	unit->dids.taken = core_pages_for(unit->iommu, unit->dids.count / 8,
		&unit->dids.order, &unit->dids.phys);
	if (!unit->dids.taken)
		return IOMMU_NO_MEMORY;
	/* Id 0 tags what was not present (6.1), id 1 is the identity's. */
	unit->dids.taken[0] = VTD_BIT(0) | VTD_BIT(IDENTITY_DID);
	return IOMMU_OK;
}

static enum iommu_status make_unit(
	struct iommu *iommu, const struct dmar_record *record)
{
	iommu_phys_t phys;
	struct vtd_unit *unit = core_pages(iommu, VTD_UNIT_ORDER, &phys);
	struct unit *u;

	if (!unit)
		return IOMMU_NO_MEMORY;
	u = &unit->unit;
	unit->phys = phys;
	u->ops = &vtd_ops;
	u->iommu = iommu;
	if (iommu->options.trace)
		core_trace(u);
	u->index = iommu->units;
	u->segment = record->segment;
	u->base = iommu_phys(record->base);
	u->state = IOMMU_UNIT_OFF;
	if (open_registers(unit))
		read_capabilities(unit);
	u->reason = unusable(unit, record);
	if (u->reason) {
		u->state = IOMMU_UNIT_REFUSED;
		core_log(iommu, IOMMU_LOG_WARNING,
			"unit at 0x%jx is not used: %s",
			(uintmax_t)record->base, u->reason);
	} else if (make_dids(u) != IOMMU_OK) {
		return core_worse(vtd_ops.end(u), IOMMU_NO_MEMORY);
	}
	iommu->unit[iommu->units] = u;
	__atomic_store_n(&iommu->units, iommu->units + 1, __ATOMIC_RELEASE);
	return IOMMU_OK;
}

static void log_warning(void *arg, size_t at, const char *what)
{
	core_log(arg, IOMMU_LOG_WARNING, "DMAR table, offset %u: %s",
		(unsigned)at, what);
}

/** Makes the units that the table names from an offset on. */
static enum iommu_status make_units(struct iommu *iommu, size_t at)
{
	struct dmar_record record;

	while (vtd_find_record(iommu, DMAR_DRHD, &at, &record)) {
		enum iommu_status status;

		if (vtd_unit_at(iommu, record.base) ||
			iommu->units == MAX_UNITS)
			continue;
		status = make_unit(iommu, &record);
		if (status != IOMMU_OK)
			return status;
	}
	return IOMMU_OK;
}

/* Whoever reads the table meanwhile sees its old end or the new one. */
enum iommu_status vtd_add_units(
	struct iommu *iommu, const void *structures, size_t size)
{
	struct dmar *dmar = iommu->dmar;
	struct dmar_table longer = dmar->table;
	size_t old = dmar->table.size, at = old;
	unsigned units = iommu->units;
	struct dmar_record record;
	enum iommu_status status;

	if (size > ((size_t)PAGE_SIZE << dmar->order) - sizeof(*dmar) - old)
		return IOMMU_NO_MEMORY;
	memcpy(dmar->copy + old, structures, size);
	longer.size = old + size;
	while (dmar_next(&longer, &at, &record))
		if (dmar_record_flaw(&record))
			return IOMMU_BAD_TABLE;
	if (at != longer.size)
		return IOMMU_BAD_TABLE;
	__atomic_store_n(&dmar->table.size, longer.size, __ATOMIC_RELEASE);
	status = make_units(iommu, old);
	if (status != IOMMU_OK && iommu->units == units)
		__atomic_store_n(&dmar->table.size, old, __ATOMIC_RELEASE);
	return status;
}

enum iommu_status vtd_discover(
	struct iommu *iommu, const void *bytes, size_t size)
{
	enum iommu_status status;
	struct dmar_table table;
	const char *why = dmar_open(&table, bytes, size);

	if (why) {
		core_reason(iommu, "%s", why);
		return IOMMU_BAD_TABLE;
	}
	status = keep_table(iommu, &table);
	if (status != IOMMU_OK)
		return status;
	vtd_table_check(iommu, log_warning, iommu);
	vtd_quirks_find(iommu);
	status = make_units(iommu, 0);
	if (status != IOMMU_OK)
		return status;
	vtd_audit_log(iommu);
	if (iommu->units)
		return IOMMU_OK;
	core_reason(iommu, "the firmware's DMAR table names no unit");
	return IOMMU_BAD_TABLE;
}

static void print_warning(void *arg, size_t at, const char *what)
{
	text_add(arg, "offset %u: %s\n", (unsigned)at, what);
}

void iommu_report_warnings(struct iommu *iommu, iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	if (iommu->dmar)
		vtd_table_check(iommu, print_warning, &text);
	vtd_audit_report(iommu, &text);
	text_end(&text);
}
