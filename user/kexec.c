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
#define FILE_ON_CRASH 2
#define FILE_NO_INITRAMFS 4
#define REBOOT_MAGIC1 0xfee1dead
#define REBOOT_MAGIC2 672274793
#define REBOOT_KEXEC 0x45584543

static const char usage[] =
	"usage: kexec -l|-p KERNEL [--initrd=FILE] [--append=TEXT | "
	"--reuse-cmdline]\n"
	"       kexec -e [--devices=stop|keep|leave]\n"
	"                   go there: open files and processes are lost\n"
	"       kexec -u [-p]\n"
	"                   forget it\n"
	"-p: the kernel is for a panic, and devices go on into it\n";

struct order {
	int act; /* 'l', 'e', 'u' */
	int on_crash;
	const char *kernel, *initrd, *append, *devices;
};

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

static int load(const struct order *o)
{
	int kernel = open(o->kernel, O_RDONLY | O_CLOEXEC), initrd = -1;
	long flags = o->on_crash ? FILE_ON_CRASH : 0;

	if (kernel < 0)
		return fail(o->kernel);
	if (o->initrd) {
		initrd = open(o->initrd, O_RDONLY | O_CLOEXEC);
		if (initrd < 0)
			return fail(o->initrd);
	} else {
		flags |= FILE_NO_INITRAMFS;
	}
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(o->append) + 1,
		    o->append, flags) < 0)
		return fail("load");
	return 0;
}

static int unload(const struct order *o)
{
	long flags = FILE_UNLOAD | (o->on_crash ? FILE_ON_CRASH : 0);

	if (syscall(SYS_kexec_file_load, -1, -1, 0L, NULL, flags) < 0)
		return fail("unload");
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

static int go(const struct order *o)
{
	if (o->devices && choose_devices(o->devices) < 0)
		return fail("--devices");
	sync();
	syscall(SYS_reboot, REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_KEXEC, NULL);
	return fail("exec");
}

/* -1: not understood; 1: all is said. */
static int take_option(struct order *o, int option)
{
	static char own[1024];

	switch (option) {
	case 'p':
		o->on_crash = 1;
		return 0;
	case 'l':
	case 'e':
	case 'u':
		if (o->act)
			return -1;
		o->act = option;
		return 0;
	case 'i':
		o->initrd = optarg;
		return 0;
	case 'a':
		o->append = optarg;
		return 0;
	case 'r':
		if (own_cmdline(own, sizeof(own)) < 0) {
			fail("/proc/cmdline");
			return 1;
		}
		o->append = own;
		return 0;
	case 'd':
		o->devices = optarg;
		return 0;
	default:
		return -1;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"load", no_argument, NULL, 'l'},
		{"load-panic", no_argument, NULL, 'p'},
		{"exec", no_argument, NULL, 'e'},
		{"unload", no_argument, NULL, 'u'},
		{"initrd", required_argument, NULL, 'i'},
		{"ramdisk", required_argument, NULL, 'i'},
		{"append", required_argument, NULL, 'a'},
		{"command-line", required_argument, NULL, 'a'},
		{"reuse-cmdline", no_argument, NULL, 'r'},
		{"devices", required_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	struct order order = {.append = ""};
	int option, bad = 0;

	while (!bad &&
		(option = getopt_long(argc, argv, "lpeu", options, NULL)) != -1)
		bad = take_option(&order, option);
	if (bad > 0)
		return 1;
	if (!order.act && order.on_crash)
		order.act = 'l';
	if (order.act == 'l')
		order.kernel = argv[optind++];
	if (bad || !order.act || optind != argc ||
		(order.act == 'l' && !order.kernel)) {
		fputs(usage, stderr);
		return 2;
	}
	switch (order.act) {
	case 'l':
		return load(&order);
	case 'u':
		return unload(&order);
	default:
		return go(&order);
	}
}
