/* SPDX-License-Identifier: MIT */
/*
 * A scene with something of everything that the library manages, and a table of
 * calls: each public function at least once, where it has work to do.
 */
#ifndef TESTS_UNIT_SCENE_H
#define TESTS_UNIT_SCENE_H

#include <iommu/decode.h>
#include <iommu/dma.h>
#include <iommu/stage.h>
#include <iommu/version.h>
#include "rig.h"

enum {
	SCENE_OWNER = 9,
	SCENE_FRAMES = 8,
	SCENE_DEVICES = 5,
	SCENE_PLACES = 8,
};

/** How far the instance's life has got when a call is made. */
enum scene_stage {
	SCENE_OPENED,
	SCENE_CREATED,
	SCENE_DISCOVERED,
	SCENE_STARTED,
	/** Started, and there is a second unit that it does not know. */
	SCENE_UNIT_COMES,
	/** Started, with domains, devices, buffers and interrupts. */
	SCENE_FULL,
};

struct scene {
	struct rig r;
	enum scene_stage stage;
	uint64_t frame[SCENE_FRAMES];
	/** Tables of the library's; of the host's; for buffers; without a
	 *  device. The last is made by a call. */
	struct iommu_domain *mapped, *buffers, *idle, *made;
	struct rig_space shared;
	struct iommu_dma *dma, *dma_made;
	struct iommu_dma_range range[2];
	unsigned ranges;
	iommu_iova_t buffer, page_iova;
	void *page;
	bool has_buffer, remapped, has_irq, has_irq_made;
	struct iommu_irq irq, irq_made;
	struct iommu_batch batch;
	/** What firmware says of the second unit. */
	uint8_t structure[256];
	size_t structure_size;
};

struct scene_call {
	/** The function, or two of one kind: its name, a blank, what it does.
	 */
	const char *name;
	enum scene_stage stage;
	/** Brings about what the call needs; may be NULL. */
	void (*prepare)(struct scene *s);
	enum iommu_status (*call)(struct scene *s);
	/** Nothing can be called afterwards. */
	bool last;
};

/** Ends with one without a name. */
extern const struct scene_call scene_calls[];

/** Called, if not NULL, when the machine is there and its hooks are not yet
 *  given to the library. */
extern void (*scene_hooks)(struct rig *r);
void scene_open(struct scene *s, const char *kind, enum scene_stage stage);
/** What every device reaches: bit n of [device] for each place, reading and
 *  writing. */
struct scene_reach {
	uint32_t of[SCENE_DEVICES];
};
struct scene_reach scene_look(struct scene *s);
/** Gives back all that there is and ends the instance, as far as it goes.
 *  Returns what iommu_destroy() said. */
enum iommu_status scene_end(struct scene *s);

#endif
