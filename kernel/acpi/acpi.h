/* SPDX-License-Identifier: MIT */
/* Static ACPI tables. Parsers are total: whatever firmware wrote, they return
 * what is sound and say what is not. */
#ifndef ACPI_ACPI_H
#define ACPI_ACPI_H

#include "lib/types.h"

/* Find and check the root table (checksums, lengths). Machines without ACPI
 * get one CPU and no DMAR. */
void acpi_init(uint64_t rsdp);

/* A table by signature, or NULL. Mapped for good; *out_len is its length as
 * verified. The checksum was checked. */
const void *acpi_table(const char signature[4], uint32_t *out_len);

struct acpi_ioapic {
	uint32_t id, gsi_base;
	uint64_t base;
};

/* What MADT, MCFG, FADT and HPET say. */
struct acpi_machine {
	uint32_t apic_ids[32]; /* enabled CPUs, boot CPU first */
	unsigned ncpus;
	uint64_t lapic;
	struct acpi_ioapic ioapics[8];
	unsigned nioapics;
	struct {
		uint32_t gsi;
		bool level, active_low;
	} isa[16]; /* ISA interrupt to GSI */
	struct {
		uint64_t base;
		uint16_t segment;
		uint8_t first_bus, last_bus;
	} ecam[8];
	unsigned necam;
	uint16_t pm1a_control, pm1b_control; /* I/O ports, 0: none */
	uint16_t smi_command;                /* I/O port, 0: none */
	uint8_t acpi_enable;
	bool s5_known; /* the values that turn the machine off */
	uint8_t s5_type_a, s5_type_b;
	uint64_t reset_port; /* I/O port, 0: none */
	uint8_t reset_value;
	uint64_t hpet; /* 0: none */
};
extern struct acpi_machine acpi_machine;

#endif
