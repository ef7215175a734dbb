/* SPDX-License-Identifier: MIT */
/* Files, folders and pipes. */
#include "usertests.h"

#include <dirent.h>
#include <poll.h>
#include <sys/xattr.h>

static void enter_fresh_folder(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/files.%d", getpid());
	CHECK(mkdir(name, 0755) == 0);
	CHECK(chdir(name) == 0);
}

static void write_read_seek(void)
{
	char buffer[9000];
	int fd;

	enter_fresh_folder();
	fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0644);
	CHECK(fd >= 0);
	CHECK(open("f", O_RDWR | O_CREAT | O_EXCL, 0644) < 0 &&
		errno == EEXIST);
	memset(buffer, 'a', sizeof(buffer));
	CHECK(write(fd, buffer, 9000) == 9000);
	CHECK(lseek(fd, 4090, SEEK_SET) == 4090);
	CHECK(write(fd, "0123456789", 10) == 10);
	CHECK(pread(fd, buffer, 12, 4089) == 12);
	CHECK(!memcmp(buffer, "a0123456789a", 12));
	CHECK(lseek(fd, -1, SEEK_SET) < 0 && errno == EINVAL);
	CHECK(lseek(fd, 100000, SEEK_SET) == 100000);
	CHECK(read(fd, buffer, 1) == 0);
	CHECK(write(fd, "z", 1) == 1); /* leaves a hole of zeros */
	CHECK(pread(fd, buffer, 4, 50000) == 4 && !memcmp(buffer, "\0\0\0", 4));
	CHECK(ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5);
	close(fd);
	fd = open("f", O_WRONLY | O_APPEND);
	CHECK(write(fd, "end", 3) == 3 && lseek(fd, 0, SEEK_END) == 8);
	CHECK(read(fd, buffer, 1) < 0 && errno == EBADF);
	close(fd);
	CHECK(write(fd, "x", 1) < 0 && errno == EBADF);
	CHECK(unlink("f") == 0 && open("f", O_RDONLY) < 0 && errno == ENOENT);
}

/* A file without a name lives as long as somebody has it open. */
static void unlinked_files_live_on(void)
{
	char c = 0;
	int fd;

	enter_fresh_folder();
	fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK(unlink("f") == 0);
	CHECK(write(fd, "x", 1) == 1 && pread(fd, &c, 1, 0) == 1 && c == 'x');
}

/* They are not supported, which is something else than not there. */
static void extended_attributes(void)
{
	char names[64];
	int fd;

	enter_fresh_folder();
	fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK(symlink("nowhere", "link") == 0);
	CHECK(setxattr("f", "user.a", "b", 1, 0) < 0 && errno == ENOTSUP);
	CHECK(fgetxattr(fd, "user.a", names, 9) < 0 && errno == ENOTSUP);
	CHECK(fremovexattr(fd, "user.a") < 0 && errno == ENOTSUP);
	CHECK(flistxattr(fd, names, sizeof(names)) == 0);
	CHECK(llistxattr("link", names, sizeof(names)) == 0);
	CHECK(listxattr("link", names, sizeof(names)) < 0 && errno == ENOENT);
	close(fd);
	CHECK(flistxattr(fd, names, sizeof(names)) < 0 && errno == EBADF);
}

static void folders(void)
{
	enter_fresh_folder();
	CHECK(mkdir("d", 0755) == 0 && mkdir("d", 0755) < 0 && errno == EEXIST);
	CHECK(mkdir("d/e", 0755) == 0);
	CHECK(rmdir("d") < 0 && errno == ENOTEMPTY);
	CHECK(unlink("d") < 0 && (errno == EISDIR || errno == EPERM));
	CHECK(open("d", O_WRONLY) < 0 && errno == EISDIR);
	CHECK(mkdir("none/x", 0755) < 0 && errno == ENOENT);
	close(open("f", O_CREAT | O_WRONLY, 0644));
	CHECK(mkdir("f/x", 0755) < 0 && errno == ENOTDIR);
	CHECK(rmdir("f") < 0 && errno == ENOTDIR);
	/* A folder cannot go below itself. */
	CHECK(rename("d", "d/e/d") < 0 && errno == EINVAL);
	CHECK(rename("d/e", "g") == 0 && rmdir("d") == 0);
	/* The folder one stands in may go. */
	CHECK(chdir("g") == 0 && rmdir("../g") == 0);
	CHECK(open("x", O_CREAT | O_WRONLY, 0644) < 0 && errno == ENOENT);
	CHECK(open("..", O_RDONLY) >= -1);
	CHECK(chdir("/") == 0 && rmdir("/") < 0);
}

static void listing_sees_every_name_once(void)
{
	char name[32], seen[200] = {0};
	struct dirent *e;
	DIR *d;

	enter_fresh_folder();
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "name-%03d", i);
		close(open(name, O_CREAT | O_WRONLY, 0644));
	}
	CHECK((d = opendir(".")));
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "name-", 5))
			seen[atoi(e->d_name + 5)]++;
	closedir(d);
	for (int i = 0; i < 200; i++)
		CHECK(seen[i] == 1);
}

static void links(void)
{
	char target[64], deep[64];
	struct stat s;

	enter_fresh_folder();
	CHECK(symlink("loop", "loop") == 0);
	CHECK(open("loop", O_RDONLY) < 0 && errno == ELOOP);
	CHECK(symlink("b", "a") == 0 && symlink("a", "b") == 0);
	CHECK(stat("a", &s) < 0 && errno == ELOOP);
	CHECK(lstat("a", &s) == 0 && S_ISLNK(s.st_mode));
	CHECK(readlink("a", target, 64) == 1 && target[0] == 'b');
	for (int i = 0; i < 60; i++) {
		snprintf(deep, sizeof(deep), "chain%d", i);
		snprintf(target, sizeof(target), "chain%d", i + 1);
		CHECK(symlink(target, deep) == 0);
	}
	CHECK(stat("chain0", &s) < 0 && errno == ELOOP);
	close(open("f", O_CREAT | O_WRONLY, 0644));
	CHECK(link("f", "g") == 0 && stat("g", &s) == 0 && s.st_nlink == 2);
	CHECK(unlink("f") == 0 && stat("g", &s) == 0 && s.st_nlink == 1);
}

static void long_names(void)
{
	static char path[70000];
	char name[300];

	enter_fresh_folder();
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	CHECK(open(name, O_CREAT | O_WRONLY, 0644) < 0 &&
		errno == ENAMETOOLONG);
	name[255] = '\0';
	CHECK(open(name, O_CREAT | O_WRONLY, 0644) >= 0);
	memset(path, '/', sizeof(path) - 1);
	CHECK(open(path, O_RDONLY) < 0 && errno == ENAMETOOLONG);
	for (size_t i = 0; i + 2 < sizeof(path); i += 2)
		memcpy(path + i, "./", 2);
	CHECK(open(path, O_RDONLY) < 0 && errno == ENAMETOOLONG);
	CHECK(open("", O_RDONLY) < 0 && errno == ENOENT);
}

static void deep_folders(void)
{
	int depth = 0;

	enter_fresh_folder();
	while (depth < 300 && mkdir("d", 0755) == 0 && chdir("d") == 0)
		depth++;
	CHECK(depth == 300);
	while (depth-- > 0)
		CHECK(chdir("..") == 0 && rmdir("d") == 0);
}

/* Many processes at the same names. */
static void racing_names(void)
{
	static const char *const names[] = {"a", "b", "c"};
	pid_t children[4];
	int status;

	enter_fresh_folder();
	for (int n = 0; n < 4; n++) {
		children[n] = fork();
		CHECK(children[n] >= 0);
		if (children[n])
			continue;
		for (int i = 0; i < 500; i++) {
			const char *x = names[(i + n) % 3];
			const char *y = names[(i * 7 + n) % 3];

			switch ((i + n) % 6) {
			case 0:
				close(open(x, O_CREAT | O_RDWR, 0644));
				break;
			case 1:
				unlink(x);
				break;
			case 2:
				rename(x, y);
				break;
			case 3:
				link(x, y);
				break;
			case 4:
				mkdir(x, 0755);
				break;
			case 5:
				rmdir(x);
				break;
			}
		}
		_exit(0);
	}
	for (int n = 0; n < 4; n++)
		CHECK(waitpid(children[n], &status, 0) == children[n] &&
			status == 0);
}

static void pipes_carry_everything(void)
{
	static char out[300000], in[300000];
	size_t got = 0;
	int fds[2], status;
	pid_t pid;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 17 + (i >> 8));
	CHECK(pipe(fds) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		_exit(write(fds[1], out, sizeof(out)) != sizeof(out));
	}
	close(fds[1]);
	for (;;) {
		ssize_t n = read(fds[0], in + got, sizeof(in) - got);

		CHECK(n >= 0);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	CHECK(got == sizeof(in) && !memcmp(in, out, sizeof(in)));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void write_to_nobody(void *unused)
{
	int fds[2];

	(void)unused;
	CHECK(pipe(fds) == 0);
	close(fds[0]);
	CHECK(write(fds[1], "x", 1) < 0 && errno == EPIPE);
}

static void pipes_without_an_end(void)
{
	CHECK_KILLED(write_to_nobody, NULL, SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	CHECK_EXITED(write_to_nobody, NULL, 0);
}

static void full_and_empty_pipes(void)
{
	struct pollfd p;
	int fds[2];
	char page[4096];
	ssize_t n, total = 0;

	memset(page, 0, sizeof(page));
	CHECK(pipe2(fds, O_NONBLOCK) == 0);
	CHECK(read(fds[0], page, 1) < 0 && errno == EAGAIN);
	while ((n = write(fds[1], page, sizeof(page))) > 0)
		total += n;
	CHECK(errno == EAGAIN && total >= 4096);
	p = (struct pollfd){.fd = fds[1], .events = POLLOUT};
	CHECK(poll(&p, 1, 0) == 0);
	p = (struct pollfd){.fd = fds[0], .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	while ((n = read(fds[0], page, sizeof(page))) > 0)
		total -= n;
	CHECK(errno == EAGAIN && total == 0);
	close(fds[1]);
	CHECK(read(fds[0], page, 1) == 0);
	CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP));
}

static void owners(void)
{
	struct stat st;
	int fd;

	enter_fresh_folder();
	fd = open("owned", O_CREAT | O_RDWR, 04711);

	CHECK(fchmod(fd, 06711) == 0 && fchown(fd, 7, 8) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_uid == 7 && st.st_gid == 8);
	CHECK((st.st_mode & 07777) == 0711);
	CHECK(chown("owned", -1, 9) == 0);
	CHECK(stat("owned", &st) == 0 && st.st_uid == 7 && st.st_gid == 9);
	CHECK(symlink("owned", "link") == 0 && lchown("link", 3, 4) == 0);
	CHECK(lstat("link", &st) == 0 && st.st_uid == 3 && st.st_gid == 4);
	CHECK(stat("link", &st) == 0 && st.st_uid == 7);
	close(fd);
}

static void files_below_a_limit(void *unused)
{
	struct rlimit limit = {5000, 6000};
	char page[4096] = {0};
	struct stat st;
	int fd;

	(void)unused;
	enter_fresh_folder();
	fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(write(fd, page, 4096) == 4096);
	CHECK(write(fd, page, 4096) == 5000 - 4096);
	CHECK(write(fd, page, 1) < 0 && errno == EFBIG);
	CHECK(ftruncate(fd, 5001) < 0 && errno == EFBIG);
	CHECK(ftruncate(fd, 5000) == 0);
	CHECK(fallocate(fd, 0, 5000, 1) < 0 && errno == EFBIG);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 5000);
	CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
	write(fd, page, 1);
	CHECK(!"alive after SIGXFSZ");
}

static void ends_by_its_limit(void)
{
	CHECK_KILLED(files_below_a_limit, NULL, SIGXFSZ);
}

/* Devices without positions take them all the same. */
static void positions_of_devices(void)
{
	char byte = 1;
	int fd = open("/dev/zero", O_RDWR);

	CHECK(pread(fd, &byte, 1, 1ll << 40) == 1 && byte == 0);
	CHECK(pwrite(fd, &byte, 1, 7) == 1 && lseek(fd, 0, SEEK_CUR) == 0);
	fd = open("/dev/full", O_RDWR);
	CHECK(pread(fd, &byte, 1, 7) == 1);
	CHECK(pwrite(fd, &byte, 1, 7) < 0 && errno == ENOSPC);
}

static void descriptors_below_a_limit(void)
{
	struct rlimit limit = {20, 20};
	int fd = open("/", O_RDONLY), n;

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(fcntl(fd, F_DUPFD, 20) < 0 && errno == EINVAL);
	CHECK(fcntl(fd, F_DUPFD, 19) == 19);
	CHECK(fcntl(fd, F_DUPFD, 19) < 0 && errno == EMFILE);
	CHECK(dup2(fd, 20) < 0 && errno == EBADF);
	for (n = fd; n >= 0 && n < 20; n = dup(fd))
		;
	CHECK(n < 0 && errno == EMFILE);
}

static void descriptors(void)
{
	int fd = open("/", O_RDONLY);

	CHECK(dup2(fd, 77) == 77 && dup2(77, 77) == 77);
	CHECK(dup2(fd, -1) < 0 && errno == EBADF);
	CHECK(dup2(fd, 1 << 30) < 0 && errno == EBADF);
	CHECK(dup2(999, 5) < 0 && errno == EBADF);
	CHECK(fcntl(fd, F_DUPFD, 50) == 50);
	CHECK(fcntl(fd, F_DUPFD_CLOEXEC, 60) == 60);
	CHECK(fcntl(60, F_GETFD) == FD_CLOEXEC && fcntl(50, F_GETFD) == 0);
	CHECK(fcntl(fd, F_DUPFD, 1 << 30) < 0 && errno == EINVAL);
	CHECK(close(-1) < 0 && close(1 << 30) < 0 && close(78) < 0);
	CHECK(close(77) == 0 && close(77) < 0 && errno == EBADF);
	CHECK(read(-1, NULL, 0) < 0 && errno == EBADF);
}

const struct test file_tests[] = {
	{"write_read_seek", write_read_seek, 0},
	{"unlinked_files_live_on", unlinked_files_live_on, 0},
	{"extended_attributes", extended_attributes, 0},
	{"folders", folders, 0},
	{"listing_sees_every_name_once", listing_sees_every_name_once, 0},
	{"links", links, 0},
	{"long_names", long_names, 0},
	{"deep_folders", deep_folders, 0},
	{"racing_names", racing_names, 0},
	{"pipes_carry_everything", pipes_carry_everything, 0},
	{"pipes_without_an_end", pipes_without_an_end, 0},
	{"full_and_empty_pipes", full_and_empty_pipes, 0},
	{"owners", owners, 0},
	{"descriptors", descriptors, 0},
	{"descriptors_below_a_limit", descriptors_below_a_limit, 0},
	{"ends_by_its_limit", ends_by_its_limit, 0},
	{"positions_of_devices", positions_of_devices, 0},
	{0},
};
