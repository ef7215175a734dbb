/* SPDX-License-Identifier: MIT */
/*
 * Refused requests by the thousand, from QEMU's e1000: its ring of descriptors
 * is put where nothing is, and every doorbell makes it look there. The machine
 * must stay usable and the device must be stopped. In virtual time that passes
 * with instructions they are too few in a second to be a storm.
 */
#include "attack.h"

#define CARD "00:02.0"
#define TCTL 0x0400
#define TCTL_ENABLE 0x2
#define TDBAL 0x3800
#define TDBAH 0x3804
#define TDLEN 0x3808
#define TDT 0x3818
#define RING 4096
#define NOWHERE 0x123450000ull

static int is_blocked(const struct udev *d)
{
	char path[64], name[16], *info;
	int blocked;

	udev_name(d, name);
	snprintf(path, sizeof(path), UDEV_PCI "/%s/info", name);
	info = udev_read_file(path);
	CHECK(info);
	blocked = strstr(info, "\nblocked: ") != NULL;
	free(info);
	return blocked;
}

static void point_at_nothing(volatile void *card)
{
	udev_write32(card, TDBAL, (uint32_t)NOWHERE);
	udev_write32(card, TDBAH, NOWHERE >> 32);
	udev_write32(card, TDLEN, RING);
	udev_write32(card, TCTL, TCTL_ENABLE);
}

static void faults_without_end(void)
{
	struct udev card;
	volatile void *regs;
	uint64_t deadline;
	unsigned n = 0;

	CHECK(udev_parse(&card, CARD) == 0);
	CHECK(udev_attach(&card) == 0);
	regs = udev_map(&card, 0, NULL);
	CHECK(regs && !is_blocked(&card));
	point_at_nothing(regs);
	deadline = udev_now_ns() + 60000000000ull;
	while (!is_blocked(&card)) {
		CHECK(udev_now_ns() < deadline);
		for (unsigned i = 0; i < 200; i++)
			udev_write32(regs, TDT, ++n % (RING / 16));
	}
	CHECK(udev_detach(&card) == 0);
	/* The next owner begins anew. */
	CHECK(udev_attach(&card) == 0 && !is_blocked(&card));
}

const struct attack storm_attacks[] = {
	LONG_ATTACK(faults_without_end),
	{0},
};
