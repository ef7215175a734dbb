/* SPDX-License-Identifier: MIT */
/* The name space: paths, mounts, a process's working directory. All functions
 * take kernel strings and return 0 or -errno unless said. */
#ifndef FS_FS_H
#define FS_FS_H

#include "lib/types.h"
#include "fs/file.h"
#include "fs/inode.h"

/* Root file system in memory, filled from the cpio archive (newc; NULL: empty).
 * Hostile archives are unpacked as far as they are sound. The archive's memory
 * stays in place: file contents may point into it. */
void fs_init(const void *archive, size_t size);

/* Working directory and umask, counted; shared by CLONE_FS. */
struct fs_context;
struct fs_context *fs_context_create(void); /* cwd "/" */
struct fs_context *fs_context_copy(struct fs_context *c);
void fs_context_get(struct fs_context *c);
void fs_context_put(struct fs_context *c);

#define AT_FDCWD (-100)

/* Open relative to the current process's directory (or dirfd). The file comes
 * counted in *out. */
int fs_open(int dirfd, const char *path, int flags, uint32_t mode,
	struct file **out);

/* For the kernel itself, from the root. */
int fs_open_kernel(const char *path, int flags, struct file **out);

#endif
