/* SPDX-License-Identifier: MIT */
/*
 * IOAPICs (82093AA data sheet). Every pin stays masked until ioapic_route().
 * Routes are remembered, so that they can be written anew when interrupt
 * remapping goes on.
 */
#include "acpi/acpi.h"
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/irq.h"
#include "cpu/local.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "mem/mem.h"

#define REG_VERSION 1
#define REG_ROUTES 0x10
#define ROUTE_ACTIVE_LOW 0x2000
#define ROUTE_LEVEL 0x8000
#define ROUTE_MASKED 0x10000
#define MAX_PINS 240

struct ioapic {
	volatile char *registers;
	uint32_t id, gsi_base;
	unsigned pins;
};

struct route {
	int vector; /* 0: none */
	unsigned cpu;
};

static struct spinlock lock;
static struct ioapic ioapics[8];
static unsigned nioapics;
static struct route routes[16]; /* by ISA interrupt */
static ioapic_remap remap;

static uint32_t read_reg(const struct ioapic *io, unsigned reg)
{
	mmio_write32(io->registers, reg);
	return mmio_read32(io->registers + 0x10);
}

static void write_reg(const struct ioapic *io, unsigned reg, uint32_t v)
{
	mmio_write32(io->registers, reg);
	mmio_write32(io->registers + 0x10, v);
}

/* Masked while the high half is old. */
static void write_route(const struct ioapic *io, unsigned pin, uint64_t entry)
{
	write_reg(io, REG_ROUTES + 2 * pin, ROUTE_MASKED);
	write_reg(io, REG_ROUTES + 2 * pin + 1, entry >> 32);
	write_reg(io, REG_ROUTES + 2 * pin, (uint32_t)entry);
}

static void add_ioapic(const struct acpi_ioapic *found)
{
	struct ioapic *io = &ioapics[nioapics];

	if (found->base % 16 || nioapics == ARRAY_SIZE(ioapics))
		return;
	io->registers = kernel_map_device(phys(found->base), 0x20);
	if (!io->registers)
		return;
	io->id = found->id;
	io->gsi_base = found->gsi_base;
	io->pins = (read_reg(io, REG_VERSION) >> 16 & 0xff) + 1;
	if (io->pins > MAX_PINS) {
		kprintf("ioapic: none at 0x%llx\n",
			(unsigned long long)found->base);
		return;
	}
	for (unsigned pin = 0; pin < io->pins; pin++)
		write_route(io, pin, ROUTE_MASKED);
	nioapics++;
}

void ioapic_init(void)
{
	for (unsigned i = 0; i < acpi_machine.nioapics; i++)
		add_ioapic(&acpi_machine.ioapics[i]);
}

static const struct ioapic *ioapic_of(uint32_t gsi)
{
	for (unsigned i = 0; i < nioapics; i++)
		if (gsi >= ioapics[i].gsi_base &&
			gsi - ioapics[i].gsi_base < ioapics[i].pins)
			return &ioapics[i];
	return NULL;
}

static int apply(unsigned isa_irq)
{
	uint32_t gsi = acpi_machine.isa[isa_irq].gsi;
	bool level = acpi_machine.isa[isa_irq].level;
	bool active_low = acpi_machine.isa[isa_irq].active_low;
	const struct route *r = &routes[isa_irq];
	const struct ioapic *io = ioapic_of(gsi);
	uint32_t apic_id = cpus[r->cpu]->apic_id;
	uint64_t entry;

	if (!io)
		return -ENODEV;
	entry = (uint64_t)(apic_id & 0xff) << 56 | (uint32_t)r->vector |
		(level ? ROUTE_LEVEL : 0) | (active_low ? ROUTE_ACTIVE_LOW : 0);
	if (remap &&
		!remap(io->id, gsi - io->gsi_base, r->vector, apic_id, level,
			active_low, &entry))
		entry = ROUTE_MASKED;
	write_route(io, gsi - io->gsi_base, entry);
	return entry == ROUTE_MASKED ? -EIO : 0;
}

int ioapic_route(unsigned isa_irq, int vector, unsigned cpu)
{
	int error;

	if (isa_irq >= ARRAY_SIZE(routes) || cpu >= cpu_count)
		return -EINVAL;
	spin_lock(&lock);
	routes[isa_irq] = (struct route){vector, cpu};
	error = apply(isa_irq);
	spin_unlock(&lock);
	return error;
}

void ioapic_silence(void)
{
	for (unsigned i = 0; i < nioapics; i++)
		for (unsigned pin = 0; pin < ioapics[i].pins; pin++)
			write_reg(&ioapics[i], REG_ROUTES + 2 * pin,
				ROUTE_MASKED);
}

void ioapic_set_remap(ioapic_remap hook)
{
	spin_lock(&lock);
	remap = hook;
	for (unsigned i = 0; i < ARRAY_SIZE(routes); i++)
		if (routes[i].vector)
			apply(i);
	spin_unlock(&lock);
}
