/* SPDX-License-Identifier: MIT */
/* Loading the next kernel: kexec_file_load(2). Leaving for it is reboot(2). */
#include "fs/file.h"
#include "kexec/kexec.h"
#include "lib/errno.h"
#include "linux/calls.h"
#include "mem/mem.h"
#include "mem/user.h"

#define FILE_UNLOAD 1
#define FILE_ON_CRASH 2
#define FILE_NO_INITRAMFS 4

/* The caller's text with its terminator, which it counts. */
static long copy_cmdline(uintptr_t user, uint64_t n, char *out)
{
	if (n > KEXEC_CMDLINE_SIZE)
		return -EINVAL;
	*out = '\0';
	if (n && copy_from_user(out, user, n))
		return -EFAULT;
	return n && out[n - 1] ? -EINVAL : 0;
}

static long load(enum kexec_slot slot, int kernel_fd, int initrd_fd,
	bool with_initrd, char *cmdline)
{
	struct file *kernel = fd_file(kernel_fd), *initrd = NULL;
	long err = kernel ? 0 : -EBADF;

	if (!err && with_initrd) {
		initrd = fd_file(initrd_fd);
		err = initrd ? 0 : -EBADF;
	}
	if (!err)
		err = kexec_load(slot, kernel, initrd, cmdline);
	if (initrd)
		file_put(initrd);
	if (kernel)
		file_put(kernel);
	return err;
}

/* kernel_fd, initrd_fd, length of the command line, command line, flags */
SYSCALL(kexec_file_load)
{
	unsigned long flags = arg[4];
	enum kexec_slot slot;
	char *cmdline;
	long err;

	if (flags & ~(FILE_UNLOAD | FILE_ON_CRASH | FILE_NO_INITRAMFS))
		return -EINVAL;
	slot = flags & FILE_ON_CRASH ? KEXEC_CRASH : KEXEC_NEXT;
	if (flags & FILE_UNLOAD) {
		kexec_unload(slot);
		return 0;
	}
	cmdline = kmalloc(KEXEC_CMDLINE_SIZE);
	if (!cmdline)
		return -ENOMEM;
	err = copy_cmdline(arg[3], arg[2], cmdline);
	if (!err)
		err = load(slot, (int)arg[0], (int)arg[1],
			!(flags & FILE_NO_INITRAMFS), cmdline);
	kfree(cmdline);
	return err;
}
