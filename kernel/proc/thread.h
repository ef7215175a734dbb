/* SPDX-License-Identifier: MIT */
/*
 * Threads, as the rooms of proc/ see them. A thread belongs to one process for
 * all its life, or to none (kernel threads). It is freed by the CPU that has
 * switched away from it for the last time.
 *
 * Letters: [R] run queue lock, [T] process table lock, [P] process.lock, [O]
 * only the thread itself writes it, [C] constant after creation.
 */
#ifndef PROC_THREAD_H
#define PROC_THREAD_H

#include "lib/types.h"
#include "lib/list.h"
#include "cpu/cpu.h"
#include "cpu/trap.h"
#include "proc/process.h"
#include "proc/signal.h"

#define KERNEL_STACK_ORDER 2
#define KERNEL_STACK_SIZE (4096u << KERNEL_STACK_ORDER)

/* Lowest word of every kernel stack. */
#define STACK_GUARD 0x5afe57ac5afe57acull

/* All threads of all processes together. */
#define MAX_THREADS 4096

enum thread_state {
	THREAD_READY, /* running or in the run queue */
	THREAD_SLEEPING,
	THREAD_DEAD,
};

struct thread {
	/* FXSAVE image; the kernel itself never touches these registers. */
	uint8_t fpu[512] __attribute__((aligned(16)));

	/* Scheduling */
	struct thread *ready_child, *ready_next; /* [R] proc/ready.c */
	uint64_t arrival;                        /* [R] */
	enum thread_state state;                 /* [R] */
	bool on_cpu;                             /* [R] */
	uint8_t sleep_how;                       /* [R] WAIT_* */
	uint8_t last_cpu;                        /* [R] */
	uint8_t fpu_cpu;           /* [R] where its FPU state was loaded last */
	uint32_t affinity;         /* [R] a bit per CPU */
	uint64_t vruntime;         /* [R] ns, see sched.c */
	uint64_t sp;               /* [R] while switched out */
	void *stack;               /* [C] */
	struct space *space;       /* [O] loaded when it runs; NULL: none */
	uint64_t fs_base, gs_base; /* [O] */
	const char *name;          /* [C] kernel threads */
	void (*entry)(void *);     /* [C] */
	void *entry_arg;           /* [C] */

	/* Time spent; `stamp` is when the current stretch began. */
	uint64_t stamp, user_ns, system_ns;    /* [O] */
	uint64_t told_user_ns, told_system_ns; /* [O] to the process */
	bool in_kernel;                        /* [O] */

	/* Belonging */
	int tid;                 /* [T] exec may change it to the pid */
	struct list hash;        /* [T] */
	struct process *process; /* [C] counted; NULL: kernel thread */
	struct list siblings;    /* [P] process->threads */
	uintptr_t clear_tid;     /* [O] CLONE_CHILD_CLEARTID */

	/* Signals */
	uint64_t blocked;    /* [P] written by the thread itself only */
	uint64_t saved_mask; /* [O] to be restored on the way out … */
	bool restore_mask;   /* [O] … if set */
	uint64_t sigwait;    /* [P] … as this: wanted by sigtimedwait */
	bool killed;         /* [P] must exit; set for good */
	struct signal_pending pending; /* [P] */
	struct altstack {
		uint64_t base;
		uint32_t flags;
		uint64_t size;
	} altstack; /* [O] as sigaltstack(2) passes it */

	/* The system call in progress. All [O]. */
	struct trap_frame *frame;
	bool restartable;         /* it returned -ERESTARTSYS */
	bool never_after_handler; /* … and is not restarted after a handler */
	bool restart_next; /* the next call is the restart of this one … */
	bool restarted;    /* … and this one is one */
	bool deadline_valid;
	uint64_t call_deadline; /* see syscall_deadline() */
};

/* thread.c */

/* A thread that will run entry(arg); not yet ready. `process` is counted by it.
 * NULL: out of memory or too many. */
struct thread *thread_create(
	struct process *process, void (*entry)(void *), void *arg);

/* Undo thread_create() for a thread that never ran, or has run for the last
 * time. */
void thread_free(struct thread *t);

/* Where the trap frame of a user thread lies. */
static inline struct trap_frame *thread_user_frame(struct thread *t)
{
	return (struct trap_frame *)((char *)t->stack + KERNEL_STACK_SIZE) - 1;
}

/* By tid, with the table lock held. */
struct thread *__thread_find(int tid);
void __thread_hash(struct thread *t);

/* Entry of threads that run user code: their frame is at thread_user_frame().
 */
void thread_enter_user(void *unused);

/* The running thread's FS and GS bases, as user mode sees them; below user_top.
 */
void thread_set_bases(struct thread *t, uint64_t fs, uint64_t gs);
void thread_load_bases(const struct thread *t); /* interrupts off */

/* Floating-point state of the running thread. Images have 512 bytes and lie at
 * a multiple of 16. */
void fpu_init(void); /* boot */
void fpu_reset_current(void);
void fpu_save_current(void *image);
void fpu_load_current(void *image); /* makes MXCSR legal in the image */

/* sched.c */
void schedule(void);
void sched_start(struct thread *t); /* make a new thread ready */

/* wait_on() in two steps; interrupts off from the first to schedule(). */
void sched_prepare_sleep(struct thread *t, unsigned how);
void sched_cancel_sleep(struct thread *t);

/* Ready a sleeping thread; others stay as they are. Any context. */
void sched_wake(struct thread *t);
/* The same if it sleeps in a way that allows it: WAIT_INTERRUPTIBLE, or
 * WAIT_KILLABLE as well if `kill`. If it runs now, its CPU is told to look. */
void sched_interrupt(struct thread *t, bool kill);

void sched_set_affinity(struct thread *t, uint32_t mask);
void sched_thread_exit(void) NORETURN; /* the running thread ends */

/* account.c: at the borders of the kernel (entering: interrupts on, leaving:
 * off), at a switch (off), and for those who want to know up to now. */
void time_enter_kernel(struct thread *t);
void time_leave_kernel(struct thread *t);
void account_switch(struct thread *t, uint64_t now);
void account_now(void);

/* In switch.S */
void switch_stacks(uint64_t *save_sp, uint64_t new_sp);
void thread_start(void);

#endif
