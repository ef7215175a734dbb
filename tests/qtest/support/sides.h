/* SPDX-License-Identifier: MIT */
/*
 * One machine of two: QEMU with its edu devices, or the model in its benign
 * mode, which is made of QEMU's capabilities. What a script needs of either:
 * memory, accesses and messages by a device, tables that the host owns.
 */
#ifndef QTEST_SIDES_H
#define QTEST_SIDES_H

#include <model/host.h>
#include "rig.h"

#define PAGE 4096ull
#define LARGE 0x200000ull
/** Where a device finds the scratch page in every domain but the identity. */
#define SCRATCH_AT 0x30000000ull

enum {
	FRAMES = 6,
	BLOCKS = 2, /* of 2 MiB */
	DEVICES = 2,
	/** Domains by number: the identity, mapped ones, one on tables of the
	 *  host's. */
	IDENTITY = 0,
	SHARED = 4,
	DOMAINS,
	IRQS = 4,
	TABLES = 64,
	NOWHERE = -1,
};

/** An interrupt that a CPU gets. */
struct arrival {
	unsigned count;
	uint32_t destination;
	uint8_t vector, delivery;
	bool logical, level;
};

struct side {
	const char *name;
	struct iommu *iommu;
	struct iommu_domain *domain[DOMAINS];
	uint64_t frame[FRAMES], block[BLOCKS], scratch;
	/** The shared domain's tables: the root first. */
	uint64_t table[TABLES];
	unsigned tables;
	/** Blocks of interrupt entries; they keep their content when freed. */
	struct iommu_irq irq[IRQS];
	struct iommu_msi_message message[IRQS];
	unsigned msi; /* where edu's capability lies, in QEMU */
	struct iommu_msi_message programmed[DEVICES];
	struct rig *qemu; /* one of these */
	struct model *model;
	struct model_host host;
	struct iommu_host hooks;
	struct arrival arrived;
};

struct iommu_device_id side_device(unsigned n);
uint64_t *side_at(const struct side *s, uint64_t phys);
void side_take_memory(struct side *s);

/* ---- the library on it ---- */

void side_open(struct side *s, const struct iommu_options *options);
/** Nothing may be left. */
void side_close(struct side *s);

/* ---- what a device does ---- */

/** Which frame (or FRAMES + block) a write of 8 bytes reaches. */
int side_write(struct side *s, unsigned dev, uint64_t iova);
/** The same for a read: what it found, the device writes to the scratch page at
 *  `scratch`, if it is not 0. */
int side_read(struct side *s, unsigned dev, uint64_t iova, uint64_t scratch);
void side_send(struct side *s, unsigned dev, struct iommu_msi_message message);
/** What arrived at CPUs since the last call. */
struct arrival side_arrived(struct side *s);

/* ---- tables of the host ---- */

/** Stores a leaf (0: none) and has it flushed, as the owner of a CPU's page
 *  tables does. */
enum iommu_status side_store(
	struct side *s, uint64_t iova, bool large, uint64_t leaf);
/** Replaces a large leaf by a table that says the same. */
enum iommu_status side_split(struct side *s, uint64_t iova);

#endif
