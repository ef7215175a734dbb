/* SPDX-License-Identifier: MIT */
/* Open files: counts, and the rules that are the same for all of them. */
#include "fs/anonymous.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"

/* As Linux limits one transfer. */
#define MAX_TRANSFER 0x7ffff000ul

struct file *file_create(const struct place *at, uint32_t flags)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->refs = 1;
	f->flags = flags;
	f->inode = at->node;
	f->mount = at->mount;
	place_get(at);
	mutex_init(&f->lock);
	return f;
}

void file_get(struct file *f)
{
	__atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
}

void file_put(struct file *f)
{
	if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	epoll_forget(f);
	if (f->ops && f->ops->release)
		f->ops->release(f);
	inode_put(f->inode);
	mount_put(f->mount);
	kfree(f->path);
	kfree(f);
}

/* Run one of the two at the position that is asked for. Only files with a
 * position that means something take the lock: others may sleep for long. */
static ssize_t transfer(struct file *f, struct uio *u, uint64_t *pos,
	ssize_t (*move)(struct file *, struct uio *, uint64_t *))
{
	ssize_t n;

	if (pos && !f->seekable)
		return -ESPIPE;
	u->left = MIN(u->left, MAX_TRANSFER);
	if (pos && (*pos > INT64_MAX - u->left))
		return -EINVAL;
	if (pos)
		return move(f, u, pos);
	if (!f->seekable)
		return move(f, u, &f->pos);
	mutex_lock(&f->lock);
	n = move(f, u, &f->pos);
	mutex_unlock(&f->lock);
	return n;
}

ssize_t file_read(struct file *f, struct uio *u, uint64_t *pos)
{
	if (f->flags & O_PATH || (f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (!f->ops->read)
		return f->ops->readdir ? -EISDIR : -EINVAL;
	return transfer(f, u, pos, f->ops->read);
}

ssize_t file_write(struct file *f, struct uio *u, uint64_t *pos)
{
	if (f->flags & O_PATH || (f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	return transfer(f, u, pos, f->ops->write);
}

unsigned file_poll(struct file *f, struct poller *p)
{
	unsigned events = POLLIN | POLLOUT;

	if (f->flags & O_PATH)
		return POLLNVAL;
	if (f->ops->poll)
		events = f->ops->poll(f, p);
	if (events & POLLIN)
		events |= POLLRDNORM;
	if (events & POLLOUT)
		events |= POLLWRNORM;
	return events;
}

static int64_t file_size(struct file *f)
{
	struct stat_info st;
	int error = inode_stat(f->inode, &st);

	return error ? error : (int64_t)st.size;
}

/* lseek(2) with SEEK_SET 0, CUR 1, END 2, DATA 3, HOLE 4. Every file counts as
 * one piece of data with a hole at its end. */
static int64_t new_position(struct file *f, int64_t offset, int whence)
{
	int64_t base = 0, size = whence >= 2 ? file_size(f) : 0;

	if (size < 0)
		return size;
	switch (whence) {
	case 0:
		break;
	case 1:
		base = (int64_t)f->pos;
		break;
	case 2:
		base = size;
		break;
	case 3:
	case 4:
		if (offset < 0 || offset >= size)
			return -ENXIO;
		return whence == 3 ? offset : size;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &base))
		return -EOVERFLOW;
	return base < 0 ? -EINVAL : base;
}

int64_t file_seek(struct file *f, int64_t offset, int whence)
{
	int64_t pos;

	if (f->flags & O_PATH)
		return -EBADF;
	if (!f->seekable)
		return -ESPIPE;
	mutex_lock(&f->lock);
	pos = new_position(f, offset, whence);
	if (pos >= 0)
		f->pos = (uint64_t)pos;
	mutex_unlock(&f->lock);
	return pos;
}

ssize_t file_read_kernel(struct file *f, void *buf, size_t n, uint64_t pos)
{
	struct uio u = uio_kernel(buf, n);

	return file_read(f, &u, &pos);
}
