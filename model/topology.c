/* SPDX-License-Identifier: MIT */
/*
 * PCI functions: who sits behind which bridge, which requester id a unit
 * sees, and configuration space with the few capabilities that matter (MSI,
 * PCI Express, ACS, ATS).
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

#define CAP_MSI 0x50
#define CAP_EXPRESS 0x80
#define EXT_ATS 0x100
#define EXT_ACS 0x140

struct function *function_at(struct model *m, uint16_t segment, uint16_t bdf)
{
	if (!segment)
		return m->by_bdf[bdf] ? &m->function[m->by_bdf[bdf] - 1] : NULL;
	for (unsigned i = 0; i < m->functions; i++)
		if (m->function[i].d.segment == segment &&
			m->function[i].d.bdf == bdf)
			return &m->function[i];
	return NULL;
}

bool is_bridge(enum model_function_kind kind)
{
	return kind >= MODEL_ROOT_PORT;
}

struct function *bridge_above(struct model *m, uint16_t segment, unsigned bus)
{
	for (unsigned i = 0; i < m->functions; i++) {
		struct function *f = &m->function[i];

		if (f->d.segment == segment && is_bridge(f->d.kind) &&
			f->d.secondary == bus && bus)
			return f;
	}
	return NULL;
}

/*
 * A PCI Express to PCI bridge takes ownership of requests from below with its
 * secondary bus and devfn 0; a conventional bridge with its own id. The
 * bridge next to the unit wins.
 */
uint16_t requester_of(struct model *m, uint16_t segment, uint16_t bdf)
{
	struct function *f = bridge_above(m, segment, bdf >> 8);
	uint16_t sid = bdf;

	for (unsigned depth = 0; f && depth < 256; depth++) {
		if (f->d.kind == MODEL_PCIE_TO_PCI)
			sid = (uint16_t)(f->d.secondary << 8);
		else if (f->d.kind == MODEL_PCI_TO_PCI)
			sid = f->d.bdf;
		f = bridge_above(m, segment, f->d.bdf >> 8);
	}
	return sid;
}

/* ---- configuration space ------------------------------------------------ */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static void express(uint8_t *c, unsigned type)
{
	c[CAP_EXPRESS] = 0x10;
	put16(c + CAP_EXPRESS + 2, 2 | type << 4);
	put32(c + CAP_EXPRESS + 4, 1u << 28); /* function-level reset */
}

static void config_fill(struct function *f)
{
	static const int8_t express_type[] = {
		[MODEL_ENDPOINT] = 0,
		[MODEL_INTEGRATED] = 9,
		[MODEL_CONVENTIONAL] = -1,
		[MODEL_ROOT_PORT] = 4,
		[MODEL_UPSTREAM] = 5,
		[MODEL_DOWNSTREAM] = 6,
		[MODEL_PCIE_TO_PCI] = 7,
		[MODEL_PCI_TO_PCI] = -1,
	};
	uint8_t *c = f->config;
	int type = express_type[f->d.kind];
	bool bridge = is_bridge(f->d.kind);

	put16(c, f->d.vendor ? f->d.vendor : 0x1234);
	put16(c + 2, f->d.device ? f->d.device : 0x11e8);
	put16(c + 6, 0x10); /* capability list */
	put32(c + 8,
		(f->d.class_code         ? f->d.class_code
				: bridge ? 0x060400
					 : 0x00ff00)
			<< 8);
	c[0x0e] = (uint8_t)((bridge ? 1 : 0) | (f->d.multifunction ? 0x80 : 0));
	if (bridge) {
		c[0x18] = (uint8_t)(f->d.bdf >> 8);
		c[0x19] = f->d.secondary;
		c[0x1a] = f->d.subordinate ? f->d.subordinate : f->d.secondary;
	}
	c[0x34] = CAP_MSI;
	c[CAP_MSI] = 5;
	c[CAP_MSI + 1] = type >= 0 ? CAP_EXPRESS : 0;
	put16(c + CAP_MSI + 2, 0x80); /* 64-bit */
	if (type < 0)
		return;
	express(c, (unsigned)type);
	if (f->d.ats) {
		put32(c + EXT_ATS, 0x0001000f | (f->d.acs ? EXT_ACS << 20 : 0));
		put16(c + EXT_ATS + 4, 0x20);
	} else if (f->d.acs) {
		/* The list must start at 0x100: an empty vendor entry. */
		put32(c + EXT_ATS, 0x0001000b | EXT_ACS << 20);
		put32(c + EXT_ATS + 4, 0x01000000);
	}
	if (f->d.acs) {
		put32(c + EXT_ACS, 0x0001000d);
		put16(c + EXT_ACS + 4, 0x5f);
	}
}

void topology_init(struct model *m, const struct model_desc *d)
{
	m->by_bdf = array_of(65536, sizeof *m->by_bdf);
	m->function = array_of(d->function_count, sizeof *m->function);
	m->rmrr = array_of(d->rmrr_count, sizeof *m->rmrr);
	m->ioapic = array_of(d->ioapic_count, sizeof *m->ioapic);
	m->functions = d->function_count;
	m->rmrrs = d->rmrr_count;
	m->ioapics = d->ioapic_count;
	if (d->rmrr_count)
		memcpy(m->rmrr, d->rmrrs, d->rmrr_count * sizeof *m->rmrr);
	if (d->ioapic_count)
		memcpy(m->ioapic, d->ioapics,
			d->ioapic_count * sizeof *m->ioapic);
	for (unsigned i = 0; i < d->function_count; i++) {
		m->function[i].d = d->functions[i];
		if (!d->functions[i].segment)
			m->by_bdf[d->functions[i].bdf] = i + 1;
		config_fill(&m->function[i]);
	}
}

void topology_exit(struct model *m)
{
	for (unsigned i = 0; i < m->functions; i++)
		free(m->function[i].dtlb);
	free(m->function);
	free(m->by_bdf);
	free(m->rmrr);
	free(m->ioapic);
}

uint32_t model_pci_read(struct model *m, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	struct function *f =
		function_at(m, segment, (uint16_t)(bus << 8 | devfn));
	uint32_t v = 0;

	if (!f || f->removed || offset + width > sizeof f->config ||
		(offset & (width - 1)))
		return width < 4 ? (1u << 8 * width) - 1 : ~0u;
	enter(m);
	for (unsigned i = width; i-- > 0;)
		v = v << 8 | f->config[offset + i];
	leave(m);
	return v;
}

/* ATS is switched on last and off first (VT-d 4.1). */
static void ats_switched(struct model *m, struct function *f, bool on)
{
	struct unit *u = unit_for(m, f->d.segment, f->d.bdf);
	uint16_t sid = requester_of(m, f->d.segment, f->d.bdf);
	struct cctx *c = u ? context_slot(u, sid) : NULL;

	if (!on)
		dtlb_clear(f);
	if (on && u && !(u->r[R_ECAP] & ECAP_DT))
		blame(m, u, MODEL_V_ATS, "4.1",
			"device TLB of %04x enabled, the unit has no support",
			f->d.bdf);
	if (on && c && c->valid && !c->fault && CE_TT(c->lo) != TT_ATS)
		blame(m, u, MODEL_V_ATS, "4.1",
			"device TLB of %04x enabled before its context entry "
			"allows it",
			f->d.bdf);
}

void model_pci_write(struct model *m, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width, uint32_t value)
{
	struct function *f =
		function_at(m, segment, (uint16_t)(bus << 8 | devfn));

	if (!f || f->removed || offset + width > sizeof f->config)
		return;
	enter(m);
	for (unsigned i = 0; i < width; i++, value >>= 8) {
		unsigned at = offset + i;
		bool ats = f->d.ats && at == EXT_ATS + 7;
		bool was = f->config[at] & 0x80;

		/* Identity and capability headers cannot be written. */
		if (at < 4 || (at >= 8 && at < 0x10) || at == 0x34 ||
			at == CAP_EXPRESS ||
			(at >= EXT_ATS && at < EXT_ATS + 6))
			continue;
		f->config[at] = (uint8_t)value;
		if (ats && was != !!(value & 0x80))
			ats_switched(m, f, value & 0x80);
	}
	leave(m);
}

void model_device_remove(struct model *m, uint16_t segment, uint16_t bdf)
{
	struct function *f = function_at(m, segment, bdf);

	enter(m);
	if (f) {
		f->removed = true;
		dtlb_clear(f);
	}
	leave(m);
}
