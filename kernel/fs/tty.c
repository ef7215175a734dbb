/* SPDX-License-Identifier: MIT */
/*
 * The console terminal as a file: reading, writing, sessions and their ioctls.
 *
 * tty.lock is a leaf but for wait queues: signals are sent and processes are
 * asked after it is free. A file remembers the terminal's generation if its
 * opener belonged to the terminal's session; hanging up that session makes such
 * files read as ended and refuse everything else.
 */
#include "fs/tty_local.h"
#include "cpu/serial.h"
#include "cpu/time.h"
#include "fs/inode.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/user.h"
#include "proc/process.h"
#include "proc/signal.h"

#define PIECE 256u

struct tty console_tty;

static bool hung_up(const struct tty *t, const struct file *f)
{
	uintptr_t generation = (uintptr_t)f->data;

	return generation && generation != t->generation;
}

/* May a process of this group use the terminal? A group in the background is
 * stopped by the signal instead. */
static int check_background(struct tty *t, int signo)
{
	struct process *p = process_current();

	if (!p || p->tty != t || !t->foreground || p->pgid == t->foreground)
		return 0;
	if (signal_ignored_or_blocked(signo))
		return signo == SIGTTIN ? -EIO : 0;
	if (process_group_orphaned(p->pgid))
		return -EIO;
	signal_group(p->pgid, signo);
	return -ERESTARTSYS;
}

/* --- reading -------------------------------------------------------------- */

/* How a read waits, from VMIN and VTIME. */
struct patience {
	size_t wanted;     /* bytes that end it */
	uint64_t interval; /* ns between bytes; 0: no limit */
	uint64_t deadline;
};

static struct patience __patience(const struct tty *t, size_t n)
{
	uint64_t time = t->termios.cc[VTIME] * 100 * NS_PER_MS;
	size_t min = t->termios.cc[VMIN];
	struct patience p = {1, 0, WAIT_FOREVER};

	if (t->termios.lflag & ICANON)
		return p;
	if (min) {
		p.wanted = MIN(min, n);
		p.interval = time;
	} else {
		p.deadline = time_ns() + time;
	}
	return p;
}

/* Until there is input: 0; -ETIMEDOUT; else -errno. */
static int __wait_for_input(
	struct tty *t, struct file *f, const struct patience *p)
{
	int error = 0;

	while (!error && !__tty_readable(t)) {
		if (hung_up(t, f))
			return -ETIMEDOUT;
		if (p->deadline != WAIT_FOREVER && time_ns() >= p->deadline)
			return -ETIMEDOUT;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		error = wait_on(
			&t->readers, &t->lock, p->deadline, WAIT_INTERRUPTIBLE);
	}
	return error;
}

/* One piece: bytes taken; *end says that the read is complete. */
static ssize_t read_piece(struct tty *t, struct file *f, struct uio *u,
	const struct patience *p, bool *end)
{
	uint8_t buf[PIECE];
	size_t n;
	int error;

	spin_lock(&t->lock);
	error = __wait_for_input(t, f, p);
	n = error ? 0 : __tty_take(t, buf, MIN(u->left, PIECE), end);
	spin_unlock(&t->lock);
	if (error)
		return error;
	if (n && uio_put(u, buf, n) != (ssize_t)n)
		return -EFAULT;
	return (ssize_t)n;
}

static ssize_t tty_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tty *t = &console_tty;
	struct patience p;
	ssize_t total = 0;
	bool end = false;
	bool canonical;

	(void)pos;
	spin_lock(&t->lock);
	p = __patience(t, u->left);
	canonical = t->termios.lflag & ICANON;
	spin_unlock(&t->lock);
	while (u->left && !end) {
		ssize_t n = check_background(t, SIGTTIN);

		if (!n)
			n = read_piece(t, f, u, &p, &end);
		if (n < 0 && !total)
			return n == -ETIMEDOUT ? 0 : n;
		if (n < 0)
			break;
		total += n;
		if (canonical) {
			/* The rest of the line, if it is there. */
			p.deadline = 0;
			continue;
		}
		if ((size_t)total >= p.wanted)
			p.deadline = 0; /* what is there, but no waiting */
		else if (p.interval)
			p.deadline = time_ns() + p.interval;
	}
	return total;
}

/* --- writing -------------------------------------------------------------- */

static int __wait_for_output(struct tty *t, struct file *f)
{
	int error = 0;

	while (!error && t->stopped && !hung_up(t, f)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		error = wait_on(&t->writers, &t->lock, WAIT_FOREVER,
			WAIT_INTERRUPTIBLE);
	}
	return error ? error : hung_up(t, f) ? -EIO : 0;
}

static ssize_t tty_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct tty *t = &console_tty;
	ssize_t total = 0;
	int error = 0;

	(void)pos;
	if (t->termios.lflag & TOSTOP)
		error = check_background(t, SIGTTOU);
	while (u->left && !error) {
		uint8_t buf[PIECE];
		ssize_t n = uio_get(u, buf, MIN(u->left, PIECE));

		if (n <= 0) {
			error = (int)n;
			break;
		}
		spin_lock(&t->lock);
		error = __wait_for_output(t, f);
		if (!error)
			__tty_output(t, buf, (size_t)n);
		spin_unlock(&t->lock);
		if (!error)
			total += n;
		if (signal_waiting())
			break; /* a long write can be interrupted */
	}
	return total ? total : error;
}

static unsigned tty_poll(struct file *f, struct poller *p)
{
	struct tty *t = &console_tty;
	unsigned events = 0;

	if (p)
		poll_register(p, &t->poll);
	spin_lock(&t->lock);
	if (hung_up(t, f))
		events = POLLIN | POLLOUT | POLLERR | POLLHUP;
	if (__tty_readable(t))
		events |= POLLIN;
	if (!t->stopped)
		events |= POLLOUT;
	spin_unlock(&t->lock);
	return events;
}

/* --- sessions ------------------------------------------------------------- */

/* Make t the controlling terminal of the current process, a session leader
 * without one. `steal`: even if another session has it. */
static int acquire(struct tty *t, bool steal)
{
	struct process *p = process_current();
	int old;

	spin_lock(&t->lock);
	old = t->session;
	if (!old || old == p->sid || steal) {
		t->session = p->sid;
		t->foreground = p->pgid;
	}
	spin_unlock(&t->lock);
	if (old && old != p->sid && !steal)
		return -EPERM;
	if (old && old != p->sid)
		session_clear_tty(old);
	process_set_tty(t);
	return 0;
}

void tty_session_gone(struct tty *t, int sid)
{
	int foreground = 0;
	bool ours;

	spin_lock(&t->lock);
	ours = t->session == sid;
	if (ours) {
		foreground = t->foreground;
		t->session = 0;
		t->foreground = 0;
		t->generation++;
		t->stopped = false;
		wake_all(&t->readers);
		wake_all(&t->writers);
		poll_wake(&t->poll);
	}
	spin_unlock(&t->lock);
	if (!ours)
		return;
	session_clear_tty(sid);
	if (foreground) {
		signal_group(foreground, SIGHUP);
		signal_group(foreground, SIGCONT);
	}
}

void tty_describe(struct tty *t, int *out_foreground, unsigned *out_rdev)
{
	*out_foreground = t ? t->foreground : -1;
	*out_rdev = t ? (unsigned)make_rdev(5, 1) : 0;
}

static bool is_controlling(const struct tty *t)
{
	struct process *p = process_current();

	return p && p->tty == t && p->sid == t->session;
}

static int set_controlling(struct tty *t, uintptr_t arg)
{
	struct process *p = process_current();

	if (is_controlling(t) && p->pid == p->sid)
		return 0;
	if (p->pid != p->sid || p->tty)
		return -EPERM;
	return acquire(t, arg == 1);
}

static int give_up(struct tty *t)
{
	struct process *p = process_current();

	if (p->tty != t)
		return -ENOTTY;
	if (p->pid == p->sid)
		tty_session_gone(t, p->sid);
	else
		p->tty = NULL;
	return 0;
}

static int set_foreground(struct tty *t, uintptr_t arg)
{
	struct process *p = process_current();
	int group, error;

	if (!is_controlling(t))
		return -ENOTTY;
	error = check_background(t, SIGTTOU);
	if (!error)
		error = copy_from_user(&group, arg, sizeof(group));
	if (error)
		return error;
	if (group <= 0)
		return -EINVAL;
	if (!process_group_exists(group, p->sid))
		return -EPERM;
	spin_lock(&t->lock);
	if (t->session == p->sid)
		t->foreground = group;
	spin_unlock(&t->lock);
	return 0;
}

/* --- ioctls --------------------------------------------------------------- */

static int put_int(uintptr_t arg, int value)
{
	return copy_to_user(arg, &value, sizeof(value));
}

static int get_termios(struct tty *t, uintptr_t arg)
{
	struct termios copy;

	spin_lock(&t->lock);
	copy = t->termios;
	spin_unlock(&t->lock);
	return copy_to_user(arg, &copy, sizeof(copy));
}

static int set_termios(struct tty *t, uintptr_t arg, bool flush)
{
	struct termios new;
	int error = check_background(t, SIGTTOU);

	if (!error)
		error = copy_from_user(&new, arg, sizeof(new));
	if (error)
		return error;
	spin_lock(&t->lock);
	if (flush)
		__tty_flush_input(t);
	__tty_set_termios(t, &new);
	spin_unlock(&t->lock);
	return 0;
}

static int get_winsize(struct tty *t, uintptr_t arg)
{
	struct winsize copy;

	spin_lock(&t->lock);
	copy = t->winsize;
	spin_unlock(&t->lock);
	return copy_to_user(arg, &copy, sizeof(copy));
}

static int set_winsize(struct tty *t, uintptr_t arg)
{
	struct winsize new;
	bool changed;
	int group, error = copy_from_user(&new, arg, sizeof(new));

	if (error)
		return error;
	spin_lock(&t->lock);
	changed = memcmp(&new, &t->winsize, sizeof(new)) != 0;
	t->winsize = new;
	group = t->foreground;
	spin_unlock(&t->lock);
	if (changed && group)
		signal_group(group, SIGWINCH);
	return 0;
}

/* TCFLSH: 0 input, 1 output, 2 both. Output is never kept back. */
static int flush(struct tty *t, uintptr_t arg)
{
	int error = check_background(t, SIGTTOU);

	if (error)
		return error;
	if (arg > 2)
		return -EINVAL;
	spin_lock(&t->lock);
	if (arg != 1)
		__tty_flush_input(t);
	spin_unlock(&t->lock);
	return 0;
}

/* TCXONC: 0 stops output, 1 lets it go on; 2 and 3 are for the other side. */
static int flow(struct tty *t, uintptr_t arg)
{
	int error = check_background(t, SIGTTOU);

	if (error)
		return error;
	if (arg > 3)
		return -EINVAL;
	spin_lock(&t->lock);
	if (arg < 2)
		t->stopped = arg == 0;
	wake_all(&t->writers);
	spin_unlock(&t->lock);
	return 0;
}

static int input_waiting(struct tty *t, uintptr_t arg)
{
	int n;

	spin_lock(&t->lock);
	n = (int)(t->line - t->tail);
	spin_unlock(&t->lock);
	return put_int(arg, n);
}

static int64_t tty_ioctl(struct file *f, uint32_t request, uintptr_t arg)
{
	struct tty *t = &console_tty;

	if (hung_up(t, f))
		return -EIO;
	switch (request) {
	case TCGETS:
		return get_termios(t, arg);
	case TCSETS:
	case TCSETSW:
		return set_termios(t, arg, false);
	case TCSETSF:
		return set_termios(t, arg, true);
	case TIOCGWINSZ:
		return get_winsize(t, arg);
	case TIOCSWINSZ:
		return set_winsize(t, arg);
	case TIOCGPGRP:
		return is_controlling(t) ? put_int(arg, t->foreground)
					 : -ENOTTY;
	case TIOCSPGRP:
		return set_foreground(t, arg);
	case TIOCGSID:
		return is_controlling(t) ? put_int(arg, t->session) : -ENOTTY;
	case TIOCSCTTY:
		return set_controlling(t, arg);
	case TIOCNOTTY:
		return give_up(t);
	case TIOCINQ:
		return input_waiting(t, arg);
	case TIOCOUTQ:
		return put_int(arg, 0);
	case TCFLSH:
		return flush(t, arg);
	case TCXONC:
		return flow(t, arg);
	case TCSBRK:
	case TCSBRKP:
		return check_background(t, SIGTTOU);
	default:
		return -ENOTTY;
	}
}

static const struct file_ops tty_ops = {
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};

/* --- opening -------------------------------------------------------------- */

static int console_open(struct node *n, struct file *f)
{
	struct process *p = process_current();
	struct tty *t = &console_tty;

	(void)n;
	if (!p)
		return 0;
	if (!(f->flags & O_NOCTTY) && p->pid == p->sid && !p->tty)
		acquire(t, false); /* or it stays somebody else's */
	if (p->tty == t)
		f->data = (void *)(uintptr_t)t->generation;
	return 0;
}

static int own_open(struct node *n, struct file *f)
{
	struct process *p = process_current();

	(void)n;
	if (!p || !p->tty)
		return -ENXIO;
	f->data = (void *)(uintptr_t)p->tty->generation;
	return 0;
}

const struct node_ops tty_console_node_ops = {
	.fops = &tty_ops,
	.open = console_open,
};

const struct node_ops tty_own_node_ops = {
	.fops = &tty_ops,
	.open = own_open,
};

static void receive(uint8_t c)
{
	tty_receive(&console_tty, c);
}

void tty_init(void)
{
	tty_line_init(&console_tty);
	console_tty.generation = 1;
	serial_on_receive(receive);
}
