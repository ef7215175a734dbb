/* SPDX-License-Identifier: MIT */
/* Finding the root table and, through it, all others (ACPI 6.5, 5.2.5 to
 * 5.2.8). Only tables whose length and checksum hold are known here. */
#include "acpi/acpi.h"
#include "acpi/local.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"

#define MAX_TABLES 64
#define MAX_TABLE_SIZE 0x1000000
#define RSDP_SIZE 20
#define RSDP_XSDT_SIZE 36

struct table {
	const uint8_t *data;
	uint32_t len;
};

struct acpi_machine acpi_machine;

static struct table tables[MAX_TABLES];
static unsigned ntables;

static bool sums_to_zero(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum += *p++;
	return sum == 0;
}

const uint8_t *acpi_map_table(uint64_t addr, uint32_t *out_len)
{
	const uint8_t *p;
	uint32_t len;

	if (addr == 0 || addr >= 1ull << 52)
		return NULL;
	p = kernel_map_memory(phys(addr), TABLE_HEADER_SIZE);
	if (!p)
		return NULL;
	len = get32(p + 4);
	if (len < TABLE_HEADER_SIZE || len > MAX_TABLE_SIZE) {
		kprintf("acpi: table at 0x%llx has length %u\n",
			(unsigned long long)addr, len);
		return NULL;
	}
	p = kernel_map_memory(phys(addr), len);
	if (!p)
		return NULL;
	if (!sums_to_zero(p, len)) {
		kprintf("acpi: table at 0x%llx has a bad checksum\n",
			(unsigned long long)addr);
		return NULL;
	}
	*out_len = len;
	return p;
}

static void add_table(uint64_t addr)
{
	uint32_t len;
	const uint8_t *p;

	if (ntables == MAX_TABLES)
		return;
	p = acpi_map_table(addr, &len);
	if (p)
		tables[ntables++] = (struct table){p, len};
}

static bool read_root(uint64_t addr, const char *signature, unsigned width)
{
	uint32_t len;
	const uint8_t *root = acpi_map_table(addr, &len);

	if (!root || memcmp(root, signature, 4))
		return false;
	for (uint32_t at = TABLE_HEADER_SIZE; len - at >= width; at += width)
		add_table(width == 8 ? get64(root + at) : get32(root + at));
	return true;
}

static const uint8_t *check_rsdp(const uint8_t *p)
{
	if (memcmp(p, "RSD PTR ", 8) || !sums_to_zero(p, RSDP_SIZE))
		return NULL;
	return p;
}

static const uint8_t *scan(const uint8_t *area, size_t size)
{
	for (size_t at = 0; at + RSDP_XSDT_SIZE <= size; at += 16)
		if (check_rsdp(area + at))
			return area + at;
	return NULL;
}

/* The first KiB of the extended BIOS data area, then the BIOS itself. */
static const uint8_t *search_rsdp(void)
{
	const uint8_t *low = kernel_map_memory(phys(0), 0x100000);
	const uint8_t *found = NULL;
	uint32_t ebda;

	if (!low)
		return NULL;
	ebda = (uint32_t)get16(low + 0x40e) << 4;
	if (ebda >= 0x400 && ebda <= 0x9fc00)
		found = scan(low + ebda, 0x400);
	return found ? found : scan(low + 0xe0000, 0x20000);
}

static void read_tables(uint64_t addr)
{
	const uint8_t *rsdp = NULL;
	uint64_t xsdt = 0;

	if (addr && addr < 1ull << 52)
		rsdp = kernel_map_memory(phys(addr), RSDP_XSDT_SIZE);
	if (rsdp)
		rsdp = check_rsdp(rsdp);
	if (!rsdp)
		rsdp = search_rsdp();
	if (!rsdp) {
		kprintf("acpi: no root pointer\n");
		return;
	}
	if (rsdp[15] >= 2 && sums_to_zero(rsdp, RSDP_XSDT_SIZE))
		xsdt = get64(rsdp + 24);
	if (!(xsdt && read_root(xsdt, "XSDT", 8)) &&
		!read_root(get32(rsdp + 16), "RSDT", 4))
		kprintf("acpi: no root table\n");
}

const void *acpi_table(const char signature[4], uint32_t *out_len)
{
	for (unsigned i = 0; i < ntables; i++) {
		if (memcmp(tables[i].data, signature, 4))
			continue;
		*out_len = tables[i].len;
		return tables[i].data;
	}
	return NULL;
}

void acpi_init(uint64_t rsdp)
{
	read_tables(rsdp);
	acpi_read_madt();
	acpi_read_mcfg();
	acpi_read_fadt();
	acpi_read_hpet();
}
