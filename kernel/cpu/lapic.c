/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of each CPU (SDM 3A chapter 10): through its registers in
 * memory, or through MSRs where firmware left it in x2APIC mode, which cannot
 * be left again without a reset.
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

#define REG_ID 0x20
#define REG_TPR 0x80
#define REG_EOI 0xb0
#define REG_SPURIOUS 0xf0
#define REG_IN_SERVICE 0x100 /* to 0x170: a bit for each vector */
#define REG_ESR 0x280
#define REG_LVT_CMCI 0x2f0
#define REG_ICR 0x300
#define REG_ICR_HIGH 0x310
#define REG_LVT_TIMER 0x320
#define REG_LVT_THERMAL 0x330
#define REG_LVT_PERF 0x340
#define REG_LVT_LINT0 0x350
#define REG_LVT_LINT1 0x360
#define REG_LVT_ERROR 0x370
#define REG_TIMER_INITIAL 0x380
#define REG_TIMER_CURRENT 0x390
#define REG_TIMER_DIVIDE 0x3e0

#define BASE_ENABLE 0x800
#define BASE_X2APIC 0x400
#define SOFTWARE_ENABLE 0x100
#define LVT_MASKED 0x10000
#define LVT_NMI 0x400
#define LVT_EXTERNAL 0x700
#define ICR_PENDING 0x1000
#define DIVIDE_BY_16 3

/* Commands are accepted in microseconds; see the SDM on delivery status. */
#define MAX_POLLS 1000000

static volatile char *registers; /* NULL in x2APIC mode */

static uint32_t read_reg(unsigned reg)
{
	if (!registers)
		return (uint32_t)rdmsr(0x800 + reg / 16);
	return mmio_read32(registers + reg);
}

static void write_reg(unsigned reg, uint32_t v)
{
	if (!registers)
		wrmsr(0x800 + reg / 16, v);
	else
		mmio_write32(registers + reg, v);
}

void lapic_init(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if (!(base & BASE_X2APIC)) {
		registers = kernel_map_device(
			phys(base & 0xffffffffff000ull), PAGE_SIZE);
		if (!registers)
			panic("no memory to map the local APIC");
	}
	lapic_enable_this();
	cpus[0]->apic_id = lapic_id();
}

/* Other CPUs come up in the mode of reset, not in the boot CPU's. */
void lapic_enable_this(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (!registers)
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	/* Vectors below 32 are exceptions: a message with one of them, forged
	 * by the owner of a device, never gets through. */
	write_reg(REG_TPR, 0x10);
	write_reg(REG_SPURIOUS, SOFTWARE_ENABLE | VECTOR_SPURIOUS);
	write_reg(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	write_reg(REG_LVT_LINT0, LVT_MASKED | LVT_EXTERNAL);
	write_reg(REG_LVT_LINT1, LVT_NMI);
	write_reg(REG_LVT_ERROR, LVT_MASKED);
	write_reg(REG_TIMER_DIVIDE, DIVIDE_BY_16);
	write_reg(REG_LVT_TIMER, VECTOR_TIMER);
	write_reg(REG_EOI, 0);
}

uint32_t lapic_id(void)
{
	uint32_t id = read_reg(REG_ID);

	return registers ? id >> 24 : id;
}

void lapic_eoi(void)
{
	write_reg(REG_EOI, 0);
}

void lapic_eoi_if_real(unsigned vector)
{
	if (read_reg(REG_IN_SERVICE + vector / 32 * 16) >> vector % 32 & 1)
		lapic_eoi();
}

void lapic_timer_start(uint32_t count)
{
	write_reg(REG_TIMER_INITIAL, count);
}

uint32_t lapic_timer_now(void)
{
	return read_reg(REG_TIMER_CURRENT);
}

static void wait_accepted(void)
{
	for (unsigned i = 0; i < MAX_POLLS; i++) {
		if (!(read_reg(REG_ICR) & ICR_PENDING))
			return;
		cpu_relax();
	}
}

/* The two halves of the command register are one command: no interrupt handler
 * of this CPU may come between them. */
void lapic_command(uint32_t apic_id, uint32_t low)
{
	interrupts_off();
	if (!registers) {
		/* WRMSR here is not ordered after earlier stores. */
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(0x800 + REG_ICR / 16, (uint64_t)apic_id << 32 | low);
	} else {
		wait_accepted();
		write_reg(REG_ICR_HIGH, apic_id << 24);
		write_reg(REG_ICR, low);
		wait_accepted();
	}
	interrupts_restore();
}

void ipi_send(unsigned cpu, enum ipi what)
{
	static const uint8_t vectors[] = {[IPI_RESCHEDULE] = VECTOR_RESCHEDULE,
		[IPI_SHOOTDOWN] = VECTOR_SHOOTDOWN,
		[IPI_STOP] = VECTOR_STOP};

	lapic_command(cpus[cpu]->apic_id, ICR_ASSERT | vectors[what]);
}

struct msi_message msi_compose(int vector, unsigned cpu)
{
	uint32_t id = cpus[cpu]->apic_id;

	/* Without remapping a message has room for 8 bits of APIC id; a CPU
	 * beyond gets its interrupts on the boot CPU. */
	if (id > 0xfe)
		id = cpus[0]->apic_id & 0xff;
	return (struct msi_message){0xfee00000 | id << 12, (uint32_t)vector};
}
