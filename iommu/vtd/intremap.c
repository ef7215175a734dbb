/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping (VT-d 5.1, 9.9): the table, its entries, the blocks that
 * sources own.
 *
 * The high half of an entry (who may use it) is written when a block is
 * allocated and stays; the low half (where it goes) is the only one that
 * changes while the entry is present, in one store.
 */
#include "unit.h"

/** Whether the unit's and the host's ideas of APIC ids go together. */
static bool ids_fit(const struct vtd_unit *unit)
{
	enum iommu_choice x2apic = unit->unit.iommu->options.x2apic;
	uint64_t ecap = unit->unit.ecap;

	if (x2apic == IOMMU_ON)
		return VTD_ECAP_EIM(ecap);
	/* What only takes 32-bit ids must have them (11.4.3). */
	return !VTD_ECAP_EIMER(ecap) ||
		(x2apic == IOMMU_AUTO && VTD_ECAP_EIM(ecap));
}

/** An I/O APIC that the table does not name could not interrupt any more. */
static bool ioapics_are_named(struct iommu *iommu)
{
	struct unit *unit;
	uint16_t source;
	unsigned id;

	for (id = 0; id < 256; id++)
		if (iommu->options.ioapics[id / 64] >> id % 64 & 1 &&
			!vtd_irq_source(iommu, false, id, &unit, &source)) {
			core_log(iommu, IOMMU_LOG_WARNING,
				"interrupts are not remapped: firmware names "
				"no unit for I/O APIC %u",
				id);
			return false;
		}
	return true;
}

bool vtd_irt_wanted(const struct vtd_unit *unit)
{
	struct iommu *iommu = unit->unit.iommu;
	enum iommu_choice choice = iommu->options.interrupt_remapping;

	if (choice == IOMMU_OFF_ALWAYS || !VTD_ECAP_IR(unit->unit.ecap) ||
		!unit->unit.queued || !ids_fit(unit))
		return false;
	/* Such a unit blocks messages that are not remapped (11.4.3). */
	if (choice == IOMMU_ON || VTD_ECAP_IRREQ(unit->unit.ecap))
		return true;
	return iommu->dmar->table.flags & DMAR_INTR_REMAP &&
		!vtd_quirk(iommu, IOMMU_QUIRK_X58_INTREMAP) &&
		ioapics_are_named(iommu);
}

static unsigned entries_wanted(const struct vtd_unit *unit)
{
	const struct iommu *iommu = unit->unit.iommu;
	unsigned wanted = (unsigned)core_max(
		iommu->options.interrupt_entries, vtd_irt_found(unit));
	unsigned count = 256;

	while (count < wanted && count < 65536)
		count *= 2;
	return count;
}

enum iommu_status vtd_irt_make(struct vtd_unit *unit)
{
	struct iommu *iommu = unit->unit.iommu;
	struct vtd_irt *irt = &unit->irt;

	if (irt->entry)
		return IOMMU_OK;
	irt->count = entries_wanted(unit);
	while (((size_t)PAGE_SIZE << irt->order) < irt->count * 16)
		irt->order++;
	while (((size_t)PAGE_SIZE << irt->taken_order) * 8 < irt->count)
		irt->taken_order++;
	irt->entry = core_pages(iommu, irt->order, &irt->phys);
	irt->taken = core_pages(iommu, irt->taken_order, &irt->taken_phys);
	irt->x2apic = iommu->options.x2apic == IOMMU_ON ||
		VTD_ECAP_EIMER(unit->unit.ecap);
	if (irt->entry && irt->taken) {
		vtd_write_back(unit, irt->entry, irt->count * 16);
		return IOMMU_OK;
	}
	vtd_irt_free(unit);
	return IOMMU_NO_MEMORY;
}

void vtd_irt_free(struct vtd_unit *unit)
{
	struct vtd_irt *irt = &unit->irt;
	struct iommu *iommu = unit->unit.iommu;

	core_pages_free(iommu, irt->entry, irt->phys, irt->order);
	core_pages_free(iommu, irt->taken, irt->taken_phys, irt->taken_order);
	*irt = (struct vtd_irt){0};
}

enum iommu_status vtd_irt_on(struct vtd_unit *unit)
{
	struct vtd_irt *irt = &unit->irt;
	unsigned size_code = (unsigned)__builtin_ctz(irt->count) - 1;
	enum iommu_status status;
	struct vtd_plan plan;

	vtd_write64(unit, VTD_IRTA,
		irt->phys.v | (irt->x2apic ? VTD_IRTA_EIME : 0) | size_code);
	status = vtd_gcmd(unit, VTD_SIRTP, true);
	if (status != IOMMU_OK)
		return status;
	vtd_plan_interrupt_pointer(&unit->traits, &plan);
	status = vtd_run(unit, &plan);
	if (status == IOMMU_OK)
		status = vtd_gcmd(unit, VTD_IRE, true);
	unit->unit.remapping = status == IOMMU_OK;
	return status;
}

/* ---- blocks ---- */

/** Whoever owns an entry asks without the lock: the bits beside it change. */
static bool is_taken(const struct vtd_irt *irt, unsigned n)
{
	return __atomic_load_n(&irt->taken[n / 64], __ATOMIC_RELAXED) >>
		(n % 64) &
		1;
}

static void mark(struct vtd_irt *irt, unsigned first, unsigned count, bool used)
{
	unsigned n;

	for (n = first; n < first + count; n++)
		if (used)
			__atomic_fetch_or(&irt->taken[n / 64], VTD_BIT(n % 64),
				__ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&irt->taken[n / 64],
				~VTD_BIT(n % 64), __ATOMIC_RELAXED);
}

static bool is_free(const struct vtd_irt *irt, unsigned first, unsigned count)
{
	unsigned n;

	for (n = first; n < first + count; n++)
		if (is_taken(irt, n))
			return false;
	return true;
}

/** Finds an aligned free block from the hint on. U held. */
static bool __find(struct vtd_irt *irt, unsigned count, unsigned *out_first)
{
	unsigned blocks = irt->count / count;
	unsigned start = irt->hint / count;
	unsigned n;

	for (n = 0; n < blocks; n++) {
		unsigned first = (start + n) % blocks * count;

		if (is_free(irt, first, count)) {
			irt->hint = (first + count) % irt->count;
			*out_first = first;
			return true;
		}
	}
	return false;
}

enum iommu_status vtd_irq_alloc(struct unit *neutral, uint16_t source,
	unsigned count, uint16_t *out_first)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct iommu *iommu = neutral->iommu;
	struct vtd_irt *irt = &unit->irt;
	unsigned first = 0, n;
	unsigned long state;
	bool found;

	if (!neutral->remapping)
		return IOMMU_UNSUPPORTED;
	state = core_lock(iommu, &unit->table_lock);
	found = __find(irt, count, &first);
	for (n = 0; found && n < count; n++)
		irt->entry[first + n].high = VTD_IRTE_SVT_SID | source;
	if (found)
		mark(irt, first, count, true);
	core_unlock(iommu, &unit->table_lock, state);
	if (!found)
		return IOMMU_NO_ENTRY;
	*out_first = (uint16_t)first;
	return IOMMU_OK;
}

/** Whether a block is what was handed out. */
static bool is_block(const struct vtd_unit *unit, const struct iommu_irq *irq)
{
	const struct vtd_irt *irt = &unit->irt;
	unsigned n;

	if (!irt->entry || !irq->count ||
		(unsigned)irq->first + irq->count > irt->count)
		return false;
	for (n = irq->first; n < (unsigned)irq->first + irq->count; n++)
		if (!is_taken(irt, n) ||
			irt->entry[n].high != (VTD_IRTE_SVT_SID | irq->source))
			return false;
	return true;
}

static uint64_t compose(
	const struct vtd_irt *irt, const struct iommu_irq_target *target)
{
	uint64_t destination = target->destination;

	return VTD_IRTE_P | (target->logical ? VTD_IRTE_DM : 0) |
		(target->redirection_hint ? VTD_IRTE_RH : 0) |
		(target->level ? VTD_IRTE_TM : 0) |
		VTD_IRTE_DLM(target->delivery) |
		VTD_IRTE_VECTOR(target->vector) |
		destination << (irt->x2apic ? 32 : 40);
}

/** Stores the low half and makes the unit forget the old one. */
static enum iommu_status change(
	struct vtd_unit *unit, unsigned index, uint64_t low)
{
	struct iommu *iommu = unit->unit.iommu;
	struct vtd_entry *entry = &unit->irt.entry[index];
	unsigned long state = core_lock(iommu, &unit->table_lock);
	bool was_present = entry->low & VTD_IRTE_P;
	struct vtd_plan plan;

	vtd_entry_replace_low(unit, entry, low);
	core_unlock(iommu, &unit->table_lock, state);
	vtd_plan_interrupt(
		&unit->traits, (uint16_t)index, 0, was_present, &plan);
	return vtd_run(unit, &plan);
}

enum iommu_status vtd_irq_set(struct unit *neutral, const struct iommu_irq *irq,
	unsigned n, const struct iommu_irq_target *target)
{
	struct vtd_unit *unit = vtd_of(neutral);

	if (n >= irq->count || !is_block(unit, irq))
		return IOMMU_BAD_ARGUMENT;
	if (target && target->destination > 255 && !unit->irt.x2apic)
		return IOMMU_BAD_ARGUMENT;
	if (target && (unsigned)target->delivery > 7)
		return IOMMU_BAD_ARGUMENT;
	return change(
		unit, irq->first + n, target ? compose(&unit->irt, target) : 0);
}

enum iommu_status vtd_irq_free(
	struct unit *neutral, const struct iommu_irq *irq)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct iommu *iommu = neutral->iommu;
	enum iommu_status status;
	struct vtd_plan plan;
	unsigned long state;
	unsigned n;

	if (!is_block(unit, irq))
		return IOMMU_BAD_ARGUMENT;
	state = core_lock(iommu, &unit->table_lock);
	for (n = 0; n < irq->count; n++)
		vtd_entry_replace_low(
			unit, &unit->irt.entry[irq->first + n], 0);
	core_unlock(iommu, &unit->table_lock, state);
	vtd_plan_interrupt(&unit->traits, irq->first,
		(unsigned)__builtin_ctz(irq->count), true, &plan);
	status = vtd_run(unit, &plan);
	if (status != IOMMU_OK)
		return status;
	state = core_lock(iommu, &unit->table_lock);
	mark(&unit->irt, irq->first, irq->count, false);
	core_unlock(iommu, &unit->table_lock, state);
	return IOMMU_OK;
}

void vtd_irt_report(struct unit *neutral, struct text *text)
{
	struct vtd_unit *unit = vtd_of(neutral);
	const struct vtd_irt *irt = &unit->irt;
	unsigned n;

	for (n = 0; irt->entry && n < irt->count; n++) {
		uint64_t low = irt->entry[n].low;
		unsigned source = (uint16_t)irt->entry[n].high;

		if (!(low & VTD_IRTE_P))
			continue;
		text_add(text,
			" %u: source %02x:%02x.%u vector 0x%02x cpu %u%s\n", n,
			source >> 8, source >> 3 & 0x1f, source & 7,
			(unsigned)VTD_FIELD(low, 23, 16),
			(unsigned)(low >> (irt->x2apic ? 32 : 40)) &
				(irt->x2apic ? ~0u : 0xffu),
			low & VTD_IRTE_TM ? " level" : "");
	}
}
