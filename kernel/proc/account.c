/* SPDX-License-Identifier: MIT */
/*
 * Whose time it was. A thread's time is cut into stretches, at the borders of
 * the kernel and at each switch; every stretch is charged to the mode it was
 * spent in. The process hears of it when the thread is switched away from, or
 * when somebody asks, so that a system call does not touch what other CPUs
 * share.
 */
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "proc/sched.h"
#include "proc/thread.h"

/* Each written by its CPU alone. */
static struct cpu_times times[MAX_CPUS];

/* The stretch that ends now. Interrupts off. */
static void charge(struct thread *t, uint64_t now)
{
	const struct cpu *cpu = this_cpu();
	uint64_t spent = now - t->stamp;

	t->stamp = now;
	if (t == cpu->idle) {
		times[cpu->id].idle_ns += spent;
	} else if (t->in_kernel || !t->process) {
		times[cpu->id].system_ns += spent;
		t->system_ns += spent;
	} else {
		times[cpu->id].user_ns += spent;
		t->user_ns += spent;
	}
}

static void tell_process(struct thread *t)
{
	struct process *p = t->process;

	if (!p)
		return;
	__atomic_fetch_add(
		&p->user_ns, t->user_ns - t->told_user_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&p->system_ns, t->system_ns - t->told_system_ns,
		__ATOMIC_RELAXED);
	t->told_user_ns = t->user_ns;
	t->told_system_ns = t->system_ns;
}

void account_switch(struct thread *t, uint64_t now)
{
	charge(t, now);
	tell_process(t);
}

void account_now(void)
{
	struct thread *t;

	interrupts_off();
	t = thread_current();
	account_switch(t, time_ns());
	interrupts_restore();
}

void time_enter_kernel(struct thread *t)
{
	__asm__ volatile("cli" ::: "memory");
	charge(t, time_ns());
	t->in_kernel = true;
	__asm__ volatile("sti" ::: "memory");
}

void time_leave_kernel(struct thread *t)
{
	charge(t, time_ns());
	t->in_kernel = false;
}

struct cpu_times sched_cpu_times(unsigned cpu)
{
	return times[cpu];
}
