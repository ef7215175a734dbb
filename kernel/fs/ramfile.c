/* SPDX-License-Identifier: MIT */
/*
 * Contents of files in memory: sparse arrays of counted pages.
 *
 * inode.lock guards the array and the size and is held only for lookups, never
 * while user memory is touched: a page is counted, the lock dropped, the bytes
 * moved, the count given back. Truncation takes pages out of the array; whoever
 * has them mapped keeps them. Pages are in memory for good once made; a hole or
 * a piece of the boot archive becomes a page when it is written or mapped.
 */
#include "fs/ramfs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/process.h"
#include "proc/signal.h"

#define FANOUT 512u
#define MAX_HEIGHT 3u
#define MAX_SIZE (PAGE_SIZE * FANOUT * FANOUT * FANOUT)

static uint64_t pages_used; /* by all files; atomic */

/* Frames that must stay free for processes and the kernel itself. */
static uint64_t reserve(const struct memory_counts *c)
{
	return c->total / 16 + 256;
}

bool ramfs_full(void)
{
	struct memory_counts c = memory_counts();

	return c.free <= reserve(&c);
}

void ramfs_usage(uint64_t *out_used, uint64_t *out_available)
{
	struct memory_counts c = memory_counts();
	uint64_t kept = reserve(&c);

	*out_used = __atomic_load_n(&pages_used, __ATOMIC_RELAXED);
	*out_available = c.free > kept ? c.free - kept : 0;
}

/* --- the array; inode.lock is held ---------------------------------------- */

static uint64_t reach(unsigned height)
{
	return 1ull << (9 * height);
}

static struct page *__lookup(const struct ramnode *n, uint64_t index)
{
	void *at = n->file.root;

	if (index >= reach(n->file.height))
		return NULL;
	for (unsigned h = n->file.height; h && at; h--)
		at = ((void **)at)[index >> (9 * (h - 1)) & (FANOUT - 1)];
	return at;
}

/* The place in the array for a page, with the tables on the way to it. */
static struct page **__slot(struct ramnode *n, uint64_t index)
{
	void **slot = &n->file.root;

	while (index >= reach(n->file.height)) {
		if (n->file.root) {
			void **table = page_alloc();

			if (!table)
				return NULL;
			table[0] = n->file.root;
			n->file.root = table;
		}
		n->file.height++;
	}
	for (unsigned h = n->file.height; h; h--) {
		if (!*slot)
			*slot = page_alloc();
		if (!*slot)
			return NULL;
		slot = (void **)*slot + (index >> (9 * (h - 1)) & (FANOUT - 1));
	}
	return (struct page **)slot;
}

/* Bytes of the archive that lie in a page. */
static size_t __backed(const struct ramnode *n, uint64_t index)
{
	uint64_t start = index * PAGE_SIZE;

	if (start >= n->file.backing_size)
		return 0;
	return MIN(n->file.backing_size - start, PAGE_SIZE);
}

/* The page of an index, made if need be; counted for the array only. */
static int __page(struct ramnode *n, uint64_t index, struct page **out)
{
	size_t backed = __backed(n, index);
	struct page **slot;
	uint8_t *bytes;

	*out = __lookup(n, index);
	if (*out)
		return 0;
	/* What the archive holds may always be had: there is only so much of
	 * it, and programs must start when memory is short. */
	if (!backed && ramfs_full())
		return -ENOSPC;
	slot = __slot(n, index);
	bytes = slot ? page_alloc_dirty() : NULL;
	if (!bytes)
		return -ENOMEM;
	if (backed)
		memcpy(bytes, n->file.backing + index * PAGE_SIZE, backed);
	memset(bytes + backed, 0, PAGE_SIZE - backed);
	*slot = *out = page_of(virt_to_phys(bytes));
	n->file.npages++;
	__atomic_fetch_add(&pages_used, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Free everything at or above index `from` below a table; true: it is empty. */
static bool __prune(struct ramnode *n, void *at, unsigned height, uint64_t from)
{
	void **table = at;
	uint64_t span;
	bool empty = true;

	if (!height) {
		page_put(at);
		n->file.npages--;
		__atomic_fetch_sub(&pages_used, 1, __ATOMIC_RELAXED);
		return true;
	}
	span = reach(height - 1);
	for (uint64_t i = 0; i < FANOUT; i++) {
		uint64_t start = i * span;

		if (!table[i])
			continue;
		if (start + span > from &&
			__prune(n, table[i], height - 1,
				from > start ? from - start : 0))
			table[i] = NULL;
		else
			empty = false;
	}
	if (empty)
		page_free(table);
	return empty;
}

static void __truncate_pages(struct ramnode *n, uint64_t from)
{
	if (!n->file.root || from >= reach(n->file.height))
		return;
	if (__prune(n, n->file.root, n->file.height, from)) {
		n->file.root = NULL;
		n->file.height = 0;
	}
}

/* --- operations ----------------------------------------------------------- */

/* What lies at a position: a counted page, or bytes of the archive, or (both
 * NULL) zeros; *n is clipped to one page and to the end of the file. */
static void look(struct ramnode *node, uint64_t pos, size_t *n,
	struct page **out_page, const uint8_t **out_bytes)
{
	*out_page = NULL;
	*out_bytes = NULL;
	mutex_lock(&node->inode.lock);
	if (pos >= node->file.size) {
		*n = 0;
	} else {
		*n = MIN(*n, PAGE_SIZE - pos % PAGE_SIZE);
		*n = MIN(*n, node->file.size - pos);
		*out_page = __lookup(node, pos / PAGE_SIZE);
		if (*out_page) {
			page_get(*out_page);
		} else if (pos < node->file.backing_size) {
			*n = MIN(*n, node->file.backing_size - pos);
			*out_bytes = node->file.backing + pos;
		}
	}
	mutex_unlock(&node->inode.lock);
}

static ssize_t ramfile_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct ramnode *node = ramnode_of(f->inode);
	size_t total = 0;

	while (u->left) {
		struct page *page;
		const uint8_t *bytes;
		size_t n = u->left;
		ssize_t moved;

		look(node, *pos, &n, &page, &bytes);
		if (!n)
			break;
		if (page)
			bytes = (uint8_t *)page_virt(page) + *pos % PAGE_SIZE;
		moved = bytes ? uio_put(u, bytes, n) : uio_zero(u, n);
		if (page)
			page_put(page);
		if (moved > 0) {
			*pos += moved;
			total += moved;
		}
		if (moved < (ssize_t)n)
			return total ? (ssize_t)total : moved;
	}
	return total;
}

/* The page that a write goes to, counted. */
static int page_to_write(
	struct ramnode *node, uint64_t pos, struct page **out_page)
{
	int error;

	mutex_lock(&node->inode.lock);
	error = __page(node, pos / PAGE_SIZE, out_page);
	if (!error)
		page_get(*out_page);
	mutex_unlock(&node->inode.lock);
	return error == -ENOMEM ? -ENOSPC : error;
}

static void extend(struct ramnode *node, uint64_t size)
{
	mutex_lock(&node->inode.lock);
	if (node->file.size < size)
		node->file.size = size;
	mutex_unlock(&node->inode.lock);
}

/* The size that the running process may give a file. */
static uint64_t size_limit(void)
{
	const struct process *p = process_current();

	return p ? MIN(p->rlimits[RLIMIT_FSIZE][0], MAX_SIZE) : MAX_SIZE;
}

static int beyond_limit(uint64_t limit)
{
	if (limit < MAX_SIZE)
		signal_process(process_current(), SIGXFSZ, NULL);
	return -EFBIG;
}

/* At most one page, and not beyond `end`. */
static ssize_t write_piece(
	struct ramnode *node, struct uio *u, uint64_t pos, uint64_t end)
{
	size_t n = MIN(u->left, MIN(PAGE_SIZE - pos % PAGE_SIZE, end - pos));
	struct page *page;
	ssize_t moved;
	int error = page_to_write(node, pos, &page);

	if (error)
		return error;
	moved = uio_get(u, (uint8_t *)page_virt(page) + pos % PAGE_SIZE, n);
	if (moved > 0)
		extend(node, pos + moved);
	page_put(page);
	return moved;
}

static ssize_t ramfile_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct ramnode *node = ramnode_of(f->inode);
	uint64_t limit = size_limit();
	ssize_t total = 0, moved = 0;

	mutex_lock(&node->file.writer);
	if (f->flags & O_APPEND) {
		mutex_lock(&node->inode.lock);
		*pos = node->file.size;
		mutex_unlock(&node->inode.lock);
	}
	while (u->left) {
		if (*pos >= limit) {
			moved = total ? 0 : beyond_limit(limit);
			break;
		}
		moved = write_piece(node, u, *pos, limit);
		if (moved <= 0)
			break;
		*pos += moved;
		total += moved;
	}
	mutex_unlock(&node->file.writer);
	if (total)
		ramnode_touch(node);
	return total ? total : moved;
}

static int ramfile_get_page(struct file *f, uint64_t index, struct page **out)
{
	struct ramnode *node = ramnode_of(f->inode);
	int error = -ENXIO;

	mutex_lock(&node->inode.lock);
	if (index < (node->file.size + PAGE_SIZE - 1) / PAGE_SIZE)
		error = __page(node, index, out);
	if (!error)
		page_get(*out);
	mutex_unlock(&node->inode.lock);
	/* A full file system gives SIGBUS: no process need die for it. */
	return error == -ENOSPC ? -ENXIO : error;
}

static int ramfile_truncate(struct inode *inode, uint64_t size)
{
	struct ramnode *n = ramnode_of(inode);
	uint64_t limit = size_limit();
	struct page *last;

	mutex_lock(&inode->lock);
	if (size > n->file.size && size > limit) {
		mutex_unlock(&inode->lock);
		return beyond_limit(limit);
	}
	if (size < n->file.size) {
		__truncate_pages(n, (size + PAGE_SIZE - 1) / PAGE_SIZE);
		n->file.backing_size = MIN(n->file.backing_size, size);
		last = __lookup(n, size / PAGE_SIZE);
		if (last)
			memset((uint8_t *)page_virt(last) + size % PAGE_SIZE, 0,
				PAGE_SIZE - size % PAGE_SIZE);
	}
	n->file.size = size;
	mutex_unlock(&inode->lock);
	ramnode_touch(n);
	return 0;
}

void ramfile_init(struct ramnode *n)
{
	mutex_init(&n->file.writer);
}

void ramfile_stat(struct ramnode *n, struct stat_info *out)
{
	mutex_lock(&n->inode.lock);
	out->size = n->file.size;
	out->blocks = MAX(n->file.npages * (PAGE_SIZE / 512),
		(n->file.backing_size + 511) / 512);
	mutex_unlock(&n->inode.lock);
}

static void ramfile_destroy(struct inode *inode)
{
	struct ramnode *n = ramnode_of(inode);

	__truncate_pages(n, 0);
	kfree(n);
}

int ramfs_set_contents(struct inode *inode, const void *data, size_t size)
{
	struct ramnode *n = ramnode_of(inode);
	int error = ramfile_truncate(inode, 0);

	if (!error) {
		n->file.backing = data;
		n->file.backing_size = size;
		n->file.size = size;
	}
	return error;
}

const struct inode_ops ramfile_inode_ops = {
	.truncate = ramfile_truncate,
	.stat = ramnode_stat,
	.set_mode = ramnode_set_mode,
	.set_owner = ramnode_set_owner,
	.set_times = ramnode_set_times,
	.destroy = ramfile_destroy,
};

const struct file_ops ramfile_ops = {
	.read = ramfile_read,
	.write = ramfile_write,
	.get_page = ramfile_get_page,
};
