/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: somebody ends, so that the others live on.
 *
 * The process with most pages goes; never the first one, and the leader of a
 * session that has a terminal (the shell somebody types at) only if nobody else
 * is left. Where even the largest is small, many small ones are the cause: then
 * its whole process group goes, which is what a shell makes of a fork bomb.
 *
 * Whoever needs memory waits until the victim's is back, but not for ever: the
 * victim may wait for something the waiter holds.
 */
#include "cpu/time.h"
#include "lib/print.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "proc/exit.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define PATIENCE_NS (2 * NS_PER_S)
#define LOOK_NS (2 * NS_PER_MS)
#define ATTEMPTS 3
/* A process with less than this part of all memory is small. */
#define SMALL_PART 32

static uint64_t resident(struct process *p)
{
	uint64_t n;

	spin_lock(&p->lock);
	n = p->space ? space_resident(p->space) : 0;
	spin_unlock(&p->lock);
	return n;
}

/* Chosen, and its memory is not back yet. */
static bool dying(const struct process *p)
{
	return p->oom_victim && p->space;
}

static bool is_shell(const struct process *p)
{
	return p->sid == p->pid && p->tty;
}

/* Who has most; NULL: nobody is left to choose. */
static struct process *__largest(bool shells, uint64_t *out_pages)
{
	struct process *p, *worst = NULL;

	*out_pages = 0;
	list_for_each (p, &process_table, table) {
		uint64_t n = resident(p);

		if (p->pid == 1 || p->oom_victim || is_shell(p) != shells ||
			n <= *out_pages)
			continue;
		*out_pages = n;
		worst = p;
	}
	return worst;
}

static struct process *__dying(void)
{
	struct process *p;

	list_for_each (p, &process_table, table)
		if (dying(p))
			return p;
	return NULL;
}

static void __end(struct process *p)
{
	spin_lock(&p->lock);
	p->oom_victim = true;
	__process_kill(p, SIGKILL, NULL);
	spin_unlock(&p->lock);
}

struct toll {
	unsigned processes;
	uint64_t pages;
	bool group;
};

/* The victim with all who share its memory, or all of its group. */
static void __end_all(struct process *victim, struct toll *t)
{
	const struct space *space = victim->space;
	struct process *p;

	t->group = t->pages < memory_counts().total / SMALL_PART;
	t->pages = 0;
	list_for_each (p, &process_table, table) {
		bool chosen = p->space && p->space == space;

		if (t->group && p->pgid == victim->pgid && !is_shell(p))
			chosen = true;
		if (!chosen || p->pid == 1 || p->zombie)
			continue;
		t->pages += resident(p);
		t->processes++;
		__end(p);
	}
}

static void report(const struct process *p, const struct toll *t)
{
	if (t->processes > 1)
		kprintf("Out of memory: killed %u processes like %s[%d], which "
			"had %llu KiB\n",
			t->processes, p->name, p->pid,
			(unsigned long long)t->pages * 4);
	else
		kprintf("Out of memory: killed %s[%d], which had %llu KiB\n",
			p->name, p->pid, (unsigned long long)t->pages * 4);
}

/* One who is to end, counted. With `again`, those chosen before had their
 * time. */
static struct process *pick_victim(bool again)
{
	struct process *p;
	struct toll toll = {0};

	spin_lock(&process_table_lock);
	p = again ? NULL : __dying();
	if (!p) {
		p = __largest(false, &toll.pages);
		if (!p)
			p = __largest(true, &toll.pages);
		if (p)
			__end_all(p, &toll);
	}
	if (p)
		process_get(p);
	spin_unlock(&process_table_lock);
	if (toll.processes)
		report(p, &toll);
	return p;
}

bool oom_relieve(void)
{
	struct thread *t = thread_current();

	for (int attempt = 0; attempt < ATTEMPTS && !t->killed; attempt++) {
		uint64_t deadline = time_ns() + PATIENCE_NS;
		struct process *victim = pick_victim(attempt > 0);
		bool gone;

		if (!victim)
			return false;
		while (dying(victim) && !t->killed && time_ns() < deadline)
			(void)sleep_until(time_ns() + LOOK_NS, WAIT_KILLABLE);
		gone = !dying(victim);
		process_put(victim);
		if (gone)
			return !t->killed;
	}
	return false;
}
