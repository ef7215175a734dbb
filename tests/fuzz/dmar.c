/* SPDX-License-Identifier: MIT */
/*
 * The firmware's table as anything at all: discovery, reports, look-ups and
 * the start of whatever units it names. The first byte chooses the machine's
 * unit; the rest is the table, its checksum put right unless bit 7 is set.
 */
#include <iommu/iommu.h>
#include <model/host.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"plain", "no-qi", "caching", "non-coherent",
	"far-registers", "39-bit", "first-stage-only", "qemu-4.0"};
static struct model *machine[8];

static void swallow(void *arg, const char *text, size_t length)
{
	size_t *sum = arg;

	/* The text must be readable to its end. */
	for (size_t i = 0; i < length; i++)
		*sum += (unsigned char)text[i];
}

static void look_around(struct iommu *iommu)
{
	static const uint16_t bdf[] = {MODEL_BDF(0, 3, 0), MODEL_BDF(0, 2, 0),
		MODEL_BDF(1, 0, 0), MODEL_BDF(2, 1, 0), 0xffff};
	size_t sum = 0;

	iommu_report_info(iommu, swallow, &sum);
	iommu_report_warnings(iommu, swallow, &sum);
	for (unsigned i = 0; i < sizeof bdf / sizeof bdf[0]; i++) {
		struct iommu_device_id id = {.requester = bdf[i]};
		struct iommu_device_info info;
		enum iommu_status s;

		s = iommu_device_info(iommu, id, &info);
		s = iommu_report_tables(iommu, id, 10, swallow, &sum);
		(void)s;
	}
	for (unsigned i = 0; i < iommu_reserved_count(iommu); i++) {
		struct iommu_reserved_region region;
		enum iommu_status s = iommu_reserved_region(iommu, i, &region);

		if (s != IOMMU_OK || region.last.v < region.first.v)
			abort();
	}
}

static void put_checksum_right(uint8_t *table, size_t size)
{
	uint8_t sum = 0;

	if (size < 48)
		return;
	memcpy(table, "DMAR", 4);
	for (unsigned i = 0; i < 4; i++)
		table[4 + i] = (uint8_t)(size >> (8 * i));
	table[9] = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iommu_options options;
	struct iommu_host hooks;
	struct model_host host;
	struct iommu *iommu;
	struct model *m;
	uint8_t *table;
	enum iommu_status s;
	unsigned k;

	if (size < 1 || size > 8192)
		return 0;
	k = data[0] & 7;
	if (!machine[k])
		machine[k] = model_create_simple(kinds[k], MODEL_BENIGN, 1);
	m = machine[k];
	/* Exactly as large as it says, so that reading on is seen. */
	table = malloc(size);
	memcpy(table, data + 1, size - 1);
	if (!(data[0] & 0x80))
		put_checksum_right(table, size - 1);
	model_host_init(&host, m, &hooks);
	iommu_options_default(&options);
	options.timeout_ns = 100000;
	if (iommu_create(&hooks, &options, &iommu) != IOMMU_OK)
		abort();
	table = realloc(table, size > 1 ? size - 1 : 1);
	s = iommu_discover(iommu, table, size - 1);
	free(table);
	look_around(iommu);
	if (s == IOMMU_OK) {
		s = iommu_start(iommu);
		look_around(iommu);
	}
	s = iommu_destroy(iommu);
	if (s != IOMMU_OK && s != IOMMU_UNCONFIRMED)
		abort();
	if (s == IOMMU_OK && model_pages_in_use(m, 0))
		abort();
	if (s != IOMMU_OK) {
		/* What the library keeps in quarantine is lost with it. */
		model_destroy(m);
		machine[k] = NULL;
	}
	return 0;
}
