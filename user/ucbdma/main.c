/* SPDX-License-Identifier: MIT */
/*
 * ucbdma [-n SIZE] BUS:DEVICE.FUNCTION: copy one buffer of this process to
 * another with Intel's CBDMA engine, told plain pointers.
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "cbdma.h"
#include "udev.h"

#define CLASS_OTHER_SYSTEM 0x0880
#define FILLING 0x5a5a5a5aa5a5a5a5

static uint64_t bus_read(void *regs, unsigned offset, unsigned width)
{
	switch (width) {
	case 1:
		return udev_read8(regs, offset);
	case 2:
		return udev_read16(regs, offset);
	case 4:
		return udev_read32(regs, offset);
	default:
		return udev_read64(regs, offset);
	}
}

static void bus_write(
	void *regs, unsigned offset, unsigned width, uint64_t value)
{
	switch (width) {
	case 1:
		udev_write8(regs, offset, (uint8_t)value);
		break;
	case 2:
		udev_write16(regs, offset, (uint16_t)value);
		break;
	case 4:
		udev_write32(regs, offset, (uint32_t)value);
		break;
	default:
		udev_write64(regs, offset, value);
	}
}

static uint64_t bus_now(void *regs)
{
	(void)regs;
	return udev_now_ns();
}

static const struct cbdma_bus bus = {bus_read, bus_write, bus_now};

static int fail(const char *what, int error)
{
	fprintf(stderr, "ucbdma: %s: %s\n", what, strerror(-error));
	return 1;
}

/* What it is called differs with every processor; what it is, does not. */
static int is_engine(const struct udev *d)
{
	return udev_config_read(d, 0, 2) == 0x8086 &&
		udev_config_read(d, 0x0a, 2) == CLASS_OTHER_SYSTEM;
}

static int copy(struct cbdma *c, size_t size)
{
	char *from = malloc(size), *to = malloc(size);
	int err;

	if (!from || !to)
		return fail("get two buffers", -ENOMEM);
	for (size_t i = 0; i < size; i++)
		from[i] = (char)(i * 31 + (i >> 8));
	err = cbdma_fill(c, to, FILLING, size);
	if (!err)
		err = cbdma_copy(c, to, from, size);
	if (err) {
		fprintf(stderr, "ucbdma: %s\n", cbdma_error_text(c->error));
		return fail("copy", err);
	}
	if (memcmp(from, to, size)) {
		fprintf(stderr, "ucbdma: the copy differs\n");
		return 1;
	}
	printf("%zu bytes, and every one arrived\n", size);
	return 0;
}

int main(int argc, char **argv)
{
	struct cbdma_memory *memory = udev_alloc(sizeof(*memory));
	size_t size = 65536;
	volatile void *regs;
	struct cbdma engine;
	struct udev d;
	int c, err;

	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n')
			optind = argc;
		else
			size = strtoul(optarg, NULL, 0);
	}
	if (optind + 1 != argc || udev_parse(&d, argv[optind]) || !size) {
		fprintf(stderr,
			"usage: ucbdma [-n SIZE] BUS:DEVICE.FUNCTION\n");
		return 2;
	}
	if (!memory)
		return fail("memory", -ENOMEM);
	if (!is_engine(&d)) {
		fprintf(stderr,
			"ucbdma: %s is not a CBDMA engine (QEMU has none)\n",
			argv[optind]);
		return 1;
	}
	err = udev_attach(&d);
	if (err)
		return fail("attach", err);
	regs = udev_map(&d, 0, NULL);
	if (!regs)
		return fail("map the registers", -errno);
	err = cbdma_start(&engine, &bus, (void *)regs, memory);
	if (err)
		return fail("start the engine", err);
	printf("version %x.%x, up to %zu bytes at once\n", engine.version >> 4,
		engine.version & 15, engine.max_size);
	return copy(&engine, size);
}
