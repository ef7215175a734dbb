/* SPDX-License-Identifier: MIT */
/* Inside fs/: the two halves of the terminal. tty_line.c is the line discipline
 * (bytes in, bytes out); tty.c has files, sessions and ioctls. */
#ifndef FS_TTY_LOCAL_H
#define FS_TTY_LOCAL_H

#include "fs/file.h"
#include "fs/termios.h"
#include "fs/tty.h"
#include "lib/lock.h"
#include "proc/wait.h"

/* Input waiting to be read. A line is at most TTY_LINE_MAX bytes. */
#define TTY_INPUT_SIZE 16384u
#define TTY_LINE_MAX 4095u

/* One byte of input and what is known about it. */
#define INPUT_END 0x100 /* a line ends behind it */
#define INPUT_EOF 0x200 /* it is no byte but the end-of-file character */

/* All members are guarded by the lock (a spinlock: input comes in interrupts),
 * unless said. */
struct tty {
	struct spinlock lock;
	struct termios termios;
	struct winsize winsize;
	uint16_t input[TTY_INPUT_SIZE];
	/* Positions ever reached: read up to `tail`; complete lines up to
	 * `line`; the line being edited up to `head`. Outside canonical mode
	 * line == head. */
	uint64_t tail, line, head;
	unsigned column;      /* of the cursor, for erasing and tabs */
	unsigned line_column; /* where the line being edited began */
	bool literal_next;    /* VLNEXT was typed */
	bool stopped;         /* VSTOP was typed */
	struct waitq readers, writers;
	struct poll_source poll;
	int signal;          /* that the byte at hand asks for */
	int session;         /* whose controlling terminal it is; 0: nobody's */
	int foreground;      /* process group; 0: none */
	uint32_t generation; /* rises when a session is hung up */
};

void tty_line_init(struct tty *t);

/* A byte arrived. Interrupt context. */
void tty_receive(struct tty *t, uint8_t c);

/* A read need not wait. */
bool __tty_readable(const struct tty *t);

/* Take up to n bytes of input, at most one line in canonical mode. Sets *end
 * when the line (or the file, if nothing was taken) ends there. */
size_t __tty_take(struct tty *t, uint8_t *buf, size_t n, bool *end);

/* Bytes written by a program, through output processing. */
void __tty_output(struct tty *t, const uint8_t *buf, size_t n);

/* Forget input that nobody read. */
void __tty_flush_input(struct tty *t);

void __tty_set_termios(struct tty *t, const struct termios *new);

#endif
