/* SPDX-License-Identifier: MIT */
/*
 * udev-kill [OPTIONS] COMMAND [ARGUMENT...]: start a driver, kill it at a
 * random moment, look whether anything is left of it, and begin again.
 *
 * Half of the rounds kill at any time, attaching included; the other half wait
 * until the driver has its device. A driver that ends before it is killed must
 * have succeeded: the device works, whatever happened to the one before.
 * Between the first rounds and the last no memory, no interrupt entry, no
 * domain id and no owner may have been lost.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>

#include "stress.h"

#define WARM_UP 5
#define TOLERANCE_KB 64 /* the console and this process change a little */
#define SETTLE_NS 2000000000ull

struct options {
	unsigned rounds, longest_ms;
	int verbose;
	char **command;
};

struct state {
	long free_kb;
	char *interrupts, *mappings;
	long domain_ids;
};

static void die(const char *what, unsigned round)
{
	fprintf(stderr, "\nudev-kill: round %u: %s\n", round, what);
	exit(1);
}

/* Of all units together; -1: not said. */
static long domain_ids(void)
{
	static const char word[] = " domain ids: ";
	char *text = udev_read_file("/sys/dmar/stats"), *at = text;
	long sum = -1;

	while (at && (at = strstr(at, word))) {
		at += sizeof(word) - 1;
		sum = (sum < 0 ? 0 : sum) + strtol(at, NULL, 10);
	}
	free(text);
	return sum;
}

static struct state look(void)
{
	return (struct state){free_kb(), udev_read_file("/sys/dmar/interrupts"),
		udev_read_file(UDEV_IOMMU "/mappings"), domain_ids()};
}

static int has_device(pid_t pid)
{
	char *text = udev_read_file(UDEV_IOMMU "/mappings"), line[32];
	int found;

	snprintf(line, sizeof(line), " pid = %d\n", (int)pid);
	found = text && strstr(text, line);
	free(text);
	return found;
}

static pid_t start(const struct options *o, unsigned round)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		die("no process", round);
	if (pid)
		return pid;
	null = open("/dev/null", O_RDWR);
	if (!o->verbose) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	dup2(null, STDIN_FILENO);
	execvp(o->command[0], o->command);
	_exit(127);
}

/* True: the driver ended by itself. */
static int reap(pid_t pid, int signo, int *status, unsigned round)
{
	if (signo)
		kill(pid, signo);
	if (waitpid(pid, status, signo ? 0 : WNOHANG) != pid) {
		if (signo)
			die("the process is lost", round);
		return 0;
	}
	if (WIFEXITED(*status) && WEXITSTATUS(*status) == 0)
		return 1;
	if (!signo || !WIFSIGNALED(*status)) {
		fprintf(stderr, "\nstatus 0x%x", *status);
		die("the driver failed", round);
	}
	return 0;
}

/* Returns 1 if the driver was killed, 0 if it was done before. */
static int one_round(const struct options *o, unsigned round)
{
	static const int signals[] = {
		SIGKILL, SIGKILL, SIGKILL, SIGSEGV, SIGTERM, SIGINT};
	pid_t pid = start(o, round);
	int ended = 0, status;

	if (random64() % 2)
		while (!ended && !has_device(pid))
			ended = reap(pid, 0, &status, round);
	if (!ended) {
		usleep((useconds_t)(random64() % (o->longest_ms * 1000ull)));
		ended = reap(pid,
			signals[random64() %
				(sizeof(signals) / sizeof(signals[0]))],
			&status, round);
	}
	if (has_device(pid))
		die("a dead process owns a device", round);
	return !ended;
}

/* What ends a process may still be at work for a moment when it is reaped. */
static long lost_kb(long before)
{
	uint64_t deadline = udev_now_ns() + SETTLE_NS;
	long lost;

	while ((lost = before - free_kb()) > TOLERANCE_KB &&
		udev_now_ns() < deadline)
		usleep(10000);
	return lost;
}

static int same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static int run(const struct options *o)
{
	struct state before = {0}, after;
	unsigned killed = 0;
	long lost;

	for (unsigned round = 0; round < o->rounds + WARM_UP; round++) {
		if (round == WARM_UP)
			before = look();
		int was_killed = one_round(o, round);

		killed += was_killed && round >= WARM_UP;
		if (round % 10 == 9)
			fprintf(stderr, "\r%u rounds", round + 1 - WARM_UP);
	}
	lost = lost_kb(before.free_kb);
	after = look();
	printf("\n%u rounds, %u killed, %u done before; %ld kB lost\n",
		o->rounds, killed, o->rounds - killed, lost);
	if (before.free_kb < 0 || lost > TOLERANCE_KB)
		die("memory is lost", o->rounds);
	if (!same(before.interrupts, after.interrupts))
		die("interrupt entries are lost", o->rounds);
	if (before.domain_ids < 0 || before.domain_ids != after.domain_ids)
		die("domain ids are lost", o->rounds);
	if (!same(before.mappings, after.mappings))
		die("the owners differ", o->rounds);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = 200, .longest_ms = 200};
	int c;

	seed = udev_now_ns() * 2654435761u | 1;
	while ((c = getopt(argc, argv, "+n:t:s:v")) != -1) {
		if (c == 'n')
			o.rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't')
			o.longest_ms = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0) | 1;
		else if (c == 'v')
			o.verbose = 1;
		else
			optind = argc;
	}
	o.command = argv + optind;
	if (optind >= argc || !o.longest_ms) {
		fprintf(stderr,
			"usage: udev-kill [-n ROUNDS] [-t MILLISECONDS] "
			"[-s SEED] [-v] COMMAND [ARGUMENT...]\n");
		return 2;
	}
	fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
	return run(&o);
}
