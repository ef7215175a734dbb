/* SPDX-License-Identifier: MIT */
/*
 * Waiting. A wait queue is used like a condition variable: the condition is
 * guarded by a spinlock of the caller's, wait_on() releases that lock and
 * sleeps in one step, and holds it again when it returns; the caller checks
 * its condition in a loop. A wake-up between check and sleep is not lost.
 */
#ifndef PROC_WAIT_H
#define PROC_WAIT_H

#include "lib/types.h"
#include "lib/lock.h"

#define WAIT_FOREVER UINT64_MAX

enum {
	WAIT_UNINTERRUPTIBLE = 0,
	WAIT_INTERRUPTIBLE = 1, /* any signal that is not blocked ends it */
	WAIT_KILLABLE = 2,      /* only a fatal one does */
};

#define WAITQ_INIT(name)                                  \
	{                                                 \
		SPINLOCK_INIT, LIST_INIT((name).sleepers) \
	}

void waitq_init(struct waitq *q);

/* 0: woken. -ETIMEDOUT: time_ns() reached `deadline`. -ERESTARTSYS: a signal.
 * `guard` is held by the caller, is its only spinlock, and may not be NULL. */
int wait_on(struct waitq *q, struct spinlock *guard, uint64_t deadline,
	unsigned how);

/* Any context, also with spinlocks held and in interrupt handlers. */
void wake_one(struct waitq *q);
void wake_all(struct waitq *q);

/* Sleep until time_ns() reaches the deadline: 0, or -ERESTARTSYS. */
int sleep_until(uint64_t deadline, unsigned how);

/* When a time-out of `ns` from now ends, for system calls: a call that is
 * restarted (the process was stopped and continued) gets the deadline that it
 * had. UINT64_MAX: for ever. */
uint64_t syscall_deadline(uint64_t ns);

/* Waiting for several things at once (poll): a poller sleeps on its own queue;
 * each source that it registers with wakes it. */
struct poller;
struct poll_entry {
	struct list link;
	struct poller *poller;
	struct poll_source *source;
};
struct poll_source { /* embedded in pipes, ttys, device files */
	struct list entries;
};
#define POLL_SOURCE_INIT(name)            \
	{                                 \
		LIST_INIT((name).entries) \
	}
void poll_source_init(struct poll_source *s);
/* Called by a file's poll operation with the poller it was given (NULL: the
 * caller only asks for the state now). */
void poll_register(struct poller *p, struct poll_source *s);
void poll_wake(struct poll_source *s); /* any context */
/* Before a source's memory goes: no poller may refer to it any more. */
void poll_source_gone(struct poll_source *s);

/* For poll(2) and select(2): init, ask every file (registering), wait until a
 * source woke it (0), the deadline (-ETIMEDOUT) or a signal (-ERESTARTSYS),
 * then clear and ask again; end with poller_done(). */
struct poller {
	struct waitq queue;
	bool woken;
	bool failed; /* out of memory while registering */
	struct list entries;
	/* Who is woken as well, and stays registered for ever: not with pollers
	 * that have an `above` themselves. May be NULL. */
	struct poll_source *above;
};
void poller_init(struct poller *p);
int poller_wait(struct poller *p, uint64_t deadline);
bool poller_woken(struct poller *p); /* since it was last asked or waited */
void poller_done(struct poller *p);

#endif
