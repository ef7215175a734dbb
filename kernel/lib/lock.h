/* SPDX-License-Identifier: MIT */
/*
 * Locks. A spinlock disables interrupts on its CPU while held (nesting is
 * counted per CPU), so it may be taken in interrupt handlers; nothing may
 * sleep, touch user memory or wait for another CPU while holding one. A mutex
 * sleeps; it may be held across page faults, allocation and waits, is taken
 * with no spinlock held, and is not recursive.
 *
 * Lock order (outermost first):
 *   assign lock (mutex) > process lock > space lock (mutex) > file and
 *   directory mutexes > page and heap allocators > wait queues > run queues >
 *   console.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/types.h"
#include "lib/list.h"

struct spinlock {
	volatile uint32_t held;
	uint32_t cpu; /* holder, for the self-deadlock check */
};

#define SPINLOCK_INIT \
	{             \
		0, 0  \
	}

void spin_init(struct spinlock *l);
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
bool spin_held(const struct spinlock *l); /* by this CPU */

/* Disable interrupts, counted; the outermost enable restores what was. */
void interrupts_off(void);
void interrupts_restore(void);

/* Threads that sleep until something happens; see proc/wait.h. */
struct waitq {
	struct spinlock lock;
	struct list sleepers;
};

struct thread;

struct mutex {
	struct spinlock lock;
	struct thread *owner;
	struct waitq waiters;
};

#define MUTEX_INIT(name)                                   \
	{                                                  \
		.waiters = {                               \
			SPINLOCK_INIT,                     \
			LIST_INIT((name).waiters.sleepers) \
		}                                          \
	}

void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_try(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by this thread */

#endif
