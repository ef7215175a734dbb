/* SPDX-License-Identifier: MIT */
/*
 * Starting the other CPUs, one after the other (SDM 3A 8.4.4): INIT to each,
 * 10 ms for all of them, then a start-up message to each. smp_expected names
 * the CPU whose turn it is; that CPU takes it by clearing it, which also tells
 * the boot CPU that stack and struct cpu are in use. One that does not come in
 * time loses its turn, and halts should it come later.
 */
#include "acpi/acpi.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/local.h"
#include "cpu/time.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/sched.h"

#define SMP_EXPECTED (1ull << 32) /* | APIC id; trampoline.S knows it */
#define STACK_ORDER 2
#define START_TIMEOUT_NS (200 * NS_PER_MS)

volatile uint64_t smp_expected;
uint64_t smp_stack;
struct cpu *smp_cpu;

extern char trampoline_start[], trampoline_end[], trampoline_gdt_base[],
	trampoline_far32[], trampoline_far64[], trampoline_cr3[],
	trampoline_efer[], trampoline_entry[], trampoline_code32[],
	trampoline_code64[], trampoline_gdt[], ap_entry[], boot_pml4[];

void smp_cpu_start(struct cpu *c) NORETURN;

/* The new CPU, on its own stack, with interrupts off. */
void smp_cpu_start(struct cpu *c)
{
	cpu_init_this(c);
	lapic_enable_this();
	__atomic_store_n(&c->online, true, __ATOMIC_RELEASE);
	sched_start_cpu();
}

static void patch(char *page, const char *where, uint32_t v)
{
	memcpy(page + (where - trampoline_start), &v, sizeof(v));
}

static void write_trampoline(void)
{
	char *page = phys_to_virt(phys(boot_info.low_page));
	uint32_t base = boot_info.low_page;
	uint64_t entry = (uint64_t)ap_entry;

	memcpy(page, trampoline_start, trampoline_end - trampoline_start);
	patch(page, trampoline_gdt_base,
		base + (trampoline_gdt - trampoline_start));
	patch(page, trampoline_far32,
		base + (trampoline_code32 - trampoline_start));
	patch(page, trampoline_far64,
		base + (trampoline_code64 - trampoline_start));
	patch(page, trampoline_cr3, (uint32_t)(uint64_t)boot_pml4);
	/* All but LMA, which is the CPU's to set. */
	patch(page, trampoline_efer, rdmsr(MSR_EFER) & ~0x400ull);
	memcpy(page + (trampoline_entry - trampoline_start), &entry, 8);
}

static bool wait_taken(uint64_t ns)
{
	uint64_t end = time_ns() + ns;

	while (smp_expected && time_ns() < end)
		cpu_relax();
	return !smp_expected;
}

/* Two start-up messages, the second only where the first did nothing. Returns
 * whether the CPU took its turn. */
static bool call_cpu(uint32_t apic_id)
{
	uint32_t command = ICR_STARTUP | (uint32_t)(boot_info.low_page >> 12);
	uint64_t expected = SMP_EXPECTED | apic_id;

	__atomic_store_n(&smp_expected, expected, __ATOMIC_SEQ_CST);
	lapic_command(apic_id, command);
	if (wait_taken(NS_PER_MS))
		return true;
	lapic_command(apic_id, command);
	if (wait_taken(START_TIMEOUT_NS))
		return true;
	return !__atomic_compare_exchange_n(&smp_expected, &expected, 0, false,
		__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void start_cpu(uint32_t apic_id)
{
	struct cpu *c = cpu_create(cpu_count, apic_id);
	char *stack = pages_alloc(STACK_ORDER);

	if (!c || !stack) {
		kprintf("smp: no memory for CPU %u\n", apic_id);
		goto fail;
	}
	smp_stack = (uint64_t)stack + (PAGE_SIZE << STACK_ORDER);
	c->kernel_stack = smp_stack;
	smp_cpu = c;
	cpus[cpu_count] = c;
	if (!call_cpu(apic_id)) {
		kprintf("smp: CPU with APIC id %u did not start\n", apic_id);
		cpus[cpu_count] = NULL;
		goto fail;
	}
	/* From here on it runs our code, which has nothing to wait for. */
	while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE))
		cpu_relax();
	__atomic_store_n(&cpu_count, cpu_count + 1, __ATOMIC_RELEASE);
	return;
fail:
	if (stack)
		pages_free(stack, STACK_ORDER);
	if (c)
		cpu_destroy(c);
}

void smp_start(void)
{
	char option[16];
	unsigned n = acpi_machine.ncpus;

	if (boot_option("nosmp", option, sizeof(option)))
		n = 1;
	if (n > 1 && !boot_info.low_page) {
		kprintf("smp: no page below 640 KiB, one CPU only\n");
		n = 1;
	}
	if (n > 1) {
		write_trampoline();
		for (unsigned i = 1; i < n; i++)
			lapic_command(acpi_machine.apic_ids[i],
				ICR_INIT | ICR_ASSERT);
		delay_us(10000);
	}
	for (unsigned i = 1; i < n; i++)
		start_cpu(acpi_machine.apic_ids[i]);
	kprintf("smp: %u CPU%s\n", cpu_count, cpu_count > 1 ? "s" : "");
}
