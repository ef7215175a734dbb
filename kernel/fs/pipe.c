/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs: a ring of 64 KiB between readers and writers. When all pipes
 * together could fill too much memory, new ones get a single page.
 *
 * Letters: [S] pipe.lock (spinlock), [R] pipe.reader, [W] pipe.writer (mutexes,
 * held while bytes move, also to and from user memory). The bytes between tail
 * and head belong to who holds reader, the free ones to who holds writer. Who
 * sleeps holds neither, so that it can be killed.
 *
 * A pipe belongs to its inode. A FIFO's is made at its first open.
 */
#include "fs/fs.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/wait.h"

#define RING_PAGES 16u
#define PIPE_BUF 4096u

#define FIONREAD 0x541b

struct pipe {
	struct spinlock lock;
	struct mutex reader, writer;
	uint64_t head, tail;        /* [S] bytes ever written and read */
	uint8_t *pages[RING_PAGES]; /* [W] made when first written */
	uint32_t npages;            /* constant: 16 or 1 */
	unsigned readers, writers;  /* [S] open files */
	unsigned reader_opens, writer_opens; /* [S] ever, for FIFO opens */
	struct waitq read_queue, write_queue, open_queue;
	struct poll_source poll;
};

struct pipe_inode {
	struct inode inode;
	uint64_t time_ns;
};

static uint64_t pages_promised; /* to all pipes; atomic */

/* How large a new pipe may be. */
static uint32_t promise_pages(void)
{
	uint64_t limit = memory_counts().total / 16;

	if (__atomic_add_fetch(&pages_promised, RING_PAGES, __ATOMIC_RELAXED) <=
		limit)
		return RING_PAGES;
	__atomic_fetch_sub(&pages_promised, RING_PAGES - 1, __ATOMIC_RELAXED);
	return 1;
}

static size_t capacity(const struct pipe *p)
{
	return p->npages * PAGE_SIZE;
}

static struct pipe *pipe_of(struct file *f)
{
	return f->inode->data;
}

size_t pipe_size(struct file *f)
{
	return capacity(pipe_of(f));
}

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->npages = promise_pages();
	spin_init(&p->lock);
	mutex_init(&p->reader);
	mutex_init(&p->writer);
	waitq_init(&p->read_queue);
	waitq_init(&p->write_queue);
	waitq_init(&p->open_queue);
	poll_source_init(&p->poll);
	return p;
}

static void pipe_free(struct pipe *p)
{
	if (!p)
		return;
	poll_source_gone(&p->poll);
	for (unsigned i = 0; i < RING_PAGES; i++)
		if (p->pages[i])
			page_free(p->pages[i]);
	__atomic_fetch_sub(&pages_promised, p->npages, __ATOMIC_RELAXED);
	kfree(p);
}

void fifo_destroy(struct inode *node)
{
	pipe_free(node->data);
}

/* --- reading -------------------------------------------------------------- */

/* Until there are bytes: how many; 0 at the end. */
static ssize_t wait_for_bytes(struct pipe *p, bool nonblock)
{
	ssize_t result = 0;

	spin_lock(&p->lock);
	while (p->head == p->tail && p->writers && !result) {
		if (nonblock)
			result = -EAGAIN;
		else
			result = wait_on(&p->read_queue, &p->lock, WAIT_FOREVER,
				WAIT_INTERRUPTIBLE);
	}
	if (p->head != p->tail)
		result = (ssize_t)(p->head - p->tail);
	spin_unlock(&p->lock);
	return result;
}

/* The piece of the ring at a position, up to the end of its page. */
static size_t piece_at(uint64_t pos, size_t n)
{
	return MIN(n, PAGE_SIZE - pos % PAGE_SIZE);
}

static uint8_t **page_at(struct pipe *p, uint64_t pos)
{
	return &p->pages[pos / PAGE_SIZE % p->npages];
}

/* Move what is there; p->reader is held. */
static ssize_t __take_bytes(struct pipe *p, struct uio *u)
{
	uint64_t tail, head;
	ssize_t total = 0, moved = 0;

	spin_lock(&p->lock);
	tail = p->tail;
	head = p->head;
	spin_unlock(&p->lock);
	while (u->left && tail < head) {
		size_t n = piece_at(tail, MIN(u->left, head - tail));

		moved = uio_put(u, *page_at(p, tail) + tail % PAGE_SIZE, n);
		if (moved <= 0)
			break;
		tail += moved;
		total += moved;
	}
	spin_lock(&p->lock);
	p->tail = tail;
	spin_unlock(&p->lock);
	return total ? total : moved;
}

static ssize_t pipe_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pipe *p = pipe_of(f);
	ssize_t n;

	(void)pos;
	if (!u->left)
		return 0;
	do {
		n = wait_for_bytes(p, f->flags & O_NONBLOCK);
		if (n <= 0)
			return n;
		mutex_lock(&p->reader);
		n = __take_bytes(p, u);
		mutex_unlock(&p->reader);
	} while (n == 0); /* another reader was faster */
	if (n > 0) {
		wake_all(&p->write_queue);
		poll_wake(&p->poll);
	}
	return n;
}

/* --- writing -------------------------------------------------------------- */

/* Until `wanted` bytes are free: how many are. */
static ssize_t wait_for_room(struct pipe *p, size_t wanted, bool nonblock)
{
	ssize_t result = 0;

	spin_lock(&p->lock);
	while (!result) {
		size_t room = capacity(p) - (p->head - p->tail);

		if (!p->readers)
			result = -EPIPE;
		else if (room >= wanted)
			result = (ssize_t)room;
		else if (nonblock)
			result = -EAGAIN;
		else
			result = wait_on(&p->write_queue, &p->lock,
				WAIT_FOREVER, WAIT_INTERRUPTIBLE);
	}
	spin_unlock(&p->lock);
	return result;
}

/* Move what there is room for, or nothing if that is less than `wanted`;
 * p->writer is held. */
static ssize_t __give_bytes(struct pipe *p, struct uio *u, size_t wanted)
{
	uint64_t tail, head;
	ssize_t total = 0, moved = 0;
	size_t room;

	spin_lock(&p->lock);
	tail = p->tail;
	head = p->head;
	spin_unlock(&p->lock);
	room = capacity(p) - (head - tail);
	if (room < wanted)
		return 0;
	while (u->left && room) {
		size_t n = piece_at(head, MIN(u->left, room));
		uint8_t **page = page_at(p, head);

		if (!*page)
			*page = page_alloc_dirty();
		moved = *page ? uio_get(u, *page + head % PAGE_SIZE, n)
			      : -ENOMEM;
		if (moved <= 0)
			break;
		head += moved;
		room -= moved;
		total += moved;
	}
	spin_lock(&p->lock);
	p->head = head;
	spin_unlock(&p->lock);
	return total ? total : moved;
}

static ssize_t broken_pipe(void)
{
	struct process *self = process_current();

	if (self)
		signal_process(self, SIGPIPE, NULL);
	return -EPIPE;
}

static ssize_t pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pipe *p = pipe_of(f);
	/* Up to PIPE_BUF bytes go in one piece. */
	size_t wanted = u->left <= PIPE_BUF ? u->left : 1;
	ssize_t total = 0;

	(void)pos;
	while (u->left) {
		ssize_t n = wait_for_room(p, wanted, f->flags & O_NONBLOCK);

		if (n > 0) {
			mutex_lock(&p->writer);
			n = __give_bytes(p, u, wanted);
			mutex_unlock(&p->writer);
		}
		if (n == -EPIPE && !total)
			return broken_pipe();
		if (n < 0)
			return total ? total : n;
		if (n > 0) {
			wanted = 1;
			total += n;
			wake_all(&p->read_queue);
			poll_wake(&p->poll);
		}
	}
	return total;
}

/* --- the rest ------------------------------------------------------------- */

static unsigned pipe_poll(struct file *f, struct poller *poller)
{
	struct pipe *p = pipe_of(f);
	bool reads = (f->flags & O_ACCMODE) != O_WRONLY;
	bool writes = (f->flags & O_ACCMODE) != O_RDONLY;
	unsigned events = 0;

	if (poller)
		poll_register(poller, &p->poll);
	spin_lock(&p->lock);
	if (reads && p->head != p->tail)
		events |= POLLIN;
	if (reads && !p->writers && p->writer_opens)
		events |= POLLHUP;
	if (writes && capacity(p) - (p->head - p->tail) >= PIPE_BUF)
		events |= POLLOUT;
	if (writes && !p->readers)
		events |= POLLERR;
	spin_unlock(&p->lock);
	return events;
}

static int64_t pipe_ioctl(struct file *f, uint32_t request, uintptr_t arg)
{
	struct pipe *p = pipe_of(f);
	struct uio u = uio_user(arg, sizeof(int));
	int n;

	if (request != FIONREAD)
		return -ENOTTY;
	spin_lock(&p->lock);
	n = (int)(p->head - p->tail);
	spin_unlock(&p->lock);
	return uio_put(&u, &n, sizeof(n)) == sizeof(n) ? 0 : -EFAULT;
}

static void add_end(struct pipe *p, uint32_t flags)
{
	if ((flags & O_ACCMODE) != O_WRONLY) {
		p->readers++;
		p->reader_opens++;
	}
	if ((flags & O_ACCMODE) != O_RDONLY) {
		p->writers++;
		p->writer_opens++;
	}
}

static void drop_end(struct pipe *p, uint32_t flags)
{
	spin_lock(&p->lock);
	if ((flags & O_ACCMODE) != O_WRONLY)
		p->readers--;
	if ((flags & O_ACCMODE) != O_RDONLY)
		p->writers--;
	if (!p->readers && !p->writers)
		p->tail = p->head; /* what nobody read is lost */
	spin_unlock(&p->lock);
	wake_all(&p->read_queue);
	wake_all(&p->write_queue);
	poll_wake(&p->poll);
}

static void pipe_release(struct file *f)
{
	drop_end(pipe_of(f), f->flags);
}

const struct file_ops fifo_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

/* Wait until the other end was opened at least once since we came. */
static int __wait_for_other(struct pipe *p, uint32_t flags)
{
	int error = 0;

	if ((flags & O_ACCMODE) == O_RDONLY) {
		unsigned seen = p->writer_opens;

		while (!error && !p->writers && p->writer_opens == seen)
			error = wait_on(&p->open_queue, &p->lock, WAIT_FOREVER,
				WAIT_INTERRUPTIBLE);
	} else if ((flags & O_ACCMODE) == O_WRONLY) {
		unsigned seen = p->reader_opens;

		while (!error && !p->readers && p->reader_opens == seen)
			error = wait_on(&p->open_queue, &p->lock, WAIT_FOREVER,
				WAIT_INTERRUPTIBLE);
	}
	return error;
}

/* A FIFO waits for its other end. A pipe without a name had both once, so who
 * opens it again, by /proc/PID/fd, takes it as it is. */
static int open_end(struct inode *node, struct file *f, bool wait)
{
	struct pipe *p;
	int error = 0;

	mutex_lock(&node->lock);
	if (!node->data)
		node->data = pipe_alloc();
	p = node->data;
	mutex_unlock(&node->lock);
	if (!p)
		return -ENOMEM;
	spin_lock(&p->lock);
	if ((f->flags & O_ACCMODE) == O_WRONLY && f->flags & O_NONBLOCK &&
		!p->readers) {
		spin_unlock(&p->lock);
		return -ENXIO;
	}
	add_end(p, f->flags);
	wake_all(&p->open_queue);
	if (wait && !(f->flags & O_NONBLOCK))
		error = __wait_for_other(p, f->flags);
	spin_unlock(&p->lock);
	if (error)
		drop_end(p, f->flags);
	else
		f->ops = &fifo_ops;
	return error;
}

int fifo_open(struct inode *node, struct file *f)
{
	return open_end(node, f, true);
}

/* --- pipes without a name ------------------------------------------------- */

static int anonymous_stat(struct inode *node, struct stat_info *out)
{
	struct pipe_inode *n = container_of(node, struct pipe_inode, inode);

	out->mtime_ns = out->atime_ns = out->ctime_ns = n->time_ns;
	return 0;
}

static int anonymous_open(struct inode *node, struct file *f)
{
	return open_end(node, f, false);
}

static void anonymous_destroy(struct inode *node)
{
	pipe_free(node->data);
	kfree(container_of(node, struct pipe_inode, inode));
}

static const struct inode_ops anonymous_ops = {
	.stat = anonymous_stat,
	.open = anonymous_open,
	.destroy = anonymous_destroy,
};

static struct pipe_inode *anonymous_create(void)
{
	static uint64_t last_ino;
	static uint64_t dev;
	struct pipe_inode *n = kzalloc(sizeof(*n));
	uint64_t none = 0;

	if (!n)
		return NULL;
	if (!__atomic_load_n(&dev, __ATOMIC_RELAXED))
		__atomic_compare_exchange_n(&dev, &none, inode_new_dev(), false,
			__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	inode_init(&n->inode, S_IFIFO | 0600, &anonymous_ops);
	n->inode.ino = __atomic_add_fetch(&last_ino, 1, __ATOMIC_RELAXED);
	n->inode.dev = dev;
	n->time_ns = time_wall_ns();
	n->inode.data = pipe_alloc();
	if (!n->inode.data) {
		kfree(n);
		return NULL;
	}
	return n;
}

int pipe_create(struct file **out_reader, struct file **out_writer, int flags)
{
	struct pipe_inode *n = anonymous_create();
	struct place at = {NULL, n ? &n->inode : NULL};
	struct file *reader, *writer;

	if (!n)
		return -ENOMEM;
	flags &= O_NONBLOCK;
	reader = file_create(&at, O_RDONLY | flags);
	writer = file_create(&at, O_WRONLY | flags);
	inode_put(&n->inode);
	if (!reader || !writer) {
		file_put(reader);
		file_put(writer);
		return -ENOMEM;
	}
	reader->ops = writer->ops = &fifo_ops;
	add_end(n->inode.data, O_RDONLY);
	add_end(n->inode.data, O_WRONLY);
	*out_reader = reader;
	*out_writer = writer;
	return 0;
}
