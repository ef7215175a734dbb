/* SPDX-License-Identifier: MIT */
/*
 * Fault records of any content: the status and the records that the library
 * reads come from the input, everything else from an honest unit. Each fault
 * has its words, and collecting ends.
 */
#include <iommu/iommu.h>
#include <model/host.h>
#include <stdlib.h>
#include <string.h>

enum {
	FSTS = 0x34,
	CAP = 0x08
};

static const uint8_t *input;
static size_t left;
static struct iommu_host honest;
static uint64_t records, records_end;
static bool lying;

static uint64_t take(unsigned width)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < width && left; i++, left--)
		v = v << 8 | *input++;
	return v;
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	bool record = offset >= records && offset < records_end;

	if (!lying || !left || (offset != FSTS && !record))
		return honest.reg_read(ctx, regs, offset, width);
	return take(width);
}

static void drain(struct iommu *iommu)
{
	struct iommu_fault fault;
	char line[160];

	for (unsigned n = 0; iommu_fault_next(iommu, &fault); n++) {
		iommu_fault_format(&fault, line, sizeof(line));
		if (n > 100000 || !fault.text || !*fault.text || !*line ||
			strlen(line) >= sizeof(line))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {
		"plain", "qemu-7.2", "caching", "far-registers"};
	struct iommu_device_id id = {.requester = MODEL_BDF(0, 3, 0)};
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain;
	struct iommu_options options;
	struct model_host host;
	struct iommu_host hooks;
	struct iommu *iommu;
	uint8_t dmar[1024];
	enum iommu_status s;
	struct model *m;
	uint64_t cap;
	size_t length;

	if (size < 2)
		return 0;
	input = data + 1;
	left = size - 1;
	lying = false;
	m = model_create_simple(kinds[data[0] & 3], MODEL_BENIGN, 1);
	cap = model_read64(m, model_unit_base(m, 0) + CAP);
	records = (cap >> 24 & 0x3ff) * 16;
	records_end = records + ((cap >> 40 & 0xff) + 1) * 16;
	model_host_init(&host, m, &honest);
	hooks = honest;
	hooks.reg_read = reg_read;
	iommu_options_default(&options);
	options.timeout_ns = 100000;
	options.device_timeout_ns = 200000;
	length = model_dmar(m, dmar, sizeof(dmar));
	if (iommu_create(&hooks, &options, &iommu) != IOMMU_OK ||
		iommu_discover(iommu, dmar, length) != IOMMU_OK ||
		iommu_start(iommu) != IOMMU_OK ||
		iommu_domain_create(iommu, &config, &domain) != IOMMU_OK ||
		iommu_attach(iommu, id, domain) != IOMMU_OK)
		abort();
	lying = true;
	for (unsigned n = 0; n < 64 && left; n++) {
		iommu_interrupt_all(iommu);
		if (n & 1)
			drain(iommu);
	}
	drain(iommu);
	lying = false;
	if (host.locks_held)
		abort();
	/* The device may have been blocked for its faults. */
	s = iommu_detach(iommu, id);
	s = iommu_domain_destroy(domain);
	s = iommu_destroy(iommu);
	(void)s;
	model_destroy(m);
	return 0;
}
