/* SPDX-License-Identifier: MIT */
/*
 * Firmware's tables: a sound set is understood, and no damage makes the kernel
 * read beyond a table. Each table is a piece of memory of its own here, so that
 * the address sanitizer sees the first byte too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define MEM_MEM_H
#define CPU_IO_H
#include "kernel/lib/types.h"

#define MSR_APIC_BASE 0x1b

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

/* A boot CPU with APIC id 2. */
static struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return (struct cpuid){1, leaf ? 2u << 24 : 0, 0, 0};
}

static uint64_t rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}

static const void *kernel_map_memory(phys_t base, size_t size);

#include "kernel/acpi/tables.c"
#include "kernel/acpi/machine.c"
#include "kernel/acpi/s5.c"

#define MEMORY_SIZE 0x100000

static uint8_t memory[MEMORY_SIZE];
static void *mappings[4096];
static unsigned nmappings;
static uint64_t state;

void kprintf(const char *fmt, ...)
{
	(void)fmt;
}

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

/* A copy of exactly what was asked for. */
static const void *kernel_map_memory(phys_t base, size_t size)
{
	void *copy;

	if (base.v >= MEMORY_SIZE || size > MEMORY_SIZE - base.v)
		return NULL;
	assert_true(nmappings < ARRAY_SIZE(mappings));
	copy = malloc(size);
	assert_non_null(copy);
	memcpy(copy, memory + base.v, size);
	mappings[nmappings++] = copy;
	return copy;
}

static void forget(void)
{
	while (nmappings)
		free(mappings[--nmappings]);
	memset(&acpi_machine, 0, sizeof(acpi_machine));
	ntables = 0;
}

static void put(uint32_t at, uint64_t v, unsigned bytes)
{
	memcpy(memory + at, &v, bytes);
}

static void fix_sum(uint32_t at, uint32_t len, uint32_t sum_at)
{
	uint8_t sum = 0;

	memory[at + sum_at] = 0;
	for (uint32_t i = 0; i < len; i++)
		sum += memory[at + i];
	memory[at + sum_at] = (uint8_t)-sum;
}

enum {
	RSDP = 0xe0010,
	XSDT = 0x1000,
	MADT = 0x2000,
	MCFG = 0x3000,
	FADT = 0x4000,
	HPET = 0x5000,
	DSDT = 0x6000,
};

static const struct {
	uint32_t at, len;
	const char *signature;
} layout[] = {
	{XSDT, 36 + 4 * 8, "XSDT"},
	{MADT, 44 + 8 + 12 + 10 + 8 + 8, "APIC"},
	{MCFG, 44 + 16, "MCFG"},
	{FADT, 244, "FACP"},
	{HPET, 56, "HPET"},
	{DSDT, 36 + 16, "DSDT"},
};

static void fix_sums(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(layout); i++)
		fix_sum(layout[i].at, layout[i].len, 9);
}

static void build_madt(void)
{
	uint32_t at = MADT + 44;

	put(MADT + 36, 0xfee00000, 4);
	/* CPU 0, enabled; IOAPIC 7; ISA 9 is level, low on 20; CPU 2, enabled;
	 * CPU 5, not enabled. */
	memcpy(memory + at, "\0\10\0\0\1\0\0\0", 8);
	memcpy(memory + at + 8, "\1\14\7\0\0\0\300\376\0\0\0\0", 12);
	memcpy(memory + at + 20, "\2\12\0\11\24\0\0\0\17\0", 10);
	memcpy(memory + at + 30, "\0\10\1\2\1\0\0\0", 8);
	memcpy(memory + at + 38, "\0\10\2\5\0\0\0\0", 8);
}

static void build(void)
{
	static const uint8_t s5[] = {0x10, 0x0a, '_', 'S', '5', 0x08, '_', 'S',
		'5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x00};

	memset(memory, 0, sizeof(memory));
	memcpy(memory + RSDP, "RSD PTR ", 8);
	memory[RSDP + 15] = 2;
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, XSDT, 8);
	fix_sum(RSDP, 20, 8);
	fix_sum(RSDP, 36, 32);
	for (unsigned i = 0; i < ARRAY_SIZE(layout); i++) {
		memcpy(memory + layout[i].at, layout[i].signature, 4);
		put(layout[i].at + 4, layout[i].len, 4);
		if (i >= 1 && i <= 4)
			put(XSDT + 36 + (i - 1) * 8, layout[i].at, 8);
	}
	build_madt();
	put(MCFG + 44, 0xb0000000, 8);
	memory[MCFG + 55] = 255;
	put(FADT + 40, DSDT, 4);
	put(FADT + 64, 0x604, 4);
	put(FADT + 112, 1 << 10, 4);
	memory[FADT + 116] = 1;
	put(FADT + 120, 0xcf9, 8);
	memory[FADT + 128] = 15;
	put(HPET + 44, 0xfed00000, 8);
	memcpy(memory + DSDT + 36, s5, sizeof(s5));
	fix_sums();
}

static void sound_tables_are_understood(void **unused)
{
	const struct acpi_machine *m = &acpi_machine;
	uint32_t len;

	(void)unused;
	build();
	for (unsigned searched = 0; searched < 2; searched++) {
		forget();
		acpi_init(searched ? 0 : RSDP);
		assert_int_equal(m->ncpus, 2);
		assert_int_equal(m->apic_ids[0], 2);
		assert_int_equal(m->apic_ids[1], 0);
		assert_int_equal(m->lapic, 0xfee00000);
		assert_int_equal(m->nioapics, 1);
		assert_int_equal(m->ioapics[0].id, 7);
		assert_int_equal(m->ioapics[0].base, 0xfec00000);
		assert_int_equal(m->isa[9].gsi, 20);
		assert_true(m->isa[9].level && m->isa[9].active_low);
		assert_int_equal(m->isa[4].gsi, 4);
		assert_false(m->isa[4].level || m->isa[4].active_low);
		assert_int_equal(m->necam, 1);
		assert_int_equal(m->ecam[0].base, 0xb0000000);
		assert_int_equal(m->ecam[0].last_bus, 255);
		assert_int_equal(m->pm1a_control, 0x604);
		assert_int_equal(m->reset_port, 0xcf9);
		assert_int_equal(m->reset_value, 15);
		assert_int_equal(m->hpet, 0xfed00000);
		assert_true(m->s5_known);
		assert_int_equal(m->s5_type_a, 5);
		assert_int_equal(m->s5_type_b, 0);
	}
	assert_non_null(acpi_table("MCFG", &len));
	assert_int_equal(len, 60);
	assert_null(acpi_table("DMAR", &len));
	forget();
}

static void machine_without_tables_has_one_cpu(void **unused)
{
	(void)unused;
	memset(memory, 0, sizeof(memory));
	forget();
	acpi_init(0);
	assert_int_equal(acpi_machine.ncpus, 1);
	assert_int_equal(acpi_machine.apic_ids[0], 2);
	assert_int_equal(acpi_machine.nioapics, 1);
	assert_int_equal(acpi_machine.necam, 0);
	assert_false(acpi_machine.s5_known);
	forget();
}

static void table_with_a_wrong_sum_is_not_used(void **unused)
{
	uint32_t len;

	(void)unused;
	build();
	memory[HPET + 44] ^= 0x10;
	forget();
	acpi_init(RSDP);
	assert_null(acpi_table("HPET", &len));
	assert_int_equal(acpi_machine.hpet, 0);
	forget();
}

static void damage(void)
{
	unsigned table = draw(ARRAY_SIZE(layout));
	uint32_t at = layout[table].at;

	for (unsigned n = 1 + draw(4); n; n--)
		memory[at + 4 + draw(layout[table].len - 4)] =
			draw(2) ? (uint8_t)draw(256) : (uint8_t)draw(20);
	if (draw(2))
		put(at + 4, 36 + draw(layout[table].len), 4);
	/* With the length that the table claims, if it can be. */
	if (get32(memory + at + 4) >= 36 && get32(memory + at + 4) < 0x1000)
		fix_sum(at, get32(memory + at + 4), 9);
}

static void damaged_tables_are_survived(void **unused)
{
	const struct acpi_machine *m = &acpi_machine;

	(void)unused;
	for (unsigned round = 0; round < 6000; round++) {
		build();
		damage();
		if (draw(2))
			damage();
		forget();
		acpi_init(draw(8) ? RSDP : draw(MEMORY_SIZE));
		assert_true(m->ncpus >= 1 && m->ncpus <= 32);
		assert_int_equal(m->apic_ids[0], 2);
		assert_true(m->nioapics <= ARRAY_SIZE(m->ioapics));
		assert_true(m->necam <= ARRAY_SIZE(m->ecam));
		assert_true(m->s5_type_a < 8 && m->s5_type_b < 8);
	}
	forget();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_tables_are_understood),
		cmocka_unit_test(machine_without_tables_has_one_cpu),
		cmocka_unit_test(table_with_a_wrong_sum_is_not_used),
		cmocka_unit_test(damaged_tables_are_survived),
	};

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
