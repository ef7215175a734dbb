/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping, timers. */
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "mem/user.h"
#include "proc/handlers.h"
#include "proc/itimer.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME 2
#define CLOCK_THREAD_CPUTIME 3
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
#define TIMER_ABSTIME 1
#define TICKS_PER_S 100

static bool is_wall(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
		clock == CLOCK_REALTIME_ALARM;
}

static bool is_monotonic(int clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
		clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME ||
		clock == CLOCK_BOOTTIME_ALARM;
}

/* --- clocks ------------------------------------------------------------ */

static int read_clock(int clock, uint64_t *out)
{
	struct thread *t = thread_current();
	uint64_t user_ns, system_ns;

	if (is_wall(clock)) {
		*out = time_wall_ns();
	} else if (is_monotonic(clock)) {
		*out = time_ns();
	} else if (clock == CLOCK_PROCESS_CPUTIME) {
		process_times(t->process, &user_ns, &system_ns);
		*out = user_ns + system_ns;
	} else if (clock == CLOCK_THREAD_CPUTIME) {
		account_now();
		*out = t->user_ns + t->system_ns;
	} else {
		return -EINVAL;
	}
	return 0;
}

SYSCALL(clock_gettime)
{
	uint64_t now;
	int err = read_clock((int)arg[0], &now);

	return err ? err : copy_time_to_user(arg[1], now);
}

SYSCALL(clock_getres)
{
	uint64_t ns;
	int err = read_clock((int)arg[0], &ns);

	if (err || !arg[1])
		return err;
	return copy_time_to_user(arg[1], 1);
}

SYSCALL(clock_settime)
{
	uint64_t ns;
	long err;

	if ((int)arg[0] != CLOCK_REALTIME)
		return -EINVAL;
	err = copy_time_from_user(&ns, arg[1]);
	if (!err)
		time_set_wall_ns(ns);
	return err;
}

SYSCALL(gettimeofday)
{
	struct timeval64 now = timeval_of(time_wall_ns());
	uint64_t zone = 0;

	if (arg[0] && copy_to_user(arg[0], &now, sizeof(now)))
		return -EFAULT;
	if (arg[1] && copy_to_user(arg[1], &zone, sizeof(zone)))
		return -EFAULT;
	return 0;
}

SYSCALL(time)
{
	int64_t now = time_wall_ns() / NS_PER_S;

	if (arg[0] && copy_to_user(arg[0], &now, sizeof(now)))
		return -EFAULT;
	return now;
}

SYSCALL(times)
{
	struct process *p = process_current();
	const uint64_t tick = NS_PER_S / TICKS_PER_S;
	uint64_t user_ns, system_ns, out[4];

	process_times(p, &user_ns, &system_ns);
	out[0] = user_ns / tick;
	out[1] = system_ns / tick;
	out[2] = p->child_user_ns / tick;
	out[3] = p->child_system_ns / tick;
	if (arg[0] && copy_to_user(arg[0], out, sizeof(out)))
		return -EFAULT;
	return time_ns() / tick;
}

/* --- sleeping ---------------------------------------------------------- */

/* `remaining` (0: nobody asks) is only of use after a handler has run. */
static long sleep_and_tell(uint64_t deadline, uintptr_t remaining)
{
	int err = sleep_until(deadline, WAIT_INTERRUPTIBLE);
	uint64_t now = time_ns();

	if (err && remaining &&
		copy_time_to_user(
			remaining, deadline > now ? deadline - now : 0))
		return -EFAULT;
	return err;
}

SYSCALL(nanosleep)
{
	uint64_t ns;
	long err = copy_time_from_user(&ns, arg[0]);

	return err ? err : sleep_and_tell(syscall_deadline(ns), arg[1]);
}

SYSCALL(clock_nanosleep)
{
	int clock = (int)arg[0];
	uint64_t ns;
	long err;

	if (!is_wall(clock) && !is_monotonic(clock))
		return clock == CLOCK_PROCESS_CPUTIME ? -ENOTSUP : -EINVAL;
	err = copy_time_from_user(&ns, arg[2]);
	if (err)
		return err;
	if (!(arg[1] & TIMER_ABSTIME))
		return sleep_and_tell(syscall_deadline(ns), arg[3]);
	return sleep_and_tell(is_wall(clock) ? deadline_of_wall(ns) : ns, 0);
}

/* --- alarm and setitimer ----------------------------------------------- */

#define ITIMER_REAL 0

struct itimerval64 {
	struct timeval64 interval, value;
};

static bool timeval_to_ns(const struct timeval64 *t, uint64_t *out)
{
	if (t->seconds < 0 || t->microseconds < 0 || t->microseconds >= 1000000)
		return false;
	if (t->seconds >= INT64_MAX / (int64_t)NS_PER_S)
		*out = INT64_MAX;
	else
		*out = t->seconds * NS_PER_S + t->microseconds * 1000;
	return true;
}

SYSCALL(alarm)
{
	struct timer_setting s = {(uint32_t)arg[0] * NS_PER_S, 0}, old = {0, 0};

	(void)itimer_set(TIMER_REAL, &s, false, &old);
	return (old.value + NS_PER_S - 1) / NS_PER_S;
}

static long put_itimerval(uintptr_t user, const struct timer_setting *s)
{
	struct itimerval64 v = {timeval_of(s->interval), timeval_of(s->value)};

	return copy_to_user(user, &v, sizeof(v));
}

SYSCALL(setitimer)
{
	struct itimerval64 v = {0};
	struct timer_setting s, old;
	int err;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	if (arg[1] && copy_from_user(&v, arg[1], sizeof(v)))
		return -EFAULT;
	if (!timeval_to_ns(&v.value, &s.value) ||
		!timeval_to_ns(&v.interval, &s.interval))
		return -EINVAL;
	err = itimer_set(TIMER_REAL, &s, false, &old);
	if (!err && arg[2])
		err = put_itimerval(arg[2], &old);
	return err;
}

SYSCALL(getitimer)
{
	struct timer_setting s;
	int err;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	err = itimer_get(TIMER_REAL, &s);
	return err ? err : put_itimerval(arg[1], &s);
}

/* --- timer_create ------------------------------------------------------ */

#define SIGEV_SIGNAL 0
#define SIGEV_NONE 1
#define SIGEV_THREAD_ID 4

struct sigevent64 {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t rest[11];
};

struct itimerspec64 {
	struct timespec64 interval, value;
};

static bool own_thread(int tid)
{
	struct thread *t;
	struct process *p = process_current();
	bool found = false;

	spin_lock(&p->lock);
	list_for_each (t, &p->threads, siblings)
		found |= t->tid == tid;
	spin_unlock(&p->lock);
	return found;
}

SYSCALL(timer_create)
{
	struct timer_notice n = {.signo = SIGALRM};
	struct sigevent64 e;
	int32_t id;

	/* The wall clock is not followed when it is set: both count alike. */
	if (!is_wall((int)arg[0]) && !is_monotonic((int)arg[0]))
		return -EINVAL;
	if (arg[1]) {
		if (copy_from_user(&e, arg[1], sizeof(e)))
			return -EFAULT;
		if (e.notify != SIGEV_SIGNAL && e.notify != SIGEV_NONE &&
			e.notify != SIGEV_THREAD_ID)
			return -EINVAL;
		if (e.notify == SIGEV_THREAD_ID && !own_thread(e.tid))
			return -EINVAL;
		if (e.notify != SIGEV_NONE &&
			(e.signo < 1 || e.signo > SIGNAL_COUNT))
			return -EINVAL;
		n.signo = e.notify == SIGEV_NONE ? 0 : e.signo;
		n.tid = e.notify == SIGEV_THREAD_ID ? e.tid : 0;
		n.value = e.value;
	}
	id = itimer_create(&n);
	if (id < 0)
		return id;
	if (copy_to_user(arg[2], &id, sizeof(id))) {
		(void)itimer_delete(id);
		return -EFAULT;
	}
	return 0;
}

static long put_itimerspec(uintptr_t user, const struct timer_setting *s)
{
	struct itimerspec64 v = {
		{s->interval / NS_PER_S, s->interval % NS_PER_S},
		{s->value / NS_PER_S, s->value % NS_PER_S},
	};

	return copy_to_user(user, &v, sizeof(v));
}

SYSCALL(timer_settime)
{
	struct timer_setting s, old;
	bool absolute = arg[1] & TIMER_ABSTIME;
	long err = copy_time_from_user(&s.interval, arg[2]);

	if (!err)
		err = copy_time_from_user(
			&s.value, arg[2] + sizeof(struct timespec64));
	if (err)
		return err;
	err = itimer_set(
		(int)arg[0] < 0 ? INT32_MAX : (int)arg[0], &s, absolute, &old);
	if (!err && arg[3])
		err = put_itimerspec(arg[3], &old);
	return err;
}

SYSCALL(timer_gettime)
{
	struct timer_setting s;
	long err = itimer_get((int)arg[0] < 0 ? INT32_MAX : (int)arg[0], &s);

	return err ? err : put_itimerspec(arg[1], &s);
}

SYSCALL(timer_getoverrun)
{
	return itimer_overruns((int)arg[0]);
}

SYSCALL(timer_delete)
{
	return itimer_delete((int)arg[0]);
}
