/* SPDX-License-Identifier: MIT */
/* Calls that tell what a file is: stat and its relatives, access, statfs. */
#include "linux/calls.h"
#include "linux/file.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/user.h"

#define BLOCK_SIZE 4096

struct linux_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev, size, blksize, blocks;
	uint64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	uint64_t unused[3];
};

static long put_stat(const struct stat_info *st, uintptr_t out)
{
	struct linux_stat s = {
		.dev = st->dev,
		.ino = st->ino,
		.nlink = st->nlink,
		.mode = st->mode,
		.uid = st->uid,
		.gid = st->gid,
		.rdev = st->rdev,
		.size = st->size,
		.blksize = BLOCK_SIZE,
		.blocks = st->blocks,
		.atime = st->atime_ns / NS_PER_S,
		.atime_ns = st->atime_ns % NS_PER_S,
		.mtime = st->mtime_ns / NS_PER_S,
		.mtime_ns = st->mtime_ns % NS_PER_S,
		.ctime = st->ctime_ns / NS_PER_S,
		.ctime_ns = st->ctime_ns % NS_PER_S,
	};

	return copy_to_user(out, &s, sizeof(s));
}

static int stat_path(
	int dirfd, uintptr_t addr, unsigned flags, struct stat_info *st)
{
	struct place at;
	int error = find_user_path(dirfd, addr, flags, &at);

	if (error)
		return error;
	error = inode_stat(at.node, st);
	place_put(&at);
	return error;
}

static int stat_fd(int fd, struct stat_info *st)
{
	struct file *f = fd_file(fd);
	int error = -EBADF;

	if (f && f->inode)
		error = inode_stat(f->inode, st);
	file_put(f);
	return error;
}

static long stat_to_user(
	int dirfd, uintptr_t addr, unsigned flags, uintptr_t out)
{
	struct stat_info st;
	int error = stat_path(dirfd, addr, flags, &st);

	return error ? error : put_stat(&st, out);
}

SYSCALL(stat)
{
	return stat_to_user(AT_FDCWD, arg[0], 0, arg[1]);
}

SYSCALL(lstat)
{
	return stat_to_user(AT_FDCWD, arg[0], AT_SYMLINK_NOFOLLOW, arg[1]);
}

SYSCALL(fstat)
{
	struct stat_info st;
	int error = stat_fd(as_fd(arg[0]), &st);

	return error ? error : put_stat(&st, arg[1]);
}

#define AT_NO_AUTOMOUNT 0x800
#define AT_STATX_SYNC_TYPE 0x6000

SYSCALL(newfstatat)
{
	if (arg[3] &
		~(unsigned long)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH |
			AT_NO_AUTOMOUNT))
		return -EINVAL;
	return stat_to_user(as_fd(arg[0]), arg[1], (unsigned)arg[3], arg[2]);
}

struct statx_time {
	int64_t seconds;
	uint32_t nanoseconds, pad;
};

struct linux_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad;
	uint64_t ino, size, blocks, attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare[14];
};

#define STATX_BASIC_STATS 0x7ff

static struct statx_time statx_time(uint64_t ns)
{
	return (struct statx_time){
		(int64_t)(ns / NS_PER_S), (uint32_t)(ns % NS_PER_S), 0};
}

static uint32_t major_of(uint64_t dev)
{
	return dev >> 8 & 0xfff;
}

static uint32_t minor_of(uint64_t dev)
{
	return (dev & 0xff) | (dev >> 12 & ~0xffu);
}

SYSCALL(statx)
{
	struct stat_info st;
	struct linux_statx s;
	int error;

	if (arg[2] &
		~(unsigned long)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH |
			AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	error = stat_path(as_fd(arg[0]), arg[1], (unsigned)arg[2], &st);
	if (error)
		return error;
	s = (struct linux_statx){
		.mask = STATX_BASIC_STATS,
		.blksize = BLOCK_SIZE,
		.nlink = (uint32_t)st.nlink,
		.uid = st.uid,
		.gid = st.gid,
		.mode = (uint16_t)st.mode,
		.ino = st.ino,
		.size = st.size,
		.blocks = st.blocks,
		.atime = statx_time(st.atime_ns),
		.ctime = statx_time(st.ctime_ns),
		.mtime = statx_time(st.mtime_ns),
		.rdev_major = major_of(st.rdev),
		.rdev_minor = minor_of(st.rdev),
		.dev_major = major_of(st.dev),
		.dev_minor = minor_of(st.dev),
	};
	return copy_to_user(arg[4], &s, sizeof(s));
}

/* --- access --------------------------------------------------------------- */

#define X_OK 1
#define W_OK 2
#define R_OK 4

/* Root may do everything, but run only what somebody may run. */
static long check_access(
	int dirfd, uintptr_t addr, unsigned long mode, unsigned flags)
{
	struct place at;
	long error;

	if (mode & ~(unsigned long)(X_OK | W_OK | R_OK) ||
		flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = find_user_path(dirfd, addr, flags & ~AT_EACCESS, &at);
	if (error)
		return error;
	if (mode & X_OK && !inode_is(at.node, S_IFDIR) &&
		!(at.node->mode & 0111))
		error = -EACCES;
	else if (mode & W_OK && mount_read_only(at.mount))
		error = -EROFS;
	place_put(&at);
	return error;
}

SYSCALL(access)
{
	return check_access(AT_FDCWD, arg[0], arg[1], 0);
}

SYSCALL(faccessat)
{
	return check_access(as_fd(arg[0]), arg[1], arg[2], 0);
}

SYSCALL(faccessat2)
{
	return check_access(as_fd(arg[0]), arg[1], arg[2], (unsigned)arg[3]);
}

/* --- statfs --------------------------------------------------------------- */

struct linux_statfs {
	uint64_t type, bsize, blocks, bfree, bavail, files, ffree, fsid;
	uint64_t namelen, frsize, flags, spare[4];
};

#define TMPFS_MAGIC 0x01021994
#define PROC_SUPER_MAGIC 0x9fa0

static long put_statfs(const struct place *at, uintptr_t out)
{
	struct linux_statfs s = {
		.type = PROC_SUPER_MAGIC,
		.bsize = BLOCK_SIZE,
		.frsize = BLOCK_SIZE,
		.fsid = at->node->dev,
		.namelen = NAME_MAX,
		.flags = mount_read_only(at->mount),
	};
	uint64_t used, available;

	/* What can be written to is in memory. */
	if (at->node->ops->truncate ||
		(inode_is(at->node, S_IFDIR) && at->node->ops->create)) {
		ramfs_usage(&used, &available);
		s.type = TMPFS_MAGIC;
		s.blocks = used + available;
		s.bfree = s.bavail = available;
		s.files = used + available;
		s.ffree = available;
	}
	return copy_to_user(out, &s, sizeof(s));
}

SYSCALL(statfs)
{
	struct place at;
	long error = find_user_path(AT_FDCWD, arg[0], 0, &at);

	if (error)
		return error;
	error = put_statfs(&at, arg[1]);
	place_put(&at);
	return error;
}

SYSCALL(fstatfs)
{
	struct file *f = fd_file(as_fd(arg[0]));
	struct place at;
	long error = -EBADF;

	if (f && f->inode) {
		at = (struct place){f->mount, f->inode};
		error = put_statfs(&at, arg[1]);
	}
	file_put(f);
	return error;
}
