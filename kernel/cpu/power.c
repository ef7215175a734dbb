/* SPDX-License-Identifier: MIT */
/* Stopping CPUs; turning the machine off and on again. */
#include "acpi/acpi.h"
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/irq.h"
#include "cpu/local.h"
#include "cpu/serial.h"
#include "lib/print.h"

#define PM1_SLEEP_ENABLE 0x2000
#define PM1_SCI_ENABLE 1
#define MAX_POLLS 3000000

volatile bool cpus_stopping;
static volatile unsigned stopped;
static void (*last_act)(void); /* the boot CPU's, before it stops */

static void act_last(void);

/* The boot CPU stays awake: a CPU that panics later may have an act for it. */
void stop_this_cpu(void)
{
	bool boot = this_cpu()->id == 0;

	__asm__ volatile("cli");
	if (!boot || !__atomic_load_n(&last_act, __ATOMIC_ACQUIRE))
		__atomic_fetch_add(&stopped, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		if (!boot)
			__asm__ volatile("hlt");
		else if (__atomic_load_n(&last_act, __ATOMIC_ACQUIRE))
			act_last();
		cpu_relax();
	}
}

/* Who goes on alone: the first to be named. Returns who that is. */
static uint32_t name_survivor(uint32_t id)
{
	static uint32_t survivor; /* id + 1 */
	uint32_t none = 0;

	if (__atomic_compare_exchange_n(&survivor, &none, id + 1, false,
		    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return id;
	return none - 1;
}

static void tell_others(void)
{
	cpus_stopping = true;
	if (cpu_count > 1)
		lapic_command(0, ICR_ALL_OTHERS | ICR_ASSERT | ICR_NMI);
}

/* Whoever is stopped may hold the console's lock. */
static void wait_stopped(void)
{
	for (unsigned i = 0; i < MAX_POLLS; i++) {
		if (stopped >= cpu_count - 1)
			break;
		cpu_relax();
	}
	serial_ignore_locks();
}

/* The first CPU to come here goes on alone; one that comes later stops. */
void stop_other_cpus(void)
{
	static bool told; /* the survivor's */

	if (name_survivor(this_cpu()->id) != this_cpu()->id)
		stop_this_cpu();
	if (told)
		return;
	told = true;
	tell_others();
	wait_stopped();
}

/* INIT leaves the others as a reset does, so that no code needs to stay for
 * them to stand in. It would reset the boot CPU, which therefore has to be the
 * one that goes on (SDM 3A 8.4.2). */
static void act_last(void)
{
	void (*act)(void) = last_act;

	wait_stopped();
	for (unsigned i = 1; i < cpu_count; i++)
		lapic_command(cpus[i]->apic_id, ICR_INIT | ICR_ASSERT);
	last_act = NULL; /* should it end in a panic */
	lapic_timer_start(0);
	ioapic_silence();
	act();
	stop_this_cpu();
}

void machine_leave(void (*last)(void))
{
	static uint32_t wanted;
	uint32_t survivor;

	__asm__ volatile("cli");
	survivor = name_survivor(0);
	if ((survivor == 0 || survivor == this_cpu()->id) &&
		!__atomic_exchange_n(&wanted, 1, __ATOMIC_ACQ_REL)) {
		__atomic_store_n(&last_act, last, __ATOMIC_RELEASE);
		tell_others();
	}
	stop_this_cpu();
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
