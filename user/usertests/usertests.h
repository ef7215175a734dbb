/* SPDX-License-Identifier: MIT */
/*
 * What the attackers share. A test runs in a process of its own: it returns
 * when the kernel behaved, and CHECK() ends it with a sentence otherwise. Tests
 * that provoke a signal fork once more and look at what became of the child.
 *
 * All of them pass on Linux too, which is how they were checked.
 */
#ifndef USERTESTS_H
#define USERTESTS_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

struct test {
	const char *name;
	void (*run)(void);
	int slow; /* left out unless asked for by name or with -a */
};

/* One table per file, ended by an empty entry. */
extern const struct test pointer_tests[], memory_tests[], cpu_tests[],
	signal_tests[], file_tests[], process_tests[], exec_tests[],
	limit_tests[], event_tests[];

#define PAGE 4096ul

/* Runs f(arg) in a child; its wait status. The child exits 0 if f returns. */
int in_child(void (*f)(void *), void *arg);
#define CHECK_KILLED(f, arg, sig)                                          \
	do {                                                               \
		int status_ = in_child((f), (arg));                        \
		CHECK(WIFSIGNALED(status_) && WTERMSIG(status_) == (sig)); \
	} while (0)
#define CHECK_EXITED(f, arg, code)                                           \
	do {                                                                 \
		int status_ = in_child((f), (arg));                          \
		CHECK(WIFEXITED(status_) && WEXITSTATUS(status_) == (code)); \
	} while (0)

/* Anonymous memory of n pages, followed by a page that is not there. */
char *pages_before_hole(size_t n);

/* xorshift; the seed is printed at the start and can be given. */
extern uint64_t seed;
uint64_t random64(void);

/* The system call itself: a negative errno stays one. */
static inline long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile(
		"syscall"
		: "=a"(result)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return result;
}

#endif
