/* SPDX-License-Identifier: MIT */
/* Through files: mapped ones, and the device's own. */
#include "attack.h"

/* The program's own instructions: mapped read-only, shared by all that run it.
 */
static void program_text(void)
{
	const char *text = (const char *)((uintptr_t)device_fill & -PAGE);
	char before[64];

	memcpy(before, text, sizeof(before));
	take();
	device_fill((uintptr_t)text, 0xcc, sizeof(before));
	CHECK(!memcmp(before, text, sizeof(before)));
	CHECK(was_refused());
}

static int file_of(const char *name, char value)
{
	char page[PAGE];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(page, value, sizeof(page));
	CHECK(fd >= 0 && write(fd, page, sizeof(page)) == sizeof(page));
	return fd;
}

/* A private mapping is a copy; the file must not see the device. */
static void private_file_mapping(void)
{
	int fd = file_of("/tmp/attack-private", 'f');
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char got[64];

	CHECK(p != MAP_FAILED && p[0] == 'f');
	take();
	device_fill((uintptr_t)p, 'd', 64);
	CHECK(all_are(p, 'd', 64));
	CHECK(pread(fd, got, 64, 0) == 64 && all_are(got, 'f', 64));
	unlink("/tmp/attack-private");
}

static void read_only_file_mapping(void)
{
	int fd = file_of("/tmp/attack-readonly", 'f');
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), got[64];

	CHECK(p != MAP_FAILED);
	take();
	device_fill((uintptr_t)p, 0xcc, 64);
	CHECK(pread(fd, got, 64, 0) == 64 && all_are(got, 'f', 64));
	CHECK(was_refused());
	unlink("/tmp/attack-readonly");
}

/* A file cut off under the device: its page belongs to others now. */
static void truncated_file_mapping(void)
{
	int fd = file_of("/tmp/attack-cut", 'f');
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct canary c;

	if (p == MAP_FAILED)
		return; /* nothing to attack */
	take();
	device_fill((uintptr_t)p, 'd', 64);
	CHECK(ftruncate(fd, 0) == 0);
	c = plant_canary(8ul << 20);
	device_fill((uintptr_t)p, 0xcc, 64);
	CHECK(canary_lives(&c));
	unlink("/tmp/attack-cut");
}

/* Configuration space is mediated: an owner cannot turn its device into a
 * different one, nor reach memory by way of its BARs. */
static void configuration_space(void)
{
	int fd = -1;
	uint8_t before[64], after[64];

	take();
	fd = udev_open(&target, "config", O_RDWR);
	if (fd < 0)
		fd = udev_open(&target, "config", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(pread(fd, before, sizeof(before), 0) == sizeof(before));
	for (unsigned at = 0; at < 256; at += 4) {
		uint32_t all_ones = 0xffffffff, zero = 0;

		pwrite(fd, &all_ones, 4, at);
		pwrite(fd, &zero, 4, at);
		pwrite(fd, &all_ones, 1, at + 1);
	}
	pwrite(fd, "x", 1, 4096);
	pwrite(fd, "x", 1, 1ll << 40);
	CHECK(pread(fd, after, sizeof(after), 0) == sizeof(after));
	CHECK(!memcmp(before + 0x10, after + 0x10, 24)); /* the BARs */
	CHECK(!memcmp(before, after, 4));
	CHECK(udev_detach(&target) == 0);
	take(); /* it still works for the next owner */
	CHECK(edu_read(edu, EDU_ID) == EDU_ID_VALUE);
}

/* Registers of a device that is not this process's. */
static void registers_of_others(void)
{
	static const char *const others[] = {"00:00.0", "00:01.0", "00:02.0"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct udev d;

		CHECK(udev_parse(&d, others[i]) == 0);
		for (unsigned bar = 0; bar < 6; bar++)
			CHECK(!udev_map(&d, bar, NULL));
	}
}

static void registers_beyond_the_end(void)
{
	int fd;

	take();
	fd = udev_open(&target, "bar0", O_RDWR);
	CHECK(fd >= 0);
	CHECK(mmap(NULL, EDU_BAR_SIZE + PAGE, PROT_READ, MAP_SHARED, fd, 0) ==
		MAP_FAILED);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, EDU_BAR_SIZE) ==
		MAP_FAILED);
	CHECK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd,
		      EDU_BAR_SIZE - PAGE) == MAP_FAILED);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		      (off_t)0xfffffffffffff000) == MAP_FAILED);
}

/* Lines nobody would write, from somebody who owns something. */
static void absurd_commands(void)
{
	static char long_line[100000];
	static const char *const files[] = {"attach", "detach", "power"};
	static const char *const lines[] = {"", " ", "\n", "0", ":", "0:3", ".",
		"0:3.", "0:3.0", "0:3.8 1", "0:20.0 1", "100:0.0 1", "-1:3.0 1",
		"0:3.0 -1", "0:3.0 0", "0:3.0 999999",
		"0:3.0 99999999999999999999", "0:3.0 1x", "0:3.0 1 1",
		"zz:z.z 1", "0:1f.3.1 1", "\0\0\0", "0:3.0\t\t1 ; 0:1.0 1",
		"ffffffffffffffffff:3.0 1", "0x0:3.0 1", "%s%n"};

	take();
	memset(long_line, '0', sizeof(long_line) - 1);
	for (size_t f = 0; f < 3; f++) {
		char path[64];

		snprintf(path, sizeof(path), UDEV_IOMMU "/%s", files[f]);
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
			if (f != 1 || strcmp(lines[i], "0:3.0"))
				CHECK(udev_write_file(path, lines[i]) < 0 ||
					!*lines[i]);
		CHECK(udev_write_file(path, long_line) < 0);
	}
	device_fill((uintptr_t)long_line, 'a', 64); /* nothing has changed */
	CHECK(all_are(long_line, 'a', 64));
}

const struct attack file_attacks[] = {
	ATTACK(program_text),
	ATTACK(private_file_mapping),
	ATTACK(read_only_file_mapping),
	ATTACK(truncated_file_mapping),
	ATTACK(configuration_space),
	ATTACK(registers_of_others),
	ATTACK(registers_beyond_the_end),
	ATTACK(absurd_commands),
	{0},
};
