/* SPDX-License-Identifier: MIT */
/*
 * Futexes. A waiter enters the queue first and looks at the word then, without
 * the lock (the page may have to be brought in). Whoever changes the word and
 * wakes afterwards therefore finds it there.
 *
 * A word is known by its address space and address; a word in memory that
 * processes share, by the file behind it and the offset there. An object that
 * is freed while somebody waits leaves at worst a wake-up too many.
 */
#include "lib/errno.h"
#include "lib/lock.h"
#include "mem/space.h"
#include "mem/user.h"
#include "proc/futex.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define BUCKETS 256

struct futex_key {
	uintptr_t object;
	uint64_t offset;
};

struct futex_waiter {
	struct list link;
	struct futex_key key;
	uint32_t mask;
	bool woken;
	struct waitq queue;
};

/* Guards all buckets and the waiters in them. */
static struct spinlock futex_lock = SPINLOCK_INIT;
static struct list buckets[BUCKETS];

static struct list *bucket(const struct futex_key *k)
{
	uint64_t h = (k->object >> 4) + (k->offset >> 2);
	struct list *l;

	h *= 0x9e3779b97f4a7c15ull;
	l = &buckets[h >> 56];
	if (!l->next)
		list_init(l);
	return l;
}

static bool same(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

static int make_key(uintptr_t addr, bool shared, struct futex_key *out)
{
	struct space *space = thread_current()->space;

	if (addr % 4)
		return -EINVAL;
	if (addr >= USER_END)
		return -EFAULT;
	*out = (struct futex_key){(uintptr_t)space, addr};
	if (shared)
		space_identify(space, addr, &out->object, &out->offset);
	return 0;
}

static void __insert(struct futex_waiter *w, const struct futex_key *k)
{
	w->key = *k;
	list_push_back(bucket(k), &w->link);
}

static void __wake(struct futex_waiter *w)
{
	list_remove(&w->link);
	w->woken = true;
	wake_one(&w->queue);
}

/* Sleep until woken; 0 or why not. */
static int __sleep(struct futex_waiter *w, uint64_t deadline)
{
	int err = 0;

	while (!w->woken && !err)
		err = wait_on(
			&w->queue, &futex_lock, deadline, WAIT_INTERRUPTIBLE);
	return w->woken ? 0 : err;
}

int futex_wait(uintptr_t addr, bool shared, uint32_t value, uint64_t deadline,
	uint32_t mask)
{
	struct futex_waiter w = {.mask = mask};
	struct futex_key key;
	uint32_t now;
	int err = make_key(addr, shared, &key);

	if (err)
		return err;
	if (!mask)
		return -EINVAL;
	waitq_init(&w.queue);
	spin_lock(&futex_lock);
	__insert(&w, &key);
	spin_unlock(&futex_lock);

	err = user_load32(addr, &now);
	if (!err && now != value)
		err = -EAGAIN;

	spin_lock(&futex_lock);
	if (!err)
		err = __sleep(&w, deadline);
	else if (w.woken)
		err = 0; /* the wake-up must not be lost */
	list_remove(&w.link);
	spin_unlock(&futex_lock);
	return err;
}

int futex_wake(uintptr_t addr, bool shared, uint32_t n, uint32_t mask)
{
	struct futex_waiter *w, *next;
	struct futex_key key;
	uint32_t woken = 0;
	int err = make_key(addr, shared, &key);

	if (err)
		return err;
	if (!mask)
		return -EINVAL;
	spin_lock(&futex_lock);
	list_for_each_safe (w, next, bucket(&key), link) {
		if (woken >= n)
			break;
		if (!same(&w->key, &key) || !(w->mask & mask))
			continue;
		__wake(w);
		woken++;
	}
	spin_unlock(&futex_lock);
	return woken;
}

int futex_requeue(uintptr_t addr, uintptr_t to, bool shared, uint32_t n,
	uint32_t n_moved, const uint32_t *expected)
{
	struct futex_waiter *w, *next;
	struct futex_key from_key, to_key;
	uint32_t now, woken = 0, moved = 0;
	int err = make_key(addr, shared, &from_key);

	if (!err)
		err = make_key(to, shared, &to_key);
	if (!err && expected)
		err = user_load32(addr, &now);
	if (err)
		return err;
	if (expected && now != *expected)
		return -EAGAIN;
	spin_lock(&futex_lock);
	list_for_each_safe (w, next, bucket(&from_key), link) {
		if (!same(&w->key, &from_key))
			continue;
		if (woken < n) {
			__wake(w);
			woken++;
		} else if (moved < n_moved) {
			/* To its own bucket it would be met again: same key,
			 * nothing to do. */
			if (!same(&from_key, &to_key)) {
				list_remove(&w->link);
				__insert(w, &to_key);
			}
			moved++;
		} else {
			break;
		}
	}
	spin_unlock(&futex_lock);
	return woken + moved;
}
