/* SPDX-License-Identifier: MIT */
/* Calls on names: working directory, making, moving and removing, attributes
 * that can be changed. */
#include "linux/calls.h"
#include "linux/copy.h"
#include "linux/file.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/user.h"

/* --- working directory ---------------------------------------------------- */

SYSCALL(getcwd)
{
	struct place cwd;
	char *buf;
	ssize_t n = path_find(AT_FDCWD, ".", 0, &cwd);

	if (n)
		return n;
	buf = kmalloc(PATH_MAX);
	n = buf ? path_of(&cwd, buf, PATH_MAX) : -ENOMEM;
	place_put(&cwd);
	if (n == -ERANGE)
		n = -ENAMETOOLONG; /* no buffer is large enough */
	else if (n >= 0 && (size_t)++n > arg[1])
		n = -ERANGE;
	else if (n > 0 && copy_to_user(arg[0], buf, (size_t)n))
		n = -EFAULT;
	kfree(buf);
	return n;
}

static long go_to(int dirfd, uintptr_t addr, int (*go)(const struct place *to))
{
	struct place to;
	long error = find_user_path(dirfd, addr, 0, &to);

	if (error)
		return error;
	error = go(&to);
	place_put(&to);
	return error;
}

SYSCALL(chdir)
{
	return go_to(AT_FDCWD, arg[0], fs_chdir);
}

SYSCALL(chroot)
{
	return go_to(AT_FDCWD, arg[0], fs_chroot);
}

SYSCALL(fchdir)
{
	struct file *f = fd_file(as_fd(arg[0]));
	struct place to;
	long error;

	if (!f)
		return -EBADF;
	to = (struct place){f->mount, f->inode};
	error = f->inode ? fs_chdir(&to) : -ENOTDIR;
	file_put(f);
	return error;
}

SYSCALL(umask)
{
	return fs_set_umask((uint32_t)arg[0]);
}

/* --- making --------------------------------------------------------------- */

static long make_directory(int dirfd, uintptr_t addr, uint32_t mode)
{
	char *path;
	long error = copy_path(addr, &path);

	if (error)
		return error;
	error = fs_mkdir(dirfd, path, mode);
	kfree(path);
	return error;
}

SYSCALL(mkdir)
{
	return make_directory(AT_FDCWD, arg[0], (uint32_t)arg[1]);
}

SYSCALL(mkdirat)
{
	return make_directory(as_fd(arg[0]), arg[1], (uint32_t)arg[2]);
}

static long make_special(
	int dirfd, uintptr_t addr, uint32_t mode, uint64_t rdev)
{
	char *path;
	long error = copy_path(addr, &path);

	if (error)
		return error;
	error = fs_mknod(dirfd, path, mode, (uint32_t)rdev);
	kfree(path);
	return error;
}

SYSCALL(mknod)
{
	return make_special(AT_FDCWD, arg[0], (uint32_t)arg[1], arg[2]);
}

SYSCALL(mknodat)
{
	return make_special(as_fd(arg[0]), arg[1], (uint32_t)arg[2], arg[3]);
}

static long make_symlink(uintptr_t target_addr, int dirfd, uintptr_t addr)
{
	char *target, *path;
	long error = copy_path(target_addr, &target);

	if (error)
		return error;
	error = copy_path(addr, &path);
	if (!error) {
		error = fs_symlink(target, dirfd, path);
		kfree(path);
	}
	kfree(target);
	return error;
}

SYSCALL(symlink)
{
	return make_symlink(arg[0], AT_FDCWD, arg[1]);
}

SYSCALL(symlinkat)
{
	return make_symlink(arg[0], as_fd(arg[1]), arg[2]);
}

static long make_link(const unsigned long *arg, int from_fd, uintptr_t from,
	int to_fd, uintptr_t to, unsigned flags)
{
	unsigned find = flags & AT_EMPTY_PATH;
	struct place node;
	char *path;
	long error;

	(void)arg;
	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!(flags & AT_SYMLINK_FOLLOW))
		find |= AT_SYMLINK_NOFOLLOW;
	error = find_user_path(from_fd, from, find, &node);
	if (error)
		return error;
	error = copy_path(to, &path);
	if (!error) {
		error = fs_link(&node, to_fd, path);
		kfree(path);
	}
	place_put(&node);
	return error;
}

SYSCALL(link)
{
	return make_link(arg, AT_FDCWD, arg[0], AT_FDCWD, arg[1], 0);
}

SYSCALL(linkat)
{
	return make_link(arg, as_fd(arg[0]), arg[1], as_fd(arg[2]), arg[3],
		(unsigned)arg[4]);
}

/* --- removing and moving -------------------------------------------------- */

static long remove_name(int dirfd, uintptr_t addr, bool directory)
{
	char *path;
	long error = copy_path(addr, &path);

	if (error)
		return error;
	error = fs_unlink(dirfd, path, directory);
	kfree(path);
	return error;
}

SYSCALL(unlink)
{
	return remove_name(AT_FDCWD, arg[0], false);
}

SYSCALL(rmdir)
{
	return remove_name(AT_FDCWD, arg[0], true);
}

SYSCALL(unlinkat)
{
	if (arg[2] & ~(unsigned long)AT_REMOVEDIR)
		return -EINVAL;
	return remove_name(as_fd(arg[0]), arg[1], arg[2] & AT_REMOVEDIR);
}

static long move_name(int from_fd, uintptr_t from_addr, int to_fd,
	uintptr_t to_addr, unsigned flags)
{
	char *from, *to;
	long error = copy_path(from_addr, &from);

	if (error)
		return error;
	error = copy_path(to_addr, &to);
	if (!error) {
		error = fs_rename(from_fd, from, to_fd, to, flags);
		kfree(to);
	}
	kfree(from);
	return error;
}

SYSCALL(rename)
{
	return move_name(AT_FDCWD, arg[0], AT_FDCWD, arg[1], 0);
}

SYSCALL(renameat)
{
	return move_name(as_fd(arg[0]), arg[1], as_fd(arg[2]), arg[3], 0);
}

SYSCALL(renameat2)
{
	return move_name(
		as_fd(arg[0]), arg[1], as_fd(arg[2]), arg[3], (unsigned)arg[4]);
}

/* --- reading links -------------------------------------------------------- */

static long read_link(int dirfd, uintptr_t addr, uintptr_t out, int size)
{
	struct place at;
	char *buf;
	ssize_t n;

	if (size <= 0)
		return -EINVAL;
	n = find_user_path(
		dirfd, addr, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &at);
	if (n)
		return n;
	buf = kmalloc(PATH_MAX);
	if (!buf)
		n = -ENOMEM;
	else if (!inode_is(at.node, S_IFLNK) || !at.node->ops->readlink)
		n = -EINVAL;
	else
		n = at.node->ops->readlink(at.node, buf, PATH_MAX);
	n = MIN(n, size);
	if (n > 0 && copy_to_user(out, buf, (size_t)n))
		n = -EFAULT;
	kfree(buf);
	place_put(&at);
	return n;
}

SYSCALL(readlink)
{
	return read_link(AT_FDCWD, arg[0], arg[1], (int)arg[2]);
}

SYSCALL(readlinkat)
{
	return read_link(as_fd(arg[0]), arg[1], arg[2], (int)arg[3]);
}

/* --- attributes ----------------------------------------------------------- */

/* What a change of attributes is about: found by path, or by descriptor if the
 * path is NULL. */
static long find_to_change(
	int dirfd, uintptr_t addr, unsigned flags, struct place *out)
{
	struct file *f;
	long error;

	if (addr) {
		error = find_user_path(dirfd, addr, flags, out);
	} else {
		f = fd_file(dirfd);
		if (!f || !f->inode) {
			file_put(f);
			return -EBADF;
		}
		*out = (struct place){f->mount, f->inode};
		place_get(out);
		file_put(f);
		error = 0;
	}
	if (!error && mount_read_only(out->mount)) {
		place_put(out);
		error = -EROFS;
	}
	return error;
}

static long set_mode(int dirfd, uintptr_t addr, uint32_t mode, unsigned flags)
{
	struct place at;
	long error;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = find_to_change(dirfd, addr, flags, &at);
	if (error)
		return error;
	if (inode_is(at.node, S_IFLNK))
		error = -ENOTSUP;
	else if (!at.node->ops->set_mode)
		error = -EPERM;
	else
		error = at.node->ops->set_mode(at.node, mode & 07777);
	place_put(&at);
	return error;
}

/* A path given as NULL is a bad address, not "the descriptor itself". */
static uintptr_t not_null(uintptr_t addr)
{
	return addr ? addr : 1;
}

SYSCALL(chmod)
{
	return set_mode(AT_FDCWD, not_null(arg[0]), (uint32_t)arg[1], 0);
}

SYSCALL(fchmod)
{
	return set_mode(as_fd(arg[0]), 0, (uint32_t)arg[1], 0);
}

SYSCALL(fchmodat)
{
	return set_mode(as_fd(arg[0]), not_null(arg[1]), (uint32_t)arg[2], 0);
}

SYSCALL(fchmodat2)
{
	return set_mode(as_fd(arg[0]), not_null(arg[1]), (uint32_t)arg[2],
		(unsigned)arg[3]);
}

/* Owners are kept and told, and mean nothing: everybody is root. */
static long set_owner(int dirfd, uintptr_t addr, unsigned long uid,
	unsigned long gid, unsigned flags)
{
	struct place at;
	long error;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = find_to_change(dirfd, addr, flags, &at);
	if (error)
		return error;
	if (at.node->ops->set_owner)
		error = at.node->ops->set_owner(
			at.node, (uint32_t)uid, (uint32_t)gid);
	place_put(&at);
	return error;
}

SYSCALL(chown)
{
	return set_owner(AT_FDCWD, not_null(arg[0]), arg[1], arg[2], 0);
}

SYSCALL(lchown)
{
	return set_owner(AT_FDCWD, not_null(arg[0]), arg[1], arg[2],
		AT_SYMLINK_NOFOLLOW);
}

SYSCALL(fchown)
{
	return set_owner(as_fd(arg[0]), 0, arg[1], arg[2], 0);
}

SYSCALL(fchownat)
{
	return set_owner(as_fd(arg[0]), not_null(arg[1]), arg[2], arg[3],
		(unsigned)arg[4]);
}

#define UTIME_NOW 0x3fffffffl
#define UTIME_OMIT 0x3ffffffel
#define KEEP UINT64_MAX

static long set_times(int dirfd, uintptr_t addr, unsigned flags, uint64_t atime,
	uint64_t mtime)
{
	struct place at;
	long error;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = find_to_change(dirfd, addr, flags, &at);
	if (error)
		return error;
	if (atime == KEEP && mtime == KEEP)
		error = 0;
	else if (!at.node->ops->set_times)
		error = -EPERM;
	else
		error = at.node->ops->set_times(at.node, atime, mtime);
	place_put(&at);
	return error;
}

/* Times before 1970 become 1970; far ones are clipped. */
static uint64_t to_ns(int64_t s, int64_t ns)
{
	if (s < 0)
		return 0;
	if (s >= INT64_MAX / (int64_t)NS_PER_S)
		return INT64_MAX;
	return (uint64_t)s * NS_PER_S + (uint64_t)ns;
}

static long one_time(const struct timespec64 *t, uint64_t *out)
{
	if (t->nanoseconds == UTIME_NOW)
		*out = time_wall_ns();
	else if (t->nanoseconds == UTIME_OMIT)
		*out = KEEP;
	else if (t->nanoseconds < 0 || t->nanoseconds >= (int64_t)NS_PER_S)
		return -EINVAL;
	else
		*out = to_ns(t->seconds, t->nanoseconds);
	return 0;
}

SYSCALL(utimensat)
{
	struct timespec64 t[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	uint64_t atime, mtime;

	if (arg[2] && copy_from_user(t, arg[2], sizeof(t)))
		return -EFAULT;
	if (one_time(&t[0], &atime) || one_time(&t[1], &mtime))
		return -EINVAL;
	if (!arg[1] && as_fd(arg[0]) == AT_FDCWD)
		return -EFAULT;
	return set_times(as_fd(arg[0]), arg[1], (unsigned)arg[3], atime, mtime);
}

static long set_timevals(int dirfd, uintptr_t addr, uintptr_t times)
{
	struct timeval64 t[2];
	uint64_t now = time_wall_ns();

	if (!times)
		return set_times(dirfd, addr, 0, now, now);
	if (copy_from_user(t, times, sizeof(t)))
		return -EFAULT;
	for (unsigned i = 0; i < 2; i++)
		if (t[i].microseconds < 0 || t[i].microseconds >= 1000000)
			return -EINVAL;
	return set_times(dirfd, addr, 0,
		to_ns(t[0].seconds, t[0].microseconds * 1000),
		to_ns(t[1].seconds, t[1].microseconds * 1000));
}

SYSCALL(utimes)
{
	return set_timevals(AT_FDCWD, not_null(arg[0]), arg[1]);
}

SYSCALL(futimesat)
{
	return set_timevals(as_fd(arg[0]), arg[1], arg[2]);
}

SYSCALL(utime)
{
	int64_t t[2];
	uint64_t now = time_wall_ns();

	if (!arg[1])
		return set_times(AT_FDCWD, not_null(arg[0]), 0, now, now);
	if (copy_from_user(t, arg[1], sizeof(t)))
		return -EFAULT;
	return set_times(
		AT_FDCWD, not_null(arg[0]), 0, to_ns(t[0], 0), to_ns(t[1], 0));
}
