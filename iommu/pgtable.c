/* SPDX-License-Identifier: MIT */
/*
 * Page tables of mapped domains.
 */
#include "backend.h"

enum iommu_status core_table_make(
	struct iommu_domain *domain, unsigned iova_bits)
{
	(void)domain;
	(void)iova_bits;
	return IOMMU_UNSUPPORTED;
}

void core_table_free(struct iommu_domain *domain)
{
	(void)domain;
}

bool core_table_entry(const struct iommu_domain *domain,
	const struct unit *unit, struct entry *out)
{
	(void)domain;
	(void)unit;
	(void)out;
	return false;
}

void core_table_release(struct iommu_batch *batch, bool confirmed)
{
	(void)batch;
	(void)confirmed;
}
