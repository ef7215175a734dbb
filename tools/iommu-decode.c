/* SPDX-License-Identifier: MIT */
/*
 * iommu-decode: what a Linux machine's I/O MMU can do, what its DMAR table
 * says, what a fault's number means.
 */
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iommu/decode.h>
#include <iommu/fault.h>

#define TABLE "/sys/firmware/acpi/tables/DMAR"
#define UNITS "/sys/class/iommu/dmar*/intel-iommu"

static void print(void *arg, const char *text, size_t length)
{
	fwrite(text, 1, length, arg);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: iommu-decode                    all of this machine\n"
		"       iommu-decode dmar [FILE]        a DMAR table\n"
		"       iommu-decode caps CAP ECAP [VERSION]   registers\n"
		"       iommu-decode entry LEVEL LOW [HIGH]    a table entry\n"
		"       iommu-decode fault CODE         a reason code\n"
		"numbers as in C: 0x1f, 31\n");
	return 2;
}

static bool number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return !errno && end != text && !*end;
}

static int dmar(const char *path)
{
	static unsigned char table[1 << 16];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	size = fread(table, 1, sizeof(table), file);
	fclose(file);
	return iommu_decode_dmar(table, size, print, stdout) != IOMMU_OK;
}

static int caps(int count, char **text)
{
	uint64_t cap, ecap, version = 0x10;

	if (count < 2 || count > 3 || !number(text[0], &cap) ||
		!number(text[1], &ecap) ||
		(count == 3 && !number(text[2], &version)))
		return usage();
	iommu_decode_capabilities((uint32_t)version, cap, ecap, print, stdout);
	return 0;
}

static int entry(int count, char **text)
{
	uint64_t level, low, high = 0;

	if (count < 2 || count > 3 || !number(text[0], &level) || !level ||
		level > 7 || !number(text[1], &low) ||
		(count == 3 && !number(text[2], &high)))
		return usage();
	iommu_decode_entry((unsigned)level, low, high, print, stdout);
	return 0;
}

static int fault(const char *text)
{
	uint64_t code;

	if (!number(text, &code) || code > 255)
		return usage();
	printf("%s\n", iommu_fault_text((uint8_t)code));
	return 0;
}

/** Reads a number in hexadecimal from a file of sysfs. */
static uint64_t sysfs(const char *directory, const char *name)
{
	char path[512], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return strtoull(text, NULL, 16);
}

static int machine(void)
{
	int status = dmar(TABLE);
	glob_t units;

	if (glob(UNITS, 0, NULL, &units))
		return status;
	for (size_t n = 0; n < units.gl_pathc; n++) {
		const char *at = units.gl_pathv[n];

		/* Linux writes the version as "1:0". */
		printf("\n%s at 0x%" PRIx64 "\n", at, sysfs(at, "address"));
		iommu_decode_capabilities((uint32_t)sysfs(at, "version") << 4,
			sysfs(at, "cap"), sysfs(at, "ecap"), print, stdout);
	}
	globfree(&units);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return machine();
	if (!strcmp(argv[1], "dmar") && argc <= 3)
		return dmar(argc == 3 ? argv[2] : TABLE);
	if (!strcmp(argv[1], "caps"))
		return caps(argc - 2, argv + 2);
	if (!strcmp(argv[1], "entry"))
		return entry(argc - 2, argv + 2);
	if (!strcmp(argv[1], "fault") && argc == 3)
		return fault(argv[2]);
	return usage();
}
