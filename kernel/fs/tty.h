/* SPDX-License-Identifier: MIT */
/* The console terminal: line discipline and job control. */
#ifndef FS_TTY_H
#define FS_TTY_H

#include "lib/types.h"

struct tty;
struct process;

extern struct tty console_tty;

/* The process lost its controlling terminal (setsid, exit of the leader: hang
 * up the session). Called by proc/. */
void tty_session_gone(struct tty *t, int sid);

/* The process opened a terminal as session leader without one (open without
 * O_NOCTTY), or TIOCSCTTY: called inside fs/tty.c, which sets process->tty with
 * process_set_tty() (proc/process.h, by proc/). */

#endif
