/* SPDX-License-Identifier: MIT */
/* Signals: delivery, and forged frames for the return from a handler. */
#include "usertests.h"

#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t caught;

static void count(int sig)
{
	(void)sig;
	caught++;
}

static void handlers_run_and_return(void)
{
	struct sigaction a = {.sa_handler = count}, old;

	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	for (int i = 0; i < 100; i++)
		CHECK(kill(getpid(), SIGUSR1) == 0 && caught == i + 1);
	a.sa_flags = SA_RESETHAND;
	CHECK(sigaction(SIGUSR1, &a, &old) == 0 && old.sa_handler == count);
	raise(SIGUSR1);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0);
	CHECK(old.sa_handler == SIG_DFL && caught == 101);
}

static void blocked_signals_wait(void)
{
	sigset_t set, empty, old;

	signal(SIGUSR1, count);
	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(caught == 0);
	CHECK(sigsuspend(&empty) < 0 && errno == EINTR && caught == 1);
	raise(SIGUSR1);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && caught == 2);
}

static void sleeping_calls_are_interrupted(void)
{
	struct sigaction a = {.sa_handler = count};
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	int fds[2];
	char c;

	CHECK(sigaction(SIGALRM, &a, NULL) == 0 && pipe(fds) == 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(read(fds[0], &c, 1) < 0 && errno == EINTR && caught == 1);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(pause() < 0 && errno == EINTR && caught == 2);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(usleep(900000) < 0 && errno == EINTR && caught == 3);
}

/* With SA_RESTART the read goes on and gets what comes later. */
static void restarted_calls_go_on(void)
{
	struct sigaction a = {.sa_handler = count, .sa_flags = SA_RESTART};
	int fds[2], status;
	char c = 0;
	pid_t parent = getpid(), pid;

	CHECK(sigaction(SIGUSR1, &a, NULL) == 0 && pipe(fds) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		usleep(20000);
		kill(parent, SIGUSR1);
		usleep(20000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	CHECK(read(fds[0], &c, 1) == 1 && c == 'x' && caught == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void on_other_stack(int sig)
{
	char here;
	stack_t now;

	(void)sig;
	CHECK(sigaltstack(NULL, &now) == 0);
	CHECK((char *)now.ss_sp <= &here &&
		&here < (char *)now.ss_sp + now.ss_size);
	_exit(42);
}

static void overflow(void *unused)
{
	volatile char frame[2048];

	frame[0] = 1;
	if (frame[0])
		overflow(unused);
	frame[1] = frame[0];
}

static void overflow_with_handler(void *unused)
{
	stack_t other = {.ss_sp = malloc(65536), .ss_size = 65536};
	struct sigaction a = {
		.sa_handler = on_other_stack, .sa_flags = SA_ONSTACK};

	CHECK(sigaltstack(&other, NULL) == 0);
	CHECK(sigaction(SIGSEGV, &a, NULL) == 0);
	overflow(unused);
}

static void stack_overflow_can_be_handled(void)
{
	CHECK_EXITED(overflow_with_handler, NULL, 42);
}

/* A handler for SIGSEGV whose frame cannot be written is no way out. */
static void no_stack_for_the_frame(void *unused)
{
	(void)unused;
	signal(SIGSEGV, count);
	signal(SIGUSR1, count);
	__asm__ volatile("mov %0, %%rsp; syscall" ::"r"(0x10ul), "a"(SYS_kill),
			 "D"((long)getpid()), "S"((long)SIGUSR1)
			 : "memory", "rcx", "r11");
}

static void frames_need_memory(void)
{
	CHECK_KILLED(no_stack_for_the_frame, NULL, SIGSEGV);
}

static int which_forgery;

/* Ways to come back from a handler with more than one went in with. */
static void forge(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *r = u->uc_mcontext.gregs;
	uint16_t *selectors = (uint16_t *)&r[REG_CSGSFS];

	(void)sig;
	(void)info;
	switch (which_forgery) {
	case 0:
		r[REG_RIP] = (greg_t)0x800000000000;
		break;
	case 1:
		r[REG_RIP] = (greg_t)0xffffffff80100000;
		break;
	case 2:
		selectors[0] = 0x08;
		break;
	case 3:
		selectors[0] = 0x10;
		break;
	case 4:
		selectors[0] = 0;
		break;
	case 5:
		r[REG_EFL] |= 0x3000;
		break; /* IOPL 3 */
	case 6:
		r[REG_EFL] &= ~0x200l;
		break; /* interrupts off */
	case 7:
		r[REG_EFL] |= 0x20000;
		break; /* virtual 8086 */
	case 8:
		r[REG_EFL] |= 0x4000;
		break; /* nested task */
	case 9:
		r[REG_RSP] = (greg_t)0xffff800000000000;
		break;
	case 10:
		u->uc_mcontext.fpregs = (void *)0x10;
		break;
	case 11:
		u->uc_mcontext.fpregs = (void *)0xffff800000000000;
		break;
	case 12:
		u->uc_mcontext.fpregs = (void *)((char *)context + 1);
		break;
	case 13:
		if (u->uc_mcontext.fpregs)
			u->uc_mcontext.fpregs->mxcsr = 0xffffffff;
		break;
	case 14:
		for (size_t i = 0; i < NGREG; i++)
			r[i] = (greg_t)random64();
		break;
	case 15:
		selectors[3] = 0x10;
		break; /* ss */
	}
}

static void be_forged(void *which)
{
	struct sigaction a = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};

	which_forgery = (int)(intptr_t)which;
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	raise(SIGUSR1);
	/* Still a program without privileges? Both must end it. */
	if (which_forgery == 5)
		__asm__ volatile("in $0x60, %%al" ::: "eax");
	if (which_forgery == 6)
		__asm__ volatile("cli");
}

static void forged_frames(void)
{
	for (intptr_t i = 0; i < 16; i++) {
		int status = in_child(be_forged, (void *)i);

		if (i == 5 || i == 6)
			CHECK(WIFSIGNALED(status));
		/* The rest may end it or not; the kernel must live. */
	}
	for (int i = 0; i < 50; i++) {
		random64();
		in_child(be_forged, (void *)14);
	}
}

/* sigreturn without a handler, on a stack full of random words. */
static void return_from_nowhere(void *unused)
{
	static uint64_t stack[1024] __attribute__((aligned(64)));

	(void)unused;
	for (size_t i = 0; i < 1024; i++)
		stack[i] = random64() >> (random64() % 64);
	__asm__ volatile("mov %0, %%rsp; syscall" ::"r"(stack + 64),
			 "a"(SYS_rt_sigreturn)
			 : "memory", "rcx", "r11");
	_exit(1);
}

static void unasked_sigreturn(void)
{
	for (int i = 0; i < 100; i++) {
		random64();
		in_child(return_from_nowhere, NULL);
	}
}

static void kill_is_sure(void)
{
	struct sigaction a = {.sa_handler = SIG_IGN};
	int status;
	pid_t pid;

	CHECK(sigaction(SIGKILL, &a, NULL) < 0 && errno == EINVAL);
	CHECK(sigaction(SIGSTOP, &a, NULL) < 0 && errno == EINVAL);
	CHECK(kill(getpid(), 65) < 0 && errno == EINVAL);
	CHECK(kill(999999, SIGKILL) < 0 && errno == ESRCH);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		sigset_t all;

		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		for (;;)
			;
	}
	usleep(10000);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void stopped_and_continued(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	CHECK(kill(pid, SIGSTOP) == 0);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK(kill(pid, SIGTERM) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM);
}

const struct test signal_tests[] = {
	{"handlers_run_and_return", handlers_run_and_return, 0},
	{"blocked_signals_wait", blocked_signals_wait, 0},
	{"sleeping_calls_are_interrupted", sleeping_calls_are_interrupted, 0},
	{"restarted_calls_go_on", restarted_calls_go_on, 0},
	{"stack_overflow_can_be_handled", stack_overflow_can_be_handled, 0},
	{"frames_need_memory", frames_need_memory, 0},
	{"forged_frames", forged_frames, 0},
	{"unasked_sigreturn", unasked_sigreturn, 0},
	{"kill_is_sure", kill_is_sure, 0},
	{"stopped_and_continued", stopped_and_continued, 0},
	{0},
};
