/* SPDX-License-Identifier: MIT */
/* A thread goes to sleep while others wake it at every moment that there is,
 * also those who come late with a reason that it has seen already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* In place of cpu/cpu.h: one CPU, whose registers are no business of tests. */
#define CPU_CPU_H
struct cpu {
	int off_depth;
	struct thread *thread;
};
static struct cpu the_cpu;
static inline struct cpu *this_cpu(void)
{
	return &the_cpu;
}

#include "kernel/proc/wait.c"

/* ---- what goes on meanwhile ---- */

static struct thread me;
static struct waitq queue;
static struct spinlock guard;
static void (*before_sleep)(void), (*asleep)(void);
static unsigned slept;
static uint64_t now;
static bool signalled;

struct thread *thread_current(void)
{
	return &me;
}

uint64_t time_ns(void)
{
	return now;
}

bool signal_waiting(void)
{
	return signalled;
}

void spin_init(struct spinlock *l)
{
	l->held = 0;
}

void spin_lock(struct spinlock *l)
{
	assert_int_equal(l->held, 0);
	l->held = 1;
}

void spin_unlock(struct spinlock *l)
{
	assert_int_equal(l->held, 1);
	l->held = 0;
}

void interrupts_off(void)
{
	the_cpu.off_depth++;
}

void interrupts_restore(void)
{
	the_cpu.off_depth--;
}

void *kmalloc(size_t size)
{
	(void)size;
	return NULL;
}

void kfree(void *p)
{
	(void)p;
}

void panic(const char *format, ...)
{
	fail_msg("%s", format);
	for (;;)
		;
}

void ktimer_init(struct ktimer *t, void (*fire)(struct ktimer *))
{
	t->fire = fire;
	t->cpu = -1;
}

static struct ktimer *timer_set;

void ktimer_set(struct ktimer *t, uint64_t deadline)
{
	t->deadline = deadline;
	timer_set = t;
}

void ktimer_cancel(struct ktimer *t)
{
	if (timer_set == t)
		timer_set = NULL;
}

void sched_prepare_sleep(struct thread *t, unsigned how)
{
	void (*meanwhile)(void) = before_sleep;

	before_sleep = NULL;
	if (meanwhile)
		meanwhile();
	t->sleep_how = (uint8_t)how;
	t->state = THREAD_SLEEPING;
}

void sched_cancel_sleep(struct thread *t)
{
	t->state = THREAD_READY;
}

void sched_wake(struct thread *t)
{
	if (t->state == THREAD_SLEEPING)
		t->state = THREAD_READY;
}

/* As long as it sleeps, somebody has to wake it. */
void schedule(void)
{
	void (*meanwhile)(void) = asleep;

	assert_int_equal(guard.held, 0);
	slept++;
	asleep = NULL;
	if (meanwhile)
		meanwhile();
	if (me.state == THREAD_SLEEPING)
		fail_msg("nobody will ever wake it");
}

/* ---- who wakes it ---- */

static void wakes_all(void)
{
	wake_all(&queue);
}

static void wakes_one(void)
{
	wake_one(&queue);
}

static void time_passes(void)
{
	now = 100;
	if (timer_set)
		timer_set->fire(timer_set);
}

static void signal_comes(void)
{
	signalled = true;
	sched_wake(&me);
}

static int reset(void **state)
{
	(void)state;
	memset(&me, 0, sizeof(me));
	memset(&the_cpu, 0, sizeof(the_cpu));
	waitq_init(&queue);
	spin_init(&guard);
	before_sleep = asleep = NULL;
	slept = 0;
	now = 0;
	signalled = false;
	timer_set = NULL;
	return 0;
}

static int sleep_for(uint64_t deadline, unsigned how)
{
	int result;

	spin_lock(&guard);
	result = wait_on(&queue, &guard, deadline, how);
	assert_int_equal(guard.held, 1);
	spin_unlock(&guard);
	assert_int_equal(me.state, THREAD_READY);
	assert_int_equal(the_cpu.off_depth, 0);
	assert_true(list_empty(&queue.sleepers));
	assert_null(timer_set);
	return result;
}

/* ---- tests ---- */

static void woken_while_asleep(void **state)
{
	(void)state;
	asleep = wakes_all;
	assert_int_equal(sleep_for(WAIT_FOREVER, WAIT_UNINTERRUPTIBLE), 0);
	asleep = wakes_one;
	assert_int_equal(sleep_for(50, WAIT_INTERRUPTIBLE), 0);
	assert_int_equal(slept, 2);
}

/* Whoever changes something and wakes after he let the guard go. */
static void woken_on_the_way_to_sleep(void **state)
{
	static void (*const wakers[])(void) = {wakes_all, wakes_one};

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		before_sleep = wakers[n];
		assert_int_equal(
			sleep_for(WAIT_FOREVER, WAIT_UNINTERRUPTIBLE), 0);
	}
	assert_int_equal(slept, 0);
}

static void time_is_up(void **state)
{
	(void)state;
	asleep = time_passes;
	assert_int_equal(sleep_for(50, WAIT_INTERRUPTIBLE), -ETIMEDOUT);
	/* It was up before. */
	assert_int_equal(sleep_for(50, WAIT_INTERRUPTIBLE), -ETIMEDOUT);
	assert_int_equal(slept, 1);
}

static void signals_interrupt(void **state)
{
	(void)state;
	asleep = signal_comes;
	assert_int_equal(
		sleep_for(WAIT_FOREVER, WAIT_INTERRUPTIBLE), -ERESTARTSYS);
	assert_int_equal(
		sleep_for(WAIT_FOREVER, WAIT_INTERRUPTIBLE), -ERESTARTSYS);
	assert_int_equal(slept, 1);
	/* What was waited for counts more. */
	before_sleep = wakes_all;
	assert_int_equal(sleep_for(WAIT_FOREVER, WAIT_INTERRUPTIBLE), 0);
	/* Not everybody listens. */
	asleep = wakes_all;
	assert_int_equal(sleep_for(WAIT_FOREVER, WAIT_UNINTERRUPTIBLE), 0);
	asleep = wakes_all;
	assert_int_equal(sleep_for(WAIT_FOREVER, WAIT_KILLABLE), 0);
	me.killed = true;
	assert_int_equal(sleep_for(WAIT_FOREVER, WAIT_KILLABLE), -ERESTARTSYS);
	assert_int_equal(slept, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(woken_while_asleep, reset),
		cmocka_unit_test_setup(woken_on_the_way_to_sleep, reset),
		cmocka_unit_test_setup(time_is_up, reset),
		cmocka_unit_test_setup(signals_interrupt, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
