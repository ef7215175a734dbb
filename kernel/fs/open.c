/* SPDX-License-Identifier: MIT */
/* Opening: from a path or a place to a file. */
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

/* What only matters while opening does not stay in the file's flags. */
#define OPEN_ONLY (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
#define O_TMPFILE 020000000

/* O_PATH files name a place and can do nothing. */
static const struct file_ops path_ops;

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

static int may_open(const struct place *at, int flags)
{
	uint32_t type = at->node->mode & S_IFMT;

	if (flags & O_DIRECTORY && type != S_IFDIR)
		return -ENOTDIR;
	if (flags & O_PATH)
		return 0;
	if (type == S_IFLNK)
		return -ELOOP;
	if (type == S_IFSOCK)
		return -ENXIO;
	if (type == S_IFDIR && (writes(flags) || flags & O_CREAT))
		return -EISDIR;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (writes(flags) &&
		__atomic_load_n(&at->node->programs, __ATOMIC_RELAXED))
		return -ETXTBSY;
	if (writes(flags) && (type == S_IFREG || type == S_IFDIR) &&
		mount_read_only(at->mount))
		return -EROFS;
	return 0;
}

static int start_file(struct file *f, int flags)
{
	struct inode *node = f->inode;
	int error = 0;

	if (flags & O_PATH) {
		f->ops = &path_ops;
		return 0;
	}
	f->seekable = inode_is(node, S_IFREG) || inode_is(node, S_IFDIR);
	if (node->ops->open)
		error = node->ops->open(node, f);
	else
		f->ops = node->fops;
	if (!error && !f->ops)
		error = -ENXIO;
	if (!error && flags & O_TRUNC && inode_is(node, S_IFREG) &&
		node->ops->truncate)
		error = node->ops->truncate(node, 0);
	return error;
}

/* Takes path over. */
static int open_place(
	const struct place *at, int flags, char *path, struct file **out)
{
	struct file *f;
	int error = may_open(at, flags);

	if (error) {
		kfree(path);
		return error;
	}
	f = file_create(at, flags);
	if (!f) {
		kfree(path);
		return -ENOMEM;
	}
	f->path = path;
	error = start_file(f, flags);
	if (error) {
		file_put(f);
		return error;
	}
	f->flags &= ~OPEN_ONLY;
	*out = f;
	return 0;
}

int fs_open_place(const struct place *at, int flags, struct file **out)
{
	return open_place(at, flags, NULL, out);
}

/* A new regular file. -EEXIST when somebody was faster. */
static int create(int dirfd, const char *path, bool through, uint32_t mode,
	struct place *out, char **out_path)
{
	struct path_parent p;
	struct inode *dir, *node;
	int error = path_find_parent(dirfd, path, through, &p);

	if (error)
		return error;
	dir = p.dir.node;
	if (p.kind != LAST_NAME || p.slash)
		error = -EISDIR;
	else if (mount_read_only(p.dir.mount))
		error = -EROFS;
	else if (!dir->ops->create)
		error = -EPERM;
	else
		error = dir->ops->create(dir, p.last,
			S_IFREG | (mode & 07777 & ~fs_umask()), 0, &node);
	if (!error) {
		*out = (struct place){p.dir.mount, node};
		mount_get(out->mount);
		*out_path = path_join(&p.dir, p.last);
	}
	place_put(&p.dir);
	return error;
}

int fs_open(int dirfd, const char *path, int flags, uint32_t mode,
	struct file **out)
{
	bool exclusive = (flags & O_CREAT) && (flags & O_EXCL);
	bool nofollow = exclusive || flags & O_NOFOLLOW;
	struct place at;
	char *found = NULL;
	int error;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return -ENOTSUP;
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	for (unsigned tries = 0;; tries++) {
		error = path_resolve(dirfd, path,
			nofollow ? AT_SYMLINK_NOFOLLOW : 0, &at, &found);
		if (!error && exclusive) {
			place_put(&at);
			kfree(found);
			return -EEXIST;
		}
		if (error != -ENOENT || !(flags & O_CREAT))
			break;
		error = create(dirfd, path, !nofollow, mode, &at, &found);
		if (!error)
			flags &= ~O_TRUNC; /* it is empty */
		/* Created and removed under our hands: not for ever. */
		if (error != -EEXIST || exclusive || tries == 8)
			break;
	}
	if (error)
		return error;
	error = open_place(&at, flags, found, out);
	place_put(&at);
	return error;
}

int fs_open_kernel(const char *path, int flags, struct file **out)
{
	return fs_open(AT_FDCWD, path, flags, 0644, out);
}
