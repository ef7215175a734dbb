/* SPDX-License-Identifier: MIT */
/*
 * Each CPU's descriptor tables and control registers. A CPU's tables and stacks
 * are made before it starts and live as long as the machine runs.
 *
 * Traps that can hit where the stack pointer or GS cannot be trusted (NMI,
 * double fault, machine check, debug) have stacks of their own by IST.
 */
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/local.h"
#include "cpu/trap.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

#define IST_STACK_SIZE 8192
#define CR0_BITS 0x80050033ull /* PG AM WP NE ET MP PE */
#define CR4_PAE 0x20
#define CR4_PGE 0x80
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define CR4_UMIP 0x800
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000
#define EFER_SCE 0x1
#define EFER_NX 0x800
#define GATE_INTERRUPT 0x8e
#define GATE_USER 0xee

/* Interrupt, direction, trap, alignment check, nested task, privilege. */
#define SYSCALL_CLEARED_FLAGS 0x47700

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

struct cpu_arch {
	uint64_t gdt[7];
	uint32_t pad; /* so that rsp[0], at offset 4 of the TSS, is aligned */
	struct tss tss;
};

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

enum {
	IST_NMI = 1,
	IST_DOUBLE_FAULT,
	IST_MACHINE_CHECK,
	IST_DEBUG,
	IST_COUNT
};

struct cpu_memory { /* one allocation per CPU */
	struct cpu cpu;
	struct cpu_arch arch __attribute__((aligned(16)));
	uint8_t ist[IST_COUNT - 1][IST_STACK_SIZE] __attribute__((aligned(16)));
};

struct cpu *cpus[MAX_CPUS];
unsigned cpu_count;
struct cpu_features cpu_features;
bool trap_smap; /* for trap.S */

static struct cpu_memory boot_cpu;
static struct gate idt[256];

#define TRAP_STUB_SIZE 16
extern char trap_stubs[];
extern char trap_syscall_entry[];

static void detect_features(void)
{
	struct cpu_features *f = &cpu_features;
	uint32_t max = cpuid(0, 0).eax, max_ext = cpuid(0x80000000, 0).eax;
	struct cpuid one = cpuid(1, 0), seven = {0}, ext = {0};

	if (max >= 7)
		seven = cpuid(7, 0);
	if (max_ext >= 0x80000001)
		ext = cpuid(0x80000001, 0);
	f->pge = one.edx >> 13 & 1;
	f->cx16 = one.ecx >> 13 & 1;
	f->hypervisor = one.ecx >> 31;
	f->clflush_size = (one.ebx >> 8 & 0xff) * 8;
	f->smep = seven.ebx >> 7 & 1;
	f->invpcid = seven.ebx >> 10 & 1;
	f->smap = seven.ebx >> 20 & 1;
	f->clflushopt = seven.ebx >> 23 & 1;
	f->umip = seven.ecx >> 2 & 1;
	f->nx = ext.edx >> 20 & 1;
	f->gb_pages = ext.edx >> 26 & 1;
	f->phys_bits = 36;
	if (max_ext >= 0x80000008)
		f->phys_bits = cpuid(0x80000008, 0).eax & 0xff;
	f->phys_bits = MIN(f->phys_bits, 52);
	trap_smap = f->smap;
}

static void fill_idt(void)
{
	static const uint8_t ist[32] = {[1] = IST_DEBUG,
		[2] = IST_NMI,
		[8] = IST_DOUBLE_FAULT,
		[18] = IST_MACHINE_CHECK};

	for (unsigned i = 0; i < 256; i++) {
		uint64_t entry = (uint64_t)trap_stubs + i * TRAP_STUB_SIZE;
		bool user = i == 3 || i == 4; /* int3, into */

		idt[i] = (struct gate){
			.offset0 = entry,
			.offset1 = entry >> 16,
			.offset2 = entry >> 32,
			.selector = SEL_KERNEL_CODE,
			.ist = i < 32 ? ist[i] : 0,
			.type = user ? GATE_USER : GATE_INTERRUPT,
		};
	}
}

static void fill_tables(struct cpu_memory *m)
{
	struct cpu_arch *a = &m->arch;
	uint64_t base = (uint64_t)&a->tss;

	a->gdt[1] = 0x00af9b000000ffff; /* kernel code */
	a->gdt[2] = 0x00cf93000000ffff; /* kernel data */
	a->gdt[3] = 0x00cff3000000ffff; /* user data */
	a->gdt[4] = 0x00affb000000ffff; /* user code */
	/* Available 64-bit TSS. */
	a->gdt[5] = (sizeof(a->tss) - 1) | (base & 0xffffff) << 16 |
		0x89ull << 40 | (base >> 24 & 0xff) << 56;
	a->gdt[6] = base >> 32;
	a->tss.io_map = sizeof(a->tss);
	for (unsigned i = 1; i < IST_COUNT; i++)
		a->tss.ist[i - 1] = (uint64_t)m->ist[i - 1] + IST_STACK_SIZE;
	m->cpu.self = &m->cpu;
	m->cpu.arch = a;
	m->cpu.trap_stack =
		(uint64_t *)((char *)&a->tss + offsetof(struct tss, rsp));
}

struct cpu *cpu_create(unsigned id, uint32_t apic_id)
{
	unsigned order = 0;
	struct cpu_memory *m;

	while (PAGE_SIZE << order < sizeof(*m))
		order++;
	m = pages_alloc(order);
	if (!m)
		return NULL;
	fill_tables(m);
	m->cpu.id = id;
	m->cpu.apic_id = apic_id;
	return &m->cpu;
}

void cpu_destroy(struct cpu *c)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < sizeof(struct cpu_memory))
		order++;
	pages_free(container_of(c, struct cpu_memory, cpu), order);
}

static void load_tables(struct cpu *c)
{
	struct cpu_arch *a = c->arch;
	struct table_pointer gdt = {sizeof(a->gdt) - 1, (uint64_t)a->gdt};
	struct table_pointer table = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lgdt %0" ::"m"(gdt));
	__asm__ volatile("pushq %0\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "mov %1, %%eax\n\t"
			 "mov %%eax, %%ds\n\t"
			 "mov %%eax, %%es\n\t"
			 "mov %%eax, %%ss\n\t"
			 "xor %%eax, %%eax\n\t"
			 "mov %%eax, %%fs\n\t"
			 "mov %%eax, %%gs\n\t"
			 "lldt %%ax" ::"i"(SEL_KERNEL_CODE),
			 "i"(SEL_KERNEL_DATA)
			 : "rax", "memory");
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	__asm__ volatile("lidt %0" ::"m"(table));
	__asm__ volatile("ltr %w0" ::"r"(0x28));
}

/*
 * CR4 is written whole. OSXSAVE stays clear: programs then keep to SSE2 and
 * FXSAVE holds all of their registers. FSGSBASE stays clear: the entry code
 * tells the kernel's GS base from a user's by its sign.
 */
/* As after reset, but an entry with PWT alone selects write combining (SDM 3A
 * 11.12): nothing uses write-through. */
#define PAT_WITH_COMBINING 0x0007040600070106ull

static void load_control_registers(void)
{
	const struct cpu_features *f = &cpu_features;
	uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	cr4 |= f->pge ? CR4_PGE : 0;
	cr4 |= f->umip ? CR4_UMIP : 0;
	cr4 |= f->smep ? CR4_SMEP : 0;
	cr4 |= f->smap ? CR4_SMAP : 0;
	__asm__ volatile("mov %0, %%cr0" ::"r"(CR0_BITS) : "memory");
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
	__asm__ volatile("mov %0, %%dr7" ::"r"(0x400ull));
	__asm__ volatile("fninit");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (f->nx ? EFER_NX : 0));
	wrmsr(MSR_PAT, PAT_WITH_COMBINING);
}

void cpu_init_this(struct cpu *c)
{
	load_tables(c);
	load_control_registers();
	wrmsr(MSR_SYSENTER_CS, 0);
	wrmsr(MSR_STAR,
		(uint64_t)(SEL_USER_DATA - 8) << 48 |
			(uint64_t)SEL_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)trap_syscall_entry);
	wrmsr(MSR_SFMASK, SYSCALL_CLEARED_FLAGS);
}

void cpu_boot_init(void)
{
	boot_cpu.cpu.self = &boot_cpu.cpu;
	cpus[0] = &boot_cpu.cpu;
	cpu_count = 1;
	wrmsr(MSR_GS_BASE, (uint64_t)&boot_cpu.cpu);
}

void cpu_early(void)
{
	extern char boot_stack_top[];

	detect_features();
	fill_idt();
	fill_tables(&boot_cpu);
	boot_cpu.cpu.kernel_stack = (uint64_t)boot_stack_top;
	boot_cpu.cpu.online = true;
	cpu_init_this(&boot_cpu.cpu);
	/* Every page is writable or executable, never both. */
	if (!cpu_features.nx)
		panic("this CPU has no NX (firmware may have switched execute "
		      "disable off)");
}
