/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs share one invalidation queue: each puts its flushes and a wait
 * into the ring, the last of those that come together rings for all, each waits for its own position; what the
 * hardware lost is noticed and repeated.
 *
 *	step here	in iommu/vtd/queue.c
 *	put()		put_patiently() -> put() -> __put_wait()
 *	enter(), leave()	queue_enter(), queue_leave()
 *	ring_bell()	__vtd_ring_doorbell() in iommu/vtd/unit.h
 *	head_position()	__vtd_head_position()
 *			in iommu/vtd/completion.c
 *	repair()	look_for_errors() -> __repair_queue_error(),
 *			__repair_device_timeout(), __lose()
 *	LOST		vtd_is_done(), slow_wait()
 *	the loop	vtd_wait() -> slow_wait(), insist()
 *
 * A submission is one flush and its wait. The hardware refuses a descriptor
 * (IQE: stays at it) or a device's TLB does not answer (ITE: the wait fetched
 * meanwhile is dropped) at most ERRORS times; it goes on when the error is
 * cleared. Positions are small here and never wrap; slots do.
 *
 * Shown: whoever is told "done" had its flush carried out, or replaced by a
 * larger one and repeated; nobody waits for ever; the tail never steps back.
 *
 * right: plain
 * right: WITH_ERRORS
 * right: THREE
 * wrong: EARLY_TAIL	the doorbell is rung before the descriptors are written
 * wrong: RING_LATE	an older tail is written to the register after a newer
 * wrong: COUNT_LATE	two CPUs leave the doorbell to each other
 * wrong: ONE_FLAG	one "done" for all: somebody else's wait answers
 * wrong: EXACT		waits for its own position only, which was overtaken
 * wrong: NO_ROOM+THREE	descriptors are overwritten before they are fetched
 * wrong: LOSS_IGNORED+WITH_ERRORS	a later wait answers for a lost flush
 * wrong: LOSS_LATE+WITH_ERRORS	the error is cleared before the loss is noted
 * wrong: NO_RING_AGAIN+WITH_ERRORS	the hardware waits for a tail write
 * wrong: SLOTS_LOST+WITH_ERRORS+FULL+TWICE	nothing says that dropped slots are free
 * wrong: NO_RECHECK+WITH_ERRORS	the error was repaired by another meanwhile
 */
#if defined(FULL) || defined(THREE)
#define CPUS 3
#else
#define CPUS 2
#endif
#if defined(THREE) || (defined(FULL) && defined(WITH_ERRORS))
#define ROUNDS 1
#else
#define ROUNDS 2
#endif
#define SLOTS 6
#if defined(WITH_ERRORS) && defined(TWICE)
#define ERRORS 2
#elif defined(WITH_ERRORS)
#define ERRORS 1
#else
#define ERRORS 0
#endif

#define EMPTY 0
#define FLUSH 1
#define WAIT  2
#define LARGER 3 /* a global flush in the place of a refused descriptor */

byte kind[SLOTS], value[SLOTS];	/* the ring: whose flush, which position */
byte tail, rung;		/* positions */
byte head_reg, tail_reg;	/* slots */
byte done;			/* the status word, in memory */
bool queue_lock;
byte coming;			/* CPUs that want the lock, or have it */
bool stopped, refused, timed_out;	/* FSTS.IQE and ITE */
bool device_silent;
byte errors;
byte lost_to;
bool carried_out[CPUS * ROUNDS];

#define LOCK(l) atomic { !l -> l = true }
#define UNLOCK(l) l = false
#define LOST (first_at < lost_to)

#ifdef EXACT
#define REACHED (done == end_at)
#elif defined(ONE_FLAG)
#define REACHED (done != 0)
#else
#define REACHED (done >= end_at)
#endif

#ifdef NO_ROOM
#define ROOM true
#else
#define ROOM (tail - done + 2 < SLOTS)
#endif

/* ---- hardware ---- */

inline next()
{
	head_reg = (head_reg + 1) % SLOTS
}

active proctype unit()
{
end:	do
	:: atomic { head_reg != tail_reg && !stopped ->
		assert(kind[head_reg] != EMPTY);
		if
		:: kind[head_reg] == FLUSH ->
			carried_out[value[head_reg]] = true;
			next()
		:: kind[head_reg] == FLUSH && errors < ERRORS ->
			errors++; refused = true; stopped = true
		:: kind[head_reg] == FLUSH && errors < ERRORS &&
			!device_silent ->
			errors++; device_silent = true;
			next()
		:: kind[head_reg] == LARGER -> next()
		:: kind[head_reg] == WAIT && !device_silent ->
			done = value[head_reg];
			next()
		:: kind[head_reg] == WAIT && device_silent ->
			/* fetched, and dropped with the time-out */
			next();
			device_silent = false;
			timed_out = true; stopped = true
		fi
	   }
	:: atomic { device_silent && !stopped ->
		device_silent = false;
		timed_out = true; stopped = true
	   }
	od
}

/* ---- software ---- */

inline ring_bell()
{
	rung = tail;
	tail_reg = rung % SLOTS
}

inline enter()
{
	coming++;
	LOCK(queue_lock)
}

/* Rings for everybody, unless another CPU is coming that will. */
inline leave()
{
#ifdef COUNT_LATE
	if
	:: coming == 1 && rung != tail -> ring_bell()
	:: else
	fi;
	UNLOCK(queue_lock);
	coming--
#elif defined(RING_LATE)
	coming--;
	seen = coming;
	old_tail = tail;
	UNLOCK(queue_lock);
	if
	:: !seen && rung != old_tail ->
		rung = old_tail;
		tail_reg = old_tail % SLOTS
	:: else
	fi
#else
	atomic { coming--; seen = coming };
	if
	:: !seen && rung != tail -> ring_bell()
	:: else
	fi;
	UNLOCK(queue_lock)
#endif
}

inline put(id)
{
	do
	:: enter();
		if
		:: ROOM -> break
		:: else ->
			ring_bell();
			leave();
			/* Errors are repaired by those who wait for what is
			 * in the ring. */
			ROOM
		fi
	od;
	first_at = tail;
	end_at = tail + 2;
#ifdef EARLY_TAIL
	tail = end_at;
	rung = tail;
	tail_reg = rung % SLOTS;
#endif
#ifdef ONE_FLAG
	done = 0;
#endif
	kind[first_at % SLOTS] = FLUSH;
	value[first_at % SLOTS] = id;
	kind[(first_at + 1) % SLOTS] = WAIT;
	value[(first_at + 1) % SLOTS] = end_at;
	tail = end_at;
	leave()
}

inline head_position()
{
	seen = tail - ((tail % SLOTS) + SLOTS - head_reg) % SLOTS
}

inline lose(upto)
{
	if
	:: upto > lost_to -> lost_to = upto
	:: else
	fi
}

/* The registers clear, and the hardware goes on: some units when the error is
 * cleared, others with the next write to the tail. */
inline go_on()
{
#ifndef NO_RING_AGAIN
	ring_bell();
	stopped = false
#else
	skip
#endif
}

inline repair_refused()
{
	head_position();
	if
	:: kind[seen % SLOTS] == WAIT -> value[seen % SLOTS] = seen + 1
	:: else -> kind[seen % SLOTS] = LARGER
	fi;
#ifdef LOSS_LATE
	refused = false;
	go_on();
	lose(seen + 1)
#else
	lose(seen + 1);
	refused = false;
	go_on()
#endif
}

inline repair_timed_out()
{
	head_position();
	from = done;
#ifdef LOSS_LATE
	timed_out = false;
	go_on();
#endif
	if
	:: seen > from -> lose(seen);
#ifndef SLOTS_LOST
		done = seen
#endif
	:: else
	fi;
#ifndef LOSS_LATE
	timed_out = false;
	go_on()
#endif
}

inline repair()
{
	LOCK(queue_lock);
	if
#ifdef NO_RECHECK
	:: was_refused -> repair_refused(); was_refused = false
#endif
	:: refused -> repair_refused()
	:: timed_out -> repair_timed_out()
	:: else
	fi;
	UNLOCK(queue_lock)
}

#ifdef NO_RECHECK
#define NOTE was_refused = refused
#else
#define NOTE skip
#endif

proctype cpu(byte number)
{
	byte round, id, first_at, end_at, seen, old_tail, from;
	bool lost, was_refused;

	do
	:: round < ROUNDS ->
		id = number * ROUNDS + round;
		carried_out[id] = false;
again:		put(id);
		do
		:: REACHED ->
#ifdef LOSS_IGNORED
			lost = false;
#else
			lost = LOST;
#endif
			break
		:: !REACHED && (refused || timed_out) -> NOTE; repair()
		:: !REACHED && LOST -> lost = true; break
		od;
		if
		:: lost -> goto again
		:: else
		fi;
		assert(carried_out[id]);
		round++
	:: else -> break
	od
}

init
{
	byte n;

	atomic {
		do
		:: n < CPUS -> run cpu(n); n++
		:: else -> break
		od
	}
}
