/* SPDX-License-Identifier: MIT */
/*
 * Global commands and register-based flushes (VT-d 11.4.4, 11.4.5, 11.4.6):
 * one at a time, status bits follow late, one-shot bits fire each time they
 * are written.
 */
#include "internal.h"

/* The next one has to wait for it (VT-d 11.4.4.1, 11.4.8.1). */
bool command_pending(const struct unit *u)
{
	return u->gcmd_due || u->cc_due || u->iotlb_due || u->pmen_due;
}

static void check_global(struct unit *u, uint32_t value, uint32_t changed)
{
	struct model *m = u->m;
	uint32_t shots = value & (uint32_t)G_ONE_SHOT;

	if (__builtin_popcount(changed) + __builtin_popcount(shots) > 1)
		blame(m, u, MODEL_V_COMMAND, "11.4.4.1",
			"GCMD %#x does more than one thing (change %#x, "
			"one-shot %#x)",
			value, changed, shots);
	if (command_pending(u))
		blame(m, u, MODEL_V_COMMAND, "11.4.4.1",
			"GCMD written while a command is in flight");
	if ((value & changed & G_TE) && !u->root_set &&
		!(u->gcmd_due && (u->gcmd_bits & G_RTP)))
		blame(m, u, MODEL_V_COMMAND, "11.4.4.1",
			"translation enabled without a root table");
	if ((value & changed & G_IRE) && !u->irt_set)
		blame(m, u, MODEL_V_COMMAND, "11.4.4.1",
			"interrupt remapping enabled without a table");
	if ((value & changed & G_IRE) && !(u->r[R_ECAP] & ECAP_IR))
		blame(m, u, MODEL_V_UNSUPPORTED, "11.4.3",
			"interrupt remapping enabled, the unit has none");
	if ((value & changed & G_QIE) && !(u->r[R_ECAP] & ECAP_QI))
		blame(m, u, MODEL_V_UNSUPPORTED, "11.4.3",
			"queued invalidation enabled, the unit has none");
	if (value & changed & G_CFI)
		blame(m, u, MODEL_V_INTERRUPT, "5.1.4",
			"compatibility-format interrupts are let through");
}

void command_global(struct unit *u, uint32_t value)
{
	uint32_t levels = value & (uint32_t)G_LEVEL;
	uint32_t changed = levels ^ (uint32_t)(u->r[R_GSTS] & G_LEVEL);

	check_global(u, value, changed);
	if (!changed && !(value & G_ONE_SHOT))
		return;
	/* A driver that does not wait gets both, in the worst order. */
	if (!u->gcmd_due)
		u->gcmd_bits = 0;
	u->gcmd_bits |= changed | (value & (uint32_t)G_ONE_SHOT);
	u->gcmd_levels = levels;
	if (value & G_RTP)
		u->r[R_GSTS] &= ~G_RTP;
	if (value & G_IRTP)
		u->r[R_GSTS] &= ~G_IRTP;
	if (value & G_WBF)
		u->r[R_GSTS] |= G_WBF;
	u->gcmd_due = due_after(u);
}

/* Translation or remapping starts with flushes owed: what was cached under an
 * earlier table is still there. */
void flush_owed_check(struct unit *u, const char *when)
{
	if (u->owe_cc)
		blame(u->m, u, MODEL_V_STALE, "6.6",
			"no global context flush since the root table was "
			"set (%s)",
			when);
	if (u->owe_iotlb)
		blame(u->m, u, u->iotlb_early ? MODEL_V_ORDER : MODEL_V_STALE,
			"6.6",
			"no global IOTLB flush since the root table was set "
			"%s(%s)",
			u->iotlb_early ? "and the contexts were flushed " : "",
			when);
	if (u->owe_iec && (u->r[R_GSTS] & G_IRE))
		blame(u->m, u, MODEL_V_STALE, "6.7",
			"no interrupt-entry flush since the table was set "
			"(%s)",
			when);
}

static void latch_root(struct unit *u)
{
	uint64_t r = u->r[R_RTADDR];

	if ((u->r[R_GSTS] & G_TE) && RT_TTM(r) != u->ttm &&
		!(u->r[R_CAP] & CAP_ESRTPS))
		blame(u->m, u, MODEL_V_COMMAND, "11.4.5",
			"translation-table mode changed while translation is "
			"on");
	if (r & ~u->haw_mask)
		blame(u->m, u, MODEL_V_ADDRESS, "11.4.5",
			"root table %#llx is beyond the address width",
			(unsigned long long)r);
	u->root = r & PAGE_BASE & u->haw_mask;
	u->ttm = RT_TTM(r);
	u->root_set = true;
	if (u->m->mode == MODEL_BENIGN || (u->r[R_CAP] & CAP_ESRTPS))
		flush_all_dma(u);
	else
		u->owe_cc = u->owe_iotlb = true;
	u->iotlb_early = false;
}

static void latch_irt(struct unit *u)
{
	uint64_t r = u->r[R_IRTA];
	bool eime = r & BIT(11);

	if (eime && !(u->r[R_ECAP] & ECAP_EIM))
		blame(u->m, u, MODEL_V_UNSUPPORTED, "11.4.12",
			"32-bit interrupt ids asked for, the unit has none");
	if ((u->r[R_GSTS] & G_IRE) && eime != u->eime)
		blame(u->m, u, MODEL_V_INTERRUPT, "11.4.12",
			"EIME changed while interrupt remapping is on");
	if (r & ~u->haw_mask)
		blame(u->m, u, MODEL_V_ADDRESS, "11.4.12",
			"interrupt table %#llx is beyond the address width",
			(unsigned long long)r);
	u->irt = r & PAGE_BASE & u->haw_mask;
	u->irt_entries = 2u << bits(r, 3, 0);
	u->eime = eime;
	u->irt_set = true;
	if (u->m->mode == MODEL_BENIGN || (u->r[R_CAP] & CAP_ESIRTPS))
		flush_all_irtes(u);
	else
		u->owe_iec = true;
}

static void switch_translation(struct unit *u, bool on)
{
	if (on) {
		flush_owed_check(u, "translation on");
		/* All requests in flight are drained (VT-d 6.5.4). */
		post_drain(u, DRAIN_ALL, NULL, 0);
		u->r[R_GSTS] |= G_TE;
		return;
	}
	u->r[R_GSTS] &= ~G_TE;
	u->root_set = false;
	if (u->m->mode == MODEL_BENIGN || (u->r[R_ECAP] & ECAP_SMTS))
		flush_all_dma(u);
	if (!(u->r[R_GSTS] & G_IRE))
		u->next_frcd = 0;
}

static void finish_global(struct unit *u)
{
	uint32_t bits = u->gcmd_bits, levels = u->gcmd_levels;

	u->gcmd_due = 0;
	if (bits & G_WBF) {
		u->m->n.write_buffer_flushes++;
		view_drain(u);
		u->r[R_GSTS] &= ~G_WBF;
	}
	if (bits & G_RTP) {
		latch_root(u);
		u->r[R_GSTS] |= G_RTP;
	}
	if (bits & G_IRTP) {
		latch_irt(u);
		u->r[R_GSTS] |= G_IRTP;
	}
	if ((bits & G_QIE) && (levels & G_QIE))
		queue_enable(u);
	if ((bits & G_QIE) && !(levels & G_QIE))
		queue_disable(u);
	if (bits & G_IRE) {
		if ((levels & G_IRE) && u->owe_iec)
			blame(u->m, u, MODEL_V_STALE, "6.7",
				"interrupt remapping enabled before the entry "
				"cache was flushed");
		u->r[R_GSTS] = (u->r[R_GSTS] & ~G_IRE) | (levels & G_IRE);
		if (!(u->r[R_GSTS] & (G_TE | G_IRE)))
			u->next_frcd = 0;
	}
	if (!(u->quirks & MODEL_QUIRK_CFI_IGNORED))
		u->r[R_GSTS] = (u->r[R_GSTS] & ~G_CFI) | (levels & G_CFI);
	if (bits & G_TE)
		switch_translation(u, levels & G_TE);
	if ((u->r[R_GSTS] & G_TE) && !u->ttm)
		table_page(u, u->root, &(struct page){.role = ROLE_ROOT});
	if ((u->m->flags & MODEL_EAGER) && (u->r[R_GSTS] & G_TE))
		prefetch_unit(u);
}

/* ---- register-based flushes --------------------------------------------- */

static bool registers_refused(struct unit *u)
{
	if (is_major(u, 6))
		blame(u->m, u, MODEL_V_UNSUPPORTED, "6.5.1",
			"register-based flush on a unit of version %u",
			(unsigned)bits(u->r[R_VER], 7, 4));
	return is_major(u, 6) || (u->r[R_GSTS] & G_QIE) || u->ttm;
}

void command_context(struct unit *u)
{
	u->r[R_CCMD] &= ~MASK(60, 59);
	u->cc_due = due_after(u);
}

void command_iotlb(struct unit *u)
{
	u->r[R_IOTLB] &= ~MASK(58, 57);
	u->iotlb_due = due_after(u);
}

static void finish_context(struct unit *u)
{
	uint64_t v = u->r[R_CCMD];
	unsigned gran = (unsigned)bits(v, 62, 61), actual = gran;

	u->cc_due = 0;
	if (registers_refused(u) || gran == GRAN_NONE) {
		actual = 0;
	} else {
		flush_context(u,
			&(struct context_flush){.gran = gran,
				.did = (uint16_t)v,
				.sid = (uint16_t)(v >> 16),
				.fm = (unsigned)(v >> 32)});
		if (gran == GRAN_DOMAIN && (u->quirks & MODEL_QUIRK_CC_WIDENS))
			actual = GRAN_GLOBAL;
	}
	if (!actual)
		blame(u->m, u, MODEL_V_UNSUPPORTED, "11.4.6.1",
			"context command %#llx does nothing",
			(unsigned long long)v);
	u->r[R_CCMD] = (v & ~CCMD_ICC) | (uint64_t)actual << 59;
}

static void finish_iotlb(struct unit *u)
{
	uint64_t v = u->r[R_IOTLB], iva = u->r[R_IVA];
	unsigned gran = (unsigned)bits(v, 61, 60), am = (unsigned)(iva & 63);
	bool bad = registers_refused(u) || gran == GRAN_NONE;

	u->iotlb_due = 0;
	if (gran == GRAN_NARROW &&
		(!(u->r[R_CAP] & CAP_PSI) || am > CAP_MAMV(u->r[R_CAP])))
		bad = true;
	if (bad) {
		blame(u->m, u, MODEL_V_UNSUPPORTED, "11.4.6.2",
			"IOTLB command %#llx, address %#llx does nothing",
			(unsigned long long)v, (unsigned long long)iva);
		gran = 0;
	} else {
		flush_iotlb(u,
			&(struct iotlb_flush){.gran = gran,
				.did = (uint16_t)(v >> 32),
				.addr = iva,
				.size = (uint64_t)MODEL_PAGE << am,
				.ih = iva & BIT(6),
				.dr = v & BIT(49),
				.dw = v & BIT(48)});
	}
	u->r[R_IOTLB] = (v & ~IOTLB_IVT) | (uint64_t)gran << 57;
}

void command_step(struct unit *u)
{
	uint64_t now = u->m->now;

	if (u->gcmd_due && now >= u->gcmd_due)
		finish_global(u);
	if (u->cc_due && now >= u->cc_due)
		finish_context(u);
	if (u->iotlb_due && now >= u->iotlb_due)
		finish_iotlb(u);
	if (u->pmen_due && now >= u->pmen_due) {
		u->pmen_due = 0;
		u->r[R_PMEN] &= ~PMEN_PRS;
		if (u->r[R_PMEN] & PMEN_EPM)
			u->r[R_PMEN] |= PMEN_PRS;
	}
}
