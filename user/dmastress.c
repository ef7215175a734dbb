/* SPDX-License-Identifier: MIT */
/*
 * dmastress [-n ROUNDS] [-s SEED] [BUS:DEVICE.FUNCTION]: again and again a
 * process takes the device, lets it write to its memory without a pause, and is
 * killed at a random moment. After each death the device must be free, and not
 * a byte of anybody's memory may change; at the end no page may be missing.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>

#include "stress.h"
#include "edu.h"

#define CANARY (4ul << 20)
#define CHURN (64 * 4096ul)
/* Rounds before the free pages are counted: what is made once is made by then.
 */
#define WARM_UP 20
/* Caches may hold some pages; one lost in every round is many more. */
#define TOLERANCE_KB 256

static struct udev device;
static char *canary;

static void die(const char *what, int round)
{
	printf("dmastress: round %d: %s\n", round, what);
	exit(1);
}

/* The victim: transfers, and mappings that come and go meanwhile. */
static void work(int ready)
{
	volatile void *edu = NULL;
	char *p = mmap(NULL, CHURN, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || udev_attach(&device) ||
		!(edu = udev_map(&device, 0, NULL)))
		_exit(1);
	memset(p, 0xcc, EDU_BUFFER_SIZE);
	edu_start_load(edu, (uintptr_t)p, EDU_BUFFER_SIZE);
	if (write(ready, "!", 1) != 1)
		_exit(1);
	for (uint64_t i = 0;; i++) {
		char *q = mmap(NULL, CHURN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (!edu_running(edu))
			edu_start_store(edu, (uintptr_t)p, EDU_BUFFER_SIZE);
		if (q != MAP_FAILED) {
			q[i * 4096 % CHURN] = 1;
			munmap(q, CHURN);
		}
	}
}

static void check_free(pid_t pid, int round)
{
	char *text = udev_read_file(UDEV_IOMMU "/mappings"), line[32];

	snprintf(line, sizeof(line), " pid = %d\n", (int)pid);
	if (!text || strstr(text, line))
		die("a dead process owns a device", round);
	free(text);
}

static void check_canary(int round)
{
	for (size_t i = 0; i < CANARY; i += 8)
		if (*(uint64_t *)(canary + i) != 0x5c5c5c5c5c5c5c5c)
			die("memory was overwritten", round);
}

static void one_round(int round)
{
	int fds[2], status;
	char c;
	pid_t pid;

	if (pipe(fds) < 0 || (pid = fork()) < 0)
		die("no process", round);
	if (pid == 0)
		work(fds[1]);
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		die("the device is not to be had", round);
	close(fds[0]);
	usleep((useconds_t)(random64() % 120000));
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		die("the process did not die of it", round);
	/* Fresh pages: those of the dead are among them. */
	canary = mmap(NULL, CANARY, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (canary == MAP_FAILED)
		die("out of memory", round);
	memset(canary, 0x5c, CANARY);
	check_free(pid, round);
	usleep((useconds_t)(random64() % 120000));
	check_canary(round);
	munmap(canary, CANARY);
}

int main(int argc, char **argv)
{
	int c, rounds = 500;
	long before = 0, lost;

	seed = (uint64_t)time(NULL) * 2654435761u | 1;
	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		if (c == 'n')
			rounds = atoi(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0) | 1;
		else
			return 2;
	}
	if (udev_parse(&device, optind < argc ? argv[optind] : "00:03.0"))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("dmastress: seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < rounds + WARM_UP; round++) {
		if (round == WARM_UP)
			before = free_kb();
		one_round(round);
	}
	lost = before - free_kb();
	printf("dmastress: %d rounds, %ld kB of memory lost\n", rounds, lost);
	return before <= 0 || lost > TOLERANCE_KB;
}
