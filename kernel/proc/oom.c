/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: the process that has most pages ends, so that the others live
 * on. Never the first process. Whoever needs memory waits until the victim's is
 * back, but not for ever: the victim may wait for something the waiter holds.
 */
#include "cpu/time.h"
#include "lib/print.h"
#include "mem/space.h"
#include "proc/exit.h"
#include "proc/handlers.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define PATIENCE_NS (2 * NS_PER_S)
#define LOOK_NS (2 * NS_PER_MS)

static uint64_t resident(struct process *p)
{
	uint64_t n;

	spin_lock(&p->lock);
	n = p->space ? space_resident(p->space) : 0;
	spin_unlock(&p->lock);
	return n;
}

static bool dying(const struct process *p)
{
	return p->oom_victim && p->space;
}

/* The one to end, or one that is about to; counted. */
static struct process *__choose(bool again, uint64_t *out_pages)
{
	struct process *p, *worst = NULL;
	uint64_t most = 0;

	list_for_each (p, &process_table, table) {
		uint64_t n = resident(p);

		if (!n || p->pid == 1)
			continue;
		if (dying(p)) {
			if (again) /* it had its time */
				continue;
			worst = p;
			break;
		}
		if (n > most) {
			most = n;
			worst = p;
		}
	}
	if (worst)
		process_get(worst);
	*out_pages = most;
	return worst;
}

/* All processes that share the memory, or it would not be freed. */
static void __kill_sharers(const struct space *s)
{
	struct process *p;

	list_for_each (p, &process_table, table) {
		if (p->pid == 1 || p->space != s)
			continue;
		spin_lock(&p->lock);
		p->oom_victim = true;
		__process_kill(p, SIGKILL, NULL);
		spin_unlock(&p->lock);
	}
}

static struct process *pick_victim(bool again)
{
	struct process *p;
	uint64_t pages;
	bool fresh = false;

	spin_lock(&process_table_lock);
	p = __choose(again, &pages);
	if (p && !p->oom_victim && p->space) {
		fresh = true;
		__kill_sharers(p->space);
	}
	spin_unlock(&process_table_lock);
	if (fresh)
		kprintf("Out of memory: killed %s[%d], which had %llu KiB\n",
			p->name, p->pid, (unsigned long long)pages * 4);
	return p;
}

bool oom_relieve(void)
{
	struct thread *t = thread_current();
	struct process *victim;

	for (int attempt = 0; attempt < 3; attempt++) {
		uint64_t deadline = time_ns() + PATIENCE_NS;

		if (t->killed)
			return false;
		victim = pick_victim(attempt > 0);
		if (!victim)
			return false;
		while (dying(victim) && !t->killed && time_ns() < deadline)
			(void)sleep_until(time_ns() + LOOK_NS, WAIT_KILLABLE);
		if (t->killed || !dying(victim)) {
			process_put(victim);
			return !t->killed;
		}
		process_put(victim);
	}
	return false;
}
