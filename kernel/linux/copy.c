/* SPDX-License-Identifier: MIT */
/* What the wrappers of several calls copy in and out. */
#include "cpu/time.h"
#include "fs/inode.h"
#include "lib/errno.h"
#include "linux/copy.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/signal.h"

long copy_path(uintptr_t user, char **out)
{
	char *path = kmalloc(PATH_MAX);
	ssize_t n;

	if (!path)
		return -ENOMEM;
	n = copy_string_from_user(path, user, PATH_MAX);
	if (n < 0) {
		kfree(path);
		return n;
	}
	*out = path;
	return 0;
}

long copy_time_from_user(uint64_t *out, uintptr_t user)
{
	struct timespec64 t;

	if (copy_from_user(&t, user, sizeof(t)))
		return -EFAULT;
	if (t.seconds < 0 || t.nanoseconds < 0 ||
		t.nanoseconds >= (int64_t)NS_PER_S)
		return -EINVAL;
	if (t.seconds >= INT64_MAX / (int64_t)NS_PER_S)
		*out = INT64_MAX;
	else
		*out = t.seconds * NS_PER_S + t.nanoseconds;
	return 0;
}

long copy_time_to_user(uintptr_t user, uint64_t ns)
{
	struct timespec64 t = {ns / NS_PER_S, ns % NS_PER_S};

	return copy_to_user(user, &t, sizeof(t));
}

struct timeval64 timeval_of(uint64_t ns)
{
	return (struct timeval64){ns / NS_PER_S, ns % NS_PER_S / 1000};
}

long copy_usage_to_user(uintptr_t user, uint64_t user_ns, uint64_t system_ns)
{
	struct {
		struct timeval64 user, system;
		uint64_t rest[14];
	} usage = {timeval_of(user_ns), timeval_of(system_ns), {0}};

	return copy_to_user(user, &usage, sizeof(usage));
}

uint64_t deadline_of_wall(uint64_t wall_ns)
{
	uint64_t now = time_ns(), wall = time_wall_ns();

	if (wall_ns <= wall)
		return now;
	return now + (wall_ns - wall);
}

long take_call_mask(uintptr_t user, size_t size)
{
	uint64_t mask;

	if (!user)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	signal_mask_for_call(mask);
	return 0;
}
