/* SPDX-License-Identifier: MIT */
/* The line discipline: editing, echo, signals from the keyboard, and what
 * happens to output. t->lock is held by all functions that begin with __. */
#include "fs/tty_local.h"
#include "cpu/serial.h"
#include "lib/string.h"
#include "proc/signal.h"

#define TAB_WIDTH 8u

static bool flag(uint32_t flags, uint32_t bit)
{
	return flags & bit;
}

/* --- output --------------------------------------------------------------- */

/* Output is gathered and handed on in pieces. */
struct out {
	char buf[128];
	size_t n;
};

static void out_flush(struct out *o)
{
	if (o->n)
		serial_write(o->buf, o->n);
	o->n = 0;
}

static void out_byte(struct out *o, uint8_t c)
{
	if (o->n == sizeof(o->buf))
		out_flush(o);
	o->buf[o->n++] = (char)c;
}

static bool utf8_tail(const struct tty *t, uint8_t c)
{
	return flag(t->termios.iflag, IUTF8) && (c & 0xc0) == 0x80;
}

static void __advance(struct tty *t, uint8_t c)
{
	switch (c) {
	case '\n':
		if (flag(t->termios.oflag, ONLRET))
			t->column = 0;
		break;
	case '\r':
		t->column = 0;
		break;
	case '\b':
		if (t->column)
			t->column--;
		break;
	case '\t':
		t->column = (t->column / TAB_WIDTH + 1) * TAB_WIDTH;
		break;
	default:
		if (c >= ' ' && c != 0x7f && !utf8_tail(t, c))
			t->column++;
	}
}

static void __put(struct tty *t, struct out *o, uint8_t c)
{
	uint32_t flags = t->termios.oflag;

	if (!flag(flags, OPOST)) {
		__advance(t, c);
		out_byte(o, c);
		return;
	}
	if (c == '\n' && flag(flags, ONLCR)) {
		out_byte(o, '\r');
		t->column = 0;
	} else if (c == '\r' && flag(flags, OCRNL)) {
		c = '\n';
	} else if (c == '\r' && flag(flags, ONOCR) && !t->column) {
		return;
	} else if (c == '\t' && (flags & TABDLY) == XTABS) {
		do {
			out_byte(o, ' ');
			t->column++;
		} while (t->column % TAB_WIDTH);
		return;
	} else if (flag(flags, OLCUC) && c >= 'a' && c <= 'z') {
		c -= 'a' - 'A';
	}
	__advance(t, c);
	out_byte(o, c);
}

void __tty_output(struct tty *t, const uint8_t *buf, size_t n)
{
	struct out o = {.n = 0};

	for (size_t i = 0; i < n; i++)
		__put(t, &o, buf[i]);
	out_flush(&o);
}

/* --- echo ----------------------------------------------------------------- */

static bool is_control(uint8_t c)
{
	return c < ' ' || c == 0x7f;
}

/* Columns that the echo of a byte takes, seen from a column. */
static unsigned echo_width(const struct tty *t, uint8_t c, unsigned column)
{
	if (c == '\t')
		return TAB_WIDTH - column % TAB_WIDTH;
	if (is_control(c))
		return flag(t->termios.lflag, ECHOCTL) ? 2 : 0;
	return utf8_tail(t, c) ? 0 : 1;
}

static void __echo(struct tty *t, uint8_t c)
{
	struct out o = {.n = 0};

	if (!flag(t->termios.lflag, ECHO) &&
		!(c == '\n' && flag(t->termios.lflag, ECHONL)))
		return;
	if (is_control(c) && c != '\t' && c != '\n' &&
		flag(t->termios.lflag, ECHOCTL)) {
		__put(t, &o, '^');
		__put(t, &o, c ^ 0x40);
	} else {
		__put(t, &o, c);
	}
	out_flush(&o);
}

static void __erase_columns(struct tty *t, unsigned n)
{
	while (n--)
		__tty_output(t, (const uint8_t *)"\b \b", 3);
}

/* --- the line being edited ------------------------------------------------ */

static uint8_t __byte_at(const struct tty *t, uint64_t pos)
{
	return (uint8_t)t->input[pos % TTY_INPUT_SIZE];
}

/* The column behind the line up to a position. */
static unsigned __column_at(const struct tty *t, uint64_t end)
{
	unsigned column = t->line_column;

	for (uint64_t i = t->line; i < end; i++)
		column += echo_width(t, __byte_at(t, i), column);
	return column;
}

/* Take the last character (all its bytes) off the line and the screen. */
static void __erase_one(struct tty *t)
{
	uint64_t before = t->head;
	unsigned columns;

	if (t->head == t->line)
		return;
	do {
		t->head--;
	} while (t->head > t->line && utf8_tail(t, __byte_at(t, t->head)));
	columns = __column_at(t, before) - __column_at(t, t->head);
	if (flag(t->termios.lflag, ECHO) && flag(t->termios.lflag, ECHOE))
		__erase_columns(t, columns);
}

static bool word_byte(uint8_t c)
{
	return c == '_' || c >= 0x80 || (c >= '0' && c <= '9') ||
		(c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void __erase_word(struct tty *t)
{
	while (t->head > t->line && !word_byte(__byte_at(t, t->head - 1)))
		__erase_one(t);
	while (t->head > t->line && word_byte(__byte_at(t, t->head - 1)))
		__erase_one(t);
}

static void __kill_line(struct tty *t, uint8_t c)
{
	uint32_t flags = t->termios.lflag;

	if (flag(flags, ECHOKE) && flag(flags, ECHOE)) {
		while (t->head > t->line)
			__erase_one(t);
		return;
	}
	t->head = t->line;
	__echo(t, c);
	if (flag(flags, ECHOK))
		__echo(t, '\n');
}

static void __reprint(struct tty *t, uint8_t c)
{
	__echo(t, c);
	__echo(t, '\n');
	t->line_column = t->column;
	for (uint64_t i = t->line; i < t->head; i++)
		__echo(t, __byte_at(t, i));
}

/* --- input ---------------------------------------------------------------- */

void __tty_flush_input(struct tty *t)
{
	t->tail = t->line = t->head;
}

static bool __room(const struct tty *t)
{
	/* One place is kept for the end of a line. */
	return t->head - t->tail < TTY_INPUT_SIZE - 1;
}

static void __append(struct tty *t, uint16_t c)
{
	t->input[t->head % TTY_INPUT_SIZE] = c;
	t->head++;
}

static void __wake_readers(struct tty *t)
{
	wake_all(&t->readers);
	poll_wake(&t->poll);
}

static void __end_line(struct tty *t, uint16_t c)
{
	if (t->head - t->tail >= TTY_INPUT_SIZE)
		return;
	__append(t, c | INPUT_END);
	t->line = t->head;
	__wake_readers(t);
}

static bool is_char(const struct tty *t, unsigned which, uint8_t c)
{
	return t->termios.cc[which] && t->termios.cc[which] == c;
}

static bool extended(const struct tty *t, unsigned which, uint8_t c)
{
	return flag(t->termios.lflag, IEXTEN) && is_char(t, which, c);
}

static void __signal(struct tty *t, uint8_t c, int signo)
{
	if (!flag(t->termios.lflag, NOFLSH))
		__tty_flush_input(t);
	t->stopped = false;
	wake_all(&t->writers);
	__echo(t, c);
	t->signal = signo; /* sent when the lock is free */
}

/* True: the byte was a signal or flow control, and is used up. */
static bool __special(struct tty *t, uint8_t c)
{
	uint32_t iflags = t->termios.iflag;

	if (flag(iflags, IXON)) {
		if (is_char(t, VSTOP, c)) {
			t->stopped = true;
			return true;
		}
		if (t->stopped &&
			(is_char(t, VSTART, c) || flag(iflags, IXANY))) {
			t->stopped = false;
			wake_all(&t->writers);
		}
		if (is_char(t, VSTART, c))
			return true;
	}
	if (!flag(t->termios.lflag, ISIG))
		return false;
	if (is_char(t, VINTR, c))
		__signal(t, c, SIGINT);
	else if (is_char(t, VQUIT, c))
		__signal(t, c, SIGQUIT);
	else if (is_char(t, VSUSP, c))
		__signal(t, c, SIGTSTP);
	else
		return false;
	return true;
}

/* True: the byte edited the line. */
static bool __edit(struct tty *t, uint8_t c)
{
	if (is_char(t, VERASE, c))
		__erase_one(t);
	else if (is_char(t, VKILL, c))
		__kill_line(t, c);
	else if (extended(t, VWERASE, c))
		__erase_word(t);
	else if (extended(t, VREPRINT, c))
		__reprint(t, c);
	else
		return false;
	return true;
}

static void __line_byte(struct tty *t, uint8_t c)
{
	if (t->head == t->line)
		t->line_column = t->column;
	if (!t->literal_next) {
		if (__edit(t, c))
			return;
		if (c == '\n' || is_char(t, VEOL, c) || extended(t, VEOL2, c)) {
			__echo(t, c);
			__end_line(t, c);
			return;
		}
		if (is_char(t, VEOF, c)) {
			__end_line(t, INPUT_EOF);
			return;
		}
	}
	t->literal_next = false;
	if (!__room(t) || t->head - t->line >= TTY_LINE_MAX) {
		serial_write("\a", 1);
		return;
	}
	__append(t, c);
	__echo(t, c);
}

static void __receive(struct tty *t, uint8_t c)
{
	uint32_t iflags = t->termios.iflag;
	bool canonical = flag(t->termios.lflag, ICANON);

	if (flag(iflags, ISTRIP))
		c &= 0x7f;
	if (!t->literal_next) {
		if (__special(t, c))
			return;
		if (c == '\r' && flag(iflags, IGNCR))
			return;
		if (c == '\r' && flag(iflags, ICRNL))
			c = '\n';
		else if (c == '\n' && flag(iflags, INLCR))
			c = '\r';
		if (canonical && extended(t, VLNEXT, c)) {
			t->literal_next = true;
			if (flag(t->termios.lflag, ECHO) &&
				flag(t->termios.lflag, ECHOCTL))
				__tty_output(t, (const uint8_t *)"^\b", 2);
			return;
		}
	}
	if (canonical) {
		__line_byte(t, c);
		return;
	}
	t->literal_next = false;
	if (!__room(t))
		return;
	__append(t, c);
	t->line = t->head;
	__echo(t, c);
	__wake_readers(t);
}

void tty_receive(struct tty *t, uint8_t c)
{
	int signo, group;

	spin_lock(&t->lock);
	__receive(t, c);
	signo = t->signal;
	group = t->foreground;
	t->signal = 0;
	spin_unlock(&t->lock);
	if (signo && group)
		signal_group(group, signo);
}

/* --- reading -------------------------------------------------------------- */

bool __tty_readable(const struct tty *t)
{
	return t->tail != t->line;
}

size_t __tty_take(struct tty *t, uint8_t *buf, size_t n, bool *end)
{
	bool canonical = flag(t->termios.lflag, ICANON);
	size_t taken = 0;

	*end = false;
	while (t->tail != t->line && !*end) {
		uint16_t c = t->input[t->tail % TTY_INPUT_SIZE];

		/* An end-of-file behind bytes that just fit ends with them. */
		if (taken == n && !(canonical && c & INPUT_EOF))
			break;
		t->tail++;
		if (canonical)
			*end = c & INPUT_END;
		if (!(c & INPUT_EOF))
			buf[taken++] = (uint8_t)c;
		else if (!canonical && taken < n)
			buf[taken++] = t->termios.cc[VEOF];
	}
	return taken;
}

/* When canonical mode begins, what is there already counts as a line; when it
 * ends, the line being edited can be read as it is. */
void __tty_set_termios(struct tty *t, const struct termios *new)
{
	bool was = flag(t->termios.lflag, ICANON);
	bool is = flag(new->lflag, ICANON);

	t->termios = *new;
	t->literal_next = false;
	if (was != is && t->head != t->tail) {
		if (is)
			t->input[(t->head - 1) % TTY_INPUT_SIZE] |= INPUT_END;
		t->line = t->head;
		__wake_readers(t);
	}
	if (t->stopped && !flag(new->iflag, IXON)) {
		t->stopped = false;
		wake_all(&t->writers);
	}
}

void tty_line_init(struct tty *t)
{
	spin_init(&t->lock);
	waitq_init(&t->readers);
	waitq_init(&t->writers);
	poll_source_init(&t->poll);
	t->winsize = (struct winsize){.rows = 24, .columns = 80};
	t->termios = (struct termios){
		.iflag = ICRNL | IXON | IUTF8,
		.oflag = OPOST | ONLCR,
		.cflag = B38400 | CS8 | CREAD | CLOCAL,
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL |
			ECHOKE | IEXTEN,
		.cc =
			{
				[VINTR] = 3,
				[VQUIT] = 0x1c,
				[VERASE] = 0x7f,
				[VKILL] = 0x15,
				[VEOF] = 4,
				[VMIN] = 1,
				[VSTART] = 0x11,
				[VSTOP] = 0x13,
				[VSUSP] = 0x1a,
				[VREPRINT] = 0x12,
				[VWERASE] = 0x17,
				[VLNEXT] = 0x16,
			},
	};
}
