/* SPDX-License-Identifier: MIT */
/*
 * Registers and tables in words, without an instance or a host: for tools and
 * for kernels that want to explain what they found before they use it.
 */
#ifndef IOMMU_DECODE_H
#define IOMMU_DECODE_H

#include <iommu/report.h>
#include <iommu/types.h>

IOMMU_BEGIN_C

/**
 * What a VT-d unit can do, from its VER, CAP and ECAP registers (VT-d 11.4.1 to
 * 11.4.3), a line per fact. Bits that this library does not know are printed as
 * such.
 */
void iommu_decode_capabilities(uint32_t version, uint64_t cap, uint64_t ecap,
	iommu_sink *sink, void *arg);

/**
 * A DMAR table (VT-d chapter 8): every structure and scope, then what is odd
 * about it. Any bytes may be given. IOMMU_OK, or IOMMU_BAD_TABLE with a line
 * that says why.
 */
enum iommu_status iommu_decode_dmar(const void *table, size_t size,
	iommu_sink *sink, void *arg) IOMMU_MUST_CHECK;

/** An entry of a root (level 7), context (6) or page table (5 to 1) in words,
 *  one line. high is only looked at in levels 6 and 7. */
void iommu_decode_entry(unsigned level, uint64_t low, uint64_t high,
	iommu_sink *sink, void *arg);

IOMMU_END_C

#endif
