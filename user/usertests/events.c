/* SPDX-License-Identifier: MIT */
/* epoll and eventfd: what is told, how often, and what becomes of files that
 * are closed while they are watched. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "usertests.h"

static int watch(int e, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = fd};

	return epoll_ctl(e, EPOLL_CTL_ADD, fd, &event);
}

/* The events of the only one that is told of; 0: none within the time. */
static uint32_t told(int e, int fd, int timeout_ms)
{
	struct epoll_event got[4];
	int n = epoll_wait(e, got, 4, timeout_ms);

	CHECK(n == 0 || (n == 1 && (int)got[0].data.u64 == fd));
	return n ? got[0].events : 0;
}

static void drain(int fd)
{
	char bytes[64];

	CHECK(read(fd, bytes, sizeof(bytes)) > 0);
}

static void level_is_told_until_it_is_gone(void)
{
	int e = epoll_create1(0), p[2];

	CHECK(e >= 0 && pipe(p) == 0);
	CHECK(watch(e, p[0], EPOLLIN) == 0);
	CHECK(told(e, p[0], 0) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(told(e, p[0], -1) == EPOLLIN && told(e, p[0], 0) == EPOLLIN);
	drain(p[0]);
	CHECK(told(e, p[0], 0) == 0);
	CHECK(write(p[1], "x", 1) == 1 && told(e, p[0], 0) == EPOLLIN);
	close(p[1]);
	CHECK(told(e, p[0], 0) == (EPOLLIN | EPOLLHUP));
	drain(p[0]);
	CHECK(told(e, p[0], 0) == EPOLLHUP);
}

static void an_edge_is_told_once(void)
{
	int e = epoll_create1(0), p[2];

	CHECK(e >= 0 && pipe(p) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(watch(e, p[0], EPOLLIN | EPOLLET) == 0);
	CHECK(told(e, p[0], 0) == EPOLLIN && told(e, p[0], 0) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(told(e, p[0], 0) == EPOLLIN && told(e, p[0], 0) == 0);
	drain(p[0]);
	CHECK(told(e, p[0], 0) == 0);
	CHECK(write(p[1], "x", 1) == 1 && told(e, p[0], 1000) == EPOLLIN);
}

static void one_shot_is_one_until_it_is_set_again(void)
{
	int e = epoll_create1(0), p[2];
	struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT};

	CHECK(e >= 0 && pipe(p) == 0 && write(p[1], "x", 1) == 1);
	again.data.u64 = (uint64_t)p[0];
	CHECK(watch(e, p[0], EPOLLIN | EPOLLONESHOT) == 0);
	CHECK(told(e, p[0], 0) == EPOLLIN && told(e, p[0], 0) == 0);
	CHECK(write(p[1], "x", 1) == 1 && told(e, p[0], 0) == 0);
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &again) == 0);
	CHECK(told(e, p[0], 0) == EPOLLIN);
}

static void closed_files_are_forgotten(void)
{
	int e = epoll_create1(EPOLL_CLOEXEC), p[2], copy;

	CHECK(e >= 0 && pipe(p) == 0 && write(p[1], "x", 1) == 1);
	CHECK(watch(e, p[0], EPOLLIN) == 0);
	copy = dup(p[0]);
	close(p[0]);
	CHECK(told(e, p[0], 0) == EPOLLIN); /* the file is still open */
	close(copy);
	CHECK(told(e, p[0], 0) == 0);
	/* And the other way round: the watcher goes first. */
	CHECK(pipe(p) == 0 && watch(e, p[0], EPOLLIN) == 0);
	close(e);
	CHECK(write(p[1], "x", 1) == 1);
}

static void watching_wrongly(void)
{
	int e = epoll_create1(0), p[2], file = open("/tmp", O_RDONLY);
	struct epoll_event event = {.events = EPOLLIN};

	CHECK(e >= 0 && pipe(p) == 0);
	CHECK(watch(e, 999, EPOLLIN) < 0 && errno == EBADF);
	CHECK(watch(p[0], p[1], EPOLLIN) < 0 && errno == EINVAL);
	CHECK(watch(e, file, EPOLLIN) < 0 && errno == EPERM);
	CHECK(watch(e, e, EPOLLIN) < 0 && errno == EINVAL);
	CHECK(watch(e, p[0], EPOLLIN) == 0);
	CHECK(watch(e, p[0], EPOLLIN) < 0 && errno == EEXIST);
	CHECK(epoll_ctl(e, EPOLL_CTL_MOD, p[1], &event) < 0 && errno == ENOENT);
	CHECK(epoll_ctl(e, EPOLL_CTL_DEL, p[1], &event) < 0 && errno == ENOENT);
	CHECK(epoll_ctl(e, 9, p[0], &event) < 0 && errno == EINVAL);
	CHECK(epoll_wait(e, &event, 0, 0) < 0 && errno == EINVAL);
	CHECK(epoll_wait(p[0], &event, 1, 0) < 0 && errno == EINVAL);
	CHECK(epoll_ctl(e, EPOLL_CTL_DEL, p[0], NULL) == 0);
	CHECK(write(p[1], "x", 1) == 1 && told(e, p[0], 0) == 0);
	CHECK(epoll_create1(1) < 0 && errno == EINVAL);
}

static void a_waiter_is_woken(void)
{
	int e = epoll_create1(0), p[2], status;
	struct pollfd through = {.fd = e, .events = POLLIN};
	pid_t pid;

	CHECK(e >= 0 && pipe(p) == 0 && watch(e, p[0], EPOLLIN) == 0);
	CHECK(poll(&through, 1, 0) == 0);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			usleep(1000);
			_exit(write(p[1], "x", 1) != 1);
		}
		if (i % 2)
			CHECK(poll(&through, 1, -1) == 1);
		CHECK(told(e, p[0], -1) == EPOLLIN);
		drain(p[0]);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

static void many_get_their_turn(void)
{
	enum {
		PIPES = 40
	};
	int e = epoll_create1(0), p[PIPES][2];
	uint64_t seen = 0;

	CHECK(e >= 0);
	for (int i = 0; i < PIPES; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};

		CHECK(pipe(p[i]) == 0 && write(p[i][1], "x", 1) == 1);
		CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p[i][0], &event) == 0);
	}
	for (int i = 0; i < PIPES / 4; i++) {
		struct epoll_event got[4];

		CHECK(epoll_wait(e, got, 4, 0) == 4);
		for (int n = 0; n < 4; n++)
			seen |= 1ull << got[n].data.u32;
	}
	CHECK(seen == (1ull << PIPES) - 1);
}

static void a_counter_counts(void)
{
	int fd = eventfd(3, EFD_NONBLOCK), one = eventfd(2, EFD_SEMAPHORE);
	uint64_t value = 4, largest = UINT64_MAX - 1;
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	CHECK(fd >= 0 && one >= 0);
	CHECK(write(fd, &value, 8) == 8);
	CHECK(read(fd, &value, 8) == 8 && value == 7);
	CHECK(read(fd, &value, 8) < 0 && errno == EAGAIN);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	CHECK(write(fd, &largest, 8) == 8);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	CHECK(write(fd, &value, 8) < 0 && errno == EAGAIN);
	value = UINT64_MAX;
	CHECK(write(fd, &value, 8) < 0 && errno == EINVAL);
	CHECK(write(fd, &value, 4) < 0 && errno == EINVAL);
	CHECK(read(fd, &value, 4) < 0 && errno == EINVAL);
	CHECK(read(one, &value, 8) == 8 && value == 1);
	CHECK(read(one, &value, 8) == 8 && value == 1);
	CHECK(eventfd(0, 0x10000) < 0 && errno == EINVAL);
}

static void a_counter_is_waited_for(void)
{
	int fd = eventfd(0, 0), status;
	uint64_t value = 5;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		usleep(1000);
		_exit(write(fd, &value, 8) != 8);
	}
	CHECK(read(fd, &value, 8) == 8 && value == 5);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

const struct test event_tests[] = {
	{"level_is_told_until_it_is_gone", level_is_told_until_it_is_gone, 0},
	{"an_edge_is_told_once", an_edge_is_told_once, 0},
	{"one_shot_is_one_until_it_is_set_again",
		one_shot_is_one_until_it_is_set_again, 0},
	{"closed_files_are_forgotten", closed_files_are_forgotten, 0},
	{"watching_wrongly", watching_wrongly, 0},
	{"a_waiter_is_woken", a_waiter_is_woken, 0},
	{"many_get_their_turn", many_get_their_turn, 0},
	{"a_counter_counts", a_counter_counts, 0},
	{"a_counter_is_waited_for", a_counter_is_waited_for, 0},
	{0},
};
