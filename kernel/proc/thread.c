/* SPDX-License-Identifier: MIT */
/*
 * Making and freeing threads, and their floating-point state.
 *
 * A kernel stack ends, at its lowest address, in a guard word that the
 * scheduler checks on every switch.
 */
#include "cpu/io.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "proc/thread.h"

static uint32_t nthreads;
static uint8_t fpu_default[512] __attribute__((aligned(16)));
static uint32_t mxcsr_mask = 0xffbf;

#define FPU_MXCSR 24 /* offsets in the FXSAVE image (SDM vol. 1, 10.5.1) */
#define FPU_MXCSR_MASK 28

/* What switch_stacks() pops, and then thread_start(). */
struct first_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

struct thread *thread_create(
	struct process *process, void (*entry)(void *), void *arg)
{
	struct thread *t;
	struct first_frame *first;

	if (__atomic_add_fetch(&nthreads, 1, __ATOMIC_RELAXED) > MAX_THREADS)
		goto too_many;
	t = kzalloc(sizeof(*t));
	if (!t)
		goto too_many;
	t->stack = pages_alloc(KERNEL_STACK_ORDER);
	if (!t->stack)
		goto no_stack;
	*(uint64_t *)t->stack = STACK_GUARD;

	/* The trap frame's place stays free; the stack is aligned as at a
	 * call when thread_start() begins. */
	first = (struct first_frame *)thread_user_frame(t) - 1;
	memset(first, 0, sizeof(*first));
	first->rip = (uint64_t)thread_start;
	t->sp = (uint64_t)first;

	t->entry = entry;
	t->entry_arg = arg;
	t->process = process;
	t->affinity = UINT32_MAX;
	t->fpu_cpu = UINT8_MAX;
	t->in_kernel = true;
	list_init(&t->hash);
	list_init(&t->siblings);
	memcpy(t->fpu, fpu_default, sizeof(t->fpu));
	if (process)
		process_get(process);
	return t;

no_stack:
	kfree(t);
too_many:
	__atomic_sub_fetch(&nthreads, 1, __ATOMIC_RELAXED);
	return NULL;
}

void thread_free(struct thread *t)
{
	if (t->process)
		process_put(t->process);
	pages_free(t->stack, KERNEL_STACK_ORDER);
	kfree(t);
	__atomic_sub_fetch(&nthreads, 1, __ATOMIC_RELAXED);
}

struct thread *kernel_thread(const char *name, void (*fn)(void *), void *arg)
{
	struct thread *t = thread_create(NULL, fn, arg);

	if (!t)
		return NULL;
	t->name = name;
	sched_start(t);
	return t;
}

void thread_load_bases(const struct thread *t)
{
	/* In the kernel the user's GS base waits in the other register. */
	wrmsr(MSR_FS_BASE, t->fs_base);
	wrmsr(MSR_KERNEL_GS_BASE, t->gs_base);
}

int thread_tid(const struct thread *t)
{
	return t->tid;
}

void thread_enter_user(void *unused)
{
	struct trap_frame *f = thread_user_frame(thread_current());

	(void)unused;
	proc_return_to_user(f);
	trap_return(f);
}

void fpu_init(void)
{
	uint32_t mxcsr = 0x1f80, mask;

	__asm__ volatile("fninit; ldmxcsr %0" ::"m"(mxcsr));
	__asm__ volatile("fxsave64 %0" : "=m"(fpu_default));
	memcpy(&mask, fpu_default + FPU_MXCSR_MASK, sizeof(mask));
	if (mask) /* 0 means the default (SDM vol. 1, 11.6.6) */
		mxcsr_mask = mask;
	/* Registers that firmware left something in. */
	memset(fpu_default + 32, 0, sizeof(fpu_default) - 32);
}

void fpu_reset_current(void)
{
	__asm__ volatile("fxrstor64 %0" ::"m"(fpu_default));
}

void fpu_save_current(void *image)
{
	__asm__ volatile("fxsave64 (%0)" ::"r"(image) : "memory");
}

void fpu_load_current(void *image)
{
	uint32_t mxcsr;

	/* A reserved bit would be an exception in the kernel. */
	memcpy(&mxcsr, (char *)image + FPU_MXCSR, sizeof(mxcsr));
	mxcsr &= mxcsr_mask;
	memcpy((char *)image + FPU_MXCSR, &mxcsr, sizeof(mxcsr));
	__asm__ volatile("fxrstor64 (%0)" ::"r"(image) : "memory");
}

void thread_set_bases(struct thread *t, uint64_t fs, uint64_t gs)
{
	interrupts_off();
	t->fs_base = fs;
	t->gs_base = gs;
	thread_load_bases(t);
	interrupts_restore();
}
