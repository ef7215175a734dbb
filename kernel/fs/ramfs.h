/* SPDX-License-Identifier: MIT */
/* Inside fs/: files and directories in memory. ramfs.c has the names,
 * ramfile.c the contents. */
#ifndef FS_RAMFS_H
#define FS_RAMFS_H

#include "fs/fs.h"

struct ramfs;
struct ramfs_entry;

/* Letters: [C] constant, [D] ramfs.lock, [L] inode.lock, [A] atomic. */
struct ramnode {
	struct inode inode;
	struct ramfs *fs;             /* [C] */
	uint32_t nlink;               /* [D] */
	uint64_t mtime, atime, ctime; /* [A] ns since 1970 */
	uint32_t uid, gid;            /* [A] */
	union {
		struct {
			struct list entries;  /* [D] by rising cookie */
			uint64_t next_cookie; /* [D] */
			uint32_t subdirs;     /* [D] */
			/* Its name in its parent. NULL: a root, or removed. */
			struct ramfs_entry *self; /* [D] */
			bool removed;             /* [D] takes no more names */
		} dir;
		struct {
			struct mutex writer; /* one write at a time; held over
					      * access to user memory */
			uint64_t size;       /* [L] */
			/* A radix tree of struct page by index: `height` levels
			 * of tables; 0: root is the page of index 0. */
			void *root;      /* [L] */
			unsigned height; /* [L] */
			uint64_t npages; /* [L] */
			/* Bytes that were never written may lie in the boot
			 * archive, which stays in place. */
			const uint8_t *backing; /* [L] */
			uint64_t backing_size;  /* [L] */
		} file;
		struct {
			char *target; /* [C] */
			size_t len;   /* [C] */
		} link;
	};
};

static inline struct ramnode *ramnode_of(struct inode *n)
{
	return container_of(n, struct ramnode, inode);
}

/* Memory is so short that files must not grow. */
bool ramfs_full(void);

void ramnode_touch(struct ramnode *n); /* now: mtime and ctime */
int ramnode_stat(struct inode *node, struct stat_info *out);
int ramnode_set_mode(struct inode *node, uint32_t mode);
int ramnode_set_owner(struct inode *node, uint32_t uid, uint32_t gid);
int ramnode_set_times(struct inode *node, uint64_t atime, uint64_t mtime);

/* ramfile.c */
extern const struct inode_ops ramfile_inode_ops;
extern const struct file_ops ramfile_ops;
void ramfile_init(struct ramnode *n);
void ramfile_stat(struct ramnode *n, struct stat_info *out);

#endif
