/* SPDX-License-Identifier: MIT */
/* The device trees, one file each: "#cons" (console, null, zero, random …),
 * "#proc", "#pci", "#iommu", "#dmar". */
#ifndef DEV_DEV_H
#define DEV_DEV_H

void dev_init(void); /* registers all of them */

void dev_cons_init(void);
void dev_proc_init(void);
void dev_pci_init(void);
void dev_iommu_init(void);
void dev_dmar_init(void);

/* Only in the image of `make bench`: "#bench". */
void dev_bench_init(void) __attribute__((weak));

#endif
