/* SPDX-License-Identifier: MIT */
/*
 * From the number in rax to the call. A number that nobody answers gives ENOSYS
 * and one line on the console per program, so that a missing call is found
 * without tracing.
 */
#include "cpu/trap.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "linux/calls.h"
#include "proc/process.h"
#include "proc/thread.h"

/* A program that tries them all is not interested in the answer. */
#define LOGGED_MAX 12

typedef long (*call_function)(const unsigned long *arg);

struct call {
	call_function run; /* NULL: ENOSYS */
	bool once;         /* never restarted after a handler */
	bool quiet;        /* ENOSYS is expected */
};

#define CALL(number, name) SYSCALL(name);
#define CALL_ONCE(number, name) SYSCALL(name);
#define QUIET(number, name)
#include "linux/numbers.def"
#undef CALL
#undef CALL_ONCE
#undef QUIET

static const struct call calls[] = {
#define CALL(number, name) [number] = {.run = sys_##name},
#define CALL_ONCE(number, name) [number] = {.run = sys_##name, .once = true},
#define QUIET(number, name) [number] = {.quiet = true},
#include "linux/numbers.def"
};

static void report_missing(uint64_t number)
{
	struct process *p = process_current();
	uint64_t bit = number % (8 * sizeof(p->logged_calls));
	uint8_t mask = 1u << bit % 8;

	if (number < ARRAY_SIZE(calls) && calls[number].quiet)
		return;
	if (__atomic_fetch_or(
		    &p->logged_calls[bit / 8], mask, __ATOMIC_RELAXED) &
		mask)
		return;
	if (__atomic_fetch_add(&p->logged_count, 1, __ATOMIC_RELAXED) >=
		LOGGED_MAX)
		return;
	kprintf("%s[%d]: system call %llu is not implemented\n", p->name,
		p->pid, (unsigned long long)number);
}

static long run(const struct call *call, struct trap_frame *f)
{
	unsigned long arg[6] = {f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9};

	return call->run(arg);
}

void linux_syscall(struct trap_frame *f)
{
	struct thread *t = thread_current();
	uint64_t number = f->error;
	const struct call *call = NULL;
	long result;

	time_enter_kernel(t);
	t->frame = f;
	t->restarted = t->restart_next;
	t->restart_next = false;
	if (!t->restarted)
		t->deadline_valid = false;

	if (number < ARRAY_SIZE(calls))
		call = &calls[number];
	if (!call || !call->run) {
		report_missing(number);
		f->rax = -ENOSYS;
		return;
	}
	result = run(call, f);
	f->rax = result;
	if (result == -ERESTARTSYS) {
		t->never_after_handler = call->once;
		t->restartable = true;
	}
}
