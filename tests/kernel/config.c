/* SPDX-License-Identifier: MIT */
/* Configuration space as an owner sees it: which bits a write may change, how
 * BARs are sized, and that no capability list makes it otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "assign/config.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "pci/pci.h"

#define MSI 0x50
#define MSIX 0x70
#define PM 0x80
#define PCIE 0x90
#define VENDOR 0xd0
#define OWN 0xf0 /* in no capability */

static uint8_t space[4096];
static uint32_t seed = 1;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* ---------------------------------------------------------- a function's */

uint8_t pci_read8(const struct pci_device *d, unsigned off)
{
	(void)d;
	return space[off];
}

uint16_t pci_read16(const struct pci_device *d, unsigned off)
{
	return (uint16_t)(pci_read8(d, off) | pci_read8(d, off + 1) << 8);
}

uint32_t pci_read32(const struct pci_device *d, unsigned off)
{
	return pci_read16(d, off) | (uint32_t)pci_read16(d, off + 2) << 16;
}

static void store(unsigned off, unsigned n, uint32_t v)
{
	assert_true(off % n == 0 && off + n <= sizeof(space));
	for (unsigned i = 0; i < n; i++) {
		uint8_t byte = (uint8_t)(v >> 8 * i);

		/* Status: read-only, and cleared by writing ones. */
		if (off + i == 7)
			space[7] &= (uint8_t)~byte;
		else if (off + i != 6)
			space[off + i] = byte;
	}
}

void pci_set_rom(struct pci_device *d, bool on)
{
	(void)d;
	assert_false(on); /* a new owner finds it off */
}

void pci_write8(const struct pci_device *d, unsigned off, uint8_t v)
{
	(void)d;
	store(off, 1, v);
}

void pci_write16(const struct pci_device *d, unsigned off, uint16_t v)
{
	(void)d;
	store(off, 2, v);
}

void pci_write32(const struct pci_device *d, unsigned off, uint32_t v)
{
	(void)d;
	store(off, 4, v);
}

static struct pci_device device(void)
{
	struct pci_device d = {
		.bars = {{.base = 0xfeb00000, .size = 0x1000},
			{.base = 0xc000, .size = 0x40, .io = true},
			{.base = 0x8000000000,
				.size = 0x200000000,
				.is64 = true,
				.prefetchable = true}},
	};
	static const uint8_t list[][3] = {{MSI, 0x05, MSIX}, {MSIX, 0x11, PM},
		{PM, 0x01, PCIE}, {PCIE, 0x10, VENDOR}, {VENDOR, 0x09, 0}};

	memset(space, 0, sizeof(space));
	space[0x06] = 0x10;
	space[0x34] = MSI;
	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		space[list[i][0]] = list[i][1];
		space[list[i][0] + 1] = list[i][2];
	}
	space[VENDOR + 2] = 16;
	store(0x10, 4, 0xfeb00000);
	store(0x14, 4, 0xc001);
	store(0x18, 4, 0x0000000c);
	store(0x1c, 4, 0x80);
	return d;
}

static uint32_t read32(struct pci_device *d, unsigned off)
{
	uint8_t b[4];

	config_read(d, off, b, 4);
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
		(uint32_t)b[3] << 24;
}

static int write_n(
	struct pci_device *d, unsigned off, unsigned n, uint32_t value)
{
	uint8_t b[4];

	for (unsigned i = 0; i < 4; i++)
		b[i] = (uint8_t)(value >> 8 * i);
	return config_write(d, off, b, n);
}

static int write32(struct pci_device *d, unsigned off, uint32_t value)
{
	return write_n(d, off, 4, value);
}

/* -------------------------------------------------------------------- tests */

static void bars_are_sized_without_being_moved(void **state)
{
	static const struct {
		unsigned off;
		uint32_t mask;
	} bars[] = {{0x10, 0xfffff000}, {0x14, 0xffffffc1}, {0x18, 0x0000000c},
		{0x1c, 0xfffffffe}, {0x20, 0}, {0x24, 0}, {0x30, 0}};
	struct pci_device d = device();
	uint8_t before[sizeof(space)];

	(void)state;
	memcpy(before, space, sizeof(space));
	for (unsigned i = 0; i < ARRAY_SIZE(bars); i++) {
		uint32_t address = read32(&d, bars[i].off);

		assert_int_equal(write32(&d, bars[i].off, 0xffffffff), 0);
		assert_int_equal(read32(&d, bars[i].off), bars[i].mask);
		assert_int_equal(write32(&d, bars[i].off, address), 0);
		assert_int_equal(read32(&d, bars[i].off), address);
	}
	assert_memory_equal(before, space, sizeof(space));
}

static void bars_never_move(void **state)
{
	struct pci_device d = device();
	uint8_t before[sizeof(space)];

	(void)state;
	memcpy(before, space, sizeof(space));
	for (unsigned i = 0; i < 20000; i++) {
		unsigned n = 1u << any(3);
		unsigned off = ALIGN_DOWN(0x10 + any(0x18), n);

		(void)!write_n(&d, off, n, any(2) ? 0xffffffff : any(1u << 24));
		(void)!write_n(&d, 0x30, 4, any(2) ? 0xffffffff : 1);
	}
	assert_memory_equal(before, space, sizeof(space));
}

static void a_new_owner_finds_addresses_not_sizes(void **state)
{
	struct pci_device d = device();

	(void)state;
	assert_int_equal(write32(&d, 0x10, 0xffffffff), 0);
	config_forget(&d);
	assert_int_equal(read32(&d, 0x10), 0xfeb00000);
}

/* What may change, said a second time: bits by offset. */
static uint8_t may_change(unsigned off)
{
	switch (off) {
	case 0x04:
		return 0x46; /* memory, master, parity; not I/O, not INTx */
	case 0x05:
		return 0x01;
	case 0x07:
		return 0xf9;
	case 0x0c:
	case 0x0d:
	case 0x3c:
		return 0xff;
	case PCIE + 8:
		return 0x1f; /* not the payload size */
	case PCIE + 9:
		return 0x71; /* not no-snoop, phantom functions, reset */
	case PCIE + 0xa:
		return 0x0f;
	case PCIE + 0x28:
		return 0x1f;
	}
	if (off < 0x50 && off >= 0x40)
		return 0xff;
	if (off >= MSI + 24 && off < MSIX)
		return 0xff;
	if (off >= MSIX + 12 && off < PM)
		return 0xff;
	if (off >= PM + 8 && off < PCIE)
		return 0xff;
	if (off >= PCIE + 60 && off < VENDOR)
		return 0xff;
	if (off >= VENDOR + 3 && off < 0x100)
		return 0xff;
	return 0;
}

static void only_the_devices_own_bits_change(void **state)
{
	struct pci_device d = device();
	unsigned written = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		unsigned n = 1u << any(3);
		unsigned off = ALIGN_DOWN(any(any(8) ? 0x100 : 4096), n);
		uint32_t value = any(1u << 24) << 8 | any(256);
		uint8_t before[4], all = 0;
		int err;

		memcpy(before, &space[off], n);
		err = write_n(&d, off, n, value);
		for (unsigned k = 0; k < n; k++) {
			uint8_t changed = before[k] ^ space[off + k];

			all |= changed;
			assert_int_equal(changed & ~may_change(off + k), 0);
			/* What was allowed and not refused is there. */
			if (!err && off + k != 7)
				assert_int_equal(
					(space[off + k] ^ value >> 8 * k) &
						may_change(off + k),
					0);
		}
		if (err) {
			assert_int_equal(err, -EPERM);
			assert_int_equal(all, 0);
		}
		written += !err;
	}
	assert_true(written > 10000);
}

static void what_the_kernel_keeps_is_refused(void **state)
{
	static const unsigned refused[] = {MSI + 2, MSI + 4, MSIX + 2, MSIX + 4,
		PM + 4, 0x00, 0x08, 0x0e, 0x34, 0x2c, 0x28, 0x3d, 0x100, 0x104,
		0xffc, PCIE + 0x10, PCIE + 0x2c, VENDOR + 2};
	struct pci_device d = device();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
		uint8_t same = space[refused[i]], other = same ^ 0xff;

		assert_int_equal(
			config_write(&d, refused[i], &other, 1), -EPERM);
		/* Writing what is there already is harmless. */
		assert_int_equal(config_write(&d, refused[i], &same, 1), 0);
	}
}

static void status_bits_are_cleared_by_ones_alone(void **state)
{
	struct pci_device d = device();

	(void)state;
	space[7] = 0xa0;
	assert_int_equal(write_n(&d, 0x04, 2, 0x0006), 0);
	assert_int_equal(space[7], 0xa0);
	assert_int_equal(write_n(&d, 0x06, 2, 0x8010), 0);
	assert_int_equal(space[7], 0x20);
	/* Beside the command register, one in a bit that is not its own. */
	assert_int_equal(write32(&d, 0x04, 0x20100006), 0);
	assert_int_equal(space[7], 0);
}

/* A driver reads, changes a bit and writes back; or writes a whole dword. */
static void common_ways_to_write_work(void **state)
{
	struct pci_device d = device();

	(void)state;
	assert_int_equal(write_n(&d, 0x04, 2, 0x0006), 0);
	assert_int_equal(space[4], 6);
	assert_int_equal(write32(&d, 0x04, read32(&d, 0x04) | 0x100), 0);
	assert_int_equal(space[5], 1);
	assert_int_equal(write_n(&d, PCIE + 8, 2, 0x501f), 0);
	assert_int_equal(write_n(&d, VENDOR + 4, 4, 0x12345678), 0);
	assert_int_equal(read32(&d, VENDOR + 4), 0x12345678);
	assert_int_equal(write_n(&d, OWN, 1, 0x5a), 0);
	assert_int_equal(space[OWN], 0x5a);
}

static void no_capability_list_opens_the_header(void **state)
{
	static const uint8_t ids[] = {0x09, 0x10, 0x11, 0x05, 0x01, 0x13, 0xff};
	struct pci_device d = device();

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t before[0x40];

		for (unsigned i = 0; i < 0x100; i++)
			space[i] = (uint8_t)any(256);
		for (unsigned i = 0; i < 8; i++) {
			unsigned at = 0x40 + any(0x30) * 4;

			space[at] = ids[any(ARRAY_SIZE(ids))];
			space[at + 1] = (uint8_t)(0x40 + any(0x30) * 4);
		}
		space[6] |= 0x10;
		space[0x34] = (uint8_t)(0x40 + any(0x30) * 4);
		memcpy(before, space, sizeof(before));
		for (unsigned i = 0; i < 40; i++) {
			unsigned n = 1u << any(3);
			unsigned off = ALIGN_DOWN(any(0x100), n);

			(void)!write_n(&d, off, n, any(1u << 24) * 257);
			for (unsigned k = 0; k < 0x40; k++)
				assert_int_equal(
					(before[k] ^ space[k]) & ~may_change(k),
					0);
		}
	}
}

/* The list may end in a loop, or lead into a capability's own bytes. */
static void messages_stay_closed_in_a_list_that_loops(void **state)
{
	struct pci_device d = device();

	(void)state;
	space[VENDOR + 1] = MSI;
	assert_int_equal(write_n(&d, MSIX + 2, 2, 0xc000), -EPERM);
	assert_int_equal(write_n(&d, MSI + 4, 4, 0xfee00000), -EPERM);
	space[MSI + 1] = MSI;
	assert_int_equal(write_n(&d, MSI + 4, 4, 0xfee00000), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars_are_sized_without_being_moved),
		cmocka_unit_test(bars_never_move),
		cmocka_unit_test(a_new_owner_finds_addresses_not_sizes),
		cmocka_unit_test(only_the_devices_own_bits_change),
		cmocka_unit_test(what_the_kernel_keeps_is_refused),
		cmocka_unit_test(status_bits_are_cleared_by_ones_alone),
		cmocka_unit_test(common_ways_to_write_work),
		cmocka_unit_test(no_capability_list_opens_the_header),
		cmocka_unit_test(messages_stay_closed_in_a_list_that_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
