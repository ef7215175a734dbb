/* SPDX-License-Identifier: MIT */
/*
 * kexec: load another kernel and go there without a reset, by the options of
 * kexec-tools.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_UNLOAD 1
#define FILE_NO_INITRAMFS 4
#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_KEXEC 0x45584543

static const char usage[] =
	"usage: kexec -l KERNEL [--initrd=FILE] [--append=TEXT | "
	"--reuse-cmdline]\n"
	"       kexec -e [--devices=stop|keep|leave]\n"
	"                   go there: open files and processes are lost\n"
	"       kexec -u    forget it\n";

static int fail(const char *what)
{
	fprintf(stderr, "kexec: %s: %s\n", what, strerror(errno));
	return 1;
}

static int own_cmdline(char *text, size_t size)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int load(const char *kernel, const char *initrd, const char *append)
{
	int kernel_fd = open(kernel, O_RDONLY | O_CLOEXEC), initrd_fd = -1;

	if (kernel_fd < 0)
		return fail(kernel);
	if (initrd) {
		initrd_fd = open(initrd, O_RDONLY | O_CLOEXEC);
		if (initrd_fd < 0)
			return fail(initrd);
	}
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd,
		    strlen(append) + 1, append,
		    initrd ? 0 : FILE_NO_INITRAMFS) < 0)
		return fail("load");
	return 0;
}

/* What becomes of devices that processes have. */
static int choose_devices(const char *choice)
{
	int fd = open("/proc/sys/kernel/kexec_devices", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, choice, strlen(choice));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"load", required_argument, NULL, 'l'},
		{"devices", required_argument, NULL, 'd'},
		{"exec", no_argument, NULL, 'e'},
		{"unload", no_argument, NULL, 'u'},
		{"initrd", required_argument, NULL, 'i'},
		{"ramdisk", required_argument, NULL, 'i'},
		{"append", required_argument, NULL, 'a'},
		{"command-line", required_argument, NULL, 'a'},
		{"reuse-cmdline", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *devices = NULL;
	const char *kernel = NULL, *initrd = NULL, *append = "";
	int go = 0, unload = 0, option;
	char own[1024];

	while ((option = getopt_long(argc, argv, "l:euh", options, NULL)) != -1)
		switch (option) {
		case 'l':
			kernel = optarg;
			break;
		case 'e':
			go = 1;
			break;
		case 'u':
			unload = 1;
			break;
		case 'i':
			initrd = optarg;
			break;
		case 'a':
			append = optarg;
			break;
		case 'r':
			if (own_cmdline(own, sizeof(own)) < 0)
				return fail("/proc/cmdline");
			append = own;
			break;
		case 'd':
			devices = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (optind != argc || !!kernel + go + unload != 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (kernel)
		return load(kernel, initrd, append);
	if (unload)
		return syscall(SYS_kexec_file_load, -1, -1, 0L, NULL,
			       FILE_UNLOAD) < 0
			? fail("unload")
			: 0;
	if (devices && choose_devices(devices) < 0)
		return fail("--devices");
	sync();
	syscall(SYS_reboot, REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_KEXEC, NULL);
	return fail("exec");
}
