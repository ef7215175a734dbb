/* SPDX-License-Identifier: MIT */
/*
 * What the rooms of proc/ share about signals: dispositions, sets, and sending
 * with locks held.
 */
#ifndef PROC_HANDLERS_H
#define PROC_HANDLERS_H

#include "lib/types.h"
#include "lib/lock.h"
#include "proc/signal.h"

#define SIG_DFL 0
#define SIG_IGN 1
#define SIG_ERR_HANDLER UINT64_MAX

#define SA_NOCLDSTOP 1u
#define SA_NOCLDWAIT 2u
#define SA_SIGINFO 4u
#define SA_RESTORER 0x04000000u
#define SA_ONSTACK 0x08000000u
#define SA_RESTART 0x10000000u
#define SA_NODEFER 0x40000000u
#define SA_RESETHAND 0x80000000u

#define SI_USER 0
#define SI_KERNEL 0x80
#define SI_QUEUE (-1)
#define SI_TIMER (-2)
#define SI_TKILL (-6)
#define CLD_EXITED 1
#define CLD_KILLED 2
#define CLD_STOPPED 5
#define CLD_CONTINUED 6

/* struct sigaction as rt_sigaction(2) passes it. */
struct signal_action {
	uint64_t handler, flags, restorer, mask;
};

/* Counted: CLONE_SIGHAND shares it. */
struct signal_handlers {
	uint32_t refs;
	struct spinlock lock;
	struct signal_action actions[SIGNAL_COUNT]; /* [lock] */
};

struct signal_handlers *handlers_create(void);
struct signal_handlers *handlers_copy(struct signal_handlers *h);
void handlers_get(struct signal_handlers *h);
void handlers_put(struct signal_handlers *h);   /* NULL is allowed */
void handlers_reset(struct signal_handlers *h); /* exec: caught -> default */
struct signal_action handlers_action(struct signal_handlers *h, int signo);

#define SIGNAL_BIT(n) (1ull << ((n)-1))
#define SIGNALS_UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define SIGNALS_STOP                                                       \
	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | \
		SIGNAL_BIT(SIGTTOU))
#define SIGNALS_IGNORED                                                   \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | \
		SIGNAL_BIT(SIGWINCH))

struct thread;

/* With the table lock held. To one thread of p, or (NULL) to any. */
void __signal_send(struct process *p, struct thread *t, int signo,
	const struct signal_info *info);

/* With p->lock held: all threads end, the process with wait status `status`;
 * an earlier one stands. `except` goes on (exit_group's caller, who knows). */
void __process_kill(struct process *p, int status, struct thread *except);

/* The running thread's mask; a signal unblocked by it is seen on the way out.
 */
void signal_set_mask(uint64_t mask);

/* Take one pending, unblocked signal of `want` off the running thread or its
 * process: its number, or 0. */
int signal_take(uint64_t want, struct signal_info *out);

/* frame.c: make the thread go on in the handler. False: no room for it. */
struct trap_frame;
bool signal_frame_push(struct trap_frame *f, int signo,
	const struct signal_info *info, const struct signal_action *action,
	uint64_t mask);
/* rt_sigreturn: false if the frame is not readable or not legal. */
bool signal_frame_pop(struct trap_frame *f);

/* siginfo_t as the ABI has it, 128 bytes. */
void signal_info_encode(const struct signal_info *info, uint8_t out[128]);

#endif
