/* SPDX-License-Identifier: MIT */
/*
 * Starting QEMU, its test protocol, configuration space, the firmware's tables
 * and the edu device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "qemu.h"

static void die(const char *what)
{
	perror(what);
	exit(99);
}

/* ---- the process ---- */

/** A firmware that only sleeps. */
static void make_rom(const char *path)
{
	static uint8_t rom[65536];
	FILE *file = fopen(path, "w");

	memcpy(rom + 0xfff0, "\xfa\xf4\xeb\xfd", 4); /* cli; hlt; again */
	if (!file || fwrite(rom, sizeof(rom), 1, file) != 1 || fclose(file))
		die(path);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)) ||
		listen(fd, 1))
		die(path);
	return fd;
}

static void exec_qemu(struct qemu *q, const char *socket_path, const char *unit,
	const char *const *extra)
{
	const char *program = getenv("QEMU");
	char memory[160], device[160], test[96];
	const char *arg[64];
	unsigned n = 0;

	if (!program)
		program = "qemu-system-x86_64";
	snprintf(memory, sizeof(memory),
		"memory-backend-file,id=ram,size=%u,mem-path=%s,share=on",
		QEMU_MEMORY, q->memory_path);
	snprintf(device, sizeof(device), "intel-iommu,%s", unit);
	snprintf(test, sizeof(test), "unix:%s", socket_path);
	arg[n++] = program;
	arg[n++] = "-machine";
	arg[n++] = "q35,memory-backend=ram,kernel-irqchip=split";
	arg[n++] = "-accel";
	arg[n++] = "tcg";
	/* Time jumps to the next timer while the CPU sleeps. */
	arg[n++] = "-icount";
	arg[n++] = "shift=10,sleep=off";
	arg[n++] = "-bios";
	arg[n++] = q->rom_path;
	arg[n++] = "-m";
	arg[n++] = "64";
	arg[n++] = "-object";
	arg[n++] = memory;
	arg[n++] = "-nodefaults";
	arg[n++] = "-no-user-config";
	arg[n++] = "-display";
	arg[n++] = "none";
	arg[n++] = "-qtest";
	arg[n++] = test;
	arg[n++] = "-qtest-log";
	arg[n++] = "/dev/null";
	arg[n++] = "-device";
	arg[n++] = device;
	arg[n++] = "-trace";
	arg[n++] = "vtd_inv_desc*";
	arg[n++] = "-trace";
	arg[n++] = "apic_deliver_irq";
	arg[n++] = "-D";
	arg[n++] = q->trace_path;
	while (extra && *extra && n < 63)
		arg[n++] = *extra++;
	arg[n] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It prints a line for every fault. */
	if (!getenv("VERBOSE") && !freopen("/dev/null", "w", stderr))
		_exit(99);
	execvp(program, (char *const *)arg);
	die(program);
}

void qemu_start(struct qemu *q, const char *unit, const char *const *extra)
{
	char path[64];
	int listener, fd;

	memset(q, 0, sizeof(*q));
	snprintf(path, sizeof(path), "/tmp/qtest-%d.sock", getpid());
	snprintf(q->memory_path, sizeof(q->memory_path), "/dev/shm/qtest-%d",
		getpid());
	snprintf(q->trace_path, sizeof(q->trace_path), "/tmp/qtest-%d.log",
		getpid());
	snprintf(q->rom_path, sizeof(q->rom_path), "/tmp/qtest-%d.rom",
		getpid());
	unlink(q->trace_path);
	make_rom(q->rom_path);
	fd = open(q->memory_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, QEMU_MEMORY))
		die(q->memory_path);
	q->memory = mmap(
		NULL, QEMU_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (q->memory == MAP_FAILED)
		die("mmap");
	listener = listen_at(path);
	q->pid = fork();
	if (!q->pid)
		exec_qemu(q, path, unit, extra);
	q->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	unlink(path);
	if (q->pid < 0 || q->socket < 0)
		die("qemu");
	/* The first MiB holds nothing of ours. */
	q->next_page = 256;
}

void qemu_stop(struct qemu *q)
{
	if (q->trace)
		fclose(q->trace);
	close(q->socket);
	kill(q->pid, SIGKILL);
	waitpid(q->pid, NULL, 0);
	munmap(q->memory, QEMU_MEMORY);
	unlink(q->memory_path);
	unlink(q->trace_path);
	unlink(q->rom_path);
}

/* ---- the protocol: a line out, a line back ---- */

static void receive(struct qemu *q, char *line, size_t size)
{
	for (;;) {
		char *end = memchr(q->buffer, '\n', q->filled);
		ssize_t got;

		if (end) {
			size_t length = (size_t)(end - q->buffer);

			snprintf(line, size, "%.*s", (int)length, q->buffer);
			q->filled -= length + 1;
			memmove(q->buffer, end + 1, q->filled);
			/* Interrupt lines come unasked. */
			if (strncmp(line, "IRQ", 3))
				return;
			continue;
		}
		got = read(q->socket, q->buffer + q->filled,
			sizeof(q->buffer) - q->filled);
		if (got <= 0)
			die("qemu ended");
		q->filled += (size_t)got;
	}
}

static uint64_t command(struct qemu *q, const char *format, ...)
{
	char line[256];
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(line, sizeof(line), format, values);
	va_end(values);
	if (write(q->socket, line, (size_t)length) != length)
		die("qemu ended");
	receive(q, line, sizeof(line));
	if (strncmp(line, "OK", 2)) {
		fprintf(stderr, "qemu answers %s\n", line);
		exit(99);
	}
	return line[2] ? strtoull(line + 3, NULL, 0) : 0;
}

static char suffix(unsigned width)
{
	return width == 1 ? 'b' : width == 2 ? 'w' : width == 4 ? 'l' : 'q';
}

uint64_t qemu_read(struct qemu *q, uint64_t at, unsigned width)
{
	return command(
		q, "read%c 0x%llx\n", suffix(width), (unsigned long long)at);
}

void qemu_write(struct qemu *q, uint64_t at, unsigned width, uint64_t value)
{
	command(q, "write%c 0x%llx 0x%llx\n", suffix(width),
		(unsigned long long)at, (unsigned long long)value);
}

static uint32_t port_in(struct qemu *q, unsigned port, unsigned width)
{
	return (uint32_t)command(q, "in%c 0x%x\n", suffix(width), port);
}

static void port_out(
	struct qemu *q, unsigned port, unsigned width, uint32_t value)
{
	command(q, "out%c 0x%x 0x%x\n", suffix(width), port, value);
}

bool qemu_arrived(struct qemu *q, unsigned out[5])
{
	char line[256];

	if (!q->trace)
		q->trace = fopen(q->trace_path, "r");
	if (!q->trace)
		die(q->trace_path);
	clearerr(q->trace);
	while (fgets(line, sizeof(line), q->trace))
		if (sscanf(line,
			    "apic_deliver_irq dest %u dest_mode %u "
			    "delivery_mode %u vector %u trigger_mode %u",
			    &out[0], &out[1], &out[2], &out[3], &out[4]) == 5)
			return true;
	return false;
}

/* ---- PCI ---- */

uint32_t qemu_config_read(
	struct qemu *q, unsigned rid, unsigned offset, unsigned width)
{
	uint32_t ones = width == 4 ? ~0u : (1u << 8 * width) - 1;

	if (offset >= 256)
		return ones; /* not through the ports */
	port_out(q, 0xcf8, 4, 1u << 31 | rid << 8 | (offset & 0xfc));
	return port_in(q, 0xcfc + (offset & 3), width);
}

void qemu_config_write(struct qemu *q, unsigned rid, unsigned offset,
	unsigned width, uint32_t value)
{
	port_out(q, 0xcf8, 4, 1u << 31 | rid << 8 | (offset & 0xfc));
	port_out(q, 0xcfc + (offset & 3), width, value);
}

uint64_t qemu_bar0(struct qemu *q, unsigned rid)
{
	uint64_t base = QEMU_BARS + 0x1000000ull * q->bars++;

	qemu_config_write(q, rid, 0x10, 4, (uint32_t)base);
	if (qemu_config_read(q, rid, 0x10, 4) & 4)
		qemu_config_write(q, rid, 0x14, 4, 0);
	qemu_config_write(q, rid, 4, 2, 6);
	return base;
}

int qemu_find(struct qemu *q, uint16_t vendor, uint16_t device, unsigned n)
{
	uint32_t wanted = vendor | (uint32_t)device << 16;
	unsigned rid;

	for (rid = 0; rid < 256; rid++)
		if (qemu_config_read(q, rid, 0, 4) == wanted && !n--)
			return (int)rid;
	return -1;
}

/* ---- the firmware's tables, through fw_cfg's DMA interface ---- */

static uint32_t big32(uint32_t v)
{
	return __builtin_bswap32(v);
}

static void fw_cfg_read(
	struct qemu *q, unsigned selector, uint64_t phys, uint32_t size)
{
	uint64_t at = qemu_pages(q, 0);
	uint32_t *request = qemu_at(q, at);

	request[0] = big32(selector << 16 | 1u << 3 | 1u << 1);
	request[1] = big32(size);
	request[2] = big32((uint32_t)(phys >> 32));
	request[3] = big32((uint32_t)phys);
	port_out(q, 0x514, 4, big32((uint32_t)(at >> 32)));
	port_out(q, 0x518, 4, big32((uint32_t)at));
	while (*(volatile uint32_t *)request)
		;
}

/** Finds etc/acpi/tables in the directory (selector 0x19). */
static unsigned find_tables(struct qemu *q, uint32_t *out_size)
{
	uint64_t at = qemu_pages(q, 1);
	uint8_t *bytes = qemu_at(q, at);
	uint32_t count, n;

	fw_cfg_read(q, 0x19, at, 8192);
	memcpy(&count, bytes, 4);
	for (n = 0; n < big32(count); n++) {
		uint8_t *file = bytes + 4 + 64 * n;

		if (strcmp((char *)file + 8, "etc/acpi/tables"))
			continue;
		memcpy(out_size, file, 4);
		*out_size = big32(*out_size);
		return (unsigned)file[4] << 8 | file[5];
	}
	return 0;
}

size_t qemu_dmar(struct qemu *q, void *out, size_t size)
{
	uint32_t total = 0, at;
	unsigned selector = find_tables(q, &total);
	uint64_t phys = qemu_pages(q, 6);
	uint8_t *bytes = qemu_at(q, phys);

	if (!selector || total > 64 * 4096)
		return 0;
	fw_cfg_read(q, selector, phys, total);
	for (at = 0; at + 48 <= total; at++) {
		uint32_t length;

		if (memcmp(bytes + at, "DMAR", 4))
			continue;
		memcpy(&length, bytes + at + 4, 4);
		if (length > size || length > total - at)
			return 0;
		memcpy(out, bytes + at, length);
		return length;
	}
	return 0;
}

/* ---- memory and the library's hooks ---- */

uint64_t qemu_pages(struct qemu *q, unsigned order)
{
	uint32_t count = 1u << order;
	uint32_t first = (q->next_page + count - 1) & ~(count - 1);

	q->next_page = first + count;
	if ((uint64_t)q->next_page * 4096 > QEMU_MEMORY)
		die("memory used up");
	memset(q->memory + (size_t)first * 4096, 0, (size_t)count * 4096);
	return (uint64_t)first * 4096;
}

void *qemu_at(struct qemu *q, uint64_t phys)
{
	return q->memory + phys;
}

static void *host_page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	struct qemu *q = ctx;

	*out_phys = iommu_phys(qemu_pages(q, order));
	q->pages_out += 1u << order;
	return qemu_at(q, out_phys->v);
}

static void host_page_free(
	void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	struct qemu *q = ctx;

	(void)phys;
	/* Whoever still uses it will find that out. */
	memset(page, 0xff, (size_t)4096 << order);
	q->pages_out -= 1u << order;
}

static void *host_phys_to_virt(void *ctx, iommu_phys_t phys)
{
	return phys.v < QEMU_MEMORY ? qemu_at(ctx, phys.v) : NULL;
}

static void *host_regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	(void)ctx;
	(void)size;
	return (void *)(uintptr_t)base.v;
}

static void host_regs_unmap(void *ctx, void *regs, uint64_t size)
{
	(void)ctx;
	(void)regs;
	(void)size;
}

static uint64_t host_reg_read(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	return qemu_read(ctx, (uintptr_t)regs + offset, width);
}

static void host_reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	qemu_write(ctx, (uintptr_t)regs + offset, width, value);
}

static void host_cache_flush(void *ctx, const void *virt, size_t size)
{
	struct qemu *q = ctx;

	(void)virt;
	q->cache_flushes += (unsigned)(size + 63) / 64;
}

static unsigned long host_lock(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	if (lock->opaque[0]++)
		die("a lock is taken twice");
	return 0;
}

static void host_unlock(void *ctx, struct iommu_lock *lock, unsigned long state)
{
	(void)ctx;
	(void)state;
	if (--lock->opaque[0])
		die("a lock is released twice");
}

static uint64_t host_now(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void host_log(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	if (getenv("VERBOSE"))
		fprintf(stderr, "[%d] %s\n", level, line);
}

static uint32_t host_pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	if (segment)
		return ~0u;
	return qemu_config_read(ctx, (unsigned)bus << 8 | devfn, offset, width);
}

void qemu_host(struct qemu *q, struct iommu_host *out)
{
	*out = (struct iommu_host){
		.ctx = q,
		.direct_map = q->memory,
		.page_alloc = host_page_alloc,
		.page_free = host_page_free,
		.phys_to_virt = host_phys_to_virt,
		.regs_map = host_regs_map,
		.regs_unmap = host_regs_unmap,
		.reg_read = host_reg_read,
		.reg_write = host_reg_write,
		.cache_flush = host_cache_flush,
		.lock = host_lock,
		.unlock = host_unlock,
		.now_ns = host_now,
		.log = host_log,
		.pci_read = host_pci_read,
	};
}

/* ---- edu ---- */

enum {
	EDU_SOURCE = 0x80,
	EDU_TARGET = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
	EDU_BUFFER = 0x40000,
};

void edu_dma(struct qemu *q, uint64_t bar, bool to_memory, uint64_t address,
	uint32_t offset, uint32_t count)
{
	uint64_t buffer = EDU_BUFFER + offset;

	qemu_write(q, bar + EDU_SOURCE, 8, to_memory ? buffer : address);
	qemu_write(q, bar + EDU_TARGET, 8, to_memory ? address : buffer);
	qemu_write(q, bar + EDU_COUNT, 8, count);
	qemu_write(q, bar + EDU_COMMAND, 8, to_memory ? 3 : 1);
	while (qemu_read(q, bar + EDU_COMMAND, 8) & 1)
		;
}

bool edu_reaches(struct qemu *q, uint64_t bar, uint64_t iova, uint64_t phys)
{
	volatile uint64_t *place = qemu_at(q, phys);

	/* The device's buffer holds zeros. */
	*place = 0x1122334455667788;
	edu_dma(q, bar, true, iova, 0, 8);
	return *place == 0;
}
