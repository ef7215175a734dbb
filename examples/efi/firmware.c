/* SPDX-License-Identifier: MIT */
/*
 * What the application has from the firmware: console, clock, ACPI tables, the
 * map of memory.
 */
#include <stdarg.h>
#include "app.h"

EFI_SYSTEM_TABLE *firmware;

/* ---- console ---- */

void say(const char *first, ...)
{
	CHAR16 out[3] = {0};
	const char *text;
	va_list more;

	va_start(more, first);
	for (text = first; text; text = va_arg(more, const char *))
		for (; *text; text++) {
			out[0] = *text == '\n' ? '\r' : (uint8_t)*text;
			out[1] = *text == '\n' ? '\n' : 0;
			firmware->ConOut->OutputString(firmware->ConOut, out);
		}
	va_end(more);
}

/* ---- time: the CPU's counter, compared once with a wait ---- */

static uint64_t ticks_per_ms;

static uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

uint64_t clock_ns(void)
{
	uint64_t now = ticks();

	return now / ticks_per_ms * 1000000 +
		now % ticks_per_ms * 1000000 / ticks_per_ms;
}

static bool clock_open(void)
{
	uint64_t start = ticks();

	firmware->BootServices->Stall(10000);
	ticks_per_ms = (ticks() - start) / 10;
	return ticks_per_ms != 0;
}

/* ---- ACPI (ACPI 6.5: 5.2.5 RSDP, 5.2.8 XSDT) ---- */

struct acpi_header {
	char signature[4];
	uint32_t length;
	char rest[28];
};

struct acpi_root {
	char signature[8];
	uint8_t checksum, oem[6], revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
} __attribute__((packed));

static bool same(const void *a, const void *b, size_t size)
{
	return !__builtin_memcmp(a, b, size);
}

static const struct acpi_root *acpi_root(void)
{
	static const EFI_GUID guid = ACPI_20_TABLE_GUID;
	UINTN n;

	for (n = 0; n < firmware->NumberOfTableEntries; n++) {
		EFI_CONFIGURATION_TABLE *at = &firmware->ConfigurationTable[n];

		if (same(&at->VendorGuid, &guid, sizeof(guid)))
			return at->VendorTable;
	}
	return NULL;
}

const void *acpi_table(const char *signature, size_t *out_size)
{
	const struct acpi_root *root = acpi_root();
	const struct acpi_header *list, *table;
	uint64_t at;
	size_t offset;

	if (!root || root->revision < 2 || !root->xsdt)
		return NULL;
	list = (const struct acpi_header *)root->xsdt;
	for (offset = sizeof(*list); offset + sizeof(at) <= list->length;
		offset += sizeof(at)) {
		/* The addresses are not aligned. */
		__builtin_memcpy(&at, (const char *)list + offset, sizeof(at));
		table = (const struct acpi_header *)at;
		if (!table || !same(table->signature, signature, 4))
			continue;
		*out_size = table->length;
		return table;
	}
	return NULL;
}

/* ---- memory ---- */

/** As the firmware described it at the start; what was allocated since has
 *  another type, but is memory as before. Reserved memory counts, for pages
 * that host.c will get may be called so while they are free. */
static struct {
	char *descriptors;
	UINTN size;
	UINTN stride;
} map;

static bool map_open(void)
{
	EFI_BOOT_SERVICES *boot = firmware->BootServices;
	UINTN key;
	UINT32 version;

	/* Says how large it is. The second call finds some more: the buffer
	 * itself splits a region. */
	boot->GetMemoryMap(&map.size, NULL, &key, &map.stride, &version);
	map.size += 8 * map.stride;
	return !EFI_ERROR(boot->AllocatePool(EfiBootServicesData, map.size,
		       (void **)&map.descriptors)) &&
		!EFI_ERROR(boot->GetMemoryMap(&map.size,
			(EFI_MEMORY_DESCRIPTOR *)map.descriptors, &key,
			&map.stride, &version));
}

bool is_memory(uint64_t phys)
{
	UINTN at;

	for (at = 0; at + map.stride <= map.size; at += map.stride) {
		const EFI_MEMORY_DESCRIPTOR *part =
			(const EFI_MEMORY_DESCRIPTOR *)(map.descriptors + at);

		if (phys >= part->PhysicalStart &&
			(phys - part->PhysicalStart) >> 12 <
				part->NumberOfPages)
			return part->Type != EfiUnusableMemory &&
				part->Type != EfiMemoryMappedIO &&
				part->Type != EfiMemoryMappedIOPortSpace;
	}
	return false;
}

bool firmware_open(EFI_SYSTEM_TABLE *table)
{
	firmware = table;
	return clock_open() && map_open();
}
