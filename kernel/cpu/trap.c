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

#define FLAG_IF 0x200
#define FLAG_TF 0x100
#define FLAG_RF 0x10000
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

/* Frames come from signal returns too: nothing in them may give a program
 * rights, nor make the IRETQ itself fault. */
static void leave_to_user(struct trap_frame *f)
{
	for (;;) {
		enable();
		proc_return_to_user(f);
		if (f->rip >> 47 == 0)
			break;
		f->vector = TRAP_PROTECTION;
		f->error = 0;
		enable();
		proc_user_exception(f, 0);
	}
	f->cs = SEL_USER_CODE;
	f->ss = SEL_USER_DATA;
	f->rflags = (f->rflags & USER_FLAGS) | FLAG_IF | 2;
}

static int resolve_fault(uint64_t addr, uint64_t error)
{
	struct space *s = this_cpu()->space;
	int result;

	enable();
	result = s ? space_fault(s, addr, error) : -EFAULT;
	disable();
	return result;
}

static void user_exception(struct trap_frame *f)
{
	uint64_t addr = 0;

	if (f->vector == TRAP_PAGE_FAULT) {
		int error;

		addr = fault_address();
		error = resolve_fault(addr, f->error);
		if (!error)
			return;
		f->error |= (uint64_t)-error << 32;
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
		stop_this_cpu();
	case VECTOR_SPURIOUS:
		break; /* never acknowledged: SDM 3A 10.9 */
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
