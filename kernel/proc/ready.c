/* SPDX-License-Identifier: MIT */
/* The threads that wait for a CPU: a pairing heap. */
#include "proc/ready.h"
#include "proc/thread.h"

static bool before(const struct thread *a, const struct thread *b)
{
	if (a->vruntime != b->vruntime)
		return a->vruntime < b->vruntime;
	return a->arrival < b->arrival;
}

/* Two heaps into one; either may be empty. */
static struct thread *meld(struct thread *a, struct thread *b)
{
	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		struct thread *swap = a;

		a = b;
		b = swap;
	}
	b->ready_next = a->ready_child;
	a->ready_child = b;
	return a;
}

/* The heaps of a list into one: in pairs, then the pairs from the back. */
static struct thread *meld_all(struct thread *list)
{
	struct thread *pairs = NULL, *all = NULL;

	while (list) {
		struct thread *a = list, *b = a->ready_next;

		list = b ? b->ready_next : NULL;
		a = meld(a, b);
		a->ready_next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct thread *next = pairs->ready_next;

		pairs->ready_next = NULL;
		all = meld(all, pairs);
		pairs = next;
	}
	return all;
}

void ready_add(struct ready_queue *q, struct thread *t)
{
	t->arrival = q->arrivals++;
	t->ready_child = t->ready_next = NULL;
	q->first = meld(q->first, t);
	q->count++;
}

struct thread *ready_take(struct ready_queue *q, uint32_t cpu)
{
	struct thread *t, *others = NULL;

	while ((t = q->first)) {
		q->first = meld_all(t->ready_child);
		t->ready_child = t->ready_next = NULL;
		if (t->affinity & 1u << cpu)
			break;
		t->ready_next = others;
		others = t;
	}
	/* Those for other CPUs go back where they were. */
	while (others) {
		struct thread *next = others->ready_next;

		others->ready_next = NULL;
		q->first = meld(q->first, others);
		others = next;
	}
	if (t)
		q->count--;
	return t;
}
