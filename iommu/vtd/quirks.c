/* SPDX-License-Identifier: MIT */
/*
 * Hardware that lies or breaks, as data: how it is recognised, what is done
 * about it. Each row can be switched off by iommu_options.quirks_off. Chipsets
 * are recognised at discovery, devices when they are first looked at.
 */
#include "unit.h"

struct quirk {
	enum iommu_quirk bit;
	const char *what;
	const char *effect;
	bool (*found)(const struct iommu *iommu);
	/** Instead: whether a device is concerned, by its vendor and device
	 *  id. */
	bool (*concerns)(uint32_t id);
};

static uint32_t bridge_id(const struct iommu *iommu)
{
	return topology_config(iommu, 0, 0, 0, 4);
}

static bool is_intel(const struct iommu *iommu, const uint16_t *ids)
{
	uint32_t id = bridge_id(iommu);

	if ((id & 0xffff) != 0x8086)
		return false;
	for (; *ids; ids++)
		if (id >> 16 == *ids)
			return true;
	return false;
}

static bool hides_write_buffer(const struct iommu *iommu)
{
	static const uint16_t ids[] = {
		0x2a40, 0x2e00, 0x2e10, 0x2e20, 0x2e30, 0x2e40, 0x2e90, 0};

	return is_intel(iommu, ids);
}

/** The graphics memory control register tells whether memory was set aside for
 *  the shadow of the graphics translation table. */
static bool lacks_shadow_table(const struct iommu *iommu)
{
	static const uint16_t ids[] = {0x0040, 0x0044, 0x0062, 0x006a, 0};

	return is_intel(iommu, ids) &&
		!(topology_config(iommu, 0, 0, 0x52, 2) & 0x800);
}

static bool loses_interrupts(const struct iommu *iommu)
{
	static const uint16_t ids[] = {0x3403, 0x3405, 0x3406, 0};
	unsigned revision = topology_config(iommu, 0, 0, 8, 1);

	if (!is_intel(iommu, ids))
		return false;
	return revision <= 0x13 ||
		(bridge_id(iommu) >> 16 == 0x3405 && revision == 0x22);
}

static bool lets_go_late(uint32_t id)
{
	return (id & 0xfffcffff) == 0x49408086;
}

static bool has_second_id(uint32_t id)
{
	static const uint32_t ids[] = {0x91201b4b, 0x91231b4b, 0x91251b4b,
		0x91281b4b, 0x91301b4b, 0x91721b4b, 0x917a1b4b, 0x91821b4b,
		0x91831b4b, 0x91a01b4b, 0x92151b4b, 0x92201b4b, 0x92301b4b,
		0x92351b4b, 0x06421103, 0x06451103};
	unsigned n;

	for (n = 0; n < sizeof(ids) / sizeof(*ids); n++)
		if (ids[n] == id)
			return true;
	return false;
}

static const struct quirk quirks[] = {
	{IOMMU_QUIRK_RWBF, "chipset that does not tell of its write buffer",
		"write-buffer flushes as if CAP.RWBF were set",
		hides_write_buffer, NULL},
	{IOMMU_QUIRK_CALPELLA_GFX, "graphics without shadow table",
		"the graphics unit is not used", lacks_shadow_table, NULL},
	{IOMMU_QUIRK_X58_INTREMAP, "chipset that loses remapped interrupts",
		"interrupt remapping stays off", loses_interrupts, NULL},
	{IOMMU_QUIRK_TLB_TWICE, "device that lets go of writes late",
		"its TLB is flushed twice", NULL, lets_go_late},
	{IOMMU_QUIRK_SECOND_ID, "device that also sends as function 1",
		"function 1 is attached with it", NULL, has_second_id},
};

enum {
	QUIRKS = sizeof(quirks) / sizeof(*quirks)
};

/** Notes that a quirk takes effect; says so the first time. */
static void take_effect(struct iommu *iommu, const struct quirk *quirk)
{
	if (__atomic_fetch_or(
		    &iommu->dmar->quirks, quirk->bit, __ATOMIC_RELAXED) &
		quirk->bit)
		return;
	core_log(
		iommu, IOMMU_LOG_WARNING, "%s: %s", quirk->what, quirk->effect);
}

unsigned vtd_quirks_of(struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	uint32_t id = topology_config(iommu, segment, rid, 0, 4);
	unsigned found = 0, n;

	for (n = 0; n < QUIRKS; n++) {
		if (iommu->options.quirks_off & quirks[n].bit ||
			!quirks[n].concerns || !quirks[n].concerns(id))
			continue;
		found |= quirks[n].bit;
		take_effect(iommu, &quirks[n]);
	}
	return found;
}

void vtd_quirks_find(struct iommu *iommu)
{
	unsigned n;

	for (n = 0; n < QUIRKS; n++) {
		if (iommu->options.quirks_off & quirks[n].bit ||
			!quirks[n].found || !quirks[n].found(iommu))
			continue;
		take_effect(iommu, &quirks[n]);
	}
}

void vtd_report_quirks(const struct iommu *iommu, struct text *text)
{
	unsigned n;

	for (n = 0; n < QUIRKS; n++) {
		bool off = iommu->options.quirks_off & quirks[n].bit;
		bool on = iommu->dmar && iommu->dmar->quirks & quirks[n].bit;

		text_add(text, "%s: %s: %s\n",
			off          ? "switched off"
				: on ? "in effect"
				     : "not found",
			quirks[n].what, quirks[n].effect);
	}
}
