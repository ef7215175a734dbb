/* SPDX-License-Identifier: MIT */
/*
 * Starting the library on QEMU, and page tables in the CPU's format.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "rig.h"

static const char *const devices[] = {"-device",
	"edu,dma_mask=0xffffffffffffffff,addr=3", "-device",
	"edu,dma_mask=0xffffffffffffffff,addr=4", NULL};

void rig_start(
	struct rig *r, const char *unit, const struct iommu_options *options)
{
	uint8_t dmar[4096];
	size_t size;
	unsigned n;

	qemu_start(&r->q, unit, devices);
	qemu_host(&r->q, &r->host);
	for (n = 0; n < 2; n++) {
		r->edu[n] = iommu_device_id(0, 0, 3 + n, 0);
		r->bar[n] = qemu_bar0(&r->q, r->edu[n].requester);
	}
	size = qemu_dmar(&r->q, dmar, sizeof(dmar));
	assert_true(size > 48);
	OK(iommu_create(&r->host, options, &r->iommu));
	OK(iommu_discover(r->iommu, dmar, size));
	OK(iommu_start(r->iommu));
	assert_true(iommu_is_on(r->iommu));
}

void rig_stop(struct rig *r)
{
	OK(iommu_destroy(r->iommu));
	assert_int_equal(r->q.pages_out, 0);
	qemu_stop(&r->q);
}

uint64_t rig_table(struct rig *r)
{
	return qemu_pages(&r->q, 0);
}

uint64_t *rig_map(struct rig *r, uint64_t root, uint64_t iova, uint64_t phys,
	uint64_t flags)
{
	uint64_t table = root;
	unsigned level;

	for (level = 4;; level--) {
		uint64_t *entry = (uint64_t *)qemu_at(&r->q, table) +
			(iova >> (12 + 9 * (level - 1)) & 511);

		if (level == 1) {
			*entry = phys | flags;
			return entry;
		}
		/* Present, writable, user. */
		if (!*entry)
			*entry = qemu_pages(&r->q, 0) | 7;
		table = *entry & 0x000ffffffffff000ull;
	}
}

uint64_t rig_lower(struct rig *r, uint64_t root)
{
	return *(uint64_t *)qemu_at(&r->q, root) & 0x000ffffffffff000ull;
}

struct iommu_domain *rig_domain(struct rig *r, uint64_t root, void *owner)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_SHARED,
		.owner = owner,
		.roots = {.levels3 = iommu_phys(rig_lower(r, root)),
			.levels4 = iommu_phys(root)},
	};
	struct iommu_domain *domain;

	OK(iommu_domain_create(r->iommu, &config, &domain));
	return domain;
}

bool rig_reaches(struct rig *r, unsigned n, uint64_t iova, uint64_t phys)
{
	return edu_reaches(&r->q, r->bar[n], iova, phys);
}

void rig_fault(struct rig *r, struct iommu_fault *out)
{
	iommu_interrupt_all(r->iommu);
	assert_true(iommu_fault_next(r->iommu, out));
}
