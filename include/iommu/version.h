/* SPDX-License-Identifier: MIT */
/*
 * The library's version, in the sense of semantic versioning: hosts written for
 * one major version build and work with every later minor one. Major 0 makes no
 * such promise yet.
 */
#ifndef IOMMU_VERSION_H
#define IOMMU_VERSION_H

#include <iommu/types.h>

#define IOMMU_VERSION_MAJOR 0
#define IOMMU_VERSION_MINOR 1
#define IOMMU_VERSION_PATCH 0
#define IOMMU_VERSION "0.1.0"

IOMMU_BEGIN_C

/** The version of the library that is linked, as text. */
const char *iommu_version(void);

IOMMU_END_C

#endif
