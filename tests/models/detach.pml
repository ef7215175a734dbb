/* SPDX-License-Identifier: MIT */
/*
 * A device goes from one owner to the next: the order of detach and attach.
 *
 *	step here		in the sources
 *	stop(), hand_over()	quiet(), hand_over_reset(), kernel/assign/assign.c
 *	detach()		release() -> core_detach() -> close_entries()
 *				-> vtd_detach(), iommu/vtd/entries.c
 *	the order of flushes	vtd_plan_context_removed(), iommu/vtd/flush.c,
 *				then vtd_plan_device_tlb()
 *	attach()		give() -> core_attach() -> open_entries()
 *				-> vtd_attach(), vtd_plan_context_made()
 *	publish(), retire()	vtd_entry_publish(), vtd_entry_retire()
 *	memory_goes()		space_put() -> destroy(), kernel/mem/space.c
 *
 * Both owners get the same domain id, as the library may give them. One page
 * stands for all that an owner maps. The unit keeps everything that it may keep
 * and lets a translated write land as late as it may; memory is not coherent.
 *
 * Shown: no write reaches a page that was given back, no walk reads a table
 * that was; no command of one owner touches the other's page; an attached
 * device is not refused. FAULTY is a device that obeys neither the bus-master
 * bit nor a reset: what it does for the next owner is not the unit's to judge.
 *
 * right: plain
 * right: CACHING
 * right: ATS
 * right: ATS+CACHING
 * right: FAULTY
 * right: FAULTY+ATS+CACHING
 * wrong: NO_CONTEXT_FLUSH	the entry stays in the context cache
 * wrong: NO_IOTLB_FLUSH	the translation stays under an id used again
 * wrong: IOTLB_FIRST+FAULTY	refilled through the cached context entry
 * wrong: FLUSH_FIRST+FAULTY	refilled from the entry, still present
 * wrong: NO_DRAIN+FAULTY	a write already translated lands later
 * wrong: NO_WAIT		the flushes are in the queue, not done
 * wrong: NO_WRITE_BACK		the unit reads the old entry from memory
 * wrong: NO_RESET		the old owner's command runs for the new one
 * wrong: NO_IDLE		a request on its way reaches the new domain
 * wrong: NO_DEVICE_TLB+ATS	the device keeps a translation of its own
 * wrong: NO_ID_0+CACHING+FAULTY	"not present" is cached, and found by the next
 */
#define NOBODY 0
#define FIRST  1
#define SECOND 2
#define ABSENT 3 /* the unit remembers that there is nothing */

mtype = { CONTEXT, CONTEXT_0, IOTLB, DEVICE_TLB, WAIT };

byte entry, seen;	/* the context entry as stored, as the unit reads it */
byte context, iotlb;	/* the unit's caches */
byte device_tlb;
byte walking, walking_for;	/* a request whose context entry is known */
byte posted, posted_for;	/* a write that is translated */
byte wire;		/* a request that the unit has not seen */
byte command;		/* what the device was told last, and by whom */
byte registers;		/* who can reach the device's registers */
byte promised;		/* whose attach returned and who was not detached */
bool master, ats;
bool gone[3];		/* the owner's memory was given back */
byte waits;		/* wait descriptors carried out */
chan queue = [5] of { mtype };

#ifdef FAULTY
#define MAY_SEND true
#define IDLE true
#else
#define MAY_SEND master
#define IDLE (wire == NOBODY)
#endif

/* ---- hardware ---- */

inline look_up()
{
	if
	:: context == NOBODY && seen -> context = seen
#ifdef CACHING
	:: context == NOBODY && !seen -> context = ABSENT
#endif
	:: else
	fi
}

#define FOUND (context == FIRST || context == SECOND)

inline walk(who)
{
	if
	:: iotlb == NOBODY -> assert(!gone[who]); iotlb = who
	:: else
	fi
}

active proctype owner()
{
end:	do
	:: atomic { registers && command != registers -> command = registers }
	od
}

active proctype device()
{
end:	do
	:: atomic { command && MAY_SEND && wire == NOBODY -> wire = command }
#ifdef ATS
	/* A translation request, and a write that uses its answer. */
	:: atomic { command && MAY_SEND && ats && device_tlb == NOBODY ->
		look_up();
		if
		:: FOUND -> walk(context); device_tlb = iotlb
		:: else
		fi
	   }
	:: atomic { command && MAY_SEND && device_tlb && posted == NOBODY ->
		look_up();
		if
		:: FOUND -> posted = device_tlb; posted_for = command
		:: else
		fi
	   }
#endif
	od
}

#ifdef NO_DRAIN
#define DRAINED true
#else
#define DRAINED (walking == NOBODY && posted == NOBODY)
#endif

active proctype unit()
{
end:	do
	:: atomic { wire && walking == NOBODY ->
		look_up();
		if
		:: FOUND -> walking = context; walking_for = wire
		:: else -> assert(promised != wire)
		fi;
		wire = NOBODY
	   }
	:: atomic { walking && posted == NOBODY ->
		walk(walking);
		posted = iotlb; posted_for = walking_for; walking = NOBODY
	   }
	:: atomic { posted ->
		assert(!gone[posted]);
#ifndef FAULTY
		assert(posted == posted_for);
#endif
		posted = NOBODY
	   }
	:: atomic { entry != seen -> seen = entry }	/* eviction, any time */
	:: atomic { queue?[CONTEXT] -> queue?CONTEXT;
		if
		:: FOUND -> context = NOBODY
		:: else
		fi
	   }
	:: atomic { queue?[CONTEXT_0] -> queue?CONTEXT_0;
		if
		:: context == ABSENT -> context = NOBODY
		:: else
		fi
	   }
	:: atomic { queue?[IOTLB] && DRAINED -> queue?IOTLB; iotlb = NOBODY }
	:: atomic { queue?[DEVICE_TLB] -> queue?DEVICE_TLB; device_tlb = NOBODY }
	:: atomic { queue?[WAIT] -> queue?WAIT; waits++ }
	od
}

/* ---- software ---- */

inline store(value)
{
	entry = value;
#ifndef NO_WRITE_BACK
	seen = entry
#endif
}

inline wait()
{
	queue!WAIT;
	asked++;
#ifndef NO_WAIT
	waits == asked
#endif
}

inline flush_context()
{
#ifndef NO_CONTEXT_FLUSH
	queue!CONTEXT;
#endif
#if defined(CACHING) && !defined(NO_ID_0)
	queue!CONTEXT_0
#else
	skip
#endif
}

inline flush_iotlb()
{
#ifndef NO_IOTLB_FLUSH
	queue!IOTLB;
#endif
#if defined(ATS) && !defined(NO_DEVICE_TLB)
	queue!DEVICE_TLB
#else
	skip
#endif
}

inline forget()
{
#ifdef IOTLB_FIRST
	flush_iotlb();
	flush_context();
#else
	flush_context();
	flush_iotlb();
#endif
	wait()
}

inline stop()
{
	master = false;
#ifndef NO_IDLE
	IDLE
#else
	skip
#endif
}

inline reset()
{
#if !defined(NO_RESET) && !defined(FAULTY)
	command = NOBODY
#else
	skip
#endif
}

inline attach(who)
{
	stop();
	reset();
	store(who);
#ifdef CACHING
	flush_context();
	queue!IOTLB;
	wait();
#endif
#ifdef ATS
	ats = true;
#endif
	atomic { registers = who; promised = who };
	master = true
}

inline detach()
{
	promised = NOBODY;
	stop();
	registers = NOBODY;
#ifdef FLUSH_FIRST
	forget();
	store(NOBODY);
#else
	store(NOBODY);
	forget();
#endif
	ats = false;
	reset()
}

inline memory_goes(who)
{
	gone[who] = true
}

active proctype kernel()
{
	byte asked;

	attach(FIRST);
	detach();
	memory_goes(FIRST);
	attach(SECOND);
	detach();
	memory_goes(SECOND)
}
