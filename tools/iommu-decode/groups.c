/* SPDX-License-Identifier: MIT */
/*
 * Linux's groups: what must be handed over together, and what speaks against
 * it.
 */
#include <stdlib.h>
#include <string.h>
#include "iommu/vtd/regs.h"
#include "tool.h"

/** One device of a group, from /sys/bus/pci/devices. */
struct member {
	char driver[TOOL_NAME], unit[TOOL_NAME];
	unsigned class, vendor, device;
	bool is_pci;
};

static unsigned number(
	struct tool *tool, const char *device, const char *attribute)
{
	char path[TOOL_PATH], line[64];
	uint64_t value;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device,
		attribute);
	if (!tool_line(tool, path, line, sizeof(line)) ||
		!tool_hex(line, &value) || value > 0xffffff)
		return 0;
	return (unsigned)value;
}

static void read_member(
	struct tool *tool, const char *device, struct member *out)
{
	char path[TOOL_PATH];

	*out = (struct member){.class = number(tool, device, "class"),
		.vendor = number(tool, device, "vendor"),
		.device = number(tool, device, "device")};
	out->is_pci = out->vendor;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	tool_link(tool, path, out->driver, sizeof(out->driver));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", device);
	tool_link(tool, path, out->unit, sizeof(out->unit));
}

static const char *class_name(unsigned class)
{
	static const char *const names[] = {"old device", "storage", "network",
		"display", "multimedia", "memory", "bridge", "communication",
		"system", "input", "docking station", "processor", "serial bus",
		"wireless", "controller", "satellite", "encryption",
		"signal processing", "accelerator"};
	unsigned base = class >> 16;

	return base < sizeof(names) / sizeof(*names) ? names[base] : "device";
}

/** Bridges between buses stay with the host, whatever their group. */
static bool is_bus_bridge(const struct member *m)
{
	return m->class >> 8 == 0x0604;
}

static bool has_remapping(struct tool *tool, const char *unit)
{
	char path[TOOL_PATH], line[64];
	uint64_t ecap;

	snprintf(path, sizeof(path), "/sys/class/iommu/%s/intel-iommu/ecap",
		unit);
	/* Other makers' units are not judged. */
	return !tool_line(tool, path, line, sizeof(line)) ||
		!tool_hex(line, &ecap) || VTD_ECAP_IR(ecap);
}

/** Whether firmware keeps memory for devices of the group. Linux calls regions
 *  that do not hinder "direct-relaxable". */
static bool has_reserved_memory(struct tool *tool, const char *group)
{
	char path[TOOL_PATH], full[TOOL_PATH], line[128], kind[32];
	bool any = false;
	FILE *file;

	snprintf(path, sizeof(path),
		"/sys/kernel/iommu_groups/%s/reserved_regions", group);
	if (!tool_path(tool, full, path))
		return false;
	file = fopen(full, "r");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		any |= sscanf(line, "%*s %*s %31s", kind) == 1 &&
			!strcmp(kind, "direct");
	fclose(file);
	return any;
}

/** What was found about a group. */
struct verdict {
	unsigned movable, bridges;
	bool system, no_remapping, reserved;
};

static void print_member(
	struct tool *tool, const char *device, struct verdict *v)
{
	struct member m;

	read_member(tool, device, &m);
	if (!m.is_pci) {
		fprintf(tool->out, "  %s: not PCI\n", device);
		v->system = true;
		return;
	}
	fprintf(tool->out, "  %s %04x:%04x %s, %s%s\n", device, m.vendor,
		m.device, class_name(m.class),
		m.driver[0] ? "driver " : "no driver", m.driver);
	if (is_bus_bridge(&m))
		v->bridges++;
	else if (m.class >> 16 == 6)
		v->system = true; /* host, ISA: the machine itself */
	else
		v->movable++;
	if (m.unit[0] && !has_remapping(tool, m.unit))
		v->no_remapping = true;
}

static void print_verdict(FILE *out, const struct verdict *v)
{
	if (v->system)
		fprintf(out,
			"  -> stays: it holds a part of the machine "
			"itself.\n");
	else if (!v->movable)
		fprintf(out, "  -> nothing to hand over: only bridges.\n");
	else if (v->reserved)
		fprintf(out,
			"  -> stays: firmware reserved memory for it "
			"(RMRR), and Linux refuses to hand it over.\n");
	else if (v->no_remapping)
		fprintf(out,
			"  -> not safe: no interrupt remapping; a device "
			"given to a virtual machine can forge "
			"interrupts.\n");
	else if (v->movable > 1)
		fprintf(out,
			"  -> can be passed through, all %u devices "
			"together%s.\n",
			v->movable, v->bridges ? "; the bridge stays" : "");
	else
		fprintf(out, "  -> can be passed through by itself.\n");
}

static void print_group(struct tool *tool, const char *group)
{
	char path[TOOL_PATH];
	struct verdict v = {0};
	char **devices;
	int count, n;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices",
		group);
	fprintf(tool->out, "group %s\n", group);
	count = tool_names(tool, path, &devices);
	for (n = 0; n < count; n++)
		print_member(tool, devices[n], &v);
	if (count > 0)
		tool_free_names(devices, count);
	v.reserved = has_reserved_memory(tool, group);
	if (count < 1)
		fprintf(tool->out, "  empty\n");
	else
		print_verdict(tool->out, &v);
}

int command_groups(struct tool *tool, int argc, char **argv)
{
	char **groups;
	int count = tool_names(tool, "/sys/kernel/iommu_groups", &groups), n;

	(void)argc;
	(void)argv;
	if (count < 0)
		return tool_fail(tool,
			"%s/sys/kernel/iommu_groups cannot be read: is this "
			"Linux, and is /sys mounted?",
			tool->root);
	for (n = 0; n < count; n++)
		print_group(tool, groups[n]);
	tool_free_names(groups, count);
	if (count)
		return TOOL_FINE;
	fprintf(tool->out,
		"There are no groups: no I/O MMU is in use, so no "
		"device can be handed over safely.\n"
		"Switch on VT-d in the firmware and start Linux with "
		"intel_iommu=on.\n");
	return TOOL_WRONG;
}
