/* SPDX-License-Identifier: MIT */
/*
 * "#cons", bound at /dev: the terminal and the small devices every Unix program
 * expects. "initrd" is the archive this kernel was started with; "exit-status"
 * takes the text that the host of an emulator is to see when the machine is
 * powered off.
 */
#include "dev/dev.h"
#include "boot/boot_info.h"
#include "cpu/serial.h"
#include "fs/inode.h"
#include "fs/tty.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/signal.h"
#include "proc/wait.h"

/* --- null, zero, full, random --------------------------------------------- */

static ssize_t null_read(struct file *f, struct uio *u, uint64_t *pos)
{
	(void)f, (void)u, (void)pos;
	return 0;
}

static ssize_t null_write(struct file *f, struct uio *u, uint64_t *pos)
{
	size_t n = u->left;

	(void)f, (void)pos;
	u->left = 0;
	return (ssize_t)n;
}

static ssize_t full_write(struct file *f, struct uio *u, uint64_t *pos)
{
	(void)f, (void)pos;
	return u->left ? -ENOSPC : 0;
}

static ssize_t zero_read(struct file *f, struct uio *u, uint64_t *pos)
{
	ssize_t total = 0;

	(void)f, (void)pos;
	while (u->left && !signal_waiting()) {
		ssize_t n = uio_zero(u, MIN(u->left, 65536));

		if (n <= 0)
			return total ? total : n;
		total += n;
	}
	return total || !u->left ? total : -ERESTARTSYS;
}

static ssize_t random_read(struct file *f, struct uio *u, uint64_t *pos)
{
	ssize_t total = 0;

	(void)f, (void)pos;
	while (u->left && !(total && signal_waiting())) {
		uint8_t bytes[256];
		size_t n = MIN(u->left, sizeof(bytes));
		ssize_t moved;

		random_bytes(bytes, n);
		moved = uio_put(u, bytes, n);
		memset(bytes, 0, sizeof(bytes));
		if (moved <= 0)
			return total ? total : moved;
		total += moved;
	}
	return total;
}

/* --- kmsg, exit-status ---------------------------------------------------- */

/* A line on the console, in one piece. */
static ssize_t kmsg_write(struct file *f, struct uio *u, uint64_t *pos)
{
	char line[512];
	ssize_t n = uio_get(u, line, sizeof(line) - 1);
	ssize_t end = n;

	(void)f, (void)pos;
	if (n <= 0)
		return n;
	while (end && (line[end - 1] == '\n' || !line[end - 1]))
		end--;
	kprintf("%.*s\n", (int)end, line);
	return n;
}

static ssize_t status_write(struct file *f, struct uio *u, uint64_t *pos)
{
	char text[64];
	ssize_t n = uio_get(u, text, sizeof(text));

	(void)f, (void)pos;
	if (n > 0)
		debugcon_write(text, (size_t)n);
	return n;
}

/* --- initrd --------------------------------------------------------------- */

/* The archive that the loader brought, which stays where it is. */
static ssize_t initrd_read(struct file *f, struct uio *u, uint64_t *pos)
{
	(void)f;
	return uio_put_text(u, pos, phys_to_virt(phys(boot_info.initrd)),
		boot_info.initrd_size);
}

/* Positions matter only to the archive, but pread() and lseek() work. */
static int open_seekable(struct node *n, struct file *f)
{
	(void)n;
	f->seekable = true;
	return 0;
}

/* --- the tree ------------------------------------------------------------- */

#define SMALL_DEVICE(name, reads, writes)            \
	static const struct file_ops name##_fops = { \
		.read = reads,                       \
		.write = writes,                     \
	};                                           \
	static const struct node_ops name##_ops = {  \
		.fops = &name##_fops, .open = open_seekable}

SMALL_DEVICE(null, null_read, null_write);
SMALL_DEVICE(zero, zero_read, null_write);
SMALL_DEVICE(full, zero_read, full_write);
SMALL_DEVICE(random, random_read, null_write);
static const struct file_ops initrd_fops = {.read = initrd_read};
static const struct node_ops initrd_ops = {
	.fops = &initrd_fops, .open = open_seekable};
SMALL_DEVICE(kmsg, null_read, kmsg_write);
SMALL_DEVICE(status, null_read, status_write);

static const struct {
	const char *name;
	uint32_t mode;
	unsigned major, minor;
	const struct node_ops *ops;
	const char *link;
} nodes[] = {
	{"console", S_IFCHR | 0600, 5, 1, &tty_console_node_ops, NULL},
	{"exit-status", S_IFCHR | 0200, 10, 200, &status_ops, NULL},
	{"fd", S_IFLNK | 0777, 0, 0, NULL, "/proc/self/fd"},
	{"full", S_IFCHR | 0666, 1, 7, &full_ops, NULL},
	{"initrd", S_IFREG | 0400, 0, 0, &initrd_ops, NULL},
	{"kmsg", S_IFCHR | 0644, 1, 11, &kmsg_ops, NULL},
	{"null", S_IFCHR | 0666, 1, 3, &null_ops, NULL},
	{"random", S_IFCHR | 0666, 1, 8, &random_ops, NULL},
	/* shm_open() and sem_open(); everything is memory here. */
	{"shm", S_IFLNK | 0777, 0, 0, NULL, "/tmp"},
	{"stderr", S_IFLNK | 0777, 0, 0, NULL, "/proc/self/fd/2"},
	{"stdin", S_IFLNK | 0777, 0, 0, NULL, "/proc/self/fd/0"},
	{"stdout", S_IFLNK | 0777, 0, 0, NULL, "/proc/self/fd/1"},
	{"tty", S_IFCHR | 0666, 5, 0, &tty_own_node_ops, NULL},
	{"ttyS0", S_IFCHR | 0600, 4, 64, &tty_console_node_ops, NULL},
	{"urandom", S_IFCHR | 0666, 1, 9, &random_ops, NULL},
	{"zero", S_IFCHR | 0666, 1, 5, &zero_ops, NULL},
};

static bool child(struct node *dir, unsigned n, struct node *out)
{
	(void)dir;
	if (n >= ARRAY_SIZE(nodes))
		return false;
	strlcpy(out->name, nodes[n].name, sizeof(out->name));
	out->mode = nodes[n].mode;
	out->rdev = make_rdev(nodes[n].major, nodes[n].minor);
	out->ops = nodes[n].ops;
	if (nodes[n].ops == &initrd_ops)
		out->size = boot_info.initrd_size;
	if (nodes[n].link)
		strlcpy(out->link, nodes[n].link, sizeof(out->link));
	return true;
}

void dev_cons_init(void)
{
	static const struct node_ops root_ops = {.child = child};
	const struct node root = {.mode = S_IFDIR | 0755, .ops = &root_ops};

	tty_init();
	if (tree_register("cons", &root))
		panic("no memory for the console's files");
}
