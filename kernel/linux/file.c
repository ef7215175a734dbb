/* SPDX-License-Identifier: MIT */
/* Calls that open, read, write and size files. Those on descriptors as such are
 * in descriptors.c, those on names in names.c, those that wait in poll.c. */
#include "linux/calls.h"
#include "linux/copy.h"
#include "linux/file.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/process.h"
#include "proc/signal.h"

#define MAX_IOVECS 1024u
/* Up to this, the pieces of a writev() go to the file in one write: commands to
 * devices and short messages into pipes must not be torn. */
#define GATHER_MAX 8192u

int find_user_path(int dirfd, uintptr_t addr, unsigned flags, struct place *out)
{
	char *path;
	long error = copy_path(addr, &path);

	if (error)
		return (int)error;
	error = path_find(dirfd, path, flags, out);
	kfree(path);
	return (int)error;
}

/* --- open and close ------------------------------------------------------- */

static long do_open(int dirfd, uintptr_t addr, int flags, uint32_t mode)
{
	struct file *f;
	char *path;
	long error = copy_path(addr, &path);

	if (error)
		return error;
	error = fs_open(dirfd, path, flags, mode, &f);
	kfree(path);
	if (error)
		return error;
	return fd_install(f, 0, flags & O_CLOEXEC);
}

SYSCALL(open)
{
	return do_open(AT_FDCWD, arg[0], (int)arg[1], (uint32_t)arg[2]);
}

SYSCALL(openat)
{
	return do_open(as_fd(arg[0]), arg[1], (int)arg[2], (uint32_t)arg[3]);
}

SYSCALL(creat)
{
	return do_open(AT_FDCWD, arg[0], O_CREAT | O_WRONLY | O_TRUNC,
		(uint32_t)arg[1]);
}

SYSCALL(close)
{
	return fd_close(as_fd(arg[0]));
}

SYSCALL(close_range)
{
	unsigned first = (unsigned)arg[0], last = (unsigned)arg[1];

	if (first > last || arg[2] & ~4ul)
		return -EINVAL;
	for (unsigned fd = first; fd <= last && fd < FD_LIMIT; fd++) {
		if (arg[2] & 4) /* CLOSE_RANGE_CLOEXEC */
			fd_set_cloexec((int)fd, true);
		else
			fd_close((int)fd);
	}
	return 0;
}

static long make_pipe(uintptr_t addr, unsigned flags)
{
	struct file *reader, *writer;
	int fds[2], error;

	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	error = pipe_create(&reader, &writer, (int)flags);
	if (error)
		return error;
	fds[0] = fd_install(reader, 0, flags & O_CLOEXEC);
	if (fds[0] < 0) {
		file_put(writer);
		return fds[0];
	}
	fds[1] = fd_install(writer, 0, flags & O_CLOEXEC);
	error = fds[1] < 0 ? fds[1] : copy_to_user(addr, fds, sizeof(fds));
	if (error) {
		fd_close(fds[0]);
		if (fds[1] >= 0)
			fd_close(fds[1]);
	}
	return error;
}

SYSCALL(pipe)
{
	return make_pipe(arg[0], 0);
}

SYSCALL(pipe2)
{
	return make_pipe(arg[0], (unsigned)arg[1]);
}

/* --- reading and writing -------------------------------------------------- */

typedef ssize_t (*transfer_fn)(struct file *, struct uio *, uint64_t *);

/* A write that fails with EPIPE has raised its signal where it was found out.
 */
static long transfer(const unsigned long *arg, transfer_fn move, bool at)
{
	struct file *f = fd_file(as_fd(arg[0]));
	struct uio u = uio_user(arg[1], arg[2]);
	uint64_t pos = arg[3];
	ssize_t n;

	if (!f)
		return -EBADF;
	if ((ssize_t)arg[2] < 0 || (at && (int64_t)pos < 0))
		n = -EINVAL;
	else
		n = move(f, &u, at ? &pos : NULL);
	file_put(f);
	return n;
}

SYSCALL(read)
{
	return transfer(arg, file_read, false);
}

SYSCALL(write)
{
	return transfer(arg, file_write, false);
}

SYSCALL(pread64)
{
	return transfer(arg, file_read, true);
}

SYSCALL(pwrite64)
{
	return transfer(arg, file_write, true);
}

struct iovec {
	uint64_t base, len;
};

/* The vector on the heap, checked; *out_total is the sum of its lengths. */
static int get_iovecs(
	uintptr_t addr, size_t count, struct iovec **out, size_t *out_total)
{
	struct iovec *v;
	uint64_t total = 0;
	int error;

	if (count > MAX_IOVECS)
		return -EINVAL;
	v = kmalloc(count * sizeof(*v) + 1);
	if (!v)
		return -ENOMEM;
	error = copy_from_user(v, addr, count * sizeof(*v));
	for (size_t i = 0; !error && i < count; i++)
		if (v[i].len > INT64_MAX - total)
			error = -EINVAL;
		else
			total += v[i].len;
	if (error) {
		kfree(v);
		return error;
	}
	*out = v;
	*out_total = total;
	return 0;
}

/* One transfer an element; the first short one is the last. */
static ssize_t move_each(struct file *f, const struct iovec *v, size_t count,
	uint64_t *pos, transfer_fn move)
{
	ssize_t total = 0;

	for (size_t i = 0; i < count; i++) {
		struct uio u = uio_user(v[i].base, v[i].len);
		ssize_t n;

		if (!v[i].len)
			continue;
		n = move(f, &u, pos);
		if (n < 0)
			return total ? total : n;
		total += n;
		if ((uint64_t)n < v[i].len)
			break;
	}
	return total;
}

static ssize_t write_gathered(struct file *f, const struct iovec *v,
	size_t count, size_t total, uint64_t *pos)
{
	char *buf = kmalloc(total);
	struct uio u = uio_kernel(buf, total);
	size_t at = 0;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (copy_from_user(buf + at, v[i].base, v[i].len)) {
			kfree(buf);
			return -EFAULT;
		}
		at += v[i].len;
	}
	n = file_write(f, &u, pos);
	kfree(buf);
	return n;
}

static long transfer_vector(const unsigned long *arg, transfer_fn move, bool at)
{
	struct file *f = fd_file(as_fd(arg[0]));
	uint64_t position = arg[3], *pos = at ? &position : NULL;
	struct iovec *v;
	size_t total;
	ssize_t n;

	if (!f)
		return -EBADF;
	n = get_iovecs(arg[1], arg[2], &v, &total);
	if (n)
		goto out;
	if (at && (int64_t)position < 0)
		n = -EINVAL;
	else if (move == file_write && total && total <= GATHER_MAX)
		n = write_gathered(f, v, arg[2], total, pos);
	else
		n = move_each(f, v, arg[2], pos, move);
	kfree(v);
out:
	file_put(f);
	return n;
}

SYSCALL(readv)
{
	return transfer_vector(arg, file_read, false);
}

SYSCALL(writev)
{
	return transfer_vector(arg, file_write, false);
}

SYSCALL(preadv)
{
	return transfer_vector(arg, file_read, true);
}

SYSCALL(pwritev)
{
	return transfer_vector(arg, file_write, true);
}

/* Up to n bytes from one file to another, through a page. */
static ssize_t copy_between(
	struct file *in, struct file *out, uint64_t *pos, size_t n)
{
	char *buf = kmalloc(PAGE_SIZE);
	ssize_t total = 0, moved = 0;

	if (!buf)
		return -ENOMEM;
	while (n && !(total && signal_waiting())) {
		struct uio u = uio_kernel(buf, MIN(n, PAGE_SIZE));
		ssize_t got;

		moved = got = file_read(in, &u, pos);
		if (got <= 0)
			break;
		u = uio_kernel(buf, (size_t)got);
		moved = file_write(out, &u, NULL);
		if (moved > 0) {
			total += moved;
			n -= (size_t)moved;
		}
		if (moved < got) {
			/* What was read but not written is read again. */
			if (pos)
				*pos -= (uint64_t)(got - MAX(moved, 0));
			else
				file_seek(in, MAX(moved, 0) - got, 1);
			break;
		}
	}
	kfree(buf);
	return total ? total : moved;
}

SYSCALL(sendfile)
{
	struct file *out = fd_file(as_fd(arg[0]));
	struct file *in = fd_file(as_fd(arg[1]));
	uint64_t pos = 0;
	ssize_t n = 0;

	if (!out || !in)
		n = -EBADF;
	else if (!in->seekable || !in->ops->read)
		n = -EINVAL; /* the caller reads and writes instead */
	else if (arg[2])
		n = copy_from_user(&pos, arg[2], sizeof(pos));
	if (!n && (int64_t)pos < 0)
		n = -EINVAL;
	if (!n)
		n = copy_between(in, out, arg[2] ? &pos : NULL,
			MIN(arg[3], 0x7ffff000ul));
	if (n > 0 && arg[2] && copy_to_user(arg[2], &pos, sizeof(pos)))
		n = -EFAULT;
	file_put(in);
	file_put(out);
	return n;
}

SYSCALL(lseek)
{
	struct file *f = fd_file(as_fd(arg[0]));
	long n;

	if (!f)
		return -EBADF;
	n = file_seek(f, (int64_t)arg[1], (int)arg[2]);
	file_put(f);
	return n;
}

SYSCALL(getdents64)
{
	struct file *f = fd_file(as_fd(arg[0]));
	struct uio u = uio_user(arg[1], (unsigned)arg[2]);
	ssize_t n;

	if (!f)
		return -EBADF;
	if (!f->ops->readdir) {
		n = f->flags & O_PATH ? -EBADF : -ENOTDIR;
	} else {
		mutex_lock(&f->lock);
		n = f->ops->readdir(f, &u, &f->pos);
		mutex_unlock(&f->lock);
	}
	file_put(f);
	return n;
}

static long set_size(struct inode *node, uint64_t size)
{
	if (inode_is(node, S_IFDIR))
		return -EISDIR;
	if (!inode_is(node, S_IFREG) || !node->ops->truncate)
		return -EINVAL;
	return node->ops->truncate(node, size);
}

SYSCALL(truncate)
{
	struct place at;
	long error;

	if ((int64_t)arg[1] < 0)
		return -EINVAL;
	error = find_user_path(AT_FDCWD, arg[0], 0, &at);
	if (error)
		return error;
	if (mount_read_only(at.mount))
		error = -EROFS;
	else if (__atomic_load_n(&at.node->programs, __ATOMIC_RELAXED))
		error = -ETXTBSY;
	else
		error = set_size(at.node, arg[1]);
	place_put(&at);
	return error;
}

SYSCALL(ftruncate)
{
	struct file *f = fd_file(as_fd(arg[0]));
	long error;

	if (!f)
		return -EBADF;
	if ((int64_t)arg[1] < 0 || (f->flags & O_ACCMODE) == O_RDONLY)
		error = -EINVAL;
	else if (!f->inode)
		error = -EINVAL;
	else
		error = set_size(f->inode, arg[1]);
	file_put(f);
	return error;
}

/* Only what ftruncate() could do as well: make the file longer. */
SYSCALL(fallocate)
{
	struct file *f = fd_file(as_fd(arg[0]));
	int64_t offset = (int64_t)arg[2], len = (int64_t)arg[3], end;
	struct stat_info st;
	long error;

	if (!f)
		return -EBADF;
	if ((f->flags & O_ACCMODE) == O_RDONLY || f->flags & O_PATH)
		error = -EBADF;
	else if (arg[1] & ~1ul)
		error = -ENOTSUP;
	else if (offset < 0 || len <= 0)
		error = -EINVAL;
	else if (__builtin_add_overflow(offset, len, &end))
		error = -EFBIG;
	else
		error = f->inode ? inode_stat(f->inode, &st) : -ENODEV;
	if (!error && !(arg[1] & 1) && (uint64_t)end > st.size)
		error = set_size(f->inode, (uint64_t)end);
	file_put(f);
	return error;
}
