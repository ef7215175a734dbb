/* SPDX-License-Identifier: MIT */
/* Processes and threads: birth, death, and who is told. */
#include "usertests.h"

#include <sched.h>
#include <spawn.h>
#include <time.h>

static void exit_statuses(void)
{
	for (int code = 0; code < 256; code += 51) {
		int status;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0)
			_exit(code);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
		CHECK(waitpid(pid, &status, 0) < 0 && errno == ECHILD);
	}
}

static void waiting_for_nobody(void)
{
	int status;

	CHECK(wait(&status) < 0 && errno == ECHILD);
	CHECK(waitpid(1, &status, 0) < 0 && errno == ECHILD);
	CHECK(waitpid(999999, &status, 0) < 0 && errno == ECHILD);
	CHECK(waitpid(-1, &status, 0x40000000 | 0x1000) < 0);
}

/* Children of a dead process go to the first one, which buries them. */
static void orphans(void)
{
	int fds[2], status;
	pid_t parent = -1;

	CHECK(pipe(fds) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		if (fork() == 0) {
			close(fds[0]);
			while (getppid() != 1)
				usleep(1000);
			parent = getppid();
			write(fds[1], &parent, sizeof(parent));
			_exit(0);
		}
		_exit(0);
	}
	close(fds[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(read(fds[0], &parent, sizeof(parent)) == sizeof(parent));
	CHECK(parent == 1);
}

/* It stops itself: in the middle of fork() the C library blocks signals. */
static pid_t stopped_child(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		kill(getpid(), SIGSTOP);
		for (;;)
			pause();
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	return pid;
}

static void who_is_stopped_dies_later(void)
{
	int status;
	pid_t pid = stopped_child();

	CHECK(kill(pid, SIGTERM) == 0);
	usleep(20000);
	CHECK(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(WTERMSIG(status) == SIGTERM);

	pid = stopped_child();
	CHECK(kill(pid, SIGTERM) == 0 && kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(WTERMSIG(status) == SIGKILL);
}

/* Nobody could ever stop or continue this group as a job: that one of it ends
 * changes nothing for one that is stopped. */
static void stopped_in_a_session_alone(void)
{
	int status;
	pid_t leader = fork();

	CHECK(leader >= 0);
	if (leader == 0) {
		setsid();
		pid_t pid = stopped_child();

		if (fork() == 0)
			_exit(0);
		wait(&status);
		_exit(waitpid(pid, &status, WNOHANG | WUNTRACED | WCONTINUED) ==
						0 &&
					kill(pid, SIGKILL) == 0
				? 0
				: 1);
	}
	CHECK(waitpid(leader, &status, 0) == leader && status == 0);
}

static void many_children_at_once(void)
{
	for (int round = 0; round < 5; round++) {
		int alive = 0, status;

		for (int i = 0; i < 50; i++) {
			pid_t pid = fork();

			CHECK(pid >= 0);
			if (pid == 0)
				_exit(i & 1);
			alive++;
		}
		while (alive > 0) {
			CHECK(wait(&status) > 0 && WIFEXITED(status));
			alive--;
		}
	}
}

/* Whole trees die and are born at the same time. */
static void family_trees(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		for (int depth = 0; depth < 6; depth++)
			if (fork() < 0)
				break;
		while (wait(NULL) > 0)
			;
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void odd_clones(void)
{
	static const unsigned long flags[] = {
		CLONE_THREAD, CLONE_THREAD | CLONE_SIGHAND, CLONE_SIGHAND};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		CHECK(call(SYS_clone, (long)flags[i], 0, 0, 0, 0, 0) < 0);
}

#define THREAD_FLAGS                                                        \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | \
		CLONE_SYSVSEM)

static void thread_on(void *stack)
{
	/* The new thread's first push faults: the whole process dies of it. */
	long pid = call(SYS_clone, THREAD_FLAGS, (long)stack, 0, 0, 0, 0);

	if (pid == 0)
		__asm__ volatile("push %rax");
	sleep(5);
}

static void threads_without_a_stack(void)
{
	CHECK_KILLED(thread_on, (void *)0x10, SIGSEGV);
	CHECK_KILLED(thread_on, (void *)0x800000000000, SIGSEGV);
	CHECK_KILLED(thread_on, (void *)0xffffffff80200000, SIGSEGV);
}

static volatile int thread_alive;

static int spin(void *unused)
{
	(void)unused;
	thread_alive = 1;
	for (;;)
		;
	return 0;
}

static void start_spinning_thread(void)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(stack != MAP_FAILED);
	CHECK(clone(spin, stack + 65536, THREAD_FLAGS, NULL) > 0);
	while (!thread_alive)
		sched_yield();
}

static void exit_with_threads(void *unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++) {
		thread_alive = 0;
		start_spinning_thread();
	}
	_exit(17);
}

static void crash_with_threads(void *unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++) {
		thread_alive = 0;
		start_spinning_thread();
	}
	volatile uintptr_t nowhere = 16;

	*(volatile char *)nowhere = 1;
}

static void exec_with_threads(void *unused)
{
	char *argv[] = {"true", NULL};

	(void)unused;
	start_spinning_thread();
	start_spinning_thread();
	execv("/bin/true", argv);
	_exit(1);
}

static void one_ends_all_threads(void)
{
	CHECK_EXITED(exit_with_threads, NULL, 17);
	CHECK_KILLED(crash_with_threads, NULL, SIGSEGV);
	CHECK_EXITED(exec_with_threads, NULL, 0);
}

static int unmap_memory(void *memory)
{
	for (int i = 0; i < 300; i++) {
		munmap(memory, 16 * PAGE);
		mmap(memory, 16 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mprotect(memory, 8 * PAGE, PROT_READ);
	}
	thread_alive = 2;
	_exit(0);
}

/* One thread unmaps what the kernel is copying for the other. */
static void race_copy_against_unmap(void *unused)
{
	char *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *stack = malloc(65536);
	int zero = open("/dev/zero", O_RDONLY);

	(void)unused;
	CHECK(clone(unmap_memory, stack + 65536, THREAD_FLAGS, memory) > 0);
	while (thread_alive != 2) {
		read(zero, memory, 16 * PAGE);
		call(SYS_stat, (long)"/", (long)memory + PAGE, 0, 0, 0, 0);
	}
	_exit(0);
}

static void copies_race_with_unmap(void)
{
	CHECK_EXITED(race_copy_against_unmap, NULL, 0);
}

static void closing_races_with_reading(void)
{
	for (int round = 0; round < 20; round++) {
		int fds[2], status;
		pid_t pid;

		CHECK(pipe(fds) == 0);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			char c;

			close(fds[1]);
			_exit(read(fds[0], &c, 1) != 0);
		}
		close(fds[0]);
		close(fds[1]);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

static void the_family_of_a_spawn(void)
{
	char *argv[] = {"sh", "-c", "exit 23", NULL};
	char *none[] = {NULL};
	int status;
	pid_t pid;

	CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, none) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 23);
	CHECK(posix_spawn(&pid, "/none", NULL, NULL, argv, none) == ENOENT);
	CHECK(system("exit 5") == 5 << 8);
}

static void process_groups(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(setsid() == getpid() && getpgrp() == getpid());
		CHECK(setsid() < 0 && errno == EPERM);
		CHECK(setpgid(0, 0) < 0 && errno == EPERM);
		CHECK(setpgid(0, 1) < 0 && setpgid(999999, 0) < 0);
		CHECK(setpgid(0, -5) < 0 && errno == EINVAL);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void odd_futexes(void)
{
	int word = 5;
	struct timespec t = {.tv_nsec = 1000000};
	struct timespec bad = {.tv_nsec = 2000000000};

	CHECK(call(SYS_futex, (long)&word, 0, 4, 0, 0, 0) == -EAGAIN);
	CHECK(call(SYS_futex, (long)&word + 1, 0, 5, 0, 0, 0) == -EINVAL);
	CHECK(call(SYS_futex, (long)&word, 0, 5, (long)&t, 0, 0) == -ETIMEDOUT);
	CHECK(call(SYS_futex, (long)&word, 0, 5, (long)&bad, 0, 0) == -EINVAL);
	CHECK(call(SYS_futex, (long)&word, 1, 1000000, 0, 0, 0) == 0);
	CHECK(call(SYS_futex, (long)&word, 77, 0, 0, 0, 0) == -ENOSYS);
	CHECK(call(SYS_futex, 0xffffffff80000000, 0, 0, 0, 0, 0) == -EFAULT);
}

/* There is one policy; what asks for others is told so. */
static void one_policy(void)
{
	struct sched_param p = {.sched_priority = 7};
	struct timespec t = {.tv_sec = 1};
	const long at = (long)&p;

	CHECK(call(SYS_sched_getscheduler, 0, 0, 0, 0, 0, 0) == SCHED_OTHER);
	CHECK(call(SYS_sched_getscheduler, 999999, 0, 0, 0, 0, 0) == -ESRCH);
	CHECK(call(SYS_sched_getscheduler, -1, 0, 0, 0, 0, 0) == -EINVAL);
	CHECK(call(SYS_sched_setscheduler, 0, SCHED_FIFO, at, 0, 0, 0) ==
		-EPERM);
	CHECK(call(SYS_sched_setscheduler, 0, SCHED_OTHER, at, 0, 0, 0) ==
		-EINVAL);
	CHECK(call(SYS_sched_setscheduler, 0, 4, at, 0, 0, 0) == -EINVAL);
	CHECK(call(SYS_sched_setscheduler, 0, 0, 8, 0, 0, 0) == -EFAULT);
	CHECK(call(SYS_sched_getparam, 0, at, 0, 0, 0, 0) == 0);
	CHECK(p.sched_priority == 0);
	CHECK(call(SYS_sched_setparam, getpid(), at, 0, 0, 0, 0) == 0);
	CHECK(call(SYS_sched_get_priority_max, SCHED_RR, 0, 0, 0, 0, 0) == 99);
	CHECK(call(SYS_sched_get_priority_min, SCHED_RR, 0, 0, 0, 0, 0) == 1);
	CHECK(call(SYS_sched_get_priority_max, 0, 0, 0, 0, 0, 0) == 0);
	CHECK(call(SYS_sched_rr_get_interval, 0, (long)&t, 0, 0, 0, 0) == 0);
	CHECK(t.tv_sec == 0 && t.tv_nsec > 0);
}

const struct test process_tests[] = {
	{"exit_statuses", exit_statuses, 0},
	{"waiting_for_nobody", waiting_for_nobody, 0},
	{"orphans", orphans, 0},
	{"who_is_stopped_dies_later", who_is_stopped_dies_later, 0},
	{"stopped_in_a_session_alone", stopped_in_a_session_alone, 0},
	{"many_children_at_once", many_children_at_once, 0},
	{"family_trees", family_trees, 0},
	{"odd_clones", odd_clones, 0},
	{"threads_without_a_stack", threads_without_a_stack, 0},
	{"one_ends_all_threads", one_ends_all_threads, 0},
	{"copies_race_with_unmap", copies_race_with_unmap, 0},
	{"closing_races_with_reading", closing_races_with_reading, 0},
	{"the_family_of_a_spawn", the_family_of_a_spawn, 0},
	{"process_groups", process_groups, 0},
	{"odd_futexes", odd_futexes, 0},
	{"one_policy", one_policy, 0},
	{0},
};
