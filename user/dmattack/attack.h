/* SPDX-License-Identifier: MIT */
/*
 * A hostile owner of a device: what the attacks share. The device is QEMU's
 * edu. It never says that a transfer was refused, so an attack is judged by
 * what is in memory afterwards (canaries), and by the fault lines.
 *
 * Every attack runs in a process of its own, whose death gives the device back.
 */
#ifndef ATTACK_H
#define ATTACK_H

#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "udev.h"
#include "edu.h"

#define PAGE 4096ul

struct attack {
	const char *name;
	void (*run)(void);
	int long_one; /* only when asked for by name */
};

#define ATTACK(function)                           \
	{                                          \
		.name = #function, .run = function \
	}
#define LONG_ATTACK(function)                                     \
	{                                                         \
		.name = #function, .run = function, .long_one = 1 \
	}

extern const struct attack address_attacks[], change_attacks[], life_attacks[],
	file_attacks[], pci_attacks[], storm_attacks[];

extern struct udev target;
extern volatile void *edu; /* its registers, after take() */
extern const char *own_name;

/* The device becomes this process's, its registers are mapped. */
void take(void);

char *get_pages(size_t n);

/* A line of #iommu/mappings names the process. */
int is_listed(pid_t pid);

/* The device writes n bytes of the value to the address. It waits until the
 * device is done, refused or not. */
void device_fill(uint64_t address, int value, size_t n);

/* What the device reads at the address; 0 bytes are what it gets when refused.
 * True if it got any byte that was not zero. */
int device_sees(uint64_t address, size_t n, char *out);

/* Was the device refused anything since the last question? The lines come a
 * moment after the requests: a question that expects them waits. */
int was_refused(void);
int was_not_refused(void);

/* All n bytes at p have the value. */
int all_are(const char *p, int value, size_t n);

/* Memory of the whole machine, as far as it is free, filled with a canary, and
 * whether it is still all there. Frames that the kernel freed a moment ago are
 * in it. */
struct canary {
	char *memory;
	size_t size;
};
struct canary plant_canary(size_t size);
int canary_lives(const struct canary *c);

/* Wait until any transfer that was begun is over, without touching the device.
 */
void let_transfers_end(void);

#endif
