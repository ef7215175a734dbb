/* SPDX-License-Identifier: MIT */
/*
 * Open files. A file is counted by descriptors, mappings and calls in progress;
 * the last file_put() calls release(). Operations that are NULL give the error
 * named below. They may sleep.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "lib/types.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/uio.h"

struct file;
struct inode;
struct place;
struct page;
struct poller;
struct mount;

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_ACCMODE 3
#define O_CREAT 0100
#define O_EXCL 0200
#define O_NOCTTY 0400
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_LARGEFILE 0100000
#define O_DIRECTORY 0200000
#define O_NOFOLLOW 0400000
#define O_CLOEXEC 02000000
#define O_PATH 010000000

#define POLLIN 1
#define POLLPRI 2
#define POLLOUT 4
#define POLLERR 8
#define POLLHUP 16
#define POLLNVAL 32
#define POLLRDNORM 64
#define POLLWRNORM 256
#define POLLRDHUP 0x2000

/* Registers of a device to be mapped by a process. */
struct device_range {
	uint64_t base; /* physical, page aligned */
	uint64_t size;
	bool writable;
	bool write_combining; /* else uncached */
	/* Physical bytes of it that are never writable; start == end: none. */
	uint64_t readonly_start, readonly_end;
};

struct file_ops {
	/* Bytes moved, 0 at the end of file, or -errno. *pos is the position,
	 * to be advanced (of seekable files); the file's mutex is not held.
	 * NULL: -EINVAL. */
	ssize_t (*read)(struct file *f, struct uio *u, uint64_t *pos);
	ssize_t (*write)(struct file *f, struct uio *u, uint64_t *pos);
	/* POLL* bits that hold now; registers with p unless NULL. NULL: always
	 * readable and writable. */
	unsigned (*poll)(struct file *f, struct poller *p);
	/* NULL: -ENOTTY. */
	int64_t (*ioctl)(struct file *f, uint32_t request, uintptr_t arg);
	/* The page of a file that can be mapped, counted for the caller; a
	 * device that writes it writes the file. -ENXIO beyond the end. NULL:
	 * the file cannot be mapped (-ENODEV). */
	int (*get_page)(struct file *f, uint64_t index, struct page **out);
	/* Device registers instead of pages. The range must stay valid until
	 * unmapped; space_revoke_device() (mem/space.h) takes it away. */
	int (*get_device)(struct file *f, uint64_t offset, uint64_t length,
		struct device_range *out);
	/* Directory entries from *pos into the getdents64 layout; see
	 * fs/inode.h for the helper. NULL: -ENOTDIR. */
	ssize_t (*readdir)(struct file *f, struct uio *u, uint64_t *pos);
	void (*release)(struct file *f);
};

struct file {
	uint32_t refs;
	uint32_t flags; /* O_*; NONBLOCK and APPEND may change */
	const struct file_ops *ops;
	struct inode *inode; /* counted; may be NULL only before it is opened */
	struct mount *mount; /* counted, through which it was opened */
	struct mutex lock;   /* guards pos across read and write */
	uint64_t pos;
	bool seekable;
	void *data;          /* the operations' own */
	char *path;          /* as opened, absolute; heap; may be NULL */
	struct list watches; /* epoll's; zero: none ever */
};

void file_get(struct file *f);
void file_put(struct file *f);

/* A file without operations, for those who open; count 1. NULL: no memory. */
struct file *file_create(const struct place *at, uint32_t flags);

/* The calls of the same names, for any uio. They check the access mode. With
 * pos NULL the file's own position is used and advanced. */
ssize_t file_read(struct file *f, struct uio *u, uint64_t *pos);
ssize_t file_write(struct file *f, struct uio *u, uint64_t *pos);
unsigned file_poll(struct file *f, struct poller *p);
int64_t file_seek(struct file *f, int64_t offset, int whence);

/* Read at a position into kernel memory; for loaders. */
ssize_t file_read_kernel(struct file *f, void *buf, size_t n, uint64_t pos);

/* Descriptor tables, counted; shared by CLONE_FILES. */
struct fdtable;
struct fdtable *fdtable_create(void);
struct fdtable *fdtable_copy(struct fdtable *t); /* fork */
void fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t); /* the last closes all */
void fdtable_close_on_exec(struct fdtable *t);
struct file *fd_file(int fd); /* of the current process; counted; NULL: EBADF */
int fd_limit(void); /* descriptors of the current process are below it */
/* The lowest free descriptor from `lowest`; takes the count, also on failure.
 * -EMFILE, -ENOMEM. */
int fd_install(struct file *f, int lowest, bool cloexec);
int fd_replace(
	struct file *f, int fd, bool cloexec); /* dup2; takes the count */
int fd_close(int fd);
int fd_get_cloexec(int fd);
int fd_set_cloexec(int fd, bool on);
#define FD_LIMIT 1024

unsigned fdtable_count(struct fdtable *t);
int fdtable_next(struct fdtable *t, int fd); /* first open from fd; -1 */
struct file *fdtable_file(struct fdtable *t, int fd); /* counted; NULL */

#endif
