/* SPDX-License-Identifier: MIT */
/* Which bits of configuration space an owner may change; see config.h. */
#include "assign/config.h"
#include "lib/errno.h"
#include "pci/pci.h"

#define COMMAND 0x04
#define BAR0 0x10
#define BAR_END 0x28
#define ROM_BAR 0x30
#define HEADER_END 0x40
#define EXTENDED 0x100
#define STATUS_CAPABILITIES 0x10

#define CAP_VENDOR 0x09
#define CAP_PCIE 0x10

/* Writable bits of the header, by byte; absent ones are refused. */
static const uint8_t header_bits[HEADER_END] = {
	[0x04] = 0x46, /* memory decoding, bus mastering, parity */
	[0x05] = 0x01, /* SERR */
	[0x07] = 0xf9, /* error bits, write 1 to clear */
	[0x0c] = 0xff, /* cache line size */
	[0x0d] = 0xff, /* latency timer */
	[0x3c] = 0xff, /* interrupt line: a note for software */
};

/* The same for the PCI Express capability. No-snoop and phantom functions stay
 * off (the one passes by the caches, the other changes the requester id), the
 * payload size belongs to the path, the reset bit to ctl. */
static const uint8_t pcie_bits[] = {
	[0x08] = 0x1f, /* error reporting, relaxed ordering */
	[0x09] = 0x71, /* extended tags, read request size */
	[0x0a] = 0x0f, /* error bits, write 1 to clear */
	[0x28] = 0x1f, /* completion timeout */
};

/* The capability that a byte above the header lies in: its start, or 0 for the
 * device's own registers. Bounded, whatever the list looks like. */
static unsigned capability_of(
	const struct pci_device *d, unsigned off, uint8_t *out_id)
{
	static const uint8_t length[] = {[0x01] = 8,
		[0x05] = 24,
		[CAP_PCIE] = 60,
		[0x11] = 12,
		[0x13] = 6};
	unsigned at = 0, best = 0;

	if (pci_read16(d, 0x06) & STATUS_CAPABILITIES)
		at = pci_read8(d, 0x34) & 0xfcu;
	for (unsigned i = 0; at >= HEADER_END && i < 48; i++) {
		uint8_t id = pci_read8(d, at);
		unsigned n = id < sizeof(length) ? length[id] : 0;

		if (id == CAP_VENDOR)
			n = pci_read8(d, at + 2);
		if (!n)
			n = 4; /* unknown: at least its head is not free */
		if (off >= at && off < at + n && at > best) {
			best = at;
			*out_id = id;
		}
		at = pci_read8(d, at + 1) & 0xfcu;
	}
	return best;
}

static uint8_t writable_bits(const struct pci_device *d, unsigned off)
{
	uint8_t id = 0;
	unsigned cap;

	/* The host bridge's registers are the platform's. */
	if (d->class == PCI_CLASS_BRIDGE)
		return 0;
	if (off < HEADER_END)
		return header_bits[off];
	if (off >= EXTENDED)
		return 0;
	cap = capability_of(d, off, &id);
	if (!cap)
		return 0xff;
	if (id == CAP_VENDOR)
		return off >= cap + 3 ? 0xff : 0;
	if (id == CAP_PCIE && off - cap < sizeof(pcie_bits))
		return pcie_bits[off - cap];
	return 0;
}

/* Index of a BAR register: 0-5, 6 for the ROM's, or -1. */
static int bar_of(unsigned off)
{
	if (off >= BAR0 && off < BAR_END)
		return (int)(off - BAR0) / 4;
	if (off >= ROM_BAR && off < ROM_BAR + 4)
		return 6;
	return -1;
}

/* What a BAR register reads after all ones were written to it. */
static uint32_t size_mask(const struct pci_device *d, int bar)
{
	uint32_t flags = pci_read32(d, BAR0 + 4 * (unsigned)bar);

	if (bar == 6)
		return d->rom.size ? (uint32_t) ~(d->rom.size - 1) : 0;
	if (bar > 0 && d->bars[bar - 1].is64)
		return (uint32_t)(~(d->bars[bar - 1].size - 1) >> 32);
	if (!d->bars[bar].size)
		return 0;
	flags &= d->bars[bar].io ? 0x3 : 0xf;
	return (uint32_t) ~(d->bars[bar].size - 1) | flags;
}

void config_read(struct pci_device *d, unsigned off, uint8_t *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int bar = bar_of(off + i);

		if (bar >= 0 && d->sizing & 1u << bar)
			out[i] = (uint8_t)(size_mask(d, bar) >>
				8 * ((off + i) & 3));
		else
			out[i] = pci_read8(d, off + i);
	}
}

static int write_bar(
	struct pci_device *d, int bar, const uint8_t *in, unsigned n)
{
	bool ones = n == 4;

	for (unsigned i = 0; i < n; i++)
		ones = ones && in[i] == 0xff;
	/* The upper half of a 64-bit BAR may be all ones as an address too,
	 * but never one of ours. Everything else is "written back". */
	if (ones)
		d->sizing |= (uint8_t)(1u << bar);
	else
		d->sizing &= (uint8_t) ~(1u << bar);
	return 0;
}

int config_write(
	struct pci_device *d, unsigned off, const uint8_t *in, unsigned n)
{
	uint8_t value[4];

	if (bar_of(off) >= 0)
		return write_bar(d, bar_of(off), in, n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t bits = writable_bits(d, off + i);

		if (!bits && in[i] != pci_read8(d, off + i))
			return -EPERM;
		value[i] = (uint8_t)((in[i] & bits) |
			(pci_read8(d, off + i) & ~bits));
		/* Status bits that are cleared by ones must not be kept. */
		if (off + i == 0x06 || off + i == 0x07)
			value[i] = in[i] & bits;
	}
	if (n == 4)
		pci_write32(d, off,
			(uint32_t)value[0] | (uint32_t)value[1] << 8 |
				(uint32_t)value[2] << 16 |
				(uint32_t)value[3] << 24);
	else if (n == 2 && !(off & 1))
		pci_write16(d, off, (uint16_t)(value[0] | value[1] << 8));
	else
		for (unsigned i = 0; i < n; i++)
			pci_write8(d, off + i, value[i]);
	return 0;
}

void config_forget(struct pci_device *d)
{
	d->sizing = 0;
	pci_set_rom(d, false);
}
