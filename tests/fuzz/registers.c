/* SPDX-License-Identifier: MIT */
/*
 * Hardware that answers anything: each register read takes a control byte
 * from the input; even: the model's honest answer, odd: the next bytes of the
 * input. The library must end every call, in time, and touch nothing wild.
 */
#include <iommu/iommu.h>
#include <model/host.h>
#include <stdlib.h>
#include <string.h>

enum {
	/** Pages that are somebody's, among the first that lies hit. */
	OTHERS = 64,
};

static const uint8_t *input;
static size_t left;
static struct iommu_host honest;
static struct model_host host;

static uint64_t take(unsigned width)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < width && left; i++, left--)
		v = v << 8 | *input++;
	return v;
}

/** Flips one bit, or answers with anything. */
static uint64_t lie(uint64_t v, uint8_t control, unsigned width)
{
	return control & 2 ? v ^ 1ull << (control >> 2 & (width * 8 - 1))
			   : take(width);
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t v = honest.reg_read(ctx, regs, offset, width);
	uint8_t control = left ? (uint8_t)take(1) : 0;

	return control & 1 ? lie(v, control, width) : v;
}

/** Marks somebody's pages, or looks at the marks. */
static void others(struct model *m, uint64_t page[OTHERS], bool look)
{
	for (unsigned n = 0; n < OTHERS; n++) {
		uint64_t *word;

		if (!look)
			page[n] = model_page_alloc(m, 0, 9);
		word = model_ptr(m, page[n]);
		for (unsigned i = 0; i < 512; i++) {
			if (look && word[i] != (page[n] | i))
				abort();
			word[i] = page[n] | i;
		}
	}
}

static void swallow(void *arg, const char *text, size_t length)
{
	size_t *sum = arg;

	for (size_t i = 0; i < length; i++)
		*sum += (unsigned char)text[i];
}

static void use(struct iommu *iommu)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_device_id id = {.requester = MODEL_BDF(0, 3, 0)};
	struct iommu_domain *domain = NULL;
	struct iommu_irq irq;
	struct iommu_fault fault;
	enum iommu_status s;
	size_t sum = 0;

	s = iommu_domain_create(iommu, &config, &domain);
	if (s != IOMMU_OK)
		return;
	s = iommu_attach(iommu, id, domain);
	s = iommu_map(domain, iommu_iova(0x10000), iommu_phys(0x100000), 0x5000,
		IOMMU_READ);
	s = iommu_unmap_now(domain, iommu_iova(0x11000), 0x2000);
	s = iommu_irq_alloc(iommu, id, 1, &irq);
	if (s == IOMMU_OK)
		s = iommu_irq_free(iommu, &irq);
	iommu_interrupt_all(iommu);
	for (unsigned i = 0; i < 1000 && iommu_fault_next(iommu, &fault); i++) {
		char line[160];

		iommu_fault_format(&fault, line, sizeof line);
	}
	iommu_report_info(iommu, swallow, &sum);
	iommu_report_queue(iommu, swallow, &sum);
	s = iommu_power(iommu, false);
	s = iommu_power(iommu, true);
	s = iommu_detach(iommu, id);
	s = iommu_domain_destroy(domain);
	(void)s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {
		"plain", "no-qi", "caching", "worst-memory"};
	struct iommu_options options;
	struct iommu_host hooks;
	struct iommu *iommu;
	struct model *m;
	uint64_t page[OTHERS];
	uint8_t dmar[1024];
	size_t dmar_size;
	enum iommu_status s;

	if (size < 2)
		return 0;
	input = data + 1;
	left = size - 1;
	m = model_create_simple(kinds[data[0] & 3], MODEL_BENIGN, 1);
	model_host_init(&host, m, &honest);
	others(m, page, false);
	hooks = honest;
	hooks.reg_read = reg_read;
	iommu_options_default(&options);
	options.timeout_ns = 100000;
	options.device_timeout_ns = 200000;
	dmar_size = model_dmar(m, dmar, sizeof dmar);
	if (iommu_create(&hooks, &options, &iommu) != IOMMU_OK)
		abort();
	s = iommu_discover(iommu, dmar, dmar_size);
	if (s == IOMMU_OK)
		s = iommu_start(iommu);
	use(iommu);
	if (host.locks_held)
		abort();
	others(m, page, true);
	s = iommu_destroy(iommu);
	model_destroy(m);
	return 0;
}
