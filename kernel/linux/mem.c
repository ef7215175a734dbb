/* SPDX-License-Identifier: MIT */
/* mmap(2) and its relatives: thin wrappers over mem/space.h. */
#include "linux/calls.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "mem/user.h"
#include "fs/file.h"
#include "lib/errno.h"
#include "proc/process.h"

static struct space *here(void)
{
	return process_current()->space;
}

SYSCALL(mmap)
{
	int flags = (int)arg[3];
	struct file *f = NULL;
	long at;

	if (!(flags & MAP_ANONYMOUS)) {
		f = fd_file((int)arg[4]);
		if (!f)
			return -EBADF;
	}
	at = space_mmap(here(), arg[0], arg[1], (int)arg[2], flags, f, arg[5]);
	if (f)
		file_put(f);
	return at;
}

SYSCALL(munmap)
{
	return space_munmap(here(), arg[0], arg[1]);
}

SYSCALL(mprotect)
{
	return space_mprotect(here(), arg[0], arg[1], (int)arg[2]);
}

SYSCALL(brk)
{
	return (long)space_brk(here(), arg[0]);
}

SYSCALL(mremap)
{
	return space_mremap(
		here(), arg[0], arg[1], arg[2], (int)arg[3], arg[4]);
}

SYSCALL(madvise)
{
	return space_madvise(here(), arg[0], arg[1], (int)arg[2]);
}

/* Memory files are always in step with their mappings. */
SYSCALL(msync)
{
	if (arg[0] % PAGE_SIZE || arg[2] & ~7ul)
		return -EINVAL;
	return 0;
}

SYSCALL(mincore)
{
	unsigned long addr = arg[0], vec = arg[2];
	unsigned long left = ALIGN_UP(arg[1], PAGE_SIZE) / PAGE_SIZE;
	uint8_t part[64];

	if (addr % PAGE_SIZE)
		return -EINVAL;
	if (arg[1] > USER_END)
		return -ENOMEM;
	while (left) {
		unsigned long n = MIN(left, sizeof(part));
		int err = space_mincore(here(), addr, n * PAGE_SIZE, part);

		if (!err)
			err = copy_to_user(vec, part, n);
		if (err)
			return err;
		addr += n * PAGE_SIZE;
		vec += n;
		left -= n;
	}
	return 0;
}
