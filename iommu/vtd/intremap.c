/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping (VT-d 5.1, 9.9): the table, its entries, the blocks that
 * sources own.
 *
 * The high half of an entry (who may use it) is written when a block is
 * allocated and stays until the block is free: an entry that is not zero is
 * taken. The low half (where it goes) is the only one that changes while the
 * entry is present, in one store.
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

	for (unsigned id = 0; id < 256; id++)
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

enum iommu_status vtd_irt_make(struct vtd_unit *unit)
{
	const struct iommu_options *options = &unit->unit.iommu->options;
	struct vtd_irt *irt = &unit->irt;
	uint64_t wanted;

	if (irt->entry)
		return IOMMU_OK;
	wanted = core_max(options->interrupt_entries, vtd_irt_found(unit));
	irt->count = PAGE_SIZE / sizeof(*irt->entry);
	for (irt->order = 0; irt->count < wanted && irt->count < 65536;
		irt->order++)
		irt->count *= 2;
	irt->x2apic =
		options->x2apic == IOMMU_ON || VTD_ECAP_EIMER(unit->unit.ecap);
	irt->entry = vtd_pages(unit, irt->order, &irt->phys);
	return irt->entry ? IOMMU_OK : IOMMU_NO_MEMORY;
}

void vtd_irt_free(struct vtd_unit *unit)
{
	const struct vtd_irt *irt = &unit->irt;

	core_pages_free(unit->unit.iommu, irt->entry, irt->phys, irt->order);
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
	vtd_plan_interrupt_pointer(&unit->traits, &plan);
	if (status == IOMMU_OK)
		status = vtd_run(unit, &plan);
	if (status == IOMMU_OK)
		status = vtd_gcmd(unit, VTD_IRE, true);
	unit->unit.remapping = status == IOMMU_OK;
	return status;
}

/* ---- blocks ---- */

static bool is_free(const struct vtd_irt *irt, unsigned first, unsigned count)
{
	for (unsigned n = first; n < first + count; n++) {
		struct vtd_entry entry = vtd_look(&irt->entry[n]);

		if (entry.low | entry.high)
			return false;
	}
	return true;
}

enum iommu_status vtd_irq_alloc(struct unit *neutral, uint16_t source,
	unsigned count, uint16_t *out_first)
{
	struct vtd_unit *unit = vtd_of(neutral);
	struct vtd_irt *irt = &unit->irt;
	unsigned long state;
	unsigned first = 0;
	bool found;

	if (!neutral->remapping)
		return IOMMU_UNSUPPORTED;
	state = core_lock(neutral->iommu, &unit->table_lock);
	while (first + count <= irt->count && !is_free(irt, first, count))
		first += count;
	found = first + count <= irt->count;
	for (unsigned n = 0; found && n < count; n++)
		__atomic_store_n(&irt->entry[first + n].high,
			VTD_IRTE_SVT_SID | source, __ATOMIC_RELAXED);
	core_unlock(neutral->iommu, &unit->table_lock, state);
	if (!found)
		return IOMMU_NO_ENTRY;
	*out_first = (uint16_t)first;
	return IOMMU_OK;
}

/** Whether a block is what was handed out. */
static bool is_block(const struct vtd_irt *irt, const struct iommu_irq *irq)
{
	unsigned end = (unsigned)irq->first + irq->count;

	if (!irt->entry || !irq->count || end > irt->count)
		return false;
	for (unsigned n = irq->first; n < end; n++)
		if (irt->entry[n].high != (VTD_IRTE_SVT_SID | irq->source))
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

/** Stores the low half of entries and makes the unit forget the old ones.
 *  present: they may have been. */
static enum iommu_status change(struct vtd_unit *unit, unsigned first,
	unsigned count, uint64_t low, bool present)
{
	struct vtd_entry *entry = &unit->irt.entry[first];
	unsigned long state = core_lock(unit->unit.iommu, &unit->table_lock);
	struct vtd_plan plan;

	for (unsigned n = 0; n < count; n++) {
		present |= entry[n].low & VTD_IRTE_P;
		vtd_entry_replace_low(unit, &entry[n], low);
	}
	core_unlock(unit->unit.iommu, &unit->table_lock, state);
	vtd_plan_interrupt(&unit->traits, (uint16_t)first,
		(unsigned)__builtin_ctz(count), present, &plan);
	return vtd_run(unit, &plan);
}

enum iommu_status vtd_irq_set(struct unit *neutral, const struct iommu_irq *irq,
	unsigned n, const struct iommu_irq_target *target)
{
	struct vtd_unit *unit = vtd_of(neutral);

	if (n >= irq->count || !is_block(&unit->irt, irq))
		return IOMMU_BAD_ARGUMENT;
	if (target &&
		((target->destination > 255 && !unit->irt.x2apic) ||
			(unsigned)target->delivery > 7))
		return IOMMU_BAD_ARGUMENT;
	return change(unit, irq->first + n, 1,
		target ? compose(&unit->irt, target) : 0, false);
}

enum iommu_status vtd_irq_free(
	struct unit *neutral, const struct iommu_irq *irq)
{
	struct vtd_unit *unit = vtd_of(neutral);
	enum iommu_status status;
	unsigned long state;

	if (!is_block(&unit->irt, irq))
		return IOMMU_BAD_ARGUMENT;
	/* Also if they are not present: the flush of that may have failed. */
	status = change(unit, irq->first, irq->count, 0, true);
	if (status != IOMMU_OK)
		return status;
	state = core_lock(neutral->iommu, &unit->table_lock);
	for (unsigned n = 0; n < irq->count; n++)
		vtd_entry_erase(&unit->irt.entry[irq->first + n]);
	core_unlock(neutral->iommu, &unit->table_lock, state);
	return IOMMU_OK;
}

void vtd_irt_report(struct unit *neutral, struct text *text)
{
	const struct vtd_irt *irt = &vtd_of(neutral)->irt;

	for (unsigned n = 0; irt->entry && n < irt->count; n++) {
		struct vtd_entry entry = vtd_look(&irt->entry[n]);
		unsigned source = (uint16_t)entry.high;
		uint64_t low = entry.low;

		if (!(low & VTD_IRTE_P))
			continue;
		text_add(text,
			" %u: source %02x:%02x.%u vector 0x%02x cpu %u%s\n", n,
			RID_WORDS(source), (unsigned)VTD_FIELD(low, 23, 16),
			(unsigned)(low >> (irt->x2apic ? 32 : 40)) &
				(irt->x2apic ? ~0u : 0xffu),
			low & VTD_IRTE_TM ? " level" : "");
	}
}
