/* SPDX-License-Identifier: MIT */
/* Waiting for several descriptors: poll, select and their relatives. */
#include "linux/calls.h"
#include "linux/copy.h"
#include "linux/file.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/wait.h"

struct pollfd {
	int32_t fd;
	int16_t events, revents;
};

/* Files that are asked; counted while the call lasts, so that what a poller is
 * registered with stays. */
struct waited {
	struct file *file; /* NULL: none, or a bad descriptor */
	unsigned wanted;   /* events that count */
	unsigned ready;    /* those of them that hold */
};

/* Bits that poll reports whether they are asked for or not. */
#define POLL_ALWAYS (POLLERR | POLLHUP | POLLNVAL)

static unsigned ask_all(struct waited *w, unsigned n, struct poller *p)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		if (w[i].file)
			w[i].ready = file_poll(w[i].file, p) & w[i].wanted;
		count += w[i].ready != 0;
	}
	return count;
}

/* How many are ready, waiting for the first until the deadline; -errno. */
static long wait_for_files(struct waited *w, unsigned n, uint64_t deadline)
{
	struct poller p;
	long count;
	int error = 0;

	poller_init(&p);
	count = ask_all(w, n, &p);
	while (!count && !error) {
		if (p.failed) {
			error = -ENOMEM;
			break;
		}
		error = poller_wait(&p, deadline);
		if (error != -ERESTARTSYS)
			count = ask_all(w, n, NULL);
	}
	poller_done(&p);
	if (count)
		return count;
	return error == -ETIMEDOUT ? 0 : error;
}

static void put_all(struct waited *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		file_put(w[i].file);
	kfree(w);
}

/* --- poll ----------------------------------------------------------------- */

static long poll_fds(struct pollfd *fds, unsigned n, uint64_t deadline)
{
	struct waited *w = kzalloc(n * sizeof(*w) + 1);
	long count;

	if (!w)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		w[i].wanted = (uint16_t)fds[i].events | POLL_ALWAYS;
		if (fds[i].fd < 0)
			continue;
		w[i].file = fd_file(fds[i].fd);
		if (!w[i].file)
			w[i].ready = POLLNVAL;
	}
	count = wait_for_files(w, n, deadline);
	for (unsigned i = 0; i < n; i++)
		fds[i].revents = (int16_t)w[i].ready;
	put_all(w, n);
	return count;
}

static long do_poll(uintptr_t addr, unsigned long n, uint64_t deadline)
{
	struct pollfd *fds;
	long count;

	if (n > FD_LIMIT)
		return -EINVAL;
	fds = kmalloc(n * sizeof(*fds) + 1);
	if (!fds)
		return -ENOMEM;
	if (copy_from_user(fds, addr, n * sizeof(*fds)))
		count = -EFAULT;
	else
		count = poll_fds(fds, (unsigned)n, deadline);
	if (count >= 0 && copy_to_user(addr, fds, n * sizeof(*fds)))
		count = -EFAULT;
	kfree(fds);
	return count;
}

SYSCALL(poll)
{
	int timeout = (int)arg[2]; /* ms; negative: for ever */

	return do_poll(arg[0], (unsigned)arg[1],
		syscall_deadline(
			timeout < 0 ? WAIT_FOREVER : timeout * NS_PER_MS));
}

/* A struct timespec, NULL: for ever. */
static long take_timeout(uintptr_t addr, uint64_t *deadline)
{
	uint64_t ns = WAIT_FOREVER;
	long error = addr ? copy_time_from_user(&ns, addr) : 0;

	if (!error)
		*deadline = syscall_deadline(ns);
	return error;
}

/* The time that is left; Linux' calls write it back, and forgive if they
 * cannot. */
static void give_rest(uintptr_t addr, uint64_t deadline)
{
	uint64_t now = time_ns();

	if (addr &&
		copy_time_to_user(addr, deadline > now ? deadline - now : 0))
		return;
}

SYSCALL(ppoll)
{
	uint64_t deadline = 0;
	long n = take_timeout(arg[2], &deadline);

	if (!n)
		n = take_call_mask(arg[3], arg[4]);
	if (!n)
		n = do_poll(arg[0], (unsigned)arg[1], deadline);
	if (n >= 0)
		give_rest(arg[2], deadline);
	return n;
}

/* --- select --------------------------------------------------------------- */

#define SET_BYTES(n) (((n) + 63) / 64 * 8)

enum {
	SET_READ,
	SET_WRITE,
	SET_EXCEPT,
	SETS
};

static const unsigned set_means[SETS] = {
	POLLIN | POLLRDNORM | POLLHUP | POLLERR,
	POLLOUT | POLLWRNORM | POLLERR,
	POLLPRI,
};

struct fd_sets {
	uint64_t bits[SETS][FD_LIMIT / 64];
};

static bool in_set(const struct fd_sets *s, unsigned set, unsigned fd)
{
	return s->bits[set][fd / 64] >> fd % 64 & 1;
}

static int collect(const struct fd_sets *s, unsigned n, struct waited *w)
{
	for (unsigned fd = 0; fd < n; fd++) {
		for (unsigned set = 0; set < SETS; set++)
			if (in_set(s, set, fd))
				w[fd].wanted |= set_means[set];
		if (!w[fd].wanted)
			continue;
		w[fd].file = fd_file((int)fd);
		if (!w[fd].file)
			return -EBADF;
	}
	return 0;
}

/* Leave only the bits of what is ready; how many. */
static long keep_ready(struct fd_sets *s, unsigned n, const struct waited *w)
{
	long count = 0;

	for (unsigned set = 0; set < SETS; set++)
		for (unsigned fd = 0; fd < n; fd++) {
			if (!in_set(s, set, fd))
				continue;
			if (w[fd].ready & set_means[set])
				count++;
			else
				s->bits[set][fd / 64] &= ~(1ull << fd % 64);
		}
	return count;
}

static long select_sets(struct fd_sets *s, unsigned n, uint64_t deadline)
{
	struct waited *w = kzalloc(n * sizeof(*w) + 1);
	long count;

	if (!w)
		return -ENOMEM;
	count = collect(s, n, w);
	if (!count)
		count = wait_for_files(w, n, deadline);
	if (count >= 0)
		count = keep_ready(s, n, w);
	put_all(w, n);
	return count;
}

static long do_select(
	unsigned n, const unsigned long addr[SETS], uint64_t deadline)
{
	struct fd_sets *s;
	long count = 0;

	if ((int)n < 0)
		return -EINVAL;
	n = MIN(n, FD_LIMIT);
	s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; i < SETS && !count; i++)
		if (addr[i])
			count = copy_from_user(
				s->bits[i], addr[i], SET_BYTES(n));
	if (!count)
		count = select_sets(s, n, deadline);
	for (unsigned i = 0; i < SETS && count >= 0; i++)
		if (addr[i] && copy_to_user(addr[i], s->bits[i], SET_BYTES(n)))
			count = -EFAULT;
	kfree(s);
	return count;
}

SYSCALL(select)
{
	struct timeval64 t;
	uint64_t ns = WAIT_FOREVER, deadline, now;
	long n;

	if (arg[4]) {
		if (copy_from_user(&t, arg[4], sizeof(t)))
			return -EFAULT;
		if (t.seconds < 0 || t.microseconds < 0)
			return -EINVAL;
		t.seconds = MIN(t.seconds, INT64_MAX / 2 / (int64_t)NS_PER_S);
		t.microseconds = MIN(t.microseconds, INT64_MAX / 4000);
		ns = (uint64_t)t.seconds * NS_PER_S +
			(uint64_t)t.microseconds * 1000;
	}
	deadline = syscall_deadline(ns);
	n = do_select((unsigned)arg[0], arg + 1, deadline);
	now = time_ns();
	if (n >= 0 && arg[4]) {
		t = timeval_of(deadline > now ? deadline - now : 0);
		if (copy_to_user(arg[4], &t, sizeof(t)))
			return n;
	}
	return n;
}

SYSCALL(pselect6)
{
	uint64_t deadline = 0, mask[2] = {0, 0};
	long n = take_timeout(arg[4], &deadline);

	/* The sixth argument points at the mask's address and size. */
	if (!n && arg[5])
		n = copy_from_user(mask, arg[5], sizeof(mask));
	if (!n)
		n = take_call_mask(mask[0], mask[1]);
	if (!n)
		n = do_select((unsigned)arg[0], arg + 1, deadline);
	if (n >= 0)
		give_rest(arg[4], deadline);
	return n;
}
