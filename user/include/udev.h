/* SPDX-License-Identifier: MIT */
/*
 * Drivers for PCI devices as ordinary processes.
 *
 *	struct udev d;
 *
 *	if (udev_parse(&d, "00:03.0") || udev_attach(&d))
 *		return 1;
 *	regs = udev_map(&d, 0, &size);
 *	udev_write32(regs, REGISTER, value);
 *
 * From attach on, the device sees the memory of this process as the process
 * sees it: the address of a buffer for the device is the pointer itself. When
 * the process ends, however it ends, the kernel stops the device and takes it
 * back; a driver needs no cleaning up of its own.
 *
 * Functions return 0 or what they were asked for, and a negative errno on
 * failure (udev_map: NULL and errno); they print nothing.
 */
#ifndef USER_UDEV_H
#define USER_UDEV_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define UDEV_IOMMU "/sys/iommu"
#define UDEV_PCI "/sys/pci"
#define UDEV_PAGE 4096u

struct udev {
	unsigned segment, bus, slot, function;
};

static inline int udev_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), result = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		result = -errno;
	close(fd);
	return result;
}

/* The content of a file as a string, to be freed; NULL and errno on failure. */
static inline char *udev_read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t room = 65536, length = 0;
	char *text = fd < 0 ? NULL : malloc(room);
	ssize_t n = 0;

	while (text && length < room - 1 &&
		(n = read(fd, text + length, room - 1 - length)) > 0)
		length += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (text && n < 0) {
		free(text);
		text = NULL;
	}
	if (text)
		text[length] = '\0';
	return text;
}

/* "0:3.0", "00:03.0" or "0000:00:03.0", all hexadecimal. */
static inline int udev_parse(struct udev *d, const char *text)
{
	int end = 0;

	if (sscanf(text, "%x:%x:%x.%x%n", &d->segment, &d->bus, &d->slot,
		    &d->function, &end) != 4) {
		end = 0;
		d->segment = 0;
		if (sscanf(text, "%x:%x.%x%n", &d->bus, &d->slot, &d->function,
			    &end) != 3)
			return -EINVAL;
	}
	if (text[end] || d->segment > 0xffff || d->bus > 0xff ||
		d->slot > 0x1f || d->function > 7)
		return -EINVAL;
	return 0;
}

/* "00:03.0", with the segment in front where it is not 0. */
static inline void udev_name(const struct udev *d, char name[16])
{
	int n = d->segment ? snprintf(name, 16, "%04x:", d->segment) : 0;

	snprintf(name + n, (size_t)(16 - n), "%02x:%02x.%x", d->bus & 0xff,
		d->slot & 0x1f, d->function & 7);
}

/* Give the device to a process. It comes reset, with memory decoding and bus
 * mastering on, and sees what the process sees. */
static inline int udev_attach_to(const struct udev *d, pid_t pid)
{
	char name[16], line[48];

	udev_name(d, name);
	snprintf(line, sizeof(line), "%s %d\n", name, (int)pid);
	return udev_write_file(UDEV_IOMMU "/attach", line);
}

static inline int udev_attach(const struct udev *d)
{
	return udev_attach_to(d, getpid());
}

/* Take it back from whoever has it. Its registers go from every process. */
static inline int udev_detach(const struct udev *d)
{
	char name[16];

	udev_name(d, name);
	return udev_write_file(UDEV_IOMMU "/detach", name);
}

/* A file of the device's folder: config, ctl, info, bar0, irq0 ... */
static inline int udev_open(const struct udev *d, const char *file, int flags)
{
	char name[16], path[64];
	int fd;

	udev_name(d, name);
	snprintf(path, sizeof(path), UDEV_PCI "/%s/%s", name, file);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A line for ctl: "busmaster off", "reset", "msix 4" ... */
static inline int udev_ctl(const struct udev *d, const char *format, ...)
{
	int fd = udev_open(d, "ctl", O_WRONLY), n, result = 0;
	char line[64];
	va_list arguments;

	if (fd < 0)
		return fd;
	va_start(arguments, format);
	n = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (write(fd, line, (size_t)n) < 0)
		result = -errno;
	close(fd);
	return result;
}

/* size is 1, 2 or 4; -1 (all ones, as from an absent device) on failure. */
static inline uint32_t udev_config_read(
	const struct udev *d, unsigned offset, unsigned size)
{
	int fd = udev_open(d, "config", O_RDONLY);
	uint32_t value = 0;

	if (fd < 0 || pread(fd, &value, size, (off_t)offset) != (ssize_t)size)
		value = ~0u;
	if (fd >= 0)
		close(fd);
	return value;
}

static inline int udev_config_write(
	const struct udev *d, unsigned offset, unsigned size, uint32_t value)
{
	int fd = udev_open(d, "config", O_RDWR), result = 0;

	if (fd < 0)
		return fd;
	if (pwrite(fd, &value, size, (off_t)offset) != (ssize_t)size)
		result = -errno;
	close(fd);
	return result;
}

static inline int udev_is(
	const struct udev *d, unsigned vendor, unsigned device)
{
	return udev_config_read(d, 0, 4) == (device << 16 | vendor);
}

/* Where the n-th capability with this id lies (n from 0), or 0. A list that
 * runs in a circle ends after 48 steps, as many as there is room for. */
static inline unsigned udev_capability(
	const struct udev *d, unsigned id, unsigned n)
{
	unsigned at = 0x34, steps = 48;

	if (!(udev_config_read(d, 0x06, 2) & 0x10))
		return 0;
	at = udev_config_read(d, at, 1) & 0xfc;
	for (; at >= 0x40 && steps; steps--) {
		if (udev_config_read(d, at, 1) == id && n-- == 0)
			return at;
		at = udev_config_read(d, at + 1, 1) & 0xfc;
	}
	return 0;
}

/* Map a whole BAR; out_size may be NULL. munmap() gives it back. */
static inline volatile void *udev_map(
	const struct udev *d, unsigned bar, size_t *out_size)
{
	char name[8];
	struct stat st = {0};
	void *p;
	int fd;

	snprintf(name, sizeof(name), "bar%u", bar % 6);
	fd = udev_open(d, name, O_RDWR);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		fd, 0);
	close(fd);
	if (p != MAP_FAILED && out_size)
		*out_size = (size_t)st.st_size;
	return p == MAP_FAILED ? NULL : p;
}

/* A write is also a release: memory written before it is there for a device
 * that acts on it. */
#define UDEV_REGISTER(bits)                                                    \
	static inline uint##bits##_t udev_read##bits(                          \
		volatile void *base, size_t offset)                            \
	{                                                                      \
		return *(volatile uint##bits##_t *)((volatile char *)base +    \
			offset);                                               \
	}                                                                      \
	static inline void udev_write##bits(                                   \
		volatile void *base, size_t offset, uint##bits##_t value)      \
	{                                                                      \
		__atomic_thread_fence(__ATOMIC_RELEASE);                       \
		*(volatile uint##bits##_t *)((volatile char *)base + offset) = \
			value;                                                 \
		/* Out of the buffer that combines writes, if it was one. */   \
		__asm__ volatile("sfence" ::: "memory");                       \
	}
UDEV_REGISTER(8)
UDEV_REGISTER(16)
UDEV_REGISTER(32)
UDEV_REGISTER(64)

/* Zeroed memory from a page boundary. Any other memory does as well; some
 * devices want their rings aligned. */
static inline void *udev_alloc(size_t size)
{
	size_t room = (size + UDEV_PAGE - 1) & ~(size_t)(UDEV_PAGE - 1);
	void *p = aligned_alloc(UDEV_PAGE, room);

	return p ? memset(p, 0, room) : NULL;
}

static inline uint64_t udev_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The file of a vector, after "msi N" or "msix N" was written to ctl. */
static inline int udev_irq_open(const struct udev *d, unsigned vector)
{
	char name[16];

	snprintf(name, sizeof(name), "irq%u", vector);
	return udev_open(d, name, O_RDONLY | O_NONBLOCK);
}

/* How many interrupts came since the last call, waiting for the first; 0 after
 * timeout_ms (-1: none), -ENODEV when the device is gone. */
static inline int64_t udev_irq_wait(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	for (;;) {
		if (read(fd, &count, sizeof(count)) == sizeof(count))
			return (int64_t)count;
		if (errno != EAGAIN)
			return -errno;
		if (poll(&p, 1, timeout_ms) == 0)
			return 0;
	}
}

#endif
