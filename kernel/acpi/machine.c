/* SPDX-License-Identifier: MIT */
/* What the tables say about CPUs, interrupts, configuration space and power
 * (ACPI 6.5: MADT 5.2.12, FADT 5.2.9; PCI firmware specification: MCFG). */
#include "acpi/acpi.h"
#include "acpi/local.h"
#include "cpu/io.h"
#include "lib/print.h"
#include "lib/string.h"

#define MADT_CPU 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_LAPIC_ADDRESS 5
#define MADT_X2APIC 9

static uint32_t boot_apic_id(void)
{
	if (cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx)
		return cpuid(0xb, 0).edx;
	return cpuid(1, 0).ebx >> 24;
}

static void add_cpu(uint32_t apic_id, uint32_t flags)
{
	struct acpi_machine *m = &acpi_machine;

	if (!(flags & 1)) /* not enabled */
		return;
	for (unsigned i = 0; i < m->ncpus; i++)
		if (m->apic_ids[i] == apic_id)
			return;
	/* Without x2APIC mode, ids are 8 bits and 255 means all. */
	if (apic_id >= 255 && !(rdmsr(MSR_APIC_BASE) & 0x400))
		return;
	if (m->ncpus == ARRAY_SIZE(m->apic_ids)) {
		kprintf("acpi: CPU with APIC id %u is one too many\n", apic_id);
		return;
	}
	m->apic_ids[m->ncpus++] = apic_id;
}

static void add_ioapic(const uint8_t *e)
{
	struct acpi_machine *m = &acpi_machine;

	if (m->nioapics < ARRAY_SIZE(m->ioapics))
		m->ioapics[m->nioapics++] =
			(struct acpi_ioapic){e[2], get32(e + 8), get32(e + 4)};
}

/* MPS INTI flags: polarity 3 is low, trigger 3 is level; the ISA bus's own
 * defaults are high and edge. */
static void override_isa(const uint8_t *e)
{
	uint16_t flags = get16(e + 8);

	if (e[2] != 0 || e[3] >= 16)
		return;
	acpi_machine.isa[e[3]].gsi = get32(e + 4);
	acpi_machine.isa[e[3]].active_low = (flags & 3) == 3;
	acpi_machine.isa[e[3]].level = (flags >> 2 & 3) == 3;
}

static void read_madt_entry(const uint8_t *e, uint8_t len)
{
	static const uint8_t least[] = {[MADT_CPU] = 8,
		[MADT_IOAPIC] = 12,
		[MADT_OVERRIDE] = 10,
		[MADT_LAPIC_ADDRESS] = 12,
		[MADT_X2APIC] = 16};

	if (e[0] >= ARRAY_SIZE(least) || !least[e[0]] || len < least[e[0]])
		return;
	switch (e[0]) {
	case MADT_CPU:
		add_cpu(e[3], get32(e + 4));
		break;
	case MADT_IOAPIC:
		add_ioapic(e);
		break;
	case MADT_OVERRIDE:
		override_isa(e);
		break;
	case MADT_LAPIC_ADDRESS:
		acpi_machine.lapic = get64(e + 4);
		break;
	case MADT_X2APIC:
		add_cpu(get32(e + 4), get32(e + 8));
		break;
	}
}

void acpi_read_madt(void)
{
	struct acpi_machine *m = &acpi_machine;
	uint32_t len, at = 44;
	const uint8_t *t = acpi_table("APIC", &len);

	m->lapic = 0xfee00000;
	m->apic_ids[m->ncpus++] = boot_apic_id();
	for (unsigned i = 0; i < ARRAY_SIZE(m->isa); i++)
		m->isa[i].gsi = i;
	if (t && len >= at) {
		m->lapic = get32(t + 36);
		while (len - at >= 2 && t[at + 1] >= 2 &&
			t[at + 1] <= len - at) {
			read_madt_entry(t + at, t[at + 1]);
			at += t[at + 1];
		}
	} else {
		/* The place every PC of the last decades has one at. */
		m->ioapics[m->nioapics++] =
			(struct acpi_ioapic){0, 0, 0xfec00000};
	}
}

void acpi_read_mcfg(void)
{
	struct acpi_machine *m = &acpi_machine;
	uint32_t len, at = 44;
	const uint8_t *t = acpi_table("MCFG", &len);

	if (!t || len < at)
		return;
	for (; len - at >= 16; at += 16) {
		uint64_t base = get64(t + at);
		uint8_t first = t[at + 10], last = t[at + 11];

		if (!base || base % 0x100000 || base >> 52 || last < first ||
			m->necam == ARRAY_SIZE(m->ecam)) {
			kprintf("acpi: MCFG entry for segment %u ignored\n",
				get16(t + at + 8));
			continue;
		}
		m->ecam[m->necam].base = base;
		m->ecam[m->necam].segment = get16(t + at + 8);
		m->ecam[m->necam].first_bus = first;
		m->ecam[m->necam++].last_bus = last;
	}
}

static void read_dsdt(const uint8_t *fadt, uint32_t len)
{
	uint64_t addr = len >= 148 ? get64(fadt + 140) : 0;
	uint32_t size;
	const uint8_t *dsdt;

	if (!addr)
		addr = get32(fadt + 40);
	dsdt = acpi_map_table(addr, &size);
	if (dsdt)
		acpi_find_s5(
			dsdt + TABLE_HEADER_SIZE, size - TABLE_HEADER_SIZE);
}

void acpi_read_fadt(void)
{
	struct acpi_machine *m = &acpi_machine;
	uint32_t len;
	const uint8_t *t = acpi_table("FACP", &len);

	if (!t || len < 72)
		return;
	m->smi_command = (uint16_t)get32(t + 48);
	m->acpi_enable = t[52];
	m->pm1a_control = (uint16_t)get32(t + 64);
	m->pm1b_control = (uint16_t)get32(t + 68);
	/* RESET_REG_SUP, and a register of 8 bits in I/O space. */
	if (len >= 129 && get32(t + 112) & 1u << 10 && t[116] == 1) {
		m->reset_port = (uint16_t)get64(t + 120);
		m->reset_value = t[128];
	}
	read_dsdt(t, len);
}

void acpi_read_hpet(void)
{
	uint32_t len;
	const uint8_t *t = acpi_table("HPET", &len);

	/* The address is a generic one: it must be in memory space. */
	if (t && len >= 52 && t[40] == 0 && !(get64(t + 44) >> 52))
		acpi_machine.hpet = get64(t + 44);
}
