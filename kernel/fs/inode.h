/* SPDX-License-Identifier: MIT */
/*
 * Inodes: what a name stands for. Three kinds live here: files and directories
 * in memory (fs/ramfs.c), pipes without a name (fs/pipe.c), and the trees of
 * kernel devices, "#iommu", "#pci" …, which answer lookups themselves (struct
 * node below).
 *
 * An inode is counted; the last inode_put() calls destroy(), which frees it.
 * Letters: [C] constant, [N] guarded by the name lock of fs/inode.c (a
 * spinlock), [A] atomic, [L] inode.lock.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "lib/types.h"
#include "fs/file.h"

#define S_IFMT 0170000
#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define S_IFDIR 0040000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define S_IFLNK 0120000
#define S_IFSOCK 0140000
#define S_ISUID 04000
#define S_ISGID 02000
#define S_IXGRP 010

/* d_type of a directory entry. */
#define DT_OF(mode) (((mode)&S_IFMT) >> 12)

/* Longest name, and size of a path with its terminator. */
#define NAME_MAX 255
#define PATH_MAX 4096

struct mount;
struct text;

struct stat_info {
	uint64_t dev, ino, nlink, size, rdev, blocks;
	uint32_t mode, uid, gid;
	uint64_t mtime_ns, atime_ns, ctime_ns;
};

/* A node as it is reached through a mount: both counted. */
struct place {
	struct mount *mount;
	struct inode *node;
};

#define RENAME_NOREPLACE 1

/* NULL operations give -EPERM, unless said. They may sleep. Names are at most
 * NAME_MAX bytes, never "", "." or "..". */
struct inode_ops {
	/* Directory: the child by name, counted in *out; -ENOENT. */
	int (*lookup)(struct inode *dir, const char *name, struct inode **out);
	/* A regular file, directory, FIFO or device node by its mode. */
	int (*create)(struct inode *dir, const char *name, uint32_t mode,
		uint64_t rdev, struct inode **out);
	int (*symlink)(struct inode *dir, const char *name, const char *target);
	int (*link)(struct inode *dir, const char *name, struct inode *node);
	int (*unlink)(struct inode *dir, const char *name, bool directory);
	int (*rename)(struct inode *from, const char *name, struct inode *to,
		const char *new_name, unsigned flags);
	/* The target of a symbolic link, at most size bytes, not terminated:
	 * its length. NULL: -EINVAL. */
	ssize_t (*readlink)(struct inode *node, char *buf, size_t size);
	/* A symbolic link that leads to a node without a path (/proc/N/fd/N):
	 * counted in *out. NULL or -ENOTSUP: the target text is followed. */
	int (*follow)(struct inode *node, struct place *out);
	/* A directory's own name in its parent: -ENOENT once removed. */
	int (*name)(struct inode *dir, char *buf, size_t size);
	/* NULL: nothing to do. */
	int (*truncate)(struct inode *node, uint64_t size);
	/* Fills in what differs from inode_stat()'s defaults. May be NULL. */
	int (*stat)(struct inode *node, struct stat_info *out);
	int (*set_mode)(struct inode *node, uint32_t mode);
	/* UINT32_MAX leaves an owner as it is. */
	int (*set_owner)(struct inode *node, uint32_t uid, uint32_t gid);
	/* UINT64_MAX leaves a time as it is. */
	int (*set_times)(struct inode *node, uint64_t atime, uint64_t mtime);
	/* Make f ready (f->ops, f->data, f->seekable). NULL: f->ops is
	 * node->fops. */
	int (*open)(struct inode *node, struct file *f);
	void (*destroy)(struct inode *node); /* last count gone */
};

struct inode {
	uint32_t refs;               /* [A] */
	uint32_t mode;               /* S_IF* [C] and permission bits [A] */
	uint64_t ino;                /* [C] */
	uint64_t dev;                /* [C] which file system: st_dev */
	uint64_t rdev;               /* [C] */
	const struct inode_ops *ops; /* [C] */
	const struct file_ops *fops; /* [C] */
	struct inode *parent; /* [N] of a directory; counted; NULL: a root */
	void *data;           /* [C] */
	struct mutex lock;    /* contents, as the kind of inode says */
	uint32_t mounts;      /* [A] how many mounts sit on it */
	uint32_t programs;    /* [A] processes that run it: not to be written */
};

/* All members but what is given here are zero; the count is 1. */
void inode_init(struct inode *n, uint32_t mode, const struct inode_ops *ops);
void inode_get(struct inode *n);
void inode_put(struct inode *n); /* NULL is allowed */

/* The count of an inode found in a table, unless it was zero already. */
bool inode_get_live(struct inode *n);

/* The parent directory, counted; NULL for a root. */
struct inode *inode_parent(struct inode *n);
void inode_set_parent(struct inode *n, struct inode *parent);

int inode_stat(struct inode *n, struct stat_info *out);

static inline bool inode_is(const struct inode *n, uint32_t type)
{
	return (n->mode & S_IFMT) == type;
}

/* A number for st_dev that no other file system has. */
uint64_t inode_new_dev(void);

/* Add one entry in the getdents64 layout: 1 if it fitted, 0 if it did not,
 * -EFAULT. */
int dirent_put(struct uio *u, uint64_t ino, uint64_t next, uint8_t type,
	const char *name);

/* "." and ".." at the positions 0 and 1; the others start at 2. As dirent_put()
 * but 1 also if *pos was beyond them. */
int dirent_put_dots(struct uio *u, struct inode *dir, uint64_t *pos);

/*
 * Device trees. A device registers a root under its name; "#name" anywhere as
 * the first element of a path, and mount(2) with that source or type, reach it.
 * Nodes are made on lookup from entries that the device describes. Operations
 * run without locks and may sleep.
 */
struct node; /* one file or directory of a device tree */

struct node_ops {
	/* Directories: describe child number n (0, 1, …); false: no more. Or
	 * find it by name (NULL: child() is asked for all). *out is zeroed
	 * before. Children of dynamic directories come and go; a file that is
	 * open keeps working or fails with -ENODEV as its operations decide. */
	bool (*child)(struct node *dir, unsigned n, struct node *out);
	bool (*find)(struct node *dir, const char *name, struct node *out);
	/* Instead of child(), for directories whose children come and go while
	 * they are listed: the first child at a position >= *pos, which is set
	 * to where it was found. */
	bool (*next)(struct node *dir, uint64_t *pos, struct node *out);
	/* Files whose whole text is made at the first read, and again when it
	 * is read from the start a second time: appended to t; 0 or -errno. */
	int (*text)(struct node *file, struct text *t);
	/* Files that take commands: the bytes of one write(2), terminated,
	 * at most 4095; the result of the write: 0 for all, or -errno. */
	int (*command)(struct node *file, const char *line, size_t n);
	/* Files with operations of their own; f->data is theirs. */
	const struct file_ops *fops;
	int (*open)(struct node *file, struct file *f);
	/* Symbolic links whose target is longer than node.link or differs from
	 * reader to reader; and those that lead to a node without a path. */
	ssize_t (*readlink)(struct node *link, char *buf, size_t size);
	int (*follow)(struct node *link, struct place *out);
};

struct node {
	char name[64];
	uint32_t mode; /* S_IFDIR|0555, S_IFREG|0444, S_IFCHR|0666 … */
	uint64_t size; /* as stat shows it */
	uint64_t rdev;
	const struct node_ops *ops;
	uintptr_t a, b; /* the device's own */
	char link[64];  /* S_IFLNK: its target */
};

/* At boot. `name` without the '#', at most 15 bytes. */
int tree_register(const char *name, const struct node *root);

/* The root of a registered tree by the n bytes of its name, counted; its mount
 * is the hidden one that "#name" leads to. -ENOENT. */
int tree_root(const char *name, size_t n, struct place *out);

/* The node that an open file of a tree was opened on. */
struct node *file_node(struct file *f);

/* What a device number (mknod) stands for: opens it in f. -ENXIO. */
int tree_open_device(uint64_t rdev, struct file *f);

/* Where nodes of one kind are numbered by device number: "#cons". */
static inline uint64_t make_rdev(unsigned major, unsigned minor)
{
	return (uint64_t)(major & 0xfff) << 8 | (minor & 0xff) |
		(uint64_t)(minor & ~0xffu) << 12;
}

#endif
