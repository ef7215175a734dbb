/* SPDX-License-Identifier: MIT */
/*
 * Fault lines of kernels' logs. Understood are those of Linux, old and new,
 * Xen, FreeBSD, QEMU and this project's kernel. A reason on a line of its own
 * belongs to the request named before it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <iommu/fault.h>
#include "tool.h"

/** The number behind a marker; base 0 decides by 0x. */
static bool number_after(
	const char *line, const char *marker, int base, uint64_t *out)
{
	const char *at = strstr(line, marker);
	char *end;

	if (!at)
		return false;
	at += strlen(marker);
	if (!isxdigit((unsigned char)*at))
		return false;
	if (!base) /* without 0x old Linux means ten: "[fault reason 06]" */
		base = at[0] == '0' && (at[1] | 0x20) == 'x' ? 16 : 10;
	*out = strtoull(at, &end, base);
	return end != at;
}

/** [[segment:]bus:device.function, or device:function after QEMU's fashion */
static bool device_at(const char *at, struct fault_line *f)
{
	unsigned a, b, c, d;
	char mark;

	if (sscanf(at, "%4x:%2x:%2x.%1x", &a, &b, &c, &d) == 4) {
		f->segment = a;
	} else if (sscanf(at, "%2x:%2x%c%2x", &b, &c, &mark, &d) == 4 &&
		(mark == '.' || mark == ':')) {
		f->segment = 0;
	} else {
		return false;
	}
	if (b > 255 || c > 31 || d > 7)
		return false;
	f->bus = b;
	f->dev = c;
	f->fn = d;
	f->has_device = true;
	return true;
}

static bool device_after(
	const char *line, const char *marker, struct fault_line *f)
{
	const char *at = strstr(line, marker);

	return at && device_at(at + strlen(marker), f);
}

static void set_reason(struct fault_line *f, uint64_t reason)
{
	if (reason > 0xff)
		return;
	f->reason = (unsigned)reason;
	f->has_reason = true;
	if (reason >= 0x20 && reason <= 0x2b)
		f->access = ACCESS_INTERRUPT;
}

/** "[DMA Write NO_PASID] Request device [00:03.0] fault addr 0x.. [fault reason
 *  0x05] .." of Linux; Xen has the reason on the next line, always base 16. */
static bool parse_linux(const char *line, struct fault_line *f)
{
	uint64_t value;
	bool any = false;

	if (device_after(line, "equest device [", f) ||
		device_after(line, "equest device [[", f)) {
		any = true;
		if (strstr(line, "INTR-REMAP"))
			f->access = ACCESS_INTERRUPT;
		else if (strstr(line, "DMA Write"))
			f->access = ACCESS_WRITE;
		else if (strstr(line, "DMA Read"))
			f->access = ACCESS_READ;
		f->has_address =
			number_after(line, "fault addr ", 16, &f->address) ||
			number_after(line, "fault index ", 16, &f->address);
		if (!strstr(line, "NO_PASID") &&
			number_after(line, "PASID ", 16, &value) &&
			value < 1 << 20) {
			f->has_pasid = true;
			f->pasid = (unsigned)value;
		}
	}
	if (number_after(line, "fault reason ", 0, &value) ||
		((strstr(line, "DMAR: reason") ||
			 strstr(line, "INTR-REMAP: reason")) &&
			number_after(line, ": reason ", 16, &value))) {
		any = true;
		set_reason(f, value);
	}
	return any;
}

/** "DMAR0: nvme0: pci1:0:0 sid 100 fault acc 1 adt 0x0 reason 0x5 addr 1000" */
static bool parse_freebsd(const char *line, struct fault_line *f)
{
	uint64_t sid, value;

	if (!strstr(line, " fault acc ") ||
		!number_after(line, " sid ", 16, &sid) || sid > 0xffff)
		return false;
	f->has_device = true;
	f->bus = (unsigned)sid >> 8;
	f->dev = (unsigned)sid >> 3 & 31;
	f->fn = (unsigned)sid & 7;
	if (number_after(line, " reason ", 16, &value))
		set_reason(f, value);
	f->has_address = number_after(line, " addr ", 16, &f->address);
	/* Only the type's upper bit is printed. */
	if (f->access == ACCESS_UNKNOWN &&
		number_after(line, " fault acc ", 16, &value))
		f->access = value ? ACCESS_READ : ACCESS_WRITE;
	return true;
}

/** "vtd_iommu_translate: detected translation failure (dev=00:03:00,
 *  iova=0x1000)" */
static bool parse_qemu(const char *line, struct fault_line *f)
{
	if (!strstr(line, "translation failure") ||
		!device_after(line, "dev=", f))
		return false;
	f->has_address = number_after(line, "iova=", 16, &f->address);
	return true;
}

/** "00:03.0 write 0x00007f0012345000: write access refused (5)" */
static bool parse_own(const char *line, struct fault_line *f)
{
	static const struct {
		const char *marker;
		enum fault_access access;
		int base;
	} kind[] = {
		{" write 0x", ACCESS_WRITE, 16},
		{" read 0x", ACCESS_READ, 16},
		{" interrupt ", ACCESS_INTERRUPT, 10},
	};
	const char *at = NULL, *end;
	uint64_t value;
	unsigned n;

	for (n = 0; n < 3 && !at; n++)
		at = strstr(line, kind[n].marker);
	if (!at || at - line < 7 || !device_at(at - 7, f))
		return false;
	/* A segment in front of it, where there is one. */
	if (at - line >= 12 && at[-8] == ':')
		device_at(at - 12, f);
	n--;
	end = strrchr(at, '(');
	f->access = kind[n].access;
	f->has_address =
		number_after(at, kind[n].marker, kind[n].base, &f->address);
	if (!end || !number_after(end, "(", 10, &value))
		return false;
	set_reason(f, value);
	return f->has_address && f->has_reason;
}

bool fault_parse(const char *line, struct fault_line *out)
{
	static bool (*const parsers[])(const char *, struct fault_line *) = {
		parse_linux, parse_freebsd, parse_qemu, parse_own};
	unsigned n;

	for (n = 0; n < sizeof(parsers) / sizeof(*parsers); n++) {
		*out = (struct fault_line){0};
		if (parsers[n](line, out))
			return true;
	}
	*out = (struct fault_line){0};
	return false;
}

/* ---- in words ---- */

/** Firmware's reserved regions of a group that hold an address. */
static void print_region(
	struct tool *tool, const char *group, const struct fault_line *f)
{
	char path[TOOL_PATH], full[TOOL_PATH], line[128], kind[32];
	unsigned long long first, last;
	FILE *file;

	snprintf(path, sizeof(path),
		"/sys/kernel/iommu_groups/%s/reserved_regions", group);
	if (!tool_path(tool, full, path))
		return;
	file = fopen(full, "r");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %llx %31s", &first, &last, kind) == 3 &&
			f->address >= first && f->address <= last &&
			!strncmp(kind, "direct", 6))
			fprintf(tool->out,
				"  The address lies in memory that firmware "
				"reserved for this device (RMRR).\n");
	fclose(file);
}

/** What this machine knows about the device. */
static void print_here(struct tool *tool, const struct fault_line *f)
{
	char id[32], path[TOOL_PATH], driver[TOOL_NAME], group[TOOL_NAME];
	bool has_driver, has_group;

	snprintf(id, sizeof(id), "%04x:%02x:%02x.%u", f->segment, f->bus,
		f->dev, f->fn);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", id);
	has_driver = tool_link(tool, path, driver, sizeof(driver));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", id);
	has_group = tool_link(tool, path, group, sizeof(group));
	if (has_driver)
		fprintf(tool->out, "  On this machine its driver is %s.\n",
			driver);
	if (has_group) {
		fprintf(tool->out, "  On this machine its group is %s.\n",
			group);
		if (f->has_address && f->access != ACCESS_INTERRUPT)
			print_region(tool, group, f);
	}
}

static void print_request(FILE *out, const struct fault_line *f)
{
	fprintf(out, "%04x:%02x:%02x.%u ", f->segment, f->bus, f->dev, f->fn);
	if (f->access == ACCESS_INTERRUPT) {
		fprintf(out, "sent an interrupt");
		if (f->has_address)
			fprintf(out, ", entry %llu",
				(unsigned long long)f->address);
	} else {
		fprintf(out, "%s memory",
			f->access == ACCESS_WRITE          ? "wrote to"
				: f->access == ACCESS_READ ? "read"
							   : "accessed");
		if (f->has_address)
			fprintf(out, " at 0x%llx",
				(unsigned long long)f->address);
	}
	if (f->has_pasid)
		fprintf(out, ", process id (PASID) 0x%x", f->pasid);
}

static void print_fault(struct tool *tool, const struct fault_line *f)
{
	if (f->has_device)
		print_request(tool->out, f);
	else
		fprintf(tool->out, "a request");
	fprintf(tool->out, " and was refused");
	if (f->has_reason)
		fprintf(tool->out, ": %s (reason 0x%02x)",
			iommu_fault_text((uint8_t)f->reason), f->reason);
	fprintf(tool->out, "\n");
	if (f->has_reason)
		fprintf(tool->out, "  %s\n", meaning_reason(f->reason));
	if (f->has_device)
		print_here(tool, f);
}

int command_fault(struct tool *tool, int argc, char **argv)
{
	struct fault_line fault;

	(void)argc;
	if (!fault_parse(argv[0], &fault)) {
		tool_fail(tool,
			"this is no fault line that is known: it names "
			"no device and no reason");
		return TOOL_WRONG;
	}
	print_fault(tool, &fault);
	return TOOL_FINE;
}

/* ---- a whole log ---- */

enum {
	KINDS = 256
};

/** Faults that differ in their address only are told once and counted. */
struct log {
	struct fault_line kind[KINDS];
	unsigned long count[KINDS];
	unsigned kinds;
	unsigned long total;
	bool waiting; /* for the reason on a line of its own */
	struct fault_line pending;
};

static bool is_same(const struct fault_line *a, const struct fault_line *b)
{
	return a->segment == b->segment && a->bus == b->bus &&
		a->dev == b->dev && a->fn == b->fn && a->access == b->access &&
		a->has_reason == b->has_reason && a->reason == b->reason &&
		a->has_pasid == b->has_pasid && a->pasid == b->pasid;
}

static void take(struct tool *tool, struct log *log, const struct fault_line *f)
{
	unsigned n;

	log->total++;
	for (n = 0; n < log->kinds; n++)
		if (is_same(&log->kind[n], f)) {
			log->count[n]++;
			return;
		}
	print_fault(tool, f);
	if (log->kinds == KINDS)
		return;
	log->kind[log->kinds] = *f;
	log->count[log->kinds++] = 1;
}

static void flush_pending(struct tool *tool, struct log *log)
{
	if (log->waiting)
		take(tool, log, &log->pending);
	log->waiting = false;
}

static void take_line(struct tool *tool, struct log *log, const char *line)
{
	struct fault_line f;

	if (!fault_parse(line, &f))
		return;
	if (!f.has_device && log->waiting) {
		set_reason(&log->pending, f.reason);
		flush_pending(tool, log);
		return;
	}
	flush_pending(tool, log);
	if (!f.has_device)
		return; /* a reason whose request is lost */
	log->pending = f;
	log->waiting = true;
	if (f.has_reason)
		flush_pending(tool, log);
}

int command_faults(struct tool *tool, int argc, char **argv)
{
	struct log *log = calloc(1, sizeof(*log));
	char *line = NULL;
	size_t room = 0;
	unsigned n;
	int status;

	(void)argc;
	(void)argv;
	if (!log)
		return tool_fail(tool, "there is no memory");
	while (getline(&line, &room, tool->in) >= 0)
		take_line(tool, log, line);
	free(line);
	flush_pending(tool, log);
	for (n = 0; n < log->kinds; n++)
		if (log->count[n] > 1) {
			fprintf(tool->out, "%lu times: ", log->count[n]);
			log->kind[n].has_address = false;
			print_request(tool->out, &log->kind[n]);
			fprintf(tool->out, "\n");
		}
	fprintf(tool->out, "%lu faults\n", log->total);
	status = log->total ? TOOL_WRONG : TOOL_FINE;
	free(log);
	return status;
}
