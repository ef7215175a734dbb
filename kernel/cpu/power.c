/* SPDX-License-Identifier: MIT */
/* Stopping CPUs; turning the machine off and on again. */
#include "acpi/acpi.h"
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/local.h"
#include "cpu/serial.h"
#include "lib/print.h"

#define PM1_SLEEP_ENABLE 0x2000
#define PM1_SCI_ENABLE 1
#define MAX_POLLS 3000000

volatile bool cpus_stopping;
static volatile unsigned stopped;

void stop_this_cpu(void)
{
	__atomic_fetch_add(&stopped, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* The first CPU to come here goes on alone; one that comes later stops. Whoever
 * is stopped may hold the console's lock. */
void stop_other_cpus(void)
{
	static uint32_t survivor; /* id + 1 */
	uint32_t none = 0, self = this_cpu()->id + 1;

	if (!__atomic_compare_exchange_n(&survivor, &none, self, false,
		    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (none == self)
			return;
		stop_this_cpu();
	}
	cpus_stopping = true;
	if (cpu_count > 1)
		lapic_command(0, ICR_ALL_OTHERS | ICR_ASSERT | ICR_NMI);
	for (unsigned i = 0; i < MAX_POLLS; i++) {
		if (stopped >= cpu_count - 1)
			break;
		cpu_relax();
	}
	serial_ignore_locks();
}

/* Firmware hands power management over when told to (ACPI 6.5, 4.8.2.5). */
static void acpi_enable(void)
{
	const struct acpi_machine *m = &acpi_machine;

	if (!m->smi_command || !m->acpi_enable ||
		inw(m->pm1a_control) & PM1_SCI_ENABLE)
		return;
	outb(m->smi_command, m->acpi_enable);
	for (unsigned i = 0; i < MAX_POLLS; i++)
		if (inw(m->pm1a_control) & PM1_SCI_ENABLE)
			return;
}

static void acpi_power_off(void)
{
	const struct acpi_machine *m = &acpi_machine;
	uint16_t keep;

	if (!m->pm1a_control || !m->s5_known)
		return;
	acpi_enable();
	keep = inw(m->pm1a_control) & ~(7 << 10);
	outw(m->pm1a_control,
		keep | (m->s5_type_a & 7) << 10 | PM1_SLEEP_ENABLE);
	if (m->pm1b_control) {
		keep = inw(m->pm1b_control) & ~(7 << 10);
		outw(m->pm1b_control,
			keep | (m->s5_type_b & 7) << 10 | PM1_SLEEP_ENABLE);
	}
	for (unsigned i = 0; i < MAX_POLLS; i++)
		cpu_relax();
}

void machine_power_off(void)
{
	__asm__ volatile("cli");
	stop_other_cpus();
	acpi_power_off();
	/* QEMU's q35, if its tables could not be read. */
	if (cpu_features.hypervisor)
		outw(0x604, PM1_SLEEP_ENABLE);
	kprintf("The machine cannot turn itself off. It is stopped.\n");
	stop_this_cpu();
}

void machine_restart(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	__asm__ volatile("cli");
	stop_other_cpus();
	if (acpi_machine.reset_port)
		outb(acpi_machine.reset_port, acpi_machine.reset_value);
	for (unsigned i = 0; i < MAX_POLLS / 30; i++)
		cpu_relax();
	outb(0xcf9, 0x02); /* the chipset's reset control: hard reset */
	outb(0xcf9, 0x06);
	for (unsigned i = 0; i < MAX_POLLS / 30; i++)
		cpu_relax();
	/* No handler for the next exception: the CPU shuts down. */
	__asm__ volatile("lidt %0; int3" ::"m"(no_idt));
	stop_this_cpu();
}
