/* SPDX-License-Identifier: MIT */
/*
 * Directories in memory. ramfs.lock guards all names of one file system:
 * entries, link counts, who is whose parent. It is never held while user memory
 * is touched. An entry counts its node; a directory counts its parent; taking
 * an entry out breaks the ring. Nodes are put after the lock is free.
 */
#include "fs/ramfs.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"

#define BUCKETS 512u
#define FIRST_COOKIE 2 /* behind "." and ".." */
#define MAX_LINKS 65000u

struct ramfs {
	struct super super;
	struct mutex lock;
	uint64_t dev;                 /* constant */
	uint64_t last_ino;            /* atomic */
	struct ramnode *root;         /* constant, counted */
	struct list buckets[BUCKETS]; /* all entries, by directory and name */
};

struct ramfs_entry {
	struct list bucket, sibling;
	struct ramnode *dir;  /* not counted: it lives while it has entries */
	struct ramnode *node; /* counted */
	uint64_t cookie;
	uint32_t hash;
	char name[];
};

static const struct inode_ops dir_inode_ops, link_inode_ops, special_ops;
static const struct file_ops dir_ops;

/* --- nodes ---------------------------------------------------------------- */

void ramnode_touch(struct ramnode *n)
{
	uint64_t now = time_wall_ns();

	__atomic_store_n(&n->mtime, now, __ATOMIC_RELAXED);
	__atomic_store_n(&n->ctime, now, __ATOMIC_RELAXED);
}

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return &ramfile_inode_ops;
	case S_IFDIR:
		return &dir_inode_ops;
	case S_IFLNK:
		return &link_inode_ops;
	default:
		return &special_ops;
	}
}

static struct ramnode *node_create(
	struct ramfs *fs, uint32_t mode, uint64_t rdev)
{
	struct ramnode *n = ramfs_full() ? NULL : kzalloc(sizeof(*n));

	if (!n)
		return NULL;
	inode_init(&n->inode, mode, ops_for(mode));
	n->inode.ino = __atomic_add_fetch(&fs->last_ino, 1, __ATOMIC_RELAXED);
	n->inode.dev = fs->dev;
	n->inode.rdev = rdev;
	n->fs = fs;
	n->nlink = 1;
	n->mtime = n->atime = n->ctime = time_wall_ns();
	if ((mode & S_IFMT) == S_IFDIR) {
		n->inode.fops = &dir_ops;
		n->nlink = 2;
		list_init(&n->dir.entries);
		n->dir.next_cookie = FIRST_COOKIE;
	} else if ((mode & S_IFMT) == S_IFREG) {
		n->inode.fops = &ramfile_ops;
		ramfile_init(n);
	}
	return n;
}

int ramnode_stat(struct inode *inode, struct stat_info *out)
{
	struct ramnode *n = ramnode_of(inode);

	out->nlink = n->nlink;
	out->uid = n->uid;
	out->gid = n->gid;
	out->mtime_ns = n->mtime;
	out->atime_ns = n->atime;
	out->ctime_ns = n->ctime;
	if (inode_is(inode, S_IFREG))
		ramfile_stat(n, out);
	else if (inode_is(inode, S_IFLNK))
		out->size = n->link.len;
	else if (inode_is(inode, S_IFDIR))
		out->nlink = 2 + n->dir.subdirs;
	return 0;
}

int ramnode_set_mode(struct inode *inode, uint32_t mode)
{
	uint32_t value = (inode->mode & S_IFMT) | (mode & 07777);

	__atomic_store_n(&inode->mode, value, __ATOMIC_RELAXED);
	ramnode_of(inode)->ctime = time_wall_ns();
	return 0;
}

/* A program that has changed hands runs with nobody's rights. */
static uint32_t mode_of_new_owner(const struct inode *inode)
{
	uint32_t drop = S_ISUID;

	if (inode->mode & S_IXGRP)
		drop |= S_ISGID;
	return inode_is(inode, S_IFREG) ? inode->mode & ~drop : inode->mode;
}

int ramnode_set_owner(struct inode *inode, uint32_t uid, uint32_t gid)
{
	struct ramnode *n = ramnode_of(inode);

	if (uid != UINT32_MAX)
		n->uid = uid;
	if (gid != UINT32_MAX)
		n->gid = gid;
	return ramnode_set_mode(inode, mode_of_new_owner(inode));
}

int ramnode_set_times(struct inode *inode, uint64_t atime, uint64_t mtime)
{
	struct ramnode *n = ramnode_of(inode);

	if (atime != UINT64_MAX)
		n->atime = atime;
	if (mtime != UINT64_MAX)
		n->mtime = mtime;
	n->ctime = time_wall_ns();
	return 0;
}

/* --- entries; ramfs.lock is held ------------------------------------------ */

static uint32_t hash_of(const struct ramnode *dir, const char *name)
{
	uint32_t h = 2166136261u ^ (uint32_t)dir->inode.ino;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static struct ramfs_entry *__find(struct ramnode *dir, const char *name)
{
	uint32_t hash = hash_of(dir, name);
	struct ramfs_entry *e;

	list_for_each (e, &dir->fs->buckets[hash % BUCKETS], bucket)
		if (e->hash == hash && e->dir == dir && !strcmp(e->name, name))
			return e;
	return NULL;
}

static struct ramfs_entry *entry_create(const char *name)
{
	size_t n = strlen(name) + 1;
	struct ramfs_entry *e = kzalloc(sizeof(*e) + n);

	if (e)
		memcpy(e->name, name, n);
	return e;
}

/* Takes over a count of the node. */
static void __insert(
	struct ramnode *dir, struct ramfs_entry *e, struct ramnode *node)
{
	e->hash = hash_of(dir, e->name);
	e->dir = dir;
	e->node = node;
	e->cookie = dir->dir.next_cookie++;
	list_push_back(&dir->fs->buckets[e->hash % BUCKETS], &e->bucket);
	list_push_back(&dir->dir.entries, &e->sibling);
	if (inode_is(&node->inode, S_IFDIR)) {
		node->dir.self = e;
		dir->dir.subdirs++;
		inode_set_parent(&node->inode, &dir->inode);
	}
	ramnode_touch(dir);
}

/* The entry's count of its node goes to the caller. */
static struct ramnode *__remove(struct ramfs_entry *e)
{
	struct ramnode *node = e->node;

	list_remove(&e->bucket);
	list_remove(&e->sibling);
	if (inode_is(&node->inode, S_IFDIR)) {
		node->dir.self = NULL;
		e->dir->dir.subdirs--;
	}
	ramnode_touch(e->dir);
	kfree(e);
	return node;
}

/* A name of the node went for good. */
static void __unlinked(struct ramnode *node)
{
	node->ctime = time_wall_ns();
	if (inode_is(&node->inode, S_IFDIR))
		node->dir.removed = true;
	else
		node->nlink--;
}

/* --- directory operations ------------------------------------------------- */

static int dir_lookup(struct inode *inode, const char *name, struct inode **out)
{
	struct ramnode *dir = ramnode_of(inode);
	struct ramfs_entry *e;

	mutex_lock(&dir->fs->lock);
	e = __find(dir, name);
	if (e) {
		*out = &e->node->inode;
		inode_get(*out);
	}
	mutex_unlock(&dir->fs->lock);
	return e ? 0 : -ENOENT;
}

/* Enter a node under a new name; takes over a count of it on success. */
static int add(struct ramnode *dir, const char *name, struct ramnode *node)
{
	struct ramfs_entry *e = entry_create(name);
	int error = 0;

	if (!e)
		return -ENOSPC;
	mutex_lock(&dir->fs->lock);
	if (dir->dir.removed)
		error = -ENOENT;
	else if (__find(dir, name))
		error = -EEXIST;
	else
		__insert(dir, e, node);
	mutex_unlock(&dir->fs->lock);
	if (error)
		kfree(e);
	return error;
}

static int dir_create(struct inode *inode, const char *name, uint32_t mode,
	uint64_t rdev, struct inode **out)
{
	struct ramnode *dir = ramnode_of(inode);
	struct ramnode *node = node_create(dir->fs, mode, rdev);
	int error;

	if (!node)
		return -ENOSPC;
	inode_get(&node->inode); /* the caller's */
	error = add(dir, name, node);
	if (error)
		inode_put(&node->inode);
	if (error)
		inode_put(&node->inode);
	else
		*out = &node->inode;
	return error;
}

static int dir_symlink(
	struct inode *inode, const char *name, const char *target)
{
	struct ramnode *dir = ramnode_of(inode);
	struct ramnode *node = node_create(dir->fs, S_IFLNK | 0777, 0);
	int error = -ENOSPC;

	if (!node)
		return error;
	node->link.len = strlen(target);
	node->link.target = kmalloc(node->link.len + 1);
	if (node->link.target) {
		memcpy(node->link.target, target, node->link.len + 1);
		error = add(dir, name, node);
	}
	if (error)
		inode_put(&node->inode);
	return error;
}

static int dir_link(struct inode *inode, const char *name, struct inode *target)
{
	struct ramnode *dir = ramnode_of(inode), *node = ramnode_of(target);
	struct ramfs_entry *e;
	int error = 0;

	e = ramfs_full() ? NULL : entry_create(name);
	if (!e)
		return -ENOSPC;
	mutex_lock(&dir->fs->lock);
	if (dir->dir.removed || !node->nlink)
		error = -ENOENT;
	else if (__find(dir, name))
		error = -EEXIST;
	else if (node->nlink >= MAX_LINKS)
		error = -EMLINK;
	if (!error) {
		inode_get(target);
		node->nlink++;
		node->ctime = time_wall_ns();
		__insert(dir, e, node);
	}
	mutex_unlock(&dir->fs->lock);
	if (error)
		kfree(e);
	return error;
}

static int dir_unlink(struct inode *inode, const char *name, bool directory)
{
	struct ramnode *dir = ramnode_of(inode), *node = NULL;
	struct ramfs_entry *e;
	int error = 0;

	mutex_lock(&dir->fs->lock);
	e = __find(dir, name);
	if (!e) {
		error = -ENOENT;
	} else if (inode_is(&e->node->inode, S_IFDIR) != directory) {
		error = directory ? -ENOTDIR : -EISDIR;
	} else if (directory && !list_empty(&e->node->dir.entries)) {
		error = -ENOTEMPTY;
	} else {
		node = __remove(e);
		__unlinked(node);
	}
	mutex_unlock(&dir->fs->lock);
	if (node)
		inode_put(&node->inode);
	return error;
}

/* `to` is `node` or lies below it. Parents change under ramfs.lock only. */
static bool __inside(const struct ramnode *to, const struct ramnode *node)
{
	const struct inode *at = &to->inode;

	while (at && at != &node->inode)
		at = at->parent;
	return at;
}

static int __may_rename(const struct ramfs_entry *e, struct ramnode *to,
	const struct ramfs_entry *old, unsigned flags)
{
	bool directory = inode_is(&e->node->inode, S_IFDIR);

	if (to->dir.removed)
		return -ENOENT;
	if (directory && __inside(to, e->node))
		return -EINVAL;
	if (!old)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (inode_is(&old->node->inode, S_IFDIR) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	if (directory && !list_empty(&old->node->dir.entries))
		return -ENOTEMPTY;
	return 0;
}

static int dir_rename(struct inode *from_inode, const char *name,
	struct inode *to_inode, const char *new_name, unsigned flags)
{
	struct ramnode *from = ramnode_of(from_inode);
	struct ramnode *to = ramnode_of(to_inode), *gone = NULL;
	struct ramfs_entry *e, *old, *entry = entry_create(new_name);
	int error = 0;

	if (!entry)
		return -ENOSPC;
	mutex_lock(&from->fs->lock);
	e = __find(from, name);
	old = __find(to, new_name);
	if (!e)
		error = -ENOENT;
	else if (old && old->node == e->node)
		goto out; /* two names of one node stay as they are */
	else
		error = __may_rename(e, to, old, flags);
	if (!error) {
		if (old) {
			gone = __remove(old);
			__unlinked(gone);
		}
		__insert(to, entry, __remove(e));
		entry->node->ctime = time_wall_ns();
		entry = NULL;
	}
out:
	mutex_unlock(&from->fs->lock);
	kfree(entry);
	if (gone)
		inode_put(&gone->inode);
	return error;
}

static int dir_name(struct inode *inode, char *buf, size_t size)
{
	struct ramnode *dir = ramnode_of(inode);
	int error = -ENOENT;

	mutex_lock(&dir->fs->lock);
	if (dir->dir.self) {
		size_t n = strlcpy(buf, dir->dir.self->name, size);

		error = n < size ? 0 : -ERANGE;
	}
	mutex_unlock(&dir->fs->lock);
	return error;
}

/* --- readdir -------------------------------------------------------------- */

/* Fill a kernel buffer with entries from the cookie *pos on: 1 or, when one did
 * not fit, 0. */
static int fill(struct ramnode *dir, struct uio *u, uint64_t *pos)
{
	struct ramfs_entry *e;
	int fitted = 1;

	mutex_lock(&dir->fs->lock);
	list_for_each (e, &dir->dir.entries, sibling) {
		if (e->cookie < *pos)
			continue;
		fitted = dirent_put(u, e->node->inode.ino, e->cookie + 1,
			DT_OF(e->node->inode.mode), e->name);
		if (fitted <= 0)
			break;
		*pos = e->cookie + 1;
	}
	mutex_unlock(&dir->fs->lock);
	return fitted;
}

static ssize_t dir_readdir(struct file *f, struct uio *u, uint64_t *pos)
{
	size_t size = MIN(u->left, PAGE_SIZE);
	uint64_t next = *pos;
	void *buf = kmalloc(size ? size : 1);
	struct uio k = uio_kernel(buf, size);
	ssize_t done;
	int fitted;

	if (!buf)
		return -ENOMEM;
	fitted = dirent_put_dots(&k, f->inode, &next);
	if (fitted > 0)
		fitted = fill(ramnode_of(f->inode), &k, &next);
	done = (ssize_t)(size - k.left);
	if (!done && !fitted)
		done = -EINVAL; /* not even one */
	else if (done && uio_put(u, buf, done) != done)
		done = -EFAULT;
	else
		*pos = next;
	kfree(buf);
	return done;
}

static void dir_destroy(struct inode *inode)
{
	kfree(ramnode_of(inode));
}

static const struct inode_ops dir_inode_ops = {
	.lookup = dir_lookup,
	.create = dir_create,
	.symlink = dir_symlink,
	.link = dir_link,
	.unlink = dir_unlink,
	.rename = dir_rename,
	.name = dir_name,
	.stat = ramnode_stat,
	.set_mode = ramnode_set_mode,
	.set_owner = ramnode_set_owner,
	.set_times = ramnode_set_times,
	.destroy = dir_destroy,
};

static const struct file_ops dir_ops = {
	.readdir = dir_readdir,
};

/* --- symbolic links, FIFOs, device nodes ---------------------------------- */

static ssize_t link_readlink(struct inode *inode, char *buf, size_t size)
{
	struct ramnode *n = ramnode_of(inode);
	size_t len = MIN(n->link.len, size);

	memcpy(buf, n->link.target, len);
	return len;
}

static void link_destroy(struct inode *inode)
{
	kfree(ramnode_of(inode)->link.target);
	kfree(ramnode_of(inode));
}

static const struct inode_ops link_inode_ops = {
	.readlink = link_readlink,
	.stat = ramnode_stat,
	.set_owner = ramnode_set_owner,
	.set_times = ramnode_set_times,
	.destroy = link_destroy,
};

static int special_open(struct inode *inode, struct file *f)
{
	switch (inode->mode & S_IFMT) {
	case S_IFIFO:
		return fifo_open(inode, f);
	case S_IFCHR:
		return tree_open_device(inode->rdev, f);
	default:
		return -ENXIO;
	}
}

static void special_destroy(struct inode *inode)
{
	if (inode_is(inode, S_IFIFO))
		fifo_destroy(inode);
	kfree(ramnode_of(inode));
}

static const struct inode_ops special_ops = {
	.stat = ramnode_stat,
	.set_mode = ramnode_set_mode,
	.set_owner = ramnode_set_owner,
	.set_times = ramnode_set_times,
	.open = special_open,
	.destroy = special_destroy,
};

/* --- a whole file system -------------------------------------------------- */

/* Nobody can reach it any more. An entry's directory may be gone before it, so
 * it is not looked at. */
static void destroy(struct super *s)
{
	struct ramfs *fs = container_of(s, struct ramfs, super);
	struct ramfs_entry *e, *next;

	for (unsigned i = 0; i < BUCKETS; i++)
		list_for_each_safe (e, next, &fs->buckets[i], bucket) {
			struct inode *node = &e->node->inode;

			if (inode_is(node, S_IFDIR))
				inode_set_parent(node, NULL);
			inode_put(node);
			kfree(e);
		}
	inode_put(&fs->root->inode);
	kfree(fs);
}

struct super *ramfs_create(struct inode **out_root)
{
	struct ramfs *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return NULL;
	fs->super.refs = 1;
	fs->super.destroy = destroy;
	fs->dev = inode_new_dev();
	mutex_init(&fs->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&fs->buckets[i]);
	fs->root = node_create(fs, S_IFDIR | 0755, 0);
	if (!fs->root) {
		kfree(fs);
		return NULL;
	}
	inode_get(&fs->root->inode);
	*out_root = &fs->root->inode;
	return &fs->super;
}

void ramfs_set_time(struct inode *inode, uint64_t time_ns)
{
	struct ramnode *n = ramnode_of(inode);

	n->mtime = n->atime = n->ctime = time_ns;
}
