/* SPDX-License-Identifier: MIT */
/*
 * What lies in memory: the DMAR table, and entries of the unit's tables.
 */
#include <stdlib.h>
#include <string.h>
#include <iommu/decode.h>
#include "iommu/vtd/dmar.h"
#include "iommu/vtd/regs.h"
#include "tool.h"

static void print(void *arg, const char *text, size_t length)
{
	fwrite(text, 1, length, arg);
}

/* ---- DMAR ---- */

static void count_warning(void *arg, size_t at, const char *what)
{
	(void)at;
	(void)what;
	++*(unsigned *)arg;
}

struct census {
	unsigned units, all, regions;
};

static void count_records(const struct dmar_table *table, struct census *out)
{
	struct dmar_record r;
	size_t at = 0;

	while (dmar_next(table, &at, &r)) {
		if (r.type == DMAR_DRHD && !dmar_record_flaw(&r)) {
			out->units++;
			out->all += r.flags & DMAR_INCLUDE_ALL;
		}
		if (r.type == DMAR_RMRR && !dmar_record_flaw(&r))
			out->regions++;
	}
}

static void print_meaning(
	FILE *out, const struct dmar_table *table, unsigned warnings)
{
	struct census found = {0};

	count_records(table, &found);
	fprintf(out, "What this means:\n");
	if (!found.units)
		fprintf(out,
			"  - no unit can be used: no device is held back "
			"from memory.\n");
	if (found.units && !found.all)
		fprintf(out,
			"  - no unit covers all other devices: what is not "
			"listed, or is plugged in later, is not held "
			"back.\n");
	if (!(table->flags & DMAR_INTR_REMAP))
		fprintf(out,
			"  - firmware offers no interrupt remapping: a "
			"device given to a virtual machine can forge "
			"interrupts.\n");
	if (table->flags & DMAR_X2APIC_OPT_OUT)
		fprintf(out,
			"  - firmware asks to leave x2APIC off: with it "
			"go processor ids above 255.\n");
	if (table->flags & DMAR_DMA_OPT_IN)
		fprintf(out,
			"  - firmware asks for DMA protection from the "
			"start: plugged-in devices are held back.\n");
	if (found.regions)
		fprintf(out,
			"  - devices listed under \"reserved\" use memory "
			"behind the system's back; Linux does not hand "
			"them to virtual machines, save graphics and "
			"USB.\n");
	if (warnings)
		fprintf(out,
			"  - firmware made %u mistakes (above): its "
			"maker can mend them, an update may have.\n",
			warnings);
}

int command_dmar(struct tool *tool, int argc, char **argv)
{
	char full[TOOL_PATH];
	struct dmar_table table;
	unsigned warnings = 0;
	const char *path = full;
	uint8_t *bytes;
	size_t size;
	int status = TOOL_WRONG;

	if (argc)
		path = argv[0];
	else if (!tool_path(tool, full, "/sys/firmware/acpi/tables/DMAR"))
		return tool_fail(tool, "the root's name is too long");
	bytes = tool_read(tool, path, &size);
	if (!bytes)
		return TOOL_FAILED;
	if (iommu_decode_dmar(bytes, size, print, tool->out) == IOMMU_OK &&
		!dmar_open(&table, bytes, size)) {
		dmar_check(&table, count_warning, &warnings);
		print_meaning(tool->out, &table, warnings);
		status = warnings ? TOOL_WRONG : TOOL_FINE;
	}
	free(bytes);
	return status;
}

/* ---- entries ---- */

static void print_source(FILE *out, uint64_t high)
{
	static const char *const ignored[] = {"",
		", any of two functions (bit 2)",
		", any of four functions (bits 2:1)", ", any function"};
	unsigned sid = (unsigned)VTD_FIELD(high, 15, 0);
	unsigned sq = (unsigned)VTD_FIELD(high, 17, 16);

	switch (VTD_FIELD(high, 19, 18)) {
	case 0:
		fprintf(out,
			"from any device: nothing keeps another device "
			"from using this entry");
		break;
	case 1:
		fprintf(out, "from %02x:%02x.%u%s", sid >> 8, sid >> 3 & 31,
			sid & 7, ignored[sq]);
		break;
	case 2:
		fprintf(out, "from buses %02x to %02x", sid >> 8, sid & 0xff);
		break;
	default:
		fprintf(out, "with a reserved kind of source check");
	}
}

/** VT-d 9.9 and 9.10 */
static void print_irte(FILE *out, uint64_t low, uint64_t high)
{
	static const char *const mode[] = {"fixed", "lowest priority", "SMI",
		"reserved", "NMI", "INIT", "reserved", "ExtINT"};

	if (!(low & VTD_IRTE_P)) {
		fprintf(out,
			"not present: interrupts by this entry are "
			"refused%s\n",
			low & VTD_IRTE_FPD ? ", silently" : "");
		return;
	}
	if (low & VTD_BIT(15)) {
		fprintf(out,
			"posted, virtual vector %u, descriptor at 0x%llx%s, ",
			(unsigned)VTD_FIELD(low, 23, 16),
			(unsigned long long)(VTD_FIELD(high, 63, 32) << 32 |
				VTD_FIELD(low, 63, 38) << 6),
			low & VTD_BIT(14) ? ", urgent" : "");
	} else {
		fprintf(out,
			"vector %u to %s processor 0x%x (x2APIC) or 0x%x "
			"(xAPIC), %s, %s-triggered, ",
			(unsigned)VTD_FIELD(low, 23, 16),
			low & VTD_IRTE_DM ? "logical" : "physical",
			(unsigned)VTD_FIELD(low, 63, 32),
			(unsigned)VTD_FIELD(low, 47, 40),
			mode[VTD_FIELD(low, 7, 5)],
			low & VTD_IRTE_TM ? "level" : "edge");
	}
	print_source(out, high);
	fprintf(out, "%s\n", low & VTD_IRTE_FPD ? ", faults not reported" : "");
}

int command_entry(struct tool *tool, int argc, char **argv)
{
	bool pte = !strcmp(argv[0], "pte"), irte = !strcmp(argv[0], "irte");
	uint64_t low, high = 0;
	unsigned level;

	if (!pte && !irte && strcmp(argv[0], "root") &&
		strcmp(argv[0], "context"))
		return tool_fail(tool,
			"%s is no kind of entry: root, context, pte or irte",
			argv[0]);
	if (!tool_hex(argv[1], &low) || (argc > 2 && !tool_hex(argv[2], &high)))
		return tool_fail(tool,
			"an entry is one or two hexadecimal numbers of at most "
			"16 digits, the low half first");
	if (pte && argc > 2 && (high < 1 || high > 5))
		return tool_fail(tool, "a page table's level is 1 to 5");
	if (argc < 3 && !pte && strcmp(argv[0], "root"))
		return tool_fail(tool, "this entry has a low and a high half");
	if (irte) {
		print_irte(tool->out, low, high);
		return TOOL_FINE;
	}
	level = argv[0][0] == 'r' ? 7 : argv[0][0] == 'c' ? 6 : 1;
	if (pte && argc > 2)
		level = (unsigned)high;
	iommu_decode_entry(level, low, high, print, tool->out);
	return TOOL_FINE;
}
