/* SPDX-License-Identifier: MIT */
/* Inside dev/: the two halves of "#proc". proc.c has the processes,
 * proc_system.c what is about the machine. */
#ifndef DEV_PROC_H
#define DEV_PROC_H

#include "fs/inode.h"
#include "lib/text.h"

/* Clock ticks of the ABI: 100 a second. */
#define TICK_NS 10000000ull

struct proc_entry {
	const char *name;
	uint32_t mode;
	const struct node_ops *ops;
};

/* Fill in a node from a table, for a process (or 0). */
void proc_describe(struct node *out, const struct proc_entry *e, int pid);

/* Files of the root: NULL-terminated. */
extern const struct proc_entry proc_system_entries[];

#endif
