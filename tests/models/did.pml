/* SPDX-License-Identifier: MIT */
/*
 * Domain ids are taken with the first device of a domain and given back with
 * the last, to be used again for another domain.
 *
 *	step here	in the sources
 *	enter()		__reserve() -> __domain_enter(), __did_take()
 *	publish()	open_entries() -> vtd_attach()
 *	forget()	close_entries() -> vtd_detach(), vtd_run()
 *	leave()		__release() -> __domain_leave(), __did_give()
 *
 * Two devices come to and leave two domains at any moment; there are two ids.
 * A detach may remain unconfirmed once: its flushes were never carried out, and
 * the device stays away. The unit keeps context entries and translations, those
 * tagged with the id, until they are flushed.
 *
 * Shown: what the unit finds under an id is always the domain's whose context
 * entry it came by; no id is lost unless a flush was.
 *
 * right: plain
 * right: UNCONFIRMED
 * wrong: GIVE_EARLY	the id is free before the flush
 * wrong: FIRST_LEAVES	the id is free when one of two devices has left
 * wrong: NO_IOTLB_FLUSH	the id comes back with translations
 * wrong: OWNERS_ID	the id is a number of the owner's, cut to its width
 * wrong: GIVEN_ANYWAY+UNCONFIRMED	the id is given back without confirmation
 * wrong: LAST_DECIDES+UNCONFIRMED	who left before unconfirmed is forgotten
 * wrong: NEVER_GIVEN	ids run out
 */
#define DEVICES 2
#define DOMAINS 2
#define IDS 2
#ifdef FULL
#define TURNS 3
#else
#define TURNS 2
#endif
#define NONE 0

bool taken[IDS + 1];		/* ids count from 1, so do domains */
byte users[DOMAINS + 1], id_of[DOMAINS + 1];
bool spent[DOMAINS + 1];	/* an unconfirmed leave: the id ends with it */
byte entry[DEVICES], entry_id[DEVICES];	/* context entries in memory */
byte cached[DEVICES], cached_id[DEVICES];
byte iotlb[IDS + 1];		/* whose translation */
byte unconfirmed, away;

/* ---- hardware ---- */

active [DEVICES] proctype requests()
{
	byte d = _pid;

end:	do
	:: atomic { cached[d] == NONE && entry[d] != NONE ->
		cached[d] = entry[d]; cached_id[d] = entry_id[d]
	   }
	:: atomic { cached[d] != NONE ->
		if
		:: iotlb[cached_id[d]] == NONE ->
			iotlb[cached_id[d]] = cached[d]
		:: else
		fi;
		assert(iotlb[cached_id[d]] == cached[d])
	   }
	od
}

/* ---- software ---- */

inline take(m)
{
#ifdef OWNERS_ID
	id_of[m] = 1
#else
	if
	:: !taken[1] -> id_of[m] = 1
	:: taken[1] && !taken[2] -> id_of[m] = 2
	:: else -> assert(unconfirmed)	/* none is left */
	fi;
	taken[id_of[m]] = true;
	spent[m] = false
#endif
}

inline enter(m)
{
	atomic {
		if
		:: users[m] == 0 -> take(m)
		:: else
		fi;
		users[m]++;
		id = id_of[m]
	}
}

inline give(m)
{
#ifndef NEVER_GIVEN
	taken[id_of[m]] = false
#else
	skip
#endif
}

inline leave(m)
{
	atomic {
		users[m]--;
		spent[m] = spent[m] || !confirmed;
		if
#ifdef GIVE_EARLY
		:: true
#elif defined(FIRST_LEAVES)
		:: confirmed -> give(m)
#elif defined(GIVEN_ANYWAY)
		:: users[m] == 0 -> give(m)
#elif defined(LAST_DECIDES)
		:: users[m] == 0 && confirmed -> give(m)
#else
		:: users[m] == 0 && !spent[m] -> give(m)
#endif
		:: else
		fi
	}
}

inline publish(m)
{
	atomic { entry[d] = m; entry_id[d] = id }
}

inline forget()
{
	entry[d] = NONE;
	confirmed = true;
	if
	:: cached[d] = NONE;
#ifndef NO_IOTLB_FLUSH
		iotlb[id] = NONE
#endif
#ifdef UNCONFIRMED
	:: atomic { unconfirmed == 0 -> unconfirmed++ };
		confirmed = false
#endif
	fi
}

proctype host(byte d)
{
	byte turn, m, id;
	bool confirmed = true;

	do
	:: turn < TURNS && confirmed ->
		turn++;
		if
		:: m = 1
		:: m = 2
		fi;
		enter(m);
		publish(m);
#ifdef GIVE_EARLY
		atomic {
			if
			:: users[m] == 1 -> give(m)
			:: else
			fi
		};
#endif
		forget();
		leave(m)
	:: else -> break
	od;
	atomic {
		away++;
		assert(away < DEVICES || unconfirmed ||
			(!taken[1] && !taken[2]))
	}
}

init
{
	atomic {
		run host(0);
		run host(1)
	}
}
