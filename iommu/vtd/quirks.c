/* SPDX-License-Identifier: MIT */
/*
 * Hardware that lies or breaks, as data: how it is recognised, what is done
 * about it. Each row can be switched off by iommu_options.quirks_off. Chipsets
 * are recognised at discovery, devices when they are first looked at.
 */
#include "unit.h"

struct quirk {
	/** An enum iommu_quirk. */
	uint32_t bit;
	const char *what;
	const char *effect;
	bool (*found)(const struct iommu *iommu);
	/** Instead: whether a device is concerned, by its vendor and device
	 *  id. */
	bool (*concerns)(uint32_t id);
};

/** Functions of bus 0 that chipsets and firmware do not move. */
enum {
	HOST_BRIDGE = 0,
	GRAPHICS = 0x02 << 3,
	SYSTEM_MANAGEMENT = 0x14 << 3,
};

/** What stands in the configuration space of such a function. */
static uint32_t config_at(const struct iommu *iommu, uint16_t rid,
	unsigned offset, unsigned width)
{
	struct iommu_device_id id = {0, rid};

	return topology_config(iommu, id, offset, width);
}

/** Device and vendor id of the host bridge, which tells the chipset. */
static uint32_t chipset(const struct iommu *iommu)
{
	return config_at(iommu, HOST_BRIDGE, 0, 4);
}

/** Whether an id is in a list, which ends with 0. */
static bool is_among(uint32_t id, const uint32_t *ids)
{
	while (*ids && *ids != id)
		ids++;
	return *ids;
}

static bool hides_write_buffer(const struct iommu *iommu)
{
	static const uint32_t ids[] = {0x2a408086, 0x2e008086, 0x2e108086,
		0x2e208086, 0x2e308086, 0x2e408086, 0x2e908086, 0};

	return is_among(chipset(iommu), ids);
}

static bool is_calpella(const struct iommu *iommu)
{
	static const uint32_t ids[] = {
		0x00408086, 0x00448086, 0x00628086, 0x006a8086, 0};

	return is_among(chipset(iommu), ids);
}

/** The graphics memory control register tells whether memory was set aside for
 *  the shadow of the graphics translation table. */
static bool has_shadow_table(const struct iommu *iommu)
{
	return config_at(iommu, HOST_BRIDGE, 0x52, 2) & 0x800;
}

static bool lacks_shadow_table(const struct iommu *iommu)
{
	return is_calpella(iommu) && !has_shadow_table(iommu);
}

static bool must_idle_to_flush(const struct iommu *iommu)
{
	return is_calpella(iommu) && has_shadow_table(iommu);
}

/** 1602 to 163e; the last digit is 2, 6, a, b, d or e. */
static bool is_broadwell_graphics(uint32_t id)
{
	return (id & 0xffc0ffff) == 0x16008086 &&
		0x6c44 >> (id >> 16 & 0xf) & 1;
}

static bool fails_translated(const struct iommu *iommu)
{
	return hides_write_buffer(iommu) || chipset(iommu) == 0x00448086 ||
		is_broadwell_graphics(config_at(iommu, GRAPHICS, 0, 4));
}

static bool hangs_when_off(const struct iommu *iommu)
{
	static const uint32_t families[] = {0x45008086, 0x46008086, 0x4c008086,
		0x4e008086, 0x7d008086, 0x8a008086, 0x98008086, 0x9a008086,
		0xa7008086, 0};

	return is_among(
		config_at(iommu, GRAPHICS, 0, 4) & 0xff00ffff, families);
}

/** The isochronous unit: bit 0 is clear where the sound device is behind it,
 *  bits 4:2 are its TLB entries. */
static bool has_no_tlb(const struct iommu *iommu)
{
	return config_at(iommu, SYSTEM_MANAGEMENT, 0, 4) == 0x342e8086 &&
		!(config_at(iommu, SYSTEM_MANAGEMENT, 0x188, 4) & 0x1d);
}

static bool flushes_little(const struct iommu *iommu)
{
	return chipset(iommu) == 0x3c008086;
}

static bool loses_interrupts(const struct iommu *iommu)
{
	static const uint32_t ids[] = {0x34038086, 0x34058086, 0x34068086, 0};
	unsigned revision = config_at(iommu, HOST_BRIDGE, 8, 1);

	return is_among(chipset(iommu), ids) &&
		(revision <= 0x13 ||
			(chipset(iommu) == 0x34058086 && revision == 0x22));
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
		0x92351b4b, 0x06421103, 0x06451103, 0};

	return is_among(id, ids);
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
	{IOMMU_QUIRK_GRAPHICS, "graphics that does not work translated",
		"the graphics unit is not used", fails_translated, NULL},
	{IOMMU_QUIRK_STRICT, "graphics that must be idle to be flushed",
		"no flush is deferred", must_idle_to_flush, NULL},
	{IOMMU_QUIRK_STAYS_ON, "graphics that hangs when not translated again",
		"translation cannot be switched off", hangs_when_off, NULL},
	{IOMMU_QUIRK_NO_TLB, "sound behind a unit without a TLB",
		"the sound device's unit is not used", has_no_tlb, NULL},
	{IOMMU_QUIRK_SMALL_FLUSHES, "chipset that fails to flush large ranges",
		"at most 512 pages are flushed at once", flushes_little, NULL},
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

bool vtd_quirk(const struct iommu *iommu, uint32_t bit)
{
	return iommu->dmar && iommu->dmar->quirks & bit;
}

/** Has those take effect that concern a device, or, without one, the chipset.
 */
static unsigned find(struct iommu *iommu, const uint32_t *device)
{
	unsigned found = 0;

	for (unsigned n = 0; n < QUIRKS; n++) {
		const struct quirk *quirk = &quirks[n];

		if (iommu->options.quirks_off & quirk->bit ||
			!(device ? quirk->concerns && quirk->concerns(*device)
				 : quirk->found && quirk->found(iommu)))
			continue;
		found |= quirk->bit;
		take_effect(iommu, quirk);
	}
	return found;
}

unsigned vtd_quirks_of(struct iommu *iommu, struct iommu_device_id id)
{
	uint32_t device = topology_config(iommu, id, 0, 4);

	return find(iommu, &device);
}

void vtd_quirks_find(struct iommu *iommu)
{
	find(iommu, NULL);
}

void iommu_report_quirks(struct iommu *iommu, iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	for (unsigned n = 0; n < QUIRKS; n++) {
		const char *state = "not found";

		if (iommu->options.quirks_off & quirks[n].bit)
			state = "switched off";
		else if (vtd_quirk(iommu, quirks[n].bit))
			state = "in effect";
		text_add(&text, "%s: %s: %s\n", state, quirks[n].what,
			quirks[n].effect);
	}
	text_end(&text);
}
