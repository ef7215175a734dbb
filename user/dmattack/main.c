/* SPDX-License-Identifier: MIT */
/*
 * dmattack [BUS:DEVICE.FUNCTION [NAME...]]: try to reach, with a device of
 * one's own, memory that is not one's own. The last line says how many attacks
 * were warded off; the exit status is 0 only if all were.
 */
#include "attack.h"

struct udev target;
volatile void *edu;
const char *own_name;

static int faults = -1;

static const struct attack *const tables[] = {
	address_attacks,
	change_attacks,
	life_attacks,
	file_attacks,
	pci_attacks,
	storm_attacks,
};

static int new_fault_lines(int wait_ms);

void take(void)
{
	CHECK(udev_attach(&target) == 0);
	edu = udev_map(&target, 0, NULL);
	CHECK(edu);
	new_fault_lines(0);
}

char *get_pages(size_t n)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

int is_listed(pid_t pid)
{
	char *text = udev_read_file(UDEV_IOMMU "/mappings"), line[32];
	int listed;

	CHECK(text);
	snprintf(line, sizeof(line), " pid = %d\n", (int)pid);
	listed = strstr(text, line) != NULL;
	free(text);
	return listed;
}

void device_fill(uint64_t address, int value, size_t n)
{
	static char bytes[EDU_BUFFER_SIZE];

	CHECK(n <= sizeof(bytes));
	memset(bytes, value, n);
	edu_load(edu, (uintptr_t)bytes, n);
	edu_store(edu, address, n);
}

int device_sees(uint64_t address, size_t n, char *out)
{
	static char bytes[EDU_BUFFER_SIZE];

	CHECK(n <= sizeof(bytes));
	memset(bytes, 0, n);
	edu_load(edu, address, n);
	edu_store(edu, (uintptr_t)bytes, n);
	if (out)
		memcpy(out, bytes, n);
	return !all_are(bytes, 0, n);
}

/* The file is opened once, so each line is seen once. */
static int new_fault_lines(int wait_ms)
{
	char text[4096];
	int lines = 0;
	ssize_t n;

	if (faults < 0)
		faults = open(
			"/sys/dmar/faults", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(faults >= 0);
	struct pollfd p = {.fd = faults, .events = POLLIN};
	poll(&p, 1, wait_ms);
	while ((n = read(faults, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return lines;
}

int was_refused(void)
{
	return new_fault_lines(2000) > 0;
}

int was_not_refused(void)
{
	return new_fault_lines(20) == 0;
}

int all_are(const char *p, int value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != (char)value)
			return 0;
	return 1;
}

struct canary plant_canary(size_t size)
{
	struct canary c = {.size = size};

	c.memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(c.memory != MAP_FAILED);
	memset(c.memory, 0x5c, size);
	return c;
}

int canary_lives(const struct canary *c)
{
	return all_are(c->memory, 0x5c, c->size);
}

void let_transfers_end(void)
{
	usleep(250000);
}

static int warded_off(const struct attack *a)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		a->run();
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		printf("  ended by signal %d\n", WTERMSIG(status));
	/* The next owner shall not meet what is still under way. */
	let_transfers_end();
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int chosen(const struct attack *a, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], a->name))
			return 1;
	return argc == 0 && !a->long_one;
}

/* Run again by exec: whether the device was taken away on the way. */
int after_exec(uint64_t address);

int main(int argc, char **argv)
{
	int good = 0, bad = 0;

	own_name = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "-after-exec"))
		return after_exec(strtoull(argv[2], NULL, 0));
	if (udev_parse(&target, argc > 1 ? argv[1] : "00:03.0")) {
		fprintf(stderr,
			"usage: dmattack [BUS:DEVICE.FUNCTION "
			"[NAME...]]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct attack *a = tables[i]; a->name; a++) {
			if (!chosen(a, argc - 2, argv + 2))
				continue;
			int ok = warded_off(a);

			printf("%s %s\n", ok ? "ok  " : "FAIL", a->name);
			ok ? good++ : bad++;
		}
	printf("dmattack: %d warded off, %d got through\n", good, bad);
	return bad || !good;
}
