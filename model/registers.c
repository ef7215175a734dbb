/* SPDX-License-Identifier: MIT */
/*
 * The register interface: which bits exist, which widths are legal, and what
 * a write sets off (VT-d 11.2 to 11.4).
 */
#include <string.h>
#include "internal.h"

struct def {
	uint16_t offset; /* 0 with R_IVA, R_IOTLB: see IRO */
	uint8_t width;
	uint64_t rw;    /* bits software writes */
	uint64_t w1c;   /* bits software clears by writing 1 */
	uint64_t rsvdp; /* must be written back as read */
	const char *name;
};

#define RO 0, 0, 0
#define LOW32 MASK(31, 0)

static const struct def defs[R_COUNT] = {
	[R_VER] = {VER, 4, RO, "VER"},
	[R_CAP] = {CAP, 8, RO, "CAP"},
	[R_ECAP] = {ECAP, 8, RO, "ECAP"},
	[R_GCMD] = {GCMD, 4, MASK(31, 23), 0, 0, "GCMD"},
	[R_GSTS] = {GSTS, 4, RO, "GSTS"},
	[R_RTADDR] = {RTADDR, 8, MASK(63, 10), 0, 0, "RTADDR"},
	[R_CCMD] = {CCMD, 8, MASK(63, 61) | MASK(33, 0), 0, 0, "CCMD"},
	[R_FSTS] = {FSTS, 4, 0, FSTS_ITE | FSTS_ICE | FSTS_IQE | FSTS_PFO, 0,
		"FSTS"},
	[R_FECTL] = {FECTL, 4, CTL_IM, 0, MASK(29, 0), "FECTL"},
	[R_FEDATA] = {FEDATA, 4, LOW32, 0, 0, "FEDATA"},
	[R_FEADDR] = {FEADDR, 4, MASK(31, 2), 0, 0, "FEADDR"},
	[R_FEUADDR] = {FEUADDR, 4, LOW32, 0, 0, "FEUADDR"},
	[R_PMEN] = {PMEN, 4, PMEN_EPM, 0, MASK(30, 1), "PMEN"},
	[R_PLMBASE] = {PLMBASE, 4, MASK(31, 21), 0, 0, "PLMBASE"},
	[R_PLMLIMIT] = {PLMLIMIT, 4, MASK(31, 21), 0, 0, "PLMLIMIT"},
	[R_PHMBASE] = {PHMBASE, 8, MASK(63, 21), 0, 0, "PHMBASE"},
	[R_PHMLIMIT] = {PHMLIMIT, 8, MASK(63, 21), 0, 0, "PHMLIMIT"},
	[R_IQH] = {IQH, 8, RO, "IQH"},
	[R_IQT] = {IQT, 8, MASK(18, 4), 0, 0, "IQT"},
	[R_IQA] = {IQA, 8, MASK(63, 11) | MASK(2, 0), 0, 0, "IQA"},
	[R_ICS] = {ICS, 4, 0, ICS_IWC, 0, "ICS"},
	[R_IECTL] = {IECTL, 4, CTL_IM, 0, MASK(29, 0), "IECTL"},
	[R_IEDATA] = {IEDATA, 4, LOW32, 0, 0, "IEDATA"},
	[R_IEADDR] = {IEADDR, 4, MASK(31, 2), 0, 0, "IEADDR"},
	[R_IEUADDR] = {IEUADDR, 4, LOW32, 0, 0, "IEUADDR"},
	[R_IQERCD] = {IQERCD, 8, RO, "IQERCD"},
	[R_IRTA] = {IRTA, 8, MASK(63, 11) | MASK(3, 0), 0, 0, "IRTA"},
	[R_IVA] = {0, 8, MASK(63, 12) | MASK(6, 0), 0, 0, "IVA"},
	[R_IOTLB] = {0, 8, MASK(63, 63) | MASK(61, 60) | MASK(49, 32), 0, LOW32,
		"IOTLB"},
};

static bool exists(const struct unit *u, enum reg r)
{
	uint64_t cap = u->r[R_CAP], ecap = u->r[R_ECAP];

	switch (r) {
	case R_IQH:
	case R_IQT:
	case R_IQA:
	case R_ICS:
	case R_IECTL:
	case R_IEDATA:
	case R_IEADDR:
	case R_IEUADDR:
	case R_IQERCD:
		return ecap & ECAP_QI;
	case R_IRTA:
		return ecap & ECAP_IR;
	case R_PLMBASE:
	case R_PLMLIMIT:
		return cap & CAP_PLMR;
	case R_PHMBASE:
	case R_PHMLIMIT:
		return cap & CAP_PHMR;
	case R_PMEN:
		return cap & (CAP_PLMR | CAP_PHMR);
	default:
		return true;
	}
}

void unit_registers_reset(struct unit *u)
{
	uint64_t version = u->r[R_VER], cap = u->r[R_CAP], ecap = u->r[R_ECAP];

	memset(u->r, 0, sizeof u->r);
	memset(u->frcd, 0, sizeof u->frcd);
	u->r[R_VER] = version;
	u->r[R_CAP] = cap;
	u->r[R_ECAP] = ecap;
	u->r[R_FECTL] = u->r[R_IECTL] = CTL_IM;
	if (u->m->mode != MODEL_BENIGN) {
		/* Bits to be preserved are not zero. */
		u->r[R_FECTL] |= 0x00050000;
		u->r[R_IECTL] |= 0x000a0000;
		u->r[R_PMEN] |= 0x00300000;
		u->r[R_IOTLB] |= 0x00005a5a;
	}
	u->fsts_seen = u->next_frcd = 0;
	u->gcmd_due = u->cc_due = u->iotlb_due = u->pmen_due = 0;
	u->root_set = u->irt_set = u->eime = false;
	u->root = u->irt = u->ttm = 0;
	queue_reset(u);
}

/* The register at an offset; *shift is 32 for the upper half of a wide one. */
static int find(const struct unit *u, uint64_t off, unsigned *shift)
{
	uint64_t iro = ECAP_IRO(u->r[R_ECAP]);

	*shift = 0;
	for (int r = 0; r < R_COUNT; r++) {
		uint64_t at = r == R_IVA ? iro
			: r == R_IOTLB   ? iro + 8
					 : defs[r].offset;

		if (!exists(u, (enum reg)r))
			continue;
		if (off == at)
			return r;
		if (defs[r].width == 8 && off == at + 4) {
			*shift = 32;
			return r;
		}
	}
	return -1;
}

static void wrong_access(struct unit *u, const char *what, uint64_t off)
{
	blame(u->m, u, MODEL_V_ACCESS, "11.2", "%s at offset %#llx", what,
		(unsigned long long)off);
}

static bool is_frcd(const struct unit *u, uint64_t off)
{
	uint64_t fro = CAP_FRO(u->r[R_CAP]);

	return off >= fro && off < fro + 16ull * CAP_NFR(u->r[R_CAP]);
}

/* Counts an access down to the moment the unit breaks. */
static bool answers(struct unit *u)
{
	if (u->gone_after >= 0 && u->gone_after-- == 0)
		u->gone = true;
	if (u->hang_after >= 0 && u->hang_after-- == 0)
		u->hung = true;
	return !u->gone;
}

static uint64_t read_one(struct unit *u, uint64_t off, bool wide)
{
	unsigned shift;
	int r;

	if (is_frcd(u, off))
		return frcd_read(
			u, (unsigned)(off - CAP_FRO(u->r[R_CAP])), wide);
	r = find(u, off, &shift);
	if (r < 0)
		return 0; /* reserved space reads as 0 */
	if (wide && (defs[r].width != 8 || shift)) {
		wrong_access(u, "8-byte read of 32-bit registers", off);
		return read_one(u, off, false) |
			read_one(u, off + 4, false) << 32;
	}
	if (r == R_GCMD) {
		wrong_access(u, "read of the write-only GCMD", off);
		return u->m->mode == MODEL_BENIGN ? 0 : 0xa5a5a5a5;
	}
	if (r == R_IVA)
		return 0;
	if (r == R_FSTS)
		u->fsts_seen |= u->r[R_FSTS];
	if (r == R_IQERCD && (u->quirks & MODEL_QUIRK_NO_IQERCD))
		return 0;
	return u->r[r] >> shift & (wide ? ~0ull : LOW32);
}

/* Bits that must be 0, or as read. */
static void check_bits(struct unit *u, int r, uint64_t value, uint64_t lanes)
{
	const struct def *d = &defs[r];
	uint64_t defined = d->rw | d->w1c | d->rsvdp;
	uint64_t ignored = 0;

	/* A read-modify-write may carry read-only fields along. */
	if (r == R_CCMD)
		ignored = MASK(60, 59);
	else if (r == R_IOTLB)
		ignored = MASK(58, 57);
	else if (r == R_FECTL || r == R_IECTL)
		ignored = CTL_IP;
	else if (r == R_PMEN)
		ignored = PMEN_PRS;
	else if (r == R_FSTS)
		ignored = MASK(15, 7) | FSTS_PPF; /* bit 7 was PRO once */
	if ((d->rw | d->w1c) && (value & lanes & ~(defined | ignored)))
		blame(u->m, u, MODEL_V_RESERVED, "11.2",
			"%s written with reserved bits %#llx", d->name,
			(unsigned long long)(value & lanes &
				~(defined | ignored)));
	if ((value ^ u->r[r]) & lanes & d->rsvdp)
		blame(u->m, u, MODEL_V_RESERVED, "11.2",
			"%s: bits to be preserved were changed from %#llx to "
			"%#llx",
			d->name,
			(unsigned long long)(u->r[r] & lanes & d->rsvdp),
			(unsigned long long)(value & lanes & d->rsvdp));
	if (!d->rw && !d->w1c)
		wrong_access(
			u, "write to a read-only register", defs[r].offset);
}

static void check_state(struct unit *u, int r)
{
	uint64_t gsts = u->r[R_GSTS];

	if (command_pending(u) &&
		(r == R_CCMD || r == R_IOTLB || r == R_IVA || r == R_PMEN))
		blame(u->m, u, MODEL_V_COMMAND, "11.4.4",
			"%s written while a command is in flight",
			defs[r].name);
	if (r == R_IQA && (gsts & G_QIE) && u->r[R_IQH] != u->r[R_IQT])
		blame(u->m, u, MODEL_V_QUEUE, "11.4.9.3",
			"IQA written while the queue is not empty");
	if ((r == R_CCMD || r == R_IOTLB || r == R_IVA) && (gsts & G_QIE))
		blame(u->m, u, MODEL_V_MIXED, "6.5.2",
			"%s used while queued invalidation is on",
			defs[r].name);
	if (r >= R_PLMBASE && r <= R_PHMLIMIT && (u->r[R_PMEN] & PMEN_PRS))
		blame(u->m, u, MODEL_V_COMMAND, "11.4.8",
			"%s written while protected regions are on",
			defs[r].name);
}

static void set_off(
	struct unit *u, int r, uint64_t value, unsigned shift, bool wide)
{
	bool top = wide || shift == 32;

	if (r == R_GCMD)
		command_global(u, (uint32_t)value);
	else if (r == R_CCMD && top && (u->r[R_CCMD] & CCMD_ICC))
		command_context(u);
	else if (r == R_IOTLB && top && (u->r[R_IOTLB] & IOTLB_IVT))
		command_iotlb(u);
	else if (r == R_PMEN)
		u->pmen_due = due_after(u);
	else if (r == R_IQT && !shift)
		queue_doorbell(u);
	else if (r == R_FECTL || r == R_IECTL)
		event_unmask(u, (enum reg)r);
}

static void store(struct unit *u, int r, uint64_t value, uint64_t lanes)
{
	uint64_t written = lanes & defs[r].rw;

	u->r[r] = (u->r[r] & ~written) | (value & written);
	u->r[r] &= ~(value & lanes & defs[r].w1c);
	if (!(u->r[R_ICS] & ICS_IWC))
		u->r[R_IECTL] &= ~CTL_IP;
}

static void write_one(struct unit *u, uint64_t off, bool wide, uint64_t value)
{
	unsigned shift;
	uint64_t lanes;
	int r;

	if (is_frcd(u, off)) {
		frcd_write(
			u, (unsigned)(off - CAP_FRO(u->r[R_CAP])), wide, value);
		return;
	}
	r = find(u, off, &shift);
	if (r < 0) {
		wrong_access(u, "write to a register that does not exist", off);
		return;
	}
	if (wide && (defs[r].width != 8 || shift)) {
		wrong_access(u, "8-byte write to 32-bit registers", off);
		write_one(u, off, false, value & LOW32);
		write_one(u, off + 4, false, value >> 32);
		return;
	}
	lanes = wide ? ~0ull : LOW32 << shift;
	value <<= shift;
	check_bits(u, r, value, lanes);
	check_state(u, r);
	if (r == R_FSTS)
		fault_write_fsts(u, (uint32_t)value);
	else
		store(u, r, value, lanes);
	set_off(u, r, value, shift, wide);
}

static struct unit *unit_at(struct model *m, uint64_t phys)
{
	struct unit *end = m->unit + m->units;

	for (struct unit *u = m->unit; u != end; u++)
		if (phys - u->base < u->size)
			return u;
	return NULL;
}

static uint64_t reg_read(struct model *m, uint64_t phys, bool wide)
{
	struct unit *u = unit_at(m, phys);
	uint64_t value = ~0ull;

	enter(m);
	m->n.reg_reads++;
	tick(m, poll_step(m, 200));
	if (u && answers(u)) {
		uint64_t off = phys - u->base;

		if (off & (wide ? 7 : 3))
			wrong_access(u, "unaligned read", off);
		else
			value = read_one(u, off, wide);
	}
	leave(m);
	return value;
}

static void reg_write(struct model *m, uint64_t phys, bool wide, uint64_t value)
{
	struct unit *u = unit_at(m, phys);

	enter(m);
	m->n.reg_writes++;
	m->idle_polls = 0;
	tick(m, 50);
	if (u && answers(u)) {
		uint64_t off = phys - u->base;

		if (off & (wide ? 7 : 3))
			wrong_access(u, "unaligned write", off);
		else
			write_one(u, off, wide, value);
		if (m->mode == MODEL_BENIGN)
			tick(m, 0);
	}
	leave(m);
}

uint32_t model_read32(struct model *m, uint64_t phys)
{
	return (uint32_t)reg_read(m, phys, false);
}

uint64_t model_read64(struct model *m, uint64_t phys)
{
	return reg_read(m, phys, true);
}

void model_write32(struct model *m, uint64_t phys, uint32_t value)
{
	reg_write(m, phys, false, value);
}

void model_write64(struct model *m, uint64_t phys, uint64_t value)
{
	reg_write(m, phys, true, value);
}
