/* SPDX-License-Identifier: MIT */
/*
 * An instance's life: made, told of the firmware's table, started, switched off
 * and on, ended. The host serialises these calls.
 */
#include "backend.h"

void iommu_options_default(struct iommu_options *options)
{
	*options = (struct iommu_options){
		.timeout_ns = 1000000000,
		.device_timeout_ns = 2000000000,
		.interrupt_entries = 1024,
		.cpus = 1,
		.fault_storm = 1000,
	};
}

static bool host_is_complete(const struct iommu_host *host)
{
	return host->page_alloc && host->page_free && host->phys_to_virt &&
		host->regs_map && host->regs_unmap && host->reg_read &&
		host->reg_write && host->lock && host->unlock && host->now_ns &&
		host->pci_read;
}

static bool options_are_sound(const struct iommu_options *options)
{
	return options->timeout_ns && options->device_timeout_ns &&
		options->interrupt_entries && options->cpus &&
		options->spare_tables <= SPARE_TABLES;
}

enum iommu_status iommu_create(const struct iommu_host *host,
	const struct iommu_options *options, struct iommu **out_iommu)
{
	struct iommu_options defaults;
	struct iommu *iommu;
	iommu_phys_t phys;
	unsigned order = 0;

	iommu_options_default(&defaults);
	if (!options)
		options = &defaults;
	if (!host || !out_iommu || !host_is_complete(host) ||
		!options_are_sound(options))
		return IOMMU_BAD_ARGUMENT;
	while (((size_t)PAGE_SIZE << order) < sizeof(*iommu))
		order++;
	iommu = host->page_alloc(host->ctx, order, &phys);
	if (!iommu)
		return IOMMU_NO_MEMORY;
	iommu->host = *host;
	if (!core_pages_usable(iommu, phys, order)) {
		host->page_free(host->ctx, iommu, phys, order);
		return IOMMU_BAD_ARGUMENT;
	}
	iommu->options = *options;
	iommu->order = order;
	iommu->phys = phys;
	iommu->pages = 1ull << order;
	iommu->state = INSTANCE_NEW;
	core_pool_init(&iommu->device_pool, sizeof(struct device));
	core_pool_init(&iommu->domain_pool, sizeof(struct iommu_domain));
	*out_iommu = iommu;
	return IOMMU_OK;
}

bool core_any_attached(const struct iommu *iommu)
{
	for (unsigned n = 0; n < iommu->units; n++)
		if (unit_attached(iommu->unit[n]))
			return true;
	return false;
}

static bool any_domain(const struct iommu *iommu)
{
	return iommu->domains > (unsigned)!!iommu->identity +
		!!iommu->identity_tables +
		__atomic_load_n(&iommu->parkings, __ATOMIC_RELAXED);
}

enum iommu_status iommu_destroy(struct iommu *iommu)
{
	enum iommu_status status = IOMMU_OK;
	enum instance_state life;

	if (!iommu)
		return IOMMU_OK;
	life = core_life(iommu);
	if (life == INSTANCE_MOVING)
		return IOMMU_WRONG_STATE;
	if (core_any_attached(iommu) || any_domain(iommu))
		return IOMMU_IN_USE;
	if (!core_life_enter(iommu, life))
		return IOMMU_WRONG_STATE;
	if (life != INSTANCE_HANDED_OVER)
		core_unpark_all(iommu);
	for (unsigned n = 0; n < iommu->units; n++)
		if (iommu->unit[n]->ops->end(iommu->unit[n]) != IOMMU_OK)
			status = IOMMU_UNCONFIRMED;
	vtd_forget(iommu);
	core_buses_end(iommu);
	core_pool_put(iommu, &iommu->domain_pool, iommu->identity);
	/* A unit that could not be switched off may still walk them. */
	if (iommu->identity_tables && status == IOMMU_OK)
		core_table_free(iommu->identity_tables);
	core_spare_tables_end(iommu);
	core_pool_end(iommu, &iommu->device_pool);
	core_pool_end(iommu, &iommu->domain_pool);
	iommu->host.page_free(
		iommu->host.ctx, iommu, iommu->phys, iommu->order);
	return status;
}

/** The next unit in a state, from *n on, or NULL. */
static struct unit *next_unit(
	const struct iommu *iommu, enum iommu_unit_state state, unsigned *n)
{
	while (*n < iommu->units) {
		struct unit *unit = iommu->unit[(*n)++];

		if (unit_state(unit) == state)
			return unit;
	}
	return NULL;
}

static bool any_unit(const struct iommu *iommu, enum iommu_unit_state state)
{
	unsigned n = 0;

	return next_unit(iommu, state, &n);
}

enum iommu_status iommu_discover(
	struct iommu *iommu, const void *dmar, size_t size)
{
	enum iommu_status status = IOMMU_NO_TABLE;

	if (!core_life_enter(iommu, INSTANCE_NEW))
		return IOMMU_WRONG_STATE;
	if (dmar)
		status = vtd_discover(iommu, dmar, size);
	else
		core_reason(iommu, "the firmware has no DMAR table");
	core_life_leave(iommu,
		status == IOMMU_NO_MEMORY ? INSTANCE_NEW : INSTANCE_DISCOVERED,
		status);
	if (status != IOMMU_OK || any_unit(iommu, IOMMU_UNIT_OFF))
		return status;
	core_reason(iommu, "no I/O MMU can be used: %s",
		iommu->units ? iommu->unit[0]->reason
			     : "the firmware names none");
	return IOMMU_NO_UNIT;
}

const char *iommu_reason(const struct iommu *iommu)
{
	return iommu->reason;
}

/** Says why a step of a unit's life failed, if it did. Returns the worse of the
 *  statuses. */
static enum iommu_status note(
	struct unit *unit, enum iommu_status before, enum iommu_status status)
{
	const char *reason = unit_reason(unit);

	if (status != IOMMU_OK)
		core_reason(unit->iommu, "unit at 0x%jx: %s",
			(uintmax_t)unit->base.v,
			reason ? reason : iommu_status_text(status));
	return core_worse(before, status);
}

/** Ends a call after which the instance is started, on or off. */
static enum iommu_status leave_started(
	struct iommu *iommu, enum iommu_status status)
{
	bool on = any_unit(iommu, IOMMU_UNIT_ON);

	__atomic_store_n(&iommu->on, on, __ATOMIC_RELEASE);
	return core_life_leave(iommu, INSTANCE_STARTED, status);
}

static enum iommu_status switch_all(struct iommu *iommu, bool on)
{
	enum iommu_unit_state from = on ? IOMMU_UNIT_OFF : IOMMU_UNIT_ON;
	enum iommu_status status = IOMMU_OK;
	struct unit *unit;
	bool possible = !on;

	for (unsigned n = 0; n < iommu->units; n++)
		possible |= unit_translates(iommu->unit[n]);
	if (!possible) {
		core_reason(iommu,
			"no I/O MMU translates, they only remap interrupts");
		return IOMMU_NO_UNIT;
	}
	for (unsigned n = 0; (unit = next_unit(iommu, from, &n));)
		status = note(unit, status, unit->ops->translate(unit, on));
	return status;
}

enum iommu_status iommu_start(struct iommu *iommu)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_IDENTITY};
	enum iommu_status status = IOMMU_OK;
	struct unit *unit;

	if (!core_life_enter(iommu, INSTANCE_DISCOVERED))
		return IOMMU_WRONG_STATE;
	if (!any_unit(iommu, IOMMU_UNIT_OFF))
		status = IOMMU_NO_UNIT;
	else if (!iommu->identity)
		status = iommu_domain_create(iommu, &config, &iommu->identity);
	if (status != IOMMU_OK)
		return core_life_leave(iommu, INSTANCE_DISCOVERED, status);
	for (unsigned n = 0; (unit = next_unit(iommu, IOMMU_UNIT_OFF, &n));)
		status = note(unit, status, unit->ops->prepare(unit));
	if (status == IOMMU_NO_MEMORY)
		return core_life_leave(iommu, INSTANCE_DISCOVERED, status);
	core_park_all(iommu);
	status = core_worse(status, switch_all(iommu, true));
	return leave_started(iommu, status);
}

static bool must_stay_on(const struct iommu *iommu)
{
	struct iommu_firmware firmware;

	for (unsigned n = 0; n < iommu->units; n++)
		if (iommu->unit[n]->stays_on)
			return true;
	if (iommu->options.stay_on != IOMMU_AUTO)
		return iommu->options.stay_on == IOMMU_ON;
	return iommu_firmware(iommu, &firmware) == IOMMU_OK &&
		firmware.dma_opt_in;
}

enum iommu_status iommu_power(struct iommu *iommu, bool on)
{
	enum iommu_status status;

	if (!core_life_enter(iommu, INSTANCE_STARTED))
		return IOMMU_WRONG_STATE;
	if (!on && must_stay_on(iommu))
		status = IOMMU_FORBIDDEN;
	else if (!on && iommu->tlb_users)
		/* They cannot be flushed while translation is off. */
		status = IOMMU_IN_USE;
	else
		status = switch_all(iommu, on);
	return leave_started(iommu, status);
}

bool iommu_is_on(const struct iommu *iommu)
{
	return __atomic_load_n(&iommu->on, __ATOMIC_ACQUIRE);
}

enum iommu_status iommu_suspend(struct iommu *iommu)
{
	enum iommu_status status = IOMMU_OK;
	struct unit *unit;

	if (!core_life_enter(iommu, INSTANCE_STARTED))
		return IOMMU_WRONG_STATE;
	for (unsigned n = 0; (unit = next_unit(iommu, IOMMU_UNIT_ON, &n));)
		status = note(unit, status, unit->ops->suspend(unit));
	for (unsigned n = 0; (unit = next_unit(iommu, IOMMU_UNIT_OFF, &n));)
		status = note(unit, status, unit->ops->suspend(unit));
	return core_life_leave(iommu, INSTANCE_SUSPENDED, status);
}

enum iommu_status iommu_resume(struct iommu *iommu)
{
	enum iommu_status status = IOMMU_OK;
	struct unit *unit;

	if (!core_life_enter(iommu, INSTANCE_SUSPENDED))
		return IOMMU_WRONG_STATE;
	for (unsigned n = 0;
		(unit = next_unit(iommu, IOMMU_UNIT_SUSPENDED, &n));)
		status = note(unit, status, unit->ops->resume(unit));
	return leave_started(iommu, status);
}

enum iommu_status iommu_units_add(
	struct iommu *iommu, const void *structures, size_t size)
{
	enum iommu_status status, one;
	unsigned n = iommu->units;
	struct unit *unit;

	if (!structures || !size)
		return IOMMU_BAD_ARGUMENT;
	if (!core_life_enter(iommu, INSTANCE_STARTED))
		return IOMMU_WRONG_STATE;
	status = vtd_add_units(iommu, structures, size);
	while ((unit = next_unit(iommu, IOMMU_UNIT_OFF, &n))) {
		one = unit->ops->prepare(unit);
		if (one == IOMMU_OK && iommu_is_on(iommu))
			one = unit->ops->translate(unit, true);
		status = note(unit, status, one);
	}
	core_devices_anew(iommu);
	return core_life_leave(iommu, INSTANCE_STARTED, status);
}

unsigned iommu_unit_count(const struct iommu *iommu)
{
	return iommu->units;
}

enum iommu_status iommu_unit_info(
	const struct iommu *iommu, unsigned n, struct iommu_unit_info *out)
{
	const struct unit *unit;
	const char *reason;

	if (n >= iommu->units || !out)
		return IOMMU_BAD_ARGUMENT;
	unit = iommu->unit[n];
	reason = unit_reason(unit);
	*out = (struct iommu_unit_info){
		.handle = unit,
		.state = unit_state(unit),
		.reason = reason ? reason : "",
		.segment = unit->segment,
		.registers = unit->base,
		.version = unit->version,
		.cap = unit->cap,
		.ecap = unit->ecap,
		.iova_bits = unit->iova_bits,
		.queued = unit->queued,
		.interrupt_remapping = unit->remapping,
		.attached = unit_attached(unit),
	};
	out->has_node = vtd_near_memory(iommu, unit->base.v, &out->node);
	return IOMMU_OK;
}

unsigned iommu_reserved_count(const struct iommu *iommu)
{
	struct iommu_reserved_region region;
	unsigned n = 0;

	while (vtd_reserved_region(iommu, NULL, n, &region))
		n++;
	return n;
}

enum iommu_status iommu_reserved_region(const struct iommu *iommu, unsigned n,
	struct iommu_reserved_region *out)
{
	return out && vtd_reserved_region(iommu, NULL, n, out)
		? IOMMU_OK
		: IOMMU_BAD_ARGUMENT;
}

enum iommu_status iommu_shared_check(const struct iommu *iommu, unsigned n,
	const struct iommu_entry_format *format, const char **out_why)
{
	const char *why;

	if (n >= iommu->units || !format)
		return IOMMU_BAD_ARGUMENT;
	if (!out_why)
		out_why = &why;
	*out_why = "";
	return iommu->unit[n]->ops->check_format(
		iommu->unit[n], format, out_why);
}
