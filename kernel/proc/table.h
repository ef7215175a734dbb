/* SPDX-License-Identifier: MIT */
/*
 * The process table: who there is, who is whose child, groups and sessions.
 *
 * Lock order within proc/: table lock > process.lock > handlers.lock > wait
 * queues > run queue. Signals are sent with the table lock held, so that the
 * receiver's parent, who may have to hear of it, stays where it is.
 */
#ifndef PROC_TABLE_H
#define PROC_TABLE_H

#include "proc/process.h"

#define PID_MAX 32768

extern struct spinlock process_table_lock;
extern struct list process_table;  /* by pid */
extern unsigned stopped_processes; /* atomic */

/* process.stopped, with process.lock held. */
void __process_set_stopped(struct process *p, bool stopped);

/* With the lock held: not counted. */
struct process *__process_find(int pid);

/* A pid nobody uses as pid, group or session; -EAGAIN when all are taken. The
 * pid is in use from now on. */
int __pid_alloc(void);
void __pid_get(int pid);
void __pid_put(int pid);

/* A process without threads, a copy of `parent` as fork defines it where the
 * members are plain; not in the table yet. NULL: out of memory. */
struct process *process_create(struct process *parent);
void __process_insert(struct process *p);
/* Out of the table (it was waited for); drops the table's count. */
void __process_remove(struct process *p);

void __process_set_group(struct process *p, int pgid, int sid);

/* Whether its parent is in the session, but another group: it can stop and
 * continue the process's group as a job. */
bool __has_job_control(const struct process *p);
/* process_group_orphaned(), as it will be when `leaving` has gone. */
bool __group_orphaned(int pgid, const struct process *leaving);

/* exit.c: something for wait4() happened to p. */
void __tell_parent(struct process *p, int code, int status);

#endif
