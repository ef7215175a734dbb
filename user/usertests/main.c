/* SPDX-License-Identifier: MIT */
/*
 * usertests [-a] [-s SEED] [NAME...]: attack the kernel from user space. Every
 * test must leave the kernel able to run the next one. The last line says how
 * many passed; the exit status is 0 only if all did.
 */
#include "usertests.h"

#include <time.h>

uint64_t seed;

static const struct test *const tables[] = {
	pointer_tests,
	memory_tests,
	cpu_tests,
	signal_tests,
	file_tests,
	process_tests,
	exec_tests,
	limit_tests,
	event_tests,
};

int in_child(void (*f)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		f(arg);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

char *pages_before_hole(size_t n)
{
	char *p = mmap(NULL, (n + 1) * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(munmap(p + n * PAGE, PAGE) == 0);
	return p;
}

uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void run_test(void *test)
{
	((const struct test *)test)->run();
}

static int passes(const struct test *t)
{
	int status = in_child(run_test, (void *)t);

	if (WIFSIGNALED(status))
		printf("  ended by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int chosen(const struct test *t, int all, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], t->name))
			return 1;
	return argc == 0 && (all || !t->slow);
}

int main(int argc, char **argv)
{
	int c, all = 0, good = 0, bad = 0;

	opterr = 0;
	seed = (uint64_t)time(NULL) * 2654435761u | 1;
	while ((c = getopt(argc, argv, "as:")) != -1) {
		if (c == 'a')
			all = 1;
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0) | 1;
		else
			return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("usertests: seed %llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct test *t = tables[i]; t->name; t++) {
			if (!chosen(t, all, argc - optind, argv + optind))
				continue;
			int ok = passes(t);

			printf("%s %s\n", ok ? "ok  " : "FAIL", t->name);
			ok ? good++ : bad++;
		}
	printf("usertests: %d passed, %d failed\n", good, bad);
	return bad || !good;
}
