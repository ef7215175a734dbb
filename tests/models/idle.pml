/* SPDX-License-Identifier: MIT */
/*
 * A thread becomes ready while CPUs find nothing to do and halt.
 *
 *	step here		in the sources
 *	make_ready()		sched_wake() -> __make_ready(), __choose_cpu(),
 *				kernel/proc/sched.c
 *	kick()			kick()
 *	take()			schedule()
 *	cpu()			idle_loop(), and the entry code, which calls
 *				sched_preempt() where need_resched is set
 *
 * Threads run for a moment or for ever and become ready at any time, made so by
 * somebody who runs elsewhere. The run queue's lock is held where something is
 * atomic.
 *
 * Shown: when nothing happens any more, no thread lies in the run queue while a
 * CPU halts.
 *
 * right: plain
 * wrong: OPEN_HALT	an interrupt fits between the look and the halt
 * wrong: TOLD_LATE	the interrupt comes before what it is to tell
 * wrong: IDLE_LATE	nobody knows yet that the CPU found nothing
 * wrong: HEARD_LATE	what was told meanwhile is forgotten
 * wrong: STILL_IDLE	two threads, and one CPU is told twice
 * wrong: PAUSE		whoever chose a CPU may lose his own before he tells it
 */
#define CPUS 2
#ifdef FULL
#define WAKERS 3
#define TURNS 2
#else
#define WAKERS 2
#define TURNS 2
#endif
#define NO_CPU CPUS

byte ready;		/* threads in the run queue */
bool idle[CPUS];	/* a bit of rq.idle */
bool need_resched[CPUS];
bool interrupt[CPUS];	/* pending */
byte busy;		/* CPUs that run a thread for ever */

/* ---- a CPU ---- */

inline take(me)
{
	atomic {
#ifndef HEARD_LATE
		need_resched[me] = false;
#endif
		found = ready > 0;
		if
		:: found -> ready--; idle[me] = false
#ifndef IDLE_LATE
		:: else -> idle[me] = true
#else
		:: else
#endif
		fi
	};
#ifdef IDLE_LATE
	if
	:: !found -> idle[me] = true
	:: else
	fi;
#endif
#ifdef HEARD_LATE
	need_resched[me] = false;
#endif
	/* With interrupts on, one that comes is taken at once, and its handler
	 * does nothing. */
	if
	:: interrupt[me] -> interrupt[me] = false
	:: true
	fi
}

active [CPUS] proctype cpu()
{
	byte me = _pid;
	bool found;

	take(me);
	do
	:: found -> take(me)
	:: found -> busy++; break
	:: !found && need_resched[me] -> take(me)
	:: !found && !need_resched[me] ->
#ifdef OPEN_HALT
		/* What comes before the CPU halts wakes nobody. */
		interrupt[me] = false;
#endif
end_halted:	interrupt[me];
		interrupt[me] = false
	od
}

/* ---- who makes threads ready ---- */

inline make_ready()
{
	atomic {
		ready++;
		if
		:: idle[0] -> chosen = 0
		:: !idle[0] && idle[1] -> chosen = 1
		:: else -> chosen = NO_CPU
		fi;
		if
		:: chosen != NO_CPU ->
#ifdef STILL_IDLE
			skip
#else
			idle[chosen] = false
#endif
		:: else
		fi
	}
}

inline kick()
{
	if
	:: chosen != NO_CPU ->
#ifdef TOLD_LATE
		interrupt[chosen] = true;
		need_resched[chosen] = true
#else
		need_resched[chosen] = true;
		interrupt[chosen] = true
#endif
	:: else
	fi
}

active [WAKERS] proctype waker()
{
	byte n, chosen;

	do
	:: n < TURNS -> make_ready(); kick(); n++
#ifdef PAUSE
	:: n < TURNS -> make_ready(); break
#endif
	:: else -> break
	od
}

/* ---- what is shown ---- */

active proctype watcher()
{
	timeout -> assert(!ready || busy == CPUS)
}
