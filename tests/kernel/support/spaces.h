/* SPDX-License-Identifier: MIT */
/* Short words for what tests do to spaces. Every failure ends the test. */
#ifndef TEST_SPACES_H
#define TEST_SPACES_H

#include "support/devices.h"
#include "support/files.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define K PAGE_SIZE

/* mmap of anonymous memory at an address, or anywhere (0). */
uint64_t anon(struct space *s, uint64_t addr, uint64_t len, int flags);

/* mmap of a file at an address. */
void map_file(struct space *s, uint64_t addr, uint64_t len, int prot, int type,
	struct file *f, uint64_t offset);

void unmap(struct space *s, uint64_t addr, uint64_t len);
void protect_pages(struct space *s, uint64_t addr, uint64_t len, int prot);
struct space *fork_of(struct space *s);

/* All CPUs leave; the last user goes. */
void gone(struct space *s);

/* The frame behind an address now, or 0. */
uint64_t frame_of(struct space *s, uint64_t addr);

/* The byte as the CPU and the device find it, which must be the same. */
void expect_byte(
	struct space *s, struct device *d, uint64_t addr, uint8_t value);

/* A new space that the device is attached to; it looks at everything now and
 * then. */
struct space *with_device(struct device *d);

/* What a read and then a write of the device must come to. */
void expect_reach(struct device *d, uint64_t addr, int read, int write);
void expect_nothing(struct device *d, uint64_t addr);

/* 64 KiB, of which the third page may not be written. */
extern const struct device_range some_registers;

/* Every kind of unit, with user_top as the kernel sets it for it. The test's
 * body is `run`. Frames must all be back after each. */
void on_every_unit(void (*run)(struct device *d));

#endif
