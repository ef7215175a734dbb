/* SPDX-License-Identifier: MIT */
/* A machine with one device in a domain, a DMA space on it, and memory to
 * play with, for tests of the DMA interface. */
#ifndef SUPPORT_PLAY_H
#define SUPPORT_PLAY_H

#include <iommu/dma.h>
#include "rig.h"

enum {
	/** Of the memory. */
	PLAY_ORDER = 8,
	PLAY_PIECES = 5,
};

struct play {
	struct rig r;
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	uint64_t memory;
};

/** What the host says when it is asked for the CPU. */
extern unsigned play_cpu;

/** A lazy machine of this kind with RIG_DEV in a domain; no DMA space yet. */
void play_open_domain(struct play *p, const char *kind,
	enum iommu_domain_kind what, unsigned cpus);
/** The same with a DMA space. */
void play_open(struct play *p, const char *kind, enum iommu_domain_kind what,
	const struct iommu_dma_config *config, unsigned cpus);
/** When the DMA space is gone already. */
void play_close_domain(struct play *p);
void play_close(struct play *p);

/** The first bytes of the memory, both ways. */
enum iommu_status play_map(
	struct play *p, size_t size, uint64_t mask, uint64_t *iova);
enum iommu_status play_unmap(struct play *p, size_t size, uint64_t iova);
/** PLAY_PIECES pieces of the memory, each on pages of its own. */
void play_pieces(struct play *p, struct iommu_dma_piece *piece);

#endif
