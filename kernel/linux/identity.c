/* SPDX-License-Identifier: MIT */
/* Who one is: root, and only root. */
#include "lib/errno.h"
#include "linux/calls.h"
#include "mem/user.h"

static long only_root(unsigned long id)
{
	return (uint32_t)id == 0 || (uint32_t)id == UINT32_MAX ? 0 : -EPERM;
}

static long put_three_zeros(const unsigned long *arg)
{
	uint32_t zero = 0;

	for (int i = 0; i < 3; i++)
		if (copy_to_user(arg[i], &zero, sizeof(zero)))
			return -EFAULT;
	return 0;
}

static long only_three_roots(const unsigned long *arg, int n)
{
	for (int i = 0; i < n; i++)
		if (only_root(arg[i]))
			return -EPERM;
	return 0;
}

#define ZERO_CALL(name)    \
	SYSCALL(name)      \
	{                  \
		(void)arg; \
		return 0;  \
	}

ZERO_CALL(getuid)
ZERO_CALL(geteuid)
ZERO_CALL(getgid)
ZERO_CALL(getegid)
ZERO_CALL(setfsuid)
ZERO_CALL(setfsgid)
ZERO_CALL(getgroups)

SYSCALL(setuid)
{
	return only_root(arg[0]);
}

SYSCALL(setgid)
{
	return only_root(arg[0]);
}

SYSCALL(setreuid)
{
	return only_three_roots(arg, 2);
}

SYSCALL(setregid)
{
	return only_three_roots(arg, 2);
}

SYSCALL(setresuid)
{
	return only_three_roots(arg, 3);
}

SYSCALL(setresgid)
{
	return only_three_roots(arg, 3);
}

SYSCALL(getresuid)
{
	return put_three_zeros(arg);
}

SYSCALL(getresgid)
{
	return put_three_zeros(arg);
}

SYSCALL(setgroups)
{
	uint32_t group;

	if (arg[0] > 1)
		return -EPERM;
	if (arg[0] && copy_from_user(&group, arg[1], sizeof(group)))
		return -EFAULT;
	return arg[0] ? only_root(group) : 0;
}
