/* SPDX-License-Identifier: MIT */
/* Calls that make, move and remove names. The file systems do the work under
 * their own locks; here stands what is the same for all of them. */
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/string.h"

/* A directory where p->last may be changed. */
static int may_change(const struct path_parent *p)
{
	return mount_read_only(p->dir.mount) ? -EROFS : 0;
}

/* For calls that make something: -EEXIST if it is there, 0 if it can be. */
static int may_make(const struct path_parent *p, bool directory)
{
	struct inode *dir = p->dir.node, *child;

	if (p->kind != LAST_NAME)
		return -EEXIST;
	if (!dir->ops->lookup)
		return -EPERM;
	if (!dir->ops->lookup(dir, p->last, &child)) {
		inode_put(child);
		return -EEXIST;
	}
	if (p->slash && !directory)
		return -ENOENT;
	return may_change(p);
}

static int make(int dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	struct path_parent p;
	struct inode *dir, *node;
	int error = path_find_parent(dirfd, path, false, &p);

	if (error)
		return error;
	dir = p.dir.node;
	error = may_make(&p, (mode & S_IFMT) == S_IFDIR);
	if (!error && !dir->ops->create)
		error = -EPERM;
	if (!error)
		error = dir->ops->create(
			dir, p.last, mode & ~fs_umask(), rdev, &node);
	if (!error)
		inode_put(node);
	place_put(&p.dir);
	return error;
}

int fs_mkdir(int dirfd, const char *path, uint32_t mode)
{
	return make(dirfd, path, S_IFDIR | (mode & 01777), 0);
}

int fs_mknod(int dirfd, const char *path, uint32_t mode, uint64_t rdev)
{
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		rdev = 0;
		break;
	case S_IFCHR:
	case S_IFBLK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make(dirfd, path, mode & (S_IFMT | 07777), rdev);
}

int fs_symlink(const char *target, int dirfd, const char *path)
{
	struct path_parent p;
	int error;

	if (!*target)
		return -ENOENT;
	error = path_find_parent(dirfd, path, false, &p);
	if (error)
		return error;
	error = may_make(&p, false);
	if (!error && !p.dir.node->ops->symlink)
		error = -EPERM;
	if (!error)
		error = p.dir.node->ops->symlink(p.dir.node, p.last, target);
	place_put(&p.dir);
	return error;
}

int fs_link(const struct place *from, int dirfd, const char *path)
{
	struct path_parent p;
	int error = path_find_parent(dirfd, path, false, &p);

	if (error)
		return error;
	error = may_make(&p, false);
	if (error)
		goto out;
	if (p.dir.mount != from->mount || p.dir.node->dev != from->node->dev)
		error = -EXDEV;
	else if (inode_is(from->node, S_IFDIR) || !p.dir.node->ops->link)
		error = -EPERM;
	else
		error = p.dir.node->ops->link(p.dir.node, p.last, from->node);
out:
	place_put(&p.dir);
	return error;
}

/* The child that is to be removed or moved, counted; nothing may be mounted on
 * it. Without a child, -ENOENT; *out is NULL on failure. */
static int may_take(const struct path_parent *p, struct inode **out)
{
	struct inode *dir = p->dir.node;
	int error;

	*out = NULL;
	if (!dir->ops->lookup)
		return -EPERM;
	error = dir->ops->lookup(dir, p->last, out);
	if (error) {
		*out = NULL;
		return error;
	}
	if (__atomic_load_n(&(*out)->mounts, __ATOMIC_RELAXED))
		error = -EBUSY;
	else if (p->slash && !inode_is(*out, S_IFDIR))
		error = -ENOTDIR;
	if (error) {
		inode_put(*out);
		*out = NULL;
	}
	return error;
}

static int unlink_kind(const struct path_parent *p, bool directory)
{
	if (p->kind == LAST_NAME)
		return 0;
	if (!directory)
		return -EISDIR;
	return p->kind == LAST_DOT       ? -EINVAL
		: p->kind == LAST_DOTDOT ? -ENOTEMPTY
					 : -EBUSY;
}

static int unlink_from(const struct path_parent *p, bool directory)
{
	struct inode *dir = p->dir.node, *child;
	int error = may_take(p, &child);

	if (error)
		return error;
	error = may_change(p);
	if (!error && inode_is(child, S_IFDIR) != directory)
		error = directory ? -ENOTDIR : -EISDIR;
	if (!error && !dir->ops->unlink)
		error = -EPERM;
	if (!error)
		error = dir->ops->unlink(dir, p->last, directory);
	if (!error)
		mount_node_gone(child);
	inode_put(child);
	return error;
}

int fs_unlink(int dirfd, const char *path, bool directory)
{
	struct path_parent p;
	int error = path_find_parent(dirfd, path, false, &p);

	if (error)
		return error;
	error = unlink_kind(&p, directory);
	if (!error)
		error = unlink_from(&p, directory);
	place_put(&p.dir);
	return error;
}

static int rename_between(const struct path_parent *from,
	const struct path_parent *to, unsigned flags)
{
	struct inode *dir = from->dir.node, *child = NULL, *old = NULL;
	int error;

	if (from->dir.mount != to->dir.mount || dir->dev != to->dir.node->dev)
		return -EXDEV;
	if (from->kind != LAST_NAME || to->kind != LAST_NAME)
		return -EBUSY;
	error = may_take(from, &child);
	if (!error)
		error = may_change(from);
	if (!error && to->slash && !inode_is(child, S_IFDIR))
		error = -ENOTDIR;
	if (error)
		goto out;
	error = may_take(to, &old);
	if (error && error != -ENOENT)
		goto out;
	if (old && flags & RENAME_NOREPLACE)
		error = -EEXIST;
	else if (!dir->ops->rename)
		error = -EPERM;
	else
		error = dir->ops->rename(
			dir, from->last, to->dir.node, to->last, flags);
	if (!error && old && old != child)
		mount_node_gone(old);
out:
	inode_put(child);
	inode_put(old);
	return error;
}

int fs_rename(int dirfd, const char *path, int new_dirfd, const char *new_path,
	unsigned flags)
{
	struct path_parent from, to;
	int error;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	error = path_find_parent(dirfd, path, false, &from);
	if (error)
		return error;
	error = path_find_parent(new_dirfd, new_path, false, &to);
	if (!error) {
		error = rename_between(&from, &to, flags);
		place_put(&to.dir);
	}
	place_put(&from.dir);
	return error;
}
