/* SPDX-License-Identifier: MIT */
/*
 * A machine for the kernel's memory code, hosted in a process: RAM at
 * DIRECT_BASE, CPUs that take turns, locks that check their rules, allocations
 * that fail when they are told to. A broken rule ends the running test.
 */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "mem/mem.h"
#include "mem/region.h"
#include "mem/share.h"
#include "mem/space.h"

#define RAM_START 0x100000ull
#define RAM_SIZE (96ull << 20)
#define RAM_END (RAM_START + RAM_SIZE)
#define TEST_CPUS 3

/* Boot with RAM that is there already, all of it at this distance from its
 * physical address; again for each machine. */
void machine_boot(uint64_t direct_base, uint64_t size);

/* Its RAM is the owner's again. */
void machine_shut(uint64_t size);

/* Called for each frame that is freed, after the machine's own check. */
extern void (*machine_frame_freed)(uint64_t pa);

/* The same for each cache line of a table that is written back. */
extern void (*machine_line_flushed)(uint64_t pa);

/* cmocka's setup and teardown. Teardown fails unless every frame is free
 * again, no lock is held and no CPU is in a space. */
int machine_start(void **state);
int machine_stop(void **state);

/* Frames that are not free now and were at the start, without those that the
 * test declares lost. */
uint64_t machine_missing(void);
void machine_expect_lost(uint64_t frames); /* quarantined on purpose */

/* The simulated CPU that runs from now on. */
void machine_cpu(unsigned n);

/* The n-th allocation from now fails (1: the next); 0: none. */
void machine_fail(unsigned n);
bool machine_failed(void); /* it did */

/* Called at every point where others may run while an operation is under way:
 * sched_breathe(), before and after a flush. May be NULL. */
extern void (*machine_meanwhile)(void);
void machine_others(void);

/* machine_meanwhile is called while somebody has still to forget. */
extern bool flush_pending;

/* The command line says "takeover=kept". */
extern bool machine_keeps_devices;

/* What the test is at; said if it ends badly. */
extern char machine_note[64];

/* End the test with a sentence. */
void machine_blame(const char *fmt, ...) NORETURN PRINTF_LIKE(1, 2);

/* The next panic() is expected: it comes back as true here. */
#define machine_panics(call)                                         \
	(setjmp(machine_panic_to) ? true                             \
				  : (machine_panic_set = true, call, \
					    machine_panic_set = false))
extern jmp_buf machine_panic_to;
extern bool machine_panic_set;

/* The last line on the console. */
extern char machine_console[256];

/* walker.c: cached translations that name this frame. */
extern uint32_t walker_refs[];
void walker_reset(void);
/* Called once, by a CPU that is about to load other tables. */
extern void (*walker_switching)(void);

/* devices.c, if the test has it: what a failed test left. */
void devices_reset(void);

#endif
