/* SPDX-License-Identifier: MIT */
/*
 * Interrupt requests and the remapping table (VT-d 5.1, 9.9).
 */
#include <string.h>
#include "internal.h"

static void fault(struct unit *u, uint16_t sid, unsigned index, unsigned reason)
{
	u->m->n.interrupts_blocked++;
	fault_record(u, sid, (uint64_t)index << 48, false, 0, reason);
}

static bool pass_unremapped(
	struct unit *u, uint16_t sid, uint64_t address, uint32_t data)
{
	struct model_interrupt irq = {.unit = u->index,
		.source = sid,
		.address = address,
		.data = data,
		.vector = (uint8_t)data,
		.delivery = (uint8_t)bits(data, 10, 8),
		.destination = (uint32_t)bits(address, 19, 12),
		.logical = address & BIT(2),
		.level = data & BIT(15)};

	deliver(u->m, &irq);
	return true;
}

static bool source_matches(uint64_t hi, uint16_t sid)
{
	static const uint16_t ignore[] = {0, 4, 6, 7};
	uint16_t want = (uint16_t)hi;

	switch (bits(hi, 19, 18)) {
	case 0:
		return true;
	case 1:
		return !((want ^ sid) & (uint16_t)~ignore[bits(hi, 17, 16)]);
	default: /* 2; an entry with 3 is not taken */
		return sid >> 8 >= want >> 8 && sid >> 8 <= (want & 255);
	}
}

static unsigned irte_check(struct unit *u, uint64_t lo, uint64_t hi)
{
	uint64_t reserved = MASK(15, 12) | MASK(31, 24);
	unsigned dlm = (unsigned)bits(lo, 7, 5);

	if (!(lo & ENTRY_P))
		return F_IR_NP;
	if (!u->eime)
		reserved |= MASK(63, 48) | MASK(39, 32);
	if ((lo & reserved) || (hi & MASK(63, 20)) || bits(hi, 19, 18) == 3 ||
		dlm == 3 || dlm == 6) {
		blame(u->m, u, MODEL_V_RESERVED, "9.9",
			"reserved bits in interrupt entry %#llx %#llx",
			(unsigned long long)hi, (unsigned long long)lo);
		return F_IRTE_RSVD;
	}
	if (!bits(hi, 19, 18))
		blame(u->m, u, MODEL_V_INTERRUPT, "5.1.3",
			"an interrupt entry accepts any source (vector %u)",
			(unsigned)bits(lo, 23, 16));
	return 0;
}

static void irte_entry(struct unit *u, unsigned index, struct cirte *out)
{
	struct cirte *c = &u->cirte[index];
	struct page *p;
	uint64_t e[2];

	if (c->valid) {
		u->m->n.cache_hits++;
		*out = *c;
		return;
	}
	memset(out, 0, sizeof *out);
	out->pa = u->irt + index * 16ull;
	p = page_of(u->m, out->pa);
	if (p && !p->owner)
		blame(u->m, u, MODEL_V_WALK, "5.1.2",
			"interrupt entry %u is read from a page nobody has",
			index);
	if (!view_read128(u, out->pa, e)) {
		out->fault = F_IR_ACCESS;
		return;
	}
	table_page(u, out->pa & PAGE_BASE, &(struct page){.role = ROLE_IRT});
	out->lo = e[0];
	out->hi = e[1];
	out->fault = (uint8_t)irte_check(u, e[0], e[1]);
	if (u->m->mode == MODEL_BENIGN ||
		(out->fault && !(u->r[R_CAP] & CAP_CM)))
		return;
	*c = *out;
	c->valid = true;
	u->cirte_live++;
	if (u->cirte_end <= index)
		u->cirte_end = index + 1;
}

/* What an entry lets through is one requester's; a second one could raise the
 * first one's interrupts (VT-d 5.1.3). */
static void one_user(struct unit *u, uint16_t sid, unsigned index)
{
	struct cirte *c = &u->cirte[index];

	if (!c->valid)
		return;
	if (c->used && c->sid != sid)
		blame(u->m, u, MODEL_V_INTERRUPT, "5.1.3",
			"interrupt entry %u serves %04x and %04x", index,
			c->sid, sid);
	c->used = true;
	c->sid = sid;
}

static bool remapped(struct unit *u, uint16_t sid, uint64_t address,
	uint32_t data, const struct cirte *e, unsigned index)
{
	struct model_interrupt irq = {.unit = u->index,
		.source = sid,
		.address = address,
		.data = data,
		.remapped = true,
		.vector = (uint8_t)bits(e->lo, 23, 16),
		.delivery = (uint8_t)bits(e->lo, 7, 5),
		.level = e->lo & BIT(4),
		.logical = e->lo & BIT(2)};

	irq.destination =
		(uint32_t)(u->eime ? e->lo >> 32 : bits(e->lo, 47, 40));
	if (!source_matches(e->hi, sid)) {
		if (!(e->lo & ENTRY_FPD))
			fault(u, sid, index, F_IR_SID);
		else
			u->m->n.interrupts_blocked++;
		return false;
	}
	one_user(u, sid, index);
	deliver(u->m, &irq);
	return true;
}

bool interrupt_request(
	struct unit *u, uint16_t sid, uint64_t address, uint32_t data)
{
	unsigned handle, index;
	struct cirte e;

	if (!(u->r[R_GSTS] & G_IRE)) {
		if (u->r[R_ECAP] & ECAP_IRREQ) {
			fault(u, sid, 0, F_IR_NEEDED);
			return false;
		}
		return pass_unremapped(u, sid, address, data);
	}
	if (u->r[R_ECAP] & ECAP_EIMER && !u->eime) {
		fault(u, sid, 0, F_IR_NOT_EIM);
		return false;
	}
	if (!(address & BIT(4))) {
		if (!(u->quirks & MODEL_QUIRK_CFI_IGNORED) &&
			(u->eime || !(u->r[R_GSTS] & G_CFI))) {
			fault(u, sid, 0, F_IR_COMPAT);
			return false;
		}
		return pass_unremapped(u, sid, address, data);
	}
	handle = (unsigned)(bits(address, 19, 5) | bits(address, 2, 2) << 15);
	index = handle;
	if (address & BIT(3)) {
		if (data >> 16) {
			fault(u, sid, handle, F_IR_RSVD);
			return false;
		}
		index += data & 0xffff;
	}
	if (index >= u->irt_entries) {
		fault(u, sid, index, F_IR_INDEX);
		return false;
	}
	irte_entry(u, index, &e);
	if (e.fault) {
		bool qualified = e.fault != F_IR_ACCESS;

		if (!(qualified && (e.lo & ENTRY_FPD)))
			fault(u, sid, index, e.fault);
		else
			u->m->n.interrupts_blocked++;
		return false;
	}
	return remapped(u, sid, address, data, &e, index);
}

bool model_msi(struct model *m, uint16_t segment, uint16_t source,
	uint64_t address, uint32_t data)
{
	uint16_t sid = requester_of(m, segment, source);
	struct unit *u = unit_for(m, segment, source);
	bool ok = false;

	enter(m);
	m->last_fault = 0;
	for (unsigned i = 0; !u && i < m->ioapics; i++)
		if (m->ioapic[i].bdf == source && m->ioapic[i].unit >= 0)
			u = &m->unit[m->ioapic[i].unit];
	if (in_window(address) && u)
		ok = interrupt_request(u, sid, address, data);
	leave(m);
	return ok;
}
