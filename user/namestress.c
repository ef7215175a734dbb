/* SPDX-License-Identifier: MIT */
/*
 * namestress [-s SEED] [-p PROCESSES] [-n STEPS]: several processes at once
 * make, move, remove, mount, map, list and fill the same few names. When they
 * are done everything is taken apart; that must be possible, and leave as much
 * memory free as there was.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE "/tmp/namestress"
#define FILE_MAX 100000
/* What the kernel may keep: caches of freed pieces, page tables. */
#define SLACK_KIB 1024

static char buf[9000];
static unsigned state;

static unsigned draw(unsigned n)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

/* One of some 80 paths up to three levels deep. */
static const char *some_name(char name[64])
{
	size_t n = (size_t)sprintf(name, PLACE);

	for (unsigned depth = draw(3) + 1; depth; depth--)
		n += (size_t)sprintf(name + n, "/%c", 'a' + draw(4));
	return name;
}

/* --- what the processes do ------------------------------------------------ */

static void write_file(const char *a, const char *b)
{
	int fd = open(a, O_CREAT | O_RDWR | O_NONBLOCK, 0644);

	(void)b;
	if (fd < 0)
		return;
	if (pwrite(fd, buf, draw(sizeof(buf)), draw(FILE_MAX)) > 0)
		fsync(fd);
	close(fd);
}

static void resize_file(const char *a, const char *b)
{
	int fd = open(a, O_RDWR | O_NONBLOCK);

	(void)b;
	if (fd < 0)
		return;
	if (!ftruncate(fd, draw(FILE_MAX)) &&
		pread(fd, buf, sizeof(buf), draw(FILE_MAX)) < 0)
		perror("read");
	close(fd);
}

static void map_file(const char *a, const char *b)
{
	int kind = draw(2) ? MAP_SHARED : MAP_PRIVATE;
	int fd = open(a, O_RDWR | O_NONBLOCK);
	char *p;

	(void)b;
	if (fd < 0)
		return;
	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, kind, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	/* The kernel reads and writes through it while others truncate: EFAULT
	 * is fine, a signal would not be. */
	fd = open(PLACE "/a", O_RDWR | O_NONBLOCK);
	if (fd >= 0) {
		if (write(fd, p + draw(8) * 4096, 4096) < 0)
			errno = 0;
		if (pread(fd, p + draw(8) * 4096, 4096, 0) < 0)
			errno = 0;
		close(fd);
	}
	munmap(p, 65536);
}

static void list_folder(const char *a, const char *b)
{
	DIR *d = opendir(a);

	(void)b;
	if (!d)
		return;
	while (readdir(d))
		;
	closedir(d);
}

static void walk_about(const char *a, const char *b)
{
	(void)b;
	if (!chdir(a) && getcwd(buf, sizeof(buf)) && !chdir(".."))
		if (!getcwd(buf, sizeof(buf)))
			errno = 0;
	if (chdir("/"))
		perror("/");
}

static void make_folder(const char *a, const char *b)
{
	(void)b;
	mkdir(a, 0755);
}

static void remove_folder(const char *a, const char *b)
{
	(void)b;
	rmdir(a);
}

static void remove_file(const char *a, const char *b)
{
	(void)b;
	unlink(a);
}

static void move(const char *a, const char *b)
{
	rename(a, b);
}

static void link_hard(const char *a, const char *b)
{
	if (link(a, b))
		errno = 0;
}

static void link_soft(const char *a, const char *b)
{
	if (symlink(a, b))
		errno = 0;
}

static void make_fifo(const char *a, const char *b)
{
	(void)b;
	mkfifo(a, 0644);
}

static void mount_fresh(const char *a, const char *b)
{
	(void)b;
	mount("none", a, "tmpfs", 0, NULL);
}

static void mount_other(const char *a, const char *b)
{
	mount(b, a, NULL, MS_BIND, NULL);
}

static void unmount(const char *a, const char *b)
{
	(void)b;
	umount2(a, draw(2) ? MNT_DETACH : 0);
}

/* Look at processes that come and go. */
static void look_around(const char *a, const char *b)
{
	static const char *const files[] = {"stat", "cmdline", "maps", "status",
		"fd/0", "cwd", "exe", "environ"};
	char name[300];
	struct dirent *e;
	DIR *d = opendir("/proc");

	(void)a, (void)b;
	if (!d)
		return;
	while ((e = readdir(d)) != NULL) {
		int fd;

		snprintf(name, sizeof(name), "/proc/%s/%s", e->d_name,
			files[draw(8)]);
		fd = open(name, O_RDONLY | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (!strstr(name, "/0") && read(fd, buf, sizeof(buf)) < 0)
			errno = 0;
		close(fd);
	}
	closedir(d);
}

static void pipe_some(const char *a, const char *b)
{
	unsigned reads = draw(20);
	int fds[2];

	(void)a, (void)b;
	if (pipe(fds))
		return;
	if (fork() == 0) {
		close(fds[0]);
		for (int i = 0; i < 20; i++)
			if (write(fds[1], buf, draw(sizeof(buf))) < 0)
				break;
		_exit(0);
	}
	close(fds[1]);
	while (reads-- && read(fds[0], buf, sizeof(buf)) > 0)
		;
	close(fds[0]);
}

static void (*const acts[])(const char *a, const char *b) = {make_folder,
	make_folder, remove_folder, write_file, write_file, resize_file,
	map_file, list_folder, walk_about, remove_file, move, move, link_hard,
	link_soft, make_fifo, mount_fresh, mount_other, unmount, unmount,
	look_around, pipe_some};

static void work(unsigned seed, int steps)
{
	state = seed;
	while (steps--) {
		char a[64], b[64];

		acts[draw(sizeof(acts) / sizeof(acts[0]))](
			some_name(a), some_name(b));
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	_exit(0);
}

/* --- afterwards ----------------------------------------------------------- */

static long free_kib(void)
{
	char line[100];
	long kib = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* One mount below PLACE, the newest that will go. */
static int unmount_one(void)
{
	static char lines[1 << 16];
	int fd = open("/proc/mounts", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, lines, sizeof(lines) - 1);

	close(fd);
	while (n > 0) {
		char *line, *path, *end;

		lines[n - 1] = '\0';
		line = strrchr(lines, '\n');
		line = line ? line + 1 : lines;
		n = line - lines;
		path = strchr(line, ' ');
		end = path ? strchr(++path, ' ') : NULL;
		if (!end || strncmp(path, PLACE, strlen(PLACE)))
			continue;
		*end = '\0';
		if (!umount2(path, MNT_DETACH))
			return 1;
	}
	return 0;
}

static int take_apart(void)
{
	int status;

	while (unmount_one())
		;
	status = system("rm -rf " PLACE);
	if (status || !access(PLACE, F_OK)) {
		printf("namestress: something is left\n");
		return 1;
	}
	return 0;
}

static int round_of(unsigned seed, int processes, int steps)
{
	mkdir(PLACE, 0755);
	for (int i = 0; i < processes; i++)
		if (fork() == 0)
			work(seed + (unsigned)i, steps);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return take_apart();
}

int main(int argc, char **argv)
{
	unsigned seed = 1;
	int processes = 6, steps = 1500, option;
	long before, after;

	while ((option = getopt(argc, argv, "s:p:n:")) != -1)
		if (option == 's')
			seed = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'p')
			processes = atoi(optarg);
		else if (option == 'n')
			steps = atoi(optarg);
		else
			return 2;
	signal(SIGPIPE, SIG_IGN);
	printf("namestress: seed %u\n", seed);
	fflush(stdout);
	/* The first round fills the kernel's caches. */
	if (round_of(seed, processes, steps))
		return 1;
	before = free_kib();
	for (unsigned i = 1; i < 4; i++)
		if (round_of(seed + 1000 * i, processes, steps))
			return 1;
	after = free_kib();
	printf("namestress: %ld KiB free before, %ld after\n", before, after);
	if (after + SLACK_KIB < before)
		return 1;
	printf("namestress: nothing is left\n");
	return 0;
}
