/* SPDX-License-Identifier: MIT */
/*
 * Hardware that lies or breaks, as data: how it is recognised, what is done
 * about it. Each row can be switched off by iommu_options.quirks_off. Chipsets
 * are recognised at discovery, devices when they are first looked at.
 */
#include "unit.h"

/** Whose vendor and device id tells. Chipsets and firmware do not move these
 *  functions of bus 0. */
enum place {
	HOST_BRIDGE = 0,
	GRAPHICS = 0x02 << 3,
	SYSTEM_MANAGEMENT = 0x14 << 3,
	/** Each device that is met. */
	ANY_DEVICE,
};

struct quirk {
	/** An enum iommu_quirk. */
	uint32_t bit;
	const char *what;
	const char *effect;
	enum place at;
	/** The bits of the id that count, and the ids, which end with 0. NULL:
	 *  any. */
	uint32_t mask;
	const uint32_t *ids;
	/** What must be so besides, or NULL. */
	bool (*also)(const struct iommu *iommu);
};

/** What stands in the configuration space of such a function. */
static uint32_t config_at(const struct iommu *iommu, enum place at,
	unsigned offset, unsigned width)
{
	struct function fn = {iommu, {0, (uint16_t)at}};

	return topology_config(fn, offset, width);
}

static bool is_among(uint32_t id, uint32_t mask, const uint32_t *ids)
{
	while (*ids && *ids != (id & mask))
		ids++;
	return *ids;
}

static const uint32_t hidden_buffer[] = {0x2a408086, 0x2e008086, 0x2e108086,
	0x2e208086, 0x2e308086, 0x2e408086, 0x2e908086, 0};
static const uint32_t calpella[] = {
	0x00408086, 0x00448086, 0x00628086, 0x006a8086, 0};
static const uint32_t x58[] = {0x34038086, 0x34058086, 0x34068086, 0};
static const uint32_t late_writers[] = {0x49408086, 0};
static const uint32_t two_ids[] = {0x91201b4b, 0x91231b4b, 0x91251b4b,
	0x91281b4b, 0x91301b4b, 0x91721b4b, 0x917a1b4b, 0x91821b4b, 0x91831b4b,
	0x91a01b4b, 0x92151b4b, 0x92201b4b, 0x92301b4b, 0x92351b4b, 0x06421103,
	0x06451103, 0};
static const uint32_t hanging_graphics[] = {0x45008086, 0x46008086, 0x4c008086,
	0x4e008086, 0x7d008086, 0x8a008086, 0x98008086, 0x9a008086, 0xa7008086,
	0};
static const uint32_t isochronous[] = {0x342e8086, 0};
static const uint32_t small_flushes[] = {0x3c008086, 0};
/** 1602 to 163e; the last digit is 2, 6, a, b, d or e. */
static const uint32_t broadwell[] = {0x16028086, 0x16068086, 0x160a8086,
	0x160b8086, 0x160d8086, 0x160e8086, 0};

/** The graphics memory control register tells whether memory was set aside for
 *  the shadow of the graphics translation table. */
static bool has_shadow_table(const struct iommu *iommu)
{
	return config_at(iommu, HOST_BRIDGE, 0x52, 2) & 0x800;
}

static bool lacks_shadow_table(const struct iommu *iommu)
{
	return !has_shadow_table(iommu);
}

static bool loses_interrupts(const struct iommu *iommu)
{
	unsigned revision = config_at(iommu, HOST_BRIDGE, 8, 1);

	return revision <= 0x13 ||
		(revision == 0x22 &&
			config_at(iommu, HOST_BRIDGE, 0, 4) == 0x34058086);
}

static bool fails_translated(const struct iommu *iommu)
{
	uint32_t chipset = config_at(iommu, HOST_BRIDGE, 0, 4);
	uint32_t graphics = config_at(iommu, GRAPHICS, 0, 4);

	return is_among(chipset, ~0u, hidden_buffer) || chipset == 0x00448086 ||
		is_among(graphics, 0xffcfffff, broadwell);
}

/** The isochronous unit: bit 0 is clear where the sound device is behind it,
 *  bits 4:2 are its TLB entries. */
static bool has_no_tlb(const struct iommu *iommu)
{
	return !(config_at(iommu, SYSTEM_MANAGEMENT, 0x188, 4) & 0x1d);
}

static const struct quirk quirks[] = {
	{IOMMU_QUIRK_RWBF, "chipset that does not tell of its write buffer",
		"write-buffer flushes as if CAP.RWBF were set", HOST_BRIDGE,
		~0u, hidden_buffer, NULL},
	{IOMMU_QUIRK_CALPELLA_GFX, "graphics without shadow table",
		"the graphics unit is not used", HOST_BRIDGE, ~0u, calpella,
		lacks_shadow_table},
	{IOMMU_QUIRK_X58_INTREMAP, "chipset that loses remapped interrupts",
		"interrupt remapping stays off", HOST_BRIDGE, ~0u, x58,
		loses_interrupts},
	{IOMMU_QUIRK_TLB_TWICE, "device that lets go of writes late",
		"its TLB is flushed twice", ANY_DEVICE, 0xfffcffff,
		late_writers, NULL},
	{IOMMU_QUIRK_SECOND_ID, "device that also sends as function 1",
		"function 1 is attached with it", ANY_DEVICE, ~0u, two_ids,
		NULL},
	{IOMMU_QUIRK_GRAPHICS, "graphics that does not work translated",
		"the graphics unit is not used", GRAPHICS, 0, NULL,
		fails_translated},
	{IOMMU_QUIRK_STRICT, "graphics that must be idle to be flushed",
		"no flush is deferred", HOST_BRIDGE, ~0u, calpella,
		has_shadow_table},
	{IOMMU_QUIRK_STAYS_ON, "graphics that hangs when not translated again",
		"translation cannot be switched off", GRAPHICS, 0xff00ffff,
		hanging_graphics, NULL},
	{IOMMU_QUIRK_NO_TLB, "sound behind a unit without a TLB",
		"the sound device's unit is not used", SYSTEM_MANAGEMENT, ~0u,
		isochronous, has_no_tlb},
	{IOMMU_QUIRK_SMALL_FLUSHES, "chipset that fails to flush large ranges",
		"at most 512 pages are flushed at once", HOST_BRIDGE, ~0u,
		small_flushes, NULL},
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

/** Whether a quirk is to do with a device or, without one, the chipset. */
static bool is_found(const struct iommu *iommu, const struct quirk *quirk,
	const uint32_t *device)
{
	uint32_t id;

	if (iommu->options.quirks_off & quirk->bit ||
		(quirk->at == ANY_DEVICE) != (device != NULL))
		return false;
	id = device ? *device : config_at(iommu, quirk->at, 0, 4);
	return (!quirk->ids || is_among(id, quirk->mask, quirk->ids)) &&
		(!quirk->also || quirk->also(iommu));
}

static unsigned find(struct iommu *iommu, const uint32_t *device)
{
	unsigned found = 0;

	for (unsigned n = 0; n < QUIRKS; n++)
		if (is_found(iommu, &quirks[n], device)) {
			found |= quirks[n].bit;
			take_effect(iommu, &quirks[n]);
		}
	return found;
}

unsigned vtd_quirks_of(struct iommu *iommu, struct iommu_device_id id)
{
	uint32_t device = topology_config((struct function){iommu, id}, 0, 4);

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
