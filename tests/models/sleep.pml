/* SPDX-License-Identifier: MIT */
/*
 * A thread of the kernel goes to sleep until something is so, and another one
 * makes it so. Both may be interrupted between any two steps.
 *
 *	step here		in the sources
 *	wait_on()		wait_on(), sleep_guarded(), kernel/proc/wait.c
 *	wake_first()		__wake_first()
 *	prepare(), cancel()	sched_prepare_sleep(), sched_cancel_sleep(),
 *				kernel/proc/sched.c
 *	wake()			sched_wake(), sched_interrupt(), __make_ready()
 *	schedule()		schedule()
 *	producer()		who writes to a pipe: it changes something, lets
 *				the lock go, and wakes everybody late; with ONE
 *				mutex_unlock(), which wakes one while it has the
 *				lock
 *	consumer()		everybody, to whom each change matters; with ONE
 *				who wants the mutex
 *	disturber()		signals and timers, at any moment
 *
 * Each thread has a CPU to itself as long as it is ready, so that every order
 * of their steps is tried. With SIGNAL a disturbance ends a wait, and the
 * thread goes away without what it waited for.
 *
 * Shown: nobody sleeps on while there is something for him; no thread is ready
 * twice; who wakes touches no sleeper that is gone.
 *
 * right: plain
 * right: ONE
 * right: ONE+SIGNAL
 * right: SIGNAL
 * wrong: NOT_LOOKED_AT		met awake, taken from the queue, asleep for ever
 * wrong: LOOKS_FIRST		the same, between the look and the sleep
 * wrong: ENQUEUED_LATE		the lock goes before the thread is in the queue
 * wrong: SIGNAL_FIRST+ONE+SIGNAL	who is woken goes away, the next sleeps on
 * wrong: LEFT_UNLOCKED		the sleeper goes while it is being woken
 * wrong: STILL_ON_CPU		ready while it runs, and once more when it stops
 */
#ifdef FULL
#define CONSUMERS 2
#define ITEMS 3
#define DISTURBANCES 3
#else
#define CONSUMERS 2
#define ITEMS 2
#define DISTURBANCES 1
#endif

#ifdef ONE
#define KINDS 1
#define MINE(t) items[0]	/* one takes it, the others do not */
#else
#define KINDS CONSUMERS
#define MINE(t) items[t]
#endif

bool guard, queue_lock;		/* spinlocks */
byte items[KINDS];		/* what is waited for; guard */
bool in_queue[CONSUMERS];	/* queue_lock */
bool there[CONSUMERS];		/* the sleeper is on its thread's stack */
bool woken[CONSUMERS];
bool signalled[CONSUMERS];
bool gone[CONSUMERS];		/* a signal took it away */

/* The run queue's lock is held where something is atomic. */
bool asleep[CONSUMERS];
bool on_cpu[CONSUMERS];
bool ready[CONSUMERS];		/* in the run queue */

inline lock(l)
{
	atomic { !l -> l = true }
}

/* ---- the scheduler ---- */

inline wake(t)
{
	atomic {
		if
		:: asleep[t] ->
			asleep[t] = false;
			if
#ifdef STILL_ON_CPU
			:: true -> assert(!ready[t]); ready[t] = true
#else
			:: !on_cpu[t] -> assert(!ready[t]); ready[t] = true
			:: else
#endif
			fi
		:: else
		fi
	}
}

inline schedule(t)
{
	atomic {
		on_cpu[t] = false;
		if
		:: !asleep[t] -> assert(!ready[t]); ready[t] = true
		:: else
		fi
	}
end_asleep:
	atomic { ready[t] -> ready[t] = false; on_cpu[t] = true }
}

/* ---- the wait queue ---- */

inline enqueue(t)
{
	lock(queue_lock);
	in_queue[t] = true;
	queue_lock = false
}

#if defined(NOT_LOOKED_AT)
#define GO_ON(t) false
#elif defined(LOOKS_FIRST)
#define GO_ON(t) looked
#else
#define GO_ON(t) woken[t]
#endif

#ifdef SIGNAL
#define ENDED(t) signalled[t]
#else
#define ENDED(t) false
#endif

inline wait_on(t)
{
	woken[t] = false;
	there[t] = true;
#ifndef ENQUEUED_LATE
	enqueue(t);
#endif
#ifdef LOOKS_FIRST
	looked = woken[t];
#endif
	asleep[t] = true;
	guard = false;
#ifdef ENQUEUED_LATE
	enqueue(t);
#endif
	if
	:: GO_ON(t) || ENDED(t) -> asleep[t] = false
	:: else -> schedule(t)
	fi;
#ifndef LEFT_UNLOCKED
	lock(queue_lock);
#endif
	in_queue[t] = false;
	there[t] = false;
#ifndef LEFT_UNLOCKED
	queue_lock = false;
#endif
	lock(guard);
#ifdef SIGNAL_FIRST
	ends = ENDED(t)
#else
	ends = !woken[t] && ENDED(t)
#endif
}

/* queue_lock held. */
inline wake_first()
{
	if
	:: in_queue[0] -> who = 0
	:: in_queue[1] -> who = 1
	fi;
	in_queue[who] = false;
	assert(there[who]);
	woken[who] = true;
	wake(who)
}

#define SOMEBODY (in_queue[0] || in_queue[1])

inline wake_queue()
{
	lock(queue_lock);
#ifdef ONE
	if
	:: SOMEBODY -> wake_first()
	:: else
	fi;
#else
	do
	:: SOMEBODY -> wake_first()
	:: else -> break
	od;
#endif
	queue_lock = false
}

/* ---- the threads ---- */

active [CONSUMERS] proctype consumer()
{
	byte me = _pid;
	bool ends, looked;

	on_cpu[me] = true;
end:	do
	:: lock(guard);
	   do
	   :: MINE(me) || ends -> break
	   :: else -> wait_on(me)
	   od;
	   if
	   :: ends -> gone[me] = true; guard = false; break
	   :: else -> MINE(me)--; guard = false
	   fi
	od
}

active proctype producer()
{
	byte made, who;

	do
	:: made < ITEMS ->
		lock(guard);
		items[0]++;
#ifndef ONE
		items[1]++;
#endif
		made++;
#ifdef ONE
		wake_queue();
		guard = false
#else
		guard = false;
		wake_queue()
#endif
	:: else -> break
	od;
	/* Nobody is to sleep on while there is something. */
#ifdef ONE
	(!items[0] || (gone[0] && gone[1]))
#else
	((!items[0] || gone[0]) && (!items[1] || gone[1]))
#endif
}

active proctype disturber()
{
	byte n, t;

	do
	:: n < DISTURBANCES ->
		if
		:: t = 0
		:: t = 1
		fi;
#ifdef SIGNAL
		signalled[t] = true;
#endif
		wake(t);
		n++
	:: break
	od
}
