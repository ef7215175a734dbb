/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping as hosts see it: blocks of entries for a source, and the
 * messages that lead there.
 */
#include "backend.h"

enum {
	MAX_MSI = 32,
	MAX_PINS = 256,
};

enum iommu_status iommu_irq_remapped(
	struct iommu *iommu, struct iommu_device_id id, bool *out_remapped)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);

	if (status == IOMMU_OK)
		*out_remapped = dev->unit->remapping;
	return status;
}

static enum iommu_status alloc(struct unit *unit, uint16_t source,
	unsigned count, unsigned most, struct iommu_irq *out)
{
	enum iommu_status status;
	uint16_t first;

	if (!count || count > most || count & (count - 1) || !out)
		return IOMMU_BAD_ARGUMENT;
	status = unit->ops->irq_alloc(unit, source, count, &first);
	if (status != IOMMU_OK)
		return status;
	*out = (struct iommu_irq){.unit = (uint16_t)unit->index,
		.first = first,
		.count = (uint16_t)count,
		.source = source};
	return IOMMU_OK;
}

enum iommu_status iommu_irq_alloc(struct iommu *iommu,
	struct iommu_device_id id, unsigned count, struct iommu_irq *out)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);

	/* Bridges send interrupts too. */
	if (status != IOMMU_OK && !(status == IOMMU_BRIDGE && dev->unit))
		return status;
	return alloc(dev->unit, dev->alias->id.requester, count, MAX_MSI, out);
}

static enum iommu_status alloc_named(struct iommu *iommu, bool hpet,
	unsigned id, unsigned count, struct iommu_irq *out)
{
	struct unit *unit;
	uint16_t source;

	if (!vtd_irq_source(iommu, hpet, id, &unit, &source))
		return IOMMU_UNCOVERED;
	return alloc(unit, source, count, MAX_PINS, out);
}

enum iommu_status iommu_irq_alloc_ioapic(struct iommu *iommu,
	unsigned ioapic_id, unsigned count, struct iommu_irq *out)
{
	return alloc_named(iommu, false, ioapic_id, count, out);
}

enum iommu_status iommu_irq_alloc_hpet(struct iommu *iommu, unsigned hpet,
	unsigned count, struct iommu_irq *out)
{
	return alloc_named(iommu, true, hpet, count, out);
}

static struct unit *unit_of(
	const struct iommu *iommu, const struct iommu_irq *irq)
{
	return irq && irq->unit < iommu->units ? iommu->unit[irq->unit] : NULL;
}

enum iommu_status iommu_irq_set(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n,
	const struct iommu_irq_target *target)
{
	struct unit *unit = unit_of(iommu, irq);

	return unit && target ? unit->ops->irq_set(unit, irq, n, target)
			      : IOMMU_BAD_ARGUMENT;
}

enum iommu_status iommu_irq_clear(
	struct iommu *iommu, const struct iommu_irq *irq, unsigned n)
{
	struct unit *unit = unit_of(iommu, irq);

	return unit ? unit->ops->irq_set(unit, irq, n, NULL)
		    : IOMMU_BAD_ARGUMENT;
}

enum iommu_status iommu_irq_free(
	struct iommu *iommu, const struct iommu_irq *irq)
{
	struct unit *unit = unit_of(iommu, irq);

	return unit ? unit->ops->irq_free(unit, irq) : IOMMU_BAD_ARGUMENT;
}

enum iommu_status iommu_irq_message(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n, struct iommu_msi_message *out)
{
	if (!unit_of(iommu, irq) || n >= irq->count || !out)
		return IOMMU_BAD_ARGUMENT;
	/* VT-d 5.1.2.2: handle 14:0 in 19:5, format 4, SHV 3, handle 15 in 2.
	 * With SHV the device's data is added to the handle. */
	*out = (struct iommu_msi_message){.address = 0xfee00000 |
			(irq->first & 0x7fffu) << 5 | 1 << 4 | 1 << 3 |
			(irq->first >> 15 & 1u) << 2,
		.data = n};
	return IOMMU_OK;
}

enum iommu_status iommu_irq_ioapic_entry(struct iommu *iommu,
	const struct iommu_irq *irq, unsigned n, uint8_t vector, bool level,
	bool low_active, uint64_t *out)
{
	uint64_t index;

	if (!unit_of(iommu, irq) || n >= irq->count || !out)
		return IOMMU_BAD_ARGUMENT;
	index = (uint64_t)irq->first + n;
	*out = (index & 0x7fff) << 49 | 1ull << 48 | index >> 15 << 11 |
		(uint64_t)level << 15 | (uint64_t)low_active << 13 | vector;
	return IOMMU_OK;
}
