/* SPDX-License-Identifier: MIT */
/*
 * Inodes: what a name stands for. Two kinds live here: files and directories in
 * memory (fs/ramfs.c), and the trees of kernel devices, "#iommu", "#pci" …,
 * which answer lookups themselves (struct tree below).
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

struct stat_info {
	uint64_t dev, ino, nlink, size, rdev;
	uint32_t mode;
	uint64_t mtime_ns, atime_ns, ctime_ns;
};

struct inode_ops {
	/* Directory: the child by name, counted in *out; -ENOENT. */
	int (*lookup)(
		struct inode *dir, const char *name, struct inode **out);
	int (*create)(struct inode *dir, const char *name, uint32_t mode,
		uint64_t rdev, struct inode **out);
	int (*symlink)(
		struct inode *dir, const char *name, const char *target);
	int (*link)(struct inode *dir, const char *name, struct inode *node);
	int (*unlink)(struct inode *dir, const char *name, bool directory);
	int (*rename)(struct inode *from, const char *name, struct inode *to,
		const char *new_name);
	ssize_t (*readlink)(struct inode *node, char *buf, size_t size);
	int (*truncate)(struct inode *node, uint64_t size);
	int (*stat)(struct inode *node, struct stat_info *out);
	int (*set_mode)(struct inode *node, uint32_t mode);
	/* Make f ready (f->ops, f->data, f->seekable). NULL: f->ops is
	 * node->fops. */
	int (*open)(struct inode *node, struct file *f);
	void (*destroy)(struct inode *node); /* last count gone */
};

struct inode {
	uint32_t refs;
	uint32_t mode; /* S_IF* and permission bits */
	uint64_t ino;
	uint64_t rdev;
	const struct inode_ops *ops;
	const struct file_ops *fops;
	struct inode *parent; /* directories; not counted */
	void *data;
	struct mutex lock;
	/* A directory that something is mounted on leads there. */
	struct mount *covered_by;
};

void inode_get(struct inode *n);
void inode_put(struct inode *n);

/* Add one entry in the getdents64 layout: true if it fitted. */
bool dirent_put(
	struct uio *u, uint64_t ino, uint64_t next, uint8_t type, const char *name);

/*
 * Device trees. A device registers a root under its name; "#name" anywhere as
 * the first element of a path, and mount(2) with that source or type, reach it.
 * Nodes are made on lookup from entries that the device describes:
 */
struct node; /* one file or directory of a device tree */

struct node_ops {
	/* Directories: describe child number n (0, 1, …); false: no more. Or
	 * find it by name. Children of dynamic directories come and go; a file
	 * that is open keeps working or fails with -ENODEV as its operations
	 * decide. */
	bool (*child)(struct node *dir, unsigned n, struct node *out);
	bool (*find)(struct node *dir, const char *name, struct node *out);
	/* Files whose whole text is made at open: appended to t; 0 or -errno.
	 */
	int (*text)(struct node *file, struct text *t);
	/* Files that take commands: the bytes of one write(2), terminated,
	 * at most 4095; the result of the write: 0 for all, or -errno. */
	int (*command)(struct node *file, const char *line, size_t n);
	/* Files with operations of their own; f->data is theirs. */
	const struct file_ops *fops;
	int (*open)(struct node *file, struct file *f);
};

struct node {
	char name[64];
	uint32_t mode;    /* S_IFDIR|0555, S_IFREG|0444, S_IFCHR|0666 … */
	uint64_t size;    /* as stat shows it */
	uint64_t rdev;
	const struct node_ops *ops;
	uintptr_t a, b;   /* the device's own */
	char link[64];    /* S_IFLNK: its target */
};

/* At boot. `name` without the '#'. */
int tree_register(const char *name, const struct node *root);

/* The node that an open file of a tree was opened on. */
struct node *file_node(struct file *f);

#endif
