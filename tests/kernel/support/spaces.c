/* SPDX-License-Identifier: MIT */
/* See spaces.h. */
#include "support/spaces.h"

uint64_t anon(struct space *s, uint64_t addr, uint64_t len, int flags)
{
	int64_t at = space_mmap(s, addr, len, RW,
		ANON | flags | (addr ? MAP_FIXED : 0), NULL, 0);

	if (at < 0)
		machine_blame("mmap of %#llx bytes at %#llx: %lld",
			(unsigned long long)len, (unsigned long long)addr,
			(long long)at);
	return (uint64_t)at;
}

void map_file(struct space *s, uint64_t addr, uint64_t len, int prot, int type,
	struct file *f, uint64_t offset)
{
	int64_t at =
		space_mmap(s, addr, len, prot, type | MAP_FIXED, f, offset);

	assert_int_equal(at, addr);
}

void unmap(struct space *s, uint64_t addr, uint64_t len)
{
	assert_int_equal(space_munmap(s, addr, len), 0);
}

void protect_pages(struct space *s, uint64_t addr, uint64_t len, int prot)
{
	assert_int_equal(space_mprotect(s, addr, len, prot), 0);
}

struct space *fork_of(struct space *s)
{
	struct space *child;

	assert_int_equal(space_fork(s, &child), 0);
	return child;
}

void gone(struct space *s)
{
	cpus_leave();
	space_put(s);
}

uint64_t frame_of(struct space *s, uint64_t addr)
{
	struct leaf l;

	if (!tables_next(&s->tables, addr, addr + 1, &l) ||
		!pte_present(*l.entry))
		return 0;
	return pte_phys(*l.entry).v + (addr - l.addr);
}

void expect_byte(
	struct space *s, struct device *d, uint64_t addr, uint8_t value)
{
	uint8_t seen = 0;

	if (cpu_byte(s, addr) != value)
		machine_blame("CPU finds %#x at %#llx, not %#x",
			cpu_byte(s, addr), (unsigned long long)addr, value);
	if (device_read(d, addr, &seen) != REACHED || seen != value)
		machine_blame("device finds %#x at %#llx, not %#x", seen,
			(unsigned long long)addr, value);
}

void on_every_unit(void (*run)(struct device *d))
{
	for (unsigned kind = 0; kind < 36; kind++) {
		struct device d = {
			.levels = 3 + kind % 3,
			.caching_mode = kind / 3 % 2,
			.noncoherent = kind / 6 % 3,
			.huge = kind / 18,
		};

		tables_in_memory = kind / 6 % 3 == 2;
		user_top = d.levels == 3 ? 1ull << 39 : 1ull << 47;
		run(&d);
		if (machine_missing())
			machine_blame("%lld frames are missing after unit "
				      "kind %u",
				(long long)machine_missing(), kind);
	}
}

struct space *with_device(struct device *d)
{
	struct space *s = space_create();

	assert_non_null(s);
	machine_meanwhile = devices_prefetch;
	assert_int_equal(device_attach(d, s), 0);
	return s;
}

void expect_reach(struct device *d, uint64_t addr, int read, int write)
{
	uint8_t byte = 0;
	int r = device_read(d, addr, &byte);
	int w = device_write(d, addr, byte);

	if (r != read || w != write)
		machine_blame("at %#llx the device is told %d and %d, not %d "
			      "and %d",
			(unsigned long long)addr, r, w, read, write);
}

void expect_nothing(struct device *d, uint64_t addr)
{
	expect_reach(d, addr, REFUSED, REFUSED);
}

const struct device_range some_registers = {
	.base = 0xfeb00000,
	.size = 0x10000,
	.writable = true,
	.readonly_start = 0xfeb02000,
	.readonly_end = 0xfeb03000,
};
