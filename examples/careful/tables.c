/* SPDX-License-Identifier: MIT */
/*
 * The careful driver: context entries and second-stage tables.
 *
 * An entry that becomes present is stored last word first, written back, and
 * made known (made_present()). One that ceases to be is stored, written back,
 * flushed with everything that was found through it, and only then is what it
 * named used for anything else. Tables of a domain stay until it ends.
 */
#include "unit.h"

#define RIGHTS 3ull
#define ATS_CAPABILITY 0x0f
#define MOST_CACHERS 64u /* flushes for all fit into the queue, twice */
#define ATS_ENABLE (1u << 31)

static uint64_t *entry(uint64_t table, unsigned index)
{
	return (uint64_t *)os_memory(table) + index;
}

static void store(
	struct careful_unit *u, uint64_t table, unsigned index, uint64_t value)
{
	__atomic_store_n(entry(table, index), value, __ATOMIC_RELEASE);
	write_back(u, table + index * 8, 8);
}

/* A unit that buffers its writes is told; one that remembers failures is
 * flushed by the caller, which does both (VT-d 6.8). */
static int made_present(struct careful_unit *u)
{
	if (u->buffers && !CAP_CM(u) && !command(u, WBF, true))
		return -1;
	return 0;
}

/* ---- device TLBs ---- */

static unsigned ats_place(uint16_t bdf)
{
	unsigned at = 0x100;

	for (unsigned n = 0; at >= 0x100 && n < 960; n++) {
		uint32_t head = os_config_read(bdf, at);

		if (!head || head == UINT32_MAX)
			return 0;
		if ((head & 0xffff) == ATS_CAPABILITY)
			return at;
		at = head >> 20;
	}
	return 0;
}

void ats_switch(struct careful_device *dev, bool on)
{
	unsigned at = ats_place(dev->bdf) + 4;
	uint32_t v = os_config_read(dev->bdf, at) & ~ATS_ENABLE;

	os_config_write(dev->bdf, at, on ? v | ATS_ENABLE : v);
}

/* ---- context entries ---- */

static int context_table(
	struct careful_unit *u, uint16_t bdf, uint64_t *out_table)
{
	unsigned index = (unsigned)(bdf >> 8) * 2;
	uint64_t table = *entry(u->root, index);

	if (!(table & PRESENT)) {
		table = table_new(u);
		if (!table)
			return -1;
		store(u, u->root, index, table | PRESENT);
		if (CAP_CM(u)) {
			flush_contexts(u, ALL, 0, 0);
			flush_iotlb(u, ALL, 0);
		}
		if (made_present(u))
			return -1;
	}
	*out_table = table & ADDRESS;
	return 0;
}

static int attach(struct careful_domain *d, struct careful_device *dev)
{
	struct careful_unit *u = d->unit;
	unsigned index = (dev->bdf & 255u) * 2;
	uint64_t table;

	if (u->dead || context_table(u, dev->bdf, &table))
		return -1;
	if (*entry(table, index) & PRESENT)
		return -1;
	dev->caches = u->queued && ECAP_DT(u) && u->cachers < MOST_CACHERS &&
		ats_place(dev->bdf);
	store(u, table, index + 1, (uint64_t)d->id << 8 | (u->levels - 2));
	store(u, table, index, d->table | (dev->caches ? 4 : 0) | PRESENT);
	if (CAP_CM(u)) {
		flush_contexts(u, DEVICE, 0, dev->bdf);
		flush_iotlb(u, DOMAIN, d->id);
	}
	if (made_present(u) || flush_wait(u))
		return -1;
	dev->domain = d;
	dev->next = u->devices;
	u->devices = dev;
	u->cachers += dev->caches;
	if (dev->caches)
		ats_switch(dev, true);
	return 0;
}

/* The order is that of what was found through what (VT-d 6.5.3.3); the id of
 * the flushes is the one that the entry had. */
static int detach(struct careful_device *dev)
{
	struct careful_domain *d = dev->domain;
	struct careful_unit *u = d->unit;
	struct careful_device **link = &u->devices;
	uint64_t table;

	if (context_table(u, dev->bdf, &table))
		return -1;
	store(u, table, (dev->bdf & 255u) * 2, 0);
	flush_contexts(u, DEVICE, d->id, dev->bdf);
	flush_iotlb(u, DOMAIN, d->id);
	if (dev->caches)
		flush_device(u, dev->bdf, 0, UINT64_MAX);
	while (*link != dev)
		link = &(*link)->next;
	*link = dev->next;
	u->cachers -= dev->caches;
	dev->domain = NULL;
	if (flush_wait(u))
		return -1;
	if (dev->caches)
		ats_switch(dev, false);
	return 0;
}

int careful_attach(struct careful_domain *d, struct careful_device *dev)
{
	int result;

	os_lock();
	result = attach(d, dev);
	os_unlock();
	return result;
}

int careful_detach(struct careful_device *dev)
{
	int result;

	os_lock();
	result = detach(dev);
	os_unlock();
	return result;
}

/* ---- domains ---- */

int careful_domain(struct careful_unit *u, struct careful_domain *out)
{
	unsigned id = 1, count = 16u << 2 * (u->cap & 7);
	int result = -1;

	os_lock();
	while (id < count && id < 64 && u->ids >> id & 1)
		id++;
	if (u->root && id < count && id < 64) {
		out->unit = u;
		out->id = (uint16_t)id;
		out->table = table_new(u);
		result = out->table ? 0 : -1;
	}
	if (!result)
		u->ids |= 1ull << id;
	os_unlock();
	return result;
}

static void tables_end(uint64_t table, unsigned level)
{
	for (unsigned i = 0; level > 1 && i < 512; i++) {
		if (*entry(table, i) & RIGHTS)
			tables_end(*entry(table, i) & ADDRESS, level - 1);
	}
	os_page_free(table);
}

void careful_domain_end(struct careful_domain *d)
{
	os_lock();
	tables_end(d->table, d->unit->levels);
	d->unit->ids &= ~(1ull << d->id);
	os_unlock();
}

/* The last table on the way to an address, 0 if there is none. */
static uint64_t last_table(struct careful_domain *d, uint64_t iova, bool make)
{
	uint64_t table = d->table;

	for (unsigned level = d->unit->levels; level > 1; level--) {
		unsigned index = iova >> (level * 9 + 3) & 511;
		uint64_t next = *entry(table, index);

		if (!(next & RIGHTS)) {
			next = make ? table_new(d->unit) : 0;
			if (!next)
				return 0;
			next |= RIGHTS;
			store(d->unit, table, index, next);
		}
		table = next & ADDRESS;
	}
	return table;
}

/* Messages are sent there, on both sides of the unit (VT-d 3.14). */
static bool in_window(uint64_t first, unsigned count)
{
	return first < 0xfef00000 && first + count * 4096ull > 0xfee00000;
}

static bool in_reach(struct careful_domain *d, uint64_t iova, unsigned count)
{
	unsigned bits = d->unit->levels * 9 + 12;
	unsigned most = (unsigned)(d->unit->cap >> 16 & 63) + 1;
	uint64_t end = 1ull << (bits < most ? bits : most);

	return !(iova & 4095) && iova < end && count <= (end - iova) >> 12 &&
		!in_window(iova, count);
}

/* After pages or rights were taken away, in all devices that may know them. */
static int flush_pages(struct careful_domain *d, uint64_t iova, unsigned count)
{
	struct careful_device *dev;

	flush_iotlb(d->unit, DOMAIN, d->id);
	for (dev = d->unit->devices; dev; dev = dev->next) {
		if (dev->domain == d && dev->caches)
			flush_device(d->unit, dev->bdf, iova,
				iova + count * 4096ull - 1);
	}
	return flush_wait(d->unit);
}

static int change(struct careful_domain *d, uint64_t iova, unsigned count,
	uint64_t keep, uint64_t rights)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t page = iova + i * 4096ull;
		uint64_t table = last_table(d, page, false);
		unsigned index = page >> 12 & 511;

		if (!table || !(*entry(table, index) & RIGHTS))
			return -1;
		store(d->unit, table, index,
			(*entry(table, index) & keep) | rights);
	}
	return flush_pages(d, iova, count);
}

static bool map_page(
	struct careful_domain *d, uint64_t iova, uint64_t phys, unsigned rights)
{
	uint64_t table = last_table(d, iova, true);
	unsigned index = iova >> 12 & 511;

	if (!table || *entry(table, index) & RIGHTS)
		return false;
	store(d->unit, table, index, phys | (rights & RIGHTS));
	return true;
}

static int map(struct careful_domain *d, uint64_t iova, uint64_t phys,
	unsigned count, unsigned rights)
{
	unsigned n = 0;

	while (n < count &&
		map_page(d, iova + n * 4096ull, phys + n * 4096ull, rights))
		n++;
	if (CAP_CM(d->unit))
		flush_iotlb(d->unit, DOMAIN, d->id);
	if (made_present(d->unit) || flush_wait(d->unit))
		return -1;
	if (n == count)
		return 0;
	change(d, iova, n, 0, 0);
	return -1;
}

int careful_map(struct careful_domain *d, uint64_t iova, uint64_t phys,
	unsigned count, unsigned rights)
{
	int result = -1;

	os_lock();
	if (!d->unit->dead && in_reach(d, iova, count) &&
		!in_window(phys, count))
		result = map(d, iova, phys, count, rights);
	os_unlock();
	return result;
}

int careful_protect(struct careful_domain *d, uint64_t iova, unsigned count,
	unsigned rights)
{
	int result = -1;

	os_lock();
	if (in_reach(d, iova, count) && rights & RIGHTS)
		result = change(d, iova, count, ~RIGHTS, rights & RIGHTS);
	os_unlock();
	return result;
}

int careful_unmap(struct careful_domain *d, uint64_t iova, unsigned count)
{
	int result = -1;

	os_lock();
	if (in_reach(d, iova, count))
		result = change(d, iova, count, 0, 0);
	os_unlock();
	return result;
}
