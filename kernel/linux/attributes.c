/* SPDX-License-Identifier: MIT */
/* Extended attributes: no file has any, and none can be given to one. */
#include "lib/errno.h"
#include "linux/calls.h"
#include "linux/file.h"

static long on_path(uintptr_t path, unsigned flags, long answer)
{
	struct place at;
	int error = find_user_path(AT_FDCWD, path, flags, &at);

	if (error)
		return error;
	place_put(&at);
	return answer;
}

static long on_fd(int fd, long answer)
{
	struct file *f = fd_file(fd);
	long result = f ? answer : -EBADF;

	file_put(f);
	return result;
}

#define ATTRIBUTE_CALLS(kind, answer)                                \
	SYSCALL(kind##xattr)                                         \
	{                                                            \
		return on_path(arg[0], 0, answer);                   \
	}                                                            \
	SYSCALL(l##kind##xattr)                                      \
	{                                                            \
		return on_path(arg[0], AT_SYMLINK_NOFOLLOW, answer); \
	}                                                            \
	SYSCALL(f##kind##xattr)                                      \
	{                                                            \
		return on_fd(as_fd(arg[0]), answer);                 \
	}

ATTRIBUTE_CALLS(set, -ENOTSUP)
ATTRIBUTE_CALLS(get, -ENOTSUP)
ATTRIBUTE_CALLS(list, 0)
ATTRIBUTE_CALLS(remove, -ENOTSUP)
