/* SPDX-License-Identifier: MIT */
/*
 * What all inodes share: counts, the way up, stat and directory entries.
 *
 * The name lock guards every inode's parent pointer. It is a leaf: nothing else
 * is taken and nothing freed while it is held.
 */
#include "fs/inode.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

static struct spinlock name_lock = SPINLOCK_INIT;

void inode_init(struct inode *n, uint32_t mode, const struct inode_ops *ops)
{
	memset(n, 0, sizeof(*n));
	n->refs = 1;
	n->mode = mode;
	n->ops = ops;
	mutex_init(&n->lock);
}

void inode_get(struct inode *n)
{
	__atomic_fetch_add(&n->refs, 1, __ATOMIC_RELAXED);
}

bool inode_get_live(struct inode *n)
{
	uint32_t refs = __atomic_load_n(&n->refs, __ATOMIC_RELAXED);

	while (refs)
		if (__atomic_compare_exchange_n(&n->refs, &refs, refs + 1,
			    false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* A loop instead of recursion: a deep tree may hang on its last child. */
void inode_put(struct inode *n)
{
	while (n && !__atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL)) {
		struct inode *parent = n->parent;

		n->ops->destroy(n);
		n = parent;
	}
}

struct inode *inode_parent(struct inode *n)
{
	struct inode *parent;

	spin_lock(&name_lock);
	parent = n->parent;
	if (parent)
		inode_get(parent);
	spin_unlock(&name_lock);
	return parent;
}

void inode_set_parent(struct inode *n, struct inode *parent)
{
	struct inode *old;

	if (parent)
		inode_get(parent);
	spin_lock(&name_lock);
	old = n->parent;
	n->parent = parent;
	spin_unlock(&name_lock);
	inode_put(old);
}

int inode_stat(struct inode *n, struct stat_info *out)
{
	*out = (struct stat_info){
		.dev = n->dev,
		.ino = n->ino,
		.nlink = 1,
		.rdev = n->rdev,
		.mode = n->mode,
	};
	return n->ops->stat ? n->ops->stat(n, out) : 0;
}

uint64_t inode_new_dev(void)
{
	static uint32_t last;

	/* Major 0, as Linux numbers file systems without a disk. */
	return make_rdev(0, __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED));
}

int dirent_put(struct uio *u, uint64_t ino, uint64_t next, uint8_t type,
	const char *name)
{
	struct {
		uint64_t ino;
		int64_t next;
		uint16_t size;
		uint8_t type;
		char name[NAME_MAX + 1 + 8];
	} __attribute__((packed)) entry;
	size_t len = strnlen(name, NAME_MAX);
	size_t head = offsetof(__typeof__(entry), name);
	size_t size = ALIGN_UP(head + len + 1, 8);

	if (u->left < size)
		return 0;
	entry.ino = ino;
	entry.next = (int64_t)next;
	entry.size = (uint16_t)size;
	entry.type = type;
	memcpy(entry.name, name, len);
	memset(entry.name + len, 0, size - head - len);
	return uio_put(u, &entry, size) == (ssize_t)size ? 1 : -EFAULT;
}

int dirent_put_dots(struct uio *u, struct inode *dir, uint64_t *pos)
{
	if (*pos == 0) {
		int done = dirent_put(u, dir->ino, 1, DT_OF(S_IFDIR), ".");

		if (done <= 0)
			return done;
		*pos = 1;
	}
	if (*pos == 1) {
		struct inode *up = inode_parent(dir);
		int done = dirent_put(
			u, up ? up->ino : dir->ino, 2, DT_OF(S_IFDIR), "..");

		inode_put(up);
		if (done <= 0)
			return done;
		*pos = 2;
	}
	return 1;
}
