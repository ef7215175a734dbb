/* SPDX-License-Identifier: MIT */
/* One struct per CPU, reached through GS in kernel mode. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "lib/types.h"

#define MAX_CPUS 32

struct thread;
struct space;

struct cpu {
	struct cpu *self;      /* offset 0: read through GS */
	uint64_t kernel_stack; /* offset 8: top of the current thread's stack */
	uint64_t user_stack;   /* offset 16: scratch of the syscall entry */
	uint64_t *trap_stack;  /* offset 24: where the TSS has kernel_stack;
				  the way out to user mode copies it */
	uint32_t id;           /* index, 0 = boot CPU */
	uint32_t apic_id;
	int off_depth;     /* nesting of interrupts_off() */
	bool off_were_on;  /* interrupts were on before the outermost */
	bool need_resched; /* set by anyone, read on the way out */
	volatile bool online;
	struct thread *thread; /* running now */
	struct thread *idle;
	struct space *space;      /* whose tables CR3 holds; NULL: kernel's */
	struct space *next_space; /* whose it is about to hold; else space */
	void *arch;               /* GDT, TSS: cpu/ only */
};

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(c));
	return c;
}

extern struct cpu *cpus[MAX_CPUS]; /* by id; NULL beyond cpu_count */
extern unsigned cpu_count;         /* those that came up */

struct cpu_features {
	bool smep, smap, nx, gb_pages, umip, clflushopt, cx16, pge, invpcid;
	bool hypervisor;
	uint8_t phys_bits;
	uint16_t clflush_size;
};
extern struct cpu_features cpu_features;

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline bool interrupts_enabled(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	return flags & 0x200;
}

/* Inter-processor interrupts; `cpu` is an index. The handler runs with
 * interrupts off on the target. */
enum ipi {
	IPI_RESCHEDULE, /* sets need_resched and returns */
	IPI_SHOOTDOWN,  /* calls shootdown_interrupt(), mem/shootdown.h */
	IPI_STOP,       /* panic or power off: never returns */
};
void ipi_send(unsigned cpu, enum ipi what);

/* All CPUs off and the machine with it, or restarted. */
void machine_power_off(void) NORETURN;
void machine_restart(void) NORETURN;

/* The other CPUs stop for good, as after a reset; then the boot CPU calls
 * last(), alone, with interrupts off, on whatever stack it has. Whoever was
 * stopped may hold locks. Once, for a function that does not return. */
void machine_leave(void (*last)(void)) NORETURN;

#endif
