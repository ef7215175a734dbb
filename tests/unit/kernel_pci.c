/* SPDX-License-Identifier: MIT */
/*
 * PCI enumeration and reset on a made-up machine: functions are found, sized,
 * placed and reset as the specification says, and configuration spaces full of
 * nonsense neither trap the walk nor break its promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define CPU_CPU_H
#define MEM_MEM_H
#include "kernel/lib/types.h"

static struct {
	void *thread;
} one_cpu;

#define this_cpu() (&one_cpu)
#define kzalloc(n) calloc(1, n)

#include "kernel/pci/bar.c"
#include "kernel/pci/capability.c"
#include "kernel/pci/control.c"
#include "kernel/pci/scan.c"

#define FUNCTIONS 40

struct function {
	bool present;
	uint8_t bus, devfn;
	uint8_t config[4096];
	uint8_t writable[256]; /* masks; above 256 nothing is */
	unsigned resets;
	uint16_t control_after_reset; /* of the PCI Express device; 0: kept */
	bool dies;                    /* after a reset */
	bool busy;                    /* transactions never end */
	unsigned busy_looks;          /* they end after so many looks */
	unsigned away_looks;          /* it is not back yet, after a reset */
};

struct acpi_machine acpi_machine;

static struct function machine[FUNCTIONS];
static unsigned nfunctions;
static uint64_t now, state, accesses;
static uint64_t seed; /* of the round of nonsense that runs, or ran last */
static unsigned long rounds = 300;
static int64_t clock_jump; /* in the next sleep */
static bool wild;          /* accesses are counted only */

bool boot_says(const char *name, const char *value)
{
	(void)name, (void)value;
	return false;
}

void kprintf(const char *fmt, ...)
{
	(void)fmt;
}

uint64_t time_ns(void)
{
	return now += 1000;
}

void delay_us(unsigned us)
{
	now += us * 1000ull + (uint64_t)clock_jump;
	clock_jump = 0;
}

int sleep_until(uint64_t deadline, unsigned how)
{
	(void)how;
	now = deadline;
	return 0;
}

static uint32_t draw(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static struct function *at(uint8_t bus, uint8_t devfn)
{
	for (unsigned i = 0; i < nfunctions; i++)
		if (machine[i].present && machine[i].bus == bus &&
			machine[i].devfn == devfn)
			return &machine[i];
	return NULL;
}

uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t devfn,
	unsigned off, unsigned width)
{
	struct function *f = at(bus, devfn);
	uint32_t v = UINT32_MAX;

	assert_true(accesses++ < 1000000);
	assert_true(off % width == 0 && off + width <= 4096);
	if (f && f->busy_looks && off == 0x80 + PCIE_DEVICE_STATUS)
		f->config[off] = --f->busy_looks ? PCIE_PENDING : 0;
	if (f && f->resets && f->away_looks && off == PCI_VENDOR)
		return --f->away_looks ? 1 : 0xffff;
	if (f && segment == 0)
		memcpy(&v, f->config + off, width);
	return width == 4 ? v : v & ((1u << 8 * width) - 1);
}

static void reset_function(struct function *f)
{
	f->resets++;
	for (unsigned i = 4; i < 0x40; i++)
		f->config[i] &= (uint8_t)~f->writable[i];
	if (f->control_after_reset)
		memcpy(&f->config[0x88], &f->control_after_reset, 2);
	if (f->dies)
		f->present = false;
}

void pci_config_write(uint16_t segment, uint8_t bus, uint8_t devfn,
	unsigned off, unsigned width, uint32_t v)
{
	struct function *f = at(bus, devfn);

	accesses++;
	assert_true(off % width == 0 && off + width <= 4096);
	if (!f || segment)
		return;
	for (unsigned i = 0; i < width && off + i < 256; i++) {
		uint8_t mask = f->writable[off + i];

		f->config[off + i] = (uint8_t)((f->config[off + i] & ~mask) |
			((v >> 8 * i) & mask));
	}
	if (!wild && off == 0x80 + PCIE_DEVICE_CONTROL && v & 0x8000)
		reset_function(f);
	if (f->busy)
		f->config[0x80 + PCIE_DEVICE_STATUS] = PCIE_PENDING;
}

#define ACCESS(bits)                                                        \
	uint##bits##_t pci_read##bits(                                      \
		const struct pci_device *d, unsigned off)                   \
	{                                                                   \
		return (uint##bits##_t)pci_config_read(                     \
			d->segment, d->bus, d->devfn, off, bits / 8);       \
	}                                                                   \
	void pci_write##bits(                                               \
		struct pci_device const *d, unsigned off, uint##bits##_t v) \
	{                                                                   \
		pci_config_write(                                           \
			d->segment, d->bus, d->devfn, off, bits / 8, v);    \
	}
ACCESS(8)
ACCESS(16)
ACCESS(32)

unsigned pci_config_size(const struct pci_device *d)
{
	return d->cap_pcie ? 4096 : 256;
}

void pci_map_bus(uint16_t segment, uint8_t bus)
{
	(void)segment;
	(void)bus;
}

void pci_config_init(void)
{
}

static void put(struct function *f, unsigned off, unsigned width, uint32_t v)
{
	memcpy(f->config + off, &v, width);
}

static void allow(struct function *f, unsigned off, unsigned width, uint32_t v)
{
	memcpy(f->writable + off, &v, width);
}

static struct function *add(uint8_t bus, uint8_t devfn, uint32_t id)
{
	struct function *f = &machine[nfunctions++];

	memset(f, 0, sizeof(*f));
	f->present = true;
	f->bus = bus;
	f->devfn = devfn;
	put(f, 0, 4, id);
	put(f, PCI_COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER);
	allow(f, PCI_COMMAND, 2, 0x547);
	return f;
}

/* PCIe at 0x80, MSI-X at 0x60. */
static struct function *add_endpoint(uint8_t bus, uint8_t devfn, uint32_t id)
{
	struct function *f = add(bus, devfn, id);

	put(f, PCI_STATUS, 2, STATUS_CAPABILITIES);
	f->config[PCI_CAPABILITIES] = 0x60;
	put(f, 0x60, 4, 0x11 | 0x80 << 8 | (0x8000u | 3) << 16);
	put(f, 0x64, 4, 0x1000);
	allow(f, 0x62, 2, 0xc000);
	put(f, 0x80, 4, 0x10 | 2 << 16);
	put(f, 0x84, 4, PCIE_FLR_CAPABLE);
	put(f, 0x100, 4, 0x000d | 1 << 16 | 0x140u << 20);
	put(f, 0x140, 4, 0x000f | 1 << 16);
	put(f, PCI_BAR0, 4, 0xfe000004);
	allow(f, PCI_BAR0, 4, 0xffffc000);
	allow(f, PCI_BAR0 + 4, 4, 0xffffffff);
	return f;
}

static struct function *add_bridge(
	uint8_t bus, uint8_t devfn, uint8_t secondary, uint8_t subordinate)
{
	struct function *f = add(bus, devfn, 0x00011111);

	f->config[PCI_HEADER_TYPE] = 1;
	f->config[BRIDGE_SECONDARY] = secondary;
	f->config[BRIDGE_SUBORDINATE] = subordinate;
	put(f, BRIDGE_MEMORY_BASE, 4, 0xe010e000); /* 2 MiB */
	allow(f, BRIDGE_CONTROL, 2, 0xffff);
	return f;
}

static int start(void **unused)
{
	(void)unused;
	nfunctions = 0;
	wild = false;
	now = accesses = 0;
	return 0;
}

static int forget(void **unused)
{
	struct pci_device *d, *next;

	(void)unused;
	list_for_each_safe (d, next, &pci_devices, link) {
		list_remove(&d->link);
		free(d);
	}
	return 0;
}

static void endpoint_is_read_and_quiet(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x56781234);
	struct pci_device *d;

	(void)unused;
	pci_init();
	d = pci_find(0, 0, 8);
	assert_non_null(d);
	assert_int_equal(d->vendor, 0x1234);
	assert_int_equal(d->device, 0x5678);
	assert_int_equal(d->cap_msix, 0x60);
	assert_int_equal(d->msix_count, 4);
	assert_int_equal(d->msix_offset, 0x1000);
	assert_int_equal(d->ecap_acs, 0x100);
	assert_int_equal(d->ecap_ats, 0x140);
	assert_true(d->bars[0].is64);
	assert_int_equal(d->bars[0].base, 0xfe000000);
	assert_int_equal(d->bars[0].size, 0x4000);
	assert_int_equal(d->bars[1].size, 0);
	assert_false(f->config[PCI_COMMAND] & COMMAND_MASTER);
	assert_true(f->config[PCI_COMMAND] & COMMAND_MEMORY);
	assert_false(f->config[0x63] & 0x80);
	assert_null(pci_find(0, 0, 16));
}

static void bridges_are_followed_once(void **unused)
{
	(void)unused;
	add_bridge(0, 8, 1, 3);
	add_bridge(1, 0, 2, 2);
	add_bridge(1, 8, 2, 2);  /* the same bus again */
	add_bridge(1, 16, 0, 9); /* back to the top */
	add_bridge(1, 24, 1, 9); /* to itself */
	add_endpoint(2, 0, 0x11);
	add_endpoint(3, 0, 0x11); /* nobody leads there */
	pci_init();
	assert_non_null(pci_find(0, 2, 0));
	assert_ptr_equal(pci_find(0, 2, 0)->parent, pci_find(0, 1, 0));
	assert_ptr_equal(pci_find(0, 1, 0)->parent, pci_find(0, 0, 8));
	assert_null(pci_find(0, 3, 0));
}

static void missing_addresses_come_from_the_window(void **unused)
{
	struct function *a, *b, *c;
	struct pci_device *d;

	(void)unused;
	add_bridge(0, 8, 1, 1);
	a = add(1, 0, 0x11);
	put(a, PCI_BAR0, 4, 0xe0000000);
	allow(a, PCI_BAR0, 4, 0xfff00000);
	b = add(1, 8, 0x11);
	allow(b, PCI_BAR0, 4, 0xfff80000);
	c = add(1, 16, 0x11);
	allow(c, PCI_BAR0, 4, 0xfff00000);
	pci_init();
	assert_int_equal(pci_find(0, 1, 8)->bars[0].base, 0xe0100000);
	assert_int_equal(b->config[PCI_BAR0 + 2], 0x10);
	d = pci_find(0, 1, 16); /* 1 MiB no longer fits */
	assert_int_equal(d->bars[0].base, 0);
	assert_int_equal(d->bars[0].size, 0x100000);
}

static void reset_restores_the_header(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);
	struct pci_device *d;

	(void)unused;
	pci_init();
	d = pci_find(0, 0, 8);
	assert_int_equal(pci_reset_method(d), PCI_RESET_FLR);
	pci_set_master(d, true);
	assert_int_equal(pci_reset(d), 0);
	assert_int_equal(f->resets, 1);
	assert_int_equal(pci_read32(d, PCI_BAR0), 0xfe000004);
	assert_int_equal(f->config[PCI_COMMAND] & 7, 0);
}

/* Both are what a reset may bring back (PCIe 7.5.3.4). */
static void requests_pass_by_no_cache_and_bear_no_other_id(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);
	struct pci_device *d;

	(void)unused;
	put(f, 0x88, 2, 0x2f1f);
	allow(f, 0x88, 2, 0xffff);
	pci_init();
	assert_int_equal(f->config[0x88] | f->config[0x89] << 8, 0x251f);
	d = pci_find(0, 0, 8);
	f->control_after_reset = 0x2810;
	assert_int_equal(pci_reset(d), 0);
	assert_int_equal(f->config[0x88] | f->config[0x89] << 8, 0x251f);
}

static void reset_that_kills_is_told(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);
	struct pci_device *d;

	(void)unused;
	pci_init();
	f->dies = true;
	d = pci_find(0, 0, 8);
	assert_int_equal(pci_reset(d), -EIO);
	assert_int_equal(pci_reset(d), -EIO);
	assert_int_equal(f->resets, 1);
	assert_true(now < 3 * NS_PER_S);
}

static void endless_transactions_are_waited_for_100_ms(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);
	struct pci_device *d;

	(void)unused;
	pci_init();
	d = pci_find(0, 0, 8);
	assert_true(pci_wait_idle(d));
	f->busy = true;
	pci_set_master(d, false);
	now = 0;
	assert_false(pci_wait_idle(d));
	assert_true(now >= 100 * NS_PER_MS && now < 110 * NS_PER_MS);
}

/* A year forwards or back, in the first sleep of each wait. */
static void a_clock_that_was_set_ends_no_wait(void **unused)
{
	static const int64_t jumps[] = {365ll * 86400 * (int64_t)NS_PER_S,
		-365ll * 86400 * (int64_t)NS_PER_S};
	struct function *f = add_endpoint(0, 8, 0x11);
	struct pci_device *d;

	(void)unused;
	pci_init();
	d = pci_find(0, 0, 8);
	for (unsigned n = 0; n < 2; n++) {
		now = 2 * (uint64_t)jumps[0];
		clock_jump = jumps[n];
		f->busy_looks = 20;
		assert_true(pci_wait_idle(d));
		assert_int_equal(f->busy_looks, 0);
		/* And one that is busy for ever is. */
		clock_jump = jumps[n];
		f->busy_looks = 100000;
		assert_false(pci_wait_idle(d));
		f->busy_looks = 0;
		pci_set_master(d, false);
		now = 2 * (uint64_t)jumps[0];
		clock_jump = jumps[n];
		f->resets = 0;
		f->away_looks = 30;
		assert_int_equal(pci_reset(d), 0);
		assert_int_equal(f->away_looks, 0);
	}
}

static void circles_of_capabilities_end(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);

	(void)unused;
	f->config[0x81] = 0x60;
	put(f, 0x140, 4, 0x000f | 1 << 16 | 0x100u << 20);
	pci_init();
	/* Besides the look at every device number of every bus. */
	assert_true(accesses < 256 * 32 + 4000);
	assert_int_equal(pci_find(0, 0, 8)->cap_pcie, 0x80);
	assert_int_equal(pci_find(0, 0, 8)->ecap_ats, 0x140);
}

static void capability_at_the_edge_is_not_there(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);

	(void)unused;
	f->config[0x61] = 0xf8;
	put(f, 0xf8, 2, 0x10);
	pci_init();
	assert_int_equal(pci_find(0, 0, 8)->cap_pcie, 0);
}

static void table_outside_of_its_bar_is_not_there(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);

	(void)unused;
	put(f, 0x64, 4, 0x3fc8);
	pci_init();
	assert_int_equal(pci_find(0, 0, 8)->msix_count, 0);
}

static void check_device(const struct pci_device *d)
{
	assert_true(d->cap_pcie <= 236);
	assert_true(d->cap_msix <= 244);
	for (unsigned n = 0; n < 6; n++)
		assert_int_equal(d->bars[n].size & (d->bars[n].size - 1), 0);
	if (d->msix_count) {
		const struct pci_bar *b = &d->bars[d->msix_bar];

		assert_true(d->msix_bar < 6);
		assert_true(d->msix_offset + d->msix_count * 16ull <= b->size);
	}
	if (d->parent)
		assert_true(d->parent->bus < d->bus);
}

/* Bits that look like structure, more often than chance would have them. */
static void add_nonsense(void)
{
	struct function *f = add(draw(4), draw(256), draw(1u << 30));

	for (unsigned i = 4; i < 256; i++) {
		f->config[i] = draw(2) ? (uint8_t)draw(256) : 0;
		f->writable[i] = draw(2) ? (uint8_t)draw(256) : 0xff;
	}
	for (unsigned i = 256; i < 4096; i++)
		f->config[i] = (uint8_t)draw(256);
	if (draw(2))
		f->config[PCI_STATUS] |= STATUS_CAPABILITIES;
	f->config[PCI_HEADER_TYPE] =
		draw(4) ? draw(3) | draw(2) << 7 : draw(256);
	for (unsigned n = draw(40); n; n--) {
		static const uint8_t ids[] = {1, 5, 16, 17, 19};

		f->config[0x40 + 4 * draw(48)] = ids[draw(5)];
	}
	for (unsigned i = 0x41; i < 256; i += 4)
		f->config[i] &= 0xfc;
	if (draw(2))
		put(f, 0x100, 4, draw(20) | 1 << 16 | draw(4096) << 20);
}

/* Of a host bridge, whose BARs are not looked at, too. */
static void table_in_no_bar_is_not_there(void **unused)
{
	struct function *f = add_endpoint(0, 8, 0x11);

	(void)unused;
	put(f, PCI_CLASS + 2, 2, 0x0600);
	for (unsigned bar = 0; bar < 8; bar++) {
		forget(NULL);
		put(f, 0x64, 4, bar);
		pci_init();
		assert_int_equal(pci_find(0, 0, 8)->msix_count, 0);
	}
}

static void nonsense_is_survived(void **unused)
{
	struct pci_device *d;

	(void)unused;
	for (unsigned long round = 0; round < rounds; round++) {
		start(NULL);
		state = ++seed;
		wild = true;
		for (unsigned n = 1 + draw(FUNCTIONS); n; n--)
			add_nonsense();
		pci_init();
		list_for_each (d, &pci_devices, link) {
			check_device(d);
			pci_reset(d);
			pci_wait_idle(d);
			pci_set_master(d, false);
		}
		assert_true(accesses < 200000);
		assert_true(now < 200 * NS_PER_S);
		forget(NULL);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(endpoint_is_read_and_quiet),
		T(bridges_are_followed_once),
		T(missing_addresses_come_from_the_window),
		T(reset_restores_the_header),
		T(requests_pass_by_no_cache_and_bear_no_other_id),
		T(reset_that_kills_is_told),
		T(a_clock_that_was_set_ends_no_wait),
		T(endless_transactions_are_waited_for_100_ms),
		T(circles_of_capabilities_end),
		T(capability_at_the_edge_is_not_there),
		T(table_outside_of_its_bar_is_not_there),
		T(table_in_no_bar_is_not_there),
		T(nonsense_is_survived),
	};
	const char *given = getenv("SEED"), *wanted = getenv("ROUNDS");
	int failed;

	/* Each round has a seed of its own, one more than the last. */
	seed = (given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL)) - 1;
	if (wanted)
		rounds = strtoul(wanted, NULL, 0);
	printf("SEED=%llu\n", (unsigned long long)seed + 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (failed)
		printf("last round: SEED=%llu ROUNDS=1\n",
			(unsigned long long)seed);
	return failed;
}
