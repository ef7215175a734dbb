/* SPDX-License-Identifier: MIT */
/*
 * The name space: paths, mounts, a process's working directory. All functions
 * take kernel strings and return 0 or -errno unless said; paths are relative to
 * the current process's directories (kernel threads: the root).
 *
 * Lock order within fs/: mount list (spinlock) and name lock (spinlock) are
 * leaves. A ramfs's directory mutex is taken before the mutex of one of its
 * files. User memory is touched with no mutex held but file.lock (the position)
 * and a pipe's reader or writer mutex; none of these is ever wanted by somebody
 * who holds an address space.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "lib/types.h"
#include "fs/file.h"
#include "fs/inode.h"

/* Root file system in memory, filled from the cpio archive (newc; NULL: empty).
 * Hostile archives are unpacked as far as they are sound. The archive's memory
 * stays in place: file contents may point into it. */
void fs_init(const void *archive, size_t size);

/* Working directory, root and umask, counted; shared by CLONE_FS. */
struct fs_context;
struct fs_context *fs_context_create(void); /* cwd "/" */
struct fs_context *fs_context_copy(struct fs_context *c);
void fs_context_get(struct fs_context *c);
void fs_context_put(struct fs_context *c);
uint32_t fs_umask(void);              /* of the current process */
uint32_t fs_set_umask(uint32_t mask); /* the old one */
int fs_chdir(const struct place *to); /* a directory; counts it itself */
int fs_chroot(const struct place *to);
/* Directories of a process for /proc, counted; -ESRCH when it has none. */
struct process;
int fs_process_cwd(struct process *p, struct place *out);
int fs_process_root(struct process *p, struct place *out);

#define AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_EACCESS 0x200
#define AT_REMOVEDIR 0x200
#define AT_SYMLINK_FOLLOW 0x400
#define AT_EMPTY_PATH 0x1000

/* Open relative to the current process's directory (or dirfd). The file comes
 * counted in *out. */
int fs_open(int dirfd, const char *path, int flags, uint32_t mode,
	struct file **out);

/* For the kernel itself, from the root. */
int fs_open_kernel(const char *path, int flags, struct file **out);

/* Open a place directly: /proc/N/fd/N, pipes. */
int fs_open_place(const struct place *at, int flags, struct file **out);

void place_get(const struct place *p);
void place_put(struct place *p); /* leaves it empty; empty is allowed */

/* Resolve a path to what is there. `flags`: AT_SYMLINK_NOFOLLOW for the last
 * element, AT_EMPTY_PATH to let "" mean dirfd itself. */
int path_find(int dirfd, const char *path, unsigned flags, struct place *out);

/* As path_find(); *out_path (unless NULL) is the absolute path of what was
 * found, on the heap, or NULL. */
int path_resolve(int dirfd, const char *path, unsigned flags, struct place *out,
	char **out_path);

/* The same; also where it was found and under which name, if it is no directory
 * (else *out_dir is empty). */
int path_find_entry(int dirfd, const char *path, struct place *out,
	struct place *out_dir, char name[NAME_MAX + 1]);

/* Resolve all but the last element, which need not exist. */
struct path_parent {
	struct place dir;
	char last[NAME_MAX + 1];
	enum {
		LAST_NAME,
		LAST_DOT,
		LAST_DOTDOT,
		LAST_ROOT
	} kind;
	bool slash; /* the path ended in '/' */
};
/* `through`: a symbolic link at the end is followed (open with O_CREAT). */
int path_find_parent(
	int dirfd, const char *path, bool through, struct path_parent *out);

/* The absolute path of a directory as the current process sees it. Its length
 * without the terminator; -ERANGE, -ENOENT when it was removed. */
ssize_t path_of(const struct place *dir, char *buf, size_t size);

/* The same followed by a name (or ""): heap; NULL if it has none, or out of
 * memory. */
char *path_join(const struct place *dir, const char *name);

int fs_mkdir(int dirfd, const char *path, uint32_t mode);
int fs_mknod(int dirfd, const char *path, uint32_t mode, uint64_t rdev);
int fs_symlink(const char *target, int dirfd, const char *path);
int fs_link(const struct place *from, int dirfd, const char *path);
int fs_unlink(int dirfd, const char *path, bool directory);
int fs_rename(int dirfd, const char *path, int new_dirfd, const char *new_path,
	unsigned flags);

/* mount(2) and umount2(2). */
#define MS_RDONLY 1
#define MS_REMOUNT 32
#define MS_BIND 4096
#define MS_MOVE 8192
#define MS_SILENT 32768
#define MNT_FORCE 1
#define MNT_DETACH 2
#define UMOUNT_NOFOLLOW 8
int fs_mount(const char *source, const char *target, const char *type,
	unsigned long flags);
int fs_umount(const char *target, int flags);

/* /proc/mounts. */
void fs_mounts_text(struct text *t);

/* For fs/ itself: the file system of memory and pipes, and mounts. */
struct super;
struct super *ramfs_create(struct inode **out_root);
/* As inode_ops.create and .symlink of the root's file system, for the archive:
 * contents stay where they are. */
int ramfs_set_contents(struct inode *node, const void *data, size_t size);
void ramfs_set_time(struct inode *node, uint64_t time_ns);
/* Frames that files in memory hold, and how many more they may take. */
void ramfs_usage(uint64_t *out_used, uint64_t *out_available);

int pipe_create(struct file **out_reader, struct file **out_writer, int flags);
int fifo_open(struct inode *node, struct file *f); /* inode_ops.open */
void fifo_destroy(struct inode *node);             /* node->data goes */
extern const struct file_ops fifo_ops;
size_t pipe_size(struct file *f); /* bytes it can hold */

/* A file system that goes when its last mount does. */
struct super {
	uint32_t refs; /* atomic */
	void (*destroy)(struct super *s);
};

struct mount *mount_hidden(const char *name, struct inode *root);
void mount_get(struct mount *m);
void mount_put(struct mount *m);
void mount_set_root(struct inode *root, struct super *s);
/* The root of the name space, counted. */
void mount_root(struct place *out);
/* Step onto what is mounted at *p, as often as something is. */
void mount_cross(struct place *p);
/* From the root of a mount to where it sits: false at the top. */
bool mount_leave(struct place *p);
/* A name of the node was removed: what is mounted on it goes. */
void mount_node_gone(struct inode *node);
bool mount_read_only(const struct mount *m);
const char *mount_name(const struct mount *m); /* hidden ones: "#name" */

#endif
