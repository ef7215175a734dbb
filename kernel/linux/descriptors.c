/* SPDX-License-Identifier: MIT */
/* Calls on descriptors, whatever they stand for: duplicate, control, flush. */
#include "linux/calls.h"
#include "linux/file.h"
#include "lib/errno.h"
#include "mem/user.h"

static long duplicate(int fd, int to, bool cloexec)
{
	struct file *f = fd_file(fd);

	return f ? fd_replace(f, to, cloexec) : -EBADF;
}

SYSCALL(dup)
{
	struct file *f = fd_file(as_fd(arg[0]));

	return f ? fd_install(f, 0, false) : -EBADF;
}

SYSCALL(dup2)
{
	struct file *f;

	if (as_fd(arg[0]) != as_fd(arg[1]))
		return duplicate(as_fd(arg[0]), as_fd(arg[1]), false);
	f = fd_file(as_fd(arg[0]));
	if (!f)
		return -EBADF;
	file_put(f);
	return as_fd(arg[1]);
}

SYSCALL(dup3)
{
	if (as_fd(arg[0]) == as_fd(arg[1]) ||
		arg[2] & ~(unsigned long)O_CLOEXEC)
		return -EINVAL;
	return duplicate(as_fd(arg[0]), as_fd(arg[1]), arg[2] & O_CLOEXEC);
}

#define F_DUPFD 0
#define F_GETFD 1
#define F_SETFD 2
#define F_GETFL 3
#define F_SETFL 4
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7
#define F_GETPIPE_SZ 1032
#define F_DUPFD_CLOEXEC 1030
#define F_UNLCK 2

/* Nobody ever holds a record lock. */
static long get_lock(uintptr_t addr)
{
	int16_t type = F_UNLCK;

	return copy_to_user(addr, &type, sizeof(type));
}

static long set_flags(struct file *f, unsigned long flags)
{
	const uint32_t changes = O_APPEND | O_NONBLOCK;
	uint32_t old = f->flags;

	while (!__atomic_compare_exchange_n(&f->flags, &old,
		(old & ~changes) | ((uint32_t)flags & changes), false,
		__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return 0;
}

static long control(struct file *f, int fd, unsigned long cmd, unsigned long a)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (a >= (unsigned long)fd_limit())
			return -EINVAL;
		file_get(f);
		return fd_install(f, (int)a, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_get_cloexec(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, a & 1);
	case F_GETFL:
		return f->flags;
	case F_SETFL:
		return set_flags(f, a);
	case F_GETLK:
		return get_lock(a);
	case F_SETLK:
	case F_SETLKW:
		return 0;
	case F_GETPIPE_SZ:
		return f->ops == &fifo_ops ? (long)pipe_size(f) : -EBADF;
	default:
		return -EINVAL;
	}
}

SYSCALL(fcntl)
{
	struct file *f = fd_file(as_fd(arg[0]));
	long n;

	if (!f)
		return -EBADF;
	n = control(f, as_fd(arg[0]), arg[1], arg[2]);
	file_put(f);
	return n;
}

#define FIONBIO 0x5421
#define FIONCLEX 0x5450
#define FIOCLEX 0x5451

static long set_nonblocking(struct file *f, uintptr_t addr)
{
	int on;

	if (copy_from_user(&on, addr, sizeof(on)))
		return -EFAULT;
	return set_flags(f,
		on ? f->flags | O_NONBLOCK : f->flags & ~(uint32_t)O_NONBLOCK);
}

SYSCALL(ioctl)
{
	struct file *f = fd_file(as_fd(arg[0]));
	uint32_t request = (uint32_t)arg[1];
	long n;

	if (!f)
		return -EBADF;
	if (f->flags & O_PATH)
		n = -EBADF;
	else if (request == FIONBIO)
		n = set_nonblocking(f, arg[2]);
	else if (request == FIOCLEX || request == FIONCLEX)
		n = fd_set_cloexec(as_fd(arg[0]), request == FIOCLEX);
	else
		n = f->ops->ioctl ? f->ops->ioctl(f, request, arg[2]) : -ENOTTY;
	file_put(f);
	return n;
}

/* Everything is in memory: what was written is as safe as it will ever be. */
static long check_fd(unsigned long fd)
{
	struct file *f = fd_file(as_fd(fd));

	if (!f)
		return -EBADF;
	file_put(f);
	return 0;
}

SYSCALL(fsync)
{
	return check_fd(arg[0]);
}

SYSCALL(fdatasync)
{
	return check_fd(arg[0]);
}

SYSCALL(flock)
{
	return check_fd(arg[0]);
}

SYSCALL(syncfs)
{
	return check_fd(arg[0]);
}

SYSCALL(readahead)
{
	return check_fd(arg[0]);
}

SYSCALL(fadvise64)
{
	return check_fd(arg[0]);
}
