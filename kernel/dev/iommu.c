/* SPDX-License-Identifier: MIT */
/*
 * "#iommu": attach, detach, info, mappings, power. The texts have the form of
 * the system that this one follows, line by line; what is decided, is decided
 * in assign/.
 */
#include "dev/dev.h"
#include "assign/assign.h"
#include "assign/faults.h"
#include "fs/inode.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "lib/text.h"
#include "pci/pci.h"

static void sink(void *arg, const char *s, size_t n)
{
	text_append(arg, s, n);
}

static int usage(struct text *t, const char *lines)
{
	char why[160];

	text_append(t, lines, strlen(lines));
	assign_last_error(why, sizeof(why));
	if (*why)
		text_printf(t, "last error: %s\n", why);
	return 0;
}

static int attach_text(struct node *file, struct text *t)
{
	(void)file;
	if (!assign_absent_reason() && !assign_remaps_interrupts())
		text_printf(t,
			"not protected: without interrupt remapping the "
			"owner of a device can raise any interrupt "
			"vector on any processor\n");
	return usage(t,
		"write \"bus:device.function pid\" to give a device to a "
		"process, e.g. 0:3.0 22\n"
		"(device numbers are hexadecimal, the pid is decimal)\n");
}

/* "bus:device.function pid"; the pid is 0 if it was left out. */
static int parse(const char *file, const char *line, size_t n,
	struct pci_address *at, int *pid)
{
	const char *wrong = strlen(line) == n ? parse_assignment(line, at, pid)
					      : "a zero byte";

	return wrong ? assign_complain(file, -EINVAL, "%s", wrong) : 0;
}

static int attach_command(struct node *file, const char *line, size_t n)
{
	struct pci_address at;
	int pid, err = parse("attach", line, n, &at, &pid);

	(void)file;
	if (err)
		return err;
	if (!pid)
		return assign_complain("attach", -EINVAL,
			"a process is wanted after the device");
	return assign_attach(at, pid);
}

static int detach_text(struct node *file, struct text *t)
{
	(void)file;
	return usage(t,
		"write \"bus:device.function\" to take a device from its "
		"process, e.g. 0:3.0\n"
		"(a pid after it is accepted and must be the owner's)\n");
}

static int detach_command(struct node *file, const char *line, size_t n)
{
	struct pci_address at;
	int pid, err = parse("detach", line, n, &at, &pid);

	(void)file;
	return err ? err : assign_detach(at, pid);
}

static int info_text(struct node *file, struct text *t)
{
	(void)file;
	if (!host_iommu) {
		text_printf(t, "driver info:\n status = unavailable: %s\n",
			assign_absent_reason());
		return 0;
	}
	iommu_report_info(host_iommu, sink, t);
	return 0;
}

static void unit_mappings(struct text *t, unsigned unit)
{
	struct assigned a, b;

	for (unsigned i = 0; assign_nth(i, &a); i++) {
		bool first = a.unit == unit;

		for (unsigned j = 0; first && j < i && assign_nth(j, &b); j++)
			first = b.unit != unit || b.pid != a.pid;
		if (!first)
			continue;
		text_printf(t, " pid = %d\n", a.pid);
		for (unsigned j = i; assign_nth(j, &b); j++)
			if (b.unit == unit && b.pid == a.pid)
				text_printf(t, " device = %x:%x.%x\n",
					b.device->bus, PCI_DEV(b.device->devfn),
					PCI_FN(b.device->devfn));
	}
}

static int mappings_text(struct node *file, struct text *t)
{
	unsigned units = host_iommu ? iommu_unit_count(host_iommu) : 0;
	struct iommu_unit_info info;

	(void)file;
	for (unsigned i = 0; i < units; i++) {
		if (iommu_unit_info(host_iommu, i, &info) != IOMMU_OK)
			continue;
		text_printf(t, "Mappings for iommu@0x%016llx\n",
			(unsigned long long)(uintptr_t)info.handle);
		unit_mappings(t, i);
	}
	return 0;
}

static int power_text(struct node *file, struct text *t)
{
	bool on = host_iommu && iommu_is_on(host_iommu);

	(void)file;
	text_printf(t,
		"IOMMU status: %s\n"
		"Write 'enable' or 'disable' OR 'on' or 'off' to change "
		"status\n",
		on ? "enabled" : "disabled");
	return 0;
}

static int power_command(struct node *file, const char *line, size_t n)
{
	int on = strlen(line) == n ? parse_switch(line) : -1;

	(void)file;
	if (on < 0)
		return assign_complain("power", -EINVAL,
			"'on', 'off', 'enable' or 'disable' is wanted");
	return assign_power(on);
}

static const struct node_ops attach_ops = {
	.text = attach_text, .command = attach_command};
static const struct node_ops detach_ops = {
	.text = detach_text, .command = detach_command};
static const struct node_ops info_ops = {.text = info_text};
static const struct node_ops mappings_ops = {.text = mappings_text};
static const struct node_ops power_ops = {
	.text = power_text, .command = power_command};

static bool root_child(struct node *dir, unsigned n, struct node *out)
{
	static const struct node files[] = {
		{.name = "attach", .mode = S_IFREG | 0644, .ops = &attach_ops},
		{.name = "detach", .mode = S_IFREG | 0644, .ops = &detach_ops},
		{.name = "info", .mode = S_IFREG | 0444, .ops = &info_ops},
		{.name = "mappings",
			.mode = S_IFREG | 0444,
			.ops = &mappings_ops},
		{.name = "power", .mode = S_IFREG | 0644, .ops = &power_ops},
	};

	(void)dir;
	if (n >= ARRAY_SIZE(files))
		return false;
	*out = files[n];
	return true;
}

void dev_iommu_init(void)
{
	static const struct node_ops root_ops = {.child = root_child};
	struct node root = {
		.name = "iommu", .mode = S_IFDIR | 0555, .ops = &root_ops};

	if (tree_register("iommu", &root))
		kprintf("#iommu: not registered\n");
}
