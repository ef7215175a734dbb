/* SPDX-License-Identifier: MIT */
/* eventfd(2): a counter that can be waited for. */
#include "fs/anonymous.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "mem/mem.h"
#include "proc/wait.h"

#define LARGEST (UINT64_MAX - 1)

struct counter {
	struct spinlock lock; /* guards value */
	uint64_t value;
	bool semaphore;
	struct waitq waiting;
	struct poll_source poll;
};

/* With the lock held, which it keeps: 0, -EAGAIN or -ERESTARTSYS. */
static int __sleep(struct counter *c, const struct file *f)
{
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	return wait_on(&c->waiting, &c->lock, WAIT_FOREVER, WAIT_INTERRUPTIBLE);
}

static void tell(struct counter *c)
{
	wake_all(&c->waiting);
	poll_wake(&c->poll);
}

static ssize_t eventfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct counter *c = f->data;
	uint64_t taken = 0;
	int err = 0;

	(void)pos;
	if (u->left < sizeof(taken))
		return -EINVAL;
	spin_lock(&c->lock);
	while (!c->value && !err)
		err = __sleep(c, f);
	if (!err) {
		taken = c->semaphore ? 1 : c->value;
		c->value -= taken;
	}
	spin_unlock(&c->lock);
	if (err)
		return err;
	tell(c);
	return uio_put(u, &taken, sizeof(taken));
}

static ssize_t eventfd_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct counter *c = f->data;
	uint64_t more;
	ssize_t n;
	int err = 0;

	(void)pos;
	if (u->left < sizeof(more))
		return -EINVAL;
	n = uio_get(u, &more, sizeof(more));
	if (n != sizeof(more))
		return n < 0 ? n : -EFAULT;
	if (more == UINT64_MAX)
		return -EINVAL;
	spin_lock(&c->lock);
	while (more > LARGEST - c->value && !err)
		err = __sleep(c, f);
	if (!err)
		c->value += more;
	spin_unlock(&c->lock);
	if (err)
		return err;
	tell(c);
	return sizeof(more);
}

static unsigned eventfd_poll(struct file *f, struct poller *p)
{
	struct counter *c = f->data;
	unsigned events = 0;

	poll_register(p, &c->poll);
	spin_lock(&c->lock);
	if (c->value)
		events |= POLLIN;
	if (c->value < LARGEST)
		events |= POLLOUT;
	spin_unlock(&c->lock);
	return events;
}

static void eventfd_release(struct file *f)
{
	struct counter *c = f->data;

	poll_source_gone(&c->poll);
	kfree(c);
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
};

int eventfd_create(
	uint64_t initial, bool semaphore, uint32_t flags, struct file **out)
{
	struct counter *c = kzalloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	spin_init(&c->lock);
	waitq_init(&c->waiting);
	poll_source_init(&c->poll);
	c->value = initial;
	c->semaphore = semaphore;
	*out = anonymous_file(&eventfd_ops, c, flags);
	if (!*out) {
		kfree(c);
		return -ENOMEM;
	}
	return 0;
}
