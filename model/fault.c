/* SPDX-License-Identifier: MIT */
/*
 * Fault records, status and the unit's own event messages (VT-d 7.2, 7.3,
 * 11.4.7).
 */
#include "internal.h"

static const uint32_t conditions =
	FSTS_PPF | FSTS_PFO | FSTS_IQE | FSTS_ICE | FSTS_ITE;

bool fault_quiet(struct unit *u)
{
	return !(u->r[R_FSTS] & conditions);
}

void event_send(struct unit *u, enum reg ctl)
{
	struct model_interrupt irq = {.from_unit = true, .unit = u->index};

	if (u->r[ctl] & CTL_IM) {
		u->r[ctl] |= CTL_IP;
		return;
	}
	u->r[ctl] &= ~CTL_IP;
	/* Data, address and upper address follow the control register. */
	irq.data = (uint32_t)u->r[ctl + 1];
	irq.address = u->r[ctl + 2] | u->r[ctl + 3] << 32;
	irq.vector = (uint8_t)irq.data;
	irq.delivery = (uint8_t)bits(irq.data, 10, 8);
	irq.destination = (uint32_t)(bits(irq.address, 19, 12) |
		(u->r[ctl + 3] & ~0xffull));
	if (!in_window((uint32_t)irq.address)) {
		blame(u->m, u, MODEL_V_FAULT, "5.1.6",
			"the unit's interrupt goes to %#llx",
			(unsigned long long)irq.address);
		return;
	}
	deliver(u->m, &irq);
}

void event_unmask(struct unit *u, enum reg ctl)
{
	if (!(u->r[ctl] & CTL_IM) && (u->r[ctl] & CTL_IP))
		event_send(u, ctl);
}

/* A condition came up: one message if there was none before. */
void fault_event(struct unit *u, bool quiet_before)
{
	if (quiet_before)
		event_send(u, R_FECTL);
}

void fault_status(struct unit *u, uint32_t bit)
{
	bool quiet = fault_quiet(u);

	u->r[R_FSTS] |= bit & ~(uint32_t)FSTS_PPF;
	u->m->idle_polls = 0;
	fault_event(u, quiet);
}

static void update_ppf(struct unit *u)
{
	bool any = false;

	for (unsigned i = 0; i < CAP_NFR(u->r[R_CAP]); i++)
		any |= u->frcd[i][1] >> 63;
	if (!any)
		u->r[R_FSTS] &= ~FSTS_PPF;
	if (fault_quiet(u))
		u->r[R_FECTL] &= ~CTL_IP;
}

static bool collapses(struct unit *u, uint16_t sid)
{
	if (u->m->mode == MODEL_LAZY)
		return false;
	for (unsigned i = 0; i < CAP_NFR(u->r[R_CAP]); i++)
		if (u->frcd[i][1] >> 63 && (uint16_t)u->frcd[i][1] == sid)
			return true;
	return false;
}

void fault_record(struct unit *u, uint16_t sid, uint64_t info, bool read,
	unsigned at, unsigned reason)
{
	unsigned n = CAP_NFR(u->r[R_CAP]), i = u->next_frcd % n;
	bool quiet = fault_quiet(u);

	u->m->last_fault = reason;
	if (u->hung || u->gone)
		return;
	if ((u->r[R_FSTS] & FSTS_PFO)) {
		u->m->n.faults_lost++;
		return;
	}
	if (collapses(u, sid))
		return;
	if (u->frcd[i][1] >> 63) {
		u->r[R_FSTS] |= FSTS_PFO;
		u->m->n.faults_lost++;
		return;
	}
	u->frcd[i][0] = info;
	u->frcd[i][1] = BIT(63) | (read ? BIT(62) : 0) | (uint64_t)at << 60 |
		(uint64_t)reason << 32 | sid;
	u->m->n.faults++;
	u->next_frcd = (i + 1) % n;
	if (!(u->r[R_FSTS] & FSTS_PPF)) {
		u->r[R_FSTS] &= ~MASK(15, 8);
		u->r[R_FSTS] |= FSTS_PPF | (uint64_t)i << 8;
	}
	fault_event(u, quiet);
}

/* What is cleared was seen, unless messages are still off: then what an earlier
 * owner left may go unseen. Overflow is left out: of two CPUs that read it one
 * may clear it first, and records may wait that it is reading (VT-d 7.3). */
static void check_cleared(struct unit *u, uint32_t cleared)
{
	uint64_t unseen = cleared & ~u->fsts_seen & ~(uint64_t)FSTS_PFO;

	if (u->m->mode == MODEL_BENIGN || (u->r[R_FECTL] & CTL_IM))
		return;
	if (unseen)
		blame(u->m, u, MODEL_V_FAULT, "11.4.7.1",
			"conditions %#llx cleared that were never read",
			(unsigned long long)unseen);
}

void fault_write_fsts(struct unit *u, uint32_t value)
{
	uint32_t cleared = value & (uint32_t)u->r[R_FSTS] &
		(uint32_t)(FSTS_ITE | FSTS_ICE | FSTS_IQE | FSTS_PFO);

	check_cleared(u, cleared);
	u->r[R_FSTS] &= ~(uint64_t)cleared;
	u->fsts_seen &= u->r[R_FSTS];
	if (cleared & (FSTS_IQE | FSTS_ITE))
		queue_resume(u);
	if (fault_quiet(u))
		u->r[R_FECTL] &= ~CTL_IP;
}

/* ---- the records as registers ------------------------------------------- */

/* Records are 16 bytes, at an offset from the first one. */
static uint64_t *frcd_word(struct unit *u, unsigned off)
{
	return &u->frcd[off / 16][off / 8 & 1];
}

uint64_t frcd_read(struct unit *u, unsigned off, bool wide)
{
	uint64_t word = *frcd_word(u, off);

	if (wide)
		return word;
	return word >> (off & 4 ? 32 : 0) & 0xffffffff;
}

void frcd_write(struct unit *u, unsigned off, bool wide, uint64_t value)
{
	bool top = (off & 8) && (wide || (off & 4));
	uint64_t *word = frcd_word(u, off);

	if (off & 4)
		value <<= 32;
	if (!top || !(value & BIT(63))) {
		blame(u->m, u, MODEL_V_FAULT, "11.4.7.6",
			"fault record written without clearing it");
		return;
	}
	*word &= ~BIT(63);
	/* The other fields mean something only while F is set (VT-d 11.4.7.5):
	 * whoever reads them now gets the wrong device. */
	if (u->m->mode != MODEL_BENIGN) {
		word[-1] ^= PAGE_BASE;
		*word ^= 0xffff;
	}
	update_ppf(u);
}
