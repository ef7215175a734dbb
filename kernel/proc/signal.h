/* SPDX-License-Identifier: MIT */
/* Signals, with the numbers and meanings of the Linux x86-64 ABI. */
#ifndef PROC_SIGNAL_H
#define PROC_SIGNAL_H

#include "lib/types.h"
#include "lib/list.h"

struct process;

#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGXCPU 24
#define SIGXFSZ 25
#define SIGVTALRM 26
#define SIGPROF 27
#define SIGWINCH 28
#define SIGIO 29
#define SIGPWR 30
#define SIGSYS 31
#define SIGNAL_COUNT 64

/* What the handler of a SA_SIGINFO signal is told (part of siginfo_t). */
struct signal_info {
	int signo, code;
	int pid, uid;   /* SI_USER, SIGCHLD; timers: id, overrun */
	int status;     /* SIGCHLD */
	uint64_t addr;  /* SIGSEGV, SIGBUS, SIGFPE, SIGILL */
	uint64_t value; /* SI_QUEUE, SI_TIMER */
};

/* Pending signals: standard ones are kept once each. */
struct signal_pending {
	uint64_t set; /* bit n-1 = signal n */
	struct signal_info info[SIGNAL_COUNT];
};

/* To a process, or all processes of a group. Any context. The info may be NULL
 * (then it comes from the kernel). 0 or -ESRCH. */
int signal_process(
	struct process *p, int signo, const struct signal_info *info);
int signal_group(int pgid, int signo);

/* To the running thread, as a fault of its own: cannot be ignored or blocked.
 */
void signal_fault(int signo, int code, uint64_t addr);

/* A signal waits for the running thread that would end a sleep. */
bool signal_waiting(void);

/* The running thread's disposition: does it ignore or block signo? (Terminal
 * access of background processes.) */
bool signal_ignored_or_blocked(int signo);

/* No member of the group has a parent in the same session but another group:
 * job-control stops are not for it. */
bool process_group_orphaned(int pgid);

/* Replace the running thread's mask (a bit a signal, signal 1 in bit 0) until
 * the system call in progress is over: ppoll, pselect6, sigsuspend. */
void signal_mask_for_call(uint64_t mask);

#endif
