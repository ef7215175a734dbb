/* SPDX-License-Identifier: MIT */
/*
 * Random work on names, files, pipes and mounts, also while allocations fail:
 * nothing wild is touched, everything can be taken apart afterwards, and then
 * no piece of memory and no frame is left.
 */
#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/text.h"
#include "mem/mem.h"

#define OPEN_FILES 30
#define STEPS 20000
#define ROUNDS 8

static uint32_t state;
static struct file *open_files[OPEN_FILES];
static struct page *mapped[OPEN_FILES];
static char bytes[9000];
static char a[128], b[128];

static unsigned draw(unsigned n)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

/* --- a device tree: two folders in each folder, and two files ------------- */

static int say_name(struct node *n, struct text *t)
{
	text_printf(t, "%s\n", n->name);
	return 0;
}

static int obey(struct node *n, const char *line, size_t size)
{
	(void)n;
	assert_int_equal(line[size], '\0');
	return size % 3 ? 0 : -EINVAL;
}

static bool child(struct node *dir, unsigned n, struct node *out);

static const struct node_ops folder_ops = {.child = child};
static const struct node_ops file_ops = {.text = say_name, .command = obey};

static bool child(struct node *dir, unsigned n, struct node *out)
{
	(void)dir;
	if (n > 3)
		return false;
	out->name[0] = (char)('a' + n);
	out->mode = n < 2 ? S_IFDIR | 0755 : S_IFREG | 0644;
	out->ops = n < 2 ? &folder_ops : &file_ops;
	return true;
}

/* --- acts ----------------------------------------------------------------- */

static void some_name(char *p)
{
	static const char *const starts[] = {
		"/s", "/s", "/s", "..", "", "#t", "#t/b"};
	static const char *const names[] = {
		"a", "b", "c", "d", "a", "b", "c", "d", "..", "."};

	p += sprintf(p, "%s", starts[draw(7)]);
	for (unsigned n = draw(4); n; n--)
		p += sprintf(p, "/%s", names[draw(10)]);
	if (!draw(20))
		sprintf(p, "/");
}

static void act_make(void)
{
	switch (draw(5)) {
	case 0:
		(void)fs_symlink(b, AT_FDCWD, a);
		break;
	case 1:
		(void)fs_mknod(AT_FDCWD, a, S_IFIFO | 0644, 0);
		break;
	default:
		(void)fs_mkdir(AT_FDCWD, a, 0755);
	}
}

static void act_remove(void)
{
	(void)fs_unlink(AT_FDCWD, a, draw(2));
}

static void act_rename(void)
{
	(void)fs_rename(
		AT_FDCWD, a, AT_FDCWD, b, draw(4) ? 0 : RENAME_NOREPLACE);
}

static void act_link(void)
{
	struct place at;

	if (path_find(AT_FDCWD, a, AT_SYMLINK_NOFOLLOW, &at))
		return;
	(void)fs_link(&at, AT_FDCWD, b);
	place_put(&at);
}

static void act_open(void)
{
	static const int flags[] = {O_RDONLY, O_RDWR | O_CREAT,
		O_RDWR | O_CREAT | O_TRUNC, O_WRONLY | O_APPEND,
		O_RDWR | O_CREAT | O_EXCL, O_PATH, O_DIRECTORY, O_NOFOLLOW,
		O_WRONLY, O_RDWR};
	unsigned i = draw(OPEN_FILES);
	struct file *f;

	if (fs_open(AT_FDCWD, a, flags[draw(10)] | O_NONBLOCK, 0644, &f))
		return;
	file_put(open_files[i]);
	open_files[i] = f;
}

static void act_close(void)
{
	unsigned i = draw(OPEN_FILES);

	file_put(open_files[i]);
	open_files[i] = NULL;
}

static void act_pipe(void)
{
	unsigned i = draw(OPEN_FILES / 2);
	struct file *reader, *writer;

	if (pipe_create(&reader, &writer, O_NONBLOCK))
		return;
	file_put(open_files[i]);
	file_put(open_files[i + 1]);
	open_files[i] = reader;
	open_files[i + 1] = writer;
}

static void act_transfer(void)
{
	struct file *f = open_files[draw(OPEN_FILES)];
	struct uio u = uio_kernel(bytes, draw(sizeof(bytes)));
	uint64_t far = draw(10) ? draw(100000) : draw(2000000) * 100000ull;
	uint64_t *pos = f && f->seekable && draw(2) ? &far : NULL;

	if (f && draw(2))
		(void)file_write(f, &u, pos);
	else if (f)
		(void)file_read(f, &u, pos);
}

static void act_resize(void)
{
	struct file *f = open_files[draw(OPEN_FILES)];
	uint64_t size = draw(3) ? draw(100000) : draw(1000000) * 100000ull;

	if (f && inode_is(f->inode, S_IFREG) && f->inode->ops->truncate)
		(void)f->inode->ops->truncate(f->inode, size);
}

static void act_map(void)
{
	unsigned i = draw(OPEN_FILES);
	struct file *f = open_files[i];
	struct page *page;

	if (!f || !f->ops->get_page || f->ops->get_page(f, draw(30), &page))
		return;
	if (mapped[i])
		page_put(mapped[i]);
	mapped[i] = page;
	memset(page_virt(page), (int)draw(256), PAGE_SIZE);
}

static void act_list(void)
{
	struct file *f = open_files[draw(OPEN_FILES)];
	struct uio u = uio_kernel(bytes, draw(500));

	if (!f || !f->ops->readdir)
		return;
	if (!draw(4))
		(void)file_seek(f, 0, 0);
	(void)f->ops->readdir(f, &u, &f->pos);
}

static void act_mount(void)
{
	switch (draw(3)) {
	case 0:
		(void)fs_mount("none", a, "tmpfs", draw(20) ? 0 : MS_RDONLY);
		break;
	case 1:
		(void)fs_mount("none", a, "t", 0);
		break;
	default:
		(void)fs_mount(b, a, NULL, MS_BIND);
	}
}

static void act_unmount(void)
{
	(void)fs_umount(a, draw(2) ? MNT_DETACH : 0);
}

static void act_walk(void)
{
	struct text t = {NULL, 0, 0, false};
	struct stat_info st;
	struct place at;

	if (path_find(AT_FDCWD, a, 0, &at))
		return;
	(void)fs_chdir(&at);
	(void)path_of(&at, bytes, draw(100));
	(void)inode_stat(at.node, &st);
	place_put(&at);
	if (!draw(3))
		fs_mounts_text(&t);
	text_free(&t);
}

static void act(void)
{
	static void (*const acts[])(void) = {act_make, act_make, act_make,
		act_remove, act_remove, act_rename, act_rename, act_link,
		act_open, act_open, act_open, act_open, act_close, act_pipe,
		act_transfer, act_transfer, act_transfer, act_resize, act_map,
		act_list, act_mount, act_unmount, act_unmount, act_walk};

	some_name(a);
	some_name(b);
	acts[draw(sizeof(acts) / sizeof(acts[0]))]();
}

/* --- taking apart --------------------------------------------------------- */

static void leave(void)
{
	struct place root;

	for (unsigned i = 0; i < OPEN_FILES; i++) {
		file_put(open_files[i]);
		open_files[i] = NULL;
		if (mapped[i])
			page_put(mapped[i]);
		mapped[i] = NULL;
	}
	assert_int_equal(path_find(AT_FDCWD, "/", 0, &root), 0);
	assert_int_equal(fs_chdir(&root), 0);
	place_put(&root);
}

/* The newest mount that will go, but never the first line: "/". */
static bool unmount_one(void)
{
	struct text t = {NULL, 0, 0, false};
	bool done = false;

	fs_mounts_text(&t);
	assert_false(t.failed);
	while (!done && t.len) {
		char path[PATH_MAX];
		size_t start = --t.len; /* the newline */

		t.data[start] = '\0';
		while (start && t.data[start - 1] != '\n')
			start--;
		t.len = start;
		if (start && sscanf(t.data + start, "%*s %4095s", path) == 1)
			done = !fs_umount(path, MNT_DETACH);
	}
	text_free(&t);
	return done;
}

/* The first entry of a folder that is not "." or ".."; false: it is empty. */
static bool first_entry(const char *folder, char name[], uint8_t *out_type)
{
	char buf[PAGE_SIZE];
	struct uio u = uio_kernel(buf, sizeof(buf));
	struct file *f;
	ssize_t n;

	assert_int_equal(fs_open_kernel(folder, O_DIRECTORY, &f), 0);
	n = f->ops->readdir(f, &u, &f->pos);
	file_put(f);
	for (ssize_t at = 0; at < n;) {
		uint16_t size;

		memcpy(&size, buf + at + 16, sizeof(size));
		*out_type = (uint8_t)buf[at + 18];
		strlcpy(name, buf + at + 19, NAME_MAX + 1);
		if (strcmp(name, ".") && strcmp(name, ".."))
			return true;
		at += size;
	}
	return false;
}

/* Down to the last folder, by its entries, and up again. */
static void remove_all(void)
{
	static char path[1 << 20];
	char name[NAME_MAX + 1];
	uint8_t type;
	size_t n;

	strlcpy(path, "/", sizeof(path));
	for (;;) {
		n = strlen(path);
		if (first_entry(path, name, &type)) {
			strlcpy(path + n, name, sizeof(path) - n);
			if (type == DT_OF(S_IFDIR)) {
				n = strlen(path);
				strlcpy(path + n, "/", sizeof(path) - n);
				continue;
			}
			assert_int_equal(fs_unlink(AT_FDCWD, path, false), 0);
		} else if (n > 1) {
			assert_int_equal(fs_unlink(AT_FDCWD, path, true), 0);
			path[n - 1] = '\0';
		} else {
			return;
		}
		*(strrchr(path, '/') + 1) = '\0';
	}
}

static void play(uint32_t seed, bool memory_fails)
{
	state = seed;
	process_begin();
	assert_int_equal(fs_mkdir(AT_FDCWD, "/s", 0755), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		if (memory_fails && !draw(8))
			fail_allocation(1 + draw(6));
		act();
		fail_allocation(0);
	}
	leave();
	while (unmount_one())
		;
	remove_all();
	process_end();
}

static void rounds(bool memory_fails)
{
	uint32_t seed = (uint32_t)time(NULL);
	struct usage before, after;

	if (getenv("SEED"))
		seed = (uint32_t)strtoul(getenv("SEED"), NULL, 0);
	for (unsigned i = 0; i < ROUNDS; i++, seed++) {
		print_message("seed %u\n", seed);
		before = usage_now();
		play(seed, memory_fails);
		after = usage_now();
		assert_int_equal(after.pieces, before.pieces);
		assert_int_equal(after.frames, before.frames);
	}
}

static void everything_made_can_be_taken_apart(void **unused)
{
	(void)unused;
	rounds(false);
}

static void nothing_is_lost_when_memory_runs_out(void **unused)
{
	(void)unused;
	rounds(true);
}

static int boot(void **unused)
{
	const struct node root = {.mode = S_IFDIR | 0755, .ops = &folder_ops};

	(void)unused;
	fs_init(NULL, 0);
	return tree_register("t", &root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_made_can_be_taken_apart),
		cmocka_unit_test(nothing_is_lost_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
