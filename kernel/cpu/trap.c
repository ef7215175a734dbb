/* SPDX-License-Identifier: MIT */
/* Exceptions, interrupts and system calls, from trap.S to those who handle
 * them. */
#include "cpu/trap.h"
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "cpu/local.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "mem/shootdown.h"
#include "mem/space.h"
#include "proc/process.h"

#define FLAG_IF 0x200
#define FLAG_TF 0x100
#define FLAG_RF 0x10000
#define FAULT_PRESENT 1
#define FAULT_USER 4
/* What a program may have: the arithmetic flags, TF, DF, RF, AC, ID. */
#define USER_FLAGS 0x250dd5ull

enum {
	TRAP_DEBUG = 1,
	TRAP_NMI = 2,
	TRAP_DOUBLE_FAULT = 8,
	TRAP_STACK = 12,
	TRAP_PROTECTION = 13,
	TRAP_PAGE_FAULT = 14,
	TRAP_MACHINE_CHECK = 18,
	TRAP_FIRST_INTERRUPT = 32,
};

/* trap.S knows these. */
_Static_assert(offsetof(struct cpu, kernel_stack) == 8, "");
_Static_assert(offsetof(struct cpu, user_stack) == 16, "");
_Static_assert(offsetof(struct cpu, trap_stack) == 24, "");
_Static_assert(offsetof(struct trap_frame, vector) == 120, "");
_Static_assert(offsetof(struct trap_frame, cs) == 144, "");
_Static_assert(sizeof(struct trap_frame) == 176, "");

void trap_handle(struct trap_frame *f);
void trap_urgent(struct trap_frame *f);
bool trap_syscall(struct trap_frame *f);
void trap_exit_by(struct trap_frame *f) NORETURN;

static inline void enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static uint64_t fault_address(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static const char *exception_name(uint64_t vector)
{
	static const char *const names[] = {"divide error", "debug trap",
		"non-maskable interrupt", "breakpoint", "overflow",
		"bound range exceeded", "invalid opcode", "no coprocessor",
		"double fault", "coprocessor overrun", "invalid TSS",
		"segment not present", "stack fault", "general protection",
		"page fault", "reserved", "floating-point error",
		"alignment check", "machine check", "SIMD error"};

	return vector < ARRAY_SIZE(names) ? names[vector] : "exception";
}

/* IRETQ faults in the kernel if it is to lead to a non-canonical address: let
 * the program have the fault that it would have there. */
static bool leads_somewhere(struct trap_frame *f)
{
	if (f->rip >> 47 == 0)
		return true;
	f->vector = TRAP_PROTECTION;
	f->error = 0;
	enable();
	proc_user_exception(f, 0);
	return false;
}

/* Frames come from signal returns too: nothing in them gives a program more
 * than it has. */
static void force_user_mode(struct trap_frame *f)
{
	f->cs = SEL_USER_CODE;
	f->ss = SEL_USER_DATA;
	f->rflags = (f->rflags & USER_FLAGS) | FLAG_IF | 2;
}

static void leave_to_user(struct trap_frame *f)
{
	do {
		enable();
		proc_return_to_user(f);
	} while (!leads_somewhere(f));
	force_user_mode(f);
}

void trap_return(struct trap_frame *f)
{
	if (leads_somewhere(f))
		force_user_mode(f);
	else
		leave_to_user(f);
	trap_exit_by(f);
}

static int resolve_fault(uint64_t addr, uint64_t error)
{
	struct space *s = this_cpu()->space;
	int result;

	enable();
	do
		result = s ? space_fault(s, addr, error) : -EFAULT;
	while (result == -ENOMEM && oom_relieve());
	disable();
	return result;
}

/*
 * An access that the CPU makes for a program but with its own rights (the
 * error code says "supervisor"). Where the page is missing it is resolved as
 * the program's. Where it is present the CPU forbids itself to touch it (SMAP),
 * and would for ever: QEMU's far return does so with the stack.
 */
static bool supervisor_access(struct trap_frame *f)
{
	if (f->error & FAULT_USER)
		return false;
	if (f->error & FAULT_PRESENT)
		return true;
	f->error |= FAULT_USER;
	return false;
}

static void user_exception(struct trap_frame *f)
{
	uint64_t addr = 0;

	if (f->vector == TRAP_PAGE_FAULT) {
		addr = fault_address();
		if (supervisor_access(f)) {
			f->vector = TRAP_PROTECTION;
			f->error = addr = 0;
		} else if (!resolve_fault(addr, f->error)) {
			return;
		}
	}
	enable();
	proc_user_exception(f, addr);
	disable();
}

static bool in_user_access(const struct trap_frame *f)
{
	return f->rip >= (uint64_t)user_access_start &&
		f->rip < (uint64_t)user_access_end;
}

static void kernel_exception(struct trap_frame *f)
{
	uint64_t addr = fault_address();

	if (in_user_access(f)) {
		if (f->vector == TRAP_PAGE_FAULT && f->rflags & FLAG_IF &&
			!resolve_fault(addr, f->error))
			return;
		if (f->vector == TRAP_PAGE_FAULT ||
			f->vector == TRAP_PROTECTION ||
			f->vector == TRAP_STACK) {
			f->rip = (uint64_t)user_access_fault;
			return;
		}
	}
	panic_trap(f, exception_name(f->vector));
}

static void interrupt(unsigned vector)
{
	switch (vector) {
	case VECTOR_TIMER:
		lapic_eoi();
		clock_interrupt();
		break;
	case VECTOR_RESCHEDULE:
		this_cpu()->need_resched = true;
		lapic_eoi();
		break;
	case VECTOR_SHOOTDOWN:
		lapic_eoi();
		shootdown_interrupt();
		break;
	case VECTOR_STOP:
		if (cpus_stopping)
			stop_this_cpu();
		lapic_eoi(); /* forged by the owner of a device */
		break;
	case VECTOR_SPURIOUS:
		lapic_eoi_if_real(vector);
		break;
	default:
		irq_dispatch(vector);
		break;
	}
}

/* Interrupts are off on entry and exit. */
void trap_handle(struct trap_frame *f)
{
	bool from_user = trap_from_user(f);

	if (f->vector >= TRAP_FIRST_INTERRUPT)
		interrupt(f->vector);
	else if (from_user)
		user_exception(f);
	else
		kernel_exception(f);

	if (from_user)
		leave_to_user(f);
	else if (f->vector >= TRAP_FIRST_INTERRUPT &&
		this_cpu()->need_resched && this_cpu()->off_depth == 0)
		sched_preempt();
}

/* On a stack of its own, possibly inside any other kernel code: no locks. */
void trap_urgent(struct trap_frame *f)
{
	switch (f->vector) {
	case TRAP_NMI:
		if (cpus_stopping)
			stop_this_cpu();
		return;
	case TRAP_DEBUG:
		/* A user's single step that the kernel was entered with. */
		f->rflags &= ~(uint64_t)FLAG_TF;
		return;
	default:
		panic_trap(f, exception_name(f->vector));
	}
}

/* Returns whether SYSRET leads where the frame says. */
bool trap_syscall(struct trap_frame *f)
{
	enable();
	linux_syscall(f);
	leave_to_user(f);
	return f->rcx == f->rip && f->r11 == f->rflags &&
		!(f->rflags & (FLAG_TF | FLAG_RF));
}
