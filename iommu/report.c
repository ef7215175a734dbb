/* SPDX-License-Identifier: MIT */
/*
 * Texts for people. Everything here works at any time, also when there is no
 * unit or a unit is lost.
 */
#include "backend.h"

void iommu_report_info(struct iommu *iommu, iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	text_add(&text, "driver info:\n");
	text_add(&text, " default did = %u\n", IDENTITY_DID);
	text_add(&text, " status = %s\n",
		iommu_is_on(iommu) ? "enabled" : "disabled");
	if (iommu->reason[0])
		text_add(&text, " reason = %s\n", iommu->reason);
	for (unsigned n = 0; n < iommu->units; n++) {
		text_add(&text, "\n");
		iommu->unit[n]->ops->info(iommu->unit[n], &text);
	}
	text_end(&text);
}

/* Without a lock: as good as a look a moment earlier or later. */
static unsigned ids_in_use(const struct did_map *map)
{
	unsigned used = 0;

	for (unsigned n = 0; map->taken && n < (map->count + 63) / 64; n++) {
		uint64_t word =
			__atomic_load_n(&map->taken[n], __ATOMIC_RELAXED);

		for (; word; word &= word - 1)
			used++;
	}
	return used;
}

/** The counters, in their order. */
static const char *const counter[] = {
	"doorbells",
	"descriptors",
	"waits",
	"time-outs",
	"queue errors",
	"device time-outs",
	"context flushes",
	"domain flushes",
	"page flushes",
	"global flushes",
	"device-TLB flushes",
	"interrupt flushes",
	"faults",
	"fault overflows",
	"attaches",
	"detaches",
};

static void stats_of(const struct unit *unit, struct text *text)
{
	struct iommu_stats stats;
	const uint64_t *value = (const void *)&stats;

	_Static_assert(offsetof(struct iommu_stats, latency) ==
			sizeof(counter) / sizeof(*counter) * sizeof(*value),
		"each counter has a name");
	unit_read_stats(unit, &stats);
	text_add(text, "iommu@%p\n", (const void *)unit);
	for (unsigned n = 0; n < sizeof(counter) / sizeof(*counter); n++)
		text_add(text, " %s: %ju\n", counter[n], (uintmax_t)value[n]);
	text_add(text, " domain ids: %u of %u\n", ids_in_use(&unit->dids),
		unit->dids.count);
	text_add(text, " waits at first look or below 1 us: %ju\n",
		(uintmax_t)stats.latency[0]);
	for (unsigned n = 1; n < IOMMU_LATENCY_SLOTS; n++)
		if (stats.latency[n])
			text_add(text, " waits below %u us: %ju\n", 1u << n,
				(uintmax_t)stats.latency[n]);
}

void iommu_report_stats(struct iommu *iommu, iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	for (unsigned n = 0; n < iommu->units; n++)
		stats_of(iommu->unit[n], &text);
	text_add(&text, "pages: %ju, withheld: %ju\n",
		(uintmax_t)__atomic_load_n(&iommu->pages, __ATOMIC_RELAXED),
		(uintmax_t)__atomic_load_n(
			&iommu->pages_withheld, __ATOMIC_RELAXED));
	text_end(&text);
}

enum iommu_status iommu_unit_stats(
	const struct iommu *iommu, unsigned n, struct iommu_stats *out)
{
	if (n >= iommu->units || !out)
		return IOMMU_BAD_ARGUMENT;
	unit_read_stats(iommu->unit[n], out);
	return IOMMU_OK;
}

void iommu_report_queue(struct iommu *iommu, iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	for (unsigned n = 0; n < iommu->units; n++) {
		struct unit *unit = iommu->unit[n];

		text_add(&text, "iommu@%p\n", (const void *)unit);
		if (unit_state(unit) != IOMMU_UNIT_REFUSED)
			unit->ops->report_queue(unit, &text);
	}
	text_end(&text);
}

void iommu_report_interrupts(struct iommu *iommu, iommu_sink *sink, void *arg)
{
	struct text text;

	text_start(&text, sink, arg);
	for (unsigned n = 0; n < iommu->units; n++) {
		text_add(&text, "iommu@%p\n", (const void *)iommu->unit[n]);
		iommu->unit[n]->ops->report_interrupts(iommu->unit[n], &text);
	}
	text_end(&text);
}

/* ---- a device's tables ---- */

static void walk_steps(const struct iommu_walk *walk, struct text *text)
{
	for (unsigned n = 0; n < walk->steps; n++) {
		unsigned level = walk->step[n].level;

		if (level == 7)
			text_add(text, " root");
		else if (level == 6)
			text_add(text, " context");
		else
			text_add(text, " level %u", level);
		text_add(text, " at 0x%jx:", (uintmax_t)walk->step[n].at.v);
		if (level >= 6)
			text_add(
				text, " %016jx", (uintmax_t)walk->step[n].high);
		text_add(text, " %016jx\n", (uintmax_t)walk->step[n].low);
	}
}

static const char *const rights_text[] = {
	[0] = "none",
	[IOMMU_READ] = "r",
	[IOMMU_WRITE] = "w",
	[IOMMU_READ | IOMMU_WRITE] = "rw",
};

enum iommu_status iommu_report_walk(struct iommu *iommu,
	struct iommu_device_id id, iommu_iova_t iova, iommu_sink *sink,
	void *arg)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);
	struct iommu_walk walk;
	struct text text;

	if (status != IOMMU_OK)
		return status;
	core_walk(dev->unit, id.requester, iova, &walk);
	text_start(&text, sink, arg);
	walk_steps(&walk, &text);
	if (walk.mapped)
		text_add(&text, " page 0x%jx, %ju bytes, %s\n",
			(uintmax_t)walk.phys.v, (uintmax_t)walk.page_size,
			rights_text[walk.rights]);
	else
		text_add(&text, " not mapped\n");
	text_end(&text);
	return IOMMU_OK;
}

/** One stretch of addresses that maps without a break. */
struct stretch {
	uint64_t first, phys, size;
	unsigned rights;
};

/** False: there is nothing in it. */
static bool print_stretch(const struct stretch *s, struct text *text)
{
	if (!s->size)
		return false;
	text_add(text, " 0x%016jx-0x%016jx -> 0x%jx %s\n", (uintmax_t)s->first,
		(uintmax_t)(s->first + s->size - 1), (uintmax_t)s->phys,
		rights_text[s->rights]);
	return true;
}

/** Bytes to skip after a walk that ended in an absent entry. */
static uint64_t absent_size(const struct iommu_walk *walk)
{
	unsigned level = walk->steps ? walk->step[walk->steps - 1].level : 5;

	return 1ull << (12 + 9 * (level - 1));
}

static void print_tables(const struct iommu *iommu, const struct entry *entry,
	unsigned max_ranges, struct iommu_walk *walk, struct text *text)
{
	uint64_t end = 1ull << (12 + 9 * entry->levels);
	struct stretch now = {0};
	uint64_t at = 0;

	while (at < end && max_ranges) {
		uint64_t step;

		*walk = (struct iommu_walk){0};
		core_walk_tables(iommu, entry->root, entry->levels,
			iommu_iova(at), walk);
		step = walk->mapped ? walk->page_size : absent_size(walk);
		if (now.size && walk->mapped && walk->rights == now.rights &&
			walk->phys.v == now.phys + now.size) {
			now.size += step;
		} else {
			max_ranges -= print_stretch(&now, text);
			now = (struct stretch){at, walk->phys.v,
				walk->mapped ? step : 0, walk->rights};
		}
		at = (at & ~(step - 1)) + step;
	}
	if (!max_ranges)
		text_add(text, " ...\n");
	else
		print_stretch(&now, text);
}

enum iommu_status iommu_report_tables(struct iommu *iommu,
	struct iommu_device_id id, unsigned max_ranges, iommu_sink *sink,
	void *arg)
{
	struct device *dev;
	enum iommu_status status = core_device(iommu, id, &dev);
	struct iommu_walk walk;
	struct entry entry;
	struct text text;
	bool present;

	if (status != IOMMU_OK)
		return status;
	present =
		dev->unit->ops->inspect(dev->unit, id.requester, &entry, &walk);
	text_start(&text, sink, arg);
	walk_steps(&walk, &text);
	if (!present) {
		text_add(&text, " blocked\n");
	} else if (entry.kind == IOMMU_DOMAIN_IDENTITY) {
		text_add(&text, " identity, domain id %u\n", entry.did);
	} else {
		text_add(&text, " tables at 0x%jx, %u levels, domain id %u\n",
			(uintmax_t)entry.root.v, entry.levels, entry.did);
		print_tables(iommu, &entry, max_ranges, &walk, &text);
	}
	text_end(&text);
	return IOMMU_OK;
}
