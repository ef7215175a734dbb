/* SPDX-License-Identifier: MIT */
/*
 * Two CPUs of one machine, played by two coroutines, in every order.
 *
 * Where the other CPU may come in between is called a point: every hook of the
 * host, and every access of the library to memory that both CPUs use and one of
 * them writes (the library is compiled with the thread sanitizer's calls, which
 * shared.c answers). A schedule says who begins, and at which points the CPU
 * that runs is interrupted in favour of the other; a CPU that waits for a lock
 * or has finished makes room by itself. Nothing else is left to chance, so a
 * schedule is a test case that runs again as it ran.
 *
 * Memory is what a strong machine's is: stores are seen in their order.
 */
#ifndef TESTS_INTERLEAVE_WEAVE_H
#define TESTS_INTERLEAVE_WEAVE_H

#include "scene.h"

enum {
	BOUND_MOST = 4,
};

/** Two calls that race. */
struct pair {
	const char *name;
	/** Kinds of units, separated by spaces; each dash before one is an
	 *  interruption less. */
	const char *kinds;
	/** Once, before the snapshot from which each schedule starts. */
	void (*before)(struct scene *s);
	/** What the CPUs do. What they see there and then has to be right. */
	void (*cpu[2])(struct scene *s);
	/** What has to hold afterwards; what is left is taken down. */
	void (*after)(struct scene *s);
};

/** Who begins, and at which steps of the run the CPU is interrupted. All hooks
 *  and accesses are counted, so that numbers do not depend on which of them are
 *  points. */
struct schedule {
	unsigned first;
	unsigned count;
	unsigned at[BOUND_MOST];
};

/** The machine that schedules run on. */
extern struct scene scene;

/* ---- weave.c ---- */

/** Starts from now on from the scene as it is. */
void weave_keep(const struct pair *pair);
void weave_drop(void);
/** Runs one schedule. *out are the steps after its last one at which the CPU
 *  that ran could have been interrupted to some purpose, in their order; valid
 *  until the next run. Returns how many. */
unsigned weave_run(const struct schedule *schedule, const unsigned **out);
/** What went wrong in the last run, NULL if nothing. */
const char *weave_wrong(void);
/** More memory turned out to be shared: runs before had points that were not
 *  known. */
bool weave_learned(void);

/** The other CPU may come in here. */
void weave_point(void);
/** The running CPU reads or writes memory. */
void weave_access(const volatile void *at, size_t size, bool write);
/** Which CPU runs; 0 outside of a run. */
unsigned weave_cpu(void);
/** Puts the hooks between the library and the machine. */
void weave_hooks(struct rig *r);
/** Notes what is wrong; ends the run if it is a CPU that says so. */
void weave_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define WEAVE_CHECK(what)                                                     \
	do {                                                                  \
		if (!(what))                                                  \
			weave_fail(                                           \
				"%s:%d: %s", __FILE_NAME__, __LINE__, #what); \
	} while (0)

/* ---- shared.c ---- */

/** Memory whose use is looked at: the machine's, and the CPUs' stacks. */
void shared_start(struct model *m, void *stacks, size_t size);
void shared_end(void);
/** Notes an access. True if the other CPU may notice its time. *learned is set
 *  if earlier accesses to the same place were not known to be such. */
bool shared_note(
	uintptr_t at, size_t size, bool write, unsigned cpu, bool *learned);

/* ---- pairs ---- */

extern const struct pair pairs_of_maps[], pairs_of_devices[], pairs_of_dma[],
	pairs_of_interrupts[], pairs_of_units[];

enum {
	NEVER = BOUND_MOST,
};

/** A pair in which something is wrong on purpose. */
struct mistake {
	struct pair pair;
	/** Interruptions without which it does not show. */
	unsigned needs;
	/** A part of what the search says then. */
	const char *says;
};

extern const struct mistake mistakes[];

#endif
