/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of any content: every read takes its answer from the
 * input, so bridges, aliases, groups and capability lists are what it says.
 * Looking a device up, its group, attach and detach end, whatever they answer.
 */
#include <iommu/iommu.h>
#include <model/host.h>
#include <stdlib.h>
#include <string.h>

enum {
	MEMBERS = 16,
};

static const uint8_t *input;
static size_t size_all;

/** The same register reads the same within a run, as a device's would. */
static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	uint32_t mixed = (bus * 31u + devfn) * 61u + offset;
	uint32_t v = 0;

	(void)ctx;
	(void)segment;
	for (unsigned i = 0; i < width; i++)
		v |= (uint32_t)input[(mixed + i) % size_all] << 8 * i;
	return v;
}

static void pci_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	(void)ctx, (void)segment, (void)bus, (void)devfn;
	(void)offset, (void)width, (void)value;
}

static void look_at(struct iommu *iommu, struct iommu_domain *domain,
	struct iommu_device_id id)
{
	struct iommu_device_id member[MEMBERS];
	struct iommu_device_info info;
	unsigned count = 0;
	enum iommu_status s;

	s = iommu_device_info(iommu, id, &info);
	s = iommu_device_group(iommu, id, member, MEMBERS, &count);
	if (s == IOMMU_OK && (!count || !iommu_device_same(member[0], id)))
		abort();
	s = iommu_attach(iommu, id, domain);
	if (s == IOMMU_OK && iommu_detach(iommu, id) != IOMMU_OK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t rids[] = {MODEL_BDF(0, 3, 0), MODEL_BDF(0, 2, 1),
		MODEL_BDF(1, 0, 0), MODEL_BDF(2, 1, 0), MODEL_BDF(2, 31, 7)};
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain;
	struct iommu_options options;
	struct model_host host;
	struct iommu_host hooks;
	struct iommu *iommu;
	uint8_t dmar[1024];
	struct model *m;
	size_t length;

	if (size < 4)
		return 0;
	input = data;
	size_all = size;
	m = model_create_simple("plain", MODEL_BENIGN, 1);
	model_host_init(&host, m, &hooks);
	hooks.pci_read = pci_read;
	hooks.pci_write = pci_write;
	iommu_options_default(&options);
	options.ats = data[0] & 1 ? IOMMU_ON : IOMMU_AUTO;
	length = model_dmar(m, dmar, sizeof(dmar));
	if (iommu_create(&hooks, &options, &iommu) != IOMMU_OK ||
		iommu_discover(iommu, dmar, length) != IOMMU_OK ||
		iommu_start(iommu) != IOMMU_OK ||
		iommu_domain_create(iommu, &config, &domain) != IOMMU_OK)
		abort();
	for (unsigned n = 0; n < sizeof(rids) / sizeof(*rids); n++)
		look_at(iommu, domain,
			(struct iommu_device_id){.requester = rids[n]});
	if (host.locks_held || iommu_domain_destroy(domain) != IOMMU_OK ||
		iommu_destroy(iommu) != IOMMU_OK)
		abort();
	model_destroy(m);
	return 0;
}
