/* SPDX-License-Identifier: MIT */
/* All device trees, registered at boot. */
#include "dev/dev.h"

void dev_init(void)
{
	dev_cons_init();
	dev_proc_init();
	dev_pci_init();
	dev_iommu_init();
	dev_dmar_init();
	if (dev_bench_init)
		dev_bench_init();
}
