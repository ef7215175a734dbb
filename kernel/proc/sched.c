/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: one queue for all CPUs, ordered by virtual run time (how long
 * a thread has run). The thread that has run least goes first. A thread
 * that slept starts a little before the others, so it runs at once when it
 * wakes, however busy the machine is; but not so far before them that a long
 * sleep would let it keep them out.
 *
 * The run queue lock is held across switch_stacks(): the thread that is
 * switched to releases it. So a thread is never seen half switched out. Depth
 * and origin of interrupts_off() belong to a thread and travel with it.
 *
 * Idle CPUs halt. Whoever readies a thread wakes one of them by interrupt, or
 * interrupts the CPU whose thread has run much longer than the new one.
 */
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "proc/ready.h"
#include "proc/sched.h"
#include "proc/thread.h"
#include "proc/timer.h"
#include "proc/wait.h"

/* How far a waking thread is put before the others. */
#define SLEEPER_BONUS_NS (6 * NS_PER_MS)
/* A waking thread interrupts one that has run longer by this much. */
#define WAKE_GRANULARITY_NS (1 * NS_PER_MS)
#define NO_CPU UINT32_MAX

static struct {
	struct spinlock lock;
	struct ready_queue ready;
	unsigned nrunning;
	uint64_t min_vruntime; /* never goes back */
	uint64_t max_vruntime; /* of all that were ready once */
	uint32_t idle;         /* a bit per CPU that halts */
} rq;

/* Guarded by the run queue lock, or by being this CPU's with interrupts off. */
static struct per_cpu {
	uint64_t started; /* when the running thread was switched to */
	uint64_t slice_end;
	uint64_t armed;           /* what clock_next() was last told */
	struct thread *fpu_owner; /* whose FPU state the registers hold */
	struct thread *dead;      /* switched away from for the last time */
} percpu[MAX_CPUS];

static struct thread boot_thread;

struct thread *thread_current(void)
{
	struct thread *t;

	/* One instruction: a thread may move between CPUs at any other. */
	__asm__ volatile("mov %%gs:%c1, %0"
			 : "=r"(t)
			 : "i"(offsetof(struct cpu, thread)));
	return t;
}

/* --- the queue --------------------------------------------------------- */

static void __enqueue(struct thread *t)
{
	ready_add(&rq.ready, t);
	rq.max_vruntime = MAX(rq.max_vruntime, t->vruntime);
}

/* How long the thread that CPU i runs has run; UINT64_MAX: it is idle. */
static uint64_t __running_vruntime(uint32_t i, uint64_t now)
{
	struct cpu *c = cpus[i];

	if (!c || !c->thread || c->thread == c->idle)
		return UINT64_MAX;
	return c->thread->vruntime + (now - percpu[i].started);
}

/* The least vruntime of all who run or want to: where a newcomer starts. */
static void __update_min(uint64_t now)
{
	uint64_t min = UINT64_MAX;

	for (uint32_t i = 0; i < cpu_count; i++)
		min = MIN(min, __running_vruntime(i, now));
	if (rq.ready.first)
		min = MIN(min, rq.ready.first->vruntime);
	if (min != UINT64_MAX && min > rq.min_vruntime)
		rq.min_vruntime = min;
}

/* The CPU that should run t now, or NO_CPU. */
static uint32_t __choose_cpu(const struct thread *t, uint64_t now)
{
	uint32_t idle = rq.idle & t->affinity, me = this_cpu()->id;
	uint64_t worst = t->vruntime + WAKE_GRANULARITY_NS;
	uint32_t best = NO_CPU;

	if (idle) {
		if (idle & 1u << t->last_cpu)
			best = t->last_cpu;
		else if (idle & 1u << me)
			best = me;
		else
			best = __builtin_ctz(idle);
		rq.idle &= ~(1u << best);
		return best;
	}
	for (uint32_t i = 0; i < cpu_count; i++) {
		uint64_t v = __running_vruntime(i, now);

		if (v == UINT64_MAX || v <= worst || cpus[i]->need_resched ||
			!(t->affinity & 1u << i))
			continue;
		worst = v;
		best = i;
	}
	return best;
}

/* Interrupts are off since the CPU was chosen: until it hears of it nobody else
 * will choose it. */
static void kick(uint32_t cpu)
{
	if (cpu == NO_CPU)
		return;
	cpus[cpu]->need_resched = true;
	if (cpu != this_cpu()->id)
		ipi_send(cpu, IPI_RESCHEDULE);
}

static uint32_t __make_ready(struct thread *t)
{
	uint64_t now;

	t->state = THREAD_READY;
	if (t->on_cpu) /* it has not gone to sleep yet, and will not */
		return NO_CPU;
	now = time_ns();
	__update_min(now);
	if (t->vruntime + SLEEPER_BONUS_NS < rq.min_vruntime)
		t->vruntime = rq.min_vruntime - SLEEPER_BONUS_NS;
	__enqueue(t);
	return __choose_cpu(t, now);
}

void sched_wake(struct thread *t)
{
	uint32_t cpu = NO_CPU;

	interrupts_off();
	spin_lock(&rq.lock);
	if (t->state == THREAD_SLEEPING)
		cpu = __make_ready(t);
	spin_unlock(&rq.lock);
	kick(cpu);
	interrupts_restore();
}

void sched_interrupt(struct thread *t, bool kill)
{
	uint32_t cpu = NO_CPU;

	interrupts_off();
	spin_lock(&rq.lock);
	if (t->state == THREAD_SLEEPING) {
		if (t->sleep_how == WAIT_INTERRUPTIBLE ||
			(kill && t->sleep_how == WAIT_KILLABLE))
			cpu = __make_ready(t);
	} else if (t->on_cpu && t != thread_current()) {
		cpu = t->last_cpu;
	}
	spin_unlock(&rq.lock);
	kick(cpu);
	interrupts_restore();
}

void sched_start(struct thread *t)
{
	uint64_t now = time_ns();
	uint32_t cpu;

	interrupts_off();
	spin_lock(&rq.lock);
	__update_min(now);
	/* Whoever starts many threads must not push the others aside. */
	t->vruntime = rq.min_vruntime + WAKE_GRANULARITY_NS;
	t->state = THREAD_READY;
	__enqueue(t);
	cpu = __choose_cpu(t, now);
	spin_unlock(&rq.lock);
	kick(cpu);
	interrupts_restore();
}

/* --- switching --------------------------------------------------------- */

static void fpu_leave(struct thread *t)
{
	if (t->process && t->state != THREAD_DEAD)
		__asm__ volatile("fxsave64 %0" : "=m"(t->fpu));
}

/* The registers may still hold the thread's state from the last time. */
static void fpu_enter(struct thread *t, uint32_t cpu)
{
	if (percpu[cpu].fpu_owner == t && t->fpu_cpu == cpu)
		return;
	__asm__ volatile("fxrstor64 %0" ::"m"(t->fpu));
	percpu[cpu].fpu_owner = t;
	t->fpu_cpu = cpu;
}

static void rearm(struct per_cpu *pc, uint64_t deadline)
{
	pc->armed = deadline;
	clock_next(deadline);
}

/* A timer of this CPU was set (interrupts off). The clock is never moved to
 * later than needed: an interrupt for nothing is cheaper than programming it
 * on every switch. */
void sched_timer_changed(uint64_t deadline)
{
	struct per_cpu *pc = &percpu[this_cpu()->id];

	if (deadline < pc->armed)
		rearm(pc, deadline);
}

static void check_stack(const struct thread *t)
{
	if (t->stack && *(uint64_t *)t->stack != STACK_GUARD)
		panic("kernel stack of thread %d overflowed", t->tid);
}

/* Everything of a CPU that belongs to the thread it runs. */
static void __load(struct cpu *cpu, struct thread *next, uint64_t now)
{
	struct per_cpu *pc = &percpu[cpu->id];

	cpu->thread = next;
	next->on_cpu = true;
	next->stamp = now;
	pc->started = now;
	if (next == cpu->idle)
		return;
	if (next->process) {
		fpu_enter(next, cpu->id);
		thread_load_bases(next);
		cpu->kernel_stack = (uint64_t)next->stack + KERNEL_STACK_SIZE;
		if (cpu->space != next->space)
			space_switch(next->space);
	}
	next->last_cpu = cpu->id;
	pc->slice_end = now + SLICE_NS;
	if (pc->slice_end < pc->armed)
		rearm(pc, pc->slice_end);
}

/* On the stack of the thread that runs now, which holds the lock. */
static void finish_switch(void)
{
	struct per_cpu *pc = &percpu[this_cpu()->id];
	struct thread *dead = pc->dead;

	pc->dead = NULL;
	spin_unlock(&rq.lock);
	if (dead)
		thread_free(dead);
}

static void __leave(struct thread *prev, uint64_t now)
{
	struct per_cpu *pc = &percpu[this_cpu()->id];

	check_stack(prev);
	account_switch(prev, now);
	prev->on_cpu = false;
	prev->vruntime += now - pc->started;
	pc->started = now;
}

void schedule(void)
{
	struct cpu *cpu;
	struct thread *prev, *next;
	uint64_t now;
	bool were_on;
	int depth;

	spin_lock(&rq.lock);
	cpu = this_cpu();
	prev = cpu->thread;
	now = time_ns();
	cpu->need_resched = false;
	__leave(prev, now);
	if (prev->state == THREAD_READY && prev != cpu->idle) {
		__enqueue(prev);
		/* One that may no longer run here, perhaps where all idle. */
		if (!(prev->affinity & 1u << cpu->id))
			kick(__choose_cpu(prev, now));
	}
	next = ready_take(&rq.ready, cpu->id);
	if (!next) {
		next = cpu->idle;
		rq.idle |= 1u << cpu->id;
	} else {
		rq.idle &= ~(1u << cpu->id);
	}
	if (next == prev) {
		prev->on_cpu = true;
		percpu[cpu->id].slice_end = now + SLICE_NS;
		spin_unlock(&rq.lock);
		return;
	}
	rq.nrunning += (prev == cpu->idle) - (next == cpu->idle);
	fpu_leave(prev);
	if (prev->state == THREAD_DEAD && prev != &boot_thread)
		percpu[cpu->id].dead = prev;
	depth = cpu->off_depth;
	were_on = cpu->off_were_on;
	__load(cpu, next, now);
	switch_stacks(&prev->sp, next->sp);

	/* Another CPU, perhaps, and much later. */
	cpu = this_cpu();
	cpu->off_depth = depth;
	cpu->off_were_on = were_on;
	finish_switch();
}

/* First C code of a new thread (switch.S), with the lock of the switch. */
void thread_begin(void)
{
	struct cpu *cpu = this_cpu();
	struct thread *t = cpu->thread;

	cpu->off_depth = 1;
	cpu->off_were_on = true;
	finish_switch();
	t->entry(t->entry_arg);
	sched_thread_exit();
}

void sched_thread_exit(void)
{
	interrupts_off();
	thread_current()->state = THREAD_DEAD;
	schedule();
	panic("a dead thread ran again");
}

void sched_prepare_sleep(struct thread *t, unsigned how)
{
	spin_lock(&rq.lock);
	t->sleep_how = how;
	t->state = THREAD_SLEEPING;
	spin_unlock(&rq.lock);
}

void sched_cancel_sleep(struct thread *t)
{
	spin_lock(&rq.lock);
	t->state = THREAD_READY;
	spin_unlock(&rq.lock);
}

void sched_set_affinity(struct thread *t, uint32_t mask)
{
	uint32_t cpu = NO_CPU;
	bool must_move;

	interrupts_off();
	spin_lock(&rq.lock);
	t->affinity = mask;
	must_move = t->on_cpu && !(mask & 1u << t->last_cpu);
	if (t->state == THREAD_READY && !t->on_cpu)
		cpu = __choose_cpu(t, time_ns());
	else if (must_move && t != thread_current())
		cpu = t->last_cpu;
	spin_unlock(&rq.lock);
	kick(cpu);
	interrupts_restore();
	if (must_move && t == thread_current())
		schedule();
}

void sched_yield(void)
{
	struct thread *t = thread_current();

	spin_lock(&rq.lock);
	if (rq.ready.first) /* behind everyone who waits */
		t->vruntime = rq.max_vruntime;
	spin_unlock(&rq.lock);
	schedule();
}

void sched_breathe(void)
{
	if (this_cpu()->need_resched && interrupts_enabled())
		schedule();
}

unsigned sched_runnable(void)
{
	return rq.ready.count + rq.nrunning;
}

/* --- what the entry code calls ----------------------------------------- */

void sched_preempt(void)
{
	if (this_cpu()->thread)
		schedule();
}

void sched_timer(void)
{
	struct cpu *cpu = this_cpu();
	struct per_cpu *pc = &percpu[cpu->id];
	uint64_t now = time_ns(), next;

	pc->armed = UINT64_MAX;
	ktimer_run(now);
	next = ktimer_next();
	if (cpu->thread && cpu->thread != cpu->idle) {
		if (now >= pc->slice_end) {
			pc->slice_end = now + SLICE_NS;
			if (rq.ready.count)
				cpu->need_resched = true;
		}
		next = MIN(next, pc->slice_end);
	}
	if (next < pc->armed)
		rearm(pc, next);
}

/* --- starting ---------------------------------------------------------- */

static void idle_loop(void *unused)
{
	(void)unused;
	for (;;) {
		__asm__ volatile("cli");
		if (this_cpu()->need_resched) {
			__asm__ volatile("sti");
			schedule();
		} else {
			/* No interrupt fits between these two. */
			__asm__ volatile("sti; hlt");
		}
	}
}

static void idle_create(struct cpu *cpu)
{
	struct thread *t = thread_create(NULL, idle_loop, NULL);

	if (!t)
		panic("no memory for the idle thread of CPU %u", cpu->id);
	t->name = "idle";
	t->affinity = 1u << cpu->id;
	cpu->idle = t;
}

void sched_init(void)
{
	struct cpu *cpu = this_cpu();

	spin_init(&rq.lock);
	percpu[cpu->id].armed = UINT64_MAX;
	ktimer_cpu_init();
	fpu_init();
	idle_create(cpu);
	/* What runs now becomes a thread, so that boot code may sleep. */
	boot_thread.name = "boot";
	boot_thread.affinity = UINT32_MAX;
	boot_thread.on_cpu = true;
	boot_thread.in_kernel = true;
	percpu[cpu->id].started = boot_thread.stamp = time_ns();
	rq.nrunning = 1;
	cpu->thread = &boot_thread;
	load_init();
}

/* On an application processor nothing ran before: nothing is saved. */
static void start_first(struct cpu *cpu)
{
	uint64_t forgotten;

	spin_lock(&rq.lock);
	rq.idle |= 1u << cpu->id;
	__load(cpu, cpu->idle, time_ns());
	switch_stacks(&forgotten, cpu->idle->sp);
	__builtin_unreachable();
}

void sched_start_cpu(void)
{
	struct cpu *cpu = this_cpu();

	if (cpu->thread == &boot_thread)
		sched_thread_exit();
	percpu[cpu->id].armed = UINT64_MAX;
	ktimer_cpu_init();
	idle_create(cpu);
	start_first(cpu);
	__builtin_unreachable();
}
