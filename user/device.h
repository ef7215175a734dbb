/* SPDX-License-Identifier: MIT */
/*
 * A PCI device in the hands of a process: give it away, take it back, see its
 * registers. Functions return 0 or a negative errno and print nothing.
 */
#ifndef USER_DEVICE_H
#define USER_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IOMMU_DIR "/sys/iommu"
#define PCI_DIR "/sys/pci"

struct device {
	unsigned bus, slot, function;
};

/* "0:3.0", "00:03.0" or "0000:00:03.0". */
static inline int device_parse(struct device *d, const char *text)
{
	unsigned segment;
	int end = 0;

	if (sscanf(text, "%x:%x:%x.%x%n", &segment, &d->bus, &d->slot,
		    &d->function, &end) != 4 ||
		segment != 0) {
		end = 0;
		if (sscanf(text, "%x:%x.%x%n", &d->bus, &d->slot, &d->function,
			    &end) != 3)
			return -EINVAL;
	}
	if (text[end] || d->bus > 0xff || d->slot > 0x1f || d->function > 7)
		return -EINVAL;
	return 0;
}

static inline int write_file(const char *path, const char *text)
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
static inline char *read_file(const char *path)
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

static inline int device_attach(const struct device *d, pid_t pid)
{
	char line[48];

	snprintf(line, sizeof(line), "%x:%x.%x %d\n", d->bus, d->slot,
		d->function, (int)pid);
	return write_file(IOMMU_DIR "/attach", line);
}

static inline int device_detach(const struct device *d)
{
	char line[48];

	snprintf(
		line, sizeof(line), "%x:%x.%x\n", d->bus, d->slot, d->function);
	return write_file(IOMMU_DIR "/detach", line);
}

/* A file of the device's folder, open; a negative errno on failure. */
static inline int device_open(
	const struct device *d, const char *file, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), PCI_DIR "/%02x:%02x.%x/%s", d->bus,
		d->slot, d->function, file);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Map a whole BAR. The mapping keeps the file; munmap() gives it back. */
static inline int device_map_bar(const struct device *d, unsigned bar,
	size_t size, volatile void **out_registers)
{
	char name[8];
	int fd;
	void *p;

	snprintf(name, sizeof(name), "bar%u", bar);
	fd = device_open(d, name, O_RDWR);
	if (fd < 0)
		return fd;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		int error = -errno;

		close(fd);
		return error;
	}
	close(fd);
	*out_registers = p;
	return 0;
}

#endif
