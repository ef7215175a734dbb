/* SPDX-License-Identifier: MIT */
/*
 * "#pci": one folder per function, "00:01.0" (with the segment in front where
 * it is not 0):
 *
 *   config       configuration space, to read
 *   bar0…bar5    registers, to map; only by the process that has the device
 *   ctl          commands: "busmaster on|off", "reset"; only by the owner
 *   info         what it is, whose it is, how it is reset
 */
#include "dev/dev.h"
#include "assign/assign.h"
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

static ssize_t config_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct pci_device *d = device(file_node(f));
	unsigned size = pci_config_size(d);
	ssize_t moved = 0;

	while (*pos < size && u->left) {
		uint8_t byte = pci_read8(d, (unsigned)*pos);
		ssize_t n = uio_put(u, &byte, 1);

		if (n < 0)
			return moved ? moved : n;
		moved += n;
		*pos += (uint64_t)n;
	}
	return moved;
}

static int open_seekable(struct node *file, struct file *f)
{
	(void)file;
	f->seekable = true;
	return 0;
}

static const struct file_ops config_fops = {.read = config_read};

/* -------------------------------------------------------------------- bars */

static int bar_range(struct file *f, uint64_t offset, uint64_t length,
	struct device_range *out)
{
	struct node *n = file_node(f);
	struct pci_device *d = device(n);
	const struct pci_bar *bar = &d->bars[n->b];
	uint64_t size = ALIGN_UP(bar->size, PAGE_SIZE);

	if (!owned_here(d))
		return -EPERM;
	/* A BAR smaller than a page may share it with another device's. */
	if (bar->base % PAGE_SIZE)
		return -ENOTSUP;
	if (offset > size || length > size - offset)
		return -ENXIO;
	*out = (struct device_range){.base = bar->base + offset,
		.size = size - offset,
		.writable = true,
		.write_combining = bar->prefetchable};
	return 0;
}

static const struct file_ops bar_fops = {.get_device = bar_range};

/* --------------------------------------------------------------- ctl, info */

static int ctl_command(struct node *file, const char *line, size_t n)
{
	struct pci_device *d = device(file);

	if (!owned_here(d))
		return -EPERM;
	while (n && line[n - 1] == '\n')
		n--;
	if (n == 12 && !strncmp(line, "busmaster on", n)) {
		pci_set_master(d, true);
	} else if (n == 13 && !strncmp(line, "busmaster off", n)) {
		pci_set_master(d, false);
	} else if (n == 5 && !strncmp(line, "reset", n)) {
		int err = pci_reset(d);

		if (err)
			return err;
		pci_set_memory(d, true);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int ctl_text(struct node *file, struct text *t)
{
	(void)file;
	text_printf(t, "busmaster on|off\nreset\n");
	return 0;
}

static void bars_text(const struct pci_device *d, struct text *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bars); i++) {
		const struct pci_bar *b = &d->bars[i];

		if (b->size)
			text_printf(t, "bar%u: %s 0x%llx size 0x%llx%s\n", i,
				b->io ? "ports" : "memory",
				(unsigned long long)b->base,
				(unsigned long long)b->size,
				b->prefetchable ? " prefetchable" : "");
	}
}

static int info_text(struct node *file, struct text *t)
{
	struct pci_device *d = device(file);
	struct assigned a;

	text_printf(t, "id: %04x:%04x\nclass: %02x%02x%02x revision %02x\n",
		d->vendor, d->device, d->class, d->subclass, d->prog_if,
		d->revision);
	bars_text(d, t);
	text_printf(t, "reset: %s\n", pci_reset_name(pci_reset_method(d)));
	if (assign_of(d, &a))
		text_printf(t, "owner: pid %d\nfaults: %llu\n", a.pid,
			(unsigned long long)a.faults);
	else if (assign_broken(d))
		text_printf(t, "owner: none; blocked, could not be stopped\n");
	else
		text_printf(t, "owner: none\n");
	return 0;
}

static const struct node_ops config_ops = {
	.fops = &config_fops, .open = open_seekable};
static const struct node_ops bar_ops = {.fops = &bar_fops};
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

static bool device_child(struct node *dir, unsigned n, struct node *out)
{
	static const struct node fixed[] = {
		{.name = "config", .mode = S_IFREG | 0444, .ops = &config_ops},
		{.name = "ctl", .mode = S_IFREG | 0644, .ops = &ctl_ops},
		{.name = "info", .mode = S_IFREG | 0444, .ops = &info_ops},
	};
	struct pci_device *d = device(dir);
	int bar;

	if (n < ARRAY_SIZE(fixed)) {
		*out = fixed[n];
		out->a = dir->a;
		if (n == 0)
			out->size = pci_config_size(d);
		return true;
	}
	bar = memory_bar(d, n - ARRAY_SIZE(fixed));
	if (bar < 0)
		return false;
	*out = (struct node){.mode = S_IFREG | 0600,
		.size = d->bars[bar].size,
		.ops = &bar_ops,
		.a = dir->a,
		.b = (uintptr_t)bar};
	ksnprintf(out->name, sizeof(out->name), "bar%d", bar);
	return true;
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
}
