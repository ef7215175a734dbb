/* SPDX-License-Identifier: MIT */
/*
 * Processes with devices, and devices that try what they like: what tests of
 * many lives share. Every frame of a process bears its owner's stamp, and each
 * device looks at the stamp of whatever it reaches.
 *
 * Devices (support/strays.c) may act at every point where the kernel waits.
 * They look at the owners' state below; what a process does with its memory
 * (support/lives.c) keeps it true, and says when it is about to change.
 */
#ifndef TEST_LIVES_H
#define TEST_LIVES_H

#include "support/dice.h"
#include "support/surroundings.h"
#include "support/threads.h"
#include "iommu/iommu.h"

#define A 0x10000000ull /* each process's memory */
#define PAGES 10
#define HALF(page) (1u << ((page) >= PAGES / 2)) /* one of a thread each */
#define BOTH 3u
#define K 4096ull
#define RW (PROT_READ | PROT_WRITE)
#define NOT_MAPPED 0xff
#define DEVICE_TLB (FUNCTIONS - 1)

struct stamp {
	uint64_t generation; /* of the space, never used again */
	uint64_t address;
};
#define STAMP_AT 0xff0u /* in the page */

/* The head of a page is for transfers: no stray write, which may land late,
 * falls on it. */
#define TRANSFER_SIZE 64u

struct owner {
	enum {
		VACANT,
		ALIVE,
		BUSY, /* somebody makes it, or it ends */
	} state;
	struct space *s;
	uint64_t generation;
	uint8_t prot[PAGES]; /* NOT_MAPPED, 0, PROT_READ, RW */
	uint8_t changing;    /* HALF() of pages that a call is changing */
	bool killed;
	bool helping;     /* its second thread is in a call */
	unsigned between; /* its first thread wants to be the only one */
	int lender;       /* vfork: whose space it runs in; 0: its own */
};
extern struct owner owners[PROCESSES + 1];

/* Whose space is found by a pid: not yet the new one during exec. */
extern uint64_t found_by_pid[PROCESSES + 1];

/* The generation that a function may reach; 0: nobody's. */
extern uint64_t reach[FUNCTIONS];

/* What a thread is about, by number. */
struct doing {
	int function;    /* it attaches this one; -1: none */
	uint64_t target; /* to this generation */
	bool handing;    /* the reset that comes is between two owners */
};
extern struct doing doing[MAX_THREADS + 1];

extern struct tally {
	uint64_t kills, attaches, transfers, strays, refusals, messages;
} tally;

/* The unit remaps interrupts. */
extern bool remapping;

/* Nobody is born any more when so many have died. */
extern uint64_t goal;

/* ---- devices (support/strays.c) ------------------------------------------ */

/* Everything starts again, with the hooks of the surroundings taken. */
void strays_start(void);
void strays_stop(void);

/* For devices_turn: now and then one of them does something. */
void devices_stray(void);

unsigned index_of(const struct pci_device *d);
enum iommu_device_state state_of(unsigned i);

/* ---- processes (support/lives.c) ----------------------------------------- */

/* The frame behind a page, as the process has it now. */
char *frame_at(struct space *s, unsigned page);

/* A process is born, or ends: nobody finds its space any more, then the count
 * goes. */
void life_begin(int pid);
void life_end(int pid);

/* What it may do. Each leaves its state true. */
void life_exec(int pid);
void life_fork(int pid);
void life_vfork(int pid); /* until the child has its own, or is gone */
void life_map(struct owner *o, unsigned half);
void life_unmap(struct owner *o, unsigned half);
void life_protect(struct owner *o, unsigned half);
void life_discard(struct owner *o, unsigned half);
void life_move(struct owner *o, unsigned half);

/* One of the last five, by its second thread, if there may be one now. */
void life_help(int pid);

/* What it may do with devices, if it has any. A transfer must succeed. */
void life_interrupts(int pid);
void life_policy(int pid);
void life_transfer(int pid);
int enable_messages(struct pci_device *d, void *count);

/* Changes to a space, and device TLBs that are switched on and off, exclude
 * each other here: a flush that is under way then may or may not know of the
 * device.
 */
void begin_switch(void);
void end_switch(void);

#endif
