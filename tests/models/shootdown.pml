/* SPDX-License-Identifier: MIT */
/*
 * A page is unmapped while CPUs and a device use it: nothing is freed before
 * every CPU's TLB and every unit have forgotten it; and the space itself goes
 * only when no CPU walks its tables.
 *
 *	step here	in the sources
 *	zap()		zap(), change_flush(), free_dying(), kernel/mem/change.c
 *	shoot()		run(), ask_others(), kernel/mem/shootdown.c
 *	handler()	shootdown_interrupt(), obey()
 *	switch_to()	space_switch(), kernel/mem/space.c
 *	flush_units()	iommu_flush() -> iommu_batch_flush(), iommu/batch.c
 *	enter()		__reserve() -> __domain_enter(), then vtd_attach()
 *	die()		space_put() -> destroy(), shootdown_leave()
 *
 * CPU 0 unmaps, maps again, unmaps, and ends the space; the other CPUs run in
 * it, leave it and come back; a device of the space is attached at any moment
 * before the space ends. A CPU may fill its TLB whenever its tables allow, and
 * stores stay in CPU 0's store buffer until a fence or as long as they like.
 * The device's owner may forge the shootdown interrupt at any moment.
 *
 * Shown: neither a CPU nor the device uses a page that was freed, and no table
 * is walked after it was; every shootdown ends.
 *
 * right: plain
 * right: FORGED
 * right: ATS
 * wrong: FREE_FIRST	the page is free before anybody was asked to forget it
 * wrong: NO_ANSWERS	the interrupts are sent, their answers not awaited
 * wrong: ANSWER_FIRST	a CPU answers before it has forgotten
 * wrong: NO_FENCE	the CPU that looked before the store landed is not asked
 * wrong: SAY_LATE	the tables are loaded before the CPU says so
 * wrong: LEFT_EARLY	the old tables are still loaded when the CPU denies it
 * wrong: COUNTED+FORGED+THREE	answers are counted: a forged one counts twice
 * wrong: NO_UNITS	only the CPUs are asked
 * wrong: UNITS_FIRST	the unit reads the entry again before it changes
 * wrong: ENTER_LATE	the device walks before the domain has its unit
 * wrong: DEVICE_TLB_FIRST+ATS	refilled from the IOTLB before that is flushed
 */
#if defined(FULL) || defined(THREE)
#define OTHERS 2
#else
#define OTHERS 1
#endif
#ifdef FULL
#define TURNS 3
#else
#define TURNS 2
#endif

bool present;		/* the page's entry, in memory */
bool landing;		/* "not present" is in CPU 0's store buffer */
bool freed, space_gone;
bool tlb[OTHERS];
bool loaded[OTHERS];	/* CR3 */
bool space[OTHERS], next_space[OTHERS];	/* what struct cpu says */
bool interrupt[OTHERS], missing[OTHERS];
byte count;
bool unit_counted;	/* domain->units */
bool context, iotlb, device_tlb;
bool asks_iotlb, asks_device_tlb;
bool may_come = true;	/* somebody has a reference to the space */
byte coming;		/* who is on the way in, with one */
bool leave;		/* request.leave */

#define ASK(c) (space[c] || next_space[c])

/* ---- CPUs that run in the space ---- */

inline switch_to(c, to)
{
#ifdef SAY_LATE
	atomic { loaded[c] = to; tlb[c] = false };
	next_space[c] = to;
	space[c] = to
#elif defined(LEFT_EARLY)
	space[c] = to;
	atomic { loaded[c] = to; tlb[c] = false }
#else
	next_space[c] = to;
	atomic { loaded[c] = to; tlb[c] = false };
	space[c] = to
#endif
}

inline answer(c)
{
	missing[c] = false
}

inline obey(c)
{
	if
	:: leave && space[c] -> switch_to(c, false)
	:: !leave && space[c] -> tlb[c] = false
	:: else
	fi
}

inline handler(c)
{
#ifdef COUNTED
	if
	:: count > 0 -> obey(c); count--
	:: else
	fi
#else
	if
	:: missing[c] ->
#ifdef ANSWER_FIRST
		answer(c);
		obey(c)
#else
		obey(c);
		answer(c)
#endif
	:: else
	fi
#endif
}

proctype cpu(byte c)
{
	byte turns;

end:	do
	:: atomic { interrupt[c] -> interrupt[c] = false }; handler(c)
#ifdef FORGED
	:: turns < TURNS -> turns++; handler(c)
#endif
	:: atomic { turns < TURNS && !space[c] && may_come -> turns++;
			coming++ };
		switch_to(c, true);
		coming--	/* the thread's reference */
	:: turns < TURNS && space[c] -> turns++; switch_to(c, false)
	od
}

/* What a CPU does between any two of its instructions, wanted or not. */
proctype walker(byte c)
{
end:	do
	:: atomic { loaded[c] && (present || tlb[c]) -> tlb[c] = true;
		assert(!freed && !space_gone)
	   }
	od
}

active proctype store_buffer()
{
end:	do
	:: atomic { landing -> landing = false; present = false }
	od
}

/* ---- a device and its unit ---- */

active proctype device()
{
end:	do
	:: atomic { context && (iotlb || present) ->
		assert(!space_gone);
		iotlb = true;
		assert(!freed)
	   }
#ifdef ATS
	:: atomic { context && (iotlb || present) ->
		iotlb = true; device_tlb = true
	   }
	:: atomic { context && device_tlb -> assert(!freed) }
#endif
	:: atomic { asks_iotlb -> iotlb = false; asks_iotlb = false }
	:: atomic { asks_device_tlb ->
		device_tlb = false; asks_device_tlb = false
	   }
	od
}

inline enter()
{
#ifdef ENTER_LATE
	context = true;
	unit_counted = true
#else
	unit_counted = true;
	context = true
#endif
}

active proctype attacher()
{
	if
	:: atomic { may_come -> coming++ };
		enter();
		coming--
	:: true
	fi
}

/* ---- CPU 0 ---- */

inline flush_iotlb()
{
	asks_iotlb = true;
	!asks_iotlb
}

inline flush_device_tlb()
{
#ifdef ATS
	asks_device_tlb = true;
	!asks_device_tlb
#else
	skip
#endif
}

inline flush_units()
{
	!landing;	/* the fence */
	if
	:: unit_counted ->
#ifdef DEVICE_TLB_FIRST
		flush_device_tlb();
		flush_iotlb()
#else
		flush_iotlb();
		flush_device_tlb()
#endif
	:: else
	fi
}

inline ask(c)
{
	if
	:: ASK(c) ->
#ifdef COUNTED
		count++;
#endif
		missing[c] = true;
		interrupt[c] = true
	:: else
	fi
}

inline shoot()
{
#ifndef NO_FENCE
	!landing;
#endif
	n = 0;
	do
	:: n < OTHERS -> ask(n); n++
	:: else -> break
	od;
#if defined(COUNTED)
	count == 0;
#elif !defined(NO_ANSWERS)
	n = 0;
	do
	:: n < OTHERS -> !missing[n]; n++
	:: else -> break
	od;
#endif
	n = 0
}

inline zap()
{
#ifdef UNITS_FIRST
	flush_units();
#endif
	landing = true;
#ifdef FREE_FIRST
	freed = true;
#endif
	shoot();
#if !defined(NO_UNITS) && !defined(UNITS_FIRST)
	flush_units();
#endif
	freed = true;
	!landing
}

inline map()
{
	atomic { freed = false; present = true }
}

inline die()
{
	/* The last reference goes, and the device. CPUs may still be in the
	 * tables: idle ones do not leave. */
	atomic { coming == 0 -> may_come = false };
	context = false;
	flush_iotlb();
	flush_device_tlb();
	leave = true;
	shoot();
	space_gone = true
}

init
{
	byte n;

	present = true;
	atomic {
		do
		:: n < OTHERS -> run cpu(n); run walker(n); n++
		:: else -> break
		od
	};
	zap();
	map();
	zap();
	die()
}
