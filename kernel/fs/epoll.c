/* SPDX-License-Identifier: MIT */
/*
 * epoll(7). Each watched descriptor has a poller of its own that stays
 * registered with its file, so that what happens between two waits is not
 * missed: `woken` says that something did. The poller passes it on to the
 * epoll's own source, where waiters sleep and which can be polled itself.
 *
 * A watch does not count its file. The last file_put() forgets it, before the
 * file is released.
 *
 * Locks: epoll_lock guards every watch and every list of them. It is held while
 * watched files are asked for their state, and taken before whatever they take.
 */
#include "fs/anonymous.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "mem/mem.h"
#include "proc/wait.h"

#define ALWAYS (POLLERR | POLLHUP)

struct epoll {
	struct list watches;
	struct poll_source source;
};

struct watch {
	struct list link;      /* in epoll.watches */
	struct list same_file; /* in file.watches */
	struct file *file;     /* not counted */
	int fd;
	bool held;  /* had its one shot */
	bool ready; /* was, when last asked: ask again */
	struct epoll_event event;
	struct poller poller;
};

static struct mutex epoll_lock = MUTEX_INIT(epoll_lock);
static const struct file_ops epoll_ops;

struct epoll *epoll_of(struct file *f)
{
	return f->ops == &epoll_ops ? f->data : NULL;
}

static struct watch *__find(struct epoll *e, const struct file *f, int fd)
{
	struct watch *w;

	list_for_each (w, &e->watches, link)
		if (w->file == f && w->fd == fd)
			return w;
	return NULL;
}

static void __drop(struct watch *w)
{
	poller_done(&w->poller);
	list_remove(&w->link);
	list_remove(&w->same_file);
	kfree(w);
}

/* The state is looked at by the next wait, whatever it was before. */
static void __set(struct watch *w, const struct epoll_event *event)
{
	w->event = *event;
	w->held = false;
	w->ready = true;
}

int epoll_add(struct epoll *e, struct file *f, int fd,
	const struct epoll_event *event)
{
	struct watch *w;
	int err = 0;

	if (epoll_of(f))
		return -EINVAL;
	if (!f->ops->poll)
		return -EPERM;
	w = kzalloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	poller_init(&w->poller);
	w->poller.above = &e->source;
	w->file = f;
	w->fd = fd;
	mutex_lock(&epoll_lock);
	if (__find(e, f, fd))
		err = -EEXIST;
	else
		(void)file_poll(f, &w->poller);
	if (!err && w->poller.failed)
		err = -ENOMEM;
	if (err) {
		poller_done(&w->poller);
		kfree(w);
	} else {
		__set(w, event);
		list_push_back(&e->watches, &w->link);
		if (!f->watches.next)
			list_init(&f->watches);
		list_push_back(&f->watches, &w->same_file);
	}
	mutex_unlock(&epoll_lock);
	if (!err)
		poll_wake(&e->source);
	return err;
}

int epoll_change(struct epoll *e, struct file *f, int fd,
	const struct epoll_event *event)
{
	struct watch *w;

	mutex_lock(&epoll_lock);
	w = __find(e, f, fd);
	if (w)
		__set(w, event);
	mutex_unlock(&epoll_lock);
	if (w)
		poll_wake(&e->source);
	return w ? 0 : -ENOENT;
}

int epoll_remove(struct epoll *e, struct file *f, int fd)
{
	struct watch *w;

	mutex_lock(&epoll_lock);
	w = __find(e, f, fd);
	if (w)
		__drop(w);
	mutex_unlock(&epoll_lock);
	return w ? 0 : -ENOENT;
}

void epoll_forget(struct file *f)
{
	if (!f->watches.next || list_empty(&f->watches))
		return;
	mutex_lock(&epoll_lock);
	while (!list_empty(&f->watches))
		__drop(list_first(&f->watches, struct watch, same_file));
	mutex_unlock(&epoll_lock);
}

/* The events to be told of a watch, or 0. */
static uint32_t __look(struct watch *w)
{
	bool woken = poller_woken(&w->poller);
	uint32_t ready;

	if (w->held || !(woken || w->ready))
		return 0;
	ready = file_poll(w->file, NULL) & (w->event.events | ALWAYS);
	/* Of edges only the change is told. */
	w->ready = ready && !(w->event.events & EPOLL_EDGE);
	w->held = ready && w->event.events & EPOLL_ONE_SHOT;
	return ready;
}

/* Whoever is told of goes to the end, so that all get their turn. */
static unsigned __collect(
	struct epoll *e, struct epoll_event *out, unsigned max)
{
	struct watch *w, *tmp;
	struct list told = LIST_INIT(told);
	unsigned n = 0;

	list_for_each_safe (w, tmp, &e->watches, link) {
		uint32_t ready = n < max ? __look(w) : 0;

		if (!ready)
			continue;
		out[n++] = (struct epoll_event){ready, w->event.data};
		list_remove(&w->link);
		list_push_back(&told, &w->link);
	}
	while (!list_empty(&told)) {
		w = list_first(&told, struct watch, link);
		list_remove(&w->link);
		list_push_back(&e->watches, &w->link);
	}
	return n;
}

int epoll_wait(struct epoll *e, struct epoll_event *out, unsigned max,
	uint64_t deadline)
{
	struct poller p;
	unsigned n;
	int err = 0;

	poller_init(&p);
	poll_register(&p, &e->source);
	if (p.failed)
		return -ENOMEM;
	for (;;) {
		mutex_lock(&epoll_lock);
		n = __collect(e, out, max);
		mutex_unlock(&epoll_lock);
		if (n || err)
			break;
		err = poller_wait(&p, deadline);
	}
	poller_done(&p);
	if (n)
		return (int)n;
	return err == -ETIMEDOUT ? 0 : err;
}

/* Readable when a wait would find something; that it was asked for changes
 * nothing. */
static unsigned epoll_poll(struct file *f, struct poller *p)
{
	struct epoll *e = f->data;
	struct watch *w;
	unsigned events = 0;

	poll_register(p, &e->source);
	mutex_lock(&epoll_lock);
	list_for_each (w, &e->watches, link)
		if (!w->held &&
			file_poll(w->file, NULL) & (w->event.events | ALWAYS))
			events = POLLIN;
	mutex_unlock(&epoll_lock);
	return events;
}

static void epoll_release(struct file *f)
{
	struct epoll *e = f->data;

	mutex_lock(&epoll_lock);
	while (!list_empty(&e->watches))
		__drop(list_first(&e->watches, struct watch, link));
	mutex_unlock(&epoll_lock);
	poll_source_gone(&e->source);
	kfree(e);
}

static const struct file_ops epoll_ops = {
	.poll = epoll_poll, .release = epoll_release};

int epoll_create(struct file **out)
{
	struct epoll *e = kzalloc(sizeof(*e));

	if (!e)
		return -ENOMEM;
	list_init(&e->watches);
	poll_source_init(&e->source);
	*out = anonymous_file(&epoll_ops, e, 0);
	if (!*out) {
		kfree(e);
		return -ENOMEM;
	}
	return 0;
}
