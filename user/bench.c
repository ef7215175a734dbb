/* SPDX-License-Identifier: MIT */
/*
 * What a device costs its process: measured from outside the kernel, with the
 * time-stamp counter, which counts instructions under QEMU's `-icount shift=0`.
 *
 *	bench boot                   ticks since the machine was started
 *	bench give MEGABYTES DEVICE  a process of that size gets the device
 *	bench unmap DEVICE           munmap without the device, and with it
 *
 * A line for each row, as bench/run reads it:
 *
 *	row NAME CPUS PER BEST MEDIAN OPERATIONS DOORBELLS DESCRIPTORS
 *
 * BEST and MEDIAN are the ticks of PER operations, here of one; DOORBELLS and
 * DESCRIPTORS belong to OPERATIONS.
 */
#include <stdbool.h>
#include <sys/wait.h>
#include "udev.h"

#define SAMPLES 64
#define OWNERS 8
#define REST_US 200000

struct sample {
	uint64_t ticks[SAMPLES];
	unsigned count;
	uint64_t doorbells, descriptors;
};

static uint64_t overhead; /* of reading the counter twice */

static int fail(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
	return 1;
}

static inline uint64_t ticks_now(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static void calibrate(void)
{
	overhead = UINT64_MAX;
	for (int i = 0; i < 16; i++) {
		uint64_t from = ticks_now(), ticks = ticks_now() - from;

		if (ticks < overhead)
			overhead = ticks;
	}
}

static uint64_t ticks_since(uint64_t from)
{
	uint64_t ticks = ticks_now() - from;

	return ticks > overhead ? ticks - overhead : 0;
}

/* " name: value" of all units, as /sys/dmar/stats has it. */
static uint64_t counter(const char *text, const char *name)
{
	char wanted[32];
	uint64_t sum = 0;

	snprintf(wanted, sizeof(wanted), "\n %s: ", name);
	while ((text = strstr(text, wanted))) {
		text += strlen(wanted);
		sum += strtoull(text, NULL, 10);
	}
	return sum;
}

/* Adds to (sign 1) or takes from (sign -1) the sample what was asked of the
 * units until now. No memory is allocated for it: to give that back would be an
 * operation that counts. */
static void count(struct sample *s, int sign)
{
	static char text[16384];
	int fd = open("/sys/dmar/stats", O_RDONLY);
	size_t length = 0;
	ssize_t n;

	while (fd >= 0 && length < sizeof(text) - 1 &&
		(n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	if (fd >= 0)
		close(fd);
	s->doorbells += (uint64_t)sign * counter(text, "doorbells");
	s->descriptors += (uint64_t)sign * counter(text, "descriptors");
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print_row(const char *name, struct sample *s)
{
	qsort(s->ticks, s->count, sizeof(*s->ticks), by_size);
	printf("row %s 1 1 %llu %llu %u %llu %llu\n", name,
		(unsigned long long)s->ticks[0],
		(unsigned long long)s->ticks[s->count / 2], s->count,
		(unsigned long long)s->doorbells,
		(unsigned long long)s->descriptors);
}

/* Memory that is really there. */
static char *memory(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t at = 0; p != MAP_FAILED && at < size; at += UDEV_PAGE)
		((volatile char *)p)[at] = 1;
	return p == MAP_FAILED ? NULL : p;
}

/* ------------------------------------------------------------------ attach */

/* One process, one device: how long the write to attach takes. */
static int give_one(size_t size, const struct udev *d, uint64_t *out_ticks)
{
	int fd, length, pipe_fd[2], status;
	char name[16], line[48];
	pid_t pid;

	if (pipe(pipe_fd) < 0)
		return -errno;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		uint64_t from, ticks;

		fd = open(UDEV_IOMMU "/attach", O_WRONLY);
		udev_name(d, name);
		length = snprintf(
			line, sizeof(line), "%s %d\n", name, (int)getpid());
		if (fd < 0 || !memory(size))
			_exit(1);
		from = ticks_now();
		if (write(fd, line, (size_t)length) != length)
			_exit(1);
		ticks = ticks_since(from);
		_exit(write(pipe_fd[1], &ticks, sizeof(ticks)) !=
			sizeof(ticks));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status ||
		read(pipe_fd[0], out_ticks, sizeof(*out_ticks)) !=
			sizeof(*out_ticks))
		status = -EIO;
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return status;
}

/* A device that cannot be reset rests for a while between two owners. It does
 * so here, so that the time is not a part of the next attach. */
static int give(const char *megabytes, const struct udev *d)
{
	size_t size = (size_t)strtoul(megabytes, NULL, 10) << 20;
	struct sample s = {0};
	char row[32];

	while (s.count < OWNERS) {
		int error;

		usleep(REST_US);
		error = give_one(size, d, &s.ticks[s.count]);
		if (error)
			return fail("attach", error < 0 ? -error : EIO);
		s.count++;
	}
	snprintf(row, sizeof(row), "give-%sm", megabytes);
	print_row(row, &s);
	return 0;
}

/* ------------------------------------------------------------------ munmap */

static int unmap_pages(const char *row, size_t size)
{
	struct sample s = {0};

	count(&s, -1);
	for (; s.count < SAMPLES; s.count++) {
		char *p = memory(size);
		uint64_t from;

		if (!p)
			return fail("mmap", errno);
		from = ticks_now();
		if (munmap(p, size) < 0)
			return fail("munmap", errno);
		s.ticks[s.count] = ticks_since(from);
	}
	count(&s, 1);
	print_row(row, &s);
	return 0;
}

/* Memory made and given back: what the device can use in between needs no call
 * of its own. */
static int cycle(const char *row)
{
	struct sample s = {0};

	count(&s, -1);
	for (; s.count < SAMPLES; s.count++) {
		uint64_t from = ticks_now();
		char *p = memory(UDEV_PAGE);

		if (!p || munmap(p, UDEV_PAGE) < 0)
			return fail("mmap", errno);
		s.ticks[s.count] = ticks_since(from);
	}
	count(&s, 1);
	print_row(row, &s);
	return 0;
}

static int unmap_all(bool owner)
{
	return unmap_pages(
		       owner ? "munmap-4k-owner" : "munmap-4k", UDEV_PAGE) ||
		unmap_pages(owner ? "munmap-1m-owner" : "munmap-1m", 1 << 20) ||
		cycle(owner ? "page-cycle-owner" : "page-cycle");
}

static int unmap(const struct udev *d)
{
	int error;

	if (unmap_all(false))
		return 1;
	usleep(REST_US);
	error = udev_attach(d);
	if (error)
		return fail("attach", -error);
	return unmap_all(true);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: bench boot | give MEGABYTES DEVICE | unmap DEVICE\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct sample now = {.ticks = {ticks_now()}, .count = 1};
	struct udev d;

	calibrate();
	if (argc == 2 && !strcmp(argv[1], "boot")) {
		print_row("boot", &now);
		return 0;
	}
	if (argc < 3 || udev_parse(&d, argv[argc - 1]))
		return usage();
	if (argc == 4 && !strcmp(argv[1], "give"))
		return give(argv[2], &d);
	if (argc == 3 && !strcmp(argv[1], "unmap"))
		return unmap(&d);
	return usage();
}
