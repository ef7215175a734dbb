/* SPDX-License-Identifier: MIT */
/* The root file system, from the boot archive. Runs once, alone. */
#include "fs/cpio.h"
#include "fs/fs.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"

struct unpack {
	struct inode *root;
	unsigned failed;
};

/* The directory that an entry lies in, made where the archive left it out; its
 * count goes to the caller. *name becomes the last element. */
static int find_dir(struct inode *root, const struct cpio_entry *e, char *name,
	struct inode **out)
{
	struct inode *dir = root, *child;
	size_t start = 0;
	int error = 0;

	inode_get(dir);
	for (size_t i = 0; i <= e->name_len; i++) {
		if (i < e->name_len && e->name[i] != '/')
			continue;
		memcpy(name, e->name + start, i - start);
		name[i - start] = '\0';
		start = i + 1;
		if (i == e->name_len)
			break;
		error = dir->ops->lookup(dir, name, &child);
		if (error == -ENOENT)
			error = dir->ops->create(
				dir, name, S_IFDIR | 0755, 0, &child);
		inode_put(dir);
		if (error)
			return error;
		dir = child;
		if (!inode_is(dir, S_IFDIR)) {
			inode_put(dir);
			return -ENOTDIR;
		}
	}
	*out = dir;
	return 0;
}

/* An entry replaces what an earlier one left, except that a directory stays. */
static int make_node(struct inode *dir, const char *name, uint32_t mode,
	uint64_t rdev, struct inode **out)
{
	int error = dir->ops->lookup(dir, name, out);

	if (!error && inode_is(*out, S_IFDIR) && (mode & S_IFMT) == S_IFDIR)
		return (*out)->ops->set_mode(*out, mode);
	if (!error) {
		bool directory = inode_is(*out, S_IFDIR);

		inode_put(*out);
		error = dir->ops->unlink(dir, name, directory);
		if (error)
			return error;
	}
	return dir->ops->create(dir, name, mode, rdev, out);
}

static int make_link(
	struct inode *dir, const char *name, const struct cpio_entry *e)
{
	static char target[PATH_MAX]; /* at boot there is only one */

	if (!e->size || e->size >= sizeof(target) ||
		memchr(e->data, '\0', e->size))
		return -EINVAL;
	memcpy(target, e->data, e->size);
	target[e->size] = '\0';
	return dir->ops->symlink(dir, name, target);
}

static int unpack_into(
	struct inode *dir, const char *name, const struct cpio_entry *e)
{
	struct inode *node;
	int error;

	switch (e->mode & S_IFMT) {
	case S_IFLNK:
		return make_link(dir, name, e);
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFCHR:
	case S_IFBLK:
		break;
	default:
		return -EINVAL;
	}
	error = make_node(dir, name, e->mode & (S_IFMT | 07777),
		make_rdev(e->rdev_major, e->rdev_minor), &node);
	if (error)
		return error;
	if (inode_is(node, S_IFREG) && e->size)
		error = ramfs_set_contents(node, e->data, e->size);
	ramfs_set_time(node, e->mtime * NS_PER_S);
	inode_put(node);
	return error;
}

static void unpack(void *ctx, const struct cpio_entry *e)
{
	struct unpack *u = ctx;
	char name[NAME_MAX + 1];
	struct inode *dir;
	int error = find_dir(u->root, e, name, &dir);

	if (!error) {
		error = unpack_into(dir, name, e);
		inode_put(dir);
	}
	if (error)
		u->failed++;
}

void fs_init(const void *archive, size_t size)
{
	struct unpack u = {0};
	struct super *s = ramfs_create(&u.root);
	unsigned skipped;
	bool complete;

	if (!s)
		panic("no memory for the root file system");
	mount_set_root(u.root, s);
	if (!archive)
		return;
	complete = cpio_read(archive, size, unpack, &u, &skipped);
	if (!complete)
		kprintf("fs: the initial archive is cut short or damaged\n");
	if (u.failed + skipped)
		kprintf("fs: %u entries of the initial archive left out\n",
			u.failed + skipped);
}
