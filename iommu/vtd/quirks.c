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

/** Functions of bus 0 that chipsets and firmware do not move. */
enum {
	HOST_BRIDGE = 0,
	GRAPHICS = 0x02 << 3,
	SYSTEM_MANAGEMENT = 0x14 << 3,
};

static uint32_t id_at(const struct iommu *iommu, uint16_t rid)
{
	return topology_config(iommu, 0, rid, 0, 4);
}

static uint32_t bridge_id(const struct iommu *iommu)
{
	return id_at(iommu, HOST_BRIDGE);
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

static bool is_calpella(const struct iommu *iommu)
{
	static const uint16_t ids[] = {0x0040, 0x0044, 0x0062, 0x006a, 0};

	return is_intel(iommu, ids);
}

/** The graphics memory control register tells whether memory was set aside for
 *  the shadow of the graphics translation table. */
static bool has_shadow_table(const struct iommu *iommu)
{
	return topology_config(iommu, 0, HOST_BRIDGE, 0x52, 2) & 0x800;
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
	static const uint16_t qm57[] = {0x0044, 0};

	return hides_write_buffer(iommu) || is_intel(iommu, qm57) ||
		is_broadwell_graphics(id_at(iommu, GRAPHICS));
}

static bool hangs_when_off(const struct iommu *iommu)
{
	static const uint8_t families[] = {
		0x45, 0x46, 0x4c, 0x4e, 0x7d, 0x8a, 0x98, 0x9a, 0xa7};
	uint32_t id = id_at(iommu, GRAPHICS);
	unsigned n;

	for (n = 0; n < sizeof(families); n++)
		if ((id & 0xff00ffff) == ((uint32_t)families[n] << 24 | 0x8086))
			return true;
	return false;
}

/** The isochronous unit: bit 0 is clear where the sound device is behind it,
 *  bits 4:2 are its TLB entries. */
static bool has_no_tlb(const struct iommu *iommu)
{
	return id_at(iommu, SYSTEM_MANAGEMENT) == 0x342e8086 &&
		!(topology_config(iommu, 0, SYSTEM_MANAGEMENT, 0x188, 4) &
			0x1d);
}

static bool flushes_little(const struct iommu *iommu)
{
	static const uint16_t ids[] = {0x3c00, 0};

	return is_intel(iommu, ids);
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

bool vtd_quirk(const struct iommu *iommu, enum iommu_quirk bit)
{
	return iommu->dmar && iommu->dmar->quirks & bit;
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
		bool on = vtd_quirk(iommu, quirks[n].bit);

		text_add(text, "%s: %s: %s\n",
			off          ? "switched off"
				: on ? "in effect"
				     : "not found",
			quirks[n].what, quirks[n].effect);
	}
}
