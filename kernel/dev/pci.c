/* SPDX-License-Identifier: MIT */
/*
 * "#pci": one folder per function, "00:01.0" (with the segment in front where
 * it is not 0):
 *
 *   config       configuration space; writes go through assign/config.c
 *   bar0…bar5    registers, to map; writes combine where prefetchable
 *   rom          the expansion ROM, to read or map
 *   ctl          commands; reading lists them
 *   info         what it is, whose it is, how it is reset
 *   irq          reads as a 64-bit count of interrupts since the last read (the
 *                first vector); irq0, irq1 … each enabled vector
 *
 * Only the process that has the device may write, map and take interrupts.
 */
#include "dev/dev.h"
#include "dev/pci_info.h"
#include "assign/assign.h"
#include "assign/config.h"
#include "assign/faults.h"
#include "assign/hotplug.h"
#include "assign/interrupts.h"
#include "assign/owner.h"
#include "fs/inode.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "lib/text.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "pci/pci.h"
#include "proc/process.h"

static struct pci_device *device(struct node *n)
{
	return (struct pci_device *)n->a;
}

static bool owned_here(struct pci_device *d)
{
	struct process *p = process_current();

	return p && pci_owned_by(d, p->space);
}

/* ------------------------------------------------------------------ config */

static ssize_t config_file_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pci_device *d = device(file_node(f));
	unsigned size = pci_config_size(d);
	ssize_t moved = 0;

	while (*pos < size && u->left) {
		uint8_t byte;
		ssize_t n;

		config_read(d, (unsigned)*pos, &byte, 1);
		n = uio_put(u, &byte, 1);
		if (n < 0)
			return moved ? moved : n;
		moved += n;
		*pos += (uint64_t)n;
	}
	return moved;
}

/* One piece of a write, inside a dword. */
struct piece {
	unsigned off, n;
	uint8_t bytes[4];
};

static int write_piece(struct pci_device *d, void *arg)
{
	const struct piece *p = arg;

	return config_write(d, p->off, p->bytes, p->n);
}

static ssize_t config_file_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pci_device *d = device(file_node(f));
	unsigned size = pci_config_size(d);
	ssize_t moved = 0;

	if (u->left && *pos >= size)
		return -ENOSPC;
	while (*pos < size && u->left) {
		struct piece p = {.off = (unsigned)*pos};
		ssize_t n;

		p.n = (unsigned)MIN(u->left, 4 - (p.off & 3));
		n = uio_get(u, p.bytes, p.n);
		if (n == (ssize_t)p.n)
			n = assign_as_owner(d, write_piece, &p);
		else if (n >= 0)
			n = -EFAULT;
		if (n < 0)
			return moved ? moved : n;
		moved += p.n;
		*pos += p.n;
	}
	return moved;
}

static int open_seekable(struct node *file, struct file *f)
{
	(void)file;
	f->seekable = true;
	return 0;
}

static const struct file_ops config_fops = {
	.read = config_file_read, .write = config_file_write};

/* -------------------------------------------------------------------- bars */

/* Does something else lie in the pages of these registers? */
static bool shares_page(const struct pci_bar *bar)
{
	uint64_t end = ALIGN_UP(bar->base + bar->size, PAGE_SIZE);
	struct pci_device *d;

	if (bar->base % PAGE_SIZE)
		return true;
	list_for_each (d, &pci_devices, link)
		for (unsigned i = 0; i < ARRAY_SIZE(d->bars); i++) {
			const struct pci_bar *b = &d->bars[i];

			if (b != bar && b->size && !b->io && b->base < end &&
				b->base + b->size > bar->base)
				return true;
		}
	return false;
}

static int map_range(struct pci_device *d, const struct pci_bar *bar,
	uint64_t offset, uint64_t length, struct device_range *out)
{
	uint64_t size = ALIGN_UP(bar->size, PAGE_SIZE);

	if (!owned_here(d))
		return -EPERM;
	if (shares_page(bar))
		return -ENOTSUP;
	if (offset > size || length > size - offset)
		return -ENXIO;
	*out = (struct device_range){.base = bar->base + offset,
		.size = size - offset,
		.write_combining = bar->prefetchable};
	return 0;
}

static int bar_range(struct file *f, uint64_t offset, uint64_t length,
	struct device_range *out)
{
	struct node *n = file_node(f);
	struct pci_device *d = device(n);
	const struct pci_bar *bar = &d->bars[n->b];
	int err = map_range(d, bar, offset, length, out);

	if (err)
		return err;
	out->writable = true;
	if (d->msix_count && d->msix_bar == n->b) {
		uint64_t table = bar->base + d->msix_offset;

		out->readonly_start = ALIGN_DOWN(table, PAGE_SIZE);
		out->readonly_end =
			ALIGN_UP(table + 16ull * d->msix_count, PAGE_SIZE);
	}
	return 0;
}

static int rom_range(struct file *f, uint64_t offset, uint64_t length,
	struct device_range *out)
{
	struct pci_device *d = device(file_node(f));
	int err = map_range(d, &d->rom, offset, length, out);

	if (!err)
		pci_set_rom(d, true);
	return err;
}

static int rom_on(struct pci_device *d, void *arg)
{
	(void)arg;
	pci_set_rom(d, true);
	return 0;
}

/* The registers of a ROM are mapped for the kernel on the first read. */
static volatile uint8_t *rom_window(struct pci_device *d)
{
	if (!d->rom_window)
		d->rom_window =
			kernel_map_device(phys(d->rom.base), d->rom.size);
	return d->rom_window;
}

static ssize_t rom_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pci_device *d = device(file_node(f));
	int err = assign_as_owner(d, rom_on, NULL);
	volatile uint8_t *rom = err ? NULL : rom_window(d);
	ssize_t moved = 0;

	if (err)
		return err;
	if (!rom)
		return -ENOMEM;
	while (u->left && *pos < d->rom.size) {
		uint8_t part[256];
		size_t n = MIN(sizeof(part), d->rom.size - *pos);
		ssize_t put;

		for (size_t i = 0; i < n; i++)
			part[i] = rom[*pos + i];
		put = uio_put(u, part, n);
		if (put < 0)
			return moved ? moved : put;
		moved += put;
		*pos += (uint64_t)put;
	}
	return moved;
}

static const struct file_ops rom_fops = {
	.read = rom_read, .get_device = rom_range};
static const struct file_ops bar_fops = {.get_device = bar_range};

/* --------------------------------------------------------------------- ctl */

static int set_master(struct pci_device *d, void *arg)
{
	return pci_set_master(d, arg != NULL) ? 0 : -EIO;
}

static int enable(struct pci_device *d, void *arg)
{
	(void)arg;
	pci_set_memory(d, true);
	return 0;
}

static int reset(struct pci_device *d, void *arg)
{
	int err;

	(void)arg;
	interrupts_release(d);
	err = pci_reset(d);
	if (!err)
		pci_set_memory(d, true);
	return err;
}

static int enable_msix(struct pci_device *d, void *arg)
{
	return interrupts_enable_msix(d, (unsigned)(uintptr_t)arg);
}

static int enable_msi(struct pci_device *d, void *arg)
{
	return interrupts_enable_msi(d, (unsigned)(uintptr_t)arg);
}

static int set_policy(struct pci_device *d, void *arg)
{
	return assign_set_policy(d, (enum fault_policy)(uintptr_t)arg);
}

/* A decimal number up to 9999 at the end of a command, or -1. */
static int argument(const char *s)
{
	int value = 0;

	if (!*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || value > 999)
			return -1;
		value = value * 10 + (*s - '0');
	}
	return value;
}

static const struct {
	const char *word; /* ends in a blank: a number follows */
	int (*fn)(struct pci_device *d, void *arg);
	uintptr_t arg;
	const char *help;
} commands[] = {
	{"enable", enable, 0, "let the registers answer"},
	{"busmaster on", set_master, 1, "let the device start requests"},
	{"busmaster off", set_master, 0, "do not"},
	{"reset", reset, 0, "reset the function; interrupts are off then"},
	{"msi ", enable_msi, 0, "N: message interrupts; 0: off"},
	{"msix ", enable_msix, 0, "N: MSI-X vectors, irq0 ...; 0: off"},
	{"faults log", set_policy, FAULT_LOG, "say what it was refused"},
	{"faults sigbus", set_policy, FAULT_SIGBUS, "and signal its owner"},
	{"faults detach", set_policy, FAULT_DETACH, "and take it away"},
};

static int ctl_command(struct node *file, const char *line, size_t n)
{
	char word[32];

	while (n && (line[n - 1] == '\n' || line[n - 1] == ' '))
		n--;
	if (n >= sizeof(word))
		return -EINVAL;
	memcpy(word, line, n);
	word[n] = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		const char *w = commands[i].word;
		size_t len = strlen(w);
		uintptr_t arg = commands[i].arg;

		if (w[len - 1] == ' ') {
			if (strncmp(word, w, len))
				continue;
			if (argument(word + len) < 0)
				return -EINVAL;
			arg = (uintptr_t)argument(word + len);
		} else if (strcmp(word, w)) {
			continue;
		}
		return assign_as_owner(
			device(file), commands[i].fn, (void *)arg);
	}
	return -EINVAL;
}

static int ctl_text(struct node *file, struct text *t)
{
	(void)file;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		text_printf(
			t, "%-14s %s\n", commands[i].word, commands[i].help);
	return 0;
}

/* --------------------------------------------------------------------- irq */

static ssize_t irq_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct node *n = file_node(f);
	int64_t count;
	uint64_t value;

	(void)pos;
	if (u->left < sizeof(value))
		return -EINVAL;
	if (!owned_here(device(n)))
		return -EPERM;
	count = interrupts_read(
		device(n), (unsigned)n->b, f->flags & O_NONBLOCK);
	if (count < 0)
		return count;
	value = (uint64_t)count;
	return uio_put(u, &value, sizeof(value));
}

static unsigned irq_poll(struct file *f, struct poller *p)
{
	struct node *n = file_node(f);

	return interrupts_poll(device(n), (unsigned)n->b, p);
}

static const struct file_ops irq_fops = {.read = irq_read, .poll = irq_poll};
static const struct node_ops irq_ops = {.fops = &irq_fops};

static int info_text(struct node *file, struct text *t)
{
	pci_info_text(device(file), t);
	return 0;
}

static const struct node_ops config_ops = {
	.fops = &config_fops, .open = open_seekable};
static const struct node_ops bar_ops = {.fops = &bar_fops};
static const struct node_ops rom_ops = {
	.fops = &rom_fops, .open = open_seekable};
static const struct node_ops ctl_ops = {
	.text = ctl_text, .command = ctl_command};
static const struct node_ops info_ops = {.text = info_text};

/* --------------------------------------------------------------------- tree */

/* The n-th BAR that can be mapped, or -1. */
static int memory_bar(const struct pci_device *d, unsigned n)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bars); i++)
		if (d->bars[i].size && !d->bars[i].io && n-- == 0)
			return (int)i;
	return -1;
}

static bool irq_child(struct node *dir, unsigned n, struct node *out)
{
	*out = (struct node){.mode = S_IFREG | 0400,
		.ops = &irq_ops,
		.a = dir->a,
		.b = n ? n - 1 : 0};
	if (n == 0)
		ksnprintf(out->name, sizeof(out->name), "irq");
	else
		ksnprintf(out->name, sizeof(out->name), "irq%u", n - 1);
	return true;
}

/* A ROM without an address cannot be read. */
static bool has_rom(const struct pci_device *d)
{
	return d->rom.size && d->rom.base;
}

/* config, ctl, info; then the BARs and the ROM; then irq (the first vector),
 * and one more for each vector that is enabled. */
static bool device_child(struct node *dir, unsigned n, struct node *out)
{
	static const struct node fixed[] = {
		{.name = "config", .mode = S_IFREG | 0644, .ops = &config_ops},
		{.name = "ctl", .mode = S_IFREG | 0644, .ops = &ctl_ops},
		{.name = "info", .mode = S_IFREG | 0444, .ops = &info_ops},
	};
	struct pci_device *d = device(dir);
	unsigned bars = 0;

	if (n < ARRAY_SIZE(fixed)) {
		*out = fixed[n];
		out->a = dir->a;
		if (n == 0)
			out->size = pci_config_size(d);
		return true;
	}
	n -= ARRAY_SIZE(fixed);
	while (memory_bar(d, bars) >= 0)
		bars++;
	if (n < bars) {
		int bar = memory_bar(d, n);

		*out = (struct node){.mode = S_IFREG | 0600,
			.size = d->bars[bar].size,
			.ops = &bar_ops,
			.a = dir->a,
			.b = (uintptr_t)bar};
		ksnprintf(out->name, sizeof(out->name), "bar%d", bar);
		return true;
	}
	n -= bars;
	if (has_rom(d)) {
		*out = (struct node){.name = "rom",
			.mode = S_IFREG | 0400,
			.size = d->rom.size,
			.ops = &rom_ops,
			.a = dir->a};
		if (n-- == 0)
			return true;
	}
	if (n > interrupts_count(d) || !(d->cap_msi || d->msix_count))
		return false;
	return irq_child(dir, n, out);
}

static const struct node_ops device_ops = {.child = device_child};

static bool root_child(struct node *dir, unsigned n, struct node *out)
{
	struct pci_device *d = pci_nth(n);

	(void)dir;
	if (!d)
		return false;
	*out = (struct node){
		.mode = S_IFDIR | 0555, .ops = &device_ops, .a = (uintptr_t)d};
	pci_device_name(d, out->name, sizeof(out->name));
	return true;
}

void dev_pci_init(void)
{
	static const struct node_ops root_ops = {.child = root_child};
	struct node root = {
		.name = "pci", .mode = S_IFDIR | 0555, .ops = &root_ops};

	if (tree_register("pci", &root))
		kprintf("#pci: not registered\n");
	hotplug_init();
}
