/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads. A process is counted: by its place in the table until
 * it is reaped, and by everyone who found it. A zombie keeps only its identity
 * and status; its space, files and threads are gone.
 *
 * Letters: [T] guarded by the process table lock, [P] by process.lock, [O]
 * only its own thread writes it, [C] constant after creation.
 */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include "lib/types.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "proc/signal.h"

struct space;
struct fdtable;
struct fs_context;
struct inode;
struct tty;
struct trap_frame;

#define PROCESS_NAME_SIZE 16

struct process {
	uint32_t refs;
	int pid;                /* [C] also the tid of its first thread */
	struct list table;      /* [T] all processes, by pid */
	struct process *parent; /* [T] */
	struct list children, sibling; /* [T] */
	int pgid, sid;                 /* [T] */
	struct tty *tty; /* [T] controlling terminal, NULL: none */
	struct spinlock lock;
	struct list threads;          /* [P] */
	unsigned nthreads;            /* [P] */
	char name[PROCESS_NAME_SIZE]; /* [P] comm */
	struct space *space;   /* [P] NULL: zombie. Use process_space(). */
	struct fdtable *files; /* [P] NULL: zombie */
	struct fs_context *fs; /* [P] cwd and umask; NULL: zombie */
	struct signal_handlers *handlers; /* [P] shared by CLONE_SIGHAND */
	struct signal_pending pending;    /* [P] sent to the process */
	struct inode *program; /* [P] that it runs, see inode.programs */
	bool exiting;          /* [P] no new thread, no new device */
	bool zombie;           /* [T] */
	bool stopped;          /* [P] by a job-control signal */
	int exit_status;       /* [T] as wait4 reports it */
	/* Times: the process's own are the sum over all its threads, dead ones
	 * included. Atomic. */
	uint64_t start_ns, user_ns, system_ns, child_user_ns, child_system_ns;
	/* exec: where the arguments lie, for /proc/PID/cmdline. [P] */
	uint64_t arg_start, arg_end, env_start, env_end;
	char exe[256]; /* [P] path of the program, for /proc/PID/exe */
	/* The rest is private to proc/. */
	struct list hash;         /* [T] by pid */
	int exit_signal;          /* [C] what the parent is sent at the end */
	struct waitq child_event; /* with [T]: a child changed state */
	struct waitq vfork_event; /* with [T]: a vfork child let go */
	struct process *vfork_parent; /* [T] waits until exec or exit */
	uint8_t wait_events;          /* [T] stop/continue not yet reported */
	int stop_signo;               /* [P] what stopped it */
	bool stop_pending;            /* [P] a stop signal is being acted on */
	struct waitq stop_event;      /* with [P]: continued or killed */
	struct waitq thread_event;    /* with [P]: a thread has gone */
	struct thread *exec_thread;   /* [P] the one that outlives the others */
	uint64_t rlimits[16][2];      /* [P] */
	struct process_timers *timers; /* [P] proc/itimer.c; NULL: none */
	bool did_exec;                 /* [P] */
	bool oom_victim;               /* [P] */
	int nice;                      /* [P] kept and told, nothing more */
	unsigned logged_count;         /* how many of the next were */
	uint8_t logged_calls[64]; /* ENOSYS logged once each, a bit a call */
};

/* By pid, counted; NULL if there is none (zombies are found). */
struct process *process_find(int pid);
void process_get(struct process *p);
void process_put(struct process *p);

/* The process with the lowest pid above `pid`, counted; NULL: no more. Start
 * with 0. */
struct process *process_next(int pid);

/* Its space, counted (release with space_put()); NULL once it is exiting. */
struct space *process_space(struct process *p);

struct process *process_current(void); /* NULL in kernel threads */
struct thread *thread_current(void);
int thread_tid(const struct thread *t);

/* Give the current process (a session leader) its controlling terminal, or take
 * it away from all of the session (NULL). */
void process_set_tty(struct tty *t);
void session_clear_tty(int sid);

/* Is there a process of this group in this session? */
bool process_group_exists(int pgid, int sid);

/* A letter for /proc/PID/stat: R S D T Z. */
char process_state(struct process *p);

/* Times spent in user and kernel mode, children's not included. */
void process_times(struct process *p, uint64_t *user_ns, uint64_t *system_ns);

/* The first process, from /init; panics with a sentence if it cannot run. */
void proc_start_init(void);

/* A thread of the kernel itself; runs fn(arg) with interrupts on, may sleep.
 * NULL: out of memory. */
struct thread *kernel_thread(const char *name, void (*fn)(void *), void *arg);

/* Memory ran out while the running thread needed some (space_fault() said
 * -ENOMEM, with no lock held): ends the process that takes most, and waits for
 * it. True: try again. False: the running process itself is to die. */
bool oom_relieve(void);

#define RLIMIT_STACK 3
#define RLIMIT_NPROC 6
#define RLIMIT_FSIZE 1
#define RLIMIT_NOFILE 7
#define RLIM_INFINITY UINT64_MAX

#endif
