/* SPDX-License-Identifier: MIT */
/* The console terminal: line discipline and job control. */
#ifndef FS_TTY_H
#define FS_TTY_H

#include "lib/types.h"

struct tty;
struct process;
struct node;
struct file;

extern struct tty console_tty;

/* At boot: settings, and input from the serial port. */
void tty_init(void);

/* The process lost its controlling terminal (setsid, exit of the leader: hang
 * up the session). Called by proc/ with no lock held. */
void tty_session_gone(struct tty *t, int sid);

/* Process group in the foreground and its terminal's number, for /proc: -1 and
 * 0 without a terminal. */
void tty_describe(struct tty *t, int *out_foreground, unsigned *out_rdev);

/* The nodes "console" and "tty" (the controlling terminal, whatever it is). A
 * session leader without a terminal that opens the console without O_NOCTTY
 * gets it as its controlling terminal. */
extern const struct node_ops tty_console_node_ops, tty_own_node_ops;

#endif
