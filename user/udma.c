/* SPDX-License-Identifier: MIT */
/*
 * udma [OPTIONS] [BUS:DEVICE.FUNCTION]: take a device, let it copy one buffer
 * of this process to another, and give it back. The device is told plain
 * pointers: once it is attached to the process, it sees what the process sees.
 * With -f it computes a factorial instead, and says by an interrupt that it is
 * done; with -w it is told an address that is not the process's; with -l it
 * copies until the process is killed.
 *
 * The device is QEMU's "edu"; $UDMA names it when the command line does not.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/syscall.h>

#include "udev.h"
#include "edu.h"

#define MAX_SIZE (1024u * 1024)
#define MAX_OFFSET 4096u
#define ROOM (MAX_SIZE + MAX_OFFSET)
#define HUGE_PAGE (2u * 1024 * 1024)

struct options {
	size_t size;
	size_t offset; /* of both buffers from a page boundary */
	const char *kind;
	const char *policy;      /* on a fault; NULL: as it is */
	unsigned long factorial; /* 0: copy */
	int quiet, wild, loop;
};

static char static_source[ROOM] __attribute__((aligned(4096)));
static char static_target[ROOM] __attribute__((aligned(4096)));

static void usage(void)
{
	fprintf(stderr,
		"usage: udma [-q] [-n SIZE] [-o OFFSET] [-k KIND] "
		"[BUS:DEVICE.FUNCTION]\n"
		"       udma [-q] -f N | -l | -w [BUS:DEVICE.FUNCTION]\n"
		"  -n  bytes to copy, 1 to 1048576 (default 64)\n"
		"  -o  offset of the buffers in their pages, 0 to 4095\n"
		"  -k  where they lie: heap (default), stack, mmap, static, "
		"huge\n"
		"  -f  compute a factorial; an interrupt says when it is "
		"done\n"
		"  -l  copy until killed\n"
		"  -w  let the device write behind the end of the heap\n"
		"  -p  what happens then: log (default), sigbus, detach\n"
		"  -q  say nothing unless it fails\n");
	exit(2);
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "udma: %s: %s\n", what, strerror(-error));
	return 1;
}

static void *map(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A page-aligned buffer of ROOM bytes; on_stack is the caller's. */
static char *get_buffer(const char *kind, char *on_stack, char *in_data)
{
	if (!strcmp(kind, "stack"))
		return on_stack;
	if (!strcmp(kind, "static"))
		return in_data;
	if (!strcmp(kind, "heap"))
		return aligned_alloc(4096, ROOM);
	if (!strcmp(kind, "mmap"))
		return map(ROOM, 0);
	if (!strcmp(kind, "huge"))
		return map(HUGE_PAGE, MAP_HUGETLB);
	usage();
	return NULL;
}

static void fill(char *buffer, size_t size)
{
	static const char text[] = "written by the processor, carried by the "
				   "device: ";

	for (size_t i = 0; i < size; i++)
		buffer[i] = (char)(i * 31 + (i >> 8));
	memcpy(buffer, text, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
}

static void show(
	const char *when, const char *name, const char *buffer, size_t size)
{
	printf("%-6s  %s %p  ", when, name, (const void *)buffer);
	for (size_t i = 0; i < size && i < 40; i++)
		putchar(buffer[i] >= ' ' && buffer[i] <= '~' ? buffer[i] : '.');
	puts(size > 40 ? " ..." : "");
}

static void show_mappings(void)
{
	char *text = udev_read_file(UDEV_IOMMU "/mappings");

	fputs(text ? text : "mappings cannot be read\n", stdout);
	free(text);
}

static void copy(volatile void *edu, const char *from, char *to, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t n = size - done;

		if (n > EDU_BUFFER_SIZE)
			n = EDU_BUFFER_SIZE;
		edu_load(edu, (uintptr_t)from + done, n);
		edu_store(edu, (uintptr_t)to + done, n);
		done += n;
	}
}

/* The bytes around the target must not have changed either. */
static int arrived(const char *from, const char *to, const char *room,
	size_t offset, size_t size)
{
	if (memcmp(from, to, size) != 0)
		return 0;
	for (size_t i = 0; i < ROOM; i++)
		if ((i < offset || i >= offset + size) && room[i])
			return 0;
	return 1;
}

static int run(const struct udev *d, const struct options *o, char *source,
	char *target)
{
	char *from = source + o->offset, *to = target + o->offset;
	volatile void *edu = NULL;
	int error, good;

	memset(target, 0, ROOM);
	fill(from, o->size);
	error = udev_attach(d);
	if (error)
		return fail("attach", error);
	edu = udev_map(d, 0, NULL);
	if (!edu) {
		error = -errno;
		udev_detach(d);
		return fail("map the registers", error);
	}
	if (!o->quiet) {
		show("before", "source", from, o->size);
		show("", "target", to, o->size);
		show_mappings();
	}
	copy(edu, from, to, o->size);
	if (!o->quiet) {
		show("after", "source", from, o->size);
		show("", "target", to, o->size);
	}
	munmap((void *)edu, EDU_BAR_SIZE);
	error = udev_detach(d);
	if (error)
		return fail("detach", error);

	good = arrived(from, to, target, o->offset, o->size);
	if (!good)
		fprintf(stderr, "udma: the copy differs\n");
	else if (!o->quiet)
		printf("%zu bytes, and every one arrived\n", o->size);
	return !good;
}

/* The device's arithmetic is that of 32 bits, and so is the check. */
static int factorial_matches(uint32_t n, uint32_t result)
{
	uint32_t product = 1;

	for (; n; n--)
		product *= n;
	return product == result;
}

/* The device computes at its own pace. The processor is kept awake at first: in
 * an emulator whose clock jumps while all processors sleep, the time for it
 * would be over at once. */
static int64_t await_interrupt(int irq)
{
	uint64_t end = udev_now_ns() + 2000000000;
	int64_t came;

	do
		came = udev_irq_wait(irq, 0);
	while (!came && udev_now_ns() < end);
	return came ? came : udev_irq_wait(irq, 5000);
}

static int is_computing(volatile void *edu)
{
	return !!(udev_read32(edu, EDU_STATUS) & EDU_COMPUTING);
}

/* This device cannot be reset: it may still be at what an earlier owner asked
 * for, and takes no other number meanwhile. */
static int await_idle(volatile void *edu)
{
	uint64_t end = udev_now_ns() + 30000000000;

	while (is_computing(edu))
		if (udev_now_ns() > end)
			return -EBUSY;
	return 0;
}

/* One number in, one interrupt, one number out. An interrupt that comes before
 * the number is an earlier owner's. */
static int compute(volatile void *edu, int irq, uint32_t n, int quiet)
{
	int error = await_idle(edu);
	uint32_t result;
	int64_t came;

	if (error)
		return fail("wait for the device", error);
	udev_write32(edu, EDU_STATUS, EDU_INTERRUPT_WHEN_DONE);
	udev_write32(edu, EDU_FACTORIAL, n);
	do {
		came = await_interrupt(irq);
		if (came <= 0)
			return fail("wait for the interrupt",
				came ? (int)came : -ETIMEDOUT);
	} while (is_computing(edu));
	udev_write32(
		edu, EDU_INTERRUPT_ACK, udev_read32(edu, EDU_INTERRUPT_STATUS));
	result = udev_read32(edu, EDU_FACTORIAL);
	if (!factorial_matches(n, result)) {
		fprintf(stderr, "udma: %u is not the factorial of %u\n", result,
			n);
		return 1;
	}
	if (!quiet)
		printf("%u! = %u (in 32 bits), after %lld interrupt%s\n", n,
			result, (long long)came, came == 1 ? "" : "s");
	return 0;
}

static volatile uintptr_t signalled;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	signalled = (uintptr_t)info->si_addr;
}

/* With the policy "sigbus" the owner hears of its fault, and where it was. */
static int await_signal(uintptr_t target)
{
	for (int i = 0; !signalled && i < 100; i++)
		usleep(10000);
	if (signalled != target) {
		fprintf(stderr, "udma: no signal, or one for %p\n",
			(void *)signalled);
		return 1;
	}
	printf("a signal says that it was %p\n", (void *)target);
	return 0;
}

/* With the policy "detach" the device is taken, its registers with it: reading
 * them is SIGBUS soon. */
static int await_loss(volatile void *edu)
{
	for (int i = 0; i < 100; i++) {
		udev_read32(edu, 0);
		usleep(10000);
	}
	fprintf(stderr, "udma: the device was not taken\n");
	return 1;
}

/* A mistake as a driver makes it: the buffer ended earlier than it thought. */
static int go_wild(volatile void *edu, const struct options *o)
{
	uintptr_t heap_end = (uintptr_t)syscall(SYS_brk, 0), target;
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	int sigbus = o->policy && !strcmp(o->policy, "sigbus");
	int detached = o->policy && !strcmp(o->policy, "detach");

	if (sigbus)
		sigaction(SIGBUS, &action, NULL);
	heap_end = (uintptr_t)syscall(SYS_brk, heap_end + 2 * UDEV_PAGE);
	target = heap_end + UDEV_PAGE;
	if (!o->quiet)
		printf("the heap ends at %p, the device writes to %p\n",
			(void *)heap_end, (void *)target);
	fflush(stdout);
	edu_store(edu, target, 64);
	if (sigbus)
		return await_signal(target);
	return detached ? await_loss(edu) : 0;
}

static int loop(volatile void *edu, const struct options *o)
{
	char *from = static_source, *to = static_target;

	if (!o->quiet)
		printf("pid %d copies %zu bytes, again and again\n",
			(int)getpid(), o->size);
	fflush(stdout);
	for (unsigned long n = 1;; n++) {
		fill(from, o->size);
		from[0] = (char)n;
		copy(edu, from, to, o->size);
		if (memcmp(from, to, o->size) != 0) {
			fprintf(stderr, "udma: copy %lu differs\n", n);
			return 1;
		}
	}
}

static int run_other(const struct udev *d, const struct options *o)
{
	volatile void *edu;
	int result, error = udev_attach(d);

	if (error)
		return fail("attach", error);
	edu = udev_map(d, 0, NULL);
	if (!edu)
		return fail("map the registers", -errno);
	if (o->policy)
		error = udev_ctl(d, "faults %s", o->policy);
	if (error)
		return fail("choose what happens on a fault", error);
	result = o->loop ? loop(edu, o) : go_wild(edu, o);
	error = udev_detach(d);
	return error ? fail("detach", error) : result;
}

static int run_factorial(const struct udev *d, const struct options *o)
{
	volatile void *edu;
	int irq, result, error = udev_attach(d);

	if (error)
		return fail("attach", error);
	edu = udev_map(d, 0, NULL);
	if (!edu)
		return fail("map the registers", -errno);
	error = udev_ctl(d, "msi 1");
	irq = error ? error : udev_irq_open(d, 0);
	if (irq < 0)
		return fail("enable the interrupt", irq);
	result = compute(edu, irq, (uint32_t)o->factorial, o->quiet);
	close(irq);
	error = udev_detach(d);
	return error ? fail("detach", error) : result;
}

int main(int argc, char **argv)
{
	struct options o = {.size = 64, .kind = "heap"};
	char stack_source[ROOM] __attribute__((aligned(4096)));
	char stack_target[ROOM] __attribute__((aligned(4096)));
	const char *name = getenv("UDMA");
	struct udev d;
	char *source, *target;
	int c;

	while ((c = getopt(argc, argv, "qn:o:k:f:lwp:")) != -1) {
		if (c == 'q')
			o.quiet = 1;
		else if (c == 'n')
			o.size = strtoul(optarg, NULL, 0);
		else if (c == 'o')
			o.offset = strtoul(optarg, NULL, 0);
		else if (c == 'k')
			o.kind = optarg;
		else if (c == 'l')
			o.loop = 1;
		else if (c == 'p')
			o.policy = optarg;
		else if (c == 'w')
			o.wild = 1;
		else if (c == 'f')
			o.factorial = strtoul(optarg, NULL, 0);
		else
			usage();
	}
	if (optind < argc)
		name = argv[optind++];
	if (!name || optind < argc || udev_parse(&d, name) || !o.size ||
		o.size > MAX_SIZE || o.offset >= MAX_OFFSET)
		usage();
	if (o.factorial)
		return run_factorial(&d, &o);
	if (o.loop || o.wild)
		return run_other(&d, &o);
	source = get_buffer(o.kind, stack_source, static_source);
	target = get_buffer(o.kind, stack_target, static_target);
	if (!source || !target)
		return fail("get two buffers", -errno);
	return run(&d, &o, source, target);
}
