/* SPDX-License-Identifier: MIT */
/* Everything used up: the kernel refuses or ends the one that asks too much. */
#include "usertests.h"

static void open_everything(void *unused)
{
	int n = 0, fd, last = -1;

	(void)unused;
	while ((fd = open("/", O_RDONLY)) >= 0 && n < 100000) {
		last = fd;
		n++;
	}
	CHECK(n < 100000 && errno == EMFILE);
	CHECK(pipe((int[2]){0}) < 0 && errno == EMFILE);
	close(last);
	CHECK(open("/", O_RDONLY) == last);
}

static void descriptors_run_out(void)
{
	CHECK_EXITED(open_everything, NULL, 0);
	CHECK(open("/", O_RDONLY) >= 0);
}

static void nothing(void *unused)
{
	(void)unused;
}

/* Processes until there are no more; all of them go when the reader does. */
static void fork_bomb(void)
{
	int fds[2], n = 0;
	pid_t group = fork();
	int status;

	CHECK(group >= 0);
	if (group == 0) {
		setpgid(0, 0);
		CHECK(pipe(fds) == 0);
		while (n < 3000) {
			pid_t pid = fork();

			if (pid < 0)
				break;
			if (pid == 0) {
				char c;

				close(fds[1]);
				read(fds[0], &c, 1);
				_exit(0);
			}
			n++;
		}
		close(fds[1]);
		while (wait(NULL) > 0)
			n--;
		_exit(n != 0);
	}
	CHECK(waitpid(group, &status, 0) == group);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK_EXITED(nothing, NULL, 0);
}

static void take_all_memory(void *touch)
{
	const size_t piece = 4 << 20;

	for (;;) {
		char *p = mmap(NULL, piece, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(55);
		if (touch)
			for (size_t i = 0; i < piece; i += PAGE)
				p[i] = 1;
	}
}

/* Either the call fails or the one who takes it all is killed; never another.
 */
static void memory_runs_out(void)
{
	for (int round = 0; round < 2; round++) {
		int status = in_child(take_all_memory, (void *)1);

		CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 55) ||
			(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
	char *p = malloc(1 << 20);
	CHECK(p);
	memset(p, 1, 1 << 20);
}

static void fill_files(void *unused)
{
	char *block = calloc(1, 1 << 20);
	int fd = open("/tmp/fill", O_WRONLY | O_CREAT, 0600);

	(void)unused;
	CHECK(fd >= 0 && block);
	for (int i = 0; i < 8192; i++)
		if (write(fd, block, 1 << 20) <= 0)
			_exit(errno == ENOSPC || errno == ENOMEM ? 55 : 56);
}

static void files_run_out(void)
{
	int status = in_child(fill_files, NULL), fd;

	CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 55) ||
		(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	CHECK(unlink("/tmp/fill") == 0);
	fd = open("/tmp/after", O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	unlink("/tmp/after");
}

static void many_pipes(void *unused)
{
	int fds[2];

	(void)unused;
	for (int i = 0; i < 100000; i++) {
		if (pipe2(fds, O_NONBLOCK) < 0)
			_exit(errno == EMFILE || errno == ENFILE ? 0 : 1);
		while (write(fds[1], "0123456789abcdef", 16) > 0)
			;
	}
	_exit(2);
}

static void pipes_run_out(void)
{
	CHECK_EXITED(many_pipes, NULL, 0);
}

static void many_mappings(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200000; i++) {
		int prot = i & 1 ? PROT_READ : PROT_NONE; /* never merged */

		if (mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) == MAP_FAILED)
			_exit(errno == ENOMEM ? 0 : 1);
	}
	_exit(0);
}

static void mappings_run_out(void)
{
	CHECK_EXITED(many_mappings, NULL, 0);
}

const struct test limit_tests[] = {
	{"descriptors_run_out", descriptors_run_out, 0},
	{"pipes_run_out", pipes_run_out, 0},
	{"mappings_run_out", mappings_run_out, 1},
	{"fork_bomb", fork_bomb, 1},
	{"files_run_out", files_run_out, 1},
	{"memory_runs_out", memory_runs_out, 1},
	{0},
};
