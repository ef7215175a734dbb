/* SPDX-License-Identifier: MIT */
/* What an exception, interrupt or system call saves on the kernel stack, and
 * where the common entry code calls the rest of the kernel. */
#ifndef CPU_TRAP_H
#define CPU_TRAP_H

#include "lib/types.h"

/* The same layout for interrupts, exceptions and system calls; it lies at the
 * top of the thread's kernel stack when entered from user mode. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector; /* 0-255; VECTOR_SYSCALL for a system call */
	uint64_t error;  /* exception error code; system call: its number */
	uint64_t rip, cs, rflags, rsp, ss;
};

#define VECTOR_SYSCALL 0x100

#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_DATA 0x1b
#define SEL_USER_CODE 0x23

static inline bool trap_from_user(const struct trap_frame *f)
{
	return f->cs & 3;
}

/* Leave the kernel for user mode with this frame, which lies at the top of the
 * thread's kernel stack; the stack below it is lost. Whatever the frame says,
 * user mode is where it leads. Interrupts must be off. */
void trap_return(struct trap_frame *f) NORETURN;

/*
 * Called by the entry code, implemented elsewhere:
 *
 * linux_syscall() [linux/table.c] runs with interrupts on and leaves the result
 * in f->rax.
 * proc_user_exception() [proc/] turns an exception from user mode into a
 * signal; interrupts on. `addr` is CR2 for a page fault, else 0.
 * proc_return_to_user() [proc/] runs last on every way out to user mode, with
 * interrupts on: reschedules, delivers signals, stops, exits. Returns with
 * interrupts off.
 * sched_preempt() [proc/] runs after an interrupt that hit kernel mode with
 * interrupts on, when need_resched is set.
 * sched_timer() [proc/] is the timer interrupt (interrupts off).
 */
void linux_syscall(struct trap_frame *f);
void proc_user_exception(struct trap_frame *f, uint64_t addr);
void proc_return_to_user(struct trap_frame *f);
void sched_preempt(void);
void sched_timer(void);

/* A page fault first goes to space_fault() (mem/space.h) with interrupts on. If
 * that cannot resolve it: from user mode proc_user_exception(); from kernel
 * mode inside [user_access_start, user_access_end) the access resumes at
 * user_access_fault with interrupts on (mem/user.S); otherwise panic. */
extern char user_access_start[], user_access_end[], user_access_fault[];

#endif
