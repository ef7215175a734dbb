/* SPDX-License-Identifier: MIT */
/* What the wrappers of file calls share. */
#ifndef LINUX_FILE_H
#define LINUX_FILE_H

#include "fs/fs.h"

/* A path in user memory, resolved as path_find() does. */
int find_user_path(
	int dirfd, uintptr_t addr, unsigned flags, struct place *out);

/* A directory descriptor as it arrives in a register. */
static inline int as_fd(unsigned long arg)
{
	return (int)arg;
}

#endif
