/* SPDX-License-Identifier: MIT */
/* Ends of threads and processes, and waiting for them. */
#ifndef PROC_EXIT_H
#define PROC_EXIT_H

#include "lib/types.h"

struct thread;
struct process;

/* The running thread ends; with the last one its process does. */
void thread_exit(void) NORETURN;

/* All of the running process ends; `status` as wait4 reports it. */
void process_exit(int status) NORETURN;

/* Out of its process (list, tid): table lock and process.lock held. */
void __thread_detach(struct thread *t);

/* The child that shared the parent's memory lets the parent go on (table lock
 * held). */
void __vfork_release(struct process *child);

#define WNOHANG 1
#define WUNTRACED 2
#define WEXITED 4
#define WCONTINUED 8
#define WNOWAIT 0x01000000

/* wait4() and waitid(). */
struct wait_request {
	enum {
		WAIT_ANY,
		WAIT_PID,
		WAIT_GROUP
	} who;
	int id;
	unsigned options; /* W* */
};

struct wait_result {
	int pid;         /* 0: WNOHANG, and nothing yet */
	int status;      /* as wait4 reports it */
	int code, value; /* as waitid does: CLD_* and exit code or signal */
	uint64_t user_ns, system_ns;
};

/* 0, -ECHILD, -ERESTARTSYS. */
int process_wait(const struct wait_request *r, struct wait_result *out);

#endif
