/* SPDX-License-Identifier: MIT */
/* Addresses that never were the attacker's. */
#include <dirent.h>

#include "attack.h"

static char secret[PAGE] __attribute__((aligned(4096)));

/* What is right must work, or nothing below proves anything. */
static void own_memory_is_reached(void)
{
	char *p = get_pages(2), got[64];

	take();
	memset(p, 'a', PAGE);
	CHECK(device_sees((uintptr_t)p, 64, got) && all_are(got, 'a', 64));
	device_fill((uintptr_t)p + PAGE, 'b', 64);
	CHECK(all_are(p + PAGE, 'b', 64) && p[PAGE + 64] == 0);
	CHECK(was_not_refused());
}

static void refused(uint64_t address)
{
	char got[64];

	if (device_sees(address, sizeof(got), got)) {
		printf("  %#llx was read\n", (unsigned long long)address);
		CHECK(!"the device read what is not its owner's");
	}
	CHECK(was_refused());
	/* Written blindly: if it arrives, the kernel will not be well. */
	device_fill(address, 0xcc, 64);
	CHECK(was_refused());
}

static void kernel_half(void)
{
	static const uint64_t addresses[] = {0xffff800000000000,
		0xffff800000100000, 0xffff888000000000, 0xffff888000100000,
		0xffffc00000000000, 0xffffffff80000000, 0xffffffff80100000,
		0xffffffff80200000, 0xfffffffffffff000};

	take();
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		refused(addresses[i]);
}

/* The kernel half with the sign extension left out: a unit that looks at 48
 * bits only must not find it either. */
static void kernel_half_without_its_sign(void)
{
	static const uint64_t addresses[] = {0x800000000000, 0x800000100000,
		0x888000000000, 0xc00000000000, 0xffff80000000, 0xffff80100000,
		0xffff80200000, 0xfffffffff000};

	take();
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		refused(addresses[i]);
}

static void physical_addresses(void)
{
	static const uint64_t addresses[] = {0, 0x1000, 0x7c00, 0x9f000,
		0x100000, 0x101000, 0x200000, 0x1000000, 0x3f000000,
		0xfed90000 /* the unit itself */, 0xe0000000, 0xb0000000};

	take();
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		refused(addresses[i]);
}

static void own_addresses_with_high_bits(void)
{
	uint64_t p = (uintptr_t)get_pages(1);

	memset((char *)p, 's', PAGE);
	take();
	for (unsigned bit = 48; bit < 64; bit += 3)
		refused(p | 1ull << bit);
	CHECK(all_are((char *)p, 's', PAGE));
}

/* The addresses that a device's info gives for its registers. */
static int refused_registers(const char *info)
{
	unsigned long long base;
	int count = 0;

	for (const char *p = info; (p = strstr(p, ": memory 0x")); p++)
		if (sscanf(p, ": memory %llx", &base) == 1 && base) {
			refused(base);
			count++;
		}
	return count;
}

/* From device to device, past the processor: by the addresses on the bus. */
static void other_devices_registers(void)
{
	static const uint64_t fixed[] = {
		0xfec00000 /* I/O APIC */, 0xfed00000 /* timer */};
	DIR *all = opendir(UDEV_PCI);
	struct dirent *e;
	int count = 0;

	CHECK(all);
	take();
	while ((e = readdir(all))) {
		char path[300], *info;

		snprintf(path, sizeof(path), UDEV_PCI "/%s/info", e->d_name);
		info = udev_read_file(path);
		count += info ? refused_registers(info) : 0;
		free(info);
	}
	closedir(all);
	CHECK(count >= 3); /* its own, the disk's, the network card's */
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		refused(fixed[i]);
}

/* Another process keeps a secret at the very same virtual address. */
static void other_processes(void)
{
	int to_child[2], to_parent[2], status;
	char c;
	pid_t pid;

	CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		memset(secret, 's', PAGE);
		CHECK(write(to_parent[1], "!", 1) == 1);
		CHECK(read(to_child[0], &c, 1) == 1);
		_exit(!all_are(secret, 's', PAGE));
	}
	CHECK(read(to_parent[0], &c, 1) == 1);
	take();
	CHECK(!device_sees((uintptr_t)secret, 64, NULL));
	device_fill((uintptr_t)secret, 0xcc, 64);
	CHECK(all_are(secret, 0xcc, 64));
	CHECK(write(to_child[1], "!", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A write there is an interrupt, never memory. The kernel must keep the window
 * out of every process and survive whatever vector comes. */
static void interrupt_window(void)
{
	char *window = (char *)0xfee00000;
	char *p = mmap(window, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(p == MAP_FAILED);
	p = mmap(window - PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(p == MAP_FAILED);
	p = mmap(window, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p == MAP_FAILED || p < window || p >= window + 0x100000);
}

static uint32_t message;

/* The remappable format (VT-d 5.1.2.2), alone and with a number to be added to
 * the entry's. */
static void forge_remapped(unsigned index, uint32_t number)
{
	uint64_t at = 0xfee00010 | (index & 0x7fff) << 5;

	message = number;
	edu_load(edu, (uintptr_t)&message, sizeof(message));
	edu_store(edu, number ? at | 8 : at, sizeof(message));
}

static void forged_interrupts(void)
{
	static const uint8_t vectors[] = {0x10, 0x11, 0x12, 0x1e, 0x20, 0x21,
		0x30, 0x40, 0x50, 0x80, 0xd0, 0xe0, 0xef, 0xf0, 0xf8, 0xfc,
		0xfd, 0xfe, 0xff};

	take();
	for (size_t i = 0; i < sizeof(vectors); i++) {
		message = vectors[i];
		edu_load(edu, (uintptr_t)&message, sizeof(message));
		edu_store(edu, 0xfee00000, sizeof(message)); /* to CPU 0 */
	}
	forge_remapped(0xfff, 0);      /* an entry that is nobody's */
	forge_remapped(0xfff, 0xffff); /* and one far beyond the table */
	for (unsigned index = 0; index < 6; index++)
		forge_remapped(index, 0); /* the kernel's and others' */
	CHECK(getpid() > 0);
}

/* The stack is there for the device as deep as the processor was in it. */
static void stack_not_used_yet(void)
{
	volatile char *deep =
		(char *)((uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1)) -
		128 * PAGE;
	char near[64];

	take();
	device_fill((uintptr_t)near, 'n', sizeof(near));
	CHECK(all_are(near, 'n', sizeof(near)));
	device_fill((uintptr_t)deep, 'd', 64);
	CHECK(was_refused());
	CHECK(deep[0] == 0);
	deep[0] = 1;
	device_fill((uintptr_t)deep, 'd', 64);
	CHECK(all_are((const char *)deep, 'd', 64));
}

/* For a device that cannot say higher addresses. */
static void low_memory(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	CHECK(p != MAP_FAILED && (uintptr_t)p + 4 * PAGE <= 0x80000000);
	take();
	device_fill((uintptr_t)p + 3 * PAGE, 'l', 64);
	CHECK(all_are(p + 3 * PAGE, 'l', 64) && all_are(p, 0, 3 * PAGE));
}

const struct attack address_attacks[] = {
	ATTACK(own_memory_is_reached),
	ATTACK(stack_not_used_yet),
	ATTACK(low_memory),
	ATTACK(kernel_half),
	ATTACK(kernel_half_without_its_sign),
	ATTACK(physical_addresses),
	ATTACK(own_addresses_with_high_bits),
	ATTACK(other_devices_registers),
	ATTACK(other_processes),
	ATTACK(interrupt_window),
	ATTACK(forged_interrupts),
	{0},
};
