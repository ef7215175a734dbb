/* SPDX-License-Identifier: MIT */
/*
 * The tool iommu-decode, run as a person would: command lines, a machine's
 * files below a folder of its own, logs of several kernels, and nonsense.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/iommu-decode/tool.h"

static char *said, *complained;
static char root[] = "/tmp/iommu-decode-XXXXXX";

static void forget(void)
{
	free(said);
	free(complained);
	said = complained = NULL;
}

/** Runs a command line; input may be NULL. */
static int run(const void *input, size_t size, int argc, char **argv)
{
	size_t out_size, err_size;
	struct tool tool = {.root = root};
	int status;

	forget();
	tool.in = fmemopen((void *)(size ? input : " "), size ? size : 1, "r");
	tool.out = open_memstream(&said, &out_size);
	tool.err = open_memstream(&complained, &err_size);
	assert_true(tool.in && tool.out && tool.err);
	status = tool_run(&tool, argc, argv);
	fclose(tool.in);
	fclose(tool.out);
	fclose(tool.err);
	return status;
}

#define ARGS(...)                                 \
	(char *[])                                \
	{                                         \
		"iommu-decode", __VA_ARGS__, NULL \
	}
#define COUNT(...) ((int)(sizeof(ARGS(__VA_ARGS__)) / sizeof(char *)) - 1)
#define RUN(...) run(NULL, 0, COUNT(__VA_ARGS__), ARGS(__VA_ARGS__))
#define FEED(input, size, ...) \
	run(input, size, COUNT(__VA_ARGS__), ARGS(__VA_ARGS__))

static void assert_says(const char *part)
{
	if (!strstr(said, part))
		fail_msg("\"%s\" is missing in:\n%s", part, said);
}

static void assert_silent_about(const char *part)
{
	if (strstr(said, part))
		fail_msg("\"%s\" should not be in:\n%s", part, said);
}

/* ---- a machine's files ---- */

/** Makes the folders of a path and the file, all below the root. */
static void file(const char *path, const char *text)
{
	char full[512];
	FILE *f;
	char *c;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (c = full + strlen(root) + 1; *c; c++)
		if (*c == '/') {
			*c = '\0';
			mkdir(full, 0700);
			*c = '/';
		}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void leads_to(const char *path, const char *target)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	assert_int_equal(symlink(target, full), 0);
}

static void device(const char *id, const char *class, const char *driver,
	const char *group, const char *unit)
{
	char path[256], to[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class", id);
	file(path, class);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", id);
	file(path, "0x8086\n");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/device", id);
	file(path, "0x10d3\n");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", id);
	snprintf(to, sizeof(to), "../../x/%s", unit);
	leads_to(path, to);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", id);
	snprintf(to, sizeof(to), "../../groups/%s", group);
	leads_to(path, to);
	if (driver) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver",
			id);
		snprintf(to, sizeof(to), "../../drivers/%s", driver);
		leads_to(path, to);
	}
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices/%s",
		group, id);
	file(path, "");
}

static int make_machine(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	file("/sys/class/iommu/dmar0/intel-iommu/cap", "d2008c222f0686\n");
	file("/sys/class/iommu/dmar0/intel-iommu/ecap", "f46\n");
	file("/sys/class/iommu/dmar0/intel-iommu/version", "1:0\n");
	file("/sys/class/iommu/dmar0/intel-iommu/address", "fed90000\n");
	file("/sys/class/iommu/dmar0/intel-iommu/domains_used", "7\n");
	file("/sys/class/iommu/dmar1/intel-iommu/cap", "d2008c40660462\n");
	file("/sys/class/iommu/dmar1/intel-iommu/ecap", "f050da\n");
	device("0000:00:00.0", "0x060000\n", NULL, "0", "dmar1");
	device("0000:00:02.0", "0x030000\n", "i915", "1", "dmar1");
	file("/sys/kernel/iommu_groups/1/reserved_regions",
		"0x7c000000 0x7fffffff direct\n0xfee00000 0xfeefffff msi\n");
	device("0000:00:1c.0", "0x060400\n", "pcieport", "2", "dmar1");
	device("0000:01:00.0", "0x010802\n", "nvme", "2", "dmar1");
	device("0000:01:00.1", "0x020000\n", "e1000e", "2", "dmar1");
	device("0000:02:00.0", "0x020000\n", "e1000e", "10", "dmar1");
	device("0000:03:00.0", "0x020000\n", NULL, "11", "dmar0");
	return 0;
}

static int remove_one(
	const char *path, const struct stat *s, int type, struct FTW *walk)
{
	(void)s;
	(void)type;
	(void)walk;
	return remove(path);
}

static int remove_machine(void **state)
{
	(void)state;
	forget();
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void units_of_the_machine(void **state)
{
	(void)state;
	assert_int_equal(RUN("regs"), TOOL_FINE);
	assert_says("dmar0 at 0xfed90000, 7 domains in use\n version: 1.0\n");
	assert_says("dmar1\n");
	assert_says("no interrupt remapping: a device given to a virtual "
		    "machine can forge interrupts");
	assert_says("caching mode: this is a virtual machine's unit");
	/* 4 levels in SAGAW, but MGAW says 39 bits. */
	assert_int_equal(RUN("cap", "1c0000c40660462"), TOOL_FINE);
	assert_says("narrower than 48 bits");
	assert_silent_about("pass through");
	assert_silent_about("version");
	assert_int_equal(RUN("ecap", "0xf050da"), TOOL_FINE);
	assert_says("a device cannot forge them");
	assert_silent_about("mgaw");
	assert_int_equal(RUN("cap", "ffffffffffffffff"), TOOL_WRONG);
	assert_says("nothing answered");
}

static void groups_of_the_machine(void **state)
{
	(void)state;
	assert_int_equal(RUN("groups"), TOOL_FINE);
	assert_string_equal(said,
		"group 0\n"
		"  0000:00:00.0 8086:10d3 bridge, no driver\n"
		"  -> stays: it holds a part of the machine itself.\n"
		"group 1\n"
		"  0000:00:02.0 8086:10d3 display, driver i915\n"
		"  -> stays: firmware reserved memory for it (RMRR), and Linux "
		"refuses to hand it over.\n"
		"group 2\n"
		"  0000:00:1c.0 8086:10d3 bridge, driver pcieport\n"
		"  0000:01:00.0 8086:10d3 storage, driver nvme\n"
		"  0000:01:00.1 8086:10d3 network, driver e1000e\n"
		"  -> can be passed through, all 2 devices together; the "
		"bridge stays.\n"
		"group 10\n"
		"  0000:02:00.0 8086:10d3 network, driver e1000e\n"
		"  -> can be passed through by itself.\n"
		"group 11\n"
		"  0000:03:00.0 8086:10d3 network, no driver\n"
		"  -> not safe: no interrupt remapping; a device given to a "
		"virtual machine can forge interrupts.\n");
}

/* ---- fault lines ---- */

static void lines_of_many_kernels(void **state)
{
	static const struct {
		const char *line, *says;
	} row[] = {
		{"[ 1.5] DMAR: [DMA Write NO_PASID] Request device [00:02.0] "
		 "fault addr 0x7c001000 [fault reason 0x05] PTE Write",
			"0000:00:02.0 wrote to memory at 0x7c001000 and was "
			"refused: write access refused (reason 0x05)\n"},
		{"DMAR: [DMA Read] Request device [00:02.0] PASID ffffffff "
		 "fault addr b4000000 [fault reason 06] PTE Read access",
			"0000:00:02.0 read memory at 0xb4000000 and was"},
		{"DMAR: [DMA Read PASID 0x12] Request device [6a:01.0] fault "
		 "addr 0x1000 [fault reason 0x59] not present",
			"0000:6a:01.0 read memory at 0x1000, process id "
			"(PASID) 0x12 and was"},
		{"DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x10 "
		 "[fault reason 0x26] Blocked",
			"0000:f0:1f.7 sent an interrupt, entry 16 and was "
			"refused: the interrupt entry belongs to another "
			"device (reason 0x26)\n"},
		/* Old Linux counts in tens: 38 is 0x26. */
		{"INTR-REMAP: Request device [[f0:1f.7] fault index 0 "
		 "INTR-REMAP:[fault reason 38] Blocked",
			"(reason 0x26)\n"},
		{"DMAR0: nvme0: pci1:0:0 sid 10a fault acc 1 adt 0x0 reason "
		 "0x6 addr 1000",
			"0000:01:01.2 read memory at 0x1000"},
		{"qemu: vtd_iommu_translate: detected translation failure "
		 "(dev=00:03:00, iova=0x2000)",
			"0000:00:03.0 accessed memory at 0x2000 and was "
			"refused\n"},
		{"dmar: 0001:00:03.0 write 0x00007f0012345000: write access "
		 "refused (5)",
			"0001:00:03.0 wrote to memory at 0x7f0012345000"},
		{"00:03.0 interrupt 12: an interrupt (37)",
			"0000:00:03.0 sent an interrupt, entry 12 and was "
			"refused: an interrupt in compatibility format was "
			"blocked (reason 0x25)"},
	};
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(row) / sizeof(*row); n++) {
		assert_int_equal(RUN("fault", (char *)row[n].line), TOOL_FINE);
		assert_says(row[n].says);
	}
	RUN("fault", (char *)row[0].line);
	assert_says("its driver is i915");
	assert_says("its group is 1");
	assert_says("memory that firmware reserved");
	assert_int_equal(RUN("fault", "eth0: link up"), TOOL_WRONG);
	assert_true(complained[0]);
}

static void a_whole_log(void **state)
{
	static const char text[] =
		"eth0: link up\n"
		"(XEN) [VT-D]DMAR:[DMA Write] Request device [0000:05:00.0] "
		"fault addr 7f000, iommu reg = 0\n"
		"(XEN) [VT-D]DMAR: reason 02 - Present bit in context entry\n"
		"DMAR:[DMA Read] Request device [06:00.0] fault addr 1000 \n"
		"DMAR:[fault reason 06] PTE Read access is not set\n"
		"DMAR:[DMA Read] Request device [06:00.0] fault addr 2000 \n"
		"DMAR:[fault reason 06] PTE Read access is not set\n";

	(void)state;
	assert_int_equal(FEED(text, strlen(text), "faults"), TOOL_WRONG);
	assert_says("0000:05:00.0 wrote to memory at 0x7f000 and was refused: "
		    "the device is not attached (reason 0x02)\n");
	assert_says("0000:06:00.0 read memory at 0x1000");
	assert_silent_about("0x2000");
	assert_says("2 times: 0000:06:00.0 read memory\n3 faults\n");
	assert_int_equal(FEED("quiet\n", 6, "faults"), TOOL_FINE);
	assert_string_equal(said, "0 faults\n");
}

/* ---- tables ---- */

/** A small table: one unit with an I/O APIC and three functions. */
static size_t small_table(uint8_t *t)
{
	static const uint8_t body[] = {0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 0xd9,
		0xfe, 0, 0, 0, 0, 3, 8, 0, 0, 0, 0xff, 0, 0, 1, 8, 0, 0, 0, 0,
		0, 0, 1, 8, 0, 0, 0, 0, 1, 0, 1, 8, 0, 0, 0, 0, 0x1f, 0, 2, 0,
		8, 0, 1, 0, 0, 0};
	size_t size = 48 + sizeof(body), n;
	uint8_t sum = 0;

	memset(t, 0, 48);
	memcpy(t, "DMAR", 4);
	t[4] = (uint8_t)size;
	t[8] = 1;
	t[36] = 47;
	memcpy(t + 48, body, sizeof(body));
	for (n = 0; n < size; n++)
		sum = (uint8_t)(sum + t[n]);
	t[9] = (uint8_t)-sum;
	return size;
}

static void a_table(void **state)
{
	uint8_t t[256];
	size_t size = small_table(t);

	(void)state;
	assert_int_equal(FEED(t, size, "dmar", "-"), TOOL_FINE);
	assert_says("unit at 0xfed90000");
	assert_says("no unit covers all other devices");
	assert_says("firmware offers no interrupt remapping");
	t[9]++;
	assert_int_equal(FEED(t, size, "dmar", "-"), TOOL_WRONG);
	assert_says("the checksum is wrong");
	assert_says("firmware made 1 mistakes");
	t[0] = 'X';
	assert_int_equal(FEED(t, size, "dmar", "-"), TOOL_WRONG);
	assert_says("signature");
	assert_int_equal(RUN("dmar"), TOOL_FAILED);
	assert_non_null(strstr(complained, "it is not there"));
}

/** Taken from the memory of QEMU 7.2 with intel-iommu,intremap=on and
 *  device-iotlb=on, edu and e1000. */
static void the_table_of_qemu(void **state)
{
	static const uint8_t t[] = {0x44, 0x4d, 0x41, 0x52, 0x90, 0, 0, 0, 1,
		0xc1, 0x42, 0x4f, 0x43, 0x48, 0x53, 0x20, 0x42, 0x58, 0x50,
		0x43, 0x20, 0x20, 0x20, 0x20, 1, 0, 0, 0, 0x42, 0x58, 0x50,
		0x43, 1, 0, 0, 0, 0x26, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x58, 0, 0, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0, 3, 8, 0, 0,
		0, 0xff, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 1, 0,
		1, 8, 0, 0, 0, 0, 2, 0, 1, 8, 0, 0, 0, 0, 3, 0, 1, 8, 0, 0, 0,
		0, 4, 0, 1, 8, 0, 0, 0, 0, 0x1f, 0, 1, 8, 0, 0, 0, 0, 0x1f, 2,
		1, 8, 0, 0, 0, 0, 0x1f, 3, 2, 0, 8, 0, 1, 0, 0, 0};

	(void)state;
	assert_int_equal(FEED(t, sizeof(t), "dmar", "-"), TOOL_FINE);
	assert_says("host address width 39, interrupt remapping\n");
	assert_says("  I/O APIC 0 at ff:00.0\n  endpoint at 00:00.0\n");
	assert_says("  endpoint at 00:1f.3\nports with translation services");
	assert_silent_about("warning");
	assert_silent_about("forge");
}

static void entries(void **state)
{
	(void)state;
	RUN("entry", "irte", "0x0000020000300001", "0x00040018");
	assert_says("vector 48 to physical processor 0x200");
	assert_says("from 00:03.0\n");
	RUN("entry", "irte", "1", "0");
	assert_says("from any device");
	RUN("entry", "irte", "0", "0");
	assert_says("not present");
	RUN("entry", "context", "12345001", "302");
	assert_string_equal(
		said, "tables, 4 levels, domain 3, tables at 0x12345000\n");
	assert_int_equal(RUN("entry", "cake", "1"), TOOL_FAILED);
	assert_int_equal(RUN("entry", "pte", "1", "6"), TOOL_FAILED);
	assert_int_equal(RUN("entry", "irte", "1"), TOOL_FAILED);
}

static void a_register_page(void **state)
{
	uint8_t page[0x240] = {[0] = 0x10};
	uint64_t cap = 0x00d2008c222f0686, ecap = 0xf46;

	(void)state;
	memcpy(page + 0x08, &cap, 8);
	memcpy(page + 0x10, &ecap, 8);
	page[0x1f] = 0xc0;
	page[0x34] = 1;
	page[0x228] = 0x18; /* 00:03.0 */
	page[0x22c] = 5;
	page[0x22f] = 0x80;
	assert_int_equal(FEED(page, sizeof(page), "regs", "-"), TOOL_FINE);
	assert_says("DMA translation is on");
	assert_says("interrupt remapping is off: every device can forge");
	assert_says("faults were lost");
	assert_says("fault record 0: 00:03.0, 0x0: write access refused");
	assert_int_equal(FEED(page, 0x100, "regs", "-"), TOOL_FINE);
	assert_says("The dump ends before the fault records at 0x220");
	assert_int_equal(FEED(page, 8, "regs", "-"), TOOL_WRONG);
	memset(page, 0xff, sizeof(page));
	assert_int_equal(FEED(page, sizeof(page), "regs", "-"), TOOL_WRONG);
}

static void wrong_command_lines(void **state)
{
	(void)state;
	assert_int_equal(RUN("--help"), TOOL_FINE);
	assert_says("groups");
	assert_int_equal(RUN("cake"), TOOL_FAILED);
	assert_int_equal(RUN("--cake"), TOOL_FAILED);
	assert_int_equal(RUN("--root"), TOOL_FAILED);
	assert_int_equal(RUN("cap"), TOOL_FAILED);
	assert_int_equal(RUN("cap", "12345678123456789"), TOOL_FAILED);
	assert_int_equal(RUN("cap", "\033[2J"), TOOL_FAILED);
	assert_null(strchr(complained, '\033'));
	assert_int_equal(RUN("reason", "100"), TOOL_FAILED);
	assert_int_equal(RUN("--root", "/nowhere", "groups"), TOOL_FAILED);
	assert_int_equal(RUN("--root", "/nowhere", "regs"), TOOL_FAILED);
}

/** Every reason has words, and lines with broken ends are survived. */
static void nonsense(void **state)
{
	static const char good[] =
		"DMAR: [DMA Write PASID 0x1] Request device [0000:00:02.0] "
		"fault addr 0x7c001000 [fault reason 0x05] sid 1 fault acc 1 "
		"dev=00:01:00 00:03.0 write 0x1: x (5)";
	char line[sizeof(good)], bytes[200];
	unsigned n, round;

	(void)state;
	for (n = 0; n < 256; n++)
		assert_true(meaning_reason(n)[0]);
	srand(1);
	for (round = 0; round < 20000; round++) {
		struct fault_line f;

		memcpy(line, good, sizeof(good));
		for (n = 0; n < 4; n++)
			line[(size_t)rand() % (sizeof(good) - 1)] =
				(char)(rand() % 4 ? rand() : 0);
		if (fault_parse(line, &f) && f.has_device)
			assert_true(f.bus < 256 && f.dev < 32 && f.fn < 8 &&
				f.segment < 65536 && f.reason < 256);
	}
	for (round = 0; round < 500; round++) {
		for (n = 0; n < sizeof(bytes); n++)
			bytes[n] = (char)rand();
		if (round & 1)
			small_table((uint8_t *)bytes);
		bytes[48 + (unsigned)rand() % 60] = (char)rand();
		FEED(bytes, sizeof(bytes), "dmar", "-");
		FEED(bytes, sizeof(bytes), "regs", "-");
		FEED(bytes, sizeof(bytes), "faults");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_of_the_machine),
		cmocka_unit_test(groups_of_the_machine),
		cmocka_unit_test(lines_of_many_kernels),
		cmocka_unit_test(a_whole_log),
		cmocka_unit_test(a_table),
		cmocka_unit_test(the_table_of_qemu),
		cmocka_unit_test(entries),
		cmocka_unit_test(a_register_page),
		cmocka_unit_test(wrong_command_lines),
		cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, make_machine, remove_machine);
}
