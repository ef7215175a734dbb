/* SPDX-License-Identifier: MIT */
/* eventfd and epoll. */
#include "linux/calls.h"
#include "linux/copy.h"
#include "linux/file.h"
#include "fs/anonymous.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/wait.h"

#define EFD_SEMAPHORE 1u
#define MOST_EVENTS 256u /* of one wait; the rest comes with the next */

enum {
	EPOLL_CTL_ADD = 1,
	EPOLL_CTL_DEL,
	EPOLL_CTL_MOD,
};

static long make_eventfd(unsigned initial, unsigned flags)
{
	struct file *f;
	int err;

	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	err = eventfd_create(initial, flags & EFD_SEMAPHORE, flags, &f);
	return err ? err : fd_install(f, 0, flags & O_CLOEXEC);
}

SYSCALL(eventfd)
{
	return make_eventfd((unsigned)arg[0], 0);
}

SYSCALL(eventfd2)
{
	return make_eventfd((unsigned)arg[0], (unsigned)arg[1]);
}

static long make_epoll(bool cloexec)
{
	struct file *f;
	int err = epoll_create(&f);

	return err ? err : fd_install(f, 0, cloexec);
}

SYSCALL(epoll_create)
{
	return (int)arg[0] <= 0 ? -EINVAL : make_epoll(false);
}

SYSCALL(epoll_create1)
{
	if (arg[0] & ~(unsigned long)O_CLOEXEC)
		return -EINVAL;
	return make_epoll(arg[0] & O_CLOEXEC);
}

static long control(
	struct epoll *e, unsigned what, struct file *f, int fd, uintptr_t addr)
{
	struct epoll_event event = {0};

	if (what == EPOLL_CTL_DEL)
		return epoll_remove(e, f, fd);
	if (copy_from_user(&event, addr, sizeof(event)))
		return -EFAULT;
	switch (what) {
	case EPOLL_CTL_ADD:
		return epoll_add(e, f, fd, &event);
	case EPOLL_CTL_MOD:
		return epoll_change(e, f, fd, &event);
	default:
		return -EINVAL;
	}
}

SYSCALL(epoll_ctl)
{
	struct file *of = fd_file(as_fd(arg[0])), *f = fd_file(as_fd(arg[2]));
	struct epoll *e = of ? epoll_of(of) : NULL;
	long result = -EBADF;

	if (of && f)
		result = e
			? control(e, (unsigned)arg[1], f, as_fd(arg[2]), arg[3])
			: -EINVAL;
	file_put(f);
	file_put(of);
	return result;
}

static long wait_for_events(
	struct epoll *e, uintptr_t addr, int max, uint64_t deadline)
{
	unsigned room = MIN((unsigned)max, MOST_EVENTS);
	struct epoll_event *events;
	long n;

	if (max <= 0)
		return -EINVAL;
	events = kmalloc(room * sizeof(*events));
	if (!events)
		return -ENOMEM;
	n = epoll_wait(e, events, room, deadline);
	if (n > 0 && copy_to_user(addr, events, (size_t)n * sizeof(*events)))
		n = -EFAULT;
	kfree(events);
	return n;
}

static long do_wait(const unsigned long *arg, uint64_t ns)
{
	struct file *f = fd_file(as_fd(arg[0]));
	struct epoll *e = f ? epoll_of(f) : NULL;
	long n = f ? -EINVAL : -EBADF;

	if (e)
		n = wait_for_events(
			e, arg[1], (int)arg[2], syscall_deadline(ns));
	file_put(f);
	return n;
}

/* Milliseconds; negative: for ever. */
static uint64_t timeout(unsigned long ms)
{
	return (int)ms < 0 ? WAIT_FOREVER : (int)ms * NS_PER_MS;
}

SYSCALL(epoll_wait)
{
	return do_wait(arg, timeout(arg[3]));
}

SYSCALL(epoll_pwait)
{
	long err = take_call_mask(arg[4], arg[5]);

	return err ? err : do_wait(arg, timeout(arg[3]));
}

SYSCALL(epoll_pwait2)
{
	uint64_t ns = WAIT_FOREVER;
	long err = arg[3] ? copy_time_from_user(&ns, arg[3]) : 0;

	if (!err)
		err = take_call_mask(arg[4], arg[5]);
	return err ? err : do_wait(arg, ns);
}
