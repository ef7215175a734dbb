/* SPDX-License-Identifier: MIT */
/* New processes and threads (clone(2) and its relatives). */
#ifndef PROC_FORK_H
#define PROC_FORK_H

#include "lib/types.h"

#define CSIGNAL 0xffull
#define CLONE_VM 0x100ull
#define CLONE_FS 0x200ull
#define CLONE_FILES 0x400ull
#define CLONE_SIGHAND 0x800ull
#define CLONE_VFORK 0x4000ull
#define CLONE_THREAD 0x10000ull
#define CLONE_SYSVSEM 0x40000ull
#define CLONE_SETTLS 0x80000ull
#define CLONE_PARENT_SETTID 0x100000ull
#define CLONE_CHILD_CLEARTID 0x200000ull
#define CLONE_DETACHED 0x400000ull
#define CLONE_CHILD_SETTID 0x1000000ull

struct clone_args {
	uint64_t flags; /* CLONE_*, and the exit signal in the low byte */
	uint64_t stack; /* 0: as the parent's */
	uint64_t parent_tid, child_tid, tls;
};

/* The new process's pid or thread's tid, or -errno. With CLONE_VFORK it returns
 * when the child has let go of the memory. */
int process_clone(const struct clone_args *a);

#endif
