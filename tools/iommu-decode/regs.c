/* SPDX-License-Identifier: MIT */
/*
 * Capability registers, units as Linux shows them in sysfs, and raw dumps of a
 * unit's register page.
 */
#include <stdlib.h>
#include <string.h>
#include <iommu/decode.h>
#include <iommu/fault.h>
#include "iommu/vtd/regs.h"
#include "tool.h"

static void to_memory(void *arg, const char *text, size_t length)
{
	fwrite(text, 1, length, arg);
}

/** The library's lines for one of the two registers: they stand one after the
 *  other in its text. */
static void facts(FILE *out, uint64_t cap, uint64_t ecap, bool want_ecap)
{
	char *text = NULL, *middle;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	iommu_decode_capabilities(0, cap, ecap, to_memory, memory);
	if (fclose(memory) || !text)
		return;
	middle = strstr(text, " ext. capabilities = ");
	if (want_ecap && middle)
		fputs(middle, out);
	else if (middle)
		/* The first line is the version, which nobody gave. */
		fwrite(strchr(text, '\n') + 1, 1,
			(size_t)(middle - strchr(text, '\n') - 1), out);
	free(text);
}

static int register_value(struct tool *tool, const char *text, uint64_t *out)
{
	if (!tool_hex(text, out))
		return tool_fail(tool,
			"%s is no register: a hexadecimal number of at most 16 "
			"digits is needed",
			text);
	if (*out != ~0ull)
		return TOOL_FINE;
	fprintf(tool->out,
		"All bits are set: nothing answered at the "
		"register's address.\n");
	return TOOL_WRONG;
}

int command_cap(struct tool *tool, int argc, char **argv)
{
	uint64_t cap;
	int status = register_value(tool, argv[0], &cap);

	(void)argc;
	if (status != TOOL_FINE)
		return status;
	facts(tool->out, cap, 0, false);
	meaning_cap(tool->out, cap);
	return TOOL_FINE;
}

int command_ecap(struct tool *tool, int argc, char **argv)
{
	uint64_t ecap;
	int status = register_value(tool, argv[0], &ecap);

	(void)argc;
	if (status != TOOL_FINE)
		return status;
	facts(tool->out, 0, ecap, true);
	meaning_ecap(tool->out, ecap);
	return TOOL_FINE;
}

static void print_unit(FILE *out, uint64_t version, uint64_t cap, uint64_t ecap)
{
	iommu_decode_capabilities((uint32_t)version, cap, ecap, to_memory, out);
	meaning_cap(out, cap);
	meaning_ecap(out, ecap);
}

/* ---- /sys/class/iommu ---- */

static bool attribute(struct tool *tool, const char *unit, const char *name,
	char *line, size_t size)
{
	char path[TOOL_PATH];

	snprintf(path, sizeof(path), "/sys/class/iommu/%s/intel-iommu/%s", unit,
		name);
	return tool_line(tool, path, line, size);
}

/** Linux writes the version as "1:0". */
static bool version_of(struct tool *tool, const char *unit, uint64_t *out)
{
	char line[TOOL_NAME];
	unsigned major, minor;

	if (!attribute(tool, unit, "version", line, sizeof(line)) ||
		sscanf(line, "%2u:%2u", &major, &minor) != 2)
		return false;
	*out = (major & 15) << 4 | (minor & 15);
	return true;
}

static bool word_of(
	struct tool *tool, const char *unit, const char *name, uint64_t *out)
{
	char line[TOOL_NAME];

	return attribute(tool, unit, name, line, sizeof(line)) &&
		tool_hex(line, out);
}

/** False: not a VT-d unit, or one that cannot be read. */
static bool print_sysfs_unit(struct tool *tool, const char *unit)
{
	uint64_t version = 0, cap, ecap, value;
	char line[TOOL_NAME], *end;
	unsigned long domains;

	if (!word_of(tool, unit, "cap", &cap) ||
		!word_of(tool, unit, "ecap", &ecap))
		return false;
	version_of(tool, unit, &version);
	fprintf(tool->out, "%s", unit);
	if (word_of(tool, unit, "address", &value))
		fprintf(tool->out, " at 0x%llx", (unsigned long long)value);
	if (attribute(tool, unit, "domains_used", line, sizeof(line))) {
		domains = strtoul(line, &end, 10);
		fprintf(tool->out, ", %lu domains in use", domains);
	}
	fprintf(tool->out, "\n");
	print_unit(tool->out, version, cap, ecap);
	return true;
}

static int sysfs_units(struct tool *tool)
{
	char **names;
	int count = tool_names(tool, "/sys/class/iommu", &names);
	int n, found = 0;

	if (count < 0)
		return tool_fail(tool,
			"%s/sys/class/iommu cannot be read: is this Linux, and "
			"is /sys mounted?",
			tool->root);
	for (n = 0; n < count; n++)
		found += print_sysfs_unit(tool, names[n]);
	tool_free_names(names, count);
	if (found)
		return TOOL_FINE;
	fprintf(tool->out,
		"The kernel uses no VT-d unit: it is switched off in "
		"firmware (\"VT-d\"), by the\nkernel (intel_iommu=on "
		"switches it on), or the machine has none.\n");
	return TOOL_WRONG;
}

/* ---- a raw dump ---- */

static uint64_t word(const uint8_t *bytes, size_t at, unsigned width)
{
	uint64_t value = 0;

	while (width--)
		value = value << 8 | bytes[at + width];
	return value;
}

static void print_status(FILE *out, uint32_t gsts)
{
	fprintf(out, "global status = 0x%08x\n", gsts);
	fprintf(out, "  - DMA translation is %s\n",
		gsts & VTD_TE ? "on"
			      : "off: every device reaches all of memory");
	fprintf(out, "  - interrupt remapping is %s\n",
		gsts & VTD_IRE ? "on"
			       : "off: every device can forge interrupts");
	fprintf(out, "  - the invalidation queue is %s\n",
		gsts & VTD_QIE ? "on" : "off");
}

static void print_fault_status(FILE *out, uint32_t fsts)
{
	fprintf(out, "fault status = 0x%08x\n", fsts);
	if (fsts & VTD_FSTS_PFO)
		fprintf(out, "  - faults were lost: more than fit\n");
	if (fsts & VTD_FSTS_IQE)
		fprintf(out,
			"  - the unit stopped at an invalidation command "
			"that it does not understand\n");
	if (fsts & VTD_FSTS_ICE)
		fprintf(out,
			"  - a device answered a flush that nobody sent\n");
	if (fsts & VTD_FSTS_ITE)
		fprintf(out,
			"  - a device did not answer a flush of its TLB in "
			"time\n");
}

static void print_records(
	FILE *out, const uint8_t *bytes, size_t size, uint64_t cap)
{
	size_t at = VTD_CAP_FRO(cap), n;

	for (n = 0; n < VTD_CAP_NFR(cap) && at + 16 <= size; n++, at += 16) {
		uint64_t low = word(bytes, at, 8);
		uint64_t high = word(bytes, at + 8, 8);
		unsigned sid = VTD_FRCD_SID(high), reason = VTD_FRCD_FR(high);

		if (!(high & VTD_FRCD_F))
			continue;
		fprintf(out,
			"fault record %zu: %02x:%02x.%u, 0x%llx: %s "
			"(reason 0x%02x)\n  %s\n",
			n, sid >> 8, sid >> 3 & 31, sid & 7,
			(unsigned long long)low,
			iommu_fault_text((uint8_t)reason), reason,
			meaning_reason(reason));
	}
	if (n < VTD_CAP_NFR(cap))
		fprintf(out,
			"The dump ends before the fault records at "
			"0x%x.\n",
			VTD_CAP_FRO(cap));
}

static int dump(struct tool *tool, const char *path)
{
	size_t size;
	uint8_t *bytes = tool_read(tool, path, &size);
	uint64_t cap, ecap;

	if (!bytes)
		return TOOL_FAILED;
	if (size < 0x38) {
		free(bytes);
		tool_fail(tool,
			"%s has %zu bytes: a register page begins with at "
			"least 56",
			path, size);
		return TOOL_WRONG;
	}
	cap = word(bytes, VTD_CAP, 8);
	ecap = word(bytes, VTD_ECAP, 8);
	if (cap == ~0ull && ecap == ~0ull) {
		fprintf(tool->out,
			"All bits are set: no unit answers at this "
			"address.\n");
		free(bytes);
		return TOOL_WRONG;
	}
	print_unit(tool->out, word(bytes, VTD_VER, 4), cap, ecap);
	print_status(tool->out, (uint32_t)word(bytes, VTD_GSTS, 4));
	print_fault_status(tool->out, (uint32_t)word(bytes, VTD_FSTS, 4));
	print_records(tool->out, bytes, size, cap);
	free(bytes);
	return TOOL_FINE;
}

int command_regs(struct tool *tool, int argc, char **argv)
{
	return argc ? dump(tool, argv[0]) : sysfs_units(tool);
}
