/* SPDX-License-Identifier: MIT */
/*
 * The careful driver: a unit's commands, its start and end, its faults.
 */
#include "unit.h"

/* The bits of GSTS that may be written to GCMD again: a one-shot bit reads as
 * set when its command is done, and would start it once more (VT-d 11.4.4). */
#define LEVEL_BITS 0x96ffffffu

#define EPM (1u << 31)
#define PRS (1u << 0)
#define MASKED (1u << 31)
#define FAULT (1u << 31)

/* Waits until the bits read as wanted. */
bool await(
	struct careful_unit *u, uint32_t offset, uint32_t bits, uint32_t wanted)
{
	uint64_t end = os_now() + SECOND;

	while ((get32(u, offset) & bits) != wanted) {
		if (os_now() > end) {
			u->dead = true;
			return false;
		}
	}
	return true;
}

/* One command of GCMD; WBF is done when its status is 0, all others when it is
 * as written. */
bool command(struct careful_unit *u, uint32_t bit, bool on)
{
	uint32_t v = get32(u, GSTS) & LEVEL_BITS & ~bit;

	set32(u, GCMD, on ? v | bit : v);
	return await(u, GSTS, bit, on && bit != WBF ? bit : 0);
}

/* Stores are to be in memory, not in a cache line that the unit cannot see. */
void write_back(struct careful_unit *u, uint64_t phys, size_t len)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ECAP_C(u))
		os_write_back(phys, len);
}

uint64_t table_new(struct careful_unit *u)
{
	uint64_t phys = os_page();

	if (phys)
		write_back(u, phys, 4096);
	return phys;
}

static void mask_events(struct careful_unit *u)
{
	set32(u, FECTL, get32(u, FECTL) | MASKED);
	if (ECAP_QI(u))
		set32(u, IECTL, get32(u, IECTL) | MASKED);
}

static void unmask_events(struct careful_unit *u)
{
	if (!u->event_address)
		return;
	set32(u, FEDATA, u->event_data);
	set32(u, FEADDR, (uint32_t)u->event_address);
	set32(u, FEUADDR, (uint32_t)(u->event_address >> 32));
	set32(u, FECTL, get32(u, FECTL) & ~MASKED);
}

/* ---- faults ---- */

static bool take_fault(
	struct careful_unit *u, unsigned record, struct careful_fault *out)
{
	uint32_t at = u->records + record * 16;
	uint32_t top = get32(u, at + 12);

	if (!(top & FAULT))
		return false;
	out->address = get64(u, at) & ~0xfffull;
	out->source = (uint16_t)get32(u, at + 8);
	out->reason = (uint8_t)top;
	out->read = top >> 30 & 1;
	set32(u, at + 12, FAULT);
	return true;
}

static unsigned take_faults(
	struct careful_unit *u, struct careful_fault *out, unsigned max)
{
	unsigned count = (unsigned)(u->cap >> 40 & 0xff) + 1;
	uint32_t status = get32(u, FSTS);
	unsigned record = status >> 8 & 0xff, n = 0;

	while (status & PPF && n < max && take_fault(u, record, &out[n])) {
		record = (record + 1) % count;
		n++;
	}
	if (n < max && status & PFO)
		set32(u, FSTS, PFO);
	return n;
}

unsigned careful_faults(
	struct careful_unit *u, struct careful_fault *out, unsigned max)
{
	unsigned n;

	os_lock();
	n = take_faults(u, out, max);
	os_unlock();
	return n;
}

/* What an earlier owner did not read is of no use to anybody. */
static void drop_faults(struct careful_unit *u)
{
	struct careful_fault ignored[256];

	take_faults(u, ignored, 256);
	set32(u, FSTS, get32(u, FSTS) & (PFO | IQE | ICE | ITE));
}

/* ---- on and off ---- */

static void flush_everything(struct careful_unit *u)
{
	flush_contexts(u, ALL, 0, 0);
	flush_iotlb(u, ALL, 0);
}

static bool set_root(struct careful_unit *u)
{
	if (u->buffers && !command(u, WBF, true))
		return false;
	set64(u, RTADDR, u->root);
	if (!command(u, SRTP, true))
		return false;
	flush_everything(u);
	return flush_wait(u) == 0;
}

/* 256 entries; messages in the old format are refused (VT-d 5.1.4). */
static bool remap_interrupts(struct careful_unit *u)
{
	set64(u, IRTA, u->entries | (uint64_t)ECAP_EIMER(u) << 11 | 7);
	if (!command(u, SIRTP, true))
		return false;
	flush_irqs(u, -1);
	if (flush_wait(u))
		return false;
	if (get32(u, GSTS) & CFI && !command(u, CFI, false))
		return false;
	return command(u, IRE, true);
}

/* Once the tables protect all memory, the registers need not (VT-d 11.4.8). */
static bool protection_off(struct careful_unit *u)
{
	uint32_t v;

	if (!CAP_PMR(u))
		return true;
	v = get32(u, PMEN);
	if (!(v & EPM))
		return true;
	set32(u, PMEN, v & ~EPM);
	return await(u, PMEN, PRS, 0);
}

static bool power(struct careful_unit *u)
{
	if (u->queued && !queue_start(u))
		return false;
	if (u->root && !set_root(u))
		return false;
	if (u->remaps && !remap_interrupts(u))
		return false;
	unmask_events(u);
	if (u->root && !command(u, TE, true))
		return false;
	return protection_off(u);
}

/* In the order in which things depend on each other; whatever is off stays. */
static bool rest(struct careful_unit *u)
{
	mask_events(u);
	if (get32(u, GSTS) & TE && !command(u, TE, false))
		return false;
	if (get32(u, GSTS) & IRE && !command(u, IRE, false))
		return false;
	return !(get32(u, GSTS) & QIE) || queue_stop(u);
}

static void give_back(struct careful_unit *u)
{
	uint64_t *root = u->root ? os_memory(u->root) : NULL;

	for (unsigned bus = 0; root && bus < 256; bus++) {
		if (root[bus * 2] & PRESENT)
			os_page_free(root[bus * 2] & ADDRESS);
	}
	if (u->root)
		os_page_free(u->root);
	if (u->entries)
		os_page_free(u->entries);
	if (u->queue)
		os_page_free(u->queue);
	if (u->status)
		os_page_free(u->status);
	u->root = u->entries = u->queue = u->status = 0;
}

static bool find_out(struct careful_unit *u)
{
	unsigned widths;

	u->cap = get64(u, CAP);
	u->ecap = get64(u, ECAP);
	if (u->cap == UINT64_MAX || !u->cap)
		return false;
	u->buffers |= u->cap >> 4 & 1;
	widths = (unsigned)(u->cap >> 8) & 0x1f;
	for (u->levels = 3; u->levels <= 5; u->levels++) {
		if (widths >> (u->levels - 2) & 1)
			break;
	}
	u->iotlb = (uint32_t)(u->ecap >> 8 & 0x3ff) * 16;
	u->records = (uint32_t)(u->cap >> 24 & 0x3ff) * 16;
	return true;
}

static bool take_tables(struct careful_unit *u)
{
	if (u->levels <= 5 && !(u->root = table_new(u)))
		return false;
	if (u->queued && (!(u->queue = os_page()) || !(u->status = os_page())))
		return false;
	return !u->remaps || (u->entries = table_new(u));
}

int careful_start(struct careful_unit *u, uint64_t regs, bool queue)
{
	bool ok;

	os_lock();
	u->regs = regs;
	u->dead = false;
	u->ids = 1; /* CAP.CM keeps failures under domain 0 (VT-d 6.1) */
	u->devices = NULL;
	u->cachers = 0;
	u->root = u->entries = u->queue = u->status = 0;
	ok = find_out(u);
	u->queued = ok && queue && ECAP_QI(u);
	u->remaps = u->queued && ECAP_IR(u);
	ok = ok && rest(u);
	if (ok)
		drop_faults(u);
	ok = ok && take_tables(u) && power(u);
	if (!ok && !u->dead)
		give_back(u);
	os_unlock();
	return ok ? 0 : -1;
}

int careful_on(struct careful_unit *u)
{
	bool ok;

	os_lock();
	ok = power(u);
	for (struct careful_device *d = u->devices; d; d = d->next) {
		if (d->caches)
			ats_switch(d, true);
	}
	os_unlock();
	return ok ? 0 : -1;
}

int careful_off(struct careful_unit *u)
{
	bool ok;

	os_lock();
	for (struct careful_device *d = u->devices; d; d = d->next) {
		if (d->caches) {
			flush_device(u, d->bdf, 0, UINT64_MAX);
			flush_wait(u);
			ats_switch(d, false);
		}
	}
	if (u->remaps) {
		flush_irqs(u, -1);
		flush_wait(u);
	}
	ok = rest(u);
	os_unlock();
	return ok ? 0 : -1;
}

void careful_stop(struct careful_unit *u)
{
	os_lock();
	if (rest(u))
		give_back(u);
	os_unlock();
}
