/* SPDX-License-Identifier: MIT */
/* Base address registers: their sizes (PCI 3.0, 6.2.5.1), and addresses for
 * those that firmware left without. */
#include "pci/local.h"
#include "lib/print.h"

static unsigned bar_count(const struct pci_device *d)
{
	return d->header_type == TYPE_ENDPOINT  ? 6
		: d->header_type == TYPE_BRIDGE ? 2
						: 0;
}

/* What of the register can be written; its value is put back. */
static uint32_t probe(struct pci_device *d, unsigned reg)
{
	uint32_t old = pci_read32(d, reg), mask;

	pci_write32(d, reg, UINT32_MAX);
	mask = pci_read32(d, reg);
	pci_write32(d, reg, old);
	return mask;
}

/* Returns how many registers the BAR takes. Decoding is off. */
static unsigned read_bar(struct pci_device *d, unsigned n, unsigned count)
{
	unsigned reg = PCI_BAR0 + 4 * n;
	uint32_t low = pci_read32(d, reg), low_mask = probe(d, reg);
	struct pci_bar *b = &d->bars[n];
	uint64_t mask;

	if (low_mask == 0 || low_mask == UINT32_MAX)
		return 1;
	if (low & 1) {
		mask = low_mask & 0xfffc;
		b->io = true;
		b->base = low & 0xfffc;
		b->size = mask & -mask;
		return 1;
	}
	b->prefetchable = low & 8;
	b->is64 = (low & 6) == 4 && n + 1 < count;
	b->base = low & ~15u;
	mask = low_mask & ~15u;
	if (b->is64) {
		b->base |= (uint64_t)pci_read32(d, reg + 4) << 32;
		mask |= (uint64_t)probe(d, reg + 4) << 32;
	}
	b->size = mask & -mask;
	return b->is64 ? 2 : 1;
}

static void read_rom(struct pci_device *d)
{
	unsigned reg = d->header_type == TYPE_BRIDGE ? PCI_ROM_BRIDGE : PCI_ROM;
	uint32_t base = pci_read32(d, reg) & PCI_ROM_ADDRESS;
	uint32_t mask;

	pci_write32(d, reg, base);
	mask = probe(d, reg) & PCI_ROM_ADDRESS;
	d->rom = (struct pci_bar){.base = base, .size = mask & -mask};
}

static void check_msix(struct pci_device *d)
{
	const struct pci_bar *b;

	if (!d->msix_count)
		return;
	b = d->msix_bar < 6 ? &d->bars[d->msix_bar] : NULL;
	if (b && b->size && !b->io && d->msix_offset < b->size &&
		d->msix_count * 16ull <= b->size - d->msix_offset)
		return;
	kprintf("pci: %02x:%02x.%x has its MSI-X table outside of its BARs\n",
		d->bus, PCI_DEV(d->devfn), PCI_FN(d->devfn));
	d->msix_count = 0;
}

void pci_read_bars(struct pci_device *d)
{
	/* Host bridges are left alone: some route the CPU's own memory. */
	bool host = d->class == 6 && d->subclass == 0;
	uint16_t command = pci_read16(d, PCI_COMMAND);
	unsigned count = host ? 0 : bar_count(d);

	if (count) {
		pci_write16(d, PCI_COMMAND,
			command & ~(COMMAND_IO | COMMAND_MEMORY));
		for (unsigned n = 0; n < count;)
			n += read_bar(d, n, count);
		read_rom(d);
		pci_write16(d, PCI_COMMAND, command);
	}
	check_msix(d);
}

struct window {
	uint64_t start, end; /* end exclusive; empty when closed */
};

static struct window memory_window(const struct pci_device *bridge)
{
	uint32_t v = pci_read32(bridge, BRIDGE_MEMORY_BASE);

	return (struct window){(v & 0xfff0ull) << 16,
		(v >> 16 & 0xfff0ull) * 0x10000 + 0x100000};
}

static struct window prefetch_window(const struct pci_device *bridge)
{
	uint32_t v = pci_read32(bridge, BRIDGE_PREFETCH_BASE);
	struct window w = {(v & 0xfff0ull) << 16,
		(v >> 16 & 0xfff0ull) * 0x10000 + 0x100000};

	if ((v & 15) == 1) {
		w.start |=
			(uint64_t)pci_read32(bridge, BRIDGE_PREFETCH_BASE_HIGH)
			<< 32;
		w.end +=
			(uint64_t)pci_read32(bridge, BRIDGE_PREFETCH_LIMIT_HIGH)
			<< 32;
	}
	return w;
}

static void avoid(const struct window *w, uint64_t *at, uint64_t size)
{
	if (*at < w->end && w->start < *at + size)
		*at = w->end;
}

/* Past whatever on the same bus lies at [at, at+size). */
static uint64_t past_neighbours(
	const struct pci_device *parent, uint64_t at, uint64_t size)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link) {
		if (d->parent != parent)
			continue;
		for (unsigned n = 0; n < 6; n++) {
			const struct pci_bar *b = &d->bars[n];
			struct window w = {b->base, b->base + b->size};

			if (b->base && b->size && !b->io)
				avoid(&w, &at, size);
		}
		if (d->header_type == TYPE_BRIDGE) {
			struct window m = memory_window(d);
			struct window p = prefetch_window(d);

			avoid(&m, &at, size);
			avoid(&p, &at, size);
		}
	}
	return at;
}

/* An address for the BAR in the window, or 0. */
static uint64_t find_room(
	const struct pci_device *parent, const struct window *w, uint64_t size)
{
	uint64_t at = ALIGN_UP(w->start, size);

	while (w->start && at >= w->start && at < w->end &&
		size <= w->end - at) {
		uint64_t next = past_neighbours(parent, at, size);

		if (next == at)
			return at;
		at = ALIGN_UP(next, size);
	}
	return 0;
}

static void place(struct pci_device *d, unsigned n)
{
	struct pci_bar *b = &d->bars[n];
	struct window w = memory_window(d->parent);
	uint64_t at = 0;

	if (b->prefetchable && b->is64) {
		struct window p = prefetch_window(d->parent);

		at = find_room(d->parent, &p, b->size);
	}
	if (!at)
		at = find_room(d->parent, &w, b->size);
	if (!at || (!b->is64 && at + b->size > 1ull << 32))
		return;
	pci_write32(d, PCI_BAR0 + 4 * n, (uint32_t)at);
	if (b->is64)
		pci_write32(d, PCI_BAR0 + 4 * n + 4, at >> 32);
	b->base = at;
}

void pci_place_bars(struct pci_device *d)
{
	for (unsigned n = 0; n < bar_count(d); n++) {
		struct pci_bar *b = &d->bars[n];

		if (!b->size || b->io || b->base)
			continue;
		if (d->parent)
			place(d, n);
		if (!b->base)
			kprintf("pci: %02x:%02x.%x BAR %u has no address\n",
				d->bus, PCI_DEV(d->devfn), PCI_FN(d->devfn), n);
	}
}
